"""The records, searched: by person, door, zone, kind, day, outcome or a refusal's number; one record with its trace.

Whose records somebody looks through by name or pseudonym is recorded first, with a purpose (E-07). The auditor sees
pseudonyms; a name behind one takes two people (requirements §3.5).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import ledger
from api.access import Permission, Who, require
from api.event_search import Hits, Sought
from api.link import done
from api.live import portals
from api.masks import masked, sight_of
from api.models import iso
from api.names import Name
from api.pages.forms import Sent, told
from api.pages.frame import render
from api.pages.looks import Look, look_of
from api.pages.rows import event_shown, place_names
from api.pages.why import portal_name
from api.parts import Here, Parts
from api.problems import Problem
from api.sheets.files import write_table
from api.sheets.table import Column, Table
from api.tables import EventRow
from api.texts import Said, _, spoken
from api.transfer.exports import record_export
from api.why import Line, checklist, decision_in, number_of, seen_at_portal
from api.words import PURPOSES, TYPES
from controller.link.messages import PURPOSES as PURPOSE_CODES
from controller.link.messages import Note
from zones.decision.reasons import Reason

router = APIRouter(include_in_schema=False)
Audits = Annotated[Who, Depends(require(Permission.EVENTS))]
Exports = Annotated[Who, Depends(require(Permission.EXPORT))]
Proves = Annotated[Who, Depends(require(Permission.LEDGER))]

SHOWN: Final = 50
CSV_ROWS_MAX: Final = 5_000
OUTCOMES: Final = {"GRANTED": Said("Granted", "outcome"), "DENIED": Said("Not granted", "outcome")}
INNER: Final = frozenset({Reason.CLEARANCE_NONE, Reason.NO_NEED_TO_KNOW, Reason.NOT_ON_ROSTER})
"""Told as one to whoever may not know reasons (requirements §3.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed."""

    cardholder: str = ""
    portal: str = ""
    zone: str = ""
    type: str = ""
    outcome: str = ""
    number: str = ""
    first_on: str = ""
    last_on: str = ""
    purpose: str = ""

    @property
    def filled(self) -> dict[str, str]:
        """What was typed, without what was not."""
        return {name: value for name, value in ((one, getattr(self, one)) for one in self.__slots__) if value}


def _asked(  # noqa: PLR0913 - what may be asked
    *,
    cardholder: Annotated[str, Query(max_length=64)] = "", portal: Annotated[str, Query(max_length=64)] = "",
    zone: Annotated[str, Query(max_length=64)] = "", type: Annotated[str, Query(max_length=64)] = "",
    outcome: Annotated[str, Query(max_length=16)] = "", number: Annotated[str, Query(max_length=40)] = "",
    first_on: Annotated[str, Query(max_length=10)] = "", last_on: Annotated[str, Query(max_length=10)] = "",
    purpose: Annotated[str, Query(max_length=64)] = "",
) -> Asked:  # fmt: skip
    return Asked(
        cardholder=cardholder.strip(), portal=portal, zone=zone, type=type, outcome=outcome, number=number,
        first_on=first_on, last_on=last_on, purpose=purpose,
    )  # fmt: skip


Search = Annotated[Asked, Depends(_asked)]


def sought_of(who: Who, asked: Asked) -> Sought:
    """What is looked for. Raises Problem 422 for a day or a number that is none."""
    number = number_of(asked.number) if asked.number else None
    if asked.number and number is None:
        raise Problem("not_valid", 422, members={"field": "number"})
    return Sought(
        cardholder=asked.cardholder or None, portal=asked.portal or None, zone=asked.zone or None,
        type=asked.type or None, outcome=asked.outcome or None, number=number, first_on=_day(asked.first_on),
        last_on=_day(asked.last_on), zones=who.zones,
    )  # fmt: skip


def _day(said: str) -> date | None:
    if not said:
        return None
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise Problem("not_valid", 422, members={"field": "day"}) from None


def record_look(here: Parts, who: Who, cardholder: str, purpose: str, second: str | None = None) -> int:
    """Have a look at somebody's records recorded before it is shown. Raises Problem; then nothing is shown."""
    if purpose not in PURPOSE_CODES:
        raise Problem("no_purpose", 422, members={"purposes": list(PURPOSE_CODES)})
    note = Note(
        id=secrets.token_hex(16), type="VIEW_PERSONAL", officer=who.officer, cardholder=cardholder, purpose=purpose,
        second=second,
    )  # fmt: skip
    return done(here.requests.ask(lambda _: note)).seq


@router.get("/events")
def search(
    here: Here, request: Request, who: Audits, asked: Search,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> HTMLResponse:  # fmt: skip
    """The form, and what was found: without a question, the newest records."""
    return search_page(here, request, who, asked, before, "")


def search_page(
    here: Parts, request: Request, who: Who, asked: Asked, before: int | None, problem: str
) -> HTMLResponse:  # fmt: skip
    """The page. A look at one person's records is recorded, with its purpose, before it is shown."""
    look, hits = look_of(here, who), Hits(rows=())
    try:
        sought = sought_of(who, asked)
        if sought.cardholder is not None and not problem:
            seq = record_look(here, who, sought.cardholder, asked.purpose)
            before = seq if before is None else min(before, seq)  # the look itself is not in what it shows
        if not problem:
            hits = here.view.search(sought, before, SHOWN)
    except Problem as error:
        problem = told(error)
    query = urlencode(asked.filled)
    return render(
        request, who, "audit.html", status=422 if problem else 200, keeps_query=not asked.cardholder, look=look,
        asked=asked, problem=problem, looked_back_to=hits.looked_back_to,
        events=shown(here, who, hits.rows, with_names=bool(asked.cardholder)),
        older="" if hits.before is None else f"/events?{urlencode({**asked.filled, 'before': hits.before})}",
        query=query, may_export=who.may(Permission.EXPORT), is_asked=bool(asked.filled),
        is_first=before is None, **choices(who, look),
    )  # fmt: skip


def choices(who: Who, look: Look) -> dict[str, Any]:
    """What the form offers; people by name to whoever may see names, else by pseudonym."""
    has_names = who.may(Permission.PEOPLE)
    people = sorted(look.policy.cardholders, key=look.order if has_names else str)
    kinds = sorted(((code, words[0][spoken()]) for code, words in TYPES.items()), key=lambda pair: pair[1])
    return {
        "people": [(one, f"{look.name(one)} ({one})" if has_names else one) for one in people],
        "portals": [(one.id, portal_name(look, one.id)) for one in look.policy.portals.values()],
        "zones": [(one.id, look.zone_name(one.id)) for one in look.policy.zones.values() if who.may_see_zone(one.id)],
        "kinds": kinds, "outcomes": [(code, str(word)) for code, word in OUTCOMES.items()],
        "purposes": [(code, PURPOSES[code][spoken()]) for code in PURPOSE_CODES],
    }  # fmt: skip


def shown(here: Parts, who: Who, rows: Iterable[EventRow], *, with_names: bool = True) -> list[dict[str, Any]]:
    """Records as rows of a table, as `who` may see them. `with_names`: it is on record who looks at whom, and for what
    (E-07); who was in a zone on a day is read by pseudonym.
    """
    sight = sight_of(who)
    names: dict[str, Name] = here.view.names.all() if with_names and who.may(Permission.PEOPLE) else {}
    doors, zones = place_names(here.view, portals(here.view), spoken())
    found = []
    for row in rows:
        if (seen := masked(row, sight)) is not None:
            found.append(event_shown(seen, names, doors, zones, spoken()) | _told(who, seen) | _dated(seen))
    return found


def _told(who: Who, row: EventRow) -> dict[str, str]:
    """A reason that speaks of rights, told as one word to whoever may not know which."""
    if who.may(Permission.REASONS) or row.reason not in INNER:
        return {}
    return {"reason": _("Not authorised")}


def _dated(row: EventRow) -> dict[str, str]:
    return {"day": (iso(row.at_ms) or "")[:10]}


@router.get("/events.csv")
def search_csv(here: Here, who: Exports, asked: Search, agreement: str = "") -> Response:
    """What was found, as a file for a spreadsheet: an export, with its purpose, and a second officer where it is about
    several people.
    """
    rows = list(here.view.search(sought_of(who, asked), None, CSV_ROWS_MAX).rows)
    asked = replace(asked, purpose=asked.purpose or "audit")
    count = len({row.cardholder for row in rows if row.cardholder})
    record_export(
        here, who, purpose=asked.purpose, about=_about(asked), count=count, agreement=agreement or None
    )  # fmt: skip
    content, media = write_table(_table(shown(here, who, rows)), "csv")
    return Response(
        content, media_type=media, headers={"Content-Disposition": 'attachment; filename="sekisho-records.csv"'}
    )  # fmt: skip


@router.post("/events/file")
def ask_file(here: Here, request: Request, who: Exports, asked: Search) -> Response:
    """Ask a second officer that what was found goes out; what is about one person goes out at once."""
    asked = replace(asked, purpose=asked.purpose or "audit")
    rows = here.view.search(sought_of(who, asked), None, CSV_ROWS_MAX).rows
    count = len({row.cardholder for row in rows if row.cardholder})
    if count < 2:
        return RedirectResponse(f"/events.csv?{urlencode(asked.filled)}", 303)
    try:
        here.agreements.ask(who, "EXPORT", asked.purpose, _about(asked), count)
    except Problem as problem:
        return search_page(here, request, who, asked, None, told(problem))
    return RedirectResponse("/transfer#out", 303)


def _about(asked: Asked) -> str:
    """What a second officer agrees to: these records, and no others."""
    return f"events {urlencode(asked.filled)}"


def _table(events: list[dict[str, Any]]) -> Table:
    titles = (_("No."), _("Day"), _("Time"), _("Result"), _("Who"), _("Door or zone"), _("Why"))
    return Table(
        name=_("Records"), columns=tuple(Column(title=title) for title in titles),
        rows=tuple(
            (str(one["seq"]), one["day"], one["time"], one["word"], one["who"], one["door"], one["reason"])
            for one in events
        ),
    )  # fmt: skip


# -- one record --------------------------------------------------------------------------------------------------------


@router.get("/events/{seq}")
def record(here: Here, request: Request, who: Audits, seq: int) -> HTMLResponse:
    """One record: what it tells, and why it was decided so."""
    return _record(here, request, who, seq, "", "")


def _record(here: Parts, request: Request, who: Who, seq: int, name: str, problem: str) -> HTMLResponse:
    row = here.view.event(seq)
    seen = None if row is None else masked(row, sight_of(who))
    if row is None or seen is None:
        raise Problem("not_found", 404)
    decision = decision_in(row) if who.may(Permission.REASONS) else None
    (event,) = shown(here, who, [row])
    lines: list[Line] = [] if decision is None else checklist(decision)
    asked = [one for one in here.agreements.asked_by(who) if one.kind == "UNMASK" and one.about == row.cardholder]
    return render(
        request, who, "record.html", status=422 if problem else 200, row=seen, event=event, lines=lines,
        seen=None if decision is None else seen_at_portal(decision), name=name, problem=problem,
        body=_pretty(seen) if who.may(Permission.REASONS) else "", is_purged=not row.body, agreements=asked,
        may_unmask=row.cardholder is not None and not who.may(Permission.PEOPLE), outcome=_outcome(row),
        purposes=[(code, PURPOSES[code][spoken()]) for code in PURPOSE_CODES], may_prove=who.may(Permission.LEDGER),
        look=look_of(here, who),
    )  # fmt: skip


def _outcome(row: EventRow) -> str:
    return str(OUTCOMES[row.outcome]) if row.outcome in OUTCOMES else ""


def _pretty(row: EventRow) -> str:
    try:
        return json.dumps(json.loads(row.body or "{}"), ensure_ascii=False, indent=1, sort_keys=True)
    except ValueError:
        return ""


@router.get("/events/{seq}/proof")
def proof(
    here: Here, who: Proves, seq: int, purpose: Annotated[str, Query(max_length=64)] = ""
) -> Response:  # fmt: skip
    """The record with its proof, as a file that `sekisho ledger check-proof` verifies anywhere. Where the record is
    about a person, the look is recorded first.
    """
    found = ledger.proof_of(here, who.officer, seq, purpose or None)
    name = f'attachment; filename="sekisho-record-{seq}.tlog-proof"'
    return Response(found.text, media_type="text/plain; charset=utf-8", headers={"Content-Disposition": name})


@router.post("/events/{seq}/unmask")
def unmask(here: Here, request: Request, who: Audits, seq: int, form: Sent) -> Response:
    """Ask a protection officer, or show the name that he agreed to, once: recorded with both officers."""
    row = here.view.event(seq)
    if row is None or row.cardholder is None:
        raise Problem("not_found", 404)
    purpose, agreement = form.text("purpose"), form.text("agreement")
    try:
        if not agreement:
            here.agreements.ask(who, "UNMASK", purpose, row.cardholder, 1)
            return RedirectResponse(f"/events/{seq}", 303)
        second = here.agreements.use(who, agreement, "UNMASK", purpose, row.cardholder)
        try:
            record_look(here, who, row.cardholder, purpose, second)
        except Problem:
            here.agreements.give_back(agreement)
            raise
    except Problem as problem:
        return _record(here, request, who, seq, "", told(problem))
    name = here.view.names.get(row.cardholder)
    return _record(here, request, who, seq, name.name if name else _("There is no name here."), "")
