"""Notes: a look at somebody's history has a purpose and a person, and what a stranger writes is not copied."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.link.messages import FORGET_REASONS, PURPOSES, REFUSAL_CODES, Done, Note, Refused
from controller.notes import NOTE_RULES, complaint

LOOK = {"type": "VIEW_PERSONAL", "cardholder": "h-sato", "purpose": "incident"}
EXPORT = {"type": "EXPORT", "cardholder": "h-sato", "purpose": "audit"}
FORGET = {"type": "FORGOTTEN", "cardholder": "h-sato", "purpose": "request"}

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (LOOK | {"purpose": None}, "no_purpose", "purpose"),
    (LOOK | {"cardholder": None}, "no_purpose", "cardholder"),
    (LOOK | {"purpose": "curiosity"}, "no_purpose", "purpose"),
    (LOOK | {"purpose": ""}, "no_purpose", "purpose"),
    (LOOK | {"purpose": "request"}, "no_purpose", "purpose"),  # of another list
    (LOOK | {"cardholder": "佐藤 花子"}, "protocol", "cardholder"),
    (LOOK | {"cardholder": "h-sato\n"}, "protocol", "cardholder"),
    (LOOK | {"cardholder": ""}, "protocol", "cardholder"),
    (LOOK | {"second": "Yamada Taro"}, "protocol", "second"),
    ({"type": "VISIT_ARRIVED"}, "no_purpose", "cardholder"),
    (EXPORT | {"count": 2}, "two_people", "second"),
    (EXPORT | {"count": 2, "second": "officer-01"}, "two_people", "second"),
    (EXPORT | {"count": -1}, "protocol", "count"),
    (EXPORT | {"count": 10**12}, "protocol", "count"),
    (FORGET | {"purpose": None}, "no_purpose", "purpose"),
    (FORGET | {"purpose": "unsuitable"}, "no_purpose", "purpose"),
    (FORGET | {"cardholder": None}, "no_purpose", "cardholder"),
    ({"type": "SIGN_OUT", "purpose": "incident"}, "protocol", "purpose"),
    ({"type": "GOSSIP"}, "protocol", "type"),
]


@pytest.mark.req("E-07")
@pytest.mark.parametrize(("fields", "code", "field"), REFUSED)
def test_a_look_without_a_purpose_is_refused_and_leaves_a_record(site, fields, code, field):
    """Somebody could look at where a person was all day, and nobody could ask him why."""
    answer = site.asks(Note(id="note-000001", officer="officer-01", **fields))
    assert isinstance(answer, Refused) and (answer.code, answer.field) == (code, field)
    assert code in REFUSAL_CODES
    last = site.records[-1]
    assert last.type == "COMMAND_REFUSED" and last.detail["code"] == code and last.actor.officer == "officer-01"
    assert not [body for body in site.records if body.type == "NOTE"]


@pytest.mark.req("E-07")
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_look_is_recorded_with_whom_it_was_about_and_for_what(site, purpose):
    """The person could not be told who looked at the records about him."""
    answer = site.asks(Note(id="note-000001", officer="officer-01", **(LOOK | {"purpose": purpose})))
    assert isinstance(answer, Done)
    body = site.records[-1]
    assert body.type == "NOTE" and site.ledger.size - 1 == answer.seq
    assert body.subject.cardholder == "h-sato" and body.actor.officer == "officer-01"
    assert body.detail == {"id": "note-000001", "kind": "VIEW_PERSONAL", "purpose": purpose}


@pytest.mark.req("E-07")
def test_an_export_of_several_people_names_both_officers(site):
    """One officer alone could carry everybody's movements out of the house."""
    asked = Note(id="note-000001", officer="officer-01", type="EXPORT", purpose="audit", count=30, second="officer-02")
    assert isinstance(site.asks(asked), Done)
    detail = site.records[-1].detail
    assert (detail["officer2"], detail["count"], detail["purpose"]) == ("officer-02", 30, "audit")
    one = Note(
        id="note-000002", officer="officer-01", type="EXPORT", cardholder="h-sato", purpose="disclosure", count=1
    )
    assert isinstance(site.asks(one), Done), "of one person, who asked for it, one officer is enough"


@pytest.mark.req("E-08")
@pytest.mark.parametrize("reason", FORGET_REASONS)
def test_that_somebody_was_forgotten_is_recorded_under_the_pseudonym(site, reason):
    """A name would be gone and nobody could say who took it away, or on what ground."""
    assert isinstance(site.asks(Note(id="note-000001", officer="officer-01", **(FORGET | {"purpose": reason}))), Done)
    body = site.records[-1]
    assert body.type == "NOTE" and body.subject.cardholder == "h-sato"
    assert body.detail == {"id": "note-000001", "kind": "FORGOTTEN", "purpose": reason}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    type_=st.sampled_from([*NOTE_RULES, "X"]),
    cardholder=st.none() | st.text(max_size=70) | st.just("h-sato"),
    purpose=st.none() | st.text(max_size=10) | st.sampled_from(PURPOSES + FORGET_REASONS),
    second=st.none() | st.text(max_size=10) | st.just("officer-02"),
    count=st.none() | st.integers(-(2**63), 2**63),
)
def test_no_note_makes_the_loop_stumble_or_carries_free_text(site, type_, cardholder, purpose, second, count):
    """Whoever breaks into the web process could stop every door, or write what he likes about somebody."""
    site.ids += 1
    note = Note(
        id=f"random-{site.ids:06}", type=type_, officer="officer-01", cardholder=cardholder, purpose=purpose,
        second=second, count=count,
    )  # fmt: skip
    answer = site.asks(note)
    assert isinstance(answer, Done if complaint(note) is None else Refused)
    body = site.records[-1]
    assert body.type in ("NOTE", "COMMAND_REFUSED")
    if body.type == "NOTE":
        assert body.detail.get("purpose") in (None, *PURPOSES, *FORGET_REASONS)
