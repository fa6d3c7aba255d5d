"""Signing in and out, and what is signed in: sessions and tokens, one's own and, for who may, everybody's."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from api.access import MAY, Permission, Who, require
from api.models import iso
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS
from api.signin.keeper import COOKIE
from api.signin.models import LinkSignIn, PasskeyAsked, PasskeySignIn, PasswordSignIn, SessionPublic, WhoPublic
from api.signin.sessions import Session
from api.signin.ways import SIGN_IN, Browser, step_up_of

router = APIRouter(responses=PROBLEMS)


def own_page(request: Request, here: Here) -> None:
    """Dependency: one of our own pages sent it. Raises Problem 403: else another site signed browsers in."""
    if not here.keeper.is_own_page(request):
        raise Problem("other_site", 403)


OwnPage = Depends(own_page)
Anybody = Annotated[Who, Depends(require(Permission.OWN))]


def set_cookie(response: Response, secret: str) -> None:
    """Give the browser the session's secret: to this host alone, for no script, for no other site."""
    response.set_cookie(COOKIE, secret, secure=True, httponly=True, samesite="strict", path="/")


def drop_cookie(response: Response) -> None:
    """Take it away again."""
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict", path="/")


BROWSERS: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS: Final = (
    ("Windows", "Windows"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
"""Signs of browsers and systems, the telling ones first: each claims to be its forerunners too."""


def agent_of(request: Request) -> str:
    """Which browser on what, for people who look at their sessions: "Chrome, Windows"; else what it calls itself,
    printable and short. Only the end of what browsers call themselves tells them apart.
    """
    said = request.headers.get("user-agent", "")
    browser, system = (next((name for sign, name in signs if sign in said), "") for signs in (BROWSERS, SYSTEMS))
    if browser:
        return ", ".join(part for part in (browser, system) if part)
    return "".join(sign for sign in said[:80] if sign.isprintable())


def browser_of(request: Request, here: Here) -> Browser:
    """Where a sign-in comes from."""
    return Browser(
        agent=agent_of(request),
        address=address_of(request),
        was=here.signing_in.sessions.find(request.cookies.get(COOKIE, "")),
    )


def address_of(request: Request) -> str:
    """The address that asks: of IPv6 the network, in which one host has as many addresses as it likes."""
    shown = request.client.host if request.client is not None else ""
    try:
        address = ip_address(shown)
    except ValueError:
        return shown
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else shown


def shown(session: Session, who: Who) -> SessionPublic:
    """A session as people see it."""
    return SessionPublic(
        name=session.name, officer=session.officer or None, cardholder=session.cardholder, way=session.way,
        strength=session.strength, made=_iso(session.made_ms), seen=_iso(session.seen_ms),
        until=_iso(session.until_ms), agent=session.agent, is_this=session.id_hash == who.session,
    )  # fmt: skip


def _iso(at_ms: int) -> str:
    return iso(at_ms) or ""


def who_shown(here: Here, who: Who) -> WhoPublic:
    """Who is signed in."""
    session = here.signing_in.sessions.of_hash(who.session) if who.session else None
    known = {permission for role in MAY for permission in MAY[role]} | {Permission.OWN}
    return WhoPublic(
        officer=who.officer, roles=sorted(who.roles), may=sorted(one for one in known if who.may(one)),
        cardholder=who.cardholder, strength=who.strength, is_fresh=who.is_fresh,
        session=None if session is None else shown(session, who), idle_minutes=here.settings.idle_minutes,
    )  # fmt: skip


def session_of(here: Here, who: Who) -> Session:
    """The session that asks. Raises Problem 403 for a token, which has none."""
    session = here.signing_in.sessions.of_hash(who.session) if who.session else None
    if session is None:
        raise Problem("not_your_role", 403)
    return session


# -- in and out ------------------------------------------------------------------------------------------------------


@router.post("/sign-in/passkey/options", dependencies=[OwnPage])
def ask_passkey(here: Here) -> PasskeyAsked:
    """What a browser is to ask its passkeys: any that was registered here."""
    return PasskeyAsked(publicKey=here.signing_in.passkeys.request_options(here.signing_in.challenges.make(SIGN_IN)))


@router.post("/sign-in/passkey", dependencies=[OwnPage])
def sign_in_by_passkey(here: Here, request: Request, response: Response, asked: PasskeySignIn) -> WhoPublic:
    """Sign in. The session's cookie comes with the answer."""
    secret, session = here.signing_in.by_passkey(asked.response, browser_of(request, here))
    return signed_in_as(here, response, secret, session)


@router.post("/sign-in/password", dependencies=[OwnPage])
def sign_in_by_password(here: Here, request: Request, response: Response, asked: PasswordSignIn) -> WhoPublic:
    """Sign in with a password and a one-time code: to read and to propose, never to sign."""
    secret, session = here.signing_in.by_password(asked.officer, asked.password, asked.code, browser_of(request, here))
    return signed_in_as(here, response, secret, session)


@router.post("/sign-in/link", dependencies=[OwnPage])
def sign_in_by_link(here: Here, request: Request, response: Response, asked: LinkSignIn) -> WhoPublic:
    """本人: look at what is one's own, with the link that the reception handed out."""
    secret, session = here.signing_in.by_link(asked.ticket, browser_of(request, here))
    return signed_in_as(here, response, secret, session)


def signed_in_as(here: Here, response: Response, secret: str, session: Session) -> WhoPublic:
    """The answer to whoever signed in just now. Raises Problem 401 where his post ended meanwhile."""
    who = here.keeper.who_of(session)
    if who is None:
        raise Problem("no_token", 401)
    set_cookie(response, secret)
    return who_shown(here, who)


@router.post("/sign-out", status_code=204, dependencies=[OwnPage])
def sign_out(here: Here, request: Request, response: Response) -> None:
    """End this session, whether it stands or not."""
    end_session(here, request)
    drop_cookie(response)


def end_session(here: Here, request: Request) -> None:
    """The session of the request's cookie is over, where there is one, and all that goes on with it."""
    session = here.signing_in.sessions.find(request.cookies.get(COOKIE, ""))
    if session is not None:
        here.signing_in.sign_out(session)
        here.broadcast.stir()


# -- this session ----------------------------------------------------------------------------------------------------


@router.get("/session")
def get_session(here: Here, who: Anybody) -> WhoPublic:
    """Who is signed in here, and what he may."""
    return who_shown(here, who)


@router.post("/session/seen", status_code=204)
def seen(who: Anybody) -> None:
    """Somebody sits at the page and reads: it does not become idle for a while."""


@router.post("/session/step-up/options")
def ask_step_up(here: Here, who: Anybody) -> PasskeyAsked:
    """What a browser is to ask the passkeys of whoever is signed in."""
    session = session_of(here, who)
    challenge = here.signing_in.challenges.make(step_up_of(session))
    keys = here.signing_in.posts.keys_of(who.officer)
    return PasskeyAsked(publicKey=here.signing_in.passkeys.request_options(challenge, keys))


@router.post("/session/step-up")
def step_up(here: Here, who: Anybody, response: Response, asked: PasskeySignIn) -> WhoPublic:
    """Show the passkey again: for five minutes it is not asked for. The session gets a new cookie."""
    secret, session = here.signing_in.step_up(asked.response, session_of(here, who))
    here.broadcast.stir()
    return signed_in_as(here, response, secret, session)


# -- sessions --------------------------------------------------------------------------------------------------------


@router.get("/sessions")
def list_sessions(here: Here, who: Anybody, everybody: bool = False) -> list[SessionPublic]:
    """One's own sessions; with `everybody=true` all, for who may see those of others."""
    if everybody and not who.may(Permission.OFFICERS):
        here.keeper.refused(who, Permission.OFFICERS)
        raise Problem("not_your_role", 403)
    found: list[Any] = [
        one for one in here.signing_in.sessions.all() if everybody or (one.officer or one.cardholder) == who.officer
    ]
    return [shown(one, who) for one in found]


@router.delete("/sessions/{name}", status_code=204)
def revoke_session(here: Here, who: Anybody, name: str) -> None:
    """End a session at once: one's own, or, for who may, somebody else's. Open pages and streams of it end too."""
    here.signing_in.revoke(who, name, others=who.may(Permission.OFFICERS))
    here.broadcast.stir()
