"""One person's history, and forgetting: each leaves a record before anything is shown or destroyed (E-07, E-08)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.access import Permission, Who, require
from api.models import ForgetCreate, HistoryPage, Recorded, event_public
from api.parts import Here
from api.personal import forget, look
from api.register import PROBLEMS, RequestKey
from zones.ids import ID_PATTERN

router = APIRouter(responses=PROBLEMS)

Known = Annotated[str, Path(pattern=f"^{ID_PATTERN}$")]


@router.get("/cardholders/{id}/history")
def get_history(
    here: Here,
    who: Annotated[Who, Depends(require(Permission.HISTORY))],
    id: Known,
    purpose: Annotated[str | None, Query(max_length=64, description="why: one of the known purposes")] = None,
    cursor: Annotated[int | None, Query(ge=0, le=2**53, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> HistoryPage:
    """What is recorded about one person in zones that the officer answers for, the newest first. Each page asked for is
    itself recorded with its purpose (`recorded`) before it is shown; where it cannot be recorded, nothing is shown.
    """
    found = look(here, who, id, purpose, cursor, limit)
    return HistoryPage(
        items=[event_public(row) for row in found.events], next=found.before, recorded=found.recorded
    )  # fmt: skip


@router.post("/cardholders/{id}/forget")
def forget_cardholder(
    here: Here, who: Annotated[Who, Depends(require(Permission.OFFICERS))], id: Known, asked: ForgetCreate,
    key: RequestKey = None,
) -> Recorded:  # fmt: skip
    """Destroy somebody's name and its key for good; the records keep the pseudonym. Refused while anything of theirs
    is in force; `in_force` says what to end first. Done again, it answers the same.
    """
    return Recorded(id=id, seq=forget(here, who.officer, id, asked.reason, key))
