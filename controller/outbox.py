"""Between the deciding loop and the committer: knows whether the ledger can be written, and loses nothing it need not.

While it cannot (full disk, I/O error, a stall), entries are refused by the engine and the records of what happens all
the same (refusals, exits, doors) are owed: kept in memory, bounded, and written first when the disk is back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from controller.ledger.body import Draft, Scribe
from controller.ledger.catalogue import FLOOR
from controller.turn import Turn
from zones.moment import Moment

STALL_MS: Final = 1_500
"""A commit that takes longer than this means that the disk has stalled."""

RETRY_MS: Final = 1_000
OWED_MAX: Final = 20_000


class Outbox:
    """Hands turns to the committer while it keeps up.

    Args:
        scribe: drafts the records about the outage itself.
        submit: gives a turn to the committer.
        omitted: record types that this site does not keep; none of the floor (docs/ledger.md §6).
    """

    def __init__(self, scribe: Scribe, submit: Callable[[Turn], None], omitted: Collection[str] = frozenset()) -> None:
        self._scribe = scribe
        self._submit = submit
        self._omitted = frozenset(omitted) - FLOOR
        self._waiting: deque[tuple[Turn, int]] = deque()
        self._owed: deque[Draft] = deque()
        self._returned = 0
        self._lost = 0
        self._failed_why = ""
        self._failed_at: Moment | None = None
        self._retry_tick = 0

    @property
    def is_writable(self) -> bool:
        """Whether an entry decided now could be recorded now."""
        return self._failed_at is None

    @property
    def depth(self) -> int:
        """Turns handed over and not yet reported on."""
        return len(self._waiting)

    def push(self, turn: Turn, now: Moment) -> None:
        """Send a turn's records on their way, or owe them while the ledger cannot be written."""
        turn = self._kept(turn)
        if not turn.records:
            return
        if self._failed_at is None:
            self._hand_over(turn, now)
            return
        assert not turn.after, "nothing may wait for a ledger that cannot be written"
        self._owe(turn.records)

    def _kept(self, turn: Turn) -> Turn:
        """The turn without the records that this site leaves out: the one place where any is. What waits for a record
        waits for the same one.
        """
        if not self._omitted or not any(draft.body.type in self._omitted for draft in turn.records):
            return turn
        places: dict[int, int] = {}
        records: list[Draft] = []
        for index, draft in enumerate(turn.records):
            if draft.body.type not in self._omitted:
                places[index] = len(records)
                records.append(draft)
        after = [replace(one, index=places[one.index]) for one in turn.after]
        return Turn(urgent=turn.urgent, records=records, after=after)

    def owe(self, drafts: list[Draft], why: str, now: Moment) -> None:
        """Records of a failed turn: written when the disk is back. From now on the ledger counts as unwritable."""
        self._owed.rotate(-self._returned)  # turns fail in the order in which they were handed over
        self._owed.extendleft(reversed(drafts))
        self._owed.rotate(self._returned)
        self._returned += len(drafts)
        self._trim()
        self._note_failure(why, now)

    def settled(self) -> None:
        """The oldest turn handed over has been reported on, well or badly."""
        if self._waiting:
            self._waiting.popleft()

    def recovered(self, now: Moment) -> tuple[Draft, ...]:
        """A commit went through: the ledger can be written again. What is owed goes first. Returns what is new."""
        if self._failed_at is None or self._waiting:
            return ()
        since, self._failed_at = self._failed_at, None
        detail = {"why": self._failed_why[:200], "for_ms": now.tick_ms - since.tick_ms, "records_lost": self._lost}
        restored = self._scribe.draft("STORAGE_RESTORED", now=now, detail=detail)
        turn = Turn(records=[*self._owed, restored])
        self._owed.clear()
        self._lost = 0
        self._hand_over(turn, now)
        return (restored,)

    def watch(self, now: Moment) -> None:
        """Notice a stall; try again after a failure."""
        if self._waiting and now.tick_ms - self._waiting[0][1] > STALL_MS:
            self._note_failure("the disk has stalled", now)
        elif self._failed_at is not None and not self._waiting and now.tick_ms >= self._retry_tick:
            self._retry_tick = now.tick_ms + RETRY_MS
            probe = [self._owed.popleft() for _ in range(min(len(self._owed), 64))]
            self._hand_over(Turn(records=probe or [self._failure_record(now)]), now)

    def deadline(self) -> int | None:
        """The next tick (ms) at which `watch` has something to do."""
        if self._waiting:
            return self._waiting[0][1] + STALL_MS + 1 if self._failed_at is None else None
        return None if self._failed_at is None else self._retry_tick

    def _hand_over(self, turn: Turn, now: Moment) -> None:
        self._returned = 0 if not self._waiting else self._returned
        self._waiting.append((turn, now.tick_ms))
        self._submit(turn)

    def _owe(self, drafts: list[Draft]) -> None:
        self._owed.extend(drafts)
        self._trim()

    def _trim(self) -> None:
        """Memory is bounded: the oldest owed records are lost, and counted."""
        while len(self._owed) > OWED_MAX:
            self._owed.popleft()
            self._returned = max(0, self._returned - 1)
            self._lost += 1

    def _note_failure(self, why: str, now: Moment) -> None:
        if self._failed_at is None:
            self._failed_at, self._failed_why = now, why
            self._retry_tick = now.tick_ms + RETRY_MS
            self._owe([self._failure_record(now)])

    def _failure_record(self, now: Moment) -> Draft:
        return self._scribe.draft("STORAGE_FAILED", now=now, detail={"why": self._failed_why[:200]})
