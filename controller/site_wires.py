"""The wires of a site file: which device hangs where, each used once, none that the network could be fooled through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from controller.site_file import DeviceKind, DeviceSection, SiteFile, Source
from zones.ids import PortalId

DEVICE_KEYS: Final = frozenset({"port", "baud", "connection", "channels"})
_PORT: Final = "for example /dev/serial/by-id/…"
KEYS: Final[dict[DeviceKind, tuple[dict[str, str], frozenset[str]]]] = {
    DeviceKind.PN532: ({"port": _PORT}, frozenset({"baud"})),
    DeviceKind.LCUS: ({"port": _PORT, "channels": "how many relays the board has"}, frozenset({"baud"})),
    DeviceKind.PYNFC: ({"connection": "for example pn532_uart:/dev/ttyUSB0"}, frozenset()),
    DeviceKind.MQTT: ({}, frozenset()),
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
    """Which device belongs to which portal. Inputs map (device, line) to a portal."""

    strikes: dict[PortalId, Strike]
    entry_readers: dict[str, PortalId]
    exit_readers: dict[str, PortalId]
    contacts: dict[str, PortalId]
    rexes: dict[str, PortalId]


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
        for index, portal in enumerate(self._file.portal):
            portal_id = PortalId(portal.id)
            rows: tuple[tuple[str, str | None, dict[str, PortalId], set[DeviceKind]], ...] = (
                ("entry_reader", portal.entry_reader, wiring.entry_readers, readers),
                ("exit_reader", portal.exit_reader, wiring.exit_readers, readers),
                ("contact", portal.contact, wiring.contacts, {DeviceKind.MQTT}),
                ("rex", portal.rex, wiring.rexes, {DeviceKind.MQTT}),
            )
            for key, device, table, kinds in rows:
                if device is None:
                    continue
                where = f".portal[{index}].{key}"
                if device not in self._devices or self._devices[device].kind not in kinds:
                    raise self._refuse(
                        where, f"{device!r} is not a declared device of kind {' or '.join(sorted(kinds))}"
                    )
                role = f"{device}/{'reader' if 'reader' in key else key}"
                if role in taken:
                    raise self._refuse(where, f"{device!r} already serves as {taken[role]}")
                taken[role] = f"{key} of {portal.id}"
                table[device] = portal_id
            wiring.strikes[portal_id] = self._strike(index, portal.strike, taken)
        return wiring

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


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
