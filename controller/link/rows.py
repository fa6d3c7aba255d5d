"""Rows of the policy as plain JSON values, for records, links and the site database: one codec for all three."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec

from zones.policy import TABLE_OF, TABLES, EditRefused, Row

_FIELDS = {name: frozenset(f.name for f in fields(kind)) for name, kind in TABLES.items()}


def row_to_doc(row: Row) -> tuple[str, dict[str, Any]]:
    """(table, document) of a row: dates as ISO text, enums by value, None fields left out."""
    doc: dict[str, Any] = msgspec.to_builtins(row)
    return TABLE_OF[type(row)], {key: value for key, value in doc.items() if value is not None}


def doc_to_row(table: str, doc: dict[str, Any]) -> Row:
    """The row a document describes. Raises EditRefused naming the table, the row and the field at fault."""
    kind = TABLES.get(table)
    name = str(doc.get("id", "?"))
    if kind is None:
        raise EditRefused(table, name, "table", f"is not one of {', '.join(TABLES)}")
    if unknown := set(doc) - _FIELDS[table]:
        raise EditRefused(table, name, min(unknown), "is not a field of this table")
    try:
        row: Row = msgspec.convert(doc, kind)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$")
        raise EditRefused(table, name, where.strip(".`") or "row", why) from None
    return row
