"""Passwords with one-time codes (RFC 6238): for an officer who has no passkey at hand. He may read and propose with
them, and sign nothing.

Set by the officer himself after he showed his passkey; there is none before that. Whoever asks for somebody who has no
password waits as long, and is told the same, as with a wrong one.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, update
from sqlalchemy.engine import CursorResult
from sqlmodel import Session, col

from api.problems import Problem
from api.signin.posts import now_ms
from api.signin.tables import PasswordRow

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 128
STEP_S: Final = 30
STEPS_ASIDE: Final = 1
"""A phone's clock may be off by so many codes."""

AT_ONCE_MAX: Final = 2
"""Passwords that are checked at the same time: each takes 19 MiB and most of a core."""

TURN_S_MAX: Final = 2.0

_NAMES: Final = ("sekisho", "関所", "せきしょ", "security", "admin", "officer", "welcome", "company")
_COMMON: Final = (
    *("password", "passw0rd", "p@ssword", "p@ssw0rd", "letmein", "iloveyou", "qwerty", "qwertyuiop", "asdfghjkl"),
    *("zxcvbnm", "1qaz2wsx", "1q2w3e4r", "abcdefgh", "12345678", "123456789", "1234567890", "87654321", "sakura"),
    *("himitsu", "pasuwado", "パスワード", "monkey", "dragon", "football", "baseball", "princess", "sunshine"),
    *("masterkey", "trustno1", "changeme", "default", "secret"),
)
_hasher: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODYS: Final = "$argon2id$v=19$m=19456,t=2,p=1$c2VraXNob3Nla2lzaG8$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""What is checked for somebody who has no password, so that it takes as long."""


def refuse_weak_password(password: str, officer: str) -> None:
    """Raises Problem 422 for what is too short, or what is tried first."""
    plain = unicodedata.normalize("NFKC", password).casefold()
    rest = plain
    for word in sorted(
        {officer.casefold(), *re.findall(r"[a-z]{3,}", officer.casefold()), *_NAMES, *_COMMON}, key=len, reverse=True
    ):
        rest = rest.replace(word.casefold(), "")
    # what is left when all that everybody tries is taken away must be a password of its own
    is_weak = len(set(rest)) < 6 or len(re.sub(r"[\d\W_]", "", rest)) < 4
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX or is_weak or re.search(r"(.)\1{4,}", rest):
        raise Problem("password_weak", 422)


class Passwords:
    """Keeps and checks them. `clock`: milliseconds."""

    def __init__(self, engine: Engine, clock: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock = clock
        self._busy = threading.BoundedSemaphore(AT_ONCE_MAX)

    def set(self, officer: str, password: str, code_secret: str, code: str) -> None:
        """Keep a new password, and the secret of codes, of which `code` shows that the phone has it. Raises as
        `refuse`.
        """
        step = self.refuse(officer, password, code_secret, code)
        hashed = self._hashed(password)
        row = PasswordRow(
            officer=officer, hashed=hashed, code_secret=code_secret, last_step=step, set_ms=self._clock()
        )  # fmt: skip
        with Session(self._engine) as session:
            session.merge(row)
            session.commit()

    def refuse(self, officer: str, password: str, code_secret: str, code: str) -> int:
        """Raises Problem 422 for a weak password or a wrong code; the step of the code."""
        refuse_weak_password(password, officer)
        step = self._step_of(code_secret, code)
        if step is None:
            raise Problem("sign_in_wrong", 422)
        return step

    def drop(self, officer: str) -> bool:
        """Forget an officer's password; whether there was one."""
        with Session(self._engine) as session:
            gone = session.get(PasswordRow, officer) is not None
            session.execute(delete(PasswordRow).where(col(PasswordRow.officer) == officer))
            session.commit()
        return gone

    def set_ms(self, officer: str) -> int | None:
        """When an officer set his password; None: he has none."""
        with Session(self._engine) as session:
            row = session.get(PasswordRow, officer)
            return None if row is None else row.set_ms

    def is_right(self, officer: str, password: str, code: str) -> bool:
        """Whether password and code are right; the code is used up by that. Takes as long for whoever has none."""
        with Session(self._engine) as session:
            row = session.get(PasswordRow, officer)
        hashed = row.hashed if row is not None else _NOBODYS
        is_password = self._verifies(hashed, password)
        step = self._step_of(row.code_secret if row is not None else pyotp.random_base32(), code)
        if row is None or not is_password or step is None or step <= row.last_step:
            return False
        if not self._use_up(officer, step):
            return False
        if _hasher.check_needs_rehash(hashed):
            self._keep_again(officer, password)
        return True

    def _use_up(self, officer: str, step: int) -> bool:
        """Take a code, once: of two at the same moment one finds it taken."""
        take = update(PasswordRow).where(col(PasswordRow.officer) == officer, col(PasswordRow.last_step) < step)
        with Session(self._engine) as session:
            done = session.execute(take.values(last_step=step))
            session.commit()
        assert isinstance(done, CursorResult)
        return done.rowcount == 1

    def _keep_again(self, officer: str, password: str) -> None:
        with Session(self._engine) as session:
            session.execute(
                update(PasswordRow).where(col(PasswordRow.officer) == officer).values(hashed=self._hashed(password))
            )
            session.commit()

    def _hashed(self, password: str) -> str:
        with self._turn():
            return _hasher.hash(_normal(password))

    def _verifies(self, hashed: str, password: str) -> bool:
        with self._turn():
            try:
                return _hasher.verify(hashed, _normal(password))
            except (VerificationError, InvalidHashError):
                return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One of the few that are checked at once. Raises Problem 503: attempts that wait would hold up everybody."""
        if not self._busy.acquire(timeout=TURN_S_MAX):
            raise Problem("busy", 503, headers={"Retry-After": "5"})
        try:
            yield
        finally:
            self._busy.release()

    def _step_of(self, code_secret: str, code: str) -> int | None:
        """Which step's code this is, of those about now."""
        now = self._clock() // 1000 // STEP_S
        codes = pyotp.TOTP(code_secret)
        found = [
            step for step in range(now - STEPS_ASIDE, now + STEPS_ASIDE + 1)
            if pyotp.utils.strings_equal(codes.generate_otp(step), code)
        ]  # fmt: skip
        return found[-1] if found else None


def _normal(password: str) -> bytes:
    """The same octets from every keyboard."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
