"""A simulated building: its devices on their wires, and the hands that touch it.

Owns the assembly and the hands (badge, push, force, close, REX, prop, tailgate, cut, mend). The wire side belongs to
the devices; nothing here knows what anybody may enter. Every hand may be used from any thread but the
building's own loop.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simulators.cards import Card, card_of
from simulators.door import Deed
from simulators.fittings import Fittings, NotHere
from simulators.people import Crowd, Pace, Person, Walk
from simulators.plan import DoorPlan, Plan, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from simulators.journal import Entry
    from simulators.rig import DoorRig

WAIT_MS = 3000
REX_PATIENCE_MS = 1000  # then the handle is turned whatever the strike did


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeReply:
    """What somebody at the door saw. `shown`: None where the reader has no display or showed nothing in time."""

    card: str
    door: str
    side: str
    person: str
    reader: str
    shown: str | None
    released: bool
    walking: bool
    took_ms: int
    was_sent: bool  # an MQTT reader without broker cannot tell anybody


class SimulatedBuilding:
    """Everything of one building file, running in this process. A context manager."""

    def __init__(
        self,
        plan: Path | Plan,
        *,
        run_dir: Path,
        broker: tuple[str, int],
        pace: Pace | None = None,
    ) -> None:
        """`plan`: a building.toml or its content. `run_dir`: where links to the ptys stand. `broker`: host, port."""
        self.plan = load(plan) if isinstance(plan, Path) else plan
        self.fittings = Fittings(self.plan, run_dir=run_dir, broker=broker)
        self.loop = self.fittings.loop
        self.journal = self.fittings.journal
        self.pace = pace or Pace()
        people = tuple(
            Person(name_ja=one.name.ja, name_en=one.name.en, card=one.card.upper(), kind=one.kind)
            for one in self.plan.people
        )
        self.crowd = Crowd(people, self.plan.zones[0].id)
        self._doors = {door.id: door for door in self.plan.doors}

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = 15.0) -> None:
        """Plug everything in. Raises BrokerUnreachable when the broker does not answer within `timeout_s`."""
        self.fittings.start(timeout_s)

    def stop(self) -> None:
        """Unplug everything: links removed, devices said goodbye, threads ended."""
        self.fittings.stop()

    def __enter__(self) -> SimulatedBuilding:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- hands ----------------------------------------------------------------------------------------------------

    def badge(self, card: str, *, door: str, side: str = "in", walk: bool = True, wait_ms: int = WAIT_MS) -> BadgeReply:
        """Present `card` (hexadecimal) to the reader of that side; walk through if it grants and the strike lets go.

        Answers as soon as that is clear, at the latest after `wait_ms`; the walk goes on after the answer.
        Raises NotHere; ValueError for a bad number.
        """
        rig, where = self.fittings.rig(door), self._doors[door]
        reader = where.reader_in if side == "in" else where.reader_out
        if reader is None:
            raise NotHere(f"door {door!r} has no reader on the side {side!r}; use REX, or the other side")
        person = self.crowd.person(card)
        physical = card_of(person.kind, bytes.fromhex(person.card))
        after, began = self.journal.last, time.monotonic()
        was_on = rig.door.is_strike_on

        was_sent = self._present(reader, physical, rig)
        shown = self._watch(rig.name, reader, after=after, wait_ms=wait_ms if was_sent else 0, was_on=was_on)
        is_on = self.loop.run(lambda: rig.door.is_strike_on) or self._seen_strike(rig.name, after)
        released = is_on and shown in (None, "granted")  # it may be on for somebody who came before
        walking = walk and released and (shown == "granted" or reader not in self.fittings.readers)
        if walking:
            self.loop.run(self._walk(where, person.card, inward=side == "in").begin)
        return BadgeReply(
            card=person.card,
            door=door,
            side=side,
            person=person.name_ja,
            reader=reader,
            shown=shown,
            released=released,
            walking=walking,
            took_ms=round((time.monotonic() - began) * 1000),
            was_sent=was_sent,
        )

    def open(self, door: str, *, side: str = "in") -> bool:
        """Push the leaf (side "in") or turn the handle inside (side "out"). True = it is open."""
        return self._do(door, Deed.PUSH if side == "in" else Deed.HANDLE)

    def close(self, door: str) -> bool:
        """Take away what props it and shut the leaf. True = it is closed."""
        self._do(door, Deed.CLEAR)
        return not self._do(door, Deed.CLOSE)

    def force(self, door: str) -> bool:
        """Break it open. True, always."""
        return self._do(door, Deed.FORCE)

    def prop(self, door: str) -> bool:
        """Put something between: an open leaf will not close until `close`. True = it stands open now."""
        return self._do(door, Deed.PROP)

    def rex(self, door: str, *, walk: bool = True, card: str | None = None, wait_ms: int = WAIT_MS) -> bool:
        """Press REX inside and, with `walk`, leave: when the strike lets go, or after a second by the handle alone.

        `card`: who leaves; None = whoever is inside. True = the strike let go within `wait_ms`.
        """
        rig, where = self.fittings.rig(door), self._doors[door]
        leaver = card or self.crowd.anybody_in(where.to_zone, besides="") or ""
        after = self.journal.last
        was_on = rig.door.is_strike_on
        leave = self._walk(where, leaver, inward=False)
        steps = _Once(leave.begin)

        def press() -> None:
            rig.do(Deed.REX_DOWN)
            self.loop.call_in(self.pace.press_ms, lambda: _discard(rig.do(Deed.REX_UP)))
            if walk:
                rig.when_released(steps)
                self.loop.call_in(REX_PATIENCE_MS, steps)

        self.loop.run(press)
        return (
            was_on
            or self.journal.wait_for("strike", door, after=after, timeout_s=wait_ms / 1e3, is_on=True) is not None
        )

    def tailgate(self, door: str, *, card: str | None = None, side: str = "in", wait_ms: int = WAIT_MS) -> bool:
        """Slip through behind somebody, now or when the leaf next opens within `wait_ms`. True = slipped through."""
        rig, where = self.fittings.rig(door), self._doors[door]
        here, there = (where.from_zone, where.to_zone)[:: 1 if side == "in" else -1]
        after = self.journal.last
        is_open = rig.door.is_open or self.journal.wait_for(
            "contact", door, after=after, timeout_s=wait_ms / 1e3, is_open=True
        )
        if not is_open:
            return False
        slipper = card or self.crowd.anybody_in(here, besides="") or ""
        self.crowd.moves(slipper, there)
        self.journal.note("walk", door, card=slipper.upper(), to=there, tailgating=True)
        return True

    def cut(self, line: str) -> None:
        """Cut a device off, by its id or link: a pty gives EIO, an MQTT device vanishes without a goodbye."""
        self.fittings.cut(line)

    def mend(self, line: str) -> None:
        """Undo `cut`."""
        self.fittings.mend(line)

    def wait_for(
        self, what: str, where: str, *, after: int = 0, timeout_s: float = 3.0, **detail: object
    ) -> Entry | None:
        """Journal.wait_for: the first such entry after `after`."""
        return self.journal.wait_for(what, where, after=after, timeout_s=timeout_s, **detail)

    def state(self) -> dict[str, object]:
        """How everything stands, as JSON-ready values."""
        return self.loop.run(self._state)

    # -- parts of the hands ---------------------------------------------------------------------------------------

    def _present(self, reader: str, card: Card, rig: DoorRig) -> bool:
        """Hold the card to the reader; a serial reader has it until the strike moves or the arm gets tired."""
        if reader in self.fittings.readers:
            return self.loop.run(lambda: self.fittings.readers[reader].present(card.number))
        wire, chip = self.fittings.wires[reader], self.fittings.chips[reader]
        take_away = _Once(lambda: wire.touch(lambda now: chip.take(card, now)))

        def hold(now_ms: int) -> None:
            chip.place(card, now_ms)
            if not rig.door.is_strike_on:
                rig.when_released(take_away)
            self.loop.call_in(self.pace.hold_ms, take_away)

        wire.touch(hold)
        return not wire.is_cut

    def _watch(self, door: str, reader: str, *, after: int, wait_ms: int, was_on: bool) -> str | None:
        """Wait until what can be seen at the door is clear; hand back what the reader showed."""
        until = time.monotonic() + wait_ms / 1e3
        has_display = reader in self.fittings.readers
        shown: str | None = None
        is_released = was_on
        cursor = after
        while (left := until - time.monotonic()) > 0:
            is_settled = is_released if not has_display else shown is not None and (shown != "granted" or is_released)
            if is_settled:
                break
            entry = self.journal.wait(lambda one: _matters(one, door, reader), after=cursor, timeout_s=left)
            if entry is None:
                break
            cursor = entry.seq
            if entry.what == "show":
                shown = str(entry.detail["show"])
            else:
                is_released = True
        return shown

    def _seen_strike(self, door: str, after: int, wait_ms: int = 0) -> bool:
        found = self.journal.wait_for("strike", door, after=after, timeout_s=wait_ms / 1e3, is_on=True)
        return found is not None

    def _walk(self, where: DoorPlan, card: str, *, inward: bool) -> Walk:
        there = where.to_zone if inward else where.from_zone

        def passed() -> None:
            if card:
                self.crowd.moves(card, there)
            self.journal.note("walk", where.id, card=card.upper(), to=there, tailgating=False)

        deed = Deed.PUSH if inward else Deed.HANDLE
        return Walk(loop=self.loop, rig=self.fittings.rigs[where.id], pace=self.pace, deed=deed, passed=passed)

    def _do(self, door: str, deed: Deed) -> bool:
        rig = self.fittings.rig(door)

        def perform() -> bool:
            rig.do(deed)
            return rig.door.is_open

        return self.loop.run(perform)

    # -- state ----------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, object]:
        return {
            "name": self.plan.name.model_dump(),
            "zones": [zone.model_dump() for zone in self.plan.zones],
            "doors": [door.model_dump() | asdict(self.fittings.rigs[door.id].door) for door in self.plan.doors],
            "devices": [self.fittings.device_state(device.id, device.kind) for device in self.plan.devices],
            "people": [asdict(one) | {"zone": self.crowd.zone_of(one.card)} for one in self.crowd.people.values()],
            "last": self.journal.last,
        }


class _Once:
    """Calls `what` the first time only."""

    def __init__(self, what: Callable[[], None]) -> None:
        self._what: Callable[[], None] | None = what

    def __call__(self) -> None:
        what, self._what = self._what, None
        if what is not None:
            what()


def _matters(entry: Entry, door: str, reader: str) -> bool:
    """Whether somebody at the door would take this for an answer."""
    is_strike = entry.what == "strike" and entry.where == door and entry.detail.get("is_on") is True
    return is_strike or (entry.what == "show" and entry.where == reader)


def _discard(_changed: object) -> None:
    """An alarm wants no answer."""
