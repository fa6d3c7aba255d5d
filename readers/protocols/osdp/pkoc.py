"""PKOC cards through an OSDP reader (PSIA, OUI 1A9021): the reader carries, we ask and judge.

Owns the layout of the manufacturer messages and the check of the signature (PKOC 1.1: ECDSA on P-256 with SHA-256 over
the transaction identifier). Only our own fresh challenge counts: a reader that made up its own, or was given one in
advance, proves nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

OUI: Final = bytes.fromhex("1A9021")
CARD_PRESENT: Final = 0xE0
AUTH_REQUEST: Final = 0xE1
AUTH_RESPONSE: Final = 0xE2
READER_ERRORS: Final = (0xE5, 0xFE)
"""0xE5 by the published text (version 1.11), 0xFE by the reference code of the same authors."""
CHALLENGE_BYTES: Final = 16
PROTOCOL_VERSION: Final = b"\x01\x00"
MESSAGE_BYTES_MAX: Final = 1024
WITHIN_MS: Final = 5_000
"""From our question to the whole answer: a card is not held longer."""

_HEAD_BYTES: Final = 7
_PARAMETERS: Final = b"\x00\x01"
_VERSION: Final = 0x5C
_CHALLENGE: Final = 0x4C
_READER: Final = 0x4D
_PUBLIC_KEY: Final = 0x5A
_SIGNATURE: Final = 0x9E
_ERROR: Final = 0xFB
_WRAPPER: Final = 0xFC
_POINT_BYTES: Final = 65
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Fragment:
    """One manufacturer message. `is_total_first`: the order of the three numbers in its head."""

    code: int
    total: int
    offset: int
    piece: bytes
    is_total_first: bool


def fragment(payload: bytes) -> Fragment | None:
    """The published text puts total, offset, length; the reference code offset, length, total. They cannot be
    mistaken for each other while the piece is not empty.
    """
    if len(payload) <= _HEAD_BYTES:
        return Fragment(payload[0], 0, 0, b"", is_total_first=True) if payload else None
    first, second, third = (int.from_bytes(payload[at : at + 2], "little") for at in (1, 3, 5))
    piece = payload[_HEAD_BYTES:]
    for total, offset, length, is_total_first in ((first, second, third, True), (third, first, second, False)):
        if length == len(piece) and offset + length <= total <= MESSAGE_BYTES_MAX:
            return Fragment(payload[0], total, offset, piece, is_total_first)
    return None


def fragments(code: int, message: bytes, piece_bytes: int, *, is_total_first: bool) -> list[bytes]:
    """`message` in pieces of at most `piece_bytes`, each with its head."""
    out = []
    for offset in range(0, len(message), piece_bytes):
        piece = message[offset : offset + piece_bytes]
        numbers = (len(message), offset, len(piece)) if is_total_first else (offset, len(piece), len(message))
        out.append(bytes((code,)) + b"".join(number.to_bytes(2, "little") for number in numbers) + piece)
    return out


class Assembly:
    """Puts the pieces of one message together: in order, without gap or overlap, or not at all."""

    __slots__ = ("_held", "_total")

    def __init__(self) -> None:
        self._held = b""
        self._total = 0

    def clear(self) -> None:
        """Forget what is held."""
        self._held, self._total = b"", 0

    def add(self, one: Fragment) -> bytes | None:
        """The whole message once its last piece is there."""
        if one.offset == 0:
            self._held, self._total = b"", one.total
        if one.offset != len(self._held) or one.total != self._total:
            self.clear()
            return None
        self._held += one.piece
        if len(self._held) < self._total:
            return None
        whole = self._held
        self.clear()
        return whole


def fields(message: bytes) -> dict[int, bytes] | None:
    """Its TLV items (one-byte tags; lengths up to 127, or 81 nn); None when they do not fill it exactly."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        head = message[at : at + 3]
        if len(head) < 2 or (head[1] > 0x7F and (head[1] != 0x81 or len(head) < 3)):
            return None
        begin = at + (3 if head[1] == 0x81 else 2)
        length = head[2] if head[1] == 0x81 else head[1]
        at = begin + length
        if at > len(message) or head[0] in found:
            return None
        found[head[0]] = message[begin:at]
    return found


def speaks_our_version(message: bytes) -> bool:
    """Whether a card-present message offers version 1.0, or does not say."""
    found = fields(message) or {}
    offered = (fields(found.get(_WRAPPER, b"")) or found).get(_VERSION, b"")
    return not offered or PROTOCOL_VERSION in (offered[at : at + 2] for at in range(0, len(offered), 2))


def request(challenge: bytes, reader_id: bytes, *, has_parameters: bool) -> bytes:
    """What the reader is to ask the card. The published text puts P1 and P2 of the card's command before it, the
    reference code does not.
    """
    return (_PARAMETERS if has_parameters else b"") + b"".join(
        bytes((kind, len(value))) + value
        for kind, value in ((_VERSION, PROTOCOL_VERSION), (_CHALLENGE, challenge), (_READER, reader_id))
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a card answered. `number`: the X of its public key."""

    number: bytes
    is_genuine: bool


def is_error(message: bytes) -> bool:
    """Whether an answer says that there is none."""
    return _ERROR in (fields(message) or {})


@dataclass(slots=True)
class Question:
    """One challenge that is under way."""

    challenge: bytes
    until_ms: int
    assembly: Assembly = field(default_factory=Assembly)


def judge(message: bytes, challenge: bytes) -> Answer | None:
    """Whether the card answered *this* challenge with its own key; None when it is no answer at all."""
    found = fields(message)
    if found is None:
        return None
    point, signature = found.get(_PUBLIC_KEY, b""), found.get(_SIGNATURE, b"")
    if len(point) != _POINT_BYTES or point[0] != 4 or len(signature) != _SIGNATURE_BYTES:
        return None
    return Answer(point[1:33], _verifies(point, signature, challenge))


def _verifies(point: bytes, signature: bytes, challenge: bytes) -> bool:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        pair = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        key.verify(utils.encode_dss_signature(*pair), challenge, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
