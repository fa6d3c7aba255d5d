"""The pages of signing in: the sign-in itself, the first start, one-time links, and the way through the company."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from api.pages.forms import Sent, told
from api.pages.frame import render
from api.parts import Here
from api.problems import Problem
from api.routes.signin import OwnPage, browser_of, drop_cookie, end_session, set_cookie
from api.signin.models import PasswordSignIn
from api.signin.notes import UNKNOWN
from api.signin.start import OIDC_BACK

SIGN_IN: Final = "/sign-in"
_OWN_ADDRESS: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
FLOW_COOKIE: Final = "__Host-sekisho-company"
FLOW_S: Final = 600

router = APIRouter(include_in_schema=False)
Next = Annotated[str, Query(max_length=500)]


def own_address(said: str) -> str:
    """Where to go after signing in: an address of ours, and never somebody else's."""
    return said if _OWN_ADDRESS.fullmatch(said) and not said.startswith(SIGN_IN) else "/"


@router.get(SIGN_IN)
def sign_in(here: Here, request: Request, next: Next = "/") -> Response:
    """Who are you? On the first start: what to do at the console."""
    if here.signing_in.posts.is_empty() and here.view.seq >= 0:
        return render(request, None, "first_start.html")
    if here.keeper.is_signed_in(request):
        return RedirectResponse(own_address(next), 303)
    return _sign_in(here, request, own_address(next))


def _sign_in(here: Here, request: Request, next: str, fault: str = "", status: int = 200) -> HTMLResponse:
    return render(
        request, None, "sign_in.html", status=status, keeps_query=True, next=next, fault=fault,
        has_company=here.signing_in.oidc is not None, own_ca=here.settings.tls_own_ca,
        elsewhere="" if is_where_passkeys_are(here, request) else here.settings.page_origin,
    )  # fmt: skip


def is_where_passkeys_are(here: Here, request: Request) -> bool:
    """Whether browsers ask for our passkeys at this address: they are bound to a name."""
    host = request.url.hostname or ""
    party = here.settings.relying_party
    return host == party or host.endswith(f".{party}")


@router.post("/sign-in/password", dependencies=[OwnPage])
def sign_in_by_password(here: Here, request: Request, form: Sent) -> Response:
    """With a password and a code, from the form."""
    onward = own_address(form.text("next"))
    try:
        asked = PasswordSignIn(
            officer=form.text("officer"), password=(form.many("password") or [""])[0], code=form.text("code")
        )  # fmt: skip
        secret, _ = here.signing_in.by_password(asked.officer, asked.password, asked.code, browser_of(request, here))
    except ValidationError:
        return _sign_in(here, request, onward, told(Problem("sign_in_wrong", 401)), 401)
    except Problem as problem:
        shown = _sign_in(here, request, onward, told(problem), problem.status)
        shown.headers.update(problem.headers)
        return shown
    answer = RedirectResponse(onward, 303)
    set_cookie(answer, secret)
    return answer


@router.post("/sign-out", dependencies=[OwnPage])
def sign_out(here: Here, request: Request) -> Response:
    """Out, whether anybody was in or not."""
    end_session(here, request)
    answer = RedirectResponse(SIGN_IN, 303)
    drop_cookie(answer)
    return answer


# -- the company's provider -------------------------------------------------------------------------------------------


@router.get("/sign-in/company", dependencies=[OwnPage])
def sign_in_by_company(here: Here) -> Response:
    """Off to the company's provider, from our own page alone: where it signs people in without a word, another site
    would sign them in here. What belongs to this attempt stays in a cookie of this browser.
    """
    if here.signing_in.oidc is None:
        raise Problem("not_set_up", 404)
    begun = here.signing_in.oidc.begin()
    answer = RedirectResponse(begun.address, 303)
    answer.set_cookie(
        FLOW_COOKIE, begun.flow, max_age=FLOW_S, secure=True, httponly=True, samesite="lax", path="/"
    )  # fmt: skip
    return answer


@router.get(OIDC_BACK)
def back_from_company(
    here: Here,
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Back from the provider. The first page after it is asked for by this one: browsers send our cookie from our own
    pages alone.
    """
    if here.signing_in.oidc is None:
        raise Problem("not_set_up", 404)
    try:
        named = here.signing_in.oidc.finish(request.cookies.get(FLOW_COOKIE, ""), state, code)
    except Problem as problem:
        here.signing_in.notes.failure("SIGN_IN_REFUSED", UNKNOWN, "provider")
        return _refused_by_company(here, request, problem)
    try:
        secret, _ = here.signing_in.by_provider(named.officer, has_two=named.has_two, browser=browser_of(request, here))
    except Problem as problem:
        return _refused_by_company(here, request, problem)
    answer = render(request, None, "signed_in.html", keeps_query=False)
    set_cookie(answer, secret)
    answer.delete_cookie(FLOW_COOKIE, secure=True, httponly=True, samesite="lax", path="/")
    return answer


def _refused_by_company(here: Here, request: Request, problem: Problem) -> HTMLResponse:
    return _sign_in(here, request, "/", told(problem), problem.status)


# -- one-time links ---------------------------------------------------------------------------------------------------


@router.get("/enrol")
def enrol(here: Here, request: Request) -> HTMLResponse:
    """Register a passkey with a one-time link. The ticket stands behind # and is never in a request for a page."""
    elsewhere = "" if is_where_passkeys_are(here, request) else here.settings.page_origin
    return render(request, None, "enrol.html", keeps_query=False, elsewhere=elsewhere)


@router.get("/enrolled")
def enrolled(request: Request) -> HTMLResponse:
    """What comes after a passkey was registered."""
    return render(request, None, "enrolled.html")


@router.get("/own-link")
def own_link(request: Request) -> HTMLResponse:
    """本人: what is one's own, with the link that the reception handed out."""
    return render(request, None, "own_link.html", keeps_query=False)
