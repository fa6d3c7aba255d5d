"""The page of one person's history: whose, for what, then what is recorded; nothing before the look itself is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from api.live import is_current, now_ms, portals
from api.models import iso
from api.names import Name
from api.page import called, event_shown, place_names, templates, words_in
from api.parts import Parts
from api.people import people
from api.personal import History, look
from api.problems import Problem
from api.tables import EventRow
from api.words import ACTORS, ALARMS, PAGE, PROBLEMS, PURPOSES, Language, long_date, moment_of
from controller.link.messages import PURPOSES as PURPOSE_CODES

ADDRESS: Final = "/history"
SHOWN: Final = 100
_STOP: Final[dict[Language, str]] = {"ja": "。", "en": ". "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was sent: nobody, where the page is opened to choose."""

    cardholder: str = ""
    purpose: str = ""
    cursor: int | None = None


def history_page(here: Parts, asked: Asked, language: Language) -> tuple[str, int]:
    """The page and its status. What cannot be recorded is not shown: the page says so."""
    found: History | None = None
    problem, status = "", 200
    if asked.cardholder:
        try:
            found = look(here, asked.cardholder, asked.purpose or None, asked.cursor, SHOWN)
        except Problem as error:
            title, detail = PROBLEMS.get(error.code, PROBLEMS["not_done"])[language]
            problem = f"{title}{_STOP[language]}{'' if error.code == 'no_purpose' else detail}"
            status = error.status
    return templates.get_template("history.html").render(_values(here, asked, found, problem, language)), status


def _values(here: Parts, asked: Asked, found: History | None, problem: str, language: Language) -> dict[str, Any]:
    day = moment_of(now_ms())
    assert day is not None
    names = here.view.names.all()
    everybody = people(here, sort="kana", with_ended=True)
    purpose = PURPOSES.get(asked.purpose)
    recorded = PAGE["history_recorded"][language]
    if found is not None and purpose is not None:
        recorded = recorded.replace("NUMBER", str(found.recorded)).replace("PURPOSE", purpose[language])
    return {
        "words": words_in(language), "language": language, "address": ADDRESS,
        "date": long_date(day.date(), language), "is_current": is_current(here.view),
        "alarms": [ALARMS[kind][language] for kind in here.view.names.troubles],
        "people": [
            (doc["id"], _label(doc["id"], called(doc["id"], names, language)), _sought(doc["id"], name))
            for doc, name in everybody
        ],
        "purposes": [(code, PURPOSES[code][language]) for code in PURPOSE_CODES],
        "chosen": asked.cardholder, "purpose": asked.purpose, "problem": problem, "found": found,
        "who": _label(asked.cardholder, called(asked.cardholder, names, language)),
        "recorded": recorded, "events": _events(here, asked, found, language), "older": _older(asked, found, language),
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
    return {"who": ""} if row.cardholder == cardholder else {"reason": PAGE["history_other"][language]}


def _older(asked: Asked, found: History | None, language: Language) -> str:
    if found is None or found.before is None:
        return ""
    sent = {"cardholder": asked.cardholder, "purpose": asked.purpose, "cursor": found.before, "lang": language}
    return f"{ADDRESS}?{urlencode(sent)}"
