"""Who is shown what of a record (E-06, requirements §3.5): one rule for pages, the API and the stream.

What somebody may see is a `Sight`, made of the table in `api.access`; two people with the same sight see the same
bytes, so that a page is rendered once for all of them. What is not seen is not there: no word, no code, no length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api.access import Permission, Who
from api.tables import EventRow

AT_PORTALS: Final = frozenset(
    {
        *("ACCESS_GRANTED", "ACCESS_DENIED", "EXIT_GRANTED", "REX", "RELEASED", "RELEASE_REFUSED", "RELEASE_EXPIRED"),
        *("PASSAGE", "EXIT", "NO_PASSAGE", "DOOR_FORCED", "DOOR_HELD", "DOOR_HELD_SOON", "DOOR_CLOSED"),
        *("DOOR_OPEN_AT_START", "PORTAL_MODE", "ZONE_OPENED", "ZONE_SECURED", "TAILGATE", "REX_SUSPECT", "DURESS"),
        *("ESCORT_BROKEN", "ESCORT_RATIO", "OCCUPANCY_BELOW_MIN", "ZONE_UNATTENDED", "NOT_CLOSED", "ALARM_CEASED"),
        *("ALARM_HANDLED", "FIRE_ON", "FIRE_OFF", "FIRE_RESET", "CARD_UNREAD", "DEVICE_ONLINE", "DEVICE_OFFLINE"),
        *("TAMPER", "TAMPER_ENDED", "LINE_FAULT", "LINE_RESTORED", "POWER_LOST", "POWER_RESTORED"),
        *("READER_POWER_LOST", "READER_POWER_RESTORED"),
    }
)
"""What happens at doors and in zones: all that whoever watches them needs."""

TECHNICAL: Final = frozenset(
    {
        *("DEVICE_ONLINE", "DEVICE_OFFLINE", "LINE_NOISE", "MESSAGE_REFUSED", "OUTPUT_FAILED", "READS_REFUSED"),
        *("STORAGE_FAILED", "STORAGE_RESTORED", "STORAGE_75", "STORAGE_90", "CLOCK_UNTRUSTED", "CLOCK_TRUSTED"),
        *("CLOCK_ACCEPTED", "CLOCK_SET", "CLOCK_SKEW", "CONTROLLER_STARTED", "CONTROLLER_STOPPED", "INBOX_FULL"),
        *("POWER_LOST", "POWER_RESTORED", "READER_POWER_LOST", "READER_POWER_RESTORED", "TAMPER", "TAMPER_ENDED"),
        *("LINE_FAULT", "LINE_RESTORED", "READER_UNTRUSTED", "READER_REPLACED", "OSDP_DOWNGRADE", "OSDP_INSTALL_ON"),
        *("OSDP_INSTALL_OFF", "READER_IDENTIFIED", "READER_APPROVED", "KEY_RENEWED", "KEY_ROTATED", "DEVICE_ORDER"),
        *("KEY_ROTATION_DUE", "COMMISSIONING", "KEYS_FAILED", "SINK_LOST", "SINK_RESTORED", "CONFIG_REFUSED"),
    }
)
"""What devices and the controller itself do; it says nothing about anybody."""

OUTER_FIELDS: Final = (
    *("v", "node", "boot", "at_ms", "tz", "clock", "type", "outcome", "zone", "portal", "access_point", "direction"),
    "number",
)
"""What of a record's body says neither who nor why."""

_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(TECHNICAL, ("device",)),
    "RELEASED": ("reason",), "PORTAL_MODE": ("mode",), "ALARM_CEASED": ("kind",), "ALARM_HANDLED": ("kind", "cause"),
    "EXIT": ("cause",),
}  # fmt: skip
"""Of the detail what says nothing about anybody's rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What somebody sees of records. `has_inner`: all of them, with pseudonyms and codes. `has_names`: names instead of
    pseudonyms. `zones`: only where he answers for it (None: everywhere).
    """

    has_portals: bool
    has_technical: bool
    has_inner: bool
    has_names: bool
    zones: frozenset[str] | None

    def takes(self, row: EventRow) -> bool:
        """Whether the record is shown at all. What happened nowhere is of the whole site: not of a part of it."""
        kind = row.type or ""
        if (self.has_technical and kind in TECHNICAL) or (self.zones is None and self.has_inner):
            return True
        if self.zones is not None and row.zone not in self.zones:
            return self.has_portals and row.zone is None and kind in AT_PORTALS
        return self.has_inner or (self.has_portals and kind in AT_PORTALS)


def sight_of(who: Who) -> Sight:
    """What `who` sees. Whoever may see reasons in his zones may see all that happened in them."""
    return Sight(
        has_portals=who.may(Permission.LIVE), has_technical=who.may(Permission.DEVICES),
        has_inner=who.may(Permission.EVENTS) or who.may(Permission.REASONS),
        has_names=who.may(Permission.NAMES_INSIDE), zones=who.zones,
    )  # fmt: skip


def masked(row: EventRow, sight: Sight) -> EventRow | None:
    """The record as it is shown; None where it is not."""
    if not sight.takes(row):
        return None
    if sight.has_inner and (sight.zones is None or row.zone in sight.zones):
        return row
    body = json.loads(row.body) if row.body else {}
    kept = {name: body[name] for name in OUTER_FIELDS if name in body}
    detail = body.get("detail") or {}
    if told := {name: detail[name] for name in _TOLD.get(row.type or "", ()) if name in detail}:
        kept["detail"] = told
    shown = row.model_dump() | {"cardholder": None, "credential": None, "reason": None}
    return EventRow(**shown | {"body": json.dumps(kept, ensure_ascii=False) if row.body else row.body})
