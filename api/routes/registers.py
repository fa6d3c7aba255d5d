"""Cardholders, credentials, clearances, needs-to-know, rosters: listed, shown, created, changed, ended (api.register).

Ending is `POST …/{id}/end`: nothing is deleted, so there is no DELETE.
"""

import secrets
from bisect import bisect_right
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.auth import signed_in
from api.edits import Puts
from api.link import done
from api.models import (
    CardholderCreate,
    CardholderPublic,
    CardholderQuery,
    CardholderUpdate,
    ClearanceCreate,
    ClearancePublic,
    ClearanceUpdate,
    CredentialCreate,
    CredentialPublic,
    CredentialUpdate,
    NeedToKnowCreate,
    NeedToKnowPublic,
    NeedToKnowUpdate,
    OwnedQuery,
    PageOf,
    Recorded,
    RosterCreate,
    RosterPublic,
    RosterQuery,
    RosterUpdate,
)
from api.name_keys import NameKeysError
from api.names import Name
from api.parts import Here, Parts
from api.people import people
from api.problems import Problem
from api.register import (
    PROBLEMS,
    Doc,
    RequestKey,
    change,
    create,
    end,
    listed,
    new_id,
    one,
    present,
    proposed,
    sent,
    today,
)
from api.view import Forgotten, Snapshot
from controller.link.messages import Note
from zones.people import Basis
from zones.terms import term_of

router = APIRouter(dependencies=[Depends(signed_in)], responses=PROBLEMS)


# -- cardholders --------------------------------------------------------------------------------------------------


def _cardholder(name: Name | None, doc: Doc) -> CardholderPublic:
    row = name or Name(cardholder=doc["id"], name="")
    return CardholderPublic(
        id=doc["id"], name=row.name or None, kana=row.kana, roman=row.roman, kind=doc.get("kind", "STAFF"),
        notice_version=doc.get("notice_version", 0), held_extra_ms=doc.get("held_extra_ms", 0),
    )  # fmt: skip


def _place_after(cursor: str | None, ids: list[str], *, is_by_id: bool) -> int:
    """Where the next page begins. Raises Problem where somebody was ended since, and no order tells his place."""
    if cursor is None:
        return 0
    if is_by_id:
        return bisect_right(ids, cursor)
    if cursor in ids:
        return ids.index(cursor) + 1
    raise Problem("not_valid", 422, members={"errors": [{"pointer": "/cursor", "in": "query", "detail": "cursor"}]})


def _refuse_names(here: Parts, cardholder: str | None = None) -> None:
    """Raises Problem where no name can be kept, or none of this person any more: before anything is proposed."""
    if cardholder is not None and here.view.forgotten_at(cardholder) is not None:
        raise Problem("forgotten", 409)
    try:
        here.view.names.refuse_fault()
    except NameKeysError as error:
        raise Problem("names_unreadable", 503, members={"why": str(error)}) from error


def _keep(here: Parts, name: Name) -> None:
    try:
        here.view.set_name(name)
    except NameKeysError as error:
        raise Problem("names_unreadable", 503, members={"why": str(error)}) from error
    except Forgotten as error:
        raise Problem("forgotten", 409) from error


@router.get("/cardholders")
def list_cardholders(here: Here, query: Annotated[CardholderQuery, Query()]) -> PageOf[CardholderPublic]:
    """In order of id, or of how the names are read. `q`: part of an id, a name, its reading or its Latin form."""
    shown = people(here, sought=query.q, sort=query.sort)
    ids = [doc["id"] for doc, _ in shown]
    begin = _place_after(query.cursor, ids, is_by_id=query.sort == "id")
    page = shown[begin : begin + query.limit]
    return PageOf(
        items=[_cardholder(name, doc) for doc, name in page],
        next=page[-1][0]["id"] if len(shown) > begin + query.limit else None,
    )


@router.get("/cardholders/{id}")
def get_cardholder(here: Here, id: str) -> CardholderPublic:
    doc = one(here, "cardholder", id)
    return _cardholder(here.view.names.get(id), doc)


@router.post("/cardholders", status_code=201)
def create_cardholder(
    here: Here, asked: CardholderCreate, response: Response, key: RequestKey = None
) -> CardholderPublic:
    """The name is kept once the controller has recorded the id; it is told nothing of the name."""
    name = new_id("c", asked.id)
    told = asked.model_dump(mode="json", exclude_unset=True, exclude={"name", "kana", "roman"})
    _refuse_names(here)
    doc = create(here, "cardholder", {**told, "id": name}, key)
    row = Name(cardholder=name, name=asked.name, kana=asked.kana, roman=asked.roman)
    shown = _cardholder(row, doc)
    _keep(here, row)
    response.headers["Location"] = f"/api/v1/cardholders/{name}"
    return shown


@router.patch("/cardholders/{id}")
def change_cardholder(here: Here, id: str, asked: CardholderUpdate) -> CardholderPublic:
    """Names stay here; the rest is proposed to the controller. A cardholder without a name gets one this way."""
    doc = one(here, "cardholder", id)
    fields = sent(asked)
    names: Doc = {name: fields.pop(name) for name in ("name", "kana", "roman") if name in fields}
    if names:
        _refuse_names(here, id)
    if fields:
        doc = change(here, "cardholder", id, fields)
    was = _cardholder(here.view.names.get(id), doc)
    if not names:
        return was
    now = was.model_copy(update=names)
    if now.name is None:
        raise Problem("not_valid", 422, members={"errors": [{"pointer": "/name", "in": "body", "detail": "name"}]})
    note = Note(id=secrets.token_hex(16), type="NAME_CHANGED", officer=here.settings.officer, cardholder=id)
    done(here.requests.ask(lambda _: note))
    _keep(here, Name(cardholder=id, name=now.name, kana=now.kana, roman=now.roman))
    return now


@router.post("/cardholders/{id}/end")
def end_cardholder(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return end(here, "cardholder", id, key)


# -- credentials --------------------------------------------------------------------------------------------------


def _credential(doc: Doc) -> CredentialPublic:
    return CredentialPublic(
        id=doc["id"],
        cardholder=doc["cardholder"],
        last4=doc["last4"],
        state=doc["state"],
        scheme=doc.get("scheme"),
    )


@router.get("/credentials")
def list_credentials(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[CredentialPublic]:
    return listed(here, "credential", query, _credential, cardholder=query.cardholder)


@router.get("/credentials/{id}")
def get_credential(here: Here, id: str) -> CredentialPublic:
    return _credential(one(here, "credential", id))


@router.post("/credentials", status_code=201)
def create_credential(
    here: Here, asked: CredentialCreate, response: Response, key: RequestKey = None
) -> CredentialPublic:
    """The card number goes to the controller, which keeps a keyed hash; here it is kept nowhere."""
    name = new_id("k", asked.id)
    doc: Doc = {"id": name, "cardholder": asked.cardholder, "number": asked.number, "state": asked.state}
    if asked.scheme is not None:
        doc["scheme"] = asked.scheme
    response.headers["Location"] = f"/api/v1/credentials/{name}"
    return _credential(create(here, "credential", doc, key))


@router.patch("/credentials/{id}")
def change_credential(here: Here, id: str, asked: CredentialUpdate) -> CredentialPublic:
    is_bare = "scheme" in asked.model_fields_set and asked.scheme is None
    fields = sent(asked) | ({"scheme": None} if is_bare else {})
    return _credential(change(here, "credential", id, fields))


@router.post("/credentials/{id}/end")
def end_credential(here: Here, id: str, key: RequestKey = None) -> Recorded:
    """RETURNED; a lost one is a change of state to LOST."""
    return end(here, "credential", id, key)


# -- clearances ---------------------------------------------------------------------------------------------------


def _clearance(doc: Doc) -> ClearancePublic:
    fields = {name: doc.get(name) for name in ClearancePublic.model_fields}
    return ClearancePublic.model_validate({**fields, "level": doc.get("level", 0)})


def _clearance_doc(name: str, cardholder: str, basis: str, level: int, asked: ClearanceCreate | ClearanceUpdate) -> Doc:
    try:
        last = term_of(Basis(basis), asked.notified_on)
    except ValueError:
        raise Problem("edit_refused", 422, members={"field": "notified_on"}) from None
    return {
        "id": name, "cardholder": cardholder, "basis": basis, "notified_on": asked.notified_on.isoformat(),
        "last_valid_on": last.isoformat(), "recorded_by": asked.recorded_by, "confirmed_by": asked.confirmed_by,
        "level": level,
    }  # fmt: skip


@router.get("/clearances")
def list_clearances(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[ClearancePublic]:
    return listed(here, "clearance", query, _clearance, cardholder=query.cardholder)


@router.get("/clearances/{id}")
def get_clearance(here: Here, id: str) -> ClearancePublic:
    return _clearance(one(here, "clearance", id))


@router.post("/clearances", status_code=201)
def create_clearance(here: Here, asked: ClearanceCreate, response: Response, key: RequestKey = None) -> ClearancePublic:
    name = new_id("q", asked.id)
    response.headers["Location"] = f"/api/v1/clearances/{name}"
    doc = _clearance_doc(name, asked.cardholder, asked.basis, asked.level, asked)
    return _clearance(create(here, "clearance", doc, key))


@router.patch("/clearances/{id}")
def change_clearance(here: Here, id: str, asked: ClearanceUpdate, response: Response) -> ClearancePublic:
    """Renewal: this row ends and a new one takes its place, in one change; the answer is the new row (§3.1)."""
    name = new_id("q", None)
    place = ("clearance", id)

    def puts(snapshot: Snapshot) -> Puts:
        old = present(snapshot, *place)
        new = _clearance_doc(name, old["cardholder"], old["basis"], old.get("level", 0), asked)
        return [("clearance", {**old, "ended_on": today().isoformat()}), ("clearance", new)]

    response.headers["Location"] = f"/api/v1/clearances/{name}"
    return _clearance(proposed(here, None, (place,), puts, ("clearance", name)))


@router.post("/clearances/{id}/end")
def end_clearance(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return end(here, "clearance", id, key)


# -- needs-to-know ------------------------------------------------------------------------------------------------


def _need(doc: Doc) -> NeedToKnowPublic:
    return NeedToKnowPublic.model_validate({name: doc[name] for name in NeedToKnowPublic.model_fields if name in doc})


@router.get("/needs-to-know")
def list_needs_to_know(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[NeedToKnowPublic]:
    return listed(here, "need_to_know", query, _need, cardholder=query.cardholder)


@router.get("/needs-to-know/{id}")
def get_need_to_know(here: Here, id: str) -> NeedToKnowPublic:
    return _need(one(here, "need_to_know", id))


@router.post("/needs-to-know", status_code=201)
def create_need_to_know(
    here: Here, asked: NeedToKnowCreate, response: Response, key: RequestKey = None
) -> NeedToKnowPublic:
    name = new_id("n", asked.id)
    response.headers["Location"] = f"/api/v1/needs-to-know/{name}"
    return _need(create(here, "need_to_know", {**sent(asked), "id": name}, key))


@router.patch("/needs-to-know/{id}")
def change_need_to_know(here: Here, id: str, asked: NeedToKnowUpdate) -> NeedToKnowPublic:
    return _need(change(here, "need_to_know", id, sent(asked)))


@router.post("/needs-to-know/{id}/end")
def end_need_to_know(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return end(here, "need_to_know", id, key)


# -- rosters ------------------------------------------------------------------------------------------------------


def _roster(doc: Doc) -> RosterPublic:
    return RosterPublic.model_validate({name: doc[name] for name in RosterPublic.model_fields if name in doc})


@router.get("/rosters")
def list_rosters(here: Here, query: Annotated[RosterQuery, Query()]) -> PageOf[RosterPublic]:
    return listed(here, "roster", query, _roster, cardholder=query.cardholder, zone=query.zone)


@router.get("/rosters/{id}")
def get_roster(here: Here, id: str) -> RosterPublic:
    return _roster(one(here, "roster", id))


@router.post("/rosters", status_code=201)
def create_roster(here: Here, asked: RosterCreate, response: Response, key: RequestKey = None) -> RosterPublic:
    name = new_id("r", asked.id)
    response.headers["Location"] = f"/api/v1/rosters/{name}"
    return _roster(create(here, "roster", {**sent(asked), "id": name}, key))


@router.patch("/rosters/{id}")
def change_roster(here: Here, id: str, asked: RosterUpdate) -> RosterPublic:
    return _roster(change(here, "roster", id, sent(asked)))


@router.post("/rosters/{id}/end")
def end_roster(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return end(here, "roster", id, key)
