"""Puts the parts of signing in together, at the start of the web process."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from api.link import Requests
from api.settings import Settings
from api.signin.challenges import Challenges
from api.signin.delays import Delays
from api.signin.keeper import Keeper
from api.signin.last import LastSignIns
from api.signin.links import Links
from api.signin.notes import SignInNotes
from api.signin.oidc import Oidc, OidcSettings
from api.signin.passkeys import Passkeys
from api.signin.passwords import Passwords
from api.signin.posts import Posts, today
from api.signin.sessions import Sessions
from api.signin.tokens import Tokens
from api.signin.ways import SigningIn
from api.view import View

MINUTE_MS: Final = 60_000
OIDC_BACK: Final = "/sign-in/company/back"
"""Where browsers come back from the company's provider."""


def signing_in_of(settings: Settings, engine: Engine, view: View, requests: Requests) -> SigningIn:
    """One of each, over `engine`."""
    posts, notes = Posts(view), SignInNotes(requests)
    sessions = Sessions(engine, settings.idle_minutes * MINUTE_MS)
    tokens = Tokens(engine)
    origins = [settings.page_origin]

    def is_cardholder(id: str) -> bool:
        doc = view.row("cardholder", id)
        return doc is not None and doc.get("ended_on", "9999") > today().isoformat()

    return SigningIn(
        keeper=Keeper(posts, sessions, tokens, notes, origins, is_cardholder), posts=posts, sessions=sessions,
        tokens=tokens, notes=notes, challenges=Challenges(),
        passkeys=Passkeys(engine, posts, rp_id=settings.relying_party, origins=origins),
        passwords=Passwords(engine), delays=Delays(), last=LastSignIns(engine, settings.inactive_days),
        links=Links(engine), oidc=_oidc(settings),
    )  # fmt: skip


def _oidc(settings: Settings) -> Oidc | None:
    if not settings.oidc_issuer or settings.oidc_secret_file is None:
        return None
    of = OidcSettings(
        issuer=settings.oidc_issuer, client_id=settings.oidc_client_id, secret_file=settings.oidc_secret_file,
        claim=settings.oidc_claim,
    )  # fmt: skip
    return Oidc(of, settings.page_origin + OIDC_BACK)
