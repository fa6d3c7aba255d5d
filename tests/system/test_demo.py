"""The one command that shows it all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.system.parts import ROOT, Program, eventually

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


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_lets_somebody_in_and_leaves_nothing_behind(tmp_path, number):
    """Somebody tries Sekisho for five minutes, sees nothing open, or finds processes and folders of it next week."""
    demo = Program.sekisho(
        "demo", "--port", "0", "--hands-port", "0", log=tmp_path / "demo.log", env={"TMPDIR": str(tmp_path)}
    )
    below: set[int] = set()
    try:
        demo.wait_said("a card that nobody knows", 60)
        below = children_of(demo.process.pid)
        assert len(below) >= 5, "broker, building, controller, guard, web process"
        said = demo.said
        page = said.partition("open:")[2].split()[0]
        hands = said.partition("building:")[2].split()[0]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(page, timeout=10) as answer:
            text = answer.read().decode()
        assert "取扱区画" in text

        def badge(card: str, door: str) -> int:
            given = ["badge", card, door, "--hands", hands]
            done = subprocess.run(
                [sys.executable, "-m", "sekisho", *given, "--json"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert json.loads(done.stdout)["released"] == (done.returncode == 0), done.stderr
            return done.returncode

        assert badge("佐藤", "front") == 0
        assert badge("04112233445566", "server") == 0
        assert badge("08FEEDFA", "lab") == 1
    finally:
        demo.signal(number)
        try:
            status = demo.ends(20)
        finally:
            demo.kill()
    try:
        assert status == 0, demo.said
        eventually(lambda: not any(is_running(pid) for pid in below), 5, "every process of the demo has ended")
    finally:
        for pid in below:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
    left = [path.name for path in tmp_path.iterdir() if path.name != "demo.log"]
    assert not left, left
    assert "Traceback" not in demo.said


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
