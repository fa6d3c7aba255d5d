"""Faults and moves of a file, in words: what is wrong where, and what would become of a row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from api.sheets.table import CELL_MAX, COLUMNS_MAX, ROWS_MAX
from api.texts import Said, _
from api.transfer.preview import Fault, Move
from api.transfer.registers import REGISTERS, YES, Field

FAULTS: Final[Mapping[str, Said]] = MappingProxyType(
    {
        "too_large": Said("The file is larger than 10 MB."),
        "empty": Said("The file is empty."),
        "encoding": Said("The file is neither UTF-8, UTF-16 nor cp932 (Shift JIS)."),
        "not_a_table": Said("This is no table: it is neither CSV nor Excel."),
        "not_a_workbook": Said("This Excel file cannot be read: it is damaged, or of another kind."),
        "old_excel": Said("This is an old Excel file (.xls). Save it as .xlsx or CSV."),
        "locked_workbook": Said("This file is locked by a password."),
        "archive_too_large": Said("This file would unpack to more than is taken."),
        "too_many_rows": Said("Too many rows: 10,000 are taken at most."),
        "too_many_columns": Said("Too many columns: 40 are taken at most."),
        "cell_too_long": Said("This cell is too long: 2,000 characters at most."),
        "formula": Said("A formula, or what a spreadsheet would take for one. Write the plain value."),
        "error_value": Said("An error value of the spreadsheet."),
        "control_sign": Said("A sign that cannot be printed."),
        "quotes": Said("A quotation mark is opened and not closed."),
        "no_header_here": Said("There is something in a column without a header."),
        "header_twice": Said("The same column twice."),
        "unknown_column": Said("A column that this register does not have."),
        "missing_column": Said("A column is missing."),
        "twice": Said("The same ID twice in the file."),
        "ended": Said("This ID was ended before. Give a new one."),
        "fixed": Said("This cannot be changed. End the row, and add a new one."),
        "number_given": Said("A card that is there keeps its number. Add a new card."),
        "needed": Said("Something is needed here."),
        "order": Said("The last day is before the first."),
        "review_outside": Said("The review must lie between the first day and the last."),
        "unknown_cardholder": Said("No such person is registered."),
        "unknown_zone": Said("There is no such zone, or it is not yours."),
        "unknown_schedule": Said("There is no such schedule."),
        "not_valid": Said("This is not valid."),
    }
)
"""Code of a fault -> its words."""

assert (ROWS_MAX, COLUMNS_MAX, CELL_MAX) == (10_000, 40, 2_000), "the words above say so"


def fault_says(register: str, fault: Fault) -> str:
    """What is wrong, with what may stand there."""
    words = str(FAULTS.get(fault.code, FAULTS["not_valid"]))
    one = field_named(register, fault.field)
    if one is None:
        return words
    if fault.code == "missing_column":
        return f"{words} {one.title}"
    hint = str(one.hint or "")
    return (
        _("%(words)s Expected: %(hint)s.", words=words, hint=hint)
        if fault.code in ("not_valid", "needed") and hint
        else words
    )


def field_named(register: str, code: str) -> Field | None:
    """A field of a register."""
    return next((one for one in REGISTERS[register].fields if one.code == code), None)


def move_says(register: str, move: Move) -> str:
    """Why a row is moved."""
    if move.kind == "add":
        return _("not in the register yet")
    if move.kind == "remove":
        return _("not in the file")
    return _("; ").join(_changed(register, *one) for one in move.changed)


def _changed(register: str, code: str, was: str, now: str) -> str:
    one = field_named(register, code)
    title = code if one is None else str(one.title)
    return f"{title}: {_cell(one, was)} → {_cell(one, now)}"


def _cell(one: Field | None, text: str) -> str:
    if one is not None and one.kind == "flag":
        return str(YES) if text == "1" else _("no")
    if one is not None and text in one.choices:
        return str(one.choices[text])
    return text or "–"
