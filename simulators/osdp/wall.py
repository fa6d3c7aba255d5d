"""OSDP readers screwed to the walls of a building: pairs on ptys, readers on pairs, doors wired to readers' terminals.

Owns the assembly and the notes in the journal. What a person sees at a reader (its words, or the colour of its lamp)
is noted as `show`, as for other readers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulators.osdp.bus import OsdpBus
from simulators.osdp.functions import Make
from simulators.osdp.reader import OsdpReader
from simulators.osdp.words import Colour, Identity
from simulators.plan import OsdpBusPlan, OsdpReaderPlan
from simulators.wire import SerialWire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from simulators.journal import Journal
    from simulators.loop import Loop

PLACES = {"contact": 0, "rex": 1, "fire": 2, "power": 3}
NORMALLY_CLOSED = frozenset(("contact", "tamper", "fire", "power"))  # a cut loop looks like an open leaf
WORDS = {
    "OK": "granted",
    "NO ENTRY": "refused",
    "OUT OF ORDER": "out_of_order",
    "ENTER PIN": "enter_pin",
    "SECOND CARD": "second_card",
    "AGAIN": "not_read",
}
LAMPS = {Colour.green: "granted", Colour.red: "refused", Colour.amber: "out_of_order", Colour.blue: "enter_pin"}


SERIALS_FROM = 0x5E000000


class OsdpInputs:
    """A door's lines at an OSDP reader: two wires each, no resistors, so that a broken loop looks like a state."""

    has_counter = False

    def __init__(self, device: str, reader: OsdpReader, touch: Callable[[Callable[[int], None]], None]) -> None:
        self.device = device
        self.faults: dict[str, str] = {}
        self.on_strike: Callable[[bool], None] = lambda _is_on: None
        self._reader = reader
        self._touch = touch
        self._levels: dict[str, bool] = {}

    def line(self, line: str, is_active: bool) -> None:
        """What hangs on `line` changed. From the loop's thread."""
        self._levels[line] = is_active
        if line not in self.faults:
            self._set(line, is_active)

    def break_loop(self, line: str, fault: str | None) -> None:
        """Cut or short two wires, or mend them. From the loop's thread."""
        if fault is None:
            self.faults.pop(line, None)
            self._set(line, self._levels.get(line, False))
            return
        self.faults[line] = fault
        self._set(line, (fault == "cut") == (line in NORMALLY_CLOSED))

    def count(self, _people: int) -> bool:
        """No OSDP reader counts people."""
        raise ValueError("an OSDP reader has no people counter")

    def _set(self, line: str, is_active: bool) -> None:
        functions = self._reader.functions

        def perform(now_ms: int) -> None:
            if line == "tamper":
                functions.set_tamper(is_active, now_ms)
            elif PLACES[line] < len(functions.inputs) and functions.inputs[PLACES[line]] != is_active:
                functions.set_input(PLACES[line], is_active)

        self._touch(perform)


class OsdpWall:
    """All OSDP readers of one plan, by id. `on_output(reader, number, is_on)`: an output (from 1) moved."""

    def __init__(
        self,
        plans: Iterable[object],
        *,
        loop: Loop,
        journal: Journal,
        run_dir: Path,
        on_output: Callable[[str, int, bool], None],
    ) -> None:
        self.readers: dict[str, OsdpReader] = {}
        self.buses: dict[str, OsdpBus] = {}
        self.wires: dict[str, SerialWire] = {}
        self.bus_of: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        self._journal = journal
        self._on_output = on_output
        self._flashes: dict[str, Path] = {}
        self._run_dir = run_dir
        plans = list(plans)
        for bus in (one for one in plans if isinstance(one, OsdpBusPlan)):
            members = [one for one in plans if isinstance(one, OsdpReaderPlan) and one.bus == bus.id]
            self.buses[bus.id] = core = OsdpBus(self._reader(one, bus.baud) for one in members)
            self.wires[bus.id] = SerialWire(
                loop, core, run_dir / bus.link, baud=bus.baud, is_pair=True, hears_speed=bus.hears_speed
            )

    def touch(self, reader: str, what: Callable[[OsdpReader, OsdpBus, int], None]) -> None:
        """Run `what(reader, bus, now_ms)` beside the line, then send what is to be sent. From any thread."""
        bus = self.bus_of[reader]
        self.wires[bus].touch(lambda now_ms: what(self.readers[reader], self.buses[bus], now_ms))

    def inputs_of(self, reader: str) -> OsdpInputs:
        """The terminals of one reader."""
        return OsdpInputs(
            reader, self.readers[reader], lambda what: self.touch(reader, lambda _one, _bus, now: what(now))
        )

    def state(self, reader: str) -> dict[str, object]:
        """How one reader stands, as JSON-ready values. From the loop's thread."""
        one, bus = self.readers[reader], self.buses[self.bus_of[reader]]
        return {
            "bus": self.bus_of[reader],
            "address": one.address,
            "is_cut": not bus.is_connected(one),
            "has_keypad": one.functions.make.has_keypad,
            "shown": self.shown.get(reader),
            "number": "",
            "serial": one.identity.serial,
            "has_key": one.key is not None,
            "is_secure": one.is_secure,
            "holds_install_mode": one.mischief.holds_install_mode,
            "colour": one.functions.face.colour,
            "text": one.functions.face.text,
            "outputs": list(one.functions.face.outputs),
            "waiting": len(one.functions.events),
            "ignored": {},
        }

    def _reader(self, plan: OsdpReaderPlan, baud: int) -> OsdpReader:
        self.bus_of[plan.id] = plan.bus
        key = None if plan.key is None else bytes.fromhex(plan.key)
        serial = SERIALS_FROM + plan.address if plan.serial is None else plan.serial
        if plan.remembers:
            self._flashes[plan.id] = flash = self._run_dir / f"{plan.id}.flash"
            key, serial = _remembered(flash, key, serial)
        self.readers[plan.id] = made = OsdpReader(
            plan.address,
            key=key,
            identity=Identity(serial=serial),
            make=Make(
                inputs=plan.inputs,
                outputs=plan.outputs,
                has_keypad=plan.keypad,
                has_display=plan.display,
                pkoc=plan.pkoc,
            ),
            baud=baud,
            note=lambda what, detail, _now_ms: self._note(plan.id, what, detail),
        )
        return made

    def _note(self, reader: str, what: str, detail: dict[str, object]) -> None:
        self._journal.note(what, reader, **detail)
        if what == "output":
            number = detail["output"]
            assert isinstance(number, int)
            self._on_output(reader, number + 1, bool(detail["is_on"]))
        elif what in ("keyset", "reset", "swap") and reader in self._flashes:
            one = self.readers[reader]
            kept = {"key": None if one.key is None else one.key.hex(), "serial": one.identity.serial}
            self._flashes[reader].write_text(json.dumps(kept), "utf-8")
        elif what in ("text", "led") and (show := self._seen(reader, what, detail)) is not None:
            self.shown[reader] = show
            said = str(detail["text"]) if what == "text" else ""
            number = said.rpartition(" ")[2] if said.startswith("NO ENTRY ") else ""
            self._journal.note("show", reader, show=show, number=number)

    def _seen(self, reader: str, what: str, detail: dict[str, object]) -> str | None:
        """What somebody at the reader takes it for; the lamp matters only where there are no words."""
        if what == "text":
            return next((show for words, show in WORDS.items() if str(detail["text"]).startswith(words)), None)
        if self.readers[reader].functions.make.has_display or not detail["for_ms"]:
            return None
        return LAMPS.get(Colour[str(detail["colour"])])


def _remembered(flash: Path, key: bytes | None, serial: int) -> tuple[bytes | None, int]:
    """What the reader kept when the building stopped, or what its plan says."""
    if not flash.exists():
        return key, serial
    kept = json.loads(flash.read_text("utf-8"))
    return None if kept["key"] is None else bytes.fromhex(kept["key"]), kept["serial"]
