"""How long a clearance lasts: the last valid day, counted from the day of the notice (requirements §3.1, D-02).

Two ways of counting are known; which one the authorities will ask for is an open question for counsel (§4.1), so the
one that ends earlier is in force and the other is here to be compared with.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from zones.people import Basis

YEARS: Final[Mapping[Basis, int]] = MappingProxyType(
    {
        Basis.KEIZAI_ANPO: 10,
        Basis.TOKUTEI_HIMITSU: 5,
        Basis.BOEI_HOGO: 5,
        Basis.COMPANY: 5,
    }
)
"""The first two are statute; the last two are ours: the shorter of the two statutory terms (docs/decision.md §1)."""

_ONE_DAY = timedelta(days=1)


class Counting(StrEnum):
    """CONSERVATIVE: the day before the same day N years on. MINPO: Civil Code 140 and 143, first day not counted."""

    CONSERVATIVE = "CONSERVATIVE"
    MINPO = "MINPO"


def last_valid_day(notified_on: date, years: int, counting: Counting = Counting.CONSERVATIVE) -> date:
    """The last day on which a result notified on `notified_on` counts for `years` years (days in Japan).

    Raises ValueError where that day lies beyond the calendar (year 9999).
    """
    if counting is Counting.CONSERVATIVE:
        return months_later(notified_on, 12 * years) - _ONE_DAY
    start = notified_on + _ONE_DAY
    counterpart = months_later(start, 12 * years)
    return counterpart if counterpart.day != start.day else counterpart - _ONE_DAY


def term_of(basis: Basis, notified_on: date) -> date:
    """The last valid day of a clearance on `basis`, counted conservatively."""
    return last_valid_day(notified_on, YEARS[basis])


def months_later(day: date, months: int) -> date:
    """The same day `months` later; the month's last day where it has no such day (29 February -> 28 February)."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if year > date.max.year:
        raise ValueError(f"{day} and {months} months is beyond the calendar")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
