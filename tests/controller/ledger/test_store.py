"""The ledger on its disk: what is acknowledged stays, what fails leaves no trace, what is not ours is left be."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.ledger import file
from controller.ledger.errors import LedgerDamaged, LedgerRefused, LedgerUnavailable
from controller.ledger.store import Ledger
from tests.controller.ledger.conftest import ORIGIN
from zones.moment import Moment

NOW = Moment(at=datetime(2026, 11, 2, tzinfo=UTC), tick_ms=0)


@contextlib.contextmanager
def disk_that_takes(limit: int):
    """No file of this process grows, or is written, beyond `limit` bytes: the kernel refuses with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def appends_until_it_fails(ledger, site):
    for _ in range(100):
        ledger.append(site.drafts())


@contextlib.contextmanager
def full_disk(ledger):
    """SQLite's own disk-full: the database may not get another page."""
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count={pages}")
    try:
        yield
    finally:
        ledger._connection.execute("PRAGMA max_page_count=1073741823")


def test_an_append_is_one_commit_with_one_checkpoint(site, path):
    """A reader could not tell what was committed together, or a commit would be unsigned."""
    with site.opens(path) as ledger:
        assert (ledger.size, ledger.checkpoint_text, ledger.last_at_ms()) == (0, None, None)
        assert ledger.append(site.drafts()) == range(1)
        drafts = site.drafts(3)
        assert ledger.append(drafts) == range(1, 4)
        records = ledger.read(0, 10)
        assert [record.checkpoint is not None for record in records] == [True, False, False, True]
        assert [record.body for record in records[1:]] == [draft.text for draft in drafts]
        assert records[-1].checkpoint.decode() == ledger.checkpoint_text
        assert ledger.last_at_ms() == drafts[-1].body.at_ms
        assert len({record.salt for record in records}) == 4
        site.finds_whole(ledger)


def test_nothing_is_not_appended(site, path):
    """A checkpoint would be signed that belongs to no record."""
    with site.opens(path) as ledger, pytest.raises(ValueError, match="nothing"):
        ledger.append([])


@pytest.mark.req("A-27")
def test_it_goes_on_across_starts_and_tiles(site, path):
    """A restart would fork the tree, or lose its place after 256 records."""
    sizes = [1, 254, 1, 1, 300, 255, 1, 700]
    for count in sizes:
        with site.opens(path) as ledger:
            ledger.append(site.drafts(count))
    with site.opens(path) as ledger:
        assert ledger.size == sum(sizes)
        site.finds_whole(ledger)


@pytest.mark.req("S-02")
def test_the_same_seed_gives_the_same_ledger(site_of, tmp_path):
    """A recorded day could not be replayed and compared."""
    ledgers = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        site = site_of(seed)
        with site.opens(tmp_path / f"{name}.db") as ledger:
            for count in (1, 5, 1, 300):
                ledger.append(site.drafts(count))
            ledgers.append((ledger.checkpoint_text, ledger.read(0, 1000)))
    assert ledgers[0] == ledgers[1]
    assert ledgers[0][0] != ledgers[2][0]


def test_another_thread_may_use_what_one_opened(site, path):
    """The committer thread could not commit."""
    with site.opens(path) as ledger:
        thread = threading.Thread(target=lambda: ledger.append(site.drafts(2)))
        thread.start()
        thread.join()
        assert ledger.size == 2


def test_scans_find_by_type_both_ways(site, path):
    """A start would place people by the wrong records, or read the whole ledger for one."""
    with site.opens(path) as ledger:
        for _ in range(300):
            ledger.append(site.drafts(1, "PASSAGE") + site.drafts(2, "REX"))
        passages = list(ledger.scan(types=["PASSAGE"]))
        assert [record.seq for record in passages] == list(range(0, 900, 3))
        assert {record.decoded().type for record in passages} == {"PASSAGE"}
        assert list(ledger.scan(types={"PASSAGE"}, is_backward=True)) == passages[::-1]
        assert [record.seq for record in ledger.scan(890)] == list(range(890, 900))
        assert [record.seq for record in ledger.scan(600, is_backward=True)] == list(range(899, 599, -1))
        assert list(ledger.scan(900)) == []
        assert list(ledger.scan(5000, is_backward=True)) == []
        assert next(ledger.scan(types=["PASSAGE"], is_backward=True)).seq == 897


def test_a_type_named_in_a_detail_is_no_record_of_it(site, path):
    """A policy edit that speaks of a passage would move somebody."""
    draft = site.scribe.draft("POLICY_EDITED", now=NOW, detail={"edit": {"type": "PASSAGE"}})
    with site.opens(path) as ledger:
        ledger.append([draft])
        assert b'"type":"PASSAGE"' in ledger.read(0, 1)[0].body
        assert list(ledger.scan(types=["PASSAGE"])) == []


def test_a_body_that_retention_dropped_is_passed_over(site, path):
    """The first deletion would keep the controller from starting."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        last = site.drafts()
        ledger.append(last)
        ledger._connection.execute("UPDATE record SET salt=NULL, body=NULL WHERE seq IN (1, 3)")
    with site.opens(path) as ledger:
        assert ledger.read(3, 1)[0].decoded() is None
        assert [record.seq for record in ledger.scan(types=["ACCESS_DENIED"])] == [0, 2]
        assert ledger.last_at_ms() == last[0].body.at_ms - 1000
        ledger.append(site.drafts())


# -- the disk fails ------------------------------------------------------------------------------------------------


@pytest.mark.req("A-24", "B-12")
@pytest.mark.parametrize("count", [1, 40])
def test_a_disk_that_refuses_is_told_and_nothing_is_half_there(site, path, count):
    """A door would open on a record that is not there, or the ledger would stay dead after the disk came back."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(5))
        before = (ledger.size, ledger.root, ledger.checkpoint_text, ledger.read(0, 10))
        for _ in range(3):
            with disk_that_takes(1000), pytest.raises(LedgerUnavailable, match=r"ledger\.db: .*SQLITE_(IOERR|FULL)"):
                ledger.append(site.drafts(count))
            assert (ledger.size, ledger.root, ledger.checkpoint_text, ledger.read(0, 10)) == before
        assert ledger.append(site.drafts(count)) == range(5, 5 + count)
        site.finds_whole(ledger)
    with site.opens(path) as ledger:
        assert ledger.size == 5 + count
        site.finds_whole(ledger)


@pytest.mark.req("A-24")
def test_a_full_disk_is_told_and_passes(site, path):
    """A full disk would stop the building until somebody restarts the controller."""
    with site.opens(path) as ledger:
        with full_disk(ledger), pytest.raises(LedgerUnavailable, match="SQLITE_FULL"):
            appends_until_it_fails(ledger, site)
        size = ledger.size
        assert 0 < size < 100
        ledger.append(site.drafts(300))
        assert ledger.size == size + 300
        site.finds_whole(ledger)


@pytest.mark.req("B-12")
def test_a_failure_in_the_middle_of_a_batch_takes_none_of_it(site, path):
    """A passage would be recorded without the grant before it."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts())
        with full_disk(ledger), pytest.raises(LedgerUnavailable):
            ledger.append(site.drafts(300))
        assert ledger.size == len(ledger.read(0, 1000)) == 1
        ledger.append(site.drafts(300))
        site.finds_whole(ledger)


def test_a_source_of_randomness_that_fails_leaves_the_ledger_as_it_was(site, path):
    """The tree would hold leaves that the disk has not."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts())
        good, ledger._random = ledger._random, lambda count: (_ for _ in ()).throw(OSError("no entropy"))
        with pytest.raises(OSError, match="entropy"):
            ledger.append(site.drafts(3))
        ledger._random = good
        ledger.append(site.drafts())
        assert ledger.size == 2
        site.finds_whole(ledger)


def test_after_a_failure_it_looks_before_it_writes(site, path):
    """After an I/O error a ledger that changed under us would be signed over."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        with disk_that_takes(1000), pytest.raises(LedgerUnavailable):
            ledger.append(site.drafts())
        ledger._connection.execute("UPDATE record SET body=x'7b7d' WHERE seq=1")
        with pytest.raises(LedgerDamaged, match="record 1") as caught:
            ledger.append(site.drafts())
        assert caught.value.seq == 1


def test_a_reading_disk_that_fails_is_told(site, path):
    """The thread that answers the web process would die."""
    ledger = site.opens(path)
    ledger.append(site.drafts())
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerUnavailable):
        ledger.read(0, 1)


# -- the file ------------------------------------------------------------------------------------------------------


def test_commits_never_change_a_file_s_size(site, path):
    """Each commit would wait for the file system's journal as well."""
    log = path.with_name("ledger.db-wal")
    with site.opens(path) as ledger:
        size = log.stat().st_size
        assert size == file.WAL_BYTES
        for _ in range(1300):  # beyond the second round of the write-ahead log
            ledger.append(site.drafts())
            assert log.stat().st_size == size
    assert not log.exists()


def test_the_pragmas_are_those_of_the_page(site, path):
    """A power cut would take acknowledged records."""
    with site.opens(path) as ledger:
        read = {
            name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "locking_mode", "user_version", "application_id", "page_size")
        }
        assert read == {
            "journal_mode": "wal",
            "synchronous": 2,
            "locking_mode": "exclusive",
            "user_version": 2,
            "application_id": 0x53454B49,
            "page_size": 2048,
        }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode=EXCLUSIVE")
connection.execute("BEGIN IMMEDIATE")
connection.execute("COMMIT")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_ledger_in_use_elsewhere_is_refused(site, path):
    """Two controllers would write one ledger."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts())
        with pytest.raises(LedgerRefused, match=r"ledger\.db: in use by another process"):
            site.opens(path)
        ledger.append(site.drafts())
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerRefused, match="in use by another process"):
            site.opens(path)
    with site.opens(path) as ledger:
        assert ledger.size == 2


def strangers_database(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
        connection.execute("PRAGMA journal_mode=WAL")


def newer_ledger(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id={file.APPLICATION_ID}")
        connection.execute("PRAGMA user_version=3")
        connection.execute("CREATE TABLE record (seq)")


@pytest.mark.parametrize(
    "make, why",
    [
        (lambda path: path.write_bytes(b""), "not a database"),
        (lambda path: path.write_text("[controller]\n" * 40), "not a database"),
        (lambda path: path.write_bytes(b"SQLite format 3\x00"), "not a database"),
        (strangers_database, "another program"),
        (newer_ledger, "version 3"),
        (lambda path: path.with_name("ledger.db-wal").write_bytes(b"x"), r"missing, but ledger\.db-wal"),
    ],
    ids=["empty", "text", "header", "stranger", "newer", "log alone"],
)
def test_what_is_not_ours_is_named_and_left_alone(site, path, make, why):
    """Somebody's file would be overwritten, or a lost ledger silently begun anew."""
    make(path)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    with pytest.raises(LedgerRefused, match=rf"ledger\.db: .*{why}"):
        site.opens(path)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_a_folder_that_is_not_there_is_told(site, tmp_path):
    """A typo in the configuration would be a traceback."""
    with pytest.raises(LedgerUnavailable, match="nowhere"):
        site.opens(tmp_path / "nowhere" / "ledger.db")


def test_a_start_that_died_while_making_the_file_is_no_obstacle(site, path):
    """A power cut at the first start would need somebody to clean up."""
    path.with_name("ledger.db.new").write_bytes(b"half")
    path.with_name("ledger.db.new-journal").write_bytes(b"half")
    with site.opens(path) as ledger:
        ledger.append(site.drafts())
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


# -- the process dies, the power goes ------------------------------------------------------------------------------

WRITER = """
import json, os, random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from datetime import UTC, datetime
from zones.moment import Moment
draw = random.Random(int(sys.argv[3]))
scribe = Scribe(node="gate-1", boot="b-" + sys.argv[3])
key = SigningKey.from_seed(b"made-up seed for tests, 32 bytes")
ledger = Ledger.open(Path(sys.argv[2]), key, "sekisho.example/gate-1")
now = Moment(at=datetime(2026, 11, 2, tzinfo=UTC), tick_ms=0)
while True:
    corrs = [f"g-{draw.randrange(10**9)}" for _ in range(draw.choice([1, 1, 1, 2, 5, 40]))]
    seqs = ledger.append([scribe.draft("ACCESS_GRANTED", now=now, corr=corr) for corr in corrs])
    os.write(1, (json.dumps([seqs.start, corrs]) + "\\n").encode())
"""


@pytest.mark.req("B-12", "A-27")
def test_kill_at_any_moment_loses_nothing_that_was_acknowledged(site, path):
    """A door would have opened on a record that is gone."""
    root = Path(__file__).parents[3]
    acknowledged: dict[int, str] = {}
    for round_ in range(10):
        command = [sys.executable, "-c", WRITER, root, path, str(round_)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            lines = [writer.stdout.readline() for _ in range(site.random.randrange(1, 400))]
            writer.kill()
            lines += writer.stdout.readlines()
        for line in lines:
            if line.endswith(b"\n"):  # the last may be torn; its record may be there, and need not
                first, corrs = json.loads(line)
                acknowledged.update(enumerate(corrs, first))
        with site.opens(path) as ledger:  # verifies the tail
            assert ledger.size >= len(acknowledged)
            stored = {record.seq: record.decoded().corr for record in ledger.scan()}
            assert acknowledged.items() <= stored.items(), f"round {round_}"
            ledger.append(site.drafts())
    with site.opens(path) as ledger:
        site.finds_whole(ledger)
        assert max(acknowledged) > 1000


@pytest.mark.req("B-12")
@pytest.mark.parametrize("seed", range(12))
def test_a_log_torn_anywhere_leaves_an_earlier_whole_ledger(site_of, tmp_path, seed):
    """After a power cut that tore what was not yet synced, the controller would not start."""
    site = site_of(seed)
    live, torn = tmp_path / "live.db", tmp_path / "torn.db"
    with site.opens(live) as ledger:
        acknowledged = [0]
        for _ in range(site.random.randrange(1, 60)):
            ledger.append(site.drafts(site.random.choice([1, 1, 3, 30])))
            acknowledged.append(ledger.size)
        log = live.with_name("live.db-wal").read_bytes()
        shutil.copy(live, torn)
        used = 32 + ledger._connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1] * 4120
        kept = site.random.randrange(used + 1)
        rest = site.random.choice([b"", bytes(len(log) - kept), site.random.randbytes(used - kept)])
        torn.with_name("torn.db-wal").write_bytes(log[:kept] + rest)
    with Ledger.open(torn, site.key, ORIGIN, site.random.randbytes, may_set_aside=True) as ledger:
        assert ledger.size in acknowledged
        assert ledger.damage is None or (ledger.damage.first, ledger.damage.count) == (ledger.size, 0)
        ledger.append(site.drafts(2))
        site.finds_whole(ledger)
