"""The one thread that waits for the disk, so that nothing else does.

It takes what the loop hands over, writes all that waits as one transaction, and reports back through the inbox. Reads
for subscribers are served between commits, because the ledger's file belongs to this thread's connection alone.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from controller.cosigning import Attended
from controller.ledger.errors import LedgerError
from controller.ledger.store import Ledger, StoredRecord
from controller.log_chores import Chore, LogReport
from controller.turn import Turn

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The records of `turn` are durable, from `first_seq` on; the ledger now holds `size` records."""

    turn: Turn
    first_seq: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFailed:
    """The records of `turn` are not in the ledger and will not be."""

    turn: Turn
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRead:
    """What the ledger holds from `from_seq` on, for session `session`; `why` says why nothing could be read."""

    session: int
    from_seq: int
    records: Sequence[StoredRecord]
    why: str = ""


Report = Committed | CommitFailed | PageRead | Attended | LogReport

Question = Callable[[Ledger], Report]
"""Something short to be asked of the ledger, or kept in it beside the records. It raises nothing."""


class Committer(threading.Thread):
    """Appends turns to the ledger.

    Args:
        ledger: open, and used by nobody else from now on.
        report: called from this thread with each outcome; must only enqueue.
    """

    def __init__(self, ledger: Ledger, report: Callable[[Report], None]) -> None:
        super().__init__(name="committer", daemon=True)
        self._ledger = ledger
        self._report = report
        self._asked: SimpleQueue[Turn | Question | Chore | None] = SimpleQueue()
        self._questions: deque[Question] = deque()
        self._chores: deque[Chore] = deque()

    def submit(self, turn: Turn) -> None:
        """Hand over a turn that has records. Returns at once; the outcome is reported."""
        self._asked.put(turn)

    def read(self, session: int, from_seq: int, limit: int) -> None:
        """Ask for a page of records; reported as PageRead."""
        self._asked.put(lambda ledger: _read(ledger, session, from_seq, limit))

    def take(self, chore: Chore) -> None:
        """Have long work done, a slice between two commits; what came of it is reported."""
        self._asked.put(chore)

    def ask(self, question: Question) -> None:
        """Have `question` answered; what it answers is reported. Whoever asks bounds how many wait."""
        self._asked.put(question)

    def stop(self) -> None:
        """Write what was handed over, then end the thread and close the ledger."""
        self._asked.put(None)

    def run(self) -> None:
        is_stopping = False
        while not is_stopping or self._questions:
            turns, has_stopped = self._gathered(is_idle=not (self._questions or self._chores or is_stopping))
            is_stopping = is_stopping or has_stopped
            if turns:
                self._commit(turns)
            if self._questions:  # one between two commits: a reader never waits for ever, nor does a door
                self._answer(self._questions.popleft())
            if self._chores and self._work(self._chores[0]):
                self._chores.popleft()
        self._ledger.close()

    def _gathered(self, *, is_idle: bool) -> tuple[list[Turn], bool]:
        """The turns that wait, and whether the end was asked for. Waits for something where there is nothing to do."""
        turns: list[Turn] = []
        has_stopped = False
        waiting = [self._asked.get()] if is_idle else []
        while not self._asked.empty():
            waiting.append(self._asked.get())
        for asked in waiting:
            if asked is None:
                has_stopped = True
            elif isinstance(asked, Turn):
                turns.append(asked)
            elif callable(asked):
                self._questions.append(asked)
            else:
                self._chores.append(asked)
        return turns, has_stopped

    def _commit(self, turns: list[Turn]) -> None:
        drafts = [draft for turn in turns for draft in turn.records]
        try:
            seqs = self._ledger.append(drafts)
        except Exception as error:  # noqa: BLE001 - this thread's rim: whatever it was, nothing was written and all must know
            for turn in turns:
                self._report(CommitFailed(turn=turn, why=str(error) or repr(error)))
            return
        first = seqs.start
        for turn in turns:
            self._report(Committed(turn=turn, first_seq=first, size=seqs.stop))
            first += len(turn.records)

    def _answer(self, question: Question) -> None:
        try:
            report = question(self._ledger)
        except Exception:
            log.exception("a question about the ledger broke; whoever asked it gets no answer")  # and the commits go on
            return
        self._report(report)

    def _work(self, chore: Chore) -> bool:
        """One slice of a chore; whether it is over. What a stop leaves undone the next start takes up again."""
        try:
            report = chore.step(self._ledger)
        except LedgerError as error:
            report = chore.failed(str(error))
        except Exception as error:  # noqa: BLE001 - this thread's rim: a chore that breaks must not end the commits
            report = chore.failed(repr(error))
        if report is not None:
            self._report(report)
        return report is not None


def _read(ledger: Ledger, session: int, from_seq: int, limit: int) -> PageRead:
    try:
        page, why = ledger.read(from_seq, limit), ""
    except LedgerError as error:
        page, why = [], str(error)
    return PageRead(session=session, from_seq=from_seq, records=page, why=why)
