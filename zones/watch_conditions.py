"""What can be wrong in a zone as time goes by, each told from policy, occupancy and time (docs/decision.md §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from zones.decision.ask import is_ended, roster_entry
from zones.ids import CardholderId, OverrideId, RosterEntryId, ZoneId
from zones.occupancy import Occupancy
from zones.people import CardholderKind, Override, RosterEntry
from zones.places import Zone, ZoneKind, ZoneState
from zones.policy import Policy

DAY_MS: Final = 86_400_000

NOBODY: Final[frozenset[CardholderId]] = frozenset()


class ConditionKind(StrEnum):
    """The kinds of CONDITIONS; each is the type of its record."""

    OCCUPANCY_BELOW_MIN = "OCCUPANCY_BELOW_MIN"
    ESCORT_BROKEN = "ESCORT_BROKEN"
    ESCORT_RATIO = "ESCORT_RATIO"
    ZONE_UNATTENDED = "ZONE_UNATTENDED"
    REVIEW_OVERDUE = "REVIEW_OVERDUE"
    NOT_CLOSED = "NOT_CLOSED"
    OVERRIDE_ENDED = "OVERRIDE_ENDED"


class Condition(NamedTuple):
    """Something that is wrong: of what kind, in which zone, about whom, and which row (NOT_CLOSED: which day) it is."""

    kind: ConditionKind
    zone: ZoneId
    cardholder: CardholderId | None = None
    row: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a condition is told from. `at_ms` (epoch), `today`: the last time that was believed.

    What `zones.watch` keeps up rather than searching for it each time: `guests`, people without keys of their own who
    are in a zone that admits them, certain or not; `escorts`, for each zone with guests the escorts of that zone who
    are in it or in a zone in it, certain or not; `overdue`, rows of each zone's roster that were overdue for review
    when the day began and are so still; `unclosed`, zones that were not SECURED when a day ended, with that day;
    `ending`, overrides that are not yet over, or not for long.
    """

    policy: Policy
    occupancy: Occupancy
    at_ms: int
    today: date
    guests: Mapping[ZoneId, frozenset[CardholderId]]
    escorts: Mapping[ZoneId, frozenset[CardholderId]]
    overdue: Mapping[ZoneId, tuple[RosterEntryId, ...]]
    unclosed: frozenset[tuple[ZoneId, date]]
    ending: tuple[OverrideId, ...]


Find = Callable[[Scene], Iterable[Condition]]


# -- people ----------------------------------------------------------------------------------------------------------


def occupancy_below_min(scene: Scene) -> Iterator[Condition]:
    """Somebody is certainly in a zone, but fewer than its minimum: nobody is to be alone there (B-05).

    Guests are company for nobody, as in D21.
    """
    for zone in scene.policy.zones.values():
        least = zone.occupancy_min
        if least is None:
            continue
        inside = scene.policy.insides[zone.id]
        staff = (who for who in scene.occupancy.certain_people(inside) if not is_guest(scene.policy, who))
        is_short = sum(1 for _ in islice(staff, least)) < least
        if is_short and any(True for _ in scene.occupancy.certain_people(inside)):
            yield Condition(ConditionKind.OCCUPANCY_BELOW_MIN, zone.id)


def escort_broken(scene: Scene) -> Iterator[Condition]:
    """A guest is certainly in a zone in which no escort of that zone certainly is (A-06)."""
    for zone, guests in escorted_guests(scene):
        if not escort_count(scene, zone):
            for who in sorted(guests):
                yield Condition(ConditionKind.ESCORT_BROKEN, zone.id, who)


def escort_over_ratio(scene: Scene) -> Iterator[Condition]:
    """More guests are certainly in a zone, and in the zones in it, than its escorts there may bring (A-06)."""
    found = tuple(escorted_guests(scene))
    counts = {zone.id: len(guests) for zone, guests in found}
    for zone, _ in found:
        count = sum(counts.get(one, 0) for one in scene.policy.insides[zone.id])
        if 0 < escort_count(scene, zone) * zone.escort_ratio < count:
            yield Condition(ConditionKind.ESCORT_RATIO, zone.id)


def zone_unattended(scene: Scene) -> Iterator[Condition]:
    """A zone that is opened by named people is not secured, and nobody is in it, certainly or possibly (C-01)."""
    for zone in scene.policy.zones.values():
        if not zone.needs_opener or scene.policy.zone_state(zone.id) is ZoneState.SECURED:
            continue
        if not scene.occupancy.count(scene.policy.insides[zone.id]):
            yield Condition(ConditionKind.ZONE_UNATTENDED, zone.id)


def admits_guests(zone: Zone) -> bool:
    """Whether guests may be in a zone at all, and only escorted. On open ground nobody needs an escort."""
    return zone.visitors_allowed and zone.kind is not ZoneKind.UNRESTRICTED


def is_guest(policy: Policy, who: CardholderId) -> bool:
    """Whether somebody is of a kind that holds no keys (as D22 has it)."""
    holder = policy.holders.get(who)
    return holder is not None and holder.cardholder.kind is not CardholderKind.STAFF


def escorted_guests(scene: Scene) -> Iterator[tuple[Zone, tuple[CardholderId, ...]]]:
    """Each zone with the guests who are certainly in it and whom no override lets be there alone."""
    occupancy, policy = scene.occupancy, scene.policy
    for zone_id, people in scene.guests.items():
        certain = (who for who in people if occupancy.certain_zone(who) == zone_id)
        guests = tuple(who for who in certain if not _is_overriding(scene, zone_id, who))
        if guests:
            yield policy.zones[zone_id], guests


def is_escort(policy: Policy, zone: ZoneId, who: CardholderId, today: date) -> bool:
    """Whether somebody may bring guests into `zone` today (as D22 has it)."""
    holder = policy.holders.get(who)
    if holder is None or holder.cardholder.kind is not CardholderKind.STAFF:
        return False
    entry = roster_entry(holder, zone, today)
    return entry is not None and entry.is_escort


def escort_count(scene: Scene, zone: Zone) -> int:
    """How many escorts of `zone` are certainly in it or in a zone in it."""
    where = scene.occupancy.where
    return sum(1 for who in scene.escorts[zone.id] if where[who].is_certain)


def _is_overriding(scene: Scene, zone: ZoneId, who: CardholderId) -> bool:
    rows = scene.policy.overrides_of.get(zone, ())
    return any(who in row.cardholders and row.from_ms <= scene.at_ms < end_ms(row) for row in rows)


# -- days and terms --------------------------------------------------------------------------------------------------


def review_overdue(scene: Scene) -> Iterator[Condition]:
    """A place on a zone's roster is in force and was to be reviewed before today (A-03). Told once per zone."""
    for zone in sorted(scene.overdue):
        yield Condition(ConditionKind.REVIEW_OVERDUE, zone)


def not_closed(scene: Scene) -> Iterator[Condition]:
    """A day ended and the zone was not secured, nor has it been since (C-04)."""
    for zone, day in sorted(scene.unclosed):
        yield Condition(ConditionKind.NOT_CLOSED, zone, row=day.isoformat())


def override_ended(scene: Scene) -> Iterator[Condition]:
    """An override is over for less than a day, by its time or by an officer (A-32)."""
    for row_id in scene.ending:
        row = scene.policy.overrides[row_id]
        if end_ms(row) <= scene.at_ms < end_ms(row) + DAY_MS:
            yield Condition(ConditionKind.OVERRIDE_ENDED, row.zone, row=row.id)


def is_overdue(entry: RosterEntry, today: date) -> bool:
    """Whether a place on a roster is in force and its review is late."""
    is_in_force = not entry.is_suspended and entry.from_on <= today <= entry.until_on
    return entry.review_on < today and is_in_force and not is_ended(entry.ended_on, today)


def end_ms(row: Override) -> int:
    """When an override is over, in epoch milliseconds."""
    return row.until_ms if row.ended_ms is None else min(row.until_ms, row.ended_ms)


# -- the table -------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """How long something is wrong before it is an alarm; how it is found; whether its end is told as well."""

    grace_ms: int
    find: Find
    tells_end: bool = True


CONDITIONS: Final[Mapping[ConditionKind, Kind]] = MappingProxyType(
    {
        ConditionKind.OCCUPANCY_BELOW_MIN: Kind(60_000, occupancy_below_min),
        ConditionKind.ESCORT_BROKEN: Kind(5_000, escort_broken),
        ConditionKind.ESCORT_RATIO: Kind(5_000, escort_over_ratio),
        ConditionKind.ZONE_UNATTENDED: Kind(300_000, zone_unattended),
        ConditionKind.REVIEW_OVERDUE: Kind(0, review_overdue),
        ConditionKind.NOT_CLOSED: Kind(0, not_closed),
        ConditionKind.OVERRIDE_ENDED: Kind(0, override_ended, tells_end=False),
    }
)
