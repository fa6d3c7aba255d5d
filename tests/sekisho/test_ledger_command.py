"""`sekisho ledger` as somebody types it: tiles, proofs, and the code for the inspection sheet."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from controller.link.client import LinkDown
from controller.link.notes import parse_checkpoint
from controller.link.short_code import short_code
from controller.link.tree import leaf_hash
from sekisho import ledger_arguments, verify
from sekisho.ledger_tiles import write_tiles
from tests.sekisho.console_rig import in_json, typed
from tests.sekisho.served_ledger import WITNESS_VKEY, ServedLedger

pytestmark = pytest.mark.req("A-27")


@pytest.fixture
def served(tmp_path):
    with ServedLedger(tmp_path / "site") as one:
        one.grows(3, 300)
        yield one


@pytest.fixture
def type_in(capsys):
    return lambda *words: typed(capsys, ledger_arguments.add_parsers, "ledger", *words)


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- tiles ------------------------------------------------------------------------------------------------------------


def test_a_second_run_writes_what_is_new_and_nothing_else(served, type_in, tmp_path):
    """A year's tiles would be written again every night, or a reader find a tile changed under its hands."""
    folder = tmp_path / "tiles"
    assert type_in("tiles", folder, "--socket", served.socket)[0] == 0
    first, times = held(folder), {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert set(first) == {
        *("checkpoint", "tile/0/000", "tile/0/001.p/47", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/47"),
    }
    served.grows(10)
    status, found = in_json(type_in("tiles", folder, "--socket", served.socket, "--json"))
    assert (status, found) == (0, {"was": 303, "size": 313, "files": 2})
    second = held(folder)
    assert {name: second[name] for name in first if name != "checkpoint"} == {
        name: was for name, was in first.items() if name != "checkpoint"
    }
    assert all(path.stat().st_mtime_ns == at for path, at in times.items() if path.name != "checkpoint")
    assert parse_checkpoint(second["checkpoint"].decode()).size == 313
    assert in_json(type_in("tiles", folder, "--socket", served.socket, "--json"))[1]["files"] == 0
    served.grows(300)
    assert type_in("tiles", folder, "--socket", served.socket)[0] == 0
    assert not [name for name in held(folder) if name.startswith("tile/0/001.p")]  # it is full now


def test_a_run_that_was_cut_off_is_made_good_by_the_next(served, type_in, tmp_path):
    """A power cut in the night would leave tiles that nobody can trust, or that no run can go on from."""
    folder = tmp_path / "tiles"
    type_in("tiles", folder, "--socket", served.socket)
    served.grows(5)
    leftover = folder / ".new/tile/0/001.p/52"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    (folder / "tile/0/001.p/52").write_bytes(b"renamed, and then the power went")
    assert type_in("tiles", folder, "--socket", served.socket)[0] == 0
    assert not (folder / ".new").exists()
    leaves = [record.leaf for record in served.ledger.read(256, 52)]
    assert (folder / "tile/0/001.p/52").read_bytes() == b"".join(map(leaf_hash, leaves))


def test_a_long_run_keeps_what_it_published_when_the_controller_goes_away(tmp_path):
    """The first run over ten years of records would begin from nothing each time that it is interrupted."""
    with ServedLedger(tmp_path / "site", dies_at=600) as served:
        served.grows(*[50] * 20)
        with pytest.raises(LinkDown):
            write_tiles(served.socket, tmp_path / "tiles", batch_records=250)
        vkey = served.vkey
    assert parse_checkpoint((tmp_path / "tiles/checkpoint").read_text()).size == 500
    assert verify.main([str(tmp_path / "tiles"), "--key", vkey]) == 0
    with ServedLedger(tmp_path / "site") as served:
        done = write_tiles(served.socket, tmp_path / "tiles", batch_records=250)
    assert (done.was, done.size) == (500, 1000)
    assert verify.main([str(tmp_path / "tiles"), "--key", vkey]) == 0


def test_another_history_is_refused_and_the_evidence_kept(served, type_in, tmp_path):
    """Whoever rewrites the ledger would have the published tiles rewritten for them by the nightly run."""
    folder = tmp_path / "tiles"
    type_in("tiles", folder, "--socket", served.socket)
    before = held(folder)
    for commits, why in (
        ([100], "rolled back"),
        ([303], "rewritten"),
        ([3, 400], "rewritten"),
        ([1] * 304, "rewritten"),
    ):
        with ServedLedger(tmp_path / f"other-{len(commits)}-{commits[-1]}", die=2) as other:
            other.grows(*commits)
            status, told, said = type_in("tiles", folder, "--socket", other.socket)
        assert status == 1, told
        assert why in said
        assert held(folder) == before


def test_damaged_tiles_are_named_and_not_built_upon(served, type_in, tmp_path):
    """A flipped bit in a published tile would be carried into every later one."""
    folder = tmp_path / "tiles"
    type_in("tiles", folder, "--socket", served.socket)
    for name in ("tile/0/001.p/47", "tile/entries/001.p/47", "tile/1/000.p/1", "checkpoint"):
        was = (folder / name).read_bytes()
        for damaged in (was[:-1], bytes([was[0] ^ 1]) + was[1:]):
            (folder / name).write_bytes(damaged)
            served.grows(1)
            status, _, said = type_in("tiles", folder, "--socket", served.socket)
            assert status == 1, (name, said)
        (folder / name).write_bytes(was)
    assert type_in("tiles", folder, "--socket", served.socket)[0] == 0


def test_two_runs_do_not_write_into_each_other(served, type_in, tmp_path):
    """A slow run and the next night's would publish a mixture."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    status, _, said = type_in("tiles", folder, "--socket", served.socket)
    os.close(descriptor)
    assert (status, "another" in said) == (1, True)


def test_nothing_is_written_of_an_empty_ledger_or_without_a_controller(type_in, tmp_path):
    """An empty tree would be published, or a missing controller look like an empty one."""
    with ServedLedger(tmp_path / "site") as empty:
        assert type_in("tiles", tmp_path / "tiles", "--socket", empty.socket)[0] == 0
        status, _, said = type_in("code", "--socket", empty.socket)
        assert (status, "empty" in said) == (1, True)
    assert held(tmp_path / "tiles") == {}
    for words in (("tiles", tmp_path / "tiles"), ("prove", 0), ("code",), ("key",)):
        assert type_in(*words, "--socket", tmp_path / "nobody.sock")[0] == 3


# -- proofs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_record_is_proven_to_somebody_who_has_nothing_but_the_key(served, type_in, tmp_path, form):
    """A record could not be shown to a court without handing over everybody else's."""
    type_in("tiles", tmp_path / "tiles", "--socket", served.socket)
    key = tmp_path / "key"
    key.write_text(served.vkey + "\n")
    for seq, more in ((0, ()), (255, ()), (302, ()), (17, ("--tiles", tmp_path / "tiles"))):
        file = tmp_path / f"{seq}.tlog-proof"
        assert type_in("prove", seq, "--socket", served.socket, "--out", file, *more, *form)[0] == 0
        assert file.stat().st_mode & 0o777 == 0o600
        status, found = in_json(type_in("check-proof", file, "--key", key, "--json"))
        assert status == 0
        assert (found["seq"], found["size"], found["class"]) == (seq, 303, "access")
        assert found["body"]["subject"]["cardholder"] == "c-1"
        assert str(seq) in type_in("check-proof", file, "--key", served.vkey)[1]
    assert type_in("prove", 5, "--socket", served.socket, *form)[1].startswith(
        "{" if form else "c2sp.org/tlog-proof@v1\n"
    )


def test_a_proof_of_something_else_proves_nothing(served, type_in, tmp_path):
    """A forged record would be believed because a program said so."""
    file = tmp_path / "proof"
    type_in("prove", 7, "--socket", served.socket, "--json", "--out", file)
    proof = json.loads(file.read_text())
    proof["body"] = proof["body"].replace("DENIED", "GRANTED")
    file.write_text(json.dumps(proof))
    status, found = in_json(type_in("check-proof", file, "--key", served.vkey, "--json"))
    assert (status, found["holds"]) == (1, False)
    assert "its body is not the one" in found["why"]
    assert "成り立ちません" in type_in("check-proof", file, "--key", served.vkey)[2]
    file.write_bytes(b"\xff\xfe")
    assert type_in("check-proof", file, "--key", served.vkey)[0] == 1


def test_a_witness_is_demanded_by_name(served, type_in, tmp_path):
    """A proof under a history that only its owner has seen would pass for one that somebody looked at."""
    file = tmp_path / "proof"
    demand = ("check-proof", file, "--key", served.vkey, "--witness", WITNESS_VKEY.text)
    type_in("prove", 7, "--socket", served.socket, "--out", file)
    status, _, said = type_in(*demand)
    assert status == 1
    assert "witness.example/w has not signed" in said
    served.is_cosigned(bytes(32))  # by a key from before a rotation: of no use to who has today's
    served.grows(2)
    type_in("prove", 7, "--socket", served.socket, "--out", file)
    assert (type_in(*demand)[0], type_in(*demand[:4])[0]) == (1, 0)
    served.is_cosigned()
    served.grows(5)
    type_in("tiles", tmp_path / "tiles", "--socket", served.socket)
    for more in ((), ("--json",), ("--tiles", tmp_path / "tiles")):
        type_in("prove", 7, "--socket", served.socket, "--out", file, *more)
        status, found = in_json(type_in(*demand, "--json"))
        assert (status, found["cosigned"]) == (0, {"witness.example/w": "2027-01-15T17:00:00+09:00"})
        assert found["size"] == 305
    type_in("prove", 307, "--socket", served.socket, "--out", file)  # nobody outside has seen that one yet
    assert type_in(*demand)[0] == 1


def test_a_witness_that_signs_later_is_added_to_what_was_published(served, type_in, tmp_path):
    """Published tiles would never say that somebody outside vouches for them."""
    folder = tmp_path / "tiles"
    type_in("tiles", folder, "--socket", served.socket)
    served.is_cosigned()
    status, found = in_json(type_in("tiles", folder, "--socket", served.socket, "--json"))
    assert (status, found["files"]) == (0, 0)
    head = parse_checkpoint((folder / "checkpoint").read_text())
    assert any(line.is_of(WITNESS_VKEY) for line in head.signatures)
    assert type_in("tiles", folder, "--socket", served.socket)[0] == 0


def test_what_was_typed_wrong_is_told_apart_from_what_is_not_so(served, type_in, tmp_path):
    """A script would take a typing mistake for a forgery, or a forgery for a typing mistake."""
    file = tmp_path / "proof"
    type_in("prove", 7, "--socket", served.socket, "--out", file)
    assert type_in("prove", -1, "--socket", served.socket)[0] == 2
    assert type_in("check-proof", file, "--key", served.vkey[:-4] + "AAA=")[0] == 2
    assert type_in("check-proof", file, "--key", served.vkey, "--witness", served.vkey)[0] == 2
    assert type_in("check-proof", file, "--key", tmp_path / "no-key")[0] == 3
    assert type_in("check-proof", tmp_path / "no-file", "--key", served.vkey)[0] == 3
    status, _, said = type_in("prove", 303, "--socket", served.socket)
    assert (status, "302" in said) == (1, True)
    served.grows(1)
    type_in("tiles", tmp_path / "tiles", "--socket", served.socket)
    served.grows(1)
    status, _, said = type_in("prove", 304, "--socket", served.socket, "--tiles", tmp_path / "tiles")
    assert (status, "sekisho ledger tiles" in said) == (1, True)


def test_the_days_code_is_that_of_the_newest_checkpoint(served, type_in):
    """What goes on the inspection sheet would not be found again in the ledger."""
    head = parse_checkpoint(served.ledger.checkpoint_text)
    code = short_code(303, head.text)
    assert type_in("code", "--socket", served.socket)[1] == code + "\n"
    found = in_json(type_in("code", "--socket", served.socket, "--json"))[1]
    assert (found["code"], found["size"], found["checkpoint"]) == (code, 303, head.note)
