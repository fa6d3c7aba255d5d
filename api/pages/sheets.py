"""Registers as files, on a page: out with a second officer, in with a preview; and what waits for his own word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.access import Permission, Who, require
from api.pages.forms import Sent, told
from api.pages.frame import render
from api.pages.looks import Look, look_of
from api.parts import Here, Parts
from api.problem_words import PROBLEMS
from api.problems import Problem
from api.texts import Said, _, ngettext, spoken
from api.transfer.agreements import AGREES
from api.transfer.exports import people_in, rows_of
from api.transfer.imports import Import
from api.transfer.registers import REGISTERS
from api.transfer.says import fault_says, field_named, move_says
from api.transfer.tables import AgreementRow
from api.words import PURPOSES
from controller.link.messages import PURPOSES as PURPOSE_CODES

router = APIRouter(include_in_schema=False)
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]
Exports = Annotated[Who, Depends(require(Permission.EXPORT))]
Agrees = Annotated[Who, Depends(require(Permission.RIGHTS))]

SHOWN: Final = 100
STATES: Final[Mapping[str, Said]] = {
    "PROPOSED": Said("Proposals made", "import"),
    "UNDONE": Said("Undone", "import"),
}
FORMS: Final = (("xlsx", "Excel"), ("csv", "CSV (UTF-8)"), ("csv-cp932", "CSV (cp932)"))


@router.get("/transfer")
def transfer(here: Here, request: Request, who: Proposes) -> HTMLResponse:
    """Out, in, and what was brought in lately."""
    return _page(here, request, who, "", "")


def _page(here: Parts, request: Request, who: Who, problem: str, said: str) -> HTMLResponse:
    look = look_of(here, who)
    return render(
        request, who, "transfer.html", status=422 if problem else 200, problem=problem, said=said,
        registers=[(one.code, str(one.name)) for one in REGISTERS.values()],
        purposes=[(code, PURPOSES[code][spoken()]) for code in PURPOSE_CODES],
        may_export=who.may(Permission.EXPORT), asked=[_asked(look, row) for row in here.agreements.asked_by(who)],
        waiting=[_asked(look, row) for row in here.agreements.waiting_for(who)],
        last=[
            {
                "id": row.id, "register": str(REGISTERS[row.of_register].name), "made_ms": row.made_ms,
                "state": str(STATES[row.state]), "may_undo": row.state == "PROPOSED",
                "proposals": [one for one in (row.before or row.proposals).split("\n") if one],
            }
            for row in here.imports.last(who)
        ],
    )  # fmt: skip


def _asked(look: Look, row: AgreementRow) -> dict[str, Any]:
    """A request to a second officer, in words, with where the file is had once he agreed."""
    kind, _gap, query = row.about.partition(" ")
    register = REGISTERS.get(row.about)
    about = str(register.name) if register else _("Records") if kind == "events" else row.about
    downloads = [
        (
            f"/api/v1/exports/{row.about}?purpose={row.purpose}&agreement={row.id}&format={form.partition('-')[0]}"
            + ("&encoding=cp932" if form.endswith("cp932") else ""),
            word,
        )
        for form, word in FORMS
    ]
    if kind == "events":
        downloads = [(f"/events.csv?{query}&agreement={row.id}", "CSV")]
    return {
        "id": row.id, "about": about, "asker": look.officer_name(row.asker), "second": row.second and
        look.officer_name(row.second), "purpose": PURPOSES[row.purpose][spoken()], "made_ms": row.made_ms,
        "until_ms": row.until_ms, "kind": row.kind, "downloads": [
            {"action": address.partition("?")[0], "word": word,
             "fields": [(name, value[0]) for name, value in parse_qs(address.partition("?")[2]).items()]}
            for address, word in downloads
        ],
        "count": ngettext("%(num)s person", "%(num)s people", row.count),
    }  # fmt: skip


@router.post("/transfer/ask")
def ask(here: Here, request: Request, who: Exports, form: Sent) -> Response:
    """Ask a second officer that something goes out."""
    about, purpose = form.text("register"), form.text("purpose")
    try:
        if about not in REGISTERS:
            raise Problem("not_valid", 422, members={"field": "register"})
        count = people_in(REGISTERS[about], rows_of(here, who, REGISTERS[about]))
        here.agreements.ask(who, "EXPORT", purpose, about, count)
    except Problem as problem:
        return _page(here, request, who, told(problem), "")
    return RedirectResponse("/transfer#out", 303)


@router.get("/agreements")
def agreements(here: Here, request: Request, who: Agrees) -> HTMLResponse:
    """What waits for this officer's word."""
    return _agreements(here, request, who, "")


def _agreements(here: Parts, request: Request, who: Who, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    rows = [_asked(look, row) for row in here.agreements.waiting_for(who)]
    may = any(who.may(permission) for permission in AGREES.values())
    return render(
        request, who, "agreements.html", status=422 if problem else 200, waiting=rows, problem=problem, may=may
    )  # fmt: skip


@router.post("/agreements/{id}")
def agree(here: Here, request: Request, who: Agrees, id: str) -> Response:
    """Agree. The script of the page shows the passkey first."""
    try:
        here.agreements.agree(who, id)
    except Problem as problem:
        return _agreements(here, request, who, told(problem))
    return RedirectResponse("/agreements", 303)


@router.get("/transfer/{id}")
def imported(
    here: Here, request: Request, who: Proposes, id: str, page: Annotated[int, Query(ge=1, le=200)] = 1
) -> HTMLResponse:
    """One file that came in: what it would do, or what is wrong with it."""
    return _imported(here, request, who, id, page, "")


def _imported(here: Parts, request: Request, who: Who, id: str, page: int, problem: str) -> HTMLResponse:
    one = here.imports.get(who, id)
    return render(request, who, "import.html", **_shown(here, who, one, page), problem=problem)


@router.get("/transfer/{id}/state")
def imported_state(here: Here, request: Request, who: Proposes, id: str) -> HTMLResponse:
    """How far it is: a part of the page, fetched while something is being done."""
    one = here.imports.get(who, id)
    return render(request, who, "import_state.html", **_shown(here, who, one, 1), problem="")


def _shown(here: Parts, who: Who, one: Import, page: int) -> dict[str, Any]:
    look = look_of(here, who)
    moves = one.preview.moves if one.preview else ()
    last = max(1, -(-len(moves) // SHOWN))
    page = min(page, last)
    return {
        "one": one, "register_name": str(REGISTERS[one.register].name),
        "faults": [_fault(one.register, fault) for fault in one.preview.faults] if one.preview else [],
        "moves": [
            {
                "kind": move.kind, "row": move.number, "id": move.id,
                "who": move.name.name if move.name else look.name(move.cardholder),
                "says": move_says(one.register, move),
            }
            for move in moves[(page - 1) * SHOWN : page * SHOWN]
        ],
        "page": page, "last": last,
        "counts": {kind: one.preview.count(kind) if one.preview else 0 for kind in ("add", "change", "remove")},
        "why": " ".join(PROBLEMS[one.code][spoken()]) if one.code in PROBLEMS else "",
    }  # fmt: skip


def _fault(register: str, fault: Any) -> dict[str, Any]:
    one = field_named(register, fault.field)
    return {
        "row": fault.row, "column": _letters(fault.column), "title": str(one.title) if one else "",
        "says": fault_says(register, fault),
    }  # fmt: skip


def _letters(column: int) -> str:
    """A column as a spreadsheet calls it: A, B, … AA."""
    found = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found


@router.post("/transfer/{id}/proposals")
def propose(here: Here, request: Request, who: Proposes, id: str) -> Response:
    """Make the proposals."""
    try:
        here.imports.propose(here, who, id)
    except Problem as problem:
        return _imported(here, request, who, id, 1, told(problem))
    return RedirectResponse(f"/transfer/{quote(id)}", 303)


@router.post("/transfer/{id}/undo")
def undo(here: Here, request: Request, who: Proposes, id: str) -> Response:
    """Back to how it was before the file: in one step, with the signatures that it takes."""
    try:
        undone = here.imports.undo(here, who, id)
    except Problem as problem:
        return _page(here, request, who, told(problem), "")
    parts = [
        ngettext("%(num)s proposal was withdrawn.", "%(num)s proposals were withdrawn.", undone.withdrawn),
        ngettext(
            "%(num)s proposal was made that puts rows back.", "%(num)s proposals were made that put rows back.",
            len(undone.proposals),
        ),
    ]  # fmt: skip
    if undone.left:
        parts.append(_("Changed since, and left as they are: %(ids)s.", ids=", ".join(undone.left[:20])))
    return _page(here, request, who, "", " ".join(parts))
