"""Controller, courier and witness as processes: an old disk is put back, and whoever stands outside finds it."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import secrets
import shutil
import signal
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.link.client import LinkClient
from controller.link.messages import Done, Note, Record, Status
from sekisho.cli import main
from sekisho.witness_folder import Folder
from tests.controller.test_runtime import SITE
from tests.system.parts import Program, eventually

pytestmark = pytest.mark.system

ORIGIN = "sekisho.example/gate"


def sekisho(*words: object) -> int:
    """A command of the console, in this process; its exit status."""
    return main([str(word) for word in words])


class Place:
    """Three programs in a folder: the site's two, and the witness that stands elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.witness_dir, self.socket = folder / "witness", folder / "controller.sock"
        self.programs: dict[str, Program] = {}
        self.wires = pty.openpty()
        tty.setraw(self.wires[1])
        assert sekisho("witness", "init", self.witness_dir, "--name", "witness.example/north") == 0
        self.vkey = Folder.read(self.witness_dir).vkey.text
        site = SITE.format(port=os.ttyname(self.wires[1])) + f'\n[ledger]\nwitnesses = ["{self.vkey}"]\n'
        (folder / "site.toml").write_text(site, "utf-8")

    def starts(self, name: str, *words: object, says: str) -> str:
        program = Program.sekisho(*map(str, words), log=self.folder / f"{name}.log")
        self.programs[name] = program
        program.wait_said(says)
        return program.said

    def controller_starts(self) -> None:
        self.starts("controller", "controller", self.folder / "site.toml", says="armed")

    def witness_starts(self) -> None:
        with LinkClient(self.socket, "test") as link:
            key = link.connect().vkey
        (self.folder / "key").write_text(key)
        said = self.starts(
            "witness", "witness", "serve", self.witness_dir, "--listen", "127.0.0.1:0", "--ledger", key,
            says="listening on",
        )  # fmt: skip
        port = re.findall(r"listening on 127\.0\.0\.1:(\d+)", said)[-1]
        settings = 'socket = "controller.sock"\nstate_dir = "streams"\n\n[[witness]]\nname = "north"\nevery_s = 1\n'
        settings += f'url = "http://127.0.0.1:{port}"\nvkey = "{self.vkey}"\n'
        (self.folder / "streams.toml").write_text(settings, "utf-8")

    def streams_start(self) -> None:
        self.starts("streams", "streams", self.folder / "streams.toml", says="carrying to north")

    def ends(self, name: str) -> int:
        self.programs[name].signal(signal.SIGTERM)
        return self.programs.pop(name).ends(30)

    def grows(self) -> int:
        """One more record; its number."""
        with LinkClient(self.socket, "test") as link:
            answer = link.request(Note(id=secrets.token_hex(8), type="EXPORT", officer="officer-01", count=1))
            assert isinstance(answer, Done), answer
            return answer.seq

    def cosigned(self) -> str:
        """The newest cosigned checkpoint that the controller keeps."""
        with LinkClient(self.socket, "test") as link:
            notes = link.cosigned(max(0, link.connect().size - 20))
            return notes[-1] if notes else "\n0\n"

    def recorded(self, type_: str) -> list[dict[str, Any]]:
        with LinkClient(self.socket, "test") as link:
            size = link.connect().size
            records = itertools.islice((one for one in link.stream(0) if isinstance(one, Record)), size)
            bodies = [json.loads(one.body) for one in records if one.body is not None]
        return [body for body in bodies if body["type"] == type_]

    def close(self) -> None:
        for program in self.programs.values():
            program.kill()
        for wire in self.wires:
            os.close(wire)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def size_of(note: str) -> int:
    return int(note.split("\n")[1])


@pytest.mark.req("A-27")
def test_an_old_disk_that_is_put_back_is_found_from_outside(place: Place, capsys: Any) -> None:
    """Somebody with the disk takes a site back by a day, and every check that the box can make is content."""
    place.controller_starts()
    place.witness_starts()
    place.streams_start()
    first = place.grows()
    eventually(lambda: size_of(place.cosigned()) > first, 20, "the witness signed")
    export = place.folder / "export.jsonl"
    assert sekisho("ledger", "export", export, "--socket", place.socket) == 0
    assert "— witness.example/north " in export.read_text("utf-8")
    assert sekisho("verify", export, "--key", place.folder / "key", "--witness", place.vkey) == 0

    assert place.ends("controller") == 0
    shutil.copytree(place.folder / "state", place.folder / "image")
    place.controller_starts()
    for _ in range(12):
        last = place.grows()
    eventually(lambda: size_of(place.cosigned()) > last, 20, "the witness signed again")
    with LinkClient(place.socket, "test") as link:
        status = next(one for one in link.stream(last) if isinstance(one, Status))
    assert [(one.name, one.is_silent) for one in status.witnesses] == [("witness.example/north", False)]
    assert status.witnesses[0].size > last
    capsys.readouterr()
    assert sekisho("witness", "show", place.witness_dir, "--checkpoint", ORIGIN) == 0
    (place.folder / "outside").write_text(capsys.readouterr().out, "utf-8")

    assert place.ends("controller") == 0
    shutil.rmtree(place.folder / "state")
    shutil.copytree(place.folder / "image", place.folder / "state")
    place.controller_starts()
    refused = eventually(lambda: place.recorded("WITNESS_REFUSED"), 30, "the witness refuses, and it is recorded")
    assert refused[0]["detail"]["code"] == "rollback"
    assert refused[0]["detail"]["witness"] == "witness.example/north"
    assert sekisho("ledger", "export", export, "--socket", place.socket) == 0
    assert sekisho("verify", export, "--key", place.folder / "key") == 0, "in itself the old history is whole"
    assert sekisho("verify", export, "--key", place.folder / "key", "--checkpoint", place.folder / "outside") == 1
    assert place.ends("streams") == 0
    assert place.ends("witness") == 0
    assert sekisho("witness", "show", place.witness_dir) == 1
    assert "-rollback-" in capsys.readouterr().out
    said = "".join((place.folder / f"{name}.log").read_text("utf-8") for name in ("controller", "streams", "witness"))
    assert "Traceback" not in said, said
