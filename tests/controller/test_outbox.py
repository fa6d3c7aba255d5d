"""Between deciding and the disk: what happened is owed, in order, until the disk is back or the memory is full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.ledger.body import Draft, Scribe
from controller.outbox import OWED_MAX, RETRY_MS, STALL_MS, Outbox
from controller.turn import Turn
from zones.moment import Moment

NOON = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class Disk:
    """An outbox, and what was handed over to be written; the test says what becomes of it."""

    def __init__(self) -> None:
        self.scribe = Scribe(node="gate", boot="b0")
        self.turns: list[Turn] = []
        self.outbox = Outbox(self.scribe, self.turns.append)
        self.tick_ms = 1_000_000
        self.written: list[str] = []

    @property
    def now(self) -> Moment:
        return Moment(at=NOON + timedelta(milliseconds=self.tick_ms), tick_ms=self.tick_ms)

    def happens(self, *names: str) -> None:
        """A REX at each of these portals, as one turn."""
        self.outbox.push(
            Turn(records=[self.scribe.draft("REX", now=self.now, portal=name) for name in names]), self.now
        )

    def fails(self, why: str = "disk full") -> None:
        turn = self.turns.pop(0)
        self.outbox.settled()
        self.outbox.owe(list(turn.records), why, self.now)

    def writes(self) -> None:
        turn = self.turns.pop(0)
        self.written += [named(draft) for draft in turn.records]
        self.outbox.settled()
        self.outbox.recovered(self.now)

    def passes(self, milliseconds: int) -> None:
        self.tick_ms += milliseconds
        self.outbox.watch(self.now)


def named(draft: Draft) -> str:
    return draft.body.portal or draft.body.type


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_what_is_owed_is_written_in_the_order_in_which_it_happened(disk):
    """After an outage the ledger would tell another story than the doors."""
    disk.happens("a1", "a2")
    disk.happens("b1")
    disk.happens("c1", "c2")
    disk.fails()
    disk.fails()
    disk.happens("d1")
    disk.fails()
    disk.happens("e1")
    disk.passes(RETRY_MS)
    disk.fails()
    disk.passes(RETRY_MS)
    disk.writes()
    assert disk.outbox.is_writable
    disk.writes()
    assert disk.written == [
        *("a1", "a2", "b1", "c1", "c2"),
        *("STORAGE_FAILED", "d1", "e1", "STORAGE_RESTORED"),
    ]
    assert disk.turns == [] and disk.outbox.deadline() is None


def test_a_failure_is_told_once_and_tried_again_at_a_bounded_rate(disk):
    """A full disk would be hammered, and the ledger filled with complaints about itself."""
    disk.happens("a")
    disk.fails()
    assert disk.outbox.deadline() == disk.tick_ms + RETRY_MS
    for _ in range(10):
        disk.passes(RETRY_MS - 1)
        assert disk.turns == []
        disk.passes(1)
        assert len(disk.turns) == 1 and disk.outbox.deadline() is None
        disk.outbox.watch(disk.now)
        assert len(disk.turns) == 1
        disk.fails()
    disk.passes(RETRY_MS)
    disk.writes()
    disk.writes()
    assert disk.written == ["a", "STORAGE_FAILED", "STORAGE_RESTORED"]


def test_a_stall_is_noticed_in_time_and_ends_by_itself(disk):
    """Entries would be promised to a disk that does not answer."""
    disk.happens("a")
    assert disk.outbox.deadline() == disk.tick_ms + STALL_MS + 1
    disk.passes(STALL_MS)
    assert disk.outbox.is_writable
    disk.passes(1)
    assert not disk.outbox.is_writable
    disk.happens("b")
    disk.passes(10 * RETRY_MS)
    assert len(disk.turns) == 1
    disk.writes()
    assert disk.outbox.is_writable
    disk.writes()
    assert disk.written == ["a", "STORAGE_FAILED", "b", "STORAGE_RESTORED"]


def test_a_stall_that_ends_in_a_failure_keeps_the_order(disk):
    """The first record of an outage would stand behind the complaint about it."""
    disk.happens("a")
    disk.passes(STALL_MS + 1)
    disk.happens("b")
    disk.fails("I/O error")
    disk.passes(RETRY_MS)
    disk.writes()
    disk.writes()
    assert disk.written == ["a", "STORAGE_FAILED", "b", "STORAGE_RESTORED"]


def test_a_ledger_is_not_called_writable_while_a_turn_is_under_way(disk):
    """An entry would be promised between two failures."""
    disk.happens("a")
    disk.happens("b")
    disk.fails()
    disk.writes()
    assert disk.outbox.is_writable
    disk.happens("c")
    disk.happens("d")
    disk.passes(STALL_MS + 1)
    disk.turns.pop(0)
    disk.outbox.settled()
    disk.outbox.recovered(disk.now)
    assert not disk.outbox.is_writable


def test_memory_is_bounded_and_the_loss_is_counted(disk):
    """A long outage would end the process; or nobody would know how much is missing."""
    disk.happens("first")
    disk.fails()
    many = [disk.scribe.draft("REX", now=disk.now, portal=f"p{n % 7}") for n in range(OWED_MAX // 2)]
    for _ in range(3):
        disk.outbox.push(Turn(records=list(many)), disk.now)
    disk.passes(RETRY_MS)
    probe = disk.turns[0]
    disk.fails()
    disk.passes(RETRY_MS)
    assert [named(draft) for draft in disk.turns[0].records] == [named(draft) for draft in probe.records]
    disk.writes()
    restored = disk.turns[0].records[-1].body
    written = len(disk.written) + len(disk.turns[0].records) - 1
    assert restored.type == "STORAGE_RESTORED" and restored.detail is not None
    assert restored.detail["records_lost"] + written == 2 + 3 * len(many)
    assert written <= OWED_MAX
    assert restored.detail["for_ms"] == 2 * RETRY_MS


def test_nothing_is_handed_over_where_there_is_nothing_to_say(disk):
    """Every turn of a quiet night would cost a commit."""
    disk.outbox.push(Turn(), disk.now)
    assert disk.turns == [] and disk.outbox.depth == 0 and disk.outbox.deadline() is None
