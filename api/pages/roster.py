"""Who may enter which zone: the lists, one zone's list, one place on it, and its changes (A-01, A-03, D-18)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.names import folded
from api.pages.forms import REASONS, TAKING_OFF, Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, leaf_of, look_of, shown_state, zone_of
from api.parts import Here, Parts
from api.problems import Problem
from api.row_states import LACKS, RosterState, card_holders, lapses_on, missing_keys, roster_state
from api.texts import Said
from controller.link.rows import row_to_doc
from zones.ids import CardholderId, RosterEntryId
from zones.people import RosterEntry
from zones.places import Zone, ZoneKind

PLACE_DAYS: Final = 365
REVIEW_DAYS: Final = 90

router = APIRouter(include_in_schema=False)
SeesRights = Annotated[Who, Depends(require(Permission.RIGHTS))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]

MARKS: Final[Mapping[str, Said]] = {
    "is_opener": Said("Opener"),
    "is_escort": Said("May escort"),
    "is_minimum": Said("Named minimum"),
    "may_enter_lockdown": Said("Enters in a lockdown"),
}
"""What a place allows beside entering; shown by a word, never by a colour."""

GONE: Final = frozenset({RosterState.REMOVED, RosterState.PERIOD_OVER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One row of a roster as it is shown."""

    entry: RosterEntry
    state: Mapping[str, str]
    last_entry_ms: int | None
    lacks: tuple[str, ...]
    waits: str


# -- values ----------------------------------------------------------------------------------------------------------


def places(here: Parts, look: Look, zone: Zone, *, with_gone: bool = False) -> list[Place]:
    """The places on a zone's roster, in order of names. One question about entries, one about what awaits signing."""
    shelf = _Shelf(
        seen=here.view.last_entries(zone=zone.id), waiting=here.proposals.waiting_rows("roster"),
        carded=card_holders(look.policy),
    )  # fmt: skip
    found = [_shown(look, zone, entry, shelf) for entry in look.policy.roster.values() if entry.zone == zone.id]
    there = [place for place in found if with_gone or place.state["code"] not in GONE]
    return sorted(there, key=lambda place: look.order(place.entry.cardholder))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """What was asked once for all rows."""

    seen: Mapping[tuple[str, str], int]
    waiting: Mapping[str, tuple[str, Mapping[str, object]]]
    carded: frozenset[CardholderId]


def _shown(look: Look, zone: Zone, entry: RosterEntry, shelf: _Shelf) -> Place:
    who = entry.cardholder
    lacks = missing_keys(look.policy, look.policy.holders[who], zone, look.now, has_card=who in shelf.carded)
    return Place(
        entry=entry, state=shown_state(roster_state(entry, look.day, is_complete=not lacks)),
        lacks=tuple(str(LACKS[key]) for key in lacks), last_entry_ms=shelf.seen.get((who, zone.id)),
        waits=shelf.waiting.get(entry.id, ("",))[0],
    )  # fmt: skip


def proposed_places(here: Parts, look: Look, zone: Zone) -> list[tuple[str, str, dict[str, str]]]:
    """New places of this zone that await the second officer: whose, and which change."""
    rows = here.proposals.waiting_rows("roster")
    new = [
        (doc["cardholder"], change)
        for name, (change, doc) in rows.items()
        if doc.get("zone") == zone.id and RosterEntryId(name) not in look.policy.roster
    ]
    new.sort(key=lambda one: look.order(one[0]))
    return [(who, change, shown_state(RosterState.AWAITS_SECOND)) for who, change in new]


def marks(entry: RosterEntry) -> list[str]:
    """What the place allows beside entering."""
    return [str(words) for name, words in MARKS.items() if getattr(entry, name)]


def nested(look: Look, zone: Zone) -> list[Zone]:
    """The zones inside, which are reached by the same doors."""
    inside = look.policy.insides.get(zone.id, frozenset())
    return [look.policy.zones[one] for one in sorted(inside) if one != zone.id]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLine:
    """One zone in the list of rosters."""

    zone: Zone
    count: int
    soon: int
    overdue: int
    next_review: date | None


def list_lines(look: Look) -> list[ListLine]:
    """Every zone that has a roster and is his to see."""
    by_zone: dict[str, list[tuple[RosterState, RosterEntry]]] = {}
    for entry in look.policy.roster.values():
        state = roster_state(entry, look.day)
        if state not in GONE:
            by_zone.setdefault(entry.zone, []).append((state, entry))
    lines = []
    for zone in look.policy.zones.values():
        rows = by_zone.get(zone.id, [])
        if not look.who.may_see_zone(zone.id) or (zone.kind is ZoneKind.UNRESTRICTED and not rows):
            continue
        lines.append(
            ListLine(
                zone=zone, count=len(rows), soon=sum(state is RosterState.ENDS_SOON for state, _ in rows),
                overdue=sum(state is RosterState.REVIEW_OVERDUE for state, _ in rows),
                next_review=min((entry.review_on for _, entry in rows), default=None),
            )
        )  # fmt: skip
    return lines


# -- pages -----------------------------------------------------------------------------------------------------------


@router.get("/rosters")
def rosters(here: Here, request: Request, who: SeesRights) -> HTMLResponse:
    """The rosters, a line for each zone."""
    look = look_of(here, who)
    return render(request, who, "rosters.html", look=look, lines=list_lines(look))


@router.get("/zones/{id}/roster")
def roster(
    here: Here,
    request: Request,
    who: SeesRights,
    id: str,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    view: Annotated[str, Query(pattern="^(list|all)$")] = "list",
) -> HTMLResponse:
    """One zone's roster. On paper it is `/print/rosters`."""
    look = look_of(here, who)
    zone = zone_of(look, id)
    found = places(here, look, zone, with_gone=view == "all")
    part = folded(q)
    if part:
        found = [place for place in found if look.is_sought(place.entry.cardholder, part)]
    return render(
        request, who, "roster.html", look=look, zone=zone, leaf=leaf_of(found, page), q=q, view=view, marks=marks,
        proposed=proposed_places(here, look, zone), nested=nested(look, zone),
        others=[one.zone for one in list_lines(look)], may_propose=who.may(Permission.PROPOSE),
    )  # fmt: skip


@router.get("/zones/{id}/roster/new")
def new_place(here: Here, request: Request, who: Proposes, id: str, cardholder: str = "") -> HTMLResponse:
    """The form for a new place."""
    return _new_place(here, request, who, id, cardholder, "")


def _new_place(here: Parts, request: Request, who: Who, id: str, chosen: str, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    zone = zone_of(look, id)
    there = {
        entry.cardholder
        for entry in look.policy.roster.values()
        if entry.zone == zone.id and roster_state(entry, look.day) not in GONE
    }
    people = [
        (one.id, look.name(one.id), look.kana(one.id))
        for one in sorted(look.policy.cardholders.values(), key=lambda one: look.order(one.id))
        if one.ended_on is None and one.id not in there
    ]
    return render(
        request, who, "roster_new.html", look=look, zone=zone, people=people, chosen=chosen, problem=problem,
        reasons=REASONS, marks=MARKS, key=new_key(), nested=nested(look, zone),
        until_on=look.day + timedelta(days=PLACE_DAYS), review_on=look.day + timedelta(days=REVIEW_DAYS),
        status=200 if not problem else 422,
    )  # fmt: skip


@router.post("/zones/{id}/roster")
def propose_place(here: Here, request: Request, who: Proposes, id: str, form: Sent) -> Response:
    """Propose a place on the roster: it opens nothing until the second officer has signed."""
    zone = zone_of(look_of(here, who), id)

    def make() -> list[tuple[str, dict[str, object]]]:
        row: dict[str, object] = {
            "id": f"r-{secrets.token_hex(6)}", "cardholder": form.text("cardholder"), "zone": zone.id,
            "from_on": (form.day("from_on") or look_of(here, who).day).isoformat(),
            "until_on": form.needed_day("until_on").isoformat(),
            "review_on": form.needed_day("review_on").isoformat(),
        }  # fmt: skip
        return [("roster", row | {name: True for name in MARKS if form.is_set(name)})]

    return begun(
        here, who, form, make, lambda why: _new_place(here, request, who, id, form.text("cardholder"), why),
        reason="work_assigned",
    )  # fmt: skip


@router.get("/roster/{id}")
def place(here: Here, request: Request, who: SeesRights, id: str) -> HTMLResponse:
    """One place: what it rests on, and what can be changed of it."""
    return _place(here, request, who, id, "")


def _entry(look: Look, id: str) -> RosterEntry:
    entry = look.policy.roster.get(RosterEntryId(id))
    if entry is None or not look.who.may_see_zone(entry.zone):
        raise Problem("not_found", 404)
    return entry


def _place(here: Parts, request: Request, who: Who, id: str, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    entry = _entry(look, id)
    zone = look.policy.zones[entry.zone]
    shelf = _Shelf(
        seen=here.view.last_entries(cardholders=[entry.cardholder]), waiting=here.proposals.waiting_rows("roster"),
        carded=card_holders(look.policy),
    )  # fmt: skip
    found = _shown(look, zone, entry, shelf)
    return render(
        request, who, "place.html", look=look, zone=zone, place=found, marks=marks(entry), problem=problem,
        lapses_on=lapses_on(entry), nested=nested(look, zone), key=new_key(), reasons=REASONS, taking_off=TAKING_OFF,
        may_propose=who.may(Permission.PROPOSE), is_gone=found.state["code"] in GONE,
        until_on=max(entry.until_on, look.day + timedelta(days=PLACE_DAYS)),
        review_on=look.day + timedelta(days=REVIEW_DAYS), status=200 if not problem else 422,
    )  # fmt: skip


@router.post("/roster/{id}/{act}")
def change_place(here: Here, request: Request, who: Proposes, id: str, act: str, form: Sent) -> Response:
    """Suspend, resume, extend or end a place."""
    entry = _entry(look_of(here, who), id)
    if act not in ACTS:
        raise Problem("not_found", 404)

    def make() -> list[tuple[str, dict[str, object]]]:
        _table, doc = row_to_doc(entry)
        if act == "end" and form.reason("") not in TAKING_OFF:
            raise Problem("not_valid", 422, members={"field": "reason"})
        return [("roster", {**doc, **ACTS[act](form, look_of(here, who).day)})]

    return begun(here, who, form, make, lambda why: _place(here, request, who, id, why))


def _extended(form: Form, _day: date) -> dict[str, object]:
    return {
        "until_on": form.needed_day("until_on").isoformat(), "review_on": form.needed_day("review_on").isoformat()
    }  # fmt: skip


ACTS: Final = {
    "suspend": lambda _form, _day: {"is_suspended": True},
    "resume": lambda _form, _day: {"is_suspended": False},
    "end": lambda _form, day: {"ended_on": day.isoformat()},
    "extend": _extended,
}
"""What can be done to a place -> the fields that it sets."""
