"""Information items, trainings, declarations, visits, break-glass and PINs: as the registers, by `api.register`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.access import Permission, Who, require
from api.live import now_ms
from api.models import ListQuery, OwnedQuery, PageOf, iso
from api.parts import Here
from api.proposal_models import ProposalPublic
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
    refuse_stale,
    sent,
    waiting,
)
from api.right_models import (
    MINUTE_MS,
    DeclarationCreate,
    DeclarationPublic,
    DeclarationQuery,
    DeclarationUpdate,
    ItemCreate,
    ItemPublic,
    ItemUpdate,
    OverrideCreate,
    OverridePublic,
    OverrideQuery,
    PinCreate,
    TrainingCreate,
    TrainingPublic,
    TrainingUpdate,
    VisitCreate,
    VisitPublic,
    VisitUpdate,
)

router = APIRouter(responses=PROBLEMS)

SeesRights = Annotated[Who, Depends(require(Permission.RIGHTS))]
Proposer = Annotated[Who, Depends(require(Permission.PROPOSE))]
AtDesk = Annotated[Who, Depends(require(Permission.DESK))]


# -- information items -----------------------------------------------------------------------------------------------


def _item(doc: Doc) -> ItemPublic:
    return ItemPublic.model_validate(doc)


@router.get("/items")
def list_items(here: Here, who: SeesRights, query: Annotated[ListQuery, Query()]) -> PageOf[ItemPublic]:
    return listed(here, who, "item", query, _item)


@router.get("/items/{id}")
def get_item(here: Here, who: SeesRights, id: str, response: Response) -> ItemPublic:
    doc = one(here, "item", id, who)
    response.headers["ETag"] = etag(doc)
    return _item(doc)


@router.post("/items", status_code=202)
def create_item(
    here: Here, who: Proposer, asked: ItemCreate, response: Response, why: Why = "work_assigned", key: RequestKey = None
) -> ProposalPublic:
    """The id is the ledger number; titles are not taken."""
    doc = sent(asked)
    return waiting(here, who, create(here, who, "item", doc, key, why), response)


@router.patch("/items/{id}", status_code=202)
def change_item(
    here: Here, who: Proposer, id: str, asked: ItemUpdate, response: Response, why: Why = "correction",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "item", id, who)))
    return waiting(here, who, change(here, who, "item", id, sent(asked), why), response)


# -- trainings -------------------------------------------------------------------------------------------------------


def _training(doc: Doc) -> TrainingPublic:
    return TrainingPublic.model_validate(doc)


@router.get("/trainings")
def list_trainings(here: Here, who: SeesRights, query: Annotated[OwnedQuery, Query()]) -> PageOf[TrainingPublic]:
    return listed(here, who, "training", query, _training, cardholder=query.cardholder)


@router.get("/trainings/{id}")
def get_training(here: Here, who: SeesRights, id: str, response: Response) -> TrainingPublic:
    doc = one(here, "training", id, who)
    response.headers["ETag"] = etag(doc)
    return _training(doc)


@router.post("/trainings", status_code=202)
def create_training(
    here: Here,
    who: Proposer,
    asked: TrainingCreate,
    response: Response,
    why: Why = "work_assigned",
    key: RequestKey = None,
) -> ProposalPublic:
    doc = {**sent(asked), "id": new_id("t", asked.id)}
    return waiting(here, who, create(here, who, "training", doc, key, why), response)


@router.patch("/trainings/{id}", status_code=202)
def change_training(
    here: Here, who: Proposer, id: str, asked: TrainingUpdate, response: Response, why: Why = "renewal",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "training", id, who)))
    return waiting(here, who, change(here, who, "training", id, sent(asked), why), response)


# -- declarations ----------------------------------------------------------------------------------------------------


def _declaration(doc: Doc) -> DeclarationPublic:
    return DeclarationPublic.model_validate(doc)


@router.get("/declarations")
def list_declarations(
    here: Here, who: AtDesk, query: Annotated[DeclarationQuery, Query()]
) -> PageOf[DeclarationPublic]:
    return listed(here, who, "declaration", query, _declaration, cardholder=query.cardholder, zone=query.zone)


@router.get("/declarations/{id}")
def get_declaration(here: Here, who: AtDesk, id: str, response: Response) -> DeclarationPublic:
    doc = one(here, "declaration", id, who)
    response.headers["ETag"] = etag(doc)
    return _declaration(doc)


@router.post("/declarations", status_code=202)
def create_declaration(
    here: Here,
    who: AtDesk,
    asked: DeclarationCreate,
    response: Response,
    why: Why = "work_assigned",
    key: RequestKey = None,
) -> ProposalPublic:
    doc = {**sent(asked), "id": new_id("d", asked.id)}
    return waiting(here, who, create(here, who, "declaration", doc, key, why), response)


@router.patch("/declarations/{id}", status_code=202)
def change_declaration(
    here: Here, who: AtDesk, id: str, asked: DeclarationUpdate, response: Response, why: Why = "correction",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "declaration", id, who)))
    return waiting(here, who, change(here, who, "declaration", id, sent(asked), why), response)


@router.post("/declarations/{id}/end", status_code=202)
def end_declaration(
    here: Here, who: AtDesk, id: str, response: Response, why: Why = "work_ended", key: RequestKey = None
) -> ProposalPublic:
    return waiting(here, who, end(here, who, "declaration", id, key, why), response)


# -- visits ----------------------------------------------------------------------------------------------------------


def _visit(doc: Doc) -> VisitPublic:
    return VisitPublic.model_validate(doc)


@router.get("/visits")
def list_visits(here: Here, who: AtDesk, query: Annotated[OwnedQuery, Query()]) -> PageOf[VisitPublic]:
    return listed(here, who, "visit", query, _visit, cardholder=query.cardholder)


@router.get("/visits/{id}")
def get_visit(here: Here, who: AtDesk, id: str, response: Response) -> VisitPublic:
    doc = one(here, "visit", id, who)
    response.headers["ETag"] = etag(doc)
    return _visit(doc)


@router.post("/visits", status_code=202)
def create_visit(
    here: Here, who: AtDesk, asked: VisitCreate, response: Response, why: Why = "visit", key: RequestKey = None
) -> ProposalPublic:
    doc = {**sent(asked), "id": new_id("v", asked.id)}
    return waiting(here, who, create(here, who, "visit", doc, key, why), response)


@router.patch("/visits/{id}", status_code=202)
def change_visit(
    here: Here, who: AtDesk, id: str, asked: VisitUpdate, response: Response, why: Why = "visit",
    if_match: IfMatch = None,
) -> ProposalPublic:  # fmt: skip
    refuse_stale(if_match, etag(one(here, "visit", id, who)))
    return waiting(here, who, change(here, who, "visit", id, sent(asked), why), response)


@router.post("/visits/{id}/end", status_code=202)
def end_visit(
    here: Here, who: AtDesk, id: str, response: Response, why: Why = "visit", key: RequestKey = None
) -> ProposalPublic:
    return waiting(here, who, end(here, who, "visit", id, key, why), response)


# -- break-glass -----------------------------------------------------------------------------------------------------


def _override(doc: Doc) -> OverridePublic:
    times = {"from_at": iso(doc["from_ms"]), "until_at": iso(doc["until_ms"])}
    return OverridePublic.model_validate({**doc, **times})


@router.get("/overrides")
def list_overrides(here: Here, who: SeesRights, query: Annotated[OverrideQuery, Query()]) -> PageOf[OverridePublic]:
    return listed(here, who, "override", query, _override, zone=query.zone)


@router.get("/overrides/{id}")
def get_override(here: Here, who: SeesRights, id: str, response: Response) -> OverridePublic:
    doc = one(here, "override", id, who)
    response.headers["ETag"] = etag(doc)
    return _override(doc)


@router.post("/overrides", status_code=202)
def create_override(
    here: Here, who: Proposer, asked: OverrideCreate, response: Response, why: Why = "emergency", key: RequestKey = None
) -> ProposalPublic:
    """From now for `minutes`, by the two who sign it; it ends by itself, and does not wait longer for them."""
    start = now_ms()
    doc = {**sent(asked), "id": new_id("o", asked.id), "from_ms": start, "until_ms": start + asked.minutes * MINUTE_MS}
    del doc["minutes"]
    return waiting(here, who, create(here, who, "override", doc, key, why), response)


@router.post("/overrides/{id}/end", status_code=202)
def end_override(
    here: Here, who: Proposer, id: str, response: Response, why: Why = "emergency", key: RequestKey = None
) -> ProposalPublic:
    """Ends it before its time."""
    return waiting(here, who, end(here, who, "override", id, key, why), response)


# -- PINs ------------------------------------------------------------------------------------------------------------


@router.post("/cardholders/{id}/pin", status_code=202)
def set_pin(
    here: Here, who: Proposer, id: str, asked: PinCreate, response: Response, why: Why = "other", key: RequestKey = None
) -> ProposalPublic:
    """Set or replace a PIN. The digits go to the controller, which gives back slow hashes: nobody can read them."""
    one(here, "cardholder", id)
    row = {"id": id, "pin": asked.pin} | ({} if asked.duress is None else {"duress": asked.duress})
    return waiting(here, who, open_proposal(here, who, puts=[("pin", row)], reason=why, key=key), response)
