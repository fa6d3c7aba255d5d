"""Tables as files: what goes out comes back, nothing is calculated, nothing is dropped, nothing grows without bound."""

from __future__ import annotations

import contextlib
import csv
import io
import zipfile
from datetime import date

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.sheets.delimited import NotInCp932, read_csv, write_csv
from api.sheets.files import read_table
from api.sheets.table import (
    BYTES_MAX,
    CALCULATES,
    ROWS_MAX,
    Column,
    Place,
    SheetFault,
    Table,
    defused,
    fused,
    printable,
)
from api.sheets.workbook import read_xlsx, write_xlsx

HOSTILE = [
    "=1+1", "'=1+1", "''=1+1", "@SUM(A1)", "+81", "-1", "\tx", "\rx", "\n=1", "＝1", "'", "''", "a,b;c\td", 'say "no"',
    "<script>alert(1)</script>", "'; DROP TABLE name;--", "\u202egnirts\u202c", "\u200f", "𠮷野家",
    "葛\U000e0100飾",
    "0012", "1E5", "2026-01-02", "TRUE", "a\r\nb", "a\nb", " lead", "trail ", "髙﨑①", "\ufeffbom",
    "_x000D_", "_x0041_",
    "#REF!", "x\x00y", "\x1b[31m", "\ud800", "—",
    "¥", "\u2028", "é",
]  # fmt: skip
texts = st.text(max_size=20) | st.sampled_from(HOSTILE)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def table_of(*rows: tuple[str, ...]) -> Table:
    return Table(name="people", columns=(Column(title="id"), Column(title="name")), rows=rows)


def cells_of(taken) -> list[tuple[str, ...]]:
    return [row.cells for row in taken.rows]


@quick
@given(texts)
@example("'=1")
def test_a_defused_cell_reads_back_as_it_was_and_never_begins_a_formula(text):
    """An officer's spreadsheet calculates a visitor's name, or the name comes back with an apostrophe too many."""
    assert fused(defused(text)) == text
    assert not defused(text) or defused(text)[0] not in CALCULATES


@pytest.mark.parametrize("write, read", [(write_csv, read_csv), (write_xlsx, read_xlsx)], ids=["csv", "xlsx"])
def test_every_hostile_name_goes_out_and_comes_back(write, read):
    """A name is changed on its way through a file, and somebody is enrolled under another."""
    rows = [(f"id{nth}", text) for nth, text in enumerate(HOSTILE)]
    assert cells_of(read(write(table_of(*rows)))) == [(name, printable(text)) for name, text in rows]


@quick
@given(st.lists(texts, min_size=1, max_size=4))
def test_any_text_comes_back_from_csv(names):
    """Some sign that nobody thought of breaks the file that is sent to the next office."""
    rows = [("x", name) for name in names]
    assert cells_of(read_csv(write_csv(table_of(*rows)))) == [("x", printable(name)) for name in names]


@settings(quick, max_examples=15)
@given(st.lists(texts, min_size=1, max_size=4))
def test_any_text_comes_back_from_excel(names):
    """As above, in the other format."""
    rows = [("x", name) for name in names]
    assert cells_of(read_xlsx(write_xlsx(table_of(*rows)))) == [("x", printable(name)) for name in names]


def test_csv_goes_out_as_excel_opens_it():
    """Japanese names open as mojibake on a double click."""
    written = write_csv(table_of(("0012", "髙橋")))
    assert written == "\ufeffid,name\r\n0012,髙橋\r\n".encode()


@pytest.mark.parametrize(
    "encoding, mark",
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("cp932", b""),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_comes_in_however_an_office_wrote_it(encoding, mark, delimiter):
    """A list from another program is refused, or read with every name garbled."""
    paper = io.StringIO(newline="")
    csv.writer(paper, delimiter=delimiter).writerows([["id", "name"], ["0012", "髙﨑,① ;x"]])
    assert cells_of(read_table(mark + paper.getvalue().encode(encoding))) == [("0012", "髙﨑,① ;x")]


def test_cp932_lists_what_it_cannot_write():
    """A person with a rare sign in the name is missing from the list that went out, and nobody knows."""
    with pytest.raises(NotInCp932) as caught:
        write_csv(table_of(("a", "佐藤"), ("b", "𠮷野"), ("c", "a—b"), ("d", "髙﨑")), "cp932")
    assert caught.value.places == (Place(row=3, column=2), Place(row=4, column=2))
    assert read_csv(write_csv(table_of(("d", "髙﨑①")), "cp932")).rows[0].cells == ("d", "髙﨑①")


def test_excel_keeps_zeros_and_days():
    """Employee 0012 becomes employee 12, or a last day becomes a number of days."""
    table = Table(
        name="a/b", columns=(Column(title="id"), Column(title="until", is_date=True)),
        rows=(("0012", date(2026, 3, 31)), ("x", date(1868, 1, 25)), ("y", None)),
    )  # fmt: skip
    content = write_xlsx(table)
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    assert (sheet["A2"].value, sheet["A2"].number_format, sheet["B2"].value.date()) == ("0012", "@", date(2026, 3, 31))
    assert (sheet.freeze_panes, sheet.print_title_rows) == ("A2", "$1:$1")
    assert cells_of(read_xlsx(content)) == [("0012", "2026-03-31"), ("x", "1868-01-25"), ("y", "")]


def workbook(*cells: tuple[str, object]) -> bytes:
    paper = io.BytesIO()
    book = xlsxwriter.Workbook(paper, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["id", "name"])
    for at, value in cells:
        sheet.write(at, value)
    book.close()
    return paper.getvalue()


def packed(entries: dict[str, bytes]) -> bytes:
    paper = io.BytesIO()
    with zipfile.ZipFile(paper, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return paper.getvalue()


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "content, code, place",
    [
        (b"id,name\r\nc1,=cmd|' /C calc'!A0\r\n", "formula", Place(row=2, column=2)),
        (b"id,name\r\n\r\nc1,x\r\n@c2,y\r\n", "formula", Place(row=4, column=1)),
        (workbook(("B3", "=1+1")), "formula", Place(row=3, column=2)),
        (b"id,name\r\nc1,x\x07\r\n", "control_sign", Place(row=2, column=2)),
        (b"id,id\r\n", "header_twice", Place(row=1, column=2)),
        (b"id,,x\r\n", "no_header_here", Place(row=1, column=2)),
        (b"id,name\r\nc1,x,y\r\n", "no_header_here", Place(row=2, column=3)),
        (b'id,name\r\nc1,"x\r\n', "quotes", Place(row=2)),
        (b"id,name\r\nc1," + b"x" * 2001, "cell_too_long", Place(row=2, column=2)),
        (b"id\r\n" + b"x\r\n" * (ROWS_MAX + 1), "too_many_rows", Place(row=ROWS_MAX + 2)),
        (b",".join(b"c%d" % nth for nth in range(41)), "too_many_columns", Place(row=1, column=41)),
        (b"", "empty", Place()),
        (b"\r\n ,\r\n", "empty", Place()),
        (b"\xff\xfe\x00", "encoding", Place()),
        (b"\x81\xff\xa0\xfd", "encoding", Place()),
        (b"a\0b", "not_a_table", Place()),
        (b"x" * (BYTES_MAX + 1), "too_large", Place()),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "old_excel", Place()),
        (b"PK\x03\x04" + b"x" * 600, "not_a_workbook", Place()),
        (packed({"[Content_Types].xml": BOMB}), "not_a_workbook", Place()),
        (packed({"a": b"0" * (65 * 1024 * 1024)}), "archive_too_large", Place()),
        (packed({"a": b"0" * 1024 * 1024}), "archive_too_large", Place()),
        (packed({f"{nth}": b"" for nth in range(501)}), "archive_too_large", Place()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_place(content, code, place):
    """A file takes the web process down, is calculated, or is half read without a word."""
    with pytest.raises(SheetFault) as caught:
        read_table(content)
    assert (caught.value.code, caught.value.place) == (code, place)


@settings(quick, max_examples=40)
@given(st.data())
def test_a_broken_workbook_is_a_fault_of_the_file(data):
    """Some bit falls over on the way, and the page answers with a fault of its own."""
    content = bytearray(WORKBOOK)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SheetFault):
        read_table(bytes(content))


@pytest.mark.parametrize("way", ["far behind", "another encoding", "another name"])
def test_a_document_type_is_found_wherever_it_hides(way):
    """A small workbook defines words of words of words, and fills the memory of the web process when it is read."""
    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    head, rest = parts[sheet].split(b"?>", 1)
    hidden = b'<!DOCTYPE worksheet [<!ENTITY a "b">]>'
    comment = b"<!--" + b"x" * 9000 + b"-->"
    parts[sheet] = head + b"?>" + (comment if way == "far behind" else b"") + hidden + rest
    if way == "another encoding":
        parts[sheet] = parts[sheet].decode().replace("UTF-8", "UTF-16").encode("utf-16")
    if way == "another name":
        parts = {name.replace("sheet1.xml", "sheet1.bin"): part.replace(b"sheet1.xml", b"sheet1.bin")
                 for name, part in parts.items()}  # fmt: skip
    with pytest.raises(SheetFault, match="not_a_workbook"):
        read_table(packed(parts))


WORKBOOK = workbook(("A2", "c1"), ("B2", 12), ("A3", 1.5), ("B3", True))


def test_numbers_of_a_spreadsheet_are_read_as_they_are_shown():
    """A number that Excel keeps as 12.0 is taken for another id than 12."""
    assert cells_of(read_xlsx(WORKBOOK)) == [("c1", "12"), ("1.5", "TRUE")]
