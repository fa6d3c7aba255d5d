"""What one row of a policy must be in itself, before anything is said about the rows around it.

Every check raises EditRefused naming the field and what to do. An end (`ended_on`) is never refused for its date:
taking away must always be possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final

from zones.ids import ID_PATTERN
from zones.officers import Officer, OfficerKey, Role
from zones.people import (
    Basis,
    Cardholder,
    Clearance,
    Credential,
    CredentialState,
    Declaration,
    InformationItem,
    NeedToKnow,
    Override,
    Pin,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import (
    AntiPassback,
    Calendar,
    DeviceStatus,
    Portal,
    PortalMode,
    PortalStatus,
    Schedule,
    SiteStatus,
    Walk,
    Zone,
    ZoneKind,
    ZoneStatus,
)
from zones.policy import SITE, TABLE_OF, EditRefused, Row
from zones.terms import months_later, term_of

RELEASE_MS_MAX: Final = 60_000
"""A longer pulse would be an unlocked door under another name (P1, B-26)."""

HELD_AFTER_MS_MAX: Final = 3_600_000
OCCUPANCY_MAX: Final = 100_000
NAME_CHARACTERS_MAX: Final = 80
NEED_TO_KNOW_MONTHS_MAX: Final = 12

FACTORS_MAX: Final = 3
COMPANY_LEVEL_MAX: Final = 9
THREAT_LEVEL_MAX: Final = 2
GRADE_MAX: Final = 4
ESCORT_RATIO_MAX: Final = 20
DUAL_WINDOW_MS: Final = (1_000, 120_000)
"""Two people present their cards within this time: long enough to be done, short enough to be one entry (B-04)."""

ANTI_PASSBACK_MS: Final = (1_000, 86_400_000)
POLICY_AGE_MS: Final = (1_000, 30 * 86_400_000)
WALK_MS_MAX: Final = 3_600_000
HELD_EXTRA_MS_MAX: Final = 600_000
OVERRIDE_MS_MAX: Final = 240 * 60_000
"""Break-glass lasts four hours at most; a longer need is a roster, and goes its way (A-32)."""

BRIEF_DAYS_MAX: Final = 366
"""A course, a declaration and a visit are renewed every year at the latest."""

FIRST_DAY: Final = date(2000, 1, 1)
LAST_DAY: Final = date(2199, 12, 31)
LAST_MS: Final = 7_258_118_400_000
"""The end of LAST_DAY, in milliseconds since 1970."""

CARD_SCHEMES: Final = frozenset({"desfire_ev1", "desfire_ev2", "ntag424", "pkoc", "felica_lite_s", "aliro"})
"""How a card can prove itself: what readers can ask for, and nothing else (docs/wire/cards.md)."""

_ID = re.compile(ID_PATTERN)
_NUMBER_HASH = re.compile(r"[0-9a-f]{64}")
_LAST4 = re.compile(r"[0-9A-Fa-f]{4}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:-]{0,63}")
_SALT = re.compile(r"(?:[0-9a-f]{2}){16,64}")
_PIN_HASH = re.compile(r"(?:[0-9a-f]{2}){32,64}")

_CREDENTIAL = re.compile(r"(?:[0-9a-f]{2}){16,1023}")
_PUBLIC_KEY = re.compile(r"(?:[0-9a-f]{2}){32,1024}")

EDITORS: Final = frozenset({Role.WORK_MANAGER, Role.PROTECTION_OFFICER})
"""Posts that change rosters; whoever administers the log holds none of them (A-29)."""

_IN_WORDS: Final = "is a code, 1 to 32 letters, digits, _ and -; no free text (E-01)"

FIXED: Final[Mapping[type[Row], tuple[str, ...]]] = MappingProxyType(
    {
        Cardholder: ("kind",),
        Credential: ("cardholder", "number_hash", "last4"),
        Clearance: ("cardholder", "basis", "notified_on", "recorded_by", "level"),
        NeedToKnow: ("cardholder", "item"),
        RosterEntry: ("cardholder", "zone"),
        Training: ("cardholder", "course"),
        Declaration: ("cardholder", "zone"),
        Visit: ("cardholder", "host", "zones"),
        Override: ("zone", "cardholders", "reason_code", "started_by", "approved_by", "from_ms", "until_ms"),
        OfficerKey: ("officer", "credential", "public_key", "enrolled_on"),
    }
)
"""Fields that a row keeps for ever: another value would be another right. End the row and put a new one (A-02)."""

ONCE: Final[Mapping[type[Row], tuple[str, ...]]] = MappingProxyType(
    {
        Clearance: ("confirmed_by",),
        NeedToKnow: ("requested_by", "approved_by_1", "approved_by_2"),
        Override: ("ended_ms",),
        Officer: ("cardholder",),
        OfficerKey: ("ended_on",),
    }
)
"""Fields that are set once and then kept: who answered for a right is not rewritten."""


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
    for name in ONCE.get(type(after), ()):
        if getattr(before, name) not in (None, getattr(after, name)):
            raise refusal(after, name, "never changes once it is set; end this row and put a new one")
    match before, after:
        case Credential(state=CredentialState.DESTROYED), Credential() if after.state is not CredentialState.DESTROYED:
            raise refusal(after, "state", "was DESTROYED, which is final; issue another credential")
        case _:
            pass


# -- places ------------------------------------------------------------------------------------------------------------


def _calendar(row: Calendar) -> None:
    for day in row.days:
        _day(row, "days", day)
    if list(row.days) != sorted(set(row.days)):
        raise refusal(row, "days", "stand in order, each once")


def _schedule(row: Schedule) -> None:
    for window in row.windows:
        if not 0 <= window.weekday <= 6:
            raise refusal(row, "windows", f"weekday {window.weekday} is not 0 (Monday) to 6 (Sunday)")
        if not 0 <= window.from_min < window.to_min <= 1440:
            span = f"{window.from_min} to {window.to_min}"
            raise refusal(row, "windows", f"minutes {span} do not lie in order within one day (0 to 1440)")
        for day in (window.from_on, window.until_on):
            _day(row, "windows", day)
        if window.from_on is not None and window.until_on is not None and window.until_on < window.from_on:
            raise refusal(row, "windows", f"{window.until_on} is before {window.from_on}")
        if window.is_for_holidays and row.calendar is None:
            raise refusal(row, "calendar", "is missing: a window for holidays needs to know which days they are")


def _zone(row: Zone) -> None:
    _names(row, row.name_ja, row.name_en)
    for name in ("items", "accepted_bases", "training"):
        _no_repeats(row, name, getattr(row, name))
    for item in row.items:
        if not _ID.fullmatch(item):
            raise refusal(row, "items", f"{item!r} is not lower-case letters, digits and dashes, 1 to 64 of them")
    for course in row.training:
        _coded(row, "training", course)
    if row.is_protected and not row.items:
        raise refusal(row, "items", "a zone of this kind names the information items handled in it")
    if row.is_protected and not row.accepted_bases:
        raise refusal(row, "accepted_bases", "a zone with information items names the clearances that count there")
    if row.company_level and Basis.COMPANY not in row.accepted_bases:
        raise refusal(row, "company_level", "counts only where COMPANY is among accepted_bases")
    _within(row, "company_level", row.company_level, 0, COMPANY_LEVEL_MAX)
    if row.plan_ref is not None:
        _printable(row, "plan_ref", row.plan_ref)
    _zone_factors(row)
    _zone_people(row)


def _zone_factors(row: Zone) -> None:
    if row.min_factors is not None and not int(row.kind) <= row.min_factors <= FACTORS_MAX:
        raise refusal(row, "min_factors", f"must be {int(row.kind)} (what {row.kind.name} asks for) to {FACTORS_MAX}")
    if (row.raised_factors is None) is not (row.raised_outside is None):
        missing = "raised_outside" if row.raised_outside is None else "raised_factors"
        raise refusal(row, missing, "is missing: raised_factors are asked for outside the schedule raised_outside")
    _within(row, "raised_factors", row.raised_factors, row.required_factors, FACTORS_MAX)
    _within(row, "policy_age_ms_max", row.policy_age_ms_max, *POLICY_AGE_MS)


def _zone_people(row: Zone) -> None:
    """How many, who else, and in which order."""
    if row.occupancy_max is not None and not 1 <= row.occupancy_max <= OCCUPANCY_MAX:
        raise refusal(row, "occupancy_max", f"must be 1 to {OCCUPANCY_MAX}, or absent for no limit")
    _within(row, "occupancy_min", row.occupancy_min, 2, row.occupancy_max or OCCUPANCY_MAX)
    _within(row, "dual_window_ms", row.dual_window_ms, *DUAL_WINDOW_MS)
    _within(row, "escort_ratio", row.escort_ratio, 1, ESCORT_RATIO_MAX)
    if row.kind is ZoneKind.EXCLUSION and row.anti_passback not in (AntiPassback.HARD, AntiPassback.GLOBAL):
        raise refusal(row, "anti_passback", "must be HARD or GLOBAL in an EXCLUSION zone (requirements §3.3)")
    if (row.apb_ms is not None) is not (row.anti_passback is AntiPassback.TIMED):
        raise refusal(row, "apb_ms", "stands with anti_passback TIMED, and with no other")
    _within(row, "apb_ms", row.apb_ms, *ANTI_PASSBACK_MS)


def _zone_status(row: ZoneStatus) -> None:
    _two_people(row, "sanitised_by", "sanitised_confirmed_by")


def _site_status(row: SiteStatus) -> None:
    if row.id != SITE:
        raise refusal(row, "id", f"is not {SITE!r}: there is one site")
    _within(row, "threat_level", row.threat_level, 0, THREAT_LEVEL_MAX)
    _within(row, "notice_version", row.notice_version, 0, OCCUPANCY_MAX)


def _portal(row: Portal) -> None:
    _names(row, row.name_ja, row.name_en)
    if row.outer == row.inner:
        raise refusal(row, "inner", "is the same zone as outer; a portal joins two zones")
    _within(row, "release_ms", row.release_ms, 1, RELEASE_MS_MAX)
    _within(row, "held_after_ms", row.held_after_ms, 1, HELD_AFTER_MS_MAX)
    _within(row, "grade", row.grade, 1, GRADE_MAX)
    if row.held_warn_ms is not None and not 0 < row.held_warn_ms < row.held_after_ms:
        raise refusal(row, "held_warn_ms", f"must be 1 to less than held_after_ms ({row.held_after_ms})")
    if row.is_escape and not row.has_rex:
        raise refusal(row, "has_rex", "an escape portal opens from inside without a card: it needs a REX (D-24)")
    if row.id in row.interlock_with:
        raise refusal(row, "interlock_with", "names the portal itself, which could then never be released")
    _no_repeats(row, "interlock_with", row.interlock_with)
    if row.first_in and row.unlock_schedule is None:
        raise refusal(row, "first_in", "needs an unlock_schedule: it says when that begins")


def _portal_status(row: PortalStatus) -> None:
    _at_ms(row, "until_ms", row.until_ms)
    if row.mode is PortalMode.ATTENDED and row.until_ms is None:
        raise refusal(row, "until_ms", "is missing: nobody stands by for ever")


def _device_status(row: DeviceStatus) -> None:
    _two_people(row, "restored_by", "confirmed_by")
    if row.is_trusted and row.confirmed_by is None:
        raise refusal(row, "confirmed_by", "is missing: trust comes back by two people (A-12)")


def _walk(row: Walk) -> None:
    if row.one == row.other:
        raise refusal(row, "other", "is the same portal as one; a walk leads somewhere")
    _within(row, "min_ms", row.min_ms, 1, WALK_MS_MAX)


# -- people ------------------------------------------------------------------------------------------------------------


def _item(row: InformationItem) -> None:
    for name in ("designated_until", "contract_until", "lifted_on"):
        _day(row, name, getattr(row, name))


def _cardholder(row: Cardholder) -> None:
    _day(row, "ended_on", row.ended_on)
    _within(row, "notice_version", row.notice_version, 0, OCCUPANCY_MAX)
    _within(row, "held_extra_ms", row.held_extra_ms, 0, HELD_EXTRA_MS_MAX)


def _credential(row: Credential) -> None:
    if not _NUMBER_HASH.fullmatch(row.number_hash):
        raise refusal(row, "number_hash", "is not a keyed hash, 64 lower-case hex digits; numbers are never kept")
    if not _LAST4.fullmatch(row.last4):
        raise refusal(row, "last4", "is not the last four hex digits of the card number")
    if row.scheme is not None and row.scheme not in CARD_SCHEMES:
        raise refusal(row, "scheme", f"is not one of {', '.join(sorted(CARD_SCHEMES))}, or absent for a bare number")


def _clearance(row: Clearance) -> None:
    _day(row, "notified_on", row.notified_on)
    _day(row, "ended_on", row.ended_on)
    derived = term_of(row.basis, row.notified_on)
    if row.last_valid_on != derived:
        raise refusal(row, "last_valid_on", f"must be {derived}, derived from basis and notified_on (§3.1)")
    _two_people(row, "recorded_by", "confirmed_by")
    if row.basis is Basis.COMPANY:
        _within(row, "level", row.level, 1, COMPANY_LEVEL_MAX)
    elif row.level:
        raise refusal(row, "level", "belongs to a COMPANY clearance; statute knows none")


def _need_to_know(row: NeedToKnow) -> None:
    _period(row, ("from_on", row.from_on), ("until_on", row.until_on))
    _day(row, "ended_on", row.ended_on)
    if row.until_on > months_later(row.from_on, NEED_TO_KNOW_MONTHS_MAX):
        raise refusal(row, "until_on", f"must be within {NEED_TO_KNOW_MONTHS_MAX} months of from_on (§3.2)")
    if not _ID.fullmatch(row.item):
        raise refusal(row, "item", "is not an information item's number: lower-case letters, digits and dashes")
    _coded(row, "purpose_code", row.purpose_code)
    if row.sponsor is not None:
        _officer(row, "sponsor", row.sponsor)
    _three_people(row)
    _day(row, "recert_on", row.recert_on)
    if row.recert_on is not None and row.recert_on < row.from_on:
        raise refusal(row, "recert_on", "is before from_on")


def _three_people(row: NeedToKnow) -> None:
    """Requested by one, approved by another and then a third, none of them the one it is for (§3.2)."""
    found: list[str] = [row.cardholder]
    before = None
    for name in ("requested_by", "approved_by_1", "approved_by_2"):
        who: str | None = getattr(row, name)
        if who is not None:
            _officer(row, name, who)
            if before is not None and getattr(row, before) is None:
                raise refusal(row, name, f"comes after {before}, which is missing")
            if who in found:
                raise refusal(row, name, "must be another than those before, and not the cardholder (§3.2)")
            found.append(who)
        before = name


def _roster(row: RosterEntry) -> None:
    _period(row, ("from_on", row.from_on), ("until_on", row.until_on))
    _day(row, "ended_on", row.ended_on)
    if not row.from_on <= row.review_on <= row.until_on:
        raise refusal(row, "review_on", "must lie from from_on to until_on")


def _training(row: Training) -> None:
    _coded(row, "course", row.course)
    _period(row, ("done_on", row.done_on), ("due_on", row.due_on), BRIEF_DAYS_MAX)


def _declaration(row: Declaration) -> None:
    _period(row, ("from_on", row.from_on), ("until_on", row.until_on), BRIEF_DAYS_MAX)
    _day(row, "ended_on", row.ended_on)
    if row.locker is not None:
        _coded(row, "locker", row.locker)
    for permit in row.permits:
        _coded(row, "permits", permit)
    _no_repeats(row, "permits", row.permits)


def _visit(row: Visit) -> None:
    if row.host == row.cardholder:
        raise refusal(row, "host", "is the visitor; somebody else answers for a visit (A-06)")
    if not row.zones:
        raise refusal(row, "zones", "is empty; a visit leads somewhere")
    _no_repeats(row, "zones", row.zones)
    _period(row, ("from_on", row.from_on), ("until_on", row.until_on), BRIEF_DAYS_MAX)
    _day(row, "ended_on", row.ended_on)


def _override(row: Override) -> None:
    if not row.cardholders:
        raise refusal(row, "cardholders", "is empty; break-glass names who may enter")
    _no_repeats(row, "cardholders", row.cardholders)
    _coded(row, "reason_code", row.reason_code)
    _two_people(row, "started_by", "approved_by")
    for name in ("from_ms", "until_ms", "ended_ms"):
        _at_ms(row, name, getattr(row, name))
    if not 0 < row.until_ms - row.from_ms <= OVERRIDE_MS_MAX:
        raise refusal(row, "until_ms", f"must lie after from_ms, within {OVERRIDE_MS_MAX // 60_000} minutes (A-32)")


def _pin(row: Pin) -> None:
    if not _SALT.fullmatch(row.salt):
        raise refusal(row, "salt", "is not lower-case hex digits of 16 bytes or more")
    for name in ("pin_hash", "duress_hash"):
        value: str | None = getattr(row, name)
        if value is not None and not _PIN_HASH.fullmatch(value):
            raise refusal(row, name, "is not a keyed hash in lower-case hex digits; PINs are never kept (B-13)")
    if row.duress_hash == row.pin_hash:
        raise refusal(row, "duress_hash", "is that of the PIN itself: every entry would be an alarm (B-10)")


# -- parts of rows ----------------------------------------------------------------------------------------------------


def _period(row: Row, first: tuple[str, date], last: tuple[str, date], days_max: int | None = None) -> None:
    for field, day in (first, last):
        _day(row, field, day)
    if last[1] < first[1]:
        raise refusal(row, last[0], f"is before {first[0]}")
    if days_max is not None and last[1] - first[1] > timedelta(days=days_max):
        raise refusal(row, last[0], f"must be within {days_max} days of {first[0]}")


def _day(row: Row, field: str, day: date | None) -> None:
    if day is not None and not FIRST_DAY <= day <= LAST_DAY:
        raise refusal(row, field, f"must lie from {FIRST_DAY} to {LAST_DAY}")


def _named_officer(row: Officer) -> None:
    _period(row, ("from_on", row.from_on), ("until_on", row.until_on))
    _day(row, "ended_on", row.ended_on)
    posts = {*row.roles, *row.deputises}
    _no_repeats(row, "roles", (*row.roles, *row.deputises))
    _no_repeats(row, "zones", row.zones)
    if not posts:
        raise refusal(row, "roles", "must hold a post, or deputise for one")
    if Role.AUDITOR in posts and posts & EDITORS:
        raise refusal(row, "roles", "whoever administers the log changes no registers (A-29)")
    if row.zones and Role.WORK_MANAGER not in posts:
        raise refusal(row, "zones", "belong to a WORK_MANAGER; other posts have none of their own")


def _officer_key(row: OfficerKey) -> None:
    _day(row, "enrolled_on", row.enrolled_on)
    _day(row, "ended_on", row.ended_on)
    if not _CREDENTIAL.fullmatch(row.credential):
        raise refusal(row, "credential", "must be 16 to 1023 bytes in lower-case hex")
    if not _PUBLIC_KEY.fullmatch(row.public_key):
        raise refusal(row, "public_key", "must be a COSE key of 32 to 1024 bytes in lower-case hex")


def _at_ms(row: Row, field: str, at_ms: int | None) -> None:
    if at_ms is not None and not 0 <= at_ms < LAST_MS:
        raise refusal(row, field, f"must lie from 1970 to {LAST_DAY}, in milliseconds since 1970")


def _within(row: Row, field: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise refusal(row, field, f"must be {least} to {most}")


def _two_people(row: Row, first: str, second: str) -> None:
    """Whoever stands in `second` confirms what somebody else did before."""
    one, other = getattr(row, first), getattr(row, second)
    for field, who in ((first, one), (second, other)):
        if who is not None:
            _officer(row, field, who)
    if other is not None and one is None:
        raise refusal(row, first, f"is missing: {second} confirms what {first} did")
    if other is not None and other == one:
        raise refusal(row, second, f"must be another officer than {first}")


def _officer(row: Row, field: str, who: str) -> None:
    if not _OFFICER.fullmatch(who):
        raise refusal(row, field, "is not an officer's identifier")


def _coded(row: Row, field: str, code: str) -> None:
    if not _CODE.fullmatch(code):
        raise refusal(row, field, _IN_WORDS)


def _no_repeats(row: Row, field: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise refusal(row, field, "names something twice")


def _names(row: Zone | Portal, name_ja: str, name_en: str) -> None:
    _printable(row, "name_ja", name_ja)
    _printable(row, "name_en", name_en)


def _printable(row: Row, field: str, text: str) -> None:
    if not (0 < len(text) <= NAME_CHARACTERS_MAX and text.isprintable()):
        raise refusal(row, field, f"must be 1 to {NAME_CHARACTERS_MAX} printable characters")


CHECKS: Final[Mapping[type[Row], Callable[[Any], None]]] = MappingProxyType(
    {
        Calendar: _calendar,
        Schedule: _schedule,
        Zone: _zone,
        ZoneStatus: _zone_status,
        SiteStatus: _site_status,
        Portal: _portal,
        PortalStatus: _portal_status,
        DeviceStatus: _device_status,
        Walk: _walk,
        InformationItem: _item,
        Cardholder: _cardholder,
        Credential: _credential,
        Pin: _pin,
        Clearance: _clearance,
        NeedToKnow: _need_to_know,
        RosterEntry: _roster,
        Training: _training,
        Declaration: _declaration,
        Visit: _visit,
        Override: _override,
        Officer: _named_officer,
        OfficerKey: _officer_key,
    }
)
