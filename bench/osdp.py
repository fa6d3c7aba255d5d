"""From a card shown at an OSDP reader to its event in the loop, beside libosdp's panel; and what an idle line costs.

Both panels take turns on the same line: the simulated readers in another process, every byte at the pace of the baud.

The wire's arithmetic. In the channel a poll and its ACK have 15 bytes each with the marking byte, the reply that
carries a card has 31, of 10 bits. Asked back to back, each of n readers is asked every n * 30 bytes. A card is taken
along by the next poll that ends, half a cycle away on average and in the median, and is there when its reply is over:
    (n * 30 / 2 + 31) * 10 / baud
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from bench.figures import Figure, flat, ratio_of_rounds, short, spell
from bench.osdp_panels import NotOnline, OurPanel, TheirPanel

BAUDS: Final = (9_600, 38_400, 115_200)
COUNTS: Final = (1, 4, 8)
POLL_BYTES: Final = 15
ACK_BYTES: Final = 15
CARD_BYTES: Final = 31
BITS_PER_BYTE: Final = 10
ROUNDS: Final = {9_600: (2, 1, 24), 38_400: (1, 1, 40), 115_200: (3, 3, 30)}
"""Rounds of ours and of theirs, in turn, and cards in each."""
AIMS: Final = {9_600: "<= 1.15", 38_400: "", 115_200: "<= 0.6"}
QUIET_S: Final = 0.2
IDLE_S: Final = 6.0
IDLE_BAUD: Final = 38_400
IDLE_COUNT: Final = 4
IDLE_SHARE_MAX: Final = 0.03
NAMES: Final = tuple(f"osdp_{baud}_{count}" for baud in BAUDS for count in COUNTS)

Panel: TypeAlias = OurPanel | TheirPanel


def arithmetic_ms(count: int, baud: int) -> float:
    """What no panel can be faster than, in the median (see above)."""
    return (count * (POLL_BYTES + ACK_BYTES) / 2 + CARD_BYTES) * BITS_PER_BYTE * 1000 / baud


@dataclass(slots=True)
class Taken:
    """What one panel took on one line: the medians of rounds, and every card."""

    rounds: list[list[float]] = field(default_factory=list)
    cycles: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def medians(self) -> list[float]:
        return [statistics.median(one) for one in self.rounds]

    def __str__(self) -> str:
        lost = f", {self.lost} lost" if self.lost else ""
        return f"{spell(flat(self.rounds))}, a poll every {short(statistics.median(self.cycles))} ms{lost}"


class Wall:
    """The readers' process."""

    def __init__(self, folder: Path, count: int, baud: int) -> None:
        self.link = folder.resolve() / f"osdp-{baud}-{count}"
        command = [sys.executable, "-m", "bench.osdp_readers", str(self.link), str(count), str(baud)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._process.stdout is not None
        self._said = self._process.stdout
        if self._said.readline() != b"ready\n":
            raise RuntimeError("the simulated readers did not start")

    def ask(self, panel: Panel, what: str) -> object:
        """Have something done there while `panel` serves the line."""
        assert self._process.stdin is not None
        self._process.stdin.write(what.encode() + b"\n")
        panel.serve_until(self._said.fileno())
        return json.loads(self._said.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._said.close()


@contextmanager
def wall(folder: Path, count: int, baud: int) -> Iterator[Wall]:
    """So many readers on a line of that speed."""
    made = Wall(folder, count, baud)
    try:
        yield made
    finally:
        made.close()


def reader_to_loop(folder: Path, *, is_quick: bool) -> list[Figure]:
    """All speeds and counts."""
    return [_one(folder, count, baud, is_quick=is_quick) for baud in BAUDS for count in COUNTS]


def _one(folder: Path, count: int, baud: int, *, is_quick: bool) -> Figure:
    rounds, their_rounds, cards = (1, 1, 12) if is_quick else ROUNDS[baud]
    least_ms = 20 + (POLL_BYTES + CARD_BYTES) * BITS_PER_BYTE * 1000 / baud
    ours, theirs, missing = Taken(), Taken(), ""
    with wall(folder, count, baud) as line:
        for turn in range(rounds):
            _round(line, OurPanel, count, baud, f"cards {cards} {least_ms}", ours)
            if missing or turn >= their_rounds:
                continue
            try:
                _round(line, TheirPanel, count, baud, f"cards {cards} {least_ms}", theirs)
            except (ImportError, NotOnline) as error:
                missing = f"libosdp NOT RUN: {error}"
    return _figure(count, baud, ours, theirs, missing)


def _round(line: Wall, make: Callable[[Path, int, int], Panel], count: int, baud: int, what: str, into: Taken) -> None:
    time.sleep(QUIET_S)  # what a reader still says to the panel before would be garbage together with this one's word
    panel = make(line.link, count, baud)
    try:
        panel.online()
        panel.serve(0.3)
        into.cycles.append(float(str(line.ask(panel, "cycle"))))
        shown = line.ask(panel, what)
    finally:
        panel.close()
    assert isinstance(shown, list)
    into.rounds.append([(panel.reads[number] - at) / 1e6 for _, number, at in shown if number in panel.reads])
    into.lost += sum(number not in panel.reads for _, number, _ in shown)


def _figure(count: int, baud: int, ours: Taken, theirs: Taken, missing: str) -> Figure:
    floor = arithmetic_ms(count, baud)
    against_wire = sorted(mine / floor for mine in ours.medians)
    ratio: float | None = statistics.median(ours.medians) / floor
    spread, of = f"{short(against_wire[0])}-{short(against_wire[-1])}", "the wire's arithmetic"
    if baud != min(BAUDS):
        ratio, spread, of = None, "", missing
        if not missing:
            ratio, spread = ratio_of_rounds(ours.medians, theirs.medians)
            of = "libosdp's panel on the same line"
    beside = missing or f"libosdp {theirs}"
    return Figure(
        name=f"osdp_{baud}_{count}",
        value=statistics.median(ours.medians),
        unit="ms",
        ratio=ratio,
        of=of,
        aim=AIMS[baud],
        spread=spread,
        notes=(
            f"ours {ours}; the wire's arithmetic {short(floor)} ms",
            f"{beside}; {len(flat(ours.rounds))} and {len(flat(theirs.rounds))} cards",
        ),
    )


def idle_cpu(folder: Path, *, is_quick: bool) -> Figure:
    """The share of one core that a panel's thread takes while nobody is there."""
    seconds = IDLE_S / 2 if is_quick else IDLE_S
    with wall(folder, IDLE_COUNT, IDLE_BAUD) as line:
        ours = _share(line, OurPanel, IDLE_COUNT, IDLE_BAUD, seconds)
        try:
            beside = f"libosdp's panel {short(_share(line, TheirPanel, IDLE_COUNT, IDLE_BAUD, seconds) * 100)} %"
        except (ImportError, NotOnline) as error:
            beside = f"libosdp NOT RUN: {error}"
    count, baud = max(COUNTS), max(BAUDS)
    with wall(folder, count, baud) as line:
        most = f"{count} readers at {baud} baud: ours {short(_share(line, OurPanel, count, baud, seconds) * 100)} %"
    return Figure(
        name="osdp_idle_cpu",
        value=ours * 100,
        unit="%",
        ratio=ours / IDLE_SHARE_MAX,
        of=f"{IDLE_SHARE_MAX:.0%} of a core",
        aim="<= 1",
        notes=(f"{IDLE_COUNT} readers at {IDLE_BAUD} baud for {seconds:.0f} s; {beside}", most),
    )


def _share(line: Wall, make: Callable[[Path, int, int], Panel], count: int, baud: int, seconds: float) -> float:
    time.sleep(QUIET_S)
    panel = make(line.link, count, baud)
    try:
        panel.online()
        panel.serve(1.5)
        used, began = time.thread_time(), time.perf_counter()
        panel.serve(seconds)
        return (time.thread_time() - used) / (time.perf_counter() - began)
    finally:
        panel.close()
