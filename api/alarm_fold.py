"""What one record says of alarms: that one is raised, that its cause is over, or that an officer said what it was.

Pure. `KINDS` is the one table of what an officer has to answer for: each kind with how its cause ends. A cause that
ends by itself (somebody tried a lost card) is over at once; a door that was forced is over when its contact says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final


class Of(Enum):
    """What an alarm is about, and so which of them are the same one, repeated."""

    PORTAL = "portal"
    ZONE = "zone"  # the zone, and who in it where that is told
    PLACE = "place"  # a device, line, key, sink, witness or row
    SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of alarm is of; whether its cause lasts until a record says that it is over."""

    of: Of
    lasts: bool = False
    outside: bool = False  # about somebody outside: a start of the controller says nothing of it


_P, _Z, _D, _S = Of.PORTAL, Of.ZONE, Of.PLACE, Of.SITE

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # at portals
        "DOOR_FORCED": Kind(of=_P, lasts=True),
        "DOOR_HELD": Kind(of=_P, lasts=True),
        "DOOR_OPEN_AT_START": Kind(of=_P, lasts=True),
        "TAILGATE": Kind(of=_P),
        "REX_SUSPECT": Kind(of=_P),
        "OUTPUT_FAILED": Kind(of=_P),
        "DURESS": Kind(of=_P),
        "CREDENTIAL_ALARM": Kind(of=_P),
        "APB_VIOLATION": Kind(of=_P),
        "PIN_LOCKED": Kind(of=_P),
        "UNUSUAL": Kind(of=_P),
        # in zones
        "OCCUPANCY_BELOW_MIN": Kind(of=_Z, lasts=True),
        "ESCORT_BROKEN": Kind(of=_Z, lasts=True),
        "ESCORT_RATIO": Kind(of=_Z, lasts=True),
        "ZONE_UNATTENDED": Kind(of=_Z, lasts=True),
        "NOT_CLOSED": Kind(of=_Z, lasts=True),
        "REVIEW_OVERDUE": Kind(of=_Z, lasts=True),
        "OVERRIDE_ENDED": Kind(of=_Z),
        # of the building
        "FIRE_ON": Kind(of=_S, lasts=True),
        "POWER_LOST": Kind(of=_D, lasts=True),
        "TAMPER": Kind(of=_D, lasts=True),
        "LINE_FAULT": Kind(of=_D, lasts=True),
        # devices and keys
        "DEVICE_OFFLINE": Kind(of=_D, lasts=True),
        "READER_UNTRUSTED": Kind(of=_D, lasts=True),
        "READER_REPLACED": Kind(of=_D),
        "OSDP_DOWNGRADE": Kind(of=_D),
        "OSDP_INSTALL_ON": Kind(of=_D, lasts=True),
        "READER_POWER_LOST": Kind(of=_D, lasts=True),
        "READS_REFUSED": Kind(of=_D),
        "KEYS_FAILED": Kind(of=_D),
        "KEY_ROTATION_DUE": Kind(of=_D, lasts=True),
        "COMMISSIONING": Kind(of=_D, lasts=True),
        # the controller, its ledger and who looks on
        "OFFICER_RESET": Kind(of=_S),
        "LOG_ADMIN_REFUSED": Kind(of=_S),
        "LOG_REVIEW_OVERDUE": Kind(of=_S, lasts=True),
        "RULE_ERROR": Kind(of=_S),
        "INBOX_FULL": Kind(of=_S),
        "CONFIG_REFUSED": Kind(of=_D),
        "SITE_REBUILT": Kind(of=_S),
        "SITE_STORE_FAILED": Kind(of=_S, lasts=True),
        "STORAGE_FAILED": Kind(of=_S, lasts=True),
        "STORAGE_75": Kind(of=_S, lasts=True),
        "STORAGE_90": Kind(of=_S, lasts=True),
        "TAIL_SET_ASIDE": Kind(of=_D),
        "CLOCK_UNTRUSTED": Kind(of=_S, lasts=True),
        "CLOCK_SET": Kind(of=_S),
        "CLOCK_SKEW": Kind(of=_D, lasts=True),
        "WITNESS_REFUSED": Kind(of=_D),
        "SINK_LOST": Kind(of=_D, lasts=True, outside=True),
    }
)
"""Record type -> what it asks of an officer. Every record of the class "alarm" stands here, or ends one that does."""

ENDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "DOOR_CLOSED": ("DOOR_FORCED", "DOOR_HELD", "DOOR_OPEN_AT_START"),
        "FIRE_RESET": ("FIRE_ON",),
        "POWER_RESTORED": ("POWER_LOST",),
        "TAMPER_ENDED": ("TAMPER",),
        "LINE_RESTORED": ("LINE_FAULT",),
        "DEVICE_ONLINE": ("DEVICE_OFFLINE",),
        "READER_APPROVED": ("READER_UNTRUSTED",),
        "OSDP_INSTALL_OFF": ("OSDP_INSTALL_ON",),
        "READER_POWER_RESTORED": ("READER_POWER_LOST",),
        "KEY_ROTATED": ("KEY_ROTATION_DUE",),
        "SITE_STORE_RESTORED": ("SITE_STORE_FAILED",),
        "STORAGE_RESTORED": ("STORAGE_FAILED",),
        "CLOCK_TRUSTED": ("CLOCK_UNTRUSTED",),
        "SINK_RESTORED": ("SINK_LOST",),
    }
)
"""Record type -> the kinds whose cause is over with it, at the same portal or place. ALARM_CEASED names its own."""

TOLD_ALONE: Final = frozenset({"ALARM_CEASED", "FIRE_OFF", "CLOCK_ACCEPTED", *ENDS})
"""Records of the class "alarm" that raise none."""

_PLACES: Final = ("device", "line", "key", "place", "witness", "sink", "against", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An alarm of `kind` about `row`."""

    kind: str
    row: str
    lasts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The cause of these kinds is over, about `row`; None: about anything."""

    kinds: tuple[str, ...]
    row: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """An officer said what it was; `up_to`: the newest record of it that was before him."""

    kind: str
    row: str
    cause: str
    officer: str
    up_to: int


Step = Raised | Over | Handled


def step_of(event: Mapping[str, Any], detail: Mapping[str, Any], actor: Mapping[str, Any]) -> Step | None:
    """What a record says of alarms; None: nothing. `event`: the columns of its row."""
    what = event["type"]
    if what == "ALARM_HANDLED":
        return _handled(detail, actor, event["seq"])
    if what == "ALARM_CEASED":
        kind = detail.get("kind")
        return Over(kinds=(kind,), row=row_of(kind, event, detail)) if isinstance(kind, str) and kind in KINDS else None
    if what in ENDS:
        kinds = ENDS[what]
        return Over(kinds=kinds, row=row_of(kinds[0], event, detail))
    if what in KINDS:
        return Raised(kind=what, row=row_of(what, event, detail), lasts=KINDS[what].lasts)
    return None


def row_of(kind: str, event: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """What an alarm is about, in one text: a portal and a code; a zone and who is in it; a device and its line."""
    of = KINDS[kind].of
    parts: tuple[object, ...]
    if of is Of.SITE:
        return "site"
    if of is Of.PORTAL:
        parts = (event["portal"] or detail.get("device") or event["zone"], detail.get("code"))
    elif of is Of.ZONE:
        parts = (event["zone"], event["cardholder"], detail.get("row"))
    else:
        parts = (*(detail.get(name) for name in _PLACES), detail.get("row"))
    return "/".join(part for part in parts if isinstance(part, str)) or "site"


def _handled(detail: Mapping[str, Any], actor: Mapping[str, Any], seq: int) -> Handled | None:
    texts = [detail.get("kind"), detail.get("row"), detail.get("cause"), actor.get("officer")]
    up_to = detail.get("seq", seq)
    if not all(isinstance(text, str) for text in texts) or type(up_to) is not int:
        return None
    kind, row, cause, officer = (str(text) for text in texts)
    return Handled(kind=kind, row=row, cause=cause, officer=officer, up_to=up_to)
