"""Cardholders, credentials, clearances, needs-to-know, rosters: listed, shown, created, changed, ended (api.register).

Ending is `POST …/{id}/end`: nothing is deleted, so there is no DELETE. Whatever changes a row is answered with 202 and
the proposal that its officers sign; a PATCH says by `If-Match` what it was made for.
"""

from bisect import bisect_right
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.access import Permission, Who, require
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
    RosterCreate,
    RosterPublic,
    RosterQuery,
    RosterUpdate,
)
from api.names import Name
from api.parts import Here, Parts
from api.people import people
from api.personal import refuse_names, rename
from api.problems import Problem
from api.proposal_models import ProposalPublic
from api.proposal_rules import Puts
from api.proposals import open_proposal
from api.register import (
    PROBLEMS,
    Doc,
    IfMatch,
    RequestKey,
    Why,
    change,
    create,
    end,
    etag,
    listed,
    new_id,
    one,
    present,
    refuse_stale,
    sent,
    today,
    waiting,
)
from api.view import Snapshot
from zones.people import Basis
from zones.terms import term_of

router = APIRouter(responses=PROBLEMS)

SeesPeople = Annotated[Who, Depends(require(Permission.PEOPLE))]
SeesRights = Annotated[Who, Depends(require(Permission.RIGHTS))]
Proposer = Annotated[Who, Depends(require(Permission.PROPOSE))]
AtDesk = Annotated[Who, Depends(require(Permission.DESK))]


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


def _marked(doc: Doc, name: Name | None, response: Response) -> CardholderPublic:
    response.headers["ETag"] = _etag(doc, name)
    return _cardholder(name, doc)


def _etag(doc: Doc, name: Name | None) -> str:
    return etag(doc, None if name is None else (name.name, name.kana, name.roman))


@router.get("/cardholders", dependencies=[Depends(require(Permission.PEOPLE))])
def list_cardholders(here: Here, query: Annotated[CardholderQuery, Query()]) -> PageOf[CardholderPublic]:
    """In order of id, or of how the names are read. `q`: part of an id, a name, its reading or its Latin form."""
    found = people(here, sought=query.q, sort=query.sort)
    ids = [doc["id"] for doc, _ in found]
    begin = _place_after(query.cursor, ids, is_by_id=query.sort == "id")
    page = found[begin : begin + query.limit]
    return PageOf(
        items=[_cardholder(name, doc) for doc, name in page],
        next=page[-1][0]["id"] if len(found) > begin + query.limit else None,
    )


@router.get("/cardholders/{id}", dependencies=[Depends(require(Permission.PEOPLE))])
def get_cardholder(here: Here, id: str, response: Response) -> CardholderPublic:
    return _marked(one(here, "cardholder", id), here.view.names.get(id), response)


@router.post("/cardholders", status_code=202)
def create_cardholder(
    here: Here, who: AtDesk, asked: CardholderCreate, response: Response, why: Why = "joined", key: RequestKey = None
) -> ProposalPublic:
    """The controller is told nothing of the name; it is kept here, and destroyed if the change comes to nothing."""
    name = new_id("c", asked.id)
    told = asked.model_dump(mode="json", exclude_unset=True, exclude={"name", "kana", "roman"})
    refuse_names(here, name)
    called = Name(cardholder=name, name=asked.name, kana=asked.kana, roman=asked.roman)
    return waiting(here, who, create(here, who, "cardholder", {**told, "id": name}, key, why, [called]), response)


@router.patch("/cardholders/{id}", responses={202: {"model": ProposalPublic}})
def change_cardholder(
    here: Here, who: SeesPeople, id: str, asked: CardholderUpdate, response: Response, why: Why = "correction",
    if_match: IfMatch = None,
) -> CardholderPublic | ProposalPublic:  # fmt: skip
    """Names stay here and are changed at once (200); the rest is a proposal (202). A cardholder without a name gets one
    this way.
    """
    doc, called = one(here, "cardholder", id), here.view.names.get(id)
    refuse_stale(if_match, _etag(doc, called))
    fields = sent(asked)
    names: Doc = {name: fields.pop(name) for name in ("name", "kana", "roman") if name in fields}
    proposal = change(here, who, "cardholder", id, fields, why) if fields else None
    if names:
        called = _rename(here, who, id, _cardholder(called, doc).model_copy(update=names))
    return _marked(doc, called, response) if proposal is None else waiting(here, who, proposal, response)


def _rename(here: Parts, who: Who, id: str, now: CardholderPublic) -> Name:
    """Another name: noted in the record, without saying which."""
    if now.name is None:
        raise Problem("not_valid", 422, members={"errors": [{"pointer": "/name", "in": "body", "detail": "name"}]})
    called = Name(cardholder=id, name=now.name, kana=now.kana, roman=now.roman)
    rename(here, who.officer, called)
    return called


@router.post("/cardholders/{id}/end", status_code=202)
def end_cardholder(
    here: Here, who: Proposer, id: str, response: Response, why: Why = "left", key: RequestKey = None
) -> ProposalPublic:
    return waiting(here, who, end(here, who, "cardholder", id, key, why), response)


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
def list_credentials(here: Here, who: SeesPeople, query: Annotated[OwnedQuery, Query()]) -> PageOf[CredentialPublic]:
    return listed(here, who, "credential", query, _credential, cardholder=query.cardholder)


@router.get("/credentials/{id}")
def get_credential(here: Here, who: SeesPeople, id: str, response: Response) -> CredentialPublic:
    doc = one(here, "credential", id, who)
    response.headers["ETag"] = etag(doc)
    return _credential(doc)


@router.post("/credentials", status_code=202)
def create_credential(
    here: Here, who: Proposer, asked: CredentialCreate, response: Response, why: Why = "joined", key: RequestKey = None
) -> ProposalPublic:
    """The card number goes to the controller, which gives back a keyed hash; here it is kept nowhere."""
    doc: Doc = {"id": new_id("k", asked.id), "cardholder": asked.cardholder, "number": asked.number}
    doc |= {"state": asked.state} | ({} if asked.scheme is None else {"scheme": asked.scheme})
    return waiting(here, who, create(here, who, "credential", doc, key, why), response)


@router.patch("/credentials/{id}", status_code=202)
def change_credential(
    here: Here, who: AtDesk, id: str, asked: CredentialUpdate, response: Response, why: Why = "lost_card",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "credential", id, who)))
    is_bare = "scheme" in asked.model_fields_set and asked.scheme is None
    fields = sent(asked) | ({"scheme": None} if is_bare else {})
    return waiting(here, who, change(here, who, "credential", id, fields, why), response)


@router.post("/credentials/{id}/end", status_code=202)
def end_credential(
    here: Here, who: AtDesk, id: str, response: Response, why: Why = "work_ended", key: RequestKey = None
) -> ProposalPublic:
    """RETURNED; a lost one is a change of state to LOST."""
    return waiting(here, who, end(here, who, "credential", id, key, why), response)


# -- clearances ---------------------------------------------------------------------------------------------------


def _clearance(doc: Doc) -> ClearancePublic:
    fields = {name: doc.get(name) for name in ClearancePublic.model_fields}
    return ClearancePublic.model_validate({**fields, "level": doc.get("level", 0)})


def _clearance_doc(name: str, cardholder: str, basis: str, level: int, asked: ClearanceCreate | ClearanceUpdate) -> Doc:
    """Recorded and confirmed by the two who sign it."""
    try:
        last = term_of(Basis(basis), asked.notified_on)
    except ValueError:
        raise Problem("edit_refused", 422, members={"field": "notified_on"}) from None
    return {
        "id": name, "cardholder": cardholder, "basis": basis, "notified_on": asked.notified_on.isoformat(),
        "last_valid_on": last.isoformat(), "level": level,
    }  # fmt: skip


@router.get("/clearances")
def list_clearances(here: Here, who: SeesRights, query: Annotated[OwnedQuery, Query()]) -> PageOf[ClearancePublic]:
    return listed(here, who, "clearance", query, _clearance, cardholder=query.cardholder)


@router.get("/clearances/{id}")
def get_clearance(here: Here, who: SeesRights, id: str, response: Response) -> ClearancePublic:
    doc = one(here, "clearance", id, who)
    response.headers["ETag"] = etag(doc)
    return _clearance(doc)


@router.post("/clearances", status_code=202)
def create_clearance(
    here: Here, who: Proposer, asked: ClearanceCreate, response: Response, why: Why = "work_assigned",
    key: RequestKey = None,
) -> ProposalPublic:  # fmt: skip
    doc = _clearance_doc(new_id("q", asked.id), asked.cardholder, asked.basis, asked.level, asked)
    return waiting(here, who, create(here, who, "clearance", doc, key, why), response)


@router.patch("/clearances/{id}", status_code=202)
def change_clearance(
    here: Here, who: Proposer, id: str, asked: ClearanceUpdate, response: Response, why: Why = "renewal",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    """Renewal: this row ends and a new one takes its place, in one change (§3.1)."""
    name = new_id("q", None)
    place = ("clearance", id)
    refuse_stale(if_match, etag(one(here, "clearance", id)))

    def puts(snapshot: Snapshot) -> Puts:
        old = present(snapshot, *place)
        new = _clearance_doc(name, old["cardholder"], old["basis"], old.get("level", 0), asked)
        return [("clearance", {**old, "ended_on": today().isoformat()}), ("clearance", new)]

    return waiting(here, who, open_proposal(here, who, make=puts, places=(place,), reason=why), response)


@router.post("/clearances/{id}/end", status_code=202)
def end_clearance(
    here: Here, who: Proposer, id: str, response: Response, why: Why = "work_ended", key: RequestKey = None
) -> ProposalPublic:
    return waiting(here, who, end(here, who, "clearance", id, key, why), response)


# -- needs-to-know ------------------------------------------------------------------------------------------------


def _need(doc: Doc) -> NeedToKnowPublic:
    return NeedToKnowPublic.model_validate({name: doc[name] for name in NeedToKnowPublic.model_fields if name in doc})


@router.get("/needs-to-know")
def list_needs_to_know(here: Here, who: SeesRights, query: Annotated[OwnedQuery, Query()]) -> PageOf[NeedToKnowPublic]:
    return listed(here, who, "need_to_know", query, _need, cardholder=query.cardholder)


@router.get("/needs-to-know/{id}")
def get_need_to_know(here: Here, who: SeesRights, id: str, response: Response) -> NeedToKnowPublic:
    doc = one(here, "need_to_know", id, who)
    response.headers["ETag"] = etag(doc)
    return _need(doc)


@router.post("/needs-to-know", status_code=202)
def create_need_to_know(
    here: Here,
    who: Proposer,
    asked: NeedToKnowCreate,
    response: Response,
    why: Why = "work_assigned",
    key: RequestKey = None,
) -> ProposalPublic:
    """Approved by the two who sign it, where somebody else requested it (`requested_by`); else a draft."""
    doc = {**sent(asked), "id": new_id("n", asked.id)}
    return waiting(here, who, create(here, who, "need_to_know", doc, key, why), response)


@router.patch("/needs-to-know/{id}", status_code=202)
def change_need_to_know(
    here: Here, who: Proposer, id: str, asked: NeedToKnowUpdate, response: Response, why: Why = "correction",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "need_to_know", id, who)))
    return waiting(here, who, change(here, who, "need_to_know", id, sent(asked), why), response)


@router.post("/needs-to-know/{id}/end", status_code=202)
def end_need_to_know(
    here: Here, who: Proposer, id: str, response: Response, why: Why = "work_ended", key: RequestKey = None
) -> ProposalPublic:
    return waiting(here, who, end(here, who, "need_to_know", id, key, why), response)


# -- rosters ------------------------------------------------------------------------------------------------------


def _roster(doc: Doc) -> RosterPublic:
    return RosterPublic.model_validate({name: doc[name] for name in RosterPublic.model_fields if name in doc})


@router.get("/rosters")
def list_rosters(here: Here, who: SeesRights, query: Annotated[RosterQuery, Query()]) -> PageOf[RosterPublic]:
    return listed(here, who, "roster", query, _roster, cardholder=query.cardholder, zone=query.zone)


@router.get("/rosters/{id}")
def get_roster(here: Here, who: SeesRights, id: str, response: Response) -> RosterPublic:
    doc = one(here, "roster", id, who)
    response.headers["ETag"] = etag(doc)
    return _roster(doc)


@router.post("/rosters", status_code=202)
def create_roster(
    here: Here,
    who: Proposer,
    asked: RosterCreate,
    response: Response,
    why: Why = "work_assigned",
    key: RequestKey = None,
) -> ProposalPublic:
    doc = {**sent(asked), "id": new_id("r", asked.id)}
    return waiting(here, who, create(here, who, "roster", doc, key, why), response)


@router.patch("/rosters/{id}", status_code=202)
def change_roster(
    here: Here, who: Proposer, id: str, asked: RosterUpdate, response: Response, why: Why = "correction",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "roster", id, who)))
    return waiting(here, who, change(here, who, "roster", id, sent(asked), why), response)


@router.post("/rosters/{id}/end", status_code=202)
def end_roster(
    here: Here, who: Proposer, id: str, response: Response, why: Why = "work_ended", key: RequestKey = None
) -> ProposalPublic:
    return waiting(here, who, end(here, who, "roster", id, key, why), response)
