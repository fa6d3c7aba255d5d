"""A writer of its own: opens the ledger in a state folder, commits 2,000 records, and prints its resident set in MB."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.commits import draft_of_entry
from bench.site import memory_mb
from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from zones.moment import Moment

state = Path(sys.argv[1])
with Ledger.open(state / "ledger.db", SigningKey.load(state / "ledger.key"), "sekisho.example/bench") as ledger:
    boot, now = os.urandom(4).hex(), Moment(at=datetime.now(UTC), tick_ms=0, is_trusted=True)
    ledger.append([Scribe(node="bench", boot=boot).draft("CONTROLLER_STARTED", now=now)])
    for number in range(2_000):
        ledger.append([draft_of_entry(now, f"{boot}-{number}", boot)])
    print(f"{memory_mb(os.getpid())[0]:.2f}")
