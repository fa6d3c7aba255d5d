"""What is kept how long (docs/retention.md, docs/ledger.md §10; requirements §3.6, D-23, E-15): terms and their bounds,
legal holds, by which time a term is reckoned, and which bodies are due.

Pure: records and times come in, ranges go out. Nothing here drops anything, and nothing that is not understood is due.

By which time. A burglar who sets the clock ten years ahead must not have his traces dropped by rule. So a term is not
reckoned by the wall clock but by `Reckoning`: it starts where the ledger last was, gains at most two seconds for every
second that this controller has really been running, and never runs ahead of the wall clock. Nothing is dropped before
half of its term went by on a clock that nobody can set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

DAY_MS: Final = 86_400_000

PACE_MAX: Final = 2
"""The reckoned time gains at most so much on the time that really goes by: it catches up after weeks without power."""

RANGES_MAX: Final = 200
"""Ranges in one record of a purge; what is due beyond them waits for the next one."""

BEYOND_MAX: Final = 4_096
"""After so many records in a row that are too young, those behind them are taken to be so too."""

EVER: Final = 2**53 - 1


class Bounds(NamedTuple):
    """Days that a term may have, and what it is where the site file says nothing."""

    least: int
    usual: int
    most: int


BOUNDS: Final[Mapping[str, Bounds]] = MappingProxyType(
    {
        "access": Bounds(90, 1095, 3650),
        "alarm": Bounds(90, 1095, 3650),
        "command": Bounds(365, 1825, 3650),
        "system": Bounds(365, 1825, 3650),
        "view": Bounds(365, 1825, 3650),
    }
)
"""Requirements §3.6: entries and alarms; overrides, configuration, and who looked at whose history. `policy` is not
here: the policy in force is the fold of all its records, and without one of them nobody can say what is in force.
"""


def terms_of(given: Mapping[str, int]) -> dict[str, int]:
    """Days by class, the usual ones where nothing is given. Raises ValueError naming class, days and bounds."""
    for class_, days in given.items():
        if (why := complaint(class_, days)) is not None:
            raise ValueError(f"{class_}: {why}")
    return {class_: given.get(class_, bounds.usual) for class_, bounds in BOUNDS.items()}


def complaint(class_: str, days: int) -> str | None:
    """Why a class cannot have this term; None: it can."""
    if class_ == "policy":
        return "is never dropped: the policy in force is the fold of all its records"
    bounds = BOUNDS.get(class_)
    if bounds is None:
        return f"is not one of {', '.join(BOUNDS)}"
    if not bounds.least <= days <= bounds.most:
        return f"{days} days; it may be {bounds.least} to {bounds.most} (docs/retention.md)"
    return None


# -- legal holds -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing that was recorded from `from_ms` until `until_ms` is dropped. `seq`: the record that says so."""

    id: str
    from_ms: int
    until_ms: int = EVER
    officer: str = ""
    seq: int = -1

    def covers(self, span: Span) -> bool:
        """Whether something that happened in `span` may lie in the hold."""
        return span.first_ms <= self.until_ms and span.last_ms >= self.from_ms


Holds = Mapping[str, Hold]


def held(holds: Holds, body: Mapping[str, Any], seq: int = -1) -> Holds:
    """The holds after the record with `body` (decoded JSON)."""
    detail = body.get("detail") or {}
    if body["type"] == "LEGAL_HOLD_ON":
        officer = (body.get("actor") or {}).get("officer", "")
        hold = Hold(
            id=detail["hold"],
            from_ms=detail["from_ms"],
            until_ms=detail.get("until_ms", EVER),
            officer=officer,
            seq=seq,
        )
        return {**holds, hold.id: hold}
    if body["type"] == "LEGAL_HOLD_OFF":
        return {name: hold for name, hold in holds.items() if name != detail["hold"]}
    return holds


# -- by which time -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """The time that terms are reckoned by was `at_ms` when the tick was `tick_ms`."""

    at_ms: int
    tick_ms: int

    def now_ms(self, wall_ms: int, tick_ms: int) -> int:
        """What it is now, by a wall clock that is trusted."""
        return min(wall_ms, self.at_ms + PACE_MAX * (tick_ms - self.tick_ms))


# -- what is due -------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """When something happened: one moment by a trusted clock, anything between its neighbours by another."""

    first_ms: int
    last_ms: int


class Entry(NamedTuple):
    """What retention asks of a record. `has_body`: whether there is something to drop."""

    seq: int
    class_: str
    at_ms: int | None
    is_trusted: bool
    has_body: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is due in one class: `count` bodies in `ranges` of sequence numbers, both ends included."""

    class_: str
    ranges: tuple[tuple[int, int], ...]
    count: int


@dataclass(slots=True)
class _OfClass:
    """Ranges of one class being found. `is_open`: nothing that is kept came since the last range."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0
    is_open: bool = False


class Sweep:
    """Goes over records in order and finds what is due. `cutoffs_ms`: class -> what was recorded before it is due."""

    def __init__(self, cutoffs_ms: Mapping[str, int], holds: Collection[Hold]) -> None:
        self._cutoffs_ms = cutoffs_ms
        self._latest_ms = max(cutoffs_ms.values(), default=0)
        self._holds = tuple(holds)
        self._classes = {class_: _OfClass() for class_ in cutoffs_ms}
        self._waiting: list[Entry] = []
        self._before_ms = -EVER
        self._beyond = 0
        self.first_kept: int | None = None
        """The first record that may be due one day: the next sweep can begin there."""

    @property
    def is_done(self) -> bool:
        """Whether all that follows is too young."""
        return self._beyond >= BEYOND_MAX

    def take(self, entries: Iterable[Entry]) -> None:
        """Look at the records that follow."""
        for entry in entries:
            if entry.at_ms is None or not entry.is_trusted:
                self._waiting.append(entry)
                continue
            self._judge_waiting(entry.at_ms)
            self._before_ms = entry.at_ms
            self._beyond = self._beyond + 1 if entry.at_ms >= self._latest_ms else 0
            self._judge(entry, Span(entry.at_ms, entry.at_ms))

    def due(self) -> tuple[Due, ...]:
        """What is due. Records of an untrusted clock that no trusted one follows are kept: nobody knows their age."""
        self._judge_waiting(EVER)
        return tuple(
            Due(class_=class_, ranges=tuple(found.ranges), count=found.count)
            for class_, found in self._classes.items()
            if found.ranges
        )

    def _judge_waiting(self, until_ms: int) -> None:
        """Those whose time nobody vouches for, in order: they happened before `until_ms`."""
        for one in self._waiting:
            if one.at_ms is not None:
                self._judge(one, Span(self._before_ms, until_ms))
            elif one.has_body and one.class_ in self._classes:  # not understood, and so never dropped; else it has gone
                self._classes[one.class_].is_open = False
        self._waiting.clear()

    def _judge(self, entry: Entry, span: Span) -> None:
        found = self._classes.get(entry.class_)
        if found is None or not entry.has_body:
            return
        is_due = span.last_ms < self._cutoffs_ms[entry.class_] and not any(hold.covers(span) for hold in self._holds)
        if is_due and found.is_open:
            found.ranges[-1] = (found.ranges[-1][0], entry.seq)
        elif is_due and len(found.ranges) < RANGES_MAX:
            found.ranges.append((entry.seq, entry.seq))
        else:
            is_due = False
        found.is_open = is_due
        if is_due:
            found.count += 1
        elif self.first_kept is None:
            self.first_kept = entry.seq


def cutoffs(terms_days: Mapping[str, int], reckoned_ms: int) -> dict[str, int]:
    """Class -> epoch milliseconds before which its bodies are due."""
    return {class_: reckoned_ms - days * DAY_MS for class_, days in terms_days.items()}
