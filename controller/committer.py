"""The one thread that waits for the disk, so that nothing else does.

It takes what the loop hands over, writes all that waits as one transaction, and reports back through the inbox. Reads
for subscribers are served between commits, because the ledger's file belongs to this thread's connection alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from controller.ledger.errors import LedgerError
from controller.ledger.store import Ledger, StoredRecord
from controller.turn import Turn


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


Report = Committed | CommitFailed | PageRead

_Page = tuple[int, int, int]
"""Session, first sequence number, how many records."""


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
        self._asked: SimpleQueue[Turn | _Page | None] = SimpleQueue()

    def submit(self, turn: Turn) -> None:
        """Hand over a turn that has records. Returns at once; the outcome is reported."""
        self._asked.put(turn)

    def read(self, session: int, from_seq: int, limit: int) -> None:
        """Ask for a page of records; reported as PageRead."""
        self._asked.put((session, from_seq, limit))

    def stop(self) -> None:
        """Write what was handed over, then end the thread and close the ledger."""
        self._asked.put(None)

    def run(self) -> None:
        pages: deque[_Page] = deque()
        is_stopping = False
        while not is_stopping or pages:
            turns: list[Turn] = []
            waiting = [] if pages or is_stopping else [self._asked.get()]
            while not self._asked.empty():
                waiting.append(self._asked.get())
            for asked in waiting:
                if asked is None:
                    is_stopping = True
                elif isinstance(asked, Turn):
                    turns.append(asked)
                else:
                    pages.append(asked)
            if turns:
                self._commit(turns)
            if pages:  # one between two commits: a reader never waits for ever, nor does a door
                self._read(*pages.popleft())
        self._ledger.close()

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

    def _read(self, session: int, from_seq: int, limit: int) -> None:
        try:
            page, why = self._ledger.read(from_seq, limit), ""
        except LedgerError as error:
            page, why = [], str(error)
        self._report(PageRead(session=session, from_seq=from_seq, records=page, why=why))
