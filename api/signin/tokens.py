"""API tokens: for programs, in an officer's name, for no more than he may himself, and not for long. Shown once.

A token never shows a passkey: what needs one for its begin (a release, an export, officers) it cannot do.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine, delete
from sqlmodel import Session, col, select

from api.access import Permission
from api.signin.posts import now_ms
from api.signin.sessions import hash_of
from api.signin.tables import TokenRow

PREFIX: Final = "skt_"
DAY_MS: Final = 86_400_000
DAYS_MAX: Final = 365
EACH_MAX: Final = 20
USED_STEP_MS: Final = 60_000
PERMISSIONS: Final = frozenset(one.value for one in Permission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, without what it is shown as. `used_ms`: 0 where it never was."""

    id: str
    id_hash: str
    officer: str
    name: str
    scopes: frozenset[Permission]
    made_ms: int
    until_ms: int
    used_ms: int


class Tokens:
    """All tokens, in memory and in api.db."""

    def __init__(self, engine: Engine, clock: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        with Session(engine) as session:
            found = [_of_row(row) for row in session.exec(select(TokenRow))]
        self._all = {one.id_hash: one for one in found}

    def make(self, officer: str, name: str, scopes: frozenset[Permission], days: int) -> tuple[str, Token]:
        """A new one, and what it is shown as, this once."""
        secret, now = PREFIX + secrets.token_urlsafe(32), self._clock()
        token = Token(
            id="t-" + secrets.token_hex(6), id_hash=hash_of(secret), officer=officer, name=name, scopes=scopes,
            made_ms=now, until_ms=now + days * DAY_MS, used_ms=0,
        )  # fmt: skip
        with self._lock:
            self._keep(token)
        return secret, token

    def find(self, secret: str) -> Token | None:
        """The token that is shown, where its time is not over; used from now on."""
        now = self._clock()
        token = self._all.get(hash_of(secret))
        if token is None or not token.made_ms - DAY_MS <= now < token.until_ms:
            return None
        if now - token.used_ms >= USED_STEP_MS:
            with self._lock:
                if token.id_hash in self._all:
                    self._keep(replace(token, used_ms=now))
        return token

    def stands(self, id: str) -> bool:
        """Whether it was not revoked and is not over."""
        return any(one.id == id and self._clock() < one.until_ms for one in self.all())

    def end(self, id: str) -> Token | None:
        """Revoke one at once; which it was."""
        with self._lock:
            found = next((one for one in self._all.values() if one.id == id), None)
            if found is not None:
                del self._all[found.id_hash]
                with Session(self._engine) as session:
                    session.execute(delete(TokenRow).where(col(TokenRow.id) == id))
                    session.commit()
        return found

    def all(self) -> list[Token]:
        """Every token, those that are over too, the newest first."""
        with self._lock:
            return sorted(self._all.values(), key=lambda one: -one.made_ms)

    def _keep(self, token: Token) -> None:
        self._all[token.id_hash] = token
        with Session(self._engine) as session:
            session.merge(_row_of(token))
            session.commit()


def _of_row(row: TokenRow) -> Token:
    return Token(
        id=row.id, id_hash=row.id_hash, officer=row.officer, name=row.name, made_ms=row.made_ms,
        until_ms=row.until_ms, used_ms=row.used_ms,
        scopes=frozenset(Permission(one) for one in row.scopes.split() if one in PERMISSIONS),
    )  # fmt: skip


def _row_of(token: Token) -> TokenRow:
    return TokenRow(
        id=token.id, id_hash=token.id_hash, officer=token.officer, name=token.name,
        scopes=" ".join(sorted(token.scopes)), made_ms=token.made_ms, until_ms=token.until_ms, used_ms=token.used_ms,
    )  # fmt: skip
