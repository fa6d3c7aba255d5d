"""An LCUS serial relay board: `A0 channel on sum`, and `FF` asks for all states (protocols.md §6).

No I/O. Like the real board it acknowledges nothing and has no auto-off: a relay stays on until told or unplugged.
Faults by hand: `welded` relays do not go off; a board that is not `answering` ignores the query, as LCUS-1 boards do.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

START = 0xA0
QUERY = 0xFF
FRAME_BYTES = 4
OPERATIONS = {0x00: False, 0x01: True}


class LcusBoard:
    """`channels` relays, numbered from 1. `on_switch(channel, is_on, now_ms)` hears each change, never a repetition."""

    def __init__(self, channels: int, on_switch: Callable[[int, bool, int], None] | None = None) -> None:
        if not 1 <= channels <= 8:
            raise ValueError(f"channels: {channels}; an LCUS board has 1 to 8")
        self.states = dict.fromkeys(range(1, channels + 1), False)
        self.ignored: Counter[str] = Counter()
        self.welded: set[int] = set()
        self.is_answering = True
        self._on_switch = on_switch
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Act on whole frames; skip and count whatever is not one."""
        self._incoming += chunk
        while self._incoming:
            if self._incoming[0] == QUERY:
                del self._incoming[0]
                self._answer_query()
            elif self._incoming[0] != START:
                del self._incoming[0]
                self.ignored["junk"] += 1
            elif len(self._incoming) < FRAME_BYTES:
                return
            else:
                self._take_frame(now_ms)

    def outgoing(self) -> bytes:
        """Answers to queries."""
        sent = bytes(self._outgoing)
        self._outgoing.clear()
        return sent

    def deadline(self) -> int | None:
        """The board keeps no time."""
        return None

    def tick(self, now_ms: int) -> None:
        """The board keeps no time."""

    def power_cycle(self, now_ms: int) -> None:
        """USB power gone: every relay falls off."""
        self._incoming.clear()
        for channel in self.states:
            self._switch(channel, False, now_ms)

    def _take_frame(self, now_ms: int) -> None:
        _, channel, operation, total = self._incoming[:FRAME_BYTES]
        why = self._fault(channel, operation, total)
        if why is not None:
            self.ignored[why] += 1
            del self._incoming[0]  # a start byte may hide in the rest
            return
        del self._incoming[:FRAME_BYTES]
        self._switch(channel, OPERATIONS[operation], now_ms)

    def _fault(self, channel: int, operation: int, total: int) -> str | None:
        if total != (START + channel + operation) & 0xFF:
            return "sum"
        if channel not in self.states:
            return "channel"
        return None if operation in OPERATIONS else "operation"

    def _switch(self, channel: int, is_on: bool, now_ms: int) -> None:
        if self.states[channel] == is_on or (channel in self.welded and not is_on):
            return
        self.states[channel] = is_on
        if self._on_switch is not None:
            self._on_switch(channel, is_on, now_ms)

    def _answer_query(self) -> None:
        if not self.is_answering:
            return
        for channel, is_on in self.states.items():
            self._outgoing += f"CH{channel}:{'ON' if is_on else 'OFF'} \r\n".encode("ascii")
