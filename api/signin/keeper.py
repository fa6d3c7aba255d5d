"""Who asks: what a request shows, a session's cookie or an API token, turned into `Who`; and from which page it comes.

The cookie is sent by browsers from our own pages alone (SameSite=Strict), and for unsafe methods that is checked once
more (OWASP: fetch metadata, else Origin). A token is no browser's: it needs no such check.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from fastapi import Request

from api.access import Permission, Who
from api.problems import Problem
from api.signin.notes import SignInNotes
from api.signin.posts import Posts, now_ms
from api.signin.sessions import Session, Sessions
from api.signin.tokens import PREFIX, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

COOKIE: Final = "__Host-sekisho"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
TOLD_EACH_S: Final = 60.0
"""An attempt at what is not somebody's is recorded once in so long, for each who and what."""


class Keeper:
    """Judges what a request shows."""

    def __init__(
        self, posts: Posts, sessions: Sessions, tokens: Tokens, notes: SignInNotes, origins: list[str],
        holds: Callable[[str], bool],
    ) -> None:  # fmt: skip
        self._posts = posts
        self.sessions = sessions
        self._tokens = tokens
        self._notes = notes
        self._origins = origins
        self.is_holder = holds
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], float] = {}

    def who(self, request: Request) -> Who:
        """Who asks. Raises Problem 401 where nobody does, 403 from another site."""
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        who = self._of_token(shown.strip()) if kind.lower() == "bearer" else self._of_cookie(request)
        if who is None:
            raise Problem("no_token", 401, headers={"WWW-Authenticate": 'Bearer realm="sekisho"'})
        return who

    def session(self, request: Request) -> Session | None:
        """The session of the request's cookie, where it stands."""
        found = self.sessions.find(request.cookies.get(COOKIE, ""))
        return found if found is not None and self.who_of(found) is not None else None

    def is_signed_in(self, request: Request) -> bool:
        """Whether the request carries the cookie of a session that stands."""
        return self.session(request) is not None

    def stands(self, who: Who) -> bool:
        """Whether whoever asked before would still be answered: for what goes on after the answer began."""
        if who.session is not None:
            session = self.sessions.of_hash(who.session)
            now = None if session is None else self.who_of(session)
        else:
            now = self._tokens_owner(who)
        return now is not None and now.roles == who.roles and now.zones == who.zones

    def refused(self, who: Who, permission: Permission) -> None:
        """Somebody asked for what is not his to see or do: recorded."""
        at, now = (who.officer, permission.value), time.monotonic()
        with self._lock:
            if now - self._told.get(at, float("-inf")) < TOLD_EACH_S:
                return
            self._told[at] = now
        self._notes.failure("REFUSED_ATTEMPT", who.officer)

    def is_own_page(self, request: Request) -> bool:
        """Fetch metadata where the browser sends it, else the Origin; a request with neither is refused."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return request.headers.get("origin") in (own, *self._origins)

    def _of_cookie(self, request: Request) -> Who | None:
        session = self.sessions.find(request.cookies.get(COOKIE, ""))
        who = None if session is None else self.who_of(session)
        if session is None or who is None:
            return None
        if request.method not in SAFE and not self.is_own_page(request):
            raise Problem("other_site", 403)
        if is_act(request):
            self.sessions.touch(session)
        return who

    def who_of(self, session: Session) -> Who | None:
        """Who that is today; None where his post is over."""
        if not session.officer:
            return self._holder(session)
        officer = self._posts.officer(session.officer)
        if officer is None:
            if self._posts.is_over(session.officer):
                self.sessions.end(session.id_hash)
            return None
        return Who(
            officer=officer.id, roles=self._posts.roles(officer), cardholder=officer.cardholder,
            zones=self._posts.zones(officer), strength=session.strength, session=session.id_hash,
            is_fresh=session.is_fresh(now_ms()),
        )  # fmt: skip

    def _holder(self, session: Session) -> Who | None:
        """本人: who looks at what is his own, and nothing else."""
        own = session.cardholder
        if own is None or not self.is_holder(own):
            return None
        return Who(
            officer=own, roles=frozenset(), cardholder=own, zones=frozenset(), strength=session.strength,
            session=session.id_hash, is_fresh=False,
        )  # fmt: skip

    def _of_token(self, shown: str) -> Who | None:
        if not shown.startswith(PREFIX):
            return None
        token = self._tokens.find(shown)
        if token is None:
            return None
        officer = self._posts.officer(token.officer)
        if officer is None:
            return None
        return Who(
            officer=officer.id, roles=self._posts.roles(officer), cardholder=officer.cardholder,
            zones=self._posts.zones(officer), strength=1, is_fresh=False, scopes=token.scopes, token=token.id,
        )  # fmt: skip

    def _tokens_owner(self, who: Who) -> Who | None:
        if who.token is None or not self._tokens.stands(who.token):
            return None
        officer = self._posts.officer(who.officer)
        if officer is None:
            return None
        return Who(officer=officer.id, roles=self._posts.roles(officer), zones=self._posts.zones(officer))


def is_act(request: Request) -> bool:
    """Whether somebody did something: what a page fetches by itself keeps nobody signed in. Browsers say which is a
    navigation; what a script sends to change something is an act, and so is whatever a program without them asks.
    """
    mode = request.headers.get("sec-fetch-mode")
    return mode is None or mode == "navigate" or request.method not in SAFE
