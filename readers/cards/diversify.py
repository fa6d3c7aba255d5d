"""A card's own key from a site's master key (NXP AN10922, and AN10957's short inputs).

Pure arithmetic. Which master key, and that it never leaves the key store, is the key store's business; it calls
`diversified` with what `diversification_input` makes of a card.
"""

from __future__ import annotations

from typing import Final

from readers.cards.aes import AesKey, xor

INPUT_BYTES_MAX: Final = 31
"""AN10922 §2.1: what is left of two blocks behind the leading constant."""
_TAIL: Final = slice(8, None)


def diversified(master: bytes, divided_by: bytes) -> bytes:
    """AN10922: the key (as long as `master`: 16, 24 or 32 bytes) that `divided_by` (1 to 31 bytes) tells apart.

    Trap: the input always fills two blocks, so that for short ones this is *not* CMAC(master, 01 || input), which some
    libraries take it for (AN10957 p. 13 shows it).

    Raises:
        ValueError: `divided_by` is empty or too long, or `master` no AES key.
    """
    if not 1 <= len(divided_by) <= INPUT_BYTES_MAX:
        raise ValueError(f"AN10922 takes 1 to {INPUT_BYTES_MAX} bytes, not {len(divided_by)}")
    key = AesKey(master)
    if len(master) == 16:
        return key.cmac_of_32(b"\x01" + divided_by)
    if len(master) == 24:
        first, second = key.cmac_of_32(b"\x11" + divided_by), key.cmac_of_32(b"\x12" + divided_by)
        return first[:8] + xor(first[_TAIL], second[:8]) + second[_TAIL]
    return key.cmac_of_32(b"\x41" + divided_by) + key.cmac_of_32(b"\x42" + divided_by)


def diversification_input(number: bytes, application: bytes, system: bytes) -> bytes:
    """AN10922 §2.2's order: the card's number (UID or IDm; empty for the one key that all cards share), the 3-byte
    application id as it goes over the air, then the site's own system id, cut to what fits.
    """
    return (number + application + system)[:INPUT_BYTES_MAX]
