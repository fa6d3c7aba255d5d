"""The building file: what stands in it, checked before anything is built.

Owns the shape of `building.toml` and the words of its errors. It knows doors, devices and people with their cards;
what anybody may enter is none of its business.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulators.mqtt_profiles import MAKERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DeviceId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Sensor = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}(:[1-9])?$")]
PlaceId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
Hex = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}){4,20}$")]
Digits = Annotated[str, Field(pattern=r"^[0-9]{4,12}$")]
CardType = Literal["uid", "desfire", "ntag424", "pkoc", "felica-lite-s"]
CardKeyPurpose = Literal[
    "desfire_master", "desfire_uid", "desfire_read", "ntag424_master", "ntag424_read", "felica_card"
]
KeyVersion = Annotated[str, Field(pattern=r"^([1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$")]
CardKeyHex = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32}$")]
CARD_KEYS_OF: dict[str, tuple[CardKeyPurpose, ...]] = {
    "desfire": ("desfire_master", "desfire_uid", "desfire_read"),
    "ntag424": ("ntag424_master", "ntag424_read"),
    "felica-lite-s": ("felica_card",),
}
LinkName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class BuildingFileError(ValueError):
    """The building file cannot be used; the text names the key and what to do."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Table):
    """A name in both languages."""

    ja: str
    en: str


class ZonePlan(_Table):
    """A place people can be in."""

    id: PlaceId
    label: Words
    within: PlaceId | None = None


class Pn532Plan(_Table):
    """A PN532 on a pty. `baud`: pace its answers like that line; absent = at once."""

    kind: Literal["pn532"]
    id: DeviceId
    link: LinkName
    baud: Annotated[int, Field(ge=1200, le=1_000_000)] | None = None


class LcusPlan(_Table):
    """An LCUS relay board on a pty."""

    kind: Literal["lcus"]
    id: DeviceId
    link: LinkName
    channels: Annotated[int, Field(ge=1, le=8)]
    baud: Annotated[int, Field(ge=1200, le=1_000_000)] | None = None


class ModbusPlan(_Table):
    """A Modbus relay board on an RS-485 pair; boards with the same `link` share it, and its baud. `flash`: it drops a
    relay by its own timer.
    """

    kind: Literal["modbus"]
    id: DeviceId
    link: LinkName
    unit: Annotated[int, Field(ge=1, le=247)]
    channels: Annotated[int, Field(ge=1, le=8)]
    inputs: Annotated[int, Field(ge=0, le=8)] = 8
    flash: bool = True
    baud: Annotated[int, Field(ge=1200, le=230_400)] = 9600


class MqttReaderPlan(_Table):
    """An MQTT card reader, and a keypad on it with `keypad = true`."""

    kind: Literal["mqtt-reader"]
    id: DeviceId
    keypad: bool = False


class MqttDoorPlan(_Table):
    """An MQTT door controller: input lines, a relay unless `strike = false`, a people counter with `counter = true`."""

    kind: Literal["mqtt-door"]
    id: DeviceId
    strike: bool = True
    counter: bool = False


class MqttProfilePlan(_Table):
    """An MQTT device that can be bought: reader, sensor, relay or several of them. `topic`: its own part of its topics,
    its id where nothing is said. `channel`: which relay or input of it is used.
    """

    kind: Literal["mqtt-profile"]
    id: DeviceId
    profile: str
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,128}$")] | None = None
    channel: Annotated[int, Field(ge=0, le=63)] | None = None


class OsdpBusPlan(_Table):
    """An RS-485 pair on a pty, with OSDP readers on it. `hears_speed`: another speed at the host is garbage."""

    kind: Literal["osdp-bus"]
    id: DeviceId
    link: LinkName
    baud: Annotated[int, Field(ge=1200, le=230_400)] = 9600
    hears_speed: bool = True


class OsdpReaderPlan(_Table):
    """An OSDP reader on a pair. `key`: 32 hexadecimal digits; absent = as it came from the maker, in install state.
    Its inputs are, in this order, a door's contact, REX, fire and power; its first output can be a strike.
    `pkoc`: who checks PKOC cards. `remembers`: keep key and serial number in the run directory when the building stops.
    """

    kind: Literal["osdp-reader"]
    id: DeviceId
    bus: DeviceId
    address: Annotated[int, Field(ge=0, le=126)]
    keypad: bool = False
    display: bool = True
    pkoc: Literal["panel", "reader", "none"] = "panel"
    key: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32}$")] | None = None
    serial: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None
    remembers: bool = False
    inputs: Annotated[int, Field(ge=0, le=8)] = 2
    outputs: Annotated[int, Field(ge=0, le=8)] = 1


DevicePlan = Annotated[
    Pn532Plan | LcusPlan | ModbusPlan | MqttReaderPlan | MqttDoorPlan | MqttProfilePlan | OsdpBusPlan | OsdpReaderPlan,
    Field(discriminator="kind"),
]
KINDS = ("pn532", "lcus", "modbus", "mqtt-reader", "mqtt-door", "mqtt-profile", "osdp-bus", "osdp-reader")
SerialPlan = Pn532Plan | LcusPlan | OsdpBusPlan
WithReader = Pn532Plan | MqttReaderPlan | MqttProfilePlan | OsdpReaderPlan
WithLines = MqttDoorPlan | MqttProfilePlan | OsdpReaderPlan
WithRelays = LcusPlan | ModbusPlan | MqttProfilePlan | OsdpReaderPlan


class BoardStrike(_Table):
    """A strike wired to a relay board's channel, or to a bought MQTT device, whose channel is its own business."""

    board: DeviceId
    channel: Annotated[int, Field(ge=1, le=8)]


class DoorPlan(_Table):
    """A door and what is mounted on it. `sensor`: the device with its lines, or `board:input` of a Modbus board, where
    the contact hangs on that input and the REX on the next. `strike` absent: the sensor's own relay. `lock_type`: what
    the lock does without power; a fail-safe one is also let go by the fire alarm's own contact.
    """

    id: PlaceId
    label: Words
    from_zone: PlaceId
    to_zone: PlaceId
    reader_in: DeviceId | None = None
    reader_out: DeviceId | None = None
    sensor: Sensor
    strike: BoardStrike | None = None
    lock_type: Literal["fail-safe", "fail-secure"] = "fail-secure"


class PersonPlan(_Table):
    """Somebody made up, the card in their pocket and the PINs in their head. `card_type`: uid = a bare number; the
    others hold keys (desfire, ntag424 and felica-lite-s those of `card_keys`, pkoc one of its own).
    """

    name: Words
    card: Hex
    kind: Literal["iso14443a", "felica"] = "iso14443a"
    card_type: CardType = "uid"
    pin: Digits | None = None
    duress_pin: Digits | None = None


class Plan(_Table):
    """A whole building."""

    name: Words
    zones: tuple[ZonePlan, ...]
    devices: tuple[DevicePlan, ...]
    doors: tuple[DoorPlan, ...]
    people: tuple[PersonPlan, ...] = ()
    card_keys: dict[CardKeyPurpose, dict[KeyVersion, CardKeyHex]] = {}  # made-up master keys of the site

    def master_keys(self) -> dict[str, dict[int, bytes]]:
        """The site's card keys: purpose → version → sixteen bytes."""
        return {
            purpose: {int(version): bytes.fromhex(key) for version, key in versions.items()}
            for purpose, versions in self.card_keys.items()
        }


def load(path: Path) -> Plan:
    """Read and check a building file. Raises BuildingFileError naming the key (or the line) and what to do."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BuildingFileError(f"{path}: not found; give the path of a building.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildingFileError(f"{path}: not TOML: {error}; correct that line") from None
    try:
        plan = Plan.model_validate(tables)
    except ValidationError as error:
        raise BuildingFileError(f"{path}: " + "; ".join(_said(one) for one in error.errors())) from None
    fault = next(_faults(plan), None)
    if fault is not None:
        raise BuildingFileError(f"{path}: {fault}")
    return plan


def _said(error: object) -> str:
    """One of pydantic's errors as `key: what is wrong; what to do`."""
    assert isinstance(error, dict)
    steps = [step for step in error["loc"] if step not in KINDS]
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    pattern = error.get("ctx", {}).get("pattern")
    kinds = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
    advice = {
        "extra_forbidden": "no such key; remove it or correct its spelling",
        "missing": "missing; add it",
        "union_tag_not_found": f"kind is missing; add kind = {kinds}",
        "union_tag_invalid": f"unknown kind; write {kinds}",
        "string_pattern_mismatch": f"{error['input']!r} does not fit; write what {pattern} allows",
    }
    return f"{key}: {advice.get(error['type'], error['msg'] + '; correct the value')}"


def _faults(plan: Plan) -> Iterator[str]:
    """What the shape alone cannot see: names used twice, names of nothing."""
    zones = {zone.id for zone in plan.zones}
    devices = {device.id: device for device in plan.devices}
    yield from _doubles("zones", "id", (zone.id for zone in plan.zones))
    yield from _doubles("devices", "id", (device.id for device in plan.devices))
    yield from _doubles("doors", "id", (door.id for door in plan.doors))
    yield from _doubles("people", "card", (person.card.upper() for person in plan.people))
    serial = [device for device in plan.devices if isinstance(device, SerialPlan)]
    pairs = {device.link for device in plan.devices if isinstance(device, ModbusPlan)}
    yield from _doubles("devices", "link", (*(device.link for device in serial), *pairs))
    yield from _doubles("doors", "sensor", (door.sensor for door in plan.doors))
    for at, zone in enumerate(plan.zones):
        if zone.within is not None and zone.within not in zones:
            yield f"zones[{at}].within: no zone {zone.within!r}; write the id of another zone"
    for at, person in enumerate(plan.people):
        if person.kind == "felica" and len(person.card) != 16:
            yield f"people[{at}].card: a FeliCa IDm has 16 hexadecimal digits; correct it or set kind = iso14443a"
        if person.kind == "iso14443a" and len(person.card) not in (8, 14, 20):
            yield f"people[{at}].card: a type A UID has 8, 14 or 20 hexadecimal digits; correct it or set kind = felica"
        yield from _card_faults(f"people[{at}]", person, plan)
        if person.duress_pin is not None and person.duress_pin == person.pin:
            yield f"people[{at}].duress_pin: the same as pin; make it another one"
    for at, device in enumerate(plan.devices):
        if isinstance(device, MqttProfilePlan) and device.profile not in MAKERS:
            yield f"devices[{at}].profile: no profile {device.profile!r}; write one of {', '.join(MAKERS)}"
    yield from _pair_faults(plan, devices)
    yield from _board_faults(plan)
    for at, door in enumerate(plan.doors):
        yield from _door_faults(f"doors[{at}]", door, zones, devices)


def _card_faults(key: str, person: PersonPlan, plan: Plan) -> Iterator[str]:
    if person.card_type in ("desfire", "ntag424") and (person.kind, len(person.card)) != ("iso14443a", 14):
        yield f"{key}.card: a {person.card_type} has a type A UID of 14 hexadecimal digits; correct it"
    if person.card_type == "pkoc" and person.kind != "iso14443a":
        yield f"{key}.kind: a pkoc card is type A; set kind = iso14443a"
    if person.card_type == "felica-lite-s" and person.kind != "felica":
        yield f"{key}.kind: a felica-lite-s is a FeliCa; set kind = felica"
    for purpose in CARD_KEYS_OF.get(person.card_type, ()):
        if not plan.card_keys.get(purpose):
            yield f"card_keys.{purpose}: missing, and {key} has a {person.card_type}; add [card_keys.{purpose}]"


def _door_faults(key: str, door: DoorPlan, zones: set[str], devices: dict[str, DevicePlan]) -> Iterator[str]:
    for name in ("from_zone", "to_zone"):
        if getattr(door, name) not in zones:
            yield f"{key}.{name}: no zone {getattr(door, name)!r}; write the id of a zone of this file"
    for name in ("reader_in", "reader_out"):
        reader = getattr(door, name)
        if reader is not None and not isinstance(devices.get(reader), WithReader):
            kinds = "pn532, mqtt-reader, mqtt-profile or osdp-reader"
            yield f"{key}.{name}: no reader {reader!r}; write the id of a device of kind {kinds}"
    sensor = devices.get(door.sensor.partition(":")[0])
    if isinstance(sensor, ModbusPlan) and ":" in door.sensor:
        yield from _wired_faults(key, door, sensor)
    elif not isinstance(sensor, WithLines) or ":" in door.sensor:
        kinds = "mqtt-door, mqtt-profile or osdp-reader"
        yield f"{key}.sensor: no device {door.sensor!r} of kind {kinds}; write the id of one, or modbus-board:input"
    elif door.strike is None and isinstance(sensor, MqttDoorPlan) and not sensor.strike:
        yield f"{key}.strike: missing, and {door.sensor!r} has strike = false; add strike = {{board = …, channel = …}}"
    if isinstance(sensor, OsdpReaderPlan):
        yield from _input_faults(key, door, sensor)
    if door.strike is not None:
        yield from _strike_faults(f"{key}.strike", door.strike, devices.get(door.strike.board))


def _input_faults(key: str, door: DoorPlan, reader: OsdpReaderPlan) -> Iterator[str]:
    if door.strike is None and not reader.outputs:
        yield f"{key}.strike: missing, and {reader.id!r} has outputs = 0; add strike = {{board = …, channel = …}}"
    if not reader.inputs:
        yield f"{key}.sensor: {reader.id!r} has inputs = 0; give it one for the contact at least"


def _strike_faults(key: str, strike: BoardStrike, board: DevicePlan | None) -> Iterator[str]:
    if not isinstance(board, WithRelays):
        kinds = "lcus, modbus, mqtt-profile or osdp-reader"
        yield f"{key}.board: no device {strike.board!r} of kind {kinds}; write the id of one"
        return
    count = board.channels if isinstance(board, LcusPlan | ModbusPlan) else 8
    if isinstance(board, OsdpReaderPlan):
        count = board.outputs
    if strike.channel > count:
        yield f"{key}.channel: {strike.channel}, but {board.id!r} has {count}; use a lower one"


def _wired_faults(key: str, door: DoorPlan, board: ModbusPlan) -> Iterator[str]:
    """A door whose contact and REX hang on a board's inputs."""
    if door.strike is None:
        yield f"{key}.strike: missing; add strike = {{board = …, channel = …}}"
    if not 1 <= int(door.sensor.partition(":")[2]) <= board.inputs:
        yield f"{key}.sensor: {board.id!r} has inputs 1 to {board.inputs}; give the contact one, the REX the next"


def _board_faults(plan: Plan) -> Iterator[str]:
    """Modbus boards with one address on one pair, or with different speeds on it."""
    seen: dict[str, list[ModbusPlan]] = {}
    for at, device in enumerate(plan.devices):
        if isinstance(device, ModbusPlan):
            others = seen.setdefault(device.link, [])
            if device.unit in {other.unit for other in others}:
                yield f"devices[{at}].unit: {device.unit} is taken on {device.link!r}; give each board its own"
            if others and others[0].baud != device.baud:
                yield f"devices[{at}].baud: {device.baud}, but {device.link!r} runs at {others[0].baud}; equal them"
            others.append(device)


def _pair_faults(plan: Plan, devices: dict[str, DevicePlan]) -> Iterator[str]:
    """OSDP readers that hang nowhere, or two at one address."""
    places: Counter[tuple[str, int]] = Counter()
    for at, device in enumerate(plan.devices):
        if isinstance(device, OsdpReaderPlan):
            places[device.bus, device.address] += 1
            if not isinstance(devices.get(device.bus), OsdpBusPlan):
                yield f"devices[{at}].bus: no device {device.bus!r} of kind osdp-bus; write the id of one"
            if places[device.bus, device.address] > 1:
                yield f"devices[{at}].address: {device.address} is taken on {device.bus!r}; give each reader its own"


def _doubles(table: str, key: str, values: Iterable[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{table}.{key}: {value!r} stands {count} times; give each its own"
