"""The wires of a site file: which device hangs where, each used once, none that the network could be fooled through."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final, get_args
from urllib.parse import urlsplit

from controller.site_file import DeviceKind, DeviceSection, PortalSection, SiteFile, Source
from readers import profiles
from readers.events import CardScheme
from readers.protocols.modbus import BAUD as MODBUS_BAUD
from readers.protocols.modbus import SAMPLE_GAP_MS_MAX, ModbusBoardPlan, sample_gap_ms
from readers.protocols.mqtt_profiles import OURS, MqttDevice
from readers.protocols.pn532_speed import BAUD_CODES, FIRST_BAUD
from readers.protocols.supervised import InputPlan, Loop
from zones.ids import PortalId
from zones.places import LinkAssurance

_PORT: Final = "for example /dev/serial/by-id/…"
_RELAYS: Final = "how many relays the board has"
KEYS: Final[dict[DeviceKind, tuple[dict[str, str], frozenset[str]]]] = {
    DeviceKind.PN532: ({"port": _PORT}, frozenset({"baud"})),
    DeviceKind.LCUS: ({"port": _PORT, "channels": _RELAYS}, frozenset({"baud"})),
    DeviceKind.PYNFC: ({"connection": "for example pn532_uart:/dev/ttyUSB0"}, frozenset()),
    DeviceKind.MQTT: ({}, frozenset({"keypad", "profile", "topic", "channel"})),
    DeviceKind.OSDP_BUS: ({"port": _PORT}, frozenset({"baud"})),
    DeviceKind.OSDP: (
        {"bus": "the id of an osdp-bus", "address": "0 to 126, as set in the reader"},
        frozenset({"keypad", "channels", "input_count", "offline_after_ms"}),
    ),
    DeviceKind.MODBUS: (
        {"port": _PORT, "unit": "1 to 247, as set in the board", "channels": _RELAYS},
        frozenset({"baud", "input_count", "has_flash", "tamper_input", "loops"}),
    ),
    DeviceKind.GPIO: ({}, frozenset({"pins", "relay_pins", "tamper_input"})),
}
"""Which keys a device needs, with an example, and which it may have, by its kind."""

DEVICE_KEYS: Final = frozenset().union(*(needed.keys() | allowed for needed, allowed in KEYS.values()))

READERS: Final = frozenset({DeviceKind.PN532, DeviceKind.PYNFC, DeviceKind.MQTT, DeviceKind.OSDP})
BOARDS: Final = frozenset({DeviceKind.MODBUS, DeviceKind.GPIO})
"""Devices with several inputs, each named `device:number`."""

WITH_INPUTS: Final = BOARDS | {DeviceKind.MQTT, DeviceKind.OSDP}
SHARED_PORT: Final = frozenset({DeviceKind.MODBUS})
WITH_RELAYS: Final = frozenset({DeviceKind.LCUS, DeviceKind.MODBUS, DeviceKind.GPIO, DeviceKind.OSDP})
_LINE_OF: Final = {"fire_input": "fire", "power_input": "power"}
CHALLENGING: Final[dict[DeviceKind, frozenset[str]]] = {
    DeviceKind.PN532: frozenset(get_args(CardScheme)),
    DeviceKind.OSDP: frozenset({"pkoc"}),
}
"""Readers through which a card can be asked to prove itself, and for what."""

TELLING: Final = frozenset(
    {
        *("clearance", "cleared", "secret", "topsecret", "confidential", "classified"),
        *("himitsu", "tokutei", "keizai", "anpo", "boei", "hogo"),
    }
)
"""Words that may not stand in a name that goes over the wires (E-11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Where a portal's strike hangs: `channel` counts from 1 on a relay board, None on an MQTT device."""

    device: str
    channel: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Which device belongs to which portal. Inputs map the source of a line's events to a portal: a device, or
    `device:number` on boards with several.

    `tampers`: every source that may tell of an enclosure, with the portal it serves (None: none). `fire_inputs`,
    `power_inputs`: sources whose line is the site's. `keypads`: readers whose digits are taken. `links`: what protects
    the line of each reader. `inputs`: of each board or module, which of its inputs (from 1) is which line.
    `challenging`: which schemes each reader can ask a card for; none: it is not there. `secured`: readers on a line
    with a secure channel; `buses`: those lines.
    """

    strikes: dict[PortalId, Strike]
    entry_readers: dict[str, PortalId]
    exit_readers: dict[str, PortalId]
    contacts: dict[str, PortalId]
    rexes: dict[str, PortalId]
    counters: dict[str, PortalId] = field(default_factory=dict)
    tampers: dict[str, PortalId | None] = field(default_factory=dict)
    fire_inputs: frozenset[str] = frozenset()
    power_inputs: frozenset[str] = frozenset()
    keypads: frozenset[str] = frozenset()
    links: dict[str, LinkAssurance] = field(default_factory=dict)
    inputs: dict[str, dict[int, str]] = field(default_factory=dict)
    challenging: dict[str, frozenset[str]] = field(default_factory=dict)
    secured: frozenset[str] = frozenset()
    buses: frozenset[str] = frozenset()


def device_of(source: str) -> str:
    """The device behind the source of an event: `board` of `board:3`."""
    return source.partition(":")[0]


class Wires:
    """Holds the devices of a file against each other and against the portals that use them."""

    def __init__(self, source: Source, file: SiteFile) -> None:
        self._refuse = source.refusal
        self._file = file
        self._devices = {device.id: device for device in file.device}

    def check(self) -> None:
        """Raises SiteFileError at the first device that is not in order."""
        self._check_discreet(".controller.node", self._file.controller.node)
        for index, device in enumerate(self._file.device):
            self._check_device(index, device)

    def _check_discreet(self, where: str, name: str) -> None:
        if told := set(name.split("-")) & TELLING:
            why = f"{min(told)!r} tells all who see the wires what is kept here (E-11): rename it"
            raise self._refuse(where, why)

    def _check_device(self, index: int, device: DeviceSection) -> None:
        where = f".device[{index}]"
        self._check_discreet(f"{where}.id", device.id)
        needed, allowed = KEYS[device.kind]
        for key, example in needed.items():
            if getattr(device, key) is None:
                raise self._refuse(where, f"{device.id} needs `{key}`, {example}")
        for key in DEVICE_KEYS - needed.keys() - allowed:
            if getattr(device, key) is not None:
                raise self._refuse(f"{where}.{key}", f"a device of kind {device.kind.value} has no `{key}`")
        if device.kind is DeviceKind.MQTT and self._file.mqtt is None:
            raise self._refuse(where, f"{device.id} speaks MQTT: add a section [mqtt] with `host`")
        if device.port is not None:
            self._check_port(index, device.port)
        if device.kind is DeviceKind.MQTT:
            self._check_profile(index, device)
        if device.kind is DeviceKind.OSDP:
            self._check_on_bus(index, device)
        if device.kind is DeviceKind.GPIO and set(device.pins or ()) & set(device.relay_pins or ()):
            raise self._refuse(f"{where}.pins", "a pin is an input or moves a relay, not both")

    def _check_profile(self, index: int, device: DeviceSection) -> None:
        where = f".device[{index}]"
        if device.profile not in (None, *profiles.names()):
            raise self._refuse(f"{where}.profile", f"{device.profile!r} is not one of {', '.join(profiles.names())}")
        for key in ("topic", "channel") if device.profile in (None, OURS) else ():
            if getattr(device, key) is not None:
                raise self._refuse(
                    f"{where}.{key}", f"only with a `profile` other than {OURS}: ours are told by their id"
                )
        try:
            named = mqtt_device(device)
        except ValueError as error:
            raise self._refuse(f"{where}.topic", str(error)) from error
        if device.keypad:
            self._check_serves(f"{where}.keypad", device, "keys")
        self._check_discreet(f"{where}.topic", re.sub(r"[^a-z0-9]", "-", (device.topic or "").lower()))
        for other in self._file.device[:index]:
            if other.kind is DeviceKind.MQTT and _place(mqtt_device(other)) == _place(named):
                raise self._refuse(
                    f"{where}.topic", f"{other.id} is the same device: give one another `topic` or `channel`"
                )

    def _check_serves(self, where: str, device: DeviceSection, role: str) -> None:
        """A bought device must be able to be what the portal takes it for."""
        if device.kind is DeviceKind.MQTT and device.profile not in (None, OURS):
            assert device.profile is not None
            if role not in (serves := profiles.load(device.profile).serves):
                why = f"a {device.profile} cannot be this: it is good for {', '.join(sorted(serves))}"
                raise self._refuse(where, why)

    def _check_on_bus(self, index: int, device: DeviceSection) -> None:
        where = f".device[{index}]"
        bus = self._devices.get(device.bus or "")
        if bus is None or bus.kind is not DeviceKind.OSDP_BUS:
            raise self._refuse(f"{where}.bus", f"{device.bus!r} is not a declared device of kind osdp-bus")
        for other in self._file.device[:index]:
            if (other.bus, other.address) == (device.bus, device.address):
                raise self._refuse(f"{where}.address", f"{other.id} has this address on {device.bus} already")

    def _check_port(self, index: int, port: str) -> None:
        where = f".device[{index}].port"
        device = self._file.device[index]
        if port.startswith("socket://"):
            if self._file.simulation is None:
                raise self._refuse(where, "socket:// carries no authentication: only in a [simulation]")
            if not is_loopback(urlsplit(port).hostname or ""):
                raise self._refuse(where, "socket:// goes to this machine only, for example socket://127.0.0.1:7001")
        elif not port.startswith("/"):
            why = f"{port!r} is no serial line: an absolute path, best one under /dev/serial/by-id/ (it stays the same)"
            raise self._refuse(where, why)
        if device.kind is DeviceKind.PN532 and device.baud not in {None, FIRST_BAUD, *BAUD_CODES}:
            speeds = ", ".join(map(str, sorted(BAUD_CODES)))
            raise self._refuse(f".device[{index}].baud", f"a PN532 goes at {FIRST_BAUD}, or faster: {speeds}")
        for other in self._file.device[:index]:
            if other.port != port:
                continue
            if not {device.kind, other.kind} <= SHARED_PORT:
                raise self._refuse(where, f"{port!r} is the port of {other.id} already; one device a line")
            if device.baud != other.baud or device.unit == other.unit:
                raise self._refuse(where, f"{other.id} is on this line: the same `baud`, another `unit`")

    def wiring(self) -> Wiring:
        """Who uses which device. Raises SiteFileError on one that is not declared, of the wrong kind or used twice."""
        wiring = Wiring(strikes={}, entry_readers={}, exit_readers={}, contacts={}, rexes={})
        taken: dict[str, str] = {}
        links: dict[str, LinkAssurance] = {}
        for index, portal in enumerate(self._file.portal):
            portal_id = PortalId(portal.id)
            rows: tuple[tuple[str, str | None, dict[str, PortalId], frozenset[DeviceKind]], ...] = (
                ("entry_reader", portal.entry_reader, wiring.entry_readers, READERS),
                ("exit_reader", portal.exit_reader, wiring.exit_readers, READERS),
                ("contact", portal.contact, wiring.contacts, WITH_INPUTS),
                ("rex", portal.rex, wiring.rexes, WITH_INPUTS),
                ("counter", portal.counter, wiring.counters, frozenset({DeviceKind.MQTT})),
            )
            for key, named, table, kinds in rows:
                if named is not None:
                    source = self._take(f".portal[{index}].{key}", named, key, kinds, taken, wiring.inputs)
                    taken[_role(source, key)] = f"{key} of {portal.id}"
                    table[source] = portal_id
            wiring.strikes[portal_id] = self._strike(index, portal.strike, taken)
            self._check_rex_inside(index, portal)
            links |= self._links(index, portal)
        fire_inputs = self._site_input("fire_input", taken, wiring.inputs)
        power_inputs = self._site_input("power_input", taken, wiring.inputs)
        secured = frozenset(device.id for device in self._file.device if device.kind is DeviceKind.OSDP)
        tampers = self._tampers(wiring)
        self._check_sample_gaps(wiring.inputs)
        return replace(
            wiring,
            tampers=tampers,
            fire_inputs=fire_inputs,
            power_inputs=power_inputs,
            keypads=self._keypads(wiring),
            links=links,
            challenging=self._challenging(),
            secured=secured,
            buses=frozenset(device.id for device in self._file.device if device.kind is DeviceKind.OSDP_BUS),
        )

    def _check_rex_inside(self, index: int, portal: PortalSection) -> None:
        """Two wires behind a reader that anybody can take off the wall must not open the portal, nor one beside it."""
        outside = {one.entry_reader for one in self._file.portal if one.outer == portal.outer}
        if portal.rex is not None and (device := device_of(portal.rex)) in outside:
            why = f"{device} hangs on the unsecure side: whoever takes it off the wall presses REX (A-35, B-25)"
            raise self._refuse(f".portal[{index}].rex", f"{why}; use an input inside")

    def _check_sample_gaps(self, inputs: dict[str, dict[int, str]]) -> None:
        """Every input of a board must be looked at often enough to see a pulse of 400 ms (B-09)."""
        lines: dict[str | None, list[ModbusBoardPlan]] = {}
        for index, device in enumerate(self._file.device):
            if device.kind is not DeviceKind.MODBUS:
                continue
            try:
                wired = input_plans(device, inputs.get(device.id, {}))
            except ValueError as error:
                raise self._refuse(f".device[{index}].loops", str(error)) from error
            boards = lines.setdefault(device.port, [])
            boards.append(ModbusBoardPlan(id=device.id, unit=device.unit or 1, inputs=wired))
            gap_ms = sample_gap_ms(boards, device.baud or MODBUS_BAUD)
            if gap_ms > SAMPLE_GAP_MS_MAX:
                why = (
                    f"{gap_ms} ms between two looks at an input of this line: more `baud`, or fewer boards on it (B-09)"
                )
                raise self._refuse(f".device[{index}]", why)

    def _take(
        self,
        where: str,
        named: str,
        key: str,
        kinds: frozenset[DeviceKind],
        taken: dict[str, str],
        inputs: dict[str, dict[int, str]],
    ) -> str:
        """The source of the events of a line. Refuses a device that cannot serve as `key`, or serves already."""
        name, _, number = named.partition(":")
        device = self._devices.get(name)
        if device is None or device.kind not in kinds:
            raise self._refuse(where, f"{name!r} is not a declared device of kind {' or '.join(sorted(kinds))}")
        is_reader = "reader" in key
        self._check_serves(where, device, "reader" if is_reader else _LINE_OF.get(key, key))
        if not is_reader and device.kind is not DeviceKind.MQTT:
            self._take_input(where, device, number, _LINE_OF.get(key, key), inputs)
        elif number:
            raise self._refuse(where, f"{named!r}: {name} has no numbered inputs here; write {name!r}")
        source = named if device.kind in BOARDS else name
        if (role := _role(source, key)) in taken:
            raise self._refuse(where, f"{named!r} already serves as {taken[role]}")
        return source

    def _take_input(
        self, where: str, device: DeviceSection, number: str, line: str, inputs: dict[str, dict[int, str]]
    ) -> None:
        """One numbered input of a board or module becomes `line`."""
        known = (
            set(device.pins or ()) if device.kind is DeviceKind.GPIO else set(range(1, (device.input_count or 0) + 1))
        )
        if not re.fullmatch(r"0|[1-9][0-9]?", number) or int(number) not in known:
            has = "inputs " + ", ".join(map(str, sorted(known))) if known else "none: give it `input_count` or `pins`"
            raise self._refuse(where, f"write an input as `{device.id}:number`; {device.id} has {has}")
        of = inputs.setdefault(device.id, {})
        if int(number) in of or int(number) == device.tamper_input:
            already = of.get(int(number), "tamper")
            raise self._refuse(where, f"{device.id}:{number} already serves as {already}")
        of[int(number)] = line

    def _site_input(self, key: str, taken: dict[str, str], inputs: dict[str, dict[int, str]]) -> frozenset[str]:
        named = getattr(self._file.controller, key)
        if named is None:
            return frozenset()
        return frozenset({self._take(f".controller.{key}", named, key, WITH_INPUTS, taken, inputs)})

    def _tampers(self, wiring: Wiring) -> dict[str, PortalId | None]:
        """Any device on the broker or an OSDP bus may have an enclosure contact, and a board an input for it; what it
        serves is where the alarm is shown.
        """
        served = {strike.device: portal for portal, strike in wiring.strikes.items()}
        for table in (wiring.counters, wiring.rexes, wiring.contacts, wiring.exit_readers, wiring.entry_readers):
            served |= {device_of(source): portal for source, portal in table.items()}
        found: dict[str, PortalId | None] = {}
        for device in self._file.device:
            if device.kind in (DeviceKind.MQTT, DeviceKind.OSDP):
                found[device.id] = served.get(device.id)
            elif device.tamper_input is not None:
                wiring.inputs.setdefault(device.id, {})[device.tamper_input] = "tamper"
                found[f"{device.id}:{device.tamper_input}"] = served.get(device.id)
        return found

    def _challenging(self) -> dict[str, frozenset[str]]:
        """What a card can be asked for at each reader: by a PN532 all that the site asks, by OSDP PKOC alone."""
        asked: frozenset[str] = frozenset(() if self._file.cards is None else self._file.cards.schemes)
        found = {device.id: asked & CHALLENGING.get(device.kind, frozenset()) for device in self._file.device}
        return {reader: schemes for reader, schemes in found.items() if schemes}

    def _keypads(self, wiring: Wiring) -> frozenset[str]:
        keypads = frozenset(device.id for device in self._file.device if device.keypad)
        for index, device in enumerate(self._file.device):
            if device.id in keypads and device.id not in wiring.entry_readers:
                why = f"{device.id} is no portal's entry_reader: digits typed there would be asked for by nobody"
                raise self._refuse(f".device[{index}].keypad", why)
        return keypads

    def _links(self, index: int, portal: PortalSection) -> dict[str, LinkAssurance]:
        """What protects the lines of a portal's readers: TLS on the broker, on a serial line what the file declares."""
        where = f".portal[{index}].reader_link"
        readers = [name for name in (portal.entry_reader, portal.exit_reader) if name is not None]
        on_broker = [name for name in readers if self._devices[name].kind is DeviceKind.MQTT]
        on_bus = [name for name in readers if self._devices[name].kind is DeviceKind.OSDP]
        has_tls = self._file.mqtt is not None and self._file.mqtt.ca_file is not None
        links = dict.fromkeys(on_broker, LinkAssurance.ENCRYPTED if has_tls else LinkAssurance.CLEAR)
        links |= dict.fromkeys(on_bus, LinkAssurance.ENCRYPTED)  # never in clear: readers.protocols.osdp
        others = (name for name in readers if name not in links)
        on_serial = dict.fromkeys(others, LinkAssurance.CLEAR)
        if portal.reader_link is not None:
            if not on_serial:
                why = (
                    "no reader on a plain serial line is here; one on the broker is as safe as the broker's TLS"
                    " (ca_file), and OSDP is encrypted"
                )
                raise self._refuse(where, why)
            if portal.reader_link not in (LinkAssurance.CLEAR.name, LinkAssurance.CONDUIT.name):
                why = f"{portal.reader_link!r} is not one of CLEAR, CONDUIT: no serial reader here encrypts its line"
                raise self._refuse(where, why)
            on_serial = dict.fromkeys(on_serial, LinkAssurance[portal.reader_link])
        return links | on_serial

    def _strike(self, index: int, text: str, taken: dict[str, str]) -> Strike:
        where = f".portal[{index}].strike"
        name, _, channel = text.partition(":")
        device = self._devices.get(name)
        if device is not None and device.kind is DeviceKind.MQTT and not channel:
            self._check_serves(where, device, "strike")
            strike = Strike(device=name, channel=None)
        elif device is not None and device.kind in WITH_RELAYS and re.fullmatch(r"0|[1-9][0-9]?", channel):
            strike = Strike(device=name, channel=int(channel))
            if strike.channel not in _relays(device):
                raise self._refuse(where, f"{name} has {_relays_in_words(device)}")
        else:
            why = "is neither a declared MQTT device nor `board:channel` of a declared relay board"
            raise self._refuse(where, f"{text!r} {why}")
        if text in taken:
            raise self._refuse(where, f"{text!r} already serves as {taken[text]}")
        taken[text] = f"the strike of {self._file.portal[index].id}"
        return strike


def input_plans(device: DeviceSection, wired: dict[int, str]) -> tuple[InputPlan, ...]:
    """What hangs on the inputs of a board. ValueError for a loop of an input that nothing uses, or that cannot be."""
    loops = {one.input: Loop(quiet=one.quiet, active=one.active) for one in device.loops or ()}
    if unused := loops.keys() - wired.keys():
        raise ValueError(f"nothing of this site hangs on input {min(unused)} of {device.id}")
    return tuple(InputPlan(number=number, line=line, loop=loops.get(number)) for number, line in wired.items())


def mqtt_device(device: DeviceSection) -> MqttDevice:
    """A device on the broker, as `readers` wants it. ValueError for a topic that nobody may have."""
    return MqttDevice(device.id, device.profile or OURS, device.topic, device.channel)


def _place(device: MqttDevice) -> tuple[str, str, int | None]:
    """Where its messages come from; another profile may read other things out of the same."""
    return (device.profile, device.topic or device.id, device.channel)


def _relays(device: DeviceSection) -> set[int]:
    """The relays of a device by number: a board's channels from 1, a GPIO's pins."""
    if device.kind is DeviceKind.GPIO:
        return set(device.relay_pins or ())
    return set(range(1, (device.channels or 0) + 1))


def _relays_in_words(device: DeviceSection) -> str:
    if device.kind is DeviceKind.GPIO:
        return f"relay_pins {', '.join(map(str, device.relay_pins or ())) or '(none)'}"
    return f"channels 1 to {device.channels}" if device.channels else "no `channels`"


def _role(device: str, key: str) -> str:
    """A device has one reader, and one of each other line."""
    return f"{device}/{'reader' if 'reader' in key else key}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
