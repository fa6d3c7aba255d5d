"""A press of REX is now or it is late; a device's wrong clock must not lock anybody in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.clock import wall_ms
from controller.lateness import Lateness
from zones.moment import Moment

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

# (seconds since start by our clock, seconds by the device's stamp, is it late)
STORIES = {
    "clocks agree": [(0, 0, False), (10, 10, False)],
    "held back in a network": [(0, 0, False), (60, 20, True)],
    "two held back together": [(60, 20, True), (60, 21, True), (60, 24, True)],
    "a device an hour behind is believed from the second press": [
        (0, -3600, True),
        (3, -3597, False),
        (9, -3591, False),
    ],
    "and its late ones are late": [(0, -3600, True), (3, -3597, False), (60, -3590, True)],
    "a device an hour ahead": [(0, 3600, True), (2, 3602, False)],
    "our own clock was set an hour on": [(0, 0, False), (3600, 10, True), (3603, 13, False)],
}


@pytest.mark.req("B-22")
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_late_presses_are_told_from_wrong_clocks(story: list[tuple[int, int, bool]]) -> None:
    """An old message would open a door to nobody, or a wrong clock would hold somebody in."""
    lateness = Lateness()
    start_ms = wall_ms(START)
    for number, (ours, theirs, is_late) in enumerate(story):
        tick_ms = number * 3000 if story is STORIES["our own clock was set an hour on"] else ours * 1000
        now = Moment(at=START + timedelta(seconds=ours), tick_ms=tick_ms)
        assert lateness.is_late("dr-1", start_ms + theirs * 1000, now) is is_late, (ours, theirs)


def test_without_a_trusted_clock_nothing_is_late() -> None:
    """A Pi that lost the time would hold everybody in."""
    now = Moment(at=datetime(1970, 1, 1, tzinfo=UTC), tick_ms=5, is_trusted=False)
    assert not Lateness().is_late("dr-1", wall_ms(START), now)


def test_a_stamp_that_is_not_there_is_not_late() -> None:
    """A wired button has no clock."""
    assert not Lateness().is_late("dr-1", None, Moment(at=START, tick_ms=5))


@pytest.mark.req("D-24")
@pytest.mark.parametrize("stamps", [[0, 900, 2400], [7, 7, 7]], ids=["counts from its start", "stands still"])
def test_a_device_without_a_clock_lets_out(stamps: list[int]) -> None:
    """A button whose device was never told the time would hold somebody in."""
    lateness = Lateness()
    for number, at_ms in enumerate(stamps):
        now = Moment(at=START + timedelta(seconds=number), tick_ms=number * 1000)
        assert not lateness.is_late("dr-1", at_ms, now)


@pytest.mark.req("D-24")
def test_whoever_keeps_pressing_gets_out() -> None:
    """A device ten minutes slow would hold in whoever presses more often than once a second."""
    lateness, start_ms = Lateness(), wall_ms(START)
    late = [
        lateness.is_late(
            "dr-1", start_ms - 600_000 + n * 400, Moment(at=START + timedelta(milliseconds=n * 400), tick_ms=n * 400)
        )
        for n in range(6)
    ]
    assert late == [True, True, True, False, False, False]
