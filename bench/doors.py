"""From a badge's bytes to the relay's bytes, through a real `sekisho controller`: one door, sixteen, beside load."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import cpu_hogs, floor_loop
from bench.figures import Figure, flat, not_run, percentile, ratio_of_rounds, short, spell
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
SLICE: Final = 60
"""Badges between a stop of the busy processes and their going on."""
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
    every, base = flat(ours), flat(theirs)
    return Figure(
        name="badge_to_relay_1_door" if doors == 1 else f"badge_to_relay_{doors}_doors",
        value=statistics.median(mine),
        unit="ms",
        ratio=ratio,
        of="bare loop: read, look up, WAL FULL commit, write" if doors == 1 else "one fdatasync per badge, in turn",
        aim="<= 1.5" if doors == 1 else "<= 0.5",
        spread=spread,
        notes=(f"{spell(every)}; floor {spell(base)}; {len(every)} badges each",),
    )


def p99_under_load(folder: Path, *, is_quick: bool) -> Figure:
    """One badge at a time over sixteen doors, without and beside three busy processes, in short turns."""
    rounds, badges = (2, 300) if is_quick else (4, 600)
    bench, cards, in_a_row = Bench(), Cards(), list[str]()
    quiet: list[list[float]] = []
    beside: list[list[float]] = []
    try:
        with controlled_doors(bench, folder / "site", DOORS) as (controller, chips):
            priority = raise_priority(controller.pid)
            if not priority:
                return not_run("p99_under_load", "this account may not raise a process's priority (run as root)")
            raise_priority(os.getpid(), 11)  # the clock must not wait for the busy processes either
            try:
                with hogs(HOGS) as group:
                    for _ in range(rounds):
                        quiet.append([])
                        beside.append([])
                        for _ in range(badges // SLICE):
                            _let(group, signal.SIGSTOP)
                            quiet[-1] += _one_by_one(bench, chips, cards, SLICE)
                            _let(group, signal.SIGCONT)
                            beside[-1] += _one_by_one(bench, chips, cards, SLICE)
                    usual_priority(controller.pid)
                    usual = _one_by_one(bench, chips, cards, badges)
                    raise_priority(controller.pid)
                with floor(bench, folder / "floor", "wal", 1) as (loop, lines):
                    raise_priority(loop.pid)
                    in_a_row = [_in_a_row(bench, chips, lines, cards, badges // 2, "nothing beside")]
                    with hogs(HOGS):
                        in_a_row.append(
                            _in_a_row(bench, chips, lines, cards, badges // 2, f"{HOGS} busy processes beside")
                        )
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
            f"quiet {spell(flat(quiet))}; beside {HOGS} busy processes {spell(flat(beside))}",
            f"beside them without the priority {spell(usual)}",
            *in_a_row,
        ),
    )


def _let(group: int, number: signal.Signals) -> None:
    """Stop a group of processes, or let it go on; a moment later it has."""
    os.killpg(group, number)
    time.sleep(0.02)


def _in_a_row(bench: Bench, chips: list[Chip], lines: list[Bare], cards: Cards, badges: int, beside: str) -> str:
    """What badge_to_relay_1_door would be if its badges followed each other at once: a PN532 is asked every 50 ms, and
    by then a processor has forgotten our code and the floor's. Here there is a badge every few milliseconds. The
    floor's p99 tells how much of ours is the disk's and the kernel's.
    """
    ours: list[float] = []
    theirs: list[float] = []
    while len(ours) < badges:
        for channel, chip in enumerate(chips, 1):
            if chip.is_idle:
                ours += bench.badge([chip], [channel], cards.take(1))
                bench.serve(0.003)
                theirs += bench.badge(lines, [1], cards.take(1))
            bench.serve(0.002)
    mine, base = statistics.median(ours), statistics.median(theirs)
    return f"a badge every 3 ms, {beside}: {spell(ours)}; bare loop {spell(theirs)}; ratio {short(mine / base)}"


def _one_by_one(bench: Bench, chips: list[Chip], cards: Cards, badges: int) -> list[float]:
    taken: list[float] = []
    while len(taken) < badges:
        for channel, chip in enumerate(chips, 1):
            if chip.is_idle:
                taken += bench.badge([chip], [channel], cards.take(1))
            bench.serve(0.003)
    return taken


@contextmanager
def hogs(count: int) -> Iterator[int]:
    """Busy processes, at the usual priority whatever ours is; their group."""
    command = [sys.executable, cpu_hogs.__file__, str(count), "120"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
