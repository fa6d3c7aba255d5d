"""One reading of both clocks. `zones` never asks what time it is: it is told.

Deadlines use `tick_ms` (monotonic, survives a stepped wall clock); dates and schedules use `at`.
Legal dates are days in Asia/Tokyo whatever the host's zone is (requirements D-30).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

JST = timezone(timedelta(hours=9), "JST")
"""Japan has no daylight saving time, so a fixed offset is exact and needs no time-zone database."""


class Here(NamedTuple):
    """A time as a calendar on a wall in Japan shows it: `weekday` 0 is Monday, `minute` counts from midnight."""

    day: date
    weekday: int
    minute: int


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NEVER = Here(date.min, date.min.weekday(), 0)
_BEFORE_UTC = timedelta(hours=9)
_LAST: list[tuple[datetime, Here]] = [(_EPOCH, Here(date(1970, 1, 1), 3, 9 * 60))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`at`: aware UTC wall time. `tick_ms`: monotonic milliseconds. `is_trusted`: the wall clock may be believed."""

    at: datetime
    tick_ms: int
    is_trusted: bool = True

    def __post_init__(self) -> None:
        assert self.at.tzinfo is UTC, "Moment.at must be aware UTC"

    @property
    def today(self) -> date:
        """The day in Japan."""
        return self.at.astimezone(JST).date()


def here(at: datetime) -> Here:
    """The wall time in Japan; the first day of the calendar, on which no right is in force, where it has no such day.

    The last one is remembered: all that is decided in one turn of the loop is decided at one moment.
    """
    last_at, found = _LAST[0]
    if last_at is not at:
        found = _here(at)
        _LAST[0] = (at, found)
    return found


def _here(at: datetime) -> Here:
    try:
        local = at + _BEFORE_UTC if at.tzinfo is UTC else at.astimezone(JST)
    except OverflowError:
        return _NEVER
    return Here(local.date(), local.weekday(), local.hour * 60 + local.minute)


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970 of an aware time, rounded down."""
    return (at - _EPOCH) // _MILLISECOND
