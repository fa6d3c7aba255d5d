"""`sekisho ledger capacity`: for how many days the disk holds, at the present rate, against what is to be kept (A-23).

The rate is that of the last thirty days (of what there is, where the ledger is younger); a record's size that of the
whole file. Exit status: 0 it holds for as long as records are to be kept, 1 it does not, 3 could not tell.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from controller.config import Site, SiteFileError, load_site
from controller.keys import LEDGER
from controller.link.client import LinkClient, LinkDown
from controller.link.messages import Record
from controller.retention import terms_of
from controller.storage import MEGABYTE, Space, space_of
from sekisho.spoken import Words, print_json, print_lines, said, tell

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

DAY_MS: Final = 86_400_000
WINDOW_DAYS: Final = 30
SPAN_MS_MIN: Final = 3_600_000
"""A ledger that is younger than an hour tells no rate."""

At = Callable[[int], tuple[int, int] | None]
"""The first record from a number on whose body is kept: its number and when it was made (ms). None: there is none."""


class CannotTell(Exception):
    """Why no rate can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How the disk and the ledger stand. `days_needed`: until records are dropped by rule as fast as new ones come."""

    records: int
    ledger_mb: float
    free_mb: float
    used_percent: int
    records_a_day: float
    mb_a_day: float
    days_left: int
    term_days: int
    days_held: int
    days_needed: int

    @property
    def is_enough(self) -> bool:
        """Whether the disk holds for as long as records are to be kept."""
        return self.days_left >= self.days_needed


def forecast(*, size: int, octets: int, at: At, space: Space, terms: dict[str, int]) -> Forecast:
    """From how many records and bytes there are, when they were made, and what room is left. CannotTell."""
    first, last = at(0), at(max(0, size - 1))
    if first is None or last is None or last[1] - first[1] < SPAN_MS_MIN:
        raise CannotTell("the ledger is younger than an hour: ask again later")
    since = max(first[1], last[1] - WINDOW_DAYS * DAY_MS)
    begin = _first_after(since, first[0], last[0], at)
    span_days = (last[1] - begin[1]) / DAY_MS
    if span_days <= 0:
        raise CannotTell("all records of the last days were made in one moment")
    a_day = (last[0] - begin[0]) / span_days
    bytes_a_day = a_day * octets / size
    term, held = max(terms.values()), (last[1] - first[1]) // DAY_MS
    return Forecast(
        records=size,
        ledger_mb=round(octets / MEGABYTE, 1),
        free_mb=round(space.free / MEGABYTE, 1),
        used_percent=space.used_percent,
        records_a_day=round(a_day, 1),
        mb_a_day=round(bytes_a_day / MEGABYTE, 3),
        days_left=int(space.free / bytes_a_day) if bytes_a_day else 10**6,
        term_days=term,
        days_held=held,
        days_needed=max(0, term - held),
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print; the exit status."""
    try:
        site = load_site(arguments.site)
        told = _told(site)
    except SiteFileError as error:
        tell(f"sekisho ledger capacity: {error}")
        return NO
    except (CannotTell, OSError, ValueError, sqlite3.Error) as error:
        tell(f"sekisho ledger capacity: {error}")
        return CANNOT_RUN
    if arguments.json:
        print_json({**asdict(told), "is_enough": told.is_enough})
    else:
        print_lines(said(words, arguments.lang) for words in _words(told))
    return OK if told.is_enough else NO


def _words(told: Forecast) -> list[Words]:
    verdict = (
        ("保存期間を満たします", "it holds for as long as records are to be kept")
        if told.is_enough
        else ("保存期間に足りません。大きい媒体が要ります", "it does not hold for so long: a larger disk is needed")
    )
    return [
        (
            f"監査ログ {told.records} 件 {told.ledger_mb} MB、空き {told.free_mb} MB (使用 {told.used_percent}%)",
            f"ledger: {told.records} records, {told.ledger_mb} MB; free: {told.free_mb} MB ({told.used_percent}% used)",
        ),
        (
            f"1 日あたり {told.records_a_day} 件 {told.mb_a_day} MB",
            f"a day: {told.records_a_day} records, {told.mb_a_day} MB",
        ),
        (
            f"あと {told.days_left} 日分。最長の保存期間 {told.term_days} 日のうち {told.days_held} 日分を保有",
            f"room for {told.days_left} days; of the longest term, {told.term_days} days, {told.days_held} are held",
        ),
        verdict,
    ]


def _told(site: Site) -> Forecast:
    path = site.state_dir / LEDGER
    octets, space, terms = path.stat().st_size, space_of(site.state_dir), terms_of(site.ledger.terms_days)
    try:
        with LinkClient(site.socket, "sekisho ledger capacity") as client:
            size = client.connect().size
    except LinkDown:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
            size = connection.execute("SELECT count(*) FROM record").fetchone()[0]
            at = _in_file(connection)
            return forecast(size=size, octets=octets, at=at, space=space, terms=terms)
    return forecast(size=size, octets=octets, at=_over(site.socket, size), space=space, terms=terms)


class _When(msgspec.Struct):
    at_ms: int


_when: Final = msgspec.json.Decoder(_When).decode


def _in_file(connection: sqlite3.Connection) -> At:
    query = "SELECT seq, body FROM record WHERE seq >= ? AND body IS NOT NULL ORDER BY seq LIMIT 1"

    def at(seq: int) -> tuple[int, int] | None:
        row = connection.execute(query, (seq,)).fetchone()
        return None if row is None else (row[0], _when(row[1]).at_ms)

    return at


def _over(socket: Path, size: int) -> At:
    def at(seq: int) -> tuple[int, int] | None:
        if seq >= size:
            return None
        with LinkClient(socket, "sekisho ledger capacity") as client:
            for message in client.stream(seq):
                if not isinstance(message, Record):
                    continue
                if message.body is not None:
                    return message.seq, _when(message.body).at_ms
                if message.seq >= size - 1:
                    break
        return None

    return at


def _first_after(since_ms: int, low: int, high: int, at: At) -> tuple[int, int]:
    """About the first record made at or after `since_ms`, by halving: clocks that were set back make it less exact."""
    while low < high:
        middle = (low + high) // 2
        there = at(middle)
        if there is not None and there[1] < since_ms:
            low = middle + 1
        else:
            high = middle
    found = at(low)
    assert found is not None, "the last one was seen"
    return found
