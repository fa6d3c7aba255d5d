"""The one command that shows it all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.system.parts import ROOT, Program, eventually
from zones.moment import JST

pytestmark = pytest.mark.system


def children_of(pid: int) -> set[int]:
    """All processes below this one."""
    found: set[int] = set()
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in task.read_text().split():
            found |= {int(child)} | children_of(int(child))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Demo:
    """The demo that is running, as somebody at two terminals and a browser has it."""

    def __init__(self, program: Program) -> None:
        said = program.said
        self.page = said.partition("open:")[2].split()[0]
        self.hands = said.partition("building:")[2].split()[0]
        self.socket = said.partition("SEKISHO_SOCKET=")[2].split()[0]

    def badges(self, card: str, door: str, *more: str, does_walk: bool = True) -> dict[str, Any]:
        """What `sekisho badge` says, and that its exit status says the same."""
        given = ["badge", card, door, "--hands", self.hands, *more, *(() if does_walk else ("--no-walk",))]
        done = subprocess.run(
            [sys.executable, "-m", "sekisho", *given, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.stdout, done.stderr
        reply: dict[str, Any] = json.loads(done.stdout)
        assert reply["released"] == (done.returncode == 0), done.stderr
        return reply

    def records(self) -> list[dict[str, Any]]:
        """Everything in the ledger."""
        done = subprocess.run(
            [sys.executable, "-m", "sekisho", "ledger", "export", "-", "--socket", self.socket],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(json.loads(line)["body"]) for line in done.stdout.splitlines()]


@dataclass
class Visitor:
    """A browser that came by the printed link: `officer-you`, without a passkey."""

    origin: str
    cookie: str = ""

    def asks(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, str]:
        """Status and text of the answer."""
        request = urllib.request.Request(f"{self.origin}{path}", method=method)
        request.add_header("Sec-Fetch-Site", "same-origin")
        request.add_header("Cookie", self.cookie)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                self.cookie = (answer.headers.get("Set-Cookie") or self.cookie).partition(";")[0]
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def comes_by_the_link(demo: Demo) -> Visitor:
    """Who may read and propose, and never sign."""
    origin, _, ticket = demo.page.partition("/demo#")
    visitor = Visitor(origin)
    assert visitor.asks("/api/v1/sign-in/demo", {"ticket": ticket[::-1]})[0] == 401
    assert visitor.asks("/demo")[0] == 200
    status, told = visitor.asks("/api/v1/sign-in/demo", {"ticket": ticket})
    assert status == 200 and json.loads(told)["officer"] == "officer-you", told
    return visitor


def tries_it_out(demo: Demo) -> None:
    """What the README says to type, and a change that the simulated officers sign."""
    visitor = comes_by_the_link(demo)
    text = visitor.asks("/")[1]
    assert "取扱区画" in text
    assert "sign_in_too_weak" in visitor.asks("/api/v1/zones/lab/status", {"state": "SECURED"}, "PATCH")[1]
    today = datetime.now(JST).date().isoformat()
    phone = {"cardholder": "h-01", "zone": "office", "locker": "L-1", "from_on": today, "until_on": today}
    status, told = visitor.asks("/api/v1/declarations", phone)
    change = json.loads(told)
    assert status == 202 and change["publicKey"] is None, "nobody signs without a passkey"
    eventually(
        lambda: all(one["is_online"] for one in json.loads(visitor.asks("/api/v1/devices")[1])), 20,
        "every device of the demo answers",
    )  # fmt: skip
    assert demo.badges("08FEEDFA", "front")["shown"] == "refused"
    assert demo.badges("佐藤", "front", does_walk=False)["released"]
    alone = demo.badges("佐藤", "vault", "--pin", "594017")
    assert (alone["shown"], alone["released"], alone["person"]) == ("second_card", False, "佐藤 美咲")
    assert demo.badges("伊藤", "vault", "--pin", "827364")["released"], "card and PIN of both"
    assert demo.badges("渡辺", "server", does_walk=False)["released"], "the card proves itself"
    no_clearance = demo.badges("鈴木", "lab", "--pin", "381652")
    copy = demo.badges("田中", "lab", "--pin", "516830", "--held", "copy")
    assert (no_clearance["shown"], copy["shown"]) == ("refused", "refused"), "the same to whoever stands there"
    assert len(no_clearance["number"]) == len(copy["number"]) == 4, "to be told to an officer"
    place = f"/api/v1/proposals/{change['id']}"
    eventually(lambda: '"IN_FORCE"' in visitor.asks(place)[1], 60, "a simulated officer has signed")
    records = demo.records()
    [vault] = [one for one in records if one["type"] == "ACCESS_GRANTED" and one["portal"] == "vault"]
    assert vault["evidence"]["scheme"] == "pkoc" and vault["evidence"]["pin"] == "RIGHT"
    assert len(vault["companions"]) == 1
    [refused] = [one for one in records if one.get("number") == copy["number"]]
    assert (refused["reason"], refused["evidence"]["factors"]) == ("CARD_AUTH_FAILED", 0)
    [alarm] = [one for one in records if one["type"] == "CREDENTIAL_ALARM"]
    assert (alarm["detail"]["code"], alarm["subject"]["cardholder"]) == ("copied", "h-04")
    assert [one for one in records if one.get("reason") == "CLEARANCE_NONE"]


@pytest.mark.slow
def test_the_demo_lets_somebody_in_and_leaves_nothing_behind(tmp_path):
    """Somebody tries Sekisho for five minutes, sees nothing open, or finds processes and folders of it next week."""
    program = Program.sekisho(
        "demo", "--port", "0", "--hands-port", "0", log=tmp_path / "demo.log", env={"TMPDIR": str(tmp_path)}
    )
    below: set[int] = set()
    try:
        program.wait_said("a card that nobody knows", 60)
        below = children_of(program.process.pid)
        assert len(below) >= 5, "broker, building, controller, guard, web process"
        tries_it_out(Demo(program))
    finally:
        program.signal(signal.SIGINT)
        try:
            status = program.ends(20)
        finally:
            program.kill()
    try:
        assert status == 0, program.said
        eventually(lambda: not any(is_running(pid) for pid in below), 15, "every process of the demo has ended")
    finally:
        for pid in below:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
    left = [path.name for path in tmp_path.iterdir() if path.name != "demo.log"]
    assert not left, left
    assert "Traceback" not in program.said


def test_a_demo_that_is_stopped_half_way_leaves_nothing_either(tmp_path):
    """Somebody thinks better of it, and a broker and a building run on."""
    program = Program.sekisho(
        "demo", "--port", "0", "--hands-port", "0", log=tmp_path / "demo.log", env={"TMPDIR": str(tmp_path)}
    )
    try:
        program.wait_said("starting the controller", 60)
        below = children_of(program.process.pid)
        program.signal(signal.SIGTERM)
        assert program.ends(60) == 0, program.said
    finally:
        program.kill()
    eventually(lambda: not any(is_running(pid) for pid in below), 15, "every process of the demo has ended")
    assert [path.name for path in tmp_path.iterdir()] == ["demo.log"]


@pytest.mark.slow
def test_a_demo_that_is_killed_takes_everything_with_it(tmp_path):
    """Somebody closes the window, and a controller and a broker of the demo run on for weeks."""
    demo = Program.sekisho(
        "demo", "--port", "0", "--hands-port", "0", log=tmp_path / "demo.log", env={"TMPDIR": str(tmp_path)}
    )
    try:
        demo.wait_said("a card that nobody knows", 60)
        below = children_of(demo.process.pid)
    finally:
        demo.kill()
    eventually(lambda: not any(is_running(pid) for pid in below), 15, "every process of the demo has ended")
