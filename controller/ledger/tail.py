"""The look a start takes at the end of a ledger: do the last records, the tiles and the last checkpoint agree?

Reads the records of the last tile (256 at most) and one hash per tile before it, whatever the ledger's size. A flipped
byte further back is `sekisho verify`'s to find. Nothing is repaired: LedgerDamaged names the record, and `whole_before`
says where a ledger whose last records do not hold together could go on (docs/adr/0014).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from controller.ledger.body import CLASSES, decode_body
from controller.ledger.errors import LedgerDamaged
from controller.link.notes import ED25519, Vkey
from controller.link.tree import TILE_BITS, TILE_LEAVES, Tile, Tree, leaf_hash, restore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.ledger.checkpoint import Notary

SALT_BYTES: Final = 32
HASH_BYTES: Final = 32


class Tail(NamedTuple):
    """What a writer needs to go on: the tree over all records and the last checkpoint (None in an empty ledger)."""

    tree: Tree
    checkpoint: bytes | None


def leaf_text(seq: int, class_: str, body_hash: str) -> bytes:
    """The canonical leaf (docs/ledger.md §1). Its keys are sorted as written here, its values need no escapes."""
    return f'{{"body":"{body_hash}","class":"{class_}","seq":{seq},"v":1}}'.encode()


STORED: Final = frozenset({bytes, type(None)})


def has_types(row: Sequence[object]) -> bool:
    """Whether a stored record's columns are of their types: a rotten page gives others, whatever the table says."""
    return type(row[0]) is int and type(row[1]) is bytes and {*map(type, row[2:])} <= STORED


def verify_tail(connection: sqlite3.Connection, notary: Notary, where: str) -> Tail:
    """The verified end of the ledger called `where`. LedgerDamaged; sqlite3.Error where the disk fails."""
    try:
        last = _last(connection)
        if last is None:
            _check_tile_count(connection, 0)
            return Tail(Tree(), None)
        tail = _walk(connection, _restored(connection, last - last % TILE_LEAVES), notary)
        _check_tile_count(connection, last + 1)
    except _Bad as bad:
        raise LedgerDamaged(
            f"{where}: {bad.what}. Nothing was changed and nothing will be written; run `sekisho verify {where}`"
            " and keep the file as it is",
            seq=bad.seq,
        ) from None
    return tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Records from `first` on, `count` of them, that do not hold together, and why."""

    first: int
    count: int
    why: str


def whole_before(connection: sqlite3.Connection, notary: Notary) -> tuple[Tail, Damage] | None:
    """The last whole checkpoint before the damage, and what stands after it; None where the damage lies further back
    than the tail, and nothing may go on.

    Looked for among the records of the last tile, and where none there has a whole checkpoint, from the tile before.
    """
    try:
        last = _last(connection)
    except _Bad:
        return None
    if last is None:
        return None
    begin = last - last % TILE_LEAVES
    for start in dict.fromkeys((begin, max(0, begin - TILE_LEAVES))):
        whole: list[Tail] = []
        try:
            _walk(connection, _restored(connection, start), notary, whole)
        except _Bad as bad:
            if bad.at is None or bad.at < begin:
                return None
            if whole:
                first = whole[-1].tree.size
                return whole[-1], Damage(first=first, count=last - first + 1, why=bad.what)
    return None


def _last(connection: sqlite3.Connection) -> int | None:
    """The last record's number, None in an empty ledger."""
    first, last = connection.execute("SELECT (SELECT min(seq) FROM record), (SELECT max(seq) FROM record)").fetchone()
    if last is not None and first != 0:
        raise _Bad(f"record {min(first, 0)} is missing or out of order: the ledger starts with {first}", 0)
    return None if last is None else int(last)


def _restored(connection: sqlite3.Connection, begin: int) -> Tree:
    return restore(begin, lambda level, number: _tile_hash(connection, level, number))


class _Bad(Exception):
    """`seq`: the first record that may be bad; `at`: where the walk stood, None where no record is at fault."""

    def __init__(self, what: str, seq: int | None, *, at: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.seq = seq
        self.at = at


def _walk(connection: sqlite3.Connection, tree: Tree, notary: Notary, whole: list[Tail] | None = None) -> Tail:
    """From the tree before them over the records that follow. `whole` gets the tail as of each whole checkpoint."""
    begin = since = tree.size  # `since`: the first record that no good checkpoint in the tail covers
    checkpoint: bytes | None = None
    rows, unread = _rows(connection, begin)
    if unread and whole is None:
        raise unread
    signers = _signers(rows, notary)
    for expected, (seq, leaf, salt, body, checkpoint) in enumerate(rows, begin):
        if seq != expected:
            raise _Bad(f"record {expected} is missing", expected, at=expected)
        if not has_types((seq, leaf, salt, body, checkpoint)):
            raise _Bad(f"record {seq}: a part of it is of another type", seq, at=seq)
        _check_record(seq, leaf, salt, body)
        _check_tiles(connection, tree.append(leaf_hash(leaf)))
        if checkpoint is None:
            continue
        try:
            notary.check(checkpoint, seq + 1, tree.root(), signers[seq - begin])
        except ValueError as error:
            bad = f"record {seq}" if since == seq else f"one of the records {since} to {seq}"
            why = f"{bad}: the checkpoint of record {seq} does not hold: {error}"
            raise _Bad(why, since, at=seq) from None
        since = seq + 1
        if whole is not None:
            whole.append(Tail(tree.copy(), checkpoint))
    if unread:
        raise _Bad(f"record {tree.size}: cannot be read: {unread}", tree.size, at=tree.size)
    if checkpoint is None:
        raise _Bad(f"record {since}: no checkpoint follows it", since, at=tree.size)
    return Tail(tree, checkpoint)


def _rows(connection: sqlite3.Connection, begin: int) -> tuple[list[_Row], sqlite3.DatabaseError | None]:
    """The records from `begin` on, as many as can be read, and what kept the others from being read."""
    rows: list[_Row] = []
    query = "SELECT seq, leaf, salt, body, checkpoint FROM record WHERE seq >= ? ORDER BY seq"
    with closing(connection.execute(query, (begin,))) as found:  # one left half read would keep the file locked
        try:
            for row in found:
                rows.append(row)  # noqa: PERF402 - what was read before it failed counts
        except sqlite3.DatabaseError as error:
            return rows, error
    return rows, None


_Row = tuple[int, bytes, bytes | None, bytes | None, bytes | None]
_ROTATED: Final = b'"type":"LEDGER_KEY_ROTATED"'


def _signers(rows: list[_Row], notary: Notary) -> list[tuple[bytes, ...]]:
    """The public keys whose signatures each record's checkpoint must carry, by the rotations among `rows`
    (docs/ledger.md §9): told backwards from our own key, so that a key counts only where its successor vouches for it.
    """
    key = notary.public
    signers: list[tuple[bytes, ...]] = []
    for seq, _leaf, _salt, body, _checkpoint in reversed(rows):
        rotation = None if not isinstance(body, bytes) or _ROTATED not in body else _rotation(seq, body, notary.origin)
        if rotation is None:
            signers.append((key,))
            continue
        old, new = rotation
        if new != key:
            what = "hands the ledger over to another key than ours: bring back the key that came after it"
            raise _Bad(f"record {seq}: {what}", seq)
        signers.append(rotation)
        key = old
    signers.reverse()
    return signers


def _rotation(seq: int, text: bytes, origin: str) -> tuple[bytes, bytes] | None:
    """The old and the new public key of a record that rotates; None where `text` only quotes its type."""
    try:
        body = decode_body(text)
        if body.type != "LEDGER_KEY_ROTATED":
            return None
        old, new = (Vkey.parse((body.detail or {}).get(name, ""), ED25519) for name in ("old", "new"))
    except ValueError as error:
        raise _Bad(f"record {seq}: {error}", seq) from None
    if {old.name, new.name} != {origin}:
        raise _Bad(f"record {seq}: rotates the key of another origin", seq)
    return old.public, new.public


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
        raise _Bad(f"record {seq}: its leaf is not readable", seq, at=seq) from None
    if parts.class_ not in CLASSES or leaf != leaf_text(seq, parts.class_, parts.body):
        raise _Bad(f"record {seq}: its leaf is not the canonical one for that place", seq, at=seq)
    if salt is None and body is None:
        return  # dropped by retention; the leaf stays
    if salt is None or body is None or len(salt) != SALT_BYTES:
        raise _Bad(f"record {seq}: salt and body are not both whole", seq, at=seq)
    if sha256(salt + body).hexdigest() != parts.body:
        raise _Bad(f"record {seq}: its body or salt is not what its leaf says", seq, at=seq)


def _check_tiles(connection: sqlite3.Connection, tiles: list[Tile]) -> None:
    for tile in tiles:
        if _tile_hash(connection, tile.level, tile.number) != tile.hash:
            raise _Bad(f"{_named(tile)} does not match its records", tile.number << (TILE_BITS * tile.level))


def _tile_hash(connection: sqlite3.Connection, level: int, number: int) -> bytes:
    row = connection.execute("SELECT hash FROM tile WHERE level=? AND number=?", (level, number)).fetchone()
    if row is None:
        raise _Bad(f"{_named(Tile(level, number, b''))} is missing", number << (TILE_BITS * level))
    if not isinstance(row[0], bytes) or len(row[0]) != HASH_BYTES:  # a rotten page may give a number
        raise _Bad(f"{_named(Tile(level, number, b''))} is no hash", number << (TILE_BITS * level))
    return row[0]


def _check_tile_count(connection: sqlite3.Connection, size: int) -> None:
    for level, number in connection.execute("SELECT level, max(number) FROM tile GROUP BY level").fetchall():
        if type(level) is not int or type(number) is not int or level < 1 or number >= size >> (TILE_BITS * level):
            raise _Bad(f"tile {level}/{number} is of records that are not there (the last is {size - 1})", size)


def _named(tile: Tile) -> str:
    first = tile.number << (TILE_BITS * tile.level)
    return f"tile {tile.level}/{tile.number} (records {first} to {first + (1 << (TILE_BITS * tile.level)) - 1})"
