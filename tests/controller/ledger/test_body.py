"""Drafts: what a record may say, and that it is refused before it reaches the committer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger.body import CLASSES, Body, Draft, Evidence, Scribe, Trace, decode_body
from controller.ledger.catalogue import RECORD_TYPES
from zones.moment import Moment

NOW = Moment(at=datetime(2026, 11, 2, 1, 2, 3, 456789, tzinfo=UTC), tick_ms=5)
SCRIBE = Scribe(node="gate-1", boot="b-0001")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maybe = st.none() | texts
integers = st.integers(-(2**53) + 1, 2**53 - 1)
details = st.recursive(
    texts | st.booleans() | integers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
WORDS = (
    *("outcome", "reason", "zone", "portal", "access_point", "direction", "cardholder", "credential"),
    *("officer", "role", "revision", "corr"),
)
fields = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(WORDS, maybe),
        "evidence": st.none() | st.builds(Evidence, method=texts, factors=integers, last4=maybe),
        "trace": st.none()
        | st.builds(
            Trace,
            passed=st.lists(texts, max_size=3).map(tuple),
            failed=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
        ),
    },
)


@given(st.data(), st.sampled_from(sorted(RECORD_TYPES)), fields)
@pytest.mark.req("A-21")
def test_every_draft_is_canonical_and_reads_back_as_what_was_said(choice, type_, said):
    """A record would be stored that the verifier, or the next start, cannot read."""
    class_, allowed = RECORD_TYPES[type_]
    detail = choice.draw(
        st.none() | st.dictionaries(st.sampled_from([*sorted(allowed)] or [""]), details, max_size=3 * bool(allowed))
    )
    draft = SCRIBE.draft(type_, now=NOW, detail=detail, **said)
    read = json.loads(draft.text)
    assert rfc8785.dumps(read) == draft.text
    assert draft.class_ == class_
    assert decode_body(draft.text) == draft.body
    assert (read["v"], read["type"], read["node"], read["boot"]) == (1, type_, "gate-1", "b-0001")
    assert read.get("detail", {}) == (detail or {})
    assert None not in read.values()
    for name in ("outcome", "reason", "zone", "portal", "access_point", "direction", "revision", "corr"):
        assert read.get(name) == said.get(name)


def test_milliseconds_are_cut_and_the_clock_is_told():
    """A record would be a millisecond off, or pass off a clock that nobody trusts as good."""
    body = SCRIBE.draft("REX", now=NOW).body
    assert (body.at_ms, body.clock, body.tz) == (1793581323456, "trusted", "+09:00")
    at_boot = Moment(at=datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC), tick_ms=0, is_trusted=False)
    body = SCRIBE.draft("REX", now=at_boot).body
    assert (body.at_ms, body.clock) == (7000, "untrusted")


def test_what_does_not_apply_is_absent():
    """Nulls and empty parts would make two texts of one body."""
    draft = SCRIBE.draft("REX", now=NOW, zone=None, trace=None, detail={"anything": None}, cardholder=None)
    assert set(json.loads(draft.text)) == {"v", "node", "boot", "at_ms", "tz", "clock", "type"}


@pytest.mark.parametrize(
    "type_, said",
    [
        ("OPENED_SESAME", {}),
        ("REX", {"detail": {"name": "x"}}),
        ("DEVICE_ONLINE", {"detail": {"device": 1.5}}),
        ("DEVICE_ONLINE", {"detail": {"device": [None]}}),
        ("DEVICE_ONLINE", {"detail": {"device": {"é": 1}}}),
        ("DEVICE_ONLINE", {"detail": {"device": "\ud800"}}),
        ("DEVICE_ONLINE", {"detail": {7: "x"}}),
        ("LINE_NOISE", {"detail": {"count": 2**53}}),
        ("REX", {"zone": 7}),
        ("REX", {"zone": "\ud800"}),
        ("REX", {"revision": b"abcd"}),
        ("ACCESS_DENIED", {"evidence": Evidence(method="UID", factors=2**53)}),
        ("ACCESS_DENIED", {"evidence": Evidence(method=b"UID", factors=1)}),
        ("ACCESS_DENIED", {"trace": Trace(passed=(None,))}),
        ("ACCESS_DENIED", {"trace": Trace(failed=(("D01",),))}),
    ],
)
def test_what_the_format_has_no_place_for_is_refused_at_once(type_, said):
    """The committer would fail for what a record says, and every door would believe the disk was full."""
    with pytest.raises(ValueError, match=type_):
        SCRIBE.draft(type_, now=NOW, **said)


def test_a_class_outside_the_list_is_refused():
    """A body would have no retention period."""
    draft = SCRIBE.draft("REX", now=NOW)
    with pytest.raises(ValueError, match="diary"):
        Draft("diary", draft.body, draft.text)
    assert {class_ for class_, _ in RECORD_TYPES.values()} <= CLASSES


@pytest.mark.parametrize(
    "change",
    [{"surname": "x"}, {"v": 2}, {"at_ms": 1.5}, {"at_ms": "1"}, {"subject": {"name": "x"}}, {"node": None}],
    ids=repr,
)
def test_a_body_of_another_schema_is_not_read_as_ours(change):
    """A boot would place people by records it does not understand."""
    read = json.loads(SCRIBE.draft("REX", now=NOW).text)
    with pytest.raises(ValueError, match=r"."):
        decode_body(json.dumps(read | change).encode())


def test_the_page_names_every_field():
    """The verifier, written from the page, would not know a field that the writer writes."""
    page = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text("utf-8").split("## 5.")[1].split("## 6.")[0]
    named = set(re.findall(r"`([a-z_0-9]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))
    assert named == set(Body.__struct_fields__)


def test_the_page_names_every_record_type():
    """An auditor would meet a record whose meaning stands nowhere."""
    page = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text("utf-8").split("## 6. Record types")[1]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", page, re.MULTILINE)
    told = {name: (kind, frozenset(re.findall(r"`(\w+)`", keys))) for name, kind, keys in rows}
    assert told == RECORD_TYPES
