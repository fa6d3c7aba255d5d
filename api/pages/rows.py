"""One record as a row of a page: what happened, who, where, and why, in words.

Records come here after `api.masks`: nothing is hidden here, nothing is added.
"""

from __future__ import annotations

import json
from typing import Any, Final

from api.live import devices, now_ms, zones
from api.models import PortalPublic, iso
from api.names import Name
from api.tables import EventRow
from api.texts import Language, _
from api.view import View
from api.words import (
    ACTORS,
    BY_CARD,
    CARD_SCHEMES,
    CREDENTIAL_ALARMS,
    DISTRUSTS,
    EXITS,
    FORGET_REASONS,
    MODES,
    NOTE_KINDS,
    PASSED_OUT,
    PROBLEMS,
    PURPOSES,
    REASONS,
    RELEASE_REASONS,
    TABLES,
    TYPES,
    WITNESS_REFUSALS,
    moment_of,
)

CHANGED_SHOWN: Final = 3


def place_names(view: View, doors: list[PortalPublic], language: Language) -> tuple[dict[str, str], dict[str, str]]:
    """What doors (also by the devices that hang at them) and zones are called."""
    door_names = {door.id: door.name_ja if language == "ja" else door.name_en for door in doors}
    zone_names = {zone.id: zone.name_ja if language == "ja" else zone.name_en for zone in zones(view)}
    at_device = {_hanging(one.id): door_names.get(one.portal or "", "") for one in devices(view)}
    return door_names | at_device, zone_names


def event_shown(
    row: EventRow, names: dict[str, Name], doors: dict[str, str], zones: dict[str, str], language: Language
) -> dict[str, Any]:
    """One event as a row of a table."""
    words, tone, icon = TYPES.get(row.type or "", ({"ja": row.type or "―", "en": row.type or "–"}, "plain", "dash"))
    if row.type == "PASSAGE" and row.direction == "OUT":
        words, tone, icon = PASSED_OUT
    if row.type == "EXIT":
        words = EXITS.get(_detail(row).get("cause", ""), words)
    officer, why = _told(row, language)
    at = moment_of(row.at_ms)
    today = moment_of(now_ms())
    is_today = at is not None and today is not None and at.date() == today.date()
    return {
        "seq": row.seq, "word": words[language], "tone": tone, "icon": icon,
        "at": iso(row.at_ms) or "", "time": f"{at:%H:%M:%S}" if at else "",
        "day": f"{at:%m/%d}" if at and not is_today else "",
        "who": called(row.cardholder, names, language) or ACTORS.get(officer, {language: officer})[language],
        "door": _where(row, doors, zones),
        "reason": why,
    }  # fmt: skip


def _where(row: EventRow, doors: dict[str, str], zones: dict[str, str]) -> str:
    """The door of an event, else its zone, else the door that its device hangs at: nobody knows devices by their id."""
    at = doors.get(row.portal or "", row.portal or "") or zones.get(row.zone or "", row.zone or "")
    return at or (doors.get(_hanging(_detail(row).get("device")), "") if row.type in ABOUT_DEVICES else "")


def _hanging(device: object) -> str:
    """A device among the names of doors: no id has a space in it."""
    return f"device {device}"


ALARM_CODES: Final = CREDENTIAL_ALARMS | WITNESS_REFUSALS
ABOUT: Final = ("device", "key", "place", "sink", "against")
"""What of a record's detail says which one it is about."""

ABOUT_DEVICES: Final = frozenset(
    {
        *("DEVICE_ONLINE", "DEVICE_OFFLINE", "LINE_NOISE", "MESSAGE_REFUSED", "OUTPUT_FAILED", "READS_REFUSED"),
        *("SINK_LOST", "SINK_RESTORED", "CLOCK_SKEW"),
        *(
            "FIRE_ON",
            "FIRE_OFF",
            "POWER_LOST",
            "POWER_RESTORED",
            "TAMPER",
            "TAMPER_ENDED",
            "LINE_FAULT",
            "LINE_RESTORED",
        ),
        *("READER_UNTRUSTED", "READER_REPLACED", "OSDP_DOWNGRADE", "OSDP_INSTALL_ON", "OSDP_INSTALL_OFF"),
        *("READER_IDENTIFIED", "READER_APPROVED", "KEY_RENEWED", "CARD_UNREAD", "DEVICE_ORDER"),
        *("KEY_ROTATED", "KEY_ROTATION_DUE", "COMMISSIONING", "READER_POWER_LOST", "READER_POWER_RESTORED"),
    }
)


def _told(row: EventRow, language: Language) -> tuple[str, str]:
    """Who did it in the officers' pages, and why or which: in words where there are some, else the code."""
    body = _body(row)
    detail = body.get("detail") or {}
    if row.type == "ACCESS_DENIED":
        why = REASONS.get(row.reason or "", {language: row.reason or ""})[language]
        number = str(body.get("number") or "")
        return "", "\n".join((why, _("Code %(number)s", number=number))) if number else why
    officer = (body.get("actor") or {}).get("officer", "")
    if row.type == "RELEASED":
        reason = detail.get("reason", "")
        return officer, RELEASE_REASONS.get(reason, {language: reason})[language]
    code = detail.get("code", "")
    if row.type in ("CREDENTIAL_ALARM", "WITNESS_REFUSED"):
        return officer, ALARM_CODES.get(code, {language: code})[language]
    if row.type in ("POLICY_EDITED", "NOTE"):
        return officer, _noted(detail, language) if row.type == "NOTE" else _changed(detail, language)
    if row.type == "PORTAL_MODE":
        mode = detail.get("mode", "")
        return officer, MODES.get(mode, {language: mode})[language] or BY_CARD[language]
    if row.type == "ALARM_CEASED" and (kind := detail.get("kind", "")) in TYPES:
        return officer, TYPES[kind][0][language]
    if row.type in ("COMMAND_REFUSED", "EDIT_REFUSED") and code in PROBLEMS:
        return officer, PROBLEMS[code][language][0]
    about = next((str(detail[name]) for name in ABOUT if detail.get(name)), "")
    if row.type == "READER_UNTRUSTED" and (why := detail.get("why", "")) in DISTRUSTS:
        about = f"{about}: {DISTRUSTS[why][language]}"
    return officer, about if row.type in ABOUT_DEVICES else ""


def _noted(detail: dict[str, Any], language: Language) -> str:
    """What was noted, and for what: a look at somebody's history, an export, a name changed or destroyed."""
    told = (NOTE_KINDS.get(detail.get("kind", "")), (PURPOSES | FORGET_REASONS).get(detail.get("purpose", "")))
    return ": ".join(words[language] for words in told if words is not None)


def _changed(detail: dict[str, Any], language: Language) -> str:
    """What an edit was about, by its tables; an edit of many rows (the site file's) by the first three."""
    tables = list(dict.fromkeys(str(row[0]) for row in detail.get("changed") or () if row))
    told = [TABLES.get(table, {language: table})[language] for table in tables[:CHANGED_SHOWN]]
    more = ["…"] if len(tables) > CHANGED_SHOWN else []
    how = _kind_of_card(detail, language) if tables == ["credential"] else ""
    return ("、" if language == "ja" else ", ").join(told + more) + how


def _kind_of_card(detail: dict[str, Any], language: Language) -> str:
    """How the card proves itself that an edit was about; nothing where it was about several kinds."""
    schemes = [CARD_SCHEMES[one][language] for one in detail.get("schemes") or () if one in CARD_SCHEMES]
    return f" ({schemes[0]})" if len(schemes) == 1 else ""


def _body(row: EventRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.body) if row.body else {}
    return found


def _detail(row: EventRow) -> dict[str, Any]:
    return _body(row).get("detail") or {}


def called(cardholder: str | None, names: dict[str, Name], language: Language) -> str:
    """Somebody's name; the pseudonym where there is none."""
    name = names.get(cardholder or "")
    if name is None:
        return cardholder or ""
    return (name.roman if language == "en" else "") or name.name
