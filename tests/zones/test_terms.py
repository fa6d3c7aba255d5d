"""Last valid days, by the vectors of requirements §3.1."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones.people import Basis
from zones.terms import YEARS, Counting, last_valid_day, months_later, term_of

VECTORS = [
    # notified, years, conservative, minpo; why the row is here
    (date(2026, 4, 1), 10, date(2036, 3, 31), date(2036, 4, 1)),  # the plain case
    (date(2026, 2, 28), 10, date(2036, 2, 27), date(2036, 2, 29)),  # ends in a leap year
    (date(2025, 12, 31), 10, date(2035, 12, 30), date(2035, 12, 31)),  # over the new year
    (date(2028, 2, 28), 10, date(2038, 2, 27), date(2038, 2, 28)),  # minpo's first day is 29 February: no counterpart
    (date(2028, 2, 29), 10, date(2038, 2, 27), date(2038, 2, 28)),  # notified on 29 February
    (date(2028, 2, 29), 5, date(2033, 2, 27), date(2033, 2, 28)),
]


@pytest.mark.req("D-02")
@pytest.mark.parametrize("notified_on, years, conservative, minpo", VECTORS)
def test_vectors_of_the_requirements(notified_on, years, conservative, minpo):
    """A clearance would admit somebody a day too long, or refuse a day too early."""
    assert last_valid_day(notified_on, years) == conservative
    assert last_valid_day(notified_on, years, Counting.MINPO) == minpo


@pytest.mark.req("D-02")
def test_each_basis_has_its_term():
    """A five-year clearance would open doors for ten."""
    assert YEARS[Basis.KEIZAI_ANPO] == 10
    assert YEARS[Basis.TOKUTEI_HIMITSU] == 5
    assert set(YEARS) == set(Basis)
    assert term_of(Basis.KEIZAI_ANPO, date(2026, 4, 1)) == date(2036, 3, 31)
    assert term_of(Basis.TOKUTEI_HIMITSU, date(2026, 4, 1)) == date(2031, 3, 31)


@given(st.dates(date(2000, 1, 1), date(2199, 12, 31)), st.integers(1, 10))
def test_conservative_counting_never_outlasts_the_other(notified_on, years):
    """The counting we call conservative would be the generous one."""
    conservative = last_valid_day(notified_on, years)
    minpo = last_valid_day(notified_on, years, Counting.MINPO)
    assert timedelta(0) <= minpo - conservative <= timedelta(days=2)
    assert conservative > notified_on


@given(st.dates(date(2000, 1, 1), date(2199, 12, 30)), st.sampled_from(sorted(YEARS)))
def test_a_later_notice_never_ends_earlier(notified_on, basis):
    """Two people notified a day apart would see the later one expire first."""
    assert term_of(basis, notified_on) <= term_of(basis, notified_on + timedelta(days=1))


@pytest.mark.parametrize(
    "day, months, expected",
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
    ],
)
def test_months_are_calendar_months(day, months, expected):
    """A need-to-know of twelve months would be refused or stretched by the length of a month."""
    assert months_later(day, months) == expected


def test_a_day_beyond_the_calendar_is_refused():
    """A notice dated 9999 would crash the controller with an error nobody expects."""
    with pytest.raises(ValueError, match="beyond the calendar"):
        last_valid_day(date(9995, 1, 1), 10)
