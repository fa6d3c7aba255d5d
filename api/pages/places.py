"""Zones inside zones with their doors, as they stand now: the same for the live page and the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.models import PortalPublic, ZonePublic
from api.texts import Language, spoken
from api.view import View
from api.words import FIRE_RELEASED, KINDS, MODES, SHUT_UNLOCKED, STATES, ZONE_NOTES, ZONE_STATES
from zones.places import ZoneKind


@dataclass(slots=True, kw_only=True)
class ZoneBox:
    """A zone with the doors that lead into it and the zones inside it."""

    id: str
    name: str
    kind: str
    level: int
    note: str
    can_release: bool
    heads: int
    doors: list[dict[str, Any]] = field(default_factory=list)
    inside: list[ZoneBox] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteNow:
    """What holds beyond one door: a lockdown of the whole site, and the portals whose lock the fire alarm dropped."""

    is_locked_down: bool
    fire_released: frozenset[str]


def fire_released(view: View) -> frozenset[str]:
    """Portals whose lock a fire alarm drops by wire, until an officer resets it."""
    return frozenset(doc["id"] for doc in view.rows("portal") if doc.get("fire_release") == "HARDWIRED")


Seen = frozenset[str] | None
"""The zones whose doors somebody sees; None: all."""


def tree(
    all_zones: list[ZonePublic], doors: list[PortalPublic], now: SiteNow, heads: Mapping[str, int], seen: Seen = None
) -> list[ZoneBox]:
    """Zones inside zones with their doors, as far as they are `seen`. No release where the controller refuses it
    anyway: into protected, secured or locked down zones, in a lockdown of the site or of a zone around, through a
    portal in the mode LOCKED.
    """
    language = spoken()
    around = {zone.id: zone.parent for zone in all_zones}
    closed = {zone.id for zone in all_zones if zone.is_locked_down}
    boxes = {
        zone.id: ZoneBox(
            id=zone.id, name=zone.name_ja if language == "ja" else zone.name_en,
            kind=KINDS[ZoneKind[zone.kind].value][language], level=ZoneKind[zone.kind].value,
            note=_zone_note(zone, language), heads=heads.get(zone.id, 0),
            can_release=not (
                zone.items or zone.kind == "EXCLUSION" or zone.state == "SECURED"
                or now.is_locked_down or closed.intersection(_lineage(zone.id, around))
            ),
        )
        for zone in all_zones
    }  # fmt: skip
    shown = {name: box for name, box in boxes.items() if seen is None or name in seen}
    top: list[ZoneBox] = []
    for zone in all_zones:
        if zone.id in shown:
            parent = shown.get(zone.parent or "")
            (parent.inside if parent is not None else top).append(shown[zone.id])
    for door in doors:
        box = shown.get(door.inner)
        if box is not None:
            outer = boxes[door.outer].name if door.outer in boxes else door.outer
            can_release = box.can_release and door.has_entry_reader and door.mode != "LOCKED"
            box.doors.append(_door(door, outer, now, language, can_release=can_release))
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
