"""What officers set for a while: threat level, 保全済 of a zone, a door's mode, break-glass (A-32, C-01).

Each form says before how many signatures it takes; which it really takes follows from the rows (`zones.authority`).
Whoever may not see rights sees nobody's break-glass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.changes import new_id
from api.live import now_ms, portals, site_status, zones
from api.pages.forms import Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, look_of, zone_of
from api.parts import Here, Parts
from api.problems import Problem
from api.right_models import MINUTE_MS
from api.routes.states import IN_USE, SANITISED, SITE
from api.texts import Said
from api.words import BY_CARD, MODES
from zones.authority import APPROVER, PROPOSER
from zones.decision.ask import is_ended
from zones.ids import CardholderId

router = APIRouter(include_in_schema=False)
AtDesk = Annotated[Who, Depends(require(Permission.DESK))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]
Row = dict[str, Any]

LEVELS: Final = (
    Said("As usual: what the zone asks for", "threat"),
    Said("Raised: one factor more everywhere", "threat"),
    Said("High: two factors more everywhere", "threat"),
)
SETTABLE: Final = {"LOCKED": Said("Locked, no entry by card"), "CARD": BY_CARD, "UNLOCKED": Said("Unlocked")}
GLASS_MIN: Final = 30
GLASS_MIN_MAX: Final = 240
MODE_MIN_MAX: Final = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A zone with protected information, or a door. `waits`: the change of it that awaits signatures."""

    id: str
    name: str
    state: str
    is_on: bool
    waits: str
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """Break-glass that lasts: where, for whom, until when."""

    id: str
    zone: str
    people: tuple[str, ...]
    reason_code: str
    until_ms: int
    waits: str


@router.get("/zone-acts")
def zone_acts(here: Here, request: Request, who: AtDesk) -> HTMLResponse:
    """How they stand, and the forms."""
    return _page(here, request, who)


@router.post("/zone-acts/threat")
def set_threat(here: Here, request: Request, who: AtDesk, form: Sent) -> Response:
    """Propose another threat level."""

    def make() -> list[tuple[str, Row]]:
        now = here.view.row("site_status", SITE) or {"id": SITE}
        return [("site_status", {**now, "threat_level": _whole(form, "threat_level", 0, len(LEVELS) - 1)})]

    return begun(here, who, form, make, lambda why: _page(here, request, who, why))


@router.post("/zone-acts/zones/{id}/sanitise")
def sanitise(here: Here, request: Request, who: Proposes, id: str, form: Sent) -> Response:
    """Propose that a zone is 保全済, as the two who sign it saw."""
    signed = dict(zip(SANITISED, (PROPOSER, APPROVER), strict=True))
    row = {**_zone_row(here, who, id), **signed}
    return begun(
        here, who, form, lambda: [("zone_status", row)], lambda why: _page(here, request, who, why),
        reason="maintenance",
    )  # fmt: skip


@router.post("/zone-acts/zones/{id}/end")
def end_sanitised(here: Here, request: Request, who: AtDesk, id: str, form: Sent) -> Response:
    """Propose that information items are out again."""
    row = {name: value for name, value in _zone_row(here, who, id).items() if name not in SANITISED}
    return begun(here, who, form, lambda: [("zone_status", row)], lambda why: _page(here, request, who, why))


def _zone_row(here: Parts, who: Who, id: str) -> Row:
    if not zone_of(look_of(here, who), id).is_protected:
        raise Problem("not_found", 404)
    return here.view.row("zone_status", id) or {"id": id, **IN_USE}


@router.post("/zone-acts/doors")
def set_mode(here: Here, request: Request, who: AtDesk, form: Sent) -> Response:
    """Propose a door's mode, for a while or until another is set."""
    look = look_of(here, who)

    def make() -> list[tuple[str, Row]]:
        door, mode = form.text("door"), form.text("mode")
        if door not in {line.id for line in _doors(here, look)}:
            raise Problem("not_valid", 422, members={"field": "portal"})
        if mode not in SETTABLE or (mode == "UNLOCKED" and door not in _unlockable(here, look)):
            raise Problem("not_valid", 422, members={"field": "mode"})
        row: Row = {"id": door, "mode": mode}
        if form.text("minutes") and mode != "CARD":
            row["until_ms"] = now_ms() + _whole(form, "minutes", 1, MODE_MIN_MAX) * MINUTE_MS
        return [("portal_status", row)]

    return begun(here, who, form, make, lambda why: _page(here, request, who, why))


@router.post("/zone-acts/glass")
def break_glass(here: Here, request: Request, who: Proposes, form: Sent) -> Response:
    """Propose that some enter a zone without its keys, from now for some minutes."""
    look = look_of(here, who)

    def make() -> list[tuple[str, Row]]:
        start = now_ms()
        people = list(dict.fromkeys(form.many("cardholder")))
        if not people or any(CardholderId(one) not in look.policy.cardholders for one in people):
            raise Problem("not_valid", 422, members={"field": "cardholders"})
        if not form.text("reason_code"):
            raise Problem("not_valid", 422, members={"field": "reason_code"})
        row = {
            "id": new_id("o"), "zone": zone_of(look, form.text("zone")).id, "cardholders": people,
            "reason_code": form.text("reason_code"), "from_ms": start,
            "until_ms": start + _whole(form, "minutes", 1, GLASS_MIN_MAX) * MINUTE_MS,
        }  # fmt: skip
        return [("override", row)]

    return begun(here, who, form, make, lambda why: _page(here, request, who, why), reason="emergency")


@router.post("/zone-acts/glass/{id}/end")
def end_glass(here: Here, request: Request, who: Proposes, id: str, form: Sent) -> Response:
    """Propose that break-glass ends before its time."""
    row = here.view.row("override", id)
    if row is None or not who.may_see_zone(row["zone"]):
        raise Problem("not_found", 404)
    return begun(
        here, who, form, lambda: [("override", {**row, "ended_ms": now_ms()})],
        lambda why: _page(here, request, who, why), reason="emergency",
    )  # fmt: skip


def _whole(form: Form, name: str, least: int, most: int) -> int:
    """A whole number between these. Raises Problem 422."""
    said = form.text(name)
    if not (said.isascii() and said.isdecimal() and len(said) < 6 and least <= int(said) <= most):
        raise Problem("not_valid", 422, members={"field": name})
    return int(said)


# -- the page --------------------------------------------------------------------------------------------------------


def _page(here: Parts, request: Request, who: Who, problem: str = "") -> HTMLResponse:
    look = look_of(here, who)
    sees = look.sees_rights and who.may(Permission.PROPOSE)
    return render(
        request, who, "zone_acts.html", status=422 if problem else 200, problem=problem, look=look, key=new_key(),
        level=site_status(here.view).threat_level, levels=LEVELS, modes=SETTABLE, sealed=_sealed(here, look),
        level_waits=here.proposals.waiting_rows("site_status").get(SITE, ("",))[0], doors=_doors(here, look),
        unlockable=_unlockable(here, look), may_propose=who.may(Permission.PROPOSE), sees_glass=sees,
        glass=_glass(here, look) if sees else (), people=_people(look) if sees else (),
        glass_zones=[zone.id for zone in zones(here.view) if zone.kind != "UNRESTRICTED" and who.may_see_zone(zone.id)],
        glass_min=GLASS_MIN, glass_max=GLASS_MIN_MAX, mode_max=MODE_MIN_MAX,
    )  # fmt: skip


def _sealed(here: Parts, look: Look) -> list[Line]:
    """Zones with protected information, and whether each is 保全済."""
    waiting, found = here.proposals.waiting_rows("zone_status"), []
    for zone in zones(here.view):
        if zone.id in look.policy.zones and look.who.may_see_zone(zone.id) and zone_of(look, zone.id).is_protected:
            found.append(
                Line(
                    id=zone.id, name=look.zone_name(zone.id), state="", is_on=zone.sanitised_confirmed_by is not None,
                    waits=waiting.get(zone.id, ("",))[0],
                )
            )  # fmt: skip
    return found


def _doors(here: Parts, look: Look) -> list[Line]:
    """Doors into zones that he answers for, and the mode that was set for each."""
    waiting = here.proposals.waiting_rows("portal_status")
    rows = {row["id"]: row for row in here.view.rows("portal_status")}
    return [
        Line(
            id=door.id, name=look.portal_name(door.id), is_on=door.mode != "CARD",
            state=str(SETTABLE.get(door.mode, MODES[door.mode])) if door.mode != "CARD" else "",
            waits=waiting.get(door.id, ("",))[0],
            until_ms=rows.get(door.id, {}).get("until_ms"),
        )
        for door in portals(here.view)
        if look.who.may_see_zone(door.inner)
    ]  # fmt: skip


def _unlockable(here: Parts, look: Look) -> frozenset[str]:
    """Doors that lead into no zone with protected information."""
    held = {zone.id for zone in look.policy.zones.values() if zone.is_protected}
    return frozenset(door.id for door in portals(here.view) if door.inner not in held)


def _glass(here: Parts, look: Look) -> list[Glass]:
    """What lasts now, the first to end first."""
    now, waiting = now_ms(), here.proposals.waiting_rows("override")
    rows = [row for row in here.view.rows("override") if row.get("ended_ms") is None and row["until_ms"] > now]
    return [
        Glass(
            id=row["id"], zone=look.zone_name(row["zone"]), people=tuple(map(look.name, row["cardholders"])),
            reason_code=row["reason_code"], until_ms=row["until_ms"], waits=waiting.get(row["id"], ("",))[0],
        )
        for row in sorted(rows, key=lambda row: row["until_ms"])
        if look.who.may_see_zone(row["zone"])
    ]  # fmt: skip


def _people(look: Look) -> Sequence[tuple[str, str, str]]:
    """Whom it may be for: (pseudonym, name, reading), by name."""
    there = [one.id for one in look.policy.cardholders.values() if not is_ended(one.ended_on, look.day)]
    return [(one, look.name(one), look.kana(one)) for one in sorted(there, key=look.order)]
