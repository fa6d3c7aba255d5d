"""Whether a moment lies within a weekly schedule, in Japanese time to the minute (B-03).

A window never crosses midnight: 22:00 to 06:00 is two windows, so that no reader has to know whose day an hour is.
"""

from __future__ import annotations

from zones.moment import JST, Moment
from zones.places import Schedule


def is_within(schedule: Schedule, now: Moment) -> bool:
    """True where some window of the schedule holds `now` (its first minute counts, its last does not)."""
    here = now.at.astimezone(JST)
    weekday, minute = here.weekday(), here.hour * 60 + here.minute
    return any(w.weekday == weekday and w.from_min <= minute < w.to_min for w in schedule.windows)
