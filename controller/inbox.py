"""The one way into the deciding loop from other threads: bounded, and never a wait.

When it is full the event is not taken; how many and from where is counted, and the loop records it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

EVENTS_MAX: Final = 16_384


class Inbox:
    """A bounded queue whose `fileno` becomes readable when something waits."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events: deque[Any] = deque()
        self._first: deque[Any] = deque()
        self._reports: deque[Any] = deque()
        self._max = events_max
        self._lock = threading.Lock()
        self._refused = 0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._wake

    def put(self, event: Any, *, is_first: bool = False) -> bool:
        """Enqueue an event from outside; False, and counted, where the queue is full.

        `is_first`: it goes before those that are not (a press of REX does not wait behind a thousand reads).
        """
        with self._lock:
            queue = self._first if is_first else self._events
            if len(queue) >= self._max:
                self._refused += 1
                return False
            queue.append(event)
            is_alone = self._depth == 1
        if is_alone:
            self.wake()
        return True

    @property
    def _depth(self) -> int:
        return len(self._first) + len(self._events) + len(self._reports)

    def take(self, event: Any) -> None:
        """As `put`, for whoever cannot do anything about a full queue."""
        self.put(event)

    def put_report(self, report: Any) -> None:
        """Enqueue an outcome of our own (a commit, a page read): always taken; there are only so many under way.

        It goes before events: a flood of reads must not hold back what is decided already.
        """
        with self._lock:
            self._reports.append(report)
            is_alone = self._depth == 1
        if is_alone:
            self.wake()

    def wake(self) -> None:
        """Make the loop look, from any thread."""
        os.eventfd_write(self._wake, 1)

    def drain(self, limit: int = 1024) -> tuple[list[Any], int]:
        """Every report, then up to `limit` events; and how many events were refused since the last drain."""
        with self._lock:
            with suppress(BlockingIOError):  # the loop woke for something else
                os.eventfd_read(self._wake)
            first = [self._first.popleft() for _ in range(min(limit, len(self._first)))]
            rest = [self._events.popleft() for _ in range(min(limit - len(first), len(self._events)))]
            waiting = [*self._reports, *first, *rest]
            self._reports.clear()
            refused, self._refused = self._refused, 0
            if self._events or self._first:
                self.wake()
        return waiting, refused

    def close(self) -> None:
        os.close(self._wake)
