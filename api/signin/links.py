"""One-time links: an invitation for an officer to be, who registers a passkey with it; or a look at what is one's own,
which the reception hands out. Good once, for a day; kept as a hash.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Engine, delete
from sqlalchemy.engine import CursorResult
from sqlmodel import Session, col

from api.signin.posts import now_ms
from api.signin.sessions import hash_of
from api.signin.tables import LinkRow

LIFE_MS: Final = 24 * 3_600_000
INVITATION: Final = "skv_"
"""Tickets of ours begin so; the console's do not, and are the controller's to judge."""

Kind = Literal["invitation", "own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that was taken: for whom, and who made it."""

    who: str
    made_by: str


class Links:
    """Makes links and takes each back once."""

    def __init__(self, engine: Engine, clock: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock = clock

    def make(self, kind: Kind, who: str, made_by: str) -> tuple[str, int]:
        """A ticket and when it is over; one that was made for the same before is worth nothing any more."""
        ticket, until_ms = INVITATION + secrets.token_urlsafe(24), self._clock() + LIFE_MS
        row = LinkRow(id_hash=hash_of(ticket), kind=kind, who=who, made_by=made_by, until_ms=until_ms)
        with Session(self._engine) as session:
            session.execute(delete(LinkRow).where(col(LinkRow.kind) == kind, col(LinkRow.who) == who))
            session.execute(delete(LinkRow).where(col(LinkRow.until_ms) < self._clock()))
            session.add(row)
            session.commit()
        return ticket, until_ms

    def look(self, kind: Kind, ticket: str) -> Link | None:
        """Whose it is, without using it up."""
        with Session(self._engine) as session:
            row = session.get(LinkRow, hash_of(ticket))
        if row is None or row.kind != kind or not self._clock() < row.until_ms <= self._clock() + LIFE_MS:
            return None
        return Link(who=row.who, made_by=row.made_by)

    def take(self, kind: Kind, ticket: str) -> Link | None:
        """Whose it is; from now on it is used. Of two at the same moment one gets it."""
        found = self.look(kind, ticket)
        with Session(self._engine) as session:
            done = session.execute(delete(LinkRow).where(col(LinkRow.id_hash) == hash_of(ticket)))
            session.commit()
        assert isinstance(done, CursorResult)
        return found if done.rowcount == 1 else None
