"""The site: a site file whose parts were held against each other, and turned into what the controller runs on.

The file holds the building (zones, portals, schedules) and the wires (devices, broker). People are not in it: they are
policy, edited through the officers' pages and kept in the ledger. A file with any fault is refused whole.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from controller.calendars import days_of
from controller.ledger.catalogue import RECORD_TYPES
from controller.link.notes import NoteError, witness_keys
from controller.retention import complaint
from controller.site_file import (
    ID_IN_WORDS,
    CalendarSection,
    CardsSection,
    DeviceKind,
    DeviceSection,
    KeysSection,
    LedgerSection,
    MqttSection,
    OfficersSection,
    PortalSection,
    ReviewSection,
    ScheduleSection,
    SimulationSection,
    SiteFile,
    SiteFileError,
    Source,
    WalkSection,
    ZoneSection,
)
from controller.site_wires import Strike, Wires, Wiring, is_loopback
from zones.edits import apply
from zones.ids import ID_PATTERN, CalendarId, InformationItemId, PortalId, ScheduleId, WalkId, ZoneId
from zones.lint import LintFinding, Severity, lint
from zones.places import (
    Calendar,
    ExitHardware,
    LinkAssurance,
    Portal,
    Schedule,
    Walk,
    Window,
    Zone,
    ZoneKind,
)
from zones.policy import EMPTY, Edit, EditRefused, Policy, Row
from zones.unusual import MINUTE_MS, Habits

__all__ = ["DeviceKind", "Site", "SiteFileError", "Strike", "Wiring", "load_site", "parse_site"]

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS: Final = "|".join(WEEKDAYS)
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = "([0-9]{2}):([0-5][0-9])"
_WINDOW: Final = re.compile(rf"(?:({_DATE})\.\.({_DATE}) )?(?:(hol)|({_DAYS})(?:-({_DAYS}))?) {_TIME}-{_TIME}")
_WINDOW_IN_WORDS: Final = (
    "is not like 'mon-fri 08:00-20:00', 'hol 10:00-16:00' or '2026-12-28..2027-01-03 mon-sun 00:00-24:00'"
)
_KEY_OF: Final = {
    "EXIT_BY_SOFTWARE": "exit_hardware",
    "ESCAPE_ASKS_CARD": "exit_hardware",
    "ESCAPE_FAIL_SECURE": "exit_hardware",
    "ESCAPE_NOT_RELEASED": "fire_release",
    "RELAY_OUTSIDE": "strike",
    "DOOR_ASKS_LESS": "unlock_schedule",
    "TWO_PERSON_ALONE": "dual_window_ms",
    "UNCOUNTED": "contact",
    "PASSBACK_ONE_SIDED": "anti_passback",
    "GRADE_CONTACT": "grade",
    "GRADE_FACTORS": "grade",
    "GRADE_TOKEN": "grade",
    "GRADE_LINK": "grade",
    "GRADE_DUAL": "grade",
}
"""Lint code -> the key that is to be mended; of the others the section is named."""

_ABOUT_REGISTERS: Final = frozenset({"ITEM_UNKNOWN", "OPENERS_FEW", "ESCORT_NONE"})
"""Lints of what officers register, which no site file holds."""

Named = TypeVar("Named", bound=IntEnum)

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
    cards: CardsSection | None
    keys: KeysSection
    ledger: LedgerSection
    officers: OfficersSection
    simulation: SimulationSection | None
    devices: dict[str, DeviceSection]
    calendars: tuple[Calendar, ...]
    schedules: tuple[Schedule, ...]
    zones: tuple[Zone, ...]
    portals: tuple[Portal, ...]
    walks: tuple[Walk, ...]
    wiring: Wiring
    habits: Habits
    log_review: ReviewSection
    warnings: tuple[LintFinding, ...] = ()
    """What the lint says of the building that is odd and not refused."""

    @property
    def layout(self) -> tuple[Row, ...]:
        """The building as rows of policy."""
        return (*self.calendars, *self.schedules, *self.zones, *self.portals, *self.walks)


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
        self._unique("calendar", file.calendar)
        self._unique("schedule", file.schedule)
        self._unique("walk", file.walk)
        wires = Wires(self._source, file)
        wires.check()
        wiring = wires.wiring()
        site = Site(
            node=file.controller.node,
            domain=file.controller.domain,
            state_dir=self._base / file.controller.state_dir,
            socket=self._socket(file.controller.socket),
            mqtt=None if file.mqtt is None else self._mqtt(file.mqtt),
            cards=file.cards,
            keys=self._keys(file.keys),
            ledger=self._ledger(file.ledger),
            officers=file.officers,
            simulation=file.simulation,
            devices=devices,
            calendars=tuple(_calendar(section) for section in file.calendar),
            schedules=tuple(self._schedule(n, s) for n, s in enumerate(file.schedule)),
            zones=tuple(self._zone(n, z) for n, z in enumerate(file.zone)),
            portals=tuple(self._portal(n, p, wiring) for n, p in enumerate(file.portal)),
            walks=tuple(_walk(section) for section in file.walk),
            wiring=wiring,
            habits=self._habits(file),
            log_review=file.log_review,
        )
        policy = self._policy(site)
        return replace(site, warnings=self._linted(policy))

    def _policy(self, site: Site) -> Policy:
        """The building as a policy without people: held against its rules here, not when doors should be armed."""
        try:
            return apply(EMPTY, Edit(puts=site.layout))
        except EditRefused as refused:
            index = [section.id for section in getattr(self._file, refused.table)].index(refused.row)
            key = refused.field.removeprefix("has_")  # has_rex is whether `rex` is there
            raise self._refuse(f".{refused.table}[{index}].{key}", f"{refused.row}: {refused.why}") from None

    def _linted(self, policy: Policy) -> tuple[LintFinding, ...]:
        """The lint's warnings. Raises SiteFileError for the first error, at the key that is to be mended."""
        findings = [one for one in lint(policy) if one.code not in _ABOUT_REGISTERS]
        for one in findings:
            if one.severity is Severity.ERROR:
                index = [section.id for section in getattr(self._file, one.table)].index(one.row)
                why = f"{one.row}: {one.en} ({one.ja}); the way: {one.way} [{one.code}, docs/lint.md]"
                raise self._refuse(f".{one.table}[{index}].{_KEY_OF.get(one.code, '')}".rstrip("."), why)
        return tuple(findings)

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
        if (mqtt.cert_file is None) is not (mqtt.key_file is None):
            raise self._refuse(".mqtt.cert_file", "`cert_file` and `key_file` go together: a certificate and its key")
        if mqtt.cert_file is not None and mqtt.ca_file is None:
            raise self._refuse(
                ".mqtt.cert_file", "needs `ca_file`: a certificate is only shown to a broker that is known"
            )
        files = {key: getattr(mqtt, key) for key in ("password_file", "ca_file", "cert_file", "key_file")}
        found = {key: str(self._base / name) for key, name in files.items() if name is not None}
        return msgspec.structs.replace(mqtt, **found)

    def _keys(self, keys: KeysSection) -> KeysSection:
        """The key store's section, with its files named from the site file's folder."""
        self._check_token(".keys", keys, f"seal = {keys.seal!r}", is_token=keys.seal == "pkcs11")
        folder = self._file.controller.state_dir if keys.dir is None else keys.dir
        found = self._base / folder / "keys" if keys.dir is None else self._base / folder
        pin_file = None if keys.pin_file is None else str(self._base / keys.pin_file)
        return msgspec.structs.replace(keys, dir=str(found), pin_file=pin_file)

    def _ledger(self, ledger: LedgerSection) -> LedgerSection:
        """The ledger's section, with its files named from the site file's folder."""
        for class_, days in ledger.terms_days.items():
            if (why := complaint(class_, days)) is not None:
                raise self._refuse(f".ledger.terms_days.{class_}", f"{class_}: {why}")
        for type_ in ledger.omit:
            if type_ not in RECORD_TYPES:
                raise self._refuse(".ledger.omit", f"{type_!r} is no record type (docs/ledger.md §6)")
        for officer in ledger.auditors:
            if not re.fullmatch(ID_PATTERN, officer):
                raise self._refuse(".ledger.auditors", f"{officer!r} is not {ID_IN_WORDS}")
        self._check_token(".ledger", ledger, f"key = {ledger.key!r}", is_token=ledger.key == "pkcs11")
        try:
            witness_keys(ledger.witnesses)
        except NoteError as error:
            why = f"{error}; `sekisho witness init` prints a vkey, and `sekisho witness show` tells it again"
            raise self._refuse(".ledger.witnesses", why) from None
        pin_file = None if ledger.pin_file is None else str(self._base / ledger.pin_file)
        return msgspec.structs.replace(ledger, pin_file=pin_file)

    def _check_token(self, where: str, section: KeysSection | LedgerSection, said: str, *, is_token: bool) -> None:
        """What opens a PKCS#11 token is there where one is asked for, and only there."""
        for key in ("module", "token", "pin_file"):
            if (getattr(section, key) is None) is is_token:
                why = "is needed to open the token" if is_token else f'belongs to "pkcs11", not {said}'
                raise self._refuse(f"{where}.{key}", why)

    def _socket(self, name: str) -> Path:
        path = self._base / name
        if (length := len(os.fsencode(path))) > SOCKET_BYTES_MAX:
            why = f"the path of a Unix socket has at most {SOCKET_BYTES_MAX} bytes, {path} has {length}"
            raise self._refuse(".controller.socket", why)
        return path

    def _named(self, where: str, names: type[Named], name: str) -> Named:
        """The member of an ordered enum that a file names; the numbers behind it are nobody's business."""
        if name not in names.__members__:
            raise self._refuse(where, f"{name!r} is not one of {', '.join(names.__members__)}")
        return names[name]

    def _zone(self, index: int, section: ZoneSection) -> Zone:
        where = f".zone[{index}]"
        return Zone(
            id=ZoneId(section.id),
            name_ja=section.name_ja,
            name_en=section.name_en,
            kind=self._named(f"{where}.kind", ZoneKind, section.kind),
            parent=None if section.parent is None else ZoneId(section.parent),
            items=tuple(InformationItemId(item) for item in section.items),
            accepted_bases=tuple(section.accepted_bases),
            min_factors=section.min_factors,
            uid_accepted=section.uid_accepted,
            anti_passback=section.anti_passback,
            occupancy_max=section.occupancy_max,
            schedule=_schedule_id(section.schedule),
            company_level=section.company_level,
            raised_factors=section.raised_factors,
            raised_outside=_schedule_id(section.raised_outside),
            attended_counts=section.attended_counts,
            min_link=self._named(f"{where}.min_link", LinkAssurance, section.min_link),
            apb_ms=section.apb_ms,
            occupancy_min=section.occupancy_min,
            dual_window_ms=section.dual_window_ms,
            needs_opener=section.needs_opener,
            training=tuple(section.training),
            declares_devices=section.declares_devices,
            visitors_allowed=section.visitors_allowed,
            escort_ratio=section.escort_ratio,
            policy_age_ms_max=section.policy_age_ms_max,
            is_vestibule=section.is_vestibule,
            plan_ref=section.plan_ref,
        )

    def _habits(self, file: SiteFile) -> Habits:
        """What is usual here (docs/officers.md, what is noticed)."""
        known = {section.id for section in file.schedule}
        hours = {}
        for index, section in enumerate(file.zone):
            if section.usual_schedule is None:
                continue
            if section.usual_schedule not in known:
                why = f"there is no schedule {section.usual_schedule!r}"
                raise self._refuse(f".zone[{index}].usual_schedule", why)
            hours[ZoneId(section.id)] = ScheduleId(section.usual_schedule)
        unusual = file.unusual
        return Habits(
            hours=hours, tries=unusual.tries, portals=unusual.portals, within_ms=unusual.within_minutes * MINUTE_MS,
            stay_ms=unusual.stay_hours * 60 * MINUTE_MS,
            stay_kind=self._named(".unusual.stay_kind", ZoneKind, unusual.stay_kind),
        )  # fmt: skip

    def _portal(self, index: int, section: PortalSection, wiring: Wiring) -> Portal:
        if section.exit_hardware is None:
            why = (
                f"`exit_hardware` is missing: say what lets people out of {section.id} when every computer is dead"
                f" (P3); one of {', '.join(ExitHardware)}"
            )
            raise self._refuse(f".portal[{index}]", why)
        portal_id = PortalId(section.id)
        return Portal(
            id=portal_id,
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
            held_warn_ms=section.held_warn_ms,
            grade=section.grade,
            reader_link=wiring.links.get(section.entry_reader or "", LinkAssurance.CLEAR),
            relay_in_reader=wiring.strikes[portal_id].device == section.entry_reader,
            exit_hardware=section.exit_hardware,
            fire_release=section.fire_release,
            interlock_with=tuple(PortalId(other) for other in section.interlock_with),
            unlock_schedule=_schedule_id(section.unlock_schedule),
            first_in=section.first_in,
        )

    def _schedule(self, index: int, section: ScheduleSection) -> Schedule:
        windows: list[Window] = []
        for text in section.windows:
            windows += self._windows(f".schedule[{index}].windows", text)
        calendar = None if section.calendar is None else CalendarId(section.calendar)
        return Schedule(id=ScheduleId(section.id), windows=tuple(windows), calendar=calendar)

    def _windows(self, where: str, text: str) -> list[Window]:
        """One line of hours, a window for each of its weekdays; hours of holidays are one window."""
        found = _WINDOW.fullmatch(text)
        if not found:
            raise self._refuse(where, f"{text!r} {_WINDOW_IN_WORDS}")
        from_min, to_min = int(found[6]) * 60 + int(found[7]), int(found[8]) * 60 + int(found[9])
        if not from_min < to_min <= 1440:
            raise self._refuse(where, f"{text!r} does not lie in order within one day (00:00 to 24:00)")
        try:
            from_on, until_on = (None if day is None else date.fromisoformat(day) for day in (found[1], found[2]))
        except ValueError:
            raise self._refuse(where, f"{text!r} names a day that no calendar has") from None
        if from_on is not None and until_on is not None and from_on > until_on:
            raise self._refuse(where, f"{text!r} ends before it begins")
        first = last = 0
        if not found[3]:
            first, last = WEEKDAYS.index(found[4]), WEEKDAYS.index(found[5] or found[4])
        if first > last:
            raise self._refuse(where, f"{text!r} ends before it begins; a week runs from mon to sun")
        return [
            Window(
                weekday=day,
                from_min=from_min,
                to_min=to_min,
                from_on=from_on,
                until_on=until_on,
                is_for_holidays=bool(found[3]),
            )
            for day in range(first, last + 1)
        ]


def _schedule_id(name: str | None) -> ScheduleId | None:
    return None if name is None else ScheduleId(name)


def _calendar(section: CalendarSection) -> Calendar:
    return Calendar(id=CalendarId(section.id), days=days_of(section.national, section.days))


def _walk(section: WalkSection) -> Walk:
    return Walk(id=WalkId(section.id), one=PortalId(section.one), other=PortalId(section.other), min_ms=section.min_ms)
