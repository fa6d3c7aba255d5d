"""Questions about decisions: why, again, what if, who could; and whether the site is sound. None takes for ever."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from api.access import Permission, Who, require
from api.live import now_ms
from api.models import Asked, Id
from api.parts import Here
from api.personal import record_look
from api.problems import Problem
from api.register import PROBLEMS
from api.review import HORIZON_DAYS_MAX
from controller.link.recorded import at_of, edit_of
from zones.ids import ZoneId
from zones.moment import JST, Moment
from zones.policy import EditRefused

router = APIRouter(responses=PROBLEMS)

SeesReasons = Annotated[Who, Depends(require(Permission.REASONS))]
SeesRights = Annotated[Who, Depends(require(Permission.RIGHTS))]

First = Annotated[int | None, Query(alias="from", ge=0, le=2**53, description="first record")]
Last = Annotated[int | None, Query(alias="to", ge=0, le=2**53, description="last record")]


class WhatIfAsked(Asked):
    """A proposed edit, rows as in POLICY_EDITED records (a new credential by `number_hash` and `last4`), and over which
    records it is tried. The decisions that it turns round are people's entries: they are told for a `purpose` alone, of
    one person alone, and recorded (E-07). Of several people `sekisho what-if` tells them, at the console.
    """

    puts: list[list[Any]] = Field(default_factory=list, max_length=500)
    drops: list[list[str]] = Field(default_factory=list, max_length=500)
    first: Annotated[int | None, Field(alias="from", ge=0, le=2**53)] = None
    last: Annotated[int | None, Field(alias="to", ge=0, le=2**53)] = None
    purpose: Annotated[str, Field(max_length=64)] | None = None


@router.get("/decisions/{decision}/explanation")
def explain_decision(
    here: Here, who: SeesReasons, decision: Annotated[str, Path(pattern=r"^(?:[0-9]{1,16}|[0-9A-Za-z]{4})$")]
) -> dict[str, Any]:
    """Each rule in words, and the smallest changes that would turn it round. `decision`: a sequence number, or the four
    characters of a refusal (the newest that has them; `others` lists the rest).
    """
    told = here.reviewer.explanation(decision)
    if not who.may_see_zone(told["decision"]["zone"] or ""):
        raise Problem("not_found", 404)
    return told | {"others": [one for one in told["others"] if who.may_see_zone(one["zone"] or "")]}


@router.get("/replay", dependencies=[Depends(require(Permission.EVENTS))])
def replay_decisions(here: Here, first: First = None, last: Last = None) -> dict[str, Any]:
    """Recorded decisions derived again; `is_same` is false where any comes out otherwise."""
    if first is not None and last is not None and first > last:
        raise Problem("not_valid", 422)
    return here.reviewer.replay(first, last)


@router.post("/what-if")
def what_if(here: Here, who: SeesRights, asked: WhatIfAsked) -> dict[str, Any]:
    """Recorded history and today's rights under a proposed edit. Nothing is changed by it. Without a `purpose`, whose
    entries it would turn round is left out (`flips_withheld` of them).
    """
    try:
        edit = edit_of({"puts": asked.puts, "drops": asked.drops})
    except EditRefused as error:
        raise Problem("edit_refused", 422, members={"why": str(error), "field": error.field}) from error
    told = _within(who, here.reviewer.what_if(edit, asked.first, asked.last, _now(None)))
    people = {flip["cardholder"] for flip in told["flips"] if flip["cardholder"] is not None}
    if not people:
        return told
    if asked.purpose is None:
        return told | {"flips": [], "flips_withheld": len(told["flips"])}
    if len(people) > 1:
        raise Problem("two_people", 409)
    record_look(here, who.officer, people.pop(), asked.purpose)
    return told


def _within(who: Who, told: dict[str, Any]) -> dict[str, Any]:
    """Of what an edit does, what is of the zones that he answers for: numbers of all would tell of the others."""
    if who.zones is None:
        return told
    lists = {
        name: [one for one in told[name] if who.may_see_zone(one["zone"] or "")]
        for name in ("flips", "gains", "loses", "stranded")
    }
    numbers = dict.fromkeys(("decisions", "other_reason", "purged", "not_applicable", "differing"))
    return told | lists | numbers | {"flipped": len(lists["flips"])}


@router.get("/zones/{id}/who-can")
def who_can_enter(
    here: Here,
    who: SeesRights,
    id: Id,
    at: Annotated[datetime | None, Query(description="in Japan where it has no offset; default: now")] = None,
    all: Annotated[bool, Query(description="those who cannot too, with what is missing")] = False,
) -> dict[str, Any]:
    """Who could be let into the zone, at which portal, by which rows."""
    if not who.may_see_zone(id):
        raise Problem("not_found", 404)
    return here.reviewer.who_can(ZoneId(id), _now(at), with_missing=all)


@router.get("/lint", dependencies=[Depends(require(Permission.RIGHTS))])
def lint_site(here: Here) -> dict[str, Any]:
    """Every fault of the site as it stands, with the path to it."""
    return here.reviewer.lint()


@router.get("/proofs")
def prove_site(
    here: Here,
    who: SeesRights,
    zone: Annotated[Id | None, Query()] = None,
    days: Annotated[int, Query(ge=0, le=HORIZON_DAYS_MAX, description="how far ahead")] = 0,
) -> dict[str, Any]:
    """Proofs about who could be where, each with its steps; of zones that the officer answers for."""
    if zone is not None and not who.may_see_zone(zone):
        raise Problem("not_found", 404)
    told = here.reviewer.proofs(None if zone is None else ZoneId(zone), _now(None), days)
    return told | {"proofs": [one for one in told["proofs"] if who.zones is None or one["zone"] in who.zones]}


def _now(at: datetime | None) -> Moment:
    if at is None:
        return Moment(at=at_of(now_ms()), tick_ms=0)
    try:
        return Moment(at=(at if at.tzinfo is not None else at.replace(tzinfo=JST)).astimezone(UTC), tick_ms=0)
    except OverflowError as error:
        raise Problem("not_valid", 422) from error
