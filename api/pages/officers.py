"""Officers: who holds which post, until when, with which passkeys; a new one, his end, and the link for a passkey.

Posts are rows of the policy: each change of them is signed like all others (docs/officers.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.pages.forms import Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, look_of
from api.parts import Here, Parts
from api.problems import Problem
from api.proposal_words import VALUES
from api.routes.enrolment import invite_officer
from controller.link.rows import row_to_doc
from zones.ids import ID_PATTERN, OfficerId, OfficerKeyId
from zones.officers import Officer, OfficerKey, Role

DAYS: Final = 365
"""For how long a post is given where nothing else is said."""

router = APIRouter(include_in_schema=False)
OfOfficers = Annotated[Who, Depends(require(Permission.OFFICERS))]
Known = Annotated[str, Path(pattern=f"^{ID_PATTERN}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One officer. `keys`: his passkeys that count, with when each was last shown here."""

    officer: Officer
    posts: tuple[str, ...]
    deputises: tuple[str, ...]
    name: str
    zones: tuple[str, ...]
    is_in_post: bool
    keys: tuple[tuple[OfficerKey, int | None], ...]
    waits: str


@router.get("/officers")
def officers(here: Here, request: Request, who: OfOfficers) -> HTMLResponse:
    """All of them, those whose post is over last."""
    return _page(here, request, who, "")


@router.post("/officers")
def name_officer(here: Here, request: Request, who: OfOfficers, form: Sent) -> Response:
    """Propose somebody for a post: two sign, and he registers a passkey afterwards."""
    return begun(
        here, who, form, lambda: [("officer", _row(here, form))], lambda why: _page(here, request, who, why),
        reason="enrolment",
    )  # fmt: skip


@router.post("/officers/{id}/end")
def end_officer(here: Here, request: Request, who: OfOfficers, id: Known, form: Sent) -> Response:
    """Propose that his post is over: it only takes away, so one other officer's signature does."""
    look = look_of(here, who)
    return _ended(here, request, who, form, _officer(look, id))


@router.post("/officers/{id}/keys/{key}/end")
def end_key(here: Here, request: Request, who: OfOfficers, id: Known, key: Known, form: Sent) -> Response:
    """Propose that one of his passkeys counts no more: lost, or stolen. One officer's signature does, at once."""
    look = look_of(here, who)
    found = look.policy.officer_keys.get(OfficerKeyId(key))
    if found is None or found.officer != id or found.ended_on is not None:
        raise Problem("not_found", 404)
    return _ended(here, request, who, form, found)


@router.post("/officers/{id}/link")
def link(here: Here, request: Request, who: OfOfficers, id: Known) -> HTMLResponse:
    """A one-time link with which he registers a passkey; the passkey itself takes two signatures."""
    made = invite_officer(here, who, id)
    return render(request, who, "officer_link.html", keeps_query=False, link=made.link, officer=id)


def _ended(here: Parts, request: Request, who: Who, form: Form, now: Officer | OfficerKey) -> Response:
    table, row = row_to_doc(now)
    row |= {"ended_on": look_of(here, who).day.isoformat()}
    return begun(here, who, form, lambda: [(table, row)], lambda why: _page(here, request, who, why))


def _officer(look: Look, id: str) -> Officer:
    found = look.policy.officers.get(OfficerId(id))
    if found is None or not found.is_in_post(look.day):
        raise Problem("not_found", 404)
    return found


def _row(here: Parts, form: Form) -> dict[str, Any]:
    name = form.text("id")
    if here.view.row("officer", name) is not None:  # what is there is ended, and not written over
        raise Problem("not_valid", 422, members={"field": "id"})
    more = {"cardholder": form.text("cardholder")} if form.text("cardholder") else {}
    return {
        "id": name, "roles": form.many("role"), "deputises": form.many("deputises"), "zones": form.many("zone"),
        "from_on": form.needed_day("from_on").isoformat(), "until_on": form.needed_day("until_on").isoformat(), **more,
    }  # fmt: skip


def _page(here: Parts, request: Request, who: Who, problem: str) -> HTMLResponse:
    look, waiting = look_of(here, who), here.proposals.waiting_rows("officer")
    lines = [_line(here, look, one, waiting.get(one.id, ("",))[0]) for one in look.policy.officers.values()]
    lines.sort(key=lambda line: (not line.is_in_post, line.officer.id))
    new = [(name, change) for name, (change, _) in waiting.items() if OfficerId(name) not in look.policy.officers]
    return render(
        request, who, "officers.html", status=422 if problem else 200, problem=problem, lines=lines, new=new,
        key=new_key(), posts=[(one.value, str(VALUES[one.value])) for one in Role], own=who.officer,
        zones=[(zone.id, look.zone_name(zone.id)) for zone in look.policy.zones.values()],
        from_on=look.day, until_on=_until(look.day),
    )  # fmt: skip


def _until(day: date) -> date:
    return day + timedelta(days=DAYS)


def _line(here: Parts, look: Look, officer: Officer, change: str) -> Line:
    keys = here.signing_in.posts.keys_of(officer.id)
    return Line(
        officer=officer, posts=tuple(str(VALUES[one.value]) for one in officer.roles),
        deputises=tuple(str(VALUES[one.value]) for one in officer.deputises),
        name=look.name(officer.cardholder) if officer.cardholder else "",
        zones=tuple(map(look.zone_name, officer.zones)), is_in_post=officer.is_in_post(look.day), waits=change,
        keys=tuple((key, here.signing_in.passkeys.used_ms(key.credential)) for key in keys),
    )  # fmt: skip
