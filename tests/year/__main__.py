"""`python -m tests.year`: a virtual year, every invariant checked after every event. Exit status 1 where one breaks."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.year.life import Life, YearBroken

LISTED = ("ACCESS_GRANTED", "ACCESS_DENIED", "EXIT_GRANTED", "REX", "POLICY_EDITED", "CONTROLLER_STARTED", "FIRE_ON")


def main() -> int:
    """Live as many days as asked for, then verify and replay."""
    parser = argparse.ArgumentParser(prog="python -m tests.year", description=__doc__)
    parser.add_argument("--days", type=int, default=366)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=30)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="year-") as folder:
        life = Life(folder=Path(folder), seed=arguments.seed, people=arguments.people)
        try:
            life.lives(arguments.days, lambda number: progress(number, arguments.days, life))
        except YearBroken as broken:
            complain(f"\n{broken}")
            complain(f"again: python -m tests.year --seed {arguments.seed} --days {arguments.days}")
            return 1
        lived = time.perf_counter() - begun
        root = life.site.ledger.root.hex()
        replayed = life.replayed()
        verified = life.verified()
    seen = life.site.invariants.seen
    say(f"\nseed {arguments.seed}, {arguments.days} days, {arguments.people} people: {lived:.1f} s,")
    say(f"  {sum(life.acts.values())} things happened in {life.site.wakes} turns, {life.site.hashes} PINs were hashed")
    say(f"  {verified.records} records: " + ", ".join(f"{kind} {seen[kind]}" for kind in LISTED))
    say(f"  verified: {verified.verdict}; replayed: {replayed.same} of {replayed.decisions} the same, "
          f"{replayed.undone} undone, {replayed.purged_inputs} cannot be")  # fmt: skip
    for difference in replayed.differences[:20]:
        say(f"  {difference}")
    say(f"  head {root}; {time.perf_counter() - begun:.1f} s in all")
    return 0 if verified.verdict == "ok" and replayed.is_same and not replayed.purged_inputs else 1


def say(text: str) -> None:
    """A line of the summary."""
    sys.stdout.write(f"{text}\n")


def complain(text: str, end: str = "\n") -> None:
    """To whoever watches, and not into the summary."""
    sys.stderr.write(f"{text}{end}")
    sys.stderr.flush()


def progress(number: int, days: int, life: Life) -> None:
    """How far it is, on one line, where somebody watches."""
    if sys.stderr.isatty() or number == days:
        complain(f"\rday {number}/{days}, {life.site.ledger.size} records", end="")


if __name__ == "__main__":
    sys.exit(main())
