"""Lines that chatter must not flood the ledger: the first complaint of a kind is recorded, then a count a minute."""

from __future__ import annotations

from typing import Final

from controller.ledger.body import Scribe
from controller.turn import Turn
from readers.events import LineNoise, MessageRefused
from zones.moment import Moment

WINDOW_MS: Final = 60_000
KINDS_MAX: Final = 1024
"""Sources are named by strangers on a broker: beyond this many, they are counted together."""


class Noise:
    """Counts bad bytes and refused messages by source and kind."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._since: dict[tuple[str, str], tuple[int, int]] = {}

    def note(self, event: LineNoise | MessageRefused, now: Moment, turn: Turn) -> None:
        """Record this complaint, or only count it where one like it was recorded within the minute."""
        type_, why, count = (
            ("LINE_NOISE", "bytes", event.count)
            if isinstance(event, LineNoise)
            else ("MESSAGE_REFUSED", event.why[:80], 1)
        )
        key = (event.source[:64], why)
        if key not in self._since and len(self._since) >= KINDS_MAX and not self._has_forgotten_one(now):
            key = ("*", "too many sources")
        recorded_at, counted = self._since.get(key, (now.tick_ms - WINDOW_MS, 0))
        counted += count
        if now.tick_ms - recorded_at < WINDOW_MS:
            self._since[key] = (recorded_at, counted)
            return
        self._since.pop(key, None)  # the longest silent stands first
        self._since[key] = (now.tick_ms, 0)
        detail: dict[str, str | int] = {"device": key[0], "count": counted}
        if type_ == "MESSAGE_REFUSED":
            detail["why"] = key[1]
        turn.record(self._scribe.draft(type_, now=now, detail=detail))

    def _has_forgotten_one(self, now: Moment) -> bool:
        """Make room for one more by forgetting the source whose minute ended first, if it has."""
        oldest = next(iter(self._since))
        if now.tick_ms - self._since[oldest][0] < WINDOW_MS:
            return False
        del self._since[oldest]
        return True
