"""Signing in and out: what must be so before there is a session, and the record that stands before it.

Where a sign-in cannot be recorded there is none; signing out always works.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from api.access import Permission, Who
from api.problems import Problem
from api.signin.challenges import Challenges
from api.signin.delays import Delays
from api.signin.keeper import Keeper
from api.signin.last import LastSignIns
from api.signin.links import Links
from api.signin.notes import UNKNOWN, SignInNotes
from api.signin.oidc import Oidc
from api.signin.passkeys import AssertionSent, CountWentBack, Passkeys, challenge_in
from api.signin.passwords import Passwords
from api.signin.posts import Posts
from api.signin.sessions import Session, Sessions
from api.signin.tokens import Tokens
from zones.officers import OfficerKey

SIGN_IN = "sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Where a sign-in comes from: what the browser calls itself, its network address, the session that it had."""

    agent: str
    address: str
    was: Session | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIn:
    """All that signing in stands on."""

    keeper: Keeper
    posts: Posts
    sessions: Sessions
    tokens: Tokens
    notes: SignInNotes
    challenges: Challenges
    passkeys: Passkeys
    passwords: Passwords
    delays: Delays
    last: LastSignIns
    links: Links
    oidc: Oidc | None

    # -- passkeys -----------------------------------------------------------------------------------------------

    def by_passkey(self, sent: AssertionSent, browser: Browser) -> tuple[str, Session]:
        """A session for whoever's passkey answered. Raises Problem 401; 503 where it cannot be recorded."""
        key = self._shown(sent, SIGN_IN)
        officer = self.posts.officer(key.officer)
        if officer is None:
            self.notes.failure("SIGN_IN_REFUSED", key.officer, "not_in_post")
            raise Problem("passkey_wrong", 401)
        is_active = self.last.is_active(officer, self.posts.keys_of(officer.id))
        return self._opened(key.officer, "passkey" if is_active else "passkey_after_long", 3, browser)

    def step_up(self, sent: AssertionSent, session: Session) -> tuple[str, Session]:
        """The same session, from now on with a passkey shown. Raises Problem 401 where it is somebody else's."""
        key = self._shown(sent, step_up_of(session))
        if key.officer != session.officer:
            self.notes.failure("SIGN_IN_REFUSED", session.officer, "passkey")
            raise Problem("passkey_wrong", 401)
        self.notes.record("STEP_UP", key.officer)
        return self.sessions.step_up(session)

    def _opened(self, officer: str, way: str, strength: int, browser: Browser) -> tuple[str, Session]:
        """A new session in place of the one that this browser had; recorded first."""
        self.notes.record("SIGN_IN", officer, purpose=way)
        self.last.note(officer, browser.address)
        if browser.was is not None:
            self.sessions.end(browser.was.id_hash)
        return self.sessions.open(
            officer=officer, way=way, strength=strength, agent=browser.agent, is_fresh=strength == 3
        )  # fmt: skip

    def _shown(self, sent: AssertionSent, purpose: str) -> OfficerKey:
        challenge = challenge_in(sent.response.clientDataJSON)
        if not self.challenges.take(challenge, purpose):
            self.notes.failure("SIGN_IN_REFUSED", UNKNOWN, "challenge")
            raise Problem("challenge_over", 401)
        try:
            return self.passkeys.judge(sent, challenge)
        except CountWentBack as error:
            key = self.posts.key(str(error))
            self.notes.failure("SIGN_IN_REFUSED", key.officer if key else UNKNOWN, "copied_passkey")
            raise Problem("passkey_wrong", 401) from error
        except Problem:
            self.notes.failure("SIGN_IN_REFUSED", UNKNOWN, "passkey")
            raise

    # -- what is not as strong ----------------------------------------------------------------------------------

    def by_password(self, officer: str, password: str, code: str, browser: Browser) -> tuple[str, Session]:
        """A session for whoever knows both. Raises Problem 401, 403 `passkey_only`, 429, 503. Nobody learns whether
        there is such an officer.
        """
        by_officer = f"officer {officer}" + (browser.address if self.last.knows(officer, browser.address) else "")
        by_address = f"address {browser.address}"
        wait_s = self.delays.begin(by_officer, by_address)
        known = officer if any(one.id == officer for one in self.posts.officers()) else UNKNOWN
        if wait_s > 0:
            self.notes.failure("SIGN_IN_REFUSED", known, "delayed")
            wait = str(math.ceil(wait_s))
            raise Problem("sign_in_delayed", 429, headers={"Retry-After": wait}, members={"wait_s": int(wait)})
        is_right = self.passwords.is_right(officer, password, code)
        if not is_right or self.posts.officer(officer) is None:
            self.notes.failure("SIGN_IN_REFUSED", known, "password")
            raise Problem("sign_in_wrong", 401)
        self._refuse_inactive(officer)
        opened = self._opened(officer, "password", 2, browser)
        self.delays.succeed(by_officer, by_address)
        return opened

    def by_provider(self, officer: str, *, has_two: bool, browser: Browser) -> tuple[str, Session]:
        """A session for whom the company's provider named. Raises Problem 401, 403, 503."""
        if self.posts.officer(officer) is None:
            self.notes.failure("SIGN_IN_REFUSED", UNKNOWN, "not_in_post")
            raise Problem("oidc_failed", 401)
        self._refuse_inactive(officer)
        return self._opened(officer, "oidc_two_factors" if has_two else "oidc", 2 if has_two else 1, browser)

    def by_link(self, ticket: str, browser: Browser) -> tuple[str, Session]:
        """A session for a cardholder who looks at what is his own. Raises Problem 401, 429, 503."""
        wait_s = self.delays.begin(f"address {browser.address}")
        if wait_s > 0:
            raise Problem("sign_in_delayed", 429, headers={"Retry-After": str(math.ceil(wait_s))})
        found = self.links.look("own", ticket)
        if found is None:
            self.notes.failure("SIGN_IN_REFUSED", UNKNOWN, "link")
            raise Problem("link_over", 401)
        self.notes.record("SIGN_IN", found.who, purpose="link")
        if self.links.take("own", ticket) is None:
            raise Problem("link_over", 401)
        self.delays.succeed("", f"address {browser.address}")
        if browser.was is not None:
            self.sessions.end(browser.was.id_hash)
        return self.sessions.open(officer="", way="link", strength=1, agent=browser.agent, cardholder=found.who)

    def _refuse_inactive(self, officer: str) -> None:
        found = self.posts.officer(officer)
        if found is None or not self.last.is_active(found, self.posts.keys_of(officer)):
            self.notes.failure("SIGN_IN_REFUSED", officer, "inactive")
            raise Problem("passkey_only", 403)

    # -- ends ---------------------------------------------------------------------------------------------------

    def sign_out(self, session: Session) -> None:
        """End one's own session."""
        self.sessions.end(session.id_hash)
        self.notes.try_to("SIGN_OUT", session.officer or session.cardholder or UNKNOWN)

    def set_password(self, who: Who, password: str, code_secret: str, code: str) -> None:
        """A new password for whoever asks; sessions that the old one opened are over. Raises Problem."""
        self.passwords.refuse(who.officer, password, code_secret, code)
        self.notes.record("PASSWORD_SET", who.officer)
        self.passwords.set(who.officer, password, code_secret, code)
        self._end_those_by_password(who.officer)

    def drop_password(self, who: Who) -> None:
        """No password any more for whoever asks."""
        if self.passwords.drop(who.officer):
            self._end_those_by_password(who.officer)
            self.notes.try_to("PASSWORD_DROPPED", who.officer)

    def _end_those_by_password(self, officer: str) -> None:
        for session in self.sessions.all():
            if session.officer == officer and session.way == "password":
                self.sessions.end(session.id_hash)

    def revoke_token(self, who: Who, id: str) -> bool:
        """Revoke a token: one's own, or anybody's for who may; whether there was one."""
        token = next((one for one in self.tokens.all() if one.id == id), None)
        if token is None or not (token.officer == who.officer or who.may(Permission.OFFICERS)):
            return False
        self.tokens.end(id)
        self.notes.try_to(
            "TOKEN_REVOKED", who.officer, second=token.officer if token.officer != who.officer else None
        )  # fmt: skip
        return True

    def revoke(self, who: Who, name: str, *, others: bool) -> None:
        """End a session by its name: one's own, or with `others` anybody's. Raises Problem 404."""
        for session in self.sessions.all():
            if session.name == name and (others or (session.officer or session.cardholder) == who.officer):
                self.sessions.end(session.id_hash)
                second = session.officer if session.officer and session.officer != who.officer else None
                self.notes.try_to("SESSION_REVOKED", who.officer, second=second)
                return
        raise Problem("not_found", 404)


def step_up_of(session: Session) -> str:
    """What a challenge of a step-up is for: this session and no other."""
    return f"step-up {session.id_hash}"
