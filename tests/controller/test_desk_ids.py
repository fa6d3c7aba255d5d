"""What comes over the socket is carried out once, in time, for this start; whatever it says, it breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.cards import CardNumbers
from controller.clock import wall_ms
from controller.desk import IDS_MAX, RELEASE_MS_MAX, RELEASE_REASONS, Desk
from controller.ledger.body import Scribe
from controller.link.messages import REFUSAL_CODES, Command, Done, Note, Refused
from controller.link.server import REQUESTS_BURST, REQUESTS_PER_S, SESSIONS_MAX
from controller.notes import NOTE_TYPES
from controller.pins import PinMisses
from controller.policy_log import PolicyAt
from controller.standing import Standing
from tests.controller.conftest import VKEY
from tests.officers import proposal
from zones.occupancy import Occupancy

SATO = "04a1b2c3"


def note(id: str) -> Note:
    return Note(id=id, type="EXPORT", officer="officer-01")


def refused_codes(site: Any) -> list[str]:
    return [body.detail["code"] for body in site.records if body.type in ("EDIT_REFUSED", "COMMAND_REFUSED")]


@pytest.mark.parametrize("first", ["release", "note", "edit", "refused"])
def test_an_id_is_used_once_whatever_for(site, first):
    """A request that was sent twice over a bad line would open a door twice."""
    match first:
        case "release":
            assert isinstance(site.commands("office", id="the-same-id"), Done)
        case "note":
            assert isinstance(site.asks(note("the-same-id")), Done)
        case "edit":
            assert isinstance(site.proposes(("cardholder", {"id": "h-2"}), id="the-same-id"), Done)
        case _:
            assert isinstance(site.commands("nowhere", id="the-same-id"), Refused)
    releases = len(site.releases)
    answers = [
        site.commands("office", id="the-same-id"),
        site.asks(note("the-same-id")),
        site.proposes(("cardholder", {"id": "h-3"}), id="the-same-id"),
    ]
    assert [answer.code for answer in answers] == ["repeated"] * 3
    assert all(answer.seq is not None for answer in answers)
    assert len(site.releases) == releases and "h-3" not in site.engine.policy.policy.cardholders
    assert isinstance(site.commands("office", id="another-id"), Done)


def test_what_came_while_another_change_was_recorded_is_sent_again_as_it_was_signed(site):
    """A portal changes its zone in the same moment, and two officers have to sign anew what nobody looked at."""
    site.engine._desk._is_editing = True
    early = site.proposes(("cardholder", {"id": "h-2"}), id="the-same-id")
    assert isinstance(early, Refused) and early.code == "busy"
    site.engine._desk.edit_done()
    assert isinstance(site.proposes(("cardholder", {"id": "h-2"}), id="the-same-id"), Done)
    again = site.proposes(("cardholder", {"id": "h-3"}), id="the-same-id")
    assert isinstance(again, Refused) and again.code == "repeated"


@pytest.mark.parametrize(
    "bad", ["", "short", "x" * 65, "with\nnewline", "番号番号番号番号", "tab\tin-it-it", "\x7f" * 9]
)
def test_an_id_that_is_none_is_refused(site, bad):
    """The ledger could not be searched for it, and a repetition would not be known again."""
    for answer in (site.commands("office", id=bad), site.asks(note(bad)), site.proposes(id=bad) if bad else None):
        assert answer is None or (isinstance(answer, Refused) and answer.code == "protocol" and answer.field == "id")
    assert site.releases == []


def test_the_memory_of_ids_is_bounded_and_longer_than_any_release_counts():
    """The web process could fill the memory, or push an id out of it and send the same release again."""
    standing = Standing(
        policy=PolicyAt(),
        occupancy=Occupancy(),
        misses=PinMisses(),
        scribe=Scribe(node="gate", boot="b0"),
        offline=set(),
    )
    desk = Desk(standing=standing, numbers=CardNumbers(bytes(32)), boot="b0")
    for n in range(IDS_MAX + 100):
        desk._use_id(f"request-{n}")
    assert len(desk._ids) == IDS_MAX
    with pytest.raises(Exception, match="was used before"):
        desk._use_id("request-101")
    assert IDS_MAX > SESSIONS_MAX * (REQUESTS_BURST + REQUESTS_PER_S * (2 * RELEASE_MS_MAX + 1000) / 1000)


@pytest.mark.parametrize(
    ("ahead_ms", "code"),
    [(3000, None), (0, None), (-1, "expired"), (4000, None), (4001, "expired"), (10**15, "expired")],
)
def test_a_release_counts_for_three_seconds(site, ahead_ms, code):
    """A click of this morning would open a door this evening."""
    answer = site.commands("office", not_after_ms=wall_ms(site.at) + ahead_ms)
    assert (answer.code if isinstance(answer, Refused) else None) == code
    assert len(site.releases) == (code is None)
    assert refused_codes(site) == ([code] if code else [])


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"boot": "00000000"}, "other_boot", "boot"),
        ({"portal": "nowhere"}, "unknown_portal", "portal"),
        ({"portal": ""}, "unknown_portal", "portal"),
        ({"reason": "because"}, "protocol", "reason"),
        ({"portal": "vault"}, "protected_zone", "portal"),
    ],
)
def test_a_release_that_may_not_be_is_refused_and_recorded(site, changed, code, field):
    """A door would open without the three keys, or a refused attempt would leave no trace."""
    answer = site.commands(**({"portal": "office"} | changed))
    assert isinstance(answer, Refused) and (answer.code, answer.field) == (code, field)
    assert site.releases == [] and refused_codes(site) == [code]
    last = site.records[-1]
    assert last.type == "COMMAND_REFUSED" and last.actor.officer == "officer-01"
    assert site.ledger.size - 1 == answer.seq


def test_a_secured_zone_is_not_released(site):
    """An officer's click would open a zone that was closed for the night."""
    policy = site.engine.policy
    refused = site.proposes(("zone_status", {"id": "office", "state": "SECURED"}))
    assert isinstance(refused, Done) and site.engine.policy is not policy
    answer = site.commands("office")
    assert isinstance(answer, Refused) and answer.code == "zone_secured" and site.releases == []


def test_what_stands_in_the_site_file_is_not_changed_from_a_page(site):
    """Whoever breaks into the web process could draw a door around every key."""
    for table, row in (("zone", {"id": "office"}), ("portal", {"id": "office"}), ("schedule", {"id": "s"})):
        answer = site.proposes((table, row))
        assert isinstance(answer, Refused) and answer.code == "edit_refused" and answer.field == "table"


def test_every_refusal_has_a_code_of_the_protocol(site):
    """A page would show a code that nobody has words for."""
    answers = [
        site.commands("office", boot="x"),
        site.commands("office", not_after_ms=0),
        site.proposes(base="00"),
        site.asks(Note(id="note-000001", type="GOSSIP", officer="officer-01")),
        site.proposes(("person", {"id": "h-1"})),
    ]
    assert all(isinstance(answer, Refused) and answer.code in REFUSAL_CODES for answer in answers)
    assert all(reason.replace("_", "").isalpha() for reason in (*RELEASE_REASONS, *NOTE_TYPES))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
tables = st.sampled_from(
    ["cardholder", "credential", "clearance", "need_to_know", "roster", "zone_status", "zone", "x"]
)
keys = st.sampled_from(["id", "cardholder", "number", "state", "zone", "item", "from_on", "number_hash", "name"])
values = json | st.sampled_from(["h-sato", "c-h-sato", "office", SATO, "ACTIVE", "2026-11-02"])
rows = st.dictionaries(keys | st.text(max_size=6), values, max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(puts=st.lists(st.tuples(tables, rows), max_size=3), officer=st.text(max_size=80))
def test_no_proposal_makes_the_loop_stumble(site, puts, officer):
    """Whoever breaks into the web process could stop every door, or write what he likes into the ledger."""
    before = site.engine.policy
    site.ids += 1
    message = proposal(
        puts, site=VKEY, id=f"random-{site.ids:06}", base=before.revision, not_after_ms=wall_ms(site.at) + 1000,
        officer=officer,
    )  # fmt: skip
    answer = site.asks(message)
    assert isinstance(answer, Done | Refused), answer
    if isinstance(answer, Refused):
        assert site.engine.policy is before
    assert "RULE_ERROR" not in {body.type for body in site.records[-3:]}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    portal=st.text(max_size=80) | st.just("office"),
    reason=st.text(max_size=20) | st.just("visitor"),
    officer=st.text(max_size=80),
    not_after_ms=st.integers(-(2**63), 2**63),
    id=st.text(max_size=80),
)
def test_no_command_makes_the_loop_stumble(site, portal, reason, officer, not_after_ms, id):
    """Whoever breaks into the web process could stop every door with a click."""
    message = Command(id=id, boot=site.boot, not_after_ms=not_after_ms, portal=portal, reason=reason, officer=officer)
    assert isinstance(site.asks(message), Done | Refused)
    assert isinstance(site.asks(Note(id=id, type=reason, officer=officer)), Done | Refused)
    assert "RULE_ERROR" not in {body.type for body in site.records[-3:]}
