"""Rules about the state of the zone and where everybody is (docs/decision.md §2.3, §2.5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zones.traces import failed, kind_of, of_kind
from zones.decision import FindingKind, Reason
from zones.decision.place import interlocked_portals_are_closed, is_not_inside_already
from zones.edits import apply
from zones.occupancy import Expected, Occupancy, Presence
from zones.people import Cardholder, CardholderKind, Credential, CredentialState
from zones.places import AntiPassback, Portal, SiteStatus, Walk, Zone, ZoneKind, ZoneState, ZoneStatus
from zones.policy import Edit

SECURED, ATTENDED, UNATTENDED = ZoneState.SECURED, ZoneState.OPEN_ATTENDED, ZoneState.OPEN_UNATTENDED


# -- the state of the zone -------------------------------------------------------------------------------------------


@pytest.mark.req("C-01")
@pytest.mark.parametrize("zone", ["vault", "lab", "office", "street"])
def test_a_secured_zone_admits_nobody_to_any_zone_in_it(building, zone):
    """The night lock would be walked around through a room inside."""
    decision = building.scene(ZoneStatus(id=zone, state=SECURED))
    assert failed(decision) == {"D10": Reason.ZONE_SECURED}
    for state in (ATTENDED, UNATTENDED):
        assert building.scene(ZoneStatus(id=zone, state=state)).is_granted
    assert building.scene(ZoneStatus(id=zone, state=SECURED), point="vault-door.out").is_granted


def test_a_secured_room_does_not_close_the_zone_around_it(building):
    """Locking the vault would send the office home."""
    vault = ZoneStatus(id="vault", state=SECURED)
    assert building.scene(vault, where=building.at("office"), point="lab-door.in").is_granted


OPENERS = {"needs_opener": True}


@pytest.mark.req("C-01")
@pytest.mark.parametrize(
    "zone, state, openers, second, expected, why",
    [
        (OPENERS, SECURED, "ana bo", True, set(), "two openers open it"),
        (OPENERS, SECURED, "ana bo", False, {"D10"}, "one alone"),
        (OPENERS, SECURED, "ana", True, {"D10"}, "the second is no opener"),
        (OPENERS, SECURED, "bo", True, {"D10"}, "the first is no opener"),
        ({}, SECURED, "ana bo", True, {"D10"}, "a zone that nobody is named to open"),
        (OPENERS, ATTENDED, "", False, {"D35"}, "nobody is in there"),
        (OPENERS, UNATTENDED, "", False, {"D35"}, "nobody is in there"),
        (OPENERS, UNATTENDED, "ana", False, set(), "an opener enters first"),
        (OPENERS, UNATTENDED, "bo", True, set(), "an opener is the companion"),
        ({}, UNATTENDED, "", False, set(), "a zone without openers"),
    ],
)
def test_a_secured_zone_is_opened_by_two_and_an_empty_one_by_one(building, zone, state, openers, second, expected, why):
    """One person alone would open the vault in the morning, and another would stand in it alone."""
    rows = [
        *(building.row(Zone, "vault", **zone), ZoneStatus(id="vault", state=state)),
        *(
            building.roster("ana-vault", "vault", is_opener="ana" in openers),
            *building.person("bo", 2, is_opener="bo" in openers),
        ),
    ]
    companions = (building.evidence(2),) if second else ()
    assert set(failed(building.scene(*rows, companions=companions))) == expected, why


@pytest.mark.req("C-01")
def test_two_openers_do_not_open_what_lies_in_a_secured_zone(building):
    """The vault would be opened through a lab that is locked for the night."""
    rows = [
        *(building.row(Zone, "vault", **OPENERS), ZoneStatus(id="lab", state=SECURED)),
        *(building.roster("ana-vault", "vault", is_opener=True), *building.person("bo", 2, is_opener=True)),
    ]
    assert failed(building.scene(*rows, companions=(building.evidence(2),))) == {"D10": Reason.ZONE_SECURED}


@pytest.mark.req("C-01")
@pytest.mark.parametrize("two_cards", [False, True])
def test_one_opener_with_two_cards_is_one_opener(building, two_cards):
    """A spare card would be the second person."""
    rows = [
        *(building.row(Zone, "vault", **OPENERS), ZoneStatus(id="vault", state=SECURED)),
        building.roster("ana-vault", "vault", is_opener=True),
        building.row(Credential, "ana-card", id="ana-spare", number_hash=building.number(7)),
    ]
    second = building.evidence(7 if two_cards else 1)
    assert set(failed(building.scene(*rows, companions=(second,)))) == {"D10", "D20"}


@pytest.mark.req("C-01")
@pytest.mark.parametrize(
    "inside, expected, why",
    [
        ({"bo": "vault"}, set(), "somebody with keys is there"),
        ({"bo": "lab"}, {"D35"}, "he is next door"),
        ({"cy": "vault"}, {"D35"}, "a guest looks after nothing"),
        ({}, {"D35"}, "nobody is there"),
    ],
)
def test_somebody_with_keys_keeps_a_zone_attended(building, inside, expected, why):
    """A zone with only a visitor in it would count as looked after."""
    rows = [building.row(Zone, "vault", **OPENERS), *building.person("bo", 2), *building.guest("cy", 3)]
    where = building.where(ana="lab", **inside)
    decision = building.scene(*rows, where=where)
    assert set(failed(decision)) == expected, why
    assert decision.reason in (Reason.OK, Reason.ZONE_UNATTENDED)
    if "vault" in inside.values():
        assert set(failed(building.scene(*rows, where=where.made_uncertain()))) == {"D35"}


def test_a_secured_zone_is_not_also_said_to_be_unattended(building):
    """An officer would read two reasons for one lock."""
    rows = (building.row(Zone, "vault", **OPENERS), ZoneStatus(id="vault", state=SECURED))
    assert kind_of(building.scene(*rows), "D35") is FindingKind.EXEMPT


LOCKED = {"is_locked_down": True}


@pytest.mark.req("A-16")
@pytest.mark.parametrize(
    "status, is_locked_down",
    [
        (SiteStatus(id="site", **LOCKED), True),
        (SiteStatus(id="site"), False),
        (ZoneStatus(id="vault", state=ATTENDED, **LOCKED), True),
        (ZoneStatus(id="lab", state=ATTENDED, **LOCKED), True),
        (ZoneStatus(id="street", state=ATTENDED, **LOCKED), True),
        (ZoneStatus(id="vault", state=ATTENDED), False),
        (ZoneStatus(id="annex", state=ATTENDED, **LOCKED), False),
    ],
)
@pytest.mark.parametrize("may_enter", [False, True])
def test_a_lockdown_holds_entries_and_no_exit(building, status, is_locked_down, may_enter):
    """In an alarm people would walk in, or could not get out, or nobody could get in to help."""
    annex = Zone(id="annex", name_ja="別館", name_en="Annex", kind=ZoneKind.CONTROLLED, parent="street")
    rows = (annex, status, building.roster("ana-vault", "vault", may_enter_lockdown=may_enter))
    decision = building.scene(*rows)
    assert failed(decision) == ({"D26": Reason.LOCKDOWN} if is_locked_down and not may_enter else {})
    assert building.scene(*rows, point="vault-door.out").is_granted


def test_the_right_to_enter_a_lockdown_is_of_one_zone(building):
    """Whoever may enter the lab in a lockdown would enter the vault."""
    rows = (SiteStatus(id="site", **LOCKED), building.roster("ana-lab", "lab", may_enter_lockdown=True))
    assert failed(building.scene(*rows)) == {"D26": Reason.LOCKDOWN}
    assert building.scene(*rows, where=building.at("office"), point="lab-door.in").is_granted


# -- from where, and whether inside already --------------------------------------------------------------------------


@pytest.mark.req("B-06", "B-07", "A-10")
@pytest.mark.parametrize(
    "where, is_certain, expected, why",
    [
        ("lab", True, {}, "where the portal leads from"),
        ("office", True, {"D17": Reason.OUT_OF_SEQUENCE}, "not in the zone around"),
        ("street", True, {"D17": Reason.OUT_OF_SEQUENCE}, "came past the lab's reader"),
        ("vault", True, {"D18": Reason.APB}, "inside already"),
        ("office", False, {}, "a memory from before a start proves nothing (B-07)"),
        ("vault", False, {}, "a memory from before a start proves nothing (B-07)"),
    ],
)
def test_sequence_and_anti_passback(building, where, is_certain, expected, why):
    """A card would be handed back to let a second person in, or an honest person would be kept out after a restart."""
    assert failed(building.scene(where=building.at(where, is_certain=is_certain))) == expected, why


@pytest.mark.req("B-06")
def test_open_ground_is_a_place_nobody_is_seen_to_reach(building):
    """Whoever slipped out behind a colleague in the evening would be refused at the front entrance in the morning."""
    decision = building.scene(where=building.at("vault"), point="front.in")
    assert decision.is_granted
    assert kind_of(decision, "D17") is FindingKind.EXEMPT


@pytest.mark.req("B-06")
@pytest.mark.parametrize(
    "where, expected",
    [
        ("street", {}),
        ("annex", {"D17": Reason.OUT_OF_SEQUENCE}),
        ("office", {"D18": Reason.APB}),
        ("vault", {"D18": Reason.APB}),
    ],
)
def test_global_anti_passback_counts_everywhere(building, where, expected):
    """A card of somebody in the annex would open the front entrance."""
    annex = Zone(id="annex", name_ja="別館", name_en="Annex", kind=ZoneKind.CONTROLLED, parent="street")
    office = building.row(Zone, "office", anti_passback=AntiPassback.GLOBAL)
    assert failed(building.scene(annex, office, where=building.at(where), point="front.in")) == expected
    usual = building.row(Zone, "office", anti_passback=AntiPassback.HARD)
    assert set(failed(building.scene(annex, usual, where=building.at(where), point="front.in"))) == set(expected) - {
        "D17"
    }


def test_somebody_never_seen_is_passed(building):
    """On the first morning nobody could enter."""
    assert building.scene(where=Occupancy()).is_granted


@pytest.mark.req("B-06")
@pytest.mark.parametrize(
    "mode, kind, is_granted",
    [
        (AntiPassback.HARD, FindingKind.FAILED, False),
        (AntiPassback.GLOBAL, FindingKind.FAILED, False),
        (AntiPassback.SOFT, FindingKind.WAIVED, True),
        (AntiPassback.NONE, FindingKind.EXEMPT, True),
    ],
)
def test_anti_passback_modes(building, mode, kind, is_granted):
    """A second entry without an exit would go unnoticed, or a soft zone would refuse."""
    lab = building.row(Zone, "lab", anti_passback=mode)
    decision = building.scene(lab, where=building.at("lab"), point="lab-door.in")
    assert kind_of(decision, "D18") is kind
    assert decision.is_granted is is_granted


@pytest.mark.req("B-06")
@pytest.mark.parametrize("outer", list(AntiPassback))
def test_a_card_handed_out_of_a_vault_opens_no_way_back_to_it(building, outer):
    """Whoever is in the vault would hand his card out, and a second person would go round by the laboratory with it."""
    lab = building.row(Zone, "lab", anti_passback=outer, apb_ms=1000 if outer is AntiPassback.TIMED else None)
    assert failed(building.scene(lab, where=building.at("vault"), point="lab-door.in")) == {"D18": Reason.APB}
    assert building.scene(lab, where=building.at("vault", is_certain=False), point="lab-door.in").is_granted


@pytest.mark.req("B-06")
@pytest.mark.parametrize("portal, is_granted", [("vault-door", True), ("hatch", False)])
def test_somebody_just_let_in_is_let_in_nowhere_else(building, portal, is_granted):
    """A copy of a card would open a second way into the vault before the first one had been walked through."""
    expected = Expected(zone="vault", portal=portal, grant="g-1")
    where = building.at("lab").awaited("ana", expected)
    assert failed(building.scene(where=where)) == ({} if is_granted else {"D18": Reason.APB})
    assert building.scene(where=where.settled("g-1")).is_granted


def test_being_elsewhere_for_long_does_not_excuse_a_second_way_in(building):
    """The time that somebody spent in the office would count as time spent in the laboratory."""
    lab = building.row(Zone, "lab", anti_passback=AntiPassback.TIMED, apb_ms=60_000)
    since = building.now.at - timedelta(days=1)
    where = Occupancy(where={"ana": Presence(zone="office", is_certain=True, since=since)})
    where = where.awaited("ana", Expected(zone="lab", portal="hatch", grant="g-1"))
    assert failed(building.scene(lab, where=where, point="lab-door.in")) == {"D18": Reason.APB}


@pytest.mark.parametrize("ms_ago, is_granted", [(59_999, False), (60_000, True)])
def test_a_time_counts_in_the_zones_inside_as_well(building, ms_ago, is_granted):
    """The way round would open at once, or never again."""
    annex = Zone(
        id="annex",
        name_ja="別室",
        name_en="Annex",
        kind=ZoneKind.LIMITED,
        parent="lab",
        anti_passback=AntiPassback.TIMED,
        apb_ms=60_000,
    )
    since = building.now.at - timedelta(milliseconds=ms_ago)
    where = Occupancy(where={"ana": Presence(zone="annex", is_certain=True, since=since)})
    decision = building.scene(annex, where=where, point="lab-door.in")
    assert failed(decision) == ({} if is_granted else {"D18": Reason.APB})


@pytest.mark.parametrize("limit, is_granted", [(1, False), (2, True)])
def test_who_was_let_in_takes_room_before_he_is_inside(building, limit, is_granted):
    """Two who badge one after the other would both enter a zone that has room for one."""
    vault, bo = building.row(Zone, "vault", occupancy_max=limit), building.person("bo", 2)
    where = building.at("lab").awaited("bo", Expected(zone="vault", portal="vault-door", grant="g-1"))
    assert failed(building.scene(vault, *bo, where=where)) == ({} if is_granted else {"D19": Reason.FULL})
    again = building.at("lab").awaited("ana", Expected(zone="vault", portal="vault-door", grant="g-2"))
    assert building.scene(vault, where=again).is_granted  # nobody is counted twice


@pytest.mark.req("B-06")
@pytest.mark.parametrize(
    "ms_ago, is_granted", [(0, False), (59_999, False), (60_000, True), (60_001, True), (-1, False), (None, False)]
)
def test_timed_anti_passback_ends_on_its_time(building, ms_ago, is_granted):
    """A card handed back through the window would open at once, or an honest person would never get in again."""
    lab = building.row(Zone, "lab", anti_passback=AntiPassback.TIMED, apb_ms=60_000)
    since = None if ms_ago is None else building.now.at - timedelta(milliseconds=ms_ago)
    where = Occupancy(where={"ana": Presence(zone="lab", is_certain=True, since=since)})
    assert failed(building.scene(lab, where=where, point="lab-door.in")) == ({} if is_granted else {"D18": Reason.APB})


def test_timed_anti_passback_without_a_time_refuses(building):
    """A time left out would be no time at all."""
    lab = building.row(Zone, "lab", anti_passback=AntiPassback.TIMED, apb_ms=60_000)
    since = building.now.at - timedelta(days=1)
    where = Occupancy(where={"ana": Presence(zone="lab", is_certain=True, since=since)})
    ask = building.ask(lab, where=where, point="lab-door.in")
    assert is_not_inside_already(ask) is FindingKind.PASSED
    timeless = replace(ask, zone=replace(lab, apb_ms=None))  # no edit makes such zones
    assert is_not_inside_already(timeless) is FindingKind.FAILED
    hard = replace(ask, zone=replace(lab, anti_passback=AntiPassback.HARD))
    assert is_not_inside_already(hard) is FindingKind.FAILED


@pytest.mark.req("B-06")
def test_whom_an_officer_forgave_enters_once(building):
    """Whoever forgot to badge out would be kept out until somebody edits a database."""
    inside = building.at("vault")
    assert building.scene(where=inside).reason is Reason.APB
    forgiven = inside.forgiven("ana")
    assert building.scene(where=forgiven).is_granted
    assert building.scene(where=forgiven.moved("ana", "vault")).reason is Reason.APB


@pytest.mark.req("B-07")
def test_after_a_fire_everybody_is_unknown_and_heals_one_by_one(building):
    """After an alarm nobody could get back in, or the muster list would say that the building is empty."""
    inside = building.at("vault").moved("bo", "lab")
    after = inside.made_uncertain()
    assert after.where["ana"] == Presence(zone="vault", is_certain=False)
    assert after.count(["vault", "lab"]) == inside.count(["vault", "lab"]) == 2
    assert building.scene(where=after).is_granted
    healed = after.moved("ana", "vault")
    assert healed.certain_zone("ana") == "vault"
    assert healed.certain_zone("bo") is None


def test_who_leaves_by_the_button_is_not_kept_out_as_still_inside(building):
    """Everybody who ever pressed the exit button would be refused from then on."""
    policy = building.policy()
    left = building.at("vault").moved("bo", "office").left_unseen(policy.insides["lab"])
    assert left.certain_zone("ana") is None
    assert left.certain_zone("bo") == "office"
    assert building.decides(policy, left).is_granted


@pytest.mark.req("B-23")
@pytest.mark.parametrize("one, other", [("front", "vault-door"), ("vault-door", "front")])
@pytest.mark.parametrize(
    "ms_ago, is_granted", [(0, False), (5_000, False), (59_999, False), (60_000, True), (-1, False), (None, True)]
)
def test_nobody_is_faster_than_his_legs(building, one, other, ms_ago, is_granted):
    """A copy of a card would be used at one end of the site while its owner is at the other."""
    where = building.at("lab")
    if ms_ago is not None:
        where = where.sighted("ana", "front", building.now.at - timedelta(milliseconds=ms_ago))
    decision = building.scene(Walk(id="walk", one=one, other=other, min_ms=60_000), where=where)
    assert failed(decision) == ({} if is_granted else {"D28": Reason.IMPOSSIBLE_TRAVEL})


def test_a_walk_that_nobody_measured_takes_no_time(building):
    """Two portals side by side would refuse whoever goes through both."""
    where = building.at("lab").sighted("ana", "lab-door", building.now.at).sighted("bo", "front", building.now.at)
    assert building.scene(Walk(id="walk", one="front", other="vault-door", min_ms=60_000), where=where).is_granted


# -- how many --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit, others, own, is_granted, why",
    [
        (2, ["vault"], "lab", True, "one place left"),
        (2, ["vault", "vault"], "lab", False, "full"),
        (1, ["vault"], "lab", False, "full"),
        (1, ["lab", "office"], "lab", True, "people around it do not fill it"),
    ],
)
def test_a_full_zone_admits_nobody_more(building, limit, others, own, is_granted, why):
    """More people would stand in a room than may get out of it in a fire."""
    occupancy = building.at(own)
    for n, zone in enumerate(others):
        occupancy = occupancy.moved(f"other-{n}", zone)
    for seen in (occupancy, occupancy.made_uncertain()):  # unknown is not empty
        decision = building.scene(building.row(Zone, "vault", occupancy_max=limit), where=seen)
        assert failed(decision) == ({} if is_granted else {"D19": Reason.FULL}), why


@pytest.mark.parametrize("limit, is_granted", [(1, False), (2, True)])
def test_companions_need_room_as_well(building, limit, is_granted):
    """Two would enter where one place is left."""
    rows = (building.row(Zone, "vault", occupancy_max=limit), *building.person("bo", 2))
    decision = building.scene(*rows, companions=(building.evidence(2),))
    assert failed(decision) == ({} if is_granted else {"D19": Reason.FULL})


def test_somebody_unknown_needs_room_as_well(building):
    """The trace would say that there is room for one more where there is none."""
    vault = building.row(Zone, "vault", occupancy_max=1)
    assert "D19" in failed(building.scene(vault, where=building.where(bo="vault"), number=99))
    assert "D19" not in failed(building.scene(vault, where=Occupancy(), number=99))


def test_who_is_remembered_inside_does_not_fill_the_zone_against_himself(building):
    """After a restart the last person of a full room could not return to it."""
    vault = building.row(Zone, "vault", occupancy_max=1)
    assert building.scene(vault, where=building.at("vault", is_certain=False)).is_granted


def test_people_in_inner_zones_count_in_the_outer_one(building):
    """A room with a vault in it would hold twice as many as it may."""
    lab = building.row(Zone, "lab", occupancy_max=1)
    where = building.at("office").moved("bo", "vault")
    assert building.scene(lab, where=where, point="lab-door.in").reason is Reason.FULL


@pytest.mark.req("B-05")
@pytest.mark.parametrize(
    "minimum, inside, second, is_granted, why",
    [
        (2, [], False, False, "alone"),
        (2, [], True, True, "the two of them"),
        (2, ["vault"], False, True, "somebody is there"),
        (2, ["lab"], False, False, "somebody is next door"),
        (3, [], True, False, "two are not three"),
        (3, ["vault"], True, True, "three"),
        (3, ["vault"], False, False, "two are not three"),
        (None, [], False, True, "a zone where one may be alone"),
    ],
)
def test_nobody_is_alone_where_nobody_may_be(building, minimum, inside, second, is_granted, why):
    """One person alone would have the protected information to himself."""
    rows = (building.row(Zone, "vault", occupancy_min=minimum), *building.person("bo", 2), *building.person("cy", 3))
    where = building.at("lab")
    for zone in inside:
        where = where.moved("cy", zone)
    companions = (building.evidence(2),) if second else ()
    decision = building.scene(*rows, where=where, companions=companions)
    assert failed(decision) == ({} if is_granted else {"D21": Reason.NOBODY_ALONE}), why
    if inside == ["vault"]:
        remembered = building.scene(*rows, where=where.made_uncertain(), companions=companions)
        assert set(failed(remembered)) == {"D21"}  # a memory is no company


# -- vestibules and interlocks ---------------------------------------------------------------------------------------


@pytest.mark.req("A-13")
@pytest.mark.parametrize(
    "not_closed, is_granted",
    [(set(), True), ({"lab-door"}, False), ({"front"}, True), ({"front", "lab-door"}, False), ({"vault-door"}, True)],
)
def test_an_interlocked_portal_waits_for_the_other(building, not_closed, is_granted):
    """Both doors of the vestibule would stand open at once."""
    portal = building.row(Portal, "vault-door", interlock_with=("lab-door",))
    decision = building.scene(portal, not_closed=frozenset(not_closed))
    assert failed(decision) == ({} if is_granted else {"D25": Reason.INTERLOCK})
    assert building.scene(portal, not_closed=frozenset(not_closed), point="vault-door.out").is_granted


def test_an_interlock_without_its_places_is_not_closed(building):
    """A portal that nobody knows would count as shut."""
    ask = building.ask(building.row(Portal, "vault-door", interlock_with=("lab-door",)))
    assert interlocked_portals_are_closed(ask) is FindingKind.PASSED
    assert interlocked_portals_are_closed(replace(ask, portal=None)) is FindingKind.FAILED
    assert interlocked_portals_are_closed(replace(ask, from_zone=None)) is FindingKind.FAILED


@pytest.mark.req("A-13")
@pytest.mark.parametrize(
    "is_vestibule, there, second, is_granted, why",
    [
        (True, {"ana": "lab"}, False, True, "alone in it"),
        (True, {"ana": "lab", "bo": "lab"}, False, False, "two in it"),
        (True, {"bo": "lab"}, False, False, "somebody else is in it, and so must he be"),
        (True, {}, False, True, "nobody was seen in it"),
        (True, {"ana": "lab", "bo": "vault"}, False, True, "the other is through"),
        (True, {"ana": "lab", "bo": "lab"}, True, False, "two at once"),
        (True, {}, True, False, "two at once, unseen"),
        (False, {"ana": "lab", "bo": "lab"}, False, True, "no vestibule"),
    ],
)
def test_one_at_a_time_leaves_a_vestibule(building, is_vestibule, there, second, is_granted, why):
    """Somebody would be pushed through the second door by the one who stands behind him."""
    rows = (building.row(Zone, "lab", is_vestibule=is_vestibule), *building.person("bo", 2))
    companions = (building.evidence(2),) if second else ()
    where = building.where(**there)
    for seen in (where, where.made_uncertain()):
        decision = building.scene(*rows, where=seen, companions=companions)
        assert failed(decision) == ({} if is_granted else {"D25": Reason.INTERLOCK}), why


@pytest.mark.req("A-13")
def test_who_was_let_into_a_vestibule_counts_as_there(building):
    """Two who badge one after the other would both be in it when the second door opens."""
    rows = (building.row(Zone, "lab", is_vestibule=True), *building.person("bo", 2))
    where = building.at("lab").awaited("bo", Expected(zone="lab", portal="lab-door", grant="g-1"))
    assert failed(building.scene(*rows, where=where)) == {"D25": Reason.INTERLOCK}


# -- what is asked only where it means something ----------------------------------------------------------------------

SOMETIMES = {
    "D05": "only where the policy comes from elsewhere",
    "D11": "only where a basis is named or something is protected",
    "D12": "only where something is protected",
    "D13": "not on open ground",
    "D14": "only where there are hours",
    "D15": "only where a course is named",
    "D16": "only where devices are declared",
    "D17": "not from open ground",
    "D18": "only where presence counts",
    "D19": "only where there is a maximum",
    "D20": "only where two are asked for, or come",
    "D21": "only where nobody may be alone",
    "D22": "only of guests",
    "D23": "only where something is protected, of those who lack a key",
    "D24": "only where a PIN was asked for",
    "D25": "only behind a vestibule or in an interlock",
    "D29": "not on open ground",
    "D33": "only where a line is asked for",
    "D34": "only where there is a notice",
    "D35": "only where there are openers",
}


def test_a_zone_asks_only_for_what_it_has(building):
    """The trace would say that a limit was checked which the zone does not have (P8)."""

    def exempt(point, place, *rows):
        return of_kind(building.scene(*rows, where=building.at(place), point=point), FindingKind.EXEMPT)

    vault = set(SOMETIMES) - {"D11", "D12", "D13", "D14", "D17", "D18", "D29"}
    assert exempt("vault-door.in", "lab") == vault
    lab = vault | {"D11", "D12", "D14", "D18"}
    assert exempt("lab-door.in", "office") == lab
    company = building.row(Zone, "lab", accepted_bases=("COMPANY",))  # a level, and nothing protected
    assert exempt("lab-door.in", "office", company) == lab - {"D11"}
    yard = Zone(id="yard", name_ja="庭", name_en="Yard", kind=ZoneKind.UNRESTRICTED, parent="street")
    gate = Portal(id="gate", name_ja="門", name_en="Gate", outer="street", inner="yard")
    assert exempt("gate.in", "street", yard, gate) == set(SOMETIMES)


def test_a_guest_walks_on_open_ground_like_anybody(building):
    """A visitor could not cross the yard, where no roster names an escort."""
    yard = Zone(id="yard", name_ja="庭", name_en="Yard", kind=ZoneKind.UNRESTRICTED, parent="street")
    gate = Portal(id="gate", name_ja="門", name_en="Gate", outer="street", inner="yard")
    for kind in (CardholderKind.VISITOR, CardholderKind.MAINTENANCE):
        rows = (yard, gate, *building.guest("cy", 3, kind))
        assert building.scene(*rows, where=Occupancy(), point="gate.in", number=3).is_granted


# -- who is where ----------------------------------------------------------------------------------------------------

zone_names = st.sampled_from(["street", "office", "lab", "vault"])


@given(moves=st.lists(st.tuples(st.sampled_from(["ana", "bo", "cy"]), zone_names)))
def test_counts_followed_move_by_move_equal_a_count_made_anew(moves):
    """A zone would seem full for ever, or never."""
    occupancy = Occupancy()
    for who, zone in moves:
        occupancy = occupancy.moved(who, zone)
    anew = Occupancy(where=occupancy.where)
    assert anew == occupancy
    assert {zone: people for zone, people in occupancy.inside.items() if people} == dict(anew.inside)


def test_a_card_that_was_lost_is_refused_wherever_its_holder_is(building):
    """Somebody's being inside would make his lost card good."""
    policy = building.policy()
    lost = apply(policy, Edit(puts=(building.row(Credential, "ana-card", state=CredentialState.LOST),)))
    for zone in ("street", "office", "lab", "vault"):
        assert building.decides(lost, building.at(zone)).reason is Reason.CARD_INACTIVE


@pytest.mark.req("B-05")
def test_a_guest_is_company_for_nobody(building):
    """One of the staff would be alone with a visitor in a zone where nobody is to be alone."""
    guest = Cardholder(id="gus", kind=CardholderKind.VISITOR)
    zone = building.row(Zone, "vault", occupancy_min=2)
    inside = building.at("lab").moved("gus", "vault")
    decision = building.decides(building.policy(zone, guest), inside)
    assert failed(decision) == {"D21": Reason.NOBODY_ALONE}
    bo = building.person("bo", 2)
    assert building.decides(building.policy(zone, guest, *bo), inside.moved("bo", "vault")).is_granted
    card = building.row(Credential, "ana-card", id="gus-card", cardholder="gus", number_hash=building.number(7))
    alone = building.at("vault")  # Ana is inside, and a guest asks
    assert "D21" in failed(building.decides(building.policy(zone, guest, card), alone, number=7))
