"""Is a press of REX happening now, or is it an old message? The device's clock may be wrong, and exits must stay free.

Judged by the device's own clock against ours, relative to the best agreement seen since it came online. A message that
was held back somewhere is later than that; a device whose clock is plainly wrong is believed from the second press on,
when its clock was seen to run at the same pace as ours. Without a trusted clock of our own nothing is called late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.clock import FLOOR, wall_ms
from zones.moment import Moment

LATE_MS: Final = 5_000
"""A message this much later than its device's best is late."""

PACE_MS: Final = 1_000
"""Presses at one pace by both clocks for so long were not waiting together in a queue."""


_NO_CLOCK_MS: Final = wall_ms(FLOOR)
"""A device that says it is earlier than this never was told the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    skew_ms: int
    at_ms: int
    tick_ms: int


class Lateness:
    """Remembers, per device, how its clock stands to ours."""

    def __init__(self) -> None:
        self._best: dict[str, int] = {}
        self._last: dict[str, _Seen] = {}
        self._doubted: dict[str, _Seen] = {}

    def forget(self, source: str) -> None:
        """The device went or came: what was learnt of its clock counts no more."""
        self._best.pop(source, None)
        self._last.pop(source, None)
        self._doubted.pop(source, None)

    def skew_ms(self, source: str, now: Moment) -> int:
        """Our wall clock minus the device's, as far as is known: so much must be taken off a time that it is to read.

        While our own clock is wrong, the device's last message tells; otherwise only what was found in order.
        """
        if now.is_trusted:
            return self._best.get(source, 0)
        last = self._last.get(source)
        return 0 if last is None else last.skew_ms

    def is_late(self, source: str, at_ms: int | None, now: Moment) -> bool:
        """Whether a message stamped `at_ms` by its device (None: not stamped) is older than it should be."""
        if at_ms is None:
            return False
        skew_ms = wall_ms(now.at) - at_ms
        last, seen = self._last.get(source), _Seen(skew_ms=skew_ms, at_ms=at_ms, tick_ms=now.tick_ms)
        self._last[source] = seen
        if not now.is_trusted or at_ms < _NO_CLOCK_MS or (last is not None and last.at_ms == at_ms):
            return False  # we, or it, have no clock to judge by: the way out is free
        best = self._best.get(source, 0)
        if abs(skew_ms) <= LATE_MS or (source in self._best and -LATE_MS <= skew_ms - best <= LATE_MS):
            self._best[source] = min(best, skew_ms) if source in self._best else skew_ms
            self._doubted.pop(source, None)
            return False
        first = self._doubted.setdefault(source, seen)
        if not _at_one_pace(first, seen):
            self._doubted[source] = seen  # they waited in a queue together, or the clock was set: begin anew
        elif seen.tick_ms - first.tick_ms >= PACE_MS:
            self._best[source] = skew_ms
            del self._doubted[source]
            return False
        return True


def _at_one_pace(first: _Seen, seen: _Seen) -> bool:
    """Whether as much time went by on the device's clock as on ours."""
    return abs((seen.tick_ms - first.tick_ms) - (seen.at_ms - first.at_ms)) <= PACE_MS // 2
