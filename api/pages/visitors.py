"""The desk: who is expected, who came and left, cards handed back; lost cards, and declared devices (A-06, D-08).

That somebody came, or left, is a note in the ledger: nothing of it lies here alone. Guards see what a desk needs, and
nothing of anybody's rights.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.access import Permission, Who, require
from api.changes import LIVING, Puts, card_row, new_id
from api.days import moment_of
from api.link import done
from api.names import Name, folded
from api.pages.cards import readers_of, waits_of
from api.pages.forms import Form, Sent, begun, new_key, told
from api.pages.frame import render
from api.pages.looks import Look, holder_of, look_of
from api.pages.people import GIVING, shown_card
from api.parts import Here, Parts
from api.problems import Problem
from api.row_states import roster_state
from controller.link.messages import Note
from controller.link.rows import row_to_doc
from zones.decision.ask import is_ended
from zones.ids import CredentialId, DeclarationId, VisitId
from zones.people import CardholderKind, Credential, CredentialState, Declaration, Visit
from zones.places import Zone, ZoneKind

FOUND_MAX: Final = 8
VIEW_S_MAX: Final = 3.0
DECLARED_DAYS: Final = 30

router = APIRouter(include_in_schema=False)
AtDesk = Annotated[Who, Depends(require(Permission.DESK))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One visit of today. `arrived_ms`, `left_ms`: as the desk noted them. `escorts`: for those who see rights."""

    visit: Visit
    zones: tuple[str, ...]
    cards: tuple[Credential, ...]
    arrived_ms: int | None
    left_ms: int | None
    is_briefed: bool
    escorts: tuple[str, ...]


def expected(here: Parts, look: Look) -> list[Expected]:
    """Visits of today, in order of the visitors' names."""
    visits = [
        one
        for one in look.policy.visits.values()
        if one.from_on <= look.day <= one.until_on and not is_ended(one.ended_on, look.day)
        and (look.who.zones is None or any(map(look.who.may_see_zone, one.zones)))
    ]  # fmt: skip
    return sorted((_expected(here, look, one) for one in visits), key=lambda one: look.order(one.visit.cardholder))


def _expected(here: Parts, look: Look, visit: Visit) -> Expected:
    noted = _noted(here, look, visit.cardholder)
    arrived = noted.get("VISIT_ARRIVED")
    left = noted.get("VISIT_LEFT")
    is_gone = left is not None and (arrived is None or left > arrived)
    holder = look.policy.cardholders[visit.cardholder]
    return Expected(
        visit=visit, zones=tuple(map(look.zone_name, visit.zones)), cards=tuple(_cards(look, visit.cardholder)),
        arrived_ms=arrived, left_ms=left if is_gone else None,
        is_briefed=holder.notice_version >= look.policy.site.notice_version,
        escorts=tuple(look.name(one) for one in escorts(look, visit)) if look.sees_rights else (),
    )  # fmt: skip


def escorts(look: Look, visit: Visit) -> list[str]:
    """Who may bring this visitor to every zone of the visit: a place there that says so, in force today (A-06)."""
    able: list[set[str]] = [
        {
            entry.cardholder
            for entry in look.policy.roster.values()
            if entry.zone == zone and entry.is_escort and roster_state(entry, look.day) in GIVING
        }
        for zone in visit.zones
    ]
    return sorted(set.intersection(*able), key=look.order) if able else []


def _cards(look: Look, cardholder: str) -> list[Credential]:
    return [one for one in look.policy.credentials.values() if one.cardholder == cardholder and one.state in LIVING]


def _noted(here: Parts, look: Look, cardholder: str) -> dict[str, int]:
    """When the desk last noted today that somebody came, and left."""
    found: dict[str, int] = {}
    for kind, at_ms in here.view.visit_notes(cardholder):
        at = moment_of(at_ms)
        if at is not None and at.date() == look.day:
            found[kind] = max(at_ms, found.get(kind, 0))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Somebody who was looked for at the desk."""

    id: str
    kind: CardholderKind
    cards: tuple[Credential, ...]


def found_people(look: Look, sought: str) -> list[Found]:
    """By name, reading, or the last four signs of a card; the first few, so that the list of all people is not here."""
    part = folded(sought)
    if len(part) < 2:
        return []
    by_card = {one.cardholder for one in look.policy.credentials.values() if one.last4.lower() == part}
    people = [
        one
        for one in look.policy.cardholders.values()
        if not is_ended(one.ended_on, look.day) and (one.id in by_card or look.is_sought(one.id, part))
    ]
    people.sort(key=lambda one: look.order(one.id))
    return [Found(id=one.id, kind=one.kind, cards=tuple(_cards(look, one.id))) for one in people[:FOUND_MAX]]


def declarations(look: Look) -> list[Declaration]:
    """Devices that are declared today."""
    found = [
        one
        for one in look.policy.declarations.values()
        if one.from_on <= look.day <= one.until_on and not is_ended(one.ended_on, look.day)
        and look.who.may_see_zone(one.zone)
    ]  # fmt: skip
    return sorted(found, key=lambda one: look.order(one.cardholder))


def visited_zones(look: Look) -> list[Zone]:
    """Where visitors may be brought."""
    return [
        zone
        for zone in look.policy.zones.values()
        if zone.visitors_allowed and look.who.may_see_zone(zone.id)
    ]  # fmt: skip


@router.get("/visitors")
def visitors(here: Here, request: Request, who: AtDesk, q: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
    """The desk."""
    return _page(here, request, who, q, "")


def _page(here: Parts, request: Request, who: Who, q: str, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    zones = [zone for zone in look.policy.zones.values() if zone.kind is not ZoneKind.UNRESTRICTED]
    return render(
        request, who, "visitors.html", look=look, visits=expected(here, look), q=q, found=found_people(look, q),
        declarations=declarations(look), zones=zones, problem=problem, key=new_key(),
        declared_until=look.day + timedelta(days=DECLARED_DAYS), status=422 if problem else 200,
    )  # fmt: skip


@router.post("/visitors/{id}/{act}")
def note(here: Here, request: Request, who: AtDesk, id: str, act: str, form: Sent) -> Response:
    """A visitor came, left, or handed his card back."""
    look = look_of(here, who)
    visit = look.policy.visits.get(VisitId(id))
    if visit is None or act not in ("arrived", "left", "returned", "end"):
        raise Problem("not_found", 404)
    if act in ("returned", "end"):
        return begun(
            here, who, form, lambda: _ends(look, visit, act, form), lambda why: _page(here, request, who, "", why),
            reason="visit",
        )  # fmt: skip
    message = Note(
        id=form.text("key") or secrets.token_hex(16), type=f"VISIT_{act.upper()}", officer=who.officer,
        cardholder=visit.cardholder,
    )  # fmt: skip
    try:
        here.view.wait_for(done(here.requests.ask(lambda _: message)).seq, VIEW_S_MAX)
    except Problem as problem:
        return _page(here, request, who, "", told(problem))
    return RedirectResponse("/visitors", 303)


def _ends(look: Look, visit: Visit, act: str, form: Form) -> Puts:
    """Cards that were handed back; with `end`, the visit too."""
    puts: Puts = []
    for card in _cards(look, visit.cardholder):
        _table, doc = row_to_doc(card)
        puts.append(("credential", {**doc, "state": "LOST" if card.id in form.many("lost") else "RETURNED"}))
    if act == "end":
        _table, doc = row_to_doc(visit)
        puts.append(("visit", {**doc, "ended_on": look.day.isoformat()}))
    return puts


@router.post("/desk/cards/{card}/lost")
def lost(here: Here, request: Request, who: AtDesk, card: str, form: Sent) -> Response:
    """Somebody lost his card: it opens nothing from the moment this is signed."""
    look = look_of(here, who)
    found = look.policy.credentials.get(CredentialId(card))
    if found is None or found.state not in LIVING:
        raise Problem("not_found", 404)
    _table, doc = row_to_doc(found)
    return begun(
        here, who, form, lambda: [("credential", {**doc, "state": CredentialState.LOST.value})],
        lambda why: _page(here, request, who, "", why), reason="lost_card",
    )  # fmt: skip


@router.post("/desk/declarations")
def declare(here: Here, request: Request, who: AtDesk, form: Sent) -> Response:
    """Somebody declares what he brings: into a locker, or with a permit."""
    look = look_of(here, who)

    def make() -> Puts:
        row = {
            "id": new_id("d"), "cardholder": holder_of(look, form.text("cardholder")), "zone": form.text("zone"),
            "from_on": look.day.isoformat(), "until_on": form.needed_day("until_on").isoformat(),
        }  # fmt: skip
        locker = {"locker": form.text("locker")} if form.text("locker") else {}
        permits = {"permits": [one for one in form.text("permits").replace(",", " ").split() if one]}
        return [("declaration", row | locker | permits)]

    return begun(here, who, form, make, lambda why: _page(here, request, who, "", why))


@router.post("/desk/declarations/{id}/end")
def end_declaration(here: Here, request: Request, who: AtDesk, id: str, form: Sent) -> Response:
    """The devices are taken along again."""
    look = look_of(here, who)
    found = look.policy.declarations.get(DeclarationId(id))
    if found is None:
        raise Problem("not_found", 404)
    _table, doc = row_to_doc(found)
    return begun(
        here, who, form, lambda: [("declaration", {**doc, "ended_on": look.day.isoformat()})],
        lambda why: _page(here, request, who, "", why),
    )  # fmt: skip


# -- a visit is announced --------------------------------------------------------------------------------------------


@router.get("/visitors/new")
def visit_form(here: Here, request: Request, who: AtDesk) -> HTMLResponse:
    """The form by which a visit is announced."""
    return _form(here, request, who, Form({}), "")


def _form(here: Parts, request: Request, who: Who, form: Form, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    hosts = [
        one for one in look.policy.cardholders.values() if one.kind is CardholderKind.STAFF and one.ended_on is None
    ]
    hosts.sort(key=lambda one: look.order(one.id))
    may_issue = who.may(Permission.PROPOSE)
    return render(
        request, who, "visit_new.html", look=look, form=form, hosts=hosts, zones=visited_zones(look), problem=problem,
        key=new_key(), notice=look.policy.site.notice_version, readers=readers_of(here, look) if may_issue else [],
        may_issue=may_issue, wait=None, from_on=form.text("from_on") or look.day, status=422 if problem else 200,
        until_on=form.text("until_on") or look.day,
    )  # fmt: skip


@router.post("/visitors")
def announce(here: Here, request: Request, who: AtDesk, form: Sent) -> Response:
    """Propose a visit with its visitor, and the card that he will be handed."""
    look = look_of(here, who)
    visitor = new_id("v")
    name = Name(cardholder=visitor, name=form.text("name"), kana=form.text("kana"), roman=form.text("roman"))

    def make() -> Puts:
        if not name.name:
            raise Problem("not_valid", 422, members={"field": "name"})
        notice = look.policy.site.notice_version if form.is_set("notice") else 0
        row = {
            "id": new_id("b"), "cardholder": visitor, "host": holder_of(look, form.text("host")),
            "zones": form.many("zone"), "from_on": form.needed_day("from_on").isoformat(),
            "until_on": form.needed_day("until_on").isoformat(),
        }  # fmt: skip
        puts: Puts = [("cardholder", {"id": visitor, "kind": "VISITOR", "notice_version": notice}), ("visit", row)]
        card = shown_card(here, who, form) if who.may(Permission.PROPOSE) else None
        return puts if card is None else [puts[0], ("credential", card_row(visitor, card)), puts[1]]

    answer = begun(
        here, who, form, make, lambda why: _form(here, request, who, form, why), reason="visit", names=[name]
    )
    if isinstance(answer, RedirectResponse):
        waits_of(here).spent(form.text("wait"))
    return answer
