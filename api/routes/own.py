"""One's own data (E-13, D-22): what is held about whoever asks, and the whole of it as a file. Nobody else's."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from api.access import Permission, Who, require
from api.link import done
from api.models import Given
from api.own import exported, own_records, own_rights
from api.pages.looks import look_of
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS
from controller.link.messages import Note

router = APIRouter(responses=PROBLEMS)
Oneself = Annotated[Who, Depends(require(Permission.OWN))]


class OwnPublic(Given):
    """What is held about whoever asks. `rights`: register -> rows; `entries`, `refusals`, `looks`: the newest first."""

    cardholder: str
    name: str | None
    rights: dict[str, list[dict[str, Any]]]
    entries: list[dict[str, Any]]
    refusals: list[dict[str, Any]]
    looks: list[dict[str, Any]]


def subject_of(who: Who) -> str:
    """Whose data it is. Raises Problem 404 for somebody who holds no card here, and for a program."""
    if who.cardholder is None or who.scopes is not None:
        raise Problem("not_found", 404)
    return who.cardholder


@router.get("/me")
def get_own(here: Here, who: Oneself) -> OwnPublic:
    """One's own rights with their ends, last entries, refusals with what one can mend, and who looked."""
    cardholder = subject_of(who)
    look = look_of(here, who)
    name = look.names.get(cardholder)
    return OwnPublic(
        cardholder=cardholder, name=None if name is None else name.name,
        rights=own_rights(look.policy, cardholder, look.now), **own_records(here, cardholder),
    )  # fmt: skip


@router.get("/me/export")
def export_own(here: Here, who: Oneself) -> JSONResponse:
    """All that is held about whoever asks, as a file; recorded first. Third parties are masked (D-22)."""
    cardholder = subject_of(who)
    note = Note(
        id=secrets.token_hex(16), type="EXPORT", officer=who.officer, cardholder=cardholder, purpose="disclosure",
        count=1,
    )  # fmt: skip
    done(here.requests.ask(lambda _: note))
    return JSONResponse(
        exported(here, look_of(here, who).policy, cardholder),
        headers={"Content-Disposition": 'attachment; filename="own-data.json"', "Cache-Control": "no-store"},
    )
