"""What every register has in common: rows are listed, shown, proposed new or changed, and ended; nothing is deleted.

A row that was ended is not there any more, and a clearance past its last valid day neither: never asked, not recorded
yet, run out and removed all answer alike (E-03). What happened is in the events, which name places, not contents.
A change is a proposal: it is in force when its officers have signed it (`api.proposals`).
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import Header, Query, Response

from api.access import Who
from api.live import now_ms
from api.models import Given, ListQuery, PageOf, ProblemPublic
from api.names import Name
from api.parts import Parts
from api.problems import Problem
from api.proposal_models import ProposalPublic, ReasonWord, shown
from api.proposal_rules import Puts
from api.proposals import Proposal, open_proposal
from api.view import Snapshot
from api.words import moment_of

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemPublic, "content": {"application/problem+json": {}}}
    for status in (401, 403, 404, 405, 409, 412, 413, 421, 422, 428, 503)
}
RequestKey = Annotated[
    str | None, Header(alias="Idempotency-Key", pattern=r"^[A-Za-z0-9_.:-]{8,60}$", description="id of the request")
]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=200, description="ETag of what is changed")]
Why = Annotated[ReasonWord, Query(alias="reason", description="why it is changed")]
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
    here: Parts, who: Who, table: str, query: ListQuery, shape: Callable[[Doc], Shown], **filters: str | None
) -> PageOf[Shown]:
    """One page of the rows that are there and lie in the asker's zones, shown by `shape`."""
    day = today()
    docs = [doc for doc in here.view.rows(table, **filters) if is_there(table, doc, day) and _is_his(here, who, doc)]
    rest = [doc for doc in docs if query.cursor is None or doc["id"] > query.cursor]
    page = rest[: query.limit]
    return PageOf(items=[shape(doc) for doc in page], next=page[-1]["id"] if len(rest) > query.limit else None)


def one(here: Parts, table: str, name: str, who: Who | None = None) -> Doc:
    """The row of that name. Raises Problem 404 where it is not there, or not in the asker's zones."""
    doc = here.view.row(table, name)
    if doc is None or not is_there(table, doc, today()) or (who is not None and not _is_his(here, who, doc)):
        raise Problem("not_found", 404)
    return doc


def _is_his(here: Parts, who: Who, doc: Doc) -> bool:
    """Whether a row lies in zones that the asker answers for; one that is about no zone is everybody's."""
    if who.zones is None:
        return True
    zones = [doc["zone"]] if "zone" in doc else doc.get("zones", ())
    if "item" in doc:
        zones = [zone["id"] for zone in here.view.rows("zone") if doc["item"] in zone.get("items", ())]
    return not zones or any(map(who.may_see_zone, zones))


def etag(*parts: object) -> str:
    """Changes with what is shown."""
    return f'"{hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]}"'


def refuse_stale(given: str | None, now: str, *, is_needed: bool = True) -> None:
    """Raises Problem 428 where a change names no ETag, 412 where what it was made for is not there any more."""
    if given is None:
        if is_needed:
            raise Problem("if_match_missing", 428)
        return
    if given.strip() != "*" and now not in [one.strip().removeprefix("W/") for one in given.split(",")]:
        raise Problem("stale_etag", 412)


def present(snapshot: Snapshot, table: str, name: str) -> Doc:
    """As `one`, in a snapshot that a change is made against."""
    doc = snapshot.rows.get((table, name))
    if doc is None or not is_there(table, doc, today()):
        raise Problem("not_found", 404)
    return doc


def create(
    here: Parts, who: Who, table: str, doc: Doc, key: str | None, reason: str, names: Sequence[Name] = ()
) -> Proposal:  # fmt: skip
    """Propose a new row. An id that is taken, even by an ended row, is refused."""
    place = (table, doc["id"])

    def puts(snapshot: Snapshot) -> Puts:
        if place in snapshot.rows:
            raise Problem("edit_refused", 422, members={"field": "id"})
        return [(table, doc)]

    return open_proposal(here, who, make=puts, places=(place,), reason=reason, key=key, names=names)


def change(here: Parts, who: Who, table: str, name: str, fields: Doc, reason: str, key: str | None = None) -> Proposal:
    """Propose other values of fields of a row that is there. A field that is None is left out."""
    place = (table, name)
    one(here, table, name, who)

    def puts(snapshot: Snapshot) -> Puts:
        row = {**present(snapshot, *place), **fields}
        return [(table, {field: value for field, value in row.items() if value is not None})]

    return open_proposal(here, who, make=puts, places=(place,), reason=reason, key=key)


def end(here: Parts, who: Who, table: str, name: str, key: str | None, reason: str) -> Proposal:
    """Propose the end of a row that is there."""
    place = (table, name)
    one(here, table, name, who)

    def puts(snapshot: Snapshot) -> Puts:
        doc = present(snapshot, *place)
        ends: dict[str, Doc] = {"credential": {"state": "RETURNED"}, "override": {"ended_ms": now_ms()}}
        return [(table, {**doc, **ends.get(table, {"ended_on": today().isoformat()})})]

    return open_proposal(here, who, make=puts, places=(place,), reason=reason, key=key)


def waiting(here: Parts, who: Who, proposal: Proposal, response: Response) -> ProposalPublic:
    """The answer to whoever asked for a change: 202, where it stands, and what he is to sign."""
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/proposals/{proposal.id}"
    response.headers["ETag"] = proposal.etag
    return shown(here, who, proposal)


def new_id(prefix: str, given: str | None) -> str:
    """The id that was asked for, or one that nobody has."""
    return given or f"{prefix}-{secrets.token_hex(6)}"


def sent(asked: Any) -> Doc:
    """The fields that were sent, as they stand in a row."""
    doc: Doc = asked.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return doc
