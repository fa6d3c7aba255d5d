"""The readers' end of an OSDP line, in a process of its own: `python -m bench.osdp_readers LINK COUNT BAUD`.

Prints `ready`, then obeys lines on its standard input: `cards N LEAST_MS` shows N cards, one after the other, and
answers with a JSON list of [reader, number, tick in ns]; `cycle` answers with how long one reader waits from poll to
poll, in ms. A card is shown when the one before has been fetched and LEAST_MS have passed, and then at one of N moments
that are spread evenly over a poll cycle: what is left of chance is the panel's own.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

from simulators.loop import Loop
from simulators.osdp.bus import OsdpBus
from simulators.osdp.reader import OsdpReader
from simulators.wire import SerialWire

CARD_BITS: Final = 32
FETCHED_WITHIN_S: Final = 10.0
CYCLES: Final = 8


def key_of(address: int) -> bytes:
    """Every reader's own key, known to both ends."""
    return random.Random(f"reader {address}").randbytes(16)


class Readers:
    """`count` readers with the addresses 0, 1, 2, … on a half-duplex pair at `baud`."""

    def __init__(self, link: Path, count: int, baud: int) -> None:
        self._readers = [OsdpReader(address, key=key_of(address), baud=baud) for address in range(count)]
        self._bus = OsdpBus(self._readers)
        self._loop = Loop()
        self._wire = SerialWire(self._loop, self._bus, link, baud=baud, is_pair=True)
        self._random = random.Random(11)
        self._next = 1
        self._loop.start()
        self._wire.mend()

    def cards(self, count: int, least_ms: float) -> list[tuple[int, int, int]]:
        """Show so many cards; which reader, which number, when."""
        cycle_ms = self.cycle_ms()
        moments = [(at + self._random.random()) * cycle_ms / count for at in range(count)]
        self._random.shuffle(moments)
        shown = []
        for moment_ms in moments:
            time.sleep((least_ms + moment_ms) / 1e3)
            shown.append(self._show())
        time.sleep(least_ms / 1e3)
        return shown

    def cycle_ms(self) -> float:
        """From one poll of a reader to its next while nothing happens."""
        self._bus.captured.clear()
        at: list[int] = []
        until = time.monotonic() + FETCHED_WITHIN_S
        while len(at) <= CYCLES and time.monotonic() < until:
            time.sleep(0.02)
            frames = self._loop.run(lambda: list(self._bus.captured))
            at = [one.tick_ms for one in frames if one.frame.address == 0 and not one.frame.is_reply]
        return statistics.mean(after - before for before, after in pairwise(at))

    def close(self) -> None:
        """Say what must not have happened."""
        self._wire.cut()
        self._loop.stop()
        if self._wire.collisions or self._loop.faults:
            print(f"{self._wire.collisions} collisions, faults {list(self._loop.faults)}", file=sys.stderr)

    def _show(self) -> tuple[int, int, int]:
        number, self._next = self._next, self._next + 1
        reader = self._readers[number % len(self._readers)]  # in the order of polls, or the moments were not even

        def hold(now_ms: int) -> int:
            at = time.monotonic_ns()
            reader.functions.present(number.to_bytes(4, "big"), CARD_BITS, is_wiegand=False, now_ms=now_ms)
            return at

        at = self._wire.touch(hold)
        until = time.monotonic() + FETCHED_WITHIN_S
        while reader.functions.events and time.monotonic() < until:
            time.sleep(0.001)
        return reader.address, number, at


def main() -> None:
    """Obey until standard input ends."""
    readers = Readers(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        what, *arguments = line.split()
        answer = readers.cycle_ms() if what == "cycle" else readers.cards(int(arguments[0]), float(arguments[1]))
        print(json.dumps(answer), flush=True)
    readers.close()


if __name__ == "__main__":
    main()
