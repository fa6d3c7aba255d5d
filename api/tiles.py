"""Tiles in api.db: the leaves of all records, and of every full tile its hashes with all nodes above them.

Folded in the transaction that folds the records, from nothing but their leaves, and read for proofs and for whoever
fetches tiles. What is served is held against the controller's signed root where it is used (`api.ledger`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Engine, insert
from sqlmodel import Session, col, select

from api.tables import LeafRow, TileRow
from controller.link.messages import Record
from controller.link.proofs import HASH_BYTES, Node
from controller.link.tiles import LEVEL_MAX, grown, grown_root, node_of
from controller.link.tree import TILE_BITS, TILE_LEAVES, leaf_hash

GROWN_KEPT: Final = 256
"""Tiles kept in memory, 16 KiB each: the two upper levels of a million records, and what was asked for lately."""


class NotHeld(Exception):
    """Leaves or tiles that ought to be in api.db are not: it is damaged."""


def fold_leaves(session: Session, records: Sequence[Record], first: int) -> None:
    """Add the leaves of `records`, numbered from `first` on, and every tile that is full with them."""
    session.execute(insert(LeafRow), [{"seq": one.seq, "leaf": one.leaf.encode("utf-8", "replace")} for one in records])
    before, now = first, first + len(records)
    for level in range(LEVEL_MAX + 1):
        before, now = before // TILE_LEAVES, now // TILE_LEAVES  # full tiles of this level
        if before == now:
            return
        for number in range(before, now):
            tile = grown(_below(session, level, number, TILE_LEAVES))
            session.execute(insert(TileRow), [{"level": level, "nth": number, "root": grown_root(tile), "grown": tile}])


def _below(session: Session, level: int, number: int, width: int) -> bytes:
    """The hashes of a tile, out of the leaves, or of the roots of the tiles below. Raises NotHeld."""
    first = number * TILE_LEAVES
    if level == 0:
        leaves = session.exec(
            select(LeafRow.leaf).where(LeafRow.seq >= first, LeafRow.seq < first + width).order_by(col(LeafRow.seq))
        )
        try:
            hashes = [leaf_hash(leaf) for leaf in leaves]
        except TypeError as error:  # SQLite hands out text where somebody put text
            raise NotHeld(f"tile {level}/{number}: a leaf of it is no leaf") from error
    else:
        hashes = list(
            session.exec(
                select(TileRow.root)
                .where(TileRow.level == level - 1, TileRow.nth >= first, TileRow.nth < first + width)
                .order_by(col(TileRow.nth))
            )
        )
    if len(hashes) != width:
        raise NotHeld(f"tile {level}/{number}: {len(hashes)} of {width} hashes are there")
    return b"".join(hashes)


class Tiles:
    """Reads of leaves and tiles. `forget_all` after the view began another ledger, or where what was read is wrong."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._grown = lru_cache(maxsize=GROWN_KEPT)(self._read)

    def forget_all(self) -> None:
        """What is kept in memory is of a ledger that is gone, or damaged."""
        self._grown.cache_clear()

    def hashes(self, level: int, number: int, width: int) -> bytes:
        """The first `width` hashes of a tile. Raises NotHeld."""
        return self._grown(level, number, width)[: width * HASH_BYTES]

    def leaves(self, first: int, count: int) -> list[bytes]:
        """Leaves `first` to `first` + `count` - 1. Raises NotHeld."""
        query = select(LeafRow.leaf).where(LeafRow.seq >= first, LeafRow.seq < first + count)
        with Session(self._engine) as session:
            found = list(session.exec(query.order_by(col(LeafRow.seq))))
        if len(found) != count:
            raise NotHeld(f"{len(found)} of {count} leaves from {first} on are there")
        return found

    def node(self, size: int) -> Node:
        """The nodes of the tree of the first `size` records; asking for one may raise NotHeld."""
        return node_of(size, self._grown)

    def _read(self, level: int, number: int, width: int) -> bytes:
        with Session(self._engine) as session:
            if width < TILE_LEAVES:
                return grown(_below(session, level, number, width))
            query = select(TileRow.grown).where(TileRow.level == level, TileRow.nth == number)
            if (found := session.exec(query).first()) is None:
                raise NotHeld(f"tile {level}/{number} is not there")
            return found


def width_of(size: int, level: int, number: int) -> int:
    """How many hashes of a tile a tree of `size` records has: 0 to 256."""
    return max(0, min(TILE_LEAVES, (size >> (TILE_BITS * level)) - number * TILE_LEAVES))
