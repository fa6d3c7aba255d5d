"""The tree grows as RFC 6962 says, and so do its tiles."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.link.tree import EMPTY_ROOT, Tree, leaf_hash, restore

# The eight leaves and their roots with which the Certificate Transparency implementations test
# (github.com/google/certificate-transparency, merkletree tests; github.com/transparency-dev/merkle, testonly).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def grown(leaves):
    tree, tiles = Tree(), []
    for leaf in leaves:
        tiles += tree.append(leaf_hash(leaf))
    return tree, tiles


@pytest.mark.req("A-27")
def test_the_published_roots():
    """No other transparency tool could check our log."""
    for size, root in enumerate(CT_ROOTS):
        assert grown(CT_LEAVES[:size])[0].root().hex() == root
    assert EMPTY_ROOT.hex() == CT_ROOTS[0]


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_every_size_has_the_root_of_the_definition(slow_root, leaves):
    """A root would be right for even trees alone."""
    assert grown(leaves)[0].root() == slow_root(leaves)


def test_tiles_are_complete_subtrees(slow_root):
    """A start would put the tree together from wrong pieces."""
    leaves = [number.to_bytes(3) for number in range(256 * 3 + 5)]
    _, tiles = grown(leaves)
    assert [(tile.level, tile.number) for tile in tiles] == [(1, 0), (1, 1), (1, 2)]
    for tile in tiles:
        assert tile.hash == slow_root(leaves[tile.number * 256 : (tile.number + 1) * 256])


@pytest.mark.parametrize("size", [0, 256, 256 * 255, 256 * 256, 256 * 256 + 512, 256 * 600])
def test_a_tree_is_restored_from_its_tiles_and_grows_on(size):
    """After a restart the next checkpoint would contradict the last."""
    draw = random.Random(size)
    tree, kept = Tree(), {}
    for _ in range(size):
        for tile in tree.append(draw.randbytes(32)):
            kept[tile.level, tile.number] = tile.hash
    asked = []
    again = restore(size, lambda level, number: asked.append((level, number)) or kept[level, number])
    assert (again.size, again.root()) == (size, tree.root())
    assert len(asked) <= 255 * 2
    for _ in range(300):
        leaf = draw.randbytes(32)
        assert again.append(leaf) == tree.append(leaf)
    assert again.root() == tree.root()


def test_level_two_tile_is_the_hash_over_its_level_one_tiles(slow_root):
    """The cache's second level would be unlike the tree's node of that place."""
    _, tiles = grown([b"x"] * 65536)
    node = leaf_hash(b"x")
    for _ in range(16):
        node = hashlib.sha256(b"\x01" + node + node).digest()
    assert tiles[-1] == (2, 0, node)
    assert len(tiles) == 257


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_copy_is_independent(before, after):
    """A failed commit would leave its leaves in the tree."""
    tree, _ = grown([b"a"] * before)
    root = tree.root()
    twin = tree.copy()
    for _ in range(after):
        twin.append(leaf_hash(b"b"))
    assert (tree.size, tree.root()) == (before, root)
    assert twin.size == before + after
