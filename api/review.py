"""Questions about decisions, answered from the controller's own records: explain, replay, what if, who could.

The view keeps no rows of policy as they were, so the records are read over a connection of their own, as far as the
ledger reaches at that moment. What was folded is kept at marks: the next question begins from there. One question at a
time, each for a bounded while, in a worker thread: doors and pages do not wait for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from api.problems import Problem
from controller.link.client import LinkClient, LinkDown
from controller.link.messages import Record, Welcome
from controller.link.recorded import History, HistoryBroken, Line
from zones.ids import ZoneId
from zones.lint import lint
from zones.moment import Moment, epoch_ms
from zones.policy import Edit, Policy
from zones.proofs import Stopped, prove
from zones.review import documents
from zones.review.explain import explain
from zones.review.replay import replay
from zones.review.values import Past, Purged, RecordedDecision
from zones.review.whatif import WhatIf, compare, rerun
from zones.review.who import who_can

ANSWER_S_MAX: Final = 30.0
"""Longest that one question is worked on; longer ones are for the command line."""

WAIT_S_MAX: Final = 5.0
RECORDS_MAX: Final = 200_000
"""Most records that one replay or what-if goes through."""

PAIRS_MAX: Final = 20_000
HORIZON_DAYS_MAX: Final = 366
SAME_NUMBER_MAX: Final = 20

Document = dict[str, Any]
One = TypeVar("One")


class Reviewer:
    """Answers from the ledger of the controller at `socket`. Blocking; call from a worker thread."""

    def __init__(self, socket: Path, answer_s_max: float = ANSWER_S_MAX) -> None:
        self._socket = socket
        self._answer_s_max = answer_s_max
        self._lock = threading.Lock()
        self._vkey = ""
        self._size = 0
        self._history = History(self._read)

    # -- questions ----------------------------------------------------------------------------------------------

    def explanation(self, named: str) -> Document:
        """Why a decision came out as it did: by sequence number, or by the number of a refusal (the newest)."""
        with self._asked() as (size, in_time):
            if named.isdecimal():
                steps = [] if int(named) >= size else list(self._history.steps(int(named), int(named)))
                found = [step for step in steps if isinstance(step, Past)]
                if any(isinstance(step, Purged) for step in steps):
                    raise Problem("purged", 404)
            else:
                wanted = named.upper()
                found = [
                    step
                    for step in in_time(self._history.steps())
                    if isinstance(step, Past) and step.recorded.number == wanted
                ]
        if not found:
            raise Problem("not_found", 404)
        others: list[RecordedDecision] = [one.recorded for one in reversed(found[:-1])][:SAME_NUMBER_MAX]
        return documents.explanation(explain(found[-1])) | {"others": [documents.decision(one) for one in others]}

    def replay(self, first: int | None, last: int | None) -> Document:
        """Recorded decisions derived again. Without `first`: the newest RECORDS_MAX records."""
        with self._asked() as (size, in_time):
            first, last = _span(first, last, size)
            report = replay(in_time(self._history.steps(first, last)))
        return documents.replayed(report) | {"from": first, "to": last}

    def what_if(self, edit: Edit, first: int | None, last: int | None, now: Moment) -> Document:
        """Recorded history, and the rights of today, under a proposed edit."""
        found = WhatIf()
        with self._asked() as (size, in_time):
            first, last = _span(first, last, size)
            rerun(in_time(self._history.steps(first, last)), edit, found)
            latest = self._history.until(size - 1)
        if latest.policy is None:
            raise Problem("purged", 503)
        compare(latest.policy, latest.occupancy, edit, now, found, PAIRS_MAX)
        return documents.what_if(found) | {"from": first, "to": last}

    def who_can(self, zone: ZoneId, now: Moment, *, with_missing: bool) -> Document:
        """Who could be let into a zone; of the past, by what was in force then."""
        with self._asked() as (size, in_time):
            policy = self._history.until(size - 1, at_ms=epoch_ms(now.at)).policy
            if policy is None:
                raise Problem("purged", 503)
            if zone not in policy.zones:
                raise Problem("not_found", 404)
            ways = list(in_time(who_can(policy, zone, now)))
        able = {way.cardholder for way in ways if way.is_open}
        shown = [way for way in ways if way.is_open or (with_missing and way.cardholder not in able)]
        return {"zone": zone, "at": documents.wall_time(now.at), "ways": documents.ways(shown)}

    def lint(self) -> Document:
        """Every fault of the site as it stands."""
        return {
            "findings": [
                {
                    "code": one.code,
                    "severity": one.severity.value,
                    "table": one.table,
                    "row": one.row,
                    "path": list(one.path),
                    "words": {"ja": one.ja, "en": one.en},
                }
                for one in lint(self._policy())
            ]
        }

    def proofs(self, zone: ZoneId | None, now: Moment, horizon_days: int) -> Document:
        """Every proof about the policy as it stands, or those of one zone."""
        with self._asked() as (size, _):
            policy = self._in_force(size)
            if zone is not None and zone not in policy.zones:
                raise Problem("not_found", 404)
            deadline = time.monotonic() + self._answer_s_max
            zones = None if zone is None else (zone,)
            try:
                proofs = prove(
                    policy,
                    now,
                    horizon_days=horizon_days,
                    zones=zones,
                    progress=lambda _done, _all: time.monotonic() > deadline,
                )
            except Stopped as error:
                raise Problem("too_long", 503) from error
        return {
            "at": documents.wall_time(now.at),
            "proofs": [
                {
                    "name": one.name,
                    "zone": one.zone,
                    "holds": one.holds,
                    "words": {"ja": one.ja, "en": one.en},
                    "steps": list(one.steps),
                }
                for one in proofs
            ],
        }

    # -- the records --------------------------------------------------------------------------------------------

    def _policy(self) -> Policy:
        with self._asked() as (size, _):
            return self._in_force(size)

    def _in_force(self, size: int) -> Policy:
        policy = self._history.until(size - 1).policy
        if policy is None:
            raise Problem("purged", 503)
        return policy

    @contextmanager
    def _asked(self) -> Iterator[tuple[int, Callable[[Iterable[One]], Iterator[One]]]]:
        """One question: how many records there are now, and a wrapper that ends it when it takes too long."""
        if not self._lock.acquire(timeout=WAIT_S_MAX):
            raise Problem("too_long", 503, headers={"Retry-After": "10"})
        try:
            self._greet()
            deadline = time.monotonic() + self._answer_s_max
            yield self._size, lambda all_of: _until(deadline, all_of)
        except LinkDown as error:
            raise Problem("controller_away", 503) from error
        except HistoryBroken as error:
            raise Problem("history_broken", 503, members={"why": str(error)}) from error
        finally:
            self._lock.release()

    def _greet(self) -> None:
        """Another ledger, or a shorter one: what was folded is of no use."""
        with LinkClient(self._socket, "api-review") as client:
            welcome: Welcome = client.connect()
        if welcome.vkey != self._vkey or welcome.size < self._size:
            self._history = History(self._read)
        self._vkey, self._size = welcome.vkey, welcome.size

    def _read(self, from_seq: int) -> Iterator[Line]:
        size = self._size
        if from_seq >= size:
            return
        with LinkClient(self._socket, "api-review") as client:
            for message in client.stream(from_seq):
                if isinstance(message, Record):
                    yield message
                    if message.seq >= size - 1:
                        return


def _until(deadline: float, all_of: Iterable[One]) -> Iterator[One]:
    for one in all_of:
        if time.monotonic() > deadline:
            raise Problem("too_long", 503)
        yield one


def _span(first: int | None, last: int | None, size: int) -> tuple[int, int]:
    last = size - 1 if last is None else min(last, size - 1)
    first = max(0, last + 1 - RECORDS_MAX) if first is None else first
    if last + 1 - first > RECORDS_MAX:
        raise Problem("too_many_records", 422, members={"max": RECORDS_MAX})
    return first, last
