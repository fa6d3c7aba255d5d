"""Aliro 1.0 over NFC, the expedited-standard phase (Connectivity Standards Alliance): experimental, off unless a site
configures a reader key.

The phone learns that it speaks to our reader, then signs our fresh challenge inside a channel that only both can read.
Its public key's X is the card number. No step-up, no access documents, no certificates; CONTROL FLOW is not sent, for
here nobody knows yet whether anything opens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from readers.cards.apdu import ISO_OK, exchange, objects, select, tlv
from readers.cards.dialogue import Dialogue, DialogueSession, Random
from readers.cards.pkoc import READER, SUPPORTED_VERSIONS, TRANSACTION, judged, point
from readers.cards.proving import NONCE_BYTES
from readers.cards.session import CardTarget, Left, NotOurs, Verdict

APPLICATION: Final = bytes.fromhex("A000000909ACCE5501")
VERSION: Final = bytes.fromhex("0100")
READER_KEY_USAGE: Final = bytes.fromhex("415D9569")
DEVICE_KEY_USAGE: Final = bytes.fromhex("4E887B4C")
FLAGS: Final = bytes.fromhex("0001")
"""AUTH0's two parameters as we send them: expedited-standard; the user is at the reader."""
_PARAMETERS: Final = 0x41
_POLICY: Final = 0x42
_DEVICE_KEY: Final = 0x86
_READER_KEY: Final = 0x87
_FCI: Final = 0x6F
_PROPRIETARY: Final = 0xA5
_NFC: Final = 0x5E
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliroReader:
    """The reader group as phones know it: its key pair (P-256) and its 32-byte identifier."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    reader_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What both sides have said before AUTH1. The keys are uncompressed points; only their X counts."""

    reader_id: bytes
    transaction: bytes
    reader_ephemeral: bytes
    device_ephemeral: bytes

    def signed(self, usage: bytes) -> bytes:
        """What AUTH1's signatures are over: the reader's (415D9569), the device's (4E887B4C)."""
        return (
            tlv(READER, self.reader_id)
            + tlv(_DEVICE_KEY, _x(self.device_ephemeral))
            + tlv(_READER_KEY, _x(self.reader_ephemeral))
            + tlv(TRANSACTION, self.transaction)
            + tlv(0x93, usage)
        )

    def salt(self, reader_key: bytes, proprietary: bytes) -> bytes:
        """Of the key derivation; `proprietary`: the A5 object of the SELECT response, name and length included."""
        return (
            _x(reader_key)
            + b"Volatile****"
            + self.reader_id
            + bytes((_NFC,))
            + tlv(SUPPORTED_VERSIONS, VERSION)
            + _x(self.reader_ephemeral)
            + self.transaction
            + FLAGS
            + proprietary
        )


def encoded(key: ec.EllipticCurvePublicKey) -> bytes:
    """The uncompressed point."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _x(encoded_point: bytes) -> bytes:
    return encoded_point[1:33]


def shared_key(private: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey, transaction: bytes) -> bytes:
    """Kdh."""
    return X963KDF(hashes.SHA256(), 32, transaction).derive(private.exchange(ec.ECDH(), peer))


def channel_keys(kdh: bytes, salt: bytes, device_ephemeral: bytes) -> tuple[bytes, bytes]:
    """ExchangeSKReader and ExchangeSKDevice, the first 64 of 160 bytes."""
    keys = HKDF(hashes.SHA256(), 160, salt, _x(device_ephemeral)).derive(kdh)
    return keys[:32], keys[32:64]


def opened(device_key: bytes, sealed: bytes, counter: int = 1) -> bytes | None:
    """What the device sealed; None where it did not."""
    nonce = bytes(7) + b"\x01" + counter.to_bytes(4, "big")
    try:
        return AESGCM(device_key).decrypt(nonce, sealed, b"")
    except (InvalidTag, ValueError):
        return None


def auth0(ephemeral: bytes, transaction: bytes, reader_id: bytes) -> bytes:
    """The AUTH0 command."""
    body = (
        tlv(_PARAMETERS, FLAGS[:1])
        + tlv(_POLICY, FLAGS[1:])
        + tlv(SUPPORTED_VERSIONS, VERSION)
        + tlv(_READER_KEY, ephemeral)
        + tlv(TRANSACTION, transaction)
        + tlv(READER, reader_id)
    )
    return bytes((0x80, 0x80, 0x00, 0x00, len(body))) + body + b"\0"


def auth1(private: ec.EllipticCurvePrivateKey, handshake: Handshake) -> bytes:
    """The AUTH1 command; it asks for the public key, not for its slot."""
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = utils.decode_dss_signature(private.sign(handshake.signed(READER_KEY_USAGE), algorithm))
    body = tlv(_PARAMETERS, b"\x01") + tlv(0x9E, r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return bytes((0x80, 0x81, 0x00, 0x00, len(body))) + body + b"\0"


def _ephemeral(random: Random) -> ec.EllipticCurvePrivateKey:
    """Of 40 bytes, so that no value is visibly likelier (FIPS 186-5 A.2.1)."""
    return ec.derive_private_key(int.from_bytes(random(40), "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def aliro_session(target: CardTarget, random: Random, reader: AliroReader) -> DialogueSession[Verdict]:
    """One expedited-standard transaction."""
    return DialogueSession(aliro(target, random, reader), Left())


def aliro(target: CardTarget, random: Random, reader: AliroReader) -> Dialogue[Verdict]:
    """The dialogue of `aliro_session`."""
    selected = yield from exchange(select(APPLICATION))
    proprietary = _proprietary(selected.body)
    if selected.word != ISO_OK or proprietary is None:
        return NotOurs()
    nonce, ours = random(NONCE_BYTES), _ephemeral(random)
    answer = yield from exchange(auth0(encoded(ours.public_key()), nonce, reader.reader_id))
    theirs_encoded = (objects(answer.body) or {}).get(_DEVICE_KEY, b"")
    theirs = point(theirs_encoded)
    if answer.word != ISO_OK or theirs is None:
        return NotOurs()
    handshake = Handshake(
        reader_id=reader.reader_id,
        transaction=nonce,
        reader_ephemeral=encoded(ours.public_key()),
        device_ephemeral=theirs_encoded,
    )
    answer = yield from exchange(auth1(reader.private_key, handshake))
    if answer.word != ISO_OK:
        return NotOurs()  # it does not know our reader: nothing proved, nothing disproved
    salt = handshake.salt(encoded(reader.private_key.public_key()), proprietary)
    _, device_key = channel_keys(shared_key(ours, theirs, nonce), salt, theirs_encoded)
    found = objects(opened(device_key, answer.body) or b"") or {}
    return judged("aliro", target, nonce, found, handshake.signed(DEVICE_KEY_USAGE))


def _proprietary(body: bytes) -> bytes | None:
    """The A5 object of a SELECT response, if it offers our version."""
    value = (objects((objects(body) or {}).get(_FCI, b"")) or {}).get(_PROPRIETARY)
    if value is None or len(value) >= 0x80:
        return None
    versions = (objects(value) or {}).get(SUPPORTED_VERSIONS, b"")
    is_ours = any(versions[at : at + 2] == VERSION for at in range(0, len(versions), 2))
    return tlv(_PROPRIETARY, value) if is_ours else None
