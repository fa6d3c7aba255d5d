"""Figures about doors and zones over a span of days (E-12): never about fewer than five people, and never with names.

A figure that rests on one to four people is not shown, nor added to any sum: it would tell of somebody. What is not
about people (causes of alarms, unknown cards) is counted as it is. Days and hours are Japan's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from api.alarms import figures as alarm_figures
from api.tables import EventRow, PolicyRow
from zones.moment import JST, epoch_ms

LEAST: Final = 5
"""So many people at the least stand behind a figure that is shown."""

DAYS_MAX: Final = 366
FIRST_DAY: Final = date(2000, 1, 1)
DAY_MS: Final = 86_400_000
_JAPAN_MS: Final = 9 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Days, both included. `zones`: those that are asked about; None: every zone."""

    first: date
    last: date
    zones: frozenset[str] | None = None

    @property
    def from_ms(self) -> int:
        """Its first moment."""
        return _begin_ms(self.first)

    @property
    def until_ms(self) -> int:
        """The moment after its last."""
        return _begin_ms(self.last + timedelta(days=1))

    @property
    def days(self) -> list[date]:
        """Each of its days."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


def span_of(first: date | None, last: date | None, today: date, usual_days: int) -> tuple[date, date] | None:
    """The days from one to another, both included; `usual_days` up to the last, or today, where one is not said. None:
    these are no span, longer than `DAYS_MAX`, or to come.
    """
    until = last or today
    if not FIRST_DAY < until <= today + timedelta(days=1):
        return None
    begin = first or until - timedelta(days=usual_days - 1)
    return (begin, until) if begin <= until and (until - begin).days < DAYS_MAX else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: `count` is None where it rests on one to four people."""

    label: str
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How many are inside from a minute of the day on; None: one to four."""

    minute: int
    heads: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """How the review of a zone's roster stands. `rows`: places in force; None: one to four. `overdue`, `due`: of them,
    by the day of review; None where `rows` is. `is_overdue`: whether any is, which is no secret of anybody's.
    """

    zone: str
    rows: int | None
    due: int | None
    overdue: int | None
    is_overdue: bool
    next_on: date | None


def entries_per_day(engine: Engine, span: Span) -> list[Figure]:
    """Entries by day."""
    day = (col(EventRow.at_ms) + _JAPAN_MS) // DAY_MS
    counted = _grouped(engine, span, day, "PASSAGE")
    epoch = date(1970, 1, 1)
    return [Figure(label=str(one), count=counted.get((one - epoch).days, 0)) for one in span.days]


def entries_per_hour(engine: Engine, span: Span) -> list[Figure]:
    """Entries by hour of the day, all days together."""
    hour = (col(EventRow.at_ms) + _JAPAN_MS) % DAY_MS // 3_600_000
    counted = _grouped(engine, span, hour, "PASSAGE")
    return [Figure(label=f"{hour:02}", count=counted.get(hour, 0)) for hour in range(24)]


def refusals_per_zone(engine: Engine, span: Span) -> list[Figure]:
    """Refusals of people in the registers, by zone, the most first."""
    counted = _grouped(engine, span, EventRow.zone, "ACCESS_DENIED")
    found = [Figure(label=str(zone), count=count) for zone, count in counted.items() if zone is not None]
    return sorted(found, key=lambda one: (-(one.count or 0), one.label))


def unknown_cards_per_zone(engine: Engine, span: Span) -> list[Figure]:
    """Cards that are nobody's, by zone: nobody is told of by them."""
    query = (
        select(EventRow.zone, func.count())
        .where(*_within(span, "ACCESS_DENIED"), col(EventRow.cardholder).is_(None))
        .group_by(col(EventRow.zone))
    )
    with Session(engine) as session:
        found = [Figure(label=zone, count=count) for zone, count in session.exec(query) if zone is not None]
    return sorted(found, key=lambda one: (-(one.count or 0), one.label))


def alarms_per_cause(engine: Engine, span: Span) -> list[Figure]:
    """Alarms by what they were; an empty label: nobody has said yet."""
    counts: dict[str, int] = defaultdict(int)
    own = _portals(engine, span.zones)
    for one in alarm_figures(engine, span.from_ms, span.until_ms):
        if own is None or one.portal in own:
            counts[one.cause or ""] += one.count
    return [Figure(label=cause, count=count) for cause, count in sorted(counts.items(), key=lambda i: (-i[1], i[0]))]


def occupancy(engine: Engine, day: date, zones: frozenset[str] | None) -> list[Step]:
    """How many are inside on one day, step by step: known places alone, from passages of that day and the day before.
    People in the outermost zones are outside.
    """
    outside = _outermost(engine)
    from_ms, until_ms = _begin_ms(day), _begin_ms(day + timedelta(days=1))
    query = (
        select(EventRow.at_ms, EventRow.cardholder, EventRow.zone)
        .where(EventRow.type == "PASSAGE", col(EventRow.at_ms) >= from_ms - DAY_MS, col(EventRow.at_ms) < until_ms)
        .order_by(col(EventRow.seq))
    )
    inside: set[str] = set()
    steps: dict[int, int] = {0: 0}
    with Session(engine) as session:
        for at_ms, who, zone in session.exec(query):
            if who is None or at_ms is None:
                continue
            is_in = zone not in outside and (zones is None or zone in zones)
            (inside.add if is_in else inside.discard)(who)
            steps[max(0, (at_ms - from_ms) // 60_000)] = len(inside)
    return [Step(minute=minute, heads=_shown(heads, heads)) for minute, heads in sorted(steps.items())]


def reviews(engine: Engine, today: date, zones: frozenset[str] | None) -> list[Review]:
    """How the review of each zone's roster stands."""
    by_zone: dict[str, list[date]] = defaultdict(list)
    for doc in _docs(engine, "roster"):
        is_in_force = doc["from_on"] <= str(today) <= doc["until_on"] and not (
            doc.get("ended_on") and doc["ended_on"] <= str(today)
        )
        if is_in_force and not doc.get("is_suspended") and (zones is None or doc["zone"] in zones):
            by_zone[doc["zone"]].append(date.fromisoformat(doc["review_on"]))
    return [_review(zone, days, today) for zone, days in sorted(by_zone.items())]


def total(figures: Iterable[Figure]) -> int:
    """The sum of what is shown: what is not shown is in no sum, or it could be reckoned back."""
    return sum(one.count or 0 for one in figures)


def _review(zone: str, days: list[date], today: date) -> Review:
    overdue, due = sum(day < today for day in days), sum(today <= day <= today + timedelta(days=14) for day in days)
    rows = _shown(len(days), len(days))
    return Review(
        zone=zone, rows=rows, due=None if rows is None else due, overdue=None if rows is None else overdue,
        is_overdue=overdue > 0, next_on=min(days),
    )  # fmt: skip


def _shown(count: int, people: int) -> int | None:
    return None if 0 < people < LEAST else count


def _grouped(engine: Engine, span: Span, key: Any, type_: str) -> dict[Any, int | None]:
    """Counts by `key`, of records about people."""
    query = (
        select(key, func.count(), func.count(func.distinct(EventRow.cardholder)))
        .where(*_within(span, type_), col(EventRow.cardholder).is_not(None))
        .group_by(key)
    )
    if type_ == "PASSAGE":
        query = query.where(EventRow.direction == "IN")
    with Session(engine) as session:
        return {value: _shown(count, people) for value, count, people in session.exec(query)}


def _within(span: Span, type_: str) -> list[Any]:
    rules = [EventRow.type == type_, col(EventRow.at_ms) >= span.from_ms, col(EventRow.at_ms) < span.until_ms]
    return rules if span.zones is None else [*rules, col(EventRow.zone).in_(span.zones)]


def _begin_ms(day: date) -> int:
    return epoch_ms(datetime.combine(day, time(), JST))


def _docs(engine: Engine, table: str) -> list[Mapping[str, Any]]:
    with Session(engine) as session:
        return [json.loads(doc) for doc in session.exec(select(PolicyRow.doc).where(PolicyRow.kind == table))]


def _outermost(engine: Engine) -> frozenset[str]:
    return frozenset(doc["id"] for doc in _docs(engine, "zone") if doc.get("parent") is None)


def _portals(engine: Engine, zones: frozenset[str] | None) -> frozenset[str] | None:
    if zones is None:
        return None
    return frozenset(doc["id"] for doc in _docs(engine, "portal") if doc["inner"] in zones)
