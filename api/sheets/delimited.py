"""Tables as CSV. Out: UTF-8 with a byte order mark and CRLF, as Excel opens it; cp932 for old programs.

In: by its byte order mark, else UTF-8, else cp932 (Python's `shift_jis` lacks 髙 and ①, and is never used); between
commas, semicolons or tabs, whichever its first line has most of.
"""

from __future__ import annotations

import codecs
import csv
import io
from typing import Final

from api.sheets.table import BYTES_MAX, COLUMNS_MAX, ROWS_MAX, Place, SheetFault, Table, Taken, gathered, written

MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
DELIMITERS: Final = ",;\t"
_OVER: Final = 16
"""Empty lines at the end and such: so many times the rows that are taken are looked at."""


class NotInCp932(ValueError):
    """Signs that the encoding does not have. `places`: every cell with one, none of which is written otherwise."""

    def __init__(self, places: tuple[Place, ...]) -> None:
        super().__init__("cp932")
        self.places = places


def write_csv(table: Table, encoding: str = "utf-8") -> bytes:
    """The table as a file. `encoding`: utf-8 or cp932. Raises NotInCp932, listing all that cannot be written."""
    lines = [
        [written(column.title) for column in table.columns],
        *([written(cell) for cell in row] for row in table.rows),
    ]
    if encoding == "cp932" and (places := _unwritable(lines)):
        raise NotInCp932(places)
    paper = io.StringIO(newline="")
    csv.writer(paper, lineterminator="\r\n").writerows(lines)
    mark = codecs.BOM_UTF8 if encoding == "utf-8" else b""
    return mark + paper.getvalue().encode(encoding)


def _unwritable(lines: list[list[str]]) -> tuple[Place, ...]:
    return tuple(
        Place(row=number, column=nth)
        for number, line in enumerate(lines, 1)
        for nth, text in enumerate(line, 1)
        if not _fits(text)
    )


def _fits(text: str) -> bool:
    """Whether it comes back as it was: cp932 writes some signs that it reads as others."""
    try:
        return text.encode("cp932").decode("cp932") == text
    except UnicodeError:
        return False


def read_csv(content: bytes) -> Taken:
    """The table in a file. Raises SheetFault with its place."""
    if len(content) > BYTES_MAX:
        raise SheetFault("too_large")
    text, encoding = _decoded(content)
    if "\0" in text:
        raise SheetFault("not_a_table")
    delimiter = _delimiter(text)
    lines: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            lines.append((len(lines) + 1, cells))
            if len(lines) > ROWS_MAX * _OVER:
                raise SheetFault("too_many_rows", Place(row=len(lines)))
            if len(cells) > COLUMNS_MAX * _OVER:
                raise SheetFault("too_many_columns", Place(row=len(lines), column=COLUMNS_MAX + 1))
    except csv.Error as error:
        code = "cell_too_long" if "limit" in str(error) else "quotes"
        raise SheetFault(code, Place(row=len(lines) + 1)) from error
    named = {",": "comma", ";": "semicolon", "\t": "tab"}[delimiter]
    return gathered(lines, f"CSV, {encoding}, {named}")


def _decoded(content: bytes) -> tuple[str, str]:
    for mark, encoding in MARKS:
        if content.startswith(mark):
            try:
                return content[len(mark) :].decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise SheetFault("encoding") from error
    for encoding in ("utf-8", "cp932"):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise SheetFault("encoding")


def _delimiter(text: str) -> str:
    """The sign that takes the first line into most cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")[:100_000]

    def cells(delimiter: str) -> int:
        try:
            return max((len(line) for line in csv.reader([first], delimiter=delimiter)), default=0)
        except csv.Error:
            return 0

    return max(DELIMITERS, key=cells)
