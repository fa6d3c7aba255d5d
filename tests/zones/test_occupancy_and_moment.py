"""Small values that the rest stands on."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from zones.frozen import nothing, thawed
from zones.moment import JST, Moment


def test_a_moment_without_a_time_zone_is_our_mistake():
    """A local time would be taken for UTC, nine hours off."""
    for at in (datetime(2026, 5, 11), datetime(2026, 5, 11, tzinfo=JST)):  # noqa: DTZ001 - the mistake in question
        with pytest.raises(AssertionError):
            Moment(at=at, tick_ms=0)


def test_today_is_the_day_in_japan():
    """Rights would change hands at nine in the morning."""
    assert Moment(at=datetime(2026, 5, 10, 14, 59, tzinfo=UTC), tick_ms=0).today == date(2026, 5, 10)
    assert Moment(at=datetime(2026, 5, 10, 15, 0, tzinfo=UTC), tick_ms=0).today == date(2026, 5, 11)


def test_thawing_leaves_the_frozen_mapping_alone():
    """A change in the making would already be in force."""
    frozen = nothing()
    thawed(frozen)["a"] = 1
    assert frozen == {}
    assert thawed({"a": 1}) == {"a": 1}
