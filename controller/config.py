"""The site file: one TOML text that says what is installed here. Every complaint names the key and the line.

It holds the building (zones, portals, schedules) and the wires (devices, broker). People are not in it: they are
policy, edited through the officers' pages and kept in the ledger. A file with any fault is refused whole.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from zones.ids import ID_PATTERN, InformationItemId, PortalId, ScheduleId, ZoneId
from zones.people import Basis
from zones.places import AntiPassback, LockType, Portal, Schedule, Window, Zone, ZoneKind

Id = Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN}$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Millis = Annotated[int, msgspec.Meta(ge=100, le=3_600_000)]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class SiteFileError(ValueError):
    """A site file that must not be used. The message names file, line and key and says what is expected."""


class DeviceKind(StrEnum):
    """What speaks on a wire. `pynfc` is a PN532 reached through libnfc."""

    PN532 = "pn532"
    PYNFC = "pynfc"
    LCUS = "lcus"
    MQTT = "mqtt"


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the file's sections: a key that is not known is a typing mistake, and refused."""


class ControllerSection(_Section, frozen=True, kw_only=True):
    """Which controller this is, and where it keeps its files (relative to the site file)."""

    node: Id
    state_dir: str
    socket: str
    domain: str = "sekisho.example"


class SimulationSection(_Section, frozen=True, kw_only=True):
    """Only in a simulation: allows loopback `socket://` lines and a seeded source of randomness."""

    seed: int | None = None


class MqttSection(_Section, frozen=True, kw_only=True):
    """The broker. Beyond this machine it must speak TLS."""

    host: str
    port: Port = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None


class DeviceSection(_Section, frozen=True, kw_only=True):
    """One device on a wire; which keys it needs goes by its kind."""

    id: Id
    kind: DeviceKind
    port: str | None = None
    baud: int | None = None
    connection: str | None = None
    channels: Annotated[int, msgspec.Meta(ge=1, le=16)] | None = None


class ScheduleSection(_Section, frozen=True, kw_only=True):
    """Windows like `mon-fri 08:00-20:00`, in Japan."""

    id: Id
    windows: list[str]


class ZoneSection(_Section, frozen=True, kw_only=True):
    """One zone; fields as in `zones.places.Zone`."""

    id: Id
    name_ja: str
    name_en: str
    kind: str
    parent: str | None = None
    items: list[str] = []
    accepted_bases: list[Basis] = []
    min_factors: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    uid_accepted: bool = False
    anti_passback: AntiPassback = AntiPassback.NONE
    occupancy_max: Annotated[int, msgspec.Meta(ge=1)] | None = None
    schedule: str | None = None


class PortalSection(_Section, frozen=True, kw_only=True):
    """Wires are named by device id: a strike as `device` (MQTT) or `device:channel` (relay board)."""

    id: Id
    name_ja: str
    name_en: str
    outer: str
    inner: str
    strike: str
    entry_reader: str | None = None
    exit_reader: str | None = None
    contact: str | None = None
    rex: str | None = None
    lock_type: LockType = LockType.FAIL_SECURE
    is_escape: bool = False
    release_ms: Annotated[int, msgspec.Meta(ge=500, le=30_000)] = 3000
    held_after_ms: Millis = 20_000


class SiteFile(_Section, frozen=True, kw_only=True):
    """The whole file."""

    controller: ControllerSection
    device: list[DeviceSection]
    zone: list[ZoneSection]
    portal: list[PortalSection]
    schedule: list[ScheduleSection] = []
    mqtt: MqttSection | None = None
    simulation: SimulationSection | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site file that was found good."""

    node: str
    domain: str
    state_dir: Path
    socket: Path
    mqtt: MqttSection | None
    simulation: SimulationSection | None
    devices: dict[str, DeviceSection]
    schedules: tuple[Schedule, ...]
    zones: tuple[Zone, ...]
    portals: tuple[Portal, ...]
    wiring: Wiring


def load_site(path: Path) -> Site:
    """The site that a file describes. Raises SiteFileError naming file, line and key."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise SiteFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SiteFileError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    return parse_site(text, path)


def parse_site(text: str, path: Path) -> Site:
    """As `load_site`, from text; `path` names the file in messages and anchors its relative paths."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteFileError(f"{path}: is not TOML: {error}") from error
    try:
        file = msgspec.convert(document, SiteFile)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$")
        key = where.strip("`.") or "the top level"
        unknown = re.search(r"unknown field `(\w+)`", why)
        at = f"{where.strip('`')}.{unknown[1]}" if unknown else where.strip("`")
        raise SiteFileError(f"{path}:{_line_of(text, at)}: {key}: {why}") from None
    return _Builder(text, path, file).build()


def _line_of(text: str, key_path: str) -> int:
    """The line (from 1) of a key path such as `.zone[2].kind`; the nearest line above it where it is not written."""
    line, lines = 1, text.splitlines()
    for name, index in re.findall(r"\.?([A-Za-z_]\w*)((?:\[\d+\])?)", key_path):
        headers = [n for n, s in enumerate(lines, 1) if re.match(rf"\s*\[+\s*{name}\s*\]+", s)]
        if headers:
            line = headers[min(int(index.strip("[]") or 0), len(headers) - 1)]
            continue
        for n in range(line, len(lines) + 1):
            if n > line and lines[n - 1].lstrip().startswith("["):
                break
            if re.match(rf"\s*{name}\s*=", lines[n - 1]):
                return n
    return line


class _Builder:
    """Turns sections into domain values, holding every cross reference against what is declared."""

    def __init__(self, text: str, path: Path, file: SiteFile) -> None:
        self._text, self._path, self._file = text, path, file

    def build(self) -> Site:
        file = self._file
        devices = self._unique("device", file.device)
        self._unique("zone", file.zone)
        self._unique("portal", file.portal)
        self._unique("schedule", file.schedule)
        for index, device in enumerate(file.device):
            self._check_device(index, device)
        if file.mqtt is not None:
            self._check_mqtt(file.mqtt)
        base = self._path.resolve().parent
        return Site(
            node=file.controller.node,
            domain=file.controller.domain,
            state_dir=base / file.controller.state_dir,
            socket=base / file.controller.socket,
            mqtt=file.mqtt,
            simulation=file.simulation,
            devices=devices,
            schedules=tuple(self._schedule(n, s) for n, s in enumerate(file.schedule)),
            zones=tuple(self._zone(n, z) for n, z in enumerate(file.zone)),
            portals=tuple(self._portal(p) for p in file.portal),
            wiring=self._wiring(devices),
        )

    def _refuse(self, key_path: str, why: str) -> SiteFileError:
        return SiteFileError(f"{self._path}:{_line_of(self._text, key_path)}: {key_path.strip('.')}: {why}")

    def _unique(self, name: str, sections: list[Any]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for index, section in enumerate(sections):
            if section.id in seen:
                raise self._refuse(f".{name}[{index}].id", f"{section.id!r} is declared twice")
            seen[section.id] = section
        return seen

    def _check_device(self, index: int, device: DeviceSection) -> None:
        where = f".device[{index}]"
        match device.kind:
            case DeviceKind.PN532 | DeviceKind.LCUS if device.port is None:
                raise self._refuse(where, f"{device.id} needs `port`, for example /dev/serial/by-id/…")
            case DeviceKind.LCUS if device.channels is None:
                raise self._refuse(where, f"{device.id} needs `channels`, how many relays the board has")
            case DeviceKind.PYNFC if device.connection is None:
                raise self._refuse(where, f"{device.id} needs `connection`, for example pn532_uart:/dev/ttyUSB0")
            case DeviceKind.MQTT if self._file.mqtt is None:
                raise self._refuse(where, f"{device.id} speaks MQTT: add a section [mqtt] with `host`")
        if device.port is not None and device.port.startswith("socket://") and self._file.simulation is None:
            raise self._refuse(f"{where}.port", "socket:// carries no authentication: only in a [simulation]")

    def _check_mqtt(self, mqtt: MqttSection) -> None:
        if mqtt.username is not None and mqtt.password_file is None:
            raise self._refuse(".mqtt.username", "needs `password_file`: passwords do not stand in this file")
        if mqtt.ca_file is None and not _is_loopback(mqtt.host):
            raise self._refuse(".mqtt.host", "a broker beyond this machine needs `ca_file` (TLS)")

    def _zone(self, index: int, section: ZoneSection) -> Zone:
        if section.kind not in ZoneKind.__members__:
            raise self._refuse(
                f".zone[{index}].kind", f"{section.kind!r} is not one of {', '.join(ZoneKind.__members__)}"
            )
        return Zone(
            id=ZoneId(section.id),
            name_ja=section.name_ja,
            name_en=section.name_en,
            kind=ZoneKind[section.kind],
            parent=None if section.parent is None else ZoneId(section.parent),
            items=tuple(InformationItemId(item) for item in section.items),
            accepted_bases=tuple(section.accepted_bases),
            min_factors=section.min_factors,
            uid_accepted=section.uid_accepted,
            anti_passback=section.anti_passback,
            occupancy_max=section.occupancy_max,
            schedule=None if section.schedule is None else ScheduleId(section.schedule),
        )

    def _portal(self, section: PortalSection) -> Portal:
        return Portal(
            id=PortalId(section.id),
            name_ja=section.name_ja,
            name_en=section.name_en,
            outer=ZoneId(section.outer),
            inner=ZoneId(section.inner),
            lock_type=section.lock_type,
            has_contact=section.contact is not None,
            has_entry_reader=section.entry_reader is not None,
            has_exit_reader=section.exit_reader is not None,
            has_rex=section.rex is not None,
            is_escape=section.is_escape,
            release_ms=section.release_ms,
            held_after_ms=section.held_after_ms,
        )

    def _schedule(self, index: int, section: ScheduleSection) -> Schedule:
        windows: list[Window] = []
        for text in section.windows:
            found = re.fullmatch(r"(\w{3})(?:-(\w{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)", text)
            if not found or any(day and day not in WEEKDAYS for day in found.group(1, 2)):
                raise self._refuse(f".schedule[{index}].windows", f"{text!r} is not like 'mon-fri 08:00-20:00'")
            first = WEEKDAYS.index(found[1])
            last = WEEKDAYS.index(found[2] or found[1])
            from_min, to_min = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
            if not (first <= last and from_min < to_min <= 1440):
                raise self._refuse(f".schedule[{index}].windows", f"{text!r} ends before it begins")
            windows += [Window(weekday=d, from_min=from_min, to_min=to_min) for d in range(first, last + 1)]
        return Schedule(id=ScheduleId(section.id), windows=tuple(windows))

    def _wiring(self, devices: dict[str, DeviceSection]) -> Wiring:
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
                if device not in devices or devices[device].kind not in kinds:
                    raise self._refuse(
                        where, f"{device!r} is not a declared device of kind {' or '.join(sorted(kinds))}"
                    )
                role = f"{device}/{'reader' if 'reader' in key else key}"
                if role in taken:
                    raise self._refuse(where, f"{device!r} already serves as {taken[role]}")
                taken[role] = f"{key} of {portal.id}"
                table[device] = portal_id
            wiring.strikes[portal_id] = self._strike(index, portal.strike, devices, taken)
        return wiring

    def _strike(self, index: int, text: str, devices: dict[str, DeviceSection], taken: dict[str, str]) -> Strike:
        where = f".portal[{index}].strike"
        name, _, channel = text.partition(":")
        device = devices.get(name)
        if text in taken:
            raise self._refuse(where, f"{text!r} already drives {taken[text]}")
        taken[text] = f"the strike of {self._file.portal[index].id}"
        if device is not None and device.kind is DeviceKind.MQTT and not channel:
            return Strike(device=name, channel=None)
        if device is not None and device.kind is DeviceKind.LCUS and channel.isdecimal():
            if 1 <= int(channel) <= (device.channels or 0):
                return Strike(device=name, channel=int(channel))
            raise self._refuse(where, f"{name} has channels 1 to {device.channels}")
        raise self._refuse(where, f"{text!r} is neither an MQTT device nor `board:channel` of a declared relay board")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
