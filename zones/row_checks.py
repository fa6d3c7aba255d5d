"""What one row of a policy must be in itself, before anything is said about the rows around it.

Every check raises EditRefused naming the field and what to do. An end (`ended_on`) is never refused for its date:
taking away must always be possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from zones.ids import ID_PATTERN
from zones.people import Cardholder, Clearance, Credential, CredentialState, NeedToKnow, RosterEntry
from zones.places import AntiPassback, Portal, Schedule, Zone, ZoneKind, ZoneStatus
from zones.policy import TABLE_OF, EditRefused, Row
from zones.terms import months_later, term_of

RELEASE_MS_MAX: Final = 60_000
"""A longer pulse would be an unlocked door under another name (P1, B-26)."""

HELD_AFTER_MS_MAX: Final = 3_600_000
OCCUPANCY_MAX: Final = 100_000
NAME_CHARACTERS_MAX: Final = 80
NEED_TO_KNOW_MONTHS_MAX: Final = 12

FIRST_DAY: Final = date(2000, 1, 1)
LAST_DAY: Final = date(2199, 12, 31)

_ID = re.compile(ID_PATTERN)
_NUMBER_HASH = re.compile(r"[0-9a-f]{64}")
_LAST4 = re.compile(r"[0-9A-Fa-f]{4}")
_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:-]{0,63}")

FIXED: Final[Mapping[type[Row], tuple[str, ...]]] = MappingProxyType(
    {
        Credential: ("cardholder", "number_hash", "last4"),
        Clearance: ("cardholder", "basis", "notified_on", "recorded_by"),
        NeedToKnow: ("cardholder", "item"),
        RosterEntry: ("cardholder", "zone"),
    }
)
"""Fields that a row keeps for ever: another value would be another right. End the row and put a new one (A-02)."""


def refusal(row: Row, field: str, why: str) -> EditRefused:
    """The refusal of `row` for its `field`."""
    return EditRefused(TABLE_OF[type(row)], str(row.id), field, why)


def check_row(row: Row) -> None:
    """Raises EditRefused where the row in itself is not in order."""
    if not _ID.fullmatch(row.id):
        raise refusal(row, "id", "is not lower-case letters, digits and dashes, 1 to 64 of them")
    CHECKS[type(row)](row)


def check_change(before: Row, after: Row) -> None:
    """Raises EditRefused where `after` may not replace `before`."""
    for name in FIXED.get(type(after), ()):
        if getattr(before, name) != getattr(after, name):
            raise refusal(after, name, "never changes; end this row and put a new one")
    match before, after:
        case Clearance(confirmed_by=str() as confirmed_by), Clearance() if after.confirmed_by != confirmed_by:
            raise refusal(after, "confirmed_by", "never changes once it is set; end this row and put a new one")
        case Credential(state=CredentialState.DESTROYED), Credential() if after.state is not CredentialState.DESTROYED:
            raise refusal(after, "state", "was DESTROYED, which is final; issue another credential")
        case _:
            pass


def _schedule(row: Schedule) -> None:
    for window in row.windows:
        if not 0 <= window.weekday <= 6:
            raise refusal(row, "windows", f"weekday {window.weekday} is not 0 (Monday) to 6 (Sunday)")
        if not 0 <= window.from_min < window.to_min <= 1440:
            span = f"{window.from_min} to {window.to_min}"
            raise refusal(row, "windows", f"minutes {span} do not lie in order within one day (0 to 1440)")


def _zone(row: Zone) -> None:
    _names(row, row.name_ja, row.name_en)
    for item in row.items:
        if not _ID.fullmatch(item):
            raise refusal(row, "items", f"{item!r} is not lower-case letters, digits and dashes, 1 to 64 of them")
    for name in ("items", "accepted_bases"):
        values = getattr(row, name)
        if len(set(values)) != len(values):
            raise refusal(row, name, "names something twice")
    if row.min_factors is not None and not int(row.kind) <= row.min_factors <= 3:
        raise refusal(row, "min_factors", f"must be {int(row.kind)} (what {row.kind.name} asks for) to 3")
    if row.occupancy_max is not None and not 1 <= row.occupancy_max <= OCCUPANCY_MAX:
        raise refusal(row, "occupancy_max", f"must be 1 to {OCCUPANCY_MAX}, or absent for no limit")
    if row.is_protected and not row.items:
        raise refusal(row, "items", "a zone of this kind names the information items handled in it")
    if row.is_protected and not row.accepted_bases:
        raise refusal(row, "accepted_bases", "a zone with information items names the clearances that count there")
    if row.kind is ZoneKind.EXCLUSION and row.anti_passback is not AntiPassback.HARD:
        raise refusal(row, "anti_passback", "must be HARD in an EXCLUSION zone (requirements §3.3)")


def _zone_status(_row: ZoneStatus) -> None:
    """Nothing in itself: the state is one of its kind, and the zone is held as a reference."""


def _portal(row: Portal) -> None:
    _names(row, row.name_ja, row.name_en)
    if row.outer == row.inner:
        raise refusal(row, "inner", "is the same zone as outer; a portal joins two zones")
    if not 0 < row.release_ms <= RELEASE_MS_MAX:
        raise refusal(row, "release_ms", f"must be 1 to {RELEASE_MS_MAX}")
    if not 0 < row.held_after_ms <= HELD_AFTER_MS_MAX:
        raise refusal(row, "held_after_ms", f"must be 1 to {HELD_AFTER_MS_MAX}")
    if row.is_escape and not row.has_rex:
        raise refusal(row, "has_rex", "an escape portal opens from inside without a card: it needs a REX (D-24)")


def _cardholder(row: Cardholder) -> None:
    _day(row, "ended_on", row.ended_on)


def _credential(row: Credential) -> None:
    if not _NUMBER_HASH.fullmatch(row.number_hash):
        raise refusal(row, "number_hash", "is not a keyed hash, 64 lower-case hex digits; numbers are never kept")
    if not _LAST4.fullmatch(row.last4):
        raise refusal(row, "last4", "is not the last four hex digits of the card number")


def _clearance(row: Clearance) -> None:
    _day(row, "notified_on", row.notified_on)
    _day(row, "ended_on", row.ended_on)
    derived = term_of(row.basis, row.notified_on)
    if row.last_valid_on != derived:
        raise refusal(row, "last_valid_on", f"must be {derived}, derived from basis and notified_on (§3.1)")
    if not _OFFICER.fullmatch(row.recorded_by):
        raise refusal(row, "recorded_by", "is not an officer's identifier")
    if row.confirmed_by is not None and not _OFFICER.fullmatch(row.confirmed_by):
        raise refusal(row, "confirmed_by", "is not an officer's identifier")
    if row.confirmed_by == row.recorded_by:
        raise refusal(row, "confirmed_by", "must be another officer than recorded_by")


def _need_to_know(row: NeedToKnow) -> None:
    _period(row, row.from_on, row.until_on)
    _day(row, "ended_on", row.ended_on)
    if row.until_on > months_later(row.from_on, NEED_TO_KNOW_MONTHS_MAX):
        raise refusal(row, "until_on", f"must be within {NEED_TO_KNOW_MONTHS_MAX} months of from_on (§3.2)")
    if not _ID.fullmatch(row.item):
        raise refusal(row, "item", "is not an information item's number: lower-case letters, digits and dashes")
    if not _PURPOSE.fullmatch(row.purpose_code):
        raise refusal(row, "purpose_code", "is a code, 1 to 32 letters, digits, _ and -; no free text (E-01)")


def _roster(row: RosterEntry) -> None:
    _period(row, row.from_on, row.until_on)
    _day(row, "ended_on", row.ended_on)
    if not row.from_on <= row.review_on <= row.until_on:
        raise refusal(row, "review_on", "must lie from from_on to until_on")


def _period(row: NeedToKnow | RosterEntry, from_on: date, until_on: date) -> None:
    _day(row, "from_on", from_on)
    _day(row, "until_on", until_on)
    if until_on < from_on:
        raise refusal(row, "until_on", "is before from_on")


def _day(row: Row, field: str, day: date | None) -> None:
    if day is not None and not FIRST_DAY <= day <= LAST_DAY:
        raise refusal(row, field, f"must lie from {FIRST_DAY} to {LAST_DAY}")


def _names(row: Zone | Portal, name_ja: str, name_en: str) -> None:
    for field, name in (("name_ja", name_ja), ("name_en", name_en)):
        if not (0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()):
            raise refusal(row, field, f"must be 1 to {NAME_CHARACTERS_MAX} printable characters")


CHECKS: Final[Mapping[type[Row], Callable[[Any], None]]] = MappingProxyType(
    {
        Schedule: _schedule,
        Zone: _zone,
        ZoneStatus: _zone_status,
        Portal: _portal,
        Cardholder: _cardholder,
        Credential: _credential,
        Clearance: _clearance,
        NeedToKnow: _need_to_know,
        RosterEntry: _roster,
    }
)
