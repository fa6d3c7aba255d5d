"""Names behind pseudonyms: kept as ciphertext in api.db, each under its person's key, and shown from memory.

Thirty to a thousand people: all names are unsealed once at the start, and searched and sorted there. Where the keys are
missing or damaged, pseudonyms are shown and `fault` says why; nothing is made up, nothing is written over.
Callers hold the view's lock while they write.
"""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from sqlalchemy import Engine, delete, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from api.kana import Order, kana_order
from api.name_keys import NameKeys, NameKeysError, sealed, unsealed
from api.tables import NameRow
from api.texts import Language, spoken

PADDED_TO_BYTES: Final = 256
"""Ciphertexts are as long for a short name as for a long one."""

PLAIN: Final = "name_plain"
"""Names of before they were sealed, put aside by the migration."""

_BOUND: Final = b"sekisho name v1 of "

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What a person is called: in kanji, as it is read, in Latin letters."""

    cardholder: str
    name: str
    kana: str = ""
    roman: str = ""

    @property
    def order(self) -> tuple[Order, str]:
        """Where it stands in a list of people, in the language that is spoken."""
        return self.order_in(spoken())

    def order_in(self, language: Language) -> tuple[Order, str]:
        """By its reading, else as it is written; in English by its Latin letters first."""
        latin = self.roman if language == "en" else ""
        return kana_order(latin or self.kana or self.name), self.cardholder

    @property
    def sought(self) -> str:
        """All that it may be looked for by, folded."""
        return folded(f"{self.name}\n{self.kana}\n{self.roman}")


def order_of(name: Name | None, cardholder: str) -> tuple[bool, Order, str]:
    """Where somebody stands in a list of people; whoever has no name stands last."""
    return (True, kana_order(""), cardholder) if name is None else (False, *name.order)


class Names:
    """The names of api.db at `engine`, with their keys."""

    def __init__(self, engine: Engine, keys: NameKeys) -> None:
        self._engine = engine
        self._keys = keys
        self._shown: dict[str, Name] = {}
        self._unreadable: set[str] = set()
        self._owed: set[str] = set()
        try:
            self._seal_plain()
        except NameKeysError as error:
            log.warning("names are not sealed yet: %s", error)
        self._load()

    # -- what is shown ------------------------------------------------------------------------------------------

    def get(self, cardholder: str) -> Name | None:
        """The name behind a pseudonym; None where there is none, or it cannot be read."""
        return self._shown.get(cardholder)

    def all(self) -> dict[str, Name]:
        """All names that can be read, by pseudonym."""
        return dict(self._shown)

    def matching(self, sought: str) -> set[str]:
        """Pseudonyms of those whose name, reading or Latin name holds `sought`, whatever its case, width and kana."""
        part = folded(sought)
        return {one.cardholder for one in self._shown.values() if part in one.sought}

    @property
    def fault(self) -> str | None:
        """Why names are missing: a stable word; None while all can be read."""
        if self._keys.fault is not None:
            return self._keys.fault.code
        return "names_unreadable" if self._unreadable else None

    @property
    def why(self) -> str:
        """For whoever mends it: which file, and what about it. Empty while nothing is wrong."""
        if self._keys.fault is not None:
            return str(self._keys.fault)
        return f"{len(self._unreadable)} names have no key that opens them" if self._unreadable else ""

    @property
    def troubles(self) -> list[str]:
        """Kinds of alarms (`api.live`) that the names give cause for."""
        return [
            *(["names"] if self.fault is not None else []),
            *(["names_owed"] if self._owed else []),
        ]

    @property
    def owed(self) -> frozenset[str]:
        """Who is to be forgotten and whose key could not be destroyed yet."""
        return frozenset(self._owed)

    # -- what is kept -------------------------------------------------------------------------------------------

    def refuse_fault(self) -> None:
        """Raises NameKeysError where no name could be kept."""
        if self._keys.fault is not None:
            raise self._keys.fault

    def keep(self, name: Name) -> None:
        """Keep a name; its key is durable first. Raises NameKeysError."""
        self._keys.ensure([name.cardholder])
        with Session(self._engine) as session:
            session.merge(self._row(name))
            session.commit()
        self._shown = {**self._shown, name.cardholder: name}
        self._unreadable.discard(name.cardholder)

    def forget(self, cardholders: Iterable[str]) -> None:
        """Destroy the keys of these people, then their rows; whose key cannot be destroyed now stays in `owed`.
        Again: nothing more happens.
        """
        gone = set(cardholders) | self._owed
        if not gone:
            return
        self._shown = {one: name for one, name in self._shown.items() if one not in gone}
        self._unreadable -= gone
        try:
            self._keys.destroy(gone)
        except NameKeysError as error:
            self._owed = gone
            log.error("names to be forgotten are not yet: %s", error)  # noqa: TRY400 - no traceback: it says what to do
            return
        self._owed = set()
        with Session(self._engine) as session:
            found = session.execute(delete(NameRow).where(col(NameRow.cardholder).in_(gone)))
            session.commit()
        if found.rowcount:  # type: ignore[attr-defined]  # a CursorResult
            self._checkpoint()

    # -- api.db -------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        with Session(self._engine) as session:
            rows = list(session.exec(select(NameRow)))
        names = {row.cardholder: self._opened(row) for row in rows}
        self._shown = {one: name for one, name in names.items() if name is not None}
        self._unreadable = {one for one, name in names.items() if name is None}
        if self.fault is not None:
            log.warning("names cannot be read: %s", self.why)

    def _opened(self, row: NameRow) -> Name | None:
        key = self._keys.get(row.cardholder)
        if key is None:
            return None
        try:
            said = json.loads(unsealed(key, row.sealed, _BOUND + row.cardholder.encode()))
        except InvalidTag:
            return None
        return Name(cardholder=row.cardholder, **said)

    def _row(self, name: Name) -> NameRow:
        key = self._keys.get(name.cardholder)
        assert key is not None, "its key was ensured"
        said = json.dumps({"name": name.name, "kana": name.kana, "roman": name.roman}, ensure_ascii=False).encode()
        padded = said.ljust(-(-len(said) // PADDED_TO_BYTES) * PADDED_TO_BYTES)
        return NameRow(
            cardholder=name.cardholder, sealed=sealed(key, padded, _BOUND + name.cardholder.encode())
        )  # fmt: skip

    def _seal_plain(self) -> None:
        """Names of before: sealed, and every trace of them overwritten (secure_delete, VACUUM, a truncated log)."""
        if not inspect(self._engine).has_table(PLAIN):
            return
        with Session(self._engine) as session:
            rows: Sequence[Any] = session.execute(text(f"SELECT cardholder, name, kana, roman FROM {PLAIN}")).all()  # noqa: S608 - our own name
            names = [Name(cardholder=row[0], name=row[1], kana=row[2], roman=row[3]) for row in rows]
            self._keys.ensure(name.cardholder for name in names)
            for name in names:
                session.merge(self._row(name))
            session.execute(text(f"DROP TABLE {PLAIN}"))
            session.commit()
        self._attempt("VACUUM")
        self._checkpoint()

    def _checkpoint(self) -> None:
        """Old pages leave the write-ahead log, whose file is cut to nothing."""
        self._attempt("PRAGMA wal_checkpoint(TRUNCATE)")

    def _attempt(self, statement: str) -> None:
        """Outside of a transaction; VACUUM copies through a file, not through memory. What cannot be done now is done
        at a later start: the rows are gone already.
        """
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("PRAGMA temp_store=FILE"))
                try:
                    connection.execute(text(statement)).close()
                finally:
                    connection.execute(text("PRAGMA temp_store=MEMORY"))
        except SQLAlchemyError as error:
            log.warning("%s: %s", statement, getattr(error, "orig", error))


def folded(said: str) -> str:
    """For comparing: full and half width, upper and lower case, and both kana alike; spaces count for nothing."""
    plain = "".join(unicodedata.normalize("NFKC", said).casefold().split(" "))
    return "".join(_hiragana(sign) for sign in plain)


def _hiragana(sign: str) -> str:
    return chr(ord(sign) - 0x60) if "ァ" <= sign <= "ヶ" else sign
