"""What of signing in becomes a record: each sign-in, failure, end, token and password, by the controller's hand.

A failure is a stranger's doing: of those only so many a minute become records, the next one says how many there were,
so that nobody fills the ledger from outside.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from api.link import Requests, done
from api.problems import Problem
from controller.link.messages import Note

FAILURES_MAX: Final = 30
"""Records of failures a minute."""

UNKNOWN: Final = "unknown"
"""Stands for the officer where nobody knows who it was."""


class SignInNotes:
    """Has it recorded. `tick`: seconds, never set back."""

    def __init__(self, requests: Requests, tick: Callable[[], float] = time.monotonic) -> None:
        self._requests = requests
        self._tick = tick
        self._lock = threading.Lock()
        self._minute = float("-inf")
        self._told = 0
        self._untold = 0

    def record(
        self, kind: str, officer: str, *, purpose: str | None = None, second: str | None = None,
        cardholder: str | None = None,
    ) -> int:  # fmt: skip
        """Have it recorded, before it takes effect; the number of the record. Raises Problem where it cannot be."""
        return done(self._requests.ask(lambda _: _note(kind, officer, purpose, second, None, cardholder))).seq

    def try_to(self, kind: str, officer: str, *, purpose: str | None = None, second: str | None = None) -> None:
        """Have it recorded where that can be: what takes away takes effect all the same."""
        with suppress(Problem):
            self.record(kind, officer, purpose=purpose, second=second)

    def failure(self, kind: str, officer: str, purpose: str | None = None) -> None:
        """Have a failure recorded, if there were not too many within the minute."""
        with self._lock:
            if self._tick() - self._minute >= 60:
                self._minute, self._told = self._tick(), 0
            self._told += 1
            if self._told > FAILURES_MAX:
                self._untold += 1
                return
            count, self._untold = self._untold + 1, 0
        with suppress(Problem):
            done(self._requests.ask(lambda _: _note(kind, officer, purpose, None, count if count > 1 else None)))


def _note(
    kind: str, officer: str, purpose: str | None, second: str | None, count: int | None, cardholder: str | None = None
) -> Note:
    return Note(
        id=secrets.token_hex(16), type=kind, officer=officer, purpose=purpose, second=second, count=count,
        cardholder=cardholder,
    )  # fmt: skip
