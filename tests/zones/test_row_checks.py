"""Rows in themselves: each bound of each table, from both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones.ids import ID_PATTERN
from zones.officers import Officer, OfficerKey, Role
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    Declaration,
    InformationItem,
    NeedToKnow,
    Override,
    Pin,
    Training,
    Visit,
)
from zones.places import (
    AntiPassback,
    Calendar,
    DeviceStatus,
    Portal,
    PortalMode,
    PortalStatus,
    Schedule,
    SiteStatus,
    Walk,
    Window,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.policy import TABLES, EditRefused
from zones.row_checks import CHECKS, FIXED, ONCE, check_change, check_row
from zones.terms import term_of

DAY = date(2026, 4, 1)
HASH = "ab" * 32

ROWS = {
    "calendar": Calendar(id="jp", days=(DAY, DAY + timedelta(days=1))),
    "schedule": Schedule(
        id="hours", windows=(Window(weekday=0, from_min=0, to_min=60, is_for_holidays=True),), calendar="jp"
    ),
    "zone": Zone(
        id="vault",
        name_ja="区画",
        name_en="Vault",
        kind=ZoneKind.EXCLUSION,
        items=("item-1",),
        accepted_bases=(Basis.COMPANY,),
        anti_passback=AntiPassback.HARD,
        company_level=3,
        training=("SAFE",),
        plan_ref="A-1",
    ),
    "store": Zone(
        id="store",
        name_ja="倉庫",
        name_en="Store",
        kind=ZoneKind.CONTROLLED,
        raised_factors=2,
        raised_outside="hours",
        anti_passback=AntiPassback.TIMED,
        apb_ms=60_000,
        occupancy_min=2,
        occupancy_max=2,
        dual_window_ms=30_000,
        policy_age_ms_max=60_000,
    ),
    "zone_status": ZoneStatus(id="vault", state=ZoneState.SECURED, sanitised_by="o-1", sanitised_confirmed_by="o-2"),
    "site_status": SiteStatus(id="site", threat_level=2, notice_version=1),
    "portal": Portal(
        id="front",
        name_ja="扉",
        name_en="Front",
        outer="street",
        inner="office",
        grade=4,
        held_after_ms=20_000,
        held_warn_ms=10_000,
        interlock_with=("back",),
        unlock_schedule="hours",
        first_in=True,
    ),
    "portal_status": PortalStatus(id="front", mode=PortalMode.ATTENDED, until_ms=1),
    "device_status": DeviceStatus(id="rd-1", is_trusted=True, restored_by="o-1", confirmed_by="o-2"),
    "walk": Walk(id="w", one="front", other="back", min_ms=1_000),
    "item": InformationItem(id="item-1", designated_until=DAY, contract_until=DAY, lifted_on=DAY),
    "cardholder": Cardholder(id="ana", kind=CardholderKind.VISITOR, notice_version=1, held_extra_ms=10_000),
    "pin": Pin(id="ana", salt="ab" * 16, pin_hash=HASH, duress_hash="cd" * 32),
    "clearance": Clearance(
        id="k",
        cardholder="ana",
        basis=Basis.COMPANY,
        notified_on=DAY,
        last_valid_on=term_of(Basis.COMPANY, DAY),
        recorded_by="o-1",
        confirmed_by="o-2",
        level=3,
    ),
    "need_to_know": NeedToKnow(
        id="n",
        cardholder="ana",
        item="item-1",
        purpose_code="P-01",
        from_on=DAY,
        until_on=DAY + timedelta(days=100),
        sponsor="o-9",
        requested_by="o-1",
        approved_by_1="o-2",
        approved_by_2="o-3",
        recert_on=DAY,
    ),
    "training": Training(id="t", cardholder="ana", course="SAFE", done_on=DAY, due_on=DAY + timedelta(days=366)),
    "declaration": Declaration(
        id="d", cardholder="ana", zone="vault", from_on=DAY, until_on=DAY, locker="L-1", permits=("P-1", "P-2")
    ),
    "visit": Visit(id="v", cardholder="vi", host="ana", zones=("office", "vault"), from_on=DAY, until_on=DAY),
    "override": Override(
        id="o",
        zone="vault",
        cardholders=("ana", "bo"),
        reason_code="ALARM",
        started_by="o-1",
        approved_by="o-2",
        from_ms=0,
        until_ms=240 * 60_000,
    ),
    "officer": Officer(
        id="officer-01",
        roles=(Role.WORK_MANAGER,),
        deputises=(Role.PROTECTION_OFFICER,),
        zones=("vault",),
        from_on=DAY,
        until_on=DAY + timedelta(days=365),
    ),
    "officer_key": OfficerKey(
        id="pk-1", officer="officer-01", credential="ab" * 16, public_key="cd" * 77, enrolled_on=DAY
    ),
}

# row, fields changed, field named, why
REFUSED = [
    ("calendar", {"days": (DAY, DAY)}, "days", "a holiday twice"),
    ("calendar", {"days": (DAY + timedelta(days=1), DAY)}, "days", "out of order: two files would differ for nothing"),
    ("calendar", {"days": (date(1970, 1, 1),)}, "days", "a clock that was never set"),
    ("schedule", {"calendar": None}, "calendar", "holidays that nobody knows"),
    (
        "schedule",
        {"windows": (Window(weekday=0, from_min=0, to_min=1, from_on=DAY, until_on=DAY - timedelta(days=1)),)},
        "windows",
        "ends before it begins",
    ),
    ("zone", {"accepted_bases": (Basis.KEIZAI_ANPO,)}, "company_level", "a level that nothing is measured by"),
    ("zone", {"company_level": 10}, "company_level", "nine levels"),
    ("zone", {"training": ("SAFE", "SAFE")}, "training", "a course twice"),
    ("zone", {"training": ("a course about safes",)}, "training", "free text (E-01)"),
    ("zone", {"plan_ref": ""}, "plan_ref", "drawn on no plan"),
    ("zone", {"anti_passback": AntiPassback.TIMED, "apb_ms": 1_000}, "anti_passback", "§3.3: hard or global"),
    ("zone", {"escort_ratio": 0}, "escort_ratio", "visitors that nobody may bring"),
    ("zone", {"escort_ratio": 21}, "escort_ratio", "one escort for a crowd"),
    ("store", {"raised_factors": None}, "raised_factors", "raised, to nothing"),
    ("store", {"raised_outside": None}, "raised_outside", "raised, at no hour"),
    ("store", {"raised_factors": 4}, "raised_factors", "there are three"),
    ("store", {"raised_factors": 1, "min_factors": 2}, "raised_factors", "raised below what is always asked"),
    ("store", {"apb_ms": None}, "apb_ms", "timed, without a time"),
    ("store", {"apb_ms": 999}, "apb_ms", "shorter than a second"),
    ("store", {"apb_ms": 86_400_001}, "apb_ms", "longer than a day"),
    ("store", {"anti_passback": AntiPassback.HARD}, "apb_ms", "a time that nothing asks for"),
    ("store", {"occupancy_min": 1}, "occupancy_min", "one is always there when somebody is"),
    ("store", {"occupancy_min": 3}, "occupancy_min", "more than there is room for"),
    ("store", {"dual_window_ms": 999}, "dual_window_ms", "nobody is that quick"),
    ("store", {"dual_window_ms": 120_001}, "dual_window_ms", "two entries, not one"),
    ("store", {"policy_age_ms_max": 999}, "policy_age_ms_max", "always stale"),
    ("zone_status", {"sanitised_by": None}, "sanitised_by", "confirmed what nobody did"),
    ("zone_status", {"sanitised_confirmed_by": "o-1"}, "sanitised_confirmed_by", "one person alone (A-19)"),
    ("zone_status", {"sanitised_by": "O. Ficer"}, "sanitised_by", "a name, not an identifier"),
    ("site_status", {"id": "annex"}, "id", "there is one site"),
    ("site_status", {"threat_level": 3}, "threat_level", "0 to 2"),
    ("site_status", {"notice_version": -1}, "notice_version", "before the first"),
    ("portal", {"grade": 0}, "grade", "IEC 60839-11-1 has 1 to 4"),
    ("portal", {"grade": 5}, "grade", "IEC 60839-11-1 has 1 to 4"),
    ("portal", {"held_warn_ms": 20_000}, "held_warn_ms", "the warning comes with the alarm"),
    ("portal", {"held_warn_ms": 0}, "held_warn_ms", "the warning comes with the opening"),
    ("portal", {"interlock_with": ("front",)}, "interlock_with", "waits for itself"),
    ("portal", {"interlock_with": ("back", "back")}, "interlock_with", "twice"),
    ("portal", {"unlock_schedule": None}, "first_in", "the first in, of what hours?"),
    ("portal_status", {"until_ms": None}, "until_ms", "somebody stands by for ever"),
    ("portal_status", {"until_ms": -1}, "until_ms", "before 1970"),
    ("device_status", {"restored_by": None, "confirmed_by": None}, "confirmed_by", "A-12: two people"),
    ("device_status", {"confirmed_by": None}, "confirmed_by", "A-12: two people"),
    ("device_status", {"confirmed_by": "o-1"}, "confirmed_by", "A-12: two different people"),
    ("walk", {"other": "front"}, "other", "from a portal to itself"),
    ("walk", {"min_ms": 0}, "min_ms", "no walk at all"),
    ("walk", {"min_ms": 3_600_001}, "min_ms", "a hike"),
    ("item", {"lifted_on": date(1999, 1, 1)}, "lifted_on", "before the year 2000"),
    ("cardholder", {"notice_version": -1}, "notice_version", "before the first"),
    ("cardholder", {"held_extra_ms": 600_001}, "held_extra_ms", "a door propped open for ten minutes"),
    ("pin", {"salt": "ab" * 15}, "salt", "too short to be one"),
    ("pin", {"salt": "xy" * 16}, "salt", "not hex"),
    ("pin", {"pin_hash": "1234"}, "pin_hash", "the PIN itself"),
    ("pin", {"duress_hash": "1234"}, "duress_hash", "the PIN itself"),
    ("pin", {"duress_hash": HASH}, "duress_hash", "every entry would be an alarm"),
    ("clearance", {"level": 0}, "level", "a company clearance of no level"),
    ("clearance", {"level": 10}, "level", "nine levels"),
    (
        "clearance",
        {"basis": Basis.KEIZAI_ANPO, "last_valid_on": term_of(Basis.KEIZAI_ANPO, DAY)},
        "level",
        "statute knows no levels",
    ),
    ("need_to_know", {"approved_by_1": "o-1"}, "approved_by_1", "§3.2: approves his own request"),
    ("need_to_know", {"approved_by_2": "o-1"}, "approved_by_2", "§3.2: three different people"),
    ("need_to_know", {"approved_by_2": "o-2"}, "approved_by_2", "§3.2: three different people"),
    ("need_to_know", {"requested_by": "ana"}, "requested_by", "§3.2: none is the one it is for"),
    ("need_to_know", {"approved_by_2": "ana"}, "approved_by_2", "§3.2: none is the one it is for"),
    ("need_to_know", {"requested_by": None}, "approved_by_1", "approved what nobody requested"),
    ("need_to_know", {"approved_by_1": None}, "approved_by_2", "the second approval before the first"),
    ("need_to_know", {"sponsor": "O. Ficer"}, "sponsor", "a name, not an identifier"),
    ("need_to_know", {"recert_on": DAY - timedelta(days=1)}, "recert_on", "lapsed before it began"),
    ("training", {"due_on": DAY - timedelta(days=1)}, "due_on", "due before it was done"),
    ("training", {"due_on": DAY + timedelta(days=367)}, "due_on", "D-13: every year"),
    ("training", {"course": "a course"}, "course", "free text (E-01)"),
    ("declaration", {"until_on": DAY - timedelta(days=1)}, "until_on", "ends before it begins"),
    ("declaration", {"until_on": DAY + timedelta(days=367)}, "until_on", "a declaration for good"),
    ("declaration", {"locker": "his blue phone"}, "locker", "free text (E-01)"),
    ("declaration", {"permits": ("P-1", "P-1")}, "permits", "a permit twice"),
    ("visit", {"host": "vi"}, "host", "answers for himself"),
    ("visit", {"zones": ()}, "zones", "leads nowhere"),
    ("visit", {"zones": ("office", "office")}, "zones", "twice"),
    ("visit", {"until_on": DAY - timedelta(days=1)}, "until_on", "ends before it begins"),
    ("override", {"approved_by": "o-1"}, "approved_by", "A-32: two people"),
    ("override", {"until_ms": 240 * 60_000 + 1}, "until_ms", "A-32: time-boxed"),
    ("override", {"until_ms": 0}, "until_ms", "over before it begins"),
    ("override", {"cardholders": ()}, "cardholders", "for nobody"),
    ("override", {"cardholders": ("ana", "ana")}, "cardholders", "twice"),
    ("override", {"reason_code": "the alarm rang"}, "reason_code", "free text (E-01)"),
    ("override", {"ended_ms": -1}, "ended_ms", "before 1970"),
    ("officer", {"roles": (), "deputises": (), "zones": ()}, "roles", "an officer for nothing"),
    ("officer", {"roles": (Role.WORK_MANAGER,) * 2}, "roles", "a post twice"),
    ("officer", {"roles": (Role.AUDITOR, Role.WORK_MANAGER)}, "roles", "A-29: watches over himself"),
    ("officer", {"roles": (Role.AUDITOR,), "zones": ()}, "roles", "A-29: as a deputy too"),
    ("officer", {"roles": (Role.GUARD,), "deputises": ()}, "zones", "zones that nobody answers for"),
    ("officer", {"zones": ("vault", "vault")}, "zones", "twice"),
    ("officer", {"until_on": DAY - timedelta(days=1)}, "until_on", "gone before he comes"),
    ("officer_key", {"credential": "AB" * 16}, "credential", "one passkey under two names"),
    ("officer_key", {"credential": "ab" * 15}, "credential", "too short to be nobody else's"),
    ("officer_key", {"public_key": "cd" * 31}, "public_key", "no key"),
]


@pytest.mark.parametrize("name", ROWS)
def test_rows_in_order_are_taken(name):
    """An officer could not enter what the law asks for."""
    check_row(ROWS[name])


@pytest.mark.req("A-06", "A-12", "A-19", "A-32", "B-01", "B-04", "B-06", "B-13", "D-13")
@pytest.mark.parametrize("name, changes, field, why", REFUSED)
def test_a_row_out_of_order_is_refused_by_the_field(name, changes, field, why):
    """A rule would read nonsense, and nobody would be told which line to mend."""
    with pytest.raises(EditRefused) as refused:
        check_row(replace(ROWS[name], **changes))
    assert refused.value.field == field, why


@pytest.mark.parametrize(
    "name, changes",
    [
        ("portal_status", {"mode": PortalMode.UNLOCKED, "until_ms": None}),
        ("portal_status", {"mode": PortalMode.LOCKED, "until_ms": None}),
        ("device_status", {"is_trusted": False, "restored_by": None, "confirmed_by": None}),
        ("device_status", {"is_trusted": False, "confirmed_by": None}),
        ("zone_status", {"sanitised_confirmed_by": None}),
        ("zone_status", {"sanitised_by": None, "sanitised_confirmed_by": None}),
        ("need_to_know", {"approved_by_2": None}),
        ("need_to_know", {"approved_by_1": None, "approved_by_2": None}),
        ("need_to_know", {"requested_by": None, "approved_by_1": None, "approved_by_2": None}),
        ("zone", {"anti_passback": AntiPassback.GLOBAL}),
        ("zone", {"escort_ratio": 20}),
        ("store", {"raised_factors": 1}),
        ("store", {"raised_factors": 3, "dual_window_ms": 120_000}),
        ("store", {"occupancy_max": None}),
        ("portal", {"grade": 1, "held_warn_ms": 19_999}),
        ("pin", {"duress_hash": None}),
        ("clearance", {"level": 9}),
        ("override", {"until_ms": 1, "ended_ms": 0}),
        ("site_status", {"threat_level": 0, "is_locked_down": True}),
    ],
)
def test_steps_on_the_way_and_bounds_themselves_are_taken(name, changes):
    """A request could not wait for its approvals, or a limit would be one less than it says."""
    check_row(replace(ROWS[name], **changes))


@pytest.mark.parametrize(
    "name, changes, field",
    [
        ("cardholder", {"kind": CardholderKind.STAFF}, "kind"),
        ("clearance", {"level": 9}, "level"),
        ("need_to_know", {"requested_by": "o-8"}, "requested_by"),
        ("need_to_know", {"approved_by_1": "o-8"}, "approved_by_1"),
        ("need_to_know", {"approved_by_2": None}, "approved_by_2"),
        ("training", {"course": "FIRE"}, "course"),
        ("declaration", {"zone": "lab"}, "zone"),
        ("visit", {"zones": ("office", "vault", "lab")}, "zones"),
        ("visit", {"host": "bo"}, "host"),
        ("override", {"cardholders": ("ana", "bo", "cy")}, "cardholders"),
        ("override", {"until_ms": 1}, "until_ms"),
        ("override", {"zone": "lab"}, "zone"),
        ("officer_key", {"officer": "officer-02"}, "officer"),
        ("officer_key", {"public_key": "ef" * 77}, "public_key"),
    ],
)
def test_what_was_approved_never_becomes_something_else(name, changes, field):
    """Two officers would have signed for one right, and another would be in force."""
    with pytest.raises(EditRefused) as refused:
        check_change(ROWS[name], replace(ROWS[name], **changes))
    assert refused.value.field == field


@pytest.mark.req("A-32")
def test_break_glass_is_ended_once(building):
    """An override that was ended would be opened again by one officer alone."""
    ended = replace(ROWS["override"], ended_ms=5)
    check_change(ROWS["override"], ended)
    with pytest.raises(EditRefused) as refused:
        check_change(ended, replace(ended, ended_ms=None))
    assert refused.value.field == "ended_ms"


def test_approvals_come_one_by_one():
    """Nobody could approve what was entered as a draft."""
    draft = replace(ROWS["need_to_know"], requested_by=None, approved_by_1=None, approved_by_2=None)
    steps = [{"requested_by": "o-1"}, {"approved_by_1": "o-2"}, {"approved_by_2": "o-3"}]
    for step in steps:
        after = replace(draft, **step)
        check_row(after)
        check_change(draft, after)
        draft = after
    assert draft.is_approved


def test_every_table_has_its_check_and_every_kept_field_is_one():
    """Rows of a table that was forgotten would be taken as they come."""
    assert set(CHECKS) == set(TABLES.values())
    for table in (FIXED, ONCE):
        for kind, names in table.items():
            assert set(names) <= set(kind.__dataclass_fields__), kind


@given(
    officers=st.tuples(*[st.sampled_from([None, "ana", "o-1", "o-2", "o-3"])] * 3),
)
def test_a_need_to_know_counts_only_when_three_others_signed(officers):
    """Two people, or the one who profits, would be enough (§3.2)."""
    row = replace(
        ROWS["need_to_know"],
        requested_by=officers[0],
        approved_by_1=officers[1],
        approved_by_2=officers[2],
    )
    try:
        check_row(row)
    except EditRefused:
        return
    if row.is_approved:
        assert len({row.cardholder, *officers}) == 4


def test_ids_are_what_topics_and_paths_can_hold():
    """A row would be named by something that a topic takes for two levels."""
    assert ID_PATTERN == r"[a-z0-9][a-z0-9-]{0,63}"
    for name in ("Front", "front/2", "-front", "", "f" * 65):
        with pytest.raises(EditRefused, match="id"):
            check_row(replace(ROWS["walk"], id=name))
