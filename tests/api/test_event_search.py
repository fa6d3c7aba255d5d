"""Search over the records: what is found is what was asked for, all of it, newest first, however it is combined."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from api.event_search import Sought, fill, search
from api.store import open_store

DAY = date(2026, 3, 1)
BEGIN_MS = int(datetime(2026, 2, 28, 15, tzinfo=UTC).timestamp() * 1000)  # midnight in Japan


def made_up(count: int) -> list[dict]:
    draw = random.Random(1)
    rows = []
    for seq in range(count):
        kind = draw.choice(["ACCESS_GRANTED", "ACCESS_DENIED", "PASSAGE", "NOTE"])
        rows.append(
            {
                "seq": seq, "type": kind, "class": "access", "reason": "OK", "direction": "IN", "credential": None,
                "at_ms": BEGIN_MS + seq * 600_000 - (86_400_000 if seq % 97 == 0 else 0),  # set back at times
                "outcome": {"ACCESS_GRANTED": "GRANTED", "ACCESS_DENIED": "DENIED"}.get(kind),
                "zone": draw.choice(["lab", "vault", None]), "portal": draw.choice(["front", "side"]),
                "access_point": None, "cardholder": draw.choice(["c1", "c2", None]), "body": "{}",
                "number": "7QK4" if kind == "ACCESS_DENIED" and seq % 5 == 0 else None,
            }
        )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    engine = open_store(tmp_path_factory.mktemp("search") / "api.db")
    rows = made_up(600)
    with engine.begin() as connection:
        fill(connection, rows)
        connection.exec_driver_sql("INSERT INTO event_other (cardholder, seq) VALUES ('c1', 7), ('c1', 8)")
    yield engine, rows
    engine.dispose()


def is_hit(row: dict, sought: Sought) -> bool:
    day = (datetime.fromtimestamp(row["at_ms"] / 1000, UTC) + timedelta(hours=9)).date()
    about = {row["cardholder"], *(["c1"] if row["seq"] in (7, 8) else [])}
    return (
        all(row[name] == value for name, value in sought.columns.items() if name != "cardholder")
        and (sought.cardholder is None or sought.cardholder in about)
        and (sought.first_on is None or day >= sought.first_on)
        and (sought.last_on is None or day <= sought.last_on)
        and (sought.zones is None or row["zone"] in sought.zones)
    )


QUESTIONS = [
    Sought(),
    Sought(cardholder="c1"),
    Sought(cardholder="c1", portal="side", outcome="DENIED"),
    Sought(zone="lab", type="PASSAGE"),
    Sought(number="7QK4"),
    Sought(first_on=DAY, last_on=DAY),
    Sought(last_on=DAY, type="NOTE"),
    Sought(first_on=DAY + timedelta(days=2), outcome="GRANTED", zones=frozenset({"vault"})),
    Sought(type="NOTE", outcome="DENIED"),
    Sought(zones=frozenset()),
    Sought(last_on=date.max),
    Sought(first_on=date(2030, 1, 1)),
]


@pytest.mark.parametrize("few", [20_000, 50], ids=["at once", "in steps"])
@pytest.mark.parametrize("sought", QUESTIONS, ids=range(len(QUESTIONS)))
@pytest.mark.req("A-25")
def test_everything_asked_for_is_found_page_by_page(records, sought, few):
    """An auditor looks for a day and is not shown a record of it, or one twice."""
    engine, rows = records
    found, before, pages = [], None, 0
    with engine.connect() as connection:
        while True:
            hits = search(connection, sought, before, 40, few)
            found += [row.seq for row in hits.rows]
            before, pages = hits.before, pages + 1
            if before is None:
                break
            assert pages < 60, "the pages do not end"
    assert found == [row["seq"] for row in reversed(rows) if is_hit(row, sought)]
