"""How long one waits after failed attempts: longer each time, never for good, and never with a passkey.

Counted for the officer who is named and for the address that asks: a stranger who guesses at one officer slows himself
and, for that officer, passwords alone, by five minutes at most. Which of the two it was is told to nobody.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FREE: Final = 3
"""Failures that cost nothing."""

WAIT_S_MAX: Final = 300.0
FORGET_S: Final = 3_600.0
"""After so long without a failure all is as in the beginning."""

KEPT_MAX: Final = 4_096
AT_ONCE_MAX: Final = 2
"""Passwords that are checked at the same time: each takes 19 MiB and a core."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0


class Delays:
    """Waits by key: an officer, an address. `tick`: seconds, never set back."""

    def __init__(self, tick: Callable[[], float] = time.monotonic) -> None:
        self._tick = tick
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, *keys: str) -> float:
        """How long until the next attempt is looked at; 0: now."""
        now = self._tick()
        with self._lock:
            return max((self._rest(self._failures.get(key), now) for key in keys), default=0.0)

    def begin(self, *keys: str) -> float:
        """As `wait_s`; where it is 0 the attempt counts as failed from now on, so that many at once are no way round
        the wait. `succeed` takes it back.
        """
        now = self._tick()
        with self._lock:
            rest = max((self._rest(self._failures.get(key), now) for key in keys), default=0.0)
            if rest == 0.0:
                for key in keys:
                    self._count(key, now)
            return rest

    def succeed(self, officer: str, address: str) -> None:
        """A good sign-in: this officer begins anew, and the attempt does not count against the address."""
        with self._lock:
            self._failures.pop(officer, None)
            failures = self._failures.get(address)
            if failures is not None:  # not forgotten: one good account must not wash away guesses at others
                failures.count = max(0, failures.count - 1)

    def _count(self, key: str, now: float) -> None:
        failures = self._failures.setdefault(key, _Failures())
        if now - failures.last > FORGET_S:
            failures.count = 0
        failures.count, failures.last = failures.count + 1, now
        self._failures.move_to_end(key)
        while len(self._failures) > KEPT_MAX:
            self._failures.popitem(last=False)

    @staticmethod
    def _rest(failures: _Failures | None, now: float) -> float:
        if failures is None or failures.count <= FREE:
            return 0.0
        wait = min(WAIT_S_MAX, 2.0 ** min(failures.count - FREE, 16))
        return max(0.0, failures.last + wait - now)
