"""Rows of the policy as plain JSON values, for records, links and the site database: one codec for all three."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from zones.policy import TABLE_OF, TABLES, EditRefused, Row

_FIELDS = {name: frozenset(f.name for f in fields(kind)) for name, kind in TABLES.items()}
_DAYS = {name: frozenset(f.name for f in fields(kind) if "date" in str(f.type)) for name, kind in TABLES.items()}


def row_to_doc(row: Row) -> tuple[str, dict[str, Any]]:
    """(table, document) of a row: dates as ISO text, enums by value, None fields left out all the way down."""
    doc: dict[str, Any] = _without_none(msgspec.to_builtins(row))
    return TABLE_OF[type(row)], doc


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def doc_to_row(table: str, doc: dict[str, Any]) -> Row:
    """The row a document describes. Raises EditRefused naming the table, the row and the field at fault."""
    kind = TABLES.get(table)
    name = str(doc.get("id", "?"))
    if kind is None:
        raise EditRefused(table, name, "table", f"is not one of {', '.join(TABLES)}")
    if unknown := set(doc) - _FIELDS[table]:
        raise EditRefused(table, name, min(unknown), "is not a field of this table")
    try:
        row: Row = msgspec.convert(dict(_shared(table, doc)), kind)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$")
        raise EditRefused(table, name, where.strip(".`") or "row", why) from None
    return row


def _shared(table: str, doc: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The same document with equal texts and equal days as one value each: half the memory of a large policy, and a
    decision that compares identifiers finds them in few places.
    """
    days = _DAYS[table]
    for key, value in doc.items():
        if type(value) is str:
            yield key, _day(value) if key in days else sys.intern(value)
        elif type(value) is list:
            yield key, [sys.intern(one) if type(one) is str else one for one in value]
        else:
            yield key, value


@lru_cache(maxsize=4096)
def _day(text: str) -> date | str:
    """The day, or the text where it is none as we write them: the codec then says what is wrong with it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return day if day.isoformat() == text else text
