"""OSDP frames as a reader meets them: OSDP 2.2.2 clause 5.9 (marking byte, header, security block, CRC or checksum).

No I/O, no commands, no keys. Bytes may come cut anywhere; whatever is not a frame is skipped and counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MARK = 0xFF
SOM = 0x53
REPLY_BIT = 0x80
CRC_BIT = 0x04
BLOCK_BIT = 0x08
SEQUENCE_BITS = 0x03
HEAD_BYTES = 5
MAC_BYTES = 4
FRAME_MAX = 1440
GAP_MS = 100  # clause 5.7 says 20; a simulator's own thread may stumble for longer
MACED = frozenset((0x15, 0x16, 0x17, 0x18))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One whole frame whose check was right. `block`: security block type and data, b"" = none. `signed`: what the
    MAC covers.
    """

    address: int
    is_reply: bool
    sequence: int
    has_crc: bool
    block: bytes
    code: int
    body: bytes
    mac: bytes
    signed: bytes
    raw: bytes


def _step(crc: int) -> int:
    for _ in range(8):
        crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


STEPS = tuple(_step(byte << 8) for byte in range(256))


def crc16(covered: bytes) -> int:
    """CRC-16/AUG-CCITT (Annex C): polynomial 1021, start 1D0F."""
    crc = 0x1D0F
    for byte in covered:
        crc = (crc << 8 & 0xFFFF) ^ STEPS[crc >> 8 ^ byte]
    return crc


def checksum(covered: bytes) -> int:
    """The one-byte check of panels that know no CRC."""
    return -sum(covered) & 0xFF


def close(covered: bytes, *, has_crc: bool) -> bytes:
    """The frame with its check behind it."""
    return covered + (crc16(covered).to_bytes(2, "little") if has_crc else bytes((checksum(covered),)))


def opening(address: int, control: int, block: bytes, content: bytes, tail: int) -> bytes:
    """Header, security block and content of a frame that `tail` more bytes (MAC and check) will end."""
    secured = bytes((len(block) + 1,)) + block if block else b""
    count = HEAD_BYTES + len(secured) + len(content) + tail
    head = bytes((SOM, address)) + count.to_bytes(2, "little") + bytes((control | (BLOCK_BIT if block else 0),))
    return head + secured + content


def parse(raw: bytes) -> Frame | None:
    """What a whole frame says; None = its inner lengths contradict each other."""
    control = raw[4]
    has_crc = bool(control & CRC_BIT)
    end = len(raw) - (2 if has_crc else 1)
    at, block = HEAD_BYTES, b""
    if control & BLOCK_BIT:
        size = raw[at] if at < end else 0
        if size < 2 or at + size >= end:
            return None
        block = raw[at + 1 : at + size]
        at += size
    mac = b""
    if block and block[0] in MACED:
        end -= MAC_BYTES
        mac = raw[end : end + MAC_BYTES]
    if at >= end:
        return None
    return Frame(
        address=raw[1] & ~REPLY_BIT,
        is_reply=bool(raw[1] & REPLY_BIT),
        sequence=control & SEQUENCE_BITS,
        has_crc=has_crc,
        block=block,
        code=raw[at],
        body=raw[at + 1 : end],
        mac=mac,
        signed=raw[:end],
        raw=raw,
    )


class Scanner:
    """Finds frames in what comes over the line."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self._incoming = bytearray()
        self._last_ms = 0

    def feed(self, chunk: bytes, now_ms: int) -> None:
        """Add bytes. A frame that stopped in the middle for too long is given up."""
        if self._incoming and now_ms - self._last_ms > GAP_MS:
            self.skipped["cut"] += 1
            self._incoming.clear()
        self._last_ms = now_ms
        self._incoming += chunk

    def clear(self) -> None:
        """Forget what has come."""
        self._incoming.clear()

    def take(self) -> Frame | None:
        """The next whole frame; None = more bytes are needed."""
        while True:
            at = self._incoming.find(SOM)
            self._skip(len(self._incoming) if at < 0 else at)
            if len(self._incoming) < HEAD_BYTES:
                return None
            count = int.from_bytes(self._incoming[2:4], "little")
            if not HEAD_BYTES + 2 <= count <= FRAME_MAX:
                self._reject("length")
            elif len(self._incoming) < count:
                return None
            elif (found := self._read_one(count)) is not None:
                return found

    def _read_one(self, count: int) -> Frame | None:
        raw = bytes(self._incoming[:count])
        has_crc = bool(raw[4] & CRC_BIT)
        if close(raw[: -2 if has_crc else -1], has_crc=has_crc) != raw:
            self._reject("check")
            return None
        found = parse(raw)
        if found is None:
            self._reject("shape")
            return None
        del self._incoming[:count]
        return found

    def _skip(self, count: int) -> None:
        junk = sum(byte != MARK for byte in self._incoming[:count])
        if junk:
            self.skipped["junk"] += junk
        del self._incoming[:count]

    def _reject(self, why: str) -> None:
        self.skipped[why] += 1
        del self._incoming[0]  # past this start; a frame may hide in the rest
