"""Modbus boards screwed to the walls of a building: several on one pair, doors wired to their relays and inputs.

Owns the assembly. A door's contact hangs on the input that the plan names, its REX on the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.modbus import ModbusBoard, ModbusBus
from simulators.plan import ModbusPlan
from simulators.wire import SerialWire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from simulators.loop import Loop

AFTER_FIRST = {"contact": 0, "rex": 1}
NORMALLY_CLOSED = frozenset(("contact",))  # a cut loop looks like an open leaf


class BoardInputs:
    """A door's lines at a board: two wires each, no resistors, so that a broken loop looks like a state."""

    has_counter = False

    def __init__(self, device: str, board: ModbusBoard, first: int) -> None:
        self.device = device
        self.faults: dict[str, str] = {}
        self.on_strike: Callable[[bool], None] = lambda _is_on: None
        self._board = board
        self._first = first
        self._levels: dict[str, bool] = {}
        for line in AFTER_FIRST:
            self.line(line, False)

    def line(self, line: str, is_active: bool) -> None:
        """What hangs on `line` changed. From the loop's thread."""
        self._levels[line] = is_active
        if line not in self.faults:
            self._set(line, is_active != (line in NORMALLY_CLOSED))

    def break_loop(self, line: str, fault: str | None) -> None:
        """Cut or short two wires, or mend them. From the loop's thread."""
        if fault is None:
            self.faults.pop(line, None)
            self.line(line, self._levels.get(line, False))
            return
        self.faults[line] = fault
        self._set(line, fault == "short")

    def count(self, _people: int) -> bool:
        """No board counts people."""
        raise ValueError("a Modbus board has no people counter")

    def _set(self, line: str, has_current: bool) -> None:
        number = self._first + AFTER_FIRST.get(line, len(self._board.inputs))
        if number in self._board.inputs:
            self._board.inputs[number] = has_current


class ModbusWall:
    """All Modbus boards of one plan, by id. Boards with the same link share a pair, and its wire."""

    def __init__(
        self,
        plans: Iterable[object],
        *,
        loop: Loop,
        run_dir: Path,
        switches: Callable[[str], Callable[[int, bool, int], None]],
    ) -> None:
        self.boards: dict[str, ModbusBoard] = {}
        self.wires: dict[str, SerialWire] = {}
        pairs: dict[str, list[ModbusPlan]] = {}
        for plan in plans:
            if isinstance(plan, ModbusPlan):
                pairs.setdefault(plan.link, []).append(plan)
        for link, members in pairs.items():
            for plan in members:
                self.boards[plan.id] = ModbusBoard(
                    unit=plan.unit,
                    channels=plan.channels,
                    input_count=plan.inputs,
                    has_flash=plan.flash,
                    on_switch=switches(plan.id),
                )
            bus = ModbusBus(self.boards[plan.id] for plan in members)
            wire = SerialWire(loop, bus, run_dir / link, baud=members[0].baud, is_pair=True, hears_speed=True)
            self.wires |= dict.fromkeys((plan.id for plan in members), wire)

    def inputs_of(self, sensor: str) -> BoardInputs:
        """A door's lines at `board:input`."""
        board, _, first = sensor.partition(":")
        return BoardInputs(board, self.boards[board], int(first))
