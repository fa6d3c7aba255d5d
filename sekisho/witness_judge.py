"""What a witness signs, what it refuses, and how it names that (docs/ledger.md §8, §9; C2SP `tlog-witness`).

Pure: a request and what is known of a ledger come in, a verdict comes out. Nothing is kept and nothing signed here.
The order of the checks is the specification's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from controller.link.notes import (
    ED25519,
    Checkpoint,
    NoteError,
    Vkey,
    from_base64,
    parse_checkpoint,
    parse_size,
)
from controller.link.proofs import check_consistency, check_inclusion
from controller.link.tree import EMPTY_ROOT, leaf_hash

PROOF_LINES_MAX: Final = 63

OK: Final = 200
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
UNPROCESSABLE: Final = 422

TOLD: Final = ("fork", "rollback", "not_consistent", "unknown_key", "bad_signature")
"""What is told loudly and kept as evidence. The other codes (`malformed`, `behind`) accuse nobody."""

CONTRADICTIONS: Final = ("fork", "rollback", "not_consistent")
"""Those of them under which a signature of the ledger's own key stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerKey:
    """A key of a ledger's. `until`: the size after which it signs no more, once it was rotated (§9)."""

    vkey: Vkey
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a witness knows of one ledger: its keys, and the last checkpoint that the witness signed (None: none yet)
    with the witness's own line under it, and when that was (seconds since 1970).
    """

    origin: str
    keys: tuple[LedgerKey, ...]
    last: Checkpoint | None = None
    at_s: int = 0

    @property
    def size(self) -> int:
        return 0 if self.last is None else self.last.size

    @property
    def root(self) -> bytes:
        return EMPTY_ROOT if self.last is None else self.last.root


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request to sign `checkpoint`, with the proof that it has grown out of the first `old` records."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A request to go on with another key: the record that says so, as the last of the tree under `checkpoint`."""

    checkpoint: Checkpoint
    leaf: bytes
    salt: bytes
    body: bytes
    proof: tuple[bytes, ...]


class Refused(Exception):
    """A request that is not carried out: the HTTP status, a stable code, a sentence."""

    def __init__(self, status: int, code: str, why: str) -> None:
        super().__init__(why)
        self.status, self.code, self.why = status, code, why


def parse_add(octets: bytes) -> AddCheckpoint:
    """The request in an HTTP body of `add-checkpoint`. Raises Refused (`malformed`)."""
    try:
        head, gap, note = octets.decode().partition("\n\n")
        first, *lines = head.split("\n")
        word, _, size = first.partition(" ")
        if not gap or word != "old" or len(lines) > PROOF_LINES_MAX:
            raise NoteError("a request is: `old SIZE`, at most 63 lines of proof, an empty line, a checkpoint")
        proof = tuple(from_base64(line, "a line of the proof") for line in lines)
        return AddCheckpoint(old=parse_size(size), proof=proof, checkpoint=parse_checkpoint(note))
    except (NoteError, UnicodeDecodeError) as error:
        raise Refused(BAD_REQUEST, "malformed", str(error)) from None


def parse_rotation(octets: bytes) -> Rotation:
    """The request in an HTTP body of `rotate-key`: a JSON object of texts, `proof` a list. Raises Refused."""
    try:
        told = json.loads(octets)
        return Rotation(
            checkpoint=parse_checkpoint(told["checkpoint"]),
            leaf=told["leaf"].encode(),
            salt=bytes.fromhex(told["salt"]),
            body=told["body"].encode(),
            proof=tuple(from_base64(line, "a line of the proof") for line in told["proof"][:PROOF_LINES_MAX]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused(BAD_REQUEST, "malformed", f"not a request to rotate a key: {error!r:.200}") from None


def judge(asked: AddCheckpoint, known: Known | None) -> None:
    """Return where the witness may sign what was asked. Raises Refused where it must not."""
    checkpoint = asked.checkpoint
    if known is None:
        raise Refused(NOT_FOUND, "unknown_key", f"this witness was not told to look after {checkpoint.origin}")
    signers_of(checkpoint, known)
    if asked.old > checkpoint.size:
        raise Refused(BAD_REQUEST, "malformed", "the old size is larger than the checkpoint's")
    if checkpoint.size < known.size:
        why = f"{checkpoint.size} records, and this witness signed {known.size} of this ledger"
        raise Refused(CONFLICT, "rollback", why)
    if checkpoint.size == known.size and checkpoint.root != known.root:
        why = f"this witness signed another history of the same {known.size} records"
        raise Refused(CONFLICT, "fork", why)
    if asked.old != known.size:
        raise Refused(CONFLICT, "behind", f"this witness knows {known.size} records, and the proof is from {asked.old}")
    try:
        check_consistency(known.size, known.root, checkpoint.size, checkpoint.root, asked.proof)
    except ValueError as error:
        why = f"not shown to have grown out of the {known.size} records that this witness signed: {error}"
        raise Refused(UNPROCESSABLE, "not_consistent", why) from None


def signers_of(checkpoint: Checkpoint, known: Known) -> list[LedgerKey]:
    """The ledger's keys in force that signed `checkpoint`, at least one. Raises Refused (403)."""
    found = []
    try:
        for key in known.keys:
            if (key.until is None or checkpoint.size <= key.until) and checkpoint.by(key.vkey) is not None:
                found.append(key)
    except NoteError as error:
        raise Refused(FORBIDDEN, "bad_signature", str(error)) from None
    if not found:
        why = f"no key that this witness knows for {known.origin} signed it, or only one that was rotated away before"
        raise Refused(FORBIDDEN, "unknown_key", why)
    return found


def rotated(asked: Rotation, known: Known | None) -> Known:
    """What is known once the ledger has gone on to another key (docs/ledger.md §9). Raises Refused.

    A signature line names its key by four bytes, and anybody can put a line of his own under somebody's checkpoint. So
    the new key is taken from the record alone, which stands in the tree that the old key signed.
    """
    checkpoint = asked.checkpoint
    if known is None:
        raise Refused(NOT_FOUND, "unknown_key", f"this witness was not told to look after {checkpoint.origin}")
    signers = signers_of(checkpoint, known)
    try:
        old, new = _keys_of(asked)
        if checkpoint.by(new) is None:
            raise NoteError("the new key did not sign the checkpoint")
    except ValueError as error:
        raise Refused(FORBIDDEN, "bad_signature", f"this proves no rotation: {error}") from None
    if new.text in {key.vkey.text for key in known.keys}:
        return known  # told again, perhaps long after
    if checkpoint.size < known.size:
        raise Refused(CONFLICT, "rollback", f"the rotation lies before the {known.size} records that were signed")
    if old not in {key.vkey.text for key in signers}:
        raise Refused(FORBIDDEN, "unknown_key", "the key that is said to be the old one did not sign it")
    until = checkpoint.size
    kept = tuple(replace(key, until=until) if key.vkey.text == old else key for key in known.keys)
    return replace(known, keys=(*kept, LedgerKey(vkey=new)))


def _keys_of(asked: Rotation) -> tuple[str, Vkey]:
    """The old key (as text) and the new one that the record names. Raises ValueError where it proves nothing."""
    checkpoint = asked.checkpoint
    seq = checkpoint.size - 1
    check_inclusion(leaf_hash(asked.leaf), seq, checkpoint.size, checkpoint.root, asked.proof)
    leaf, body = _object(asked.leaf), _object(asked.body)
    if leaf.get("body") != sha256(asked.salt + asked.body).hexdigest() or leaf.get("seq") != seq:
        raise NoteError("the body is not that of the leaf")
    detail = body.get("detail")
    if body.get("type") != "LEDGER_KEY_ROTATED" or not isinstance(detail, dict):
        raise NoteError("the record is not LEDGER_KEY_ROTATED")
    new = Vkey.parse(str(detail.get("new")), ED25519)
    if new.name != checkpoint.origin:
        raise NoteError(f"the new key is one of {new.name}")
    return str(detail.get("old")), new


def _object(octets: bytes) -> dict[str, Any]:
    found = json.loads(octets)
    if not isinstance(found, dict):
        raise NoteError("not a JSON object")
    return found


def request_body(old: int, proof: Sequence[str], note: str) -> bytes:
    """A body of `add-checkpoint`."""
    return "".join([f"old {old}\n", *(f"{line}\n" for line in proof), "\n", note]).encode()
