"""Alarms as they are shown: what each is called, where, since when, what to do; and who is shown which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.alarm_words import ALARM_DOS, ALARMS
from api.alarms import AlarmCase, open_alarms
from api.days import short_moment
from api.live import Alarm, alarms
from api.masks import AT_PORTALS, TECHNICAL, Sight
from api.texts import spoken
from api.view import View
from api.words import TYPES, deviations

STANDING: Final = (
    *("ledger", "shorter", "view", "names", "names_owed", "untrusted", "lockdown", "clock", "witness_silent"),
    "deviations",
)
"""What holds while it holds, and is nobody's to handle: it goes when it is mended."""

NOTICES: Final = frozenset({"deviations", "clock", "REVIEW_OVERDUE", "LOG_REVIEW_OVERDUE", "COMMISSIONING"})
WATCHED: Final = AT_PORTALS | TECHNICAL | {"CREDENTIAL_ALARM", "APB_VIOLATION", "PIN_LOCKED", "UNUSUAL"}
"""Kinds that whoever watches the doors must know of, whatever else he may see."""

CALLED: Final[Mapping[str, str]] = {"DOOR_FORCED": "forced", "DOOR_HELD": "held", "DEVICE_OFFLINE": "device"}
"""Record types whose words as an alarm stand under an older name."""


def shown_alarms(view: View, sight: Sight, doors: Mapping[str, str], zones: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is wrong now: what needs an officer first, then what simply holds."""
    cases = [case for case in open_alarms(view.engine) if may_see(case, sight)]
    standing = [alarm for alarm in alarms(view) if alarm.kind in STANDING]
    return [card(case, doors, zones) for case in cases] + [_standing(view, one, doors, zones) for one in standing]


def may_see(case: AlarmCase, sight: Sight) -> bool:
    """Whether an alarm is somebody's to see: of his zones, and of no kind that says more than he may know."""
    if sight.zones is not None and case.zone is not None and case.zone not in sight.zones:
        return False
    return sight.has_inner or (sight.has_portals and case.kind in WATCHED) or case.kind in TECHNICAL


def title(kind: str) -> str:
    """What an alarm of this kind is called."""
    words = ALARMS.get(CALLED.get(kind, kind))
    if words is None and kind in TYPES:
        return TYPES[kind][0][spoken()]
    return kind if words is None else words[spoken()]


def card(case: AlarmCase, doors: Mapping[str, str], zones: Mapping[str, str]) -> dict[str, Any]:
    """An alarm that somebody answers for. Where it is about a device, the device is named too."""
    at = doors.get(case.portal or "") or zones.get(case.zone or "") or ""
    about = case.row if "." in case.row else case.row.split("/")[0]  # a device's line; a witness's name has a dot
    where = at or ("" if about == "site" else zones.get(about, about))
    todo = ALARM_DOS.get(CALLED.get(case.kind, case.kind))
    return {
        "seq": case.seq, "kind": case.kind, "title": f"{title(case.kind)}: {where}" if where else title(case.kind),
        "since": short_moment(case.first_ms), "last": short_moment(case.last_ms), "count": case.count,
        "notes": [] if todo is None else [todo[spoken()]],
        "is_notice": case.kind in NOTICES, "needs_handling": case.needs_handling, "is_lasting": case.is_lasting,
    }  # fmt: skip


def _standing(view: View, alarm: Alarm, doors: Mapping[str, str], zones: Mapping[str, str]) -> dict[str, Any]:
    name = ALARMS[alarm.kind][spoken()]
    door, text = doors.get(alarm.portal or "", ""), zones.get(alarm.text, alarm.text)
    where = f"{door} ({text})" if door and text else door or text
    notes = [ALARM_DOS[alarm.kind][spoken()]] if alarm.kind in ALARM_DOS else []
    if alarm.kind == "deviations" and view.live.status is not None:
        notes = deviations(view.live.status.deviations, zones, spoken())
    return {
        "seq": None, "kind": alarm.kind, "title": f"{name}: {where}" if where else name,
        "since": short_moment(alarm.since_ms), "last": "", "count": 1, "notes": notes,
        "is_notice": alarm.kind in NOTICES, "needs_handling": False, "is_lasting": True,
    }  # fmt: skip
