"""The view: each record once, nothing guessed over a gap, rebuilt when lost, honest about the controller."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine
from sqlmodel import SQLModel

from api import store
from api.name_keys import NameKeys
from api.names import Names
from api.store import StoreError
from api.tables import PROJECTED
from api.view import Gap, View
from controller.link.messages import Record

_opened: list[Engine] = []


def open_store(path: Path) -> Engine:
    """As the product opens it; closed after the test."""
    _opened.append(store.open_store(path))
    return _opened[-1]


def view_of(path: Path) -> View:
    """A view of the database at `path`."""
    engine = open_store(path)
    return View(engine, Names(engine, NameKeys(path.parent)))


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().dispose()


def records(controller: Any) -> list[Record]:
    return [Record(**{k: v for k, v in one.items() if k != "is"}) for one in controller.records]


def contents(path: Path) -> dict[str, list[Any]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return {
            table.__tablename__: sorted(map(repr, db.execute(f'SELECT * FROM "{table.__tablename__}"')))
            for table in PROJECTED
        }


def scenario(kit: Any, path: Path) -> Any:
    one = kit.stand_in.StandIn(path)
    one.record("CONTROLLER_STARTED")
    one.edit(*kit.stand_in.HOUSE, ("cardholder", {"id": "c-1"}))
    for kind in ("ACCESS_GRANTED", "PASSAGE", "DOOR_HELD", "DOOR_CLOSED", "DOOR_FORCED"):
        one.record(kind, portal="front", subject={"cardholder": "c-1"})
    one.record("DEVICE_OFFLINE", detail={"device": "r"})
    one.edit(("roster", {"id": "r-1", "cardholder": "c-1", "zone": "vault"}))
    one.edit(drops=[("portal", "side")])
    return one


def test_the_same_records_in_any_batches_give_the_same_view(kit: Any, tmp_path: Path) -> None:
    """After a reconnection the page would show other doors than before it."""
    given = records(scenario(kit, tmp_path / "s"))
    for name, size in (("one", 1), ("three", 3), ("all", 100)):
        view = view_of(tmp_path / f"{name}.db")
        for start in range(0, len(given), size):
            view.apply(given[start : start + size])
            assert view.apply(given[: start + size]) == []  # again: nothing
    assert contents(tmp_path / "one.db") == contents(tmp_path / "three.db") == contents(tmp_path / "all.db")


def test_a_gap_is_noticed_and_nothing_after_it_is_folded(kit: Any, tmp_path: Path) -> None:
    """A withheld record would go unseen."""
    given = records(scenario(kit, tmp_path / "s"))
    view = view_of(tmp_path / "api.db")
    with pytest.raises(Gap) as caught:
        view.apply([*given[:3], *given[4:]])
    assert (caught.value.expected, caught.value.got, view.seq) == (3, 4, 2)
    view.apply(given)
    assert view.seq == len(given) - 1


HOSTILE_BODIES = [None, "", "null", "[]", "{", "[" * 10_000, '{"type": 7, "portal": [], "at_ms": "x", "subject": 1}',
                  '{"type": "POLICY_EDITED", "detail": {"edit": {"puts": [1, ["zone", 2], ["zone", {}]], "drops": 3}}}',
                  '{"type": "DOOR_FORCED", "portal": "front", "at_ms": 1e99}',
                  '{"type": "DEVICE_OFFLINE", "detail": {"device": {}}}',
                  '{"type": "PASSAGE", "at_ms": 99999999999999999999}']  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=range(len(HOSTILE_BODIES)))
def test_a_body_that_cannot_be_read_keeps_its_number(tmp_path: Path, body: str | None) -> None:
    """One strange record would end the page for good."""
    view = view_of(tmp_path / "api.db")
    view.apply([Record(seq=0, leaf='{"class":"system"}', salt=None, body=body)])
    assert [row.seq for row in view.events_after(-1, 10)] == [0]
    view.portals_live(0)


def test_a_lost_view_is_rebuilt_and_names_are_kept_apart(web: Any, kit: Any) -> None:
    """Losing a file of the web process would lose events or doors."""
    web.in_force(web.client.post("/api/v1/cardholders", json={"id": "c-1", "name": "山田"}))
    web.controller.record("ACCESS_GRANTED", portal="front", subject={"cardholder": "c-1"})
    web.caught_up()
    events = web.client.get("/api/v1/events?limit=1000").json()["items"]
    web.stop()
    for file in web.settings.state_dir.glob("api.db*"):
        file.unlink()
    again = kit.serve(web.settings, web.controller)
    again.caught_up()
    shown = again.client.get("/api/v1/events?limit=1000").json()["items"]
    assert shown[: len(events)] == events and len(shown) == len(events) + 1, "all, and the sign-in: sessions are gone"
    assert again.client.get("/api/v1/cardholders/c-1").json() == {
        "id": "c-1", "name": None, "kana": "", "roman": "", "kind": "STAFF", "notice_version": 0, "held_extra_ms": 0,
    }  # fmt: skip
    again.stop()


def test_a_gap_on_the_line_is_fetched_again(web: Any, kit: Any) -> None:
    """One lost line would stop the page for good, or leave a hole."""
    client = web.client
    web.controller.skipped = {len(web.controller.records)}
    web.controller.record("PASSAGE", portal="front")
    web.controller.record("PASSAGE", portal="front")
    kit.eventually(lambda: not web.parts.view.live.is_connected)
    assert client.get("/api/v1/health").json()["fault"].startswith("Gap")
    web.controller.skipped = set()
    web.caught_up()


def test_the_controller_may_be_away_at_start_and_come_back(controller: Any, settings: Any, kit: Any) -> None:
    """After a power cut the page would depend on the order in which things start."""
    controller.stop()
    web = kit.serve(settings, controller)
    assert web.anonymous().get("/api/v1/health").json() == {"status": "up"}
    assert web.sign_in("officer-01").status_code == 401, "nobody is known to be an officer"
    controller.start()
    web.caught_up()
    assert len(web.client.get("/api/v1/zones").json()["items"]) == 4
    controller.restart()
    controller.record("PASSAGE", portal="front")
    web.caught_up()
    assert web.client.get("/api/v1/health").json()["node_boot"] == "boot-2"
    web.stop()


def test_a_silent_controller_makes_the_page_stale(web: Any, kit: Any) -> None:
    """A frozen controller would leave yesterday's doors on the screen."""
    assert web.client.get("/api/v1/portals/front").json()["is_current"] is True
    web.controller.is_silent = True
    kit.eventually(lambda: web.client.get("/api/v1/portals/front").json()["is_current"] is False, 9)
    web.controller.is_silent = False
    kit.eventually(lambda: web.client.get("/api/v1/portals/front").json()["is_current"] is True, 9)


def test_a_ledger_that_grew_shorter_is_said_and_not_followed(web: Any, kit: Any) -> None:
    """Somebody could put back an old ledger and the page would forget with it."""
    client = web.client
    web.controller.stop()
    seen = web.parts.view.seq
    del web.controller.records[1:]
    web.controller.start()
    kit.eventually(lambda: "LEDGER_SHORTER" in (web.parts.view.live.fault or ""))
    assert web.parts.view.seq == seen
    assert "短くなっています" in client.get("/live?lang=ja").text


def test_another_ledger_starts_the_view_over(web: Any, kit: Any) -> None:
    """After a new installation old doors would stay on the page."""
    client = web.client
    web.in_force(client.post("/api/v1/cardholders", json={"id": "c-1", "name": "山田"}))
    web.controller.stop()
    fresh = kit.stand_in.StandIn(web.controller.path, vkey="other+11111111+BBBB")
    fresh.record("CONTROLLER_STARTED")
    fresh.start()
    web.controller = fresh
    web.caught_up()
    assert web.parts.view.rows("zone") == []
    assert client.get("/api/v1/zones").status_code == 401, "nor is anybody an officer of it"
    assert web.parts.view.names.get("c-1").name == "山田"
    fresh.stop()


@pytest.mark.req("E-01", "E-02", "E-10")
def test_no_table_can_hold_what_must_not_exist() -> None:
    """A column would invite somebody to write down what the law forbids to keep."""
    import re

    forbidden = re.compile(
        r"unsuit|refus|den(y|ied)|reject|withdr|consent|complain|health|medic|debt|loan|famil|spouse|national|crim|"
        r"alcohol|drug|questionn|assess|suspicion|cause|comment|remark|note|memo|photo|face|finger|vein|iris|template|"
        r"biometr|pin$|number$|secret|password", re.IGNORECASE,
    )  # fmt: skip
    names = [
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.tables.values()
        if _is_ours(table.name)
        for column in table.columns
    ]
    kept = {"event.number", "alarm_case.cause"}  # of a refusal, drawn by lot; one of ALARM_CAUSES
    kept |= {name for name in names if name.startswith("password.")}  # an officer's own, argon2id
    assert names and [name for name in names if forbidden.search(name) and name not in kept] == []
    assert {name for name in names if name.startswith("event.")} == {
        f"event.{name}"
        for name in [
            "seq",
            "at_ms",
            "type",
            "class",
            "outcome",
            "reason",
            "zone",
            "portal",
            "access_point",
            "direction",
            "cardholder",
            "credential",
            "body",
            "number",
        ]
    }


def _is_ours(table: str) -> bool:
    """Of this process: the controller's tables may be known here too."""
    return table in {kind.__tablename__ for kind in SQLModel.__subclasses__() if kind.__module__.startswith("api.")}


def test_the_migrations_make_the_tables_the_code_expects(tmp_path: Path) -> None:
    """An upgraded installation would fail at the first column that is only in the code."""
    open_store(tmp_path / "api.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "api.db")) as db, db:
        made = {
            table: {row[1] for row in db.execute(f'PRAGMA table_info("{table}")')}
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        }
    expected = {t.name: {c.name for c in t.columns} for t in SQLModel.metadata.tables.values() if _is_ours(t.name)}
    assert {name: columns for name, columns in made.items() if name != "alembic_version"} == expected
    assert stat.S_IMODE((tmp_path / "api.db").stat().st_mode) == 0o600


def test_an_upgrade_keeps_the_names_and_folds_the_rest_anew(web: Any, kit: Any) -> None:
    """After an upgrade the page would show no alarm that began before it, or everybody would be nameless."""
    web.in_force(web.client.post("/api/v1/cardholders", json={"id": "c-1", "name": "山田"}))
    web.controller.record("FIRE_ON", detail={"device": "dr-1"})
    web.caught_up()
    web.stop()
    path = web.settings.state_dir / "api.db"
    config = Config()
    config.set_main_option("script_location", str(store.MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    engine.dispose()
    again = kit.serve(web.settings, web.controller)
    again.caught_up()
    assert again.client.get("/api/v1/cardholders/c-1").json()["name"] == "山田"
    assert [row.kind for row in again.parts.view.alarms()] == ["FIRE_ON"]
    again.stop()


def test_a_broken_database_is_said_and_left_alone(tmp_path: Path) -> None:
    """The names of everybody would be thrown away by a start."""
    (tmp_path / "api.db").write_bytes(b"this is not a database" * 500)
    with pytest.raises(StoreError, match=r"api\.db"):
        open_store(tmp_path / "api.db")
    assert (tmp_path / "api.db").read_bytes().startswith(b"this is not")


@pytest.mark.req("D-23")
def test_what_the_ledger_dropped_the_view_forgets_too(kit: Any, tmp_path: Path) -> None:
    """Where somebody went three years ago would still stand in the officers' database, names and all."""
    one = scenario(kit, tmp_path / "s")
    one.record("ACCESS_GRANTED", portal="front", subject={"cardholder": "c-1"}, companions=[{"cardholder": "c-2"}])
    last = one.record("PASSAGE", portal="front", subject={"cardholder": "c-1"})
    ranges = [[0, last - 1], [last + 100, last + 200], ["x", 3], [7]]
    one.record("PURGED", detail={"of_class": "access", "ranges": ranges, "count": 4})
    given = records(one)
    classes = {record.seq: json.loads(record.leaf)["class"] for record in given}
    view = view_of(tmp_path / "api.db")
    view.apply(given)
    rows = {row.seq: row for row in view.events_after(-1, 100)}
    assert sorted(rows) == list(range(len(given)))
    going = {seq for seq, class_ in classes.items() if class_ == "access" and seq < last}
    assert len(going) >= 3
    for seq, row in rows.items():
        assert row.record_class == classes[seq]
        left = (row.body, row.cardholder, row.credential, row.type, row.portal, row.at_ms)
        assert (left == (None,) * 6) is (seq in going), row
    assert view.portals_live(0)["front"].state, "live states stay"
    assert not going & {row.seq for row in view.events_of("c-1", None, 100)}
    assert view.events_of("c-2", None, 100) == [], "a companion's place in it is forgotten too"
    dropped = [Record(seq=r.seq, leaf=r.leaf, salt=None, body=None) if r.seq in going else r for r in given]
    again = view_of(tmp_path / "again.db")
    again.apply(dropped)
    assert contents(tmp_path / "again.db")["event"] == contents(tmp_path / "api.db")["event"], "as from the ledger now"
