"""Signing in and out: what must be so before there is a session, and the record that stands before it.

Where a sign-in cannot be recorded there is none; signing out always works.
"""

from __future__ import annotations

from dataclasses import dataclass

from api.access import Who
from api.problems import Problem
from api.signin.challenges import Challenges
from api.signin.keeper import Keeper
from api.signin.notes import UNKNOWN, SignInNotes
from api.signin.passkeys import AssertionSent, CountWentBack, Passkeys, challenge_in
from api.signin.posts import Posts
from api.signin.sessions import Session, Sessions
from api.signin.tokens import Tokens
from zones.officers import OfficerKey

SIGN_IN = "sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All that signing in stands on."""

    keeper: Keeper
    posts: Posts
    sessions: Sessions
    tokens: Tokens
    notes: SignInNotes
    challenges: Challenges
    passkeys: Passkeys

    # -- passkeys -----------------------------------------------------------------------------------------------

    def by_passkey(self, sent: AssertionSent, agent: str, was: Session | None) -> tuple[str, Session]:
        """A session for whoever's passkey answered. Raises Problem 401; 503 where it cannot be recorded."""
        key = self._shown(sent, SIGN_IN)
        if self.posts.officer(key.officer) is None:
            self.notes.failure("SIGN_IN_REFUSED", key.officer, "not_in_post")
            raise Problem("passkey_wrong", 401)
        self.notes.record("SIGN_IN", key.officer, purpose="passkey")
        return self.opened(key.officer, "passkey", 3, agent, was)

    def step_up(self, sent: AssertionSent, session: Session) -> tuple[str, Session]:
        """The same session, from now on with a passkey shown. Raises Problem 401 where it is somebody else's."""
        key = self._shown(sent, step_up_of(session))
        if key.officer != session.officer:
            self.notes.failure("SIGN_IN_REFUSED", session.officer, "passkey")
            raise Problem("passkey_wrong", 401)
        self.notes.record("STEP_UP", key.officer)
        return self.sessions.step_up(session)

    def opened(
        self, officer: str, way: str, strength: int, agent: str, was: Session | None, cardholder: str | None = None
    ) -> tuple[str, Session]:  # fmt: skip
        """A new session in place of the one that this browser had."""
        if was is not None:
            self.sessions.end(was.id_hash)
        return self.sessions.open(
            officer=officer, way=way, strength=strength, agent=agent, cardholder=cardholder, is_fresh=strength == 3
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

    # -- ends ---------------------------------------------------------------------------------------------------

    def sign_out(self, session: Session) -> None:
        """End one's own session."""
        self.sessions.end(session.id_hash)
        self.notes.try_to("SIGN_OUT", session.officer or session.cardholder or UNKNOWN)

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
