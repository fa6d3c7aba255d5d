"""The page that is open all day: alarms, doors by zones, newest records; rendered once for all who see the same.

The stream carries signals alone; what is shown is fetched, so that whoever may see nothing gets nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, cast

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import ColumnElement, and_, false, or_, true
from sqlmodel import col
from sse_starlette import EventSourceResponse

from api.access import Permission, Who, require
from api.broadcast import SEND_TIMEOUT_S, Wanted
from api.days import moment_of
from api.live import now_ms, portals, site_status, zones
from api.masks import AT_PORTALS, TECHNICAL, Sight, masked, sight_of
from api.pages.alarm_cards import shown_alarms
from api.pages.frame import fragment, render
from api.pages.places import SiteNow, fire_released, tree
from api.pages.rows import event_shown, place_names
from api.pages.shared import SPACED_S, Shared
from api.parts import Here
from api.presence import counted_places
from api.problems import Problem
from api.signin.streams import while_signed_in
from api.tables import EventRow
from api.texts import Said, _, spoken
from api.view import View
from api.words import RELEASE_REASONS
from controller.link.notes import NoteError, parse_checkpoint
from controller.link.short_code import short_code

EVENTS_SHOWN: Final = 50
LOOKED_MAX: Final = 20_000
"""So many records are looked through for those that are shown to somebody who may not see all."""

ALARMS_SHOWN: Final = 3
NOTHING: Final = Wanted(types=frozenset({""}))

router = APIRouter(include_in_schema=False)
Watching = Annotated[Who, Depends(require(Permission.LIVE))]
Anybody = Annotated[Who, Depends(require(Permission.OWN))]


Show = Literal["all", "denied", "alarm", "people"]
SHOWS: Final[Mapping[Show, Said]] = {
    "all": Said("All", "events"),
    "denied": Said("Not granted", "events"),
    "alarm": Said("Alarms", "events"),
    "people": Said("Entries and exits", "events"),
}
"""Which records the list may be narrowed to."""

_CHOSEN: Final[Mapping[Show, ColumnElement[bool]]] = {
    "denied": col(EventRow.type).in_(("ACCESS_DENIED", "RELEASE_REFUSED")),
    "alarm": col(EventRow.record_class) == "alarm",
    "people": col(EventRow.type).in_(("PASSAGE", "EXIT", "RELEASED", "TAILGATE")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """What decides what of the page somebody sees. `show`: which records he chose."""

    sight: Sight
    may_release: bool
    show: Show = "all"


def live_part(view: View) -> Shared[Watcher]:
    """The part of the page that changes."""
    return Shared(view, lambda watcher: _render(view, watcher))


def _render(view: View, watcher: Watcher) -> str:
    doors, language, sight = portals(view), spoken(), watcher.sight
    door_names, zone_names = place_names(view, doors, language)
    found = shown_alarms(view, sight, door_names, zone_names)
    names = view.names.all() if sight.has_names else {}
    now = SiteNow(
        is_locked_down=site_status(view).is_locked_down,
        fire_released=fire_released(view) if any(row.kind == "FIRE_ON" for row in view.alarms()) else frozenset(),
    )
    return fragment(
        "live.html",
        zones=tree(zones(view), doors, now, heads(view), sight.zones), may_release=watcher.may_release,
        alarms=found[:ALARMS_SHOWN], more_alarms=found[ALARMS_SHOWN:],
        events=[
            event_shown(row, names, door_names, zone_names, language) for row in newest(view, watcher, EVENTS_SHOWN)
        ],
        shows=[(code, str(words), code == watcher.show) for code, words in SHOWS.items()], is_all=watcher.show == "all",
        witnesses=_witnesses(view),
    )  # fmt: skip


def heads(view: View) -> dict[str, int]:
    """How many people are in each zone, those in zones inside it too: numbers, never names."""
    around = {doc["id"]: doc.get("parent") for doc in view.rows("zone")}
    counts: Counter[str] = Counter()
    for here, count in counted_places(view.engine).items():
        zone: str | None = here
        while zone is not None:
            counts[zone] += count
            zone = around.get(zone)
    return dict(counts)


def newest(view: View, watcher: Watcher, limit: int) -> list[EventRow]:
    """The newest records that this watcher chose and may see, as he may see them."""
    after = view.seq - LOOKED_MAX
    taken = _taken(watcher.sight, after)
    if (chosen := _CHOSEN.get(watcher.show)) is not None:
        taken = and_(col(EventRow.seq) > after, chosen, taken)
    rows = view.newest_events(limit, taken)
    return [shown for shown in (masked(row, watcher.sight) for row in rows) if shown is not None]


def _taken(sight: Sight, after: int) -> ColumnElement[bool]:
    """`Sight.takes` as a question to the database, which need not hand over what is not shown."""
    seq, zone, kind = col(EventRow.seq), col(EventRow.zone), col(EventRow.type)
    at_portals = kind.in_(AT_PORTALS) if sight.has_portals else false()
    technical = kind.in_(TECHNICAL) if sight.has_technical else false()
    if sight.zones is None:
        return true() if sight.has_inner else and_(seq > after, or_(at_portals, technical))
    inside = zone.in_(sight.zones) if sight.has_inner else and_(zone.in_(sight.zones), at_portals)
    return and_(seq > after, or_(technical, inside, and_(zone.is_(None), at_portals)))


def _witnesses(view: View) -> list[str]:
    """How far somebody outside vouches for the records, a line for each witness."""
    status = view.live.status
    lines = []
    for one in () if status is None else status.witnesses:
        at = moment_of(one.at_ms) if one.at_ms else None
        if at is None:
            lines.append(_("Witness: nothing signed yet (%(name)s)", name=one.name))
            continue
        told = {"seq": one.size - 1, "time": f"{at:%m/%d %H:%M}", "name": one.name}
        lines.append(_("Witness signed: records up to %(seq)s, %(time)s (%(name)s)", **told))
    return lines


def _day_code(view: View, now: datetime) -> dict[str, str] | None:
    """The short code of the newest checkpoint, for the inspection sheet; none before there is a checkpoint.

    It stands outside of what changes by itself: a code that moved on while somebody copied it would be neither one.
    """
    try:
        newest_one = parse_checkpoint(view.checkpoint)
    except NoteError:
        return None
    told = {"time": f"{now:%Y-%m-%d %H:%M}", "seq": newest_one.size - 1}
    of = _("%(time)s, records up to %(seq)s", **told)
    return {"code": short_code(newest_one.size, newest_one.text), "of": of}


def _watcher(who: Who, show: Show) -> Watcher:
    return Watcher(sight=sight_of(who), may_release=who.may(Permission.RELEASE), show=show)


@router.get("/")
def page(here: Here, request: Request, who: Anybody, show: Show = "all") -> Response:
    """The live page; for somebody who may not watch doors, what he may see instead."""
    if not who.may(Permission.LIVE):
        return render(request, who, "welcome.html")
    day = moment_of(now_ms())
    assert day is not None
    part: Shared[Watcher] = here.rendered["live"]
    return render(
        request, who, "page.html",
        live=part.text(_watcher(who, show)), show=show, seq=here.view.seq, code=_day_code(here.view, day),
        reasons=[(code, words[spoken()]) for code, words in RELEASE_REASONS.items()],
    )  # fmt: skip


@router.get("/live")
async def live(here: Here, request: Request, who: Watching, show: Show = "all") -> Response:
    """The part of the page that changes."""
    part: Shared[Watcher] = here.rendered["live"]
    return await part.answer(request, _watcher(who, show))


@router.get("/signals")
async def signals(here: Here, who: Anybody) -> EventSourceResponse:
    """`snapshot` at least every 2 s, and when something changed: what a page needs to know that it is old."""
    whose = who.officer if who.roles else ""  # all who look at what is their own share one part
    if here.broadcast.is_full(whose, here.settings.streams_max):
        raise Problem("too_many", 503, headers={"Retry-After": "5"})
    stopping = anyio.Event()
    frames = here.broadcast.follow(here.broadcast.tail, stopping, NOTHING, whose)
    return EventSourceResponse(
        while_signed_in(here.keeper, who, _spaced(frames)), ping=0, send_timeout=SEND_TIMEOUT_S, cleanup_timeout=2.0,
        shutdown_event=stopping, shutdown_grace_period=1.0,
    )  # fmt: skip


async def _spaced(frames: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """A signal at once, the next one not at once: of a busy second two are enough."""
    async with aclosing(cast("AsyncGenerator[bytes]", frames)) as pieces:
        async for piece in pieces:
            yield piece
            await anyio.sleep(SPACED_S)
