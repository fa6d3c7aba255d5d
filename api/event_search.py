"""Search over the records' view: by person, portal, zone, type, day, outcome and the number of a refusal, newest first.

What is asked for picks one index, the one that leaves fewest rows; of that, a bounded number is looked at for one page,
so that no question over a million records keeps others waiting. A page may so come short: it says how far back it got.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from api.tables import EventRow
from zones.moment import JST, epoch_ms

LOOKED_AT_MAX: Final = 20_000
"""Rows that one page looks at."""

_SAMPLE: Final = 3_000
_COLUMNS: Final = (
    *("seq", "at_ms", "type", "class", "outcome", "reason", "zone", "portal", "access_point", "direction"),
    *("cardholder", "credential", "number", "body"),
)
_INDEXES: Final = {
    "cardholder": "event_cardholder",
    "portal": "event_portal",
    "zone": "event_zone",
    "type": "event_type",
    "outcome": "event_outcome",
    "number": "event_number",
}
"""Column -> its index, each with the record's number behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is looked for; None: anything. `zones`: within these alone (what a work manager answers for). Days are days
    in Japan, both inclusive.
    """

    cardholder: str | None = None
    portal: str | None = None
    zone: str | None = None
    type: str | None = None
    outcome: str | None = None
    number: str | None = None
    first_on: date | None = None
    last_on: date | None = None
    zones: frozenset[str] | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns that must be equal to something."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name in _INDEXES}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """One page: rows from the newest on, and the cursor of what lies before. `looked_back_to`: the oldest record that
    was looked at, where the page came short without having reached the beginning.
    """

    rows: tuple[EventRow, ...]
    before: int | None = None
    looked_back_to: int | None = None


def search(
    connection: Connection, sought: Sought, before: int | None, limit: int, looked_at_max: int = LOOKED_AT_MAX
) -> Hits:
    """The newest records that are as `sought`, those before record `before`."""
    span = _span(connection, sought, before)
    if span is None:
        return Hits(rows=())
    columns = sought.columns
    best = _narrowest(connection, columns, span)
    if best == "cardholder":
        pool, values = _about(columns["cardholder"], span)
    elif best is not None:
        pool = f"SELECT seq FROM event INDEXED BY {_INDEXES[best]} WHERE {best} = :best AND seq BETWEEN :low AND :high"  # noqa: S608  our own names
        values = {"best": columns[best], **_ends(span)}
    else:
        pool, values = "SELECT seq FROM event WHERE seq BETWEEN :low AND :high", _ends(span)
    looked = f"SELECT seq FROM ({pool}) ORDER BY seq DESC LIMIT {looked_at_max}"  # noqa: S608
    rest, more = _conditions(sought, without=best)
    shown = ", ".join(f"e.{name}" for name in _COLUMNS).replace("e.class", "e.class AS record_class")
    query = f"SELECT {shown} FROM ({looked}) AS p CROSS JOIN event AS e ON e.seq = p.seq {rest} LIMIT :limit"  # noqa: S608  our own names
    found = connection.execute(text(query), {**values, **more, "limit": limit + 1}).mappings()
    rows = [EventRow(**row) for row in found]
    if len(rows) > limit:
        return Hits(rows=tuple(rows[:limit]), before=rows[limit - 1].seq)
    end = connection.execute(
        text(f"SELECT count(*), min(seq) FROM ({looked})"),  # noqa: S608
        values,
    ).one()
    if end[0] < looked_at_max:
        return Hits(rows=tuple(rows))
    return Hits(rows=tuple(rows), before=end[1], looked_back_to=end[1])


def _ends(span: tuple[int, int]) -> dict[str, int]:
    return {"low": span[0], "high": span[1]}


def _about(cardholder: str, span: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """Whatever is about somebody, as subject, companion or escort, each by its own index."""
    pool = (
        "SELECT seq FROM event INDEXED BY event_cardholder WHERE cardholder = :best AND seq BETWEEN :low AND :high"
        " UNION SELECT seq FROM event_other WHERE cardholder = :best AND seq BETWEEN :low AND :high"
    )
    return pool, {"best": cardholder, **_ends(span)}


def _span(connection: Connection, sought: Sought, before: int | None) -> tuple[int, int] | None:
    """The record numbers that can be meant at all. Clocks are set back at times: a day's records need not be one row
    after the other, so that the day itself is asked for besides.
    """
    low, high = 0, 2**53 if before is None else before - 1
    if sought.first_on is not None or sought.last_on is not None:
        first, last = _millis(sought)
        found = connection.execute(
            text("SELECT min(seq), max(seq) FROM event INDEXED BY event_at WHERE at_ms BETWEEN :first AND :last"),
            {"first": first, "last": last},
        ).one()
        if found[0] is None:
            return None
        low, high = max(low, found[0]), min(high, found[1])
    return (low, high) if low <= high else None


def _millis(sought: Sought) -> tuple[int, int]:
    def begin(day: date) -> int:
        return epoch_ms(datetime.combine(day, time(), JST))

    first = 0 if sought.first_on is None else begin(sought.first_on)
    is_open = sought.last_on is None or sought.last_on >= date.max - timedelta(days=1)
    last = 2**53 if is_open or sought.last_on is None else begin(sought.last_on + timedelta(days=1)) - 1
    return first, last


def _narrowest(connection: Connection, columns: dict[str, str], span: tuple[int, int]) -> str | None:
    """The column by which fewest rows are left, as far as a sample tells."""
    counted: list[tuple[int, str]] = []
    for name, value in columns.items():
        if name in ("number", "cardholder"):
            return name
        sample = (
            f"SELECT count(*) FROM (SELECT 1 FROM event INDEXED BY {_INDEXES[name]} WHERE {name} = :value"  # noqa: S608
            f" AND seq BETWEEN :low AND :high LIMIT {_SAMPLE})"
        )
        counted.append((connection.execute(text(sample), {"value": value, **_ends(span)}).scalar_one(), name))
    return min(counted)[1] if counted else None


def _conditions(sought: Sought, *, without: str | None) -> tuple[str, dict[str, Any]]:
    parts: list[str] = []
    values: dict[str, Any] = {}
    for name, value in sought.columns.items():
        if name != without:
            parts.append(f"e.{name} = :is_{name}")
            values[f"is_{name}"] = value
    if sought.first_on is not None or sought.last_on is not None:
        parts.append("e.at_ms BETWEEN :first AND :last")
        values["first"], values["last"] = _millis(sought)
    if sought.zones is not None:
        names = {f"zone_{nth}": zone for nth, zone in enumerate(sorted(sought.zones))}
        parts.append(f"e.zone IN ({', '.join(f':{name}' for name in names) or 'NULL'})")
        values |= names
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def fill(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Rows put in by hand, for measuring: no record's."""
    insert = f"INSERT INTO event ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == 10_000:
            connection.execute(text(insert), batch)
            batch.clear()
    if batch:
        connection.execute(text(insert), batch)
