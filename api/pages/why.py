"""Why somebody could not enter, asked by the four characters that he reads out; and what if somebody came then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from api.access import Permission, Who, require
from api.live import now_ms
from api.pages.forms import Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, joined, look_of
from api.pages.people import BASES
from api.parts import Here, Parts
from api.problem_words import PROBLEMS
from api.problems import Problem
from api.tables import EventRow
from api.texts import _, spoken
from api.why import Step, checklist, decision_in, fix_for, number_of, seen_at_portal, ways_of
from controller.link.recorded import at_of
from zones.ids import CardholderId, PortalId
from zones.moment import JST, Moment
from zones.review.words import reason_words

router = APIRouter(include_in_schema=False)
Watches = Annotated[Who, Depends(require(Permission.LIVE))]
SeesRights = Annotated[Who, Depends(require(Permission.RIGHTS))]
KnowsWhy = Annotated[Who, Depends(require(Permission.REASONS))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]

OTHERS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A refusal that was found, and others with the same characters."""

    row: EventRow
    others: tuple[EventRow, ...]


@router.get("/why")
def why(
    here: Here, request: Request, who: Watches, number: Annotated[str, Query(max_length=40)] = "",
    seq: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:  # fmt: skip
    """The question, and its answer where a number was given."""
    return _why(here, request, who, number, seq, "")


@router.get("/why/{seq}/ways")
def ways(here: Here, request: Request, who: KnowsWhy, seq: int) -> HTMLResponse:
    """What would help: a part of the page, fetched behind it, because it is worked out from the records."""
    row, look = _found(here, who, "", seq).row, look_of(here, who)

    def named(kind: str, place: str) -> str:
        if kind == "basis" and place in BASES:
            return str(BASES[place])
        if kind in ("zone", "zones", "from_zone"):
            return joined(look.zone_name(one.strip()) for one in place.split(","))
        return (
            joined(portal_name(look, one.strip()) for one in place.split(",")) if kind.startswith("portal") else place
        )

    found, code = ways_of(here, row.seq, row.cardholder, named)
    return render(
        request, who, "why_ways.html", seq=row.seq, ways=found, key=new_key(),
        may_propose=who.may(Permission.PROPOSE) and row.cardholder is not None,
        no_ways=PROBLEMS[code][spoken()][1] if code in PROBLEMS else "",
    )  # fmt: skip


def _why(
    here: Parts, request: Request, who: Who, number: str, seq: int | None, problem: str
) -> HTMLResponse:  # fmt: skip
    look = look_of(here, who)
    found: Found | None = None
    if number or seq is not None:
        try:
            found = _found(here, who, number, seq)
        except Problem as error:
            problem = problem or _told(error)
    if found is None:
        status = 404 if problem else 200
        return render(request, who, "why.html", status=status, look=look, number=number, problem=problem, found=None)
    return render(
        request, who, "why.html", look=look, number=number or found.row.number or "", problem=problem, found=found,
        **_answer(who, look, found.row), status=422 if problem else 200,
    )  # fmt: skip


def _told(error: Problem) -> str:
    if error.code == "not_valid":
        return _(
            "A number has four signs: digits from 2 to 9 and letters without A, E, I, L, O, U, Y. Please look again."
        )
    return _("No refusal with this number is on record here.")


def _found(here: Parts, who: Who, number: str, seq: int | None) -> Found:
    """The newest refusal with this number in zones that he answers for; by its place in the records where that is
    given. Raises Problem 404, 422.
    """
    if seq is not None:
        row = here.view.event(seq)
        if row is None or row.type != "ACCESS_DENIED" or not who.may_see_zone(row.zone or ""):
            raise Problem("not_found", 404)
        same = here.view.refusals(row.number) if row.number else []
        return Found(row=row, others=_others(who, same, row.seq))
    asked = number_of(number)
    if asked is None:
        raise Problem("not_valid", 422)
    rows = [row for row in here.view.refusals(asked) if who.may_see_zone(row.zone or "")]
    if not rows:
        raise Problem("not_found", 404)
    return Found(row=rows[0], others=_others(who, rows, rows[0].seq))


def _others(who: Who, rows: list[EventRow], seq: int) -> tuple[EventRow, ...]:
    seen = [row for row in rows if row.seq != seq and who.may_see_zone(row.zone or "")]
    return tuple(seen[:OTHERS_SHOWN])


def _answer(who: Who, look: Look, row: EventRow) -> dict[str, Any]:
    """What is told: to whoever may not know reasons, whom to call, and nothing else."""
    told: dict[str, Any] = {
        "portal_name": portal_name(look, row.portal), "zone_name": look.zone_name(row.zone or ""), "may_know": False,
        "seen": None, "lines": [], "person": "", "is_purged": False, "statement": "",
    }  # fmt: skip
    if not who.may(Permission.REASONS):
        return told
    decision = decision_in(row)
    if decision is None:
        return told | {"may_know": True, "is_purged": True}
    words = reason_words(decision.decided)
    return told | {
        "may_know": True, "seen": seen_at_portal(decision), "lines": checklist(decision),
        "person": look.name(row.cardholder) if row.cardholder else "",
        "statement": words.ja if spoken() == "ja" else words.en,
    }  # fmt: skip


@router.post("/why/{seq}/{code}")
def propose_fix(here: Here, request: Request, who: Proposes, seq: int, code: str, form: Sent) -> Response:
    """Make the proposal that one step comes to."""
    found = _found(here, who, "", seq)
    cardholder = found.row.cardholder
    if cardholder is None or not who.may(Permission.REASONS):
        raise Problem("not_found", 404)
    puts, reason = fix_for(here, seq, cardholder, code, look_of(here, who).day)
    return begun(
        here, who, form, lambda: puts, lambda problem: _why(here, request, who, "", seq, problem), reason=reason
    )  # fmt: skip


# -- what if -----------------------------------------------------------------------------------------------------------


@router.get("/what-if")
def what_if(
    here: Here, request: Request, who: SeesRights, cardholder: Annotated[str, Query(max_length=64)] = "",
    portal: Annotated[str, Query(max_length=64)] = "", at: Annotated[str, Query(max_length=32)] = "",
) -> Response:  # fmt: skip
    """Whether somebody would be let in at a door, then: by the rights of that day, with the best that he could show."""
    look = look_of(here, who)
    people = [(one, look.name(one)) for one in sorted(look.policy.cardholders, key=look.order)]
    portals = [
        (one.id, f"{portal_name(look, one.id)} → {look.zone_name(one.inner)}")
        for one in look.policy.portals.values()
        if who.may_see_zone(one.inner)
    ]
    moment, problem = _moment(at)
    way = None
    if cardholder and portal and not problem:
        if CardholderId(cardholder) not in look.policy.cardholders or portal not in dict(portals):
            problem = _("There is no such person or door.")
        else:
            try:
                way = _way(here, look, cardholder, portal, moment)
            except Problem as error:
                problem = " ".join(PROBLEMS.get(error.code, PROBLEMS["not_done"])[spoken()])
    return render(
        request, who, "what_if.html", status=422 if problem else 200, look=look, people=people, portals=portals,
        cardholder=cardholder, portal=portal, when=at or moment.at.astimezone(JST).strftime("%Y-%m-%dT%H:%M"), way=way,
        problem=problem, person=look.name(cardholder) if cardholder else "",
        portal_name=portal_name(look, portal or None), at_ms=int(moment.at.timestamp() * 1000),
    )  # fmt: skip


def _moment(at: str) -> tuple[Moment, str]:
    now = Moment(at=at_of(now_ms()), tick_ms=0)
    if not at:
        return now, ""
    try:
        asked = datetime.fromisoformat(at)
        asked = asked if asked.tzinfo is not None else asked.replace(tzinfo=JST)
        return Moment(at=asked.astimezone(now.at.tzinfo), tick_ms=0), ""
    except (ValueError, OverflowError):
        return now, _("Write the time as 2026-04-01T09:00.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What would happen. `missing`: statements of what stands in the way; `keys`: how many rows it rests on."""

    is_open: bool
    by: str
    beside: int
    missing: tuple[str, ...]
    steps: tuple[Step, ...] = ()


def _way(here: Parts, look: Look, cardholder: str, portal: str, moment: Moment) -> Told:
    zone = look.policy.portals[PortalId(portal)].inner
    found = here.reviewer.who_can(zone, moment, with_missing=True)["ways"]
    ways = [one for one in found if one["cardholder"] == cardholder and one["portal"] == portal]
    if not ways:  # another door lets him in; this one is told of only where it does too
        return Told(is_open=False, by="", beside=0, missing=(_("Not through this door; through another one, yes."),))
    (way,) = ways
    if way["is_open"]:
        return Told(is_open=True, by=way["by"], beside=way["beside"], missing=())
    return Told(
        is_open=False, by="", beside=0, missing=tuple(one["words"][spoken()] for one in way["missing"])
    )  # fmt: skip


def portal_name(look: Look, portal: str | None) -> str:
    """What a door is called."""
    found = look.policy.portals.get(PortalId(portal or ""))
    if found is None:
        return portal or "–"
    return found.name_ja if spoken() == "ja" else found.name_en
