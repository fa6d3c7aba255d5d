"""The wires of a site file: which device hangs where, each used once, none that the network could be fooled through."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from controller.site_file import DeviceKind, DeviceSection, PortalSection, SiteFile, Source
from zones.ids import PortalId
from zones.places import LinkAssurance

DEVICE_KEYS: Final = frozenset({"port", "baud", "connection", "channels", "keypad"})
_PORT: Final = "for example /dev/serial/by-id/…"
KEYS: Final[dict[DeviceKind, tuple[dict[str, str], frozenset[str]]]] = {
    DeviceKind.PN532: ({"port": _PORT}, frozenset({"baud"})),
    DeviceKind.LCUS: ({"port": _PORT, "channels": "how many relays the board has"}, frozenset({"baud"})),
    DeviceKind.PYNFC: ({"connection": "for example pn532_uart:/dev/ttyUSB0"}, frozenset()),
    DeviceKind.MQTT: ({}, frozenset({"keypad"})),
}
"""Which keys a device needs, with an example, and which it may have, by its kind."""

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
    """Which device belongs to which portal. Inputs map the device of a line to a portal.

    `tampers`: every device that may tell of its enclosure, with the portal it serves (None: none). `fire_inputs`,
    `power_inputs`: devices whose line is the site's. `keypads`: readers whose digits are taken. `links`: what protects
    the line of each reader.
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

    def _check_port(self, index: int, port: str) -> None:
        where = f".device[{index}].port"
        if port.startswith("socket://"):
            if self._file.simulation is None:
                raise self._refuse(where, "socket:// carries no authentication: only in a [simulation]")
            if not is_loopback(urlsplit(port).hostname or ""):
                raise self._refuse(where, "socket:// goes to this machine only, for example socket://127.0.0.1:7001")
        for other in self._file.device[:index]:
            if other.port == port:
                raise self._refuse(where, f"{port!r} is the port of {other.id} already; one device a line")

    def wiring(self) -> Wiring:
        """Who uses which device. Raises SiteFileError on one that is not declared, of the wrong kind or used twice."""
        wiring = Wiring(strikes={}, entry_readers={}, exit_readers={}, contacts={}, rexes={})
        readers = {DeviceKind.PN532, DeviceKind.PYNFC, DeviceKind.MQTT}
        taken: dict[str, str] = {}
        links: dict[str, LinkAssurance] = {}
        for index, portal in enumerate(self._file.portal):
            portal_id = PortalId(portal.id)
            rows: tuple[tuple[str, str | None, dict[str, PortalId], set[DeviceKind]], ...] = (
                ("entry_reader", portal.entry_reader, wiring.entry_readers, readers),
                ("exit_reader", portal.exit_reader, wiring.exit_readers, readers),
                ("contact", portal.contact, wiring.contacts, {DeviceKind.MQTT}),
                ("rex", portal.rex, wiring.rexes, {DeviceKind.MQTT}),
                ("counter", portal.counter, wiring.counters, {DeviceKind.MQTT}),
            )
            for key, device, table, kinds in rows:
                if device is not None:
                    self._take(f".portal[{index}].{key}", device, key, kinds, taken)
                    taken[_role(device, key)] = f"{key} of {portal.id}"
                    table[device] = portal_id
            wiring.strikes[portal_id] = self._strike(index, portal.strike, taken)
            links |= self._links(index, portal)
        return replace(
            wiring,
            tampers=self._tampers(wiring),
            fire_inputs=self._site_input("fire_input", taken),
            power_inputs=self._site_input("power_input", taken),
            keypads=self._keypads(wiring),
            links=links,
        )

    def _take(self, where: str, device: str, key: str, kinds: set[DeviceKind], taken: dict[str, str]) -> None:
        """Refuse a device that cannot serve as `key`, or serves already."""
        if device not in self._devices or self._devices[device].kind not in kinds:
            raise self._refuse(where, f"{device!r} is not a declared device of kind {' or '.join(sorted(kinds))}")
        if (role := _role(device, key)) in taken:
            raise self._refuse(where, f"{device!r} already serves as {taken[role]}")

    def _site_input(self, key: str, taken: dict[str, str]) -> frozenset[str]:
        device = getattr(self._file.controller, key)
        if device is None:
            return frozenset()
        self._take(f".controller.{key}", device, key, {DeviceKind.MQTT}, taken)
        return frozenset({device})

    def _tampers(self, wiring: Wiring) -> dict[str, PortalId | None]:
        """Any device on the broker may have an enclosure contact; what it serves is where the alarm is shown."""
        served = {strike.device: portal for portal, strike in wiring.strikes.items()}
        for table in (wiring.counters, wiring.rexes, wiring.contacts, wiring.exit_readers, wiring.entry_readers):
            served |= table
        on_broker = (device.id for device in self._file.device if device.kind is DeviceKind.MQTT)
        return {device: served.get(device) for device in on_broker}

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
        has_tls = self._file.mqtt is not None and self._file.mqtt.ca_file is not None
        links = dict.fromkeys(on_broker, LinkAssurance.ENCRYPTED if has_tls else LinkAssurance.CLEAR)
        on_serial = dict.fromkeys((name for name in readers if name not in on_broker), LinkAssurance.CLEAR)
        if portal.reader_link is not None:
            if not on_serial:
                why = "no reader on a serial line is here; one on the broker is as safe as the broker's TLS (ca_file)"
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
            strike = Strike(device=name, channel=None)
        elif device is not None and device.kind is DeviceKind.LCUS and re.fullmatch(r"[1-9][0-9]?", channel):
            strike = Strike(device=name, channel=int(channel))
            if int(channel) > (device.channels or 0):
                raise self._refuse(where, f"{name} has channels 1 to {device.channels}")
        else:
            why = "is neither a declared MQTT device nor `board:channel` of a declared relay board"
            raise self._refuse(where, f"{text!r} {why}")
        if text in taken:
            raise self._refuse(where, f"{text!r} already serves as {taken[text]}")
        taken[text] = f"the strike of {self._file.portal[index].id}"
        return strike


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
