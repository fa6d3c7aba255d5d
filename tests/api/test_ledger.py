"""The ledger over HTTP, by the paths and types of C2SP, held against the product's own writer."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from api import store
from api.live import alarms
from api.names import Name
from api.settings import Settings
from controller.link.notes import ED25519, Checkpoint, Vkey, parse_checkpoint
from controller.link.proofs import check_consistency
from controller.link.record_proof import RecordProof
from controller.link.tiles import tile_path, unbundle
from controller.link.tree import leaf_hash
from sekisho.ledger_proof import code_document, newest
from sekisho.ledger_tiles import write_tiles
from tests.api.conftest import ORIGIN, eventually, posts, serve
from tests.sekisho.served_ledger import WITNESS_VKEY, ServedLedger

pytestmark = pytest.mark.req("A-27")
LEDGER = "/api/v1/ledger"


class Face:
    """A web process beside a ledger of the product's writer."""

    def __init__(self, folder: Path, served: ServedLedger) -> None:
        self.served = served
        self.web = serve(Settings(socket=served.socket, state_dir=folder / "api", port=0, origin=ORIGIN), None)
        self.caught_up()
        self.web.client  # noqa: B018  signs in: that is a record
        self.caught_up()

    def caught_up(self) -> None:
        view = self.web.parts.view
        eventually(lambda: view.seq == self.served.ledger.size - 1 and view.live.is_connected)

    def grows(self, *commits: int, who: str = "c-1") -> None:
        self.served.grows(*commits, who=who)
        self.caught_up()

    def damage(self, *changes: str) -> None:
        with contextlib.closing(sqlite3.connect(self.web.settings.state_dir / "api.db")) as db, db:
            for change in changes:
                db.execute(change)

    def get(self, path: str, **headers: str) -> Any:
        return self.web.client.get(f"{LEDGER}/{path}", headers=headers)

    def head(self) -> Checkpoint:
        self.caught_up()
        found = parse_checkpoint(self.get("checkpoint").text)
        assert found.by(Vkey.parse(self.served.vkey, ED25519)) is not None
        return found


@contextlib.contextmanager
def facing(folder: Path) -> Iterator[Face]:
    """570 records: two full tiles and an end; the first of them is about nobody."""
    with ServedLedger(folder) as served:
        served.grows(1, who="")
        served.edits(*posts("officer-01"))
        served.grows(298, 269)  # and the sign-in
        one = Face(folder, served)
        try:
            yield one
        finally:
            one.web.stop()


@pytest.fixture(scope="module")
def face(tmp_path_factory: Any) -> Iterator[Face]:
    """One for all that only ask, or only let it grow."""
    with facing(tmp_path_factory.mktemp("face")) as one:
        yield one


def test_the_tiles_over_http_are_those_of_the_files(face: Face, tmp_path: Path) -> None:
    """Whoever follows the log over the network would see another tree than whoever was given the files."""
    write_tiles(face.served.socket, tmp_path / "tiles")
    found = [path for path in (tmp_path / "tiles").rglob("*") if path.is_file()]
    assert len(found) >= 8
    for path in found:
        name = str(path.relative_to(tmp_path / "tiles"))
        answer = face.get(name)
        assert answer.status_code == 200, name
        assert answer.content == path.read_bytes(), name
        is_head = name == "checkpoint"
        assert answer.headers["content-type"] == (
            "text/plain; charset=utf-8" if is_head else "application/octet-stream"
        )
        assert answer.headers["cache-control"] == ("no-store" if is_head else "private, max-age=31536000, immutable")
    assert face.get("tile/0/000.p/7").content == face.get("tile/0/000").content[: 7 * 32]
    leaves = unbundle(face.get("tile/entries/001").content)
    assert b"".join(map(leaf_hash, leaves)) == face.get("tile/0/001").content


FAR = [
    ("tile/0/900", 404, "tile_not_there"),
    ("tile/0/900.p/1", 404, "tile_not_there"),
    ("tile/9/000", 404, "tile_not_there"),
    ("tile/0/x999/x999/x999/x999/999", 404, "tile_not_there"),
    ("tile/entries/900", 404, "tile_not_there"),
    ("tile/0/0", 422, "no_such_tile"),
    ("tile/0/x000/000", 422, "no_such_tile"),
    ("tile/0/000.p/0", 422, "no_such_tile"),
    ("tile/entries/%2e%2e/checkpoint", 422, "no_such_tile"),
    ("tile/64/000", 422, "not_valid"),
    ("tile/-1/000", 422, "not_valid"),
    ("records/900000/proof", 404, "not_proven_yet"),
    ("records/x/proof", 422, "not_valid"),
    ("consistency?old=9&new=900000", 404, "not_proven_yet"),
    ("consistency?old=9&new=8", 422, "other_way_round"),
    ("consistency", 422, "not_valid"),
    ("consistency?old=-1", 422, "not_valid"),
]


def test_what_is_not_there_is_told_apart_and_says_what_to_ask(face: Face) -> None:
    """A client would take a tile that is still to come for one that was removed."""
    size = face.head().size
    last, width = divmod(size, 256)
    ends = [(f"tile/0/{tile_path(last)}", 404, "tile_not_there")]  # not full yet
    ends += [(f"tile/{kind}/{tile_path(last, width + 1)}", 404, "tile_not_there") for kind in ("0", "entries")]
    ends += [
        (f"records/{size}/proof", 404, "not_proven_yet"),
        (f"consistency?old=1&new={size + 1}", 404, "not_proven_yet"),
    ]
    for path, status, code in [*FAR, *ends]:
        answer = face.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        if status == 404:
            assert answer.json()["size"] == size


def test_nothing_is_told_to_strangers(face: Face) -> None:
    """Anybody on the network could see when something happens at the site."""
    stranger = face.web.anonymous()
    for path in ("checkpoint", "tile/0/000", "tile/entries/000", "records/0/proof", "consistency?old=1"):
        assert stranger.get(f"{LEDGER}/{path}").status_code == 401


def test_growth_is_proven_between_any_two_checkpoints(face: Face) -> None:
    """A witness could not tell whether the log it signed a year ago is the beginning of today's."""
    heads = [face.head()]
    for count in (1, 200, 300):
        face.grows(count)
        heads.append(face.head())
    for old in heads:
        for new in heads:
            if old.size > new.size:
                continue
            answer = face.get(f"consistency?old={old.size}&new={new.size}")
            path = [base64.b64decode(one) for one in answer.json()["hashes"]]
            check_consistency(old.size, old.root, new.size, new.root, path)
            assert "immutable" in answer.headers["cache-control"]
    newest = face.get("consistency?old=1")
    assert newest.json()["new"] == heads[-1].size
    assert newest.headers["cache-control"] == "no-store"


def test_a_record_is_proven_in_either_form(face: Face) -> None:
    """An officer could show a record to nobody who does not trust this program."""
    vkey = Vkey.parse(face.served.vkey, ED25519)
    for seq, purpose in ((0, ""), (255, "?purpose=audit"), (256, "?purpose=safety"), (568, "?purpose=incident")):
        as_json = face.get(f"records/{seq}/proof{purpose}")
        as_text = face.get(f"records/{seq}/proof{purpose}", accept="text/plain")
        for answer, kind in ((as_json, "application/json"), (as_text, "text/plain; charset=utf-8")):
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == kind
            assert answer.headers["cache-control"] == "no-store"
            assert "Accept" in answer.headers["vary"].split(", ")
            shown = RecordProof.parse(answer.text).check(vkey)
            assert shown.leaf["seq"] == seq
            assert shown.is_body_shown
    both = face.get("records/0/proof", accept="application/json, text/plain;q=0.5")
    assert both.headers["content-type"] == "application/json"


def test_what_a_witness_signed_goes_out_with_it(face: Face) -> None:
    """Nobody could tell a log that somebody outside watches from one that its owner alone has seen."""
    vkey = Vkey.parse(face.served.vkey, ED25519)
    face.served.notes[:] = ["x\n0\n\n", face.served.ledger.checkpoint_text.replace("gate-1", "gate-2")]
    assert face.head().note == face.served.ledger.checkpoint_text
    size = face.head().size
    face.served.is_cosigned(bytes(32))  # by a key from before a rotation
    assert RecordProof.parse(face.get("records/0/proof").text).check(vkey).checkpoint.size == size
    face.served.notes.clear()
    face.served.is_cosigned()
    assert [line.is_of(WITNESS_VKEY) for line in face.head().signatures] == [False, True]
    face.grows(3)
    assert len(face.head().signatures) == 1
    shown = RecordProof.parse(face.get("records/0/proof").text).check(vkey, [WITNESS_VKEY])
    assert shown.checkpoint.size == size
    newer = RecordProof.parse(face.get(f"records/{size}/proof?purpose=audit").text).check(vkey)
    assert newer.checkpoint.size == size + 3


@pytest.mark.req("E-07")
def test_a_record_about_a_person_is_a_look_that_is_recorded_first(face: Face) -> None:
    """Somebody's history would be read record by record, and nobody learn of it."""
    refused = face.get("records/5/proof")
    assert (refused.status_code, refused.json()["code"]) == (422, "no_purpose")
    assert "c-1" not in refused.text
    assert face.get("records/5/proof?purpose=curiosity").status_code == 422
    before = face.served.ledger.size
    assert face.get("records/5/proof?purpose=audit").status_code == 200
    note = face.served.asked[-1]
    assert (note.type, note.cardholder, note.purpose) == ("VIEW_PERSONAL", "c-1", "audit")
    assert face.served.ledger.size == before + 1
    count = len(face.served.asked)
    assert face.get("records/0/proof").status_code == 200  # about nobody
    assert len(face.served.asked) == count


@pytest.mark.req("B-13", "E-03")
def test_a_change_of_the_registers_is_proven_without_its_rows(face: Face) -> None:
    """Hashes of PINs, and who lost a clearance, could be had as proofs."""
    seq = face.head().size
    face.served.edits(["pin", {"id": "p-1", "salt": "5a" * 16, "pin_hash": "ab" * 32}])
    face.caught_up()
    for accept in ("application/json", "text/plain"):
        answer = face.get(f"records/{seq}/proof?purpose=audit", accept=accept)
        proof = RecordProof.parse(answer.text)
        assert proof.check(Vkey.parse(face.served.vkey, ED25519)).leaf["class"] == "policy"
        assert (proof.salt, proof.body) == (None, None)


def test_the_view_before_the_first_checkpoint_says_so(web: Any) -> None:
    """An empty ledger would look like a damaged one."""
    for path in ("checkpoint", "tile/0/000", "consistency?old=0", "code"):
        answer = web.client.get(f"{LEDGER}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_checkpoint")


def test_damage_in_the_copy_is_found_and_never_served_as_a_proof(tmp_path: Path) -> None:
    """A flipped bit in api.db would go out as a proof under the controller's good name."""
    with facing(tmp_path) as face:
        told = []
        for change in (
            "UPDATE leaf SET leaf = CAST(leaf || ' ' AS BLOB) WHERE seq = 520",
            "UPDATE leaf SET leaf = 'text' WHERE seq = 520",
            "DELETE FROM leaf WHERE seq = 530",
        ):
            face.damage(change)
            for asked in ("records/525/proof?purpose=audit", "consistency?old=300"):
                face.web.parts.view.tiles.forget_all()
                answer = face.get(asked)
                told.append(answer.json()["code"])
                assert answer.status_code == 503, asked
                if told == ["view_anew"]:  # it mends itself, once
                    eventually(lambda: face.get("consistency?old=570").status_code == 200)
                    face.damage(change)
        assert told == ["view_anew"] + ["view_damaged"] * 5


@pytest.mark.req("E-08")
def test_a_damaged_copy_is_folded_anew_and_loses_no_name(tmp_path: Path) -> None:
    """A rotten leaf would stop the page for good, or somebody would delete the only place that names are in."""
    with facing(tmp_path) as face:
        face.web.parts.view.set_name(Name(cardholder="c-9", name="山田 花", kana="", roman=""))
        face.damage("DELETE FROM leaf WHERE seq = 530", "INSERT INTO forgotten (cardholder, seq) VALUES ('c-8', 4)")
        face.grows(300)  # fills the tile that the leaf is missing in
        assert face.get("consistency?old=300").status_code == 200
        assert face.web.parts.view.names.all()["c-9"].name == "山田 花"
        assert face.web.parts.view.forgotten_at("c-8") == 4
        face.damage("DELETE FROM leaf WHERE seq = 800")
        face.served.grows(300)
        eventually(lambda: "view" in [alarm.kind for alarm in alarms(face.web.parts.view)])


def test_the_days_code_is_the_one_that_the_console_tells(face: Face) -> None:
    """The sheet of the page and that of the console would be of two histories."""
    officer = face.web.signed_in()  # that is a record
    face.caught_up()
    page = officer.get("/?lang=en").text
    answer = face.get("code")
    told = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert told.pop("at").endswith("+09:00")
    assert told == code_document(newest(face.served.socket))
    assert f"<b>{told['code']}</b>" in page and f"records up to {told['size'] - 1}" in page


def test_an_old_or_lost_copy_is_folded_again_from_the_first_record(tmp_path: Path) -> None:
    """After an upgrade the tiles of all that was before would be missing."""
    path = tmp_path / "api/api.db"
    path.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(store.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.exec_driver_sql("INSERT INTO cursor (id, seq, revision, vkey) VALUES (1, 299, '', 'x')")
        connection.exec_driver_sql("INSERT INTO event (seq, class) VALUES (299, 'system')")
    engine.dispose()
    with ServedLedger(tmp_path) as served:
        served.edits(*posts("officer-01"))
        served.grows(298)  # and the sign-in
        one = Face(tmp_path, served)
        try:
            assert len(unbundle(one.get("tile/entries/000").content)) == 256
            assert one.get(f"tile/0/{tile_path(1, 44)}").status_code == 200
            assert one.head().size == 300
        finally:
            one.web.stop()


@pytest.mark.req("A-25")
def test_asking_changes_no_record(face: Face) -> None:
    """A report would be able to alter what it reports on."""
    size = face.head().size
    before = [(record.leaf, record.body) for record in face.served.ledger.read(0, size)]
    for path in ("checkpoint", "tile/0/000", "tile/entries/001", "consistency?old=7", "records/9/proof?purpose=audit"):
        assert face.get(path).status_code == 200
    assert [(record.leaf, record.body) for record in face.served.ledger.read(0, size)] == before
    assert face.served.ledger.size == size + 1  # the look at a person's record, and nothing else


def test_the_description_tells_the_types(web: Any) -> None:
    """A client made from the description would parse a tile as JSON."""
    paths = web.client.get("/api/v1/openapi.json").json()["paths"]
    described = {path.removeprefix(LEDGER): one["get"]["responses"]["200"]["content"] for path, one in paths.items()
                 if path.startswith(LEDGER)}  # fmt: skip
    assert set(described["/checkpoint"]) == {"text/plain"}
    assert (
        set(described["/tile/{level}/{path}"]) == set(described["/tile/entries/{path}"]) == {"application/octet-stream"}
    )
    assert set(described["/records/{seq}/proof"]) == {"application/json", "text/plain"}
