"""FeliCa Lite-S: MAC and MAC_A (Sony, "FeliCa Lite-S User's Manual" §5), with a card key of 2-key triple DES.

Pure arithmetic. Everything in a block is turned round by eights before it is enciphered; the two halves of the session
key change places where the reader proves itself to the card.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

MAC_A: Final = 0x91
MAC_BYTES: Final = 8


def _turned(block: bytes) -> bytes:
    return b"".join(block[at : at + 8][::-1] for at in range(0, len(block), 8))


def _des(key: bytes, iv: bytes, plain: bytes) -> bytes:
    return Cipher(TripleDES(key + key[:8]), modes.CBC(iv)).encryptor().update(plain)


class FelicaMacs:
    """The MACs of one challenge: `card_key` and `challenge` are the 16 bytes of blocks CK and RC as on the air."""

    def __init__(self, card_key: bytes, challenge: bytes) -> None:
        turned = _turned(challenge)
        self._iv = turned[:8]
        session = _des(_turned(card_key), bytes(8), turned)
        self._reading = session
        self._writing = session[8:] + session[:8]

    def mac(self, content: bytes) -> bytes:
        """MAC (block 81): over the blocks' contents alone."""
        return self._over(self._reading, content)

    def mac_a_read(self, blocks: bytes, content: bytes) -> bytes:
        """MAC_A of a read: also over the numbers of all blocks read (at most 4, MAC_A's own the last)."""
        head = b"".join(bytes((number, 0)) for number in blocks).ljust(8, b"\xff")
        return self._over(self._reading, head + content)

    def mac_a_write(self, write_count: bytes, block: int, content: bytes) -> bytes:
        """MAC_A of a write, by which the reader proves itself; `write_count`: the 3 bytes of WCNT."""
        head = write_count + bytes((0, block, 0, MAC_A, 0))
        return self._over(self._writing, head + content)

    def _over(self, key: bytes, content: bytes) -> bytes:
        return _turned(_des(key, self._iv, _turned(content))[-8:])
