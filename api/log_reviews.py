"""Looks through the log (A-15): what the last was, by when the next is due, and what there is to look at until then.

The controller judges who may sign one and says when one is overdue; here is only shown what its records tell. A look
is made of codes, counts and pseudonyms: an auditor sees no names.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from api.alarms import AlarmCase, alarms_between, open_alarms
from api.tables import EventRow
from api.view import View
from controller.link.messages import ReviewLog

OVERDUE: Final = "LOG_REVIEW_OVERDUE"
REFUSED: Final = ("EDIT_REFUSED", "COMMAND_REFUSED", "LOG_ADMIN_REFUSED")
COUNTED: Final = (
    *("ACCESS_GRANTED", "ACCESS_DENIED", "RELEASED", "POLICY_EDITED", *REFUSED, "PURGED", "LEGAL_HOLD_ON"),
    *("LEGAL_HOLD_OFF", "PRESENCE_FORGIVEN", "PIN_UNLOCKED", "READER_APPROVED", "DEVICE_ORDER", "OFFICER_RESET"),
    *("CONTROLLER_STARTED", "DEVIATION"),
)
"""Types of records that are counted for whoever looks; alarms stand in full beside them."""

SHOWN_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look through the log, as it was recorded."""

    seq: int
    at_ms: int
    officer: str
    from_seq: int
    to_seq: int
    outcome: str
    incident: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What there is to look at: records `from_seq` to `to_seq`, since `since_ms`. `is_overdue`: the controller says so.
    `has_more`: more alarms than are shown.
    """

    from_seq: int
    to_seq: int
    since_ms: int
    counts: dict[str, int]
    alarms: list[AlarmCase]
    has_more: bool
    is_overdue: bool


def looks(engine: Engine, limit: int) -> list[Look]:
    """The newest looks, the newest first."""
    query = select(EventRow).where(EventRow.type == "LOG_REVIEWED").order_by(col(EventRow.seq).desc()).limit(limit)
    with Session(engine) as session:
        return [_look(row) for row in session.exec(query)]


def span(view: View) -> Span:
    """What came since the last look, until now."""
    last = next(iter(looks(view.engine, 1)), None)
    from_seq, to_seq = (0 if last is None else last.to_seq + 1), view.seq
    found = [one for one in alarms_between(view.engine, from_seq, to_seq, SHOWN_MAX + 1) if one.kind != OVERDUE]
    with Session(view.engine) as session:
        first = session.exec(select(EventRow).where(EventRow.seq >= from_seq).order_by(col(EventRow.seq)).limit(1))
        row = first.first()
        counted = (
            select(EventRow.type, func.count())
            .where(col(EventRow.seq).between(from_seq, to_seq), col(EventRow.type).in_(COUNTED))
            .group_by(col(EventRow.type))
        )
        counts = Counter({str(kind): count for kind, count in session.exec(counted)})
    return Span(
        from_seq=from_seq, to_seq=to_seq, since_ms=0 if row is None else row.at_ms or 0,
        counts={kind: counts[kind] for kind in COUNTED if counts[kind]}, alarms=found[:SHOWN_MAX],
        has_more=len(found) > SHOWN_MAX, is_overdue=any(one.kind == OVERDUE for one in _standing(view)),
    )  # fmt: skip


def message(officer: str, key: str, to_seq: int, outcome: str, incident: str | None) -> ReviewLog:
    """What the controller is asked to record."""
    return ReviewLog(id=key, to_seq=to_seq, outcome=outcome, incident=incident or None, officer=officer)


def _standing(view: View) -> list[AlarmCase]:
    return [one for one in open_alarms(view.engine) if one.is_lasting]


def _look(row: EventRow) -> Look:
    body: dict[str, Any] = json.loads(row.body or "{}")
    detail = body.get("detail", {})
    return Look(
        seq=row.seq, at_ms=row.at_ms or 0, officer=body.get("actor", {}).get("officer", ""),
        from_seq=detail.get("from_seq", 0), to_seq=detail.get("to_seq", 0), outcome=detail.get("code", ""),
        incident=detail.get("incident"),
    )  # fmt: skip
