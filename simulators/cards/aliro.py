"""A phone that speaks Aliro 1.0 over NFC (CSA), expedited-standard only: hears the reader out, then proves itself.

Owns SELECT, AUTH0, AUTH1, CONTROL FLOW and the derivation of the session's keys. The phone knows its reader's public
key and answers no other (6982). Not here: expedited-fast, step-up, mailbox, BLE, UWB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from simulators.cards.pkoc import P256_ORDER, fields_of, key_from, point_of, signed
from simulators.cards.plain import IsoDepCard

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION = bytes.fromhex("a000000909acce5501")
PROTOCOL = bytes.fromhex("5c020100")
PROPRIETARY = bytes.fromhex("a50880020000") + PROTOCOL
READER_USAGE, DEVICE_USAGE = bytes.fromhex("415d9569"), bytes.fromhex("4e887b4c")
DEVICE_NONCE = bytes.fromhex("000000000000000100000001")
SIGNALS = bytes.fromhex("5e020000")
OVER_NFC = 0x5E


class Transaction:
    """What both sides say before anything is secret, and what they make of it."""

    def __init__(self, *, reader_id: bytes, transaction_id: bytes, reader_ephemeral: bytes, flags: bytes) -> None:
        """`reader_ephemeral`: 04 || X || Y. `flags`: the values of the fields 41 and 42 of AUTH0."""
        self.reader_id = reader_id
        self.transaction_id = transaction_id
        self.reader_ephemeral = reader_ephemeral
        self.flags = flags

    def signed_by(self, usage: bytes, device_ephemeral: bytes) -> bytes:
        """What a signature covers; `usage` says whose it is."""
        return (
            b"\x4d\x20"
            + self.reader_id
            + b"\x86\x20"
            + device_ephemeral[1:33]
            + b"\x87\x20"
            + self.reader_ephemeral[1:33]
            + b"\x4c\x10"
            + self.transaction_id
            + b"\x93\x04"
            + usage
        )

    def salt(self, reader_point: bytes) -> bytes:
        """HKDF's salt of the expedited-standard phase."""
        return (
            reader_point[1:33]
            + b"Volatile****"
            + self.reader_id
            + bytes((OVER_NFC,))
            + PROTOCOL
            + self.reader_ephemeral[1:33]
            + self.transaction_id
            + self.flags
            + PROPRIETARY
        )

    def keys(self, shared: bytes, reader_point: bytes, device_ephemeral: bytes) -> bytes:
        """160 bytes: the reader's key, the device's key, step-up, BLE, UWB. `shared`: what the key agreement gave."""
        return HKDF(hashes.SHA256(), 160, self.salt(reader_point), device_ephemeral[1:33]).derive(shared)


def shared_secret(own: ec.EllipticCurvePrivateKey, other: ec.EllipticCurvePublicKey, transaction_id: bytes) -> bytes:
    """Kdh: X9.63 over the key agreement."""
    return X963KDF(hashes.SHA256(), 32, transaction_id).derive(own.exchange(ec.ECDH(), other))


class AliroPhone(IsoDepCard):
    """`reader_point`: 04 || X || Y of the only reader (group) it lets in."""

    __slots__ = ("_ephemeral", "_is_selected", "_key", "_reader", "_transaction", "finished")

    def __init__(self, seed: bytes, reader_point: bytes, *, random: Callable[[int], bytes] | None = None) -> None:
        more = {} if random is None else {"random": random}
        super().__init__(bytes(4), ats=bytes.fromhex("0578807002"), is_uid_random=True, **more)
        self._key = key_from(b"aliro" + seed)
        self._reader = reader_point
        self.finished: list[bytes] = []
        self._forget()

    @property
    def public_point(self) -> bytes:
        """04 || X || Y: what the site enrols."""
        return point_of(self._key)

    def _forget(self) -> None:
        self._is_selected = False
        self._transaction: Transaction | None = None
        self._ephemeral: ec.EllipticCurvePrivateKey | None = None

    def exchange(self, command: bytes) -> bytes | None:
        """One APDU."""
        if len(command) < 5:
            return b"\x67\x00" if command else None
        body = command[5 : 5 + command[4]]
        if len(body) != command[4]:
            return b"\x67\x00"
        if command[:4] == b"\x00\xa4\x04\x00":
            return self._select(body)
        if command[0] != 0x80:
            return b"\x6e\x00" if command[0] else b"\x6d\x00"
        return self._own(command[1], body)

    def _own(self, ins: int, body: bytes) -> bytes:
        steps = {0x80: self._auth0, 0x81: self._auth1, 0x3C: self._control_flow}
        step = steps.get(ins)
        if step is None:
            return b"\x6d\x00"
        if not self._is_selected:
            return b"\x69\x85"
        fields = fields_of(body)
        return b"\x6a\x80" if fields is None else step(fields)

    def _select(self, name: bytes) -> bytes:
        self._forget()
        self._is_selected = name == APPLICATION
        if not self._is_selected:
            return b"\x6a\x82"
        inner = bytes((0x84, len(name))) + name + PROPRIETARY
        return bytes((0x6F, len(inner))) + inner + b"\x90\x00"

    def _auth0(self, fields: dict[int, bytes]) -> bytes:
        sizes = {0x41: 1, 0x42: 1, 0x5C: 2, 0x87: 65, 0x4C: 16, 0x4D: 32}
        if any(len(fields.get(mark, b"")) != size for mark, size in sizes.items()) or fields[0x5C] != PROTOCOL[2:]:
            return b"\x6a\x80"
        number = int.from_bytes(self._random(40), "big") % (P256_ORDER - 1) + 1
        self._ephemeral = ec.derive_private_key(number, ec.SECP256R1())
        self._transaction = Transaction(
            reader_id=fields[0x4D],
            transaction_id=fields[0x4C],
            reader_ephemeral=fields[0x87],
            flags=fields[0x41] + fields[0x42],
        )
        return b"\x86\x41" + point_of(self._ephemeral) + b"\x90\x00"

    def _auth1(self, fields: dict[int, bytes]) -> bytes:
        transaction, ephemeral = self._transaction, self._ephemeral
        if transaction is None or ephemeral is None:
            return b"\x69\x85"
        self._transaction = None  # one try
        mine = point_of(ephemeral)
        if not is_signed(self._reader, fields.get(0x9E, b""), transaction.signed_by(READER_USAGE, mine)):
            return b"\x69\x82"
        try:
            theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), transaction.reader_ephemeral)
        except ValueError:
            return b"\x6a\x80"
        keys = transaction.keys(shared_secret(ephemeral, theirs, transaction.transaction_id), self._reader, mine)
        proof = b"\x9e\x40" + signed(self._key, transaction.signed_by(DEVICE_USAGE, mine)) + SIGNALS
        who = b"\x5a\x41" + self.public_point if fields.get(0x41) == b"\x01" else b""
        return AESGCM(keys[32:64]).encrypt(DEVICE_NONCE, who + proof, b"") + b"\x90\x00"

    def _control_flow(self, fields: dict[int, bytes]) -> bytes:
        self.finished.append(fields.get(0x41, b"") + fields.get(0x42, b""))
        self._forget()
        return b"\x90\x00"


def is_signed(point: bytes, signature: bytes, message: bytes) -> bool:
    """Whether R || S over the message is by the key at `point`."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
