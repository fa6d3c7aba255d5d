"""A card is shown to be issued: an officer chooses a reader, somebody holds a card there, a page says which it was."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.card_waits import CardWaits
from api.pages.forms import Sent
from api.pages.frame import fragment
from api.pages.looks import Look, look_of
from api.parts import Here, Parts
from api.problem_words import PROBLEMS
from api.problems import Problem
from api.texts import spoken

router = APIRouter(include_in_schema=False)
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]


def waits_of(here: Parts) -> CardWaits:
    """The waits of this process."""
    made: CardWaits = here.rendered.setdefault("card_waits", CardWaits(here.settings.socket))
    return made


def readers_of(here: Parts, look: Look) -> list[tuple[str, str]]:
    """Readers to which a card can be held, with the door that each is at; none while the controller is away."""
    try:
        found = here.requests.devices().devices
    except Problem:
        return []
    return [
        (one.id, " ".join([*(look.portal_name(portal) for portal in one.serves), f"({one.id})"]))
        for one in found
        if one.is_for_entry and one.is_online and one.is_trusted
    ]


def _shown(here: Parts, who: Who, id: str) -> HTMLResponse:
    wait = waits_of(here).get(who.officer, id)
    why = "" if not wait.code else PROBLEMS.get(wait.code, PROBLEMS["not_done"])[spoken()][0]
    return HTMLResponse(
        fragment(
            "card_wait.html", wait=wait, why=why, readers=readers_of(here, look_of(here, who)) if wait.code else []
        )
    )


@router.post("/cards/wait")
def begin(here: Here, who: Proposes, form: Sent) -> HTMLResponse:
    """Wait for a card at the chosen reader."""
    wait = waits_of(here).begin(who.officer, form.text("reader"))
    return _shown(here, who, wait.id)


@router.get("/cards/wait/{id}")
def look(here: Here, who: Proposes, id: str) -> HTMLResponse:
    """How that wait stands: the page asks each second."""
    return _shown(here, who, id)


@router.post("/cards/wait/{id}/cancel")
def cancel(here: Here, who: Proposes, id: str) -> HTMLResponse:
    """The officer gave up."""
    waits_of(here).cancel(who.officer, id)
    return _shown(here, who, id)
