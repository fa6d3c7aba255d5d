"""A Modbus line in virtual time: our master at one end, simulated boards at the other, bytes as slow as the baud."""

from __future__ import annotations

from collections.abc import Callable

from readers.events import DeviceOnline, Event, LineNoise
from readers.protocols.modbus import ModbusBoardPlan, ModbusLine
from readers.protocols.supervised import InputPlan, Loop
from simulators.modbus import ModbusBoard, ModbusBus

LOOP = Loop(quiet=(400, 600), active=(800, 900))
INPUTS = (
    InputPlan(number=1, line="contact"),
    InputPlan(number=2, line="rex"),
    InputPlan(number=3, line="tamper", loop=LOOP),
)


class Rig:
    """`say` keeps all events; `spoil` may change what the boards answer; `now` is the only clock."""

    def __init__(self, *boards: ModbusBoard, baud: int = 9_600, has_echo: bool = False, has_flash: bool = True) -> None:
        self.now = 1_000
        self.moves: list[tuple[int, int, int, bool]] = []
        self.boards = {board.unit: board for board in boards or (board(),)}
        for unit, one in self.boards.items():
            one.on_switch = self._note(unit)
        self.bus = ModbusBus(self.boards.values(), has_echo=has_echo)
        plans = [
            ModbusBoardPlan(
                id=f"b{unit}",
                unit=unit,
                channels=one.channels,
                inputs=tuple(
                    plan
                    for plan in INPUTS
                    if (plan.number <= one.input_count if plan.loop is None else one.register_count)
                ),
                has_flash=has_flash,
            )
            for unit, one in self.boards.items()
        ]
        self.line = ModbusLine("line", plans, baud)
        self.events: list[Event] = []
        self.sent: list[bytes] = []
        self.spoil: Callable[[bytes], bytes] = lambda answer: answer
        self._byte_ms = 10_000 / baud
        self._on_the_way: list[tuple[float, int]] = []

    def _note(self, unit: int) -> Callable[[int, bool, int], None]:
        return lambda channel, is_on, now: self.moves.append((now, unit, channel, is_on))

    def plug(self) -> None:
        self.line.connection_made(self.now)

    def unplug(self) -> None:
        self._on_the_way.clear()
        self.events += self.line.connection_lost(self.now)
        self.bus.power_cycle(self.now)
        self.bus.outgoing()

    def run(self, for_ms: int) -> list[Event]:
        """Let time pass, millisecond by millisecond; what was told meanwhile."""
        before = len(self.events)
        for _ in range(for_ms):
            self.now += 1
            due = self.line.deadline()
            if due is not None and due <= self.now:
                self.events += self.line.tick(self.now)
            self._carry()
        return self.events[before:]

    def _carry(self) -> None:
        if out := self.line.data_to_send():
            self.sent.append(out)
            self.bus.receive(out, self.now)
        self.bus.tick(self.now)
        begin = max([at for at, _ in self._on_the_way], default=float(self.now))
        answer = self.spoil(self.bus.outgoing())
        self._on_the_way += [(begin + (n + 1) * self._byte_ms, byte) for n, byte in enumerate(answer)]
        arrived = bytes(byte for at, byte in self._on_the_way if at <= self.now)
        self._on_the_way = [(at, byte) for at, byte in self._on_the_way if at > self.now]
        if arrived:
            self.events += self.line.receive_data(arrived, self.now)

    def online(self) -> Rig:
        """Plugged in, every board online, levels reported, nothing in the way."""
        self.plug()
        self.run(400 * len(self.boards))
        assert {event.source for event in self.events if isinstance(event, DeviceOnline)} == set(self.line._boards)
        assert not [event for event in self.events if isinstance(event, LineNoise)], self.events
        self.events.clear()
        self.moves.clear()
        self.sent.clear()
        return self


def board(unit: int = 1, channels: int = 2, **faults: object) -> ModbusBoard:
    spec: dict[str, object] = {"unit": unit, "channels": channels, "input_count": 2, "register_count": 3}
    made = ModbusBoard(**(spec | faults))  # type: ignore[arg-type]
    if made.input_count:
        made.inputs[1] = True  # the leaf is closed
    if made.register_count:
        made.registers[3] = 500
    return made
