"""Which keys are none: factory defaults, keys that are printed in application notes, and patterns (B-14, B-19).

A key that is drawn at random passes all of this but once in some million draws; then another one is drawn.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

KEY_BYTES: Final = 16

SCBK_D: Final = bytes(range(0x30, 0x40))
"""The key of OSDP's install mode. Everybody has it (OSDP 2.2 annex D)."""

PUBLISHED: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "303132333435363738393A3B3C3D3E3F",  # SCBK-D
        "00112233445566778899AABBCCDDEEFF",  # AN10922's master key
        "F3F9377698707B688EAF84ABE39E3791",  # AN10957's master key
        "B95F4C27E3D0BC333792EA968545217F",  # AN10957's, another print
        "5ACE7E50AB65D5D51FD5BF5A16B8205B",  # AN12196's SDM file read key
        "000102030405060708090A0B0C0D0E0F",
        "2B7E151628AED2A6ABF7158809CF4F3C",  # FIPS 197's and RFC 4493's
        "404142434445464748494A4B4C4D4E4F",  # GlobalPlatform's default
        "49454D4B41455242214E4143554F5946",  # NXP's Ultralight C: BREAKMEIFYOUCAN!
        "425245414B4D454946594F5543414E21",
    )
)
"""Keys that stand in a standard, a data sheet or a library's test: the burglar has them too."""

_DISTINCT_MIN: Final = 8
"""Sixteen random bytes have fewer distinct ones about once in ten million million draws."""


def weakness(key: bytes) -> str | None:
    """Why `key` (16 bytes) is no secret, or None. What it says tells nothing of the key but that."""
    if len(key) != KEY_BYTES:
        return "it does not have 16 bytes"
    if key in PUBLISHED:
        return "it is a factory default or a published key"
    if len({(after - before) % 256 for before, after in pairwise(key)}) == 1:
        return "its bytes are constant, ascending or descending"
    if any(key == key[:size] * (KEY_BYTES // size) for size in (1, 2, 4, 8)):
        return "one part of it is repeated"
    if len(set(key)) < _DISTINCT_MIN:
        return "it has too few different bytes"
    if all(0x20 <= byte < 0x7F for byte in key):
        return "it was typed, not drawn"
    return None
