"""A folder of tiles (docs/ledger.md §7) under the verifier: leaves, tree and checkpoint, and no more is claimed."""

from __future__ import annotations

import shutil

import pytest

from sekisho.verify import WITNESS_KEY, CannotRun, parse_code, parse_key, verify_file
from tests.sekisho.ledger_by_hand import HandLedger, Signer, Witness, code_of

SIZES = [1, 255, 256, 257, 700]
KEY = parse_key(Signer().vkey)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of 700 records, and the ledger."""
    ledger = HandLedger([700])
    ledger.cosign(Witness(), 699)
    return ledger.tiles(tmp_path_factory.mktemp("whole")), ledger


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "tiles")


@pytest.mark.req("A-27")
@pytest.mark.parametrize("size", SIZES)
def test_a_whole_folder_is_whole_and_claims_no_bodies(tmp_path, size):
    """An auditor would accuse an honest controller, or believe that the bodies had been seen."""
    report = verify_file(HandLedger([size]).tiles(tmp_path), KEY)
    assert (report.problem, report.records, report.form, report.end) == (None, size, "tiles", "not proven")
    assert report.bodies.startswith("not in tiles")


@pytest.mark.req("A-27")
def test_what_was_kept_outside_is_held_against_tiles(whole):
    """A mirror of the public half could be of another history."""
    folder, ledger = whole
    witness = parse_key(Witness().vkey, WITNESS_KEY)
    assert verify_file(folder, KEY, witnesses=[witness]).end == "proven"
    code = parse_code(code_of(Signer().text(ledger.leaves[:300])))
    assert verify_file(folder, KEY, code=code).end == "proven to record 299"
    other = HandLedger([900]).records[-1].checkpoint
    problem = verify_file(folder, KEY, checkpoint=other).problem
    assert problem is not None and problem.kind == "cut off"


def flip(path, at):
    octets = bytearray(path.read_bytes())
    octets[at] ^= 1
    path.write_bytes(octets)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\x00\x01x")


SPOILED = {
    "a leaf's hash": (lambda folder: flip(folder / "tile/0/001", 40), "tile", 256, "changed"),
    "a subtree's hash": (lambda folder: flip(folder / "tile/1/000.p/2", 3), "tile", 0, "changed"),
    "a hash of the last leaves": (lambda folder: flip(folder / "tile/0/002.p/188", 9), "tile", 512, "changed"),
    "an entry": (lambda folder: flip(folder / "tile/entries/001", 9), "leaf", 256, "changed"),
    "an entry's length": (lambda folder: flip(folder / "tile/entries/000", 1), "leaf", 0, "changed"),
    "an entry's hash": (lambda folder: flip(folder / "tile/entries/000", 20), "tile", 0, "changed"),
    "the checkpoint's size": (lambda folder: flip(folder / "checkpoint", 22), "entries", 512, "missing"),
    "the checkpoint's root": (lambda folder: flip(folder / "checkpoint", 30), "checkpoint", 699, "changed"),
    "a tile that is gone": (lambda folder: (folder / "tile/0/001").unlink(), "tile", 256, "missing"),
    "entries that are gone": (lambda folder: (folder / "tile/entries/002.p/188").unlink(), "entries", 512, "missing"),
    "entries that end early": (
        lambda folder: (folder / "tile/entries/002.p/188").write_bytes(b""),
        "leaf",
        512,
        "changed",
    ),
    "entries that go on": (lambda folder: lengthen(folder / "tile/entries/000"), "entries", 255, "changed"),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("name", SPOILED)
def test_each_thing_that_is_not_of_the_tree_is_named(folder, name):
    """A mirror that was tampered with would answer for the controller."""
    spoil, part, index, kind = SPOILED[name]
    spoil(folder)
    problem = verify_file(folder, KEY).problem
    assert problem is not None
    assert (problem.part, problem.index, problem.kind) == (part, index, kind)


@pytest.mark.req("A-27")
def test_a_leaf_that_was_changed_with_all_its_tiles_is_found(tmp_path):
    """Somebody who can write to the mirror puts another record in and makes every hash fit."""
    ledger = HandLedger([300])
    note, record = ledger.records[-1].checkpoint, ledger.records[7]
    record.leaf = ledger.records[8].leaf.replace(b'"seq":8', b'"seq":7')
    ledger.records[-1].checkpoint = note
    problem = verify_file(ledger.tiles(tmp_path / "changed"), KEY).problem
    assert problem is not None and (problem.kind, problem.first, problem.last) == ("changed", 0, 299)


@pytest.mark.req("A-27")
def test_full_tiles_stand_for_partial_ones(folder):
    """A folder that was written on while it was copied would be refused."""
    path = folder / "tile/0/002.p/188"
    (folder / "tile/0/002").write_bytes(path.read_bytes() + bytes(8192 - 188 * 32))
    path.unlink()
    assert verify_file(folder, KEY).problem is None


@pytest.mark.req("A-27")
def test_tiles_of_a_ledger_whose_key_changed_are_verified_by_the_newest_key(tmp_path):
    """Bodies are not in tiles, so nobody can see there who handed over to whom: an old key would prove too much."""
    old, new = Signer(), Signer(seed=bytes(32))
    ledger = HandLedger([3], signer=old)
    ledger.rotate(new)
    both = ledger.tiles(tmp_path / "both")
    assert all(verify_file(both, parse_key(one.vkey)).problem is None for one in (old, new))
    ledger.commit({"type": "REX", "v": 1})
    later = ledger.tiles(tmp_path / "later")
    assert verify_file(later, parse_key(new.vkey)).problem is None
    problem = verify_file(later, parse_key(old.vkey)).problem
    assert problem is not None and problem.kind == "not proven"


def test_a_folder_of_something_else_is_not_judged(tmp_path):
    """A typing mistake would read as a forged ledger."""
    with pytest.raises(CannotRun):
        verify_file(tmp_path, KEY)
