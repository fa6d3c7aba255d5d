"""The ledger as others' tools ask for it (docs/ledger.md §7): checkpoint, tiles, proofs, out of the view's leaves.

Nothing of it is believed because it stands in api.db: a proof leads to a root that the controller signed, or is not
answered. It shows the record, so that one about a person is a look at that person's history: it needs a purpose, and is
recorded first (E-07). Rows of policy are never shown: hashes of numbers and PINs stand in them (B-13, E-03).
"""

from __future__ import annotations

import json
from typing import Any, Final

from api.live import now_ms
from api.models import iso
from api.parts import Parts
from api.personal import record_look
from api.problems import Problem
from api.tiles import NotHeld, width_of
from controller.link.messages import Record
from controller.link.notes import ED25519, Checkpoint, NoteError, Vkey, parse_checkpoint, to_base64
from controller.link.proofs import check_consistency, check_inclusion, consistency_proof, inclusion_proof, subtree_root
from controller.link.record_proof import RecordProof
from controller.link.short_code import short_code
from controller.link.tiles import LEVEL_MAX, TileSpot, bundle, parse_tile_path
from controller.link.tree import TILE_LEAVES, leaf_hash

WITHHELD: Final = ("POLICY_EDITED", "EDIT_SUGGESTED")
"""Types of records that are proven here by their leaf alone; `sekisho ledger prove` on the controller shows all."""


def head(here: Parts) -> Checkpoint:
    """The newest checkpoint of the view. Raises Problem 404 before there is one."""
    note = here.view.checkpoint
    try:
        return parse_checkpoint(note)
    except NoteError as error:
        if note:
            raise _damaged(here, error) from error
        raise Problem("no_checkpoint", 404) from error


def newest_note(here: Parts) -> str:
    """The newest checkpoint as others read it, with the witnesses' lines where the controller has some for it."""
    newest = head(here)
    for note in here.requests.cosigned(newest.size):
        if note.startswith(newest.text + "\n"):
            return note
    return newest.note


def day_code(here: Parts) -> dict[str, Any]:
    """The short code of the newest checkpoint, for the inspection sheet (docs/ledger.md §12). Raises Problem 404."""
    newest = head(here)
    code = short_code(newest.size, newest.text)
    return {"code": code, "size": newest.size, "origin": newest.origin, "at": iso(now_ms()), "checkpoint": newest.note}


def hashes_of(here: Parts, level: int, path: str) -> bytes:
    """A tile's hashes. Raises Problem: 422 for what is no tile, 404 for one that is not there yet."""
    spot = _spot(here, level, path)
    try:
        return here.view.tiles.hashes(level, spot.number, spot.width)
    except NotHeld as error:
        raise _damaged(here, error) from error


def entries_of(here: Parts, path: str) -> bytes:
    """A bundle of leaves. Raises Problem as `hashes_of`."""
    spot = _spot(here, 0, path)
    try:
        return bundle(here.view.tiles.leaves(spot.number * TILE_LEAVES, spot.width))
    except (NotHeld, ValueError) as error:
        raise _damaged(here, error) from error


def _spot(here: Parts, level: int, path: str) -> TileSpot:
    try:
        spot = parse_tile_path(path)
    except ValueError as error:
        raise Problem("no_such_tile", 422, members={"why": str(error)}) from error
    size = head(here).size
    held = width_of(size, level, spot.number) if level <= LEVEL_MAX else 0
    if spot.width > held:
        raise Problem("tile_not_there", 404, members={"size": size, "width": held})
    return spot


def consistency(here: Parts, old: int, new: int | None) -> dict[str, Any]:
    """That the tree of `new` records (default: all) begins with that of `old`. Raises Problem 404, 422."""
    newest = head(here)
    new = newest.size if new is None else new
    if new > newest.size:
        raise Problem("not_proven_yet", 404, members={"size": newest.size})
    if old > new:
        raise Problem("other_way_round", 422)
    node = here.view.tiles.node(newest.size)
    try:
        roots = [subtree_root(node, 0, size) for size in (old, new, newest.size)]
        path = consistency_proof(node, old, new)
        check_consistency(old, roots[0], new, roots[1], path)
    except (NotHeld, ValueError) as error:
        raise _damaged(here, error) from error
    if roots[2] != newest.root:
        raise _damaged(here, "its tree is not the one that was signed")
    said = [to_base64(root) for root in roots[:2]]
    hashes = [to_base64(step) for step in path]
    return {"old": old, "new": new, "old_root": said[0], "new_root": said[1], "hashes": hashes}


def proof_of(here: Parts, officer: str, seq: int, purpose: str | None) -> RecordProof:
    """Record `seq` with its proof, under a checkpoint that a witness has signed where there is one.

    Raises Problem: 404 where no checkpoint closes over the record yet, 422 where it is about a person and no purpose
    was given, 503 where the look cannot be recorded or the controller is away.
    """
    newest = head(here)
    if seq >= newest.size:
        raise Problem("not_proven_yet", 404, members={"size": newest.size})
    checkpoint = _witnessed(here, seq, newest)
    record = here.requests.record(seq)
    node = here.view.tiles.node(newest.size)
    try:
        path = inclusion_proof(node, seq, checkpoint.size)
        check_inclusion(leaf_hash(record.leaf.encode()), seq, checkpoint.size, checkpoint.root, path)
    except (NotHeld, ValueError) as error:
        raise _damaged(here, error) from error
    is_shown = _may_be_shown(here, officer, record, purpose)
    return RecordProof(
        seq=seq, leaf=record.leaf, salt=record.salt if is_shown else None, body=record.body if is_shown else None,
        path=tuple(path), checkpoint=checkpoint.note,
    )  # fmt: skip


def _witnessed(here: Parts, seq: int, newest: Checkpoint) -> Checkpoint:
    """A checkpoint with cosignatures over record `seq`; the newest one where there is none."""
    try:
        vkey = Vkey.parse(here.view.vkey, ED25519)
    except NoteError:
        return newest
    for note in reversed(here.requests.cosigned(seq + 1)):
        try:
            found = parse_checkpoint(note)
            if seq < found.size <= newest.size and found.origin == vkey.name and found.by(vkey) is not None:
                return found  # and not one by a key from before a rotation
        except NoteError:
            continue
    return newest


def _may_be_shown(here: Parts, officer: str, record: Record, purpose: str | None) -> bool:
    """Whether the body goes into the answer. A look at a person's is recorded before this returns."""
    if record.body is None or record.salt is None:
        return False  # retention dropped it
    try:
        body = json.loads(record.body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(body, dict) or body.get("type") in WITHHELD:
        return False
    for cardholder in _people(body):
        record_look(here, officer, cardholder, purpose)
    return True


def _people(body: dict[str, Any]) -> list[str]:
    """Whom a record is about: its subject, companions and escorts."""
    lists = [body.get(name) for name in ("companions", "escorts")]
    rows = [body.get("subject"), *(row for rows in lists if isinstance(rows, list) for row in rows)]
    found = [row.get("cardholder") for row in rows if isinstance(row, dict)]
    return sorted({cardholder for cardholder in found if isinstance(cardholder, str)})


def _damaged(here: Parts, why: object) -> Problem:
    """It is folded anew by itself; where that was done just now and did not help, people are told what to do."""
    here.view.tiles.forget_all()
    code = "view_anew" if here.feed.doubt(why) else "view_damaged"
    return Problem(code, 503, members={"why": str(why)}, headers={"Retry-After": "30"})
