"""People: found by name, reading, Latin name or pseudonym; and the one form by which somebody joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.card_waits import CardWait
from api.changes import LIVING, Joins, joining, new_id
from api.names import Name, folded
from api.pages.cards import readers_of, waits_of
from api.pages.forms import Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, leaf_of, look_of
from api.parts import Here, Parts
from api.personal import refuse_names
from api.problems import Problem
from api.row_states import RosterState, roster_state
from api.texts import Said
from zones.authority import EDITORS
from zones.people import Basis, Cardholder, Credential
from zones.places import ZoneKind

PLACE_DAYS: Final = 364
REVIEW_DAYS: Final = 90

router = APIRouter(include_in_schema=False)
SeesPeople = Annotated[Who, Depends(require(Permission.PEOPLE))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]

KINDS: Final[Mapping[str, Said]] = {
    "STAFF": Said("Staff", "kind of person"),
    "VISITOR": Said("Visitor", "kind of person"),
    "MAINTENANCE": Said("Maintenance", "kind of person"),
}
BASES: Final[Mapping[str, Said]] = {
    "KEIZAI_ANPO": Said("Critical economic security information"),
    "TOKUTEI_HIMITSU": Said("Specially designated secrets"),
    "BOEI_HOGO": Said("Information to be protected (defence)"),
    "COMPANY": Said("Company's own level"),
}
"""On what a confirmation rests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One person in the list. `places` and `next_end`: for those who see rights."""

    cardholder: Cardholder
    cards: tuple[str, ...]
    places: int
    next_end: object


def lines(look: Look, part: str, *, with_ended: bool) -> list[Line]:
    """People in order of names, those that were sought."""
    cards: dict[str, list[Credential]] = {}
    for card in look.policy.credentials.values():
        if card.state in LIVING:
            cards.setdefault(card.cardholder, []).append(card)
    found = [
        one
        for one in look.policy.cardholders.values()
        if (with_ended or one.ended_on is None or one.ended_on > look.day)
        and (not part or look.is_sought(one.id, part))
    ]
    found.sort(key=lambda one: look.order(one.id))
    return [_line(look, one, cards.get(one.id, [])) for one in found]


GIVING: Final = frozenset({RosterState.MAY_ENTER, RosterState.ENDS_SOON, RosterState.REVIEW_OVERDUE})


def _line(look: Look, one: Cardholder, cards: list[Credential]) -> Line:
    holder = look.policy.holders.get(one.id)
    places = [
        entry
        for entry in (holder.roster if holder is not None else ())
        if look.who.may_see_zone(entry.zone) and roster_state(entry, look.day) in GIVING
    ]
    return Line(
        cardholder=one, cards=tuple(card.last4 for card in cards), places=len(places) if look.sees_rights else 0,
        next_end=min((entry.until_on for entry in places), default=None) if look.sees_rights else None,
    )  # fmt: skip


@router.get("/people")
def people(
    here: Here,
    request: Request,
    who: SeesPeople,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    ended: Annotated[bool, Query()] = False,
) -> HTMLResponse:
    """The list of people."""
    look = look_of(here, who)
    found = lines(look, folded(q), with_ended=ended)
    return render(
        request, who, "people.html", look=look, leaf=leaf_of(found, page), q=q, ended=ended, kinds=KINDS,
        may_propose=who.may(Permission.PROPOSE),
    )  # fmt: skip


# -- somebody joins --------------------------------------------------------------------------------------------------


@router.get("/people/new")
def recruit_form(here: Here, request: Request, who: Proposes) -> HTMLResponse:
    """The form by which somebody joins."""
    return _form(here, request, who, Form({}), "")


def _form(here: Parts, request: Request, who: Who, form: Form, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    zones = [
        zone
        for zone in look.policy.zones.values()
        if (zone.kind is not ZoneKind.UNRESTRICTED or zone.is_protected) and who.may_see_zone(zone.id)
    ]
    return render(
        request, who, "recruit.html", look=look, form=form, problem=problem, kinds=KINDS, bases=BASES, zones=zones,
        items=sorted({item for zone in zones for item in zone.items}), key=form.text("key") or new_key(),
        readers=readers_of(here, look), wait=_seen(here, who, form), notice=look.policy.site.notice_version,
        from_on=form.text("from_on") or look.day,
        until_on=form.text("until_on") or look.day + timedelta(days=PLACE_DAYS),
        review_on=form.text("review_on") or look.day + timedelta(days=REVIEW_DAYS),
        sponsors=_sponsors(look), status=422 if problem else 200,
    )  # fmt: skip


def _sponsors(look: Look) -> list[tuple[str, str]]:
    """Who may have asked for a need-to-know: people of the house."""
    return sorted(
        (one.id, look.officer_name(one.id)) for one in look.policy.officers.values() if not EDITORS & {*one.roles}
    )


def _seen(here: Parts, who: Who, form: Form) -> CardWait | None:
    if not form.text("wait"):
        return None
    try:
        return waits_of(here).get(who.officer, form.text("wait"))
    except Problem:
        return None


@router.post("/people")
def recruit(here: Here, request: Request, who: Proposes, form: Sent) -> Response:
    """Propose all that somebody begins with, as one change."""
    cardholder = new_id("h")
    name = Name(cardholder=cardholder, name=form.text("name"), kana=form.text("kana"), roman=form.text("roman"))

    def make() -> list[tuple[str, dict[str, object]]]:
        refuse_names(here)
        if not name.name:
            raise Problem("not_valid", 422, members={"field": "name"})
        return list(joining(_joins(here, who, form, cardholder)))

    return begun(
        here, who, form, make, lambda why: _form(here, request, who, form, why), reason="joined", names=[name]
    )  # fmt: skip


def _joins(here: Parts, who: Who, form: Form, cardholder: str) -> Joins:
    look = look_of(here, who)
    basis = form.text("basis")
    return Joins(
        cardholder=cardholder, kind=form.text("kind") or "STAFF",
        notice_version=look.policy.site.notice_version if form.is_set("notice") else 0,
        card=shown_card(here, who, form), basis=Basis(basis) if basis in Basis.__members__ else None,
        notified_on=form.needed_day("notified_on") if basis else None,
        level=int(form.text("level")) if form.text("level").isdecimal() else 0,
        items=form.many("item"), purpose_code=form.text("purpose_code"), requested_by=form.text("requested_by"),
        zones=form.many("zone"), from_on=form.needed_day("from_on"), until_on=form.needed_day("until_on"),
        review_on=form.needed_day("review_on"),
    )  # fmt: skip


def shown_card(here: Parts, who: Who, form: Form) -> dict[str, object] | None:
    """The card that was held to a reader, or its number as it was typed."""
    wait = _seen(here, who, form)
    if wait is not None and wait.shown is not None:
        scheme = {} if wait.shown.scheme is None else {"scheme": wait.shown.scheme}
        return {"number_hash": wait.shown.number_hash, "last4": wait.shown.last4, **scheme}
    number = form.text("number").replace(" ", "").replace(":", "").lower()
    return {"number": number} if number else None
