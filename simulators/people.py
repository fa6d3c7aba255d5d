"""The people of a simulated building: where each one is, and how one walks through a door.

`Crowd` is pure bookkeeping. `Walk` is one passage step by step on the building's loop: reach for the leaf, pass,
let it fall shut, with a second person slipping in behind where somebody tailgates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.door import Deed

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.loop import Loop
    from simulators.rig import DoorRig

STRANGER = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast people move, milliseconds. Tests make everybody quick."""

    hold_ms: int = 800  # a card stays on the reader this long, or until the strike moves
    reach_ms: int = 300  # from the strike's click to the hand on the leaf
    pass_ms: int = 1200  # from the leaf's opening to its falling shut
    press_ms: int = 400  # a finger on the REX button


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody made up."""

    name_ja: str
    name_en: str
    card: str  # hexadecimal, upper case
    kind: str  # "iso14443a" | "felica"
    pin: str | None = None
    duress_pin: str | None = None  # typed under threat


class Crowd:
    """Who is where. A card nobody owns belongs to a stranger, who is somebody too."""

    def __init__(self, people: tuple[Person, ...], start_zone: str) -> None:
        self.people = {person.card: person for person in people}
        self._start_zone = start_zone
        self._zones: dict[str, str] = dict.fromkeys(self.people, start_zone)

    def person(self, card: str) -> Person:
        """The card's owner, or a stranger with it. `card`: hexadecimal, any case."""
        card = card.upper()
        kind = "felica" if len(card) == 16 else "iso14443a"
        return self.people.get(card, Person(name_ja=STRANGER, name_en=STRANGER, card=card, kind=kind))

    def zone_of(self, card: str) -> str:
        """Where the card's owner is."""
        return self._zones.get(card.upper(), self._start_zone)

    def moves(self, card: str, zone: str) -> None:
        """The card's owner is in `zone` now."""
        self._zones[card.upper()] = zone

    def anybody_in(self, zone: str, besides: str) -> str | None:
        """The first person (card) found in `zone` who is not `besides`."""
        others = (card for card, place in self._zones.items() if place == zone and card != besides.upper())
        return next(others, None)


@dataclass(slots=True, kw_only=True)
class Walk:
    """One passage. Every step runs in the loop's thread; `done(has_passed)` hears the end."""

    loop: Loop
    rig: DoorRig
    pace: Pace
    deed: Deed  # PUSH needs the strike, HANDLE never does
    passed: Callable[[], None]
    done: Callable[[bool], None] = lambda _has_passed: None

    def begin(self) -> None:
        """Reach for the leaf."""
        self.loop.call_in(self.pace.reach_ms, self._reach)

    def _reach(self) -> None:
        self.rig.do(self.deed)
        if not self.rig.door.is_open:
            self.done(False)
            return
        self.loop.call_in(self.pace.pass_ms, self._pass)

    def _pass(self) -> None:
        self.passed()
        self.rig.do(Deed.CLOSE)  # a propped leaf stays
        self.done(True)
