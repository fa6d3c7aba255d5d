"""`sekisho ledger prove`, `check-proof`, `code`: one record with its proof, whether a proof holds, the day's code."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from controller.link.client import LinkClient
from controller.link.messages import Record
from controller.link.notes import COSIGNATURE, ED25519, Checkpoint, NoteError, Vkey, parse_checkpoint
from controller.link.proofs import HASH_BYTES, Node, inclusion_proof
from controller.link.record_proof import PROOF_BYTES_MAX, ProofError, Proven, RecordProof
from controller.link.short_code import short_code
from controller.link.tiles import grown, grown_root, node_of
from controller.link.tree import TILE_LEAVES, leaf_hash
from sekisho.cosigned import cosigned, is_by
from sekisho.spoken import Progress
from sekisho.tile_tree import GROWN_KEPT, TileTree
from zones.moment import JST

PROGRESS_RECORDS: Final = 1_000


class NoProof(Exception):
    """There is no such proof to be had; why, and what to do."""


def prove(socket: Path, seq: int, tiles: Path | None) -> RecordProof:
    """Record `seq` of a running controller with its proof, checked. With `tiles` the path is read from those files;
    without, out of every leaf of the ledger. Raises NoProof, TreeRefused, LinkDown, OSError.
    """
    with LinkClient(socket, "sekisho ledger prove") as client:
        welcome = client.connect()
        vkey = Vkey.parse(welcome.vkey, ED25519)
        if seq >= welcome.size:
            raise NoProof(f"the ledger ends at record {welcome.size - 1} / 記録は {welcome.size - 1} までです")
        if tiles is None:
            record, checkpoint, node = _of_all(client, seq, welcome.size)
        else:
            checkpoint = _published(TileTree(tiles), seq)
            record, node = _one(client, seq), TileTree(tiles).node(checkpoint.size)
    for witnessed in cosigned(socket, "sekisho ledger prove", seq + 1, checkpoint.size):
        if is_by(vkey, witnessed):  # and not by a key from before a rotation
            checkpoint = witnessed  # the newest that somebody outside has signed says more than the newest of all
    proof = RecordProof(
        seq=seq, leaf=record.leaf, salt=record.salt, body=record.body,
        path=tuple(inclusion_proof(node, seq, checkpoint.size)), checkpoint=checkpoint.note,
    )  # fmt: skip
    try:
        proof.check(vkey)
    except ProofError as error:
        raise NoProof(f"record {seq} cannot be proven: {error}; run `sekisho verify` on an export") from error
    return proof


def newest(socket: Path) -> Checkpoint:
    """The newest checkpoint of a running controller. Raises NoProof, LinkDown."""
    with LinkClient(socket, "sekisho ledger code") as client:
        size = client.connect().size
        if size == 0:
            raise NoProof("the ledger is empty / 記録がまだありません")
        for message in client.stream(size - 1):
            if isinstance(message, Record) and message.checkpoint is not None:
                return _parsed(message.checkpoint)
    raise AssertionError("a stream ends by raising")


def code_document(checkpoint: Checkpoint) -> dict[str, Any]:
    """The short code of a checkpoint, and what it is of."""
    code = short_code(checkpoint.size, checkpoint.text)
    return {"code": code, "size": checkpoint.size, "origin": checkpoint.origin, "checkpoint": checkpoint.note}


def written(proof: RecordProof, *, as_json: bool) -> str:
    """The proof as it is handed out."""
    return json.dumps(proof.document, ensure_ascii=False) + "\n" if as_json else proof.text


def write_whole(path: Path, text: str) -> None:
    """A file that appears whole or not at all; for its owner alone, since a proof shows the record. OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def check(text: str, key: str, witnesses: Sequence[str]) -> tuple[RecordProof, Proven]:
    """What a proof that was handed out shows. ProofError: nothing, and why. ValueError (NoteError): a key is no key."""
    vkey = Vkey.parse(key, ED25519)
    known = [Vkey.parse(witness, COSIGNATURE) for witness in witnesses]
    proof = RecordProof.parse(text)
    return proof, proof.check(vkey, known)


def read_proof(path: Path) -> str:
    """The text of a proof's file. ProofError: it is not text. OSError."""
    with path.open("rb") as file:
        try:
            return file.read(PROOF_BYTES_MAX + 1).decode()
        except UnicodeDecodeError:
            raise ProofError("it is not UTF-8 text") from None


def read_key(given: str) -> str:
    """A public key as given: itself, or the file that holds it. OSError."""
    return given if "+" in given and not Path(given).is_file() else Path(given).read_text("utf-8").strip()


def verdict(proof: RecordProof, proven: Proven) -> dict[str, Any]:
    """What was shown, as a document."""
    body = json.loads(proof.body) if proof.body is not None else None
    return {
        "holds": True, "seq": proof.seq, "class": proven.leaf["class"], "size": proven.checkpoint.size,
        "origin": proven.checkpoint.origin, "body": body,
        "cosigned": {name: _at(seconds) for name, seconds in proven.cosigned_at_s.items()},
    }  # fmt: skip


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone(JST).isoformat()


def _parsed(note: str) -> Checkpoint:
    try:
        return parse_checkpoint(note)
    except NoteError as error:
        raise NoProof(f"the newest checkpoint: {error}; run `sekisho verify` on an export") from error


def _published(tree: TileTree, seq: int) -> Checkpoint:
    found = tree.checkpoint()
    if found is None or seq >= found.size:
        so_far = 0 if found is None else found.size
        raise NoProof(f"the tiles hold {so_far} records; run `sekisho ledger tiles {tree.folder}` first")
    return found


def _one(client: LinkClient, seq: int) -> Record:
    for message in client.stream(seq):
        if isinstance(message, Record):
            return message
    raise AssertionError("a stream ends by raising")


def _of_all(client: LinkClient, seq: int, target: int) -> tuple[Record, Checkpoint, Node]:
    """The record, the newest checkpoint, and the tree out of every leaf: 32 bytes of memory a record."""
    hashes, progress = bytearray(), Progress()
    wanted: Record | None = None
    note = ""
    try:
        for message in client.stream(0):
            if not isinstance(message, Record):
                continue
            if message.seq * HASH_BYTES != len(hashes):
                raise NoProof(f"a record is missing before {message.seq}")
            hashes += leaf_hash(message.leaf.encode())
            wanted = message if message.seq == seq else wanted
            if message.seq % PROGRESS_RECORDS == 0:
                progress.show(f"{message.seq}/{target}")
            if message.seq >= target - 1 and message.checkpoint is not None:
                note = message.checkpoint
                break
    finally:
        progress.end()
    assert wanted is not None, "seq is below target"
    return wanted, _parsed(note), _node_of_hashes(bytes(hashes))


def _node_of_hashes(hashes: bytes) -> Node:
    rows = [hashes]
    tile = TILE_LEAVES * HASH_BYTES
    while len(rows[-1]) >= tile:
        below = rows[-1]
        full = range(0, len(below) - tile + 1, tile)
        rows.append(b"".join(grown_root(grown(below[start : start + tile])) for start in full))

    @lru_cache(maxsize=GROWN_KEPT)
    def read_grown(level: int, number: int, width: int) -> bytes:
        start = number * tile
        return grown(rows[level][start : start + width * HASH_BYTES])

    return node_of(len(hashes) // HASH_BYTES, read_grown)
