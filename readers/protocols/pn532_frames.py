"""PN532 frames on a serial line (NXP UM0701-02 §6.2.1), without I/O and without meaning.

    information   00 00 FF LEN LCS TFI PD0 … PDn DCS 00         LEN + LCS = 0, TFI + PD… + DCS = 0 (modulo 256)
    extended      00 00 FF FF FF LENM LENL LCS TFI PD0 … DCS 00   LENM + LENL + LCS = 0
    ACK           00 00 FF 00 FF 00        from the host it also aborts the command under way
    NACK          00 00 FF FF 00 00        from the host: say that again
    error         00 00 FF 01 FF 7F 81 00  an information frame whose only byte is 7F

Refuses every byte that is not part of a frame with both checks right and its postamble there: it is handed back as junk
and the search goes on one byte later. Holds at most HELD_BYTES_MAX bytes, whatever the line sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

BODY_BYTES_MAX: Final = 265
"""UM0701-02 §6.2.1.2: TFI and 264 bytes. A longer promise is junk, not a reason to wait."""

HELD_BYTES_MAX: Final = 2 + 5 + BODY_BYTES_MAX + 1

ACK: Final = bytes.fromhex("0000FF00FF00")
NACK: Final = bytes.fromhex("0000FFFF0000")
WAKE_UP: Final = bytes.fromhex("5555" + "00" * 14)
"""UM0701-02 §6.3.2: 55 55 and then silence of some length; zeros are that silence."""

_START: Final = b"\x00\xff"
_FILLER: Final = b"\x00\x55"
"""Preamble, postamble and wake-up (also our own, echoed): no frame, and no noise either."""


class FrameKind(Enum):
    """What a frame is, before anybody asks what it means."""

    ACK = "ack"
    NACK = "nack"
    BODY = "body"
    SPOILT = "spoilt"
    """A frame that announced its length well and then failed its last check, or has no end: worth a NACK."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame; `body` is TFI and what follows it, empty unless `kind` is BODY."""

    kind: FrameKind
    body: bytes = b""


_ACK_FRAME: Final = Frame(FrameKind.ACK)
_NACK_FRAME: Final = Frame(FrameKind.NACK)
_SPOILT_FRAME: Final = Frame(FrameKind.SPOILT)


def encode(body: bytes) -> bytes:
    """Frame `body` (TFI and parameters, 1 to 265 bytes; else ValueError), extended where it does not fit a normal
    frame.
    """
    size = len(body)
    if not 1 <= size <= BODY_BYTES_MAX:
        raise ValueError(f"a frame carries 1 to {BODY_BYTES_MAX} bytes, not {size}")
    if size <= 0xFF:
        head = bytes((size, -size & 0xFF))
    else:
        high, low = divmod(size, 256)
        head = bytes((0xFF, 0xFF, high, low, -(high + low) & 0xFF))
    return b"\x00\x00\xff" + head + body + bytes((-sum(body) & 0xFF, 0))


class FrameReader:
    """Bytes in, frames and junk out, at whatever boundaries the line cuts them."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        """How much of an unfinished frame is waiting."""
        return len(self._held)

    def receive(self, chunk: bytes) -> tuple[list[Frame], bytes]:
        """Whole frames in `chunk` and what waited before it; then the junk between them, filler left out."""
        self._held += chunk
        return self._search(0)

    def give_up(self) -> tuple[list[Frame], bytes]:
        """The frame that seemed to begin will not end: search behind its first byte. Nothing stays held after that."""
        frames: list[Frame] = []
        junk = b""
        while len(self._held) >= len(_START):
            more, also_junk = self._search(1)
            frames += more
            junk += also_junk
        self._held.clear()
        return frames, junk

    def _search(self, at: int) -> tuple[list[Frame], bytes]:
        held = self._held
        frames: list[Frame] = []
        junk = bytes(held[:at])
        while (start := held.find(_START, at)) >= 0:
            junk += held[at:start]
            frame, size = _frame_at(held, start + len(_START))
            if size < 0:
                at = start
                break
            if frame is not None:
                frames.append(frame)
            if size == 0:
                junk += held[start : start + 1]
                at = start + 1
            else:
                at = start + len(_START) + size
        else:
            end = len(held) - held.endswith(b"\x00")
            junk += held[at:end]
            at = max(at, end)
        del held[:at]
        return frames, junk.translate(None, _FILLER) if junk else junk


def _frame_at(held: bytearray, at: int) -> tuple[Frame | None, int]:
    """The frame behind a start code: (frame, its bytes); bytes is 0 when it is none, negative while it is not all
    there.
    """
    if len(held) < at + 2:
        return None, -1
    size, check = held[at], held[at + 1]
    if size == 0x00 and check == 0xFF:
        return _ACK_FRAME, 2
    if size == 0xFF and check == 0x00:
        return _NACK_FRAME, 2
    head = 2
    if size == 0xFF and check == 0xFF:
        head = 5
        if len(held) < at + head:
            return None, -1
        size = held[at + 2] * 256 + held[at + 3]
        is_announced = (held[at + 2] + held[at + 3] + held[at + 4]) & 0xFF == 0
    else:
        is_announced = (size + check) & 0xFF == 0
    if not is_announced or not 1 <= size <= BODY_BYTES_MAX:
        return None, 0
    end = at + head + size
    if len(held) < end + 2:
        return None, -1
    body = bytes(held[at + head : end])
    # Where a byte 00 got lost, the sum is taken for the last byte and the postamble for the sum, and they fit: only the
    # postamble that is missing then tells.
    if (sum(body) + held[end]) & 0xFF or held[end + 1]:
        return _SPOILT_FRAME, 0
    return Frame(FrameKind.BODY, body), head + size + 2
