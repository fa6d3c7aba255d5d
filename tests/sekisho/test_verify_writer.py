"""The verifier against what the controller really writes: two readings of docs/ledger.md that must agree."""

from __future__ import annotations

import itertools
import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from controller.ledger.body import Scribe
from controller.ledger.checkpoint import Notary, SigningKey
from controller.ledger.store import Ledger
from controller.link.notes import COSIGNATURE, Vkey, cosign, parse_checkpoint
from controller.link.short_code import short_code
from sekisho.ledger_tiles import write_tiles
from sekisho.verify import WITNESS_KEY, parse_code, parse_key, verify_file
from tests.sekisho.ledger_by_hand import ORIGIN, Record, Signer, Witness
from tests.sekisho.served_ledger import ServedLedger
from tests.share import some_of
from zones.moment import Moment

COMMITS = [1, 2]
START = datetime(2026, 4, 1, tzinfo=UTC)


def write_ledger(path, commits):
    """A ledger by the real writer; its last checkpoint."""
    scribe = Scribe(node="n1", boot="b1")
    signer = SigningKey.from_seed(Signer().seed)
    types = itertools.chain(["CONTROLLER_STARTED"], itertools.repeat("ACCESS_DENIED"))
    with Ledger.open(path, signer, ORIGIN, random.Random(7).randbytes) as ledger:
        at = 0
        for count in commits:
            moments = [Moment(at=START + timedelta(seconds=at + one), tick_ms=one) for one in range(count)]
            ledger.append([scribe.draft(next(types), now=now, zone="z", officer="審査") for now in moments])
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
            for index in some_of(range(at, at + len(part))):
                changed = bytearray(whole)
                changed[index] ^= 1 << index % 8
                other.write_bytes(changed)
                problem = verify_file(other, parse_key(Signer().vkey)).problem
                assert problem is not None
                assert problem.index == record.seq, index - at


LATER_S = 1000 * 86_400
"""When the terms of the first records are over."""


def kept_ledger(path):
    """A ledger of everything that the product's writer does to one: entries, a purge, another key, a witness's line.
    Returns its last checkpoint and both keys.
    """
    scribe, at = Scribe(node="n1", boot="b1"), iter([*range(4), *range(LATER_S, LATER_S + 100)])

    def draft(type_, **fields):
        return scribe.draft(type_, now=Moment(at=START + timedelta(seconds=next(at)), tick_ms=0), **fields)

    old, new = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2))
    with Ledger.open(path, old, ORIGIN, random.Random(7).randbytes) as ledger:
        ledger.append([draft("CONTROLLER_STARTED", detail={"version": "1", "is_simulated": False})])
        ledger.append([draft("ACCESS_GRANTED", corr="b1-1"), draft("REX"), draft("PASSAGE", corr="b1-1")])
        purged = {"code": "daily", "count": 2, "id": "p", "of_class": "access", "ranges": [[1, 2]], "term_days": 730}
        purged |= {"reckoned_ms": int(START.timestamp() + LATER_S) * 1000}
        ledger.append([draft("PURGED", detail=purged)])
        assert ledger.drop_bodies("access", 1, 2, 100)[0] == 2
        keys = [ledger.notary.vkey, Notary(origin=ORIGIN, key=new).vkey]
        handed = {"id": "r", "old": keys[0], "new": keys[1], "officer2": "o-2"}
        ledger.hand_over(draft("LEDGER_KEY_ROTATED", officer="o-1", detail=handed), new)
        witness = Witness()
        vkey = Vkey(name=witness.name, algorithm=COSIGNATURE, public=witness.key.public_key().public_bytes_raw())
        line = cosign(parse_checkpoint(ledger.checkpoint_text), vkey, witness.key.sign, 1_790_000_000)
        assert ledger.add_cosignature(ledger.size, witness.name, line)
        ledger.append([draft("REX")])
        return ledger.checkpoint_text, keys


@pytest.mark.req("A-27", "D-23")
def test_all_that_the_controller_does_to_a_ledger_leaves_it_whole(tmp_path):
    """Purge, key change and witness would each end what an auditor can show."""
    note, keys = kept_ledger(tmp_path / "ledger.db")
    text = note.split("\n\n")[0] + "\n"
    for key in keys:
        report = verify_file(
            tmp_path / "ledger.db",
            parse_key(key),
            checkpoint=note.encode(),
            witnesses=[parse_key(Witness().vkey, WITNESS_KEY)],
            code=parse_code(short_code(7, text)),
        )
        assert (report.problem, report.end, report.bodies_dropped) == (None, "proven", 2)
        assert [(one.vkey, one.last) for one in report.keys] == [(keys[0], 5), (keys[1], 6)]
        assert [(one.record, one.at) for one in report.witnesses] == [(5, "2026-09-21T14:13:20Z")]


@pytest.mark.req("A-27")
def test_the_tiles_that_the_product_writes_are_whole(tmp_path):
    """A mirror made by our own command would be refused by our own verifier."""
    with ServedLedger(tmp_path / "served") as served:
        served.grows(1, 255, 44, 300)
        write_tiles(served.socket, tmp_path / "tiles")
        served.grows(3)
        write_tiles(served.socket, tmp_path / "tiles")
        report = verify_file(tmp_path / "tiles", parse_key(served.vkey))
    assert (report.problem, report.records, report.form) == (None, 603, "tiles")
