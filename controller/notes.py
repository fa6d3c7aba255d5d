"""What the web process may ask to have recorded, and when such a request is refused: the table of notes.

Pure. A look at one person's history needs the person and a purpose (E-07); an export of several people a second
officer; forgetting somebody a reason out of a list, in which none speaks of suitability (E-01).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from controller.link.messages import FORGET_REASONS, PURPOSES, Note
from zones.ids import ID_PATTERN

COUNT_MAX: Final = 1_000_000_000
_ID: Final = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRule:
    """What one kind of note must and may carry. `purposes`: out of which list; empty: it has none."""

    purposes: tuple[str, ...] = ()
    needs_purpose: bool = False
    needs_cardholder: bool = False


SIGN_IN_WAYS: Final = ("passkey", "passkey_after_long", "password", "oidc", "oidc_two_factors", "link")
"""How somebody signed in. `passkey_after_long`: he had not for so long that nothing else would have done (A-30)."""

SIGN_IN_FAULTS: Final = (
    "passkey",  # not one that is registered, or not its answer
    "challenge",  # an answer to what was not asked, was asked too long ago, or was answered before
    "copied_passkey",  # it counts backwards: there are two of it
    "password",  # no such officer, another password, or a wrong or used code: nobody is told which
    "delayed",  # too many attempts: has to wait
    "inactive",  # has not signed in for long: only a passkey will do
    "not_in_post",
    "provider",  # the company's provider said no, or what cannot be believed
    "link",  # a one-time link that is over, was used, or never was
)
"""Why somebody was not signed in."""

NOTE_RULES: Final[Mapping[str, NoteRule]] = MappingProxyType(
    {
        "SIGN_IN": NoteRule(purposes=SIGN_IN_WAYS),
        "SIGN_IN_REFUSED": NoteRule(purposes=SIGN_IN_FAULTS),
        "SIGN_OUT": NoteRule(),
        "STEP_UP": NoteRule(),
        "SESSION_REVOKED": NoteRule(),
        "TOKEN_MADE": NoteRule(),
        "TOKEN_REVOKED": NoteRule(),
        "PASSWORD_SET": NoteRule(),
        "PASSWORD_DROPPED": NoteRule(),
        "LINK_MADE": NoteRule(purposes=("invitation", "own")),
        "NAME_CHANGED": NoteRule(),
        "VISIT_ARRIVED": NoteRule(needs_cardholder=True),
        "VISIT_LEFT": NoteRule(needs_cardholder=True),
        "VIEW_PERSONAL": NoteRule(purposes=PURPOSES, needs_purpose=True, needs_cardholder=True),
        "EXPORT": NoteRule(purposes=PURPOSES),
        "ROLL_CALL": NoteRule(purposes=("found", "missing"), needs_purpose=True, needs_cardholder=True),
        "DRILL": NoteRule(purposes=("begun", "ended"), needs_purpose=True),
        "REFUSED_ATTEMPT": NoteRule(),
        "FORGOTTEN": NoteRule(purposes=FORGET_REASONS, needs_purpose=True, needs_cardholder=True),
    }
)
NOTE_TYPES: Final = tuple(NOTE_RULES)


def complaint(note: Note) -> tuple[str, str, str] | None:
    """Why a note is refused, as (code, sentence, field at fault); None: it may be recorded. Every field of one that
    may be recorded is of a known form: nothing a stranger wrote is copied into the ledger.
    """
    rule = NOTE_RULES.get(note.type)
    if rule is None:
        return "protocol", f"type must be one of {', '.join(NOTE_TYPES)}", "type"
    return _of_purpose(note, rule) or _of_people(note) or _of_count(note)


def _of_purpose(note: Note, rule: NoteRule) -> tuple[str, str, str] | None:
    if note.cardholder is None and rule.needs_cardholder:
        return "no_purpose", f"{note.type} must say about whom", "cardholder"
    if note.purpose is None:
        if not rule.needs_purpose:
            return None
        return "no_purpose", f"say for what: one of {', '.join(rule.purposes)}", "purpose"
    if note.purpose in rule.purposes:
        return None
    if not rule.purposes:
        return "protocol", f"{note.type} has no purpose", "purpose"
    return "no_purpose", f"purpose must be one of {', '.join(rule.purposes)}", "purpose"


def _of_people(note: Note) -> tuple[str, str, str] | None:
    if note.cardholder is not None and not _ID.fullmatch(note.cardholder):
        return "protocol", "cardholder must be a pseudonym: lower-case letters, digits and dashes", "cardholder"
    if note.second is None:
        return None
    if not _ID.fullmatch(note.second):
        return "protocol", "second must be lower-case letters, digits and dashes", "second"
    return ("two_people", "the second officer must be another one", "second") if note.second == note.officer else None


def _of_count(note: Note) -> tuple[str, str, str] | None:
    if note.count is None:
        return None
    if not 0 <= note.count <= COUNT_MAX:
        return "protocol", f"count must be a whole number up to {COUNT_MAX}", "count"
    if note.type == "EXPORT" and note.count > 1 and note.second is None:
        return "two_people", "an export about several people needs a second officer", "second"
    return None
