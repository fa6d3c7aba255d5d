"""The watch: alarms about what is wrong in a zone as time goes by, not about one passage (docs/decision.md §5).

Pure. `look` is called after whatever may have changed policy or occupancy and when `deadline` is due; it tells each
condition once, when it has held for its grace, and once more when it is over. A watch starts empty: what is still wrong
after a restart is told again, its grace counted anew. Days and terms are read from the wall clock, and are left alone
while that is not believed; grace runs by ticks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Final

from zones.frozen import nothing
from zones.ids import CardholderId, OverrideId, RosterEntryId, ZoneId
from zones.moment import JST, Moment, epoch_ms
from zones.occupancy import Occupancy, Presence
from zones.places import ZoneState
from zones.policy import Policy
from zones.watch_conditions import (
    CONDITIONS,
    DAY_MS,
    NOBODY,
    Condition,
    ConditionKind,
    Kind,
    Scene,
    admits_guests,
    end_ms,
    is_escort,
    is_guest,
    is_overdue,
)

__all__ = ["CONDITIONS", "Alarm", "Ceased", "Condition", "ConditionKind", "Kind", "Watch", "deadline", "look"]

_MS: Final = timedelta(milliseconds=1)

Some = tuple[frozenset[CardholderId], frozenset[CardholderId]]
"""Who is in a zone, and those of them who are of a certain kind."""

_NONE: Final[Some] = (NOBODY, NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The condition has held for its grace."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceased:
    """The condition of an earlier alarm holds no more."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What was seen so far. `Watch()` has seen nothing.

    `since`: conditions that hold, and the tick at which each was first seen. `said`: those that were told. `day`: the
    last day (in Japan) that was seen; whoever knows it from before a restart passes it, so that a midnight that passed
    in between still counts. `at_ms`: the last wall time (epoch) that was believed. The others are kept so that a look
    costs little: `policy` and `where` are what was looked at last; `guests` by zone, `escorts` by zone and zone in it,
    `overdue`, `unclosed` and `ending` feed `zones.watch_conditions.Scene`; `due_tick`: when the next grace is over;
    `again_tick`: when the wall clock alone may change something.
    """

    since: Mapping[Condition, int] = field(default_factory=nothing)
    said: frozenset[Condition] = frozenset()
    day: date | None = None
    at_ms: int = 0
    policy: Policy | None = None
    where: Mapping[CardholderId, Presence] | None = None
    guests: Mapping[ZoneId, Some] = field(default_factory=nothing)
    escorts: Mapping[tuple[ZoneId, ZoneId], Some] = field(default_factory=nothing)
    overdue: Mapping[ZoneId, tuple[RosterEntryId, ...]] | None = None
    unclosed: frozenset[tuple[ZoneId, date]] = frozenset()
    ending: tuple[OverrideId, ...] = ()
    due_tick: int | None = None
    again_tick: int | None = None


def look(watch: Watch, policy: Policy, occupancy: Occupancy, now: Moment) -> tuple[Watch, tuple[Alarm | Ceased, ...]]:
    """The watch after looking, and what is to be told: ends first, then alarms, in the order of CONDITIONS."""
    is_same = watch.policy is policy and watch.where is occupancy.where
    is_in_time = watch.again_tick is not None and now.tick_ms < watch.again_tick
    if is_same and is_in_time and (not now.is_trusted or watch.day == now.today):
        if watch.due_tick is None or now.tick_ms < watch.due_tick:
            return watch, ()
        holding: Mapping[Condition, int] = watch.since
    else:
        watch, scene = _looked(watch, policy, occupancy, now)
        holding = {
            condition: watch.since.get(condition, now.tick_ms)
            for kind in CONDITIONS.values()
            for condition in kind.find(scene)
        }
    pending = {one: _due_tick(one, tick) for one, tick in holding.items() if one not in watch.said}
    due = [one for one, tick in pending.items() if tick <= now.tick_ms]
    due_tick = min((tick for tick in pending.values() if tick > now.tick_ms), default=None)
    over = [one for one in watch.said if one not in holding]
    told: list[Alarm | Ceased] = [Ceased(condition=one) for one in sorted(over) if CONDITIONS[one.kind].tells_end]
    told += [Alarm(condition=one) for one in due]
    said = (watch.said - frozenset(over)) | frozenset(due)
    return replace(watch, since=holding, said=said, due_tick=due_tick), tuple(told)


def deadline(watch: Watch) -> int | None:
    """The next tick (ms) at which `look` may have something to tell though nothing happens, or None."""
    return min((tick for tick in (watch.due_tick, watch.again_tick) if tick is not None), default=None)


def _due_tick(condition: Condition, since_tick: int) -> int:
    return since_tick + CONDITIONS[condition.kind].grace_ms


def _looked(watch: Watch, policy: Policy, occupancy: Occupancy, now: Moment) -> tuple[Watch, Scene]:
    """All that is kept between looks, as it is now, and the scene that it makes."""
    day, at_ms = (now.today, epoch_ms(now.at)) if now.is_trusted else (watch.day, watch.at_ms)
    overdue, unclosed, ending = watch.overdue, watch.unclosed, watch.ending
    if day is not None:
        is_new_day = day != watch.day
        if watch.day is not None and day > watch.day:
            unclosed |= {(zone, watch.day) for zone in policy.zones if _is_unclosed(policy, zone)}
        is_edited = watch.policy is None or policy.roster is not watch.policy.roster
        if overdue is None or is_new_day:
            overdue = _overdue(policy, day)
        elif is_edited:
            overdue = _still_overdue(overdue, policy, day)
        if now.is_trusted and (is_new_day or watch.policy is None or policy.overrides is not watch.policy.overrides):
            ending = _ending(policy, at_ms)
    unclosed = frozenset((zone, one) for zone, one in unclosed if _is_unclosed(policy, zone))
    guests = _guests(watch, policy, occupancy)
    escorts = _escorts(watch, guests, policy, occupancy, day)
    next_one = replace(
        watch,
        day=day,
        at_ms=at_ms,
        policy=policy,
        where=occupancy.where,
        guests=guests,
        escorts=escorts,
        overdue=overdue,
        unclosed=unclosed,
        ending=ending,
        again_tick=_again_tick(policy, ending, now),
    )
    scene = Scene(
        policy=policy,
        occupancy=occupancy,
        at_ms=at_ms,
        today=day or date.min,
        guests={zone: found for zone, (_, found) in guests.items()},
        escorts=_joined(escorts),
        overdue=overdue or {},
        unclosed=unclosed,
        ending=ending,
    )
    return next_one, scene


def _guests(watch: Watch, policy: Policy, occupancy: Occupancy) -> Mapping[ZoneId, Some]:
    """The guests in each zone that admits some. Only newcomers are asked what they are: that never changes."""
    found = {}
    for zone in policy.zones.values():
        people = occupancy.inside.get(zone.id, NOBODY)
        if not people or not admits_guests(zone):
            continue
        before, guests = watch.guests.get(zone.id, _NONE)
        if people is not before:
            guests = (guests & people) | {who for who in people - before if is_guest(policy, who)}
        found[zone.id] = people, guests
    return found


def _escorts(
    watch: Watch, guests: Mapping[ZoneId, Some], policy: Policy, occupancy: Occupancy, day: date | None
) -> Mapping[tuple[ZoneId, ZoneId], Some]:
    """The escorts of each zone with guests, by the zone that they are in.

    Only newcomers are asked, while the roster and the day are the same.
    """
    is_same = watch.policy is not None and watch.policy.roster is policy.roster and watch.day == day
    today = day or date.min
    found = {}
    for zone, (_, some) in guests.items():
        for one in policy.insides[zone] if some else ():
            people = occupancy.inside.get(one, NOBODY)
            before, escorts = watch.escorts.get((zone, one), _NONE) if is_same else _NONE
            if people is not before:
                escorts = (escorts & people) | {who for who in people - before if is_escort(policy, zone, who, today)}
            found[zone, one] = people, escorts
    return found


def _joined(escorts: Mapping[tuple[ZoneId, ZoneId], Some]) -> Mapping[ZoneId, frozenset[CardholderId]]:
    found: dict[ZoneId, frozenset[CardholderId]] = {}
    for (zone, _), (_, some) in escorts.items():
        found[zone] = found.get(zone, NOBODY) | some
    return found


def _is_unclosed(policy: Policy, zone: ZoneId) -> bool:
    """Whether a zone that is opened and secured by named people is not secured now."""
    row = policy.zones.get(zone)
    return row is not None and row.needs_opener and policy.zone_state(zone) is not ZoneState.SECURED


def _overdue(policy: Policy, today: date) -> Mapping[ZoneId, tuple[RosterEntryId, ...]]:
    """Every overdue row of every roster. Costs the whole roster, so it is made once a day."""
    found: dict[ZoneId, list[RosterEntryId]] = {}
    for row_id, entry in policy.roster.items():
        if is_overdue(entry, today):
            found.setdefault(entry.zone, []).append(row_id)
    return {zone: tuple(rows) for zone, rows in found.items()}


def _still_overdue(
    overdue: Mapping[ZoneId, tuple[RosterEntryId, ...]], policy: Policy, today: date
) -> Mapping[ZoneId, tuple[RosterEntryId, ...]]:
    """Without the rows at the head of each zone's list that were reviewed or ended: one that is left is enough."""
    still = {}
    for zone, rows in overdue.items():
        first = next((n for n, row_id in enumerate(rows) if is_overdue(policy.roster[row_id], today)), None)
        if first is not None:
            still[zone] = rows[first:] if first else rows
    return still


def _ending(policy: Policy, at_ms: int) -> tuple[OverrideId, ...]:
    """Overrides that are not over, or ended within a day: a controller that was down meanwhile tells it late."""
    return tuple(sorted(row_id for row_id, row in policy.overrides.items() if end_ms(row) > at_ms - DAY_MS))


def _again_tick(policy: Policy, ending: tuple[OverrideId, ...], now: Moment) -> int | None:
    """The next tick at which the hour alone matters: midnight in Japan, or an override that begins or ends, or ended a
    day ago.
    """
    if not now.is_trusted:
        return None
    at_ms = epoch_ms(now.at)
    midnight = datetime.combine(now.today + timedelta(days=1), time(), JST)
    bounds = [-((now.at - midnight) // _MS)]
    for row_id in ending:
        row = policy.overrides[row_id]
        bounds += [bound - at_ms for bound in (row.from_ms, end_ms(row), end_ms(row) + DAY_MS) if bound > at_ms]
    return now.tick_ms + min(bounds)
