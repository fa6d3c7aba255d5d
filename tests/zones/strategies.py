"""Sites, people, places and requests at random: mostly in order, so that what is asked of them is often granted.

A `Case` is all that a decision reads. `tighter(case)` gives the same case with one thing taken away or asked for more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from zones.decision import Decision, Evidence, Method, Request, decide
from zones.decision.values import PinCheck
from zones.edits import EMPTY, apply
from zones.moment import Moment, epoch_ms
from zones.occupancy import Occupancy
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
    LinkAssurance,
    Portal,
    Schedule,
    SiteStatus,
    Window,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.policy import Edit, EditRefused, Policy, Row

NOW = datetime(2026, 5, 11, 1, 0, tzinfo=UTC)  # Monday, 10:00 in Japan
TODAY = date(2026, 5, 11)
YESTERDAY = date(2026, 5, 10)
LAST_APRIL, NEXT_MARCH = date(2026, 4, 1), date(2027, 3, 31)

NUMBERS = {"ana": 1, "bo": 2, "cy": 3, "mo": 4}
STRANGER = 99
KINDS = {"cy": CardholderKind.VISITOR, "mo": CardholderKind.MAINTENANCE}
ZONES = ("street", "yard", "office", "lab", "vault")
WAYS_IN = {"gate.in": "street", "front.in": "street", "lab-door.in": "office", "vault-door.in": "lab"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that one decision reads."""

    policy: Policy
    occupancy: Occupancy
    request: Request
    now: Moment

    def with_only(self, *kinds: type[Row]) -> Case:
        """The same case on a site that has no rows but of these kinds."""
        rows = tuple(row for row in self.policy.rows() if isinstance(row, kinds))
        return replace(self, policy=apply(EMPTY, Edit(puts=rows)))

    def decided(self) -> Decision:
        return decide(self.policy, self.occupancy, self.request, self.now)


def mostly(usual: object, *others: object) -> st.SearchStrategy:
    """Fifteen times in sixteen what is usual."""
    return st.sampled_from([usual] * 15 * len(others) + list(others))


def number_hash(number: int) -> str:
    return f"{number:064x}"


# -- places ----------------------------------------------------------------------------------------------------------

SCHEDULES = (
    Schedule(id="always", windows=tuple(Window(weekday=day, from_min=0, to_min=1440) for day in range(7))),
    Schedule(id="hours", windows=tuple(Window(weekday=day, from_min=480, to_min=1200) for day in range(5))),
    Schedule(id="never", windows=()),
)


@st.composite
def places(draw) -> tuple[Row, ...]:
    """Zones one in another and the portals between them, each asking for something or other, and a yard."""
    lab_items = draw(mostly((), ("item-1",)))
    vault = Zone(
        id="vault",
        name_ja="取扱区画",
        name_en="Vault",
        kind=ZoneKind.EXCLUSION,
        parent="lab",
        items=("item-1", "item-2"),
        accepted_bases=(Basis.KEIZAI_ANPO, Basis.COMPANY),
        company_level=draw(st.sampled_from([0, 5])),
        anti_passback=draw(st.sampled_from([AntiPassback.HARD, AntiPassback.GLOBAL])),
        **_demands(draw),
    )
    passback = draw(st.sampled_from(list(AntiPassback)))
    lab = Zone(
        id="lab",
        name_ja="研究室",
        name_en="Lab",
        kind=ZoneKind.LIMITED,
        parent="office",
        items=lab_items,
        accepted_bases=(Basis.KEIZAI_ANPO, Basis.COMPANY) if lab_items else (),
        anti_passback=passback,
        apb_ms=60_000 if passback is AntiPassback.TIMED else None,
        is_vestibule=draw(mostly(False, True)),
        **_demands(draw),
    )
    interlock = draw(mostly((), ("lab-door",)))
    return (
        *SCHEDULES,
        Zone(id="street", name_ja="屋外", name_en="Street", kind=ZoneKind.UNRESTRICTED),
        Zone(id="office", name_ja="事務室", name_en="Office", kind=ZoneKind.CONTROLLED, parent="street"),
        *(lab, vault, InformationItem(id="item-1", designated_until=NEXT_MARCH)),
        Zone(id="yard", name_ja="庭", name_en="Yard", kind=ZoneKind.UNRESTRICTED, parent="street"),
        Portal(id="gate", name_ja="門", name_en="Gate", outer="street", inner="yard"),
        Portal(id="front", name_ja="正面", name_en="Front", outer="street", inner="office"),
        Portal(id="lab-door", name_ja="扉", name_en="Lab", outer="office", inner="lab"),
        Portal(id="vault-door", name_ja="扉", name_en="Vault", outer="lab", inner="vault", interlock_with=interlock),
    )


def _demands(draw) -> dict[str, object]:
    raised_outside = draw(mostly(None, "hours", "never"))
    return {
        "uid_accepted": draw(st.booleans()),
        "attended_counts": draw(st.booleans()),
        "visitors_allowed": draw(mostly(True, False)),
        "escort_ratio": draw(st.sampled_from([1, 4])),
        "occupancy_max": draw(mostly(None, 2, 5)),
        "occupancy_min": draw(mostly(None, 2)),
        "dual_window_ms": draw(mostly(None, 30_000)),
        "needs_opener": draw(mostly(False, True)),
        "training": draw(mostly((), ("fire",))),
        "declares_devices": draw(mostly(False, True)),
        "min_link": draw(mostly(LinkAssurance.CLEAR, LinkAssurance.CONDUIT)),
        "schedule": draw(mostly(None, "hours", "never")),
        "raised_outside": raised_outside,
        "raised_factors": None if raised_outside is None else 3,
        "policy_age_ms_max": draw(mostly(None, 60_000)),
    }


@st.composite
def states(draw) -> tuple[Row, ...]:
    """The states of zones and site."""
    found: list[Row] = []
    for zone in sorted({"vault", *draw(st.sets(st.sampled_from(ZONES)))}):
        sanitised = draw(mostly(("officer-1", "officer-2"), (None, None)))
        found.append(
            ZoneStatus(
                id=zone,
                state=draw(mostly(ZoneState.OPEN_ATTENDED, ZoneState.OPEN_UNATTENDED, ZoneState.SECURED)),
                is_locked_down=draw(mostly(False, False, True)),
                sanitised_by=sanitised[0],
                sanitised_confirmed_by=sanitised[1],
            )
        )
    site = SiteStatus(
        id="site",
        is_locked_down=draw(mostly(False, False, True)),
        threat_level=draw(st.sampled_from([0, 0, 1])),
        notice_version=draw(mostly(0, 1)),
    )
    return (*found, *draw(st.sampled_from([(), (site,)])))


# -- people ----------------------------------------------------------------------------------------------------------


@st.composite
def person(draw, who: str) -> tuple[Row, ...]:
    """One cardholder with everything that could be asked of him, and a thing or two wrong with it."""
    good = tuple(_rows_of(draw, who))
    wrong = draw(mostly(0, 1, 2))
    kept = list(good)
    for _ in range(wrong):
        place = draw(st.integers(0, len(kept) - 1))
        ways = list(_tighter_row(kept[place]))
        if ways:
            kept[place] = draw(st.sampled_from(ways))
    return tuple(kept)


def _rows_of(draw, who: str) -> Iterator[Row]:
    yield Cardholder(id=who, kind=KINDS.get(who, CardholderKind.STAFF), notice_version=1)
    yield Credential(
        id=f"{who}-card",
        cardholder=who,
        number_hash=number_hash(NUMBERS[who]),
        last4="00A1",
        state=CredentialState.ACTIVE,
    )
    for zone in ("lab", "vault"):
        yield Declaration(
            id=f"{who}-devices-{zone}", cardholder=who, zone=zone, from_on=TODAY, until_on=TODAY, locker="1"
        )
    if who in KINDS:
        yield Visit(
            id=f"{who}-visit", cardholder=who, host="ana", zones=ZONES[1:], from_on=LAST_APRIL, until_on=NEXT_MARCH
        )
        return
    basis = draw(st.sampled_from([Basis.KEIZAI_ANPO, Basis.COMPANY]))
    yield Clearance(
        id=f"{who}-clearance",
        cardholder=who,
        basis=basis,
        level=5 if basis is Basis.COMPANY else 0,
        notified_on=LAST_APRIL,
        last_valid_on=date(2036 if basis is Basis.KEIZAI_ANPO else 2031, 3, 31),
        recorded_by="officer-1",
        confirmed_by="officer-2",
    )
    yield NeedToKnow(
        id=f"{who}-need",
        cardholder=who,
        item="item-1",
        purpose_code="DESIGN",
        from_on=LAST_APRIL,
        until_on=NEXT_MARCH,
        requested_by="officer-1",
        approved_by_1="officer-2",
        approved_by_2="officer-3",
    )
    for zone in ZONES[1:]:
        yield RosterEntry(
            id=f"{who}-{zone}",
            cardholder=who,
            zone=zone,
            from_on=LAST_APRIL,
            until_on=NEXT_MARCH,
            review_on=draw(st.sampled_from([TODAY, TODAY, LAST_APRIL])),
            is_minimum=draw(st.booleans()),
            is_opener=draw(st.booleans()),
            is_escort=draw(st.booleans()),
            may_enter_lockdown=draw(st.booleans()),
            schedule=draw(mostly(None, "hours", "never")),
        )
    yield Training(id=f"{who}-fire", cardholder=who, course="fire", done_on=LAST_APRIL, due_on=NEXT_MARCH)


@st.composite
def overrides(draw) -> tuple[Row, ...]:
    """Break-glass for somebody somewhere, now and then."""
    if draw(st.booleans()):
        return ()
    at_ms = epoch_ms(NOW)
    return (
        Override(
            id="glass",
            zone=draw(st.sampled_from(["lab", "vault", "vault", "vault"])),
            cardholders=tuple(sorted(draw(st.sets(st.sampled_from(sorted(NUMBERS)), min_size=1)))),
            reason_code="RESCUE",
            started_by="officer-1",
            approved_by="officer-2",
            from_ms=at_ms - 1000,
            until_ms=at_ms + 1000,
        ),
    )


# -- a moment --------------------------------------------------------------------------------------------------------


@st.composite
def evidences(draw) -> Evidence:
    """What a reader proved of somebody."""
    return Evidence(
        number_hash=number_hash(draw(st.sampled_from([*NUMBERS.values()] * 4 + [STRANGER]))),
        method=draw(st.sampled_from([Method.CHALLENGE] * 6 + [Method.UID] * 3 + [Method.FAKED])),
        factors=draw(mostly(3, 0, 1, 2)),
        link=draw(mostly(LinkAssurance.ENCRYPTED, LinkAssurance.CLEAR)),
        pin=draw(mostly(PinCheck.RIGHT, *PinCheck)),
        scheme=draw(mostly(None, "desfire_ev2")),
        key_version=draw(mostly(None, 0, 255)),
    )


@st.composite
def occupancies(draw, place: str) -> Occupancy:
    """Everybody somewhere, most often where the asker's portal leads from."""
    occupancy = Occupancy()
    for who in NUMBERS:
        zone = draw(mostly(place, *ZONES, None))
        if zone is not None:
            since = NOW - timedelta(milliseconds=draw(st.sampled_from([0, 59_999, 60_000, 86_400_000])))
            occupancy = occupancy.moved(who, zone, since)
            if draw(mostly(False, True)):
                occupancy = occupancy.forgiven(who)
    return occupancy


@st.composite
def facts(draw) -> dict[str, object]:
    """What is wrong with the box and the wire: most often nothing."""
    wrong: dict[str, object] = {
        "reader_is_trusted": False,
        "ledger_is_writable": False,
        "policy_age_ms": draw(st.sampled_from([0, 60_000, 60_001, 3_600_001, 86_400_001])),
        "read_is_stale": True,
        "read_is_repeated": True,
        "evidence_is_replayed": True,
        "portal_is_locked": True,
        "is_commissioned": False,
        "not_closed": frozenset(draw(st.sets(st.sampled_from(["front", "lab-door", "vault-door"])))),
    }
    names = draw(mostly((), (), *((name,) for name in wrong)))
    return {name: wrong[name] for name in names}


@st.composite
def cases(draw, side: str = "in") -> Case:
    """A site, its people somewhere, and somebody who asks to pass a portal."""
    point = draw(
        st.sampled_from(
            ["vault-door.in", "vault-door.in", "vault-door.in", "lab-door.in", "lab-door.in", "front.in", "gate.in"]
        )
    )
    people = tuple(row for who in NUMBERS for row in draw(person(who)))
    few = st.lists(evidences(), max_size=2).map(tuple)
    rows = (*draw(places()), *draw(states()), *people, *draw(overrides()))
    return Case(
        policy=apply(EMPTY, Edit(puts=rows)),
        occupancy=draw(occupancies(WAYS_IN[point])),
        request=Request(
            access_point=point.removesuffix("in") + side,
            evidence=draw(evidences()),
            companions=draw(st.one_of(st.just(()), few)),
            escorts=draw(st.one_of(st.just(()), few)),
            **draw(facts()),
        ),
        now=Moment(
            at=draw(mostly(NOW, NOW + timedelta(hours=12), NOW + timedelta(days=400))),
            tick_ms=0,
            is_trusted=draw(mostly(True, True, False)),
        ),
    )


# -- one thing tighter -----------------------------------------------------------------------------------------------

ENDED = {"ended_on": TODAY}
STRICTER = {
    AntiPassback.NONE: AntiPassback.SOFT,
    AntiPassback.SOFT: AntiPassback.TIMED,
    AntiPassback.TIMED: AntiPassback.HARD,
    AntiPassback.HARD: AntiPassback.GLOBAL,
    AntiPassback.GLOBAL: AntiPassback.GLOBAL,
}

# Field changes that take something away, by kind of row. `apply` refuses what does not apply to a row.
TIGHTER: dict[type, tuple[dict[str, object], ...]] = {
    Cardholder: (ENDED, {"notice_version": 0}),
    Credential: tuple({"state": state} for state in CredentialState if state is not CredentialState.ACTIVE),
    Clearance: (ENDED, {"confirmed_by": None}),
    NeedToKnow: (ENDED, {"is_suspended": True}, {"approved_by_2": None}, {"recert_on": YESTERDAY}),
    RosterEntry: (
        *(ENDED, {"is_suspended": True}, {"schedule": "never"}, {"review_on": LAST_APRIL, "is_minimum": False}),
        *({"is_opener": False}, {"is_escort": False}, {"may_enter_lockdown": False}, {"until_on": TODAY}),
    ),
    Training: ({"due_on": LAST_APRIL},),
    Declaration: (ENDED,),
    Visit: (ENDED, {"zones": ("office",)}),
    InformationItem: ({"lifted_on": TODAY}, {"designated_until": YESTERDAY}, {"contract_until": YESTERDAY}),
    Override: ({"ended_ms": epoch_ms(NOW)}, {"until_ms": epoch_ms(NOW)}),
    ZoneStatus: ({"is_locked_down": True}, {"sanitised_by": None, "sanitised_confirmed_by": None}),
    SiteStatus: ({"is_locked_down": True}, {"threat_level": 2}, {"notice_version": 2}),
    Zone: (
        *({"min_factors": 3}, {"uid_accepted": False}, {"attended_counts": False}, {"visitors_allowed": False}),
        *({"occupancy_max": 2}, {"occupancy_min": 2}, {"dual_window_ms": 30_000}, {"training": ("fire", "secrecy")}),
        *({"declares_devices": True}, {"min_link": LinkAssurance.ENCRYPTED}, {"policy_age_ms_max": 60_000}),
        *({"is_vestibule": True}, {"company_level": 9}, {"schedule": "never"}, {"escort_ratio": 1}),
        *({"raised_factors": 3, "raised_outside": "never"}, {"accepted_bases": (Basis.COMPANY,)}),
        {"items": ("item-2",)},
    ),
    Portal: ({"interlock_with": ("front",)},),
}


def _tighter_row(row: Row) -> Iterator[Row]:
    for changes in TIGHTER.get(type(row), ()):
        if isinstance(row, Zone) and not _is_tighter_zone(row, changes):
            continue
        yield replace(row, **changes)
    if isinstance(row, Zone):
        passback = STRICTER[row.anti_passback]
        yield replace(row, anti_passback=passback, apb_ms=60_000 if passback is AntiPassback.TIMED else None)
    if isinstance(row, Portal) and row.interlock_with:
        yield replace(row, interlock_with=("front", *row.interlock_with))


def _is_tighter_zone(zone: Zone, changes: dict[str, object]) -> bool:
    """Whether the change asks for more of this zone: the last item taken out, or another basis named, asks for less."""
    if "accepted_bases" in changes:
        return not zone.accepted_bases or Basis.COMPANY in zone.accepted_bases
    if "items" in changes:
        return "item-2" in zone.items
    return "raised_factors" not in changes or zone.raised_outside is None


def tighter(case: Case) -> Iterator[Case]:
    """The case with one thing tighter: one for every row and way, and for everything that is said about the request."""
    yield from tighter_rows(case, *case.policy.rows())
    yield from _tighter_request(case)


def tighter_rows(case: Case, *rows: Row) -> Iterator[Case]:
    """The case with one of these rows of its policy tighter, in every way."""
    policy = case.policy
    for row in rows:
        ways = list(_tighter_row(row))
        if (
            isinstance(row, ZoneStatus) and not policy.zones[row.id].needs_opener
        ):  # two openers may open where one enters
            ways.append(replace(row, state=ZoneState.SECURED))
        for way in ways:
            with suppress(EditRefused):  # not every row can be like that
                yield replace(case, policy=apply(policy, Edit(puts=(way,))))


def _tighter_request(case: Case) -> Iterator[Case]:
    request = case.request
    changes: tuple[dict[str, object], ...] = (
        *({"reader_is_trusted": False}, {"ledger_is_writable": False}, {"read_is_stale": True}),
        *({"read_is_repeated": True}, {"evidence_is_replayed": True}, {"portal_is_locked": True}),
        {"is_commissioned": False},
        *({"policy_age_ms": (request.policy_age_ms or 0) + 3_600_000}, {"escorts": request.escorts[1:]}),
        {"not_closed": request.not_closed | {"lab-door"}},
        {"companions": (*request.companions, replace(request.evidence, number_hash=number_hash(STRANGER)))},
    )
    for change in changes:
        yield replace(case, request=replace(request, **change))
    less: tuple[Callable[[Evidence], Evidence], ...] = (
        lambda one: replace(one, factors=max(0, one.factors - 1)),
        lambda one: replace(one, link=LinkAssurance.CLEAR),
        lambda one: replace(one, method=Method.FAKED),
        lambda one: replace(one, pin=PinCheck.NOT_ASKED if one.pin in (PinCheck.RIGHT, PinCheck.DURESS) else one.pin),
        lambda one: replace(one, pin=PinCheck.WRONG),
        lambda one: replace(one, number_hash=number_hash(STRANGER)),
    )
    for weaken in less:
        yield replace(case, request=replace(request, evidence=weaken(request.evidence)))
        for name in ("companions", "escorts"):
            weaker = tuple(weaken(one) for one in getattr(request, name))
            yield replace(case, request=replace(request, **{name: weaker}))
    yield replace(case, now=replace(case.now, is_trusted=False))
