"""Alarms: each is answered with what it was and a note; and how often each door raised one, by month and cause."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api.access import Permission, Who, require
from api.alarm_words import CAUSES, NUISANCES
from api.alarms import AlarmCase, Figure, alarm, figures, open_alarms, past_alarms
from api.days import short_moment
from api.link import done
from api.live import now_ms, portals
from api.masks import sight_of
from api.pages.alarm_cards import card, may_see, title
from api.pages.forms import Form, Sent, told
from api.pages.frame import render
from api.pages.rows import place_names
from api.parts import Here, Parts
from api.problems import Problem
from api.proposals import VIEW_S_MAX
from api.texts import spoken
from controller.link.messages import ALARM_CAUSES, HandleAlarm
from zones.plain_words import NOTE_SIGNS_MAX

PAST_SHOWN: Final = 50
COUNTED_MS: Final = 92 * 86_400_000

router = APIRouter(include_in_schema=False)
Watching = Annotated[Who, Depends(require(Permission.LIVE))]
Answering = Annotated[Who, Depends(require(Permission.HANDLE))]

assert tuple(CAUSES) == ALARM_CAUSES, "every cause has its words, in the order of the codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was sent, so that a refusal does not cost the words that somebody wrote."""

    cause: str = ""
    note: str = ""
    fault: str = ""


@router.get("/alarms")
def list_alarms(here: Here, request: Request, who: Watching) -> Response:
    """What waits for an answer, what was answered lately, and how often by month."""
    sight, view = sight_of(who), here.view
    doors, zones = place_names(view, portals(view), spoken())
    waiting = [one for one in open_alarms(view.engine) if may_see(one, sight)]
    past = [one for one in past_alarms(view.engine, None, PAST_SHOWN) if may_see(one, sight)]
    counted = figures(view.engine, now_ms() - COUNTED_MS, now_ms() + 1)
    seen = {row["id"] for row in view.rows("portal") if sight.zones is None or row["inner"] in sight.zones}
    return render(
        request, who, "alarms.html",
        waiting=[card(one, doors, zones) for one in waiting], may_answer=who.may(Permission.HANDLE),
        past=[_past(one, doors, zones) for one in past],
        counts=[_count(one, doors) for one in counted if one.portal in seen],
    )  # fmt: skip


@router.get("/alarms/{seq}")
def ask_alarm(here: Here, request: Request, who: Answering, seq: int) -> Response:
    """The form: what was it?"""
    return _form(here, request, who, _alarm_of(here, who, seq), Answer())


@router.post("/alarms/{seq}")
def answer_alarm(here: Here, request: Request, who: Answering, seq: int, sent: Sent) -> Response:
    """Have the answer recorded. What is not accepted comes back with the words that were written."""
    case = _alarm_of(here, who, seq)
    said = Answer(cause=sent.text("cause"), note=_note(sent))
    message = HandleAlarm(
        id=secrets.token_hex(16), kind=case.kind, row=case.row, cause=said.cause, note=said.note, seq=case.last_seq,
        officer=who.officer,
    )  # fmt: skip
    try:
        if missing := next((name for name in ("cause", "note") if not getattr(said, name)), ""):
            raise Problem("not_valid", 422, members={"field": missing})  # a slip is no attempt to be recorded
        recorded = done(here.requests.ask(lambda _welcome: message))
    except Problem as problem:
        return _form(here, request, who, case, Answer(cause=said.cause, note=said.note, fault=told(problem)))
    here.view.wait_for(recorded.seq, VIEW_S_MAX)
    return RedirectResponse("/" if who.may(Permission.LIVE) else "/alarms", 303)


def _note(form: Form) -> str:
    return "".join(form.many("note")[:1]).strip()[: NOTE_SIGNS_MAX + 1]


def _alarm_of(here: Parts, who: Who, seq: int) -> AlarmCase:
    case = alarm(here.view.engine, seq) if 0 <= seq < 2**53 else None
    if case is None or not may_see(case, sight_of(who)):
        raise Problem("not_found", 404)
    return case


def _form(here: Parts, request: Request, who: Who, case: AlarmCase, said: Answer) -> Response:
    doors, zones = place_names(here.view, portals(here.view), spoken())
    return render(
        request, who, "alarm.html", status=422 if said.fault else 200,
        alarm=card(case, doors, zones), said=said, note_max=NOTE_SIGNS_MAX,
        causes=[(code, str(words)) for code, words in CAUSES.items()], cause=_cause(case.cause),
        ended=short_moment(case.ended_ms),
    )  # fmt: skip


def _past(case: AlarmCase, doors: dict[str, str], zones: dict[str, str]) -> dict[str, Any]:
    return card(case, doors, zones) | {"cause": _cause(case.cause), "by": case.officer, "handled_ms": case.handled_ms}


def _count(one: Figure, doors: dict[str, str]) -> dict[str, Any]:
    return {
        "month": one.month.replace("-", "/"), "door": doors.get(one.portal or "", one.portal), "kind": title(one.kind),
        "cause": _cause(one.cause), "count": one.count, "is_nuisance": one.cause in NUISANCES,
    }  # fmt: skip


def _cause(code: str | None) -> str:
    return str(CAUSES[code]) if code in CAUSES else ""
