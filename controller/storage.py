"""How full the disk is under the state folder: told at three quarters and at nine tenths (A-23), each once, in order.

At the end of the disk nothing can be recorded and nobody is let in (A-24): that is for the outbox to say. This warns.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.ledger.body import Draft, Scribe
from zones.moment import Moment

LOOK_MS: Final = 30_000
LEVELS: Final = ((75, "STORAGE_75"), (90, "STORAGE_90"))
SLACK: Final = 2
"""Points that use must fall below a level before its alarm ceases: a log that is rotated must not ring every hour."""

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What there is on a disk for us, in bytes: used by anybody, and free for us."""

    used: int
    free: int

    @property
    def used_percent(self) -> int:
        """As `df` says it, rounded up: what root alone may use counts as used up."""
        whole = self.used + self.free
        return 100 if whole <= 0 else -(-100 * self.used // whole)


def space_of(path: Path) -> Space:
    """The room on the disk that holds `path`. OSError."""
    found = os.statvfs(path)
    return Space(used=(found.f_blocks - found.f_bfree) * found.f_frsize, free=found.f_bavail * found.f_frsize)


class StorageWatch:
    """Looks every half minute, and drafts what is to be recorded.

    Args:
        look: how the disk stands; OSError where it cannot be told (then the ledger's own failures speak).
        scribe: drafts records.
    """

    def __init__(self, look: Callable[[], Space], scribe: Scribe) -> None:
        self._look = look
        self._scribe = scribe
        self._look_tick = 0
        self._raised: set[str] = set()

    def watch(self, now: Moment) -> list[Draft]:
        """What is to be recorded now: mostly nothing."""
        if now.tick_ms < self._look_tick:
            return []
        self._look_tick = now.tick_ms + LOOK_MS
        try:
            space = self._look()
        except OSError:
            return []
        drafts: list[Draft] = []
        for level, type_ in LEVELS:
            if type_ not in self._raised and space.used_percent >= level:
                self._raised.add(type_)
                detail = {"used_percent": space.used_percent, "free_mb": space.free // MEGABYTE}
                drafts.append(self._scribe.draft(type_, now=now, detail=detail))
        for level, type_ in reversed(LEVELS):
            if type_ in self._raised and space.used_percent < level - SLACK:
                self._raised.remove(type_)
                drafts.append(self._scribe.draft("ALARM_CEASED", now=now, detail={"kind": type_}))
        return drafts
