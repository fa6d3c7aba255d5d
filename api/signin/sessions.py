"""Sessions: held in memory, kept in api.db, found by the hash of what a cookie holds. One process owns them.

A session ends when nobody did anything for a while, when its day is over, when it is revoked, and when whoever it is of
has no post any more. A step-up and a sign-in each give it a new id, so that one that somebody planted is worth nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine, delete
from sqlmodel import Session as Store
from sqlmodel import col, select

from api.signin.posts import now_ms
from api.signin.tables import SessionRow

FRESH_MS: Final = 5 * 60_000
"""For so long after a passkey was shown it is not asked for again."""

LIFE_MS: Final = 12 * 3_600_000
SEEN_STEP_MS: Final = 60_000
"""How exactly it is kept over a restart when somebody was seen last."""

EACH_MAX: Final = 10
"""Sessions of one officer; the one that was seen longest ago makes room."""

AGENT_MAX: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody at a page. See `api.signin.tables.SessionRow`."""

    id_hash: str
    officer: str
    cardholder: str | None
    strength: int
    way: str
    made_ms: int
    seen_ms: int
    until_ms: int
    fresh_ms: int
    agent: str

    @property
    def name(self) -> str:
        """What a page calls it: enough to tell it from others, and nothing that signs in."""
        return self.id_hash[:16]

    def is_fresh(self, now: int) -> bool:
        """Whether the passkey was shown within the last minutes."""
        return 0 <= now - self.fresh_ms < FRESH_MS


def hash_of(secret: str) -> str:
    """SHA-256 of a secret, hex: all that is kept of one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class Sessions:
    """All sessions. `idle_ms`: how long one lasts while nobody does anything."""

    def __init__(self, engine: Engine, idle_ms: int, clock: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._idle_ms = idle_ms
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, int] = {}
        with Store(engine) as store:
            found = [_of_row(row) for row in store.exec(select(SessionRow))]
        self._all = {one.id_hash: one for one in found}
        self.drop_over()

    def open(
        self, *, officer: str, way: str, strength: int, agent: str, cardholder: str | None = None,
        is_fresh: bool = False,
    ) -> tuple[str, Session]:  # fmt: skip
        """A new session, and the secret for its cookie."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        made = Session(
            id_hash=hash_of(secret), officer=officer, cardholder=cardholder, strength=strength, way=way, made_ms=now,
            seen_ms=now, until_ms=now + LIFE_MS, fresh_ms=now if is_fresh else 0, agent=agent[:AGENT_MAX],
        )  # fmt: skip
        self.drop_over()
        with self._lock:
            same = sorted(
                (one for one in self._all.values() if (one.officer, one.cardholder) == (officer, cardholder)),
                key=lambda one: one.seen_ms,
            )
            for one in same[: max(0, len(same) - EACH_MAX + 1)]:
                self._forget(one.id_hash)
            self._keep(made)
        return secret, made

    def step_up(self, session: Session) -> tuple[str, Session]:
        """The same session under a new id, with the passkey shown just now; the old id is worth nothing any more."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            made = replace(session, id_hash=hash_of(secret), fresh_ms=now, seen_ms=now, strength=3, way="passkey")
            self._forget(session.id_hash)
            self._keep(made)
        return secret, made

    def find(self, secret: str) -> Session | None:
        """The session of a cookie, where it is not over."""
        return self.of_hash(hash_of(secret))

    def of_hash(self, id_hash: str) -> Session | None:
        """The session with this hash, where it is not over."""
        found = self._all.get(id_hash)
        return None if found is None or self._is_over(found) else found

    def touch(self, session: Session) -> None:
        """Somebody did something: it does not become idle for a while."""
        now = self._clock()
        with self._lock:
            if session.id_hash not in self._all:
                return
            seen = replace(self._all[session.id_hash], seen_ms=now)
            self._all[session.id_hash] = seen
            if now - self._kept.get(session.id_hash, 0) >= SEEN_STEP_MS:
                self._keep(seen)

    def end(self, id_hash: str) -> bool:
        """End a session at once; whether there was one."""
        with self._lock:
            was = id_hash in self._all
            self._forget(id_hash)
        return was

    def all(self) -> list[Session]:
        """Those that are not over, the newest first."""
        with self._lock:
            found = [one for one in self._all.values() if not self._is_over(one)]
        return sorted(found, key=lambda one: -one.made_ms)

    def drop_over(self) -> None:
        """Forget those that are over."""
        with self._lock:
            for one in list(self._all.values()):
                if self._is_over(one):
                    self._forget(one.id_hash)

    def _is_over(self, session: Session) -> bool:
        now = self._clock()
        # one that was seen later than now is of a clock that was set back: its idle time cannot be told
        return now >= session.until_ms or not session.made_ms - LIFE_MS <= now < session.seen_ms + self._idle_ms

    def _keep(self, session: Session) -> None:
        self._all[session.id_hash] = session
        self._kept[session.id_hash] = session.seen_ms
        with Store(self._engine) as store:
            store.merge(_row_of(session))
            store.commit()

    def _forget(self, id_hash: str) -> None:
        self._all.pop(id_hash, None)
        self._kept.pop(id_hash, None)
        with Store(self._engine) as store:
            store.execute(delete(SessionRow).where(col(SessionRow.id_hash) == id_hash))
            store.commit()


_NAMES: Final = tuple(SessionRow.model_fields)


def _of_row(row: SessionRow) -> Session:
    return Session(**{name: getattr(row, name) for name in _NAMES})


def _row_of(session: Session) -> SessionRow:
    return SessionRow(**{name: getattr(session, name) for name in _NAMES})
