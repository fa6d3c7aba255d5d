"""The plan: zones, doors as they stand now, heads; a list of the same for whoever does not see it; drawing it anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session, col, select

from api.access import Permission, Who, require
from api.live import alarms, portals, site_status, zones
from api.masks import Sight, masked, sight_of
from api.pages.forms import Form, Sent
from api.pages.frame import fragment, render
from api.pages.live import heads
from api.pages.places import Seen, SiteNow, ZoneBox, fire_released, tree
from api.pages.rows import event_shown, place_names
from api.pages.shared import Shared
from api.parts import Here, Parts
from api.plan import PORTAL, ZONE, draw, plan_of
from api.plan_layout import CHIP_H, CHIP_W, HEAD, NARROW, SIZE_MAX, WIDE, Plan, Shape, cut_to
from api.problems import Problem
from api.tables import EventRow
from api.texts import spoken
from api.view import View

EVENTS_SHOWN: Final = 50
LOOKED_MAX: Final = 500
SIDES: Final = ("x", "y", "w", "h")

router = APIRouter(include_in_schema=False)
Watching = Annotated[Who, Depends(require(Permission.LIVE))]
Drawing = Annotated[Who, Depends(require(Permission.PLAN))]


def plan_part(view: View) -> Shared[Seen]:
    """The plan as it stands, the same for everybody who sees these zones."""
    return Shared(view, lambda seen: fragment("plan.html", **shown(view, seen)))


def boxes_now(view: View, seen: Seen) -> list[ZoneBox]:
    """Zones inside zones with their doors and heads."""
    is_fire = any(alarm.kind == "FIRE_ON" for alarm in alarms(view))
    now = SiteNow(
        is_locked_down=site_status(view).is_locked_down,
        fire_released=fire_released(view) if is_fire else frozenset(),
    )
    return tree(zones(view), portals(view), now, heads(view), seen)


def shown(view: View, seen: Seen) -> dict[str, Any]:
    """The values of the plan: once for a desk, once for a phone, and as a list."""
    tops = boxes_now(view, seen)
    wide, is_drawn = plan_of(view, WIDE, seen)
    narrow = wide if is_drawn else plan_of(view, NARROW, seen)[0]
    sizes = [("wide-plan", wide), *([] if is_drawn else [("narrow-plan", narrow)])]
    return {"plans": [_drawn(name, plan, tops) for name, plan in sizes], "zones": tops, "is_drawn": is_drawn}


def _drawn(name: str, plan: Plan, tops: list[ZoneBox]) -> dict[str, Any]:
    flat = list(_flat(tops))
    return {
        "name": name, "width": plan.width, "height": plan.height, "head": HEAD,
        "zones": [
            {"id": box.id, "level": box.level, "shape": plan.zones[box.id], "name": box.name, "heads": box.heads,
             "cut": cut_to(box.name, plan.zones[box.id].w - 90), "note": box.note}
            for box in sorted(flat, key=lambda box: -plan.zones[box.id].w * plan.zones[box.id].h)
        ],
        "doors": [
            door | {"shape": plan.portals[door["id"]], "cut": cut_to(door["name"], plan.portals[door["id"]].w - 36)}
            for box in flat for door in box.doors
        ],
    }  # fmt: skip


def _flat(boxes: list[ZoneBox]) -> Iterator[ZoneBox]:
    for box in boxes:
        yield box
        yield from _flat(box.inside)


@router.get("/map")
def plan_page(here: Here, request: Request, who: Watching) -> Response:
    """The plan."""
    part: Shared[Seen] = here.rendered["plan"]
    return render(request, who, "map.html", plan=part.text(who.zones), may_draw=who.may(Permission.PLAN))


@router.get("/map/part")
async def plan_now(here: Here, request: Request, who: Watching) -> Response:
    """What of it changes."""
    part: Shared[Seen] = here.rendered["plan"]
    return await part.answer(request, who.zones)


@router.get("/map/draw")
def draw_page(here: Here, request: Request, who: Drawing) -> Response:
    """Boxes to be moved with the mouse, with arrow keys, or by their numbers."""
    return _draw_page(here, request, who, 200)


def _draw_page(here: Parts, request: Request, who: Who, status: int) -> Response:
    plan, is_drawn = plan_of(here.view, WIDE)
    door_names, zone_names = place_names(here.view, portals(here.view), spoken())
    largest_first = sorted(plan.zones.items(), key=lambda item: -item[1].w * item[1].h)
    things = [(ZONE, name, zone_names.get(name, name), one) for name, one in largest_first]
    things += [(PORTAL, name, door_names.get(name, name), one) for name, one in plan.portals.items()]
    shown_things = [
        {"kind": kind, "id": name, "name": called, "cut": cut_to(called, one.w - 36), "shape": one}
        for kind, name, called, one in things
    ]
    return render(
        request, who, "map_draw.html", status=status, things=shown_things, width=plan.width, height=plan.height + 200,
        is_drawn=is_drawn, size_max=SIZE_MAX, is_wrong=status != 200,
    )  # fmt: skip


@router.post("/map/draw")
def drawn_anew(here: Here, request: Request, who: Drawing, sent: Sent) -> Response:
    """Keep the drawing; or forget it."""
    view = here.view
    if sent.is_set("forget"):
        draw(view.engine, {})
    else:
        try:
            draw(view.engine, dict(_shapes(view, sent)))
        except ValueError:
            return _draw_page(here, request, who, 422)
    part: Shared[Seen] = here.rendered["plan"]
    part.forget()
    here.broadcast.stir()
    return RedirectResponse("/map" if who.may(Permission.LIVE) else "/map/draw", 303)


def _shapes(view: View, sent: Form) -> Iterator[tuple[tuple[str, str], Shape]]:
    """What was sent of each zone and portal that there is. Raises ValueError for what is no place on the plan."""
    for kind, least in ((ZONE, (60, HEAD)), (PORTAL, (80, 24))):
        for doc in view.rows(kind):
            texts = [sent.text(f"{kind}.{doc['id']}.{side}") for side in SIDES]
            x, y, w, h = (int(text or (CHIP_W, CHIP_H)[at % 2]) for at, text in enumerate(texts))
            if max(x, y, w, h) > SIZE_MAX or min(x, y) < 0 or w < least[0] or h < least[1]:
                raise ValueError(doc["id"])
            yield (kind, doc["id"]), Shape(x=x, y=y, w=w, h=h)


@router.get("/doors/{portal}")
def door_page(here: Here, request: Request, who: Watching, portal: str) -> Response:
    """One door: how it stands, and what happened at it lately."""
    view, sight, language = here.view, sight_of(who), spoken()
    found = next(
        (door for box in _flat(boxes_now(view, who.zones)) for door in box.doors if door["id"] == portal), None
    )
    if found is None:
        raise Problem("not_found", 404)
    door_names, zone_names = place_names(view, portals(view), language)
    names = view.names.all() if sight.has_names else {}
    events = [event_shown(row, names, door_names, zone_names, language) for row in _at(view, portal, sight)]
    return render(request, who, "door.html", door=found, events=events)


def _at(view: View, portal: str, sight: Sight) -> list[EventRow]:
    """The newest records of a portal, as this sight shows them."""
    query = select(EventRow).where(EventRow.portal == portal).order_by(col(EventRow.seq).desc()).limit(LOOKED_MAX)
    with Session(view.engine) as session:
        rows = list(session.exec(query))
    return [row for row in (masked(one, sight) for one in rows) if row is not None][:EVENTS_SHOWN]
