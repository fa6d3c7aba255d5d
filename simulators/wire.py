"""A serial cable that does not exist: one pseudo-terminal a device, found through a symbolic link.

Owns the descriptors, the link and the pace of bytes, both ways: a byte takes its time on the line, and is there when
that time is over. The device (its core) owns their meaning, and sees only bytes. On a half-duplex pair (`is_pair`) what
both sides say at once is garbage. Refuses to replace anything at the link's place that is not a symbolic link.
"""

from __future__ import annotations

import os
import termios
import time
import tty
from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulators.loop import Alarm, Loop

T = TypeVar("T")
OUTGOING_MAX = 8192  # nobody reads: a UART would lose the bytes too
BITS_PER_BYTE = 10  # 8N1
STEP_MS = 0.5  # bytes that end within this time are handed over together, one by one
GARBLED = 0x5A
SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
}


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


class _Way:
    """One direction of the line: bytes that are on it, and when each of them ends."""

    def __init__(self) -> None:
        self.byte_ms = 0.0
        self._bytes: deque[tuple[float, int]] = deque()
        self._free_at_ms = 0.0

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def put(self, chunk: bytes, now_ms: float) -> None:
        """Bytes begin to go, behind those that are still going."""
        at = max(self._free_at_ms, now_ms)
        for byte in chunk:
            at += self.byte_ms
            self._bytes.append((at, byte))
        self._free_at_ms = at

    def due(self, now_ms: float) -> bytes:
        """Bytes that have come to their end."""
        count = 0
        for at, _ in self._bytes:
            if at > now_ms:
                break
            count += 1
        return bytes(self._bytes.popleft()[1] for _ in range(count))

    def next_ms(self, now_ms: float) -> float:
        """When to look again: at the next byte's end, or a step later if more of them end within it."""
        return max(self._bytes[0][0], min(self._bytes[-1][0], now_ms + STEP_MS))

    def spoil(self, count: int) -> None:
        """Damage the next `count` bytes."""
        for at in range(min(count, len(self._bytes))):
            end, byte = self._bytes[at]
            self._bytes[at] = (end, byte ^ GARBLED)

    def clear(self) -> None:
        """Nothing is on the line any more."""
        self._bytes.clear()
        self._free_at_ms = 0.0

    def trim(self) -> None:
        """Lose the oldest of what nobody takes."""
        while len(self._bytes) > OUTGOING_MAX:
            self._bytes.popleft()


@runtime_checkable
class HearsSpeed(Protocol):
    """A core that wants to know at what speed the host speaks, and makes garbage of wrong ones by itself."""

    def set_speed(self, baud: int) -> None:
        """The host's speed, told before its bytes."""


class SerialWire:
    """Runs one core on a pty. Every method may be called from any thread."""

    def __init__(
        self,
        loop: Loop,
        core: Core,
        link: Path,
        *,
        baud: int | None = None,
        is_pair: bool = False,
        hears_speed: bool = False,
    ) -> None:
        """`link`: where the symlink to the pty stands. `baud`: pace bytes like a UART; None = at once. `is_pair`: half
        duplex. `hears_speed`: a host that opened the port at another speed than the device's hears and is heard as
        garbage.
        """
        self.link = link
        self.collisions = 0
        self._loop = loop
        self._core = core
        self._is_pair = is_pair
        self._hears_speed = hears_speed
        self._inward, self._outward = _Way(), _Way()
        self.baud = baud
        self._master: int | None = None
        self._slave = -1
        self._device = ""
        self._alarm: Alarm | None = None
        self._inward_alarm: Alarm | None = None
        self._outward_alarm: Alarm | None = None

    @property
    def baud(self) -> int | None:
        """The device's speed; None = bytes take no time."""
        return self._baud

    @baud.setter
    def baud(self, baud: int | None) -> None:
        self._baud = baud
        self._inward.byte_ms = self._outward.byte_ms = 0.0 if baud is None else BITS_PER_BYTE * 1000 / baud

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
        self._inward.clear()
        self._outward.clear()
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
        now = _now_ms()
        if self._is_pair and self._outward:  # both speak: neither is understood
            self.collisions += 1
            self._outward.spoil(len(chunk))
            chunk = _garbled(chunk)
        is_same = self._is_same_speed()
        self._inward.put(chunk if is_same else _garbled(chunk), now)
        self._listen()

    def _listen(self) -> None:
        """Hand over what has arrived by now, byte by byte; come back for the rest."""
        now = _now_ms()
        for byte in self._inward.due(now):
            self._core.receive(bytes((byte,)), self._loop.now_ms())
        self._pump()
        if self._inward and self._master is not None:
            if self._inward_alarm is not None:
                self._inward_alarm.cancel()
            self._inward_alarm = self._loop.call_at(self._inward.next_ms(now), self._listen)

    def _is_same_speed(self) -> bool:
        if not self._hears_speed or self._baud is None or self._slave < 0:
            return True
        baud = SPEEDS.get(termios.tcgetattr(self._slave)[5], 0)
        if isinstance(self._core, HearsSpeed) and baud:
            self._core.set_speed(baud)
            self._inward.byte_ms = self._outward.byte_ms = BITS_PER_BYTE * 1000 / baud
            return True
        return baud == self._baud

    def _on_alarm(self) -> None:
        self._core.tick(self._loop.now_ms())
        self._pump()

    def _pump(self) -> None:
        said = self._core.outgoing()
        if said:
            self._outward.put(said if self._is_same_speed() else _garbled(said), _now_ms())
            self._outward.trim()
        self._write()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        deadline = self._core.deadline()
        self._alarm = None if deadline is None else self._loop.call_at(deadline, self._on_alarm)

    def _write(self) -> None:
        """Send what has left by now; come back for the rest."""
        if self._master is None or not self._outward:
            return
        now = _now_ms()
        said = self._outward.due(now)
        try:
            if said:
                os.write(self._master, said)
        except BlockingIOError:
            self._outward.clear()  # nobody listens
            return
        if self._outward:
            if self._outward_alarm is not None:
                self._outward_alarm.cancel()
            self._outward_alarm = self._loop.call_at(self._outward.next_ms(now), self._write)


def _now_ms() -> float:
    return time.monotonic_ns() / 1e6


def _garbled(chunk: bytes) -> bytes:
    """What a receiver makes of bytes that it cannot make out."""
    return bytes(byte ^ GARBLED for byte in chunk)
