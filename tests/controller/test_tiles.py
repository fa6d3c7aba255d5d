"""Tiles are those of C2SP tlog-tiles, and proofs out of them those of the tree."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.link.proofs import check_inclusion, inclusion_proof, subtree_root
from controller.link.tiles import (
    TileSpot,
    bundle,
    grown,
    grown_root,
    node_of,
    parse_tile_path,
    tile_path,
    tiles_of,
    unbundle,
)
from controller.link.tree import TILE_LEAVES, Tree, leaf_hash

pytestmark = pytest.mark.req("A-27")


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (1234067, 256, "x001/x234/067"),  # the specification's own example
        (0, 256, "000"),
        (7, 112, "007.p/112"),
        (999, 256, "999"),
        (1000, 256, "x001/000"),
        (1000, 1, "x001/000.p/1"),
    ],
)
def test_tiles_have_the_published_paths(number, width, path):
    """No client of the format would find a tile."""
    assert tile_path(number, width) == path
    assert parse_tile_path(path) == TileSpot(number, width)


@given(st.integers(0, 2**55), st.integers(1, 256))
def test_every_tile_is_found_under_its_path_again(number, width):
    """Two tiles would lie under one path."""
    assert parse_tile_path(tile_path(number, width)) == TileSpot(number, width)


@pytest.mark.parametrize(
    "path",
    ["", "0", "0000", "x000/001", "001/002", "x001/x002", "000.p/0", "000.p/256", "000.p/257", "000.p/01", "000.p/",
     "000/", "../000", "x001/../000", "-01", "٠٠٠", "000.p/1/", "x00a/000", "000\n",
     "x001/x000/x000/x000/x000/x000/x000/000"],
)  # fmt: skip
def test_nothing_else_names_a_tile(path):
    """A path would lead out of the tiles, or one tile be cached under many names."""
    with pytest.raises(ValueError, match="tile"):
        parse_tile_path(path)


def test_the_tiles_of_a_tree_are_those_that_the_specification_counts():
    """A directory of tiles would lack one that a client asks for."""
    tiles = list(tiles_of(70_000))
    assert sum(level == 0 and spot.width == TILE_LEAVES for level, spot in tiles) == 273
    assert [tile for tile in tiles if tile[1].width < TILE_LEAVES] == [
        (0, TileSpot(273, 112)), (1, TileSpot(1, 17)), (2, TileSpot(0, 1)),
    ]  # fmt: skip
    assert (1, TileSpot(0, 256)) in tiles
    assert list(tiles_of(256)) == [(0, TileSpot(0, 256)), (1, TileSpot(0, 1))]
    assert list(tiles_of(0)) == []


@given(st.integers(0, 140_000), st.integers(0, 600))
@example(65_280, 256)
def test_what_a_grown_tree_adds_is_what_the_old_one_lacked(old, more):
    """A second run would leave a tile out, or write all of them again."""
    added, had, has = (set(tiles) for tiles in (tiles_of(old + more, old), tiles_of(old), tiles_of(old + more)))
    assert added == has - had
    assert len(added) <= 3 + more // 256 + 3


@pytest.fixture(scope="module")
def tiled():
    """A tree of 66,000 made-up leaves as grown tiles of each size that is asked for."""
    hashes = [leaf_hash(number.to_bytes(4)) for number in range(66_000)]
    rows = [hashes]
    while len(rows[-1]) >= TILE_LEAVES:
        full = range(len(rows[-1]) // TILE_LEAVES)
        rows.append([grown_root(grown(b"".join(rows[-1][at * 256 : at * 256 + 256]))) for at in full])

    def read(level, number, width):
        return grown(b"".join(rows[level][number * 256 : number * 256 + width]))

    return hashes, read


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000])
def test_proofs_out_of_tiles_are_those_of_the_tree(tiled, size):
    """A record would be proven against another root than the one that was signed."""
    hashes, read = tiled
    tree = Tree()
    for hash_ in hashes[:size]:
        tree.append(hash_)
    node = node_of(size, read)
    assert subtree_root(node, 0, size) == tree.root()
    for index in {0, size // 2, size - 1, size & ~0xFF if size & 0xFF else 0}:
        check_inclusion(hashes[index], index, size, tree.root(), inclusion_proof(node, index, size))


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_its_entries_back(entries):
    """A leaf would be read as another one, and its hash not stand in the tile."""
    assert unbundle(bundle(entries)) == entries


def test_a_broken_bundle_is_refused():
    """Half a leaf would be taken for one."""
    whole = bundle([b"abc", b"de"])
    for end in set(range(1, len(whole))) - {5}:
        with pytest.raises(ValueError, match="ends within"):
            unbundle(whole[:end])
    with pytest.raises(ValueError, match="65536 bytes"):
        bundle([bytes(65_536)])
