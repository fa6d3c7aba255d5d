"""Proofs are those of RFC 9162 §2.1.3 and §2.1.4, and a forged one is refused with the reason."""

from __future__ import annotations

import base64
import itertools
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger.checkpoint import Notary, SigningKey
from controller.link.notes import ED25519, Vkey, parse_signature
from controller.link.proofs import (
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    subtree_root,
)
from controller.link.tree import EMPTY_ROOT, leaf_hash

LEAVES = [number.to_bytes(2) for number in range(70)]


@pytest.fixture(scope="module")
def node(slow_root):
    """Complete subtrees of LEAVES, by the definition."""
    return lambda height, number: slow_root(LEAVES[number << height : (number + 1) << height])


PUBLISHED = tomllib.loads((Path(__file__).parents[2] / "vectors/transparency.toml").read_text("utf-8"))


@pytest.mark.req("A-27")
def test_the_vectors_of_certificate_transparency(slow_root):
    """The logs of the web, and every tool that reads them, would make another proof of the same records."""
    ct = PUBLISHED["certificate_transparency"]
    leaves, roots = ([bytes.fromhex(text) for text in ct[name]] for name in ("leaves", "roots"))
    assert [subtree_root(node_of(slow_root, leaves), 0, size) for size in range(9)] == roots
    for one in ct["inclusion"]:
        path = inclusion_proof(node_of(slow_root, leaves), one["index"], one["size"])
        assert [step.hex() for step in path] == one["path"]
        check_inclusion(leaf_hash(leaves[one["index"]]), one["index"], one["size"], roots[one["size"]], path)
    for one in ct["consistency"]:
        path = consistency_proof(node_of(slow_root, leaves), one["old"], one["new"])
        assert [step.hex() for step in path] == one["path"]
        check_consistency(one["old"], roots[one["old"]], one["new"], roots[one["new"]], path)


def node_of(slow_root, leaves):
    return lambda height, number: slow_root(leaves[number << height : (number + 1) << height])


@pytest.mark.req("A-27")
def test_the_example_of_the_rfc():
    """We would read RFC 9162 otherwise than those who wrote it."""
    rfc = PUBLISHED["rfc_9162"]
    letters = {tuple(place): letter.encode() for letter, place in rfc["nodes"].items()}

    def named(path):
        parts = (sha256(b"\x01" + b"i" + b"j").digest(), b"l")  # l is no complete subtree: it is hashed from i and j
        return " ".join((parts[1] if step == parts[0] else step).decode() for step in path)

    def node(height, number):
        return letters[height, number]

    assert {at: named(inclusion_proof(node, int(at), 7)) for at in rfc["inclusion"]} == rfc["inclusion"]
    assert {old: named(consistency_proof(node, int(old), 7)) for old in rfc["consistency"]} == rfc["consistency"]


@pytest.mark.req("A-27")
def test_the_published_signed_note():
    """A key or a signature that others made would be read otherwise than they wrote it."""
    note = PUBLISHED["signed_note"]
    vkey = Vkey.parse(note["vkey"], ED25519)
    text = note["text"].lstrip("\n")
    line = parse_signature(note["line"])
    assert line.is_of(vkey)
    assert vkey.verifies(line.octets, text.encode())
    key = SigningKey.from_seed(base64.b64decode(note["seed_base64"]))
    assert Notary(origin="PeterNeumann", key=key).vkey == vkey.text
    assert key.sign(text.encode()) == line.octets


def published_path(slow_root, m, leaves):
    """PATH(m, D_n) of RFC 9162 §2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m < k:
        return [*published_path(slow_root, m, leaves[:k]), slow_root(leaves[k:])]
    return [*published_path(slow_root, m - k, leaves[k:]), slow_root(leaves[:k])]


def published_subproof(slow_root, m, leaves, *, is_whole):
    """SUBPROOF(m, D_n, b) of RFC 9162 §2.1.4.1, word for word."""
    if m == len(leaves):
        return [] if is_whole else [slow_root(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m <= k:
        return [*published_subproof(slow_root, m, leaves[:k], is_whole=is_whole), slow_root(leaves[k:])]
    return [*published_subproof(slow_root, m - k, leaves[k:], is_whole=False), slow_root(leaves[:k])]


@pytest.mark.req("A-27")
@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_are_those_of_the_definition(node, slow_root, size, draw):
    """A record that stands in the log could not be proven to anybody who has a tool of the standard."""
    index = draw.draw(st.integers(0, size - 1))
    path = inclusion_proof(node, index, size)
    assert path == published_path(slow_root, index, LEAVES[:size])
    check_inclusion(leaf_hash(LEAVES[index]), index, size, slow_root(LEAVES[:size]), path)


@pytest.mark.req("A-27")
@given(st.integers(1, 70), st.data())
def test_consistency_proofs_are_those_of_the_definition(node, slow_root, new, draw):
    """A witness of the standard would call an honest log a fork."""
    old = draw.draw(st.integers(1, new))
    path = consistency_proof(node, old, new)
    assert path == published_subproof(slow_root, old, LEAVES[:new], is_whole=True)
    check_consistency(old, slow_root(LEAVES[:old]), new, slow_root(LEAVES[:new]), path)


def test_every_forged_inclusion_is_refused(node, slow_root):
    """A record that is not in the log would be sworn to."""
    for size in range(1, 18):
        root = slow_root(LEAVES[:size])
        for index in range(size):
            path, leaf = inclusion_proof(node, index, size), leaf_hash(LEAVES[index])
            forged = [
                (leaf_hash(b"other"), index, size, root, path),
                (leaf, index, size, leaf_hash(b"other"), path),
                (leaf, index, size, root, [*path, root]),
                *((leaf, other, size, root, path) for other in range(size) if other != index),
            ]
            if path:
                forged += [
                    (leaf, index, size, root, path[:-1]),
                    (leaf, index, size, root, path[1:]),
                    (leaf, index, size, root, [leaf_hash(b"other"), *path[1:]]),
                ]
            if len(path) > 1:
                forged.append((leaf, index, size, root, path[::-1]))
            for forgery in forged:
                with pytest.raises(ValueError, match=r"proof|root hash"):
                    check_inclusion(*forgery)


def test_every_forged_growth_is_refused(node, slow_root):
    """A witness would sign a rewritten log."""
    roots = [slow_root(LEAVES[:size]) for size in range(18)]
    for old, new in itertools.combinations(range(1, 18), 2):
        path = consistency_proof(node, old, new)
        forged = [
            (old, leaf_hash(b"other"), new, roots[new], path),
            (old, roots[old], new, leaf_hash(b"other"), path),
            (old, roots[old], new, roots[new], [*path, roots[new]]),
            (old, roots[old], new, roots[new], path[:-1]),
            (old, roots[old], new, roots[new], []),
            (old, roots[old], new, roots[new], [leaf_hash(b"other"), *path[1:]]),
            (old - 1, roots[old - 1], new, roots[new], path),
            (new, roots[new], old, roots[old], path),
        ]
        for forgery in forged:
            with pytest.raises(ValueError, match=r"proof|grown|root hash"):
                check_consistency(*forgery)


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        ((0, EMPTY_ROOT, 3, b"r" * 32, []), None),  # everything has grown out of nothing
        ((3, b"r" * 32, 3, b"r" * 32, []), None),
        ((0, b"r" * 32, 3, b"r" * 32, []), "no records at all"),
        ((0, EMPTY_ROOT, 3, b"r" * 32, [b"r" * 32]), "ought to be empty"),
        ((3, b"r" * 32, 3, b"s" * 32, []), "two different root hashes of the same 3"),
        ((3, b"r" * 32, 3, b"r" * 32, [b"r" * 32]), "ought to be empty"),
        ((4, b"r" * 32, 3, b"r" * 32, []), "cannot have grown"),
        ((-1, b"r" * 32, 3, b"r" * 32, []), "cannot have grown"),
        ((1, b"r" * 31, 3, b"r" * 32, [b"r" * 32]), "32 bytes"),
        ((1, b"r" * 32, 3, b"r" * 32, [b"r" * 33]), "32 bytes"),
        ((1, b"r" * 32, 2**64, b"r" * 32, [b"r" * 32]), "cannot have grown"),
    ],
)
def test_growth_at_the_ends(claim, why):
    """A first meeting with a witness would fail, or a fork at the same size would pass as no growth."""
    if why is None:
        check_consistency(*claim)
    else:
        with pytest.raises(ValueError, match=why):
            check_consistency(*claim)


def test_a_proof_of_a_million_needs_few_reads():
    """A proof out of a big log would take the web process the time of reading all of it."""
    asked = []

    def node(height, number):
        asked.append((height, number))
        return bytes(32)

    size = 999_983
    for index in (0, 1, 499_999, size - 1):
        asked.clear()
        inclusion_proof(node, index, size)
        assert len(asked) <= 40
    asked.clear()
    consistency_proof(node, 777_777, size)
    assert len(asked) <= 40
    assert all((number + 1) << height <= size for height, number in asked)  # complete subtrees alone


def test_there_is_no_proof_of_what_is_not_there(node):
    """A question about a record that is still to come would be answered with nonsense."""
    for index, size in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(ValueError, match="is not among"):
            inclusion_proof(node, index, size)
    for old, new in ((4, 3), (-1, 3)):
        with pytest.raises(ValueError, match="cannot have grown"):
            consistency_proof(node, old, new)
    assert subtree_root(node, 0, 0) == EMPTY_ROOT
