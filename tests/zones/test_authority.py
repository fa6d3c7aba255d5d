"""The table of authority: how much a change does, how many must sign it, and who may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones.authority import AUTHORITY, NAMED, NotAuthorised, Weight, judge, posts_of, signing_officers, weigh_row
from zones.edits import apply
from zones.officers import Officer, OfficerKey, Role
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
    DeviceStatus,
    Portal,
    PortalMode,
    PortalStatus,
    SiteStatus,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.policy import EMPTY, TABLES, Edit, EditRefused

DAY = date(2026, 11, 24)
YEAR = DAY + timedelta(days=330)
PO, WM, GUARD = Role.PROTECTION_OFFICER, Role.WORK_MANAGER, Role.GUARD


def officer(name: str, *roles: Role, **more: object) -> Officer:
    return Officer(**{"id": name, "roles": roles, "from_on": DAY, "until_on": YEAR, **more})  # type: ignore[arg-type]


def key(name: str) -> OfficerKey:
    return OfficerKey(
        id=f"pk-{name}", officer=name, credential=name.encode().hex().ljust(64, "0"), public_key="cd" * 77,
        enrolled_on=DAY,
    )  # fmt: skip


PLACE = RosterEntry(id="r-1", cardholder="ana", zone="vault", from_on=DAY, until_on=YEAR, review_on=YEAR)
NEED = NeedToKnow(
    id="n-1", cardholder="ana", item="item-1", purpose_code="P-01", from_on=DAY, until_on=YEAR, requested_by="x-1",
    approved_by_1="wm", approved_by_2="po",
)  # fmt: skip
CARD = Credential(id="c-1", cardholder="ana", number_hash="0" * 64, last4="00A1", state=CredentialState.ACTIVE)
CLEARED = Clearance(
    id="k-1", cardholder="ana", basis=Basis.KEIZAI_ANPO, notified_on=date(2026, 4, 1), last_valid_on=date(2036, 3, 31),
    recorded_by="wm", confirmed_by="po",
)  # fmt: skip
GLASS = Override(
    id="o-1", zone="vault", cardholders=("bo",), reason_code="FLOOD", started_by="wm", approved_by="po", from_ms=0,
    until_ms=60_000,
)  # fmt: skip
ITEM = InformationItem(id="item-1", designated_until=YEAR)
PLACES = (
    Zone(id="outside", name_ja="外", name_en="Outside", kind=ZoneKind.UNRESTRICTED),
    Zone(id="office", name_ja="室", name_en="Office", kind=ZoneKind.CONTROLLED, parent="outside"),
    Zone(
        id="vault", name_ja="庫", name_en="Vault", kind=ZoneKind.EXCLUSION, parent="office", items=("item-1",),
        accepted_bases=(Basis.KEIZAI_ANPO,), anti_passback=AntiPassback.HARD,
    ),
    Portal(id="front", name_ja="扉", name_en="Front", outer="outside", inner="office"),
    Portal(id="inner", name_ja="扉", name_en="Inner", outer="office", inner="vault"),
)  # fmt: skip
OFFICERS = (
    officer("po", PO),
    officer("po-2", PO),
    officer("wm", WM, zones=("office",)),
    officer("wm-away", WM, zones=("office",), cardholder="ana"),
    officer("guard", GUARD),
    officer("auditor", Role.AUDITOR),
    officer("deputy", GUARD, deputises=(PO,)),
)
BEFORE = apply(
    EMPTY,
    Edit(
        puts=(
            *PLACES, ITEM, Cardholder(id="ana"), Cardholder(id="bo"), Cardholder(id="vi", kind=CardholderKind.VISITOR),
            CARD, CLEARED, NEED, PLACE, GLASS, *OFFICERS, *(key(one.id) for one in OFFICERS),
        )
    ),
)  # fmt: skip

NARROWS, ROUTINE, WIDENS = Weight.NARROWS, Weight.ROUTINE, Weight.WIDENS
WEIGHTS = [
    # row, how much it does against what is there
    (replace(PLACE, is_suspended=True), NARROWS),
    (replace(PLACE, ended_on=DAY), NARROWS),
    (replace(PLACE, until_on=YEAR - timedelta(days=1)), NARROWS),
    (replace(PLACE, until_on=YEAR + timedelta(days=1)), WIDENS),
    (replace(PLACE, review_on=YEAR + timedelta(days=1)), WIDENS),
    (replace(PLACE, is_escort=True), WIDENS),
    (replace(PLACE, is_suspended=True, is_opener=True), WIDENS),
    (replace(PLACE, id="r-2", cardholder="bo"), WIDENS),
    (replace(NEED, is_suspended=True), NARROWS),
    (replace(NEED, ended_on=DAY), NARROWS),
    (replace(NEED, until_on=YEAR + timedelta(days=9)), WIDENS),
    (replace(NEED, id="n-2", approved_by_1=None, approved_by_2=None), ROUTINE),
    (replace(NEED, id="n-2"), WIDENS),
    (replace(CARD, state=CredentialState.LOST), NARROWS),
    (replace(CARD, scheme="pkoc"), WIDENS),
    (replace(CARD, id="c-2", number_hash="1" * 64), WIDENS),
    (replace(CARD, id="c-2", number_hash="1" * 64, state=CredentialState.ISSUED), ROUTINE),
    (replace(CLEARED, ended_on=DAY), NARROWS),
    (replace(CLEARED, id="k-2"), WIDENS),
    (replace(CLEARED, id="k-2", confirmed_by=None), ROUTINE),
    (replace(GLASS, ended_ms=5), NARROWS),
    (replace(GLASS, id="o-2"), WIDENS),
    (replace(ITEM, lifted_on=DAY), NARROWS),
    (replace(ITEM, designated_until=YEAR + timedelta(days=1)), WIDENS),
    (InformationItem(id="item-2", designated_until=YEAR), ROUTINE),
    (Cardholder(id="cy"), ROUTINE),
    (Cardholder(id="ana", ended_on=DAY), NARROWS),
    (Cardholder(id="ana", held_extra_ms=5_000), WIDENS),
    (Cardholder(id="ana", notice_version=2), ROUTINE),
    (Training(id="t", cardholder="ana", course="SAFE", done_on=DAY, due_on=YEAR), ROUTINE),
    (Declaration(id="d", cardholder="ana", zone="vault", from_on=DAY, until_on=DAY), ROUTINE),
    (Visit(id="v", cardholder="vi", host="ana", zones=("office",), from_on=DAY, until_on=DAY), ROUTINE),
    (Visit(id="v", cardholder="vi", host="ana", zones=("office", "vault"), from_on=DAY, until_on=DAY), WIDENS),
    (ZoneStatus(id="vault", state=ZoneState.SECURED), NARROWS),
    (ZoneStatus(id="vault", state=ZoneState.OPEN_UNATTENDED), WIDENS),
    (ZoneStatus(id="vault", state=ZoneState.OPEN_ATTENDED, is_locked_down=True), NARROWS),
    (
        ZoneStatus(id="vault", state=ZoneState.SECURED, sanitised_by="po", sanitised_confirmed_by="po-2"),
        WIDENS,
    ),
    (SiteStatus(id="site", is_locked_down=True), NARROWS),
    (SiteStatus(id="site", threat_level=1), NARROWS),
    (PortalStatus(id="front", mode=PortalMode.LOCKED), NARROWS),
    (PortalStatus(id="front", mode=PortalMode.LOCKED, until_ms=9), WIDENS),
    (PortalStatus(id="front", mode=PortalMode.UNLOCKED, until_ms=9), WIDENS),
    (PortalStatus(id="front", mode=PortalMode.CARD), WIDENS),
    (DeviceStatus(id="rd", is_trusted=False), NARROWS),
    (DeviceStatus(id="rd", is_trusted=True, restored_by="po", confirmed_by="po-2"), WIDENS),
    (officer("guard", GUARD, ended_on=DAY), NARROWS),
    (officer("guard", GUARD, WM), WIDENS),
    (officer("new", GUARD), WIDENS),
    (replace(key("guard"), ended_on=DAY), NARROWS),
    (key("new-key"), WIDENS),
]


@pytest.mark.req("D-07", "A-31")
@pytest.mark.parametrize(("row", "weight"), WEIGHTS)
def test_what_a_row_does_follows_from_the_rows_before_and_after(row, weight):
    """Something that lets more people in would take effect on one signature."""
    assert weigh_row(BEFORE, row) is weight
    assert weight.signers == (2 if weight is WIDENS else 1)


def test_the_same_again_takes_nothing_and_gives_nothing():
    """A change that changes nothing would need two people."""
    assert all(weigh_row(BEFORE, row) is NARROWS for row in (PLACE, NEED, CARD, CLEARED, GLASS, *OFFICERS))


def signed(*rows, by=("wm", "po"), before=BEFORE, day=DAY):
    edit = Edit(puts=rows)
    return judge(before, apply(before, edit), edit, by, day)


REFUSED = [
    # rows, signers, code
    ((replace(PLACE, is_escort=True),), (), "unsigned"),
    ((replace(PLACE, is_escort=True),), ("po",), "two_people"),
    ((replace(PLACE, is_escort=True),), ("po", "po"), "two_people"),
    ((replace(PLACE, is_escort=True),), ("po", "nobody"), "not_an_officer"),
    ((replace(PLACE, is_escort=True),), ("po", "guard"), "not_your_role"),
    ((replace(PLACE, is_escort=True),), ("po", "auditor"), "not_your_role"),
    ((replace(PLACE, is_escort=True),), ("po", "wm"), "not_your_zone"),  # the vault is not nested in what wm has: it is
    ((replace(PLACE, ended_on=DAY),), ("auditor",), "not_your_role"),
    ((replace(NEED, id="n-9", approved_by_1="po-2"),), ("po", "wm"), "not_signed_by"),
    ((replace(CLEARED, id="k-9", cardholder="bo", recorded_by="po-2"),), ("po", "wm"), "not_signed_by"),
    ((replace(PLACE, id="r-9", zone="office"),), ("po", "wm-away"), "self_grant"),
    ((replace(GLASS, id="o-9", cardholders=("ana", "bo"), started_by="po", approved_by="wm-away"),), ("po", "wm-away"),
     "self_grant"),
    ((replace(CARD, id="c-9", number_hash="9" * 64),), ("po", "wm-away"), "self_grant"),
    ((officer("po", PO, WM),), ("po", "po-2"), "self_grant"),
    ((replace(key("po"), id="pk-9", credential="99" * 32),), ("po", "po-2"), "self_grant"),
]  # fmt: skip


@pytest.mark.req("A-31", "D-07", "A-32", "A-01")
@pytest.mark.parametrize(("rows", "by", "code"), REFUSED)
def test_what_is_not_signed_by_those_who_may_is_refused(rows, by, code):
    """Somebody would let himself in, or let in others where he does not answer for it."""
    if code == "not_your_zone":
        rows = (replace(rows[0], id="r-7", cardholder="bo", zone="outside"),)
    with pytest.raises(NotAuthorised) as refused:
        signed(*rows, by=by)
    assert refused.value.code == code


@pytest.mark.req("D-07")
def test_two_people_of_whom_one_answers_for_protection_sign_what_widens():
    """Nobody could be let in at all."""
    assert signed(replace(PLACE, is_escort=True), by=("wm", "po")) is WIDENS
    assert signed(replace(PLACE, is_escort=True), by=("po", "po-2")) is WIDENS
    assert signed(replace(PLACE, ended_on=DAY), by=("wm",)) is NARROWS
    assert signed(replace(PLACE, ended_on=DAY), by=("po",)) is NARROWS
    assert signed(replace(CARD, state=CredentialState.LOST), by=("guard",)) is NARROWS
    shut = ZoneStatus(id="vault", state=ZoneState.SECURED, is_locked_down=True)
    assert signed(shut, by=("guard",)) is NARROWS, "the reception shuts whatever burns, and answers for no zone"
    assert signed(replace(PLACE, ended_on=DAY), by=("wm-away",)) is NARROWS, "whoever takes from himself needs nobody"
    with pytest.raises(NotAuthorised) as refused:
        signed(
            replace(PLACE, is_escort=True),
            by=("wm", "wm-2"),
            before=with_officers(officer("wm-2", WM, zones=("outside",))),
        )
    assert refused.value.code == "not_your_role"


def with_officers(*more: Officer):
    return apply(BEFORE, Edit(puts=more))


@pytest.mark.req("D-07")
def test_a_vacant_post_blocks_what_widens_and_nothing_else():
    """A deputy would run the house alone for years, or nobody could take a right away."""
    gone = with_officers(officer("po", PO, ended_on=DAY), officer("po-2", PO, ended_on=DAY))
    assert posts_of(BEFORE, BEFORE.officers["deputy"], DAY) == {GUARD, PO}
    assert posts_of(gone, gone.officers["deputy"], DAY) == {GUARD}
    more = apply(gone, Edit(puts=(officer("wm-2", WM, zones=("office",)),)))
    with pytest.raises(NotAuthorised) as refused:
        signed(replace(PLACE, is_escort=True), by=("wm", "wm-2"), before=more)
    assert refused.value.code == "post_vacant"
    assert signed(replace(PLACE, is_suspended=True), by=("wm",), before=gone) is NARROWS


@pytest.mark.req("D-07", "A-30")
def test_whoever_is_not_in_post_signs_nothing():
    """Somebody who left could still let people in."""
    for when in (DAY - timedelta(days=1), YEAR + timedelta(days=1)):
        with pytest.raises(NotAuthorised) as refused:
            signed(replace(PLACE, ended_on=DAY), by=("po",), day=when)
        assert refused.value.code == "not_an_officer"


def test_nobody_makes_himself_the_last_who_can_sign():
    """One officer could put all others out, and nothing could be undone."""
    few = apply(
        EMPTY,
        Edit(puts=(*PLACES, ITEM, officer("po", PO), officer("wm", WM, zones=("outside",)), key("po"), key("wm"))),
    )
    assert signing_officers(few, DAY) == {"po", "wm"}
    for row in (officer("wm", WM, zones=("outside",), ended_on=DAY), replace(key("wm"), ended_on=DAY)):
        with pytest.raises(NotAuthorised) as refused:
            signed(row, by=("po",), before=few)
        assert refused.value.code == "two_people"
    later = DAY + timedelta(days=1)
    for row in (officer("wm", WM, zones=("outside",), ended_on=later), replace(key("wm"), ended_on=later)):
        with pytest.raises(NotAuthorised) as refused:
            signed(row, by=("po",), before=few)
        assert refused.value.code == "two_people", "what is over tomorrow leaves him alone tomorrow"
    with pytest.raises(NotAuthorised):
        signed(officer("wm", WM, zones=("outside",), until_on=later), by=("po",), before=few)
    assert signed(officer("guard", GUARD, ended_on=DAY), by=("po",)) is NARROWS


@pytest.mark.req("A-31", "D-07")
def test_one_person_under_two_pseudonyms_is_one_person():
    """Somebody who is named twice, as a work manager and as a deputy, would let people in by himself."""
    twice = with_officers(officer("po-3", PO, cardholder="ana"))
    bo = replace(PLACE, id="r-9", cardholder="bo", zone="office")
    with pytest.raises(NotAuthorised) as refused:
        signed(bo, by=("po-3", "wm-away"), before=twice)
    assert refused.value.code == "two_people"
    assert signed(bo, by=("po", "wm-away"), before=twice) is WIDENS


OWN = [
    replace(NEED, id="n-9", approved_by_1="wm-own", approved_by_2=None),
    replace(CLEARED, id="k-9", recorded_by="wm-own", confirmed_by=None),
    Training(id="t", cardholder="ana", course="SAFE", done_on=DAY, due_on=YEAR),
]


@pytest.mark.req("A-31")
@pytest.mark.parametrize("row", OWN)
def test_nobody_vouches_for_himself_in_what_takes_one_signature(row):
    """Half of an approval would be one's own, given while it was a draft; or one is trained by one's own word."""
    own = with_officers(officer("wm-own", WM, zones=("outside",), cardholder="ana"))
    with pytest.raises(NotAuthorised) as refused:
        signed(row, by=("wm-own",), before=own)
    assert refused.value.code == "self_grant"


@pytest.mark.req("A-31")
def test_who_an_officer_is_as_one_who_enters_is_said_once():
    """Somebody who was named without it would sign for himself until he is replaced; or take it off for one change."""
    assert signed(officer("po", PO, cardholder="bo"), by=("po-2", "wm")) is WIDENS
    for other in ({"cardholder": "bo"}, {}):
        with pytest.raises(EditRefused):
            signed(officer("wm-away", WM, zones=("office",), **other), by=("po", "po-2"))


@pytest.mark.req("A-31")
def test_an_item_is_of_the_zones_where_it_is_handled():
    """A work manager would shut zones that are not his, by ending the designation of what is handled there."""
    away = with_officers(officer("wm-2", WM, zones=("outside",)), officer("wm-3", WM))
    assert signed(replace(ITEM, lifted_on=DAY), by=("wm-2",), before=away) is NARROWS
    with pytest.raises(NotAuthorised) as refused:
        signed(replace(ITEM, lifted_on=DAY), by=("wm-3",), before=away)
    assert refused.value.code == "not_your_zone"


def test_every_table_that_officers_change_has_its_row_in_the_table():
    """A new table could be changed by nobody, or by everybody."""
    assert set(AUTHORITY) < set(TABLES) and set(NAMED) < set(AUTHORITY)
    assert set(TABLES) - set(AUTHORITY) == {"calendar", "schedule", "zone", "portal", "walk"}


@pytest.mark.req("A-31")
@given(
    rows=st.lists(
        st.sampled_from([row for row, _ in WEIGHTS]), min_size=1, max_size=4, unique_by=lambda row: (type(row), row.id)
    ),
    by=st.lists(st.sampled_from([one.id for one in OFFICERS]), max_size=3),
)
def test_whatever_is_taken_was_signed_by_enough(rows, by):
    """Some mixture of rows would slip through with fewer people than its heaviest row takes."""
    try:
        edit = Edit(puts=tuple(rows))
        weight = judge(BEFORE, apply(BEFORE, edit), edit, by, DAY)
    except ValueError:
        return
    assert weight is max(weigh_row(BEFORE, row) for row in rows) or weight is WIDENS
    assert len(set(by)) >= weight.signers
    if weight is WIDENS:
        assert {"po", "po-2", "deputy"} & set(by)


def test_an_officer_and_a_cardholder_have_names_of_their_own():
    """Whoever has the page of his own records would see the sessions of the officer of that name."""
    for rows in ((officer("ana", GUARD),), (Cardholder(id="guard"),), (officer("new", GUARD), Cardholder(id="new"))):
        with pytest.raises(EditRefused) as refused:
            apply(BEFORE, Edit(puts=rows))
        assert refused.value.field == "id"
