"""MQTT devices that can be bought, as they behave: ESP-RFID, Tasmota, Shelly, ESPHome, Zigbee2MQTT, and a plain one.

Written from their makers' documentation, sharing no code and no data with the controller. They are what they are: no
message of theirs has an id, most have no time, and they obey whatever comes on their command topic, retained or not.
Owns what such a device remembers: its output, its own timer where it has one, what it showed last.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulators.mqtt_session import Heard, Presence, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulators.journal import Journal
    from simulators.loop import Alarm, Loop

LEVEL_LINES: Final = ("contact", "tamper", "fire", "power")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a device publishes."""

    topic: str
    payload: bytes
    is_retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a device was told to do with its output. `for_ms`: and for how long, None where nobody said."""

    is_on: bool
    for_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a reader was told to show, as people take it."""

    what: str


class NoSuchPart(ValueError):
    """The device has no such part: a relay reads no cards."""


class Maker:
    """What one kind of device says and understands. `channel`: which of its relays or inputs, as it counts."""

    def __init__(self, topic: str, channel: int | None) -> None:
        self.topic = topic
        self.channel = channel

    @property
    def listens_to(self) -> tuple[str, ...]:
        """Topics of orders to it."""
        return ()

    @property
    def presence(self) -> Presence | None:
        """Where it says that it is there."""
        return None

    def up(self) -> list[Message]:
        """Said when it has connected."""
        return []

    def beat(self) -> list[Message]:
        """Said again and again."""
        return []

    def card(self, number: bytes) -> list[Message]:
        """A card was held to it."""
        raise NoSuchPart(f"{type(self).__name__} reads no cards: {len(number)} bytes for nobody")

    def keys(self, digits: str) -> list[Message]:
        """Digits were typed on it."""
        raise NoSuchPart(f"{type(self).__name__} has no keypad: {len(digits)} digits for nobody")

    def line(self, _line: str, _is_active: bool) -> list[Message]:
        """What hangs on one of its inputs changed. Nothing where nothing hangs."""
        return []

    def output(self, _is_on: bool) -> list[Message]:
        """Its output changed."""
        return []

    def hears(self, _heard: Heard) -> Order | Shown | None:
        """What an order means; None: not understood."""
        return None


class Generic(Maker):
    """Free topics and plain texts, set as our documentation asks."""

    WORDS: Final = {
        "contact": ("closed", "open"),
        "rex": ("released", "pressed"),
        "tamper": ("closed", "open"),
        "fire": ("quiet", "alarm"),
        "power": ("present", "lost"),
    }

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.topic}/output/set", f"{self.topic}/show")

    @property
    def presence(self) -> Presence:
        return Presence(topic=f"{self.topic}/online")

    def card(self, number: bytes) -> list[Message]:
        return [Message(topic=f"{self.topic}/card", payload=number.hex().upper().encode())]

    def keys(self, digits: str) -> list[Message]:
        return [Message(topic=f"{self.topic}/keys", payload=digits.encode())]

    def line(self, line: str, is_active: bool) -> list[Message]:
        word = self.WORDS[line][is_active]
        return [Message(topic=f"{self.topic}/{line}", payload=word.encode(), is_retained=line in LEVEL_LINES)]

    def output(self, is_on: bool) -> list[Message]:
        return [Message(topic=f"{self.topic}/output", payload=_on_off(is_on), is_retained=True)]

    def hears(self, heard: Heard) -> Order | Shown | None:
        if heard.topic.endswith("/show"):
            return Shown(what=heard.payload.decode("utf-8", "replace"))
        return _switched(heard.payload)


class EspRfid(Maker):
    """An esp-rfid board: card reader, contact and relay. It opens for its own activation time."""

    IP: Final = "192.0.2.17"
    ACTIVATION_MS: Final = 400
    NOBODY: Final = " "

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.topic}/cmd",)

    def up(self) -> list[Message]:
        return [self._send(type="boot", time=1605987212, uptime="0", ip=self.IP, hostname="esp-rfid")]

    def beat(self) -> list[Message]:
        return [self._send(type="heartbeat", time=1605991375, uptime=999, ip=self.IP, hostname="esp-rfid")]

    def card(self, number: bytes) -> list[Message]:
        return [self._access("false", "Denied", "Unknown", number.hex())]

    def line(self, line: str, is_active: bool) -> list[Message]:
        if line == "contact":
            return [self._event("INFO", "door", "Door Open" if is_active else "Door Closed")]
        if line == "tamper" and is_active:
            return [self._event("WARN", "tamper", "Door was tampered!")]
        return []

    def hears(self, heard: Heard) -> Order | None:
        fields = _fields(heard.payload)
        if fields.get("doorip") != self.IP or fields.get("cmd") != "opendoor":
            return None
        return Order(is_on=True, for_ms=self.ACTIVATION_MS)

    def output(self, is_on: bool) -> list[Message]:
        """It tells of being opened as if somebody without a card had been admitted."""
        return [self._access("true", "Always", "MQTT", self.NOBODY)] if is_on else []

    def _access(self, is_known: str, access: str, name: str, number: str) -> Message:
        return self._send(
            type="access", time=1605991375, isKnown=is_known, access=access, username=name, uid=number, door="esp-rfid"
        )

    def _event(self, kind: str, part: str, text: str) -> Message:
        more = {"data": "", "time": 1605991375, "cmd": "event", "hostname": "esp-rfid"}
        return self._send(type=kind, src=part, desc=text, **more)

    def _send(self, **fields: object) -> Message:
        return Message(topic=f"{self.topic}/send", payload=_json(fields))


class Tasmota(Maker):
    """A Tasmota board, whatever hangs on it. PulseTime is kept; a power order starts it."""

    PULSE: Final = re.compile(r"(?i)pulsetime(\d*)\s+(\d+)")
    POWER: Final = re.compile(r"(?i)power(\d*)\s+(on|off|1|0)")

    def __init__(self, topic: str, channel: int | None) -> None:
        super().__init__(topic, channel)
        self._pulses: dict[str, int] = {}

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"cmnd/{self.topic}/#",)

    @property
    def presence(self) -> Presence:
        return Presence(topic=f"tele/{self.topic}/LWT", online=b"Online", offline=b"Offline")

    def beat(self) -> list[Message]:
        state = {"Time": "2026-11-27T10:00:00", "Uptime": "0T01:00:10", "UptimeSec": 3610, "Heap": 25}
        return [Message(topic=f"tele/{self.topic}/STATE", payload=_json(state))]

    def line(self, line: str, is_active: bool) -> list[Message]:
        switches = {"contact": ("Switch1", not is_active), "rex": ("Switch2", is_active)}
        if line not in switches:
            return []
        switch, is_closed = switches[line]
        action = {switch: {"Action": "ON" if is_closed else "OFF"}}
        return [Message(topic=f"stat/{self.topic}/RESULT", payload=_json(action))]

    def output(self, is_on: bool) -> list[Message]:
        power = f"POWER{'' if self.channel is None else self.channel}"
        answer = _json({power: "ON" if is_on else "OFF"})
        return [
            Message(topic=f"stat/{self.topic}/RESULT", payload=answer),
            Message(topic=f"stat/{self.topic}/{power}", payload=_on_off(is_on)),
        ]

    def hears(self, heard: Heard) -> Order | Shown | None:
        """`cmnd/<topic>/<command>` with its parameters, or several in a backlog."""
        command = heard.topic.rpartition("/")[2]
        said = heard.payload.decode("utf-8", "replace")
        steps = said.split(";") if command.lower() in {"backlog", "backlog0"} else [f"{command} {said}"]
        order: Order | Shown | None = None
        for step in (one.strip() for one in steps):
            if pulse := self.PULSE.fullmatch(step):
                self._pulses[pulse[1] or "1"] = int(pulse[2])
            elif (power := self.POWER.fullmatch(step)) and (power[1] or "1") == str(self.channel or 1):
                is_on = power[2].lower() in {"on", "1"}
                order = Order(is_on=is_on, for_ms=self._pulse_ms(power[1] or "1") if is_on else None)
            elif step.lower().startswith("buzzer "):
                order = Shown(what="granted" if step.partition(" ")[2] == "1" else "refused")  # as people take beeps
        return order

    def _pulse_ms(self, relay: str) -> int | None:
        """Up to 111 tenths of a second; above, seconds and a hundred; 0 switches it off."""
        pulse = self._pulses.get(relay, 0)
        if not pulse:
            return None
        return pulse * 100 if pulse <= 111 else (pulse - 100) * 1_000


class TasmotaPn532(Tasmota):
    """Tasmota with a PN532. `drops_zeros`: the forks that print bytes without leading zeros."""

    drops_zeros = False

    def card(self, number: bytes) -> list[Message]:
        printed = "".join(f"{byte:X}" if self.drops_zeros else f"{byte:02X}" for byte in number)
        sensor = {"Time": "2026-11-27T10:00:00", "PN532": {"UID": printed}}
        return [Message(topic=f"tele/{self.topic}/SENSOR", payload=_json(sensor))]


class TasmotaRdm6300(Tasmota):
    """Tasmota with a 125 kHz reader."""

    def card(self, number: bytes) -> list[Message]:
        sensor = {"Time": "2026-11-27T10:00:00", "RDM6300": {"UID": f"{int.from_bytes(number):08X}"}}
        return [Message(topic=f"tele/{self.topic}/SENSOR", payload=_json(sensor))]


class Shelly(Maker):
    """A Shelly of the second generation, speaking RPC. `rex_input`: its input is the way out and not the contact."""

    rex_input = False
    STARTED_S: Final = 1_736_603_810.49

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.topic}/rpc", f"{self.topic}/command")

    @property
    def presence(self) -> Presence:
        return Presence(topic=f"{self.topic}/online", online=b"true", offline=b"false")

    def line(self, line: str, is_active: bool) -> list[Message]:
        if line != ("rex" if self.rex_input else "contact"):
            return []
        is_closed = is_active if self.rex_input else not is_active
        name = f"input:{self.channel or 0}"
        return [self._notify({name: {"id": self.channel or 0, "state": is_closed}})]

    def output(self, is_on: bool) -> list[Message]:
        name = f"switch:{self.channel or 0}"
        return [
            self._notify({name: {"id": self.channel or 0, "output": is_on, "source": "MQTT"}}),
            self._notify({name: {"id": self.channel or 0, "apower": 3.1 if is_on else 0.0}}),
        ]

    def hears(self, heard: Heard) -> Order | None:
        fields = _fields(heard.payload)
        asked = fields.get("params")
        if (
            fields.get("method") != "Switch.Set"
            or not isinstance(fields.get("src"), str)
            or not isinstance(asked, dict)
        ):
            return None
        if asked.get("id") != (self.channel or 0) or not isinstance(asked.get("on"), bool):
            return None
        after = asked.get("toggle_after")
        return Order(is_on=asked["on"], for_ms=round(after * 1_000) if isinstance(after, int | float) else None)

    def _notify(self, parts: Mapping[str, object]) -> Message:
        frame = {
            "src": self.topic,
            "dst": f"{self.topic}/events",
            "method": "NotifyStatus",
            "params": {"ts": self.STARTED_S} | dict(parts),
        }
        return Message(topic=f"{self.topic}/events/rpc", payload=_json(frame))


class ShellyRex(Shelly):
    """The same, wired to the way out. It has no clock yet: `ts` is null, as before its first time server."""

    rex_input = True

    def _notify(self, parts: Mapping[str, object]) -> Message:
        frame = {"src": self.topic, "dst": f"{self.topic}/events", "method": "NotifyStatus"}
        return Message(topic=f"{self.topic}/events/rpc", payload=_json(frame | {"params": {"ts": None} | dict(parts)}))


class EspHome(Maker):
    """An ESPHome node: what hangs on it is told by `component` and its name."""

    component = ""
    on, off = b"ON", b"OFF"

    @property
    def presence(self) -> Presence:
        return Presence(topic=f"{self.topic}/status")

    @property
    def part(self) -> str:
        """The topic of its one output."""
        return f"{self.topic}/{self.component}/strike{'' if self.channel is None else self.channel}"

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.part}/command",) if self.component else ()

    def output(self, is_on: bool) -> list[Message]:
        state = self.on if is_on else self.off
        return [Message(topic=f"{self.part}/state", payload=state, is_retained=True)] if self.component else []


class EspHomeReader(EspHome):
    """A PN532 in ESPHome, publishing in on_tag, and showing what its own YAML makes of `show`."""

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.topic}/show",)

    def card(self, number: bytes) -> list[Message]:
        return [Message(topic=f"{self.topic}/card", payload=number.hex("-").upper().encode())]

    def hears(self, heard: Heard) -> Shown:
        return Shown(what=heard.payload.decode("utf-8", "replace"))


class EspHomeSwitch(EspHome):
    """A relay that stays as it is told."""

    component = "switch"

    def hears(self, heard: Heard) -> Order | None:
        return _switched(heard.payload)


class EspHomeLock(EspHome):
    """A lock. It tells of being on its way, too."""

    component = "lock"
    on, off = b"UNLOCKED", b"LOCKED"

    def output(self, is_on: bool) -> list[Message]:
        on_its_way = b"UNLOCKING" if is_on else b"LOCKING"
        return [Message(topic=f"{self.part}/state", payload=on_its_way, is_retained=True), *super().output(is_on)]

    def hears(self, heard: Heard) -> Order | None:
        said = heard.payload.upper()
        return Order(is_on=said != b"LOCK") if said in {b"LOCK", b"UNLOCK", b"OPEN"} else None


class EspHomeInputs(EspHome):
    """Inputs named contact, rex, tamper, fire and power. That of rex is set to retain nothing."""

    def line(self, line: str, is_active: bool) -> list[Message]:
        topic = f"{self.topic}/binary_sensor/{line}/state"
        return [Message(topic=topic, payload=_on_off(is_active), is_retained=line in LEVEL_LINES)]


class Zigbee(Maker):
    """A Zigbee device behind Zigbee2MQTT, with its availability told."""

    @property
    def presence(self) -> Presence:
        return Presence(
            topic=f"{self.topic}/availability", online=_json({"state": "online"}), offline=_json({"state": "offline"})
        )

    def up(self) -> list[Message]:
        bridge = f"{self.topic.partition('/')[0]}/bridge/state"
        return [Message(topic=bridge, payload=_json({"state": "online"}), is_retained=True)]

    def says(self, **fields: object) -> list[Message]:
        """Everything that it knows, in one object."""
        return [Message(topic=self.topic, payload=_json(fields | {"linkquality": 128, "battery": 97}))]


class ZigbeeContact(Zigbee):
    """`contact` is true while the leaf is shut."""

    def line(self, line: str, is_active: bool) -> list[Message]:
        if line == "contact":
            return self.says(contact=not is_active)
        return self.says(tamper=is_active) if line == "tamper" else []


class ZigbeeMotion(Zigbee):
    """Sees somebody come to the way out."""

    def line(self, line: str, is_active: bool) -> list[Message]:
        return self.says(occupancy=is_active) if line == "rex" else []


class ZigbeeLock(Zigbee):
    """Locks when it is told."""

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.topic}/set",)

    def output(self, is_on: bool) -> list[Message]:
        return self.says(state="UNLOCK" if is_on else "LOCK", lock_state="unlocked" if is_on else "locked")

    def hears(self, heard: Heard) -> Order | None:
        state = _fields(heard.payload).get("state")
        return Order(is_on=state == "UNLOCK") if state in {"LOCK", "UNLOCK"} else None


class ZigbeePlug(Zigbee):
    """A relay that counts `on_time` itself."""

    @property
    def listens_to(self) -> tuple[str, ...]:
        return (f"{self.topic}/set",)

    def output(self, is_on: bool) -> list[Message]:
        return self.says(state="ON" if is_on else "OFF", power=0)

    def hears(self, heard: Heard) -> Order | None:
        fields = _fields(heard.payload)
        if fields.get("state") not in ("ON", "OFF"):
            return None
        on_time = fields.get("on_time")
        return Order(is_on=fields["state"] == "ON", for_ms=on_time * 1_000 if isinstance(on_time, int) else None)


MAKERS: Final[Mapping[str, type[Maker]]] = {
    "generic": Generic,
    "esp-rfid": EspRfid,
    "tasmota-pn532": TasmotaPn532,
    "tasmota-rdm6300": TasmotaRdm6300,
    "tasmota-relay": Tasmota,
    "shelly-gen2": Shelly,
    "shelly-gen2-rex": ShellyRex,
    "esphome-tag": EspHomeReader,
    "esphome-switch": EspHomeSwitch,
    "esphome-lock": EspHomeLock,
    "esphome-binary-sensor": EspHomeInputs,
    "zigbee2mqtt-contact": ZigbeeContact,
    "zigbee2mqtt-motion": ZigbeeMotion,
    "zigbee2mqtt-lock": ZigbeeLock,
    "zigbee2mqtt-plug": ZigbeePlug,
}


class BoughtDevice:
    """One such device on a broker. Deeds (`present`, `line`, …) are done in the loop's thread."""

    has_counter = False
    number = ""

    def __init__(  # noqa: PLR0913 - one argument a fact about a device, all by name
        self,
        device: str,
        profile: str,
        *,
        loop: Loop,
        journal: Journal,
        broker: tuple[str, int],
        topic: str | None = None,
        channel: int | None = None,
        beat_s: float = 300.0,
        on_strike: Callable[[bool], None] = lambda _is_on: None,
    ) -> None:
        if profile not in MAKERS:
            raise NoSuchPart(f"no profile {profile!r}; there are {', '.join(MAKERS)}")
        self.device, self.profile = device, profile
        self.maker = MAKERS[profile](topic or device, channel)
        self.journal = journal
        self.ignored: Counter[str] = Counter()
        self.is_strike_on = False
        self.on_strike = on_strike
        self.shown: str | None = None
        self.last_card = ""
        self.faults: dict[str, str] = {}
        self._loop = loop
        self._beat_ms = beat_s * 1_000
        self._auto_off: Alarm | None = None
        self._levels: dict[str, bool] = {"contact": False}
        self.session = Session(
            device,
            loop=loop,
            host=broker[0],
            port=broker[1],
            listens_to=self.maker.listens_to,
            on_heard=self._heard,
            on_up=self._up,
            presence=self.maker.presence,
        )

    @property
    def has_keypad(self) -> bool:
        """Whether digits can be typed on it."""
        return type(self.maker).keys is not Maker.keys

    def present(self, number: bytes) -> bool:
        """Hold a card to it; False = not sent. NoSuchPart where it reads none."""
        self.last_card = number.hex().upper()
        is_sent = self._say(self.maker.card(number))
        if is_sent:
            self.journal.note("card", self.device, number=number.hex())
        return is_sent

    def enter(self, digits: str) -> bool:
        """Type digits; False = not sent. NoSuchPart where there is no keypad."""
        is_sent = self._say(self.maker.keys(digits))
        if is_sent:
            self.journal.note("keys", self.device, length=len(digits))
        return is_sent

    def line(self, line: str, is_active: bool) -> None:
        """What hangs on `line` changed."""
        if line in LEVEL_LINES:
            self._levels[line] = is_active
        self._say(self.maker.line(line, is_active))

    def contact(self, is_open: bool) -> None:
        """The leaf's contact changed."""
        self.line("contact", is_open)

    def rex(self, is_pressed: bool) -> None:
        """The request-to-exit line changed."""
        self.line("rex", is_pressed)

    def beat(self) -> None:
        """Say that it lives."""
        self._say(self.maker.beat())

    def count(self, people: int) -> bool:
        """No such device counts people."""
        raise NoSuchPart(f"{self.device!r} has no people counter for {people}")

    def break_loop(self, line: str, fault: str | None) -> None:
        """No such device supervises its loops: a cut one looks like an open one."""
        raise NoSuchPart(f"{self.device!r} does not supervise {line!r}: {fault!r} would look like a change")

    def _up(self) -> None:
        self._say(self.maker.up())
        self.beat()
        for line, is_active in self._levels.items():
            self._say(self.maker.line(line, is_active))
        self._loop.call_in(self._beat_ms, self._beat_again)

    def _beat_again(self) -> None:
        if self.session.is_up:
            self.beat()
            self._loop.call_in(self._beat_ms, self._beat_again)

    def _heard(self, heard: Heard) -> None:
        said = self.maker.hears(heard)
        if isinstance(said, Order):
            self._obey(said)
        elif isinstance(said, Shown):
            self.shown = said.what
            self.journal.note("show", self.device, show=said.what, number="")
        elif said is None:
            self.ignored["malformed"] += 1
            self.journal.note("ignored", self.device, why="malformed")

    def _obey(self, order: Order) -> None:
        if self._auto_off is not None:
            self._auto_off.cancel()
            self._auto_off = None
        if order.for_ms is not None:
            self._auto_off = self._loop.call_in(order.for_ms, self._drop)
        self._strike(order.is_on)

    def _drop(self) -> None:
        self._auto_off = None
        self._strike(False)

    def _strike(self, is_on: bool) -> None:
        is_change, self.is_strike_on = is_on != self.is_strike_on, is_on
        if is_change:
            self.journal.note("relay", self.device, is_on=is_on)
            self.on_strike(is_on)
        self._say(self.maker.output(is_on))

    def _say(self, messages: list[Message]) -> bool:
        """Publish now or never; a loss is noted."""
        sent = [self.session.publish(one.topic, one.payload, is_retained=one.is_retained) for one in messages]
        if not (is_sent := all(sent)):
            self.journal.note("unsent", self.device, topic=messages[0].topic)
        return is_sent


def _on_off(is_on: bool) -> bytes:
    return b"ON" if is_on else b"OFF"


def _switched(payload: bytes) -> Order | None:
    said = payload.upper()
    return Order(is_on=said == b"ON") if said in {b"ON", b"OFF"} else None


def _fields(payload: bytes) -> dict[str, object]:
    try:
        fields = json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
