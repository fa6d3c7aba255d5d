"""Events: pages by sequence number, and the live stream. Numbers are the ledger's, without a gap."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Header, Query
from sse_starlette import EventSourceResponse

from api.auth import signed_in
from api.broadcast import SEND_TIMEOUT_S
from api.models import EventPage, EventQuery, event_public
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS

router = APIRouter(dependencies=[Depends(signed_in)], responses=PROBLEMS)


@router.get("/events")
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
    last_event_id: Annotated[str | None, Header(pattern=r"^-?[0-9]{1,16}$")] = None,
    after: Annotated[int | None, Query(ge=-1, le=2**53)] = None,
) -> EventSourceResponse:
    """Every event after Last-Event-ID (or `after`; neither: from now on), then those that come.

    `snapshot` events come at least every 2 s, so that a dead line can be told from a quiet one.
    """
    if here.broadcast.followers >= here.settings.streams_max:
        raise Problem("too_many", 503, headers={"Retry-After": "5"})
    position = int(last_event_id) if last_event_id is not None else after
    stopping = anyio.Event()
    frames = here.broadcast.follow(max(position, -1) if position is not None else here.broadcast.tail, stopping)
    return EventSourceResponse(
        frames,
        ping=0,
        send_timeout=SEND_TIMEOUT_S,
        cleanup_timeout=2.0,
        shutdown_event=stopping,
        shutdown_grace_period=1.0,
    )
