"""Where: zones nested as a tree, the portals between them, and when they may be entered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

from zones.ids import (
    AccessPointId,
    CalendarId,
    DeviceId,
    InformationItemId,
    PortalId,
    ScheduleId,
    WalkId,
    ZoneId,
)
from zones.people import Basis


class ZoneKind(IntEnum):
    """一般区域 < 管理区域 < 制限区域 < 取扱区画; the value is also the number of factors it asks for (A-33)."""

    UNRESTRICTED = 0
    CONTROLLED = 1
    LIMITED = 2
    EXCLUSION = 3


class ZoneState(StrEnum):
    """Whether a zone is in use (C-01). SECURED admits nobody, or two openers together where the zone has openers;
    OPEN_UNATTENDED, where it has openers, one of them.
    """

    SECURED = "SECURED"
    OPEN_ATTENDED = "OPEN_ATTENDED"
    OPEN_UNATTENDED = "OPEN_UNATTENDED"


class AntiPassback(StrEnum):
    """What a second entry without an exit does (B-06): nothing, an alarm, a refusal, a refusal for `apb_ms` after
    the first, or a refusal to whoever is certainly anywhere but where the portal leads from. Exits are never held.
    """

    NONE = "NONE"
    SOFT = "SOFT"
    HARD = "HARD"
    TIMED = "TIMED"
    GLOBAL = "GLOBAL"


class Direction(StrEnum):
    """Which way one passes a portal: IN asks for rights, OUT asks for nothing (P3)."""

    IN = "IN"
    OUT = "OUT"


class LockType(StrEnum):
    """What the lock does without power (D-26)."""

    FAIL_SAFE = "FAIL_SAFE"
    FAIL_SECURE = "FAIL_SECURE"


class LinkAssurance(IntEnum):
    """What protects the line between reader and controller (B-15), weakest first."""

    CLEAR = 0
    CONDUIT = 1
    ENCRYPTED = 2


class ExitHardware(StrEnum):
    """What lets people out when every computer is dead (P3). SOFTWARE alone is refused by the site lint."""

    SOFTWARE = "SOFTWARE"
    HANDLE = "HANDLE"
    HARDWIRED_REX = "HARDWIRED_REX"


class FireRelease(StrEnum):
    """Whether the fire alarm drops the lock by a wire of its own (D-25)."""

    NONE = "NONE"
    HARDWIRED = "HARDWIRED"


class PortalMode(StrEnum):
    """How a portal stands (docs/decision.md §4). CARD: each entry is decided. LOCKED: no entry by card. UNLOCKED: the
    strike is kept released, by schedule or by an officer. ATTENDED: the same while somebody stands by, for a time.
    """

    CARD = "CARD"
    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    ATTENDED = "ATTENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Minutes of one weekday (0 = Monday, in Japan) from `from_min` up to, not including, `to_min` (at most 1440).

    `from_on`, `until_on`: only between these days. `is_for_holidays`: counts on the calendar's holidays, whatever their
    weekday, and on no other day.
    """

    weekday: int
    from_min: int
    to_min: int
    from_on: date | None = None
    until_on: date | None = None
    is_for_holidays: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The holidays of the country and the company (祝日・会社休日), as days. They come in as values (B-03)."""

    id: CalendarId
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a zone may be entered, by the week. On a day of `calendar` only the windows for holidays count."""

    id: ScheduleId
    windows: tuple[Window, ...]
    calendar: CalendarId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A bounded area with what it asks of those who enter.

    `items`: information items handled here (any one of them satisfies need-to-know). `accepted_bases`: clearances
    that count here; `company_level`: the least level of a COMPANY clearance that does. `uid_accepted`: a recorded
    deviation, a card number that proves nothing is taken all the same; `attended_counts`: another, being attended by
    somebody cleared counts for one factor. `raised_factors` are asked for outside the schedule `raised_outside`.
    `dual_window_ms`: two people present their cards within this time. `occupancy_min`: nobody is alone in here.
    `escort_ratio`: visitors per escort. `policy_age_ms_max`: how old an unconfirmed policy may be. `is_vestibule`: a
    前室, one person at a time passes its inner portal. `plan_ref`: where the zone is drawn (D-31).
    """

    id: ZoneId
    name_ja: str
    name_en: str
    kind: ZoneKind
    parent: ZoneId | None = None
    items: tuple[InformationItemId, ...] = ()
    accepted_bases: tuple[Basis, ...] = ()
    min_factors: int | None = None
    uid_accepted: bool = False
    anti_passback: AntiPassback = AntiPassback.NONE
    occupancy_max: int | None = None
    schedule: ScheduleId | None = None
    company_level: int = 0
    raised_factors: int | None = None
    raised_outside: ScheduleId | None = None
    attended_counts: bool = False
    min_link: LinkAssurance = LinkAssurance.CLEAR
    apb_ms: int | None = None
    occupancy_min: int | None = None
    dual_window_ms: int | None = None
    needs_opener: bool = False
    training: tuple[str, ...] = ()
    declares_devices: bool = False
    visitors_allowed: bool = False
    escort_ratio: int = 4
    policy_age_ms_max: int | None = None
    is_vestibule: bool = False
    plan_ref: str | None = None

    @property
    def required_factors(self) -> int:
        """Factors asked for at all times: the kind's, or more where the site says so (never fewer)."""
        return int(self.kind) if self.min_factors is None else max(int(self.kind), self.min_factors)

    @property
    def is_protected(self) -> bool:
        """Whether protected information is handled here, so that all three keys are asked for (P1)."""
        return bool(self.items) or self.kind is ZoneKind.EXCLUSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneStatus:
    """The state a zone was last put in. A row of its own, so that a new site file does not re-open a secured zone.

    `sanitised_by`, `sanitised_confirmed_by`: the two people who recorded that all information items are put away
    (保全済).
    """

    id: ZoneId
    state: ZoneState
    is_locked_down: bool = False
    sanitised_by: str | None = None
    sanitised_confirmed_by: str | None = None

    @property
    def is_sanitised(self) -> bool:
        """Whether two people recorded that nothing protected lies open here (P1, A-19)."""
        return self.sanitised_by is not None and self.sanitised_confirmed_by is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStatus:
    """What holds for the whole site; its one row has the id `site`. `threat_level` 0 to 2 is added to every zone's
    factors (A-33). `notice_version`: the notice that everybody must have been handed (D-21).
    """

    id: str
    is_locked_down: bool = False
    threat_level: int = 0
    notice_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalStatus:
    """The mode an officer put a portal in, until `until_ms` (epoch) where bounded. No row: CARD, or by schedule."""

    id: PortalId
    mode: PortalMode
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """Whether a device is trusted since its tamper contact spoke; trust comes back by two people (A-12)."""

    id: DeviceId
    is_trusted: bool
    restored_by: str | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Nobody gets from one portal to the other, either way, in less than `min_ms` (B-23)."""

    id: WalkId
    one: PortalId
    other: PortalId
    min_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A controlled opening between two zones. `outer` is the side one enters from, `inner` the side one enters.

    Times in milliseconds: `release_ms` strike pulse, `held_after_ms` open too long (B-08 recommends at least 10 s),
    `held_warn_ms` before that the warning. `grade`: security grade 1 to 4 of IEC 60839-11-1 (B-01). `relay_in_reader`:
    the strike hangs on the reader itself, on the unsecure side (A-35). `unlock_schedule`: UNLOCKED in these hours, with
    `first_in` only once somebody was admitted in them. `interlock_with`: released only while these are closed (A-13).
    """

    id: PortalId
    name_ja: str
    name_en: str
    outer: ZoneId
    inner: ZoneId
    lock_type: LockType = LockType.FAIL_SECURE
    has_contact: bool = True
    has_entry_reader: bool = True
    has_exit_reader: bool = False
    has_rex: bool = True
    is_escape: bool = False
    release_ms: int = 3000
    held_after_ms: int = 20000
    held_warn_ms: int | None = None
    grade: int = 2
    reader_link: LinkAssurance = LinkAssurance.CLEAR
    relay_in_reader: bool = False
    exit_hardware: ExitHardware = ExitHardware.SOFTWARE
    fire_release: FireRelease = FireRelease.NONE
    interlock_with: tuple[PortalId, ...] = ()
    unlock_schedule: ScheduleId | None = None
    first_in: bool = False

    @property
    def entry(self) -> AccessPoint:
        """The side a cardholder enters from."""
        return AccessPoint(
            id=entry_id(self.id), portal=self.id, direction=Direction.IN, from_zone=self.outer, to_zone=self.inner
        )

    @property
    def exit(self) -> AccessPoint:
        """The side a cardholder leaves from."""
        return AccessPoint(
            id=exit_id(self.id), portal=self.id, direction=Direction.OUT, from_zone=self.inner, to_zone=self.outer
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPoint:
    """One side of a portal."""

    id: AccessPointId
    portal: PortalId
    direction: Direction
    from_zone: ZoneId
    to_zone: ZoneId


def entry_id(portal: PortalId) -> AccessPointId:
    """The access point by which one enters through `portal`."""
    return AccessPointId(f"{portal}.in")


def exit_id(portal: PortalId) -> AccessPointId:
    """The access point by which one leaves through `portal`."""
    return AccessPointId(f"{portal}.out")
