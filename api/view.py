"""The view: api.db as the fold of the controller's records, applied in batches, once each, in order.

A record out of order is never guessed around: one already seen is passed over, one after a gap raises `Gap` so that
the feed fetches again. Writes stand under one lock; reads take a session of their own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, and_, delete, func, insert, not_, or_, update
from sqlmodel import Session, col, select

from api import alarms as alarm_cases
from api import presence
from api.event_search import Hits, Sought, search
from api.fold import OUTSIDE, PORTAL_TYPES, RELEASING, Folded, fold, next_state
from api.last_entries import drop_entries, entries, note_entries
from api.names import Name, Names
from api.tables import (
    PROJECTED,
    AlarmRow,
    CursorRow,
    DeviceRow,
    EventRow,
    ForgottenRow,
    OtherRow,
    PolicyRow,
    PortalRow,
    SuggestionRow,
)
from api.tiles import Tiles, fold_leaves
from controller.link.messages import Record, Status

_OF_BODY: Final = tuple(set(EventRow.__table__.columns.keys()) - {"seq", "class"})  # type: ignore[attr-defined]
"""What a row of an event has from the body: all but its number and class."""

RELOCK_GRACE_MS: Final = 500
SUGGESTED_MS: Final = 7 * 86_400_000
"""How long what the console suggested is kept."""

SILENT_S_MAX: Final = 5.0
"""A controller not heard for so long is called away (it sends a status every 2 s)."""


class Forgotten(Exception):
    """Whoever was forgotten gets no name again: old records would have one."""


class Gap(Exception):
    """A record is missing before this one."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"record {expected} is missing before {got}")
        self.expected, self.got = expected, got


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Rows and revision of one moment: what a change is made against."""

    revision: str
    rows: dict[tuple[str, str], dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Live:
    """What is known of the controller right now; not kept over a restart."""

    is_connected: bool = False
    heard_tick: float = float("-inf")
    status: Status | None = None
    fault: str | None = None

    def is_fresh(self, tick: float) -> bool:
        """Whether what the page shows may be believed to be so now."""
        return self.is_connected and tick - self.heard_tick <= SILENT_S_MAX


class View:
    """All reads and writes of api.db."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self.tiles = Tiles(engine)
        self._names = names
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self.live = Live()
        self.version = 0
        with Session(engine) as session:
            cursor = session.get(CursorRow, 1) or CursorRow()
            self.seq, self.revision, self.vkey = cursor.seq, cursor.revision, cursor.vkey
            self.checkpoint = cursor.checkpoint
            forgotten = list(session.exec(select(ForgottenRow.cardholder)))
        self._names.forget(forgotten)  # a stop between the record and the key, or keys from an old backup

    @property
    def engine(self) -> Engine:
        """api.db, to be read by what has questions of its own (`api.alarms`, `api.presence`)."""
        return self._engine

    # -- from the stream ----------------------------------------------------------------------------------------

    def has_seen(self, record: Record) -> bool:
        """Whether `record` is the one that was folded at its place; True where none was, or its body is gone since."""
        with Session(self._engine) as session:
            row = session.get(EventRow, record.seq)
        if row is None or record.body is None:
            return True
        event = fold(record).event
        return all(getattr(row, name) == event[name] for name in ("at_ms", "type", "record_class"))

    def follow_ledger(self, vkey: str, revision: str, *, anew: bool, is_other: bool = True) -> None:
        """Before streaming: of which ledger the records are; `anew`: start over, because it is not the one that was
        seen (`is_other`), or because what was folded of it is damaged: then nobody who is forgotten gets a name
        meanwhile.
        """
        with self._lock, Session(self._engine) as session:
            if anew:
                for table in PROJECTED if is_other else set(PROJECTED) - {ForgottenRow}:
                    session.execute(delete(table))
                self.seq, self.revision, self.checkpoint = -1, "", ""
                self.tiles.forget_all()
            self.vkey = vkey
            if self.seq < 0:
                self.revision = revision  # of a policy nobody has edited yet
            self._save(session, self.seq, self.revision, self.checkpoint)
        self._announce()

    def apply(self, records: Sequence[Record]) -> list[EventRow]:
        """Fold `records` in one transaction; the rows that were new. Raises Gap after applying those before it."""
        gap: Gap | None = None
        with self._lock, Session(self._engine) as session:
            at, folded = self.seq, []
            for record in records:
                if record.seq <= at:
                    continue
                if record.seq != at + 1:
                    gap = Gap(at + 1, record.seq)
                    break
                folded.append(fold(record))
                at = record.seq
            if folded:
                session.execute(insert(EventRow), [item.event for item in folded])
                revision = self.revision
                for item in folded:
                    _apply_one(session, item)
                    revision = item.revision or revision
                note_entries(session, (item.event for item in folded))
                taken = [record for record in records if self.seq < record.seq <= at]
                fold_leaves(session, taken, self.seq + 1)
                checkpoint = next((one.checkpoint for one in reversed(taken) if one.checkpoint), self.checkpoint)
                self._save(session, at, revision, checkpoint)
                if forgotten := [item.forgets for item in folded if item.forgets is not None]:
                    self._names.forget(forgotten)
                # only now: whoever waits for a record reads what it changed
                self.seq, self.revision, self.checkpoint = at, revision, checkpoint
        if folded:
            self._announce()
        if gap is not None:
            raise gap
        return [EventRow(**item.event) for item in folded]

    def _save(self, session: Session, seq: int, revision: str, checkpoint: str) -> None:
        session.merge(CursorRow(id=1, seq=seq, revision=revision, vkey=self.vkey, checkpoint=checkpoint))
        session.commit()

    def _announce(self) -> None:
        with self._moved:
            self.version += 1
            self._moved.notify_all()

    def heard(self, status: Status | None = None, *, is_connected: bool = True, fault: str | None = None) -> None:
        """Note that the controller spoke, or went away."""
        was = (self.live.is_connected, self.live.fault, self.live.status and _standing(self.live.status))
        self.live = Live(
            is_connected=is_connected,
            heard_tick=time.monotonic() if is_connected else self.live.heard_tick,
            status=status or self.live.status,
            fault=fault,
        )
        if was != (is_connected, fault, self.live.status and _standing(self.live.status)):
            self._announce()

    def wait_for(self, seq: int, timeout_s: float) -> bool:
        """Wait until record `seq` is in the view; whether it came in time."""
        with self._moved:
            return self._moved.wait_for(lambda: self.seq >= seq, timeout_s)

    # -- policy -------------------------------------------------------------------------------------------------

    def snapshot(self, *places: tuple[str, str]) -> Snapshot:
        """The named rows and the revision they belong to."""
        with self._lock, Session(self._engine) as session:
            rows = {}
            for place in places:
                row = session.get(PolicyRow, place)
                if row is not None:
                    rows[place] = json.loads(row.doc)
            return Snapshot(revision=self.revision, rows=rows)

    def row(self, table: str, name: str) -> dict[str, Any] | None:
        """One row of the policy in force."""
        return self.snapshot((table, name)).rows.get((table, name))

    def rows(self, table: str, *, cardholder: str | None = None, zone: str | None = None) -> list[dict[str, Any]]:
        """Rows of `table` in order of id."""
        query = select(PolicyRow.doc).where(PolicyRow.kind == table).order_by(col(PolicyRow.id))
        if cardholder is not None:
            query = query.where(PolicyRow.cardholder == cardholder)
        if zone is not None:
            query = query.where(PolicyRow.zone == zone)
        with Session(self._engine) as session:
            return [json.loads(doc) for doc in session.exec(query)]

    def policy_rows(self) -> tuple[int, str, list[tuple[str, dict[str, Any]]]]:
        """All of the policy in force: up to which record, its revision, its rows with their tables."""
        with self._lock, Session(self._engine) as session:
            found = session.exec(select(PolicyRow.kind, PolicyRow.doc)).all()
            return self.seq, self.revision, [(kind, json.loads(doc)) for kind, doc in found]

    def policy_changes(self, after: int) -> tuple[int, str, list[tuple[str, str]] | None]:
        """The same, of what edits after record `after` put or dropped, by place; None where that is not known."""
        query = select(EventRow.body).where(EventRow.seq > after, EventRow.type == "POLICY_EDITED")
        with self._lock, Session(self._engine) as session:
            if after > self.seq:
                return self.seq, self.revision, None
            bodies = [json.loads(body or "{}") for body in session.exec(query.order_by(col(EventRow.seq)))]
            told = [body.get("detail", {}).get("changed") for body in bodies]
            if any(one is None for one in told):
                return self.seq, self.revision, None
            return self.seq, self.revision, sorted({(place[0], place[1]) for one in told for place in one})

    # -- events and live states ---------------------------------------------------------------------------------

    def events_after(
        self, seq: int, limit: int, *, types: Collection[str] = (), zones: Collection[str] = ()
    ) -> list[EventRow]:
        """Up to `limit` events after `seq`, oldest first, without a gap; where `types` or `zones` are given, those."""
        query = select(EventRow).where(EventRow.seq > seq).order_by(col(EventRow.seq)).limit(limit)
        if types:
            query = query.where(col(EventRow.type).in_(types))
        if zones:
            query = query.where(col(EventRow.zone).in_(zones))
        with Session(self._engine) as session:
            return list(session.exec(query))

    def events_of(self, cardholder: str, before: int | None, limit: int) -> list[EventRow]:
        """The newest events that are about somebody, as subject, companion or escort; those before record `before`."""
        others = select(OtherRow.seq).where(OtherRow.cardholder == cardholder)
        subject = select(EventRow).where(col(EventRow.cardholder) == cardholder)
        if before is not None:
            others, subject = others.where(OtherRow.seq < before), subject.where(EventRow.seq < before)
        with Session(self._engine) as session:  # each by its own index: one question about both would sort all of them
            rows = list(session.exec(subject.order_by(col(EventRow.seq).desc()).limit(limit)))
            beside = list(session.exec(others.order_by(col(OtherRow.seq).desc()).limit(limit)))
            rows += session.exec(select(EventRow).where(col(EventRow.seq).in_(beside)))
        return sorted({row.seq: row for row in rows}.values(), key=lambda row: -row.seq)[:limit]

    def search(self, sought: Sought, before: int | None, limit: int) -> Hits:
        """The newest records that are as `sought`, those before record `before`."""
        with self._engine.connect() as connection:
            return search(connection, sought, before, limit)

    def refusals(self, number: str) -> list[EventRow]:
        """Refusals that showed these four characters, the newest first."""
        query = select(EventRow).where(EventRow.number == number, EventRow.type == "ACCESS_DENIED")
        with Session(self._engine) as session:
            return list(session.exec(query.order_by(col(EventRow.seq).desc()).limit(20)))

    def event(self, seq: int) -> EventRow | None:
        """One record."""
        with Session(self._engine) as session:
            return session.get(EventRow, seq)

    def newest_events(self, limit: int, of: ColumnElement[bool] | None = None) -> list[EventRow]:
        """The newest events but those of views, newest first; where `of` is given, those that it holds of."""
        query = select(EventRow).where(EventRow.record_class != "view").order_by(col(EventRow.seq).desc()).limit(limit)
        if of is not None:
            query = query.where(of)
        with Session(self._engine) as session:
            return list(session.exec(query))

    def portals_live(self, now_ms: int) -> dict[str, PortalRow]:
        """Live state of each portal; a release whose time is over reads as secured."""
        with Session(self._engine, expire_on_commit=False) as session:
            rows = list(session.exec(select(PortalRow)))
        for row in rows:
            if row.state == "released" and row.until_ms is not None and now_ms > row.until_ms:
                row.state, row.since_ms = "secured", row.until_ms
        return {row.id: row for row in rows}

    def alarms(self) -> list[AlarmRow]:
        """What began to be wrong and has not ended, the newest first."""
        with Session(self._engine) as session:
            return list(session.exec(select(AlarmRow).order_by(col(AlarmRow.since_ms).desc())))

    def visit_notes(self, cardholder: str, limit: int = 50) -> list[tuple[str, int]]:
        """What the desk noted of a visitor last: (kind of note, when), the newest first."""
        query = select(EventRow).where(EventRow.cardholder == cardholder, EventRow.type == "NOTE")
        with Session(self._engine) as session:
            rows = session.exec(query.order_by(col(EventRow.seq).desc()).limit(limit))
            told = [(json.loads(row.body or "{}").get("detail") or {}, row.at_ms or 0) for row in rows]
        return [(str(detail.get("kind")), at_ms) for detail, at_ms in told]

    def last_entries(
        self, *, zone: str | None = None, cardholders: Sequence[str] | None = None
    ) -> dict[tuple[str, str], int]:
        """(person, zone) -> when somebody was last seen to enter it: of one zone, of some people, or of all."""
        with Session(self._engine) as session:
            return entries(session, zone=zone, cardholders=cardholders)

    def devices(self) -> list[DeviceRow]:
        """Every device that was ever heard of."""
        with Session(self._engine) as session:
            return list(session.exec(select(DeviceRow).order_by(col(DeviceRow.id))))

    # -- names --------------------------------------------------------------------------------------------------

    @property
    def names(self) -> Names:
        """The names, to be read; they are written through the view alone."""
        return self._names

    def set_name(self, name: Name) -> None:
        """Keep a name. Raises Forgotten for somebody whose name was destroyed, NameKeysError where none can be kept."""
        with self._lock:
            if self.forgotten_at(name.cardholder) is not None:
                raise Forgotten(name.cardholder)
            self._names.keep(name)
        self._announce()

    def unname(self, cardholders: Collection[str]) -> None:
        """Destroy names of people who never came to be."""
        with self._lock:
            self._names.forget(cardholders)
        self._announce()

    def forgotten_at(self, cardholder: str) -> int | None:
        """The record by which somebody was forgotten."""
        with Session(self._engine) as session:
            row = session.get(ForgottenRow, cardholder)
            return None if row is None else row.seq

    def forget_owed(self) -> bool:
        """Once more: the keys of those who are to be forgotten. Whether all are gone."""
        with self._lock:
            self._names.forget(())
        return not self._names.owed

    def count(self) -> int:
        """Events held."""
        with Session(self._engine) as session:
            return session.exec(select(func.count()).select_from(EventRow)).one()


def _standing(status: Status) -> tuple[object, ...]:
    """What of a status is worth showing again when it changes."""
    return (
        status.boot, status.is_ledger_writable, status.is_clock_trusted,
        tuple(status.deviations), tuple(status.devices_offline), status.witnesses,
    )  # fmt: skip


def _apply_one(session: Session, item: Folded) -> None:
    event = item.event
    at_ms = event["at_ms"] or 0
    if item.starts:
        session.execute(delete(DeviceRow))
    if item.starts or item.stops:
        for row in session.exec(select(PortalRow)):
            row.state, row.since_ms, row.until_ms = ("secured" if item.starts else "unknown"), at_ms, None
            row.mode = "CARD"
    for table, name, doc in item.puts:
        cardholder = name if table == "cardholder" else doc.get("cardholder")
        session.merge(PolicyRow(kind=table, id=name, cardholder=cardholder, zone=doc.get("zone"), doc=json.dumps(doc)))
    for table, name in item.drops:
        if (gone := session.get(PolicyRow, (table, name))) is not None:
            session.delete(gone)
        if table == "portal" and (live := session.get(PortalRow, name)) is not None:
            session.delete(live)
    _note_suggested(session, item, at_ms)
    _note_people(session, item)
    _drop_bodies(session, item)
    if item.device is not None:
        name, is_online = item.device
        session.merge(DeviceRow(id=name, portal=event["portal"], is_online=is_online, since_ms=at_ms))
    _move_alarms(session, item, at_ms)
    _follow(session, item)
    if event["portal"] is not None and event["type"] in PORTAL_TYPES:
        _move_portal(session, event, item.mode, at_ms)


def _follow(session: Session, item: Folded) -> None:
    """What officers answer for, and where people are."""
    if item.alarm is not None or item.starts:
        alarm_cases.follow(session, item.event, item.alarm, starts=item.starts)
    if item.puts or item.drops:
        presence.layout_changed(session)
    if item.told is not None:
        presence.follow(session, item.told)


def _note_suggested(session: Session, item: Folded, at_ms: int) -> None:
    if item.suggested is not None:
        session.execute(delete(SuggestionRow).where(col(SuggestionRow.at_ms) < at_ms - SUGGESTED_MS))
        session.merge(SuggestionRow(seq=item.event["seq"], at_ms=at_ms, **item.suggested))


def _note_people(session: Session, item: Folded) -> None:
    """Who else a record is about; who is forgotten by it, the first time."""
    seq = item.event["seq"]
    for other in item.others:
        session.merge(OtherRow(cardholder=other, seq=seq))
    if item.forgets is not None and session.get(ForgottenRow, item.forgets) is None:
        session.add(ForgottenRow(cardholder=item.forgets, seq=seq))
        session.flush()


def _drop_bodies(session: Session, item: Folded) -> None:
    """Forget what the ledger dropped by rule: what stays is that there was a record of that class (D-23)."""
    if item.purged is None:
        return
    class_, ranges = item.purged
    if class_ == "alarm":
        alarm_cases.forget(session, ranges, item.event["seq"])
    for first, last in ranges:
        of = (col(EventRow.record_class) == class_, col(EventRow.seq).between(first, min(last, item.event["seq"] - 1)))
        session.execute(delete(OtherRow).where(col(OtherRow.seq).in_(select(EventRow.seq).where(*of))))
        session.execute(update(EventRow).where(*of).values(dict.fromkeys(_OF_BODY)))
        if class_ == "access":
            drop_entries(session, first, min(last, item.event["seq"] - 1))


def _move_alarms(session: Session, item: Folded, at_ms: int) -> None:
    if item.starts:
        # What still is wrong is said again by the controller that starts; not so what was seen outside, and a damaged
        # end of the ledger, which this very start recorded before itself.
        is_new = and_(col(AlarmRow.kind) == "TAIL_SET_ASIDE", col(AlarmRow.since_ms) == at_ms)
        # A device's clock is compared anew; a witness's stands until its courier says that it agrees: its name has a
        # dot or a stroke in it, no device's id has.
        name = col(AlarmRow.place)
        is_witness = and_(col(AlarmRow.kind) == "CLOCK_SKEW", or_(name.contains("."), name.contains("/")))
        session.execute(delete(AlarmRow).where(col(AlarmRow.kind).not_in(OUTSIDE), not_(is_new), not_(is_witness)))
    if item.raises is not None:
        kind, place = item.raises
        event = item.event
        session.merge(AlarmRow(kind=kind, place=place, portal=event["portal"], zone=event["zone"], since_ms=at_ms))
    if item.lifts is not None:
        kind, ended = item.lifts
        over = delete(AlarmRow).where(col(AlarmRow.kind) == kind)
        session.execute(over if ended is None else over.where(col(AlarmRow.place) == ended))


def _move_portal(session: Session, event: dict[str, Any], mode: str | None, at_ms: int) -> None:
    name, what = event["portal"], event["type"]
    policy = session.get(PolicyRow, ("portal", name))
    doc: dict[str, Any] = json.loads(policy.doc) if policy is not None else {}
    row = session.get(PortalRow, name)
    if row is None:
        row = PortalRow(id=name, state="secured", since_ms=at_ms, last_seq=0, last_type="", last_at_ms=0)
        session.add(row)
        session.flush()
    # a session holds its rows weakly: without these it reads both again for every record of a batch
    session.info[name] = (policy, row)
    state = next_state(row.state, what, has_contact=doc.get("has_contact", True))
    if state is not None and (state != row.state or what in RELEASING):
        release_ms = doc.get("release_ms", 3000)
        row.since_ms = at_ms
        row.until_ms = at_ms + int(release_ms) + RELOCK_GRACE_MS if state == "released" else None
        row.state = state
    row.mode = mode or row.mode
    row.last_seq, row.last_type, row.last_at_ms = event["seq"], what, at_ms
