"""Edits: what is refused and where, what is shared, and that every way to a policy gives the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zones.edits import EMPTY, apply, fold
from zones.people import Basis, Cardholder, Clearance, Credential, CredentialState, NeedToKnow, RosterEntry
from zones.places import AntiPassback, Portal, Schedule, Window, Zone, ZoneKind, ZoneState, ZoneStatus
from zones.policy import ATTRIBUTES, TABLE_OF, TABLES, Edit, EditRefused, Policy

EXCLUSION = {"items": ("item-9",), "accepted_bases": (Basis.KEIZAI_ANPO,), "anti_passback": AntiPassback.HARD}


def zone(row_id="zone-9", kind=ZoneKind.CONTROLLED, **more):
    return Zone(**{"id": row_id, "name_ja": "区画", "name_en": "Zone", "kind": kind, **more})


def portal(row_id="portal-9", outer="office", inner="lab", **more):
    return Portal(id=row_id, name_ja="扉", name_en="Portal", outer=outer, inner=inner, **more)


def credential(row_id="card-9", number=9, **more):
    row = Credential(
        id=row_id, cardholder="ana", number_hash=f"{number:064x}", last4="00A9", state=CredentialState.ACTIVE
    )
    return replace(row, **more)


# (table, row id, field), the row put over the building, and why it must not be
REFUSED_PUTS = [
    ("zone", "Zone 9", "id", zone("Zone 9"), "capitals and blanks need quoting in topics and paths"),
    ("zone", "a" * 65, "id", zone("a" * 65), "too long"),
    ("zone", "zone-9", "name_ja", zone(name_ja=""), "an officer could not tell it from another"),
    ("zone", "zone-9", "name_en", zone(name_en="a\nb"), "a line break would forge a second line of a report"),
    ("zone", "zone-9", "parent", zone(parent="nowhere"), "unknown parent"),
    ("zone", "zone-9", "parent", zone(parent="zone-9"), "its own parent"),
    ("zone", "zone-9", "schedule", zone(schedule="nights"), "unknown schedule"),
    ("zone", "zone-9", "items", zone(items=("Item 1",), accepted_bases=(Basis.COMPANY,)), "not an item's number"),
    ("zone", "zone-9", "items", zone(items=("i", "i"), accepted_bases=(Basis.COMPANY,)), "an item twice"),
    ("zone", "zone-9", "accepted_bases", zone(items=("item-9",)), "items that no clearance opens"),
    ("zone", "zone-9", "items", zone(kind=ZoneKind.EXCLUSION), "an EXCLUSION zone that handles nothing"),
    (
        "zone",
        "zone-9",
        "anti_passback",
        zone(kind=ZoneKind.EXCLUSION, **{**EXCLUSION, "anti_passback": AntiPassback.SOFT}),
        "§3.3: hard there",
    ),
    ("zone", "zone-9", "min_factors", zone(min_factors=0), "fewer than its kind asks"),
    ("zone", "zone-9", "min_factors", zone(min_factors=4), "there are three"),
    ("zone", "zone-9", "occupancy_max", zone(occupancy_max=0), "nobody could enter: secure the zone instead"),
    ("zone", "zone-9", "kind", zone(parent="lab"), "CONTROLLED inside LIMITED"),
    ("zone", "lab", "parent", zone("lab", ZoneKind.CONTROLLED, parent="vault"), "a circle through its own child"),
    ("zone_status", "nowhere", "id", ZoneStatus(id="nowhere", state=ZoneState.SECURED), "unknown zone"),
    ("portal", "portal-9", "inner", portal(inner="office"), "joins a zone with itself"),
    ("portal", "portal-9", "inner", portal(inner="nowhere"), "unknown zone"),
    ("portal", "portal-9", "outer", portal(outer="nowhere"), "unknown zone"),
    ("portal", "portal-9", "release_ms", portal(release_ms=0), "no time to come through"),
    ("portal", "portal-9", "release_ms", portal(release_ms=60_001), "an unlocked door under another name"),
    ("portal", "portal-9", "held_after_ms", portal(held_after_ms=0), "held before it opened"),
    ("portal", "portal-9", "has_contact", portal(outer="lab", inner="vault", has_contact=False), "§3.3"),
    ("portal", "portal-9", "has_entry_reader", portal(outer="lab", inner="vault", has_entry_reader=False), "§3.3"),
    (
        "portal",
        "portal-9",
        "unlock_schedule",
        portal(outer="lab", inner="vault", unlock_schedule="hours"),
        "P1: a vault that stands open by the clock",
    ),
    ("portal", "portal-9", "inner", portal(outer="vault", inner="lab"), "outer and inner exchanged: a free way in"),
    ("portal", "portal-9", "inner", portal(outer="lab", inner="street"), "exchanged, over several zones"),
    ("cardholder", "ana", "ended_on", Cardholder(id="ana", ended_on=date(1970, 1, 1)), "a clock that was never set"),
    ("credential", "card-9", "cardholder", credential(cardholder="nobody"), "unknown cardholder"),
    ("credential", "card-9", "number_hash", credential(number=1), "Ana's number"),
    ("credential", "card-9", "number_hash", credential(number_hash="04a1b2c3"), "a card number in clear"),
    ("credential", "card-9", "last4", credential(last4="04A1B2C3"), "the whole number"),
    ("credential", "card-9", "scheme", credential(scheme="desfire"), "none that a reader can ask for"),
    ("credential", "card-9", "scheme", credential(scheme=""), "neither one nor none"),
]


@pytest.mark.parametrize("table, row_id, field, row, why", REFUSED_PUTS)
def test_a_bad_row_is_refused_where_it_is_bad(building, table, row_id, field, row, why):
    """A door would run on a policy that contradicts itself, or the officer would not find the mistake."""
    policy = building.policy()
    with pytest.raises(EditRefused) as refused:
        apply(policy, Edit(puts=(row,)))
    assert (refused.value.table, refused.value.row, refused.value.field) == (table, row_id, field), why
    assert refused.value.why in str(refused.value)


# kind and id of one of the building's rows, the fields changed, the field named, and why
REFUSED_CHANGES = [
    (Credential, "ana-card", {"cardholder": "bo"}, "cardholder", "a card handed on"),
    (Credential, "ana-card", {"number_hash": f"{7:064x}"}, "number_hash", "another card under its name"),
    (Clearance, "ana-clearance", {"cardholder": "bo"}, "cardholder", "a clearance is personal"),
    (Clearance, "ana-clearance", {"id": "new", "recorded_by": "O. Ficer"}, "recorded_by", "a name, not an identifier"),
    (Clearance, "ana-clearance", {"id": "new", "confirmed_by": "O. Ficer"}, "confirmed_by", "a name"),
    (Clearance, "ana-clearance", {"recorded_by": "officer-3"}, "recorded_by", "four eyes undone afterwards"),
    (Clearance, "ana-clearance", {"confirmed_by": None}, "confirmed_by", "an end is an end, not a step back"),
    (Clearance, "ana-clearance", {"confirmed_by": "officer-3"}, "confirmed_by", "four eyes rewritten"),
    (NeedToKnow, "ana-need", {"item": "item-2"}, "item", "another item than the one approved"),
    (RosterEntry, "ana-lab", {"zone": "vault"}, "zone", "another zone than the one approved"),
    (RosterEntry, "ana-lab", {"cardholder": "bo"}, "cardholder", "another cardholder than the one approved"),
    (RosterEntry, "ana-lab", {"until_on": date(2026, 3, 31)}, "until_on", "ends before it begins"),
    (RosterEntry, "ana-lab", {"review_on": date(2027, 4, 1)}, "review_on", "reviewed after its end"),
    (NeedToKnow, "ana-need", {"until_on": date(2026, 3, 31)}, "until_on", "ends before it begins"),
    (NeedToKnow, "ana-need", {"until_on": date(2027, 4, 2)}, "until_on", "longer than twelve months"),
    (NeedToKnow, "ana-need", {"id": "new", "item": "Item 1"}, "item", "a title is not a number"),
    (NeedToKnow, "ana-need", {"purpose_code": "because he asked"}, "purpose_code", "free text (E-01)"),
    (Portal, "front", {"has_rex": False}, "has_rex", "D-24: an escape that asks a card"),
    (Zone, "office", {"min_factors": 3}, "min_factors", "the lab inside would ask less than the office"),
]


@pytest.mark.parametrize("kind, row_id, changes, field, why", REFUSED_CHANGES)
def test_a_bad_change_is_refused(building, kind, row_id, changes, field, why):
    """A right would silently become another right, or a safety rule would be edited away."""
    policy = apply(building.policy(), Edit(puts=(Cardholder(id="bo"),)))
    with pytest.raises(EditRefused) as refused:
        apply(policy, Edit(puts=(building.row(kind, row_id, **changes),)))
    assert refused.value.field == field, why


@pytest.mark.req("D-24")
def test_an_escape_portal_that_asks_a_card_on_the_way_out_is_refused(building):
    """People would stand before a locked exit looking for their cards."""
    with pytest.raises(EditRefused, match="D-24"):
        apply(building.policy(), Edit(puts=(portal(is_escape=True, has_rex=False, has_exit_reader=True),)))


@pytest.mark.req("A-02")
def test_one_card_of_two_cardholders_is_refused(building):
    """Nobody could say which of the two came in."""
    policy = apply(building.policy(), Edit(puts=(Cardholder(id="bo"),)))
    with pytest.raises(EditRefused, match="A-02"):
        apply(policy, Edit(puts=(credential(cardholder="bo", number=1),)))
    with pytest.raises(EditRefused, match="A-02"):  # nor two at once in one edit
        apply(policy, Edit(puts=(credential("one"), credential("two", cardholder="bo"))))


@pytest.mark.req("A-02")
def test_a_destroyed_credential_stays_destroyed(building):
    """A card that was cut up and recorded as such would open doors again."""
    card = building.row(Credential, "ana-card", state=CredentialState.DESTROYED)
    policy = apply(building.policy(), Edit(puts=(card,)))
    with pytest.raises(EditRefused, match="final"):
        apply(policy, Edit(puts=(replace(card, state=CredentialState.ACTIVE),)))


@pytest.mark.req("D-02")
@pytest.mark.parametrize("off_by", [-1, 1])
def test_the_last_valid_day_is_derived_and_never_entered(building, off_by):
    """A typing mistake would give somebody ten years and a day."""
    row = building.row(Clearance, "ana-clearance", id="another")
    wrong = replace(row, last_valid_on=date.fromordinal(row.last_valid_on.toordinal() + off_by))
    with pytest.raises(EditRefused) as refused:
        apply(building.policy(), Edit(puts=(wrong,)))
    assert refused.value.field == "last_valid_on"
    assert "2036-03-31" in refused.value.why


def test_who_records_a_clearance_does_not_confirm_it(building):
    """One officer alone could clear a friend."""
    row = building.row(Clearance, "ana-clearance", id="another", confirmed_by="officer-1")
    with pytest.raises(EditRefused) as refused:
        apply(building.policy(), Edit(puts=(row,)))
    assert refused.value.field == "confirmed_by"


@pytest.mark.parametrize(
    "kind, row_id",
    [(Cardholder, "ana"), (Clearance, "ana-clearance"), (NeedToKnow, "ana-need"), (RosterEntry, "ana-lab")],
)
@pytest.mark.parametrize("ended_on", [date(2020, 1, 1), date(2026, 5, 11), date(2199, 12, 31)])
def test_an_end_is_never_refused_for_its_date(building, kind, row_id, ended_on):
    """Somebody who must not enter would go on entering while officers argue with a form."""
    apply(building.policy(), Edit(puts=(building.row(kind, row_id, ended_on=ended_on),)))


# -- places ------------------------------------------------------------------------------------------------------------


def test_a_free_exit_never_leads_into_a_protected_zone(building):
    """Two vaults side by side: who may enter one would walk into the other by leaving."""
    second = zone("vault-2", ZoneKind.EXCLUSION, parent="lab", **EXCLUSION)
    with pytest.raises(EditRefused, match="leaving is free") as refused:
        apply(building.policy(), Edit(puts=(second, portal(outer="vault", inner="vault-2"))))
    assert refused.value.field == "outer"


def test_a_free_exit_never_leads_to_where_more_is_asked(building):
    """A store room's way out would be a way into the lab without its factors."""
    store = zone("store", parent="office")
    with pytest.raises(EditRefused, match="asks for more"):
        apply(building.policy(), Edit(puts=(store, portal(outer="lab", inner="store"))))
    apply(building.policy(), Edit(puts=(store, portal(outer="store", inner="lab"))))  # the other way round is a door


def test_an_entry_never_leads_into_two_protected_zones_at_once(building):
    """The inner zone's keys would open the outer one too."""
    inner = zone("cell", ZoneKind.EXCLUSION, parent="vault", **EXCLUSION)
    with pytest.raises(EditRefused, match="without its keys"):
        apply(building.policy(), Edit(puts=(inner, portal(outer="lab", inner="cell"))))
    apply(building.policy(), Edit(puts=(inner, portal(outer="vault", inner="cell"))))


def test_a_change_of_a_zone_holds_its_portals_against_it(building):
    """A portal without a contact would become a portal into an EXCLUSION zone by an edit of the zone alone."""
    policy = apply(
        building.policy(), Edit(puts=(zone("room", ZoneKind.LIMITED, parent="lab"), portal("room-door", "lab", "room")))
    )
    policy = apply(policy, Edit(puts=(portal("room-door", "lab", "room", has_contact=False),)))
    with pytest.raises(EditRefused) as refused:
        apply(policy, Edit(puts=(zone("room", ZoneKind.EXCLUSION, parent="lab", **EXCLUSION),)))
    assert (refused.value.table, refused.value.row, refused.value.field) == ("portal", "room-door", "has_contact")


def test_zones_nested_without_end_are_refused():
    """A walk up the tree would take as long as somebody likes."""
    puts = [zone("z0"), *(zone(f"z{n}", parent=f"z{n - 1}") for n in range(1, 17))]
    with pytest.raises(EditRefused, match="deeper"):
        apply(EMPTY, Edit(puts=tuple(puts)))
    apply(EMPTY, Edit(puts=tuple(puts[:-1])))


def test_a_long_circle_is_found():
    """The controller would walk round the zone tree for ever."""
    with pytest.raises(EditRefused, match="circle"):
        apply(EMPTY, Edit(puts=tuple(zone(f"z{n}", parent=f"z{(n + 1) % 5}") for n in range(5))))


REFUSED_WINDOWS = [(7, 0, 1), (-1, 0, 1), (0, 10, 10), (0, 20, 10), (0, -1, 10), (0, 0, 1441)]


@pytest.mark.parametrize("weekday, from_min, to_min", REFUSED_WINDOWS)
def test_a_window_outside_its_day_is_refused(weekday, from_min, to_min):
    """A window over midnight would mean two different things to two readers."""
    window = Window(weekday=weekday, from_min=from_min, to_min=to_min)
    with pytest.raises(EditRefused) as refused:
        apply(EMPTY, Edit(puts=(Schedule(id="nights", windows=(window,)),)))
    assert refused.value.field == "windows"


def test_limits_themselves_are_allowed(building):
    """A whole day, a room for one, the longest period: what the message calls possible would be refused."""
    day = Schedule(id="day", windows=tuple(Window(weekday=day, from_min=0, to_min=1440) for day in range(7)))
    rows = [
        day,
        zone("one", occupancy_max=1, min_factors=3, name_en="n" * 80),
        zone("many", occupancy_max=100_000, min_factors=1),
        portal(release_ms=60_000, held_after_ms=3_600_000),
        portal("quick", release_ms=1, held_after_ms=1),
        Cardholder(id="a" * 64, ended_on=date(2000, 1, 1)),
        building.row(NeedToKnow, "ana-need", until_on=date(2027, 4, 1)),
        building.row(RosterEntry, "ana-lab", review_on=date(2026, 4, 1)),
        building.row(RosterEntry, "ana-office", review_on=date(2027, 3, 31)),
    ]
    apply(building.policy(), Edit(puts=tuple(rows)))


# -- drops -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drops, field, why",
    [
        ([("cardholder", "ana")], "table", "people are ended"),
        ([("clearance", "ana-clearance")], "table", "rights are ended"),
        ([("roster", "ana-lab")], "table", "rights are ended"),
        ([("nonsense", "x")], "table", "no such table"),
        ([("zone", "nowhere")], "id", "not there"),
        ([("schedule", "hours")], "id", "the vault goes by it"),
        ([("zone", "office")], "id", "zones, portals and rosters name it"),
        ([("portal", "front"), ("portal", "front")], "id", "twice"),
        ([("zone_status", "office")], "id", "a secured zone would come open"),
    ],
)
def test_a_drop_that_leaves_something_dangling_is_refused(building, drops, field, why):
    """Something would refer to nothing."""
    policy = building.policy(ZoneStatus(id="office", state=ZoneState.SECURED))
    with pytest.raises(EditRefused) as refused:
        apply(policy, Edit(drops=tuple(drops)))
    assert refused.value.field == field, why


@pytest.mark.parametrize(
    "puts, drop, by",
    [
        ((), ("schedule", "hours"), "zone vault"),
        ((zone("room"), zone("closet", parent="room")), ("zone", "room"), "zone closet"),
        ((zone("room"), portal("room-door", "street", "room")), ("zone", "room"), "portal room-door"),
        ((zone("room"), ZoneStatus(id="room", state=ZoneState.SECURED)), ("zone", "room"), "zone_status room"),
    ],
)
def test_a_refused_drop_says_who_still_needs_the_place(building, puts, drop, by):
    """The officer would search the whole site for what holds the room."""
    with pytest.raises(EditRefused, match=f"still named by {by}$"):
        apply(apply(building.policy(), Edit(puts=puts)), Edit(drops=(drop,)))


def test_places_nobody_names_are_dropped(building):
    """A demolished room would stay on the map for ever."""
    room = (zone("room", parent="office", schedule="hours"), ZoneStatus(id="room", state=ZoneState.SECURED))
    before = apply(building.policy(), Edit(puts=(*room, portal("room-door", "office", "room"))))
    after = apply(before, Edit(drops=(("portal", "room-door"), ("zone", "room"), ("zone_status", "room"))))
    assert after == building.policy()
    assert "room-door.in" not in after.access_points
    assert "room" not in after.lineages


def test_a_row_is_not_put_and_dropped_in_one_edit(building):
    """What the edit means would hang on the order of its lines."""
    with pytest.raises(EditRefused, match="twice"):
        apply(building.policy(), Edit(puts=(portal(),), drops=(("portal", "portal-9"),)))


# -- the fold ----------------------------------------------------------------------------------------------------------


def test_a_refused_edit_leaves_the_policy_as_it_was(building):
    """Half an edit would be in force (P2)."""
    policy = building.policy()
    before = contents(policy)
    with pytest.raises(EditRefused):
        apply(policy, Edit(puts=(Cardholder(id="bo"), zone("room", parent="nowhere"))))
    assert contents(policy) == before


def contents(policy):
    """Every field by value, mappings as they are now."""
    values = {field.name: getattr(policy, field.name) for field in fields(policy)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def test_tables_that_an_edit_does_not_touch_are_shared(building):
    """A thousand edits of a thousand rows would cost a million copies at every start."""
    policy = building.policy()
    after = apply(policy, Edit(puts=(Cardholder(id="bo"),)))
    changed = {field.name for field in fields(Policy) if getattr(after, field.name) is not getattr(policy, field.name)}
    assert changed == {"cardholders", "holders"}
    assert apply(policy, Edit()) is policy


def test_nobody_can_write_into_a_policy(building):
    """A stray line would change who may enter, without a record."""
    with pytest.raises(TypeError):
        building.policy().zones["street"] = zone("street")


def test_every_table_is_named_in_every_place():
    """A table would be lost between the ledger and the policy."""
    assert set(TABLES) == set(ATTRIBUTES)
    assert {TABLE_OF[kind] for kind in TABLES.values()} == set(TABLES)
    assert set(ATTRIBUTES.values()) <= {field.name for field in fields(Policy)}


def test_rows_rebuild_the_policy(building):
    """The controller would boot into another policy than the one it kept."""
    policy = building.policy(ZoneStatus(id="lab", state=ZoneState.SECURED))
    assert apply(EMPTY, Edit(puts=tuple(policy.rows()))) == policy
    assert policy.table("zone_status")["lab"].state is ZoneState.SECURED


@settings(max_examples=30)
@given(random=st.randoms(use_true_random=False))
def test_the_order_of_rows_in_an_edit_does_not_matter(building, random):
    """The same site file, saved in another order, would be another site or none."""
    rows = list(building.rows.values())
    random.shuffle(rows)
    assert apply(EMPTY, Edit(puts=tuple(rows))) == building.policy()


@settings(max_examples=40)
@given(data=st.data())
def test_indexes_followed_row_by_row_equal_indexes_made_anew(building, data):
    """After enough edits a card would open as somebody else, or a right would be overlooked."""
    people = [f"c{n}" for n in range(4)]
    policy = apply(building.policy(), Edit(puts=tuple(Cardholder(id=who) for who in people)))
    for n in range(data.draw(st.integers(1, 12))):
        who = data.draw(st.sampled_from(people))
        where = data.draw(st.sampled_from(["office", "lab", "vault"]))
        number = data.draw(st.integers(1, 6))
        row = data.draw(
            st.sampled_from(
                [
                    building.row(Clearance, "ana-clearance", id=f"clearance-{n}", cardholder=who),
                    building.row(NeedToKnow, "ana-need", id=f"need-{n}", cardholder=who),
                    building.roster(f"roster-{n}", where, who),
                    building.roster("roster-same", where, who),
                    credential(f"card-{number}", number, cardholder=who),
                    portal("portal-9", "office", data.draw(st.sampled_from(["lab", "vault"]))),
                ]
            )
        )
        try:
            policy = apply(policy, Edit(puts=(row,)))
        except EditRefused:
            continue
    assert fold([Edit(puts=tuple(policy.rows()))]) == policy
    assert {number: card.number_hash for number, card in policy.by_number.items()} == {n: n for n in policy.by_number}
