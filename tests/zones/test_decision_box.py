"""Rules about the box, the wire and the portal (docs/decision.md §2.1, §2.3), each by what breaks it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.zones.traces import failed, kind_of, of_kind
from zones.decision import FindingKind, Method, Outcome, PublicReason, Reason, public_reason
from zones.decision.box import POLICY_AGE_MS_MAX, POLICY_AGE_MS_MAX_EXCLUSION
from zones.decision.rules import RULES
from zones.moment import Moment
from zones.places import LinkAssurance, Zone, ZoneState, ZoneStatus
from zones.policy import EMPTY

HOUR_MS = 3_600_000

OUT_OF_ORDER = [
    ("D02", Reason.AUDIT_UNAVAILABLE, {"ledger_is_writable": False}),
    ("D38", Reason.COMMISSIONING, {"is_commissioned": False}),
    ("D03", Reason.READER_UNTRUSTED, {"reader_is_trusted": False}),
    ("D05", Reason.STALE_POLICY, {"policy_age_ms": HOUR_MS + 1}),
    ("D30", Reason.READ_STALE, {"read_is_stale": True}),
]
ALIKE = [
    ("D27", Reason.REPLAY, {"evidence_is_replayed": True}),
    ("D31", Reason.REPEATED_READ, {"read_is_repeated": True}),
    ("D37", Reason.PORTAL_LOCKED, {"portal_is_locked": True}),
]


@pytest.mark.req("A-12", "A-24", "B-22")
@pytest.mark.parametrize("rule, reason, facts", [*OUT_OF_ORDER, *ALIKE])
def test_a_box_out_of_order_admits_nobody(building, rule, reason, facts):
    """An entry would leave no record, or be asked for by a reader that was tampered with, or by a recorded answer."""
    decision = building.scene(**facts)
    assert failed(decision) == {rule: reason}
    assert (decision.outcome, decision.reason) == (Outcome.DENIED, reason)
    assert building.scene(point="vault-door.out", **facts).is_granted


@pytest.mark.parametrize("rule, reason, facts", OUT_OF_ORDER)
@pytest.mark.parametrize("number", [1, 2, 99])
def test_what_is_out_of_order_is_so_for_every_card(building, rule, reason, facts, number):
    """By a broken box a thief could tell a live card from a dead one."""
    lost = building.person("bo", 2)[0:1]  # a cardholder whose card nobody knows
    decision = building.scene(*lost, number=number, **facts)
    assert decision.reason is reason, rule
    assert public_reason(decision.reason) is PublicReason.OUT_OF_ORDER


def test_a_sound_box_is_passed(building):
    """The trace would not say that the box was looked at."""
    assert {"D01", "D02", "D03", "D04", "D27", "D30", "D31", "D37", "D38"} <= of_kind(
        building.scene(), FindingKind.PASSED
    )


def test_an_unknown_access_point_is_refused(building):
    """A mistyped wire would open some door."""
    decision = building.scene(point="nowhere.in")
    assert (decision.outcome, decision.reason) == (Outcome.DENIED, Reason.ACCESS_POINT_UNKNOWN)
    assert (decision.access_point, decision.portal, decision.zone, decision.direction) == ("nowhere.in", *[None] * 3)
    assert (decision.cardholder, decision.credential) == ("ana", "ana-card")
    assert [finding.rule for finding in decision.findings] == [rule.number for rule in RULES]


def test_an_unknown_access_point_is_asked_everything(building):
    """Where nothing is known, less would be asked than anywhere else."""
    assert {"D01", "D08", "D11", "D12", "D13"} <= set(failed(building.decides(EMPTY, point="nowhere.in", factors=2)))
    status = ZoneStatus(id="lab", state=ZoneState.OPEN_ATTENDED)
    for decision in (building.scene(point="nowhere.in"), building.scene(status, point="nowhere.in")):
        assert Reason.RULE_ERROR not in failed(decision).values()  # an unknown place is no mistake of ours


@pytest.mark.req("B-02")
@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 5, 11, 1, 0, tzinfo=UTC)])
def test_an_untrusted_clock_admits_nobody(building, at):
    """A controller that woke up in 1970 would find every right still valid."""
    now = Moment(at=at, tick_ms=0, is_trusted=False)
    for number in (1, 99):
        assert building.scene(now=now, number=number).reason is Reason.CLOCK_UNTRUSTED
    assert building.scene(now=now, point="vault-door.out").is_granted
    assert kind_of(building.scene(), "D04") is FindingKind.PASSED


def test_the_ends_of_the_calendar_admit_nobody(building):
    """A broken clock would crash the door instead of denying."""
    for at in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        assert building.scene(now=Moment(at=at, tick_ms=0)).outcome is Outcome.DENIED


@pytest.mark.req("A-04")
@pytest.mark.parametrize(
    "point, limit_ms, age_ms, is_fresh",
    [
        ("vault-door.in", None, 0, True),
        ("vault-door.in", None, HOUR_MS, True),
        ("vault-door.in", None, HOUR_MS + 1, False),
        ("lab-door.in", None, 24 * HOUR_MS, True),
        ("lab-door.in", None, 24 * HOUR_MS + 1, False),
        ("lab-door.in", 60_000, 60_000, True),
        ("lab-door.in", 60_000, 60_001, False),
        ("vault-door.in", 2 * HOUR_MS, 2 * HOUR_MS, True),
        ("vault-door.in", None, -1, False),  # confirmed in the future: a clock was put back
    ],
)
def test_an_old_policy_admits_nobody(building, point, limit_ms, age_ms, is_fresh):
    """Who was removed at head office would enter for ever at a site that nobody can reach."""
    zone, place = point.removesuffix("-door.in"), {"vault": "lab", "lab": "office"}
    row = building.row(Zone, zone, policy_age_ms_max=limit_ms)
    decision = building.scene(row, where=building.at(place[zone]), point=point, policy_age_ms=age_ms)
    assert failed(decision) == ({} if is_fresh else {"D05": Reason.STALE_POLICY})
    assert (POLICY_AGE_MS_MAX, POLICY_AGE_MS_MAX_EXCLUSION) == (24 * HOUR_MS, HOUR_MS)


@pytest.mark.req("A-35")
@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("number", [1, 99])
def test_a_site_cut_off_decides_as_before(building, number, method):
    """With the network down a copied card would open what it does not open otherwise, or a good one would not."""
    online = building.scene(number=number, method=method, policy_age_ms=0)
    cut_off = building.scene(number=number, method=method, policy_age_ms=HOUR_MS)
    here = building.scene(number=number, method=method)
    assert online == cut_off
    assert (here.outcome, here.reason, failed(here)) == (online.outcome, online.reason, failed(online))
    assert kind_of(here, "D05") is FindingKind.EXEMPT  # made here, and never old


@pytest.mark.req("B-15")
@pytest.mark.parametrize("link", list(LinkAssurance))
@pytest.mark.parametrize("asked", list(LinkAssurance))
def test_a_line_less_protected_than_asked_admits_nobody(building, asked, link):
    """Whoever sits on the wire of the vault's reader would write down cards there."""
    decision = building.scene(building.row(Zone, "vault", min_link=asked), link=link)
    assert failed(decision) == ({} if link >= asked else {"D33": Reason.LINK_INSECURE})
    assert (kind_of(decision, "D33") is FindingKind.EXEMPT) is (asked is LinkAssurance.CLEAR)
    assert public_reason(Reason.LINK_INSECURE) is PublicReason.OUT_OF_ORDER
