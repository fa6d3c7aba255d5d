"""How one gets about a building: the portals as steps between zones, seen by whoever walks (not by whoever decides).

An entry asks; an exit is free (P3), and so is a portal that stands unlocked. Nothing here knows a right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from zones.ids import AccessPointId, PortalId, ZoneId
from zones.moment import Moment
from zones.places import Direction, Portal, ZoneKind
from zones.policy import Policy
from zones.portal_modes import standing_mode
from zones.portal_values import KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One step through one portal, in one direction."""

    portal: PortalId
    point: AccessPointId
    direction: Direction
    from_zone: ZoneId
    to_zone: ZoneId


def ways_of(portal: Portal) -> tuple[Way, Way]:
    """In and out."""
    entry, leaving = (
        Way(
            portal=portal.id,
            point=point.id,
            direction=point.direction,
            from_zone=point.from_zone,
            to_zone=point.to_zone,
        )
        for point in (portal.entry, portal.exit)
    )
    return entry, leaving


def ways_from(policy: Policy) -> dict[ZoneId, tuple[Way, ...]]:
    """Zone -> every step that leads away from it, in the order of the portals."""
    found: dict[ZoneId, list[Way]] = {zone: [] for zone in policy.zones}
    for portal in policy.portals.values():
        for way in ways_of(portal):
            found[way.from_zone].append(way)
    return {zone: tuple(ways) for zone, ways in found.items()}


def open_ground(policy: Policy) -> tuple[ZoneId, ...]:
    """Where anybody may be without being let in: open ground, and outermost zones that no portal leads into."""
    led_into = {portal.inner for portal in policy.portals.values()}
    return tuple(
        zone.id
        for zone in policy.zones.values()
        if not zone.is_protected
        and (zone.kind is ZoneKind.UNRESTRICTED or (zone.parent is None and zone.id not in led_into))
    )


def may_stand_unlocked(policy: Policy, portal: Portal) -> bool:
    """Whether an officer's row or a schedule keeps the portal released at some hour."""
    status = policy.portal_statuses.get(portal.id)
    return portal.unlock_schedule is not None or (status is not None and status.mode in KEPT)


def stands_unlocked(policy: Policy, portal: Portal, now: Moment) -> bool:
    """Whether anybody may walk in `now`. Where a schedule waits for the first one in, he is taken to have come."""
    return standing_mode(policy, portal.id, now, was_entered=True) in KEPT


def find_way(
    ways: dict[ZoneId, tuple[Way, ...]],
    starts: Iterable[ZoneId],
    is_goal: Callable[[Way], bool],
    is_passable: Callable[[Way], bool],
) -> tuple[Way, ...] | None:
    """The shortest walk whose last step is a goal, over passable steps alone; None where there is none."""
    for walk in walks(ways, starts, is_passable):
        if is_goal(walk[-1]):
            return walk
    return None


def walks(
    ways: dict[ZoneId, tuple[Way, ...]], starts: Iterable[ZoneId], is_passable: Callable[[Way], bool]
) -> Iterator[tuple[Way, ...]]:
    """A walk over every passable step from where one can get to, shortest first; each zone is walked from once."""
    reached: dict[ZoneId, tuple[Way, ...]] = dict.fromkeys(starts, ())
    waiting = deque(reached)
    while waiting:
        zone = waiting.popleft()
        for way in ways.get(zone, ()):
            if not is_passable(way):
                continue
            walk = (*reached[zone], way)
            yield walk
            if way.to_zone not in reached:
                reached[way.to_zone] = walk
                waiting.append(way.to_zone)


def told(walk: Iterable[Way], start: ZoneId | None = None) -> tuple[str, ...]:
    """A walk by names: zone, portal, zone, portal, zone."""
    path: list[str] = [] if start is None else [start]
    for way in walk:
        if not path:
            path.append(way.from_zone)
        path += [way.portal, way.to_zone]
    return tuple(path)
