"""The page of one person's history: whose, for what, then what is recorded; nothing before the look itself is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from api.access import Permission, Who, require
from api.live import portals
from api.models import iso
from api.names import Name
from api.pages.frame import render
from api.pages.rows import called, event_shown, place_names
from api.parts import Here, Parts
from api.people import people
from api.personal import History, look
from api.problems import Problem
from api.tables import EventRow
from api.texts import Language, _, spoken
from api.words import ACTORS, ALARMS, PROBLEMS, PURPOSES
from controller.link.messages import PURPOSES as PURPOSE_CODES
from zones.ids import ID_PATTERN

router = APIRouter(include_in_schema=False)

ADDRESS: Final = "/history"
SHOWN: Final = 100
_STOP: Final[dict[Language, str]] = {"ja": "。", "en": ". "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was sent: nobody, where the page is opened to choose."""

    cardholder: str = ""
    purpose: str = ""
    cursor: int | None = None


@router.get(ADDRESS)
def history(
    here: Here,
    request: Request,
    who: Annotated[Who, Depends(require(Permission.HISTORY))],
    cardholder: Annotated[str, Query(pattern=f"^({ID_PATTERN})?$")] = "",
    purpose: Annotated[str, Query(max_length=64)] = "",
    cursor: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """One person's history. Each look is recorded, so that a link from elsewhere must not cause one: the cookie is
    sent from our own pages alone. What cannot be recorded is not shown: the page says so.
    """
    asked = Asked(cardholder=cardholder, purpose=purpose, cursor=cursor)
    found: History | None = None
    problem, status = "", 200
    if asked.cardholder:
        try:
            found = look(here, who, asked.cardholder, asked.purpose or None, asked.cursor, SHOWN)
        except Problem as error:
            title, detail = PROBLEMS.get(error.code, PROBLEMS["not_done"])[spoken()]
            problem = f"{title}{_STOP[spoken()]}{'' if error.code == 'no_purpose' else detail}"
            status = error.status
    values = _values(here, asked, found, problem, spoken())
    return render(request, who, "history.html", status=status, keeps_query=False, **values)


def _values(here: Parts, asked: Asked, found: History | None, problem: str, language: Language) -> dict[str, Any]:
    names = here.view.names.all()
    everybody = people(here, sort="kana", with_ended=True)
    purpose = PURPOSES.get(asked.purpose)
    recorded = ""
    if found is not None and purpose is not None:
        recorded = _("This look is record %(seq)s. For: %(purpose)s", seq=found.recorded, purpose=purpose[language])
    return {
        "alarms": [ALARMS[kind][language] for kind in here.view.names.troubles],
        "people": [
            (doc["id"], _label(doc["id"], called(doc["id"], names, language)), _sought(doc["id"], name))
            for doc, name in everybody
        ],
        "purposes": [(code, PURPOSES[code][language]) for code in PURPOSE_CODES],
        "chosen": asked.cardholder, "purpose": asked.purpose, "problem": problem, "found": found,
        "subject": _label(asked.cardholder, called(asked.cardholder, names, language)),
        "recorded": recorded, "events": _events(here, asked, found, language), "older": _older(asked, found),
    }  # fmt: skip


def _label(cardholder: str, name: str) -> str:
    return cardholder if name == cardholder else f"{name} ({cardholder})"


def _sought(cardholder: str, name: Name | None) -> str:
    """What a list is narrowed by, as static/history.js folds what is typed."""
    return cardholder if name is None else f"{cardholder}\n{name.sought}"


def _events(here: Parts, asked: Asked, found: History | None, language: Language) -> list[dict[str, Any]]:
    """Rows with their whole date; who else it was where the person only went along."""
    if found is None:
        return []
    portal_names, zone_names = place_names(here.view, portals(here.view), language)
    names = here.view.names.all()
    return [
        event_shown(row, names, portal_names, zone_names, language)
        | _dated(row)
        | _beside(row, asked.cardholder, language)
        for row in found.events
    ]


def _dated(row: EventRow) -> dict[str, str]:
    return {"day": (iso(row.at_ms) or "")[:10]}


def _beside(row: EventRow, cardholder: str, language: Language) -> dict[str, str]:
    """What is not as in the list of all: who looked; somebody else, where it was about him first; else no name."""
    if row.type == "NOTE":
        officer: str = (json.loads(row.body or "{}").get("actor") or {}).get("officer", "")
        return {"who": ACTORS.get(officer, {language: officer})[language]}
    return {"who": ""} if row.cardholder == cardholder else {"reason": _("as companion or escort")}


def _older(asked: Asked, found: History | None) -> str:
    if found is None or found.before is None:
        return ""
    return f"{ADDRESS}?{urlencode({'cardholder': asked.cardholder, 'purpose': asked.purpose, 'cursor': found.before})}"
