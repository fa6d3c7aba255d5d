"""What one record changes in the view: pure, from the record's texts to rows. No database, no clock.

The controller is the only truth. A record this cannot read still takes its place in the event list, so that numbers
stay without a gap; it changes nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from api.alarm_fold import Step, step_of
from api.presence import FOLLOWED, Told
from controller.link.messages import Record
from zones.row_checks import CARD_SCHEMES

RELEASING: Final = frozenset({"ACCESS_GRANTED", "EXIT_GRANTED", "RELEASED", "REX"})
NOT_USED: Final = frozenset({"NO_PASSAGE", "RELEASE_EXPIRED", "OUTPUT_FAILED"})
LEAF_OPEN: Final = frozenset({"open", "held", "forced"})
LASTING: Final = {
    "FIRE_ON": "device", "POWER_LOST": "device", "LINE_FAULT": "device", "TAMPER": "device",
    "OCCUPANCY_BELOW_MIN": "zone", "ESCORT_BROKEN": "zone", "ESCORT_RATIO": "zone", "ZONE_UNATTENDED": "zone",
    "NOT_CLOSED": "zone", "REVIEW_OVERDUE": "zone", "DURESS": "zone", "CREDENTIAL_ALARM": "zone",
    "READER_POWER_LOST": "device", "OSDP_INSTALL_ON": "device", "KEY_ROTATION_DUE": "key", "COMMISSIONING": "place",
    "TAIL_SET_ASIDE": "file", "STORAGE_75": "site", "STORAGE_90": "site",
    "CONFIG_REFUSED": "place", "CLOCK_SKEW": "against",
    "WITNESS_REFUSED": "witness", "SINK_LOST": "sink",
}  # fmt: skip
"""Record types of alarms that last, and what each is of. ALARM_CEASED names a key or a place in its `row`."""

ENDING: Final = {
    "FIRE_RESET": "FIRE_ON", "POWER_RESTORED": "POWER_LOST", "LINE_RESTORED": "LINE_FAULT", "TAMPER_ENDED": "TAMPER",
    "READER_POWER_RESTORED": "READER_POWER_LOST", "OSDP_INSTALL_OFF": "OSDP_INSTALL_ON",
    "KEY_ROTATED": "KEY_ROTATION_DUE", "SINK_RESTORED": "SINK_LOST",
}  # fmt: skip
"""Record type -> the alarm that it ends. What a zone's watch raised is ended by ALARM_CEASED."""

OUTSIDE: Final = ("WITNESS_REFUSED", "SINK_LOST")
"""Those of them that are about somebody outside, which a start of the controller does not end."""

PORTAL_TYPES: Final = RELEASING | NOT_USED | {
    "ACCESS_DENIED", "RELEASE_REFUSED", "PASSAGE", "EXIT",
    "DOOR_FORCED", "DOOR_HELD", "DOOR_HELD_SOON", "DOOR_CLOSED", "DOOR_OPEN_AT_START", "PORTAL_MODE",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """One record, taken apart. `event` are the columns of its row. `raises`: (kind, place) of an alarm that begins;
    `lifts`: of one that ends, place None for all of the kind. `others`: who else it is about; `forgets`: whose name is
    destroyed by it. `purged`: of which class and in which ranges bodies were dropped by rule. `alarm`: what an officer
    has to answer for; `told`: what may move somebody, or is a roll call.
    """

    event: dict[str, Any]
    puts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    drops: list[tuple[str, str]] = field(default_factory=list)
    revision: str | None = None
    device: tuple[str, bool] | None = None
    mode: str | None = None
    raises: tuple[str, str] | None = None
    lifts: tuple[str, str | None] | None = None
    starts: bool = False
    stops: bool = False
    others: tuple[str, ...] = ()
    forgets: str | None = None
    suggested: dict[str, str] | None = None
    purged: tuple[str, tuple[tuple[int, int], ...]] | None = None
    alarm: Step | None = None
    told: Told | None = None


def fold(record: Record) -> Folded:
    """The changes of `record`. Never raises on what a body holds."""
    leaf, body = _loads(record.leaf), _loads(record.body)
    event: dict[str, Any] = {
        "seq": record.seq,
        "at_ms": _whole(body.get("at_ms")),
        "record_class": _text(leaf.get("class")) or "system",
        "cardholder": _text(_sub(body, "subject").get("cardholder")),
        "credential": _text(_sub(body, "subject").get("credential")),
        "body": None,
    }
    for name in ("type", "outcome", "reason", "zone", "portal", "access_point", "direction", "number"):
        event[name] = _text(body.get(name))
    puts, drops = _edit(body)
    if body:
        event["body"] = json.dumps(_without_rows(body, puts, drops), ensure_ascii=False, separators=(",", ":"))
    detail = _sub(body, "detail")
    what = event["type"]
    suggested = _suggested(body) if what == "EDIT_SUGGESTED" else None
    if suggested is not None:
        puts, drops = [], []
    device = None
    if what in ("DEVICE_ONLINE", "DEVICE_OFFLINE"):
        source = _text(detail.get("device"))
        device = (source, what == "DEVICE_ONLINE") if source else None
    return Folded(
        event=event, puts=puts, drops=drops, device=device, suggested=suggested,
        mode=_text(detail.get("mode")) if what == "PORTAL_MODE" else None,
        raises=_raised(what, event, detail), lifts=_lifted(what, event, detail),
        revision=_text(detail.get("revision")) if what == "POLICY_EDITED" else None,
        starts=what == "CONTROLLER_STARTED", stops=what == "CONTROLLER_STOPPED",
        purged=_purged(detail) if what == "PURGED" else None,
        others=_others(body, event["cardholder"]),
        alarm=step_of(event, detail, _sub(body, "actor")),
        told=Told(event=event, detail=detail, officer=_text(_sub(body, "actor").get("officer")) or "")
        if what in FOLLOWED
        else None,
        forgets=event["cardholder"] if what == "NOTE" and detail.get("kind") == "FORGOTTEN" else None,
    )  # fmt: skip


def _purged(detail: dict[str, Any]) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """What a purge dropped, where it dropped anything (docs/ledger.md §10)."""
    class_ = _text(detail.get("of_class"))
    pairs = [pair for pair in _list(detail.get("ranges")) if isinstance(pair, list) and len(pair) == 2]
    ranges = tuple((first, last) for first, last in pairs if _whole(first) is not None and _whole(last) is not None)
    return (class_, ranges) if class_ and ranges else None


def _others(body: dict[str, Any], subject: str | None) -> tuple[str, ...]:
    """Companions and escorts of a decision, without its subject."""
    people = [*_list(body.get("companions")), *_list(body.get("escorts"))]
    found = {_text(one.get("cardholder")) for one in people if isinstance(one, dict)}
    return tuple(sorted(one for one in found if one is not None and one != subject))


def _raised(what: str | None, event: dict[str, Any], detail: dict[str, Any]) -> tuple[str, str] | None:
    """The alarm that begins with a record, where it lasts."""
    if what not in LASTING:
        return None
    return what, _place(what, event, detail)


def _lifted(what: str | None, event: dict[str, Any], detail: dict[str, Any]) -> tuple[str, str | None] | None:
    """The alarm that ends with a record."""
    if what == "ALARM_CEASED":
        kind = _text(detail.get("kind")) or ""
        return kind, _place(kind, event, detail)
    if what is None or what not in ENDING:
        return None
    kind = ENDING[what]
    return kind, None if kind == "FIRE_ON" else _place(kind, event, detail)


def _place(kind: str, event: dict[str, Any], detail: dict[str, Any]) -> str:
    parts = (
        (event["zone"], event["cardholder"])
        if LASTING.get(kind) == "zone"
        else [detail.get(name) for name in ("device", "line", "key", "place", "witness", "sink", "against")]
    )
    return "/".join(part for part in (*parts, detail.get("row")) if isinstance(part, str))


def next_state(now: str, what: str, *, has_contact: bool) -> str | None:
    """State of a portal after a record of type `what`; None where it does not change.

    An open leaf is secured only by DOOR_CLOSED: a second badge must not hide a door that was forced.
    """
    if what in ("DOOR_FORCED", "DOOR_HELD"):
        return "forced" if what == "DOOR_FORCED" else ("forced" if now == "forced" else "held")
    if what == "DOOR_CLOSED":
        return "secured"
    if what == "DOOR_OPEN_AT_START":
        return "open"
    if now in LEAF_OPEN:
        return None
    if what in RELEASING:
        return "released"
    if what in ("PASSAGE", "EXIT"):
        return "open" if has_contact else "secured"
    if what in NOT_USED:
        return "secured"
    return None


def _edit(body: dict[str, Any]) -> tuple[list[tuple[str, str, dict[str, Any]]], list[tuple[str, str]]]:
    if body.get("type") not in ("POLICY_EDITED", "EDIT_SUGGESTED"):
        return [], []
    edit = _sub(_sub(body, "detail"), "edit")
    puts = [
        (put[0], put[1]["id"], _readable(put[0], put[1]))
        for put in _list(edit.get("puts"))
        if isinstance(put, list) and len(put) == 2 and isinstance(put[0], str)
        and isinstance(put[1], dict) and isinstance(put[1].get("id"), str)
    ]  # fmt: skip
    drops = [
        (drop[0], drop[1])
        for drop in _list(edit.get("drops"))
        if isinstance(drop, list) and len(drop) == 2 and all(isinstance(part, str) for part in drop)
    ]
    return puts, drops


def _suggested(body: dict[str, Any]) -> dict[str, str]:
    """A change that was made ready at the console: who, why, its rows as JSON."""
    detail = _sub(body, "detail")
    puts = [put for put in _list(_sub(detail, "edit").get("puts")) if isinstance(put, list) and len(put) == 2]
    return {
        "officer": _text(_sub(body, "actor").get("officer")) or "",
        "reason": _text(detail.get("reason")) or "other",
        "puts": json.dumps(puts, separators=(",", ":")),
    }


def _readable(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as it may be kept here: of a PIN that there is one, and nothing that could be tried out (B-13)."""
    return {"id": row["id"]} if table == "pin" else row


def _without_rows(
    body: dict[str, Any], puts: list[tuple[str, str, dict[str, Any]]], drops: list[tuple[str, str]]
) -> dict[str, Any]:
    """The body with rows of policy replaced by their places: a reader of events must not be able to tell a lapsed
    clearance from one that never was (E-03), and has no use for number hashes. Of cards is told what kinds they are.
    """
    detail = body.get("detail")
    if body.get("type") not in ("POLICY_EDITED", "EDIT_SUGGESTED") or not isinstance(detail, dict):
        return body
    changed = [[table, row] for table, row, _ in puts] + [[table, row] for table, row in drops]
    kept = {key: value for key, value in detail.items() if key != "edit"}
    cards = {str(row.get("scheme") or "") for table, _, row in puts if table == "credential"}
    schemes = {"schemes": sorted(cards & {"", *CARD_SCHEMES})} if cards else {}
    return {**body, "detail": {**kept, "changed": changed, **schemes}}


def _loads(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _sub(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if type(value) is int and abs(value) < 2**53 else None
