"""From a badge's bytes to the relay's bytes, through a real `sekisho controller`: one door, sixteen at once, beside load."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import cpu_hogs, floor_loop
from bench.figures import Figure, not_run, percentile, ratio_of_rounds, short
from bench.site import (
    PEOPLE,
    Program,
    Site,
    enter_people,
    number_of,
    raise_priority,
    settle,
    start_controller,
    usual_priority,
)
from bench.wires import Bare, Bench, Chip

DOORS: Final = 16
HOGS: Final = 3
GAP_S: Final = 0.015
"""Between a badge of ours and one of the floor's: what each still has to do falls into its own time."""


class Cards:
    """Cards in turn, so that none is held to the same reader twice within a second."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> list[bytes]:
        first, self._next = self._next, self._next + count
        return [number_of(person % PEOPLE) for person in range(first, first + count)]


@contextmanager
def controlled_doors(bench: Bench, folder: Path, count: int) -> Iterator[tuple[Program, list[Chip]]]:
    """A controller with so many doors, a thousand people and nothing left to do."""
    chips = bench.chips(count)
    site = Site(folder=folder, readers=[chip.line.path for chip in chips], board=bench.board().path)
    site.write()
    with start_controller(site) as controller:
        bench.serve(0.3)
        _serving(bench, lambda: enter_people(site))
        _serving(bench, lambda: settle(controller.pid))
        yield controller, chips


@contextmanager
def floor(bench: Bench, folder: Path, mode: str, count: int) -> Iterator[tuple[Program, list[Bare]]]:
    """The bare loop on as many lines."""
    folder.mkdir()
    lines, board = bench.bare(count), bench.board()
    arguments = [floor_loop.__file__, mode, str(folder), board.path, *(bare.line.path for bare in lines)]
    with Program(arguments, folder / "floor.log.txt") as program:
        program.line()
        yield program, lines


def _serving(bench: Bench, work: Callable[[], None]) -> None:
    """Do something beside the wires: in a process of its own, since this thread is the wires'."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told through the exit status and the terminal
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        bench.serve(0.05)
    if status:
        raise RuntimeError("the site could not be prepared")


def badge_to_relay(folder: Path, *, is_quick: bool, doors: int) -> Figure:
    """Badge by badge (or burst by burst) ours and the floor's in turn; a round is what a median is taken over."""
    rounds, badges = (3, 25) if is_quick else (6, 60)
    mode = "wal" if doors == 1 else "fdatasync"
    bench, cards = Bench(), Cards()
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    try:
        with (
            controlled_doors(bench, folder / "site", doors) as (_, chips),
            floor(bench, folder / "floor", mode, doors) as (_, lines),
        ):
            channels = range(1, doors + 1)
            for turn in range(-1, rounds):
                ours.append([])
                theirs.append([])
                for _ in range(5 if turn < 0 else badges):
                    bench.serve_until_polled(chips)
                    ours[-1] += bench.badge(chips, channels, cards.take(doors))
                    bench.serve(GAP_S)
                    theirs[-1] += bench.badge(lines, channels, cards.take(doors))
                    bench.serve(GAP_S / 3)
    finally:
        bench.close()
    return _figure(doors, ours[1:], theirs[1:])


def _figure(doors: int, ours: list[list[float]], theirs: list[list[float]]) -> Figure:
    mine, floors = [statistics.median(one) for one in ours], [statistics.median(one) for one in theirs]
    ratio, spread = ratio_of_rounds(mine, floors)
    every, base = sum(ours, []), sum(theirs, [])
    return Figure(
        name="badge_to_relay_1_door" if doors == 1 else f"badge_to_relay_{doors}_doors",
        value=statistics.median(mine),
        unit="ms",
        ratio=ratio,
        of="bare loop: read, look up, WAL FULL commit, write" if doors == 1 else "one fdatasync per badge, in turn",
        aim="<= 1.5" if doors == 1 else "<= 0.5",
        spread=spread,
        notes=(
            f"p50 {short(statistics.median(every))} p99 {short(percentile(every, 0.99))} ms; floor p50 "
            f"{short(statistics.median(base))} p99 {short(percentile(base, 0.99))} ms; {len(every)} badges each",
        ),
    )


def p99_under_load(folder: Path, *, is_quick: bool) -> Figure:
    """One badge at a time over sixteen doors, without and beside three busy processes, in turn."""
    rounds, badges = (2, 250) if is_quick else (4, 500)
    bench, cards = Bench(), Cards()
    quiet: list[list[float]] = []
    beside: list[list[float]] = []
    try:
        with controlled_doors(bench, folder / "site", DOORS) as (controller, chips):
            priority = raise_priority(controller.pid)
            if not priority:
                return not_run("p99_under_load", "this account may not raise a process's priority (run as root)")
            raise_priority(os.getpid(), 11)  # the clock must not wait for the busy processes either
            try:
                for _ in range(rounds):
                    quiet.append(_one_by_one(bench, chips, cards, badges))
                    with hogs(HOGS):
                        bench.serve(0.1)
                        beside.append(_one_by_one(bench, chips, cards, badges))
                usual_priority(controller.pid)
                with hogs(HOGS):
                    bench.serve(0.1)
                    usual = _one_by_one(bench, chips, cards, badges)
            finally:
                usual_priority(os.getpid())
    finally:
        bench.close()
    loaded, calm = [percentile(one, 0.99) for one in beside], [percentile(one, 0.99) for one in quiet]
    ratio, spread = ratio_of_rounds(loaded, calm)
    return Figure(
        name="p99_under_load",
        value=statistics.median(loaded),
        unit="ms",
        ratio=ratio,
        of=f"quiet p99, both with {priority}",
        aim="<= 2",
        spread=spread,
        notes=(
            f"quiet p50 {short(statistics.median(sum(quiet, [])))} p99 {short(percentile(sum(quiet, []), 0.99))} ms; "
            f"beside {HOGS} busy processes p50 {short(statistics.median(sum(beside, [])))} "
            f"p99 {short(percentile(sum(beside, []), 0.99))} max {short(max(sum(beside, [])))} ms; "
            f"beside them without the priority p99 {short(percentile(usual, 0.99))} ms",
        ),
    )


def _one_by_one(bench: Bench, chips: list[Chip], cards: Cards, badges: int) -> list[float]:
    taken: list[float] = []
    while len(taken) < badges:
        for channel, chip in enumerate(chips, 1):
            if chip.is_idle:
                taken += bench.badge([chip], [channel], cards.take(1))
            bench.serve(0.003)
    return taken


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Busy processes, at the usual priority whatever ours is."""
    command = [sys.executable, cpu_hogs.__file__, str(count), "120"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=_be_usual)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _be_usual() -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, 0)
