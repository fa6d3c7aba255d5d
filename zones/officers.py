"""Who answers for the rules: officers, what they may do (D-07), and the keys that they sign changes with.

Rows of the policy like any other: an officer is named by two officers who were there before, the first two at the
console. What each role may sign is in `zones.authority`; what each may look at is the web process's own table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from zones.ids import CardholderId, OfficerId, OfficerKeyId, ZoneId


class Role(StrEnum):
    """A post (requirements §3.5). Whoever holds a card and no post is 本人 and sees what is his own."""

    GUARD = "GUARD"
    LINE = "LINE"
    WORK_MANAGER = "WORK_MANAGER"
    PROTECTION_OFFICER = "PROTECTION_OFFICER"
    AUDITOR = "AUDITOR"
    ENGINEER = "ENGINEER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Somebody with a post, from one day to another, by pseudonym. `deputises`: posts that he fills in for while they
    are held by somebody; a post that nobody holds in full is vacant, whoever deputises. `zones`: what a WORK_MANAGER
    answers for, each with all that is nested in it. `cardholder`: the same person as one who enters (A-31).
    """

    id: OfficerId
    roles: tuple[Role, ...]
    from_on: date
    until_on: date
    deputises: tuple[Role, ...] = ()
    zones: tuple[ZoneId, ...] = ()
    cardholder: CardholderId | None = None
    ended_on: date | None = None

    def is_in_post(self, day: date) -> bool:
        """Whether he answers for anything on this day."""
        return self.from_on <= day <= self.until_on and (self.ended_on is None or day < self.ended_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerKey:
    """The public half of a passkey: `credential` is its WebAuthn id, `public_key` its COSE key, both in hex."""

    id: OfficerKeyId
    officer: OfficerId
    credential: str
    public_key: str
    enrolled_on: date
    ended_on: date | None = None
