"""What takes two officers and is no change: to take registers out, to see a name behind a pseudonym in the records.

One asks, another agrees with a passkey that he has just shown, the first does it, once, within a day (E-07, A-30).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Engine, delete, update
from sqlmodel import Session, col, select

from api.access import Permission, Who
from api.live import now_ms
from api.problems import Problem
from api.transfer.tables import AgreementRow
from controller.link.messages import PURPOSES

WAITS_MS: Final = 86_400_000
OPEN_MAX: Final = 50
STRONG: Final = 3

AGREES: Final[Mapping[str, Permission]] = MappingProxyType({"EXPORT": Permission.RIGHTS, "UNMASK": Permission.OFFICERS})
"""Kind -> who may agree: whoever sees the registers anyway; names behind the records are the protection officer's."""


class Agreements:
    """Those of api.db at `engine`. `cardholder`: the same person as one who enters, of an officer."""

    def __init__(self, engine: Engine, cardholder: Callable[[str], str | None]) -> None:
        self._engine = engine
        self._cardholder = cardholder

    def ask(self, who: Who, kind: str, purpose: str, about: str, count: int) -> AgreementRow:
        """Ask a second officer. The same question again is the same request. Raises Problem."""
        if purpose not in PURPOSES:
            raise Problem("no_purpose", 422, members={"purposes": list(PURPOSES)})
        now = now_ms()
        with Session(self._engine, expire_on_commit=False) as session:
            session.execute(delete(AgreementRow).where(col(AgreementRow.until_ms) < now))
            waiting = list(session.exec(select(AgreementRow).where(AgreementRow.asker == who.officer)))
            for row in waiting:
                if row.used_ms is None and (row.kind, row.purpose, row.about) == (kind, purpose, about):
                    session.commit()
                    return row
            if len(waiting) >= OPEN_MAX:
                raise Problem("busy", 503, headers={"Retry-After": "60"})
            row = AgreementRow(
                id=secrets.token_hex(12), kind=kind, asker=who.officer, purpose=purpose, about=about, count=count,
                made_ms=now, until_ms=now + WAITS_MS,
            )  # fmt: skip
            session.add(row)
            session.commit()
            return row

    def asked_by(self, who: Who) -> list[AgreementRow]:
        """What this officer asked for and has not used, the newest first."""
        query = select(AgreementRow).where(AgreementRow.asker == who.officer, col(AgreementRow.used_ms).is_(None))
        return self._standing(query)

    def waiting_for(self, who: Who) -> list[AgreementRow]:
        """What this officer may agree to, the newest first."""
        query = select(AgreementRow).where(AgreementRow.asker != who.officer, col(AgreementRow.second).is_(None))
        return [row for row in self._standing(query) if who.may(AGREES[row.kind])]

    def agree(self, who: Who, name: str) -> AgreementRow:
        """A second officer agrees. Raises Problem where he is no second, or has not shown his passkey just now."""
        row = self._row(name)
        is_himself = who.cardholder is not None and who.cardholder == self._cardholder(row.asker)
        if row.asker == who.officer or is_himself:
            raise Problem("two_people", 409)
        if not who.may(AGREES[row.kind]) or who.scopes is not None:
            raise Problem("not_your_role", 403)
        if who.strength < STRONG:
            raise Problem("passkey_needed", 403)
        if not who.is_fresh:
            raise Problem("step_up", 403)
        with Session(self._engine) as session:
            unsaid = (col(AgreementRow.id) == name, col(AgreementRow.second).is_(None))
            session.execute(update(AgreementRow).where(*unsaid).values(second=who.officer, agreed_ms=now_ms()))
            session.commit()
        return self._row(name)

    def use(self, who: Who, name: str, kind: str, purpose: str, about: str) -> str:
        """The second officer of what was agreed; from now on it is used. Raises Problem."""
        row = self._row(name)
        if (row.asker, row.kind, row.purpose, row.about) != (who.officer, kind, purpose, about):
            raise Problem("not_found", 404)
        if row.second is None:
            raise Problem("two_people", 409)
        with Session(self._engine) as session:
            unused = (col(AgreementRow.id) == name, col(AgreementRow.used_ms).is_(None))
            done = session.execute(update(AgreementRow).where(*unused).values(used_ms=now_ms()))
            session.commit()
        if done.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult
            raise Problem("two_people", 409)
        return row.second

    def give_back(self, name: str) -> None:
        """What could not be done was not used."""
        with Session(self._engine) as session:
            session.execute(update(AgreementRow).where(col(AgreementRow.id) == name).values(used_ms=None))
            session.commit()

    def _row(self, name: str) -> AgreementRow:
        with Session(self._engine, expire_on_commit=False) as session:
            row = session.get(AgreementRow, name)
        if row is None or row.until_ms < now_ms():
            raise Problem("not_found", 404)
        return row

    def _standing(self, query: object) -> list[AgreementRow]:
        with Session(self._engine, expire_on_commit=False) as session:
            rows: list[AgreementRow] = list(session.exec(query))  # type: ignore[call-overload]  # one of the two above
        now = now_ms()
        return sorted((row for row in rows if row.until_ms >= now), key=lambda row: -row.made_ms)
