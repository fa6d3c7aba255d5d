"""The controller as a process of its own: armed, heard, stopped, killed, started twice."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.config import load_site
from controller.keys import load_keys
from controller.ledger.body import Body
from controller.ledger.store import Ledger
from controller.link.client import LinkClient
from controller.link.messages import Done, Note, Record, Refused, Status
from controller.site.boot import read_site
from controller.wires import all_off

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 30.0

SITE = """
[controller]
node = "gate"
state_dir = "state"
socket = "controller.sock"

[[device]]
id = "board"
kind = "lcus"
port = "{port}"
channels = 2

[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"
[[zone]]
id = "office"
name_ja = "執務室"
name_en = "Office"
kind = "CONTROLLED"
parent = "outside"

[[portal]]
id = "front"
name_ja = "正面"
name_en = "Front"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
grade = 1
strike = "board:2"
"""
OFF = all_off(2)


class Box:
    """A folder with a site file, a relay board on a pty, and what systemd would hear."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.far, self.near = pty.openpty()
        tty.setraw(self.near)
        self.file = folder / "site.toml"
        self.file.write_text(SITE.format(port=os.ttyname(self.near)), "utf-8")
        self.site = load_site(self.file)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / "notify"))
        self.notified.settimeout(WITHIN_S)
        self.programs: list[subprocess.Popen[str]] = []

    def starts(self, *, is_notifying: bool = False) -> subprocess.Popen[str]:
        environment = {name: text for name, text in os.environ.items() if name != "NOTIFY_SOCKET"}
        if is_notifying:
            environment["NOTIFY_SOCKET"] = str(self.folder / "notify")
        program = subprocess.Popen(
            [sys.executable, "-m", "sekisho", "controller", str(self.file)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.programs.append(program)
        return program

    def is_armed(self, program: subprocess.Popen[str]) -> bool:
        """Wait for the word on standard output; False when the program ended without it."""
        assert program.stdout is not None
        return program.stdout.readline() == "armed\n"

    def ends(self, program: subprocess.Popen[str]) -> tuple[int, str]:
        """Its exit status, and what it said on standard error."""
        _, said = program.communicate(timeout=WITHIN_S)
        return program.returncode, said

    def board_hears(self, wanted: bytes) -> bytes:
        """What came over the wire, up to and including `wanted`."""
        got = b""
        end = time.monotonic() + WITHIN_S
        while not got.endswith(wanted) and select.select([self.far], [], [], max(0.0, end - time.monotonic()))[0]:
            got += os.read(self.far, 1)
        return got

    def records(self) -> list[Body]:
        """The ledger of a stopped controller."""
        signer = load_keys(self.site.state_dir, os.urandom).signer
        with Ledger.open(self.site.state_dir / "ledger.db", signer, "sekisho.example/gate") as ledger:
            return [body for record in ledger.scan() if (body := record.decoded()) is not None]

    def clears(self) -> None:
        for program in self.programs:
            if program.poll() is None:
                program.kill()
            program.communicate(timeout=WITHIN_S)
        self.notified.close()
        os.close(self.far)
        os.close(self.near)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.clears()


def until(stream: Any, is_wanted: Callable[[Any], bool]) -> Any:
    return next(line for line in stream if is_wanted(line))


def test_a_life_from_armed_to_stopped(box):
    """A door would be armed with its strike on, or left with it on; or nobody could tell a stop from a crash."""
    program = box.starts(is_notifying=True)
    assert box.is_armed(program)
    assert box.board_hears(OFF) == OFF
    assert {box.notified.recv(100), box.notified.recv(100)} == {b"READY=1", b"WATCHDOG=1"}
    assert box.site.socket.stat().st_mode & 0o777 == 0o660
    with LinkClient(box.site.socket, "test") as client:
        answer = client.request(Note(id="note-000001", type="EXPORT", officer="officer-01"))
        assert isinstance(answer, Done)
        stream = client.stream(answer.seq)
        assert isinstance(until(stream, lambda line: isinstance(line, Record)), Record)
        status = until(stream, lambda line: isinstance(line, Status))
        assert status.deviations == [] and status.is_ledger_writable

    second = box.starts()
    assert not box.is_armed(second)
    code, said = box.ends(second)
    assert code == 3
    assert "ledger.db: in use by another process; a ledger has one writer, stop that one" in said
    assert "Traceback" not in said
    assert program.poll() is None and box.site.socket.exists()

    program.send_signal(signal.SIGTERM)
    code, said = box.ends(program)
    assert (code, "Traceback" in said) == (0, False), said
    assert box.board_hears(OFF)[-len(OFF) :] == OFF
    box.notified.setblocking(False)
    words = []
    while not words or words[-1] != b"STOPPING=1":
        words.append(box.notified.recv(100))
    assert set(words[:-1]) <= {b"WATCHDOG=1"}
    types = [body.type for body in box.records()]
    assert types[0] == "CONTROLLER_STARTED" and types[-1] == "CONTROLLER_STOPPED"
    assert types.count("CONTROLLER_STARTED") == 1 and "POLICY_EDITED" in types and "NOTE" in types
    assert not box.site.socket.exists()
    keys = load_keys(box.site.state_dir, os.urandom)
    assert set(read_site(box.site.state_dir / "site.db", keys.seal).policy.zones) == {"outside", "office"}


@pytest.mark.req("B-26")
def test_a_death_switches_off_and_the_next_start_goes_on(box):
    """A strike would stay released, or the ledger would have a gap where the power went."""
    program = box.starts()
    assert box.is_armed(program)
    assert box.board_hears(OFF) == OFF
    program.kill()
    assert box.ends(program)[0] == -signal.SIGKILL
    assert box.board_hears(OFF)[-len(OFF) :] == OFF
    again = box.starts()
    assert box.is_armed(again)
    again.send_signal(signal.SIGINT)
    code, said = box.ends(again)
    assert (code, "Traceback" in said) == (0, False), said
    types = [body.type for body in box.records()]
    assert types.count("CONTROLLER_STARTED") == 2 and types.count("CONTROLLER_STOPPED") == 1
    assert types.count("POLICY_EDITED") == 1


def slip(box: Box) -> None:
    box.file.write_text(box.file.read_text("utf-8").replace("strike =", "strik ="), "utf-8")


def forgotten(box: Box) -> None:
    box.file.unlink()


def readable_key(box: Box) -> None:
    load_keys(box.site.state_dir, os.urandom)
    (box.site.state_dir / "ledger.db").touch()
    (box.site.state_dir / "site.key").chmod(0o644)


def no_ledger(box: Box) -> None:
    load_keys(box.site.state_dir, os.urandom)
    (box.site.state_dir / "ledger.db").write_bytes(b"not a database" * 99)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (slip, 1, "site.toml:33: portal[0].strik: there is no such key here"),
        (forgotten, 1, "site.toml: cannot be read: No such file or directory"),
        (readable_key, 3, "others can read this secret: chmod 600"),
        (no_ledger, 3, "ledger.db: not a database; move it away"),
    ],
)
def test_a_start_that_cannot_be_says_why_and_leaves_nothing(box, fault, code, words):
    """Whoever stands before a dead door would read a traceback."""
    fault(box)
    program = box.starts()
    assert not box.is_armed(program)
    ended, said = box.ends(program)
    assert ended == code and words in said and "Traceback" not in said, said
    assert not box.site.socket.exists()


def test_a_request_that_comes_twice_is_refused_and_recorded(box):
    """A click that was sent again over a bad line would be carried out again."""
    program = box.starts()
    assert box.is_armed(program)
    with LinkClient(box.site.socket, "test") as client:
        first = client.request(Note(id="note-000001", type="EXPORT", officer="officer-01"))
        again = client.request(Note(id="note-000001", type="EXPORT", officer="officer-01"))
    assert isinstance(first, Done)
    assert isinstance(again, Refused) and again.code == "repeated"
    assert again.seq is not None and again.seq > first.seq
