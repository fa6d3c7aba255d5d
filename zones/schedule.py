"""Whether a moment lies within a schedule, in Japanese time to the minute (B-03).

A window never crosses midnight: 22:00 to 06:00 is two windows, so that no reader has to know whose day an hour is. On
a holiday of the schedule's calendar only the windows for holidays count; without any the day is closed.
"""

from __future__ import annotations

from collections.abc import Mapping

from zones.ids import CalendarId
from zones.moment import Moment, here
from zones.places import Calendar, Schedule

_NO_CALENDARS: Mapping[CalendarId, Calendar] = {}


def is_within(schedule: Schedule, now: Moment, calendars: Mapping[CalendarId, Calendar] = _NO_CALENDARS) -> bool:
    """True where some window of the schedule holds `now` (its first minute counts, its last does not)."""
    day, weekday, minute = here(now.at)
    is_holiday = schedule.calendar is not None and day in calendars[schedule.calendar].days
    for window in schedule.windows:
        if (window.weekday != weekday and not is_holiday) or window.is_for_holidays is not is_holiday:
            continue
        if not window.from_min <= minute < window.to_min:
            continue
        if window.from_on is not None and day < window.from_on:
            continue
        if window.until_on is None or day <= window.until_on:
            return True
    return False
