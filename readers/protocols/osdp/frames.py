"""OSDP frames (SIA OSDP 2.2.2 §5.9): between bytes on a line and whole messages.

Owns the layout, the sums and finding the next frame in whatever comes. Nothing here knows a key or a meaning: a frame
that leaves this file is whole, and that is all that is known about it.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SOM: Final = 0x53
MARK: Final = 0xFF
"""§5.7: the line is driven for one character before a frame, so that the first start bit is seen."""
FRAME_BYTES_MAX: Final = 1440
"""§5.9.3: the largest message that the standard knows."""
ADDRESS_MAX: Final = 0x7E
BROADCAST: Final = 0x7F

_IS_REPLY: Final = 0x80
_SEQUENCE: Final = 0x03
_HAS_CRC: Final = 0x04
_HAS_BLOCK: Final = 0x08
_HEADER_BYTES: Final = 5
_FRAME_BYTES_MIN: Final = _HEADER_BYTES + 1 + 1
_CRC_SEED: Final = 0x1D0F
MAC_BYTES: Final = 4
FIRST_SEALED_BLOCK: Final = 0x15
"""SCS_15: from here on security blocks carry a MAC (Annex D.1.3)."""
LAST_SEALED_BLOCK: Final = 0x18


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message. `block`: the security block with its length byte, b"" for none. `covered`: the bytes that its
    MAC covers.
    """

    address: int
    is_reply: bool
    sequence: int
    block: bytes
    code: int
    body: bytes
    mac: bytes
    covered: bytes

    @property
    def block_type(self) -> int:
        """SCS_11 to SCS_18, or 0 without a security block."""
        return self.block[1] if self.block else 0


def crc(message: bytes) -> int:
    """CRC-16 of §5.9.5: polynomial 0x1021, seed 0x1D0F, the highest bit first."""
    return binascii.crc_hqx(message, _CRC_SEED)


def checksum(message: bytes) -> int:
    """Two's complement of the sum of all bytes (§5.9.5)."""
    return -sum(message) & 0xFF


def encode(
    address: int,
    sequence: int,
    code: int,
    body: bytes = b"",
    *,
    block: bytes = b"",
    authenticate: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """A command frame with CRC. `authenticate` gives the MAC over everything before it."""
    mac_bytes = 0 if authenticate is None else MAC_BYTES
    length = _HEADER_BYTES + len(block) + 1 + len(body) + mac_bytes + 2
    control = sequence | _HAS_CRC | (_HAS_BLOCK if block else 0)
    message = bytes((SOM, address, length & 0xFF, length >> 8, control)) + block + bytes((code,)) + body
    if authenticate is not None:
        message += authenticate(message)
    return message + crc(message).to_bytes(2, "little")


def decode(raw: bytes) -> Frame | None:
    """The frame that `raw` is from its first byte to its last; None when it is none."""
    length = frame_length(raw)
    if length is None or len(raw) != length:
        return None
    control = raw[4]
    sum_bytes = 2 if control & _HAS_CRC else 1
    message, tail = raw[:-sum_bytes], raw[-sum_bytes:]
    wanted = crc(message) if sum_bytes == 2 else checksum(message)
    if int.from_bytes(tail, "little") != wanted:
        return None
    at = _HEADER_BYTES
    if control & _HAS_BLOCK:
        if len(message) < at + 3 or not 2 <= message[at] <= len(message) - at - 1:
            return None
        at += message[at]
    block = message[_HEADER_BYTES:at]
    end = len(message)
    if block and FIRST_SEALED_BLOCK <= block[1] <= LAST_SEALED_BLOCK:
        end -= MAC_BYTES
    if end <= at:
        return None
    return Frame(
        address=raw[1] & BROADCAST,
        is_reply=bool(raw[1] & _IS_REPLY),
        sequence=control & _SEQUENCE,
        block=block,
        code=message[at],
        body=message[at + 1 : end],
        mac=message[end:],
        covered=message[:end],
    )


def frame_length(head: bytes | bytearray) -> int | None:
    """How long the frame that begins with `head` says it is; None when it cannot be one. Needs four bytes."""
    length = int.from_bytes(head[2:4], "little")
    return length if len(head) >= 4 and head[0] == SOM and _FRAME_BYTES_MIN <= length <= FRAME_BYTES_MAX else None


class FrameReader:
    """Finds frames in bytes that come in any pieces. Holds at most one frame's worth of them."""

    __slots__ = ("_held", "_wanted", "spoilt")

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = 0  # so many bytes must be held before there is anything to look at
        self.spoilt = 0
        """Frames that came to their end and whose sum was wrong."""

    @property
    def held_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._held)

    @property
    def missing_bytes(self) -> int:
        """How many more there must be before there is anything to look at; 0 where nothing is known of it."""
        return max(0, self._wanted - len(self._held)) if self._held else 0

    def receive(self, chunk: bytes) -> tuple[list[Frame], bytes]:
        """The frames that are whole by now, and the bytes that belong to none."""
        self._held += chunk
        return self._scan() if len(self._held) >= self._wanted else ([], b"")

    def give_up(self) -> tuple[list[Frame], bytes]:
        """No more comes: what is held began nothing. A frame may still lie behind that beginning."""
        frames: list[Frame] = []
        junk = bytearray()
        while self._held:
            junk.append(self._held.pop(0))
            more, refused = self._scan()
            frames += more
            junk += refused
        return frames, bytes(junk)

    def clear(self) -> None:
        """Forget what is held."""
        self._held.clear()
        self._wanted = 0

    def _scan(self) -> tuple[list[Frame], bytes]:
        frames: list[Frame] = []
        junk = bytearray()
        held, at = bytes(self._held), 0
        self._wanted = 0
        while at < len(held):
            found = held.find(SOM, at)
            if found != at:
                junk += held[at : found if found >= 0 else len(held)]
                at = found if found >= 0 else len(held)
                continue
            if len(held) - at < 4:
                self._wanted = 4
                break
            length = frame_length(held[at : at + 4])
            if length is not None and len(held) - at < length:
                self._wanted = length
                break
            frame = None if length is None else decode(held[at : at + length])
            if frame is None or length is None:
                self.spoilt += length is not None
                junk.append(SOM)
                at += 1
            else:
                frames.append(frame)
                at += length
        self._held = bytearray(held[at:])
        return frames, bytes(junk).replace(bytes((MARK,)), b"")
