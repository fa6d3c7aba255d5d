"""One's own sign-in: sessions, passkeys, password, API tokens; and for who answers for officers, those of everybody."""

from __future__ import annotations

from typing import Annotated, Any, Final

import pyotp
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from api.access import Permission, Who, require
from api.pages.forms import Form, Sent, told
from api.pages.frame import render
from api.parts import Here
from api.problems import Problem
from api.routes.enrolment import make_own_link, make_token, set_password
from api.signin.models import PasswordSet, TokenCreate
from api.signin.posts import now_ms
from api.texts import Said, _
from zones.ids import ID_PATTERN

ADDRESS: Final = "/sessions"
OWN_LINKS: Final = "/own-links"
WAYS: Final = {
    "passkey": Said("Passkey", "sign-in"),
    "passkey_after_long": Said("Passkey", "sign-in"),
    "password": Said("Password and code", "sign-in"),
    "oidc": Said("Company account", "sign-in"),
    "oidc_two_factors": Said("Company account, two factors", "sign-in"),
    "link": Said("One-time link", "sign-in"),
}
PERMISSIONS: Final = {
    Permission.LIVE: Said("Doors and alarms", "scope"),
    Permission.NAMES_INSIDE: Said("Who is inside, by name", "scope"),
    Permission.PEOPLE: Said("People and cards", "scope"),
    Permission.RIGHTS: Said("Who may enter where", "scope"),
    Permission.REASONS: Said("Why somebody was not let in", "scope"),
    Permission.HISTORY: Said("One person's history", "scope"),
    Permission.EVENTS: Said("Records", "scope"),
    Permission.LEDGER: Said("Proofs of the records", "scope"),
    Permission.PROPOSE: Said("Begin changes", "scope"),
    Permission.DESK: Said("Visitors", "scope"),
    Permission.ROLL_CALL: Said("Roll call", "scope"),
    Permission.REPORTS: Said("Figures", "scope"),
    Permission.DEVICES: Said("Devices", "scope"),
}
"""What a program can be let do; the rest needs a passkey to begin, which no program has."""

router = APIRouter(include_in_schema=False)
Anybody = Annotated[Who, Depends(require(Permission.OWN))]
AtDesk = Annotated[Who, Depends(require(Permission.DESK))]
Named = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
TokenId = Annotated[str, Path(pattern=f"^{ID_PATTERN}$")]


@router.get(ADDRESS)
def sessions(
    here: Here, request: Request, who: Anybody, everybody: Annotated[str, Query(max_length=1)] = ""
) -> Response:
    """Where one is signed in, and by what one can be."""
    return _page(here, request, who, everybody=bool(everybody) and who.may(Permission.OFFICERS))


def _page(
    here: Here, request: Request, who: Who, *, everybody: bool = False, fault: str = "", made: str = "",
    status: int = 200,
) -> HTMLResponse:  # fmt: skip
    ways = here.signing_in
    own = [one for one in ways.sessions.all() if everybody or (one.officer or one.cardholder) == who.officer]
    can_set = bool(who.roles) and who.session is not None and who.is_fresh
    secret = pyotp.random_base32() if can_set else ""
    return render(
        request, who, "sessions.html", status=status, keeps_query=request.method == "GET",
        sessions=own, ways=WAYS, this=who.session, everybody=everybody, fault=fault, made=made,
        is_officer=bool(who.roles), may_see_all=who.may(Permission.OFFICERS), is_fresh=who.is_fresh,
        passkeys=[(key, ways.passkeys.used_ms(key.credential)) for key in ways.posts.keys_of(who.officer)],
        password_ms=ways.passwords.set_ms(who.officer), secret=secret, idle_minutes=here.settings.idle_minutes,
        secret_shown=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        secret_address=pyotp.TOTP(secret).provisioning_uri(name=who.officer, issuer_name="Sekisho") if secret else "",
        tokens=[one for one in ways.tokens.all() if everybody or one.officer == who.officer], now=now_ms(),
        scopes=[(one.value, word) for one, word in PERMISSIONS.items() if who.may(one)], words=PERMISSIONS,
    )  # fmt: skip


@router.post(ADDRESS + "/{name}/end")
def end_session(here: Here, who: Anybody, name: Named) -> Response:
    """End one of the sessions that are shown."""
    here.signing_in.revoke(who, name, others=who.may(Permission.OFFICERS))
    here.broadcast.stir()
    return RedirectResponse(ADDRESS, 303)


@router.post("/password")
def change_password(here: Here, request: Request, who: Anybody, form: Sent) -> Response:
    """Set one's own password and one-time codes."""
    if form.is_set("drop"):
        here.signing_in.drop_password(who)
        return RedirectResponse(ADDRESS, 303)
    return _done(here, request, who, lambda: _set(here, who, form))


def _set(here: Here, who: Who, form: Form) -> str:
    password = (form.many("password") or [""])[0]
    if password != (form.many("again") or [""])[0]:
        raise Problem("password_differs", 422)
    set_password(here, who, PasswordSet(password=password, secret=form.text("secret"), code=form.text("code")))
    return ""


@router.post("/tokens")
def new_token(here: Here, request: Request, who: Anybody, form: Sent) -> Response:
    """Make an API token, and show it this once."""

    def made() -> str:
        asked = TokenCreate(name=form.text("name"), scopes=form.many("scope"), days=int(form.text("days") or "0"))
        return make_token(here, who, asked).token or ""

    return _done(here, request, who, made, shows=True)


@router.post("/tokens/{id}/end")
def end_token(here: Here, who: Anybody, id: TokenId) -> Response:
    """Revoke one of the tokens that are shown."""
    if not here.signing_in.revoke_token(who, id):
        raise Problem("not_found", 404)
    here.broadcast.stir()
    return RedirectResponse(ADDRESS, 303)


def _done(here: Here, request: Request, who: Who, act: Any, *, shows: bool = False) -> Response:
    """The page again: with what was made, or with what is wrong."""
    try:
        made: str = act()
    except (ValidationError, ValueError):
        return _page(here, request, who, fault=told(Problem("not_valid", 422)), status=422)
    except Problem as problem:
        return _page(here, request, who, fault=told(problem), status=problem.status)
    return _page(here, request, who, made=made) if shows else RedirectResponse(ADDRESS, 303)


@router.get(OWN_LINKS)
def own_links(request: Request, who: AtDesk) -> Response:
    """For the reception: for whom is the link."""
    return render(request, who, "own_link_made.html", keeps_query=False, link="", cardholder="", fault="")


@router.post(OWN_LINKS)
def own_link(here: Here, request: Request, who: AtDesk, form: Sent) -> Response:
    """A one-time link for somebody to look at what is his own, to be handed out on paper or read off the screen."""
    sought = form.text("cardholder")
    try:
        made = make_own_link(here, who, sought)
    except Problem as problem:
        return render(
            request, who, "own_link_made.html", status=problem.status, keeps_query=False, link="", cardholder=sought,
            fault=_("Nobody has this number. Look it up on the register: h-01, for example.")
            if problem.code == "not_found"
            else told(problem),
        )  # fmt: skip
    return render(request, who, "own_link_made.html", keeps_query=False, link=made.link, cardholder=sought, fault="")
