"""Cards that officers wait for at readers, to issue them: who waits where, and what was held there (`AwaitCard`).

Each wait has a connection to the controller of its own and a thread, for half a minute at the most, and few at a time.
What was shown stays here and in nobody's browser: a page carries the wait's name, and the change is made from it once.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from api.problems import Problem
from controller.link.client import LinkClient, LinkDown
from controller.link.messages import AwaitCard, CardShown

WAIT_MS: Final = 30_000
WAITS_MAX: Final = 4
KEPT_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWait:
    """One wait. `code`: why nothing came of it; empty while it lasts and where a card was shown."""

    id: str
    officer: str
    reader: str
    until_tick: float
    shown: CardShown | None = None
    code: str = ""

    @property
    def is_over(self) -> bool:
        """Whether something came of it, or nothing will."""
        return self.shown is not None or bool(self.code)

    @property
    def left_s(self) -> int:
        """Seconds that are left, as a countdown shows them."""
        return max(0, round(self.until_tick - time.monotonic()))


class CardWaits:
    """All of them. `socket`: the controller's."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._lock = threading.Lock()
        self._waits: dict[str, CardWait] = {}

    def begin(self, officer: str, reader: str) -> CardWait:
        """Wait for a card at `reader`. Raises Problem 503 where too many wait."""
        name = secrets.token_hex(16)
        wait = CardWait(id=name, officer=officer, reader=reader, until_tick=time.monotonic() + WAIT_MS / 1000)
        with self._lock:
            now = time.monotonic()
            self._waits = {old: one for old, one in self._waits.items() if now - one.until_tick < KEPT_S}
            if sum(not one.is_over for one in self._waits.values()) >= WAITS_MAX:
                raise Problem("busy", 503)
            self._waits[name] = wait
        message = AwaitCard(id=name, reader=reader, officer=officer, for_ms=WAIT_MS)
        threading.Thread(target=self._wait, args=(message,), name="card-wait", daemon=True).start()
        return wait

    def get(self, officer: str, id: str) -> CardWait:
        """A wait of this officer. Raises Problem 404."""
        with self._lock:
            wait = self._waits.get(id)
        if wait is None or wait.officer != officer:
            raise Problem("not_found", 404)
        return wait

    def cancel(self, officer: str, id: str) -> None:
        """End a wait: the reader decides about every card again. Raises Problem 404, 503."""
        wait = self.get(officer, id)
        if wait.is_over:
            return
        end = AwaitCard(id=secrets.token_hex(16), reader=wait.reader, officer=officer, for_ms=0)
        try:
            with LinkClient(self._socket, "api-card") as client:
                client.await_card(end)
        except LinkDown as error:
            raise Problem("controller_away", 503) from error
        self._settle(id, code="expired")

    def spent(self, id: str) -> None:
        """A change was made of what was shown: it is not needed here any more."""
        with self._lock:
            self._waits.pop(id, None)

    def _wait(self, message: AwaitCard) -> None:
        try:
            with LinkClient(self._socket, "api-card") as client:
                answer = client.await_card(message)
        except LinkDown:
            self._settle(message.id, code="controller_away")
            return
        if isinstance(answer, CardShown):
            self._settle(message.id, shown=answer)
        else:
            self._settle(message.id, code=answer.code)

    def _settle(self, id: str, *, shown: CardShown | None = None, code: str = "") -> None:
        with self._lock:
            wait = self._waits.get(id)
            if wait is not None and not wait.is_over:
                self._waits[id] = replace(wait, shown=shown, code=code)
