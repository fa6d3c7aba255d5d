"""The look through the log (A-15): what came since the last one, in codes and counts, and who signs that he looked."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from api.access import Permission, Who, require
from api.alarm_words import CAUSES, REVIEW_OUTCOMES, UNUSUAL_CODES
from api.alarms import AlarmCase
from api.link import done
from api.live import portals
from api.log_reviews import looks, message, span
from api.pages.alarm_cards import title
from api.pages.forms import Sent, told
from api.pages.frame import render
from api.pages.rows import place_names
from api.parts import Here, Parts
from api.problems import Problem
from api.proposals import VIEW_S_MAX
from api.texts import spoken
from api.words import TYPES
from controller.link.messages import REVIEW_OUTCOMES as OUTCOMES

LOOKS_SHOWN: Final = 20

router = APIRouter(include_in_schema=False)
Reviewing = Annotated[Who, Depends(require(Permission.LOG_REVIEW))]

assert tuple(REVIEW_OUTCOMES) == OUTCOMES, "every outcome has its words"


@router.get("/log-review")
def log_review(here: Here, request: Request, who: Reviewing) -> Response:
    """What there is to look at."""
    return _page(here, request, who, "")


@router.post("/log-review")
def sign(here: Here, request: Request, who: Reviewing, sent: Sent) -> Response:
    """Sign a look; what is not accepted is said on the same page."""
    to_seq = sent.text("to_seq")
    if not to_seq.isdecimal() or len(to_seq) > 16:
        raise Problem("not_valid", 422)
    key = sent.text("key") or secrets.token_hex(16)
    asked = message(who.officer, key, int(to_seq), sent.text("outcome"), sent.text("incident"))
    try:
        recorded = done(here.requests.ask(lambda _: asked))
    except Problem as problem:
        return _page(here, request, who, told(problem))
    here.view.wait_for(recorded.seq, VIEW_S_MAX)
    return RedirectResponse("/log-review", 303)


def _page(here: Parts, request: Request, who: Who, fault: str) -> Response:
    now = span(here.view)
    doors, zones = place_names(here.view, portals(here.view), spoken())
    return render(
        request, who, "log_review.html", status=422 if fault else 200, fault=fault, span=now,
        counts=[(str(TYPES[kind][0]) if kind in TYPES else kind, count) for kind, count in now.counts.items()],
        alarms=[_alarm(one, doors, zones) for one in now.alarms], key=secrets.token_hex(16),
        outcomes=[(code, str(words)) for code, words in REVIEW_OUTCOMES.items()],
        looks=[
            {"look": one, "outcome": str(REVIEW_OUTCOMES.get(one.outcome, one.outcome))}
            for one in looks(here.view.engine, LOOKS_SHOWN)
        ],
    )  # fmt: skip


def _alarm(case: AlarmCase, doors: dict[str, str], zones: dict[str, str]) -> dict[str, Any]:
    about, _, code = case.row.partition("/")
    where = doors.get(case.portal or "") or zones.get(case.zone or "") or ("" if about == "site" else about)
    kind = title(case.kind)
    if case.kind == "UNUSUAL" and code in UNUSUAL_CODES:
        kind = f"{kind} ({UNUSUAL_CODES[code]})"
    return {
        "case": case, "kind": kind, "where": where,
        "cause": str(CAUSES[case.cause]) if case.cause in CAUSES else "",
    }  # fmt: skip
