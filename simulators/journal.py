"""What happened in a simulated building, in order, with both clocks: the evidence that tests and people read.

Owns the sequence numbers and the waiting. Bounded: the oldest entries go first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENTRIES_MAX = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One happening at a place: relay, strike, lock, contact, rex, fire, power, tamper, loop, card, keys, show, count,
    ignored, line, walk or unsent; at an OSDP reader also led, buzzer, text, output, channel, keyset, file, swap, reset
    or trick.
    """

    seq: int
    at_ms: int  # wall clock, epoch milliseconds
    tick_ms: float  # monotonic milliseconds
    what: str
    where: str
    detail: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """The entry as the hands' API shows it."""
        return {
            "seq": self.seq,
            "at_ms": self.at_ms,
            "tick_ms": self.tick_ms,
            "what": self.what,
            "where": self.where,
            "detail": dict(self.detail),
        }


class Journal:
    """An append-only list that threads can wait on."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_MAX)
        self._last = 0
        self._changed = threading.Condition()

    @property
    def last(self) -> int:
        """Sequence number of the newest entry; 0 when nothing has happened."""
        with self._changed:
            return self._last

    def note(self, what: str, where: str, **detail: object) -> Entry:
        """Add one entry stamped with both clocks, and wake who waits. From any thread."""
        with self._changed:
            self._last += 1
            entry = Entry(
                seq=self._last,
                at_ms=time.time_ns() // 1_000_000,
                tick_ms=time.monotonic_ns() / 1e6,
                what=what,
                where=where,
                detail=detail,
            )
            self._entries.append(entry)
            self._changed.notify_all()
            return entry

    def after(self, seq: int, limit: int = ENTRIES_MAX) -> list[Entry]:
        """Up to `limit` entries newer than `seq`, oldest first."""
        with self._changed:
            return [entry for entry in self._entries if entry.seq > seq][:limit]

    def wait(self, match: Callable[[Entry], bool], *, after: int = 0, timeout_s: float = 3.0) -> Entry | None:
        """The first entry newer than `after` that matches; None when `timeout_s` passes without one."""
        until = time.monotonic() + timeout_s
        seen = after
        with self._changed:
            while True:
                for entry in self._newer(seen):
                    if match(entry):
                        return entry
                    seen = entry.seq
                left = until - time.monotonic()
                if left <= 0 or not (self._last > seen or self._changed.wait(left)):
                    return None

    def wait_for(
        self, what: str, where: str, *, after: int = 0, timeout_s: float = 3.0, **detail: object
    ) -> Entry | None:
        """The first entry newer than `after` of this kind and place whose details include `detail`."""

        def matches(entry: Entry) -> bool:
            is_here = entry.what == what and entry.where == where
            return is_here and all(entry.detail.get(key) == value for key, value in detail.items())

        return self.wait(matches, after=after, timeout_s=timeout_s)

    def _newer(self, seq: int) -> list[Entry]:
        newer: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.seq <= seq:
                break
            newer.append(entry)
        newer.reverse()
        return newer
