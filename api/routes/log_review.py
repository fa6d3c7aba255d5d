"""Looks through the log by the API (A-15): what there is to look at, and the auditor's signature under it."""

import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints

from api.access import Permission, Who, require
from api.link import done
from api.log_reviews import Look, looks, message, span
from api.models import Asked, Given, iso
from api.parts import Here
from api.proposals import VIEW_S_MAX
from api.register import PROBLEMS, RequestKey
from controller.link.messages import REVIEW_OUTCOMES

router = APIRouter(responses=PROBLEMS)
Reviewing = Annotated[Who, Depends(require(Permission.LOG_REVIEW))]
OutcomeWord = Literal["in_order", "explained", "measures", "incident"]
LOOKS_SHOWN = 50

assert OutcomeWord.__args__ == REVIEW_OUTCOMES  # type: ignore[attr-defined]


class LookPublic(Given):
    """One look through the log: records `from_seq` to `to_seq`, recorded under `seq`."""

    seq: int
    at: str | None
    officer: str
    from_seq: int
    to_seq: int
    outcome: str
    incident: str | None


class LogReviewPublic(Given):
    """What is to be looked at: records `from_seq` to `to_seq`, how many of each type, and the alarms by number."""

    from_seq: int
    to_seq: int
    since: str | None
    is_overdue: bool
    counts: dict[str, int]
    alarms: list[int]
    looks: list[LookPublic]


class LookCreate(Asked):
    """A look up to record `to_seq`. `incident`: the code of the incident that follows, with that outcome alone."""

    to_seq: int = Field(ge=0, le=2**53)
    outcome: OutcomeWord
    incident: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")] | None = None


@router.get("/log-review")
def get_log_review(here: Here, _who: Reviewing) -> LogReviewPublic:
    """What came since the last look, and the looks before."""
    now = span(here.view)
    return LogReviewPublic(
        from_seq=now.from_seq, to_seq=now.to_seq, since=iso(now.since_ms), is_overdue=now.is_overdue,
        counts=now.counts, alarms=[one.seq for one in now.alarms],
        looks=[_public(one) for one in looks(here.view.engine, LOOKS_SHOWN)],
    )  # fmt: skip


@router.post("/log-review")
def sign_log_review(here: Here, who: Reviewing, look: LookCreate, key: RequestKey = None) -> LookPublic:
    """Sign that the log was looked through. Refused (`about_himself`) to an auditor of whom an alarm in it speaks."""
    asked = message(who.officer, key or secrets.token_hex(16), look.to_seq, look.outcome, look.incident)
    recorded = done(here.requests.ask(lambda _: asked))
    here.view.wait_for(recorded.seq, VIEW_S_MAX)
    found = next((one for one in looks(here.view.engine, LOOKS_SHOWN) if one.seq == recorded.seq), None)
    return _public(
        found
        or Look(
            seq=recorded.seq, at_ms=0, officer=who.officer, from_seq=0, to_seq=look.to_seq, outcome=look.outcome,
            incident=look.incident,
        )
    )  # fmt: skip


def _public(look: Look) -> LookPublic:
    return LookPublic(
        seq=look.seq, at=iso(look.at_ms), officer=look.officer, from_seq=look.from_seq, to_seq=look.to_seq,
        outcome=look.outcome, incident=look.incident,
    )  # fmt: skip
