"""One door as a piece of carpentry and wiring: leaf, lock, contact, REX, the lock's power and the fire alarm's contact.
Pure: state in, state and changed lines out.

From the guarded side the leaf yields only to a lock that lets go, or to force. A fail-secure lock (a strike) lets go
while its relay is on and it has power; a fail-safe one (a maglock) holds while its relay is off and it has power, and
the fire alarm's contact takes its power away: copper, and nothing that could be programmed (D-25). That contact stays
tripped when the alarm ends, until somebody resets it by hand.
From the inner side the handle always opens the leaf: no state of this file can lock anybody in (P3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LockType = Literal["fail-safe", "fail-secure"]


class Deed(Enum):
    """What hands and wires can do to a door."""

    STRIKE_ON = "strike_on"
    STRIKE_OFF = "strike_off"
    PUSH = "push"  # from the guarded side
    HANDLE = "handle"  # from the inner side
    FORCE = "force"
    CLOSE = "close"
    PROP = "prop"  # something keeps the leaf from closing
    CLEAR = "clear"  # that something is taken away
    REX_DOWN = "rex_down"
    REX_UP = "rex_up"
    POWER_CUT = "power_cut"
    POWER_BACK = "power_back"
    FIRE_ON = "fire_on"
    FIRE_OFF = "fire_off"
    FIRE_RESET = "fire_reset"  # the key at the fire panel; does nothing while the alarm is on


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How a door stands. `is_strike_on`: the relay that lets go is on, whatever the lock makes of it."""

    lock_type: LockType = "fail-secure"
    is_open: bool = False
    is_strike_on: bool = False
    is_rex_pressed: bool = False
    is_propped: bool = False
    has_power: bool = True
    is_fire_on: bool = False
    is_fire_tripped: bool = False  # from the alarm's beginning to the reset by hand

    @property
    def is_locked(self) -> bool:
        """Whether the lock holds the leaf against a push from the guarded side."""
        if self.lock_type == "fail-safe":
            return self.has_power and not self.is_fire_tripped and not self.is_strike_on
        return not (self.has_power and self.is_strike_on)

    @property
    def yields(self) -> bool:
        """Whether a push from the guarded side opens it."""
        return self.is_open or not self.is_locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A door after a deed, and which lines changed on the way."""

    door: Door
    changed: tuple[str, ...]


def do(door: Door, deed: Deed) -> Turn:
    """Apply one deed. `changed` holds "contact", "strike", "lock", "rex", "fire", "power" in this order."""
    after = DEEDS[deed](door)
    return Turn(door=after, changed=_changed(door, after))


DEEDS: Mapping[Deed, Callable[[Door], Door]] = {
    Deed.STRIKE_ON: lambda door: replace(door, is_strike_on=True),
    Deed.STRIKE_OFF: lambda door: replace(door, is_strike_on=False),
    Deed.PUSH: lambda door: replace(door, is_open=door.yields),
    Deed.HANDLE: lambda door: replace(door, is_open=True),
    Deed.FORCE: lambda door: replace(door, is_open=True),
    Deed.CLOSE: lambda door: replace(door, is_open=door.is_open and door.is_propped),
    Deed.PROP: lambda door: replace(door, is_propped=True),
    Deed.CLEAR: lambda door: replace(door, is_propped=False),
    Deed.REX_DOWN: lambda door: replace(door, is_rex_pressed=True),
    Deed.REX_UP: lambda door: replace(door, is_rex_pressed=False),
    Deed.POWER_CUT: lambda door: replace(door, has_power=False),
    Deed.POWER_BACK: lambda door: replace(door, has_power=True),
    Deed.FIRE_ON: lambda door: replace(door, is_fire_on=True, is_fire_tripped=True),
    Deed.FIRE_OFF: lambda door: replace(door, is_fire_on=False),
    Deed.FIRE_RESET: lambda door: replace(door, is_fire_tripped=door.is_fire_on),
}


def _changed(before: Door, after: Door) -> tuple[str, ...]:
    lines = (
        ("contact", before.is_open != after.is_open),
        ("strike", before.is_strike_on != after.is_strike_on),
        ("lock", before.is_locked != after.is_locked),
        ("rex", before.is_rex_pressed != after.is_rex_pressed),
        ("fire", before.is_fire_on != after.is_fire_on),
        ("power", before.has_power != after.has_power),
    )
    return tuple(line for line, is_changed in lines if is_changed)
