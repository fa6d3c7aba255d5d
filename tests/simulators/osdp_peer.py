"""libosdp's control panel on one end of a pty: somebody else's idea of OSDP.

Its wheels drop every partly received frame, so that its channel must be fed whole ones; it queues events without bound,
so that its queues are replaced by ones that keep nothing; after a silence it sleeps for minutes, so that it is kicked.
"""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

import osdp

TIMEOUT_S = 8.0
PIECE = 64


class FramedChannel(osdp.Channel):
    """Hands out one whole frame per refresh, in pieces as the library asks for them."""

    def __init__(self, port: Path, number: int) -> None:
        super().__init__()
        self.id = number
        self.fault: BaseException | None = None
        self._port = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._incoming = bytearray()
        self._ready = b""
        self._is_over = False

    def fileno(self) -> int:
        return self._port

    def read(self, max_bytes: int) -> bytes:
        try:
            return self._read(min(max_bytes, PIECE))
        except OSError as error:
            self.fault = error
            return b""

    def _read(self, room: int) -> bytes:
        if self._is_over:
            self._is_over = False
            return b""
        if not self._ready:
            self._gather()
        piece, self._ready = self._ready[:room], self._ready[room:]
        self._is_over = bool(piece) and not self._ready
        return piece

    def _gather(self) -> None:
        while select.select([self._port], [], [], 0)[0]:
            chunk = os.read(self._port, 4096)
            if not chunk:
                break
            self._incoming += chunk
        start = self._incoming.find(0x53)
        del self._incoming[: len(self._incoming) if start < 0 else start]
        if len(self._incoming) < 4:
            return
        count = int.from_bytes(self._incoming[2:4], "little")
        if len(self._incoming) >= count:
            self._ready = bytes(self._incoming[:count])
            del self._incoming[:count]

    def write(self, buf: bytes) -> int:
        try:
            return os.write(self._port, buf)
        except OSError as error:
            self.fault = error
            return 0

    def flush(self) -> None:
        self._incoming.clear()
        self._ready = b""

    def close(self) -> None:
        os.close(self._port)


class _Nowhere:
    def put(self, _event: object) -> None:
        return None


class LibPanel:
    """The library's panel over several readers of one line, turned by hand."""

    def __init__(self, port: Path, keys: dict[int, bytes | None], *, enforces: bool = True) -> None:
        self.channel = FramedChannel(port, os.getpid() % 1000 + 7)
        flags = [osdp.LibFlag.EnforceSecure] if enforces else []
        flags.append(osdp.LibFlag.EnableNotification)
        rows = [osdp.PDInfo(address, self.channel, scbk=key, flags=flags) for address, key in keys.items()]
        self.events: list[tuple[int, dict[str, object]]] = []
        self.done: list[tuple[int, dict[str, object], int]] = []
        self._addresses = list(keys)
        self.panel = osdp.ControlPanel(
            rows,
            log_level=osdp.LogLevel.Critical,
            event_handler=self._on_event,
            command_completion_handler=self._on_done,
        )
        self.panel.event_queue = [_Nowhere() for _ in rows]
        self.ctx = self.panel.ctx

    def _on_event(self, index: int, event: dict[str, object]) -> int:
        self.events.append((self._addresses[index], event))
        return 0

    def _on_done(self, address: int, command: dict[str, object], status: int) -> None:
        self.done.append((address, command, status))

    def turn_until(self, what, timeout_s: float = TIMEOUT_S) -> bool:
        """Refresh until `what()`; False = it did not come."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            self.ctx.refresh()
            if what():
                return True
            select.select([self.channel.fileno()], [], [], 0.002)
        return False

    def is_secure(self, address: int) -> bool:
        return bool(self.ctx.sc_status() & 1 << self._addresses.index(address))

    def is_online(self, address: int) -> bool:
        return bool(self.ctx.status() & 1 << self._addresses.index(address))

    def kick(self, address: int) -> None:
        index = self._addresses.index(address)
        self.ctx.disable_pd(index)
        self.ctx.enable_pd(index)

    def command(self, address: int, **command: object) -> bool:
        """Send a command and wait until the library says that it is done. True = done well."""
        seen = len(self.done)
        if not self.ctx.submit_command(self._addresses.index(address), command):
            return False
        if not self.turn_until(lambda: len(self.done) > seen):
            return False
        return self.done[-1][2] == osdp.CompletionStatus.Ok

    def close(self) -> None:
        self.ctx = self.panel.ctx = None
        self.channel.close()
