"""What somebody may know of himself (E-13, D-22): his rights and their ends, his last entries, what he can mend where
he was not let in, and who looked at his records. Everybody else in it is masked.

Why he was not let in is told where he can do something about it (E-05); all other refusals read alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from api.models import iso
from api.parts import Parts
from api.row_states import roster_state
from api.tables import EventRow
from api.texts import Said
from controller.link.rows import row_to_doc
from zones.decision.ask import is_ended
from zones.ids import CardholderId
from zones.moment import Moment
from zones.people import Credential
from zones.policy import Policy, Row

SHOWN: Final = 10
LOOKED_AT: Final = 400
"""So many records of somebody are looked through for the last entries and refusals."""

EXPORTED_MAX: Final = 20_000
MASKED: Final = "***"

MENDABLE: Final[Mapping[str, Said]] = {
    "PIN_WRONG": Said("Hold the card again and type the PIN slowly."),
    "FACTOR_MISSING": Said("Hold the card still until the reader answers, and type the PIN where it asks for one."),
    "NEED_SECOND": Said("Enter together with a colleague: both cards, one after the other."),
    "NOBODY_ALONE": Said("Nobody may be there alone: enter together with a colleague."),
    "INTERLOCK": Said("Close the other door first."),
    "DEVICE_DECLARATION": Said("Declare your devices at the desk, or leave them in a locker."),
    "FULL": Said("Wait until somebody has left."),
    "REPEATED_READ": Said("Hold the card once, for a second."),
    "READ_STALE": Said("Hold the card again."),
    "OUT_OF_SEQUENCE": Said("Use your card at the outer door first."),
    "APB": Said("Use your card when you leave. The desk puts it in order."),
    "TRAINING_EXPIRED": Said("Repeat the course that is due."),
    "NOTICE_MISSING": Said("Take the notice on entry records at the desk."),
    "ZONE_UNATTENDED": Said("Wait until an opener has entered."),
    "NEED_ESCORT": Said("Enter with your escort."),
    "OUT_OF_SCHEDULE": Said("Come within the hours of this zone."),
}
"""What the person himself can do about a refusal; of all others the number is told, and whom to ask."""

ABOUT_OTHERS: Final = frozenset(
    {"recorded_by", "confirmed_by", "requested_by", "approved_by_1", "approved_by_2", "sponsor", "host"}
)
NOT_TOLD: Final = frozenset({"number_hash", "salt", "pin_hash", "duress_hash"})


def rows_of(policy: Policy, cardholder: str) -> list[tuple[str, Row]]:
    """Every row about somebody, by table."""
    who = CardholderId(cardholder)
    holder = policy.holders.get(who)
    if holder is None:
        return []
    cards = [one for one in policy.credentials.values() if one.cardholder == who]
    tables = (holder.clearances, holder.needs, holder.roster, holder.trainings, holder.declarations, holder.visits)
    rows: list[Row] = [holder.cardholder, *cards, *(row for table in tables for row in table)]
    return [(row_to_doc(row)[0], row) for row in rows]


def own_rights(policy: Policy, cardholder: str, now: Moment) -> dict[str, list[dict[str, Any]]]:
    """What he holds today, by register, with its end. What he does not hold is not there, whatever the cause (E-03)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table, row in rows_of(policy, cardholder):
        if table == "cardholder" or not _is_his(table, row, now):
            continue
        doc = _own_doc(row)
        if table == "roster":
            doc["state"] = roster_state(row, now.today).value  # type: ignore[arg-type]  # a roster's row
        found.setdefault(table, []).append(doc)
    return found


def _is_his(table: str, row: Any, now: Moment) -> bool:
    if isinstance(row, Credential):
        return row.state.value in ("ISSUED", "ACTIVE")
    if table == "training":
        return True
    last = row.last_valid_on if table == "clearance" else row.until_on
    is_confirmed = row.confirmed_by is not None if table == "clearance" else True
    is_approved = row.is_approved if table == "need_to_know" else True
    return bool(not is_ended(row.ended_on, now.today) and last >= now.today and is_confirmed and is_approved)


def _own_doc(row: Row) -> dict[str, Any]:
    """A row as its subject may have it: nobody else's name, and nothing that could be tried out."""
    _table, doc = row_to_doc(row)
    return {
        name: MASKED if name in ABOUT_OTHERS else value for name, value in doc.items() if name not in NOT_TOLD
    }  # fmt: skip


# -- records ---------------------------------------------------------------------------------------------------------


def own_records(here: Parts, cardholder: str) -> dict[str, list[dict[str, Any]]]:
    """The last entries, the last refusals, and who looked, from the newest on."""
    rows = here.view.events_of(cardholder, None, LOOKED_AT)
    mine = [row for row in rows if row.cardholder == cardholder]
    entries = [_entry(row) for row in mine if row.type == "PASSAGE"]
    refusals = [_refusal(row) for row in mine if row.type == "ACCESS_DENIED"]
    looks = [_look(row) for row in mine if row.type == "NOTE"]
    return {
        "entries": entries[:SHOWN], "refusals": refusals[:SHOWN],
        "looks": [one for one in looks if one["kind"] in ("VIEW_PERSONAL", "EXPORT", "LINK_MADE")][:LOOKED_AT],
    }  # fmt: skip


def _entry(row: EventRow) -> dict[str, Any]:
    return {
        "seq": row.seq, "at": iso(row.at_ms), "at_ms": row.at_ms, "zone": row.zone, "portal": row.portal,
        "direction": row.direction,
    }  # fmt: skip


def _refusal(row: EventRow) -> dict[str, Any]:
    """The number that the reader showed, and a reason only where he can mend it."""
    reason = row.reason if row.reason in MENDABLE else None
    number = json.loads(row.body or "{}").get("number")
    return _entry(row) | {"number": number, "reason": reason, "do": str(MENDABLE[reason]) if reason else None}


def _look(row: EventRow) -> dict[str, Any]:
    body = json.loads(row.body or "{}")
    detail = body.get("detail") or {}
    return {
        "seq": row.seq, "at": iso(row.at_ms), "at_ms": row.at_ms, "kind": detail.get("kind"),
        "purpose": detail.get("purpose"), "officer": (body.get("actor") or {}).get("officer"),
    }  # fmt: skip


def exported(here: Parts, policy: Policy, cardholder: str) -> dict[str, Any]:
    """All that is held about somebody: his rows, whether they last or not, and his records; third parties masked."""
    name = here.view.names.get(cardholder)
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, row in rows_of(policy, cardholder):
        rows.setdefault(table, []).append(_own_doc(row))
    events = here.view.events_of(cardholder, None, EXPORTED_MAX + 1)
    return {
        "cardholder": cardholder,
        "name": None if name is None else {"name": name.name, "kana": name.kana, "roman": name.roman},
        "has_pin": CardholderId(cardholder) in policy.pins, "registers": rows,
        "records": [_exported(row, cardholder) for row in events[:EXPORTED_MAX]],
        "is_complete": len(events) <= EXPORTED_MAX,
    }  # fmt: skip


def _exported(row: EventRow, cardholder: str) -> dict[str, Any]:
    """One record. Of what is about somebody else beside him: that he was there."""
    if row.cardholder != cardholder:
        shown = _entry(row) | {"type": row.type, "as": "companion"}
        return {name: value for name, value in shown.items() if value is not None}
    shown = _entry(row) | {"type": row.type, "outcome": row.outcome, "as": "subject"}
    if row.type == "ACCESS_DENIED":
        shown |= {name: value for name, value in _refusal(row).items() if name in ("number", "reason")}
    if row.type == "NOTE":
        shown |= {name: value for name, value in _look(row).items() if name in ("kind", "purpose", "officer")}
    return {name: value for name, value in shown.items() if value is not None}
