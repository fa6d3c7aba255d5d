"""Weekly schedules, holidays and days, in Japanese time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones.moment import JST, Moment
from zones.places import Calendar, Schedule, Window
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


HOLIDAYS = Calendar(id="jp", days=(date(2026, 5, 4), date(2026, 5, 9)))  # Greenery Day, a Monday; a Saturday of our own
OFFICE = Schedule(id="office", windows=DAY.windows, calendar="jp")
ON_CALL = Schedule(
    id="on-call",
    windows=(*DAY.windows, Window(weekday=6, from_min=10 * 60, to_min=16 * 60, is_for_holidays=True)),
    calendar="jp",
)
NEW_YEAR = Schedule(
    id="new-year",
    windows=tuple(
        Window(weekday=d, from_min=0, to_min=1440, from_on=date(2026, 12, 28), until_on=date(2027, 1, 3))
        for d in range(7)
    ),
)
FROM_MAY = Schedule(id="from-may", windows=(Window(weekday=0, from_min=0, to_min=1440, from_on=date(2026, 5, 4)),))
UNTIL_MAY = Schedule(id="until-may", windows=(Window(weekday=0, from_min=0, to_min=1440, until_on=date(2026, 5, 4)),))


def at(local):
    return Moment(at=datetime.fromisoformat(local).replace(tzinfo=JST).astimezone(UTC), tick_ms=0)


@pytest.mark.req("B-03")
@pytest.mark.parametrize(
    "schedule, local, is_open, why",
    [
        (OFFICE, "2026-05-04T10:00", False, "a Monday that is a holiday"),
        (OFFICE, "2026-05-04T00:00", False, "its first minute"),
        (OFFICE, "2026-05-04T23:59", False, "its last minute"),
        (OFFICE, "2026-05-11T10:00", True, "the next Monday"),
        (OFFICE, "2026-05-01T10:00", True, "the Friday before"),
        (DAY, "2026-05-04T10:00", True, "a schedule without a calendar knows no holidays"),
        (ON_CALL, "2026-05-04T09:59", False, "before the holiday's hours"),
        (ON_CALL, "2026-05-04T10:00", True, "in the holiday's hours"),
        (ON_CALL, "2026-05-04T16:00", False, "after them"),
        (ON_CALL, "2026-05-09T12:00", True, "a holiday on another weekday"),
        (ON_CALL, "2026-05-10T12:00", False, "a plain Sunday is no holiday, whatever its window says"),
        (ON_CALL, "2026-05-11T09:00", True, "a plain Monday"),
        (NEW_YEAR, "2026-12-27T23:59", False, "the day before"),
        (NEW_YEAR, "2026-12-28T00:00", True, "its first day"),
        (NEW_YEAR, "2027-01-01T12:00", True, "over the year's end"),
        (NEW_YEAR, "2027-01-03T23:59", True, "its last day"),
        (NEW_YEAR, "2027-01-04T00:00", False, "the day after"),
        (NEW_YEAR, "2027-12-30T12:00", False, "not every year"),
        (FROM_MAY, "2026-04-27T12:00", False, "a Monday before"),
        (FROM_MAY, "2026-05-04T12:00", True, "the first"),
        (FROM_MAY, "2036-05-05T12:00", True, "and ever after"),
        (UNTIL_MAY, "2016-05-02T12:00", True, "ever before"),
        (UNTIL_MAY, "2026-05-04T12:00", True, "the last"),
        (UNTIL_MAY, "2026-05-11T12:00", False, "a Monday after"),
    ],
)
def test_holidays_and_days_bound_a_schedule(schedule, local, is_open, why):
    """On a holiday the building would be open and empty, or a door would stay open for ever after the new year."""
    assert is_within(schedule, at(local), {"jp": HOLIDAYS}) is is_open, why


@pytest.mark.req("B-03")
@pytest.mark.parametrize("year, has_29", [(2024, True), (2026, False), (2028, True), (2100, False)])
def test_29_february_is_a_day_like_any(year, has_29):
    """In a leap year everybody would stand before a closed door for a day, or the week would shift."""
    last = date(year, 3, 1) - timedelta(days=1)
    assert (last.day == 29) is has_29
    only = Schedule(
        id="only", windows=(Window(weekday=last.weekday(), from_min=0, to_min=1440, from_on=last, until_on=last),)
    )
    assert is_within(only, at(f"{last}T23:59"))
    assert not is_within(only, at(f"{year}-03-01T00:00"))


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31)),  # noqa: DTZ001 - wall time in Japan
    st.integers(0, 1439),
    st.integers(1, 1440),
)
def test_a_window_holds_its_minutes_and_no_others(local, from_min, to_min):
    """A minute here or there would be somebody in the vault at night."""
    one = Schedule(id="one", windows=(Window(weekday=local.weekday(), from_min=from_min, to_min=to_min),))
    minute = local.hour * 60 + local.minute
    assert is_within(one, at(local.isoformat())) is (from_min <= minute < to_min)
