"""Which format a file has: told by what it begins with, never by its name."""

from __future__ import annotations

from typing import Final

from api.sheets.delimited import read_csv, write_csv
from api.sheets.table import SheetFault, Table, Taken
from api.sheets.workbook import read_xlsx, write_xlsx

CSV_MEDIA: Final = "text/csv; charset=utf-8; header=present"
CSV_CP932_MEDIA: Final = "text/csv; charset=windows-31j; header=present"
XLSX_MEDIA: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_ZIP: Final = b"PK\x03\x04"
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"


def read_table(content: bytes) -> Taken:
    """The table in a file, CSV or Excel. Raises SheetFault."""
    if content.startswith(_ZIP):
        return read_xlsx(content)
    if content.startswith(_OLD_EXCEL):
        raise SheetFault("old_excel")
    return read_csv(content)


def write_table(table: Table, form: str, encoding: str = "utf-8") -> tuple[bytes, str]:
    """The table as `form` (csv or xlsx), and its media type. Raises NotInCp932."""
    if form == "xlsx":
        return write_xlsx(table), XLSX_MEDIA
    return write_csv(table, encoding), CSV_MEDIA if encoding == "utf-8" else CSV_CP932_MEDIA
