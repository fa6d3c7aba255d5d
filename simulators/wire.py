"""A serial cable that does not exist: one pseudo-terminal a device, found through a symbolic link.

Owns the descriptors, the link and the pace of bytes; the device (its core) owns their meaning, and sees only bytes.
Refuses to replace anything at the link's place that is not a symbolic link.
"""

from __future__ import annotations

import os
import time
import tty
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulators.loop import Alarm, Loop

T = TypeVar("T")
OUTGOING_MAX = 8192  # nobody reads: a UART would lose the bytes too
BITS_PER_BYTE = 10  # 8N1


class Core(Protocol):
    """A serial device without I/O."""

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Take bytes from the host; any bytes, cut anywhere."""

    def outgoing(self) -> bytes:
        """Bytes for the host, handed over once."""

    def deadline(self) -> int | None:
        """Tick at which `tick` wants to be called, or None."""

    def tick(self, now_ms: int) -> None:
        """Time has passed."""

    def power_cycle(self, now_ms: int) -> None:
        """The plug was pulled: forget all that power kept."""


class SerialWire:
    """Runs one core on a pty. Every method may be called from any thread."""

    def __init__(self, loop: Loop, core: Core, link: Path, *, baud: int | None = None) -> None:
        """`link`: where the symlink to the pty stands. `baud`: pace answers like a UART; None = at once."""
        self.link = link
        self._loop = loop
        self._core = core
        self._byte_ms = 0.0 if baud is None else BITS_PER_BYTE * 1000 / baud
        self._master: int | None = None
        self._slave = -1
        self._device = ""
        self._pending = bytearray()
        self._line_free_at_ms = 0.0
        self._alarm: Alarm | None = None
        self._pace_alarm: Alarm | None = None

    @property
    def device(self) -> str:
        """Path of the pty itself (/dev/pts/N); empty while cut."""
        return self._device

    @property
    def is_cut(self) -> bool:
        """Whether the cable is unplugged."""
        return self._master is None

    def mend(self) -> None:
        """Plug in: a new pty, the device powered up afresh, the link pointing to it. Harmless when plugged in."""
        self._loop.run(self._mend)

    def cut(self) -> None:
        """Pull the plug: whoever has the port open gets EIO, the link is gone, the device loses its power."""
        self._loop.run(self._cut)

    def touch(self, what: Callable[[int], T]) -> T:
        """Run `what(now_ms)` beside the core, in its thread, then send what the core wants to say."""

        def perform() -> T:
            answer = what(self._loop.now_ms())
            self._pump()
            return answer

        return self._loop.run(perform)

    def _mend(self) -> None:
        if self._master is not None:
            return
        if self.link.exists() and not self.link.is_symlink():
            raise FileExistsError(f"{self.link}: is not a symbolic link; choose another place for the simulated port")
        master, self._slave = os.openpty()
        tty.setraw(self._slave)  # our own slave descriptor stays open: no EIO when a client closes the port
        os.set_blocking(master, False)
        self._device = os.ttyname(self._slave)
        self._master = master
        self._loop.watch(master, self._on_readable)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._device)
        fresh.replace(self.link)

    def _cut(self) -> None:
        if self._master is None:
            return
        self._loop.unwatch(self._master)
        if self.link.is_symlink():
            self.link.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master, self._device = None, ""
        self._core.power_cycle(self._loop.now_ms())
        self._core.outgoing()
        self._pending.clear()
        self._set_alarm()

    def _on_readable(self) -> None:
        if self._master is None:
            return
        try:
            chunk = os.read(self._master, 4096)
        except BlockingIOError:
            return
        except OSError:  # EIO: cannot happen while our slave is open, and must not spin if it does
            self._cut()
            return
        self._core.receive(chunk, self._loop.now_ms())
        self._pump()

    def _on_alarm(self) -> None:
        self._core.tick(self._loop.now_ms())
        self._pump()

    def _pump(self) -> None:
        self._pending += self._core.outgoing()
        del self._pending[: max(0, len(self._pending) - OUTGOING_MAX)]
        self._write()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        deadline = self._core.deadline()
        self._alarm = None if deadline is None else self._loop.call_at(deadline, self._on_alarm)

    def _write(self) -> None:
        """Send what the line's speed allows by now; come back for the rest."""
        if self._master is None or not self._pending:
            return
        count = len(self._pending)
        now = time.monotonic_ns() / 1e6
        if self._byte_ms:
            self._line_free_at_ms = max(self._line_free_at_ms, now - 2.0)
            count = min(count, int((now - self._line_free_at_ms) / self._byte_ms))
        try:
            sent = os.write(self._master, self._pending[:count]) if count else 0
        except BlockingIOError:
            self._pending.clear()  # nobody listens
            return
        del self._pending[:sent]
        self._line_free_at_ms += sent * self._byte_ms
        if self._pending:
            self._write_later(max(0.0, self._line_free_at_ms + self._byte_ms - now))

    def _write_later(self, delay_ms: float) -> None:
        if self._pace_alarm is not None:
            self._pace_alarm.cancel()
        self._pace_alarm = self._loop.call_in(delay_ms, self._write)
