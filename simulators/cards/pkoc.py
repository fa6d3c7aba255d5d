"""A card or phone with its own P-256 key (PSIA PKOC 1.1 over NFC): it signs the reader's transaction identifier.

Owns SELECT, version negotiation and AUTHENTICATE. Refuses other protocol versions (6985), missing fields (6A80), and
everything before SELECT (6985).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from simulators.cards.plain import IsoDepCard

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION = bytes.fromhex("a000000898000001")
VERSION = b"\x01\x00"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def key_from(seed: bytes) -> ec.EllipticCurvePrivateKey:
    """A made-up person's key: always the same for one seed."""
    number = int.from_bytes(hashlib.sha512(b"pkoc" + seed).digest(), "big") % (P256_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """04 || X || Y."""
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def signed(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA with SHA-256 as R || S."""
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def fields_of(body: bytes) -> dict[int, bytes] | None:
    """Tag, length, value (one byte each for tag and length); None where they do not fill the body."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            return None
        found[body[at]] = body[at + 2 : at + 2 + body[at + 1]]
        at += 2 + body[at + 1]
    return found


class PkocCard(IsoDepCard):
    """`uid`: what the reader sees; phones show a random one, so nothing may hang on it."""

    __slots__ = ("_is_selected", "_key", "versions")

    def __init__(
        self,
        seed: bytes,
        *,
        uid: bytes | None = None,
        versions: tuple[bytes, ...] = (VERSION,),
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """`seed`: makes the key. `uid`: None = a phone, random at each activation."""
        more = {} if random is None else {"random": random}
        super().__init__(uid or bytes(4), ats=bytes.fromhex("0578807002"), is_uid_random=uid is None, **more)
        self._key = key_from(seed)
        self.versions = versions
        self._is_selected = False

    @property
    def public_point(self) -> bytes:
        """04 || X || Y: what the site enrols."""
        return point_of(self._key)

    @property
    def credential(self) -> bytes:
        """X: the 256-bit credential; its low 75 or 64 bits are the shorter ones."""
        return self.public_point[1:33]

    def _forget(self) -> None:
        self._is_selected = False

    def exchange(self, command: bytes) -> bytes | None:
        """One APDU."""
        if len(command) < 5:
            return b"\x67\x00" if command else None
        body = command[5 : 5 + command[4]]
        if len(body) != command[4]:
            return b"\x67\x00"
        if command[:4] == b"\x00\xa4\x04\x00":
            return self._select(body)
        if command[:4] == b"\x80\x80\x00\x01":
            return self._authenticate(body)
        return b"\x6d\x00" if command[0] in (0x00, 0x80) else b"\x6e\x00"

    def _select(self, name: bytes) -> bytes:
        self._is_selected = name == APPLICATION
        if not self._is_selected:
            return b"\x6a\x82"
        known = b"".join(self.versions)
        return bytes((0x5C, len(known))) + known + b"\x90\x00"

    def _authenticate(self, body: bytes) -> bytes:
        fields = fields_of(body)
        if not self._is_selected:
            return b"\x69\x85"
        if fields is None or len(fields.get(0x4C, b"")) != 16 or len(fields.get(0x4D, b"")) != 32:
            return b"\x6a\x80"
        if fields.get(0x5C) not in self.versions:
            return b"\x69\x85"
        return b"\x5a\x41" + self.public_point + b"\x9e\x40" + signed(self._key, fields[0x4C]) + b"\x90\x00"
