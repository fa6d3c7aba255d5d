"""One door as a piece of carpentry: leaf, strike, contact, REX. Pure: state in, state and changed lines out.

From the guarded side the leaf yields only to an energised strike (fail-secure) or to force.
From the inner side the handle always opens it: no state of this file can lock anybody in (P3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How a door stands."""

    is_open: bool = False
    is_strike_on: bool = False
    is_rex_pressed: bool = False
    is_propped: bool = False

    @property
    def yields(self) -> bool:
        """Whether a push from the guarded side opens it."""
        return self.is_open or self.is_strike_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A door after a deed, and which lines changed on the way."""

    door: Door
    changed: tuple[str, ...]


def do(door: Door, deed: Deed) -> Turn:
    """Apply one deed. `changed` holds "contact", "strike", "rex" in this order, for the wires."""
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
}


def _changed(before: Door, after: Door) -> tuple[str, ...]:
    lines = (
        ("contact", before.is_open != after.is_open),
        ("strike", before.is_strike_on != after.is_strike_on),
        ("rex", before.is_rex_pressed != after.is_rex_pressed),
    )
    return tuple(line for line, is_changed in lines if is_changed)
