"""Events: pages by sequence number, and the live stream. Numbers are the ledger's, without a gap."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Header, Query
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from api.access import Permission, Who, require
from api.broadcast import SEND_TIMEOUT_S, Wanted
from api.models import EventPage, EventQuery, StreamQuery, event_public
from api.parts import Here, Parts
from api.problems import Problem
from api.register import PROBLEMS
from api.signin.streams import while_signed_in
from api.words import TYPES

router = APIRouter(responses=PROBLEMS)

Audits = Annotated[Who, Depends(require(Permission.EVENTS))]


@router.get("/events", dependencies=[Depends(require(Permission.EVENTS))])
def list_events(here: Here, query: Annotated[EventQuery, Query()]) -> EventPage:
    """Events after number `after`, oldest first. Ask again with `after` = `next`: none is missing, none comes twice."""
    tail = here.view.seq
    rows = here.view.events_after(query.after, query.limit)
    last = rows[-1].seq if rows else query.after
    return EventPage(items=[event_public(row) for row in rows], next=last, tail=max(tail, last if rows else -1))


@router.get(
    "/events/stream",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "`record`, `id` = seq; `snapshot` every 2 s"}
    },
)
async def stream_events(
    here: Here,
    who: Audits,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[str | None, Header(pattern=r"^-?[0-9]{1,16}$")] = None,
) -> EventSourceResponse:
    """Every event after Last-Event-ID (or `after`; neither: from now on), then those that come. With `type` or `zone`
    (each repeatable) those alone: numbers are the ledger's all the same, and it resumes without a gap.

    `snapshot` events come at least every 2 s, so that a dead line can be told from a quiet one.
    """
    if here.broadcast.is_full(who.officer, here.settings.streams_max):
        raise Problem("too_many", 503, headers={"Retry-After": "5"})
    await run_in_threadpool(_refuse_unknown, here, query)
    position = int(last_event_id) if last_event_id is not None else query.after
    stopping = anyio.Event()
    wanted = Wanted(types=frozenset(query.type), zones=frozenset(query.zone))
    begin = max(position, -1) if position is not None else here.broadcast.tail
    frames = here.broadcast.follow(begin, stopping, wanted, who.officer)
    return EventSourceResponse(
        while_signed_in(here.keeper, who, frames),
        ping=0,
        send_timeout=SEND_TIMEOUT_S,
        cleanup_timeout=2.0,
        shutdown_event=stopping,
        shutdown_grace_period=1.0,
    )


def _refuse_unknown(here: Parts, query: StreamQuery) -> None:
    """Raises Problem for a type or zone that there is not: a mistyped one would be a stream that never speaks."""
    zones = {doc["id"] for doc in here.view.rows("zone")} if query.zone else set()
    unknown = [f"/type/{at}" for at, one in enumerate(query.type) if one not in TYPES]
    unknown += [f"/zone/{at}" for at, one in enumerate(query.zone) if one not in zones]
    if unknown:
        faults = [{"pointer": place, "in": "query", "detail": "unknown"} for place in unknown]
        raise Problem("not_valid", 422, members={"errors": faults})
