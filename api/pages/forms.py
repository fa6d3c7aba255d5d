"""What a form on a page sent: urlencoded, small, read by name; and a change of a register begun with it.

A form works without scripts. Whatever cannot be begun brings the same page again with what is wrong said on top.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.access import Who
from api.names import Name
from api.parts import Parts
from api.problem_words import PROBLEMS
from api.problems import Problem
from api.proposal_words import FIELDS, HINDRANCES
from api.proposals import open_proposal
from api.rule_words import rule_told
from api.texts import Said, _, spoken
from controller.link.messages import EDIT_REASONS

FIELDS_MAX: Final = 400
TEXT_MAX: Final = 200

REASONS: Final = {
    "joined": Said("Joins", "reason"),
    "work_assigned": Said("Work assigned", "reason"),
    "work_ended": Said("Work ended", "reason"),
    "transferred": Said("Transferred", "reason"),
    "left": Said("Leaves", "reason"),
    "lost_card": Said("Card lost", "reason"),
    "renewal": Said("Renewal", "reason"),
    "review": Said("Review", "reason"),
    "visit": Said("Visit", "reason"),
    "maintenance": Said("Maintenance", "reason"),
    "emergency": Said("Emergency", "reason"),
    "correction": Said("Correction", "reason"),
    "import": Said("Import", "reason"),
    "enrolment": Said("Officer's enrolment", "reason"),
    "other": Said("Other", "reason"),
}
"""Reasons of changes in words; none speaks of suitability (E-01)."""

assert REASONS.keys() == set(EDIT_REASONS), "every reason has its words"

SENT_AS: Final[dict[str, Said]] = {
    "name": Said("Name"),
    "number": Said("Card"),
    "number_hash": Said("Card"),
    "again": Said("Once more"),
    "decision": Said("Decision"),
    "cause": Said("Cause"),
    "note": Said("Note"),
    "purpose": Said("For what"),
    "outcome": Said("Outcome"),
    "register": Said("Register"),
    "keep": Said("Still needed"),
    "reason": Said("Reason"),
    "pin": Said("PIN"),
}
"""Fields of forms that are no fields of rows."""

TAKING_OFF: Final = ("work_ended", "transferred", "left", "review", "correction")
"""Why somebody is taken off a list: needs of the work, and nothing else may be chosen (D-18)."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one form, as texts."""

    fields: dict[str, list[str]]

    def text(self, name: str) -> str:
        """The first value, without blanks around it; empty where there is none."""
        return (self.fields.get(name) or [""])[0].strip()[:TEXT_MAX]

    def many(self, name: str) -> list[str]:
        """All values."""
        return self.fields.get(name, [])

    def is_set(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.text(name))

    def day(self, name: str) -> date | None:
        """A day; None where there is none. Raises Problem 422 where it is no day."""
        said = self.text(name)
        if not said:
            return None
        try:
            return date.fromisoformat(said)
        except ValueError:
            raise Problem("not_valid", 422, members={"field": name}) from None

    def needed_day(self, name: str) -> date:
        """A day that must be there. Raises Problem 422."""
        found = self.day(name)
        if found is None:
            raise Problem("not_valid", 422, members={"field": name})
        return found

    def reason(self, default: str = "other") -> str:
        """One of EDIT_REASONS."""
        return self.text("reason") or default


async def sent_form(request: Request) -> Form:
    """Dependency: what was sent. Raises Problem 422."""
    try:
        text = (await request.body()).decode()
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except (UnicodeDecodeError, ValueError):
        raise Problem("not_valid", 422) from None


Sent = Annotated[Form, Depends(sent_form)]


def begun(
    here: Parts,
    who: Who,
    form: Form,
    make: Callable[[], Sequence[tuple[str, dict[str, object]]]],
    again: Callable[[str], HTMLResponse],
    *,
    reason: str = "other",
    names: Sequence[Name] = (),
) -> Response:
    """Make the change ready and go to where it is signed; else the same page `again` with what is wrong."""
    try:
        proposal = open_proposal(
            here, who, puts=[(table, dict(row)) for table, row in make()], reason=form.reason(reason), names=names,
            key=form.text("key") or None,
        )  # fmt: skip
    except Problem as problem:
        return again(told(problem))
    return RedirectResponse(f"/proposals/{proposal.id}", 303)


def told(problem: Problem) -> str:
    """A problem in a sentence or two, for the top of a form; with the field at fault, by its name."""
    field, why = str(problem.members.get("field") or ""), str(problem.members.get("why") or "")
    is_form = problem.code == "not_valid" or (problem.code == "protocol" and bool(field))
    title, detail = PROBLEMS.get("not_valid" if is_form else problem.code, PROBLEMS["not_done"])[spoken()]
    rule = rule_told(why) if problem.code == "edit_refused" else None
    if is_form:
        detail = _("Fill it in or put it right, then send again.")
    elif rule or problem.code in HINDRANCES:
        detail = str(rule or HINDRANCES[problem.code])
    which = _("(%(field)s)", field=SENT_AS.get(field) or FIELDS.get(field, field)) if field else ""
    shown = f"({why})" if spoken() == "en" and why and not rule else ""
    gap = " " if which and spoken() == "en" else ""
    return " ".join(part for part in (f"{title}{gap}{which}:", detail, shown) if part)


def new_key() -> str:
    """Names one change, so that a form that is sent twice begins it once."""
    return secrets.token_hex(16)
