"""Proofs that a record stands in a tree, and that a tree has grown out of an older one (RFC 9162 §2.1.3, §2.1.4).

Pure. A proof is made from complete subtrees, asked for one by one: `node(height, number)` is the hash of the subtree
over the 2^height leaves from number · 2^height on. It asks for about two of them per level of the tree, so that a proof
out of a million records needs some forty hashes and no leaf but its neighbour. Checking needs nothing but the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from controller.link.tree import EMPTY_ROOT, node_hash

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**63 - 1
"""More leaves than this no C2SP format counts."""

Node = Callable[[int, int], bytes]


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """What leads from leaf `index` to the root of the first `size` leaves (RFC 9162 §2.1.3.1), from the leaf upward.

    ValueError: there is no such leaf in that tree. What `node` raises passes through.
    """
    if not 0 <= index < size:
        raise ValueError(f"record {index} is not among the first {size}")
    edge = []  # from the root down, along the right edge
    start, end = 0, size
    while (count := end - start) & (count - 1):  # not a complete subtree yet
        middle = start + _left_part(count)
        if index < middle:
            edge.append(subtree_root(node, middle, end))
            end = middle
        else:
            edge.append(subtree_root(node, start, middle))
            start = middle
    path = [node(height, index >> height ^ 1) for height in range(count.bit_length() - 1)]
    path += reversed(edge)
    return path


def consistency_proof(node: Node, old_size: int, new_size: int) -> list[bytes]:
    """What shows that the first `new_size` leaves begin with the first `old_size` (RFC 9162 §2.1.4.1).

    Empty where `old_size` is 0 or `new_size`. ValueError: the old tree is larger, or a size is negative.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a tree of {new_size} records cannot have grown out of one of {old_size}")
    path: list[bytes] = []
    if old_size in (0, new_size):
        return path
    start, end, is_old_tree = 0, new_size, True
    while end != old_size:
        middle = start + _left_part(end - start)
        if old_size <= middle:
            path.append(subtree_root(node, middle, end))
            end = middle
        else:
            path.append(subtree_root(node, start, middle))
            start, is_old_tree = middle, False
    if not is_old_tree:
        path.append(subtree_root(node, start, end))
    path.reverse()
    return path


def subtree_root(node: Node, start: int, end: int) -> bytes:
    """Root over the leaves from `start` to before `end`, where the subtree that begins at `start` is at least as long.

    `subtree_root(node, 0, size)` is the tree's head.
    """
    if start == end:
        return EMPTY_ROOT
    parts = []
    while start < end:
        height = (end - start).bit_length() - 1
        parts.append(node(height, start >> height))
        start += 1 << height
    root = parts.pop()
    while parts:
        root = node_hash(parts.pop(), root)
    return root


def check_inclusion(leaf_hash: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Raise ValueError, saying why, unless `path` shows that the leaf stands at `index` of the tree of `size` leaves
    with `root` (RFC 9162 §2.1.3.2).
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise ValueError(f"record {index} cannot be among the first {size}")
    _check_hashes(leaf_hash, root, *path)
    place, last, made = index, size - 1, leaf_hash
    for hash_ in path:
        if last == 0:
            raise ValueError("the proof is longer than the tree is high")
        if place & 1 or place == last:
            made = node_hash(hash_, made)
            while not place & 1 and place:  # up the right edge, where subtrees stand alone
                place, last = place >> 1, last >> 1
        else:
            made = node_hash(made, hash_)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is shorter than the tree is high")
    if made != root:
        raise ValueError(f"the proof of record {index} does not lead to the root hash of {size} records")


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise ValueError, saying why, unless `path` shows that the tree of `new_size` leaves with `new_root` begins with
    the one of `old_size` with `old_root` (RFC 9162 §2.1.4.2). For `old_size` 0 or the same size, `path` is empty.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise ValueError(f"a tree of {new_size} records cannot have grown out of one of {old_size}")
    _check_hashes(old_root, new_root, *path)
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ValueError("the root hash of no records at all is another one")
    if old_size == new_size and old_root != new_root:
        raise ValueError(f"two different root hashes of the same {old_size} records")
    if old_size in (0, new_size):
        if path:
            raise ValueError("the proof ought to be empty")
        return
    is_complete = old_size & (old_size - 1) == 0  # then its root is a node of the new tree, and not said again
    old_made, new_made = _grown(old_size, new_size, [old_root, *path] if is_complete else path)
    if old_made != old_root:
        raise ValueError(f"the proof does not begin with the root hash of {old_size} records")
    if new_made != new_root:
        raise ValueError(f"the proof does not lead to the root hash of {new_size} records")


def _grown(old_size: int, new_size: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Both roots that a consistency proof leads to; its first hash is a node of both trees."""
    if not path:
        raise ValueError("the proof is empty")
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for hash_ in path[1:]:
        if last == 0:
            raise ValueError("the proof is longer than the tree is high")
        if place & 1 or place == last:
            old, new = node_hash(hash_, old), node_hash(hash_, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, hash_)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is shorter than the tree is high")
    return old, new


def _left_part(count: int) -> int:
    """The largest power of two below `count`: how many leaves stand left of a node (RFC 9162 §2.1.1)."""
    return 1 << (count - 1).bit_length() - 1


def _check_hashes(*hashes: bytes) -> None:
    if any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise ValueError("a hash in it is not 32 bytes long")
