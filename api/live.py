"""The state of doors and what is wrong right now, from the view: for the API and the page alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from api.fold import LASTING
from api.models import DevicePublic, LastEvent, PortalPublic, ZonePublic, iso
from api.state_models import SiteStatusPublic
from api.tables import AlarmRow, DeviceRow, PortalRow
from api.view import View
from controller.link.messages import Status
from zones.places import ZoneKind

ALARM_STATES: Final = ("forced", "held")
WORST: Final = frozenset({"DURESS", "FIRE_ON", "forced", "CREDENTIAL_ALARM", "WITNESS_REFUSED"})
"""Kinds that go before all others."""

FAULTS: Final = {"LEDGER_SHORTER": "shorter", "NotHeld": "view", "DatabaseError": "view"}
"""What keeps the feed from following the controller (`Live.fault`), and the alarm that says so."""

PASSING: Final = frozenset({"DURESS", "CREDENTIAL_ALARM"})
PASSING_SHOWN_MS: Final = 30 * 60_000
"""Nothing ends these alarms but the people who answer them; after so long they are in the events alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something an officer should see to. `kind` has its words in `api.words.ALARMS`; the first kinds are the worst."""

    kind: str
    portal: str | None = None
    since_ms: int | None = None
    text: str = ""
    count: int = 1


def now_ms() -> int:
    """Wall clock, milliseconds."""
    return time.time_ns() // 1_000_000


def is_current(view: View) -> bool:
    """Whether the controller was heard lately."""
    return view.live.is_fresh(time.monotonic())


def zones(view: View) -> list[ZonePublic]:
    """Every zone, in order of id."""
    states = {row["id"]: row for row in view.rows("zone_status")}
    return [_zone(doc, states.get(doc["id"], {})) for doc in view.rows("zone")]


def site_status(view: View) -> SiteStatusPublic:
    """What holds for the whole site."""
    doc = view.row("site_status", "site") or {}
    return SiteStatusPublic.model_validate({name: doc[name] for name in SiteStatusPublic.model_fields if name in doc})


def _zone(doc: dict[str, Any], status: dict[str, Any]) -> ZonePublic:
    kind = ZoneKind(doc["kind"])
    return ZonePublic.model_validate(
        {
            "id": doc["id"],
            "name_ja": doc["name_ja"],
            "name_en": doc["name_en"],
            "kind": kind.name,
            "parent": doc.get("parent"),
            "state": status.get("state", "OPEN_ATTENDED"),
            "is_locked_down": status.get("is_locked_down", False),
            "sanitised_by": status.get("sanitised_by"),
            "sanitised_confirmed_by": status.get("sanitised_confirmed_by"),
            "required_factors": max(int(kind), doc.get("min_factors") or 0),
            "items": doc.get("items", []),
            "accepted_bases": doc.get("accepted_bases", []),
            "uid_accepted": doc.get("uid_accepted", False),
            "needs_opener": doc.get("needs_opener", False),
            "visitors_allowed": doc.get("visitors_allowed", False),
            "occupancy_min": doc.get("occupancy_min"),
            "occupancy_max": doc.get("occupancy_max"),
        }
    )


def portals(view: View) -> list[PortalPublic]:
    """Every portal with its live state, in order of id."""
    live = view.portals_live(now_ms())
    at_portal: dict[str | None, list[DevicePublic]] = {}
    for device in devices(view):
        at_portal.setdefault(device.portal, []).append(device)
    current = is_current(view)
    return [_portal(doc, live.get(doc["id"]), at_portal.get(doc["id"], []), current) for doc in view.rows("portal")]


def devices(view: View) -> list[DevicePublic]:
    """Every device that was heard of, and those that are not trusted, in order of id."""
    offline = set(view.live.status.devices_offline) if view.live.status else set()
    untrusted = {row["id"] for row in view.rows("device_status") if not row["is_trusted"]}
    known = {row.id: row for row in view.devices()}
    return [
        _device(name, known.get(name), name not in offline, name not in untrusted)
        for name in sorted(known.keys() | untrusted)
    ]


def _device(id: str, row: DeviceRow | None, is_online: bool, is_trusted: bool) -> DevicePublic:
    if row is None:
        return DevicePublic(id=id, portal=None, is_online=False, since=None, is_trusted=is_trusted)
    is_online = is_online and row.is_online
    return DevicePublic(id=id, portal=row.portal, is_online=is_online, since=iso(row.since_ms), is_trusted=is_trusted)


def _portal(doc: dict[str, Any], row: PortalRow | None, shown: list[DevicePublic], current: bool) -> PortalPublic:
    state = row.state if row is not None else "secured"
    if state not in ALARM_STATES and any(not device.is_online for device in shown):
        state = "offline"
    last = LastEvent(seq=row.last_seq, type=row.last_type, at=iso(row.last_at_ms)) if row and row.last_type else None
    return PortalPublic.model_validate(
        {
            "id": doc["id"],
            "name_ja": doc["name_ja"],
            "name_en": doc["name_en"],
            "outer": doc["outer"],
            "inner": doc["inner"],
            "lock_type": doc.get("lock_type", "FAIL_SECURE"),
            "is_escape": doc.get("is_escape", False),
            "has_contact": doc.get("has_contact", True),
            "has_entry_reader": doc.get("has_entry_reader", True),
            "grade": doc.get("grade", 2),
            "mode": row.mode if row is not None else "CARD",
            "state": state,
            "since": iso(row.since_ms) if row else None,
            "is_current": current,
            "last_event": last,
            "devices": shown,
        }
    )


def alarms(view: View) -> list[Alarm]:
    """What is wrong right now, the worst first, the newest of a kind first."""
    live = view.portals_live(now_ms())
    status = view.live.status
    found: list[Alarm] = []
    for kind in ALARM_STATES:
        rows = sorted((row for row in live.values() if row.state == kind), key=lambda row: -row.since_ms)
        found += [Alarm(kind=kind, portal=row.id, since_ms=row.since_ms) for row in rows]
    if status is not None and not status.is_ledger_writable:
        found.append(Alarm(kind="ledger"))
    found += [Alarm(kind=kind) for kind in view.names.troubles]
    if view.live.fault is not None:
        found += [Alarm(kind=kind) for told, kind in FAULTS.items() if told in view.live.fault]
    found += [
        Alarm(kind="untrusted", text=device.id, portal=device.portal)
        for device in devices(view)
        if not device.is_trusted
    ]
    known = {row.id: row for row in view.devices()}
    offline = [row.id for row in known.values() if not row.is_online]
    offline += [name for name in (status.devices_offline if status else []) if name not in offline]
    for name in offline:
        device = known.get(name)
        since_ms = device.since_ms if device is not None and not device.is_online else None
        found.append(Alarm(kind="device", text=name, since_ms=since_ms, portal=device.portal if device else None))
    for raised in view.alarms():
        if _stands(raised, status):
            about = raised.zone if LASTING.get(raised.kind) == "zone" else raised.place
            found.append(Alarm(kind=raised.kind, portal=raised.portal, since_ms=raised.since_ms, text=about or ""))
    found.sort(key=lambda alarm: alarm.kind not in WORST)
    return found + _of_the_site(view)


def _of_the_site(view: View) -> list[Alarm]:
    """What holds for the whole site as the controller stands now."""
    found = [Alarm(kind="lockdown")] if site_status(view).is_locked_down else []
    status = view.live.status
    if status is None:
        return found
    if not status.is_clock_trusted:
        found.append(Alarm(kind="clock"))
    found += [Alarm(kind="witness_silent", text=one.name) for one in status.witnesses if one.is_silent]
    if status.deviations:
        found.append(Alarm(kind="deviations", count=len(status.deviations)))
    return found


def _stands(raised: AlarmRow, status: Status | None) -> bool:
    """Whether an alarm that a record raised still stands. A witness's refusal does until it signs again."""
    if raised.kind in PASSING:
        return raised.since_ms > now_ms() - PASSING_SHOWN_MS
    if raised.kind == "WITNESS_REFUSED" and status is not None:
        return all(one.name != raised.place or one.at_ms <= raised.since_ms for one in status.witnesses)
    return True
