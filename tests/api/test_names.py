"""Names: ciphertext under a key per person, in another file than the keys; forgotten for good (E-08, D-23)."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from api.name_keys import CREDENTIAL, NameKeys, NameKeysError
from api.names import Name, Names
from api.store import open_store

SATO = {"id": "c-1", "name": "佐藤 美咲", "kana": "さとう みさき", "roman": "SATO Misaki"}
WORDS = [SATO[key].encode() for key in ("name", "kana", "roman")]


def traces(folder: Path, words: list[bytes] | None = None) -> list[str]:
    """Files of `folder` in which a name can be read, as it is or as JSON writes it."""
    sought = [*(words or WORDS)]
    sought += [json.dumps(word.decode())[1:-1].encode() for word in sought]
    sought += [word.decode().encode("utf-16-le") for word in (words or WORDS)]
    return [
        str(file) for file in folder.rglob("*") if file.is_file() and any(word in file.read_bytes() for word in sought)
    ]


def row_of(web: Any, cardholder: str = "c-1") -> bytes | None:
    with contextlib.closing(sqlite3.connect(web.settings.state_dir / "api.db")) as db:
        row = db.execute("SELECT sealed FROM name WHERE cardholder = ?", (cardholder,)).fetchone()
    return None if row is None else bytes(row[0])


def name_of(web: Any, cardholder: str = "c-1") -> str | None:
    name: str | None = web.client.get(f"/api/v1/cardholders/{cardholder}").json()["name"]
    return name


@pytest.fixture
def house(web: Any) -> Any:
    web.in_force(web.client.post("/api/v1/cardholders", json=SATO))
    web.controller.record("PASSAGE", portal="front", subject={"cardholder": "c-1"})
    web.caught_up()
    return web


def forget(web: Any, cardholder: str = "c-1", **asked: Any) -> Any:
    return web.client.post(f"/api/v1/cardholders/{cardholder}/forget", json={"reason": "request"} | asked)


# -- at rest --------------------------------------------------------------------------------------------------------


@pytest.mark.req("E-08")
def test_no_file_holds_a_name_that_can_be_read(house: Any, kit: Any) -> None:
    """Whoever copies the disk, or finds a backup of api.db, reads who works in a protected zone."""
    folder = house.settings.state_dir
    assert traces(folder) == []
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in ("names.keys", "names.seal", "api.db")} == {0o600}
    house.stop()
    assert traces(folder) == []
    again = kit.serve(house.settings, house.controller)
    again.caught_up()
    assert name_of(again) == SATO["name"]
    again.stop()


@pytest.mark.req("E-08")
def test_a_ciphertext_is_bound_to_its_person_and_tells_no_length(house: Any) -> None:
    """Rows could be swapped so that one person's entries show under another's name; or a long name be guessed."""
    house.in_force(house.client.post("/api/v1/cardholders", json={"id": "c-2", "name": "林"}))
    one, two = row_of(house), row_of(house, "c-2")
    assert one is not None and two is not None and len(one) == len(two)
    folder = house.settings.state_dir
    text = (folder / "names.keys").read_text()
    (folder / "names.keys").write_text(text.replace("c-1 ", "c-9 ").replace("c-2 ", "c-1 ").replace("c-9 ", "c-2 "))
    keys = NameKeys(folder)
    assert keys.fault is None and keys.get("c-1") is None and keys.get("c-2") is None


@pytest.mark.req("E-08")
def test_plain_names_of_before_are_sealed_and_overwritten(controller: Any, settings: Any, kit: Any) -> None:
    """After an upgrade the old names would lie in free pages of the file for years."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    from api import store

    settings.state_dir.mkdir(mode=0o700)
    path = settings.state_dir / "api.db"
    config = Config()
    config.set_main_option("script_location", str(store.MIGRATIONS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA secure_delete=OFF")
        people = [(f"c-{n}", f"姓{n} 名{n}", f"せい{n}", f"Family{n}") for n in range(500)]
        db.executemany("INSERT INTO name VALUES (?,?,?,?)", people)
        db.execute("UPDATE name SET name = ?, kana = ?, roman = ? WHERE cardholder = 'c-1'", tuple(SATO.values())[1:])
        db.execute("DELETE FROM name WHERE cardholder > 'c-4'")  # left behind in free pages
    assert traces(settings.state_dir), "the test would find a plain name"
    controller.edit(("cardholder", {"id": "c-1"}), ("cardholder", {"id": "c-399"}))
    web = kit.serve(settings, controller)
    web.caught_up()
    assert (name_of(web), name_of(web, "c-399")) == (SATO["name"], "姓399 名399")
    assert traces(settings.state_dir) == [] and traces(settings.state_dir, [b"Family"]) == []
    web.stop()
    assert traces(settings.state_dir) == [] and traces(settings.state_dir, [b"Family"]) == []


# -- forgetting -----------------------------------------------------------------------------------------------------


@pytest.mark.req("E-08", "D-23")
def test_whoever_is_forgotten_has_no_name_anywhere(house: Any, kit: Any) -> None:
    """The law gives a person the right to go, and the log would keep him for ever."""
    key = {"Idempotency-Key": "the-first-time"}
    house.in_force(house.client.post("/api/v1/cardholders", json=SATO | {"id": "c-2"}, headers=key))
    page = house.signed_in()
    assert SATO["name"] in page.get("/").text
    for one in ("c-1", "c-2"):
        answer = forget(house, one)
        assert answer.status_code == 200, answer.text
    seq = answer.json()["seq"]
    told = json.loads(house.controller.records[seq]["body"])
    assert told["detail"]["kind"] == "FORGOTTEN" and told["detail"]["purpose"] == "request"
    assert told["subject"] == {"cardholder": "c-2"}

    assert name_of(house) is None and row_of(house) is None
    assert house.client.get("/api/v1/cardholders", params={"q": "佐藤"}).json()["items"] == []
    looked = house.client.get("/api/v1/cardholders/c-1/history", params={"purpose": "audit"})
    assert looked.status_code == 200 and looked.json()["items"][-1]["type"] == "PASSAGE"
    shown = [page.get("/").text, page.get("/history?cardholder=c-1&purpose=audit").text, looked.text]
    again = house.client.post("/api/v1/cardholders", json=SATO | {"id": "c-2"}, headers=key)
    assert again.status_code >= 400, "an answer that was kept carries the name"
    assert not [text for text in (*shown, again.text) if any(word.decode() in text for word in WORDS)]
    assert "c-1" in shown[0] and "c-1" in shown[1]
    assert traces(house.settings.state_dir) == []
    text = (house.settings.state_dir / "names.keys").read_text()
    assert "c-1" not in text and "c-2" not in text
    house.stop()
    assert traces(house.settings.state_dir) == []
    later = kit.serve(house.settings, house.controller)
    later.caught_up()
    assert name_of(later) is None
    later.stop()


@pytest.mark.req("E-08")
def test_keys_that_come_back_from_a_backup_are_destroyed_again(house: Any, kit: Any) -> None:
    """A restored file would undo what a person was promised; so would a stop between the record and the key."""
    folder = house.settings.state_dir
    house.stop()
    old = {name: (folder / name).read_bytes() for name in ("names.keys", "api.db")}
    web = kit.serve(house.settings, house.controller)
    web.caught_up()
    assert forget(web).status_code == 200
    web.stop()
    for files in ({"names.keys"}, {"names.keys", "api.db"}):
        for name in files:
            (folder / name).write_bytes(old[name])
        again = kit.serve(house.settings, house.controller)
        again.caught_up()
        assert name_of(again) is None and "c-1" not in (folder / "names.keys").read_text(), files
        assert row_of(again) is None
        again.stop()


@pytest.mark.req("E-08")
def test_forgetting_again_is_the_same_record_and_no_new_name_is_taken(house: Any) -> None:
    """A crash and a second try would leave two records; or old entries would get a name again."""
    first = forget(house).json()["seq"]
    again = forget(house, reason="term_over")
    assert again.status_code == 200 and again.json()["seq"] == first
    assert len([note for note in house.controller.heard_of("note") if note["type"] == "FORGOTTEN"]) == 1
    renamed = house.patch("/api/v1/cardholders/c-1", {"name": "佐藤"})
    assert renamed.status_code == 409 and renamed.json()["code"] == "forgotten" and name_of(house) is None


IN_FORCE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("credential", {"state": "ACTIVE", "last4": "b2c3", "number_hash": "00"}, {"state": "RETURNED"}),
    ("credential", {"state": "ISSUED", "last4": "b2c3", "number_hash": "00"}, {"state": "DESTROYED"}),
    ("roster", {"zone": "lab", "from_on": "2026-01-01", "until_on": "2099-01-01", "review_on": "2099-01-01"},
     {"until_on": "2026-01-02"}),
    ("roster", {"zone": "lab", "from_on": "2098-01-01", "until_on": "2099-01-01", "review_on": "2099-01-01"},
     {"ended_on": "2026-01-02"}),
    ("clearance", {"basis": "BOEI_HOGO", "notified_on": "2026-01-01", "last_valid_on": "2099-01-01",
                   "recorded_by": "o-1", "confirmed_by": "o-2"}, {"ended_on": "2026-01-02"}),
    ("need_to_know", {"item": "item-1", "purpose_code": "P", "from_on": "2026-01-01", "until_on": "2099-01-01"},
     {"ended_on": "2026-01-02"}),
    ("visit", {"host": "c-9", "zones": ["office"], "from_on": "2026-01-01", "until_on": "2099-01-01"},
     {"ended_on": "2026-01-02"}),
]  # fmt: skip


@pytest.mark.req("E-08")
def test_nobody_is_forgotten_who_may_still_enter(house: Any) -> None:
    """Somebody would walk through doors whom no officer can call by name."""
    for number in range(len(IN_FORCE)):
        house.in_force(house.client.post("/api/v1/cardholders", json=SATO | {"id": f"p-{number}"}))
    for number, (table, row, end) in enumerate(IN_FORCE):
        who = f"p-{number}"
        doc = {"id": f"r-{number}", "cardholder": who, **row}
        house.controller.edit((table, doc))
        house.caught_up()
        before = len(house.controller.records)
        answer = forget(house, who)
        assert answer.status_code == 409 and answer.json()["code"] == "in_force", (table, row)
        assert answer.json()["in_force"] == [{"register": table, "id": f"r-{number}"}]
        assert name_of(house, who) == SATO["name"] and len(house.controller.records) == before
        house.controller.edit((table, doc | end))
        house.caught_up()
        assert forget(house, who).status_code == 200 and name_of(house, who) is None, (table, end)


def test_a_name_is_not_destroyed_for_an_unknown_reason(house: Any) -> None:
    """What cannot be undone would be done by a slip, or on a ground that may not be kept."""
    for who, asked, status in (
        ("nobody", {}, 404), ("c-1", {"reason": "unsuitable"}, 422), ("c-1", {"reason": None}, 422), ("C-1", {}, 422),
        ("c-1", {"because": "x"}, 422),
    ):  # fmt: skip
        assert forget(house, who, **asked).status_code == status, (who, asked)
    assert name_of(house) == SATO["name"]


@pytest.mark.req("E-08")
def test_while_the_controller_is_away_nobody_is_forgotten(house: Any) -> None:
    """A name would be gone without a record of who took it away."""
    house.controller.stop()
    assert forget(house).status_code == 503 and name_of(house) == SATO["name"]
    house.controller.restart()
    house.caught_up()
    assert forget(house).status_code == 200 and name_of(house) is None


@pytest.mark.req("E-08")
def test_a_key_that_cannot_be_destroyed_now_is_an_alarm_and_no_success(house: Any, kit: Any) -> None:
    """An officer would tell somebody that he is forgotten while the key lies on a full disk."""
    folder = house.settings.state_dir
    (folder / "names.keys.new").mkdir()  # nothing can be put in its place
    answer = forget(house)
    assert answer.status_code == 503 and answer.json()["code"] == "names_owed"
    assert name_of(house) is None, "at least nothing is shown"
    assert "消去すべき氏名の鍵がまだ残っています" in house.signed_in().get("/").text
    assert house.client.get("/api/v1/health").json()["names_fault"] == "names_owed"
    (folder / "names.keys.new").rmdir()
    assert forget(house).status_code == 200
    assert "c-1" not in (folder / "names.keys").read_text()
    assert "names_fault" not in house.client.get("/api/v1/health").json()


# -- keys that are missing or damaged -------------------------------------------------------------------------------


def _cut(folder: Path) -> None:
    (folder / "names.keys").write_bytes(b"\0" * 100)


def _flip(folder: Path) -> None:
    text = (folder / "names.keys").read_text()
    (folder / "names.keys").write_text(text.replace("c-1 ", "c-1 AAAA"))


DAMAGES: list[tuple[str, Any, str, bool]] = [
    ("missing", lambda folder: (folder / "names.keys").unlink(), "names_unreadable", True),
    ("seal missing", lambda folder: (folder / "names.seal").unlink(), "seal_missing", False),
    ("seal of another", lambda folder: (folder / "names.seal").write_bytes(os.urandom(32)), "seal_foreign", False),
    ("seal cut", lambda folder: (folder / "names.seal").write_bytes(b"x"), "seal_damaged", False),
    ("no keys", _cut, "keys_damaged", False),
    ("empty", lambda folder: (folder / "names.keys").write_bytes(b""), "keys_damaged", False),
    ("one key", _flip, "names_unreadable", True),
    ("a folder", lambda folder: ((folder / "names.keys").unlink(), (folder / "names.keys").mkdir()), "keys_unreadable",
     False),
]  # fmt: skip


@pytest.mark.req("E-08")
@pytest.mark.parametrize(("what", "damage", "fault", "takes_names"), DAMAGES, ids=[one[0] for one in DAMAGES])
def test_keys_that_cannot_be_read_are_named_and_never_written_over(
    tmp_path: Path, what: str, damage: Any, fault: str, takes_names: bool
) -> None:
    """A damaged file would be taken for an empty one, and every name be gone for good."""

    def opened() -> Names:
        return Names(engine, NameKeys(tmp_path))

    def content() -> bytes | None:
        return (tmp_path / "names.keys").read_bytes() if (tmp_path / "names.keys").is_file() else None

    engine = open_store(tmp_path / "api.db")
    try:
        opened().keep(Name(cardholder="c-1", name="佐藤"))
        damage(tmp_path)
        before, names = content(), opened()
        assert names.fault == fault and names.why and names.all() == {} and names.troubles == ["names"]
        if takes_names:
            names.keep(Name(cardholder="c-2", name="林"))
            assert opened().get("c-2") is not None and names.fault == fault, "the others are still missing"
            names.forget(["c-1"])
            assert names.fault is None and names.owed == frozenset()
        else:
            with pytest.raises(NameKeysError):
                names.keep(Name(cardholder="c-2", name="林"))
            names.forget(["c-1"])
            assert names.owed == {"c-1"}, "there may be a key in what cannot be read"
            assert content() == before
    finally:
        engine.dispose()


@pytest.mark.req("E-08")
def test_without_its_keys_the_page_shows_pseudonyms_and_says_so(house: Any, kit: Any) -> None:
    """A lost key file would take the officers' page with it."""
    folder = house.settings.state_dir
    house.stop()
    (folder / "names.seal").rename(folder / "elsewhere")
    web = kit.serve(house.settings, house.controller)
    web.caught_up()
    assert name_of(web) is None and web.client.get("/api/v1/health").json()["names_fault"] == "seal_missing"
    page = web.signed_in()
    shown = page.get("/").text
    assert "氏名を表示できません" in shown and "names.keys" in shown and "c-1" in shown
    assert "氏名を表示できません" in page.get("/history").text
    proposed = len(web.controller.heard_of("propose"))
    new = web.client.post("/api/v1/cardholders", json={"id": "c-2", "name": "林 恵"})
    assert (new.status_code, new.json()["code"]) == (503, "names_unreadable")
    assert len(web.controller.heard_of("propose")) == proposed, "nobody is registered whose name cannot be kept"
    web.stop()
    (folder / "elsewhere").rename(folder / "names.seal")
    again = kit.serve(house.settings, house.controller)
    again.caught_up()
    assert name_of(again) == SATO["name"]
    again.stop()


# -- the file of keys -----------------------------------------------------------------------------------------------


def test_a_credential_takes_over_from_the_file_beside_the_keys(tmp_path: Path) -> None:
    """With the seal on the same disk, whoever takes the disk has both."""
    state, credentials = tmp_path / "state", tmp_path / "credentials"
    state.mkdir()
    credentials.mkdir()
    keys = NameKeys(state)
    keys.ensure(["c-1", "c-2"])
    was = keys.get("c-1")
    (credentials / CREDENTIAL).write_text(os.urandom(32).hex() + "\n")
    moved = NameKeys(state, credentials)
    assert moved.fault is None and moved.get("c-1") == was and was is not None
    assert not (state / "names.seal").exists() and "credential" in (state / "names.keys").read_text()
    without = NameKeys(state)
    assert without.fault is not None and without.fault.code == "seal_missing" and without.get("c-1") is None
    with pytest.raises(NameKeysError):
        without.ensure(["c-3"])
    assert NameKeys(state, credentials).get("c-2") == moved.get("c-2")
    (credentials / CREDENTIAL).write_bytes(os.urandom(32))
    foreign = NameKeys(state, credentials)
    assert foreign.fault is not None and foreign.fault.code == "seal_foreign"


def test_what_a_cut_off_writing_left_is_overwritten(tmp_path: Path) -> None:
    """The key of somebody who was forgotten would lie in a file that nobody looks at."""
    keys = NameKeys(tmp_path)
    keys.ensure(["c-1"])
    old = (tmp_path / "names.keys").read_bytes()
    (tmp_path / "names.keys.new").write_bytes(old)
    held = (tmp_path / "names.keys").open("rb")
    again = NameKeys(tmp_path)
    assert again.fault is None and not (tmp_path / "names.keys.new").exists()
    again.destroy(["c-1"])
    with held:
        assert held.read() == bytes(len(old)), "the old blocks are overwritten in place"
    assert b"c-1" not in (tmp_path / "names.keys").read_bytes()
    assert stat.S_IMODE((tmp_path / "names.keys").stat().st_mode) == 0o600
    again.destroy(["c-1"])  # nothing more to do


def test_each_person_has_a_key_of_his_own(tmp_path: Path) -> None:
    """Destroying one key would take all names, or none."""
    keys = NameKeys(tmp_path)
    keys.ensure(["c-1", "c-2", "c-1"])
    first = keys.get("c-1")
    keys.ensure(["c-1", "c-3"])
    assert keys.get("c-1") == first and len({keys.get(one) for one in ("c-1", "c-2", "c-3")}) == 3
    keys.destroy(["c-2", "nobody"])
    assert keys.get("c-2") is None and NameKeys(tmp_path).get("c-3") == keys.get("c-3")
    assert "hidden" in repr(keys)


def test_names_sort_by_their_reading() -> None:
    """A list of people would be in an order that nobody can look anything up in."""
    people = [Name(cardholder="c-1", name="渡辺", kana="ワタナベ"), Name(cardholder="c-2", name="安部", kana="あべ")]
    assert [one.cardholder for one in sorted(people, key=lambda one: one.order)] == ["c-2", "c-1"]
