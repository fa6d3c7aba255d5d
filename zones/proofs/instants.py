"""Which moments differ at all: between two of them every rule reads the same dates, hours and terms.

Every date of every row cuts the time ahead into terms of whole days; within a term, days differ by weekday and holiday,
and hours by the windows of the schedules. One moment stands for each combination. Rules that look further than a date
says (a grace) have their days cut too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta

from zones.decision.keys import REVIEW_GRACE, TRAINING_GRACE
from zones.ids import CardholderId
from zones.moment import JST, Moment, epoch_ms
from zones.places import Window
from zones.policy import Holder, Policy
from zones.schedule import is_within

_ONE_DAY = timedelta(days=1)
_REACHES = tuple(
    grace + day for grace in (timedelta(0), REVIEW_GRACE, TRAINING_GRACE) for day in (timedelta(0), _ONE_DAY)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """A moment with what distinguishes it: `hours` says which schedules hold it, `terms` counts the terms begun."""

    now: Moment
    day: date
    hours: tuple[bool, ...]
    terms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """All moments that differ, in order, and the days on which something changes for one cardholder or for all."""

    moments: tuple[Instant, ...]
    own: dict[CardholderId, tuple[date, ...]]
    shared: tuple[date, ...]

    def standing(self, who: CardholderId, at: Instant) -> tuple[object, ...]:
        """The same for two instants between which nothing changes for `who` alone."""
        return (
            bisect_right(self.own.get(who, ()), at.day),
            bisect_right(self.shared, at.day),
            at.hours,
            at.terms,
        )


def instants_of(policy: Policy, now: Moment, horizon_days: int) -> Instants:
    """The moments from `now` for so many days; `now` alone where there are none."""
    own = {who: _days_of(_rows_of(holder)) for who, holder in policy.holders.items()}
    shared = _days_of((*policy.items.values(), *_windows(policy)))
    first, last = now.today, now.today + timedelta(days=horizon_days)
    cuts = {first, *(day for days in (*own.values(), shared) for day in days if first < day <= last)}
    terms_ms = _terms_ms(policy)
    moments = list(_moments(policy, now, sorted(cuts), last, terms_ms))
    return Instants(moments=tuple(moments), own=own, shared=shared)


def _moments(policy: Policy, now: Moment, cuts: list[date], last: date, terms_ms: tuple[int, ...]) -> Iterator[Instant]:
    minutes = sorted({0, *(m for window in _windows(policy) for m in (window.from_min, window.to_min) if m < 1440)})
    turning = {_day_of(at_ms) for at_ms in terms_ms}
    yield _instant(policy, now, terms_ms)
    if last == now.today:
        return
    for index, cut in enumerate(cuts):
        end = cuts[index + 1] if index + 1 < len(cuts) else last + _ONE_DAY
        seen: set[object] = set()
        for day in _days_that_differ(policy, cut, end, {now.today, *turning}):
            for at in _hours_of(day, minutes, terms_ms if day in turning else ()):
                if at <= now.at:
                    continue
                found = _instant(policy, Moment(at=at, tick_ms=now.tick_ms), terms_ms)
                if (found.hours, found.terms) not in seen:
                    seen.add((found.hours, found.terms))
                    yield found


def _days_that_differ(policy: Policy, from_on: date, before: date, alone: set[date]) -> Iterator[date]:
    """The first day of each weekday, and of each kind of holiday on it, and the days that stand alone."""
    seen: set[object] = set()
    calendars = [frozenset(calendar.days) for calendar in policy.calendars.values()]
    for number in range((before - from_on).days):
        day = from_on + timedelta(days=number)
        kind = (day.weekday(), tuple(day in days for days in calendars))
        if day in alone or kind not in seen:
            if day not in alone:
                seen.add(kind)
            yield day


def _hours_of(day: date, minutes: list[int], terms_ms: tuple[int, ...]) -> list[datetime]:
    midnight = datetime.combine(day, time(), tzinfo=JST).astimezone(UTC)
    found = {midnight + timedelta(minutes=minute) for minute in minutes}
    found |= {_at(at_ms) for at_ms in terms_ms if _day_of(at_ms) == day}
    return sorted(found)


def _instant(policy: Policy, now: Moment, terms_ms: tuple[int, ...]) -> Instant:
    return Instant(
        now=now,
        day=now.today,
        hours=tuple(is_within(schedule, now, policy.calendars) for schedule in policy.schedules.values()),
        terms=bisect_right(terms_ms, epoch_ms(now.at)),
    )


def _rows_of(holder: Holder) -> Iterator[object]:
    """The cardholder and every row about him."""
    yield holder.cardholder
    yield from (*holder.clearances, *holder.needs, *holder.roster)
    yield from (*holder.trainings, *holder.declarations, *holder.visits)


def _windows(policy: Policy) -> list[Window]:
    return [window for schedule in policy.schedules.values() for window in schedule.windows]


def _days_of(rows: Iterable[object]) -> tuple[date, ...]:
    """The days on which a date of some row begins or ceases to count, graces included."""
    found: set[date] = set()
    for row in rows:
        for one in fields(row):  # type: ignore[arg-type]
            value = getattr(row, one.name)
            if isinstance(value, date):
                found.update(value + reach for reach in _REACHES)
    return tuple(sorted(found))


def _terms_ms(policy: Policy) -> tuple[int, ...]:
    """The milliseconds at which break-glass and an officer's portal modes begin and end."""
    found = {at for one in policy.overrides.values() for at in (one.from_ms, one.until_ms, one.ended_ms)}
    found |= {status.until_ms for status in policy.portal_statuses.values()}
    return tuple(sorted(at for at in found if at is not None))


def _at(at_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def _day_of(at_ms: int) -> date:
    return _at(at_ms).astimezone(JST).date()
