"""The key that blank DESFire cards come with: DES, all zeros, by AuthenticateISO (1A), once per card, to replace it.

Nothing else of DES is spoken here. The handshake proves that the card is as it left the factory; it protects nothing,
for everybody knows the key: what is enciphered under it is the card's own diversified master key (docs/wire/cards.md
says why that is tolerable and where it is done).
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from readers.cards.aes import crc32, rotated
from readers.cards.apdu import MORE, OK, call, native
from readers.cards.dialogue import Dialogue, Random
from readers.cards.ev2 import CONTINUE

AUTHENTICATE_ISO: Final = 0x1A
CHANGE_KEY: Final = 0xC4
BLOCK: Final = 8
AES_MASTER: Final = 0x80
"""ChangeKey's key number 0 of the card, with the mark that makes it an AES key."""
_ZERO_KEY: Final = bytes(24)


def _cbc(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(TripleDES(key), modes.CBC(iv))


def session_key(rnd_a: bytes, rnd_b: bytes) -> bytes:
    """Single DES three times over: both halves of the zero key are one."""
    return (rnd_a[:4] + rnd_b[:4]) * 3


def authenticate_blank(random: Random) -> Dialogue[bytes | None]:
    """AuthenticateISO with key 0, all zeros; the session key, or None where the card has another key."""
    first = yield from call(AUTHENTICATE_ISO, b"\0")
    if first.word != MORE or len(first.body) != BLOCK:
        return None
    rnd_b = _cbc(_ZERO_KEY, bytes(BLOCK)).decryptor().update(first.body)
    rnd_a = random(BLOCK)
    token = _cbc(_ZERO_KEY, first.body).encryptor().update(rnd_a + rotated(rnd_b))
    second = yield from call(CONTINUE, token)
    if second.word != OK or len(second.body) != BLOCK:
        return None
    told = _cbc(_ZERO_KEY, token[-BLOCK:]).decryptor().update(second.body)
    return session_key(rnd_a, rnd_b) if hmac.compare_digest(told, rotated(rnd_a)) else None


def master_change(session: bytes, key: bytes, version: int) -> bytes:
    """The ChangeKey that makes the card's master key an AES key; it ends the session."""
    plain = key + bytes((version,))
    plain += crc32(bytes((CHANGE_KEY, AES_MASTER)) + plain)
    plain += bytes(-len(plain) % BLOCK)
    return native(CHANGE_KEY, bytes((AES_MASTER,)) + _cbc(session, bytes(BLOCK)).encryptor().update(plain))
