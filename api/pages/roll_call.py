"""The roll call on a phone (D-27): without a network from what was fetched last; ticks are sent when one is back.

The service worker has this page alone. What it keeps is thrown away when whoever held the phone signs out, may not see
it any more, or after a day.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from api.access import Permission, Who, require
from api.live import portals
from api.pages.forms import Sent, told
from api.pages.frame import STATIC, fragment, render
from api.pages.rows import place_names
from api.parts import Here, Parts
from api.problems import Problem
from api.roll_call import InZone, RollCall, Sort, Ticked, record_drill, record_ticks, roll_call
from api.texts import spoken
from zones.officers import Role

_KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{8,60}")

router = APIRouter(include_in_schema=False)
Calling = Annotated[Who, Depends(require(Permission.ROLL_CALL))]
Asked = Annotated[str, Query(max_length=16)]


@router.get("/roll-call")
def page(here: Here, request: Request, who: Calling, sort: Asked = "longest") -> Response:
    """The list, with what a phone needs to keep it."""
    return _page(here, request, who, sort)


@router.get("/roll-call/list")
def refreshed(here: Here, who: Calling, sort: Asked = "longest") -> HTMLResponse:
    """The part of the page that changes."""
    return HTMLResponse(_list(here, who, sort)[0])


@router.post("/roll-call/ticks")
def tick(here: Here, request: Request, who: Calling, sent: Sent) -> Response:
    """One tick by a page without scripts."""
    one = Ticked(
        id=sent.text("id") or secrets.token_hex(16), cardholder=sent.text("cardholder"),
        is_found=sent.text("state") == "found",
    )  # fmt: skip
    try:
        record_ticks(here, who, [one])
    except Problem as problem:
        return _page(here, request, who, "longest", told(problem))
    return RedirectResponse("/roll-call", 303)


@router.post("/roll-call/drill")
def drill(here: Here, request: Request, who: Calling, sent: Sent) -> Response:
    """Begin a drill, or end it."""
    key = sent.text("key") if _KEY.fullmatch(sent.text("key")) else secrets.token_hex(16)
    try:
        record_drill(here, who, begins=sent.text("act") == "begin", key=key)
    except Problem as problem:
        return _page(here, request, who, "longest", told(problem))
    return RedirectResponse("/roll-call", 303)


@router.get("/roll-call/worker.js", dependencies=[Depends(require(Permission.ROLL_CALL))])
def worker() -> Response:
    """The service worker: under an address of its own, so that it has this page and no other."""
    kept = {"Cache-Control": "no-cache", "Service-Worker-Allowed": "/roll-call"}
    return FileResponse(STATIC / "roll-call-worker.js", media_type="text/javascript", headers=kept)


def _page(here: Parts, request: Request, who: Who, sort: str, fault: str = "") -> Response:
    shown, call = _list(here, who, sort)
    return render(
        request, who, "roll_call.html", status=422 if fault else 200, shown=shown, call=call, fault=fault,
        may_drill=Role.PROTECTION_OFFICER in who.roles, key=secrets.token_hex(16), sort=_sort(sort),
    )  # fmt: skip


def _list(here: Parts, who: Who, sort: str) -> tuple[str, RollCall]:
    call = roll_call(here, who, _sort(sort))
    doors, zones = place_names(here.view, portals(here.view), spoken())
    shown = fragment(
        "roll_call_list.html", call=call, zones=[_zone(one, doors, zones) for one in call.zones],
        unknown=[
            {"one": one, "where": doors.get(one.portal or "") or zones.get(one.zone or "", "")} for one in call.unknown
        ],
        ids={line.place.cardholder: secrets.token_hex(16) for zone in call.zones for line in zone.lines},
    )  # fmt: skip
    return shown, call


def _sort(asked: str) -> Sort:
    return "kana" if asked == "kana" else "longest"


def _zone(one: InZone, doors: dict[str, str], zones: dict[str, str]) -> dict[str, Any]:
    lines = [{"line": line, "door": doors.get(line.place.portal or "", "")} for line in one.lines]
    return {"id": one.zone, "name": zones.get(one.zone, one.zone), "count": one.count, "lines": lines}
