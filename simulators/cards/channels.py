"""What an authenticated NXP card wraps around commands and answers: one class for each age of secure messaging.

Pure but for the state of the session itself. `incoming` takes a command apart and raises Refused where it was tampered
with; `outgoing` protects an answer. A session that refuses once is over; its owner drops it.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from simulators.cards.crypto import (
    KeyKind,
    block_size,
    cmac,
    crc16_a,
    crc32,
    decrypt,
    encrypt,
    padded,
    short_mac,
    unpadded,
)

Protection: TypeAlias = Literal["plain", "mac", "full", "key"]
"""How a command or an answer travels; "key": enciphered, and its CRCs are told apart by the key that changes."""
WRITES = (0x3D, 0x8D)
MAC_BYTES = 8


class Refused(Exception):
    """The card answers with this code and forgets its session."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


INTEGRITY = 0x1E
WRONG_LENGTH = 0x7E


class Channel(Protocol):
    """One authenticated session."""

    key_no: int

    def incoming(self, ins: int, header: bytes, rest: bytes, how: Protection) -> bytes:
        """The payload that `rest` carries. Raises Refused."""

    def outgoing(self, payload: bytes, how: Protection) -> bytes:
        """`payload` as the answer carries it."""

    def sent_size(self, count: int, how: Protection) -> int:
        """Bytes that a payload of `count` bytes takes in a command."""

    def changed_key(self, key_no: int, fields: bytes, size: int, old: bytes | None) -> bytes:
        """The new key (with its version byte, where `size` has room for one) from what a ChangeKey carried. `old`: the
        present value of a key other than the session's own. Raises Refused.
        """


class LegacyChannel:
    """Before EV1 (D40): the reader deciphers, the card enciphers. Only what turns a blank card into one of ours."""

    def __init__(self, key_no: int, session_key: bytes) -> None:
        self.key_no = key_no
        self._key = session_key

    def incoming(self, ins: int, header: bytes, rest: bytes, how: Protection) -> bytes:
        del ins, header
        if how in ("plain", "mac") or not rest:
            return rest
        if len(rest) % 8:
            raise Refused(WRONG_LENGTH)
        plain, last = b"", bytes(8)
        for at in range(0, len(rest), 8):  # the reader ran CBC with decipherments; encipher each block to undo it
            block = rest[at : at + 8]
            plain += bytes(a ^ b for a, b in zip(encrypt("des", self._key, bytes(8), block), last, strict=True))
            last = block
        if how == "key":
            return plain
        return _checked(plain, crc16_a, b"", 2)

    def outgoing(self, payload: bytes, how: Protection) -> bytes:
        if how != "full" or not payload:
            return payload
        whole = payload + crc16_a(payload)
        return encrypt("des", self._key, bytes(8), whole + bytes(-len(whole) % 8))

    def sent_size(self, count: int, how: Protection) -> int:
        return count + 2 + -(count + 2) % 8 if how == "full" else count

    def changed_key(self, key_no: int, fields: bytes, size: int, old: bytes | None) -> bytes:
        del key_no
        if crc16_a(fields[:size]) != fields[size : size + 2]:
            raise Refused(INTEGRITY)
        new = _unmasked(fields[:size], old)
        if old is not None and crc16_a(new) != fields[size + 2 : size + 4]:
            raise Refused(INTEGRITY)
        return new


class Ev1Channel:
    """EV1: every command and answer moves one running IV; answers end with eight bytes of CMAC."""

    def __init__(self, key_no: int, kind: KeyKind, session_key: bytes) -> None:
        self.key_no = key_no
        self._kind = kind
        self._key = session_key
        self._size = block_size(kind)
        self._iv = bytes(self._size)

    def incoming(self, ins: int, header: bytes, rest: bytes, how: Protection) -> bytes:
        head = bytes((ins,)) + header
        if how in ("full", "key") and rest:
            if len(rest) % self._size:
                raise Refused(WRONG_LENGTH)
            plain = decrypt(self._kind, self._key, self._iv, rest)
            self._iv = rest[-self._size :]
            return plain if how == "key" else _checked(plain, crc32, head, 4)
        if how == "mac" and ins in WRITES:
            payload, mac = rest[:-MAC_BYTES], rest[-MAC_BYTES:]
            if self._move(head + payload) != mac:
                raise Refused(INTEGRITY)
            return payload
        self._move(head + rest)
        return rest

    def outgoing(self, payload: bytes, how: Protection) -> bytes:
        if how == "full" and payload:
            whole = payload + crc32(payload + b"\x00")
            sent = encrypt(self._kind, self._key, self._iv, whole + bytes(-len(whole) % self._size))
            self._iv = sent[-self._size :]
            return sent
        return payload + self._move(payload + b"\x00")

    def sent_size(self, count: int, how: Protection) -> int:
        if how == "full":
            return count + 4 + -(count + 4) % self._size
        return count + MAC_BYTES if how == "mac" else count

    def changed_key(self, key_no: int, fields: bytes, size: int, old: bytes | None) -> bytes:
        if crc32(bytes((0xC4, key_no)) + fields[:size]) != fields[size : size + 4]:
            raise Refused(INTEGRITY)
        new = _unmasked(fields[:size], old)
        if old is not None and crc32(new[: len(old)]) != fields[size + 4 : size + 8]:
            raise Refused(INTEGRITY)
        return new

    def _move(self, message: bytes) -> bytes:
        self._iv = cmac(self._kind, self._key, message, self._iv)
        return self._iv[:MAC_BYTES]


class Ev2Channel:
    """EV2, EV3, NTAG 424 DNA: a transaction identifier and a counter of commands under every MAC and IV."""

    def __init__(self, key_no: int, identifier: bytes, keys: tuple[bytes, bytes], counter: int = 0) -> None:
        self.key_no = key_no
        self.identifier = identifier
        self.counter = counter
        self._encipher, self._mac = keys

    def incoming(self, ins: int, header: bytes, rest: bytes, how: Protection) -> bytes:
        if how == "plain":
            return rest
        sent, mac = rest[:-MAC_BYTES], rest[-MAC_BYTES:]
        if len(mac) < MAC_BYTES:
            raise Refused(WRONG_LENGTH)
        if self._maced(ins, header + sent) != mac:
            raise Refused(INTEGRITY)
        if how == "mac" or not sent:
            return sent
        if len(sent) % 16:
            raise Refused(WRONG_LENGTH)
        payload = unpadded(decrypt("aes", self._encipher, self._iv(b"\xa5\x5a"), sent))
        if payload is None:
            raise Refused(INTEGRITY)
        return payload

    def outgoing(self, payload: bytes, how: Protection) -> bytes:
        self.counter += 1
        if how == "plain":
            return payload
        if how == "full" and payload:
            payload = encrypt("aes", self._encipher, self._iv(b"\x5a\xa5"), padded(payload))
        return payload + self._maced(0x00, payload)

    def sent_size(self, count: int, how: Protection) -> int:
        if how == "full":
            return count + 16 - count % 16 + MAC_BYTES
        return count + MAC_BYTES if how == "mac" else count

    def changed_key(self, key_no: int, fields: bytes, size: int, old: bytes | None) -> bytes:
        del key_no
        new = _unmasked(fields[:size], old)
        if len(fields) != size + (4 if old is not None else 0):
            raise Refused(WRONG_LENGTH)
        if old is not None and crc32(new[: len(old)]) != fields[size:]:
            raise Refused(INTEGRITY)
        return new

    def _maced(self, lead: int, rest: bytes) -> bytes:
        whole = bytes((lead,)) + self.counter.to_bytes(2, "little") + self.identifier + rest
        return short_mac(cmac("aes", self._mac, whole))

    def _iv(self, label: bytes) -> bytes:
        block = label + self.identifier + self.counter.to_bytes(2, "little") + bytes(8)
        return encrypt("aes", self._encipher, bytes(16), block)


def _unmasked(fields: bytes, old: bytes | None) -> bytes:
    """A new key that travelled XORed with the old one; the version byte behind it did not."""
    if old is None:
        return fields
    return bytes(a ^ b for a, b in zip(fields[: len(old)], old, strict=False)) + fields[len(old) :]


def _checked(plain: bytes, crc: object, head: bytes, size: int) -> bytes:
    """The payload before a CRC and zeros (or 80 and zeros). The shortest that fits: a CRC over its own CRC and zeros is
    zeros too. Raises Refused.
    """
    assert callable(crc)
    found: bytes | None = None
    for end in range(len(plain), size - 1, -1):
        if crc(head + plain[: end - size]) == plain[end - size : end]:
            found = plain[: end - size]
        if plain[end - 1] not in (0x00, 0x80):
            break
    if found is None:
        raise Refused(INTEGRITY)
    return found
