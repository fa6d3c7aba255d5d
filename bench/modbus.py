"""From a release ordered in the loop to the relay on a Modbus board, and to the board's word that it has it.

The line is 9,600 baud, half duplex, byte by byte, with one board of eight relays and two polled inputs, in another
process: `python -m bench.modbus LINK` is that process.

The wire's arithmetic. A flash order and its echo have 8 bytes each. The board takes an order after a silence of 3.5
bytes (the simulated one rests 2 ms). An order that comes at any moment first waits for the question under way: inputs
are asked every 50 ms, 8 bytes, 2 ms, 6 bytes, a silence of 3.5; with the share p of the time that this takes, T, the
mean wait is p * T / 2. To the relay: wait + 8 bytes + 2 ms. Then the board's echo (8 bytes), a silence of 3.5, and the
relay is read back: 8 bytes, 2 ms, 6 bytes.
"""

from __future__ import annotations

import json
import random
import selectors
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.figures import Figure, short, spell
from controller.ports import Port
from readers.events import DeviceOnline, Event, OutputReported
from readers.protocols.modbus import POLL_MS, ModbusBoardPlan, ModbusLine
from readers.protocols.supervised import InputPlan
from readers.transports.serial_line import SerialLine
from simulators.loop import Loop
from simulators.modbus import REST_MS, ModbusBoard, ModbusBus
from simulators.wire import SerialWire

BAUD: Final = 9_600
BYTE_MS: Final = 10_000 / BAUD
UNIT: Final = 1
FLASH_MS: Final = 200
ONLINE_WITHIN_S: Final = 10.0


def arithmetic_ms() -> tuple[float, float]:
    """To the relay, and until it is read back (see above)."""
    question_ms = (8 + 6 + 3.5) * BYTE_MS + REST_MS
    wait_ms = question_ms / (POLL_MS + question_ms) * question_ms / 2
    relay_ms = wait_ms + 8 * BYTE_MS + REST_MS
    return relay_ms, relay_ms + (8 + 3.5 + 8 + 6) * BYTE_MS + REST_MS


class Wall:
    """The board, with the moments at which its first relay was switched on."""

    def __init__(self, link: Path) -> None:
        self.moved: list[int] = []
        board = ModbusBoard(unit=UNIT, channels=8, input_count=2, on_switch=self._note)
        self._loop = Loop()
        self._loop.start()
        self._wire = SerialWire(self._loop, ModbusBus([board]), link, baud=BAUD, is_pair=True)
        self._wire.mend()

    def _note(self, channel: int, is_on: bool, _now_ms: int) -> None:
        if channel == 1 and is_on:
            self.moved.append(time.monotonic_ns())

    def close(self) -> None:
        self._wire.cut()
        self._loop.stop()


class Line:
    """Our end."""

    def __init__(self, link: Path) -> None:
        inputs = (InputPlan(number=1, line="contact"), InputPlan(number=2, line="rex"))
        self.modbus = ModbusLine("line", [ModbusBoardPlan(id="board", unit=UNIT, channels=8, inputs=inputs)], BAUD)
        self.is_online = False
        self.confirmed: list[int] = []
        self._selector = selectors.DefaultSelector()
        self.port = Port("line", SerialLine(str(link), BAUD), self.modbus, self._selector, self._take)

    def serve(self, seconds: float) -> None:
        """Turn the loop for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            due = self.port.deadline()
            wait_s = left if due is None else min(left, max(0, due - tick_ms()) / 1000)
            for key, mask in self._selector.select(wait_s):
                key.data(mask, tick_ms())
            now_ms = tick_ms()
            self.port.tick(now_ms)
            self.port.answer(now_ms)

    def release(self) -> int:
        """Order the first relay on; when that was."""
        at, now_ms = time.monotonic_ns(), tick_ms()
        if not self.modbus.release("board", 1, FLASH_MS, now_ms):
            raise RuntimeError("the board takes no order")
        self.port.send(now_ms)
        return at

    def close(self) -> None:
        self.port.close(tick_ms())
        self._selector.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, DeviceOnline):
            self.is_online = True
        elif isinstance(event, OutputReported) and event.channel == 1 and event.is_on:
            self.confirmed.append(time.monotonic_ns())


def tick_ms() -> int:
    """Monotonic ms."""
    return time.monotonic_ns() // 1_000_000


def order_to_relay(folder: Path, *, is_quick: bool) -> Figure:
    """Release by release, at moments that nobody can foresee."""
    count = 10 if is_quick else 30
    link = folder.resolve() / "modbus"
    command = [sys.executable, "-m", "bench.modbus", str(link)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    line, dice = Line(link), random.Random(3)
    try:
        line.port.tick(tick_ms())
        until = time.monotonic() + ONLINE_WITHIN_S
        while not line.is_online and time.monotonic() < until:
            line.serve(0.1)
        ordered = []
        for _ in range(count):
            line.serve(0.3 + FLASH_MS / 1000 + dice.uniform(0, 0.07))
            ordered.append(line.release())
        line.serve(0.5)
    finally:
        line.close()
        said, _ = process.communicate(timeout=10)
    return _figure(ordered, json.loads(said), line.confirmed)


def _figure(ordered: list[int], moved: list[int], confirmed: list[int]) -> Figure:
    to_relay = [(after - before) / 1e6 for before, after in zip(ordered, moved, strict=True)]
    to_word = [(after - before) / 1e6 for before, after in zip(ordered, confirmed, strict=True)]
    relay_ms, back_ms = arithmetic_ms()
    mean, back = statistics.mean(to_relay), statistics.mean(to_word)
    return Figure(
        name="modbus_9600_relay",
        value=mean,
        unit="ms",
        ratio=mean / relay_ms,
        of="the wire's arithmetic (means)",
        notes=(
            f"to the relay {spell(to_relay)}, arithmetic {short(relay_ms)} ms; {len(ordered)} orders",
            f"read back and reported {spell(to_word)}, mean {short(back)}, arithmetic {short(back_ms)} ms",
        ),
    )


def main() -> None:
    """Be the board until standard input ends; then tell when the relay moved."""
    made = Wall(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.read()
    made.close()
    print(json.dumps(made.moved), flush=True)


if __name__ == "__main__":
    main()
