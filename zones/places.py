"""Where: zones nested as a tree, the portals between them, and when they may be entered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from zones.ids import AccessPointId, InformationItemId, PortalId, ScheduleId, ZoneId
from zones.people import Basis


class ZoneKind(IntEnum):
    """一般区域 < 管理区域 < 制限区域 < 取扱区画; the value is also the number of factors it asks for (A-33)."""

    UNRESTRICTED = 0
    CONTROLLED = 1
    LIMITED = 2
    EXCLUSION = 3


class ZoneState(StrEnum):
    """Whether a zone is in use (C-01). SECURED admits nobody."""

    SECURED = "SECURED"
    OPEN_ATTENDED = "OPEN_ATTENDED"
    OPEN_UNATTENDED = "OPEN_UNATTENDED"


class AntiPassback(StrEnum):
    """What a second entry without an exit does: nothing, an alarm, or a refusal (B-06). Exits are never held."""

    NONE = "NONE"
    SOFT = "SOFT"
    HARD = "HARD"


class Direction(StrEnum):
    """Which way one passes a portal: IN asks for rights, OUT asks for nothing (P3)."""

    IN = "IN"
    OUT = "OUT"


class LockType(StrEnum):
    """What the lock does without power (D-26)."""

    FAIL_SAFE = "FAIL_SAFE"
    FAIL_SECURE = "FAIL_SECURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Minutes of one weekday (0 = Monday, in Japan) from `from_min` up to, not including, `to_min` (at most 1440)."""

    weekday: int
    from_min: int
    to_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a zone may be entered, by the week. Holidays come with the next issue and enter as data."""

    id: ScheduleId
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A bounded area with what it asks of those who enter.

    `items`: information items handled here (any one of them satisfies need-to-know). `accepted_bases`: clearances
    that count here. `uid_accepted`: a recorded deviation, a card number that proves nothing is taken all the same.
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

    @property
    def required_factors(self) -> int:
        """Factors asked for: the kind's, or more where the site says so (never fewer)."""
        return max(int(self.kind), self.min_factors or 0)

    @property
    def is_protected(self) -> bool:
        """Whether protected information is handled here, so that all three keys are asked for (P1)."""
        return self.kind is ZoneKind.EXCLUSION or bool(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneStatus:
    """The state a zone was last put in. A row of its own, so that a new site file does not re-open a secured zone."""

    id: ZoneId
    state: ZoneState


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A controlled opening between two zones. `outer` is the side one enters from, `inner` the side one enters.

    Times in milliseconds: `release_ms` strike pulse, `held_after_ms` open too long (B-08 recommends at least 10 s).
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
