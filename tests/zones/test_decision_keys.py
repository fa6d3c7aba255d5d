"""Rules about the credential, its cardholder and the three keys (docs/decision.md §2.2, §2.4)."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.zones.traces import failed, kind_of, of_kind
from zones.decision import FindingKind, Method, Outcome, Reason
from zones.decision.keys import attendants, factors_needed, holds_own_keys, need_counts, pin_is_asked
from zones.decision.rules import RULES
from zones.decision.values import PinCheck
from zones.edits import apply
from zones.moment import Moment, epoch_ms
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    Credential,
    CredentialState,
    Declaration,
    InformationItem,
    NeedToKnow,
    Override,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import (
    AntiPassback,
    Calendar,
    Direction,
    Portal,
    Schedule,
    SiteStatus,
    Window,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.policy import Edit

YESTERDAY, TODAY, TOMORROW = date(2026, 5, 10), date(2026, 5, 11), date(2026, 5, 12)
SANITISED = ZoneStatus(
    id="vault", state=ZoneState.OPEN_ATTENDED, sanitised_by="officer-1", sanitised_confirmed_by="officer-2"
)


def test_somebody_with_all_three_keys_enters(building):
    """Nobody could do any work."""
    decision = building.scene()
    assert (decision.outcome, decision.reason) == (Outcome.GRANTED, Reason.OK)
    assert (decision.portal, decision.zone, decision.direction) == ("vault-door", "vault", Direction.IN)
    assert (decision.cardholder, decision.credential) == ("ana", "ana-card")
    assert [finding.rule for finding in decision.findings] == [rule.number for rule in RULES]
    assert {"D06", "D07", "D08", "D09", "D11", "D12", "D13", "D14", "D29", "D32", "D36"} <= of_kind(
        decision, FindingKind.PASSED
    )


# -- one thing wrong, and the only rule that may fail for it -----------------------------------------------------------

BROKEN_ROWS = [
    ("D07", Reason.CARD_INACTIVE, Credential, "ana-card", {"state": CredentialState.ISSUED}, "not handed over yet"),
    ("D07", Reason.CARD_INACTIVE, Credential, "ana-card", {"state": CredentialState.LOST}, "found by somebody"),
    ("D07", Reason.CARD_INACTIVE, Credential, "ana-card", {"state": CredentialState.RETURNED}, "in a drawer"),
    ("D07", Reason.CARD_INACTIVE, Credential, "ana-card", {"state": CredentialState.DESTROYED}, "a copy of it"),
    ("D09", Reason.CARDHOLDER_INACTIVE, Cardholder, "ana", {"ended_on": TODAY}, "ended today means now"),
    ("D09", Reason.CARDHOLDER_INACTIVE, Cardholder, "ana", {"ended_on": YESTERDAY}, "left"),
    ("D11", Reason.CLEARANCE_NONE, Clearance, "ana-clearance", {"confirmed_by": None}, "recorded by one only"),
    ("D11", Reason.CLEARANCE_NONE, Clearance, "ana-clearance", {"ended_on": TODAY}, "ended"),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"is_suspended": True}, "suspended"),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"item": "item-9"}, "an item handled elsewhere"),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"from_on": TOMORROW}, "not yet"),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"until_on": YESTERDAY}, "lapsed by itself"),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"ended_on": TODAY}, "ended"),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"approved_by_2": None}, "approved by one only"),
    (
        *("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need"),
        *({"approved_by_1": None, "approved_by_2": None}, "requested"),
    ),
    (
        *("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need"),
        *({"requested_by": None, "approved_by_1": None, "approved_by_2": None}, "a draft"),
    ),
    ("D12", Reason.NO_NEED_TO_KNOW, NeedToKnow, "ana-need", {"recert_on": YESTERDAY}, "not recertified"),
    ("D13", Reason.NOT_ON_ROSTER, RosterEntry, "ana-vault", {"is_suspended": True}, "suspended"),
    ("D13", Reason.NOT_ON_ROSTER, RosterEntry, "ana-vault", {"zone": "street"}, "on another zone's roster"),
    ("D13", Reason.NOT_ON_ROSTER, RosterEntry, "ana-vault", {"ended_on": TODAY}, "ended"),
    (
        *("D13", Reason.NOT_ON_ROSTER, RosterEntry, "ana-vault"),
        *({"until_on": YESTERDAY, "review_on": YESTERDAY}, "lapsed"),
    ),
    ("D13", Reason.NOT_ON_ROSTER, RosterEntry, "ana-vault", {"from_on": TOMORROW}, "not yet"),
    ("D11", Reason.CLEARANCE_NONE, Zone, "vault", {"accepted_bases": (Basis.TOKUTEI_HIMITSU,)}, "does not count here"),
    ("D12", Reason.NO_NEED_TO_KNOW, Zone, "vault", {"items": ("item-2",)}, "the item was moved out of the zone"),
    ("D29", Reason.REVIEW_OVERDUE, RosterEntry, "ana-vault", {"review_on": date(2026, 4, 26)}, "15 days overdue"),
]


@pytest.mark.req("A-01", "A-02", "D-01", "D-06")
@pytest.mark.parametrize("rule, reason, kind, row_id, changes, why", BROKEN_ROWS)
def test_each_missing_condition_is_refused_by_its_own_rule(building, rule, reason, kind, row_id, changes, why):
    """Somebody without one of the keys would stand among the protected information."""
    decision = building.scene(building.row(kind, row_id, **changes))
    assert decision.outcome is Outcome.DENIED, why
    assert failed(decision) == {rule: reason}, why
    assert decision.reason is reason


def test_days_at_their_edges_are_in_force(building):
    """A right would end a day early or begin a day late."""
    rows = [
        building.row(NeedToKnow, "ana-need", from_on=TODAY, until_on=TODAY, ended_on=TOMORROW, recert_on=TODAY),
        building.row(RosterEntry, "ana-vault", from_on=TODAY, until_on=TODAY, review_on=TODAY, ended_on=TOMORROW),
        building.row(Cardholder, "ana", ended_on=TOMORROW),
        building.row(Clearance, "ana-clearance", notified_on=TODAY, last_valid_on=date(2036, 5, 10), ended_on=TOMORROW),
    ]
    assert building.decides(building.policy(*rows)).is_granted


@pytest.mark.req("D-01", "D-06")
@pytest.mark.parametrize(
    "missing, reason",
    [
        ((Clearance, "ana-clearance"), Reason.CLEARANCE_NONE),
        ((NeedToKnow, "ana-need"), Reason.NO_NEED_TO_KNOW),
        ((RosterEntry, "ana-vault"), Reason.NOT_ON_ROSTER),
    ],
)
def test_two_keys_of_three_open_nothing(building, missing, reason):
    """P1 would be a promise on paper."""
    assert failed(building.scene(drop=[missing])) == {_rule_of(reason): reason}


def _rule_of(reason):
    return next(rule.number for rule in RULES if rule.reason is reason)


@pytest.mark.req("A-02")
def test_an_unknown_card_fails_every_rule_about_its_cardholder(building):
    """A card that nobody was issued would open a door."""
    rows = [
        building.row(Zone, "vault", training=("fire",), declares_devices=True),
        SiteStatus(id="site", notice_version=1),
    ]
    decision = building.scene(*rows, number=99)
    assert decision.reason is Reason.CARD_UNKNOWN
    assert set(failed(decision)) == {"D06", "D07", "D09", "D34", "D11", "D12", "D13", "D15", "D16"}
    assert (decision.cardholder, decision.credential) == (None, None)


@pytest.mark.req("A-34")
@pytest.mark.parametrize("uid_accepted", [False, True])
def test_a_copy_that_cannot_answer_is_told_from_the_card(building, uid_accepted):
    """A copy with the right number and a wrong key would be let in, most of all where numbers are taken."""
    decision = building.scene(building.row(Zone, "vault", uid_accepted=uid_accepted), method=Method.FAKED)
    assert failed(decision) == {"D32": Reason.CARD_AUTH_FAILED, "D08": Reason.FACTOR_MISSING}
    assert decision.reason is Reason.CARD_AUTH_FAILED


# -- clearance -------------------------------------------------------------------------------------------------------


@pytest.mark.req("D-02")
@pytest.mark.parametrize(
    "notified_on, last_valid_on, is_granted",
    [
        (TODAY, date(2036, 5, 10), True),  # counts from its notice
        (TOMORROW, date(2036, 5, 11), False),  # and not before
        (date(2016, 5, 12), date(2026, 5, 11), True),  # its last day
        (date(2016, 5, 11), date(2026, 5, 10), False),
    ],
)
def test_a_clearance_counts_from_its_notice_to_its_last_valid_day(building, notified_on, last_valid_on, is_granted):
    """A result that nobody was told yet would open a door, or one that lapsed yesterday."""
    row = building.row(Clearance, "ana-clearance", notified_on=notified_on, last_valid_on=last_valid_on)
    assert failed(building.scene(row)) == ({} if is_granted else {"D11": Reason.CLEARANCE_NONE})


@pytest.mark.req("D-02", "D-20")
@pytest.mark.parametrize("accepted", list(Basis))
@pytest.mark.parametrize("held", [Basis.KEIZAI_ANPO, Basis.TOKUTEI_HIMITSU, Basis.BOEI_HOGO])
def test_a_basis_opens_only_zones_that_accept_it(building, accepted, held):
    """One law's result would open what another law, or a contract, protects."""
    years = {Basis.KEIZAI_ANPO: 2036}.get(held, 2031)
    clearance = building.row(Clearance, "ana-clearance", basis=held, last_valid_on=date(years, 3, 31))
    vault = building.row(Zone, "vault", accepted_bases=(accepted,))
    decision = building.scene(clearance, vault)
    assert decision.is_granted is (held is accepted)


@pytest.mark.req("C-03")
@pytest.mark.parametrize(
    "asked, held, is_granted", [(3, 2, False), (3, 3, True), (3, 4, True), (0, 1, True), (1, 1, True)]
)
def test_a_company_level_opens_zones_up_to_it(building, asked, held, is_granted):
    """Who was downgraded would go on entering what is above him."""
    clearance = building.row(
        Clearance, "ana-clearance", basis=Basis.COMPANY, level=held, last_valid_on=date(2031, 3, 31)
    )
    vault = building.row(Zone, "vault", accepted_bases=(Basis.COMPANY,), company_level=asked)
    decision = building.scene(clearance, vault)
    assert failed(decision) == ({} if is_granted else {"D11": Reason.CLEARANCE_NONE})


@pytest.mark.req("C-03")
def test_a_downgrade_acts_at_the_next_read(building):
    """The old level would be good until somebody thought of the doors."""
    high = building.row(Clearance, "ana-clearance", basis=Basis.COMPANY, level=5, last_valid_on=date(2031, 3, 31))
    vault = building.row(Zone, "vault", accepted_bases=(Basis.COMPANY,), company_level=5)
    policy = apply(building.without((Clearance, "ana-clearance")), Edit(puts=(high, vault)))
    assert building.decides(policy).is_granted
    downgraded = (replace(high, ended_on=TODAY), replace(high, id="ana-lower", level=4))
    assert building.decides(apply(policy, Edit(puts=downgraded))).reason is Reason.CLEARANCE_NONE


@pytest.mark.req("D-02")
def test_a_level_asked_of_companies_is_not_asked_of_the_law(building):
    """A statutory result would be held against a ladder that it has no rung on."""
    vault = building.row(Zone, "vault", accepted_bases=(Basis.KEIZAI_ANPO, Basis.COMPANY), company_level=9)
    assert building.scene(vault).is_granted


def test_any_clearance_of_several_opens(building):
    """A second clearance would shadow the first."""
    other = building.row(
        Clearance, "ana-clearance", id="ana-a", basis=Basis.TOKUTEI_HIMITSU, last_valid_on=date(2031, 3, 31)
    )
    assert building.scene(other).is_granted
    assert building.scene(replace(other, id="ana-z")).is_granted


@pytest.mark.req("D-30", "D-02", "B-02")
@pytest.mark.parametrize("host", ["UTC", "Pacific/Pago_Pago", "Asia/Tokyo", "UTC+11"])
def test_a_clearance_ends_at_midnight_in_japan_whatever_the_host_says(building, monkeypatch, host):
    """A controller set to another time zone would admit somebody for hours too long."""
    monkeypatch.setitem(os.environ, "TZ", host)
    time.tzset()
    try:
        rows = [
            building.row(NeedToKnow, "ana-need", from_on=date(2035, 9, 1), until_on=date(2036, 8, 1)),
            building.roster("ana-vault", "vault", until_on=date(2036, 8, 1), review_on=date(2036, 8, 1)),
            building.row(Zone, "vault", schedule=None),
        ]
        last_second = Moment(at=datetime(2036, 3, 31, 14, 59, 59, tzinfo=UTC), tick_ms=0)
        midnight = Moment(at=datetime(2036, 3, 31, 15, 0, 0, tzinfo=UTC), tick_ms=0)
        assert building.decides(building.policy(*rows), now=last_second).is_granted
        assert failed(building.decides(building.policy(*rows), now=midnight)) == {"D11": Reason.CLEARANCE_NONE}
    finally:
        monkeypatch.undo()
        time.tzset()


# -- need-to-know ----------------------------------------------------------------------------------------------------


@pytest.mark.req("D-06")
@pytest.mark.parametrize(
    "changes, is_granted, why",
    [
        ({}, True, "still designated"),
        ({"designated_until": TODAY}, True, "its last day"),
        ({"designated_until": YESTERDAY}, False, "the designation ran out"),
        ({"lifted_on": TOMORROW}, True, "lifted from tomorrow"),
        ({"lifted_on": TODAY}, False, "the designation was lifted"),
        ({"contract_until": TODAY}, True, "the contract's last day"),
        ({"contract_until": YESTERDAY}, False, "the contract ended"),
        ({"id": "item-2", "designated_until": YESTERDAY}, True, "another item's designation"),
    ],
)
def test_need_to_know_ends_with_the_designation_of_its_item(building, changes, is_granted, why):
    """A right would outlive what it was given for."""
    item = replace(InformationItem(id="item-1", designated_until=date(2030, 3, 31)), **changes)
    assert failed(building.scene(item)) == ({} if is_granted else {"D12": Reason.NO_NEED_TO_KNOW}), why


@pytest.mark.req("C-05", "D-06")
def test_who_is_cleared_for_one_item_does_not_reach_another(building):
    """Everybody cleared would see everything that is protected."""
    other = building.row(Zone, "vault", id="archive", items=("item-3",))
    door = building.row(Portal, "vault-door", id="archive-door", inner="archive")
    rows = (other, door, building.roster("ana-archive", "archive"))
    assert failed(building.scene(*rows, point="archive-door.in")) == {"D12": Reason.NO_NEED_TO_KNOW}
    need = building.row(NeedToKnow, "ana-need", id="ana-need-3", item="item-3")
    assert building.scene(*rows, need, point="archive-door.in").is_granted


def test_any_need_to_know_of_several_opens(building):
    """A lapsed right would shadow the one that is in force."""
    lapsed = building.row(NeedToKnow, "ana-need", until_on=YESTERDAY)
    assert building.scene(replace(lapsed, id="ana-a")).is_granted
    assert building.scene(replace(lapsed, id="ana-z")).is_granted
    ask = building.ask()
    assert not need_counts(ask, lapsed)
    assert need_counts(ask, replace(lapsed, until_on=TODAY))


@pytest.mark.req("D-01")
def test_information_items_make_any_zone_ask_for_all_three_keys(building):
    """A drawing on the wall of the lobby would be open to everybody because it is only the lobby."""
    yard = Zone(
        id="yard",
        name_ja="庭",
        name_en="Yard",
        kind=ZoneKind.UNRESTRICTED,
        parent="street",
        items=("item-9",),
        accepted_bases=(Basis.TOKUTEI_HIMITSU,),
    )
    gate = Portal(id="gate", name_ja="門", name_en="Gate", outer="street", inner="yard")
    decision = building.scene(yard, gate, where=building.at("street"), point="gate.in")
    assert set(failed(decision)) == {"D11", "D12", "D13"}


# -- roster ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-01", "A-10")
def test_a_place_on_the_parents_roster_does_not_open_the_child(building):
    """Whoever may enter the office would enter every room in it."""
    decision = building.scene(drop=[(RosterEntry, "ana-lab")], where=building.at("office"), point="lab-door.in")
    assert failed(decision) == {"D13": Reason.NOT_ON_ROSTER}


@pytest.mark.req("A-01")
def test_an_edit_that_was_not_applied_opens_nothing(building):
    """A proposal would let somebody in before anybody approved it."""
    policy = building.without((RosterEntry, "ana-vault"))
    apply(policy, Edit(puts=(building.roster("ana-vault", "vault"),)))  # made, and not put in force
    assert building.decides(policy).reason is Reason.NOT_ON_ROSTER


@pytest.mark.req("D-03")
def test_a_suspension_acts_at_the_next_read_and_says_no_cause(building):
    """Somebody the State has doubts about would still be let in, or everybody would learn of the doubt."""
    suspended = building.row(RosterEntry, "ana-vault", is_suspended=True)
    policy = building.policy()
    assert building.decides(policy).is_granted
    after = building.decides(apply(policy, Edit(puts=(suspended,))))
    assert after.reason is Reason.NOT_ON_ROSTER
    assert after == building.scene(drop=[(RosterEntry, "ana-vault")])  # absent and suspended: one answer
    assert building.decides(apply(policy, Edit(puts=(replace(suspended, is_suspended=False),)))).is_granted


@pytest.mark.req("A-03")
@pytest.mark.parametrize(
    "review_on, is_minimum, is_granted",
    [
        (TODAY, False, True),
        (TODAY - timedelta(days=14), False, True),
        (TODAY - timedelta(days=15), False, False),
        (TODAY - timedelta(days=15), True, True),
    ],
)
def test_an_overdue_review_leaves_the_named_minimum(building, review_on, is_minimum, is_granted):
    """A roster that nobody looks at would admit people for ever, or the zone would stand with nobody to run it."""
    row = building.roster("ana-vault", "vault", review_on=review_on, is_minimum=is_minimum)
    assert failed(building.scene(row)) == ({} if is_granted else {"D29": Reason.REVIEW_OVERDUE})


# -- hours -----------------------------------------------------------------------------------------------------------

MORNINGS = Schedule(id="mornings", windows=(Window(weekday=0, from_min=9 * 60, to_min=10 * 60),))
UNTIL_LATER = Schedule(id="later", windows=(Window(weekday=0, from_min=10 * 60, to_min=11 * 60),))


@pytest.mark.req("B-03")
@pytest.mark.parametrize(
    "of_zone, own, kind, why",
    [
        (None, None, FindingKind.EXEMPT, "nobody set any hours"),
        ("later", None, FindingKind.PASSED, "10:00 is the first minute"),
        ("mornings", None, FindingKind.FAILED, "10:00 is past the last"),
        (None, "later", FindingKind.PASSED, "his own hours"),
        (None, "mornings", FindingKind.FAILED, "not in his own hours"),
        ("later", "mornings", FindingKind.FAILED, "the zone is open, for others"),
        ("mornings", "later", FindingKind.FAILED, "his own hours do not open the zone"),
        ("later", "later", FindingKind.PASSED, "both"),
    ],
)
def test_hours_of_the_zone_and_of_the_cardholder_both_count(building, of_zone, own, kind, why):
    """A cleaner with hours would come at night, or somebody's own hours would open a closed zone."""
    rows = [
        *(MORNINGS, UNTIL_LATER, building.row(Zone, "vault", schedule=of_zone)),
        building.roster("ana-vault", "vault", schedule=own),
    ]
    decision = building.scene(*rows)
    assert kind_of(decision, "D14") is kind, why
    assert decision.is_granted is (kind is not FindingKind.FAILED), why


@pytest.mark.req("B-03")
@pytest.mark.parametrize("monday, is_granted", [(date(2026, 5, 4), False), (date(2026, 5, 11), True)])
def test_a_holiday_monday_is_closed_and_the_next_one_open(building, monday, is_granted):
    """On Greenery Day the vault would be open with nobody there to look after it."""
    calendar = Calendar(id="jp", days=(date(2026, 5, 4), date(2026, 5, 5)))
    hours = building.row(Schedule, "hours", calendar="jp")
    now = Moment(at=datetime(monday.year, monday.month, monday.day, 1, 0, tzinfo=UTC), tick_ms=0)
    assert failed(building.scene(calendar, hours, now=now)) == ({} if is_granted else {"D14": Reason.OUT_OF_SCHEDULE})


@pytest.mark.parametrize("own", ["mornings", "later"])
def test_a_place_on_a_roster_takes_nothing_away_where_none_is_asked_for(building, own):
    """Ending somebody's place on open ground would open it to him at night."""
    yard = Zone(id="yard", name_ja="庭", name_en="Yard", kind=ZoneKind.UNRESTRICTED, parent="street")
    gate = Portal(id="gate", name_ja="門", name_en="Gate", outer="street", inner="yard")
    entry = building.roster("ana-yard", "yard", schedule=own)
    decision = building.scene(MORNINGS, UNTIL_LATER, yard, gate, entry, where=building.at("street"), point="gate.in")
    assert decision.is_granted
    assert kind_of(decision, "D14") is FindingKind.EXEMPT


# -- factors ---------------------------------------------------------------------------------------------------------


def room(building, kind, **changes):
    """A zone of any kind off the street, its portal, and Ana's place on its roster."""
    is_exclusion = kind is ZoneKind.EXCLUSION
    zone = Zone(
        id="room",
        name_ja="部屋",
        name_en="Room",
        kind=kind,
        items=("item-1",) if is_exclusion else (),
        accepted_bases=(Basis.KEIZAI_ANPO,) if is_exclusion else (),
        anti_passback=AntiPassback.HARD if is_exclusion else AntiPassback.NONE,
    )
    portal = Portal(id="room-door", name_ja="扉", name_en="Room", outer="street", inner="room")
    return replace(zone, **changes), portal, building.roster("ana-room", "room")


@pytest.mark.req("A-33")
@pytest.mark.parametrize("kind", list(ZoneKind))
@pytest.mark.parametrize("factors", range(4))
@pytest.mark.parametrize("pin", [PinCheck.NOT_ASKED, PinCheck.RIGHT, PinCheck.DURESS])
@pytest.mark.parametrize("more, threat_level", [(None, 0), (3, 0), (None, 1), (None, 2), (2, 1)])
def test_factors_by_kind_of_zone_and_threat(building, kind, factors, pin, more, threat_level):
    """A stolen card alone would open a zone that asks for two or three factors."""
    more = more if more is None or more >= kind else None
    rows = (*room(building, kind, min_factors=more), SiteStatus(id="site", threat_level=threat_level))
    where = building.at("street")
    decision = building.scene(*rows, where=where, point="room-door.in", factors=factors, pin=pin)
    needed = max(int(kind), more or 0)
    needed = min(3, needed + threat_level) if needed else 0
    given = factors + (pin is not PinCheck.NOT_ASKED)
    assert failed(decision) == ({} if given >= needed else {"D08": Reason.FACTOR_MISSING})
    assert kind_of(decision, "D08") is not FindingKind.WAIVED
    assert pin_is_asked(building.ask(*rows, where=where, point="room-door.in")) is (needed > 1)


@pytest.mark.req("A-33")
@pytest.mark.parametrize(
    "outside, factors, is_granted",
    [("later", 1, True), ("later", 0, False), ("mornings", 1, False), ("mornings", 2, True)],
)
def test_factors_are_raised_outside_hours(building, outside, factors, is_granted):
    """At night a card alone would do what by day is done under many eyes."""
    rows = (MORNINGS, UNTIL_LATER, *room(building, ZoneKind.CONTROLLED, raised_factors=2, raised_outside=outside))
    where = building.at("street")
    decision = building.scene(*rows, where=where, point="room-door.in", factors=factors)
    assert failed(decision) == ({} if is_granted else {"D08": Reason.FACTOR_MISSING})
    assert pin_is_asked(building.ask(*rows, where=where, point="room-door.in")) is (outside == "mornings")


def test_hours_never_lower_what_is_asked(building):
    """A zone that asks for three factors would ask for two at night."""
    ask = building.ask(MORNINGS, building.row(Zone, "vault", raised_factors=3, raised_outside="mornings"))
    lower = replace(ask, zone=replace(ask.zone, raised_factors=2))  # no edit makes such a zone
    assert factors_needed(ask) == factors_needed(lower) == 3
    open_ground = replace(ask.zone, kind=ZoneKind.UNRESTRICTED, raised_factors=None)
    assert factors_needed(replace(ask, zone=open_ground)) == 0


@pytest.mark.req("A-33", "B-03")
@pytest.mark.parametrize("is_holiday", [False, True])
def test_factors_are_raised_on_holidays(building, is_holiday):
    """On a holiday nobody is about, and a card alone would do."""
    calendar = Calendar(id="jp", days=(TODAY if is_holiday else TOMORROW,))
    hours = building.row(Schedule, "hours", calendar="jp")
    rows = (calendar, hours, *room(building, ZoneKind.CONTROLLED, raised_factors=2, raised_outside="hours"))
    decision = building.scene(*rows, where=building.at("street"), point="room-door.in", factors=1)
    assert failed(decision) == ({"D08": Reason.FACTOR_MISSING} if is_holiday else {})


@pytest.mark.req("A-34")
@pytest.mark.parametrize("claimed", [0, 1, 3])
def test_a_number_anybody_can_copy_proves_nothing(building, claimed):
    """A ten-euro cloner would open the vault."""
    copied = {"method": Method.UID, "factors": claimed}
    assert failed(building.scene(**copied)) == {"D08": Reason.FACTOR_MISSING}
    taken = building.scene(building.row(Zone, "vault", uid_accepted=True), **copied)
    assert taken.is_granted
    assert kind_of(taken, "D08") is FindingKind.WAIVED  # a deviation, and the trace says so


UID = {"method": Method.UID, "factors": 0}
CARD = {"method": Method.CHALLENGE}


@pytest.mark.req("A-33", "A-34")
@pytest.mark.parametrize(
    "kind, zone, threat_level, evidence, found, why",
    [
        (1, {}, 0, UID, "waived", "what its kind asks for"),
        (1, {}, 1, UID, "failed", "not what the threat asks on top"),
        (1, {}, 1, {**UID, "pin": "RIGHT"}, "waived", "that is the PIN's"),
        (1, {"min_factors": 2}, 0, UID, "failed", "not what the site asks on top"),
        (1, {"min_factors": 2}, 0, {**UID, "pin": "RIGHT"}, "waived", "that is the PIN's"),
        (1, {"min_factors": 2}, 0, {**UID, "pin": "DURESS"}, "waived", "and a duress PIN's"),
        (1, {"min_factors": 3}, 0, {**UID, "pin": "RIGHT"}, "failed", "one PIN is one factor"),
        (2, {}, 0, {**CARD, "factors": 1}, "waived", "a card that proved its number counts no less than a copy of it"),
        (2, {}, 0, {**CARD, "factors": 1, "pin": "RIGHT"}, "passed", "a card and a PIN are two"),
        (2, {}, 0, {**CARD, "factors": 2}, "passed", "no deviation is needed"),
    ],
)
def test_the_deviation_for_numbers_takes_what_the_kind_asks_for(
    building, kind, zone, threat_level, evidence, found, why
):
    """Raising what a zone asks for would raise what a copied number is worth there."""
    rows = (
        *room(building, ZoneKind(kind), uid_accepted=True, **zone),
        SiteStatus(id="site", threat_level=threat_level),
    )
    where = building.at("street")
    decision = building.scene(*rows, where=where, point="room-door.in", **evidence)
    assert kind_of(decision, "D08") is FindingKind(found), why
    needed = max(kind, zone.get("min_factors", 0)) + threat_level
    assert pin_is_asked(building.ask(*rows, where=where, point="room-door.in")) is (needed > kind)


ATTENDED = {"attended_counts": True}


@pytest.mark.req("A-33")
@pytest.mark.parametrize(
    "zone, others, factors, found, why",
    [
        (ATTENDED, "bo", 2, "waived", "somebody cleared is inside: one factor"),
        (ATTENDED, "bo", 1, "failed", "and not two"),
        (ATTENDED, "bo", 3, "passed", "nothing is missing"),
        ({}, "bo", 2, "failed", "not a deviation of this zone"),
        (ATTENDED, "", 2, "failed", "nobody is inside"),
        (ATTENDED, "cy", 2, "failed", "a guest attends nobody"),
        (ATTENDED, "dan", 2, "failed", "who was let in without keys attends nobody"),
        (ATTENDED, "eve", 2, "failed", "who lost a key since attends nobody"),
        (ATTENDED, "fay", 2, "failed", "who left the company attends nobody"),
        (ATTENDED, "ana", 2, "failed", "nobody attends himself"),
    ],
)
def test_being_attended_counts_for_one_factor(building, zone, others, factors, found, why):
    """An empty room, a visitor or the card itself would stand in for the cleared person who watches the door."""
    rows = [
        building.row(Zone, "vault", **zone),
        *building.person("bo", 2),
        *building.guest("cy", 3),
        *building.person("dan", 4)[:2],
        *building.person("eve", 5, ended_on=TODAY),
        *(replace(row, ended_on=TODAY) if isinstance(row, Cardholder) else row for row in building.person("fay", 6)),
    ]
    where = building.at("lab", is_certain=False)
    for who in filter(None, [others]):
        where = where.moved(who, "vault")
    decision = building.scene(*rows, where=where, factors=factors)
    assert kind_of(decision, "D08") is FindingKind(found), why
    beside_a_stranger = building.scene(*rows, where=where.moved("nobody", "vault"), factors=factors)
    assert kind_of(beside_a_stranger, "D08") is FindingKind(found)
    assert Reason.RULE_ERROR not in failed(beside_a_stranger).values()
    remembered = building.scene(*rows, where=where.made_uncertain(), factors=factors)
    assert kind_of(remembered, "D08") is not FindingKind.WAIVED  # a memory watches nobody


@pytest.mark.req("A-33", "C-01")
@pytest.mark.parametrize(
    "zone, second, factors, found, why",
    [
        (ATTENDED, {"factors": 2}, 2, "waived", "two who open a zone attend each other"),
        (ATTENDED, {"factors": 1, "pin": PinCheck.RIGHT}, 2, "waived", "card and PIN are two as well"),
        (ATTENDED, {"factors": 2}, 1, "failed", "and stand for one factor, not for two"),
        (ATTENDED, {"factors": 1}, 2, "failed", "the other proves no less"),
        (ATTENDED, {"method": Method.UID, "factors": 0}, 2, "failed", "a copied number accompanies nobody"),
        (ATTENDED, {"method": Method.FAKED, "factors": 2}, 2, "failed", "nor does a fake, whatever it claims"),
        ({}, {"factors": 2}, 2, "failed", "not a deviation of this zone"),
    ],
)
def test_two_who_enter_together_attend_each_other(building, zone, second, factors, found, why):
    """The first two of the morning would never get in, or one of them would with a card that somebody copied."""
    rows = (building.row(Zone, "vault", **zone), *building.person("bo", 2))
    companion = building.evidence(2, **second)
    decision = building.scene(*rows, factors=factors, companions=(companion,))
    assert kind_of(decision, "D08") is FindingKind(found), why
    unfit = (building.row(Zone, "vault", **zone), *building.person("bo", 2, ended_on=TODAY))
    assert kind_of(building.scene(*unfit, factors=factors, companions=(companion,)), "D08") is FindingKind.FAILED
    himself = building.scene(*rows, factors=factors, companions=(building.evidence(1, **second),))
    assert kind_of(himself, "D08") is FindingKind.FAILED, "his own second card is nobody else"


@pytest.mark.req("A-33", "C-01")
@pytest.mark.parametrize("pin, is_granted", [(PinCheck.RIGHT, True), (PinCheck.NOT_ASKED, False)])
def test_card_and_pin_and_somebody_there_are_three(building, pin, is_granted):
    """The usual way into the vault would be refused, or the PIN would not be asked for there."""
    rows = (building.row(Zone, "vault", **ATTENDED), *building.person("bo", 2))
    decision = building.scene(*rows, where=building.where(ana="lab", bo="vault"), factors=1, pin=pin)
    assert failed(decision) == ({} if is_granted else {"D08": Reason.FACTOR_MISSING})


def test_who_attends_is_everybody_with_keys_inside_and_in_the_zones_within(building):
    """Somebody in the vault's inner room would not count as being there."""
    inner = building.row(Zone, "vault", id="safe", parent="vault")
    door = building.row(Portal, "vault-door", id="safe-door", outer="vault", inner="safe")
    rows = (inner, door, *building.person("bo", 2), *building.person("cy", 3), *building.person("dan", 4))
    where = building.where(ana="lab", bo="safe", cy="vault", dan="lab")
    ask = building.ask(*rows, where=where)
    assert {one.holder.cardholder.id for one in attendants(ask)} == {"bo", "cy"}
    assert all(one.credential is None for one in attendants(ask))


@pytest.mark.parametrize(
    "drop, own",
    [
        ((), True),
        ((Clearance, "ana-clearance"), False),
        ((NeedToKnow, "ana-need"), False),
        ((RosterEntry, "ana-vault"), False),
    ],
)
def test_ones_own_keys_are_the_three(building, drop, own):
    """Somebody without a key would count as somebody with all of them."""
    policy = building.without(drop) if drop else building.policy()
    ask = replace(building.ask(), policy=policy, holder=policy.holders["ana"])
    assert holds_own_keys(ask) is own


# -- PIN -------------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-10", "B-13")
@pytest.mark.parametrize(
    "pin, d24, d36",
    [
        (PinCheck.NOT_ASKED, FindingKind.EXEMPT, FindingKind.PASSED),
        (PinCheck.RIGHT, FindingKind.PASSED, FindingKind.PASSED),
        (PinCheck.DURESS, FindingKind.PASSED, FindingKind.PASSED),
        (PinCheck.WRONG, FindingKind.FAILED, FindingKind.PASSED),
        (PinCheck.MISSING, FindingKind.FAILED, FindingKind.PASSED),
        (PinCheck.LOCKED, FindingKind.EXEMPT, FindingKind.FAILED),
    ],
)
def test_what_comes_of_a_pin(building, pin, d24, d36):
    """A guessed PIN, or none at all, would be as good as the right one."""
    decision = building.scene(pin=pin)
    assert (kind_of(decision, "D24"), kind_of(decision, "D36")) == (d24, d36)
    expected = {PinCheck.WRONG: "PIN_WRONG", PinCheck.MISSING: "PIN_WRONG", PinCheck.LOCKED: "PIN_LOCKED"}
    assert decision.reason == expected.get(pin, "OK")
    is_factor = pin in (PinCheck.RIGHT, PinCheck.DURESS)
    assert ("D08" in failed(building.scene(factors=2, pin=pin))) is not is_factor


@pytest.mark.req("B-10")
@pytest.mark.parametrize("drop", [[], [(RosterEntry, "ana-vault")]])
def test_a_duress_pin_is_decided_as_the_right_one(building, drop):
    """Whoever holds the knife would see that the alarm was raised."""
    assert building.scene(factors=2, pin=PinCheck.DURESS, drop=drop) == building.scene(
        factors=2, pin=PinCheck.RIGHT, drop=drop
    )


# -- notice, training, devices ---------------------------------------------------------------------------------------


@pytest.mark.req("D-21")
@pytest.mark.parametrize(
    "in_force, handed, found",
    [(0, 0, "exempt"), (0, 2, "exempt"), (2, 0, "failed"), (2, 1, "failed"), (2, 2, "passed"), (2, 3, "passed")],
)
def test_who_was_not_told_what_records_are_used_for_is_not_recorded(building, in_force, handed, found):
    """Somebody's movements would be kept without anybody ever having told him."""
    rows = (SiteStatus(id="site", notice_version=in_force), building.row(Cardholder, "ana", notice_version=handed))
    decision = building.scene(*rows)
    assert kind_of(decision, "D34") is FindingKind(found)
    assert failed(decision) == ({"D34": Reason.NOTICE_MISSING} if found == "failed" else {})


def course(course_id="fire", **changes):
    done = Training(id=f"ana-{course_id}", cardholder="ana", course=course_id, done_on=TODAY, due_on=date(2027, 5, 1))
    return replace(done, **changes)


@pytest.mark.req("D-13")
@pytest.mark.parametrize(
    "trainings, is_granted, why",
    [
        ([], False, "before the first entry"),
        ([course()], True, "done today"),
        ([course(done_on=TOMORROW)], False, "only booked"),
        ([course(done_on=date(2025, 4, 11), due_on=date(2026, 4, 11))], True, "30 days overdue"),
        ([course(done_on=date(2025, 4, 10), due_on=date(2026, 4, 10))], False, "31 days overdue"),
        ([course("first-aid")], False, "another course"),
        ([course(), course(id="ana-old", done_on=date(2024, 1, 1), due_on=date(2025, 1, 1))], True, "done again"),
    ],
)
def test_training_lapses_with_its_grace(building, trainings, is_granted, why):
    """Somebody who was never told the rules of the zone would be in it."""
    decision = building.scene(building.row(Zone, "vault", training=("fire",)), *trainings)
    assert failed(decision) == ({} if is_granted else {"D15": Reason.TRAINING_EXPIRED}), why


@pytest.mark.req("D-13")
def test_every_course_of_a_zone_is_asked_for(building):
    """One course of two would do."""
    vault = building.row(Zone, "vault", training=("fire", "secrecy"))
    assert building.scene(vault, course()).reason is Reason.TRAINING_EXPIRED
    assert building.scene(vault, course(), course("secrecy")).is_granted


DECLARED = Declaration(id="ana-devices", cardholder="ana", zone="vault", from_on=TODAY, until_on=TODAY, locker="7")


@pytest.mark.req("D-08")
@pytest.mark.parametrize(
    "changes, is_granted",
    [
        ({}, True),
        ({"ended_on": TOMORROW}, True),
        ({"zone": "lab"}, False),
        ({"from_on": TOMORROW, "until_on": TOMORROW}, False),
        ({"from_on": YESTERDAY, "until_on": YESTERDAY}, False),
        ({"ended_on": TODAY}, False),
        ({"cardholder": "bo"}, False),
    ],
)
def test_devices_are_declared_for_the_zone_and_the_day(building, changes, is_granted):
    """A telephone would be carried into the vault."""
    vault = building.row(Zone, "vault", declares_devices=True)
    decision = building.scene(vault, Cardholder(id="bo"), replace(DECLARED, **changes))
    assert failed(decision) == ({} if is_granted else {"D16": Reason.DEVICE_DECLARATION})


# -- guests and break-glass ------------------------------------------------------------------------------------------


@pytest.mark.req("A-06", "A-19")
@pytest.mark.parametrize("kind", [CardholderKind.VISITOR, CardholderKind.MAINTENANCE])
@pytest.mark.parametrize(
    "changes, is_granted, why",
    [
        ({}, True, "expected today"),
        ({"until_on": TODAY}, True, "the last day"),
        ({"from_on": TOMORROW}, False, "expected tomorrow"),
        ({"from_on": YESTERDAY, "until_on": YESTERDAY}, False, "was expected yesterday"),
        ({"zones": ("lab",)}, False, "expected elsewhere"),
        ({"ended_on": TODAY}, False, "the visit was ended"),
        ({"ended_on": TOMORROW}, True, "until tomorrow"),
    ],
)
def test_a_guests_place_is_the_visit(building, kind, changes, is_granted, why):
    """A card left over from last week's visit would go on opening doors."""
    vault = building.row(Zone, "vault", visitors_allowed=True, training=("fire",))
    rows = (vault, SANITISED, *building.guest("cy", 3, kind, **changes), *building.person("bo", 2, is_escort=True))
    decision = building.scene(*rows, where=building.where(bo="vault", cy="lab"), number=3)
    assert failed(decision) == ({} if is_granted else {"D13": Reason.NOT_ON_ROSTER}), why
    if is_granted:
        assert of_kind(decision, FindingKind.WAIVED) == {"D11", "D12", "D13", "D15"}


def test_rows_left_over_give_a_guest_no_keys(building):
    """Somebody who came back as a visitor would still be somebody with keys."""
    rows = [row for row in building.person("cy", 3) if not isinstance(row, Cardholder)]
    guest = Cardholder(id="cy", kind=CardholderKind.VISITOR)
    decision = building.scene(guest, *rows, where=building.where(cy="lab"), number=3)
    assert failed(decision) == {
        "D13": Reason.NOT_ON_ROSTER,
        "D22": Reason.NEED_ESCORT,
        "D23": Reason.SANITISE_FIRST,
    }
    assert kind_of(decision, "D29") is FindingKind.EXEMPT


NOW_MS = epoch_ms(datetime(2026, 5, 11, 1, 0, tzinfo=UTC))
OVERRIDE = Override(
    id="fire-drill",
    zone="vault",
    cardholders=("ana",),
    reason_code="RESCUE",
    started_by="officer-1",
    approved_by="officer-2",
    from_ms=NOW_MS,
    until_ms=NOW_MS + 30 * 60_000,
)
KEYS_OF_ANA = [(Clearance, "ana-clearance"), (NeedToKnow, "ana-need"), (RosterEntry, "ana-vault")]


@pytest.mark.req("A-32")
@pytest.mark.parametrize(
    "changes, is_granted, why",
    [
        ({}, True, "from this millisecond"),
        ({"from_ms": NOW_MS + 1}, False, "not yet"),
        ({"from_ms": NOW_MS - 30 * 60_000 + 1, "until_ms": NOW_MS + 1}, True, "its last millisecond"),
        ({"from_ms": NOW_MS - 30 * 60_000, "until_ms": NOW_MS}, False, "it ended by itself"),
        ({"from_ms": NOW_MS - 1, "ended_ms": NOW_MS}, False, "an officer ended it"),
        ({"from_ms": NOW_MS - 1, "ended_ms": NOW_MS + 1}, True, "ends in a moment"),
        ({"zone": "lab"}, False, "another zone"),
        ({"cardholders": ("bo",)}, False, "somebody else"),
        ({"cardholders": ("bo", "ana")}, True, "one of several"),
    ],
)
def test_break_glass_lets_in_whom_it_names_for_its_time(building, changes, is_granted, why):
    """Two officers' emergency would be a standing right, or would help nobody."""
    rows = (SANITISED, Cardholder(id="bo"), replace(OVERRIDE, **changes))
    decision = building.scene(*rows, drop=KEYS_OF_ANA)
    missing = {"D11": Reason.CLEARANCE_NONE, "D12": Reason.NO_NEED_TO_KNOW, "D13": Reason.NOT_ON_ROSTER}
    assert failed(decision) == ({} if is_granted else missing), why
    if is_granted:
        assert of_kind(decision, FindingKind.WAIVED) == {"D11", "D12", "D13"}


@pytest.mark.req("A-32")
def test_break_glass_waives_keys_hours_and_training_and_nothing_else(building):
    """Two officers' emergency would open a zone that is locked down, or with a copied card."""
    rows = [
        *(SANITISED, OVERRIDE, MORNINGS, building.roster("ana-vault", "vault", review_on=date(2026, 4, 1))),
        building.row(Zone, "vault", schedule="mornings", training=("fire",), dual_window_ms=30_000, occupancy_min=2),
    ]
    decision = building.scene(*rows, drop=KEYS_OF_ANA)
    assert decision.is_granted
    assert of_kind(decision, FindingKind.WAIVED) == {"D11", "D12", "D14", "D15", "D20", "D21", "D29"}
    devices = building.row(Zone, "vault", declares_devices=True)
    locked = ZoneStatus(
        id="vault",
        state=ZoneState.SECURED,
        is_locked_down=True,
        sanitised_by="officer-1",
        sanitised_confirmed_by="officer-2",
    )
    refused = building.scene(*rows, devices, locked, drop=KEYS_OF_ANA, factors=2)
    assert set(failed(refused)) == {"D08", "D10", "D16", "D26"}


def test_who_holds_the_keys_is_not_let_in_by_the_glass(building):
    """A record would say that an emergency opened the vault when a key did."""
    decision = building.scene(OVERRIDE)
    assert decision.is_granted
    assert of_kind(decision, FindingKind.WAIVED) == set()


def test_an_overdue_review_is_no_worse_than_no_place_at_all(building):
    """In an emergency the one whose place is overdue would be the only one who cannot help."""
    overdue = building.roster("ana-vault", "vault", review_on=date(2026, 4, 1))
    decision = building.scene(SANITISED, OVERRIDE, overdue)
    assert decision.is_granted
    assert of_kind(decision, FindingKind.WAIVED) == {"D29"}


def test_a_visit_of_somebody_else_is_nobodys(building):
    """Any visit would let any guest in."""
    other = Visit(id="other", cardholder="dan", host="ana", zones=("vault",), from_on=TODAY, until_on=TODAY)
    guests = (Cardholder(id="cy", kind=CardholderKind.VISITOR), Cardholder(id="dan", kind=CardholderKind.VISITOR))
    card = building.row(Credential, "ana-card", id="cy-card", cardholder="cy", number_hash=building.number(3))
    decision = building.scene(*guests, card, other, SANITISED, where=building.where(cy="lab"), number=3)
    assert set(failed(decision)) == {"D13", "D22"}
