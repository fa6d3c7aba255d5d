"""What every register has in common: rows are listed, shown, proposed new or changed, and ended; nothing is deleted.

A row that was ended is not there any more, and a clearance past its last valid day neither: never asked, not recorded
yet, run out and removed all answer alike (E-03). What happened is in the events, which name places, not contents.
"""

import secrets
import time
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import Header

from api.edits import Puts, propose
from api.live import now_ms
from api.models import Given, ListQuery, PageOf, ProblemPublic, Recorded
from api.parts import Parts
from api.problems import Problem
from api.view import Snapshot
from api.words import moment_of

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemPublic, "content": {"application/problem+json": {}}}
    for status in (401, 403, 404, 405, 409, 413, 421, 422, 503)
}
RequestKey = Annotated[
    str | None, Header(alias="Idempotency-Key", pattern=r"^[A-Za-z0-9_.:-]{8,60}$", description="id of the request")
]
Doc = dict[str, Any]
Shown = TypeVar("Shown", bound=Given)


def today() -> date:
    """The day in Japan, whatever the host's zone is (D-30)."""
    at = moment_of(time.time_ns() // 1_000_000)
    assert at is not None
    return at.date()


def is_there(table: str, doc: Doc, day: date) -> bool:
    """Whether a row is on the list on `day`. See the module's first lines."""
    ended_on = doc.get("ended_on")
    if ended_on is not None and ended_on <= day.isoformat():
        return False
    if table == "override":
        until_ms: int = doc["until_ms"]
        return min(until_ms, doc.get("ended_ms") or until_ms) > now_ms()
    return table != "clearance" or (doc.get("confirmed_by") is not None and doc["last_valid_on"] >= day.isoformat())


def listed(
    here: Parts, table: str, query: ListQuery, shape: Callable[[Doc], Shown], **filters: str | None
) -> PageOf[Shown]:
    """One page of the rows that are there, shown by `shape`."""
    day = today()
    docs = [doc for doc in here.view.rows(table, **filters) if is_there(table, doc, day)]
    rest = [doc for doc in docs if query.cursor is None or doc["id"] > query.cursor]
    page = rest[: query.limit]
    return PageOf(items=[shape(doc) for doc in page], next=page[-1]["id"] if len(rest) > query.limit else None)


def one(here: Parts, table: str, name: str) -> Doc:
    """The row of that name. Raises Problem 404 where it is not there."""
    doc = here.view.row(table, name)
    if doc is None or not is_there(table, doc, today()):
        raise Problem("not_found", 404)
    return doc


def present(snapshot: Snapshot, table: str, name: str) -> Doc:
    """As `one`, in a snapshot that a change is made against."""
    doc = snapshot.rows.get((table, name))
    if doc is None or not is_there(table, doc, today()):
        raise Problem("not_found", 404)
    return doc


def create(here: Parts, table: str, doc: Doc, key: str | None) -> Doc:
    """Propose a new row; the row as recorded. An id that is taken, even by an ended row, is refused."""
    place = (table, doc["id"])

    def puts(snapshot: Snapshot) -> Puts:
        if place in snapshot.rows:
            raise Problem("edit_refused", 422, members={"field": "id"})
        return [(table, doc)]

    return proposed(here, key, (place,), puts, place)


def change(here: Parts, table: str, name: str, fields: Doc, key: str | None = None) -> Doc:
    """Propose other values of fields of a row that is there; the row as recorded. A field that is None is left out."""
    place = (table, name)

    def puts(snapshot: Snapshot) -> Puts:
        row = {**present(snapshot, *place), **fields}
        return [(table, {field: value for field, value in row.items() if value is not None})]

    return proposed(here, key, (place,), puts, place)


def proposed(
    here: Parts, key: str | None, places: tuple[tuple[str, str], ...], puts: Callable[[Snapshot], Puts],
    shown: tuple[str, str],
) -> Doc:  # fmt: skip
    """Propose what `puts` makes of the rows at `places`; the row at `shown` as recorded."""
    propose(here.view, here.requests, here.settings.officer, key or secrets.token_hex(16), places, puts)
    doc = here.view.row(*shown)
    if doc is None:
        raise Problem("no_answer", 503)
    return doc


def end(here: Parts, table: str, name: str, key: str | None) -> Recorded:
    """Propose the end of a row that is there."""
    place = (table, name)

    def puts(snapshot: Snapshot) -> Puts:
        doc = present(snapshot, *place)
        ends: dict[str, Doc] = {"credential": {"state": "RETURNED"}, "override": {"ended_ms": now_ms()}}
        return [(table, {**doc, **ends.get(table, {"ended_on": today().isoformat()})})]

    done = propose(here.view, here.requests, here.settings.officer, key or secrets.token_hex(16), (place,), puts)
    return Recorded(id=name, seq=done.seq)


def new_id(prefix: str, given: str | None) -> str:
    """The id that was asked for, or one that nobody has."""
    return given or f"{prefix}-{secrets.token_hex(6)}"


def sent(asked: Any) -> Doc:
    """The fields that were sent, as they stand in a row."""
    doc: Doc = asked.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return doc
