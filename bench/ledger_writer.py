"""A writer of its own: opens the ledger in a state folder, commits 2,000 records, and prints its resident set in MB."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.commits import draft_of_entry
from bench.site import memory_mb
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger

state = Path(sys.argv[1])
with Ledger.open(state / "ledger.db", SigningKey.load(state / "ledger.key"), "sekisho.example/bench") as ledger:
    draft = draft_of_entry()
    for _ in range(2_000):
        ledger.append([draft])
    print(f"{memory_mb(os.getpid())[0]:.2f}")
