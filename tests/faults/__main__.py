"""`python -m tests.faults [NAME ...]`: kills, power cuts, rotten bits, cut-off logs and stepping clocks.

Every fault is drawn from a seed that is printed: the same seed draws the same faults. Exit status 1 where the ledger
did not stand one, with the command that brings it back.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.flips import flips, truncated_log
from tests.faults.found import Ask, FaultFound
from tests.faults.killed import killed
from tests.faults.power import power
from tests.faults.steps import clock_steps

FAULTS: dict[str, tuple[Callable[[Ask], str], int, int]] = {
    # what, how many, how many of them in `make test`
    "killed": (killed, 1000, 30),
    "power": (power, 5000, 60),
    "flips": (flips, 2000, 25),
    "truncated_log": (truncated_log, 1000, 30),
    "clock_steps": (clock_steps, 600, 15),
}


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*FAULTS, []], metavar="NAME", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--count", type=int, help="how many of each (default: thousands, in minutes)")
    parser.add_argument("--share", action="store_true", help="only as many as `make test` has time for")
    parser.add_argument("--disk", type=Path, help="a folder on the disk that is to be tried")
    arguments = parser.parse_args()
    for name in arguments.names or FAULTS:
        fault, many, few = FAULTS[name]
        count = arguments.count or (few if arguments.share else many)
        if not _stands(name, fault, count, arguments.seed, arguments.disk):
            return 1
    return 0


def _stands(name: str, fault: Callable[[Ask], str], count: int, seed: int, disk: Path | None) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"faults-{name}-", dir=disk) as folder:

        def progress(done: int) -> None:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{name}: {done}/{count}")
                sys.stderr.flush()

        try:
            said = fault(Ask(folder=Path(folder), seed=seed, count=count, progress=progress))
        except FaultFound as found:
            sys.stderr.write(f"\n{name}: {found}\nagain: python -m tests.faults {name} --seed {seed} --count {count}\n")
            return False
    sys.stdout.write(f"{name}: seed {seed}: {said}; {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()
    return True


if __name__ == "__main__":
    sys.exit(main())
