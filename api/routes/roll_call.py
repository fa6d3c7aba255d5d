"""The roll call by the API (D-27): who is inside as far as the records know, and ticks, each recorded once."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints

from api.access import Permission, Who, require
from api.models import Asked, Given, Id, iso
from api.parts import Here
from api.register import PROBLEMS
from api.roll_call import Line, RollCall, Ticked, record_ticks, roll_call

router = APIRouter(responses=PROBLEMS)
Calling = Annotated[Who, Depends(require(Permission.ROLL_CALL))]
TICKS_MAX = 200


class HolderInside(Given):
    """Somebody on the list. `is_certain`: nothing came since that could have moved him unseen."""

    cardholder: str
    name: str
    kana: str
    portal: str | None
    since: str | None
    is_certain: bool
    state: Literal["open", "found", "missing"]


class ZoneInside(Given):
    """One zone: how many are in it, and who, where that may be shown."""

    zone: str
    count: int
    people: list[HolderInside]


class UnknownInside(Given):
    """Somebody whose card nobody saw: let in by hand (`RELEASED`), or behind another (`TAILGATE`)."""

    seq: int
    type: str
    zone: str | None
    portal: str | None
    at: str | None


class RollCallPublic(Given):
    """The list, as of record `seq`. `reason`: why names are shown to guards now; null: neither fire nor drill. It can
    be wrong: people may have left unseen, or be inside unseen.
    """

    seq: int
    at: str | None
    reason: Literal["fire", "drill"] | None
    since: str | None
    has_names: bool
    total: int
    zones: list[ZoneInside]
    unknown: list[UnknownInside]


class TickCreate(Asked):
    """What was found of one person. `id` is made once, by whoever ticks: sent again, it is not recorded again."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{8,60}$")]
    cardholder: Id
    is_found: bool


class TicksCreate(Asked):
    """Ticks, as many as were made since the last were sent."""

    ticks: Annotated[list[TickCreate], Field(min_length=1, max_length=TICKS_MAX)]


class TickDone(Given):
    """What became of one tick."""

    id: str
    outcome: Literal["recorded", "known", "unknown_person"]


class TicksDone(Given):
    """What became of each."""

    ticks: list[TickDone]


@router.get("/roll-call")
def get_roll_call(
    here: Here, who: Calling, sort: Annotated[Literal["longest", "kana"], Query()] = "longest"
) -> RollCallPublic:
    """Who is inside, by zone, whoever was not found first. Names only to those who may see them now."""
    return _public(roll_call(here, who, sort))


@router.post("/roll-call/ticks")
def tick_roll_call(here: Here, who: Calling, sent: TicksCreate) -> TicksDone:
    """Have it recorded who was found, or is missing. Ticks of a phone that was offline may come within a day."""
    asked = [Ticked(id=one.id, cardholder=one.cardholder, is_found=one.is_found) for one in sent.ticks]
    return TicksDone.model_validate(
        {"ticks": [{"id": name, "outcome": outcome} for name, outcome in record_ticks(here, who, asked)]}
    )


def _public(call: RollCall) -> RollCallPublic:
    reason: Literal["fire", "drill"] | None = None
    if call.roll is not None:
        reason = "drill" if call.roll.is_drill else "fire"
    return RollCallPublic(
        seq=call.seq, at=iso(call.at_ms), reason=reason,
        since=None if call.roll is None else iso(call.roll.at_ms), has_names=call.has_names, total=call.total,
        zones=[
            ZoneInside(zone=one.zone, count=one.count, people=[_holder(line) for line in one.lines])
            for one in call.zones
        ],
        unknown=[
            UnknownInside(seq=one.seq, type=one.type, zone=one.zone, portal=one.portal, at=iso(one.at_ms))
            for one in call.unknown
        ],
    )  # fmt: skip


def _holder(line: Line) -> HolderInside:
    return HolderInside.model_validate(
        {
            "cardholder": line.place.cardholder, "name": line.name, "kana": line.kana, "portal": line.place.portal,
            "since": iso(line.place.since_ms), "is_certain": line.place.is_certain, "state": line.state,
        }
    )  # fmt: skip
