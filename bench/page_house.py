"""A thousand people, sixty zones, a million records, as the web process holds them: api.db, written directly."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from api.access import Permission
from api.signin.sessions import Sessions
from api.signin.tokens import Tokens
from api.store import open_store
from simulators.passkey import SoftPasskey

PEOPLE: Final = 1_000
ZONES: Final = 60
OFFICER: Final = "officer-01"
DAY_MS: Final = 86_400_000
ROW: Final = 'INSERT INTO policy ("table", id, cardholder, zone, doc) VALUES (?, ?, ?, ?, ?)'
EVENT: Final = (
    'INSERT INTO event (seq, at_ms, type, "class", outcome, reason, zone, portal, access_point, direction, cardholder, '
    "credential, number, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ENTRY: Final = "INSERT INTO last_entry (cardholder, zone, seq, at_ms) VALUES (?, ?, ?, ?)"
CURSOR: Final = "INSERT INTO cursor (id, seq, revision, vkey, checkpoint) VALUES (1, ?, ?, 'bench', '')"

VAULT: Final = {"kind": 3, "accepted_bases": ["KEIZAI_ANPO"], "anti_passback": "HARD"}

Row = tuple[str, dict[str, Any]]


def let_in(folder: Path, officer: str = OFFICER) -> tuple[str, str]:
    """An api.db with one officer in post. Returns the cookie of his session and a token that may read records."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_store(folder / "api.db")
    cookie, _ = Sessions(engine, 12 * 3_600_000).open(
        officer=officer, way="passkey", strength=3, agent="bench", is_fresh=True
    )
    token, _ = Tokens(engine).make(officer, "bench", frozenset({Permission.EVENTS}), 1)
    engine.dispose()
    with sqlite3.connect(folder / "api.db") as base:
        base.executemany(ROW, _lines(_post(officer)))
    base.close()
    return cookie, token


def build(folder: Path, records: int) -> tuple[str, str]:
    """The file of a house. Returns the cookie of an officer's session and a token that may read records."""
    cookie, token = let_in(folder)
    with sqlite3.connect(folder / "api.db") as base:
        base.execute("PRAGMA synchronous = OFF")
        found = base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'event'")
        made = [(name, sql) for name, sql in found.fetchall() if sql]
        for name, _sql in made:
            base.execute(f"DROP INDEX {name}")
        base.executemany(EVENT, _events(records))
        for _name, sql in made:
            base.execute(sql)
        base.executemany(ROW, _lines(_rows()))
        base.executemany(ENTRY, _entries(records))
        base.execute("DELETE FROM cursor")
        base.execute(CURSOR, (records - 1, "0" * 64))
        base.execute("ANALYZE")
    base.close()
    return cookie, token


def _zone(number: int) -> str:
    return f"zone-{number % ZONES:02}"


def _lines(rows: Iterator[Row]) -> Iterator[tuple[str, str, str | None, str | None, str]]:
    for table, row in rows:
        yield table, row["id"], row.get("cardholder"), row.get("zone"), json.dumps(row, ensure_ascii=False)


def _post(officer: str) -> Iterator[Row]:
    post = {"roles": ["PROTECTION_OFFICER"], "from_on": "2026-01-01", "until_on": "2099-12-31"}
    yield "officer", {"id": officer, **post}
    key = SoftPasskey(officer)
    pair = {"credential": key.credential, "public_key": key.public_key, "enrolled_on": "2026-01-01"}
    yield "officer_key", {"id": "key-01", "officer": officer, **pair}


def _rows() -> Iterator[Row]:
    yield "zone", {"id": "site", "name_ja": "敷地", "name_en": "Site", "kind": 0}
    for number in range(ZONES):
        zone = {"id": _zone(number), "name_ja": f"第{number}区画", "name_en": f"Zone {number}", "kind": 1 + number % 2}
        protected = VAULT | {"items": [f"item-{number}"]} if number % 10 == 0 else {}
        yield "zone", {**zone, "parent": "site", **protected}
        door = {"id": f"door-{number:02}", "name_ja": f"第{number}扉", "name_en": f"Door {number}"}
        yield "portal", {**door, "outer": "site", "inner": _zone(number)}
    today = datetime.now(UTC).date()
    period = {"from_on": f"{today - timedelta(days=90)}", "until_on": f"{today + timedelta(days=300)}"}
    for number in range(PEOPLE):
        who = {"cardholder": f"h-{number:04}"}
        yield "cardholder", {"id": f"h-{number:04}"}
        card = {"number_hash": f"{number:064x}", "last4": f"{number:04x}", "state": "ACTIVE"}
        yield "credential", {"id": f"c-{number:04}", **card, **who}
        valid = {"basis": "KEIZAI_ANPO", "notified_on": "2024-04-01", "last_valid_on": "2034-03-31"}
        yield "clearance", {"id": f"l-{number:04}", **valid, "recorded_by": "o-1", "confirmed_by": "o-2", **who}
        for place in range(2):
            row = {"id": f"r-{number:04}-{place}", "zone": _zone(number + 7 * place), **period, **who}
            yield "roster", {**row, "review_on": f"{today + timedelta(days=number % 120)}"}


def _events(records: int) -> Iterator[tuple[Any, ...]]:
    """Three years of entries, one refusal in twenty."""
    now = time.time_ns() // 1_000_000
    step = 3 * 365 * DAY_MS // records
    for seq in range(records):
        person, zone = seq * 7919 % PEOPLE, _zone(seq)
        is_denied = seq % 20 == 0
        kind = "ACCESS_DENIED" if is_denied else ("ACCESS_GRANTED", "PASSAGE")[seq % 2]
        outcome, reason = ("DENY", "NOT_ON_ROSTER") if is_denied else ("GRANT", "OK")
        at_ms, door, holder = now - (records - seq) * step, f"door-{seq % ZONES:02}", f"h-{person:04}"
        number = f"{seq % 10_000:04}" if is_denied else None
        body: dict[str, Any] = {"v": 1, "type": kind, "at_ms": at_ms, "portal": door, "zone": zone}
        body |= {"outcome": outcome, "reason": reason}
        body["subject"] = {"cardholder": holder, "credential": f"c-{person:04}"}
        card = f"c-{person:04}"
        yield (
            seq, at_ms, kind, "access", outcome, reason, zone, door, f"{door}.in", "IN", holder, card, number,
            json.dumps(body, separators=(",", ":")),
        )  # fmt: skip


def _entries(records: int) -> Iterator[tuple[Any, ...]]:
    now = time.time_ns() // 1_000_000
    for person in range(PEOPLE):
        yield f"h-{person:04}", _zone(person), max(0, records - 1 - person), now - person * 60_000
