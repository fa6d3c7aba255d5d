"""`python -m bench [--quick] [--only NAME ...]`: take the figures, print them, write build/bench.json."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench import (
    burst,
    cards,
    commits,
    decisions,
    doors,
    ledger,
    modbus,
    mqtt,
    osdp,
    pages,
    processes,
    stream,
    web_load,
)
from bench.figures import Figure, not_run, table, write

BUILD: Final = Path(__file__).resolve().parents[1] / "build"

Take = Callable[[Path, bool], Figure | Sequence[Figure]]
FIGURES: Final[dict[str, Take]] = {
    "badge_to_relay_1_door": lambda folder, quick: doors.badge_to_relay(folder, is_quick=quick, doors=1),
    "badge_to_relay_16_doors": lambda folder, quick: doors.badge_to_relay(folder, is_quick=quick, doors=doors.DOORS),
    "commit_rate": lambda folder, quick: commits.commit_rate(folder, is_quick=quick),
    "p99_under_load": lambda folder, quick: doors.p99_under_load(folder, is_quick=quick),
    "mqtt_qos1": lambda folder, quick: mqtt.qos1(folder, is_quick=quick),
    "armed_start": lambda folder, quick: processes.armed_start(folder, is_quick=quick),
    "burst_lost": lambda folder, quick: burst.burst_lost(folder, is_quick=quick),
    "memory": lambda folder, quick: processes.memory(folder, is_quick=quick),
    "decisions": lambda folder, quick: decisions.decisions(folder, is_quick=quick),
    "osdp": lambda folder, quick: osdp.reader_to_loop(folder, is_quick=quick),
    "osdp_idle_cpu": lambda folder, quick: osdp.idle_cpu(folder, is_quick=quick),
    "cards": lambda folder, quick: cards.per_apdu(folder, is_quick=quick),
    "ledger_commit": lambda folder, quick: ledger.commits(folder, is_quick=quick),
    "ledger_million": lambda folder, quick: ledger.million(folder, is_quick=quick),
    "sse_vs_raw": lambda folder, quick: stream.fan_out(folder, is_quick=quick),
    "pages": lambda folder, quick: pages.pages(folder, is_quick=quick),
    "badge_beside_pages": lambda folder, quick: web_load.badge_beside_pages(folder, is_quick=quick),
    "modbus_9600_relay": lambda folder, quick: modbus.order_to_relay(folder, is_quick=quick),
}
MEMBERS: Final = {
    "decisions": decisions.NAMES,
    "osdp": osdp.NAMES,
    "cards": cards.NAMES,
    "ledger_commit": ledger.COMMIT_NAMES,
    "ledger_million": ledger.MILLION_NAMES,
    "pages": pages.NAMES,
}
"""Takes of more than one figure."""


def main() -> int:
    """Returns 0 whatever the figures are: a noisy machine is not a fault of the product."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute, and rougher")
    parser.add_argument("--only", nargs="+", choices=FIGURES, metavar="NAME", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--out", type=Path, default=BUILD / "bench.json", help="where the figures are written")
    parser.add_argument("--disk", type=Path, default=BUILD, help="a folder on the disk that is to be measured")
    arguments = parser.parse_args()
    taken: list[Figure] = []
    for name in arguments.only or FIGURES:
        began = time.monotonic()
        taken += _take(name, arguments.disk, arguments.quick)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    write(taken, arguments.out)
    print(table(taken))
    return 0


def _take(name: str, disk: Path, is_quick: bool) -> Sequence[Figure]:
    """In a folder of its own on the disk that matters: many a /tmp is in memory."""
    disk.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="b-", dir=disk))
    try:
        found = FIGURES[name](folder, is_quick)
        return [found] if isinstance(found, Figure) else found
    except Exception as error:  # noqa: BLE001 - one figure that cannot be taken must not cost the others
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        return [not_run(one, why) for one in MEMBERS.get(name, (name,))]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
