"""Rules about those who enter together or are brought in (docs/decision.md §2.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.zones.traces import failed, kind_of, of_kind
from zones.decision import FindingKind, Method, Reason
from zones.decision.values import PinCheck
from zones.moment import epoch_ms
from zones.occupancy import Expected, Occupancy
from zones.people import (
    Cardholder,
    CardholderKind,
    Clearance,
    Credential,
    CredentialState,
    NeedToKnow,
    Override,
    RosterEntry,
)
from zones.places import LinkAssurance, SiteStatus, Walk, Zone, ZoneKind, ZoneState, ZoneStatus

TODAY = date(2026, 5, 11)
DUAL = {"dual_window_ms": 30_000}
SANITISED = ZoneStatus(
    id="vault", state=ZoneState.OPEN_ATTENDED, sanitised_by="officer-1", sanitised_confirmed_by="officer-2"
)


# -- two in time -----------------------------------------------------------------------------------------------------


@pytest.mark.req("B-04")
@pytest.mark.parametrize(
    "zone, numbers, expected, why",
    [
        (DUAL, (2,), {}, "two different people"),
        (DUAL, (), {"D20": Reason.NEED_SECOND}, "one alone, or a second who came too late"),
        (DUAL, (1,), {"D20": Reason.NEED_SECOND}, "the same card twice"),
        (DUAL, (7,), {"D20": Reason.NEED_SECOND}, "another card of the same person"),
        (DUAL, (99,), {"D20": Reason.NEED_SECOND}, "a card that nobody was issued"),
        (DUAL, (2, 4), {}, "three different people"),
        (DUAL, (2, 2), {"D20": Reason.NEED_SECOND}, "one of them twice"),
        (DUAL, (2, 99), {"D20": Reason.NEED_SECOND}, "a stranger slips along"),
        ({}, (), {}, "one is enough here"),
        ({}, (2,), {}, "two may come all the same"),
        ({}, (99,), {"D20": Reason.NEED_SECOND}, "a stranger slips along"),
    ],
)
def test_two_different_people_where_two_are_asked_for(building, zone, numbers, expected, why):
    """One person with two cards would do alone what takes two."""
    rows = [
        *(building.row(Zone, "vault", **zone), *building.person("bo", 2), *building.person("dan", 4)),
        building.row(Credential, "ana-card", id="ana-spare", number_hash=building.number(7)),
    ]
    decision = building.scene(*rows, companions=tuple(building.evidence(n) for n in numbers))
    assert failed(decision) == expected, why
    if not expected:
        assert kind_of(decision, "D20") is (FindingKind.PASSED if numbers else FindingKind.EXEMPT)


# One thing wrong with the companion, who is otherwise as good as Ana.
UNFIT = [
    (Credential, "bo-card", {"state": CredentialState.LOST}, "a lost card"),
    (Cardholder, "bo", {"ended_on": TODAY}, "left the company"),
    (Cardholder, "bo", {"kind": CardholderKind.VISITOR}, "a guest"),
    (Clearance, "bo-clearance", {"confirmed_by": None}, "no clearance"),
    (NeedToKnow, "bo-need", {"is_suspended": True}, "no need-to-know"),
    (RosterEntry, "bo-vault", {"is_suspended": True}, "not on the roster"),
    (RosterEntry, "bo-vault", {"review_on": date(2026, 4, 1)}, "the review is overdue"),
]


@pytest.mark.req("B-04")
@pytest.mark.parametrize("kind, row_id, changes, why", UNFIT)
def test_the_second_person_is_held_to_every_rule(building, kind, row_id, changes, why):
    """Somebody without keys would be the second person, and stand in the vault."""
    bo = {(type(row), row.id): row for row in building.person("bo", 2)}
    bo[kind, row_id] = replace(bo[kind, row_id], **changes)
    rows = (building.row(Zone, "vault", **DUAL), *bo.values())
    assert failed(building.scene(*rows, companions=(building.evidence(2),))) == {"D20": Reason.NEED_SECOND}, why


@pytest.mark.req("B-04")
@pytest.mark.parametrize(
    "evidence, is_granted, why",
    [
        ({}, True, "as much as the first"),
        ({"factors": 2}, False, "a factor less"),
        ({"factors": 2, "pin": PinCheck.RIGHT}, True, "a PIN of his own"),
        ({"pin": PinCheck.WRONG}, False, "a wrong PIN"),
        ({"pin": PinCheck.LOCKED}, False, "a locked PIN"),
        ({"method": Method.FAKED}, False, "a copy"),
        ({"method": Method.UID}, False, "a number"),
        ({"link": LinkAssurance.CLEAR}, False, "over an open line"),
    ],
)
def test_the_second_person_proves_as_much_as_the_first(building, evidence, is_granted, why):
    """The second card would be the weak one that thieves bring."""
    rows = (building.row(Zone, "vault", **DUAL, min_link=LinkAssurance.CONDUIT), *building.person("bo", 2))
    second = building.evidence(**{"number": 2, "link": LinkAssurance.CONDUIT, **evidence})
    decision = building.scene(*rows, link=LinkAssurance.CONDUIT, companions=(second,))
    assert failed(decision) == ({} if is_granted else {"D20": Reason.NEED_SECOND}), why


@pytest.mark.req("B-04", "B-06")
@pytest.mark.parametrize("place, is_granted", [("lab", True), ("office", False), ("vault", False)])
def test_the_second_person_comes_the_same_way(building, place, is_granted):
    """The card of somebody inside would be handed out to be the second one."""
    rows = (building.row(Zone, "vault", **DUAL), *building.person("bo", 2))
    where = building.where(ana="lab", bo=place)
    decision = building.scene(*rows, where=where, companions=(building.evidence(2),))
    assert failed(decision) == ({} if is_granted else {"D20": Reason.NEED_SECOND})


@pytest.mark.req("B-04", "B-23")
@pytest.mark.parametrize("ms_ago, is_granted", [(59_999, False), (60_000, True)])
def test_the_second_person_walked_here_too(building, ms_ago, is_granted):
    """A copy of a card would be the second one while its owner is at the other end of the site."""
    walk = Walk(id="walk", one="front", other="vault-door", min_ms=60_000)
    where = building.at("lab").sighted("bo", "front", building.now.at - timedelta(milliseconds=ms_ago))
    decision = building.scene(walk, *building.person("bo", 2), where=where, companions=(building.evidence(2),))
    assert failed(decision) == ({} if is_granted else {"D20": Reason.NEED_SECOND})


@pytest.mark.req("B-04", "B-06")
def test_the_second_person_may_come_from_open_ground_like_the_first(building):
    """Whoever slipped out in the evening would be no companion at the front entrance in the morning."""
    annex = Zone(id="annex", name_ja="別館", name_en="Annex", kind=ZoneKind.CONTROLLED, parent="street")
    where = building.where(ana="annex", bo="annex")
    rows = (annex, *building.person("bo", 2))
    assert building.scene(*rows, where=where, point="front.in", companions=(building.evidence(2),)).is_granted


@pytest.mark.req("B-04")
def test_a_companion_does_not_make_a_missing_key_good(building):
    """Somebody without keys would walk in beside a colleague who has them."""
    rows = building.person("bo", 2)
    for gone, rule in (
        ((Clearance, "ana-clearance"), "D11"),
        ((NeedToKnow, "ana-need"), "D12"),
        ((RosterEntry, "ana-vault"), "D13"),
    ):
        both = {"companions": (building.evidence(2),), "escorts": (building.evidence(2),)}
        assert set(failed(building.scene(*rows, drop=[gone], **both))) == {rule}


# -- guests ----------------------------------------------------------------------------------------------------------

OPEN = {"visitors_allowed": True}


def guests_scene(building, *rows, zone=OPEN, **scene):
    """Visitor cy asks to enter the sanitised vault; bo is an escort of it."""
    vault = building.row(Zone, "vault", **zone)
    base = (vault, SANITISED, *building.guest("cy", 3), *building.person("bo", 2, is_escort=True))
    return building.scene(*base, *rows, **{"number": 3, "where": building.where(cy="lab", bo="lab"), **scene})


@pytest.mark.req("A-06")
@pytest.mark.parametrize(
    "zone, place, let_in, is_granted, why",
    [
        (OPEN, "lab", (), False, "alone"),
        (OPEN, "lab", (2,), True, "behind an escort"),
        (OPEN, "vault", (), True, "to an escort inside"),
        ({}, "vault", (2,), False, "where no guests may be"),
        (OPEN, "lab", (1,), False, "behind somebody who is no escort here"),
        (OPEN, "lab", (99,), False, "behind a stranger"),
        (OPEN, "lab", (3,), False, "behind himself"),
    ],
)
def test_a_visitor_enters_with_an_escort_of_the_zone(building, zone, place, let_in, is_granted, why):
    """A visitor would walk about alone."""
    escorts = tuple(building.evidence(n) for n in let_in)
    where = building.where(cy="lab", bo=place)
    decision = guests_scene(building, zone=zone, where=where, escorts=escorts)
    assert failed(decision) == ({} if is_granted else {"D22": Reason.NEED_ESCORT}), why
    if is_granted:
        assert kind_of(decision, "D22") is FindingKind.PASSED


@pytest.mark.req("A-06")
@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("kind, row_id, changes, why", [one for one in UNFIT if one[0] is not Credential])
def test_an_escort_holds_the_keys_himself(building, kind, row_id, changes, why, is_inside):
    """A visitor would be looked after by somebody who may not be there himself any more."""
    bo = {(type(row), row.id): row for row in building.person("bo", 2, is_escort=True)}
    bo[kind, row_id] = replace(bo[kind, row_id], **changes)
    where = building.where(cy="lab", bo="vault" if is_inside else "lab")
    escorts = () if is_inside else (building.evidence(2),)
    decision = guests_scene(building, *bo.values(), where=where, escorts=escorts)
    is_only_overdue = "review_on" in changes  # whoever is inside stays an escort until he leaves
    assert failed(decision) == ({} if is_inside and is_only_overdue else {"D22": Reason.NEED_ESCORT}), why


@pytest.mark.req("A-06", "A-32")
def test_who_was_let_in_by_break_glass_escorts_nobody(building):
    """Somebody without keys would vouch for somebody without keys."""
    at_ms = epoch_ms(building.now.at)
    glass = Override(
        id="glass",
        zone="vault",
        cardholders=("bo",),
        reason_code="RESCUE",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=at_ms,
        until_ms=at_ms + 60_000,
    )
    keyless = [row for row in building.person("bo", 2, is_escort=True) if not isinstance(row, Clearance)]
    vault = building.row(Zone, "vault", **OPEN)
    rows = (vault, SANITISED, *building.guest("cy", 3), *keyless, glass)
    assert building.scene(*rows, where=building.where(bo="lab"), number=2).is_granted
    for where, escorts in ((building.where(bo="vault"), ()), (Occupancy(), (building.evidence(2),))):
        decision = building.scene(*rows, where=where, escorts=escorts, number=3)
        assert failed(decision) == {"D22": Reason.NEED_ESCORT}


@pytest.mark.req("A-06")
@pytest.mark.parametrize(
    "evidence, is_granted",
    [({}, True), ({"factors": 2}, False), ({"pin": PinCheck.WRONG}, False), ({"method": Method.FAKED}, False)],
)
def test_an_escort_just_let_in_proved_who_he_is(building, evidence, is_granted):
    """A found card would be an escort."""
    decision = guests_scene(building, escorts=(building.evidence(2, **evidence),))
    assert failed(decision) == ({} if is_granted else {"D22": Reason.NEED_ESCORT})


@pytest.mark.req("A-06")
@pytest.mark.parametrize(
    "ratio, escorts, guests, is_granted",
    [(4, 1, 3, True), (4, 1, 4, False), (1, 1, 0, True), (1, 1, 1, False), (2, 2, 3, True), (2, 2, 4, False)],
)
def test_an_escort_looks_after_so_many_and_no_more(building, ratio, escorts, guests, is_granted):
    """One escort would lose a visitor out of a crowd."""
    rows, inside = [], {}
    for n in range(escorts):
        rows += building.person(f"escort-{n}", 20 + n, is_escort=True)
        inside[f"escort-{n}"] = "vault"
    for n in range(guests):
        rows += building.guest(f"guest-{n}", 40 + n)
        inside[f"guest-{n}"] = "vault"
    where = Occupancy(where=building.where(ana="vault", **inside).where)
    for _ in range(2):
        decision = guests_scene(building, *rows, zone={**OPEN, "escort_ratio": ratio}, where=where)
        assert failed(decision) == ({} if is_granted else {"D22": Reason.NEED_ESCORT})
        for n in range(guests):  # guests who are only remembered to be there count as well
            where = where.forgiven(f"guest-{n}")


@pytest.mark.req("A-06")
def test_a_guest_who_was_just_let_in_is_one_to_look_after(building):
    """Visitors who badge one after the other would all be let in behind one escort."""
    rows = building.guest("dan", 4)
    where = building.where(bo="vault").awaited("dan", Expected(zone="vault", portal="vault-door", grant="g-1"))
    decision = guests_scene(building, *rows, zone={**OPEN, "escort_ratio": 1}, where=where)
    assert failed(decision) == {"D22": Reason.NEED_ESCORT}


def test_an_escort_counted_twice_is_one(building):
    """An escort who is inside and badged just before would look after twice as many."""
    rows = building.guest("dan", 4)
    where = building.where(bo="vault", dan="vault")
    twice = (building.evidence(2), building.evidence(2))
    decision = guests_scene(building, *rows, zone={**OPEN, "escort_ratio": 1}, where=where, escorts=twice)
    assert failed(decision) == {"D22": Reason.NEED_ESCORT}


def test_a_guest_is_not_counted_against_himself(building):
    """After a restart a visitor could not go back to the escort who waits inside."""
    where = building.where(bo="vault").moved("cy", "vault").forgiven("cy")
    assert guests_scene(building, zone={**OPEN, "escort_ratio": 1}, where=where).is_granted


@pytest.mark.req("A-06")
def test_the_rule_about_escorts_asks_nothing_of_others(building):
    """Staff would need an escort in a zone that takes no visitors."""
    assert kind_of(building.scene(), "D22") is FindingKind.EXEMPT


@pytest.mark.req("A-06", "B-04")
def test_a_guest_is_nobodys_companion(building):
    """A visitor would stand among open files, because his host's card was held to the reader first."""
    rows = (building.row(Zone, "vault", **OPEN), *building.guest("cy", 3))
    decision = building.scene(*rows, companions=(building.evidence(3),))
    assert failed(decision) == {"D20": Reason.NEED_SECOND}
    dual = building.scene(*rows, building.row(Zone, "vault", **OPEN, **DUAL), companions=(building.evidence(3),))
    assert failed(dual) == {"D20": Reason.NEED_SECOND}


@pytest.mark.req("A-06")
def test_a_guest_with_an_escort_enters_a_zone_for_two(building):
    """A repair in a zone for two would take a second repairer."""
    decision = guests_scene(building, zone={**OPEN, **DUAL}, where=building.where(bo="vault"))
    assert decision.is_granted
    assert kind_of(decision, "D20") is FindingKind.WAIVED


# -- put away first --------------------------------------------------------------------------------------------------


@pytest.mark.req("A-19")
@pytest.mark.parametrize("kind", [CardholderKind.VISITOR, CardholderKind.MAINTENANCE])
@pytest.mark.parametrize(
    "by, confirmed_by, is_granted",
    [("officer-1", "officer-2", True), ("officer-1", None, False), (None, None, False)],
)
def test_who_lacks_keys_enters_when_everything_is_put_away(building, kind, by, confirmed_by, is_granted):
    """The repairer would read what lies on the desks."""
    status = replace(SANITISED, sanitised_by=by, sanitised_confirmed_by=confirmed_by)
    guest = building.guest("cy", 3, kind)
    decision = guests_scene(building, *guest, status, where=building.where(bo="vault"))
    assert failed(decision) == ({} if is_granted else {"D23": Reason.SANITISE_FIRST})


@pytest.mark.req("A-19")
def test_a_zone_nobody_said_anything_about_is_not_put_away(building):
    """A site that never heard of putting away would be open to every repairer."""
    rows = (building.row(Zone, "vault", **OPEN), *building.guest("cy", 3), *building.person("bo", 2, is_escort=True))
    decision = building.scene(*rows, where=building.where(bo="vault"), number=3)
    assert failed(decision) == {"D23": Reason.SANITISE_FIRST}
    lab = building.row(Zone, "lab", **OPEN)
    escort = building.roster("bo-lab", "lab", "bo", is_escort=True)
    in_lab = building.scene(*rows, lab, escort, where=building.where(bo="lab"), number=3, point="lab-door.in")
    assert in_lab.is_granted  # nothing protected is handled in the lab
    assert kind_of(in_lab, "D23") is FindingKind.EXEMPT


GLASS = {"reason_code": "RESCUE", "started_by": "officer-1", "approved_by": "officer-2"}


@pytest.mark.req("A-32", "A-19")
@pytest.mark.parametrize(
    "drop, is_sanitised, is_granted, d23",
    [
        ((), False, True, FindingKind.EXEMPT),
        ((Clearance, "ana-clearance"), False, False, FindingKind.FAILED),
        ((NeedToKnow, "ana-need"), False, False, FindingKind.FAILED),
        ((RosterEntry, "ana-vault"), False, False, FindingKind.FAILED),
        ((Clearance, "ana-clearance"), True, True, FindingKind.PASSED),
        ((NeedToKnow, "ana-need"), True, True, FindingKind.PASSED),
        ((RosterEntry, "ana-vault"), True, True, FindingKind.PASSED),
    ],
)
def test_break_glass_without_a_key_waits_for_the_putting_away(building, drop, is_sanitised, is_granted, d23):
    """Two officers could let anybody read anything, in the name of an emergency (P1)."""
    at_ms = epoch_ms(building.now.at)
    glass = Override(id="glass", zone="vault", cardholders=("ana",), from_ms=at_ms, until_ms=at_ms + 1, **GLASS)
    decision = building.scene(glass, *([SANITISED] if is_sanitised else []), drop=[drop])
    assert failed(decision) == ({} if is_granted else {"D23": Reason.SANITISE_FIRST})
    assert kind_of(decision, "D23") is d23


@pytest.mark.req("A-32", "B-04")
@pytest.mark.parametrize("is_sanitised", [False, True])
def test_a_companion_by_break_glass_waits_for_the_putting_away_too(building, is_sanitised):
    """Somebody without keys would come in on the second card of a pair (P1)."""
    at_ms = epoch_ms(building.now.at)
    glass = Override(id="glass", zone="vault", cardholders=("bo",), from_ms=at_ms, until_ms=at_ms + 1, **GLASS)
    keyless = [row for row in building.person("bo", 2) if not isinstance(row, Clearance)]
    rows = (*keyless, glass, *([SANITISED] if is_sanitised else []))
    decision = building.scene(*rows, companions=(building.evidence(2),))
    assert failed(decision) == ({} if is_sanitised else {"D20": Reason.NEED_SECOND})


def test_a_guest_by_break_glass_needs_no_escort_and_no_visit(building):
    """The fire brigade would wait at the door for somebody of the roster."""
    at_ms = epoch_ms(building.now.at)
    glass = Override(id="glass", zone="vault", cardholders=("cy",), from_ms=at_ms, until_ms=at_ms + 1, **GLASS)
    guest = building.guest("cy", 3, ended_on=TODAY)
    decision = building.scene(*guest, glass, SANITISED, where=building.where(cy="lab"), number=3)
    assert decision.is_granted
    assert {"D11", "D12", "D13", "D22"} <= of_kind(decision, FindingKind.WAIVED)
    assert set(failed(building.scene(*guest, glass, where=Occupancy(), number=3))) == {"D23"}


def test_a_lockdown_holds_escorts_and_companions_too(building):
    """In a lockdown a pair would enter because one of the two may."""
    lockdown = SiteStatus(id="site", is_locked_down=True)
    rows = (lockdown, building.roster("ana-vault", "vault", may_enter_lockdown=True), *building.person("bo", 2))
    assert building.scene(*rows).is_granted
    assert failed(building.scene(*rows, companions=(building.evidence(2),))) == {"D20": Reason.NEED_SECOND}
