"""A door with its wires: turns deeds into reports of its lines, and relay movements into strike.

Everything here runs in the building's loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.door import Deed, Door, LockType, do

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.journal import Journal


class DoorRig:
    """One door. `on_line(line, is_active)` are its wires to the sensor: contact, rex, fire, power."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        *,
        on_line: Callable[[str, bool], None],
        lock_type: LockType = "fail-secure",
    ) -> None:
        self.name = name
        self.door = Door(lock_type=lock_type)
        self._journal = journal
        self._on_line = on_line
        self._waiting: list[Callable[[], None]] = []

    def do(self, deed: Deed) -> tuple[str, ...]:
        """Apply a deed, report what changed, and hand back the names of the changed lines."""
        turn = do(self.door, deed)
        self.door = door = turn.door
        if "contact" in turn.changed:
            self._journal.note("contact", self.name, is_open=door.is_open, deed=deed.value)
            self._on_line("contact", door.is_open)
        if "rex" in turn.changed:
            self._journal.note("rex", self.name, is_pressed=door.is_rex_pressed)
            self._on_line("rex", door.is_rex_pressed)
        if "fire" in turn.changed:
            self._journal.note("fire", self.name, is_on=door.is_fire_on)
            self._on_line("fire", door.is_fire_on)
        if "power" in turn.changed:
            self._journal.note("power", self.name, is_on=door.has_power)
            self._on_line("power", not door.has_power)
        if "strike" in turn.changed:
            self._journal.note("strike", self.name, is_on=door.is_strike_on)
        if "lock" in turn.changed:
            self._journal.note("lock", self.name, is_locked=door.is_locked, deed=deed.value)
            if not door.is_locked:
                self._wake()
        return turn.changed

    def strike(self, is_on: bool) -> None:
        """The relay of this door moved."""
        self.do(Deed.STRIKE_ON if is_on else Deed.STRIKE_OFF)

    def when_released(self, what: Callable[[], None]) -> None:
        """Call `what` once, when the lock next lets go; at once if it has."""
        if not self.door.is_locked:
            what()
        else:
            self._waiting.append(what)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            what()
