"""When each officer signed in last, and from where: whoever has not for long must show a passkey (A-30); whoever signs
in from where he always does is not slowed by what strangers try elsewhere.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Final

from sqlalchemy import Engine
from sqlmodel import Session

from api.signin.posts import now_ms, today
from api.signin.tables import SignedInRow
from zones.moment import JST
from zones.officers import Officer, OfficerKey

PLACES_MAX: Final = 512


class LastSignIns:
    """Kept in api.db; the addresses in memory alone. `inactive_days`: after so long only a passkey will do."""

    def __init__(self, engine: Engine, inactive_days: int, clock: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._days = inactive_days
        self._clock = clock
        self._lock = threading.Lock()
        self._places: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note(self, officer: str, address: str) -> None:
        """He signed in just now, from there."""
        with Session(self._engine) as session:
            session.merge(SignedInRow(officer=officer, at_ms=self._clock()))
            session.commit()
        with self._lock:
            self._places[officer, address] = None
            self._places.move_to_end((officer, address))
            while len(self._places) > PLACES_MAX:
                self._places.popitem(last=False)

    def knows(self, officer: str, address: str) -> bool:
        """Whether he signed in from there since the start."""
        return (officer, address) in self._places

    def last_ms(self, officer: str) -> int | None:
        """When he signed in last; None: not since this api.db began."""
        with Session(self._engine) as session:
            row = session.get(SignedInRow, officer)
        return None if row is None else row.at_ms

    def is_active(self, officer: Officer, keys: Iterable[OfficerKey]) -> bool:
        """Whether he signed in lately; a new officer counts from the day when he came, or enrolled a passkey."""
        at_ms = self.last_ms(officer.id)
        days: list[date] = [officer.from_on, *(key.enrolled_on for key in keys)]
        if at_ms is not None:
            days.append(datetime.fromtimestamp(at_ms / 1000, JST).date())
        return (today() - max(days)).days <= self._days
