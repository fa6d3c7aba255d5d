"""The thread that waits for the disk: one sync for all that waits, and a word on every turn."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.committer import CommitFailed, Committed, Committer, PageRead
from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.errors import LedgerUnavailable
from controller.ledger.store import Ledger, StoredRecord
from controller.turn import Turn
from zones.moment import Moment

NOW = Moment(at=datetime(2026, 11, 24, 3, 0, tzinfo=UTC), tick_ms=1_000_000)
SCRIBE = Scribe(node="gate", boot="b0")


class Disk(Ledger):
    """A real ledger on a disk that waits, or fails, when the test says so."""

    faults: list[Exception]
    is_free: threading.Event
    is_asked: threading.Event

    def append(self, drafts: Any) -> range:
        self.is_asked.set()
        assert self.is_free.wait(20)
        if self.faults:
            raise self.faults.pop(0)
        return super().append(drafts)

    def read(self, from_seq: int, limit: int) -> list[StoredRecord]:
        if self.faults:
            raise self.faults.pop(0)
        return super().read(from_seq, limit)


class Committing:
    """A committer at work, and what it reports."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        ledger = self.opens(Disk)
        self.disk = ledger
        ledger.faults, ledger.is_free, ledger.is_asked = [], threading.Event(), threading.Event()
        ledger.is_free.set()
        self.reports: queue.Queue[Any] = queue.Queue()
        self.committer = Committer(ledger, self.reports.put)

    def opens(self, kind: type[Any] = Ledger) -> Any:
        return kind.open(self.path, SigningKey.from_seed(bytes(32)), "sekisho.example/gate")

    def submits(self, *names: str) -> Turn:
        turn = Turn(records=[SCRIBE.draft("REX", now=NOW, portal=name) for name in names])
        self.committer.submit(turn)
        return turn

    def says(self) -> Any:
        return self.reports.get(timeout=20)

    def ends(self) -> None:
        self.disk.is_free.set()
        if self.committer.is_alive():
            self.committer.stop()
            self.committer.join(20)
        self.disk.close()


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Committing]:
    made = Committing(tmp_path)
    made.committer.start()
    yield made
    made.ends()


def written(ledger: Ledger) -> list[tuple[str | None, bool]]:
    """Every record's portal, and whether a checkpoint stands on it."""
    records = ledger.read(0, 1000)
    return [(body.portal, r.checkpoint is not None) for r in records if (body := r.decoded()) is not None]


def test_turns_that_wait_share_one_sync(at_work):
    """Sixteen doors at once would wait for sixteen syncs, and people would stand before them."""
    at_work.disk.is_free.clear()
    first = at_work.submits("a")
    assert at_work.disk.is_asked.wait(20)
    more = [at_work.submits("b", "c"), at_work.submits("d"), at_work.submits("e")]
    at_work.disk.is_free.set()
    reports = [at_work.says() for _ in range(4)]
    assert [report.turn for report in reports] == [first, *more]
    assert [(report.first_seq, report.size) for report in reports] == [(0, 1), (1, 5), (3, 5), (4, 5)]
    at_work.ends()
    with at_work.opens() as ledger:
        assert written(ledger) == [("a", True), ("b", False), ("c", False), ("d", False), ("e", True)]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (LedgerUnavailable("database or disk is full"), "database or disk is full"),
        (RuntimeError("a mistake of ours"), "a mistake of ours"),
        (MemoryError(), "MemoryError()"),
    ],
)
def test_every_turn_of_a_failed_commit_is_told(at_work, fault, why):
    """Somebody would be let in though nothing was recorded, or the doors would wait for an answer for ever."""
    at_work.disk.faults.append(fault)
    at_work.disk.is_free.clear()
    turns = [at_work.submits("a"), at_work.submits("b"), at_work.submits("c")]
    at_work.disk.is_free.set()
    reports = [at_work.says() for _ in range(3)]
    assert [report.turn for report in reports] == turns
    failed = [report for report in reports if isinstance(report, CommitFailed)]
    assert failed and {report.why for report in failed} == {why}
    last = at_work.submits("d")
    report = at_work.says()
    assert isinstance(report, Committed) and report.turn is last
    assert report.size == 4 - len(failed)
    at_work.ends()
    with at_work.opens() as ledger:
        assert [portal for portal, _ in written(ledger)] == ["a", "b", "c", "d"][len(failed) :]


def test_pages_are_read_between_commits(at_work):
    """The officers' view would stand still as long as people come in."""
    for name in "abc":
        at_work.submits(name)
        at_work.says()
    at_work.disk.is_asked.clear()
    at_work.disk.is_free.clear()
    at_work.submits("d")
    assert at_work.disk.is_asked.wait(20)
    at_work.committer.read(7, 1, 2)
    at_work.committer.read(8, 3, 9)
    at_work.submits("e")
    at_work.disk.is_free.set()
    reports = [at_work.says() for _ in range(4)]
    assert [type(report) for report in reports] == [Committed, Committed, PageRead, PageRead]
    pages = [report for report in reports if isinstance(report, PageRead)]
    assert [(page.session, page.from_seq, [r.seq for r in page.records]) for page in pages] == [
        (7, 1, [1, 2]),
        (8, 3, [3, 4]),
    ]


def test_a_page_that_cannot_be_read_is_told(at_work):
    """A subscriber would never be fed again."""
    at_work.disk.faults.append(LedgerUnavailable("disk I/O error"))
    at_work.committer.read(7, 0, 5)
    assert at_work.says() == PageRead(session=7, from_seq=0, records=[], why="disk I/O error")


def test_what_was_handed_over_is_written_before_the_end(at_work):
    """The last records before a stop would be missing."""
    at_work.disk.is_free.clear()
    for name in "abc":
        at_work.submits(name)
    at_work.committer.stop()
    at_work.ends()
    with at_work.opens() as ledger:
        assert [portal for portal, _ in written(ledger)] == ["a", "b", "c"]
