"""Two control panels with one face for the bench: ours as the controller drives it, and libosdp's own.

libosdp (PyPI, Apache-2.0) drops every partly received frame, so that its channel hands it whole ones; it is turned as
soon as bytes have come and every 2 ms besides, which is the fastest way that was found to drive it.
"""

from __future__ import annotations

import itertools
import os
import secrets
import select
import selectors
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.osdp_readers import key_of
from controller.ports import Port
from readers.events import CardRead, DeviceOnline, Event
from readers.protocols.osdp import OsdpBus, PdPlan
from readers.transports.serial_line import SerialLine

ONLINE_WITHIN_S: Final = 30.0
KICK_AFTER_S: Final = 5.0
TURN_S: Final = 0.002
PIECE: Final = 64
_numbers = itertools.count(1)


class NotOnline(Exception):
    """The readers did not come up."""


class OurPanel:
    """`OsdpBus` behind a `Port` in a selectors loop. `reads`: when each card number came to the loop, in ns."""

    def __init__(self, link: Path, count: int, baud: int) -> None:
        plans = [PdPlan(source=f"r{address}", address=address, key=key_of(address)) for address in range(count)]
        bus = OsdpBus("line", plans, baud=baud, random=secrets.token_bytes)
        self.reads: dict[int, int] = {}
        self._online: set[str] = set()
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._port = Port("line", SerialLine(str(link), baud), bus, self._selector, self._take)
        self._port.tick(_tick_ms())

    def online(self) -> None:
        """Serve until every reader is online, in its channel and trusted."""
        until = time.monotonic() + ONLINE_WITHIN_S
        while len(self._online) < self._count:
            if time.monotonic() > until:
                raise NotOnline(f"ours: {sorted(self._online)} of {self._count}")
            self._turn(0.05)

    def serve(self, seconds: float) -> None:
        """Serve for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._turn(left)

    def serve_until(self, word: int) -> None:
        """Serve until something can be read from `word`."""
        said: list[int] = []
        self._selector.register(word, selectors.EVENT_READ, lambda mask, _tick: said.append(mask))
        while not said:
            self._turn(1.0)
        self._selector.unregister(word)

    def close(self) -> None:
        self._port.close(_tick_ms())
        self._selector.close()

    def _turn(self, wait_s: float) -> None:
        """As `controller.runtime` does it."""
        due = self._port.deadline()
        if due is not None:
            wait_s = min(wait_s, max(0, due - _tick_ms()) / 1000)
        for key, mask in self._selector.select(wait_s):
            key.data(mask, _tick_ms())
        now_ms = _tick_ms()
        self._port.tick(now_ms)
        self._port.answer(now_ms)

    def _take(self, event: Event) -> None:
        if isinstance(event, CardRead):
            self.reads[int.from_bytes(event.number, "big")] = time.monotonic_ns()
        elif isinstance(event, DeviceOnline):
            self._online.add(event.source)


class TheirPanel:
    """libosdp's ControlPanel. ImportError where it is not installed."""

    def __init__(self, link: Path, count: int, _baud: int) -> None:
        import osdp

        self.reads: dict[int, int] = {}
        self._count = count
        self._card = osdp.Event.CardRead
        self._channel = type("FramedChannel", (_Framed, osdp.Channel), {})(link)
        flags = [osdp.LibFlag.EnforceSecure]
        rows = [osdp.PDInfo(address, self._channel, scbk=key_of(address), flags=flags) for address in range(count)]
        self._panel = osdp.ControlPanel(rows, log_level=osdp.LogLevel.Critical, event_handler=self._take)
        self._panel.event_queue = [_Nowhere() for _ in rows]
        self._refresh: Callable[[], None] = self._panel.ctx.refresh

    def online(self) -> None:
        """Serve until every reader is in its channel."""
        began = kicked = time.monotonic()
        while (standing := self._panel.ctx.sc_status()) != (1 << self._count) - 1:
            now = time.monotonic()
            if now - began > ONLINE_WITHIN_S:
                raise NotOnline(f"libosdp: {standing:b} of {self._count}")
            if now - kicked > KICK_AFTER_S:  # after one fault it leaves a reader alone for 300 s
                kicked = now
                for index in range(self._count):
                    if not standing >> index & 1:
                        self._panel.ctx.disable_pd(index)
                        self._panel.ctx.enable_pd(index)
            self._turn(())

    def serve(self, seconds: float) -> None:
        """Serve for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._turn(())

    def serve_until(self, word: int) -> None:
        """Serve until something can be read from `word`."""
        while word not in self._turn((word,)):
            pass

    def close(self) -> None:
        self._refresh = lambda: None
        self._panel.ctx = None
        self._channel.close()
        if self._channel.fault is not None:
            raise self._channel.fault

    def _turn(self, words: tuple[int, ...]) -> list[int]:
        ready, _, _ = select.select([self._channel.fileno(), *words], [], [], TURN_S)
        self._refresh()
        return ready

    def _take(self, _index: int, event: dict[str, Any]) -> int:
        if event["event"] == self._card:
            self.reads[int.from_bytes(event["data"], "big")] = time.monotonic_ns()
        return 0


class _Nowhere:
    """In the place of queues that grow without bound."""

    def put(self, _event: object) -> None:
        return None


class _Framed:
    """What an `osdp.Channel` needs to hand out one whole frame a refresh."""

    def __init__(self, link: Path) -> None:
        super().__init__()
        self.id = next(_numbers)  # 0, the default, is shared by every channel of a process
        self.fault: OSError | None = None
        self._port = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        termios.tcflush(self._port, termios.TCIOFLUSH)
        self._incoming = bytearray()
        self._ready = b""
        self._is_over = False

    def fileno(self) -> int:
        return self._port

    def read(self, max_bytes: int) -> bytes:
        if self._is_over:
            self._is_over = False
            return b""
        if not self._ready:
            self._gather()
        room = min(max_bytes, PIECE)
        piece, self._ready = self._ready[:room], self._ready[room:]
        self._is_over = bool(piece) and not self._ready
        return piece

    def write(self, buf: bytes) -> int:
        try:
            return os.write(self._port, buf)
        except OSError as error:  # what is raised here would end the library's loop
            self.fault = error
            return 0

    def flush(self) -> None:
        self._incoming.clear()
        self._ready = b""

    def close(self) -> None:
        os.close(self._port)

    def _gather(self) -> None:
        try:
            self._incoming += os.read(self._port, 4096)
        except BlockingIOError:
            pass
        except OSError as error:
            self.fault = error
        start = self._incoming.find(0x53)
        del self._incoming[: len(self._incoming) if start < 0 else start]
        if len(self._incoming) >= 4:
            count = int.from_bytes(self._incoming[2:4], "little")
            if len(self._incoming) >= count:
                self._ready = bytes(self._incoming[:count])
                del self._incoming[:count]


def _tick_ms() -> int:
    return time.monotonic_ns() // 1_000_000
