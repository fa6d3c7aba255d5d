"""Information items, trainings, declarations, visits, break-glass and PINs: as the registers, by `api.register`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.auth import signed_in
from api.edits import propose
from api.live import now_ms
from api.models import ListQuery, OwnedQuery, PageOf, Recorded, iso
from api.parts import Here
from api.register import PROBLEMS, Doc, RequestKey, change, create, end, listed, new_id, one, present, sent
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

router = APIRouter(dependencies=[Depends(signed_in)], responses=PROBLEMS)


# -- information items ----------------------------------------------------------------------------------------------


def _item(doc: Doc) -> ItemPublic:
    return ItemPublic.model_validate(doc)


@router.get("/items")
def list_items(here: Here, query: Annotated[ListQuery, Query()]) -> PageOf[ItemPublic]:
    return listed(here, "item", query, _item)


@router.get("/items/{id}")
def get_item(here: Here, id: str) -> ItemPublic:
    return _item(one(here, "item", id))


@router.post("/items", status_code=201)
def create_item(here: Here, asked: ItemCreate, response: Response, key: RequestKey = None) -> ItemPublic:
    """The id is the ledger number; titles are not taken."""
    response.headers["Location"] = f"/api/v1/items/{asked.id}"
    return _item(create(here, "item", sent(asked), key))


@router.patch("/items/{id}")
def change_item(here: Here, id: str, asked: ItemUpdate) -> ItemPublic:
    return _item(change(here, "item", id, sent(asked)))


# -- trainings ------------------------------------------------------------------------------------------------------


def _training(doc: Doc) -> TrainingPublic:
    return TrainingPublic.model_validate(doc)


@router.get("/trainings")
def list_trainings(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[TrainingPublic]:
    return listed(here, "training", query, _training, cardholder=query.cardholder)


@router.get("/trainings/{id}")
def get_training(here: Here, id: str) -> TrainingPublic:
    return _training(one(here, "training", id))


@router.post("/trainings", status_code=201)
def create_training(here: Here, asked: TrainingCreate, response: Response, key: RequestKey = None) -> TrainingPublic:
    name = new_id("t", asked.id)
    response.headers["Location"] = f"/api/v1/trainings/{name}"
    return _training(create(here, "training", {**sent(asked), "id": name}, key))


@router.patch("/trainings/{id}")
def change_training(here: Here, id: str, asked: TrainingUpdate) -> TrainingPublic:
    return _training(change(here, "training", id, sent(asked)))


# -- declarations ---------------------------------------------------------------------------------------------------


def _declaration(doc: Doc) -> DeclarationPublic:
    return DeclarationPublic.model_validate(doc)


@router.get("/declarations")
def list_declarations(here: Here, query: Annotated[DeclarationQuery, Query()]) -> PageOf[DeclarationPublic]:
    return listed(here, "declaration", query, _declaration, cardholder=query.cardholder, zone=query.zone)


@router.get("/declarations/{id}")
def get_declaration(here: Here, id: str) -> DeclarationPublic:
    return _declaration(one(here, "declaration", id))


@router.post("/declarations", status_code=201)
def create_declaration(
    here: Here, asked: DeclarationCreate, response: Response, key: RequestKey = None
) -> DeclarationPublic:
    name = new_id("d", asked.id)
    response.headers["Location"] = f"/api/v1/declarations/{name}"
    return _declaration(create(here, "declaration", {**sent(asked), "id": name}, key))


@router.patch("/declarations/{id}")
def change_declaration(here: Here, id: str, asked: DeclarationUpdate) -> DeclarationPublic:
    return _declaration(change(here, "declaration", id, sent(asked)))


@router.post("/declarations/{id}/end")
def end_declaration(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return end(here, "declaration", id, key)


# -- visits ---------------------------------------------------------------------------------------------------------


def _visit(doc: Doc) -> VisitPublic:
    return VisitPublic.model_validate(doc)


@router.get("/visits")
def list_visits(here: Here, query: Annotated[OwnedQuery, Query()]) -> PageOf[VisitPublic]:
    return listed(here, "visit", query, _visit, cardholder=query.cardholder)


@router.get("/visits/{id}")
def get_visit(here: Here, id: str) -> VisitPublic:
    return _visit(one(here, "visit", id))


@router.post("/visits", status_code=201)
def create_visit(here: Here, asked: VisitCreate, response: Response, key: RequestKey = None) -> VisitPublic:
    name = new_id("v", asked.id)
    response.headers["Location"] = f"/api/v1/visits/{name}"
    return _visit(create(here, "visit", {**sent(asked), "id": name}, key))


@router.patch("/visits/{id}")
def change_visit(here: Here, id: str, asked: VisitUpdate) -> VisitPublic:
    return _visit(change(here, "visit", id, sent(asked)))


@router.post("/visits/{id}/end")
def end_visit(here: Here, id: str, key: RequestKey = None) -> Recorded:
    return end(here, "visit", id, key)


# -- break-glass ----------------------------------------------------------------------------------------------------


def _override(doc: Doc) -> OverridePublic:
    times = {"from_at": iso(doc["from_ms"]), "until_at": iso(doc["until_ms"])}
    return OverridePublic.model_validate({**doc, **times})


@router.get("/overrides")
def list_overrides(here: Here, query: Annotated[OverrideQuery, Query()]) -> PageOf[OverridePublic]:
    """Those that last; the others are in the events."""
    return listed(here, "override", query, _override, zone=query.zone)


@router.get("/overrides/{id}")
def get_override(here: Here, id: str) -> OverridePublic:
    return _override(one(here, "override", id))


@router.post("/overrides", status_code=201)
def create_override(here: Here, asked: OverrideCreate, response: Response, key: RequestKey = None) -> OverridePublic:
    """From now for `minutes`; it ends by itself."""
    name = new_id("o", asked.id)
    start = now_ms()
    doc = {**sent(asked), "id": name, "from_ms": start, "until_ms": start + asked.minutes * MINUTE_MS}
    del doc["minutes"]
    response.headers["Location"] = f"/api/v1/overrides/{name}"
    return _override(create(here, "override", doc, key))


@router.post("/overrides/{id}/end")
def end_override(here: Here, id: str, key: RequestKey = None) -> Recorded:
    """Ends it before its time."""
    return end(here, "override", id, key)


# -- PINs -----------------------------------------------------------------------------------------------------------


@router.post("/cardholders/{id}/pin")
def set_pin(here: Here, id: str, asked: PinCreate, key: RequestKey = None) -> Recorded:
    """Set or replace a PIN. The digits go to the controller, which keeps slow hashes; nobody can read them again."""
    place = ("cardholder", id)
    row = {"id": id, "pin": asked.pin} | ({} if asked.duress is None else {"duress": asked.duress})
    recorded = propose(
        here.view, here.requests, here.settings.officer, key or new_id("pin", None), (place,),
        lambda now: [("pin", row)] if present(now, *place) else [],
    )  # fmt: skip
    return Recorded(id=id, seq=recorded.seq)
