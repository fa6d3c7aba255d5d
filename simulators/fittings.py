"""Everything screwed to the walls of a simulated building: devices on their wires, doors joined to them.

Owns the assembly from the plan, the plugging in and out, and the cutting of single lines. No hands, no people.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from simulators.journal import Journal
from simulators.lcus import LcusBoard
from simulators.loop import Loop
from simulators.modbus_wall import BoardInputs, ModbusWall
from simulators.mqtt_devices import MqttDoor, MqttReader
from simulators.mqtt_profiles import BoughtDevice
from simulators.osdp.wall import OsdpInputs, OsdpWall
from simulators.plan import LcusPlan, MqttDoorPlan, MqttProfilePlan, MqttReaderPlan, Plan, Pn532Plan
from simulators.pn532 import Pn532
from simulators.pn532_field import AirTime
from simulators.rig import DoorRig
from simulators.wire import SerialWire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulators.cards import Card
    from simulators.modbus import ModbusBoard


Sensor = MqttDoor | BoughtDevice | OsdpInputs | BoardInputs


class NotHere(LookupError):
    """No door, device or reader of that name; the text says which there are."""


class Fittings:
    """The devices and doors of one plan, by id."""

    def __init__(self, plan: Plan, *, run_dir: Path, broker: tuple[str, int]) -> None:
        """`run_dir`: where the links to the ptys stand. `broker`: host, port."""
        self.loop = Loop()
        self.journal = Journal()
        self.wires: dict[str, SerialWire] = {}
        self.chips: dict[str, Pn532] = {}
        self.boards: dict[str, LcusBoard | ModbusBoard] = {}
        self.readers: dict[str, MqttReader] = {}
        self.sensors: dict[str, Sensor] = {}
        self.bought: dict[str, BoughtDevice] = {}
        self.rigs: dict[str, DoorRig] = {}
        self._plan = plan
        self._run_dir = run_dir
        self._links: dict[str, str] = {}
        self._build_devices(broker)
        self.osdp = OsdpWall(
            plan.devices, loop=self.loop, journal=self.journal, run_dir=run_dir, on_output=self._osdp_switched
        )
        self.wires |= self.osdp.wires
        self._links |= {wire.link.name: bus for bus, wire in self.osdp.wires.items()}
        self.modbus = ModbusWall(plan.devices, loop=self.loop, run_dir=run_dir, switches=self._switches)
        self.boards |= self.modbus.boards
        self.wires |= self.modbus.wires
        self._links |= {wire.link.name: board for board, wire in self.modbus.wires.items()}
        self._build_doors()

    def start(self, timeout_s: float) -> None:
        """Plug everything in. Raises BrokerUnreachable when the broker does not answer within `timeout_s`."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self.loop.start()
        try:
            for wire in self.wires.values():
                wire.mend()
            self._on_each_session(lambda device: device.session.connect(timeout_s))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Unplug everything: links removed, devices said goodbye, threads ended."""
        self._on_each_session(lambda device: device.session.close())
        for wire in self.wires.values():
            wire.cut()
        self.loop.stop()

    def rig(self, door: str) -> DoorRig:
        """The door of that name. Raises NotHere."""
        if door not in self.rigs:
            raise NotHere(f"no door {door!r}; there are {', '.join(self.rigs)}")
        return self.rigs[door]

    def cut(self, line: str) -> None:
        """Cut a device off, by its id or link: a pty gives EIO, an MQTT device vanishes without a goodbye, an OSDP
        reader is cut off its pair and lives on.
        """
        device = self._links.get(line, line)
        if device in self.wires:
            self.wires[device].cut()
        elif device in self.osdp.readers:
            self.osdp.touch(device, lambda reader, bus, _now_ms: bus.cut(reader))
        else:
            self._mqtt(device).session.drop()
        self.journal.note("line", device, is_cut=True)

    def mend(self, line: str) -> None:
        """Undo `cut`. Raises BrokerUnreachable."""
        device = self._links.get(line, line)
        if device in self.wires:
            self.wires[device].mend()
        elif device in self.osdp.readers:
            self.osdp.touch(device, lambda reader, bus, _now_ms: bus.mend(reader))
        else:
            session = self._mqtt(device).session
            if not session.is_up:
                session.drop()
                session.connect()
        self.journal.note("line", device, is_cut=False)

    def device_state(self, device: str, kind: str) -> dict[str, object]:
        """How one device stands, as JSON-ready values. From the loop's thread."""
        if device in self.osdp.readers:
            return {"id": device, "kind": kind} | self.osdp.state(device)
        if device not in self.wires:
            found = self._mqtt(device)
            stands: dict[str, object] = {
                "id": device,
                "kind": kind,
                "is_cut": not found.session.is_up,
                "mqtt": found.session.protocol.name,
                "ignored": dict(found.ignored),
            }
            if isinstance(found, BoughtDevice):
                return stands | {"profile": found.profile, "has_keypad": found.has_keypad, "shown": found.shown}
            if isinstance(found, MqttReader):
                return stands | {"has_keypad": found.has_keypad, "shown": found.shown, "number": found.number}
            return stands | {"has_counter": found.has_counter, "faults": dict(found.faults)}
        wire, board = self.wires[device], self.boards.get(device)
        return {
            "id": device,
            "kind": kind,
            "is_cut": wire.is_cut,
            "link": str(wire.link),
            "relays": {str(channel): is_on for channel, is_on in board.states.items()} if board else {},
            "ignored": dict(board.ignored) if board else {},
        }

    def _build_devices(self, broker: tuple[str, int]) -> None:
        for device in self._plan.devices:
            if isinstance(device, Pn532Plan):
                self.chips[device.id] = chip = Pn532(
                    self._reports(device.id),
                    air=None if device.baud is None else AirTime(),
                    on_speed=self._speeds(device.id),
                )
                self._string(device, chip)
            elif isinstance(device, LcusPlan):
                self.boards[device.id] = board = LcusBoard(device.channels, self._switches(device.id))
                self._string(device, board)
            elif isinstance(device, MqttReaderPlan):
                self.readers[device.id] = MqttReader(
                    device.id, loop=self.loop, journal=self.journal, broker=broker, has_keypad=device.keypad
                )
            elif isinstance(device, MqttProfilePlan):
                self.bought[device.id] = self.sensors[device.id] = BoughtDevice(
                    device.id,
                    device.profile,
                    loop=self.loop,
                    journal=self.journal,
                    broker=broker,
                    topic=device.topic,
                    channel=device.channel,
                )
            elif isinstance(device, MqttDoorPlan):
                self.sensors[device.id] = MqttDoor(
                    device.id,
                    loop=self.loop,
                    journal=self.journal,
                    broker=broker,
                    has_strike=device.strike,
                    has_counter=device.counter,
                )

    def _string(self, device: Pn532Plan | LcusPlan, core: Pn532 | LcusBoard) -> None:
        self.wires[device.id] = SerialWire(self.loop, core, self._run_dir / device.link, baud=device.baud)
        self._links[device.link] = device.id

    def _build_doors(self) -> None:
        for door in self._plan.doors:
            if door.sensor in self.osdp.readers:
                self.sensors[door.sensor] = self.osdp.inputs_of(door.sensor)
            elif ":" in door.sensor:
                self.sensors[door.sensor] = self.modbus.inputs_of(door.sensor)
            sensor = self.sensors[door.sensor]
            rig = DoorRig(door.id, self.journal, on_line=sensor.line, lock_type=door.lock_type)
            self.rigs[door.id] = rig
            if door.strike is None:
                sensor.on_strike = rig.strike
            elif door.strike.board in self.bought:
                self.bought[door.strike.board].on_strike = rig.strike

    def _reports(self, device: str) -> Callable[[Card, int], None]:
        def reported(card: Card, _now_ms: int) -> None:
            self.journal.note("card", device, number=card.number.hex())

        return reported

    def _speeds(self, device: str) -> Callable[[int], None]:
        def changed(baud: int) -> None:
            wire = self.wires.get(device)
            if wire is not None and wire.baud is not None:  # an unpaced line stays one
                wire.baud = baud

        return changed

    def _switches(self, board: str) -> Callable[[int, bool, int], None]:
        def switched(channel: int, is_on: bool, _now_ms: int) -> None:
            self.journal.note("relay", f"{board}/{channel}", is_on=is_on)
            for door in self._plan.doors:
                if door.strike is not None and (door.strike.board, door.strike.channel) == (board, channel):
                    self.rigs[door.id].strike(is_on)

        return switched

    def _osdp_switched(self, reader: str, number: int, is_on: bool) -> None:
        self._switches(reader)(number, is_on, 0)
        own = self.sensors.get(reader)
        if number == 1 and own is not None:
            own.on_strike(is_on)

    def _on_each_session(self, what: Callable[[MqttReader | MqttDoor | BoughtDevice], None]) -> None:
        lines = [one for one in self.sensors.values() if not isinstance(one, OsdpInputs | BoardInputs)]
        devices: list[MqttReader | MqttDoor | BoughtDevice] = [*self.readers.values(), *lines]
        if devices:
            with ThreadPoolExecutor(len(devices)) as pool:
                list(pool.map(what, devices))

    def _mqtt(self, device: str) -> MqttReader | MqttDoor | BoughtDevice:
        found = self.readers.get(device) or self.sensors.get(device)
        if found is None or isinstance(found, OsdpInputs | BoardInputs):
            names = [*self.wires, *self.readers, *self.sensors]
            raise NotHere(f"no line or device {device!r}; there are {', '.join(names)}")
        return found
