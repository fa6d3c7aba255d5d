"""Long work on the ledger, a slice at a time between commits, on the committer's thread: a badge waits for one slice.

What a start learns of earlier purges and holds, what is due now, and the dropping of bodies whose PURGED record is
durable. Each ends in one report to the loop, also where the disk fails: nothing is half done that a next start would
not do again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

import msgspec

from controller.ledger.store import Ledger, StoredRecord
from controller.retention import Due, Entry, Hold, Holds, Sweep, held

SLICE: Final = 200
"""Records looked at in one step."""

DROPPED: Final = 50
"""Records rewritten in one step: a badge that comes meanwhile waits for one commit of so many."""


class _Body(msgspec.Struct):
    type: str
    at_ms: int
    clock: str


_body: Final = msgspec.json.Decoder(_Body).decode
_any: Final = msgspec.json.Decoder(dict).decode
_MARKS: Final = (b'"type":"PURGED"', b'"type":"LEGAL_HOLD_')
_CLASS: Final = b'"class":"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An alarm that nobody has looked through yet: of whom it speaks, by pseudonym or as an officer."""

    seq: int
    at_ms: int
    is_grave: bool
    people: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLearnt:
    """What the ledger tells of earlier purges and of holds. `reckoned_ms`: of the newest purge, None before the first;
    `purged`: what that one dropped, to be dropped again where a crash came between. `why`: why it cannot be read.
    """

    holds: Holds = field(default_factory=dict)
    reckoned_ms: int | None = None
    purged: tuple[Due, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredFound:
    """What is due. `next_seq`: where the next look may begin."""

    due: tuple[Due, ...] = ()
    next_seq: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodiesDropped:
    """So many bodies are gone, and what was theirs is overwritten; or why not all of them."""

    count: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLearnt:
    """What the ledger tells of looks through it: up to where and when the last was (before the first: -1, and when the
    ledger began), and the alarms since. `why`: why it cannot be read.
    """

    to_seq: int = -1
    newest_seq: int = -1
    reviewed_ms: int | None = None
    spoken: tuple[Spoken, ...] = ()
    why: str = ""


LogReport = LogLearnt | ExpiredFound | BodiesDropped | ReviewLearnt


class Chore(Protocol):
    """A long piece of work. `step` does a slice of it and returns the report once all is done; LedgerError where the
    disk fails, and then `failed` says what is reported.
    """

    def step(self, ledger: Ledger) -> LogReport | None: ...
    def failed(self, why: str) -> LogReport: ...


class LearnLog:
    """Reads what purges and holds there were, from the first record on; all of them are of class policy."""

    def __init__(self) -> None:
        self._seq = 0
        self._holds: Holds = {}
        self._reckoned_ms: int | None = None
        self._purged: list[Due] = []

    def step(self, ledger: Ledger) -> LogReport | None:
        """Read a slice."""
        page = list(islice(ledger.scan_policy(self._seq), SLICE))
        for record in page:
            if record.body is not None and any(mark in record.body for mark in _MARKS):
                self._follow(record.seq, _any(record.body))
        if len(page) == SLICE:
            self._seq = page[-1].seq + 1
            return None
        return LogLearnt(holds=self._holds, reckoned_ms=self._reckoned_ms, purged=tuple(self._purged))

    def failed(self, why: str) -> LogReport:
        return LogLearnt(why=why)

    def _follow(self, seq: int, body: dict[str, object]) -> None:
        detail = body.get("detail")
        if body["type"] != "PURGED" or not isinstance(detail, dict):
            self._holds = held(self._holds, body, seq)
            return
        if detail["reckoned_ms"] != self._reckoned_ms:
            self._purged.clear()
        self._reckoned_ms = detail["reckoned_ms"]
        ranges = tuple((first, last) for first, last in detail["ranges"])
        if ranges:
            self._purged.append(Due(class_=detail["of_class"], ranges=ranges, count=detail["count"]))


class FindExpired:
    """Finds what is due, from record `from_seq` on. Reads alone."""

    def __init__(self, *, from_seq: int, cutoffs_ms: dict[str, int], holds: Iterable[Hold]) -> None:
        self._seq = from_seq
        self._sweep = Sweep(cutoffs_ms, tuple(holds))

    def step(self, ledger: Ledger) -> LogReport | None:
        """Look at a slice."""
        page = ledger.read(self._seq, SLICE)
        self._sweep.take(map(entry_of, page))
        self._seq += len(page)
        if len(page) == SLICE and not self._sweep.is_done:
            return None
        due = self._sweep.due()
        kept = self._sweep.first_kept
        return ExpiredFound(due=due, next_seq=self._seq if kept is None else kept)

    def failed(self, why: str) -> LogReport:
        return ExpiredFound(why=why)


class DropBodies:
    """Drops what durable PURGED records name. Doing it again finds nothing to do."""

    def __init__(self, due: Sequence[Due], *, is_again: bool = False) -> None:
        """`is_again`: a crash may have come between, so that the write-ahead log is overwritten in any case."""
        self.due = tuple(due)
        self._is_again = is_again
        self._left = [(one.class_, first, last) for one in due for first, last in one.ranges]
        self._count = 0

    def step(self, ledger: Ledger) -> LogReport | None:
        """Drop a slice; after the last one what the write-ahead log still holds of them is overwritten too."""
        if self._left:
            class_, first, last = self._left[0]
            count, next_seq = ledger.drop_bodies(class_, first, last, DROPPED)
            self._count += count
            if next_seq > last:
                del self._left[0]
            else:
                self._left[0] = (class_, next_seq, last)
            return None
        if self._count or self._is_again:
            ledger.scrub()
        return BodiesDropped(count=self._count)

    def failed(self, why: str) -> LogReport:
        return BodiesDropped(count=self._count, why=why)


def entry_of(record: StoredRecord) -> Entry:
    """What retention asks of a record. A body that is not understood has no time, and so is never due."""
    at = record.leaf.find(_CLASS) + len(_CLASS)
    class_ = record.leaf[at : record.leaf.index(b'"', at)].decode()
    if record.body is None:
        return Entry(record.seq, class_, None, is_trusted=False, has_body=False)
    try:
        body = _body(record.body)
    except msgspec.MsgspecError:
        return Entry(record.seq, class_, None, is_trusted=False, has_body=True)
    return Entry(record.seq, class_, body.at_ms, is_trusted=body.clock == "trusted", has_body=True)
