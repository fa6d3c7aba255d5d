"""The site file as it is written: its sections, and complaints that name the line and the key and say what is expected.

What the sections say in themselves is checked here; what they say of each other, in `controller.config`. A key that is
not known is a typing mistake, and refused.
"""

from __future__ import annotations

import re
import tomllib
import types
import typing
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from controller.calendars import National
from controller.toml_lines import line_of
from readers.events import CardScheme
from zones.ids import ID_PATTERN
from zones.people import Basis
from zones.places import AntiPassback, ExitHardware, FireRelease, LockType

Id = Annotated[str, msgspec.Meta(pattern=rf"^{ID_PATTERN}\Z")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Baud = Annotated[int, msgspec.Meta(ge=1200, le=4_000_000)]
Millis = Annotated[int, msgspec.Meta(ge=100, le=3_600_000)]
Factors = Annotated[int, msgspec.Meta(ge=0, le=3)]
Count = Annotated[int, msgspec.Meta(ge=1)]
LongMillis = Annotated[int, msgspec.Meta(ge=1, le=366 * 24 * 3_600_000)]
Origin = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*\Z", max_length=200)]

ID_IN_WORDS: Final = "lower-case letters, digits and dashes, 1 to 64 of them"


class SiteFileError(ValueError):
    """A site file that must not be used. The message names file, line and key and says what is expected."""


class DeviceKind(StrEnum):
    """What speaks on a wire. `pynfc` is a PN532 reached through libnfc; `osdp-bus` an RS-485 line, `osdp` a reader or
    module on one; `gpio` the controller's own pins.
    """

    PN532 = "pn532"
    PYNFC = "pynfc"
    LCUS = "lcus"
    MQTT = "mqtt"
    OSDP_BUS = "osdp-bus"
    OSDP = "osdp"
    MODBUS = "modbus"
    GPIO = "gpio"


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the file's sections: a key that is not known is a typing mistake, and refused."""


class ControllerSection(_Section, frozen=True, kw_only=True):
    """Which controller this is, and where it keeps its files (relative to the site file).

    `fire_input`, `power_input`: MQTT devices whose lines `fire` and `power` are the site's (fire alarm on, mains lost).
    """

    node: Id
    state_dir: str
    socket: str
    domain: Origin = "sekisho.example"
    fire_input: str | None = None
    power_input: str | None = None


class SimulationSection(_Section, frozen=True, kw_only=True):
    """Only in a simulation: allows loopback `socket://` lines and a seeded source of randomness."""

    seed: int | None = None


class MqttSection(_Section, frozen=True, kw_only=True):
    """The broker. Beyond this machine it must speak TLS. `cert_file`, `key_file`: how it knows the controller.
    `home_assistant`: portals are shown to Home Assistant, which can see them and not work them.
    """

    host: str
    port: Port = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    home_assistant: bool = False


class LoopSection(_Section, frozen=True, kw_only=True):
    """A supervised loop on an analog input of a board: the bands of raw units in which it is quiet, and active. What
    lies outside them is a cut or a short (B-09).
    """

    input: Annotated[int, msgspec.Meta(ge=1, le=32)]
    quiet: tuple[int, int]
    active: tuple[int, int]


class DeviceSection(_Section, frozen=True, kw_only=True):
    """One device on a wire; which keys it needs goes by its kind. `keypad`: digits typed at this reader are taken.

    `bus`, `address`: where an OSDP device hangs. `offline_after_ms`: how long it may be silent. `unit`: of a Modbus
    board; boards may share a `port`. `channels`, `input_count`: relays and inputs that a board or module has. `pins`:
    GPIO numbers that are inputs; `relay_pins`: those that move something. `has_flash`: the Modbus board drops a relay
    by itself. `tamper_input`: the input that is the enclosure contact of the device itself. `loops`: inputs of a Modbus
    board that are analog, with resistors at their far end. `profile`, `topic`, `channel`: of an MQTT device that is not
    our own: its kind, its part of its topics, which relay or input of it.
    """

    id: Id
    kind: DeviceKind
    port: str | None = None
    baud: Baud | None = None
    connection: str | None = None
    channels: Annotated[int, msgspec.Meta(ge=1, le=32)] | None = None
    keypad: bool | None = None
    bus: str | None = None
    address: Annotated[int, msgspec.Meta(ge=0, le=126)] | None = None
    offline_after_ms: Annotated[int, msgspec.Meta(ge=500, le=60_000)] | None = None
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)] | None = None
    input_count: Annotated[int, msgspec.Meta(ge=0, le=32)] | None = None
    has_flash: bool | None = None
    tamper_input: Annotated[int, msgspec.Meta(ge=1, le=32)] | None = None
    pins: list[Annotated[int, msgspec.Meta(ge=0, le=53)]] | None = None
    relay_pins: list[Annotated[int, msgspec.Meta(ge=0, le=53)]] | None = None
    loops: list[LoopSection] | None = None
    profile: str | None = None
    topic: str | None = None
    channel: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None


class CardsSection(_Section, frozen=True, kw_only=True):
    """Cards that prove themselves. `schemes`: what is asked of a card, in this order. `application`: the site's own
    three-byte number on DESFire cards, hex. `reader_id`: of the site towards PKOC credentials, 32 bytes hex. What
    no key is held for is not asked.
    """

    schemes: tuple[CardScheme, ...] = ("desfire_ev2", "desfire_ev1", "ntag424", "pkoc", "felica_lite_s")
    application: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{6}\Z")] = "F53E4B"
    reader_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{64}\Z")] | None = None


class KeysSection(_Section, frozen=True, kw_only=True):
    """Where the site's card and reader keys lie, and what seals them (docs/keys.md). Paths go from the site file's
    folder. `seal`: "file" (a deviation), "credential" (systemd) or "pkcs11" with its module, token and label.
    """

    dir: str | None = None
    seal: Literal["file", "credential", "pkcs11"] = "file"
    module: str | None = None
    token: str | None = None
    label: str = "sekisho"
    pin_file: str | None = None


class LedgerSection(_Section, frozen=True, kw_only=True):
    """Who signs the ledger, who looks on, and what is kept (docs/ledger.md §8-§10).

    `key`: "file" (`ledger.key` in `state_dir`), "credential" (systemd) or "pkcs11" with its module, token and label.
    `witnesses`: vkeys. `auditors`: officers who may administer the log, and who edit no roster (A-29). `omit`: record
    types that are not kept. `terms_days`: how long bodies are kept, by record class (docs/retention.md).
    """

    key: Literal["file", "credential", "pkcs11"] = "file"
    module: str | None = None
    token: str | None = None
    label: str = "sekisho-ledger"
    pin_file: str | None = None
    witnesses: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    terms_days: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = {}


class OfficersSection(_Section, frozen=True, kw_only=True):
    """Who we are to officers' passkeys (docs/officers.md §4): `rp_id` is the name of the pages' host, "localhost" where
    they are looked at on the machine itself. `origins`: where pages may be asked for; none: anywhere under `rp_id`.
    """

    rp_id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{1,253}\Z")] = "localhost"
    origins: tuple[str, ...] = ()


class UnusualSection(_Section, frozen=True, kw_only=True):
    """What is told to officers as unusual (A-14): `tries` refusals at `portals` doors of zones in which somebody has no
    place, within `within_minutes`; a stay of more than `stay_hours` in zones of `stay_kind` or higher.
    """

    tries: Annotated[int, msgspec.Meta(ge=2, le=100)] = 3
    portals: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    within_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 30
    stay_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 14
    stay_kind: str = "LIMITED"


class ReviewSection(_Section, frozen=True, kw_only=True):
    """By when an auditor looks through the log (A-15): within so many days of the last look, and of a grave alarm."""

    days: Annotated[int, msgspec.Meta(ge=1, le=31)] = 7
    after_alarm_days: Annotated[int, msgspec.Meta(ge=1, le=31)] = 3


class CalendarSection(_Section, frozen=True, kw_only=True):
    """Holidays: those of the country (`national = "JP"`) and the company's own (`days = [2026-12-29]`)."""

    id: Id
    national: National | None = None
    days: list[date] = []


class ScheduleSection(_Section, frozen=True, kw_only=True):
    """Windows in Japan's time: `mon-fri 08:00-20:00`; `hol 10:00-16:00` on holidays of `calendar`, when no other window
    counts; either between two days that count both: `2026-12-28..2027-01-03 mon-sun 00:00-24:00`.
    """

    id: Id
    windows: list[str]
    calendar: str | None = None


class ZoneSection(_Section, frozen=True, kw_only=True):
    """One zone; fields as in `zones.places.Zone`, `kind` and `min_link` by name. `usual_schedule`: when it is usually
    entered; an entry at another hour is told to the officers (A-14), and refused to nobody.
    """

    id: Id
    name_ja: str
    name_en: str
    kind: str
    parent: str | None = None
    items: list[str] = []
    accepted_bases: list[Basis] = []
    min_factors: Factors | None = None
    uid_accepted: bool = False
    anti_passback: AntiPassback = AntiPassback.NONE
    occupancy_max: Count | None = None
    schedule: str | None = None
    company_level: int = 0
    raised_factors: Factors | None = None
    raised_outside: str | None = None
    attended_counts: bool = False
    min_link: str = "CLEAR"
    apb_ms: LongMillis | None = None
    occupancy_min: Count | None = None
    dual_window_ms: LongMillis | None = None
    needs_opener: bool = False
    training: list[str] = []
    declares_devices: bool = False
    visitors_allowed: bool = False
    escort_ratio: Count = 4
    policy_age_ms_max: LongMillis | None = None
    is_vestibule: bool = False
    plan_ref: str | None = None
    usual_schedule: str | None = None


class PortalSection(_Section, frozen=True, kw_only=True):
    """Wires are named by device id: a strike as `device` (MQTT) or `device:channel` (relay board). `counter`: an MQTT
    device that counts people. `reader_link`: what protects the line of a serial reader; what protects a reader on the
    broker is told by the broker's TLS. `exit_hardware` has no default on purpose.
    """

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
    counter: str | None = None
    lock_type: LockType = LockType.FAIL_SECURE
    is_escape: bool = False
    release_ms: Annotated[int, msgspec.Meta(ge=500, le=30_000)] = 3000
    held_after_ms: Millis = 20_000
    held_warn_ms: Millis | None = None
    grade: Annotated[int, msgspec.Meta(ge=1, le=4)] = 2
    reader_link: str | None = None
    exit_hardware: ExitHardware | None = None
    fire_release: FireRelease = FireRelease.NONE
    interlock_with: list[str] = []
    unlock_schedule: str | None = None
    first_in: bool = False


class WalkSection(_Section, frozen=True, kw_only=True):
    """Nobody gets from one portal to the other in less than `min_ms`."""

    id: Id
    one: str
    other: str
    min_ms: Annotated[int, msgspec.Meta(ge=1)]


class SiteFile(_Section, frozen=True, kw_only=True):
    """The whole file."""

    controller: ControllerSection
    device: list[DeviceSection]
    zone: list[ZoneSection]
    portal: list[PortalSection]
    calendar: list[CalendarSection] = []
    schedule: list[ScheduleSection] = []
    walk: list[WalkSection] = []
    mqtt: MqttSection | None = None
    cards: CardsSection | None = None
    keys: KeysSection = KeysSection()
    ledger: LedgerSection = LedgerSection()
    officers: OfficersSection = OfficersSection()
    unusual: UnusualSection = UnusualSection()
    log_review: ReviewSection = ReviewSection()
    simulation: SimulationSection | None = None


class Source:
    """A site file's text and where it came from: reads its sections, and words complaints about them."""

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        self._text = text

    def sections(self) -> SiteFile:
        """The file's sections. Raises SiteFileError."""
        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
            line = int(found[1]) if found else self._text.count("\n") + 1
            why = str(error).replace(found[0], f", column {found[2]}") if found else str(error)
            raise SiteFileError(f"{self.path}:{line}: is not TOML: {why}") from error
        try:
            return msgspec.convert(document, SiteFile)
        except msgspec.ValidationError as error:
            why, _, where = str(error).partition(" - at `$")
            raise self._misread(where.removesuffix("`"), why) from None

    def refusal(self, key_path: str, why: str) -> SiteFileError:
        """The complaint about a key, named by a path like `.zone[2].kind`; "" is the file as a whole."""
        key = key_path.strip(".") or "the file"
        return SiteFileError(f"{self.path}:{line_of(self._text, key_path)}: {key}: {why}")

    def _misread(self, where: str, why: str) -> SiteFileError:
        """msgspec's complaint in our words: what is expected instead."""
        if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", why):
            expected = _at(where).__struct_fields__
            return self.refusal(f"{where}.{unknown[1]}", f"there is no such key here; there are {_listed(expected)}")
        if missing := re.fullmatch(r"Object missing required field `(.+)`", why):
            return self.refusal(where, f"`{missing[1]}` is missing")
        if why.startswith("Invalid enum value"):
            return self.refusal(where, f"{why.removeprefix('Invalid enum value ')} is not one of {_listed(_at(where))}")
        if "matching regex" in why:
            expected = "a host name like sekisho.example" if ID_PATTERN not in why else ID_IN_WORDS
            if found := re.search(r"a-f\]\{(\d+)\}", why):
                expected = f"{found[1]} hexadecimal digits"
            return self.refusal(where, f"must be {expected}")
        return self.refusal(where, why)


def _at(key_path: str) -> Any:
    """The section or enum that stands at a key path, or the texts that may."""
    kind: Any = SiteFile
    for name in re.findall(r"\.(\w+)", key_path):
        kind = typing.get_type_hints(kind)[name]
        if typing.get_origin(kind) is Literal:
            return typing.get_args(kind)
        while inner := [one for one in typing.get_args(kind) if one is not types.NoneType]:
            kind = inner[0]
    return kind


def _listed(names: Any) -> str:
    return ", ".join(str(name.value) if isinstance(name, StrEnum) else str(name) for name in names)
