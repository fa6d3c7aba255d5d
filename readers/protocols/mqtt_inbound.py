"""MQTT devices of one broker: messages in, events out, without I/O (docs/wire/mqtt.md). Devices that can be bought are
handed on by their profile (`mqtt_profiles.py`).

Owns who is online, and which message ids were seen. Refuses, with a code from `Refusal`: unknown topics and devices,
retained reads, digits, counts and presses, ids seen before, and whatever `mqtt_messages` refuses. Every other
retained input is a level report, never an edge.

A device is online only when its own retained state says so; a lost broker takes every device with it, and its return
brings none back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from readers import profiles, topics
from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    Event,
    InputChanged,
    KeysEntered,
    LineFault,
    MessageRefused,
    OutputReported,
    PeopleCounted,
)
from readers.protocols import mqtt_messages
from readers.protocols.mqtt_messages import PayloadRefused, Refusal
from readers.protocols.mqtt_profiles import OURS, MqttDevice, ProfiledDevice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from readers.protocols.mqtt_messages import Command, Show

SEEN_IDS_MAX: Final = 1_024
UNKNOWN_SOURCE: Final = "mqtt"
"""Stands for a device whose topic names none."""


class SeenIds:
    """The last SEEN_IDS_MAX message ids of one device."""

    __slots__ = ("_ids", "_order")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._order: deque[str] = deque()

    def is_new(self, message_id: str) -> bool:
        """Whether this id was not seen before; remembers it."""
        if message_id in self._ids:
            return False
        if len(self._order) == SEEN_IDS_MAX:
            self._ids.discard(self._order.popleft())
        self._ids.add(message_id)
        self._order.append(message_id)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A topic to listen to. `keeps_retained_mark`: acts are said there, so the broker must tell whether a live message
    was published to be retained.
    """

    topic: str
    keeps_retained_mark: bool


class MqttInbound:
    """What the devices of one broker say. `devices`: those that the site file knows, a bare id being one of ours.
    `lanes`: which connections' share is asked for.

    Raises:
        ValueError: an impossible id or topic, or a profile that there is not.
    """

    def __init__(self, devices: Iterable[MqttDevice | str], lanes: frozenset[topics.Lane] = topics.LANES) -> None:
        self._lanes = lanes
        self._is_online: dict[str, bool | None] = {}
        self._foreign: dict[str, ProfiledDevice] = {}
        self._by_topic: dict[str, list[ProfiledDevice]] = {}
        for named in devices:
            device = MqttDevice(named) if isinstance(named, str) else named
            if device.profile == OURS:
                self._is_online[device.id] = None
                continue
            foreign = ProfiledDevice(device, profiles.load(device.profile), lanes)
            self._foreign[device.id] = foreign
            for topic in foreign.listens_to:
                self._by_topic.setdefault(topic, []).append(foreign)
        self._seen = {device: SeenIds() for device in self._is_online}

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """What to listen to: our own branch always, so that a stranger in it is told of, and what the profiles name."""
        marks = {topic: topic in topics.ACTS for topic in topics.subscriptions(self._lanes)}
        for device in self._foreign.values():
            for topic, keeps_mark in device.listens_to.items():
                marks[topic] = marks.get(topic, False) or keeps_mark
        return tuple(Subscription(topic=topic, keeps_retained_mark=mark) for topic, mark in marks.items())

    def receive_message(
        self, topic: str, payload: bytes, *, is_retained: bool, is_repeat: bool = False, now_ms: int = 0
    ) -> list[Event]:
        """The events of one message, or why it was refused. Never raises on what a peer can send. `is_repeat`: the
        broker marks it as sent before.
        """
        if (foreign := self._by_topic.get(topic)) is not None:
            return [
                event
                for device in foreign
                for event in device.receive(topic, payload, is_retained=is_retained, is_repeat=is_repeat, now_ms=now_ms)
            ]
        address = topics.parse(topic)
        if address is None:
            source = topics.sender(topic) or UNKNOWN_SOURCE
            return [MessageRefused(source=source, why=Refusal.UNKNOWN_TOPIC.value)]
        if address.device not in self._seen:
            return [MessageRefused(source=address.device, why=Refusal.UNKNOWN_DEVICE.value)]
        try:
            return self._read(address, payload, is_retained=is_retained)
        except PayloadRefused as refused:
            return [MessageRefused(source=address.device, why=refused.why.value)]

    def broker_lost(self, why: str) -> list[Event]:
        """Nothing is known of any device any more. DeviceOffline for each that was not already."""
        told = [event for device in self._is_online for event in self._told(device, is_online=False, why=why)]
        return told + [event for device in self._foreign.values() for event in device.broker_lost(why)]

    def broker_silent(self, now_ms: int = 0) -> list[Event]:
        """The broker had time to send the retained states: a device without one is offline."""
        unknown = [device for device, is_online in self._is_online.items() if is_online is None]
        told = [event for device in unknown for event in self._told(device, is_online=False, why="no state")]
        return told + [event for device in self._foreign.values() for event in device.broker_silent(now_ms)]

    def tick(self, now_ms: int) -> list[Event]:
        """DeviceOffline for each device that beats and has not for too long."""
        return [event for device in self._foreign.values() for event in device.tick(now_ms)]

    def encode_command(self, device: str, command: Command, sequence: int) -> list[tuple[str, bytes]] | None:
        """Topics and payloads of a command to a relay, in order. None when it cannot be told now."""
        if (foreign := self._foreign.get(device)) is not None:
            return foreign.encode_command(command, sequence)
        return [(topics.command(device), mqtt_messages.encode_command(command))]

    def encode_show(self, device: str, show: Show) -> list[tuple[str, bytes]]:
        """Topics and payloads of what a reader is to show; none when it cannot show that."""
        if (foreign := self._foreign.get(device)) is not None:
            return foreign.encode_show(show.show)
        return [(topics.show(device), mqtt_messages.encode_show(show))]

    def has_auto_off(self, device: str) -> bool:
        """Whether a release ends on the device by itself. Where not, the controller must send the end as well."""
        return device not in self._foreign or self._foreign[device].profile.has_auto_off

    def last_words_of(self, device: str) -> tuple[str, bytes] | None:
        """What a relay without a timer of its own must be told when nobody is left to tell it."""
        foreign = self._foreign.get(device)
        return None if foreign is None or foreign.profile.has_auto_off else foreign.last_words()

    def reports_output(self, device: str) -> bool:
        """Whether the device tells what its output does."""
        return device not in self._foreign or bool(self._foreign[device].profile.output)

    def _read(self, address: topics.Address, payload: bytes, *, is_retained: bool) -> list[Event]:
        device = address.device
        match address.channel:
            case "state":
                return self._told(device, is_online=mqtt_messages.decode_state(payload), why="device says offline")
            case "done":
                if is_retained:
                    raise PayloadRefused(Refusal.RETAINED)
                done = mqtt_messages.decode_done(payload)
                return [OutputReported(source=device, is_on=done.is_on, command_id=done.id)]
            case "input":
                return [self._input(device, address.line, payload, is_retained=is_retained)]
            case "card" | "keys" | "count" if is_retained:
                raise PayloadRefused(Refusal.RETAINED)
            case "card":
                return [self._card(device, payload)]
            case "keys":
                return [self._keys(device, payload)]
            case "count":
                return [self._count(device, payload)]

    def _card(self, device: str, payload: bytes) -> CardRead:
        card = mqtt_messages.decode_card(payload)
        self._once(device, card.id)
        return CardRead(
            source=device, number=bytes.fromhex(card.number), kind="mqtt", read_id=card.id, at_ms=card.at_ms
        )

    def _keys(self, device: str, payload: bytes) -> KeysEntered:
        keys = mqtt_messages.decode_keys(payload)
        self._once(device, keys.id)
        return KeysEntered(source=device, digits=keys.digits, read_id=keys.id, at_ms=keys.at_ms)

    def _count(self, device: str, payload: bytes) -> PeopleCounted:
        """A counter that begins its ids anew after a restart must not lose people: as for inputs."""
        counted = mqtt_messages.decode_count(payload)
        self._once(device, f"{counted.id}@{counted.at_ms}")
        return PeopleCounted(source=device, count=counted.count, at_ms=counted.at_ms)

    def _input(self, device: str, line: str, payload: bytes, *, is_retained: bool) -> InputChanged | LineFault:
        """A retained level comes again at every subscription, with an id that was seen: no duplicate, and no edge."""
        if is_retained and line not in topics.LEVEL_LINES:
            raise PayloadRefused(Refusal.RETAINED)
        message = mqtt_messages.decode_input(payload)
        if not is_retained:  # a device that counts its ids anew after a restart must not lose its button
            self._once(device, f"{message.id}@{message.at_ms}")
        if isinstance(message.is_active, msgspec.UnsetType):
            assert not isinstance(message.fault, msgspec.UnsetType)  # InputMessage has exactly one of the two
            return LineFault(
                source=device, line=line, fault=message.fault, is_level_report=is_retained, at_ms=message.at_ms
            )
        return InputChanged(
            source=device,
            line=line,
            is_active=message.is_active,
            is_level_report=is_retained,
            at_ms=message.at_ms,
        )

    def _once(self, device: str, message_id: str) -> None:
        if not self._seen[device].is_new(message_id):
            raise PayloadRefused(Refusal.DUPLICATE)

    def _told(self, device: str, *, is_online: bool, why: str) -> list[Event]:
        if self._is_online[device] is is_online:
            return []
        self._is_online[device] = is_online
        return [DeviceOnline(source=device) if is_online else DeviceOffline(source=device, why=why)]
