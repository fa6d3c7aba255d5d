"""PKOC over NFC 1.1 (PSIA): a card or phone signs our fresh transaction id with its own P-256 key.

It needs no key of the site: who holds the public key's X is looked up like any card number. A relay is not noticed,
and the signature does not bind the reader (§ of the specification on the transaction id).
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from readers.cards.apdu import ISO_OK, exchange, objects, select, tlv
from readers.cards.dialogue import Dialogue, DialogueSession, Random
from readers.cards.proving import NONCE_BYTES
from readers.cards.session import CardTarget, Left, NotOurs, Proved, Verdict
from readers.events import CardProof, CardScheme

APPLICATION: Final = bytes.fromhex("A000000898000001")
VERSION: Final = bytes.fromhex("0100")
READER_ID_BYTES: Final = 32
SUPPORTED_VERSIONS: Final = 0x5C
TRANSACTION: Final = 0x4C
READER: Final = 0x4D
PUBLIC_KEY: Final = 0x5A
SIGNATURE: Final = 0x9E
_COORDINATE: Final = 32


def point(encoded: bytes) -> ec.EllipticCurvePublicKey | None:
    """An uncompressed point of P-256; None where it is none (wrong form, or not on the curve)."""
    if len(encoded) != 1 + 2 * _COORDINATE or encoded[0] != 0x04:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except ValueError:
        return None


def is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether R || S is this key's ECDSA signature (SHA-256) of `message`."""
    if len(signature) != 2 * _COORDINATE:
        return False
    halves = (int.from_bytes(signature[:_COORDINATE], "big"), int.from_bytes(signature[_COORDINATE:], "big"))
    try:
        key.verify(utils.encode_dss_signature(*halves), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def credential(x: bytes, bits: int) -> bytes:
    """The card number of a PKOC credential: all of X, or its low 75 or 64 bits where a site has to be narrow."""
    return (int.from_bytes(x, "big") & (1 << bits) - 1).to_bytes(-(-bits // 8), "big")


def authenticate(transaction: bytes, reader_id: bytes, version: bytes = VERSION) -> bytes:
    """The AUTHENTICATE command."""
    body = tlv(SUPPORTED_VERSIONS, version) + tlv(TRANSACTION, transaction) + tlv(READER, reader_id)
    return bytes((0x80, 0x80, 0x00, 0x01, len(body))) + body + b"\0"


def pkoc_session(target: CardTarget, random: Random, reader_id: bytes) -> DialogueSession[Verdict]:
    """One authentication. `reader_id`: 32 bytes that name this site and reader to the card."""
    return DialogueSession(pkoc(target, random, reader_id), Left())


def pkoc(target: CardTarget, random: Random, reader_id: bytes) -> Dialogue[Verdict]:
    """The dialogue of `pkoc_session`."""
    selected = yield from exchange(select(APPLICATION))
    if selected.word != ISO_OK or not _speaks_ours(selected.body):
        return NotOurs()
    nonce = random(NONCE_BYTES)
    answer = yield from exchange(authenticate(nonce, reader_id))
    if answer.word != ISO_OK:
        return NotOurs()  # 6985 refuses the version; a locked phone, or one without a credential, refuses too
    found = objects(answer.body) or {}
    return judged("pkoc", target, nonce, found, nonce)


def _speaks_ours(body: bytes) -> bool:
    versions = (objects(body) or {}).get(SUPPORTED_VERSIONS, b"")
    return any(versions[at : at + 2] == VERSION for at in range(0, len(versions), 2))


def judged(scheme: CardScheme, target: CardTarget, nonce: bytes, found: dict[int, bytes], signed: bytes) -> Proved:
    """The verdict on a public key and a signature over `signed`."""
    key = point(found.get(PUBLIC_KEY, b""))
    is_genuine = key is not None and is_signed(key, found.get(SIGNATURE, b""), signed)
    number = found[PUBLIC_KEY][1 : 1 + _COORDINATE] if key is not None else target.number
    return Proved(number=number, proof=CardProof(scheme=scheme, is_genuine=is_genuine, nonce=nonce))
