"""Our own panel and the simulated readers on one pair, on a virtual clock: every byte takes its time, both ways."""

from __future__ import annotations

import math
import secrets
from collections import deque

from readers.events import Event
from readers.protocols.osdp import OsdpBus as Panel
from readers.protocols.osdp import PdPlan
from simulators.osdp.bus import OsdpBus
from simulators.osdp.functions import Make
from simulators.osdp.reader import OsdpReader
from simulators.osdp.words import Identity

KEYS = {0: bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b"), 1: bytes.fromhex("5502d86b41e8f07dac12369b9a3fc17e")}
INPUTS = {0: "contact", 1: "rex"}
READER_ID = bytes(range(32))


class OsdpLine:
    """The panel (`panel`), the readers by address (`readers`), and what the panel told (`events`)."""

    def __init__(self, *, baud: int = 9600, keys: dict[int, bytes | None] | None = None, pkoc: bool = False) -> None:
        """`keys`: what the panel thinks; a reader's own is that of KEYS."""
        known = KEYS if keys is None else keys
        self.readers = {
            address: OsdpReader(address, key=key, baud=baud, identity=Identity(serial=address + 1), make=Make())
            for address, key in KEYS.items()
        }
        self.bus = OsdpBus(self.readers.values())
        plans = [
            PdPlan(
                source=f"rd{address}",
                address=address,
                key=key,
                inputs=INPUTS,
                has_keypad=True,
                pkoc_reader_id=READER_ID if pkoc else None,
            )
            for address, key in known.items()
        ]
        self.panel = Panel("pair", plans, baud=baud, random=secrets.token_bytes)
        self.events: list[Event] = []
        self.now_ms = 1000
        self._to_readers: deque[tuple[float, int]] = deque()
        self._to_panel: deque[tuple[float, int]] = deque()
        self._free_ms = 0.0
        self.panel.connection_made(self.now_ms)
        self._pull()

    def run(self, ms: int) -> list[Event]:
        """Let so much time pass; what the panel told meanwhile."""
        end, seen = self.now_ms + ms, len(self.events)
        while (due := self._next_ms()) is not None and due <= end:
            self.now_ms = max(self.now_ms, due)
            self._deliver()
            self._pull()
        self.now_ms = end
        return self.events[seen:]

    def _next_ms(self) -> int | None:
        ends = [math.ceil(queue[0][0]) for queue in (self._to_readers, self._to_panel) if queue]
        ends += [at for at in (self.panel.deadline(), self.bus.deadline()) if at is not None]
        return min(ends, default=None)

    def _deliver(self) -> None:
        for raw in self._due(self._to_readers):
            self.bus.receive(bytes((raw,)), self.now_ms)
        for raw in self._due(self._to_panel):
            self.events += self.panel.receive_data(bytes((raw,)), self.now_ms)
        if (at := self.panel.deadline()) is not None and at <= self.now_ms:
            self.events += self.panel.tick(self.now_ms)
        self.bus.tick(self.now_ms)

    def _due(self, queue: deque[tuple[float, int]]) -> list[int]:
        due = []
        while queue and queue[0][0] <= self.now_ms:
            due.append(queue.popleft()[1])
        return due

    def _pull(self) -> None:
        baud = self.panel.baud
        self.bus.set_speed(baud)
        for queue, said in ((self._to_readers, self.panel.data_to_send()), (self._to_panel, self.bus.outgoing())):
            at = max(self._free_ms, self.now_ms)
            for raw in said:
                at += 10_000 / baud
                queue.append((at, raw))
            self._free_ms = max(self._free_ms, at)
