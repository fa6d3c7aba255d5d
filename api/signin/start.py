"""Puts the parts of signing in together, at the start of the web process."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from api.link import Requests
from api.settings import Settings
from api.signin.challenges import Challenges
from api.signin.gate import Gate
from api.signin.keeper import Keeper
from api.signin.notes import SignInNotes
from api.signin.passkeys import Passkeys
from api.signin.posts import Posts, today
from api.signin.sessions import Sessions
from api.signin.tokens import Tokens
from api.view import View

MINUTE_MS: Final = 60_000


def gate_of(settings: Settings, engine: Engine, view: View, requests: Requests) -> Gate:
    """One of each, over `engine`."""
    posts, notes = Posts(view), SignInNotes(requests)
    sessions = Sessions(engine, settings.idle_minutes * MINUTE_MS)
    tokens = Tokens(engine)
    origins = [settings.page_origin]

    def is_cardholder(id: str) -> bool:
        doc = view.row("cardholder", id)
        return doc is not None and doc.get("ended_on", "9999") > today().isoformat()

    return Gate(
        keeper=Keeper(posts, sessions, tokens, notes, origins, is_cardholder), posts=posts, sessions=sessions,
        tokens=tokens, notes=notes, challenges=Challenges(),
        passkeys=Passkeys(engine, posts, rp_id=settings.relying_party, origins=origins),
    )  # fmt: skip
