"""A door with its wires: turns deeds into contact and REX reports, and relay movements into strike.

Everything here runs in the building's loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.door import Deed, Door, do

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.journal import Journal


class DoorRig:
    """One door. `on_contact(is_open)` and `on_rex(is_pressed)` are its wires to the sensor."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        *,
        on_contact: Callable[[bool], None],
        on_rex: Callable[[bool], None],
    ) -> None:
        self.name = name
        self.door = Door()
        self._journal = journal
        self._on_contact = on_contact
        self._on_rex = on_rex
        self._waiting: list[Callable[[], None]] = []

    def do(self, deed: Deed) -> tuple[str, ...]:
        """Apply a deed, report what changed, and hand back the names of the changed lines."""
        turn = do(self.door, deed)
        self.door = turn.door
        if "contact" in turn.changed:
            self._journal.note("contact", self.name, is_open=self.door.is_open, deed=deed.value)
            self._on_contact(self.door.is_open)
        if "rex" in turn.changed:
            self._journal.note("rex", self.name, is_pressed=self.door.is_rex_pressed)
            self._on_rex(self.door.is_rex_pressed)
        if "strike" in turn.changed:
            self._journal.note("strike", self.name, is_on=self.door.is_strike_on)
            if self.door.is_strike_on:
                self._wake()
        return turn.changed

    def strike(self, is_on: bool) -> None:
        """The relay of this door moved."""
        self.do(Deed.STRIKE_ON if is_on else Deed.STRIKE_OFF)

    def when_released(self, what: Callable[[], None]) -> None:
        """Call `what` once, when the strike is next energised; at once if it is."""
        if self.door.is_strike_on:
            what()
        else:
            self._waiting.append(what)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            what()
