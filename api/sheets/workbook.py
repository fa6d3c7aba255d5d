"""Tables as Excel. Out by XlsxWriter: ids stay text, and 0012 keeps its zeros. In by openpyxl, read-only, one sheet.

A workbook is a ZIP archive of XML: before it is opened its directory is held against limits (entries, size, ratio), and
its parts against document types, so that a small file cannot grow without bound. Formulas are refused, links and macros
are never followed.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

from api.sheets.table import BYTES_MAX, COLUMNS_MAX, ROWS_MAX, Cell, Place, SheetFault, Table, Taken, gathered, written

ENTRIES_MAX: Final = 500
UNPACKED_MAX: Final = 64 * 1024 * 1024
RATIO_MAX: Final = 200
_SMALL: Final = 256 * 1024
"""An entry smaller than this may be as well packed as it likes."""

_HOSTILE: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, ParseError, EOFError, OSError, NotImplementedError),
    *(KeyError, IndexError, AttributeError, TypeError, ValueError, OverflowError, RuntimeError, AssertionError),
)
"""What openpyxl, zipfile and the XML reader raise over a broken file: it was the file's fault, and is told as that."""


def write_xlsx(table: Table) -> bytes:
    """The table as a workbook of one sheet: header frozen, days as days, everything else as text."""
    import xlsxwriter

    paper = io.BytesIO()
    book = xlsxwriter.Workbook(
        paper,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False},
    )
    sheet = book.add_worksheet(_sheet_name(table.name))
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top", "num_format": "@"})
    text = book.add_format({"num_format": "@", "valign": "top"})
    day = book.add_format({"num_format": "yyyy-mm-dd", "valign": "top", "align": "left"})
    for nth, column in enumerate(table.columns):
        sheet.set_column(nth, nth, column.width, day if column.is_date else text)
        sheet.write_string(0, nth, written(column.title), head)
    for number, row in enumerate(table.rows, 1):
        for nth, cell in enumerate(row):
            _write(sheet, (number, nth), cell, day, text)
    sheet.freeze_panes(1, 0)
    if table.rows:
        sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.repeat_rows(0)
    book.close()
    return paper.getvalue()


def _write(sheet: Any, at: tuple[int, int], cell: Cell, day: Any, text: Any) -> None:
    if isinstance(cell, date) and cell.year >= 1900:  # Excel's days begin there
        sheet.write_datetime(*at, datetime.combine(cell, time()), day)
    elif filled := written(cell):
        sheet.write_string(*at, filled, text)


def _sheet_name(name: str) -> str:
    return "".join("_" if sign in "[]:*?/\\'" else sign for sign in name)[:31] or "Sheet1"


def read_xlsx(content: bytes) -> Taken:
    """The table in the first sheet. Raises SheetFault with its place."""
    if len(content) > BYTES_MAX:
        raise SheetFault("too_large")
    try:
        _check_archive(content)
        return gathered(_lines(content), "Excel")
    except SheetFault:
        raise
    except _HOSTILE as error:
        raise SheetFault("not_a_workbook") from error


def _check_archive(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES_MAX or sum(entry.file_size for entry in entries) > UNPACKED_MAX:
            raise SheetFault("archive_too_large")
        for entry in entries:
            if entry.flag_bits & 1:
                raise SheetFault("locked_workbook")
            if entry.file_size > _SMALL and entry.file_size > RATIO_MAX * max(1, entry.compress_size):
                raise SheetFault("archive_too_large")
            if _has_document_type(archive, entry):
                raise SheetFault("not_a_workbook")  # it could define entities without end


class _Enough(Exception):
    """All was seen that is looked for; whether it was a document type."""


def _has_document_type(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether a part is XML with a document type, however far behind a comment, in whatever encoding, whatever it is
    called: read by the parser that openpyxl would read it with, no further than its first element.
    """
    reader = expat.ParserCreate()

    def enough(is_document_type: bool) -> Callable[..., None]:
        def stop(*_: object) -> None:
            raise _Enough(is_document_type)

        return stop

    reader.StartDoctypeDeclHandler = enough(True)
    reader.StartElementHandler = enough(False)
    try:
        with archive.open(entry) as part:
            while piece := part.read(4096):
                reader.Parse(piece, False)
    except _Enough as seen:
        return bool(seen.args[0])
    except expat.ExpatError:
        return False  # no XML, as pictures are; openpyxl could not read it either
    return False


def _lines(content: bytes) -> list[tuple[int, list[str]]]:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False, data_only=False)
    try:
        if not book.worksheets:
            raise SheetFault("empty")
        sheet: Any = book.worksheets[0]
        sheet.reset_dimensions()  # what a file says of its own size is not believed
        lines = []
        for number, cells in enumerate(sheet.iter_rows(max_row=ROWS_MAX + 50, max_col=COLUMNS_MAX + 1), 1):
            lines.append((number, [_text(cell, Place(row=number, column=nth)) for nth, cell in enumerate(cells, 1)]))
        return lines
    finally:
        book.close()


def _text(cell: Any, place: Place) -> str:
    """What a cell says, as text. A formula is refused, whatever it was last worked out to be."""
    if cell.data_type == "f":
        return "="  # refused with all other formulas, by its place
    if cell.data_type == "e":
        raise SheetFault("error_value", place)
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
