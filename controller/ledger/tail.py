"""The look a start takes at the end of a ledger: do the last records, the tiles and the last checkpoint agree?

Reads the records of the last tile (256 at most) and one hash per tile before it, whatever the ledger's size. A flipped
byte further back is `sekisho verify`'s to find. Nothing is repaired: LedgerDamaged names the record.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from controller.ledger.body import CLASSES
from controller.ledger.errors import LedgerDamaged
from controller.link.tree import TILE_BITS, TILE_LEAVES, Tile, Tree, leaf_hash, restore

if TYPE_CHECKING:
    import sqlite3

    from controller.ledger.checkpoint import Notary

SALT_BYTES: Final = 32


class Tail(NamedTuple):
    """What a writer needs to go on: the tree over all records and the last checkpoint (None in an empty ledger)."""

    tree: Tree
    checkpoint: bytes | None


def leaf_text(seq: int, class_: str, body_hash: str) -> bytes:
    """The canonical leaf (docs/ledger.md §1). Its keys are sorted as written here, its values need no escapes."""
    return f'{{"body":"{body_hash}","class":"{class_}","seq":{seq},"v":1}}'.encode()


def verify_tail(connection: sqlite3.Connection, notary: Notary, where: str) -> Tail:
    """The verified end of the ledger called `where`. LedgerDamaged; sqlite3.Error where the disk fails."""
    try:
        first, last = connection.execute(
            "SELECT (SELECT min(seq) FROM record), (SELECT max(seq) FROM record)"
        ).fetchone()
        if last is None:
            _check_tile_count(connection, 0)
            return Tail(Tree(), None)
        if first != 0:
            raise _Bad(f"record {min(first, 0)} is missing or out of order: the ledger starts with {first}", 0)
        begin = last - last % TILE_LEAVES
        tree = restore(begin, lambda level, number: _tile_hash(connection, level, number))
        tail = _walk(connection, tree, notary)
        _check_tile_count(connection, last + 1)
    except _Bad as bad:
        raise LedgerDamaged(
            f"{where}: {bad.what}. Nothing was changed and nothing will be written; run `sekisho verify {where}`"
            " and keep the file as it is",
            seq=bad.seq,
        ) from None
    return tail


class _Bad(Exception):
    def __init__(self, what: str, seq: int | None) -> None:
        super().__init__(what)
        self.what = what
        self.seq = seq


def _walk(connection: sqlite3.Connection, tree: Tree, notary: Notary) -> Tail:
    begin = since = tree.size  # `since`: the first record that no good checkpoint in the tail covers
    checkpoint: bytes | None = None
    rows = connection.execute(
        "SELECT seq, leaf, salt, body, checkpoint FROM record WHERE seq >= ? ORDER BY seq", (begin,)
    ).fetchall()  # a statement left half read, in the traceback of what is raised below, would keep the file locked
    for expected, (seq, leaf, salt, body, checkpoint) in enumerate(rows, begin):
        if seq != expected:
            raise _Bad(f"record {expected} is missing", expected)
        _check_record(seq, leaf, salt, body)
        for tile in tree.append(leaf_hash(leaf)):
            if _tile_hash(connection, tile.level, tile.number) != tile.hash:
                raise _Bad(f"{_named(tile)} does not match its records", tile.number << (TILE_BITS * tile.level))
        if checkpoint is None:
            continue
        try:
            notary.check(checkpoint, seq + 1, tree.root())
        except ValueError as error:
            bad = f"record {seq}" if since == seq else f"one of the records {since} to {seq}"
            raise _Bad(f"{bad}: the checkpoint of record {seq} does not hold: {error}", since) from None
        since = seq + 1
    if checkpoint is None:
        raise _Bad(f"record {since}: no checkpoint follows it", since)
    return Tail(tree, checkpoint)


class _Leaf(msgspec.Struct, forbid_unknown_fields=True):
    body: str
    class_: str = msgspec.field(name="class")
    seq: int
    v: int


_decode_leaf: Final = msgspec.json.Decoder(_Leaf).decode


def _check_record(seq: int, leaf: bytes, salt: bytes | None, body: bytes | None) -> None:
    try:
        parts = _decode_leaf(leaf)
    except ValueError:
        raise _Bad(f"record {seq}: its leaf is not readable", seq) from None
    if parts.class_ not in CLASSES or leaf != leaf_text(seq, parts.class_, parts.body):
        raise _Bad(f"record {seq}: its leaf is not the canonical one for that place", seq)
    if salt is None and body is None:
        return  # dropped by retention; the leaf stays
    if salt is None or body is None or len(salt) != SALT_BYTES:
        raise _Bad(f"record {seq}: salt and body are not both whole", seq)
    if sha256(salt + body).hexdigest() != parts.body:
        raise _Bad(f"record {seq}: its body or salt is not what its leaf says", seq)


def _tile_hash(connection: sqlite3.Connection, level: int, number: int) -> bytes:
    row = connection.execute("SELECT hash FROM tile WHERE level=? AND number=?", (level, number)).fetchone()
    if row is None:
        raise _Bad(f"{_named(Tile(level, number, b''))} is missing", number << (TILE_BITS * level))
    return bytes(row[0])


def _check_tile_count(connection: sqlite3.Connection, size: int) -> None:
    for level, number in connection.execute("SELECT level, max(number) FROM tile GROUP BY level").fetchall():
        if level < 1 or number >= size >> (TILE_BITS * level):
            raise _Bad(f"tile {level}/{number} is of records that are not there (the last is {size - 1})", size)


def _named(tile: Tile) -> str:
    first = tile.number << (TILE_BITS * tile.level)
    return f"tile {tile.level}/{tile.number} (records {first} to {first + (1 << (TILE_BITS * tile.level)) - 1})"
