"""Whether the wall clock may be believed: dated rights hang on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.clock import FLOOR, ROLLBACK_TOLERANCE, ClockTrust, SystemClock, from_wall_ms, wall_ms

NOON = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)

TRUST = [
    # the ledger's latest time, what the clock says one after the other and whether that is believed
    (None, [(datetime(1970, 1, 1, tzinfo=UTC), False), (NOON, True)]),
    (None, [(FLOOR - SECOND, False), (FLOOR, True)]),
    (NOON, [(NOON - 3 * SECOND, False), (NOON, True)]),
    (NOON, [(NOON - 2 * SECOND, True)]),
    (NOON, [(FLOOR + SECOND, False), (NOON + SECOND, True)]),
    (
        NOON,
        [(NOON + 9 * SECOND, True), (NOON + 7 * SECOND, True), (NOON + 6 * SECOND, False), (NOON + 9 * SECOND, True)],
    ),
    (NOON, [(NOON + SECOND, True), (NOON - SECOND, True), (NOON - 2 * SECOND, False)]),
    (datetime(1970, 1, 2, tzinfo=UTC), [(datetime(1970, 1, 3, tzinfo=UTC), False), (FLOOR, True)]),
    (FLOOR, [(FLOOR - SECOND, False), (FLOOR, True)]),
]


@pytest.mark.req("B-02")
@pytest.mark.parametrize(("latest", "story"), TRUST)
def test_a_clock_is_believed_only_forward_from_what_is_known(latest, story):
    """With a clock set back, a right that ended last year would open doors again."""
    trust = ClockTrust(latest)
    assert [trust.judge(at) for at, _ in story] == [is_trusted for _, is_trusted in story]


@pytest.mark.req("B-02")
def test_stepping_back_a_little_at_a_time_gets_nowhere():
    """A hundred small steps back would be one large one."""
    trust = ClockTrust(NOON)
    believed = [at for at in (NOON - n * SECOND for n in range(100)) if trust.judge(at)]
    assert min(believed) >= NOON - ROLLBACK_TOLERANCE


@given(st.timedeltas(timedelta(0), timedelta(days=80_000)))
def test_times_go_through_the_ledger_and_back(since_1970):
    """A record would stand at another time than it was made."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + since_1970
    ms = wall_ms(at)
    assert from_wall_ms(ms) <= at < from_wall_ms(ms + 1)
    assert wall_ms(from_wall_ms(ms)) == ms


def test_the_machines_clock_gives_both_times():
    """A deadline would hang on a clock that steps."""
    clock = SystemClock(None)
    first, second = clock.now(), clock.now()
    assert first.at.tzinfo is UTC and first.is_trusted
    assert 0 <= second.tick_ms - first.tick_ms < 60_000
    assert not SystemClock(first.at + timedelta(days=1)).now().is_trusted
