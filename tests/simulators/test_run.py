"""The command: one line when ready, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

PLAIN = Path(__file__).parents[1] / "system" / "plain" / "building.toml"
ROOT = PLAIN.parents[3]


def command(building, run_dir, address, *more):
    broker = f"{address[0]}:{address[1]}"
    asked = [str(building), "--run-dir", str(run_dir), "--broker", broker, "--hands-port", "0", *more]
    return [sys.executable, "-m", "simulators.run", *asked]


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_then_gone_without_a_trace(mosquitto, tmp_path, number):
    """A demo stopped by Ctrl-C would leave dead links that the next start trips over."""
    asked = command(PLAIN, tmp_path / "run", mosquitto.address)
    with subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        said = running.stdout.readline().split()
        assert said[0] == "ready"
        with urllib.request.urlopen(said[1] + "hands/state", timeout=10) as reply:
            assert reply.status == 200
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["lcus-1", "pn532-server", "pn532-vault"]
        running.send_signal(number)
        rest, errors = running.communicate(timeout=20)
    assert (running.returncode, rest, errors) == (0, "", "")
    assert not list((tmp_path / "run").iterdir())


def test_a_bad_file_is_told_in_one_line(tmp_path):
    """A stack trace tells nobody which key to correct."""
    bad = tmp_path / "building.toml"
    bad.write_text("[name]\nja = 1\n")
    asked = command(bad, tmp_path / "run", ("127.0.0.1", 1))
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "name.ja" in done.stderr
    assert "Traceback" not in done.stderr
