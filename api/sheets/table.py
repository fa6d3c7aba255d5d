"""A table on its way out of or into the product: rows of text under one header, and what may stand in a cell.

Pure. A cell that a spreadsheet would calculate is defused on the way out by a leading apostrophe, and refused on the
way in; what was defused here reads back as it was. Nothing is dropped silently: every fault has its row and its column.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Final

BYTES_MAX: Final = 10 * 1024 * 1024
"""Largest file that is taken."""

ROWS_MAX: Final = 10_000
COLUMNS_MAX: Final = 40
CELL_MAX: Final = 2_000
"""Most rows, columns, and characters of one cell that are taken."""

FAULTS_MAX: Final = 200
"""Most faults that are told of one file."""

CALCULATES: Final = frozenset("=+-@\t\r\n＝＋－＠")  # the full-width ones begin a formula in Japanese Excel
"""What a cell begins with that a spreadsheet may calculate (OWASP, CSV injection)."""

_KEPT: Final = frozenset("\t\n")
_REPLACED: Final = "\ufffd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file: `row` and `column` as a spreadsheet counts them, from 1; 0: the file as a whole."""

    row: int = 0
    column: int = 0


class SheetFault(ValueError):
    """A file that cannot be taken. `code` is stable; `place` says where; `all`: this one and the next of its kind."""

    def __init__(self, code: str, place: Place | None = None, rest: tuple[SheetFault, ...] = ()) -> None:
        super().__init__(code)
        self.code, self.place = code, place or Place()
        self.all: tuple[SheetFault, ...] = (self, *rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column on the way out. `title`: what stands in the header; `width`: in characters; `is_date`: written as a
    day where the format knows days.
    """

    title: str
    width: int = 16
    is_date: bool = False


Cell = str | date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What goes out. `name`: of the sheet."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenRow:
    """A row that came in. `number`: its own in the file, from 1."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came in: the header, and the rows that hold anything. `how`: how it was read, for people."""

    header: tuple[str, ...]
    rows: tuple[TakenRow, ...]
    how: str


def defused(text: str) -> str:
    """`text` as no spreadsheet calculates it. `fused` takes it back."""
    bare = text.lstrip("'")
    return f"'{text}" if bare and bare[0] in CALCULATES else text


def fused(text: str) -> str:
    """What was defused, as it was before."""
    bare = text.lstrip("'")
    return text[1:] if text.startswith("'") and bare and bare[0] in CALCULATES else text


def written(cell: Cell) -> str:
    """A cell as it is written: a day as its ISO text, everything else as text that can be printed, defused."""
    if cell is None:
        return ""
    if isinstance(cell, date):
        return cell.isoformat()
    return defused(printable(cell))


def printable(text: str) -> str:
    """Lines end in LF, as in a spreadsheet's own cells; what no file can carry is shown as replaced."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        _REPLACED
        if sign not in _KEPT and (unicodedata.category(sign) in ("Cc", "Cs") or sign in "\ufffe\uffff")
        else sign
        for sign in lines
    )


def taken(text: str, place: Place) -> str:
    """A cell as it came in. Raises SheetFault where it would be calculated, is too long, or holds what is no text."""
    if len(text) > CELL_MAX:
        raise SheetFault("cell_too_long", place)
    if text and text[0] in CALCULATES:
        raise SheetFault("formula", place)
    if any(sign not in "\t\r\n" and unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise SheetFault("control_sign", place)
    return fused(text)


def gathered(lines: list[tuple[int, list[str]]], how: str) -> Taken:
    """Rows under their header, the first that holds anything. Raises SheetFault."""
    filled = [(number, cells) for number, cells in lines if any(cell.strip() for cell in cells)]
    if not filled:
        raise SheetFault("empty")
    (at, header), *rest = filled
    if len(rest) > ROWS_MAX:
        raise SheetFault("too_many_rows", Place(row=rest[ROWS_MAX][0]))
    titles = [title.strip() for title in header]
    while titles and not titles[-1]:
        titles.pop()
    width = len(titles)
    _check_titles(titles, at)
    rows = []
    faults: list[SheetFault] = []
    for number, cells in rest:
        if extra := [nth for nth, cell in enumerate(cells, 1) if nth > width and cell.strip()]:
            raise SheetFault("no_header_here", Place(row=number, column=extra[0]))
        padded = [*cells, *([""] * width)][:width]
        read = tuple(_taken_or(faults, cell, Place(row=number, column=nth)) for nth, cell in enumerate(padded, 1))
        rows.append(TakenRow(number=number, cells=read))
        if len(faults) >= FAULTS_MAX:
            break
    if faults:
        raise SheetFault(faults[0].code, faults[0].place, tuple(faults[1:]))
    return Taken(header=tuple(titles), rows=tuple(rows), how=how)


def _taken_or(faults: list[SheetFault], cell: str, place: Place) -> str:
    """As `taken`; what is wrong is gathered, so that a file is mended once."""
    try:
        return taken(cell, place)
    except SheetFault as fault:
        faults.append(fault)
        return ""


def _check_titles(titles: list[str], at: int) -> None:
    if len(titles) > COLUMNS_MAX:
        raise SheetFault("too_many_columns", Place(row=at, column=COLUMNS_MAX + 1))
    for nth, title in enumerate(titles, 1):
        place = Place(row=at, column=nth)
        if not title:
            raise SheetFault("no_header_here", place)
        if title in titles[: nth - 1]:
            raise SheetFault("header_twice", place)
        taken(title, place)
