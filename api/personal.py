"""One person's data: a look at the history, which is recorded before anything is shown, and forgetting.

A look needs a purpose (E-07). Somebody is forgotten only while nothing of theirs is in force; the record comes first,
and the name is destroyed when it is folded (`api.view`), so that a stop in between is made good at the next start.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from api.access import Who
from api.link import done
from api.masks import masked, sight_of
from api.name_keys import NameKeysError
from api.names import Name
from api.parts import Parts
from api.problems import Problem
from api.proposals import VIEW_S_MAX
from api.register import is_there, today
from api.tables import EventRow
from api.view import Forgotten
from controller.link.messages import PURPOSES, Done, Note

IN_FORCE: Final = ("credential", "clearance", "need_to_know", "roster", "visit")
"""Tables of what must be ended before somebody is forgotten; overrides beside them, which name several people."""

LISTED_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a look showed: the record that it left, events from the newest on, and the cursor of those before."""

    recorded: int
    events: list[EventRow]
    before: int | None


def look(here: Parts, who: Who, cardholder: str, purpose: str | None, cursor: int | None, limit: int) -> History:
    """One page of somebody's history, recorded first; of zones that `who` answers for. Raises Problem: 422 without a
    purpose (recorded as well, where that can be), 404 for nobody, 503 where it cannot be recorded; then nothing is
    shown.
    """
    officer, sight = who.officer, sight_of(who)
    _check_purpose(here, officer, purpose)
    known = here.view.row("cardholder", cardholder) is not None or here.view.events_of(cardholder, None, 1)
    if not known:
        raise Problem("not_found", 404)
    recorded = record_look(here, officer, cardholder, purpose)
    here.view.wait_for(recorded.seq, VIEW_S_MAX)
    before = recorded.seq if cursor is None else min(cursor, recorded.seq)  # the look itself is not in what it shows
    rows = here.view.events_of(cardholder, before, limit + 1)
    return History(
        recorded=recorded.seq, events=[seen for row in rows[:limit] if (seen := masked(row, sight)) is not None],
        before=rows[limit - 1].seq if len(rows) > limit else None,
    )  # fmt: skip


def record_look(here: Parts, officer: str, cardholder: str, purpose: str | None) -> Done:
    """Have a look at somebody's data recorded, before it is shown. Raises Problem as `look`; then nothing is shown."""
    _check_purpose(here, officer, purpose)
    note = Note(
        id=secrets.token_hex(16), type="VIEW_PERSONAL", officer=officer, cardholder=cardholder,
        purpose=purpose,
    )  # fmt: skip
    return done(here.requests.ask(lambda _: note))


def _check_purpose(here: Parts, officer: str, purpose: str | None) -> None:
    if purpose not in PURPOSES:
        with suppress(Problem):
            here.requests.ask(lambda _: _refused_look(officer))
        raise Problem("no_purpose", 422, members={"purposes": list(PURPOSES)})


def _refused_look(officer: str) -> Note:
    return Note(id=secrets.token_hex(16), type="VIEW_PERSONAL", officer=officer)


def refuse_names(here: Parts, cardholder: str | None = None) -> None:
    """Raises Problem where no name can be kept, or none of this person any more: before anything is proposed."""
    if cardholder is not None and here.view.forgotten_at(cardholder) is not None:
        raise Problem("forgotten", 409)
    try:
        here.view.names.refuse_fault()
    except NameKeysError as error:
        raise Problem("names_unreadable", 503, members={"why": str(error)}) from error


def rename(here: Parts, officer: str, name: Name) -> None:
    """Call somebody otherwise: noted in the record first, without saying how. Raises Problem."""
    refuse_names(here, name.cardholder)
    note = Note(id=secrets.token_hex(16), type="NAME_CHANGED", officer=officer, cardholder=name.cardholder)
    done(here.requests.ask(lambda _: note))
    try:
        here.view.set_name(name)
    except NameKeysError as error:
        raise Problem("names_unreadable", 503, members={"why": str(error)}) from error
    except Forgotten as error:
        raise Problem("forgotten", 409) from error


def forget(here: Parts, officer: str, cardholder: str, reason: str, key: str | None) -> int:
    """Destroy somebody's name for good; the record that says so. Again: the same record. Raises Problem."""
    seq = here.view.forgotten_at(cardholder)
    if seq is None:
        seq = _record_forgotten(here, officer, cardholder, reason, key)
    here.answers.clear()
    if not here.view.forget_owed():
        raise Problem("names_owed", 503, members={"seq": seq})
    return seq


def _record_forgotten(here: Parts, officer: str, cardholder: str, reason: str, key: str | None) -> int:
    if here.view.row("cardholder", cardholder) is None and here.view.names.get(cardholder) is None:
        raise Problem("not_found", 404)
    if lasting := in_force(here, cardholder):
        raise Problem("in_force", 409, members={"in_force": lasting[:LISTED_MAX]})
    note = Note(
        id=key or secrets.token_hex(16), type="FORGOTTEN", officer=officer, cardholder=cardholder,
        purpose=reason,
    )  # fmt: skip
    recorded = done(here.requests.ask(lambda _: note))
    if not here.view.wait_for(recorded.seq, VIEW_S_MAX):
        raise Problem("no_answer", 503, members={"id": note.id, "seq": recorded.seq})
    return recorded.seq


def in_force(here: Parts, cardholder: str) -> list[dict[str, str]]:
    """What of somebody's is in force, or will be: register and id of each."""
    day = today()
    found = [
        {"register": table, "id": doc["id"]}
        for table in IN_FORCE
        for doc in here.view.rows(table, cardholder=cardholder)
        if _lasts(table, doc, day)
    ]
    overrides = [doc for doc in here.view.rows("override") if cardholder in doc["cardholders"]]
    return found + [{"register": "override", "id": doc["id"]} for doc in overrides if is_there("override", doc, day)]


def _lasts(table: str, doc: dict[str, Any], day: date) -> bool:
    if table == "credential":
        return doc.get("state") in ("ISSUED", "ACTIVE")
    return is_there(table, doc, day) and doc.get("until_on", day.isoformat()) >= day.isoformat()
