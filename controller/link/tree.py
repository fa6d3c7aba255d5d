"""The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1.1), grown leaf by leaf: only its right edge is kept.

The edge holds one hash per set bit of the size, so a copy is cheap: a commit grows a copy and keeps it only once the
disk has the records. Whoever grows the tree also learns which tiles (complete subtrees of 256^level leaves) it closed.
Pure, and beside the link because the writer, the web process and the console all hash the same tree; only the verifier
does not use it (docs/ledger.md: it shares no code with the writer).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

EMPTY_ROOT: Final = sha256(b"").digest()
TILE_BITS: Final = 8
TILE_LEAVES: Final = 1 << TILE_BITS


class Tile(NamedTuple):
    """Hash of the complete subtree `number` of 256^`level` leaves; `level` is at least 1. A row of table `tile`."""

    level: int
    number: int
    hash: bytes


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree; `size` counts leaves."""

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []  # complete subtrees from the largest to the smallest: the set bits of size

    def copy(self) -> Tree:
        """An independent tree with the same leaves."""
        twin = Tree()
        twin.size = self.size
        twin._edge = self._edge.copy()
        return twin

    def append(self, leaf: bytes) -> list[Tile]:
        """Add a leaf by its *leaf hash*; returns the tiles it completed, lowest level first (mostly none)."""
        return self._add(leaf, 0)

    def append_tile(self, tile: Tile) -> None:
        """Add all leaves of a tile at once. The tree's size must be where the tile begins."""
        assert tile.number << (TILE_BITS * tile.level) == self.size, "a tile goes where its first leaf would"
        self._add(tile.hash, TILE_BITS * tile.level)

    def root(self) -> bytes:
        """Tree head over all leaves."""
        edge = self._edge
        if not edge:
            return EMPTY_ROOT
        head = edge[-1]
        for left in edge[-2::-1]:
            head = sha256(b"\x01" + left + head).digest()
        return head

    def _add(self, node: bytes, height: int) -> list[Tile]:
        edge = self._edge
        closed: list[Tile] = []
        number = self.size >> height
        self.size += 1 << height
        while number & 1:
            node = sha256(b"\x01" + edge.pop() + node).digest()
            number >>= 1
            height += 1
            if height % TILE_BITS == 0:
                closed.append(Tile(height // TILE_BITS, number, node))
        edge.append(node)
        return closed


def restore(size: int, tile_hash: Callable[[int, int], bytes]) -> Tree:
    """The tree of the first `size` leaves (a multiple of 256) from `tile_hash(level, number)`, asked at most 255 times
    a level. What `tile_hash` raises passes through.
    """
    assert size % TILE_LEAVES == 0, "the leaves after the last whole tile are appended one by one"
    tree = Tree()
    level = max(1, (size.bit_length() - 1) // TILE_BITS)
    while level:
        height = TILE_BITS * level
        for number in range(tree.size >> height, size >> height):
            tree.append_tile(Tile(level, number, tile_hash(level, number)))
        level -= 1
    return tree
