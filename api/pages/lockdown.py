"""Lockdown of the site or a zone, and what an officer puts right afterwards: doors that lock again after a fire alarm,
places that are believed no more (A-32, D-25). What shuts takes one signature and acts at once; its end takes two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.live import alarms, site_status, zones
from api.pages.forms import Form, Sent, begun, new_key, told
from api.pages.frame import render
from api.pages.looks import look_of
from api.parts import Here, Parts
from api.problems import Problem
from api.routes.states import IN_USE, SITE, ordered

ORDERS: Final = ("reset_fire", "forgive_presence")

router = APIRouter(include_in_schema=False)
AtDesk = Annotated[Who, Depends(require(Permission.DESK))]
OnShift = Annotated[Who, Depends(require(Permission.HANDLE))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One zone. `waits`: the change that would lock it down, or end that."""

    id: str
    name: str
    is_locked_down: bool
    waits: str


@router.get("/lockdown")
def lockdown(here: Here, request: Request, who: AtDesk) -> HTMLResponse:
    """How the site and its zones stand."""
    return _page(here, request, who)


@router.post("/lockdown/site")
def lock_site(here: Here, request: Request, who: AtDesk, form: Sent) -> Response:
    """Propose that nobody enters anywhere, or the end of that."""
    return _begun(here, request, who, form, "site_status", {"id": SITE})


@router.post("/lockdown/zones/{id}")
def lock_zone(here: Here, request: Request, who: AtDesk, id: str, form: Sent) -> Response:
    """Propose that nobody enters a zone, or the end of that."""
    if not who.may_see_zone(id) or all(zone.id != id for zone in zones(here.view)):
        raise Problem("not_found", 404)
    return _begun(here, request, who, form, "zone_status", {"id": id, **IN_USE})


@router.post("/lockdown/orders/{act}")
def put_right(here: Here, request: Request, who: OnShift, act: str, form: Sent) -> Response:
    """Doors lock again after a fire alarm; or nobody's place is believed until he is seen again."""
    if act not in ORDERS:
        raise Problem("not_found", 404)
    try:
        ordered(here, who, act, None, form.text("key") or None)
    except Problem as problem:
        return _page(here, request, who, problem=told(problem))
    return _page(here, request, who, done=act)


def _begun(here: Parts, request: Request, who: Who, form: Form, table: str, usual: dict[str, Any]) -> Response:
    now = here.view.row(table, str(usual["id"])) or usual
    row = {**now, "is_locked_down": form.is_set("on")}
    return begun(here, who, form, lambda: [(table, row)], lambda why: _page(here, request, who, problem=why))


def _page(here: Parts, request: Request, who: Who, *, problem: str = "", done: str = "") -> HTMLResponse:
    look, waiting = look_of(here, who), here.proposals.waiting_rows("zone_status")
    lines = [
        Line(
            id=zone.id, name=look.zone_name(zone.id), is_locked_down=zone.is_locked_down,
            waits=waiting.get(zone.id, ("",))[0],
        )
        for zone in zones(here.view)
        if zone.kind != "UNRESTRICTED" and who.may_see_zone(zone.id)
    ]  # fmt: skip
    return render(
        request, who, "lockdown.html", status=422 if problem else 200, problem=problem, done=done, lines=lines,
        is_site=site_status(here.view).is_locked_down, key=new_key(), may_order=who.may(Permission.HANDLE),
        site_waits=here.proposals.waiting_rows("site_status").get(SITE, ("",))[0],
        is_fire=any(one.kind == "FIRE_ON" for one in alarms(here.view)),
    )  # fmt: skip
