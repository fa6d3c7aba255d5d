"""What is set up by officers themselves: passkeys with a one-time link, a password, API tokens, links for others."""

from typing import Annotated

import pyotp
from fastapi import APIRouter, Depends, Path, Request

from api.access import Permission, Who, require
from api.models import iso
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS
from api.routes.signin import Anybody, OwnPage, address_of, session_of
from api.signin.enrolment import enrol, options_for
from api.signin.links import Kind
from api.signin.models import (
    CodeSecret,
    Enrolled,
    Enrolment,
    EnrolmentAsked,
    LinkMade,
    PasskeyAsked,
    PasswordPublic,
    PasswordSet,
    TokenCreate,
    TokenPublic,
)
from api.signin.posts import now_ms
from api.signin.tokens import EACH_MAX, Token
from zones.ids import ID_PATTERN

router = APIRouter(responses=PROBLEMS)

Known = Annotated[str, Path(pattern=f"^{ID_PATTERN}$")]
OfOfficers = Annotated[Who, Depends(require(Permission.OFFICERS))]
OfDesk = Annotated[Who, Depends(require(Permission.DESK))]


def _stepped_up(here: Here, who: Who) -> None:
    """Raises Problem 403 where no passkey was shown within the last minutes, or no person asks."""
    session_of(here, who)
    if not who.is_fresh:
        raise Problem("step_up", 403)


# -- passkeys --------------------------------------------------------------------------------------------------------


@router.post("/enrolment/options", dependencies=[OwnPage])
def ask_enrolment(here: Here, asked: EnrolmentAsked) -> PasskeyAsked:
    """What a browser is to make a passkey for, with the ticket of a one-time link."""
    return PasskeyAsked(publicKey=options_for(here, asked.ticket))


@router.post("/enrolment", dependencies=[OwnPage])
def create_enrolment(here: Here, request: Request, asked: Enrolment) -> Enrolled:
    """A new passkey. With the console's ticket it is in force at once; with an officer's it waits for signatures."""
    return enrol(here, asked.ticket, asked.response, address_of(request))


@router.post("/officers/{id}/invitation", status_code=201)
def invite_officer(here: Here, who: OfOfficers, id: Known) -> LinkMade:
    """A one-time link with which another officer registers a (further) passkey; the passkey takes two signatures."""
    if all(one.id != id for one in here.signing_in.posts.officers()) or here.signing_in.posts.is_over(id):
        raise Problem("not_found", 404)
    if id == who.officer:  # the passkey would be proposed in his own name, for himself
        raise Problem("self_grant", 403)
    return _link(here, who, "invitation", id, "/enrol")


@router.post("/cardholders/{id}/own-link", status_code=201)
def make_own_link(here: Here, who: OfDesk, id: Known) -> LinkMade:
    """A one-time link for a cardholder to look at what is his own. Hand it to that person, and to nobody else: he sees
    among those who looked that it was made, and by whom.
    """
    _stepped_up(here, who)
    if not here.keeper.is_holder(id):
        raise Problem("not_found", 404)
    return _link(here, who, "own", id, "/own-link")


def _link(here: Here, who: Who, kind: Kind, about: str, page: str) -> LinkMade:
    whose = about if kind == "own" else None
    here.signing_in.notes.record("LINK_MADE", who.officer, purpose=kind, cardholder=whose)
    ticket, until_ms = here.signing_in.links.make(kind, about, who.officer)
    return LinkMade(link=f"{here.settings.page_origin}{page}#{ticket}", until=iso(until_ms) or "")


# -- one's own password ----------------------------------------------------------------------------------------------


@router.get("/password")
def get_password(here: Here, who: Anybody) -> PasswordPublic:
    """Whether one has a password."""
    return PasswordPublic(set=iso(here.signing_in.passwords.set_ms(who.officer)))


@router.post("/password/code-secret")
def make_code_secret(here: Here, who: Anybody) -> CodeSecret:
    """A secret for one-time codes. Nothing is kept until it comes back with a code."""
    _stepped_up(here, who)
    secret = pyotp.random_base32()
    return CodeSecret(
        secret=secret, address=pyotp.TOTP(secret).provisioning_uri(name=who.officer, issuer_name="Sekisho")
    )


@router.put("/password")
def set_password(here: Here, who: Anybody, asked: PasswordSet) -> PasswordPublic:
    """Set one's own password, with a passkey shown just now. What else is signed in with the old one is signed out."""
    _stepped_up(here, who)
    here.signing_in.set_password(who, asked.password, asked.secret, asked.code)
    here.broadcast.stir()
    return get_password(here, who)


@router.delete("/password", status_code=204)
def drop_password(here: Here, who: Anybody) -> None:
    """Have no password any more."""
    session_of(here, who)
    here.signing_in.drop_password(who)
    here.broadcast.stir()


# -- API tokens ------------------------------------------------------------------------------------------------------


def shown_token(token: Token, secret: str | None = None) -> TokenPublic:
    """A token as people see it."""
    return TokenPublic(
        id=token.id, officer=token.officer, name=token.name, scopes=sorted(token.scopes), made=iso(token.made_ms) or "",
        until=iso(token.until_ms) or "", used=iso(token.used_ms) if token.used_ms else None,
        is_over=token.until_ms <= now_ms(), token=secret,
    )  # fmt: skip


@router.get("/tokens", response_model_exclude_none=True)
def list_tokens(here: Here, who: Anybody) -> list[TokenPublic]:
    """One's own tokens; everybody's for who may see those of others."""
    every = who.may(Permission.OFFICERS)
    return [shown_token(one) for one in here.signing_in.tokens.all() if every or one.officer == who.officer]


@router.post("/tokens", status_code=201)
def make_token(here: Here, who: Anybody, asked: TokenCreate) -> TokenPublic:
    """A token for a program, in one's own name, for no more than one may oneself. This answer alone shows it."""
    _stepped_up(here, who)
    scopes = frozenset(one for one in Permission if one.value in asked.scopes)
    if len(scopes) != len(set(asked.scopes)):
        raise Problem("not_valid", 422)
    if not all(who.may(scope) for scope in scopes):
        raise Problem("not_your_role", 403)
    if sum(one.officer == who.officer for one in here.signing_in.tokens.all()) >= EACH_MAX:
        raise Problem("busy", 503)
    here.signing_in.notes.record("TOKEN_MADE", who.officer)
    secret, token = here.signing_in.tokens.make(who.officer, asked.name, scopes, asked.days)
    return shown_token(token, secret)


@router.delete("/tokens/{id}", status_code=204)
def revoke_token(here: Here, who: Anybody, id: Known) -> None:
    """Revoke a token at once: one's own, or anybody's for who may."""
    if not here.signing_in.revoke_token(who, id):
        raise Problem("not_found", 404)
    here.broadcast.stir()
