"""Cardholders, credentials, clearances, needs-to-know, rosters: listed, shown, created, changed, ended.

A row that was ended is not there any more, and a clearance past its last valid day neither: never asked, not recorded
yet, run out and removed all answer alike (E-03). What happened is in the events, which name places, not contents.
Ending is `POST …/{id}/end`: nothing is deleted, so there is no DELETE.
"""

import secrets
import time
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Response

from api.auth import signed_in
from api.edits import Puts, propose
from api.link import done
from api.models import (
    CardholderCreate,
    CardholderPublic,
    CardholderUpdate,
    ClearanceCreate,
    ClearancePublic,
    ClearanceUpdate,
    CredentialCreate,
    CredentialPublic,
    CredentialUpdate,
    Given,
    ListQuery,
    NeedToKnowCreate,
    NeedToKnowPublic,
    NeedToKnowUpdate,
    OwnedQuery,
    PageOf,
    ProblemPublic,
    Recorded,
    RosterCreate,
    RosterPublic,
    RosterQuery,
    RosterUpdate,
)
from api.parts import Here, Parts
from api.problems import Problem
from api.tables import NameRow
from api.view import Snapshot
from api.words import moment_of
from controller.link.messages import Note
from zones.people import Basis
from zones.terms import term_of

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemPublic, "content": {"application/problem+json": {}}}
    for status in (401, 403, 404, 405, 409, 413, 421, 422, 503)
}
router = APIRouter(dependencies=[Depends(signed_in)], responses=PROBLEMS)

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
    return table != "clearance" or (doc.get("confirmed_by") is not None and doc["last_valid_on"] >= day.isoformat())


def _listed(
    here: Parts, table: str, query: ListQuery, shape: Callable[[Doc], Shown], **filters: str | None
) -> PageOf[Shown]:
    day = today()
    docs = [doc for doc in here.view.rows(table, **filters) if is_there(table, doc, day)]
    rest = [doc for doc in docs if query.cursor is None or doc["id"] > query.cursor]
    page = rest[: query.limit]
    return PageOf(items=[shape(doc) for doc in page], next=page[-1]["id"] if len(rest) > query.limit else None)


def _one(here: Parts, table: str, name: str) -> Doc:
    doc = here.view.row(table, name)
    if doc is None or not is_there(table, doc, today()):
        raise Problem("not_found", 404)
    return doc


def _present(snapshot: Snapshot, table: str, name: str) -> Doc:
    doc = snapshot.rows.get((table, name))
    if doc is None or not is_there(table, doc, today()):
        raise Problem("not_found", 404)
    return doc


def _create(here: Parts, table: str, doc: Doc, key: str | None) -> Doc:
    """Propose a new row; the row as recorded. An id that is taken, even by an ended row, is refused."""
    place = (table, doc["id"])

    def puts(snapshot: Snapshot) -> Puts:
        if place in snapshot.rows:
            raise Problem("edit_refused", 422, members={"field": "id"})
        return [(table, doc)]

    return _proposed(here, key, (place,), puts, place)


def _change(here: Parts, table: str, name: str, fields: Doc, key: str | None = None) -> Doc:
    place = (table, name)
    return _proposed(here, key, (place,), lambda now: [(table, {**_present(now, *place), **fields})], place)


def _proposed(
    here: Parts, key: str | None, places: tuple[tuple[str, str], ...], puts: Callable[[Snapshot], Puts],
    shown: tuple[str, str],
) -> Doc:  # fmt: skip
    propose(here.view, here.requests, here.settings.officer, key or secrets.token_hex(16), places, puts)
    doc = here.view.row(*shown)
    if doc is None:
        raise Problem("no_answer", 503)
    return doc


def _end(here: Parts, table: str, name: str, key: str | None) -> Recorded:
    place = (table, name)

    def puts(snapshot: Snapshot) -> Puts:
        doc = _present(snapshot, *place)
        end = {"state": "RETURNED"} if table == "credential" else {"ended_on": today().isoformat()}
        return [(table, {**doc, **end})]

    done = propose(here.view, here.requests, here.settings.officer, key or secrets.token_hex(16), (place,), puts)
    return Recorded(id=name, seq=done.seq)


def _new_id(prefix: str, given: str | None) -> str:
    return given or f"{prefix}-{secrets.token_hex(6)}"


def _fields(asked: Any) -> Doc:
    """The fields that were sent, as they stand in a row."""
    fields: Doc = asked.model_dump(mode="json", exclude_unset=True)
    return fields


# -- cardholders --------------------------------------------------------------------------------------------------


def _cardholder(name: NameRow | None, doc: Doc) -> CardholderPublic:
    if name is None:
        return CardholderPublic(id=doc["id"], name=None, kana="", roman="")
    return CardholderPublic(id=doc["id"], name=name.name, kana=name.kana, roman=name.roman)


@router.get("/cardholders")
def list_cardholders(here: Here, query: Annotated[ListQuery, Query()]) -> PageOf[CardholderPublic]:
    names = here.view.names()
    return _listed(here, "cardholder", query, lambda doc: _cardholder(names.get(doc["id"]), doc))


@router.get("/cardholders/{id}")
def get_cardholder(here: Here, id: str) -> CardholderPublic:
    doc = _one(here, "cardholder", id)
    return _cardholder(here.view.name(id), doc)


@router.post("/cardholders", status_code=201)
def create_cardholder(
    here: Here, asked: CardholderCreate, response: Response, key: RequestKey = None
) -> CardholderPublic:
    """The name is kept once the controller has recorded the id; it is told nothing of the name."""
    name = _new_id("c", asked.id)
    doc = _create(here, "cardholder", {"id": name}, key)
    row = NameRow(cardholder=name, name=asked.name, kana=asked.kana, roman=asked.roman)
    here.view.set_name(row)
    response.headers["Location"] = f"/api/v1/cardholders/{name}"
    return CardholderPublic(id=doc["id"], name=asked.name, kana=asked.kana, roman=asked.roman)


@router.patch("/cardholders/{id}")
def change_cardholder(here: Here, id: str, asked: CardholderUpdate) -> CardholderPublic:
    """Names only; they stay here. A cardholder that came with the site's files gets its name this way."""
    doc = _one(here, "cardholder", id)
    was = _cardholder(here.view.name(id), doc)
    now = was.model_copy(update=_fields(asked))
    if now.name is None:
        raise Problem("not_valid", 422, members={"errors": [{"pointer": "/name", "in": "body", "detail": "name"}]})
    note = Note(id=secrets.token_hex(16), type="NAME_CHANGED", officer=here.settings.officer)
    done(here.requests.ask(lambda _: note))
    here.view.set_name(NameRow(cardholder=id, name=now.name, kana=now.kana, roman=now.roman))
    return now


@router.post("/cardholders/{id}/end")
def end_cardholder(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return _end(here, "cardholder", id, key)


# -- credentials --------------------------------------------------------------------------------------------------


def _credential(doc: Doc) -> CredentialPublic:
    return CredentialPublic(id=doc["id"], cardholder=doc["cardholder"], last4=doc["last4"], state=doc["state"])


@router.get("/credentials")
def list_credentials(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[CredentialPublic]:
    return _listed(here, "credential", query, _credential, cardholder=query.cardholder)


@router.get("/credentials/{id}")
def get_credential(here: Here, id: str) -> CredentialPublic:
    return _credential(_one(here, "credential", id))


@router.post("/credentials", status_code=201)
def create_credential(
    here: Here, asked: CredentialCreate, response: Response, key: RequestKey = None
) -> CredentialPublic:
    """The card number goes to the controller, which keeps a keyed hash; here it is kept nowhere."""
    name = _new_id("k", asked.id)
    doc = {"id": name, "cardholder": asked.cardholder, "number": asked.number, "state": asked.state}
    response.headers["Location"] = f"/api/v1/credentials/{name}"
    return _credential(_create(here, "credential", doc, key))


@router.patch("/credentials/{id}")
def change_credential(here: Here, id: str, asked: CredentialUpdate) -> CredentialPublic:
    return _credential(_change(here, "credential", id, _fields(asked)))


@router.post("/credentials/{id}/end")
def end_credential(here: Here, id: str, key: RequestKey = None) -> Recorded:
    """RETURNED; a lost one is a change of state to LOST."""
    return _end(here, "credential", id, key)


# -- clearances ---------------------------------------------------------------------------------------------------


def _clearance(doc: Doc) -> ClearancePublic:
    return ClearancePublic.model_validate({name: doc.get(name) for name in ClearancePublic.model_fields})


def _clearance_doc(name: str, cardholder: str, basis: str, asked: ClearanceCreate | ClearanceUpdate) -> Doc:
    try:
        last = term_of(Basis(basis), asked.notified_on)
    except ValueError:
        raise Problem("edit_refused", 422, members={"field": "notified_on"}) from None
    return {
        "id": name, "cardholder": cardholder, "basis": basis, "notified_on": asked.notified_on.isoformat(),
        "last_valid_on": last.isoformat(), "recorded_by": asked.recorded_by, "confirmed_by": asked.confirmed_by,
    }  # fmt: skip


@router.get("/clearances")
def list_clearances(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[ClearancePublic]:
    return _listed(here, "clearance", query, _clearance, cardholder=query.cardholder)


@router.get("/clearances/{id}")
def get_clearance(here: Here, id: str) -> ClearancePublic:
    return _clearance(_one(here, "clearance", id))


@router.post("/clearances", status_code=201)
def create_clearance(here: Here, asked: ClearanceCreate, response: Response, key: RequestKey = None) -> ClearancePublic:
    name = _new_id("q", asked.id)
    response.headers["Location"] = f"/api/v1/clearances/{name}"
    return _clearance(_create(here, "clearance", _clearance_doc(name, asked.cardholder, asked.basis, asked), key))


@router.patch("/clearances/{id}")
def change_clearance(here: Here, id: str, asked: ClearanceUpdate, response: Response) -> ClearancePublic:
    """Renewal: this row ends and a new one takes its place, in one change; the answer is the new row (§3.1)."""
    name = _new_id("q", None)
    place = ("clearance", id)

    def puts(snapshot: Snapshot) -> Puts:
        old = _present(snapshot, *place)
        new = _clearance_doc(name, old["cardholder"], old["basis"], asked)
        return [("clearance", {**old, "ended_on": today().isoformat()}), ("clearance", new)]

    response.headers["Location"] = f"/api/v1/clearances/{name}"
    return _clearance(_proposed(here, None, (place,), puts, ("clearance", name)))


@router.post("/clearances/{id}/end")
def end_clearance(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return _end(here, "clearance", id, key)


# -- needs-to-know ------------------------------------------------------------------------------------------------


def _need(doc: Doc) -> NeedToKnowPublic:
    fields = {name: doc.get(name) for name in NeedToKnowPublic.model_fields}
    return NeedToKnowPublic.model_validate({**fields, "is_suspended": doc.get("is_suspended", False)})


@router.get("/needs-to-know")
def list_needs_to_know(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[NeedToKnowPublic]:
    return _listed(here, "need_to_know", query, _need, cardholder=query.cardholder)


@router.get("/needs-to-know/{id}")
def get_need_to_know(here: Here, id: str) -> NeedToKnowPublic:
    return _need(_one(here, "need_to_know", id))


@router.post("/needs-to-know", status_code=201)
def create_need_to_know(
    here: Here, asked: NeedToKnowCreate, response: Response, key: RequestKey = None
) -> NeedToKnowPublic:
    name = _new_id("n", asked.id)
    response.headers["Location"] = f"/api/v1/needs-to-know/{name}"
    return _need(_create(here, "need_to_know", {**_fields(asked), "id": name}, key))


@router.patch("/needs-to-know/{id}")
def change_need_to_know(here: Here, id: str, asked: NeedToKnowUpdate) -> NeedToKnowPublic:
    return _need(_change(here, "need_to_know", id, _fields(asked)))


@router.post("/needs-to-know/{id}/end")
def end_need_to_know(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return _end(here, "need_to_know", id, key)


# -- rosters ------------------------------------------------------------------------------------------------------


def _roster(doc: Doc) -> RosterPublic:
    fields = {name: doc.get(name) for name in RosterPublic.model_fields}
    return RosterPublic.model_validate({**fields, "is_suspended": doc.get("is_suspended", False)})


@router.get("/rosters")
def list_rosters(here: Here, query: Annotated[RosterQuery, Query()]) -> PageOf[RosterPublic]:
    return _listed(here, "roster", query, _roster, cardholder=query.cardholder, zone=query.zone)


@router.get("/rosters/{id}")
def get_roster(here: Here, id: str) -> RosterPublic:
    return _roster(_one(here, "roster", id))


@router.post("/rosters", status_code=201)
def create_roster(here: Here, asked: RosterCreate, response: Response, key: RequestKey = None) -> RosterPublic:
    name = _new_id("r", asked.id)
    response.headers["Location"] = f"/api/v1/rosters/{name}"
    return _roster(_create(here, "roster", {**_fields(asked), "id": name}, key))


@router.patch("/rosters/{id}")
def change_roster(here: Here, id: str, asked: RosterUpdate) -> RosterPublic:
    return _roster(_change(here, "roster", id, _fields(asked)))


@router.post("/rosters/{id}/end")
def end_roster(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return _end(here, "roster", id, key)
