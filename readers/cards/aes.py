"""AES as cards use it: CBC without padding, CMAC (NIST SP 800-38B) with a start vector, and DESFire's CRC32.

Pure arithmetic over PyCA `cryptography`. Whoever calls sees to whole blocks; nothing here judges a card.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK: Final = 16
ZEROS: Final = bytes(BLOCK)


def xor(left: bytes, right: bytes) -> bytes:
    """Of two strings of one length."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def rotated(block: bytes) -> bytes:
    """One byte to the left, as every DESFire handshake wants it."""
    return block[1:] + block[:1]


def padded(plain: bytes) -> bytes:
    """ISO/IEC 9797-1 method 2: always 80, then zeros to a whole block."""
    return plain + b"\x80" + bytes(-(len(plain) + 1) % BLOCK)


def unpadded(plain: bytes) -> bytes | None:
    """Without the padding of method 2; None where there is none."""
    bare = plain.rstrip(b"\0")
    return bare[:-1] if bare.endswith(b"\x80") and len(plain) - len(bare) < BLOCK else None


def crc32(message: bytes) -> bytes:
    """DESFire's CRC32: the usual one, not inverted at the end, least byte first."""
    return (zlib.crc32(message) ^ 0xFFFFFFFF).to_bytes(4, "little")


class AesKey:
    """One key, with what is worked out from it once (16, 24 or 32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def encrypt(self, plain: bytes, iv: bytes = ZEROS) -> bytes:
        """CBC over whole blocks."""
        return Cipher(self._algorithm, modes.CBC(iv)).encryptor().update(plain)

    def decrypt(self, cipher: bytes, iv: bytes = ZEROS) -> bytes:
        """CBC over whole blocks."""
        return Cipher(self._algorithm, modes.CBC(iv)).decryptor().update(cipher)

    @cached_property
    def subkeys(self) -> tuple[bytes, bytes]:
        """K1 and K2 of SP 800-38B §6.1."""
        first = _doubled(self.encrypt(ZEROS))
        return first, _doubled(first)

    def cmac(self, message: bytes, iv: bytes = ZEROS) -> bytes:
        """CMAC; DESFire EV1 chains it over a session by its start vector."""
        cut = max(0, (len(message) - 1) // BLOCK * BLOCK)
        return self.encrypt(message[:cut] + self._last(message[cut:]), iv)[-BLOCK:]

    def _last(self, block: bytes) -> bytes:
        if len(block) == BLOCK:
            return xor(block, self.subkeys[0])
        return xor((block + b"\x80").ljust(BLOCK, b"\0"), self.subkeys[1])

    def cmac_of_32(self, message: bytes) -> bytes:
        """AN10922's own: `message` (at most 32 bytes) always fills two blocks, also where CMAC would take one."""
        if len(message) == 2 * BLOCK:
            last = xor(message[BLOCK:], self.subkeys[0])
        else:
            message = (message + b"\x80").ljust(2 * BLOCK, b"\0")
            last = xor(message[BLOCK:], self.subkeys[1])
        return self.encrypt(message[:BLOCK] + last)[BLOCK:]


def _doubled(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number & ((1 << 128) - 1)) ^ 0x87
    return number.to_bytes(BLOCK, "big")
