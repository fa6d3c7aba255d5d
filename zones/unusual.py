"""What is unusual (A-14, docs/decision.md §5): an hour, a stay, a way, tries at doors where somebody has no place.

Pure, a fold over what happened at doors. Nothing of it is a judgement of anybody: it names an hour or a way that is
rare here, once, and an officer finds out why. Nobody is refused for it. A wall clock that is not trusted says nothing,
and a place that is not certain is no place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from zones.decision.ask import roster_entry
from zones.frozen import nothing
from zones.ids import CardholderId, PortalId, ScheduleId, ZoneId
from zones.moment import Moment, epoch_ms, here
from zones.occupancy import Occupancy
from zones.places import Portal, ZoneKind
from zones.policy import Policy
from zones.schedule import is_within

MINUTE_MS: Final = 60_000

NIGHT: Final = (22 * 60, 5 * 60)
"""深夜 (労働基準法37条): from 22:00 to 05:00, in minutes of the day. What is unusual where a site says nothing else."""


class Unusual(StrEnum):
    """What was noticed: the `code` of a record UNUSUAL."""

    OUT_OF_HOURS = "OUT_OF_HOURS"
    REPEATED_TRIES = "REPEATED_TRIES"
    LONG_STAY = "LONG_STAY"
    OUT_OF_SEQUENCE = "OUT_OF_SEQUENCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What is usual at a site. `hours`: zone -> the schedule in which it is usually entered. `tries` refusals at
    `portals` doors or more within `within_ms`; a stay of more than `stay_ms` in zones of `stay_kind` or higher.
    """

    hours: Mapping[ZoneId, ScheduleId] = field(default_factory=nothing)
    tries: int = 3
    portals: int = 2
    within_ms: int = 30 * MINUTE_MS
    stay_ms: int = 14 * 60 * MINUTE_MS
    stay_kind: ZoneKind = ZoneKind.LIMITED


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """One thing that is unusual. `count`: of tries; `minutes`: of a stay."""

    code: Unusual
    cardholder: CardholderId
    zone: ZoneId
    portal: PortalId | None = None
    count: int | None = None
    minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen so far. `tries`: refusals at doors where somebody has no place, as (epoch ms, portal), of the last
    `within_ms`; `told`: whose tries were told, until none is left. `stays`: since when (epoch ms) somebody is in zones
    of `stay_kind` without having left them; `overlong`: whose stay was told. `astray`: when (epoch ms) it was told last
    that somebody's card came where he certainly was not.
    """

    tries: Mapping[CardholderId, tuple[tuple[int, PortalId], ...]] = field(default_factory=nothing)
    told: frozenset[CardholderId] = frozenset()
    stays: Mapping[CardholderId, int] = field(default_factory=nothing)
    overlong: frozenset[CardholderId] = frozenset()
    astray: Mapping[CardholderId, int] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Somebody went, or wanted to go, by a portal into a zone."""

    cardholder: CardholderId
    portal: PortalId
    zone: ZoneId


Found = tuple[Seen, tuple[Noticed, ...]]


def refused(seen: Seen, habits: Habits, passage: Passage, now: Moment) -> Found:
    """Somebody was refused at a door into a zone in which he has no place."""
    who, zone, portal = passage.cardholder, passage.zone, passage.portal
    if not now.is_trusted:
        return seen, ()
    at_ms = epoch_ms(now.at)
    tries = {
        one: kept
        for one, before in seen.tries.items()
        if (kept := tuple(each for each in before if 0 <= at_ms - each[0] < habits.within_ms))
    }
    mine = tries[who] = (*tries.get(who, ()), (at_ms, portal))[-100:]
    told = frozenset(one for one in seen.told if one in tries and one != who)
    is_told = who in seen.told and len(mine) > 1
    is_many = len(mine) >= habits.tries and len({one for _, one in mine}) >= habits.portals
    if is_told or is_many:
        told |= {who}
    after = replace(seen, tries=MappingProxyType(tries), told=told)
    if not is_many or is_told:
        return after, ()
    tried = Noticed(code=Unusual.REPEATED_TRIES, cardholder=who, zone=zone, portal=portal, count=len(mine))
    return after, (tried,)


def strayed(seen: Seen, habits: Habits, passage: Passage, now: Moment) -> Found:
    """Somebody's card was held to a door where he certainly is not (D17), and refused there; or let through, from open
    ground. Told once in `within_ms`.
    """
    at_ms = epoch_ms(now.at)
    astray = {one: at for one, at in seen.astray.items() if 0 <= at_ms - at < habits.within_ms}
    if passage.cardholder in astray:
        return seen, ()
    astray[passage.cardholder] = at_ms
    told = Noticed(
        code=Unusual.OUT_OF_SEQUENCE, cardholder=passage.cardholder, zone=passage.zone, portal=passage.portal
    )
    return replace(seen, astray=MappingProxyType(astray)), (told,)


def passed(seen: Seen, habits: Habits, policy: Policy, before: Occupancy, passage: Passage, now: Moment) -> Found:
    """Somebody passed a portal; `before`: what was known of places until then."""
    seen = _stayed(seen, habits, policy, before, passage, now)
    portal, who, zone = policy.portals.get(passage.portal), passage.cardholder, passage.zone
    if portal is None or zone != portal.inner or zone not in policy.zones:
        return seen, ()
    found: tuple[Noticed, ...] = ()
    if is_out_of_sequence(policy, before, who, portal):
        seen, found = strayed(seen, habits, passage, now)
    granted = replace(now, at=now.at - timedelta(milliseconds=MINUTE_MS))  # he may have been let in until then
    if now.is_trusted and not any(is_usual_hour(habits, policy, who, zone, one) for one in (now, granted)):
        found += (Noticed(code=Unusual.OUT_OF_HOURS, cardholder=who, zone=zone, portal=portal.id),)
    return seen, found


def looked(seen: Seen, habits: Habits, occupancy: Occupancy, now: Moment) -> Found:
    """Whose stay has become too long by `now`, once each. Whoever is not certainly there any more is not told of."""
    if not now.is_trusted or not seen.stays:
        return seen, ()
    at_ms = epoch_ms(now.at)
    found = []
    for who, since_ms in seen.stays.items():
        zone = occupancy.certain_zone(who)
        if at_ms - since_ms >= habits.stay_ms and who not in seen.overlong and zone is not None:
            minutes = (at_ms - since_ms) // MINUTE_MS
            found.append(Noticed(code=Unusual.LONG_STAY, cardholder=who, zone=zone, minutes=minutes))
    if not found:
        return seen, ()
    return replace(seen, overlong=seen.overlong | {one.cardholder for one in found}), tuple(found)


def due_in_ms(seen: Seen, habits: Habits, now: Moment) -> int | None:
    """In how many milliseconds the next stay becomes too long; None: none will."""
    if not now.is_trusted:
        return None
    left = [since + habits.stay_ms - epoch_ms(now.at) for who, since in seen.stays.items() if who not in seen.overlong]
    return min((one for one in left if one > 0), default=None)


def is_usual_hour(habits: Habits, policy: Policy, who: CardholderId, zone_id: ZoneId, now: Moment) -> bool:
    """Whether somebody's entry into a zone is at an hour that is usual there, or was approved for him by name.

    A zone's usual hours are those that the site file names (`usual_schedule`), else those in which it may be entered at
    all, else every hour but the night in a 制限区域 or 取扱区画, and every hour elsewhere.
    """
    zone = policy.zones[zone_id]
    holder = policy.holders.get(who)
    entry = None if holder is None else roster_entry(holder, zone_id, now.today)
    if entry is not None and entry.schedule is not None:
        return is_within(policy.schedules[entry.schedule], now, policy.calendars)
    schedule = policy.schedules.get(habits.hours.get(zone_id) or zone.schedule or ScheduleId(""))
    if schedule is not None:
        return is_within(schedule, now, policy.calendars)
    minute = here(now.at).minute
    return zone.kind < ZoneKind.LIMITED or NIGHT[1] <= minute < NIGHT[0]


def is_out_of_sequence(policy: Policy, before: Occupancy, who: CardholderId, portal: Portal) -> bool:
    """Whether somebody enters by a portal though he certainly is elsewhere than where it leads from: somebody else let
    him out, or his card is not with him. D17 refuses that but from open ground; inside already is D18's question.
    """
    at = before.certain_zone(who)
    if at is None or at == portal.outer or policy.zones[portal.inner].kind is ZoneKind.UNRESTRICTED:
        return False
    return at not in policy.insides.get(portal.inner, (portal.inner,))


def _stayed(seen: Seen, habits: Habits, policy: Policy, before: Occupancy, passage: Passage, now: Moment) -> Seen:
    """A stay begins where somebody comes into such zones, goes on from one to the other, and ends where he leaves."""
    who, row = passage.cardholder, policy.zones.get(passage.zone)
    is_there = row is not None and row.kind >= habits.stay_kind
    if who not in seen.stays if not is_there else who in seen.stays and before.certain_zone(who) is not None:
        return seen
    stays = {one: since for one, since in seen.stays.items() if one != who}
    if is_there and now.is_trusted:
        stays[who] = epoch_ms(now.at)
    return replace(seen, stays=MappingProxyType(stays), overlong=seen.overlong - {who})
