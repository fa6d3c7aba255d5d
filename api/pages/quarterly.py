"""The review of places on rosters (A-03): zone by zone, each row decided by itself, with when it was last used.

There is no button for all rows. What nobody decides lapses by itself on the day that stands beside it: the review's
day, then two weeks of grace, then the door refuses (D29); a named minimum keeps its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.access import Permission, Who, require
from api.pages.forms import Form, Sent, new_key, told
from api.pages.frame import render
from api.pages.looks import Look, leaf_of, look_of, zone_of
from api.pages.roster import marks
from api.parts import Here, Parts
from api.problems import Problem
from api.proposals import Proposal, open_proposal
from api.row_states import RosterState, lapses_on, roster_state
from controller.link.rows import row_to_doc
from zones.people import RosterEntry
from zones.places import Zone

AHEAD: Final = timedelta(days=30)
"""A place is up for review this long before its day."""

PERIOD: Final = timedelta(days=90)
UNUSED: Final = timedelta(days=90)
SHOWN: Final = 40
OVER: Final = frozenset({RosterState.REMOVED, RosterState.PERIOD_OVER})

router = APIRouter(include_in_schema=False)
Reviews = Annotated[Who, Depends(require(Permission.REVIEW))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """One place in the review. `change`: the proposal by which it was decided; `lapses_on`: when it counts no more if
    nobody decides (None: it is kept).
    """

    entry: RosterEntry
    is_due: bool
    is_overdue: bool
    change: str
    last_entry_ms: int | None
    is_unused: bool
    lapses_on: date | None

    @property
    def is_decided(self) -> bool:
        """Whether somebody has said what becomes of it."""
        return bool(self.change) or not self.is_due


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one zone's review is."""

    zone: Zone
    decided: int
    all: int
    next_lapse: date | None


def reviewed(look: Look, zone: str, seen: dict[tuple[str, str], int], waiting: dict[str, Any]) -> list[Reviewed]:
    """The places of a zone that are not over, those up for review first, in order of names."""
    entries = [
        entry
        for entry in look.policy.roster.values()
        if entry.zone == zone and roster_state(entry, look.day) not in OVER
    ]
    rows = [_row(look, entry, seen.get((entry.cardholder, zone)), waiting) for entry in entries]
    return sorted(rows, key=lambda row: (row.is_decided, look.order(row.entry.cardholder)))


def _row(look: Look, entry: RosterEntry, last_ms: int | None, waiting: dict[str, Any]) -> Reviewed:
    since_ms = (look.now.at - UNUSED).timestamp() * 1000
    return Reviewed(
        entry=entry, is_due=entry.review_on <= look.day + AHEAD, is_overdue=entry.review_on < look.day,
        change=waiting.get(entry.id, ("",))[0], last_entry_ms=last_ms,
        is_unused=last_ms is None or last_ms < since_ms, lapses_on=lapses_on(entry),
    )  # fmt: skip


def progress(zone: Zone, rows: Iterable[Reviewed]) -> Progress:
    """How many of a zone's places are decided."""
    rows = list(rows)
    open_days = [row.lapses_on for row in rows if not row.is_decided and row.lapses_on is not None]
    return Progress(
        zone=zone, decided=sum(row.is_decided for row in rows), all=len(rows), next_lapse=min(open_days, default=None)
    )  # fmt: skip


# -- pages -----------------------------------------------------------------------------------------------------------


@router.get("/review")
def overview(here: Here, request: Request, who: Reviews) -> HTMLResponse:
    """How far the review of each zone is."""
    look = look_of(here, who)
    waiting = here.proposals.waiting_rows("roster")
    zones = [zone for zone in look.policy.zones.values() if who.may_see_zone(zone.id)]
    found = [progress(zone, reviewed(look, zone.id, {}, waiting)) for zone in zones]
    return render(request, who, "review.html", look=look, zones=[one for one in found if one.all])


@router.get("/review/{zone}")
def review(
    here: Here, request: Request, who: Reviews, zone: str, page: Annotated[int, Query(ge=1, le=10_000)] = 1
) -> HTMLResponse:
    """One zone's places, to decide."""
    return _review(here, request, who, zone, page, "")


def _review(here: Parts, request: Request, who: Who, zone: str, page: int, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    found = zone_of(look, zone)
    rows = reviewed(look, zone, here.view.last_entries(zone=zone), here.proposals.waiting_rows("roster"))
    return render(
        request, who, "review_zone.html", look=look, zone=found, leaf=leaf_of(rows, page, SHOWN), marks=marks,
        progress=progress(found, rows), problem=problem, key=new_key(), next_on=look.day + PERIOD,
        may_propose=who.may(Permission.PROPOSE), status=422 if problem else 200,
    )  # fmt: skip


@router.post("/review/{zone}")
def decide(here: Here, request: Request, who: Reviews, zone: str, form: Sent) -> Response:
    """Propose what was decided of each row. What is taken away is one change, which acts at once when it is signed;
    what is kept is another, which a second officer signs too.
    """
    look = look_of(here, who)
    zone_of(look, zone)
    try:
        changes = _changes(look, zone, form)
        if not any(changes):
            raise Problem("not_valid", 422, members={"field": "decision"})
        made = [_proposed(here, who, form, number, docs) for number, docs in enumerate(changes) if docs]
    except Problem as problem:
        return _review(here, request, who, zone, 1, told(problem))
    return RedirectResponse(f"/proposals/{made[0].id}" if len(made) == 1 else "/proposals", 303)


def _proposed(here: Parts, who: Who, form: Form, number: int, docs: list[dict[str, Any]]) -> Proposal:
    key = f"{form.text('key')}-{number}" if form.text("key") else None
    return open_proposal(here, who, puts=[("roster", doc) for doc in docs], reason="review", key=key)


def _changes(look: Look, zone: str, form: Form) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows that end, rows that are kept), of the rows for which something was chosen."""
    ends, kept = [], []
    until = form.needed_day("until_on")
    for entry in look.policy.roster.values():
        decision = form.text(f"d-{entry.id}")
        if entry.zone != zone or decision not in ("keep", "end"):
            continue
        _table, doc = row_to_doc(entry)
        if decision == "end":
            ends.append({**doc, "ended_on": look.day.isoformat()})
        else:
            kept.append({**doc, "review_on": until.isoformat(), "until_on": max(entry.until_on, until).isoformat()})
    return ends, kept
