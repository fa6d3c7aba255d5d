"""An RS-485 pair with several OSDP readers on it: the `Core` that stands behind one simulated serial port.

Owns who hears whom: every reader hears every byte of the panel and of the others; what two say at once is garbage.
Keeps what went over the line, so that tests can show what did not. The readers have a supply of their own: pulling
the panel's adapter takes no power from them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from simulators.osdp.frames import Frame, Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulators.osdp.reader import OsdpReader

FRAMES_KEPT = 20_000
OTHER_SPEED = 0xA5  # what a byte looks like at another speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One whole frame as somebody with a clip on the wire sees it."""

    tick_ms: int
    frame: Frame


class OsdpBus:
    """The line and the readers on it."""

    def __init__(self, readers: Iterable[OsdpReader]) -> None:
        self.readers = list(readers)
        self.captured: deque[Captured] = deque(maxlen=FRAMES_KEPT)
        self.collisions = 0
        self._cut: set[int] = set()  # by identity: an address may change
        self._dark: set[int] = set()
        self._flips: deque[int] = deque()  # bits to flip in the replies to come
        self._noise = bytearray()
        self._ears = (Scanner(), Scanner())  # panel's and readers' bytes
        self._baud: int | None = None
        self._now_ms = 0

    def set_speed(self, baud: int) -> None:
        """The panel speaks at this speed now; a reader with another one hears and is heard as garbage."""
        self._baud = baud

    def at(self, address: int) -> OsdpReader:
        """The reader with this address. Raises LookupError."""
        for reader in self.readers:
            if reader.address == address:
                return reader
        raise LookupError(f"no reader at address {address}")

    # -- hands ----------------------------------------------------------------------------------------------------

    def cut(self, reader: OsdpReader) -> None:
        """Cut the pair to one reader; it lives on and remembers what happens to it."""
        self._cut.add(id(reader))

    def mend(self, reader: OsdpReader) -> None:
        """Undo `cut`."""
        self._cut.discard(id(reader))

    def power(self, reader: OsdpReader, *, is_on: bool, now_ms: int) -> None:
        """Cut one reader's supply, or bring it back."""
        if is_on:
            self._dark.discard(id(reader))
        else:
            self._dark.add(id(reader))
            reader.power_cycle(now_ms)

    def is_connected(self, reader: OsdpReader) -> bool:
        """Whether it hears the line and is heard."""
        return id(reader) not in self._cut | self._dark

    def noise(self, junk: bytes) -> None:
        """Bytes that nobody sent, in the panel's ear."""
        self._noise += junk

    def noise_to_readers(self, junk: bytes, now_ms: int) -> None:
        """Bytes that nobody sent, in the readers' ears."""
        self.receive(junk, now_ms)

    def flip(self, bit: int) -> None:
        """Damage the next reply: flip this bit of it (counted from its first byte, modulo its length)."""
        self._flips.append(bit)

    def overheard(self) -> bytes:
        """All frames of both directions in one string, to be searched for what must not be there."""
        return b"".join(one.frame.raw for one in self.captured)

    # -- the wire -------------------------------------------------------------------------------------------------

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Take bytes from the panel; any bytes, cut anywhere."""
        self._now_ms = now_ms
        self._capture(0, chunk)
        for reader in self._connected():
            reader.receive(self._as_heard(chunk, reader.baud), now_ms)

    def outgoing(self) -> bytes:
        """Bytes for the panel, handed over once."""
        said = bytes(self._noise) + self._voices()
        self._noise.clear()
        return said

    def deadline(self) -> int | None:
        """When a reader wants its `tick`."""
        return min((at for reader in self.readers if (at := reader.deadline()) is not None), default=None)

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        self._now_ms = now_ms
        for reader in self.readers:
            reader.tick(now_ms)

    def power_cycle(self, now_ms: int) -> None:
        """The panel's adapter was pulled; the readers notice silence and nothing else."""
        self._now_ms = now_ms

    def _connected(self) -> list[OsdpReader]:
        return [reader for reader in self.readers if self.is_connected(reader)]

    def _voices(self) -> bytes:
        spoken = [  # a cut one speaks into the void
            (reader, self._as_heard(reader.outgoing(), baud))
            for reader, baud in [(one, one.baud) for one in self.readers]
        ]
        heard = [(reader, said) for reader, said in spoken if said and self.is_connected(reader)]
        if not heard:
            return b""
        if len(heard) > 1:
            self.collisions += 1
        late = (b"\xff" * at + one for at, (_, one) in enumerate(heard))  # no two begin at the same instant
        said = bytes(_wired_and(column) for column in zip_longest(*late, fillvalue=0xFF))
        if self._flips:
            bit = self._flips.popleft() % (len(said) * 8)
            said = said[: bit // 8] + bytes((said[bit // 8] ^ 1 << bit % 8,)) + said[bit // 8 + 1 :]
        self._capture(1, said)
        speakers = [reader for reader, _ in heard]
        for reader in self._connected():
            if reader not in speakers:
                reader.receive(self._as_heard(said, reader.baud), self._now_ms)
        return said

    def _as_heard(self, chunk: bytes, baud: int) -> bytes:
        if self._baud in (None, baud):
            return chunk
        return bytes(byte ^ OTHER_SPEED for byte in chunk)

    def _capture(self, ear: int, chunk: bytes) -> None:
        self._ears[ear].feed(chunk, self._now_ms)
        while (found := self._ears[ear].take()) is not None:
            self.captured.append(Captured(tick_ms=self._now_ms, frame=found))


def _wired_and(column: tuple[int, ...]) -> int:
    """What two drivers make of one byte: a zero wins."""
    mixed = 0xFF
    for byte in column:
        mixed &= byte
    return mixed
