"""Go's own transparency-log packages read our logs, and we theirs: golang.org/x/mod/sumdb `note` and `tlog`.

They were written by others, for the Go checksum database, and share no line with us. The program around them is
tests/go/tlogpeer.go.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from controller.ledger.checkpoint import Notary, SigningKey
from controller.link.notes import ED25519, Vkey, parse_checkpoint
from controller.link.proofs import check_consistency, check_inclusion, consistency_proof, inclusion_proof
from controller.link.tree import leaf_hash
from sekisho.ledger_proof import prove
from sekisho.ledger_tiles import write_tiles
from sekisho.tile_tree import Growth, TileTree
from tests.sekisho.served_ledger import ServedLedger

pytestmark = [pytest.mark.needs("go"), pytest.mark.req("A-27")]

ROOT = Path(__file__).parents[2]
BIG = 256 * 256 + 256 * 3 + 77  # every kind of tile: two levels full, three with an end
SIZES = [1, 2, 3, 255, 256, 257, 600, 65_535, 65_536, 65_537, BIG]


@pytest.fixture(scope="module")
def peer():
    """The compiled program; answers a question with its exit status and its document or its words."""
    program = ROOT / "build/tlogpeer"
    program.parent.mkdir(exist_ok=True)
    here = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOCACHE": str(ROOT / "build/go-cache")}
    source = ROOT / "tests/go/tlogpeer.go"
    subprocess.run(["go", "build", "-o", program, source], check=True, env={**os.environ, **here}, timeout=120)

    def ask(*words, given=None):
        text = None if given is None else json.dumps(given)
        done = subprocess.run([program, *words], input=text, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr

    return ask


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A ledger that the product wrote, and its tiles as four runs of `sekisho ledger tiles` left them."""
    folder = tmp_path_factory.mktemp("ours")
    heads = {}
    with ServedLedger(folder) as served:
        for commits in ([1], [200, 99], [1, 299], [700]):
            served.grows(*commits)
            served.is_cosigned()  # a line by a key that Go is not told
            write_tiles(served.socket, folder / "tiles")
            head = parse_checkpoint((folder / "tiles/checkpoint").read_text())
            heads[head.size] = head
        proofs = [prove(served.socket, seq, folder / "tiles") for seq in (0, 255, 256, 300, 1299)]
        yield SimpleNamespace(tiles=folder / "tiles", vkey=served.vkey, heads=heads, proofs=proofs)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A tree of more leaves than a test has time to record, in the product's tiles."""
    tree = TileTree(tmp_path_factory.mktemp("big"))
    notary = Notary(origin="log.example/big", key=SigningKey.from_seed(bytes(32)))
    growth, roots = Growth(tree, 0), {}
    for at in range(BIG):
        growth.add(f"leaf {at}".encode())
        if growth.size in SIZES:
            roots[growth.size] = growth.root()
    tree.publish(growth.files(), notary.checkpoint(BIG, growth.root()).decode())
    return SimpleNamespace(tree=tree, vkey=notary.vkey, roots=roots)


def test_go_reads_our_checkpoint_tiles_and_entries(peer, ours, big):
    """An auditor with the usual tools could not read a ledger of ours."""
    status, found = peer("check", str(ours.tiles), ours.vkey)
    assert status == 0, found
    assert found["size"] == found["entries"] == 1300
    assert (found["signatures"], found["unverified"]) == (1, 1)
    assert base64.b64decode(found["root"]) == ours.heads[1300].root
    status, found = peer("check", str(big.tree.folder), big.vkey)
    assert status == 0, found
    assert found["entries"] == BIG


@pytest.mark.parametrize(
    "name",
    ["checkpoint", "tile/0/002", "tile/0/005.p/20", "tile/entries/001", "tile/entries/005.p/20", "tile/1/000.p/5"],
)
def test_go_finds_a_changed_tile_entry_or_checkpoint(peer, ours, name):
    """The test above would pass whatever the files hold."""
    path = ours.tiles / name
    was = path.read_bytes()
    path.write_bytes(was[:20] + bytes([was[20] ^ 1]) + was[21:])
    status, why = peer("check", str(ours.tiles), ours.vkey)
    path.write_bytes(was)
    assert status == 1, why


def test_go_checks_our_proofs(peer, ours, big):
    """A record that we prove, or a growth that we show to a witness, would be refused by everybody else."""
    given = [
        asked("record", proof.seq, parse_checkpoint(proof.checkpoint), leaf_hash(proof.leaf.encode()), proof.path)
        for proof in ours.proofs
    ]
    node = TileTree(ours.tiles).node(1300)
    for old, new in itertools.combinations(ours.heads.values(), 2):
        given.append(asked("tree", old.size, new, old.root, consistency_proof(node, old.size, new.size)))
    node = big.tree.node(BIG)
    for size, root in big.roots.items():
        head, last = (SimpleNamespace(size=at, root=big.roots[at]) for at in (size, BIG))
        for index in {0, size // 2, size - 1}:
            given.append(asked("record", index, head, node(0, index), inclusion_proof(node, index, size)))
        given.append(asked("tree", size, last, root, consistency_proof(node, size, BIG)))
    bad = [{**one, "leaf": base64.b64encode(bytes(32)).decode()} for one in given]
    status, faults = peer("proofs", given=given + bad)
    assert status == 0, faults
    assert faults[: len(given)] == [""] * len(given)
    assert "" not in faults[len(given) :]


def asked(kind, old, head, leaf, path):
    said = [base64.b64encode(one).decode() for one in (head.root, leaf, *path)]
    return {"kind": kind, "size": head.size, "root": said[0], "old": old, "leaf": said[1], "path": said[2:]}


def test_we_check_what_go_made(peer, big):
    """A witness, or an auditor's export, of another maker would be refused by us; or our tiles be unlike theirs."""
    records = [(index, size) for size in SIZES for index in sorted({0, size // 2, size - 1})]
    trees = list(itertools.combinations_with_replacement(SIZES, 2))
    question = {"name": "log.example/go", "size": BIG, "sizes": SIZES, "records": records, "trees": trees}
    status, made = peer("make", given=question)
    assert status == 0, made
    vkey = Vkey.parse(made["vkey"], ED25519)
    heads = {int(size): parse_checkpoint(text) for size, text in made["notes"].items()}
    assert all(head.by(vkey) is not None and head.size == size for size, head in heads.items())

    assert {size: head.root for size, head in heads.items()} == big.roots
    files = (path for path in big.tree.folder.rglob("tile/[0-9]/**/*") if path.is_file())
    ours = {str(path.relative_to(big.tree.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert ours == made["tiles"]

    assert len(made["proofs"]) == len(records) + len(trees)
    for proof in made["proofs"]:
        head, old = heads[proof["size"]], proof["old"]
        path = [base64.b64decode(one) for one in proof["path"]]
        if proof["kind"] == "record":
            check_inclusion(leaf_hash(f"leaf {old}".encode()), old, head.size, head.root, path)
            with pytest.raises(ValueError, match="does not lead"):
                check_inclusion(leaf_hash(b"another"), old, head.size, head.root, path)
        else:
            check_consistency(old, heads[old].root, head.size, head.root, path)
            if old != head.size:
                with pytest.raises(ValueError, match="does not"):
                    check_consistency(old, bytes(32), head.size, head.root, path)
