"""One record with what proves that it stands in the ledger: C2SP `tlog-proof`, as text and as JSON (ledger.md §7).

A proof is checked with nothing but itself and the keys that whoever checks it trusts. In the text leaf, salt and body
stand in `extra`, which the format leaves to us; no signature covers `extra`, and none needs to: the path leads
from the leaf to the signed root, and the salted hash in the leaf is the body's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from controller.link.notes import Checkpoint, NoteError, Vkey, cosigned_at, from_base64, parse_checkpoint, to_base64
from controller.link.proofs import HASH_BYTES, check_inclusion
from controller.link.tree import leaf_hash

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX: Final = 2 * 1024 * 1024
PATH_MAX: Final = 63
_SALT: Final = re.compile(r"[0-9a-f]{64}")


class ProofError(ValueError):
    """A proof that proves nothing, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a good proof shows. `cosigned_at_s`: when each witness that was asked for signed; `is_body_shown`: whether
    the proof holds the record's body, or its leaf alone.
    """

    checkpoint: Checkpoint
    leaf: Mapping[str, Any]
    is_body_shown: bool
    cosigned_at_s: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordProof:
    """A record, its path and a checkpoint, none of them believed yet. `salt` (hex) and `body` are None together."""

    seq: int
    leaf: str
    salt: str | None
    body: str | None
    path: tuple[bytes, ...]
    checkpoint: str

    @property
    def text(self) -> str:
        """As a `.tlog-proof` file."""
        held = {"leaf": self.leaf, "salt": self.salt, "body": self.body}
        extra = _encoded({name: part for name, part in held.items() if part is not None})
        lines = [FIRST_LINE, f"extra {to_base64(extra.encode())}", f"index {self.seq}", *map(to_base64, self.path)]
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        shown: dict[str, Any] = {"seq": self.seq, "leaf": self.leaf}
        if self.body is not None:
            shown |= {"salt": self.salt, "body": self.body}
        return shown | {"path": [to_base64(one) for one in self.path], "checkpoint": self.checkpoint}

    @classmethod
    def parse(cls, given: str) -> Self:
        """The proof in `given`, of either form. ProofError: it is malformed."""
        try:
            if len(given) > PROOF_BYTES_MAX:
                raise ProofError(f"longer than {PROOF_BYTES_MAX} bytes: no proof of one record")
            if given.startswith(FIRST_LINE + "\n"):
                return cls._of_text(given)
            return cls._of_parts(_object(given, "a proof"))
        except NoteError as error:
            raise ProofError(str(error)) from error

    @classmethod
    def _of_text(cls, given: str) -> Self:
        head, _, checkpoint = given.partition("\n\n")
        lines = head.split("\n")[1:]
        if not lines or not lines[0].startswith("extra "):
            raise ProofError("a proof without `extra`: the record that it proves is not in it")
        try:
            extra = from_base64(lines[0].removeprefix("extra "), "`extra`").decode()
        except UnicodeDecodeError:
            raise ProofError("`extra` is not UTF-8") from None
        parts = _object(extra, "`extra`")
        if extra != _encoded(parts):
            raise ProofError("`extra` is not JSON as we write it")
        word, _, index = (lines[1:2] or [""])[0].partition(" ")
        if word != "index" or not index.isascii() or not index.isdecimal() or str(int(index[:20])) != index:
            raise ProofError("the line after `extra` is `index` and the record's number")
        return cls._of_parts(parts | {"seq": int(index), "path": lines[2:], "checkpoint": checkpoint})

    @classmethod
    def _of_parts(cls, parts: Mapping[str, Any]) -> Self:
        if unknown := set(parts) - {"seq", "leaf", "salt", "body", "path", "checkpoint"}:
            raise ProofError(f"a proof has no part {min(unknown)!r:.40}")
        for name in ("leaf", "checkpoint", "salt", "body"):
            if not isinstance(parts.get(name), str) and (name in parts or name in ("leaf", "checkpoint")):
                raise ProofError(f"its {name} is not there, or not text")
        if type(parts.get("seq")) is not int:
            raise ProofError("its seq is not a whole number")
        if ("salt" in parts) != ("body" in parts):
            raise ProofError("one of salt and body without the other")
        return cls(
            seq=parts["seq"], leaf=parts["leaf"], salt=parts.get("salt"), body=parts.get("body"),
            path=_path(parts.get("path")), checkpoint=parts["checkpoint"],
        )  # fmt: skip

    def check(self, vkey: Vkey, witnesses: Sequence[Vkey] = ()) -> Proven:
        """What the proof shows to somebody who trusts `vkey`, the ledger's key, and demands all of `witnesses`.

        ProofError says why it shows nothing.
        """
        try:
            checkpoint = parse_checkpoint(self.checkpoint)
            if checkpoint.origin != vkey.name:
                raise ProofError(f"it is of the ledger {checkpoint.origin!r:.80}, and the key is of {vkey.name!r:.80}")
            if checkpoint.by(vkey) is None:
                raise ProofError(f"its checkpoint is not signed by the key {vkey.key_id.hex()} of {vkey.name}")
            cosigned = {one.name: _cosigned(checkpoint, one) for one in witnesses}
        except NoteError as error:
            raise ProofError(f"its checkpoint: {error}") from error
        leaf = self._checked_leaf()
        try:
            check_inclusion(leaf_hash(self.leaf.encode()), self.seq, checkpoint.size, checkpoint.root, self.path)
        except ValueError as error:
            raise ProofError(str(error)) from error
        return Proven(checkpoint=checkpoint, leaf=leaf, is_body_shown=self.body is not None, cosigned_at_s=cosigned)

    def _checked_leaf(self) -> Mapping[str, Any]:
        """The leaf, exactly as docs/ledger.md §1 writes it, with the hash of the body that stands beside it."""
        leaf = _object(self.leaf, "its leaf")
        if self.leaf != _encoded(leaf) or set(leaf) != {"body", "class", "seq", "v"} or leaf["v"] != 1:
            raise ProofError("its leaf is not a leaf as a ledger writes it")
        if leaf["seq"] != self.seq:
            raise ProofError(f"its leaf is that of record {leaf['seq']!r:.24}, and not of {self.seq}")
        if self.body is not None and self.salt is not None:
            if not _SALT.fullmatch(self.salt):
                raise ProofError("its salt is not 64 lower-case hexadecimal digits")
            salt = bytes.fromhex(self.salt)
            if sha256(salt + self.body.encode()).hexdigest() != leaf["body"]:
                raise ProofError("its body is not the one that was recorded: the leaf holds another hash")
            _object(self.body, "its body")
        return leaf


def _cosigned(checkpoint: Checkpoint, witness: Vkey) -> int:
    """When `witness` signed. ProofError: it did not."""
    for one in checkpoint.signatures:
        if one.is_of(witness):
            return cosigned_at(checkpoint, witness, one)
    raise ProofError(f"the witness {witness.name} has not signed its checkpoint")


def _path(lines: object) -> tuple[bytes, ...]:
    if not isinstance(lines, list) or len(lines) > PATH_MAX or not all(isinstance(line, str) for line in lines):
        raise ProofError("its path is not a list of hashes")
    path = tuple(from_base64(line, "a hash of its path") for line in lines)
    if any(len(one) != HASH_BYTES for one in path):
        raise ProofError("a hash of its path is not 32 bytes long")
    return path


def _encoded(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """ValueError where a name stands twice: one reader would be shown what another was not."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_members)
        text.encode()
        _encoded(value).encode()  # a lone surrogate, written as an escape
    except (ValueError, RecursionError):
        raise ProofError(f"{what} is not JSON, or a name stands in it twice") from None
    if not isinstance(value, dict):
        raise ProofError(f"{what} is not a JSON object")
    return value
