"""The speed of an OSDP line: bringing all readers to another (osdp_COMSET), and finding them when nobody answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from readers.protocols.osdp import commands
from readers.protocols.osdp.pd import Pd

ANSWER_WITHIN_MS: Final = 3_000
BACK_WITHIN_MS: Final = 10_000
SEARCH_AFTER_MS: Final = 5_000
"""Nobody has answered for so long."""
SEARCH_EACH_MS: Final = 1_500


class SpeedChange:
    """All readers, one after the other. One that has changed is silent until the line has changed too.

    When one refuses, those before it are brought back: first the line to their speed, then they.
    """

    def __init__(self, baud: int, pds: list[Pd], *, is_way_back: bool = False) -> None:
        self._baud = baud
        self._waiting = pds
        self._done: list[Pd] = []
        self._within_ms = BACK_WITHIN_MS if is_way_back else ANSWER_WITHIN_MS
        self._is_way_back = is_way_back
        self._until_ms: int | None = None
        self._is_asked = False
        self._is_refused = False
        self.is_over = False

    def advance(self, now_ms: int) -> int | None:
        """One step; the speed that the line must have now, once that is known."""
        if self._waiting and not self._is_refused:
            self._ask(self._waiting[0], now_ms)
        if self._waiting and not self._is_refused:
            return None
        self.is_over = True
        return self._baud if self._done or self._is_way_back else None

    def way_back(self, was: int) -> SpeedChange | None:
        """After a refusal: how those that had changed come back to `was`."""
        if not self._is_refused or not self._done or self._is_way_back:
            return None
        return SpeedChange(was, self._done, is_way_back=True)

    def _ask(self, pd: Pd, now_ms: int) -> None:
        if self._until_ms is None:
            pd.speed_answer = None
            self._until_ms, self._is_asked = now_ms + self._within_ms, False
        if not self._is_asked:
            self._is_asked = pd.order(commands.comset(pd.plan.address, self._baud), now_ms)
        if pd.speed_answer == self._baud:
            pd.is_parked = True
            self._done.append(self._waiting.pop(0))
            self._until_ms = None
        elif pd.speed_answer is not None or now_ms >= self._until_ms:
            self._is_refused = True


class SpeedSearch:
    """Tries one speed after the other while nobody answers."""

    def __init__(self, baud: int, others: Sequence[int]) -> None:
        self._bauds = [baud, *(one for one in dict.fromkeys(others) if one != baud)]
        self._until_ms = 0

    def add(self, baud: int) -> None:
        """This one may be met as well."""
        if baud not in self._bauds:
            self._bauds.append(baud)

    def heard(self, now_ms: int) -> None:
        """Somebody answered: the speed is right."""
        self._until_ms = now_ms + SEARCH_AFTER_MS

    def next_baud(self, baud: int, now_ms: int) -> int | None:
        """The next speed to try, or None."""
        if now_ms < self._until_ms or len(self._bauds) == 1:
            return None
        self._until_ms = now_ms + SEARCH_EACH_MS
        return self._bauds[(self._bauds.index(baud) + 1) % len(self._bauds)]
