"""The arithmetic of cards, as the card does it: block ciphers, CMAC, CRCs, diversified keys.

Pure functions on bytes. Sources: NXP AN10922 (diversification), AN12196 and AN12343 (EV2 secure messaging),
libfreefare's documentation of EV1, Sony's FeliCa Lite-S user's manual. Shares no line with the product.
"""

from __future__ import annotations

import zlib
from typing import Literal, TypeAlias

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

KeyKind: TypeAlias = Literal["des", "3k3des", "aes"]
ZERO_BLOCK = bytes(16)


def cipher(kind: KeyKind, key: bytes) -> algorithms.AES | TripleDES:
    """The block cipher of a key. `des`: 8 or 16 bytes."""
    if kind == "aes":
        return algorithms.AES(key)
    return TripleDES({8: key * 3, 16: key + key[:8], 24: key}[len(key)])


def block_size(kind: KeyKind) -> int:
    """Bytes of one block."""
    return 16 if kind == "aes" else 8


def xor(one: bytes, other: bytes) -> bytes:
    """Both must be of one length."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def rotated(nonce: bytes) -> bytes:
    """One byte to the left."""
    return nonce[1:] + nonce[:1]


def encrypt(kind: KeyKind, key: bytes, iv: bytes, plain: bytes) -> bytes:
    """CBC, whole blocks."""
    return _run(Cipher(cipher(kind, key), modes.CBC(iv)).encryptor(), plain)


def decrypt(kind: KeyKind, key: bytes, iv: bytes, enciphered: bytes) -> bytes:
    """CBC, whole blocks."""
    return _run(Cipher(cipher(kind, key), modes.CBC(iv)).decryptor(), enciphered)


def _run(context: CipherContext, blocks: bytes) -> bytes:
    return context.update(blocks) + context.finalize()


def cmac(kind: KeyKind, key: bytes, message: bytes, iv: bytes | None = None) -> bytes:
    """CMAC (NIST SP 800-38B); EV1 lets it run on from the last IV."""
    size = block_size(kind)
    first, second = _subkeys(kind, key)
    head = max(0, (len(message) - 1) // size) * size
    last = message[head:]
    tail = xor(last, first) if len(last) == size else xor(_filled(last, size), second)
    return encrypt(kind, key, iv or bytes(size), message[:head] + tail)[-size:]


def _filled(part: bytes, size: int) -> bytes:
    return (part + b"\x80").ljust(size, b"\x00")


def _subkeys(kind: KeyKind, key: bytes) -> tuple[bytes, bytes]:
    size = block_size(kind)
    first = _doubled(encrypt(kind, key, bytes(size), bytes(size)))
    return first, _doubled(first)


def _doubled(block: bytes) -> bytes:
    bits = len(block) * 8
    value = int.from_bytes(block, "big") << 1
    if value >> bits:
        value = (value & ((1 << bits) - 1)) ^ (0x87 if bits == 128 else 0x1B)
    return value.to_bytes(len(block), "big")


def short_mac(mac: bytes) -> bytes:
    """AN12343 §7.1: the odd bytes of sixteen."""
    return mac[1::2]


def padded(payload: bytes) -> bytes:
    """ISO/IEC 9797-1 method 2: 80 and zeros, always at least one byte."""
    return payload + b"\x80" + bytes(-(len(payload) + 1) % 16)


def unpadded(blocks: bytes) -> bytes | None:
    """The payload, or None where no padding stands."""
    payload, mark, zeros = blocks.rpartition(b"\x80")
    return payload if mark and not any(zeros) and len(zeros) < 16 else None


def crc32(message: bytes) -> bytes:
    """DESFire's CRC32 (no final inversion), least significant byte first."""
    return (zlib.crc32(message) ^ 0xFFFFFFFF).to_bytes(4, "little")


def crc16_a(message: bytes) -> bytes:
    """ISO/IEC 14443-3 CRC_A, least significant byte first."""
    crc = 0x6363
    for byte in message:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def an10922(key: bytes, number: bytes) -> bytes:
    """AN10922 §2.2: an AES-128 key for one card; the input is always made 32 bytes long (its trap)."""
    whole = b"\x01" + number
    first, second = _subkeys("aes", key)
    if len(whole) == 32:
        tail = xor(whole[16:], first)
    else:
        whole = _filled(whole, 32)
        tail = xor(whole[16:], second)
    return encrypt("aes", key, ZERO_BLOCK, whole[:16] + tail)[16:]


def ev1_session_key(kind: KeyKind, key: bytes, nonce_a: bytes, nonce_b: bytes) -> bytes:
    """What both sides make of their nonces (EV1 and before)."""
    if kind == "aes":
        return nonce_a[:4] + nonce_b[:4] + nonce_a[12:] + nonce_b[12:]
    if kind == "3k3des":
        return b"".join(n[at : at + 4] for at in (0, 6, 12) for n in (nonce_a, nonce_b))
    if len(key) == 8 or key[:8] == key[8:]:
        return nonce_a[:4] + nonce_b[:4]
    return nonce_a[:4] + nonce_b[:4] + nonce_a[4:8] + nonce_b[4:8]


def ev2_session_keys(key: bytes, nonce_a: bytes, nonce_b: bytes) -> tuple[bytes, bytes]:
    """AN12343 §6.3: the session's keys for encryption and for MACs."""
    vector = b"\x00\x01\x00\x80" + nonce_a[:2] + xor(nonce_a[2:8], nonce_b[:6]) + nonce_b[6:] + nonce_a[8:]
    return cmac("aes", key, b"\xa5\x5a" + vector), cmac("aes", key, b"\x5a\xa5" + vector)


def felica_mac(card_key: bytes, challenge: bytes, message: bytes, *, is_write: bool = False) -> bytes:
    """FeliCa Lite-S MAC: two-key 3DES CBC-MAC, each eight bytes backwards, the first half of RC as IV. `is_write`:
    MAC_A of a write, the session key's halves swapped.
    """
    rc1, rc2 = challenge[7::-1], challenge[15:7:-1]
    key = card_key[7::-1] + card_key[15:7:-1]
    session = encrypt("des", key, bytes(8), rc1 + rc2)
    if is_write:
        session = session[8:] + session[:8]
    turned = b"".join(message[at : at + 8][::-1] for at in range(0, len(message), 8))
    return encrypt("des", session, rc1, turned)[-8:][::-1]
