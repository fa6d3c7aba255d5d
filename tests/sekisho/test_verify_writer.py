"""The verifier against what the controller really writes: two readings of docs/ledger.md that must agree."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from sekisho.verify import parse_key, verify_file
from tests.sekisho.ledger_by_hand import ORIGIN, Record, Signer
from zones.moment import Moment

COMMITS = [1, 2, 2]
START = datetime(2026, 4, 1, tzinfo=UTC)


def write_ledger(path, commits):
    """A ledger by the real writer; its last checkpoint."""
    scribe = Scribe(node="n1", boot="b1")
    signer = SigningKey.from_seed(Signer().seed)
    with Ledger.open(path, signer, ORIGIN, random.Random(7).randbytes) as ledger:
        at = 0
        for count in commits:
            moments = [Moment(at=START + timedelta(seconds=at + one), tick_ms=one) for one in range(count)]
            ledger.append([scribe.draft("ACCESS_DENIED", now=now, zone="z", officer="審査") for now in moments])
            at += count
        assert parse_key(ledger.notary.vkey) == parse_key(Signer().vkey)
        return ledger.checkpoint_text.encode()


def records_of(path):
    """The parts as they lie in the file, each part with its name."""
    import sqlite3

    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT seq, leaf, salt, body, checkpoint FROM record ORDER BY seq").fetchall()
    connection.close()
    return [Record(seq=seq, leaf=leaf, salt=salt, body=body, checkpoint=note) for seq, leaf, salt, body, note in rows]


@pytest.mark.req("A-27")
@pytest.mark.parametrize("commits", [[1], COMMITS, [300, 300]])
def test_what_the_controller_wrote_is_whole(tmp_path, commits):
    """The product's own verifier would accuse the product."""
    note = write_ledger(tmp_path / "ledger.db", commits)
    report = verify_file(tmp_path / "ledger.db", parse_key(Signer().vkey), checkpoint=note)
    assert (report.problem, report.records, report.end) == (None, sum(commits), "proven")


@pytest.mark.req("A-27")
def test_any_changed_byte_of_what_the_controller_wrote_is_named(tmp_path):
    """One byte of a decision is edited on the memory card and nobody can tell."""
    path = tmp_path / "ledger.db"
    write_ledger(path, COMMITS)
    for name in ("-wal", "-shm"):
        (tmp_path / f"ledger.db{name}").unlink(missing_ok=True)  # empty once the ledger is closed
    assert verify_file(path, parse_key(Signer().vkey)).records == sum(COMMITS)
    whole, other = path.read_bytes(), tmp_path / "other.db"
    for record in records_of(shutil.copy(path, tmp_path / "copy.db")):
        for part in filter(None, (record.leaf, record.salt, record.body, record.checkpoint)):
            assert whole.count(part) == 1
            at = whole.index(part)
            for index in range(at, at + len(part)):
                changed = bytearray(whole)
                changed[index] ^= 1 << index % 8
                other.write_bytes(changed)
                problem = verify_file(other, parse_key(Signer().vkey)).problem
                assert problem is not None
                assert problem.index == record.seq
