"""How commands are put into APDUs and answers taken out: DESFire's native commands wrapped (`90 INS 00 00 Lc .. 00`),
ISO/IEC 7816-4, and BER-TLV.

Refuses nothing by raising: what is too short is an answer with status word 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from readers.cards.dialogue import Dialogue, ask

OK: Final = 0x9100
MORE: Final = 0x91AF
ISO_OK: Final = 0x9000
UNSUPPORTED: Final = frozenset({0x911C, 0x6D00, 0x6E00, 0x6A81, 0x6800, 0x6881, 0x6882})
"""Illegal command code (DESFire), and ISO's words for an instruction or class that a card does not know."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response APDU: `word` is SW1 SW2, 0 where the response is too short to have one."""

    word: int
    body: bytes

    @property
    def is_unsupported(self) -> bool:
        """Whether the card says that it does not know the command at all."""
        return self.word in UNSUPPORTED


def native(instruction: int, body: bytes = b"") -> bytes:
    """A DESFire command in an APDU."""
    if body:
        return bytes((0x90, instruction, 0, 0, len(body))) + body + b"\0"
    return bytes((0x90, instruction, 0, 0, 0))


def parsed(response: bytes) -> Answer:
    """A response APDU taken apart."""
    if len(response) < 2:
        return Answer(0, b"")
    return Answer(int.from_bytes(response[-2:], "big"), response[:-2])


def exchange(command: bytes) -> Dialogue[Answer]:
    """Send an APDU."""
    return parsed((yield from ask(command)))


def call(instruction: int, body: bytes = b"") -> Dialogue[Answer]:
    """Send a native command."""
    return parsed((yield from ask(native(instruction, body))))


def select(name: bytes) -> bytes:
    """ISO SELECT by name (DF name, AID)."""
    return bytes((0x00, 0xA4, 0x04, 0x00, len(name))) + name + b"\0"


def tlv(kind: int, value: bytes) -> bytes:
    """One object with a one-byte name and a short length (below 128)."""
    return bytes((kind, len(value))) + value


def objects(body: bytes) -> dict[int, bytes] | None:
    """BER-TLV objects by name, unknown ones and all; None where the string is not whole or a name comes twice."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        kind, at = body[at], at + 1
        if kind & 0x1F == 0x1F:
            if at >= len(body):
                return None
            kind, at = kind << 8 | body[at], at + 1
        size, at = _length(body, at)
        if size is None or at + size > len(body) or kind in found:
            return None
        found[kind] = body[at : at + size]
        at += size
    return found


def _length(body: bytes, at: int) -> tuple[int | None, int]:
    if at >= len(body):
        return None, at
    first, at = body[at], at + 1
    if first < 0x80:
        return first, at
    octets = first & 0x7F
    if not 1 <= octets <= 2 or at + octets > len(body):
        return None, at
    return int.from_bytes(body[at : at + octets], "big"), at + octets
