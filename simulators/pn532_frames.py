"""The chip's side of PN532 frames: NXP UM0701-02 §6.2.1 (information, extended, ACK, NACK, error frames).

No I/O, no commands. Bytes may come cut anywhere; whatever is not a frame is skipped and counted.
"""

from __future__ import annotations

from collections import Counter

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
ERROR = bytes.fromhex("0000ff01ff7f8100")  # §6.2.1.5: application level error
HOST = 0xD4
CHIP = 0xD5
PAYLOAD_MAX = 265  # TFI + 264 bytes: more does not fit into the chip
START = b"\x00\xff"


def frame(payload: bytes) -> bytes:
    """An information frame around `payload` (TFI first); extended where 255 bytes do not suffice."""
    count = len(payload)
    if count <= 0xFF:
        head = bytes((count, -count & 0xFF))
    else:
        head = b"\xff\xff" + bytes((count >> 8, count & 0xFF, -((count >> 8) + count) & 0xFF))
    return b"\x00" + START + head + payload + bytes((-sum(payload) & 0xFF, 0x00))


class Scanner:
    """Finds frames in what the host sends."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self._incoming = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add bytes."""
        self._incoming += chunk

    def clear(self) -> None:
        """Forget what has come."""
        self._incoming.clear()

    def take(self) -> bytes | None:
        """The next whole frame: ACK, NACK, or the payload of an information frame; None = more bytes are needed."""
        while True:
            at = self._incoming.find(START)
            if at < 0:
                self._skip(len(self._incoming) - (self._incoming[-1:] == b"\x00"))
                return None
            self._skip(at)
            if len(self._incoming) < 4:
                return None
            found = self._read_one()
            if found is not None:
                return found or None

    def _skip(self, count: int) -> None:
        junk = sum(byte not in (0x00, 0x55) for byte in self._incoming[:count])  # preamble and wake-up are no junk
        if junk:
            self.skipped["junk"] += junk
        del self._incoming[:count]

    def _read_one(self) -> bytes | None:
        """At a start code: a frame, b"" = more bytes are needed, None = it was none and has been skipped."""
        mark = bytes(self._incoming[2:4])
        if mark == b"\x00\xff":
            return self._mark(ACK)
        if mark == b"\xff\x00":
            return self._mark(NACK)
        head = 7 if mark == b"\xff\xff" else 4
        if len(self._incoming) < head:
            return b""
        count = self._count(head)
        if count is None:
            self._reject("length")
            return None
        end = head + count + 1
        if len(self._incoming) < end:
            return b""
        body = bytes(self._incoming[head:end])
        if sum(body) & 0xFF:
            self._reject("checksum")
            return None
        del self._incoming[:end]
        return body[:-1]

    def _mark(self, which: bytes) -> bytes:
        del self._incoming[:4]
        return which

    def _count(self, head: int) -> int | None:
        size = self._incoming[2:head]
        if head == 4:
            return size[0] if size[0] and not (size[0] + size[1]) & 0xFF else None
        high, low, check = size[2:]
        count = high << 8 | low
        return count if not (high + low + check) & 0xFF and 0 < count <= PAYLOAD_MAX else None

    def _reject(self, why: str) -> None:
        self.skipped[why] += 1
        del self._incoming[:2]  # past this start code; a frame may hide in the rest
