"""One officer: his posts, his term, his passkeys; each is changed by a proposal. And the link for a passkey.

Before anything is proposed it is said how many must sign: an end is in force with one signature, but where it would
leave fewer than two who can sign (docs/officers.md §3).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Who
from api.officer_posts import ended, keys_of, renewed, signers_of_end, with_posts
from api.pages.forms import REASONS, Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, joined, look_of
from api.pages.officers import TERM_DAYS, OfOfficers, choices, is_over, line_of, waiting_keys
from api.parts import Here, Parts
from api.problems import Problem
from api.routes.enrolment import invite_officer
from api.signin.key_code import code_of
from zones.ids import ID_PATTERN, OfficerId, OfficerKeyId
from zones.officers import Officer

WHY: Final = {
    "posts": ("transferred", "correction", "other"),
    "term": ("renewal",),
    "end": ("left", "transferred", "other"),
    "key": ("renewal", "left", "transferred", "other"),
}
"""What may be said of each kind of change; needs of the work, and nothing else."""

router = APIRouter(include_in_schema=False)
Known = Annotated[str, Path(pattern=f"^{ID_PATTERN}$")]
Put = tuple[str, dict[str, Any]]


@router.get("/officers/{id}")
def officer(here: Here, request: Request, who: OfOfficers, id: Known) -> HTMLResponse:
    """His posts, term and passkeys."""
    return _page(here, request, who, id, "")


@router.post("/officers/{id}/posts")
def change_posts(here: Here, request: Request, who: OfOfficers, id: Known, form: Sent) -> Response:
    """Propose other posts."""

    def change(look: Look) -> Put:
        return with_posts(
            _officer(look, id), roles=form.many("role"), deputises=form.many("deputises"), zones=form.many("zone"),
            cardholder=form.text("cardholder"),
        )  # fmt: skip

    return _proposed(here, request, who, id, form, change, "transferred")


@router.post("/officers/{id}/term")
def renew_term(here: Here, request: Request, who: OfOfficers, id: Known, form: Sent) -> Response:
    """Propose a longer term, or a new one; a shorter one takes one signature."""

    def change(look: Look) -> Put:
        return renewed(_officer(look, id), look.day, form.needed_day("until_on"))

    return _proposed(here, request, who, id, form, change, "renewal")


@router.post("/officers/{id}/end")
def end_officer(here: Here, request: Request, who: OfOfficers, id: Known, form: Sent) -> Response:
    """Propose that he is in post no more, from today on."""
    look = look_of(here, who)
    found = _officer(look, id)
    if is_over(found, look):
        raise Problem("not_found", 404)
    return _proposed(here, request, who, id, form, lambda look: ended(found, look.day), "left")


@router.post("/officers/{id}/keys/{key}/end")
def end_key(here: Here, request: Request, who: OfOfficers, id: Known, key: Known, form: Sent) -> Response:
    """Propose that one of his passkeys counts no more: lost, or stolen."""
    look = look_of(here, who)
    found = look.policy.officer_keys.get(OfficerKeyId(key))
    if found is None or found not in keys_of(look.policy, id):
        raise Problem("not_found", 404)
    return _proposed(here, request, who, id, form, lambda look: ended(found, look.day), "other")


@router.post("/officers/{id}/link")
def link(here: Here, request: Request, who: OfOfficers, id: Known) -> HTMLResponse:
    """A one-time link with which he registers a passkey; the passkey itself takes two signatures."""
    made = invite_officer(here, who, id)
    return render(
        request, who, "officer_link.html", keeps_query=False, link=made.link, officer=id,
        look=look_of(here, who),
        until_ms=int(datetime.fromisoformat(made.until).timestamp() * 1000),
    )  # fmt: skip


def _proposed(
    here: Parts, request: Request, who: Who, id: str, form: Form, change: Callable[[Look], Put], reason: str
) -> Response:
    _officer(look_of(here, who), id)
    return begun(
        here, who, form, lambda: [change(look_of(here, who))], lambda why: _page(here, request, who, id, why),
        reason=reason,
    )  # fmt: skip


def _officer(look: Look, id: str) -> Officer:
    found = look.policy.officers.get(OfficerId(id))
    if found is None:
        raise Problem("not_found", 404)
    return found


def _page(here: Parts, request: Request, who: Who, id: str, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    found = _officer(look, id)
    change = here.proposals.waiting_rows("officer").get(id, ("",))[0]
    ending = {name: one for name, (one, _row) in here.proposals.waiting_rows("officer_key").items()}
    keys = [
        {
            "id": key.id, "code": code_of(key.credential, key.public_key), "enrolled_on": key.enrolled_on,
            "used_ms": here.signing_in.passkeys.used_ms(key.credential), "waits": ending.get(key.id, ""),
            "signers": signers_of_end(look.policy, key, look.day),
        }
        for key in keys_of(look.policy, id)
    ]  # fmt: skip
    year = look.day + timedelta(days=TERM_DAYS)
    return render(
        request, who, "officer.html", status=422 if problem else 200, keeps_query=False, problem=problem, look=look,
        line=line_of(here, look, found, change), zones_said=joined(map(look.zone_name, found.zones)), keys=keys,
        waiting=waiting_keys(here, look, id), is_over=is_over(found, look), is_own=id == who.officer, key=new_key(),
        signers=signers_of_end(look.policy, found, look.day), reasons=REASONS, why=WHY, is_fresh=who.is_fresh,
        until_on=year if is_over(found, look) else max(year, found.until_on), is_in_post=found.is_in_post(look.day),
        inactive_days=here.settings.inactive_days, cardholder=found.cardholder or "",
        chosen={"role": found.roles, "deputises": found.deputises, "zone": found.zones}, **choices(look),
    )  # fmt: skip
