"""Clocks that do not agree (A-22, A-26): our own that somebody set while we ran, and those of devices that tell theirs.

A device's clock is told by the time on its messages, which also grow late on their way. One that is ahead of ours is
certain at once: nothing arrives before it was sent. One behind is believed after three messages in a row that differ by
more than a second, by the least of them. Nothing is judged by a clock of ours that is not trusted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from controller.clock import FLOOR, wall_ms
from controller.standing import Standing
from controller.turn import Turn
from zones.moment import Moment

STEP_MS: Final = 1_000
"""A wall clock that moved by more than this against the one that nobody can set was set."""

SKEW_MS: Final = 1_000
"""Doors are compared to the second (A-26)."""

AGREES_MS: Final = 500
"""A device within this agrees again: not so near to SKEW_MS that it would come and go."""

LOOKED_AT: Final = 3

_NO_CLOCK_MS: Final = wall_ms(FLOOR)


@dataclass(slots=True)
class _Told:
    """What a device's last messages said. `last_ms`: the time on the last one; one sent again tells nothing."""

    skews_ms: deque[int] = field(default_factory=lambda: deque(maxlen=LOOKED_AT))
    last_ms: int = 0
    is_skewed: bool = False


class ClockWatch:
    """Compares clocks. One thread owns it."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._offset_ms: int | None = None
        self._told: dict[str, _Told] = {}

    def is_set(self, now: Moment) -> bool:
        """Whether our own wall clock was set since the last look."""
        return self._offset_ms is not None and abs(wall_ms(now.at) - now.tick_ms - self._offset_ms) > STEP_MS

    def look(self, now: Moment, turn: Turn) -> None:
        """Say so where our own wall clock was set since the last look."""
        was_set, before = self.is_set(now), self._offset_ms
        self._offset_ms = wall_ms(now.at) - now.tick_ms
        if not was_set or before is None:
            return
        for told in self._told.values():  # what devices differed from was another clock
            told.skews_ms.clear()
        detail = {"by_ms": self._offset_ms - before}
        self._standing.record(self._standing.scribe.draft("CLOCK_SET", now=now, detail=detail), turn)

    def heard(self, source: str, at_ms: int | None, now: Moment, turn: Turn) -> None:
        """A live message of a device that says when it was sent."""
        if at_ms is None or at_ms < _NO_CLOCK_MS or not now.is_trusted:
            return
        told = self._told.setdefault(source, _Told())
        if at_ms == told.last_ms:
            return  # sent again
        told.last_ms = at_ms
        told.skews_ms.append(wall_ms(now.at) - at_ms)
        least_ms = min(told.skews_ms)
        is_sure = least_ms < -SKEW_MS or len(told.skews_ms) == LOOKED_AT
        if not told.is_skewed and is_sure and abs(least_ms) > SKEW_MS:
            told.is_skewed = True
            self._say("CLOCK_SKEW", {"against": source, "by_ms": least_ms}, now, turn)
        elif told.is_skewed and len(told.skews_ms) == LOOKED_AT and abs(least_ms) <= AGREES_MS:
            told.is_skewed = False
            self._say("ALARM_CEASED", {"kind": "CLOCK_SKEW", "row": source}, now, turn)

    def _say(self, type_: str, detail: dict[str, str | int], now: Moment, turn: Turn) -> None:
        self._standing.record(self._standing.scribe.draft(type_, now=now, detail=detail), turn)
