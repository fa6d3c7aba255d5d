"""Secure Dynamic Messaging of NTAG 424 DNA (SUN): what a tapped card wrote into its own address (AN12196 §5).

Verifies a message without a dialogue. It proves that the card made it *once*: whoever accepts one keeps the counter
and refuses the same or a lower one, for the message itself can be copied. Never enough to open anything (A-34).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from readers.cards.aes import BLOCK, AesKey
from readers.cards.ev2 import truncated

_UID_MIRRORED: Final = 0x80
_COUNTER_MIRRORED: Final = 0x40
_UID_BYTES: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """What the card said of itself: its UID and how often it was read."""

    number: bytes
    counter: int


def picc_content(key: bytes, enciphered: bytes) -> Sun | None:
    """PICCENCData (AN12196 table 2): None where it is none, or lacks UID or counter."""
    if len(enciphered) != BLOCK:
        return None
    plain = AesKey(key).decrypt(enciphered)
    shown = plain[0]
    if shown & 0x0F != _UID_BYTES or not shown & _UID_MIRRORED or not shown & _COUNTER_MIRRORED:
        return None
    return Sun(number=plain[1:8], counter=int.from_bytes(plain[8:11], "little"))


def file_keys(key: bytes, sun: Sun) -> tuple[bytes, bytes]:
    """KSesSDMFileReadENC (SV1) and KSesSDMFileReadMAC (SV2)."""
    tail = bytes.fromhex("00010080") + sun.number + sun.counter.to_bytes(3, "little")
    base = AesKey(key)
    return base.cmac(bytes.fromhex("C33C") + tail), base.cmac(bytes.fromhex("3CC3") + tail)


def verified(meta_key: bytes, file_key: bytes, enciphered: bytes, mac: bytes, message: bytes = b"") -> Sun | None:
    """The UID and counter of a genuine message; None of any other. `message`: what the MAC covers, often nothing."""
    sun = picc_content(meta_key, enciphered)
    if sun is None:
        return None
    expected = truncated(AesKey(file_keys(file_key, sun)[1]).cmac(message))
    return sun if hmac.compare_digest(expected, mac) else None
