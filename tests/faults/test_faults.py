"""A short, fixed share of `make faults`, each with a seed that is printed and replays."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.faults.__main__ import FAULTS
from tests.faults.steps import BEGAN
from tests.year.life import Life


@pytest.mark.slow
@pytest.mark.req("B-12", "A-27", "S-03")
@pytest.mark.parametrize("name", FAULTS)
def test_the_ledger_stands(name):
    """Something acknowledged would be gone after a cut, a kill, rot or a stepping clock, and nobody would know."""
    seed = os.environ.get("SEKISHO_SEED", str(time.time_ns() % 1_000_000))
    command = [sys.executable, "-m", "tests.faults", name, "--share", "--seed", seed]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # kills fork: no threads beside them
    assert told.returncode == 0, told.stderr
    assert f"seed {seed}" in told.stdout


@pytest.mark.req("B-02")
def test_a_start_on_a_wrong_clock_says_so_once(tmp_path):
    """Found by `clock_steps --seed 3`: the start said it, and the first turn after it once more."""
    life = Life(folder=tmp_path, seed=3)
    life.site.at = BEGAN
    life.site.restarts()
    life.site.passes(10_000)
    told = [record.decoded().type for record in life.site.ledger.scan(types=("CLOCK_UNTRUSTED", "CLOCK_TRUSTED"))]
    life.site.ledger.close()
    assert told == ["CLOCK_UNTRUSTED"]
