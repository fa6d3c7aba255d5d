"""Approvals: what waits for signatures, what each change does in words, and the passkey that signs it.

No button here is for more than one change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from webauthn.helpers import bytes_to_base64url

from api.access import Permission, Who, require
from api.days import short_date, short_moment
from api.live import portals
from api.pages.forms import REASONS, told
from api.pages.frame import fragment, render
from api.pages.looks import Look, look_of
from api.parts import Here, Parts
from api.problems import Problem
from api.proposal import HASHES, STRONG, Proposal
from api.proposal_effects import effects
from api.proposal_words import BAN, FIELDS, HINDRANCES, STATES, VALUES, WEIGHTS
from api.signin.key_code import code_in
from api.suggestions import Suggestion
from api.texts import _, spoken
from api.words import TABLES
from zones.authority import NAMED, Weight
from zones.ids import ZoneId

SETTLED_SHOWN: Final = 30
PEOPLE_SHOWN: Final = 100
UNTOLD: Final = HASHES | {"public_key"}
TAKES_OFF: Final = frozenset({"roster", "need_to_know", "clearance", "cardholder"})
"""Tables whose rows are lists that somebody is taken off (D-18)."""

_OFFICERS: Final = frozenset({name for names in NAMED.values() for name in names} | {"officer"})
_PEOPLE: Final = frozenset({"cardholder", "host"})
MINUTE_MS: Final = 60_000

router = APIRouter(include_in_schema=False)
Anybody = Annotated[Who, Depends(require(Permission.OWN))]
"""Each change is shown to those who may see its rows: guards sign for visitors, engineers for devices."""

Proposer = Annotated[Who, Depends(require(Permission.PROPOSE))]


# -- the inbox -------------------------------------------------------------------------------------------------------


@router.get("/proposals")
def inbox(here: Here, request: Request, who: Anybody) -> Response:
    """What waits for this officer, what waits for others, what the console suggests, what became of the rest."""
    look = look_of(here, who)
    waiting = here.proposals.listed(who, is_open=True)
    mine = [one for one in waiting if who.officer in one.may_sign]
    others = [one for one in waiting if who.officer not in one.may_sign]
    settled = here.proposals.listed(who, is_open=False)[:SETTLED_SHOWN]
    suggested = here.suggestions.listed() if who.may(Permission.PROPOSE) and who.zones is None else []
    return render(
        request, who, "approvals.html",
        mine=[_line(look, one) for one in mine], others=[_line(look, one) for one in others],
        settled=[_line(look, one) for one in settled], suggested=[_suggested(look, one) for one in suggested],
        is_strong=who.strength >= STRONG,
    )  # fmt: skip


def _line(look: Look, one: Proposal) -> dict[str, Any]:
    words, tone, icon = STATES[one.state]
    return {
        "id": one.id, "title": _title(look, one.puts), "state": str(words), "tone": tone, "icon": icon,
        "reason": str(REASONS[one.reason]), "proposer": look.officer_name(one.proposer), "made_ms": one.made_at_ms,
        "until": short_moment(one.not_after_ms) if one.is_open else "", "widens": one.weight is Weight.WIDENS,
        "settled_ms": one.settled_at_ms, "seq": one.seq,
    }  # fmt: skip


def _suggested(look: Look, one: Suggestion) -> dict[str, Any]:
    return {
        "seq": one.seq, "title": _title(look, one.puts), "reason": str(REASONS[one.reason]), "by": one.officer,
        "at_ms": one.at_ms,
    }  # fmt: skip


def _title(look: Look, puts: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """The first rows of a change, in a line."""
    rows = list(puts)
    if not rows:
        return _("Its contents are not kept")
    told = [" ".join(part for part in (str(TABLES[table][spoken()]), _about(look, table, row)) if part)
            for table, row in rows[:2]]  # fmt: skip
    more = len(rows) - len(told)
    return ("、" if spoken() == "ja" else ", ").join(told) + (_(" and %(num)s more", num=more) if more > 0 else "")


def _both(name: str, id: str) -> str:
    """A name with the pseudonym that is signed: names are given by one officer, and two people may have the same."""
    return name if name == id else f"{name} ({id})"


def _about(look: Look, table: str, row: dict[str, Any], said: Callable[[str, str], str] = lambda name, _: name) -> str:
    """Whom and where a row is about."""
    cardholder = row["id"] if table in ("cardholder", "pin") else row.get("cardholder")
    zone = row["id"] if table == "zone_status" else row.get("zone")
    parts = [
        said(look.name(cardholder), cardholder) if cardholder else "",
        said(look.zone_name(zone), zone) if zone else "",
        str(row.get("item", "")),
    ]
    if not any(parts):
        officer = row.get("officer", row["id"])
        parts = [said(look.officer_name(officer), officer) if table.startswith("officer") else row["id"]]
    return " ".join(part for part in parts if part)


# -- one change ------------------------------------------------------------------------------------------------------


@router.get("/proposals/{id}")
def one_change(here: Here, request: Request, who: Anybody, id: str) -> Response:
    """What changes, who signed, what it does to people; and the buttons that this officer has."""
    return _page(here, request, who, here.proposals.get(who, id))


def _page(here: Parts, request: Request, who: Who, one: Proposal, fault: str = "") -> HTMLResponse:
    look = look_of(here, who)
    options = here.proposals.signing_options(who, one)
    hindrance = None if one.hindrance is None else str(HINDRANCES.get(one.hindrance[0], one.hindrance[1]))
    return render(
        request, who, "approval.html", status=409 if fault else 200, keeps_query=False, fault=fault,
        one=_line(look, one), changes=[_change(look, table, row, was) for table, row, was in _rows(one)],
        weight=str(WEIGHTS[one.weight.name]), hindrance=hindrance, refusal=_refusal(one),
        signed=[(look.officer_name(by.officer), by.at_ms) for by in one.signed],
        findings=[finding[spoken()] for finding in one.findings], ban=_ban(one),
        options=None if options is None else json.dumps(options), is_open=one.is_open and one.state != "SENT",
        is_stale=one.state == "STALE", is_owed=one.is_owed,
        may_withdraw=one.proposer == who.officer or who.may(Permission.PROPOSE),
        is_weak=who.strength < STRONG and who.officer in one.may_sign, has_signed=_has_signed(who, one),
        doors=_doors(here, look, one) if one.state == "IN_FORCE" else [],
        challenge=bytes_to_base64url(here.proposals.challenge(one))[:16] if one.puts else "",
    )  # fmt: skip


def _rows(one: Proposal) -> Iterator[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    for (table, row), was in zip(one.puts, one.was, strict=True):
        yield table, row, was


def _has_signed(who: Who, one: Proposal) -> bool:
    return any(by.officer == who.officer for by in one.signed)


def _refusal(one: Proposal) -> str:
    if not one.code or one.state == "STALE":
        return ""
    problem = Problem(one.code, 409, members={"why": one.why, "field": one.field})
    return told(problem)


def _ban(one: Proposal) -> list[str]:
    """The ban on adverse treatment, wherever somebody is taken off a list (D-18)."""
    is_off = any(table in TAKES_OFF and was is not None for table, _row, was in _rows(one))
    return [str(word) for word in BAN] if is_off and one.weight is Weight.NARROWS else []


def _change(look: Look, table: str, row: dict[str, Any], was: dict[str, Any] | None) -> dict[str, Any]:
    """One row, old and new, field by field: only what changes; of a new row all of it."""
    if table == "officer_key":  # what is compared before it is signed
        row = {**row, "credential": code_in(row)}
        was = None if was is None else {**was, "credential": code_in(was)}
    names = [name for name in (*row, *(name for name in was or {} if name not in row)) if name not in UNTOLD]
    fields = [
        (_label(name), _said(look, name, (was or {}).get(name)), _said(look, name, row.get(name)))
        for name in names
        if name != "id" and (was is None or was.get(name) != row.get(name))
    ]
    return {
        "table": str(TABLES[table][spoken()]), "about": _about(look, table, row, _both), "id": row["id"],
        "is_new": was is None, "fields": fields,
    }  # fmt: skip


def _label(name: str) -> str:
    return str(FIELDS.get(name, name))


def _said(look: Look, name: str, value: Any) -> str:
    """A value of a field in words; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ("、" if spoken() == "ja" else ", ").join(_said(look, name.removesuffix("s"), one) for one in value)
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return _timed(name, value) or _named(look, name, str(value))


def _timed(name: str, value: Any) -> str:
    if name.endswith("_on") or name in ("designated_until", "contract_until"):
        try:
            return short_date(date.fromisoformat(str(value)))
        except ValueError:
            return str(value)
    if name == "held_extra_ms":
        return _("%(num)s s", num=int(value) // 1000)
    return short_moment(int(value)) if name.endswith("_ms") and type(value) is int else ""


def _named(look: Look, name: str, value: str) -> str:
    if value in VALUES:
        return str(VALUES[value])
    if name in _OFFICERS:
        return _both(look.officer_name(value), value)
    if name in _PEOPLE:
        return _both(look.name(value), value)
    return _both(look.zone_name(value), value) if name == "zone" else value


def _doors(here: Parts, look: Look, one: Proposal) -> list[dict[str, Any]]:
    """The doors of the zones that a change in force is about: all are decided by the controller, from its record on; a
    door whose devices do not answer lets nobody in meanwhile, but where it may go on by itself for a while.
    """
    zones = {str(row.get("zone") or row["id"]) for _table, row in one.puts}
    zones |= {str(zone) for _table, row in one.puts for zone in row.get("zones", ())}
    is_all = "site_status" in one.tables
    shown = []
    for door in portals(here.view):
        is_about = is_all or door.inner in zones or door.id in zones
        if not is_about or not look.who.may_see_zone(door.inner):
            continue
        age = look.policy.zones[ZoneId(door.inner)].policy_age_ms_max
        shown.append(
            {
                "name": door.name_ja if spoken() == "ja" else door.name_en, "is_online": door.state != "offline",
                "minutes": 0 if age is None else -(-age // MINUTE_MS),
            }
        )  # fmt: skip
    return shown


@router.get("/proposals/{id}/effects")
def effects_of(here: Here, who: Anybody, id: str) -> HTMLResponse:
    """Who gains, who loses, who is inside and would be stranded: fetched by the page, it takes a moment."""
    proposal = here.proposals.get(who, id)
    look = look_of(here, who)
    try:
        found = effects(here, proposal)
    except Problem:
        return HTMLResponse("")
    seen: dict[str, list[tuple[Any, ...]]] = {
        "gains": [(look.name(one.cardholder), look.zone_name(one.zone)) for one in found.gains if _his(who, one.zone)],
        "loses": [(look.name(one.cardholder), look.zone_name(one.zone)) for one in found.loses if _his(who, one.zone)],
        "stranded": [
            (look.name(one.cardholder), look.zone_name(one.zone), one.is_certain)
            for one in found.stranded
            if one.by_edit and _his(who, one.zone)
        ],
    }
    cut = {name: max(len(rows) - PEOPLE_SHOWN, 0) for name, rows in seen.items()}
    shown = {name: rows[:PEOPLE_SHOWN] for name, rows in seen.items()}
    may = who.may(Permission.RIGHTS)
    return HTMLResponse(fragment("approval_effects.html", may=may, cut=cut, is_cut=found.is_cut, **shown))


def _his(who: Who, zone: str) -> bool:
    return who.may_see_zone(zone)


# -- what its buttons do ---------------------------------------------------------------------------------------------


@router.post("/proposals/{id}/withdraw")
def withdraw(here: Here, request: Request, who: Anybody, id: str) -> Response:
    """Nothing of it is kept."""
    try:
        here.proposals.withdraw(who, id)
    except Problem as problem:
        return _page(here, request, who, here.proposals.get(who, id), told(problem))
    return RedirectResponse("/proposals", 303)


@router.post("/proposals/{id}/send")
def send_again(here: Here, request: Request, who: Anybody, id: str) -> Response:
    """With the signatures that it has: where no answer came."""
    try:
        here.proposals.send_again(who, id)
    except Problem as problem:
        return _page(here, request, who, here.proposals.get(who, id), told(problem))
    return RedirectResponse(f"/proposals/{id}", 303)


@router.post("/proposals/{id}/renew")
def renew(here: Here, request: Request, who: Anybody, id: str) -> Response:
    """The same against what is in force now; both sign anew."""
    try:
        fresh = here.proposals.renew(who, id)
    except Problem as problem:
        return _page(here, request, who, here.proposals.get(who, id), told(problem))
    return RedirectResponse(f"/proposals/{fresh.id}", 303)


@router.post("/suggestions/{seq}/adopt")
def adopt(here: Here, who: Proposer, seq: int) -> Response:
    """What the console suggested becomes this officer's change; it is signed as all others."""
    return RedirectResponse(f"/proposals/{here.suggestions.adopt(who, seq).id}", 303)
