"""What is unsafe or odd about a whole site, found before somebody stands before it (docs/lint.md is its page).

`lint(policy)` holds a policy against LINTS, one small function each. An ERROR is unsafe as it stands and refuses a site
file or an edit; a WARNING is a deviation that somebody must have wanted. Each finding names the way: the zones and the
portal that one walks through to the fault. Rows in themselves are `row_checks`' business, the shape of the tree is
`tree`'s; what they refuse is found here too where it matters to safety, because a proof is not built on trust.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from zones.ids import PortalId, ZoneId
from zones.people import CardholderKind
from zones.places import (
    AntiPassback,
    Direction,
    ExitHardware,
    FireRelease,
    LinkAssurance,
    LockType,
    Portal,
    Zone,
    ZoneKind,
)
from zones.policy import Policy
from zones.ways import Way, find_way, may_stand_unlocked, open_ground, told, walks, ways_from

FACTORS_PROVABLE: Final = 2
"""What a card and a PIN prove together. A third factor has no reader yet."""

_KEEPS_OUT: Final = frozenset({AntiPassback.HARD, AntiPassback.TIMED, AntiPassback.GLOBAL})


class Severity(StrEnum):
    """ERROR: unsafe, refused. WARNING: said, and accepted."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One fault of one row. `path`: zones and portals from the outside to it."""

    code: str
    severity: Severity
    table: str
    row: str
    path: tuple[str, ...]
    ja: str
    en: str

    @property
    def way(self) -> str:
        """The path as it is read: street > office > vault-door > vault."""
        return " > ".join(self.path)


class Found(NamedTuple):
    """Where a lint found its fault; `what` is put into its words."""

    row: str
    path: tuple[str, ...]
    what: str = ""


class Lint(NamedTuple):
    """One fault that a site can have."""

    code: str
    severity: Severity
    table: str
    find: Callable[[Policy], Iterator[Found]]
    ja: str
    en: str


def lint(policy: Policy) -> tuple[LintFinding, ...]:
    """Every fault of a policy, in the order of LINTS."""
    return tuple(
        LintFinding(
            code=one.code,
            severity=one.severity,
            table=one.table,
            row=found.row,
            path=found.path,
            ja=one.ja.format(what=found.what),
            en=one.en.format(what=found.what),
        )
        for one in LINTS
        for found in one.find(policy)
    )


def errors(findings: tuple[LintFinding, ...]) -> tuple[LintFinding, ...]:
    """Those that refuse a site file or an edit."""
    return tuple(one for one in findings if one.severity is Severity.ERROR)


# -- where something is --------------------------------------------------------------------------------


def _to_zone(policy: Policy, zone: ZoneId) -> tuple[str, ...]:
    return tuple(reversed(policy.lineages.get(zone, (zone,))))


def _to_portal(policy: Policy, portal: Portal) -> tuple[str, ...]:
    return (*_to_zone(policy, portal.outer), portal.id, portal.inner)


def _entered(policy: Policy, portal: Portal) -> Iterator[Zone]:
    """The zones that one is in behind the portal and was not in before it."""
    outside = policy.lineages.get(portal.outer, ())
    return (policy.zones[zone] for zone in policy.lineages.get(portal.inner, ()) if zone not in outside)


def _around(policy: Policy, zone: Zone) -> Iterator[Portal]:
    """The portals between the zone and what is outside of it."""
    inside = policy.insides.get(zone.id, frozenset())
    return (one for one in policy.portals.values() if (one.inner in inside) is not (one.outer in inside))


def _zones(policy: Policy, is_so: Callable[[Zone], bool]) -> Iterator[Found]:
    return (Found(zone.id, _to_zone(policy, zone.id)) for zone in policy.zones.values() if is_so(zone))


def _portals(policy: Policy, is_so: Callable[[Portal], bool]) -> Iterator[Found]:
    return (Found(portal.id, _to_portal(policy, portal)) for portal in policy.portals.values() if is_so(portal))


# -- zones: what they ask, and how one gets in and out ---------------------------------------------------------------


def _child_weaker(policy: Policy) -> Iterator[Found]:
    """§3.3: a zone asks for no less than the zone around it."""
    for zone in policy.zones.values():
        parent = None if zone.parent is None else policy.zones.get(zone.parent)
        if parent is None:
            continue
        if zone.kind < parent.kind or zone.required_factors < parent.required_factors:
            what = f"{zone.kind.name}/{zone.required_factors} < {parent.kind.name}/{parent.required_factors}"
            yield Found(zone.id, _to_zone(policy, zone.id), what)


Demand = Callable[[Zone, Zone], bool]
"""Whether entering the second zone asks for what the first one asks for, at least."""


def _asks_for_keys(_zone: Zone, _entered_before: Zone) -> bool:
    return False


def _asks_for_factors(zone: Zone, entered_before: Zone) -> bool:
    return entered_before.required_factors >= zone.required_factors


def _asks_for_clearance(zone: Zone, entered_before: Zone) -> bool:
    bases = set(entered_before.accepted_bases)
    return bool(bases) and bases <= set(zone.accepted_bases) and entered_before.company_level >= zone.company_level


def _demands(zone: Zone) -> Iterator[tuple[str, Demand]]:
    if zone.is_protected:
        yield "keys", _asks_for_keys
    if zone.required_factors:
        yield "factors", _asks_for_factors
    if zone.accepted_bases:
        yield "clearance", _asks_for_clearance


Ways = dict[ZoneId, tuple[Way, ...]]


def _has_side_way(policy: Policy, ways: Ways, zone: Zone) -> bool:
    """Whether any step but an entry by the zone's own portals leads into it: mostly there is none."""
    inside = policy.insides.get(zone.id, frozenset((zone.id,)))
    return any(
        way.to_zone in inside and way.from_zone not in inside and not _is_own_entry(way, zone)
        for leading in ways.values()
        for way in leading
    )


def _is_own_entry(way: Way, zone: Zone) -> bool:
    """By the zone's own controls, or by a portal that stands unlocked: that is another finding."""
    return way.direction is Direction.IN and way.to_zone == zone.id


def _way_around(policy: Policy, ways: Ways, zone: Zone, is_asked: Demand) -> tuple[Way, ...] | None:
    """A walk from open ground into the zone that is nowhere asked for what the zone asks for; None: there is none."""
    inside = policy.insides.get(zone.id, frozenset((zone.id,)))

    def is_passable(way: Way) -> bool:
        if way.from_zone in inside or _is_own_entry(way, zone):
            return False
        if way.direction is Direction.OUT:
            return True
        portal = policy.portals[way.portal]
        if may_stand_unlocked(policy, portal):
            return True
        return portal.has_entry_reader and not is_asked(zone, policy.zones[way.to_zone])

    starts = [start for start in open_ground(policy) if start not in inside]
    return find_way(ways, starts, lambda way: way.to_zone in inside, is_passable)


def _ways_around(policy: Policy) -> Iterator[Found]:
    """Leaving is free, so whatever one can leave into is only as well kept as where one leaves from."""
    ways = ways_from(policy)
    for zone in policy.zones.values():
        if not _has_side_way(policy, ways, zone):
            continue
        for what, is_asked in _demands(zone):
            if (walk := _way_around(policy, ways, zone, is_asked)) is not None:
                yield Found(zone.id, told(walk), what)
                break


def _ways_around_roster(policy: Policy) -> Iterator[Found]:
    """The same for the roster alone: who is on another zone's roster gets here."""
    ways, unsafe = ways_from(policy), {found.row for found in _ways_around(policy)}
    for zone in policy.zones.values():
        if zone.kind is ZoneKind.UNRESTRICTED or zone.id in unsafe or not _has_side_way(policy, ways, zone):
            continue
        if (walk := _way_around(policy, ways, zone, _asks_for_keys)) is not None:
            yield Found(zone.id, told(walk))


def _orphans(policy: Policy) -> Iterator[Found]:
    """A zone that no portal leads to has an opening that nobody wrote down."""
    starts = open_ground(policy)
    reached = {walk[-1].to_zone for walk in walks(ways_from(policy), starts, lambda _way: True)}
    return _zones(policy, lambda zone: zone.id not in reached and zone.id not in starts)


def _no_way_out(policy: Policy) -> Iterator[Found]:
    """P3: from everywhere exits lead to open ground."""
    ways, ground = ways_from(policy), set(open_ground(policy))

    def is_trapped(zone: Zone) -> bool:
        if zone.id in ground:
            return False
        walk = find_way(ways, (zone.id,), lambda way: way.to_zone in ground, lambda way: way.direction is Direction.OUT)
        return walk is None

    return _zones(policy, is_trapped)


def _two_left_alone(policy: Policy) -> Iterator[Found]:
    """§3.3: two enter, one leaves, and one is alone."""
    return _zones(policy, lambda zone: zone.dual_window_ms is not None and (zone.occupancy_min or 0) < 2)


def _uncounted(policy: Policy) -> Iterator[Found]:
    """B-05, B-06: whom no contact saw pass is not counted."""
    for zone in policy.zones.values():
        counts = (zone.occupancy_min, zone.occupancy_max)
        if zone.anti_passback is AntiPassback.NONE and counts == (None, None):
            continue
        for portal in _around(policy, zone):
            if not portal.has_contact:
                yield Found(portal.id, _to_portal(policy, portal), zone.id)


def _apb_one_sided(policy: Policy) -> Iterator[Found]:
    """§3.3: without a reader on the way out nobody is seen to have left."""
    return _zones(
        policy,
        lambda zone: (
            zone.anti_passback in _KEEPS_OUT and not any(portal.has_exit_reader for portal in _around(policy, zone))
        ),
    )


# -- portals --------------------------------------------------------------------------------


def _portal_asks_less(policy: Policy) -> Iterator[Found]:
    """P1: a portal that stands unlocked asks for nothing."""
    return _portals(
        policy,
        lambda portal: (
            may_stand_unlocked(policy, portal)
            and any(zone.is_protected or zone.required_factors >= 2 for zone in _entered(policy, portal))
        ),
    )


def _portal_unlocked(policy: Policy) -> Iterator[Found]:
    return _portals(
        policy,
        lambda portal: (
            may_stand_unlocked(policy, portal)
            and max((zone.required_factors for zone in _entered(policy, portal)), default=0) == 1
            and not any(zone.is_protected for zone in _entered(policy, portal))
        ),
    )


def _escape_asks_card(policy: Policy) -> Iterator[Found]:
    """D-24: an escape opens from inside without a card."""
    return _portals(
        policy,
        lambda portal: portal.is_escape and not portal.has_rex and portal.exit_hardware is ExitHardware.SOFTWARE,
    )


def _exit_by_software(policy: Policy) -> Iterator[Found]:
    """P3: whoever is inside when every computer is dead walks out."""
    return _portals(policy, lambda portal: portal.exit_hardware is ExitHardware.SOFTWARE)


def _escape_fail_secure(policy: Policy) -> Iterator[Found]:
    """D-26: locked without power, and no handle."""
    return _portals(
        policy,
        lambda portal: (
            portal.is_escape
            and portal.lock_type is LockType.FAIL_SECURE
            and portal.exit_hardware is not ExitHardware.HANDLE
        ),
    )


def _escape_not_released(policy: Policy) -> Iterator[Found]:
    """D-25: the fire alarm drops the lock by a wire of its own, where no handle opens it."""
    return _portals(
        policy,
        lambda portal: (
            portal.is_escape
            and portal.fire_release is FireRelease.NONE
            and portal.exit_hardware is not ExitHardware.HANDLE
        ),
    )


def _fire_release_missing(policy: Policy) -> Iterator[Found]:
    """D-25, where a handle opens the leaf or it is no escape."""
    return _portals(
        policy,
        lambda portal: (
            portal.fire_release is FireRelease.NONE
            and (
                (portal.is_escape and portal.exit_hardware is ExitHardware.HANDLE)
                or (not portal.is_escape and portal.lock_type is LockType.FAIL_SAFE)
            )
        ),
    )


def _fail_safe_into_protected(policy: Policy) -> Iterator[Found]:
    """D-26: a cut wire opens it."""
    return _portals(
        policy,
        lambda portal: (
            portal.lock_type is LockType.FAIL_SAFE and any(zone.is_protected for zone in _entered(policy, portal))
        ),
    )


def _relay_outside(policy: Policy) -> Iterator[Found]:
    """A-35: two wires behind a reader that anybody can take off the wall."""
    return _portals(policy, lambda portal: portal.relay_in_reader)


def _of_grade(grade: int, is_short: Callable[[Portal, Zone], bool]) -> Callable[[Policy], Iterator[Found]]:
    """B-01: portals of at least a grade that lack what it makes mandatory (§3.3)."""

    def find(policy: Policy) -> Iterator[Found]:
        return _portals(policy, lambda one: one.grade >= grade and is_short(one, policy.zones[one.inner]))

    return find


def _link_short(portal: Portal, _zone: Zone) -> bool:
    needed = LinkAssurance.ENCRYPTED if portal.grade >= 4 else LinkAssurance.CONDUIT
    return portal.has_entry_reader and portal.reader_link < needed


def _reader_link_short(policy: Policy) -> Iterator[Found]:
    """B-15: the zone asks for a better line than the portal's reader has; nobody enters there."""
    return _portals(
        policy,
        lambda portal: portal.has_entry_reader and portal.reader_link < policy.zones[portal.inner].min_link,
    )


def _interlock_one_way(policy: Policy) -> Iterator[Found]:
    """A-13: one waits for the other, and the other does not wait."""
    for portal in policy.portals.values():
        for other in portal.interlock_with:
            if portal.id not in _interlocks(policy, other):
                yield Found(portal.id, _to_portal(policy, portal), other)


def _interlocks(policy: Policy, portal: PortalId) -> tuple[PortalId, ...]:
    row = policy.portals.get(portal)
    return () if row is None else row.interlock_with


def _vestibule_open(policy: Policy) -> Iterator[Found]:
    """A-13: the portals of a 前室 are never open together."""

    def is_open(zone: Zone) -> bool:
        around = [one for one in policy.portals.values() if zone.id in (one.inner, one.outer)]
        names = {one.id for one in around}
        return zone.is_vestibule and (
            len(around) < 2 or any(not names - {one.id} <= set(one.interlock_with) for one in around)
        )

    return _zones(policy, is_open)


# -- what somebody must have wanted --------------------------------------------------------------------------------


def _no_parent(policy: Policy) -> Iterator[Found]:
    """D-31: zones are nested, so that the outer ones are passed first."""
    return _zones(policy, lambda zone: zone.parent is None and zone.kind is not ZoneKind.UNRESTRICTED)


def _not_drawn(policy: Policy) -> Iterator[Found]:
    """D-31: a controlled zone is drawn somewhere."""
    return _zones(policy, lambda zone: zone.plan_ref is None and zone.kind is not ZoneKind.UNRESTRICTED)


def _no_opener(policy: Policy) -> Iterator[Found]:
    """C-01: nobody is named who opens and secures the zone."""
    return _zones(policy, lambda zone: zone.kind is ZoneKind.EXCLUSION and not zone.needs_opener)


def _on_roster(policy: Policy, zone: Zone, duty: str) -> int:
    """How many cardholders stand on the zone's roster for a duty, neither suspended nor ended."""
    return len(
        {
            entry.cardholder
            for entry in policy.roster.values()
            if entry.zone == zone.id and getattr(entry, duty) and not entry.is_suspended and entry.ended_on is None
        }
    )


def _openers_few(policy: Policy) -> Iterator[Found]:
    """C-01: a secured zone is opened by two."""
    return _zones(
        policy,
        lambda zone: zone.needs_opener and bool(policy.roster) and _on_roster(policy, zone, "is_opener") < 2,
    )


def _escort_none(policy: Policy) -> Iterator[Found]:
    """A-06: guests are admitted, and nobody may bring them."""
    has_guests = any(one.kind is not CardholderKind.STAFF for one in policy.cardholders.values())
    return _zones(
        policy, lambda zone: zone.visitors_allowed and has_guests and not _on_roster(policy, zone, "is_escort")
    )


def _uid_into_protected(policy: Policy) -> Iterator[Found]:
    """A-34: a number that anybody can copy opens a room with protected information."""
    return _zones(policy, lambda zone: zone.uid_accepted and zone.is_protected)


def _item_unknown(policy: Policy) -> Iterator[Found]:
    """§3.2, D-06: without its row, an item's designation never ends a need-to-know. A site file has no items."""
    for zone in policy.zones.values() if policy.cardholders else ():
        for item in zone.items:
            if item not in policy.items:
                yield Found(zone.id, _to_zone(policy, zone.id), item)


def _factors_unprovable(policy: Policy) -> Iterator[Found]:
    """A-33: a card and a PIN are two. Being attended counts once somebody is inside, and for two who enter together."""

    def is_unprovable(zone: Zone) -> bool:
        enter_together = zone.dual_window_ms is not None or (zone.occupancy_min or 0) >= 2
        provable = FACTORS_PROVABLE + (zone.attended_counts and enter_together)
        return zone.required_factors > provable and not zone.uid_accepted

    return _zones(policy, is_unprovable)


_E: Final = Severity.ERROR
_W: Final = Severity.WARNING

LINTS: Final[tuple[Lint, ...]] = (
    Lint(
        "CHILD_WEAKER",
        _E,
        "zone",
        _child_weaker,
        "外側の区域より弱い（{what}）",
        "asks for less than the zone around it ({what})",
    ),
    Lint(
        "WAY_AROUND",
        _E,
        "zone",
        _ways_around,
        "区域の照合（{what}）を通らずに入れる経路がある",
        "can be reached without being asked for its {what}",
    ),
    Lint(
        "WAY_AROUND_ROSTER",
        _W,
        "zone",
        _ways_around_roster,
        "この区域の名簿を照合されずに入れる経路がある",
        "can be reached without being on its roster, by the roster of another zone",
    ),
    Lint("ORPHAN_ZONE", _E, "zone", _orphans, "どの扉からも到達できない区域", "no portal leads to it"),
    Lint(
        "NO_WAY_OUT",
        _E,
        "zone",
        _no_way_out,
        "退室経路が屋外まで続いていない",
        "its exits do not lead to open ground",
    ),
    Lint(
        "TWO_PERSON_ALONE",
        _E,
        "zone",
        _two_left_alone,
        "二名同時入室の区域に在室下限（2名以上）がない",
        "two enter together, but occupancy_min is not 2 or more: one may be left alone",
    ),
    Lint(
        "UNCOUNTED",
        _E,
        "portal",
        _uncounted,
        "在室を数える区域 {what} の扉に開閉検知がない",
        "has no contact, and zone {what} counts who passes",
    ),
    Lint(
        "APB_ONE_SIDED",
        _E,
        "zone",
        _apb_one_sided,
        "アンチパスバックに退室側の読取装置がない",
        "anti-passback without a reader on any way out",
    ),
    Lint(
        "PORTAL_ASKS_LESS",
        _E,
        "portal",
        _portal_asks_less,
        "三つの鍵または二要素以上を求める区域への扉が開放運用になる",
        "may stand unlocked, and leads into a zone that asks for keys or for two factors",
    ),
    Lint(
        "PORTAL_UNLOCKED",
        _W,
        "portal",
        _portal_unlocked,
        "一要素の区域への扉が開放運用になる",
        "may stand unlocked, and leads into a zone that asks for one factor",
    ),
    Lint(
        "ESCAPE_ASKS_CARD",
        _E,
        "portal",
        _escape_asks_card,
        "避難口の退室にカードが要る",
        "is an escape and opens from inside by card alone",
    ),
    Lint(
        "EXIT_BY_SOFTWARE",
        _E,
        "portal",
        _exit_by_software,
        "退室がソフトウェアだけに依存する（機械式把手も直結の退室釦もない）",
        "is opened from inside by software alone: no handle, no hard-wired REX",
    ),
    Lint(
        "ESCAPE_FAIL_SECURE",
        _E,
        "portal",
        _escape_fail_secure,
        "通電時解錠型の避難口に機械式把手がない",
        "is a fail-secure escape without a mechanical handle",
    ),
    Lint(
        "ESCAPE_NOT_RELEASED",
        _E,
        "portal",
        _escape_not_released,
        "避難口に火災信号の直結解錠も機械式把手もない",
        "is an escape without hard-wired fire release and without a handle",
    ),
    Lint(
        "FIRE_RELEASE_MISSING",
        _W,
        "portal",
        _fire_release_missing,
        "火災信号による直結解錠がない",
        "has no hard-wired fire release",
    ),
    Lint(
        "FAIL_SAFE_INTO_PROTECTED",
        _W,
        "portal",
        _fail_safe_into_protected,
        "停電すると保護対象の情報がある区域への扉が開く（通電時施錠型）",
        "is fail-safe and leads into a protected zone: a cut wire opens it",
    ),
    Lint(
        "RELAY_OUTSIDE",
        _E,
        "portal",
        _relay_outside,
        "電気錠の継電器が読取装置内（非保護側）にある",
        "its strike hangs on the reader, on the unsecure side",
    ),
    Lint(
        "GRADE_CONTACT",
        _E,
        "portal",
        _of_grade(2, lambda portal, _zone: not portal.has_contact),
        "等級2以上の扉に開閉検知がない",
        "declares grade 2 or more and has no contact",
    ),
    Lint(
        "GRADE_FACTORS",
        _E,
        "portal",
        _of_grade(3, lambda portal, zone: portal.has_entry_reader and zone.required_factors < 2),
        "等級3以上の扉の区域が二要素を求めない",
        "declares grade 3 or more, and its zone asks for fewer than two factors",
    ),
    Lint(
        "GRADE_TOKEN",
        _E,
        "portal",
        _of_grade(3, lambda portal, zone: portal.has_entry_reader and zone.uid_accepted),
        "等級3以上の扉で複製可能なカード番号を受け入れる",
        "declares grade 3 or more, and its zone takes card numbers that anybody can copy",
    ),
    Lint(
        "GRADE_LINK",
        _E,
        "portal",
        _of_grade(3, _link_short),
        "読取装置の回線が等級に足りない（等級3は配管または暗号化、等級4は暗号化）",
        "its reader's line is less protected than its grade asks (3: conduit, 4: encrypted)",
    ),
    Lint(
        "GRADE_DUAL",
        _E,
        "portal",
        _of_grade(4, lambda portal, zone: portal.has_entry_reader and zone.dual_window_ms is None),
        "等級4の扉の区域に二名同時入室がない",
        "declares grade 4, and its zone has no dual access",
    ),
    Lint(
        "READER_LINK_SHORT",
        _W,
        "portal",
        _reader_link_short,
        "読取装置の回線が区域の求める保護に足りず、誰も入れない",
        "its reader's line is less protected than its zone asks: nobody enters here",
    ),
    Lint(
        "INTERLOCK_ONE_WAY",
        _W,
        "portal",
        _interlock_one_way,
        "連動が片方向（{what} 側に設定がない）",
        "is interlocked with {what}, which does not wait for it",
    ),
    Lint(
        "VESTIBULE_OPEN",
        _W,
        "zone",
        _vestibule_open,
        "前室の扉が互いに連動していない",
        "is a vestibule whose portals are not all interlocked with each other",
    ),
    Lint("NO_PARENT", _W, "zone", _no_parent, "外側の区域がない", "lies in no other zone"),
    Lint("NOT_DRAWN", _W, "zone", _not_drawn, "図面参照（plan_ref）がない", "has no plan_ref: it is drawn nowhere"),
    Lint(
        "NO_OPENER",
        _W,
        "zone",
        _no_opener,
        "取扱区画に解錠責任者の定めがない",
        "is an EXCLUSION zone that nobody is named to open and secure",
    ),
    Lint(
        "OPENERS_FEW",
        _W,
        "zone",
        _openers_few,
        "名簿の解錠責任者が2名未満",
        "has fewer than two openers on its roster: once secured, nobody opens it",
    ),
    Lint(
        "ESCORT_NONE",
        _W,
        "zone",
        _escort_none,
        "来訪者を認めるが名簿に立会者がいない",
        "admits visitors, and nobody on its roster may bring them",
    ),
    Lint(
        "UID_INTO_PROTECTED",
        _W,
        "zone",
        _uid_into_protected,
        "保護対象の情報がある区域で複製可能なカード番号を受け入れる",
        "handles protected information and takes card numbers that anybody can copy",
    ),
    Lint(
        "ITEM_UNKNOWN",
        _W,
        "zone",
        _item_unknown,
        "情報 {what} の指定期間が登録されていない",
        "handles item {what}, of which nobody has recorded how long it is designated",
    ),
    Lint(
        "FACTORS_UNPROVABLE",
        _W,
        "zone",
        _factors_unprovable,
        "カードと暗証番号では足りない要素数を求めており、最初の一人が入れない",
        "asks for more factors than a card and a PIN prove: nobody can be the first in",
    ),
)
"""Every fault that is looked for, errors and warnings, in the order in which they are told."""
