"""The arithmetic of OSDP's Secure Channel (SIA OSDP 2.2.2 Annex D), on PyCA cryptography.

Owns derivation, cryptograms, MACs and padding; no state, no randomness. The standard gives what is weak here: a MAC of
32 bits, CBC without an integrity of its own, a command byte in the clear. `channel.py` lives with that by renewing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES: Final = 16
RANDOM_BYTES: Final = 8
DEFAULT_KEY: Final = bytes(range(0x30, 0x40))
"""SCBK-D: printed in the standard, hence nobody's secret."""
_BLOCK: Final = 16
_PAD: Final = 0x80
_DISTINCT_BYTES_MIN: Final = 8


def refuse_weak_key(key: bytes) -> None:
    """Raise ValueError on a key that somebody could guess: not 16 bytes, the default key, constant, ascending,
    descending or any other even step, or made of few different bytes. A random key fails once in 10**11.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"an OSDP key has {KEY_BYTES} bytes, not {len(key)}")
    if key == DEFAULT_KEY:
        raise ValueError("this is the default key of the standard: everybody has it")
    steps = {(after - before) & 0xFF for before, after in pairwise(key)}
    if len(steps) == 1 or list(key) in (sorted(key), sorted(key, reverse=True)):
        raise ValueError("the key is constant, ascending or descending")
    if len(set(key)) < _DISTINCT_BYTES_MIN or key[:8] == key[8:]:
        raise ValueError("the key repeats itself")


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What one session is protected with. `last_block`: AES under `mac2`, set up once: each poll needs it twice."""

    enc: bytes = field(repr=False)
    mac1: bytes = field(repr=False)
    mac2: bytes = field(repr=False)
    last_block: Callable[[bytes], bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "last_block", _block_cipher(self.mac2))


def _block_cipher(key: bytes) -> Callable[[bytes], bytes]:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # single blocks: D.4 says so  # noqa: S305


def _encrypt_block(key: bytes, block: bytes) -> bytes:
    return _block_cipher(key)(block)


def session_keys(scbk: bytes, cp_random: bytes) -> SessionKeys:
    """D.4.1: three keys from the SCBK and the first six bytes of our random number."""
    tail = cp_random[:6] + bytes(8)
    return SessionKeys(
        enc=_encrypt_block(scbk, b"\x01\x82" + tail),
        mac1=_encrypt_block(scbk, b"\x01\x01" + tail),
        mac2=_encrypt_block(scbk, b"\x01\x02" + tail),
    )


def client_cryptogram(keys: SessionKeys, cp_random: bytes, pd_random: bytes) -> bytes:
    """D.4.3: what the reader proves its key with."""
    return _encrypt_block(keys.enc, cp_random + pd_random)


def server_cryptogram(keys: SessionKeys, cp_random: bytes, pd_random: bytes) -> bytes:
    """D.4.4: what we prove ours with."""
    return _encrypt_block(keys.enc, pd_random + cp_random)


def first_mac(keys: SessionKeys, server: bytes) -> bytes:
    """D.4.5: the initial R-MAC, from our cryptogram."""
    return _encrypt_block(keys.mac2, _encrypt_block(keys.mac1, server))


def mac(keys: SessionKeys, before: bytes, message: bytes) -> bytes:
    """D.4.6: the whole MAC (16 bytes) of a message; `before` is the other side's last one."""
    if len(message) % _BLOCK:
        message = _padded(message)
    head, last = message[:-_BLOCK], message[-_BLOCK:]
    if head:
        before = Cipher(algorithms.AES(keys.mac1), modes.CBC(before)).encryptor().update(head)[-_BLOCK:]
    mixed = (int.from_bytes(before, "big") ^ int.from_bytes(last, "big")).to_bytes(_BLOCK, "big")
    return keys.last_block(mixed)


def encrypt(keys: SessionKeys, last_mac: bytes, plain: bytes) -> bytes:
    """D.4.7: the body of a message; the IV is the complement of the other side's last MAC."""
    return Cipher(algorithms.AES(keys.enc), modes.CBC(_complement(last_mac))).encryptor().update(_padded(plain))


def decrypt(keys: SessionKeys, last_mac: bytes, sealed: bytes) -> bytes | None:
    """The body without its padding; None when it has none or is no whole number of blocks."""
    if not sealed or len(sealed) % _BLOCK:
        return None
    plain = Cipher(algorithms.AES(keys.enc), modes.CBC(_complement(last_mac))).decryptor().update(sealed)
    body = plain.rstrip(b"\0")
    return body[:-1] if body and body[-1] == _PAD and len(plain) - len(body) < _BLOCK else None


def _padded(plain: bytes) -> bytes:
    return plain + bytes((_PAD,)) + bytes(-(len(plain) + 1) % _BLOCK)


def _complement(block: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in block)
