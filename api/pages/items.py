"""Information items by ledger number alone, and who is on each one's list of handlers (取扱者名簿, D-06)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.changes import new_id
from api.pages.forms import REASONS, TAKING_OFF, Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, leaf_of, look_of
from api.parts import Here, Parts
from api.problems import Problem
from controller.link.rows import row_to_doc
from zones.decision.ask import is_ended
from zones.ids import CardholderId, InformationItemId, NeedToKnowId
from zones.people import InformationItem, NeedToKnow

NEED_DAYS: Final = 364
ROWS_SHOWN: Final = 40

router = APIRouter(include_in_schema=False)
SeesRights = Annotated[Who, Depends(require(Permission.RIGHTS))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLine:
    """One item. `until_on`: the last day of its designation or its contract, whichever is first; `row`: None where only
    zones name it.
    """

    id: str
    row: InformationItem | None
    until_on: date | None
    is_over: bool
    zones: tuple[str, ...]
    people: int


def item_lines(look: Look) -> list[ItemLine]:
    """Every item that a zone of his handles, and all others where he answers for all zones."""
    handled: dict[str, list[str]] = {}
    for zone in look.policy.zones.values():
        for item in zone.items:
            if look.who.may_see_zone(zone.id):
                handled.setdefault(item, []).append(zone.id)
    ids = set(handled) | (set(look.policy.items) if look.who.zones is None else set())
    counts: dict[str, int] = {}
    for need in look.policy.needs_to_know.values():
        if counts_today(need, look.day):
            counts[need.item] = counts.get(need.item, 0) + 1
    return [_line(look, one, handled.get(one, []), counts.get(one, 0)) for one in sorted(ids)]


def _line(look: Look, id: str, zones: list[str], people: int) -> ItemLine:
    row = look.policy.items.get(InformationItemId(id))
    days = [] if row is None else [day for day in (row.designated_until, row.contract_until) if day is not None]
    is_over = row is not None and (min(days) < look.day or is_ended(row.lifted_on, look.day))
    return ItemLine(
        id=id, row=row, until_on=min(days, default=None), is_over=is_over, people=people,
        zones=tuple(look.zone_name(zone) for zone in zones),
    )  # fmt: skip


def counts_today(need: NeedToKnow, day: date) -> bool:
    """Whether a need-to-know is in its days, approved and not suspended."""
    is_in_days = need.from_on <= day <= need.until_on and not is_ended(need.ended_on, day)
    return (
        need.is_approved and is_in_days and not need.is_suspended and (need.recert_on is None or day <= need.recert_on)
    )


def handlers(look: Look, item: str) -> list[NeedToKnow]:
    """Who is on the list of an item, in order of names: those in force, suspended, and not begun."""
    found = [
        one
        for one in look.policy.needs_to_know.values()
        if one.item == item and not is_ended(one.ended_on, look.day) and one.until_on >= look.day
    ]
    return sorted(found, key=lambda one: look.order(one.cardholder))


@router.get("/items")
def items(here: Here, request: Request, who: SeesRights) -> HTMLResponse:
    """All items."""
    look = look_of(here, who)
    return render(
        request, who, "items.html", look=look, lines=item_lines(look), may_propose=who.may(Permission.PROPOSE)
    )  # fmt: skip


@router.get("/items/{id}")
def item(
    here: Here, request: Request, who: SeesRights, id: str, page: Annotated[int, Query(ge=1, le=10_000)] = 1
) -> HTMLResponse:
    """One item with its list."""
    return _item(here, request, who, id, "", page)


def _item(here: Parts, request: Request, who: Who, id: str, problem: str, page: int = 1) -> HTMLResponse:
    look = look_of(here, who)
    found = next((one for one in item_lines(look) if one.id == id), None)
    if found is None:
        raise Problem("not_found", 404)
    rows = handlers(look, id)
    there = {one.cardholder for one in rows}
    people = [
        (one.id, look.name(one.id))
        for one in sorted(look.policy.cardholders.values(), key=lambda one: look.order(one.id))
        if not is_ended(one.ended_on, look.day) and one.id not in there
    ]
    return render(
        request, who, "item.html", look=look, item=found, leaf=leaf_of(rows, page, ROWS_SHOWN), people=people,
        problem=problem, key=new_key(),
        waiting=here.proposals.waiting_rows("need_to_know"), counts=lambda one: counts_today(one, look.day),
        reasons=REASONS, taking_off=TAKING_OFF, until_on=look.day + timedelta(days=NEED_DAYS),
        may_propose=who.may(Permission.PROPOSE), status=422 if problem else 200,
    )  # fmt: skip


@router.post("/items/{id}/handlers")
def add_handler(here: Here, request: Request, who: Proposes, id: str, form: Sent) -> Response:
    """Propose somebody for the list of an item."""
    look = look_of(here, who)

    def make() -> list[tuple[str, dict[str, object]]]:
        row: dict[str, object] = {
            "id": new_id("n"), "cardholder": form.text("cardholder"), "item": id,
            "purpose_code": form.text("purpose_code"), "from_on": look.day.isoformat(),
            "until_on": form.needed_day("until_on").isoformat(), "requested_by": form.text("requested_by"),
        }  # fmt: skip
        if CardholderId(form.text("cardholder")) not in look.policy.cardholders:
            raise Problem("not_valid", 422, members={"field": "cardholder"})
        return [("need_to_know", row)]

    return begun(here, who, form, make, lambda why: _item(here, request, who, id, why), reason="work_assigned")


@router.post("/items/{id}/handlers/{row}/{act}")
def change_handler(here: Here, request: Request, who: Proposes, id: str, row: str, act: str, form: Sent) -> Response:
    """Suspend, resume or take somebody off the list of an item."""
    look = look_of(here, who)
    found = look.policy.needs_to_know.get(NeedToKnowId(row))
    if found is None or found.item != id or act not in ("suspend", "resume", "end"):
        raise Problem("not_found", 404)
    return begun(
        here, who, form, lambda: [("need_to_know", _changed(look, found, act, form))],
        lambda why: _item(here, request, who, id, why),
    )  # fmt: skip


def _changed(look: Look, need: NeedToKnow, act: str, form: Form) -> dict[str, object]:
    _table, doc = row_to_doc(need)
    if act != "end":
        return {**doc, "is_suspended": act == "suspend"}
    if form.reason("") not in TAKING_OFF:
        raise Problem("not_valid", 422, members={"field": "reason"})
    return {**doc, "ended_on": look.day.isoformat()}


@router.post("/items")
def add_item(here: Here, request: Request, who: Proposes, form: Sent) -> Response:
    """Propose an item: its number and its days, never its title."""

    def make() -> list[tuple[str, dict[str, object]]]:
        row: dict[str, object] = {"id": form.text("id"), "designated_until": form.needed_day("until_on").isoformat()}
        contract = form.day("contract_until")
        return [("item", row if contract is None else row | {"contract_until": contract.isoformat()})]

    def again(problem: str) -> HTMLResponse:
        look = look_of(here, who)
        return render(
            request, who, "items.html", look=look, lines=item_lines(look), may_propose=True, problem=problem, status=422
        )  # fmt: skip

    return begun(here, who, form, make, again)
