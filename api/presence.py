"""Where everybody was last seen, and the roll call: folded from the records as the controller folds its own presence.

The same rules as `controller.link.follow`, for the list that somebody holds in his hand when the building burns: it is
there when the fire alarm's record is, and it says what is not certain. `tests/api` holds the two folds together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Engine, func, or_, text, update
from sqlmodel import Session, col, select

from api.days import moment_of
from api.tables import EventRow, PolicyRow, PresenceRow, RollRow, TickRow

FOUND: Final = "found"
MISSING: Final = "missing"
UNKNOWN_WITHIN_MS: Final = 12 * 3_600_000
"""Somebody without a card who was let in by hand is looked for on the roll call for so long."""

UNKNOWN_SCAN_MAX: Final = 20_000
"""So many of the newest records are looked through for them."""

BEGUN: Final = "begun"
ENDED: Final = "ended"
ROLL_MS_MAX: Final = 4 * 3_600_000
"""A drill that nobody ended is over after so long, and a fire alarm after so long is another fire."""

TICKED_WITHIN_MS: Final = 24 * 3_600_000
"""A tick that was made without a network counts for the roll call of the day, though that is over by then."""

_MOVE: Final = text(
    "INSERT INTO presence (cardholder, zone, portal, since_ms, is_certain, was_certain)"
    " VALUES (:who, :zone, :portal, :at_ms, 1, 1) ON CONFLICT (cardholder) DO UPDATE SET zone = excluded.zone,"
    " portal = excluded.portal, since_ms = excluded.since_ms, is_certain = 1, was_certain = 1"
)
_DOUBT: Final = text(
    "UPDATE presence SET is_certain = 0, was_certain = 0"
    " WHERE zone IN (SELECT value FROM json_each(:zones)) AND (is_certain OR was_certain)"
)
"""Written out: a view that is folded anew does these hundreds of thousands of times."""

_LAYOUT: Final = "zones within each portal"

_OPEN_FIRES: Final = (col(RollRow.is_drill).is_(False), col(RollRow.ended_ms).is_(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """Where somebody was last seen: `since_ms` is when he went in. `is_certain`: nothing came since that could have
    moved him unseen, a fire apart.
    """

    cardholder: str
    zone: str
    portal: str | None
    since_ms: int
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Somebody whose card nobody saw: let in by hand (RELEASED), or in another's wake (TAILGATE)."""

    seq: int
    type: str
    zone: str | None
    portal: str | None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """A roll call: the record that began it (a fire alarm, or a drill), when, and which of the two it is."""

    seq: int
    at_ms: int
    is_drill: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What was found of somebody."""

    is_found: bool
    at_ms: int
    officer: str


# -- the fold ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What of a record the fold reads: the columns of its row, its detail, and which officer did it."""

    event: Mapping[str, Any]
    detail: Mapping[str, Any]
    officer: str


def follow(session: Session, told: Told) -> None:
    """Take one record in, of a type in FOLLOWED."""
    _FOLDS[told.event["type"]](session, told)


def _unused(session: Session, told: Told) -> None:
    """Nobody came; or nobody could see whether he did."""
    if told.detail.get("is_certain", True) is False:
        _doubt_one(session, told.event["cardholder"])


def _left_unseen(session: Session, told: Told) -> None:
    _doubt(session, _within(session, told.event["portal"]))


def _forgiven(session: Session, told: Told) -> None:
    if told.event["cardholder"] is None:
        _doubt(session, None)
    else:
        _doubt_one(session, told.event["cardholder"])


def _started(session: Session, _told: Told) -> None:
    _doubt(session, None)
    session.execute(update(RollRow).where(*_OPEN_FIRES).values(is_doubted=True))


def _shaken(session: Session, _told: Told) -> None:
    _doubt(session, None)


def _restored(session: Session, told: Told) -> None:
    """Records that were lost may have moved anybody."""
    if told.detail.get("records_lost"):
        _doubt(session, None)


def _noted(session: Session, told: Told) -> None:
    if told.detail.get("kind") == "ROLL_CALL":
        _tick(session, told)
    elif told.detail.get("kind") == "DRILL":
        _drills(session, told)


def _reset(session: Session, told: Told) -> None:
    session.execute(update(RollRow).where(*_OPEN_FIRES).values(ended_ms=told.event["at_ms"] or 0))


def _passed(session: Session, told: Told) -> None:
    event = told.event
    if event["cardholder"] is None or event["zone"] is None:
        return
    at = {"who": event["cardholder"], "zone": event["zone"], "portal": event["portal"], "at_ms": event["at_ms"] or 0}
    session.connection().execute(_MOVE, at)


def _doubt(session: Session, zones: Iterable[str] | None, *, is_fire: bool = False) -> None:
    """All who are in `zones` (None: anywhere) are where they were, but not certainly. What was certain before a fire is
    remembered: it alone tells who was never sure to be inside.
    """
    doubted = update(PresenceRow) if zones is None else update(PresenceRow).where(col(PresenceRow.zone).in_(zones))
    if not is_fire and zones is not None:
        session.connection().execute(_DOUBT, {"zones": json.dumps(list(zones))})
        return
    if not is_fire:
        session.execute(doubted.values(is_certain=False, was_certain=False))
        return
    session.execute(doubted.where(col(PresenceRow.is_certain).is_(False)).values(was_certain=False))
    session.execute(doubted.values(is_certain=False))


def _doubt_one(session: Session, cardholder: str | None) -> None:
    one = update(PresenceRow).where(col(PresenceRow.cardholder) == cardholder)
    session.execute(one.values(is_certain=False, was_certain=False))


def _within(session: Session, portal: str | None) -> list[str]:
    """The zone that a portal leads into, and all that is nested in it. Kept for a batch: see `layout_changed`."""
    kept: dict[str | None, list[str]] = session.info.setdefault(_LAYOUT, {})
    if portal not in kept:
        row = session.get(PolicyRow, ("portal", portal or ""))
        found = [] if row is None else [json.loads(row.doc)["inner"]]
        around = {zone.id: json.loads(zone.doc).get("parent") for zone in _rows(session, "zone")} if found else {}
        for zone in found:  # grows while it is walked
            found += [one for one, parent in around.items() if parent == zone and one not in found]
        kept[portal] = found
    return kept[portal]


def layout_changed(session: Session) -> None:
    """Zones or portals were edited: what was kept of them is not so any more."""
    session.info.pop(_LAYOUT, None)


def _rows(session: Session, table: str) -> Iterable[PolicyRow]:
    return session.exec(select(PolicyRow).where(PolicyRow.kind == table))


def _burns(session: Session, told: Told) -> None:
    """A fire alarm: the roll call begins, or goes on where another detector, or another start, says so again."""
    _doubt(session, None, is_fire=True)
    event = told.event
    at_ms = event["at_ms"] or 0
    lasting = session.exec(_lasting(is_drill=False)).first()
    if lasting is not None and lasting.at_ms >= at_ms - ROLL_MS_MAX:
        lasting.is_doubted = False
        session.add(lasting)
    else:
        session.execute(update(RollRow).where(*_OPEN_FIRES).values(ended_ms=at_ms))
        session.add(RollRow(seq=event["seq"], at_ms=at_ms, is_drill=False))
    session.flush()


def _drills(session: Session, told: Told) -> None:
    event = told.event
    at_ms = event["at_ms"] or 0
    over = update(RollRow).where(col(RollRow.is_drill).is_(True), col(RollRow.ended_ms).is_(None))
    session.execute(over.values(ended_ms=at_ms))
    if told.detail.get("purpose") == BEGUN:
        session.add(RollRow(seq=event["seq"], at_ms=at_ms, is_drill=True))
        session.flush()


def _tick(session: Session, told: Told) -> None:
    event, detail = told.event, told.detail
    newest = session.exec(select(RollRow).order_by(col(RollRow.seq).desc()).limit(1)).first()
    is_old = newest is None or newest.at_ms < (event["at_ms"] or 0) - TICKED_WITHIN_MS
    lasting = _roll(session, event["at_ms"] or 0) or newest
    if lasting is None or is_old or event["cardholder"] is None:
        return
    session.add(
        TickRow(
            seq=event["seq"], roll=lasting.seq, request=str(detail.get("id", "")), cardholder=event["cardholder"],
            at_ms=event["at_ms"] or 0, is_found=detail.get("purpose") == FOUND,
            officer=told.officer,
        )
    )  # fmt: skip
    session.flush()


_FOLDS: Final[Mapping[str, Callable[[Session, Told], None]]] = MappingProxyType(
    {
        "PASSAGE": _passed,
        "NO_PASSAGE": _unused,
        "EXIT": _left_unseen,
        "PRESENCE_FORGIVEN": _forgiven,
        "CONTROLLER_STARTED": _started,
        "FIRE_ON": _burns,
        "FIRE_RESET": _reset,
        "POWER_LOST": _shaken,
        "STORAGE_RESTORED": _restored,
        "NOTE": _noted,
    }
)

FOLLOWED: Final = frozenset(_FOLDS)


# -- what is asked ----------------------------------------------------------------------------------------------------


def last_places(engine: Engine) -> list[Last]:
    """Where everybody who is not outside was last seen: the outermost zones are outside."""
    with Session(engine) as session:
        outside = [row.id for row in _rows(session, "zone") if json.loads(row.doc).get("parent") is None]
        gone = {row.id for row in _rows(session, "cardholder") if _is_gone(json.loads(row.doc))}
        rows = list(session.exec(select(PresenceRow).where(col(PresenceRow.zone).not_in(outside))))
    return [
        Last(
            cardholder=row.cardholder, zone=row.zone, portal=row.portal, since_ms=row.since_ms,
            is_certain=row.is_certain or row.was_certain,
        )
        for row in rows
        if row.cardholder not in gone or row.is_certain
    ]  # fmt: skip


def _is_gone(doc: dict[str, Any]) -> bool:
    """Whoever leaves next month is here, and whoever was taken off this morning may be."""
    return str(doc.get("ended_on", "9999")) < _today()


def _today() -> str:
    at = moment_of(time.time_ns() // 1_000_000)
    assert at is not None, "now is a moment"
    return at.date().isoformat()


def counted_places(engine: Engine) -> dict[str, int]:
    """How many of those of `last_places` were last seen in each zone: counted where they are kept."""
    with Session(engine) as session:
        outside = [row.id for row in _rows(session, "zone") if json.loads(row.doc).get("parent") is None]
        ended = func.json_extract(PolicyRow.doc, "$.ended_on") < _today()
        gone = select(PolicyRow.id).where(PolicyRow.kind == "cardholder", ended)
        counted = select(PresenceRow.zone, func.count()).where(
            col(PresenceRow.zone).not_in(outside),
            or_(col(PresenceRow.is_certain), col(PresenceRow.cardholder).not_in(gone)),
        )
        return dict(session.exec(counted.group_by(PresenceRow.zone)).all())


def unknown_people(engine: Engine, now_ms: int) -> list[Unknown]:
    """Who may be inside though no card says so, the newest first."""
    with Session(engine) as session:
        newest = session.exec(select(func.max(EventRow.seq))).one() or 0
        query = (
            select(EventRow)
            .where(
                col(EventRow.seq) > newest - UNKNOWN_SCAN_MAX,
                col(EventRow.type).in_(("RELEASED", "TAILGATE")),
                col(EventRow.at_ms) >= now_ms - UNKNOWN_WITHIN_MS,
            )
            .order_by(col(EventRow.seq).desc())
        )
        rows = list(session.exec(query))
    return [
        Unknown(seq=row.seq, type=row.type or "", zone=row.zone, portal=row.portal, at_ms=row.at_ms or 0)
        for row in rows
    ]


def roll(engine: Engine, now_ms: int) -> Roll | None:
    """The roll call that lasts: of a fire until its reset, of a drill until it is ended, or `ROLL_MS_MAX`."""
    with Session(engine) as session:
        return _roll(session, now_ms)


def last_roll(engine: Engine, now_ms: int) -> Roll | None:
    """The roll call that lasts, or the newest of the last day, though it is over: ticks may still come in for it."""
    with Session(engine) as session:
        row = session.exec(select(RollRow).order_by(col(RollRow.seq).desc()).limit(1)).first()
        newest = None if row is None or row.at_ms < now_ms - TICKED_WITHIN_MS else row
        found = None if newest is None else Roll(seq=newest.seq, at_ms=newest.at_ms, is_drill=newest.is_drill)
        return _roll(session, now_ms) or found


def _lasting(*, is_drill: bool) -> Any:
    lasts = select(RollRow).where(col(RollRow.is_drill).is_(is_drill), col(RollRow.ended_ms).is_(None))
    return lasts.order_by(col(RollRow.seq).desc()).limit(1)


def _roll(session: Session, now_ms: int) -> Roll | None:
    """A fire goes before a drill."""
    for is_drill in (False, True):
        row = session.exec(_lasting(is_drill=is_drill)).first()
        is_over = row is None or row.is_doubted or (is_drill and row.at_ms < now_ms - ROLL_MS_MAX)
        if row is not None and not is_over:
            return Roll(seq=row.seq, at_ms=row.at_ms, is_drill=row.is_drill)
    return None


def ticks(engine: Engine, roll_seq: int) -> dict[str, Tick]:
    """What was found so far, by person: what was said last counts."""
    query = select(TickRow).where(TickRow.roll == roll_seq).order_by(col(TickRow.seq))
    with Session(engine) as session:
        rows = list(session.exec(query))
    return {row.cardholder: Tick(is_found=row.is_found, at_ms=row.at_ms, officer=row.officer) for row in rows}


def ticked_requests(engine: Engine, roll_seq: int) -> frozenset[str]:
    """Ids of the ticks that are recorded: one that is sent again after a lost answer makes no other."""
    with Session(engine) as session:
        return frozenset(session.exec(select(TickRow.request).where(TickRow.roll == roll_seq)))
