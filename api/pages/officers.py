"""Officers: who holds which post, until when, and who can sign; what waits for signatures; somebody new is named.

Posts are rows of the policy: each change of them is signed like all others (docs/officers.md §2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.names import order_of
from api.officer_posts import Post, days_left, keys_of, posts_today
from api.pages.forms import REASONS, Form, Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import Look, joined, look_of
from api.parts import Here, Parts
from api.problems import Problem
from api.proposal_words import VALUES
from api.signin.key_code import code_in
from zones.authority import signing_officers
from zones.ids import OfficerId, OfficerKeyId
from zones.officers import Officer, Role

TERM_DAYS: Final = 364
"""For how long a post is given where nothing else is said: a year, with its first day."""

SIGNERS_NEEDED: Final = 3
"""Who can sign: two for what is for the third (A-31)."""

NAMING: Final = ("enrolment", "transferred")

router = APIRouter(include_in_schema=False)
OfOfficers = Annotated[Who, Depends(require(Permission.OFFICERS))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One officer in the list. `left`: days that his term goes on, where that is soon. `signed_in_ms`: None: never."""

    officer: Officer
    posts: str
    deputises: str
    left: int | None
    keys: int
    signed_in_ms: int | None
    is_active: bool
    waits: str


def post_words(roles: Iterable[Role]) -> str:
    """Posts in words, in one line."""
    return joined(str(VALUES[one.value]) for one in roles)


@router.get("/officers")
def officers(here: Here, request: Request, who: OfOfficers) -> HTMLResponse:
    """All of them, in order of names, and what is missing."""
    look, waiting = look_of(here, who), here.proposals.waiting_rows("officer")
    lines = [line_of(here, look, one, waiting.get(one.id, ("",))[0]) for one in look.policy.officers.values()]
    lines.sort(key=lambda line: order_of_officer(look, line.officer))
    new = [(name, change) for name, (change, _row) in waiting.items() if OfficerId(name) not in look.policy.officers]
    return render(
        request, who, "officers.html", look=look, new=new, keys=waiting_keys(here, look),
        is_few=len(signing_officers(look.policy, look.day)) < SIGNERS_NEEDED,
        posts=[_post(one) for one in posts_today(look.policy, look.day)],
        lines=[line for line in lines if not is_over(line.officer, look)],
        over=[line for line in lines if is_over(line.officer, look)],
    )  # fmt: skip


def is_over(officer: Officer, look: Look) -> bool:
    """Whether he was in post and is not any more."""
    return not officer.is_in_post(look.day) and officer.from_on <= look.day


def order_of_officer(look: Look, officer: Officer) -> Any:
    """By how his name is read, where he is known as somebody who enters; the others by pseudonym, behind."""
    return look.order(officer.cardholder) if officer.cardholder else order_of(None, officer.id)


def line_of(here: Parts, look: Look, officer: Officer, change: str) -> Line:
    """One officer, as lists show him."""
    keys = keys_of(look.policy, officer.id)
    return Line(
        officer=officer, posts=post_words(officer.roles), deputises=post_words(officer.deputises),
        left=days_left(officer, look.day), keys=len(keys), signed_in_ms=here.signing_in.last.last_ms(officer.id),
        is_active=here.signing_in.last.is_active(officer, keys), waits=change,
    )  # fmt: skip


def waiting_keys(here: Parts, look: Look, officer: str = "") -> list[tuple[str, str, str]]:
    """Passkeys that wait for signatures: of whom, the characters that are compared, the change."""
    found = []
    for name, (change, row) in here.proposals.waiting_rows("officer_key").items():
        of = str(row.get("officer", ""))
        if OfficerKeyId(name) not in look.policy.officer_keys and officer in ("", of):
            found.append((look.officer_name(of), code_in(row), change))
    return sorted(found)


def _post(post: Post) -> dict[str, Any]:
    return {
        "word": str(VALUES[post.role.value]), "is_vacant": post.is_vacant, "warning": str(post.warning or ""),
        "holders": list(post.holders), "deputies": list(post.deputies), "is_needed": post.role is not Role.LINE,
    }  # fmt: skip


# -- somebody new ----------------------------------------------------------------------------------------------------


@router.get("/officers/new")
def naming_form(here: Here, request: Request, who: OfOfficers) -> HTMLResponse:
    """The form by which somebody is named."""
    return _form(here, request, who, Form({}), "")


@router.post("/officers")
def name_officer(here: Here, request: Request, who: OfOfficers, form: Sent) -> Response:
    """Propose somebody for a post: two sign, and he registers a passkey afterwards."""
    return begun(
        here, who, form, lambda: [("officer", _row(here, form))], lambda why: _form(here, request, who, form, why),
        reason="enrolment",
    )  # fmt: skip


def _form(here: Parts, request: Request, who: Who, form: Form, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    return render(
        request, who, "officer_new.html", status=422 if problem else 200, keeps_query=False, problem=problem, look=look,
        form=form, key=form.text("key") or new_key(), chosen={name: form.many(name) for name in CHOICES},
        cardholder=form.text("cardholder"), reasons=REASONS, codes=NAMING, is_fresh=who.is_fresh, **choices(look),
        from_on=form.text("from_on") or look.day,
        until_on=form.text("until_on") or look.day + timedelta(days=TERM_DAYS),
    )  # fmt: skip


CHOICES: Final = ("role", "deputises", "zone")


def choices(look: Look) -> dict[str, Any]:
    """What the boxes of a form about posts offer: posts, zones, and people by name."""
    people = sorted((one.id for one in look.policy.cardholders.values() if one.ended_on is None), key=look.order)
    return {
        "posts": [(one.value, str(VALUES[one.value])) for one in Role],
        "zones": [(zone.id, look.zone_name(zone.id)) for zone in look.policy.zones.values()],
        "people": [(one, look.name(one)) for one in people],
    }


def _row(here: Parts, form: Form) -> dict[str, Any]:
    name = form.text("id")
    if here.view.row("officer", name) is not None or name == "new":  # what is there is changed, and not written over
        raise Problem("not_valid", 422, members={"field": "id"})
    more = {"cardholder": form.text("cardholder")} if form.text("cardholder") else {}
    return {
        "id": name, "roles": form.many("role"), "deputises": form.many("deputises"), "zones": form.many("zone"),
        "from_on": form.needed_day("from_on").isoformat(), "until_on": form.needed_day("until_on").isoformat(), **more,
    }  # fmt: skip
