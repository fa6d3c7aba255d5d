"""ISO/IEC 14443-4 as the card speaks it: RATS, blocks, chaining, S(DESELECT), the rules after a bad block.

No I/O. Owns the block number and the halves of long APDUs; the card behind it owns their meaning. Frames come and go
without their CRC. Refuses silently what is not for it, as cards do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.cards import TypeACard

FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
RATS = 0xE0
CHAINING, WITH_CID, WITH_NAD = 0x10, 0x08, 0x04
APDU_MAX = 65_544


class CardBlocks:
    """One card's end of the block protocol. `is_active`: RATS has been made (by the chip, or through here)."""

    def __init__(self, card: TypeACard, *, is_active: bool) -> None:
        self._card = card
        self.is_active = is_active
        self._reader_frame_max = 256
        self._number = 1
        self._last = b""
        self._coming = b""
        self._going = b""

    def frame(self, frame: bytes) -> bytes | None:
        """The card's answer to one frame."""
        if not frame:
            return None
        if not self.is_active:
            return self._activate(frame)
        lead = frame[0]
        if lead & 0xF0 == 0xD0:  # PPS: any speed will do on a wire that has none
            return frame[:1]
        if lead & 0xE2 == 0x02:
            return self._information(frame)
        if lead & 0xE6 == 0xA2:
            return self._receipt(frame)
        if lead & 0xF7 == 0xC2:
            self.is_active = False
            self._card.activate()
            return frame[:1] + (frame[1:2] if lead & WITH_CID else b"")
        return None

    def _activate(self, frame: bytes) -> bytes | None:
        if frame[0] != RATS or len(frame) != 2 or not self._card.ats:
            return None
        self._reader_frame_max = FRAME_SIZES[min(frame[1] >> 4, 8)]
        self.is_active = True
        self._number, self._last, self._coming, self._going = 1, b"", b"", b""
        return self._card.ats

    def _information(self, frame: bytes) -> bytes | None:
        lead = frame[0]
        extra = frame[1:2] if lead & WITH_CID else b""
        body = frame[1 + bool(lead & WITH_CID) + bool(lead & WITH_NAD) :]
        self._number = lead & 0x01
        self._going = b""
        self._coming = (self._coming + body)[:APDU_MAX]
        if lead & CHAINING:
            return self._say(bytes((0xA2 | lead & WITH_CID | self._number,)) + extra)
        command, self._coming = self._coming, b""
        answer = self._card.exchange(command)
        return None if answer is None else self._send(answer, extra)

    def _send(self, answer: bytes, extra: bytes) -> bytes:
        size = self._reader_frame_max - 3 - len(extra)  # PCB and CRC
        piece, self._going = answer[:size], answer[size:]
        lead = 0x02 | self._number | (CHAINING if self._going else 0) | (WITH_CID if extra else 0)
        return self._say(bytes((lead,)) + extra + piece)

    def _receipt(self, frame: bytes) -> bytes | None:
        lead = frame[0]
        extra = frame[1:2] if lead & WITH_CID else b""
        if lead & 0x01 == self._number:  # §7.5.4.3 rule 11
            return self._last or None
        if lead & 0x10:  # rule 12: R(NAK) of the other number asks whether anybody is here
            return bytes((0xA2 | lead & WITH_CID | self._number,)) + extra
        if not self._going:
            return None
        self._number ^= 1  # rule 13
        return self._send(self._going, extra)

    def _say(self, block: bytes) -> bytes:
        self._last = block
        return block
