"""A simulated building: its devices on their wires, and the hands that touch it.

Owns the assembly and the hands (badge, type, push, force, close, REX, prop, tailgate, cut, mend, tamper, loops, fire,
power, people counted). The wire side belongs to the devices; nothing here knows what anybody may enter. Every hand may
be used from any thread but the building's own loop.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simulators.cards import Card
from simulators.door import Deed
from simulators.fittings import Fittings, NotHere
from simulators.osdp.hands import OsdpHands
from simulators.people import Crowd, Pace, Person, Walk
from simulators.plan import DoorPlan, Plan, load
from simulators.pockets import Held, Pockets

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from simulators.fittings import Sensor
    from simulators.journal import Entry
    from simulators.rig import DoorRig

WAIT_MS = 3000
PIN_PATIENCE_S = 8.0  # of a reader that asked for a PIN, less than it has
REX_PATIENCE_MS = 1000  # then the handle is turned whatever the strike did


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeReply:
    """What somebody at the door saw. `shown`: None where the reader has no display or showed nothing in time. `number`:
    of the refusal, "" where none was shown. `released`: the lock let go.
    """

    card: str
    door: str
    side: str
    person: str
    reader: str
    shown: str | None
    number: str
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
        self.osdp = OsdpHands(self.fittings)
        self.pace = pace or Pace()
        people = tuple(
            Person(
                name_ja=one.name.ja,
                name_en=one.name.en,
                card=one.card.upper(),
                kind=one.kind,
                pin=one.pin,
                duress_pin=one.duress_pin,
            )
            for one in self.plan.people
        )
        self.crowd = Crowd(people, self.plan.zones[0].id)
        self.pockets = Pockets(self.plan.master_keys())
        for one in self.plan.people:
            self.pockets.put(one.card.upper(), one.card_type, one.kind)
        self._doors = {door.id: door for door in self.plan.doors}
        self._holders: dict[str, str] = {}  # reader → whose card was held to it last
        self._asked: dict[str, float] = {}  # reader → until when it waits for that one's PIN

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

    def badge(
        self,
        card: str,
        *,
        door: str,
        side: str = "in",
        walk: bool = True,
        digits: str | None = None,
        held: Held = "own",
        wait_ms: int = WAIT_MS,
    ) -> BadgeReply:
        """Present `card` (hexadecimal) to the reader of that side; walk through if it grants and the lock lets go.
        `digits`: typed if the reader then asks for a PIN, or still does since this card was shown. `held`: the card
        itself, or what was made of it.

        Answers as soon as that is clear, at the latest after `wait_ms`; the walk goes on after the answer.
        Raises NotHere; ValueError for a bad number.
        """
        rig, reader = self.fittings.rig(door), self._reader(door, side)
        person = self.crowd.person(card)
        if digits is not None and held == "own" and self._waits_for(reader, person.card):
            return self.keys(digits, door=door, side=side, walk=walk, wait_ms=wait_ms)
        self._holders[reader] = person.card
        physical = self.pockets.held(person.card, person.kind, held)
        visit = _Visit(where=self._doors[door], side=side, reader=reader, card=person.card, walk=walk, wait_ms=wait_ms)
        reply = self._visit(visit, lambda: self._present(reader, physical, rig))
        if digits is None or reply.shown != "enter_pin":
            return reply
        return self.keys(digits, door=door, side=side, walk=walk, wait_ms=wait_ms)

    def keys(
        self, digits: str, *, door: str, side: str = "in", walk: bool = True, wait_ms: int = WAIT_MS
    ) -> BadgeReply:
        """Type 4 to 12 digits at the keypad of that side, as whoever presented a card there last, and walk through as
        after `badge`. Raises NotHere, also where there is no keypad; ValueError for what no keypad can send.
        """
        reader = self._reader(door, side)
        last_card, enter = self._keypad(reader)
        where = self._doors[door]
        visit = _Visit(where=where, side=side, reader=reader, card=last_card, walk=walk, wait_ms=wait_ms)
        return self._visit(visit, lambda: enter(digits))

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
        """Press REX inside and, with `walk`, leave: when the lock lets go, or after a second by the handle alone.

        `card`: who leaves; None = whoever is inside. True = the lock let go within `wait_ms`.
        """
        rig, where = self.fittings.rig(door), self._doors[door]
        leaver = card or self.crowd.anybody_in(where.to_zone, besides="") or ""
        after = self.journal.last
        was_released = not rig.door.is_locked
        leave = self._walk(where, leaver, inward=False)
        steps = _Once(leave.begin)

        def press() -> None:
            rig.do(Deed.REX_DOWN)
            self.loop.call_in(self.pace.press_ms, lambda: _discard(rig.do(Deed.REX_UP)))
            if walk:
                rig.when_released(steps)
                self.loop.call_in(REX_PATIENCE_MS, steps)

        self.loop.run(press)
        return was_released or self._seen_release(door, after, wait_ms)

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
        self.loop.run(lambda: self._counted(where))
        return True

    def tamper(self, door: str, *, is_open: bool) -> None:
        """Open or close the enclosure of the door's controller."""
        sensor = self._sensor(door)

        def open_or_close() -> None:
            self.journal.note("tamper", door, is_open=is_open)
            sensor.line("tamper", is_open)

        self.loop.run(open_or_close)

    def break_loop(self, door: str, *, line: str = "contact", fault: str | None) -> None:
        """Cut ("cut") or short ("short") the loop of one of the door's lines, or mend it (None)."""
        sensor = self._sensor(door)

        def break_or_mend() -> None:
            self.journal.note("loop", door, line=line, fault=fault)
            sensor.break_loop(line, fault)

        self.loop.run(break_or_mend)

    def fire(self, *, is_on: bool, door: str | None = None) -> None:
        """Begin or end the fire alarm at one door, or at all (None). Its contact lets go what is fail-safe, and keeps
        it so until `reset_fire`; no message takes part in that.
        """
        self._do_at(door, Deed.FIRE_ON if is_on else Deed.FIRE_OFF)

    def reset_fire(self, door: str | None = None) -> None:
        """Turn the key at the fire panel: fail-safe locks get their power back, unless the alarm is still on."""
        self._do_at(door, Deed.FIRE_RESET)

    def power(self, *, is_on: bool, door: str | None = None) -> None:
        """Cut the mains of one door's lock, or of all (None), or bring them back."""
        self._do_at(door, Deed.POWER_BACK if is_on else Deed.POWER_CUT)

    def count(self, people: int, *, door: str) -> bool:
        """Let the people counter above the door see so many pass. False = it could not tell anybody. Raises NotHere
        where there is none; ValueError for more than it can see.
        """
        sensor = self._sensor(door)
        if not sensor.has_counter:
            raise NotHere(f"door {door!r} has no people counter; give {sensor.device!r} counter = true")
        return self.loop.run(lambda: sensor.count(people))

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

    def _reader(self, door: str, side: str) -> str:
        self.fittings.rig(door)
        where = self._doors[door]
        reader = where.reader_in if side == "in" else where.reader_out
        if reader is None:
            raise NotHere(f"door {door!r} has no reader on the side {side!r}; use REX, or the other side")
        return reader

    def _shows(self, reader: str) -> bool:
        """Whether somebody at that reader sees what became of a card."""
        return reader in self.fittings.readers or reader in self.fittings.osdp.readers

    def _keypad(self, reader: str) -> tuple[str, Callable[[str], bool]]:
        """Who showed a card there last, and how digits are typed. Raises NotHere."""
        keypad = self.fittings.readers.get(reader) or self.fittings.bought.get(reader)
        if keypad is not None and keypad.has_keypad:
            return keypad.last_card, lambda digits: self.loop.run(lambda: keypad.enter(digits))
        if self.osdp.has_keypad(reader):
            return self._holders.get(reader, ""), lambda digits: self.osdp.type(reader, digits)
        raise NotHere(f"reader {reader!r} has no keypad; give its device keypad = true in the building file")

    def _waits_for(self, reader: str, card: str) -> bool:
        """Whether somebody who showed this card there need only type now."""
        return self._holders.get(reader) == card and time.monotonic() < self._asked.get(reader, 0.0)

    def _sensor(self, door: str) -> Sensor:
        self.fittings.rig(door)
        return self.fittings.sensors[self._doors[door].sensor]

    def _counted(self, where: DoorPlan) -> None:
        """Somebody passed: a people counter sees it. From the loop's thread."""
        sensor = self.fittings.sensors[where.sensor]
        if sensor.has_counter:
            sensor.count(1)

    def _visit(self, visit: _Visit, act: Callable[[], bool]) -> BadgeReply:
        """Do what somebody does at a reader, wait for what comes of it, and walk through where it may be done."""
        rig = self.fittings.rigs[visit.where.id]
        after, began = self.journal.last, time.monotonic()
        was_released = not rig.door.is_locked
        was_sent = act()
        wait_ms = visit.wait_ms if was_sent else 0
        shown, number = self._watch(rig.name, visit.reader, after=after, wait_ms=wait_ms, was_released=was_released)
        is_released = self.loop.run(lambda: not rig.door.is_locked) or self._seen_release(rig.name, after)
        released = is_released and shown in (None, "granted")  # it may have let go for somebody who came before
        if shown is None and self._waits_for(visit.reader, visit.card):
            shown = "enter_pin"  # as it did before
        self._asked[visit.reader] = time.monotonic() + PIN_PATIENCE_S if shown == "enter_pin" else 0.0
        walking = visit.walk and released and (shown == "granted" or not self._shows(visit.reader))
        if walking:
            self.loop.run(self._walk(visit.where, visit.card, inward=visit.side == "in").begin)
        return BadgeReply(
            card=visit.card,
            door=visit.where.id,
            side=visit.side,
            person=self.crowd.person(visit.card).name_ja,
            reader=visit.reader,
            shown=shown,
            number=number,
            released=released,
            walking=walking,
            took_ms=round((time.monotonic() - began) * 1000),
            was_sent=was_sent,
        )

    def _present(self, reader: str, card: Card, rig: DoorRig) -> bool:
        """Hold the card to the reader; a serial reader has it until the strike moves or the arm gets tired."""
        if reader in self.fittings.readers:
            return self.loop.run(lambda: self.fittings.readers[reader].present(card.number))
        if reader in self.fittings.bought:
            return self.loop.run(lambda: self.fittings.bought[reader].present(card.number))
        if reader in self.fittings.osdp.readers:
            return self.osdp.present(reader, card, self.pace.hold_ms)
        wire, chip = self.fittings.wires[reader], self.fittings.chips[reader]
        take_away = _Once(lambda: wire.touch(lambda now: chip.take(card, now)))

        def hold(now_ms: int) -> None:
            chip.place(card, now_ms)
            if rig.door.is_locked:
                rig.when_released(take_away)
            self.loop.call_in(self.pace.hold_ms, take_away)

        wire.touch(hold)
        return not wire.is_cut

    def _watch(self, door: str, reader: str, *, after: int, wait_ms: int, was_released: bool) -> tuple[str | None, str]:
        """Wait until what can be seen at the door is clear; hand back what the reader showed, and its number."""
        until = time.monotonic() + wait_ms / 1e3
        has_display = self._shows(reader)
        shown: str | None = None
        number = ""
        is_released = was_released
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
                shown, number = str(entry.detail["show"]), str(entry.detail["number"])
            else:
                is_released = True
        return shown, number

    def _seen_release(self, door: str, after: int, wait_ms: int = 0) -> bool:
        found = self.journal.wait_for("lock", door, after=after, timeout_s=wait_ms / 1e3, is_locked=False)
        return found is not None

    def _walk(self, where: DoorPlan, card: str, *, inward: bool) -> Walk:
        there = where.to_zone if inward else where.from_zone

        def passed() -> None:
            if card:
                self.crowd.moves(card, there)
            self.journal.note("walk", where.id, card=card.upper(), to=there, tailgating=False)
            self._counted(where)

        deed = Deed.PUSH if inward else Deed.HANDLE
        return Walk(loop=self.loop, rig=self.fittings.rigs[where.id], pace=self.pace, deed=deed, passed=passed)

    def _do(self, door: str, deed: Deed) -> bool:
        rig = self.fittings.rig(door)

        def perform() -> bool:
            rig.do(deed)
            return rig.door.is_open

        return self.loop.run(perform)

    def _do_at(self, door: str | None, deed: Deed) -> None:
        rigs = [self.fittings.rig(door)] if door is not None else list(self.fittings.rigs.values())

        def perform() -> None:
            for rig in rigs:
                rig.do(deed)

        self.loop.run(perform)

    # -- state ----------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, object]:
        return {
            "name": self.plan.name.model_dump(),
            "zones": [zone.model_dump() for zone in self.plan.zones],
            "doors": [self._door_state(door) for door in self.plan.doors],
            "devices": [self.fittings.device_state(device.id, device.kind) for device in self.plan.devices],
            "people": [asdict(one) | {"zone": self.crowd.zone_of(one.card)} for one in self.crowd.people.values()],
            "last": self.journal.last,
        }

    def _door_state(self, plan: DoorPlan) -> dict[str, object]:
        door, sensor = self.fittings.rigs[plan.id].door, self.fittings.sensors[plan.sensor]
        more = {"is_locked": door.is_locked, "faults": dict(sensor.faults), "has_counter": sensor.has_counter}
        return plan.model_dump() | asdict(door) | more


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Who does something at which reader, and what then."""

    where: DoorPlan
    side: str
    reader: str
    card: str  # "" = nobody knows whose
    walk: bool
    wait_ms: int


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
    is_release = entry.what == "lock" and entry.where == door and entry.detail.get("is_locked") is False
    return is_release or (entry.what == "show" and entry.where == reader)


def _discard(_changed: object) -> None:
    """An alarm wants no answer."""
