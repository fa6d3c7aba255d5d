"""Tiles of a transparency log: C2SP `tlog-tiles`, their paths, their bytes, and the tree's nodes read out of them.

Pure. A tile of level L holds the hashes of up to 256 neighbouring subtrees of 256^L leaves. Inside the house a tile is
kept *grown*: those hashes and every node above them, so that a proof hashes nothing but its own right edge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from controller.link.proofs import HASH_BYTES, Node
from controller.link.tree import TILE_BITS, TILE_LEAVES

LEVEL_MAX: Final = 7
"""Above it no tree of 2^63 leaves has a tile (the format allows up to 63)."""

ENTRY_BYTES_MAX: Final = 0xFFFF
GROWN_HASHES: Final = 2 * TILE_LEAVES - 1

_ROWS: Final = tuple(2 * TILE_LEAVES - (2 * TILE_LEAVES >> above) for above in range(TILE_BITS))
"""Where in a grown tile the nodes of each height begin."""

_PATH: Final = re.compile(r"(?P<n>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<w>[1-9][0-9]{0,2}))?")


class TileSpot(NamedTuple):
    """Which tile: `number` within its level, and how many hashes (or entries) of it."""

    number: int
    width: int


def tile_path(number: int, width: int = TILE_LEAVES) -> str:
    """`N` or `N.p/W` as a path: 1234067 is x001/x234/067."""
    digits = f"{number:03d}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    threes = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{three}" for three in threes[:-1]), threes[-1]])
    return path if width == TILE_LEAVES else f"{path}.p/{width}"


def parse_tile_path(path: str) -> TileSpot:
    """The tile that `N` or `N.p/W` names. ValueError: not the one way in which it is written."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError("a tile is N in groups of three digits, x001/x234/067, with .p/W where it is not full")
    number = int(found["n"].replace("x", "").replace("/", ""))
    width = int(found["w"] or TILE_LEAVES)
    if tile_path(number, width) != path or width > TILE_LEAVES:
        raise ValueError("a tile's number has no group of zeroes before it, and its width is 1 to 255")
    return TileSpot(number, width)


def tiles_of(size: int, from_size: int = 0) -> Iterator[tuple[int, TileSpot]]:
    """(level, tile) of every tile of a tree of `size` leaves that one of `from_size` does not have, lowest first."""
    for level in range(LEVEL_MAX + 1):
        shift = TILE_BITS * level
        had, has = from_size >> shift, size >> shift
        for number in range(had // TILE_LEAVES, -(-has // TILE_LEAVES)):
            width = min(TILE_LEAVES, has - number * TILE_LEAVES)
            if number * TILE_LEAVES + width > had:
                yield level, TileSpot(number, width)


def grown(hashes: bytes) -> bytes:
    """A tile with every node above its hashes, level by level up to its root; zeroes where a tile that is not full has
    no complete subtree.
    """
    held = bytearray(GROWN_HASHES * HASH_BYTES)
    held[: len(hashes)] = hashes
    below, at, count = 0, TILE_LEAVES, len(hashes) // HASH_BYTES
    while count := count // 2:
        pairs = range(0, 2 * count * HASH_BYTES, 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[pair : pair + 2 * HASH_BYTES]).digest() for pair in pairs])
        held[at * HASH_BYTES : at * HASH_BYTES + len(hashes)] = hashes
        below, at = at, at + (at - below) // 2
    return bytes(held)


def grown_root(tile: bytes) -> bytes:
    """The root of a full grown tile."""
    return tile[-HASH_BYTES:]


def node_of(size: int, read_grown: Callable[[int, int, int], bytes]) -> Node:
    """The nodes of the tree of `size` leaves, out of grown tiles: `read_grown(level, number, width)`."""

    def node(height: int, number: int) -> bytes:
        level, above = height >> 3, height & 7  # TILE_BITS is 8
        tile = number >> (TILE_BITS - above)
        width = (size >> (TILE_BITS * level)) - tile * TILE_LEAVES
        at = (_ROWS[above] + (number & ((TILE_LEAVES >> above) - 1))) * HASH_BYTES
        return read_grown(level, tile, min(TILE_LEAVES, width))[at : at + HASH_BYTES]

    return node


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one after the other, each after its length in two bytes. ValueError: one is too long for that."""
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise ValueError(f"an entry of {len(entry)} bytes: a bundle holds up to {ENTRY_BYTES_MAX}")
        parts += [len(entry).to_bytes(2), entry]
    return b"".join(parts)


def unbundle(held: bytes) -> list[bytes]:
    """The entries of a bundle. ValueError: it ends within one."""
    entries, at = [], 0
    while at < len(held):
        end = at + 2 + int.from_bytes(held[at : at + 2])
        if at + 2 > len(held) or end > len(held):
            raise ValueError("the bundle of entries ends within one")
        entries.append(held[at + 2 : end])
        at = end
    return entries
