"""Clocks that step, at the product's own engine, core and ledger: forward, back, to 1970, between starts.

The invariants of the virtual year hold after every event (no strike without its record, nothing released on an
untrusted clock, no exit held); the verifier has no complaint in the end.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from readers.events import InputChanged
from tests.faults.found import Ask, FaultFound, named
from tests.year.life import Life

STEPS = (
    timedelta(milliseconds=-900),
    timedelta(milliseconds=900),
    timedelta(seconds=-30),
    timedelta(hours=-9),
    timedelta(hours=9),
    timedelta(days=-400),
    timedelta(days=40),
)
BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
PER_LIFE = 60


def clock_steps(ask: Ask) -> str:
    """`count` steps, over lives of PER_LIFE each, with badges, exit buttons and restarts between."""
    die, records, done = ask.die, 0, 0
    while done < ask.count:
        folder = ask.folder / f"life-{done}"
        folder.mkdir()
        with named(f"life at step {done}", ask):
            life = Life(folder=folder, seed=ask.seed + done)
            life.lives(1)
            for _ in range(min(PER_LIFE, ask.count - done)):
                _step(life, die)
                done += 1
                ask.progress(done)
            life.site.passes(60_000)
            report = life.verified()
            if report.problem is not None:
                raise FaultFound(f"the verifier: {report.problem}")
            records += report.records
    return f"{done} steps, {records} records"


def _step(life: Life, die: random.Random) -> None:
    site = life.site
    true_at = site.true_at
    site.at = BEGAN if die.random() < 0.1 else site.at + die.choice(STEPS)
    site.skew = true_at - site.at
    if die.random() < 0.2:
        site.restarts()
    for _ in range(3):
        site.badges(f"{die.getrandbits(32):08x}", die.choice(sorted(site.file.wiring.entry_readers)))
        rex = die.choice(sorted(site.file.wiring.rexes))
        site.happens(InputChanged(source=rex, line="rex", is_active=True, is_level_report=False))
        site.passes(die.choice((1_000, 5_000, 30_000)))
    if die.random() < 0.3:
        site.at, site.skew = true_at + timedelta(minutes=1), timedelta()
