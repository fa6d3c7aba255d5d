"""PKOC through an OSDP reader: the reader's half of "OSDP ACU PKOC Card Processing" 1.63 (PSIA, public).

Layout of every message, in osdp_MFG and osdp_MFGREP alike:

    0..2   OUI 1A 90 21
    3      E0 card present (reader)   E1 authentication request (panel)   E2 authentication response (reader)
           E3 next transaction (panel)   E4 transaction refresh (reader)   FE reader error (reader)
    4..5   length of the whole content, little endian
    6..7   offset of this fragment
    8..9   length of this fragment
    10..   the fragment

A reader that leaves PKOC to its panel sends E0 unasked (1.11 as well as 1.63); E3 is needed for challenges in advance.

E0: FC wrapping 5C 02 01 00 and 4C 00. E1: P1 P2 (00 01, counted into the length), then 5C, 4C (transaction id), 4D
(reader id) in any order. E2: 5A 41 key, 9E 40 signature, or FB error. E3: 4C, or 00 00 = synchronous. FE: error bytes.
The signature is ECDSA P-256 with SHA-256 over the transaction id alone (PKOC NFC 1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulators.osdp.words import OUI_PSIA

if TYPE_CHECKING:
    from collections.abc import Iterator

CARD_PRESENT, AUTH_REQUEST, AUTH_RESPONSE, NEXT_TRANSACTION, TRANSACTION_REFRESH = range(0xE0, 0xE5)
READER_ERROR = 0xFE
VERSIONS = bytes.fromhex("5c020100")
TRANSACTION, READER, KEY, SIGNATURE, WRAPPER = 0x4C, 0x4D, 0x5A, 0x9E, 0xFC
TIMED_OUT = b"\x02"
OUT_OF_SEQUENCE, OUT_OF_BOUNDS, MISSING, INVALID = b"\x08", b"\x09", b"\x06", b"\x07"
PARAMETERS = b"\x00\x01"  # P1, P2
SELECT = bytes.fromhex("00a4040008a00000089800000100")
SUCCESS = b"\x90\x00"
READER_ID_BYTES = 32
HEAD_BYTES = 6
CONTENT_MAX = 512
TRANSACTION_SIZES = range(16, 66)


class PkocCard(Protocol):
    """What a PKOC card does for a reader."""

    def answer(self, transaction: bytes, reader_id: bytes) -> bytes | None:
        """Its key and signature as TLVs (5A, 9E); None = it left, or cannot."""


class ApduCard(Protocol):
    """Any card that speaks ISO 7816."""

    def exchange(self, command: bytes) -> bytes | None:
        """One APDU; None = silence."""


class KeyPairCard:
    """A PKOC card with a key pair of its own; `forges`: a copy that shows another's public key."""

    def __init__(self, secret: int, *, forges: bytes | None = None) -> None:
        self._key = ec.derive_private_key(secret, ec.SECP256R1())
        own = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = forges or own

    def answer(self, transaction: bytes, _reader_id: bytes) -> bytes:
        """The reader's id is not signed."""
        pair = decode_dss_signature(self._key.sign(transaction, ec.ECDSA(hashes.SHA256())))
        return tlv(KEY, self.public_key) + tlv(SIGNATURE, b"".join(one.to_bytes(32, "big") for one in pair))


class NearCard:
    """A PKOC card in the field, asked in APDUs as a reader asks (PKOC NFC 1.1)."""

    def __init__(self, card: ApduCard) -> None:
        self._card = card

    @staticmethod
    def found(card: ApduCard) -> NearCard | None:
        """The card, if it knows the PKOC application."""
        said = card.exchange(SELECT)
        return NearCard(card) if said is not None and said[-2:] == SUCCESS else None

    def answer(self, transaction: bytes, reader_id: bytes) -> bytes | None:
        """AUTHENTICATE."""
        body = VERSIONS + tlv(TRANSACTION, transaction) + tlv(READER, reader_id)
        said = self._card.exchange(bytes((0x80, 0x80, 0x00, 0x01, len(body))) + body + b"\0")
        return said[:-2] if said is not None and said[-2:] == SUCCESS else None


def genuine_x(card: PkocCard, transaction: bytes) -> bytes | None:
    """X of a card that proves its key, for a reader that checks cards by itself; None = a copy, or gone."""
    said = card.answer(transaction, bytes(READER_ID_BYTES))
    found = (tlvs(said) or {}) if said is not None else {}
    public, signature = found.get(KEY, b""), found.get(SIGNATURE, b"")
    if len(signature) != 2 * 32:
        return None
    numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        key.verify(encode_dss_signature(*numbers), transaction, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return None
    return public[1:33]


def tlvs(content: bytes) -> dict[int, bytes] | None:
    """Tags and values; None = a value is cut."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        if at + 1 >= len(content) or at + 2 + content[at + 1] > len(content):
            return None
        found[content[at]] = content[at + 2 : at + 2 + content[at + 1]]
        at += 2 + content[at + 1]
    return found


def tlv(kind: int, value: bytes) -> bytes:
    """One tag (`kind`) and its value."""
    return bytes((kind, len(value))) + value


def messages(code: int, content: bytes, space: int) -> Iterator[bytes]:
    """The MFGREP bodies that carry `content`, each with at most `space` bytes of it."""
    for at in range(0, max(1, len(content)), space):
        part = content[at : at + space]
        head = b"".join(number.to_bytes(2, "little") for number in (len(content), at, len(part)))
        yield OUI_PSIA + bytes((code,)) + head + part


class Gathering:
    """Fragments of one message from the panel."""

    def __init__(self) -> None:
        self._code = 0
        self._total = 0
        self._content = bytearray()

    def add(self, code: int, body: bytes) -> tuple[bytes | None, bytes]:
        """One fragment (what follows the code): the whole content once it is there, and an error byte."""
        if len(body) < HEAD_BYTES:
            return (b"", b"") if code == NEXT_TRANSACTION and not body else (None, MISSING)
        total, offset, count = (int.from_bytes(body[at : at + 2], "little") for at in (0, 2, 4))
        part = body[HEAD_BYTES:]
        if count != len(part) or offset + count > total or total > CONTENT_MAX:
            return None, OUT_OF_BOUNDS
        if offset == 0:
            self._code, self._total, self._content = code, total, bytearray()
        if (code, total, offset) != (self._code, self._total, len(self._content)):
            return None, OUT_OF_SEQUENCE
        self._content += part
        return (bytes(self._content), b"") if len(self._content) == total else (None, b"")


class PkocReader:
    """What a reader remembers of PKOC: how the panel wants it, the card that lies there, what is to be told."""

    def __init__(self, card_ms: int) -> None:
        self.card: PkocCard | None = None
        self.card_ms = card_ms  # how long a card computes
        self.forget()

    def forget(self) -> None:
        """Power gone."""
        self._transaction = b""  # loaded in advance
        self._gathering = Gathering()
        self._due: tuple[int, bytes, bytes] | None = None  # when the card will have answered, challenge, reader id

    def deadline(self) -> int | None:
        """When the card will have answered."""
        return None if self._due is None else self._due[0]

    def present(self, card: PkocCard, now_ms: int) -> tuple[int, bytes] | None:
        """A card is there: what to tell the panel at once (code, content)."""
        self.card = card
        if self._transaction:
            self._due, self._transaction = (now_ms + self.card_ms, self._transaction, bytes(READER_ID_BYTES)), b""
            return None
        return CARD_PRESENT, tlv(WRAPPER, VERSIONS + tlv(TRANSACTION, b""))

    def take_away(self) -> None:
        """The card is gone."""
        self.card = None

    def hear(self, code: int, body: bytes, now_ms: int) -> tuple[int, bytes] | None:
        """A fragment from the panel: what to tell at the next poll. Raises ValueError for a code that is none."""
        if code not in (AUTH_REQUEST, NEXT_TRANSACTION):
            raise ValueError(code)
        content, fault = self._gathering.add(code, body)
        if fault:
            return READER_ERROR, fault
        if content is None:
            return None
        if code == NEXT_TRANSACTION:
            return self._next(content)
        return self._request(content, now_ms)

    def tick(self, now_ms: int) -> tuple[int, bytes] | None:
        """The card has answered, or is gone."""
        if self._due is None or now_ms < self._due[0]:
            return None
        _, challenge, reader_id = self._due
        self._due = None
        said = self.card.answer(challenge, reader_id) if self.card is not None else None
        return (READER_ERROR, TIMED_OUT) if said is None else (AUTH_RESPONSE, said)

    def _next(self, content: bytes) -> tuple[int, bytes] | None:
        self._transaction = b""
        if not content.strip(b"\0"):
            return None
        found = tlvs(content)
        if found is None or len(found.get(TRANSACTION, b"")) not in TRANSACTION_SIZES:
            return READER_ERROR, INVALID
        self._transaction = found[TRANSACTION]
        return None

    def _request(self, content: bytes, now_ms: int) -> tuple[int, bytes] | None:
        found = tlvs(content.removeprefix(PARAMETERS))
        if found is None or len(found.get(TRANSACTION, b"")) not in TRANSACTION_SIZES:
            return READER_ERROR, INVALID
        reader_id = found.get(READER, b"") or bytes(READER_ID_BYTES)
        self._due = (now_ms + self.card_ms, found[TRANSACTION], reader_id)
        return None
