"""Reads site.db at a start: plain sqlite3, so that the doors are armed before any ORM is imported.

site.db is a copy: the ledger is the truth. What is missing, old, damaged or not sealed by us is not believed, and the
policy is folded from the ledger instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from controller.link.rows import doc_to_row
from controller.policy_log import PolicyAt
from controller.site.seal import Seal
from zones.edits import apply
from zones.policy import TABLES, Edit, EditRefused, Policy, Row

SCHEMA = "0004"
"""The Alembic revision that this program reads; a test holds it against the migrations' head."""


class SiteUnusable(Exception):
    """site.db cannot be believed; why."""


def read_site(path: Path, seal: Seal) -> PolicyAt:
    """The policy in site.db. Raises SiteUnusable saying why it is not to be used."""
    if not path.exists():
        raise SiteUnusable("missing")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)
        try:
            return _read(connection, seal)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SiteUnusable(f"unreadable: {error}") from error
    except (EditRefused, msgspec.MsgspecError, ValueError, TypeError) as error:
        raise SiteUnusable(f"holds a row that is refused: {error}") from error


def _read(connection: sqlite3.Connection, seal: Seal) -> PolicyAt:
    schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if schema is None or schema[0] != SCHEMA:
        raise SiteUnusable(f"has schema {schema and schema[0]}, this program reads {SCHEMA}")
    meta = connection.execute("SELECT seq, revision, total, seal FROM site_meta WHERE id = 1").fetchone()
    if meta is None:
        raise SiteUnusable("empty")
    seq, revision, total, sealed = meta
    rows = [row for table in TABLES for row in _rows(connection, table)]
    if seal.total(rows) != int(total, 16) or not seal.is_whole(sealed, int(total, 16), seq, revision):
        raise SiteUnusable("was changed by somebody else: the seal does not match")
    return PolicyAt(policy=apply(Policy(), Edit(puts=tuple(rows))), revision=revision, seq=seq)


def _rows(connection: sqlite3.Connection, table: str) -> Iterable[Row]:
    names = [field.name for field in fields(TABLES[table])]
    annotations: Mapping[str, Any] = {field.name: field.type for field in fields(TABLES[table])}
    is_json = [str(annotations[name]).startswith("tuple[") for name in names]
    is_bool = [annotations[name] == "bool" for name in names]
    for values in connection.execute(f"SELECT {', '.join(names)} FROM {table}"):  # noqa: S608 - our own names
        doc = {}
        for name, value, from_json, from_bool in zip(names, values, is_json, is_bool, strict=True):
            if value is not None:
                doc[name] = msgspec.json.decode(value) if from_json else bool(value) if from_bool else value
        yield doc_to_row(table, doc)
