"""The one place that asks what time it is, and whether the answer may be believed (requirements B-02, design §3).

Most Pis have no battery clock: they start in 1970 or where they last stopped. The wall clock is trusted only from
`FLOOR` on and only while it has not gone back behind the latest time that the ledger holds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from zones.moment import Moment

FLOOR: Final = datetime(2025, 5, 16, tzinfo=UTC)
"""The day the Act came into force; no site of ours existed before, so a wall clock earlier than this is wrong."""

CEILING: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""No right lasts so long (`zones.row_checks.LAST_DAY`): a wall clock at or after this is wrong as well."""

ROLLBACK_TOLERANCE: Final = timedelta(seconds=2)
"""A time server may step the clock back by this much without the site losing its dated rights."""


class Clock(Protocol):
    """Something that can be asked for the time: the system's, or a simulated one."""

    def tick_ms(self) -> int: ...
    def now(self) -> Moment: ...


def wall_ms(at: datetime) -> int:
    """UTC milliseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MILLISECOND


def from_wall_ms(ms: int) -> datetime:
    """The aware UTC time of milliseconds since 1970."""
    return _EPOCH + ms * _MILLISECOND


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class ClockTrust:
    """Remembers the highest wall time seen. `latest`: the latest time in the ledger, or None in an empty one."""

    def __init__(self, latest: datetime | None) -> None:
        self._highest = FLOOR if latest is None else max(FLOOR, latest)

    def judge(self, at: datetime) -> bool:
        """Whether `at` may be believed; raises the mark where it may."""
        if at >= CEILING:
            return False
        if at >= self._highest:
            self._highest = at
            return True
        return at >= FLOOR and at >= self._highest - ROLLBACK_TOLERANCE


class SystemClock:
    """The machine's own clocks. `latest`: what the wall clock must not be behind; None: any time from FLOOR on."""

    def __init__(self, latest: datetime | None) -> None:
        self._trust = ClockTrust(latest)

    def tick_ms(self) -> int:
        """Milliseconds of the clock that never steps, alone: a loop asks for them several times a turn."""
        return time.monotonic_ns() // 1_000_000

    def now(self) -> Moment:
        at = datetime.now(UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as it is recorded, so that a replay sees the same
        return Moment(at=at, tick_ms=self.tick_ms(), is_trusted=self._trust.judge(at))
