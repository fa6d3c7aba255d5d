"""Weekly schedules, in Japanese time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from zones.moment import Moment
from zones.places import Schedule, Window
from zones.schedule import is_within

DAY = Schedule(id="day", windows=tuple(Window(weekday=d, from_min=8 * 60, to_min=20 * 60) for d in range(5)))
NIGHT = Schedule(
    id="night",
    windows=(Window(weekday=4, from_min=22 * 60, to_min=1440), Window(weekday=5, from_min=0, to_min=6 * 60)),
)
HALF = Schedule(id="half", windows=(Window(weekday=0, from_min=8 * 60 + 30, to_min=8 * 60 + 45),))


@pytest.mark.req("B-03")
@pytest.mark.parametrize(
    "schedule, utc, is_open, why",
    [
        (DAY, "2026-05-10T22:59:59", False, "Monday 07:59:59 in Japan, Sunday in UTC"),
        (DAY, "2026-05-10T23:00:00", True, "Monday 08:00: the first minute counts"),
        (DAY, "2026-05-11T10:59:59", True, "Monday 19:59:59"),
        (DAY, "2026-05-11T11:00:00", False, "Monday 20:00: the last minute does not"),
        (DAY, "2026-05-16T03:00:00", False, "Saturday noon"),
        (NIGHT, "2026-05-15T12:59:00", False, "Friday 21:59"),
        (NIGHT, "2026-05-15T13:00:00", True, "Friday 22:00"),
        (NIGHT, "2026-05-15T14:59:59", True, "Friday 23:59:59"),
        (NIGHT, "2026-05-15T15:00:00", True, "Saturday 00:00: the other window takes over without a gap"),
        (NIGHT, "2026-05-15T20:59:00", True, "Saturday 05:59"),
        (NIGHT, "2026-05-15T21:00:00", False, "Saturday 06:00"),
        (NIGHT, "2026-05-14T13:00:00", False, "Thursday 22:00"),
        (HALF, "2026-05-10T23:29:59", False, "Monday 08:29:59"),
        (HALF, "2026-05-10T23:30:00", True, "Monday 08:30"),
        (HALF, "2026-05-10T23:44:59", True, "Monday 08:44:59"),
        (HALF, "2026-05-10T23:45:00", False, "Monday 08:45"),
        (Schedule(id="never", windows=()), "2026-05-11T03:00:00", False, "no window is never, not always"),
    ],
)
def test_windows_open_and_close_on_the_minute(schedule, utc, is_open, why):
    """A door would open on the wrong day, or leave a gap at midnight."""
    moment = Moment(at=datetime.fromisoformat(utc).replace(tzinfo=UTC), tick_ms=0)
    assert is_within(schedule, moment) is is_open, why
