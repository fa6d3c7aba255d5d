"""Our Modbus master and our simulated board against pymodbus, on ptys whose bytes take their time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import selectors
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.ports import Port
from readers.events import DeviceOffline, DeviceOnline, Event, InputChanged, OutputReported
from readers.protocols.modbus import ModbusBoardPlan, ModbusLine
from readers.protocols.supervised import InputPlan
from readers.transports.serial_line import SerialLine
from simulators.loop import Loop
from simulators.modbus import ModbusBoard, ModbusBus
from simulators.wire import SerialWire

WITHIN_S = 15.0
pytestmark = [pytest.mark.system]


class Panel:
    """The deciding loop's part: one port, in this thread, until something is true."""

    def __init__(self, path: Path, *plans: ModbusBoardPlan) -> None:
        self.told: list[Event] = []
        self.line = ModbusLine("line", plans)
        self._selector = selectors.DefaultSelector()
        serial = SerialLine(str(path), 9_600)
        self.port = Port("line", serial, self.line, self._selector, self.told.append)

    def now(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def runs_until(self, what: Callable[[], object]) -> None:
        end = time.monotonic() + WITHIN_S
        while not what():
            assert time.monotonic() < end, self.told[-20:]
            self.port.tick(self.now())
            due = self.port.deadline()
            patience = 0.05 if due is None else min(0.05, max(0.0, (due - self.now()) / 1_000))
            for key, mask in self._selector.select(patience):
                key.data(mask, self.now())
            self.port.answer(self.now())

    def hears(self, *events: Event) -> None:
        self.runs_until(lambda: all(event in self.told for event in events))

    def releases(self, board: str, channel: int, for_ms: int) -> None:
        assert self.line.release(board, channel, for_ms, self.now())
        self.port.send(self.now())

    def close(self) -> None:
        self.port.close(self.now())
        self._selector.close()


class End:
    """One end of a cable between two ptys: what arrives here leaves there."""

    def __init__(self) -> None:
        self.far: SerialWire
        self.far_end: End
        self._said = bytearray()

    def receive(self, chunk: bytes, _now_ms: int) -> None:
        def say(_now_ms: int) -> None:
            self.far_end._said += chunk

        self.far.touch(say)

    def outgoing(self) -> bytes:
        said = bytes(self._said)
        self._said.clear()
        return said

    def deadline(self) -> int | None:
        return None

    def tick(self, now_ms: int) -> None:
        pass

    def power_cycle(self, now_ms: int) -> None:
        pass


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    running.start()
    yield running
    running.stop()
    assert not running.faults


@pytest.fixture
def cable(loop, tmp_path) -> Iterator[tuple[Path, Path]]:
    """Two ports that are joined by 9600 baud."""
    ends = End(), End()
    wires = [SerialWire(loop, end, tmp_path / f"end{n}", baud=9_600 if n else None) for n, end in enumerate(ends)]
    for end, far, wire in zip(ends, reversed(ends), reversed(wires), strict=True):
        end.far, end.far_end = wire, far
    for wire in wires:
        wire.mend()
    yield wires[0].link, wires[1].link
    for wire in wires:
        wire.cut()


@contextlib.contextmanager
def pymodbus_server(path: Path) -> Iterator[None]:
    """pymodbus as two boards with 8 coils and 8 inputs each."""
    from pymodbus.server import ModbusSerialServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    ready = threading.Event()
    running, stop = asyncio.new_event_loop(), asyncio.Event()
    levels = [True, False] * 4

    def device(unit: int) -> SimDevice:
        coils = [SimData(0, values=[False] * 8, datatype=DataType.BITS)]
        inputs = [SimData(0, values=levels, datatype=DataType.BITS)]
        registers = [SimData(0, count=8, values=0, datatype=DataType.REGISTERS)]
        return SimDevice(id=unit, simdata=(coils, inputs, registers, registers))

    async def serve() -> None:
        server = ModbusSerialServer([device(1), device(2)], port=str(path), baudrate=9_600)
        await server.serve_forever(background=True)
        ready.set()
        await stop.wait()
        await server.shutdown()

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its traffic
        thread = threading.Thread(target=running.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        assert ready.wait(WITHIN_S)
        yield
        running.call_soon_threadsafe(stop.set)
        thread.join(WITHIN_S)
        running.close()


@pytest.mark.needs("peers")
@pytest.mark.req("A-02")
def test_our_master_and_pymodbus_as_two_boards(cable):
    """Both our ends could share one mistake: no board that one can buy would understand us."""
    ours, theirs = cable
    plans = [
        ModbusBoardPlan(id=f"b{unit}", unit=unit, has_flash=False, inputs=(InputPlan(number=2, line="contact"),))
        for unit in (1, 2)
    ]
    with pymodbus_server(theirs):
        panel = Panel(ours, *plans)
        panel.hears(DeviceOnline(source="b1"), DeviceOnline(source="b2"))
        panel.hears(InputChanged(source="b2:2", line="contact", is_active=True, is_level_report=True))
        panel.releases("b2", 3, 400)
        panel.hears(OutputReported(source="b2", is_on=True, channel=3))
        panel.hears(OutputReported(source="b2", is_on=False, channel=3))
        assert not [event for event in panel.told if isinstance(event, DeviceOffline)]
        panel.close()


@pytest.mark.needs("peers")
def test_pymodbus_as_master_of_our_simulated_board(loop, tmp_path):
    """The simulated board would understand our master alone, and prove nothing about it."""
    from pymodbus.client import ModbusSerialClient

    board = ModbusBoard(unit=3, channels=8, input_count=8, register_count=2)
    board.inputs[2], board.registers[1] = True, 512
    wire = SerialWire(loop, ModbusBus([board]), tmp_path / "bus", baud=9_600)
    wire.mend()
    client = ModbusSerialClient(str(wire.link), baudrate=9_600, timeout=WITHIN_S)
    assert client.connect()
    assert not client.write_coil(4, True, device_id=3).isError()
    assert board.states[5]
    assert client.read_coils(0, count=8, device_id=3).bits[:8] == [False] * 4 + [True] + [False] * 3
    assert client.read_discrete_inputs(0, count=8, device_id=3).bits[:2] == [False, True]
    assert client.read_input_registers(0, count=2, device_id=3).registers == [512, 0]
    assert not client.write_coils(0, [False] * 8, device_id=3).isError()
    assert not any(board.states.values())
    assert client.read_coils(0, count=9, device_id=3).exception_code == 2
    client.close()
    wire.cut()


@pytest.mark.req("B-26", "B-11")
def test_our_master_and_our_board_on_a_wire_that_is_pulled_out_in_the_middle(loop, tmp_path):
    """A board that was unplugged during a pulse would come back with its strike on, or not at all."""
    board = ModbusBoard(unit=1, channels=2, input_count=1)
    moves: list[tuple[int, bool]] = []
    board.on_switch = lambda channel, is_on, _now: moves.append((channel, is_on))
    wire = SerialWire(loop, ModbusBus([board]), tmp_path / "bus", baud=9_600)
    wire.mend()
    plan = ModbusBoardPlan(id="b1", unit=1, channels=2, inputs=(InputPlan(number=1, line="contact"),))
    panel = Panel(tmp_path / "bus", plan)
    panel.hears(DeviceOnline(source="b1"))
    panel.releases("b1", 2, 60_000)
    panel.hears(OutputReported(source="b1", is_on=True, channel=2))
    wire.cut()
    panel.hears(DeviceOffline(source="b1", why="line lost"))
    assert not panel.line.release("b1", 2, 1_000, panel.now())
    wire.mend()
    panel.told.clear()
    panel.hears(DeviceOnline(source="b1"), OutputReported(source="b1", is_on=False, channel=2))
    panel.releases("b1", 1, 200)
    panel.hears(OutputReported(source="b1", is_on=True, channel=1), OutputReported(source="b1", is_on=False, channel=1))
    assert moves == [(2, True), (2, False), (1, True), (1, False)]
    panel.close()
    wire.cut()
