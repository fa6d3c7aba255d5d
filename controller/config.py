"""The site: a site file whose parts were held against each other, and turned into what the controller runs on.

The file holds the building (zones, portals, schedules) and the wires (devices, broker). People are not in it: they are
policy, edited through the officers' pages and kept in the ledger. A file with any fault is refused whole.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.site_file import (
    DeviceKind,
    DeviceSection,
    MqttSection,
    PortalSection,
    ScheduleSection,
    SimulationSection,
    SiteFile,
    SiteFileError,
    Source,
    ZoneSection,
)
from controller.site_wires import Strike, Wires, Wiring, is_loopback
from zones.edits import apply
from zones.ids import InformationItemId, PortalId, ScheduleId, ZoneId
from zones.places import Portal, Schedule, Window, Zone, ZoneKind
from zones.policy import EMPTY, Edit, EditRefused

__all__ = ["DeviceKind", "Site", "SiteFileError", "Strike", "Wiring", "load_site", "parse_site"]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS: Final = "|".join(WEEKDAYS)
_WINDOW: Final = re.compile(rf"({_DAYS})(?:-({_DAYS}))? ([0-9]{{2}}):([0-5][0-9])-([0-9]{{2}}):([0-5][0-9])")

SOCKET_BYTES_MAX: Final = 107
"""What Linux has room for (unix(7))."""


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
        octets = path.read_bytes()
    except OSError as error:
        raise SiteFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise SiteFileError(f"{path}:{line}: is not UTF-8 text (byte {error.start} of the file)") from error
    return parse_site(text, path)


def parse_site(text: str, path: Path) -> Site:
    """As `load_site`, from text; `path` names the file in messages and anchors its relative paths."""
    return _Builder(Source(text, path)).build()


class _Builder:
    """Turns sections into domain values, holding every cross reference against what is declared."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file: SiteFile = source.sections()
        self._refuse = source.refusal
        self._base = source.path.resolve().parent

    def build(self) -> Site:
        """The whole site. Raises SiteFileError at the first fault."""
        file = self._file
        devices = self._unique("device", file.device)
        self._unique("zone", file.zone)
        self._unique("portal", file.portal)
        self._unique("schedule", file.schedule)
        wires = Wires(self._source, file)
        wires.check()
        site = Site(
            node=file.controller.node,
            domain=file.controller.domain,
            state_dir=self._base / file.controller.state_dir,
            socket=self._socket(file.controller.socket),
            mqtt=None if file.mqtt is None else self._mqtt(file.mqtt),
            simulation=file.simulation,
            devices=devices,
            schedules=tuple(self._schedule(n, s) for n, s in enumerate(file.schedule)),
            zones=tuple(self._zone(n, z) for n, z in enumerate(file.zone)),
            portals=tuple(self._portal(p) for p in file.portal),
            wiring=wires.wiring(),
        )
        self._check_layout(site)
        return site

    def _check_layout(self, site: Site) -> None:
        """Hold the building against the rules of a policy, rather than when doors should be armed."""
        try:
            apply(EMPTY, Edit(puts=(*site.schedules, *site.zones, *site.portals)))
        except EditRefused as refused:
            index = [section.id for section in getattr(self._file, refused.table)].index(refused.row)
            key = refused.field.removeprefix("has_")  # has_rex is whether `rex` is there
            raise self._refuse(f".{refused.table}[{index}].{key}", f"{refused.row}: {refused.why}") from None

    def _unique(self, name: str, sections: list[Any]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for index, section in enumerate(sections):
            if section.id in seen:
                raise self._refuse(f".{name}[{index}].id", f"{section.id!r} is declared twice")
            seen[section.id] = section
        return seen

    def _mqtt(self, mqtt: MqttSection) -> MqttSection:
        """The broker, with its files named from the site file's folder."""
        if mqtt.username is not None and mqtt.password_file is None:
            raise self._refuse(".mqtt.username", "needs `password_file`: passwords do not stand in this file")
        if mqtt.password_file is not None and mqtt.username is None:
            raise self._refuse(".mqtt.password_file", "needs `username`, whose password it is")
        if mqtt.ca_file is None and not is_loopback(mqtt.host):
            raise self._refuse(".mqtt.host", "a broker beyond this machine needs `ca_file` (TLS)")
        files = {key: getattr(mqtt, key) for key in ("password_file", "ca_file")}
        found = {key: str(self._base / name) for key, name in files.items() if name is not None}
        return msgspec.structs.replace(mqtt, **found)

    def _socket(self, name: str) -> Path:
        path = self._base / name
        if (length := len(os.fsencode(path))) > SOCKET_BYTES_MAX:
            why = f"the path of a Unix socket has at most {SOCKET_BYTES_MAX} bytes, {path} has {length}"
            raise self._refuse(".controller.socket", why)
        return path

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
        where = f".schedule[{index}].windows"
        for text in section.windows:
            found = _WINDOW.fullmatch(text)
            if not found:
                raise self._refuse(where, f"{text!r} is not like 'mon-fri 08:00-20:00'")
            first = WEEKDAYS.index(found[1])
            last = WEEKDAYS.index(found[2] or found[1])
            from_min, to_min = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
            if first > last:
                raise self._refuse(where, f"{text!r} ends before it begins; a week runs from mon to sun")
            if not from_min < to_min <= 1440:
                raise self._refuse(where, f"{text!r} does not lie in order within one day (00:00 to 24:00)")
            windows += [Window(weekday=d, from_min=from_min, to_min=to_min) for d in range(first, last + 1)]
        return Schedule(id=ScheduleId(section.id), windows=tuple(windows))
