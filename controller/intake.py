"""What a broker delivers, by how much it may cost: presses, contacts and presence first, reads at a bounded rate.

One reader that floods must silence no exit and fill no disk. A reader at a wall sees a few cards a minute; what goes
far beyond that is counted, refused, and recorded as a count.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from controller.inbox import Inbox
from readers.events import DeviceOffline, DeviceOnline, Event, MessageRefused

READS_PER_S: Final = 100
READS_BURST: Final = 6_000
SOURCES_MAX: Final = 1024


class Intake:
    """Takes events from the broker's threads. `acts` and `inputs` are the listeners of the two connections."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[float, float]] = {}
        self._refused: dict[str, int] = {}

    def inputs(self, event: Event) -> None:
        """Presses, contacts, and which devices are there: before any read that waits."""
        if isinstance(event, MessageRefused):
            self._bounded(event)
        else:
            self._inbox.put(event, is_first=True)

    def acts(self, event: Event) -> None:
        """Reads. Which devices are there is heard on the other connection; here it would be heard twice."""
        if not isinstance(event, DeviceOnline | DeviceOffline):
            self._bounded(event)

    def refused(self) -> dict[str, int]:
        """How many were refused since the last call, by device."""
        if not self._refused:
            return {}
        with self._lock:
            counts, self._refused = self._refused, {}
        return counts

    def _bounded(self, event: Event) -> None:
        source = event.source if event.source in self._tokens or len(self._tokens) < SOURCES_MAX else "*"
        now = time.monotonic()
        with self._lock:
            tokens, since = self._tokens.get(source, (float(READS_BURST), now))
            tokens = min(READS_BURST, tokens + (now - since) * READS_PER_S)
            self._tokens[source] = (max(0.0, tokens - 1), now)
            if tokens < 1:
                self._refused[source] = self._refused.get(source, 0) + 1
                return
        self._inbox.put(event)
