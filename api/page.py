"""What the page shows, as values for its templates: doors by nested zones, what is wrong, the newest events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.live import Alarm, alarms, devices, is_current, now_ms, portals, site_status, zones
from api.models import PortalPublic, ZonePublic, iso
from api.names import Name
from api.tables import EventRow
from api.view import View
from api.words import (
    ACTORS,
    ALARM_DOS,
    ALARMS,
    BY_CARD,
    CARD_SCHEMES,
    CREDENTIAL_ALARMS,
    DISTRUSTS,
    EXITS,
    FIRE_RELEASED,
    FORGET_REASONS,
    KINDS,
    MODES,
    NOTE_KINDS,
    PAGE,
    PASSED_OUT,
    PROBLEMS,
    PURPOSES,
    REASONS,
    RELEASE_REASONS,
    SHUT_UNLOCKED,
    STATES,
    TABLES,
    TYPES,
    WITNESS_REFUSALS,
    ZONE_NOTES,
    ZONE_STATES,
    Language,
    deviations,
    long_date,
    moment_of,
)
from controller.link.notes import NoteError, parse_checkpoint
from controller.link.short_code import short_code
from zones.places import ZoneKind

EVENTS_SHOWN: Final = 50
ALARMS_SHOWN: Final = 3
CHANGED_SHOWN: Final = 3
KEPT_S: Final = 1.0

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class ZoneBox:
    """A zone with the doors that lead into it and the zones inside it."""

    id: str
    name: str
    kind: str
    level: int
    note: str
    can_release: bool
    doors: list[dict[str, Any]] = field(default_factory=list)
    inside: list[ZoneBox] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteNow:
    """What holds beyond one door: a lockdown of the whole site, and the portals whose lock the fire alarm dropped."""

    is_locked_down: bool
    fire_released: frozenset[str]


class Pages:
    """Renders the page and its live part. The live part is rendered once per language and state, for all who look."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._kept: dict[Language, tuple[int, float, str]] = {}

    def page(self, language: Language) -> str:
        """The whole page."""
        day = moment_of(now_ms())
        assert day is not None
        return templates.get_template("page.html").render(
            words=words_in(language), language=language, live=self.live(language), seq=self._view.seq,
            date=long_date(day.date(), language), is_current=is_current(self._view),
            code=_day_code(self._view, day, language),
            reasons=[(code, words[language]) for code, words in RELEASE_REASONS.items()],
        )  # fmt: skip

    def live(self, language: Language) -> str:
        """Alarms, doors and events, as one fragment."""
        with self._lock:
            version, tick = self._view.version, time.monotonic()
            kept = self._kept.get(language)
            if kept is not None and kept[0] == version and tick - kept[1] < KEPT_S:
                return kept[2]
            text = self._render(language)
            self._kept[language] = (version, tick, text)
            return text

    def _render(self, language: Language) -> str:
        view = self._view
        doors = portals(view)
        door_names, zone_names = place_names(view, doors, language)
        wrong = alarms(view)
        found = [_alarm(view, alarm, door_names, zone_names, language) for alarm in wrong]
        names = view.names.all()
        now = SiteNow(
            is_locked_down=site_status(view).is_locked_down,
            fire_released=_fire_released(view) if any(alarm.kind == "FIRE_ON" for alarm in wrong) else frozenset(),
        )
        return templates.get_template("live.html").render(
            words=words_in(language), zones=_tree(zones(view), doors, now, language),
            alarms=found[:ALARMS_SHOWN], more_alarms=found[ALARMS_SHOWN:],
            events=[
                event_shown(row, names, door_names, zone_names, language)
                for row in view.newest_events(EVENTS_SHOWN)
            ],
            witnesses=_witnesses(view, language),
        )  # fmt: skip


def away(language: Language, why: str) -> str:
    """The page for somebody who is not signed in, or cannot be."""
    return templates.get_template("away.html").render(words=words_in(language), language=language, why=why)


def place_names(view: View, doors: list[PortalPublic], language: Language) -> tuple[dict[str, str], dict[str, str]]:
    """What doors (also by the devices that hang at them) and zones are called."""
    door_names = {door.id: door.name_ja if language == "ja" else door.name_en for door in doors}
    zone_names = {zone.id: zone.name_ja if language == "ja" else zone.name_en for zone in zones(view)}
    at_device = {_hanging(one.id): door_names.get(one.portal or "", "") for one in devices(view)}
    return door_names | at_device, zone_names


def words_in(language: Language) -> dict[str, str]:
    return {name: words[language] for name, words in PAGE.items()}


def _witnesses(view: View, language: Language) -> list[str]:
    """How far somebody outside vouches for the records, a line for each witness."""
    status = view.live.status
    lines = []
    for one in () if status is None else status.witnesses:
        at = moment_of(one.at_ms) if one.at_ms else None
        words = PAGE["not_witnessed" if at is None else "witnessed"][language].replace("NAME", one.name)
        lines.append(words.replace("SEQ", str(one.size - 1)).replace("TIME", f"{at:%m/%d %H:%M}" if at else ""))
    return lines


def _day_code(view: View, now: datetime, language: Language) -> dict[str, str] | None:
    """The short code of the newest checkpoint, for the inspection sheet; none before there is a checkpoint.

    It stands outside of what changes by itself: a code that moved on while somebody copied it would be neither one.
    """
    try:
        newest = parse_checkpoint(view.checkpoint)
    except NoteError:
        return None
    of = PAGE["day_code_of"][language].replace("SEQ", str(newest.size - 1)).replace("TIME", f"{now:%Y-%m-%d %H:%M}")
    return {"code": short_code(newest.size, newest.text), "of": of}


def _fire_released(view: View) -> frozenset[str]:
    """Portals whose lock a fire alarm drops by wire, until an officer resets it."""
    return frozenset(doc["id"] for doc in view.rows("portal") if doc.get("fire_release") == "HARDWIRED")


def _tree(all_zones: list[ZonePublic], doors: list[PortalPublic], now: SiteNow, language: Language) -> list[ZoneBox]:
    """Zones inside zones with their doors. No release where the controller refuses it anyway: into protected, secured
    or locked down zones, in a lockdown of the site or of a zone around, through a portal in the mode LOCKED.
    """
    around = {zone.id: zone.parent for zone in all_zones}
    closed = {zone.id for zone in all_zones if zone.is_locked_down}
    boxes = {
        zone.id: ZoneBox(
            id=zone.id, name=zone.name_ja if language == "ja" else zone.name_en,
            kind=KINDS[ZoneKind[zone.kind].value][language], level=ZoneKind[zone.kind].value,
            note=_zone_note(zone, language),
            can_release=not (
                zone.items or zone.kind == "EXCLUSION" or zone.state == "SECURED"
                or now.is_locked_down or closed.intersection(_lineage(zone.id, around))
            ),
        )
        for zone in all_zones
    }  # fmt: skip
    top: list[ZoneBox] = []
    for zone in all_zones:
        parent = boxes.get(zone.parent or "")
        (parent.inside if parent is not None else top).append(boxes[zone.id])
    for door in doors:
        box = boxes.get(door.inner)
        if box is not None:
            outer = boxes[door.outer].name if door.outer in boxes else door.outer
            can_release = box.can_release and door.has_entry_reader and door.mode != "LOCKED"
            shown = _door(door, outer, now, language, can_release=can_release)
            box.doors.append(shown)
    return top


def _lineage(zone: str | None, around: Mapping[str, str | None]) -> Iterator[str]:
    """A zone and all around it, from the inside out."""
    while zone is not None:
        yield zone
        zone = around.get(zone)


def _zone_note(zone: ZonePublic, language: Language) -> str:
    """閉鎖中, 無人, 封鎖, 保全済: what is not as usual."""
    notes = [] if zone.state == "OPEN_ATTENDED" else [ZONE_STATES[zone.state][language]]
    notes += [ZONE_NOTES["locked_down"][language]] if zone.is_locked_down else []
    notes += [ZONE_NOTES["sanitised"][language]] if zone.sanitised_confirmed_by is not None else []
    return ("・" if language == "ja" else ", ").join(notes)


def _door(door: PortalPublic, outer: str, now: SiteNow, language: Language, *, can_release: bool) -> dict[str, Any]:
    """One door. One that is shut is not called locked while its mode or the fire alarm keeps it unlocked."""
    state: str = door.state
    words, icon = STATES[state]
    if state == "secured" and (door.mode in ("UNLOCKED", "ATTENDED") or door.id in now.fire_released):
        words, icon, state = FIRE_RELEASED if door.id in now.fire_released else SHUT_UNLOCKED, "key", "released"
    since = door.since if door.state not in ("secured", "unknown") or door.last_event else None
    return {
        "id": door.id, "name": door.name_ja if language == "ja" else door.name_en, "outer": outer,
        "state": state, "word": words[language], "icon": icon,
        "since": since[11:19] if since else "", "is_escape": door.is_escape, "can_release": can_release,
        "mode": MODES[door.mode][language], "is_entry": door.has_entry_reader,
    }  # fmt: skip


def _alarm(
    view: View, alarm: Alarm, doors: dict[str, str], zones: dict[str, str], language: Language
) -> dict[str, Any]:
    title = ALARMS[alarm.kind][language]
    door = doors.get(alarm.portal or "", "")
    text = zones.get(alarm.text, alarm.text)
    where = f"{door} ({text})" if door and text else door or text
    at = iso(alarm.since_ms)
    notes = [ALARM_DOS[alarm.kind][language]] if alarm.kind in ALARM_DOS else []
    if alarm.kind == "deviations" and view.live.status is not None:
        notes = deviations(view.live.status.deviations, zones, language)
    return {
        "title": f"{title}: {where}" if where else title, "since": at[11:19] if at else "", "notes": notes,
        "is_notice": alarm.kind in ("deviations", "clock", "REVIEW_OVERDUE"),
    }  # fmt: skip


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
        return "", f"{why}\n{PAGE['told_number'][language].replace('NUMBER', number)}" if number else why
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
