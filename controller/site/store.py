"""Writes site.db, behind the doors' back: a thread that follows the policy in force (SQLModel, Alembic).

It comes after the ledger, never before: an edit is in force when its record is durable, and site.db catches up. If it
cannot (locked, full disk), doors do not notice; the next start reads the rest from the ledger. SQLModel and Alembic
are imported here, after the doors are armed, and nowhere on the badge path.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from controller.link.rows import row_to_doc
from controller.policy_log import PolicyAt
from controller.site.seal import Seal
from zones.policy import ATTRIBUTES, TABLE_OF, Policy, Row

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session

log = logging.getLogger(__name__)

RETRY_S: Final = 5.0
SPOILT: Final = frozenset(
    {
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH),  # not our tables, or not our rows
    }
)


class SiteStore(threading.Thread):
    """Keeps site.db at the policy in force.

    Args:
        path: site.db.
        seal: the site's.
        report: called with why it cannot be written (once per outage), and with "" when it can again.
    """

    def __init__(self, path: Path, seal: Seal, report: Callable[[str], None]) -> None:
        super().__init__(name="site-store", daemon=True)
        self._path = path
        self._seal = seal
        self._report = report
        self._queue: queue.SimpleQueue[PolicyAt | None] = queue.SimpleQueue()
        self._open: Engine | None = None
        self._written: PolicyAt | None = None
        self._total = 0
        self._is_failing = False

    def follow(self, policy: PolicyAt) -> None:
        """The policy now in force. Returns at once."""
        self._queue.put(policy)

    def stop(self) -> None:
        """Write what is known, then end the thread."""
        self._queue.put(None)

    def run(self) -> None:
        latest: PolicyAt | None = None
        is_stopping = False
        while not is_stopping:
            with suppress(queue.Empty):  # time to try again
                asked = self._queue.get(timeout=RETRY_S if self._is_failing else None)
                while asked is not None:
                    latest = asked
                    if self._queue.empty():
                        break
                    asked = self._queue.get()
                is_stopping = asked is None
            if latest is not None and latest is not self._written:
                self._try(latest)
        self._close()

    def _try(self, policy: PolicyAt) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            try:
                self._write(policy)
            except (SQLAlchemyError, sqlite3.Error) as error:
                self._close()
                if not _is_spoilt(error):
                    raise
                self._set_aside(error)
                self._write(policy)
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            self._close()  # whatever stands there next time is looked at afresh
            if not self._is_failing:
                self._is_failing = True
                self._report(_words(error))
            return
        if self._is_failing:
            self._is_failing = False
            self._report("")

    def _set_aside(self, error: Exception) -> None:
        """It is a copy: what cannot be written to is kept for whoever wants to know why, and made anew."""
        aside = self._path.with_name(f"{self._path.name}.unusable")
        log.warning("%s: %s: moved to %s and written anew", self._path, _words(error), aside.name)
        self._path.replace(aside)
        self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)  # belongs to the file that went

    def _write(self, policy: PolicyAt) -> None:
        from sqlmodel import Session

        with Session(self._engine()) as session:
            if self._written is None:
                self._replace_all(session, policy.policy)
            else:
                self._replace_changed(session, self._written.policy, policy.policy)
            self._write_meta(session, policy)
            session.commit()
        self._written = policy

    def _engine(self) -> Engine:
        from controller.site.schema import open_site

        if self._open is None:
            self._open = open_site(self._path)
        return self._open

    def _close(self) -> None:
        opened, self._open, self._written = self._open, None, None
        if opened is not None:
            opened.dispose()

    def _replace_all(self, session: Session, policy: Policy) -> None:
        from sqlmodel import delete

        from controller.site.tables import MODELS

        for table in reversed(MODELS):
            session.exec(delete(MODELS[table]))
        for row in policy.rows():
            session.add(_model_of(row))
        self._total = self._seal.total(policy.rows())

    def _replace_changed(self, session: Session, before: Policy, after: Policy) -> None:
        from controller.site.tables import MODELS

        for table, name in ATTRIBUTES.items():
            old, new = getattr(before, name), getattr(after, name)
            if old is new:
                continue
            for row_id in new:
                if new[row_id] is not old.get(row_id):
                    session.merge(_model_of(new[row_id]))
                    self._total = self._seal.exchange(self._total, old.get(row_id), new[row_id])
            for row_id in old.keys() - new.keys():
                if (found := session.get(MODELS[table], row_id)) is not None:
                    session.delete(found)
                self._total = self._seal.exchange(self._total, old[row_id], None)

    def _write_meta(self, session: Session, policy: PolicyAt) -> None:
        from controller.site.tables import SiteMeta

        meta = SiteMeta(
            id=1,
            seq=policy.seq,
            revision=policy.revision,
            total=f"{self._total:064x}",
            seal=self._seal.over(self._total, policy.seq, policy.revision),
        )
        session.merge(meta)


def _words(error: Exception) -> str:
    """What is wrong, in the database's own words and one line."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


def _is_spoilt(error: Exception) -> bool:
    """Whether the file itself is at fault, and not the disk, a lock or the rights to it."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in SPOILT


def _model_of(row: Row) -> Any:
    from controller.site.tables import MODELS

    model = MODELS[TABLE_OF[type(row)]]
    _, doc = row_to_doc(row)
    return model.model_validate(doc)
