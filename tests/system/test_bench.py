"""The bench's own ends of the wires still understand the controller: a figure is taken, whatever it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]


def test_a_badge_at_the_bench_still_moves_its_relay(tmp_path: Path) -> None:
    """A board that took the question for all states as part of a frame: the figure was NOT RUN, and nobody was told."""
    found = tmp_path / "bench.json"
    arguments = ["--quick", "--only", "badge_to_relay_1_door", "--out", str(found), "--disk", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, check=False, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(found.read_text("utf-8"))["badge_to_relay_1_door"]["value"] > 0, done.stdout + done.stderr
