"""Whether officers at their pages slow a door: badge to relay, without and beside a hundred page requests a second.

The web process is another process than the controller and shares nothing with it but the machine. Short turns of both
alternate; the load is stopped and let go on by signals. `python -m bench.web_load PORT COOKIE` is the load.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.doors import DOORS, SLICE, Cards, _one_by_one, controlled_doors
from bench.figures import Figure, flat, not_run, percentile, ratio_of_rounds, spell
from bench.page_house import build
from bench.pages import Browser, served
from bench.site import environment, raise_priority, usual_priority
from bench.wires import Bench

RATE_PER_S: Final = 100
ADDRESSES: Final = ("/live", "/", "/alarms", "/live", "/map/part")
RECORDS: Final = 20_000
STOPPED_S: Final = 0.2
"""What takes longer was stopped meanwhile, and counts no more than this."""


def badge_beside_pages(folder: Path, *, is_quick: bool) -> Figure:
    """p99 beside the load against p99 without it, in the same run."""
    rounds, badges = (2, 200) if is_quick else (4, 600)
    cookie, _ = build(folder / "house", RECORDS)
    bench, cards = Bench(), Cards()
    quiet: list[list[float]] = []
    beside: list[list[float]] = []
    try:
        with (
            controlled_doors(bench, folder / "site", DOORS) as (controller, chips),
            served(folder / "house") as (_, port),
        ):
            priority = raise_priority(controller.pid)
            if not priority:
                return not_run("badge_beside_pages", "this account may not raise a process's priority (run as root)")
            raise_priority(os.getpid(), 11)
            command = [sys.executable, "-m", "bench.web_load", str(port), cookie]
            with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as load:
                assert load.stdout is not None
                load.stdout.readline()
                for _ in range(rounds):
                    quiet.append([])
                    beside.append([])
                    for _ in range(badges // SLICE):
                        load.send_signal(signal.SIGSTOP)
                        quiet[-1] += _one_by_one(bench, chips, cards, SLICE)
                        load.send_signal(signal.SIGCONT)
                        beside[-1] += _one_by_one(bench, chips, cards, SLICE)
                load.send_signal(signal.SIGTERM)
                rate = load.stdout.readline().strip()
            usual_priority(os.getpid())
    finally:
        bench.close()
    loaded, calm = [percentile(one, 0.99) for one in beside], [percentile(one, 0.99) for one in quiet]
    ratio, spread = ratio_of_rounds(loaded, calm)
    return Figure(
        name="badge_beside_pages", value=statistics.median(loaded), unit="ms", ratio=ratio,
        of=f"p99 without the load, both with {priority}", aim="<= 1.1", spread=spread,
        notes=(f"without {spell(flat(quiet))}; beside {rate} requests/s {spell(flat(beside))}",),
    )  # fmt: skip


def main(port: int, cookie: str) -> None:
    """So many requests a second until it is told to end; then how many a second there were while it ran."""
    browser, asked, ran = Browser(port, cookie), 0, 0.0
    is_over = False

    def end(*_: object) -> None:
        nonlocal is_over
        is_over = True

    signal.signal(signal.SIGTERM, end)
    browser.timed(ADDRESSES[0])
    print("ready", flush=True)
    while not is_over:
        began = time.perf_counter()
        browser.timed(ADDRESSES[asked % len(ADDRESSES)])
        took = time.perf_counter() - began
        time.sleep(max(0.0, 1 / RATE_PER_S - took))
        asked, ran = asked + 1, ran + min(max(1 / RATE_PER_S, took), STOPPED_S)
    print(f"{asked / ran:.0f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
