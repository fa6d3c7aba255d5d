"""Alarms by the API: what is open, what it was, and how often each door raised one (A-14, docs/officers.md)."""

import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field, StringConstraints

from api.access import Permission, Who, require
from api.alarms import AlarmCase, alarm, figures, open_alarms, past_alarms
from api.figures import Span, span_of
from api.link import done
from api.masks import Sight, sight_of
from api.models import Asked, Given, IsoDate, iso
from api.pages.alarm_cards import may_see
from api.parts import Here
from api.problems import Problem
from api.proposals import VIEW_S_MAX
from api.register import PROBLEMS, RequestKey, today
from controller.link.messages import ALARM_CAUSES, HandleAlarm
from zones.plain_words import NOTE_SIGNS_MAX

router = APIRouter(responses=PROBLEMS)
Watching = Annotated[Who, Depends(require(Permission.LIVE))]
Answering = Annotated[Who, Depends(require(Permission.HANDLE))]
Counting = Annotated[Who, Depends(require(Permission.REPORTS))]
CauseWord = Literal[
    "person", "wrong_use", "weather", "worn_latch", "sensor", "power", "network", "maintenance", "drill", "intrusion",
    "unknown",
]  # fmt: skip
Number = Annotated[int, Path(ge=0, le=2**53)]

assert CauseWord.__args__ == ALARM_CAUSES  # type: ignore[attr-defined]


class AlarmPublic(Given):
    """An alarm with its repetitions. `seq` names it. `is_lasting`: its cause is not known to be over; it is closed when
    that is so and somebody has said what it was (`cause`).
    """

    seq: int
    last_seq: int
    kind: str
    row: str
    portal: str | None
    zone: str | None
    first_at: str | None
    last_at: str | None
    count: int
    ended_at: str | None
    is_lasting: bool
    is_doubted: bool
    needs_handling: bool
    cause: str | None
    officer: str | None
    handled_at: str | None


class AlarmPage(Given):
    """Alarms; `next` is the cursor of those before, null on the last page and for open ones, which are all there."""

    items: list[AlarmPublic]
    next: int | None = None


class AlarmQuery(Asked):
    """`state`: those that are open, or those that were handled, the newest first."""

    model_config = Asked.model_config | {"strict": False}
    state: Literal["open", "handled"] = "open"
    limit: int = Field(default=100, ge=1, le=500)
    cursor: int | None = Field(default=None, ge=0, le=2**53)


class AlarmHandle(Asked):
    """What it was. `last_seq`: the newest record of it that was looked at; where it was raised again since, 409."""

    cause: CauseWord
    note: Annotated[str, StringConstraints(min_length=1, max_length=NOTE_SIGNS_MAX)]
    last_seq: int | None = Field(default=None, ge=0, le=2**53)


class AlarmHandled(Given):
    """Recorded under `recorded`; `alarm` as it stands now."""

    recorded: int
    alarm: AlarmPublic


class FigurePublic(Given):
    """How often, in one month (YYYY-MM, Japan), one portal raised one kind of alarm for one cause (null: not said)."""

    month: str
    portal: str | None
    kind: str
    cause: str | None
    count: int


class FigurePage(Given):
    """Figures of a span of days."""

    items: list[FigurePublic]


@router.get("/alarms")
def list_alarms(here: Here, who: Watching, query: Annotated[AlarmQuery, Query()]) -> AlarmPage:
    """Alarms that are open, the worst first; or those that were handled. Those alone that whoever asks may know of."""
    sight, engine = sight_of(who), here.view.engine
    if query.state == "open":
        return AlarmPage(items=[_public(one, sight) for one in open_alarms(engine) if may_see(one, sight)])
    found = past_alarms(engine, query.cursor, query.limit + 1)
    page = found[: query.limit]
    return AlarmPage(
        items=[_public(one, sight) for one in page if may_see(one, sight)],
        next=page[-1].seq if len(found) > query.limit else None,
    )


@router.get("/alarms/figures")
def alarm_figures(
    here: Here, _who: Counting, from_on: IsoDate | None = None, until_on: IsoDate | None = None
) -> FigurePage:
    """Which portal raises what, how often and for what cause, by month; of the last 92 days where no days are given."""
    days = span_of(from_on, until_on, today(), 92)
    if days is None:
        raise Problem("not_valid", 422)
    span = Span(first=days[0], last=days[1])
    found = figures(here.view.engine, span.from_ms, span.until_ms)
    return FigurePage(
        items=[FigurePublic(month=f.month, portal=f.portal, kind=f.kind, cause=f.cause, count=f.count) for f in found]
    )


@router.post("/alarms/{seq}/handle")
def handle_alarm(here: Here, who: Answering, seq: Number, said: AlarmHandle, key: RequestKey = None) -> AlarmHandled:
    """Say what an alarm was. A forced door stays open until its contact says that it is closed."""
    case, sight = alarm(here.view.engine, seq), sight_of(who)
    if case is None or not may_see(case, sight):
        raise Problem("not_found", 404)
    if said.last_seq is not None and said.last_seq != case.last_seq:
        raise Problem("alarm_moved", 409, members={"last_seq": case.last_seq})
    message = HandleAlarm(
        id=key or secrets.token_hex(16), kind=case.kind, row=case.row, cause=said.cause, note=said.note,
        seq=case.last_seq, officer=who.officer,
    )  # fmt: skip
    recorded = done(here.requests.ask(lambda _: message))
    here.view.wait_for(recorded.seq, VIEW_S_MAX)
    return AlarmHandled(recorded=recorded.seq, alarm=_public(alarm(here.view.engine, seq) or case, sight))


def _public(case: AlarmCase, sight: Sight) -> AlarmPublic:
    """An alarm as somebody may see it: who it is about, and which code of it, to those who see records whole."""
    row = case.row if sight.has_inner else case.row.partition("/")[0]
    return AlarmPublic(
        seq=case.seq, last_seq=case.last_seq, kind=case.kind, row=row, portal=case.portal, zone=case.zone,
        first_at=iso(case.first_ms), last_at=iso(case.last_ms), count=case.count, ended_at=iso(case.ended_ms),
        is_lasting=case.is_lasting, is_doubted=case.is_doubted, needs_handling=case.needs_handling, cause=case.cause,
        officer=case.officer, handled_at=iso(case.handled_ms),
    )  # fmt: skip
