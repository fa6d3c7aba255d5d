"""Alarms an officer answers for: repeated ones joined, open until their cause is over and somebody said what it was.

Folded from the records like all of the view (`api.alarm_fold` says what a record means). An alarm is joined to an
earlier one of the same kind about the same thing while that one's cause lasts, or within `JOINED_MS` of its last
record while nobody has handled it. What it was is said with one of `ALARM_CAUSES`, which can be counted, and a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, and_, delete, or_, text, update
from sqlmodel import Session, col, select

from api.alarm_fold import KINDS, Handled, Over, Raised, Step
from api.tables import AlarmCaseRow
from api.words import moment_of

JOINED_MS: Final = 10 * 60_000
"""A repeated alarm within this time of the last one is the same one, once more."""

WORST: Final = (
    "FIRE_ON", "DURESS", "DOOR_FORCED", "TAMPER", "CREDENTIAL_ALARM", "OSDP_DOWNGRADE", "READER_REPLACED", "TAILGATE",
)  # fmt: skip
"""Kinds that stand before all others, in this order."""


_END: Final = text(
    "UPDATE alarm_case SET ended_ms = :at_ms, is_doubted = 0"
    " WHERE kind = :kind AND ended_ms IS NULL AND (:row IS NULL OR row = :row)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCase:
    """One alarm with its repetitions. `seq` names it; `last_seq`: the newest record of it."""

    seq: int
    last_seq: int
    kind: str
    row: str
    portal: str | None
    zone: str | None
    first_ms: int
    last_ms: int
    count: int
    ended_ms: int | None
    is_doubted: bool
    handled_seq: int | None
    handled_ms: int | None
    cause: str | None
    officer: str | None

    @property
    def is_lasting(self) -> bool:
        """Whether its cause is not known to be over: the door was not seen closed, the line not whole."""
        return self.ended_ms is None

    @property
    def needs_handling(self) -> bool:
        """Whether nobody has said yet what it was."""
        return self.handled_seq is None

    @property
    def is_open(self) -> bool:
        """Whether an officer still has to do with it."""
        return self.needs_handling or (self.is_lasting and not self.is_doubted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How often, in a month (YYYY-MM, Japan), one portal raised one kind of alarm for one cause; None: not said yet."""

    month: str
    portal: str | None
    kind: str
    cause: str | None
    count: int


# -- the fold ---------------------------------------------------------------------------------------------------------


def follow(session: Session, event: dict[str, Any], step: Step | None, *, starts: bool) -> None:
    """Take one record in. `starts`: it is a start of the controller, which says again what still is wrong."""
    if starts:
        inside = [kind for kind, rule in KINDS.items() if not rule.outside]
        doubted = update(AlarmCaseRow).where(col(AlarmCaseRow.ended_ms).is_(None), col(AlarmCaseRow.kind).in_(inside))
        session.execute(doubted.values(is_doubted=True))
    match step:
        case Raised():
            _raise(session, event, step)
        case Over():
            _end(session, event["at_ms"] or 0, step)
        case Handled():
            _handle(session, event, step)


def _raise(session: Session, event: dict[str, Any], step: Raised) -> None:
    at_ms = event["at_ms"] or 0
    case = _joined(session, step, at_ms)
    if case is None:
        session.add(
            AlarmCaseRow(
                seq=event["seq"], last_seq=event["seq"], kind=step.kind, row=step.row, portal=event["portal"],
                zone=event["zone"], first_ms=at_ms, last_ms=at_ms, ended_ms=None if step.lasts else at_ms,
            )
        )  # fmt: skip
    else:
        case.last_seq, case.last_ms, case.count = event["seq"], at_ms, case.count + 1
        case.ended_ms, case.is_doubted = None if step.lasts else at_ms, False
        session.add(case)
    session.flush()


def _joined(session: Session, step: Raised, at_ms: int) -> AlarmCaseRow | None:
    """The alarm that this one repeats. A door found open at a start goes on with what it was open for before."""
    kinds, row = [step.kind], col(AlarmCaseRow.row) == step.row
    if step.kind == "DOOR_OPEN_AT_START":
        kinds += ["DOOR_FORCED", "DOOR_HELD"]
    is_recent = and_(col(AlarmCaseRow.handled_seq).is_(None), col(AlarmCaseRow.last_ms) >= at_ms - JOINED_MS)
    query = (
        select(AlarmCaseRow)
        .where(col(AlarmCaseRow.kind).in_(kinds), row, or_(col(AlarmCaseRow.ended_ms).is_(None), is_recent))
        .order_by(col(AlarmCaseRow.ended_ms).is_(None).desc(), col(AlarmCaseRow.seq).desc())
    )
    return session.exec(query, execution_options={"populate_existing": True}).first()


def _end(session: Session, at_ms: int, step: Over) -> None:
    """Most records of this kind end nothing: a leaf falls shut behind everybody."""
    for kind in step.kinds:
        session.connection().execute(_END, {"kind": kind, "row": step.row, "at_ms": at_ms})


def _handle(session: Session, event: dict[str, Any], step: Handled) -> None:
    mine = (
        col(AlarmCaseRow.kind) == step.kind, col(AlarmCaseRow.row) == step.row,
        col(AlarmCaseRow.handled_seq).is_(None), col(AlarmCaseRow.seq) <= step.up_to,
    )  # fmt: skip
    said = {
        "handled_seq": event["seq"],
        "handled_ms": event["at_ms"] or 0,
        "cause": step.cause,
        "officer": step.officer,
    }
    session.execute(update(AlarmCaseRow).where(*mine).values(said))


def forget(session: Session, ranges: Collection[tuple[int, int]], before: int) -> None:
    """Alarms whose records the ledger dropped by rule (D-23) are forgotten here too."""
    for first, last in ranges:
        gone = col(AlarmCaseRow.last_seq).between(first, min(last, before - 1))
        session.execute(delete(AlarmCaseRow).where(gone))


# -- what is asked ----------------------------------------------------------------------------------------------------


def open_alarms(engine: Engine) -> list[AlarmCase]:
    """Every alarm that is open: the worst kinds first, of each what needs handling, of that the newest."""
    is_standing = and_(col(AlarmCaseRow.ended_ms).is_(None), col(AlarmCaseRow.is_doubted).is_(False))
    query = select(AlarmCaseRow).where(or_(col(AlarmCaseRow.handled_seq).is_(None), is_standing))
    with Session(engine) as session:
        found = [_case(row) for row in session.exec(query)]
    return sorted(found, key=lambda case: (_rank(case.kind), not case.needs_handling, -case.last_seq))


def past_alarms(engine: Engine, before: int | None, limit: int) -> list[AlarmCase]:
    """Alarms that were handled, the newest first; those before record `before`."""
    query = select(AlarmCaseRow).where(col(AlarmCaseRow.handled_seq).is_not(None))
    if before is not None:
        query = query.where(col(AlarmCaseRow.seq) < before)
    with Session(engine) as session:
        return [_case(row) for row in session.exec(query.order_by(col(AlarmCaseRow.seq).desc()).limit(limit))]


def alarms_between(engine: Engine, first: int, last: int, limit: int) -> list[AlarmCase]:
    """Alarms of which some record lies between two numbers, the newest first."""
    query = select(AlarmCaseRow).where(col(AlarmCaseRow.last_seq) >= first, col(AlarmCaseRow.seq) <= last)
    with Session(engine) as session:
        return [_case(row) for row in session.exec(query.order_by(col(AlarmCaseRow.seq).desc()).limit(limit))]


def alarm(engine: Engine, seq: int) -> AlarmCase | None:
    """The alarm whose first record is `seq`."""
    with Session(engine) as session:
        row = session.get(AlarmCaseRow, seq)
        return None if row is None else _case(row)


def figures(engine: Engine, from_ms: int, until_ms: int) -> list[Figure]:
    """How many alarms each portal raised, by month, kind and cause: what is a nuisance is seen here (worn latches)."""
    query = select(AlarmCaseRow).where(col(AlarmCaseRow.first_ms) >= from_ms, col(AlarmCaseRow.first_ms) < until_ms)
    counts: Counter[tuple[str, str | None, str, str | None]] = Counter()
    with Session(engine) as session:
        for row in session.exec(query):
            at = moment_of(row.first_ms)
            month = "" if at is None else f"{at:%Y-%m}"
            counts[month, row.portal, row.kind, row.cause] += row.count
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], str(item[0])))
    return [Figure(month=m, portal=p, kind=k, cause=c, count=count) for (m, p, k, c), count in ordered]


def _rank(kind: str) -> int:
    return WORST.index(kind) if kind in WORST else len(WORST)


def _case(row: AlarmCaseRow) -> AlarmCase:
    return AlarmCase(**{name: getattr(row, name) for name in AlarmCase.__slots__})
