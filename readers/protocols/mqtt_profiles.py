"""MQTT devices that can be bought, as data: what a profile may say, and what its messages mean.

docs/wire/mqtt-profiles.md.

A profile (`readers/profiles/*.toml`) declares where a kind of device says what, and what it must be told. Owns the
shape of that data and the state of each device that has a profile: whether it is there, and what it said last. Refuses,
with a code of `Refusal`: retained acts, repeats, numbers that a device may have mangled, and whatever is too long or
not what its topic carries. What a profile does not name is passed over in silence: devices grow fields with every
version.

These devices number nothing and stamp next to nothing, so that a late message looks like a live one. What a device says
in the first moments after it came back, or while it counts as gone, is therefore marked: as a read that was held back,
or as a level.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from readers import topics
from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    Event,
    InputChanged,
    KeysEntered,
    MessageRefused,
    OutputReported,
)
from readers.protocols.mqtt_messages import RELEASE_MS_MAX, PayloadRefused, Refusal, Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from readers.protocols.mqtt_messages import Command

OURS: Final = "sekisho"
"""Devices that speak docs/wire/mqtt.md: no profile in data, because their messages carry ids and times."""
PAYLOAD_BYTES_MAX: Final = 8_192
"""A Shelly tells everything it knows in some 3 kB."""
HELD_BACK_MS: Final = 1_000
"""What a device says so soon after it came online may have lain in it."""
REPEAT_MS: Final = 300
"""The same act again so soon is the same message twice."""
TASMOTA_TENTHS_MAX: Final = 111
"""PulseTime counts tenths of a second up to here, and seconds plus 100 beyond."""


class _Unclear(Enum):
    """A value that is neither yes nor no."""

    PASSED_OVER = "passed_over"
    UNKNOWN = "unknown"


Scalar: TypeAlias = str | int | float | bool
_ABSENT: Final = object()
_PLACEHOLDER: Final = re.compile(r"\{(topic|root|channel|for_ms|for_s|whole_s|pulse|sequence|ip)\}")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_DIGITS: Final = re.compile(r"[0-9]{4,12}", re.ASCII)
_DIGIT_STRING: Final = re.compile(r"0|[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MqttDevice:
    """One device behind a broker. `topic`: its own part of a topic, None where that is its id. `channel`: which relay
    or input of it, as the device itself counts; None where it has one.
    """

    id: str
    profile: str = OURS
    topic: str | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        if not topics.is_device_id(self.id):
            raise ValueError(f"device id {self.id!r} may hold only a-z, 0-9 and '-' (1 to 64 of them)")
        if self.topic is not None and not topics.is_foreign_topic(self.topic):
            raise ValueError(f"topic {self.topic!r} of {self.id!r} may hold only letters, digits and -_.:/")


# -- what stands in a profile --------------------------------------------------------------------------------------


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where something is said. `path`: a JSON pointer into the payload, "" for the payload as text. `when`: pointers
    that must hold these values.
    """

    topic: str
    path: str = ""
    when: dict[str, Scalar] = {}


class OnlineRule(_Place, frozen=True, kw_only=True):
    """Whether the device, or what it hangs on, is there."""

    online: list[Scalar]
    offline: list[Scalar]


class AliveRule(_Place, frozen=True, kw_only=True):
    """A message that comes again and again while the device lives."""


class LearnRule(_Place, frozen=True, kw_only=True):
    """Something that must be known before the device can be told anything."""

    name: Literal["ip"]


class CardRule(_Place, frozen=True, kw_only=True):
    """A card number in hex. `sizes`: how many bytes it can have; anything else was mangled. `unless`: pointers to
    values with which the device says that it decided by itself.
    """

    sizes: tuple[int, ...] = (4, 7, 10)
    separator: str = ""
    unless: dict[str, Scalar] = {}


class KeysRule(_Place, frozen=True, kw_only=True):
    """Digits that were typed and confirmed."""


class InputRule(_Place, frozen=True, kw_only=True):
    """An input line. `active`: the values that mean what InputChanged calls active. `passed_over`: values that say
    nothing. `is_level`: said again and again, and never an edge. `is_state`: a press that goes on is said again with
    whatever else changes, so that only a change from idle is one. `at`: pointer to the epoch seconds of the device.
    """

    line: Literal["contact", "tamper", "fire", "power", "rex"]
    active: list[Scalar]
    idle: list[Scalar]
    passed_over: list[Scalar] = []
    is_level: bool = False
    is_state: bool = False
    at: str = ""

    @property
    def is_act(self) -> bool:
        """Whether it happens once, so that a replayed one would let somebody through."""
        return self.line not in topics.LEVEL_LINES


class OutputRule(_Place, frozen=True, kw_only=True):
    """What the output does now."""

    on: list[Scalar]
    off: list[Scalar]
    passed_over: list[Scalar] = []


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One message to the device."""

    topic: str
    payload: str


class ShowSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a reader is told so that it shows one of `shown`."""

    shown: list[str]
    topic: str
    payload: str


Rule: TypeAlias = OnlineRule | AliveRule | LearnRule | CardRule | KeysRule | OutputRule | InputRule


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of device. `has_auto_off`: it ends a release by itself, also when everything else is dead. `stale_s`:
    silent for longer it is gone, 0 where it has nothing to say for days. `channel`: of a device for which the site
    file names none.
    """

    name: str
    title: str
    source: str
    has_auto_off: bool = False
    stale_s: int = 0
    channel: int | None = None
    online: list[OnlineRule] = []
    alive: list[AliveRule] = []
    learn: list[LearnRule] = []
    card: list[CardRule] = []
    keys: list[KeysRule] = []
    output: list[OutputRule] = []
    input: list[InputRule] = []
    release: list[Said] = []
    secure: list[Said] = []
    show: list[ShowSaid] = []

    def __post_init__(self) -> None:
        if bool(self.release) is not bool(self.secure) and not (self.release and self.has_auto_off):
            raise ValueError("what can be released must end: `secure`, or `has_auto_off` where it cannot be told")
        if not self.has_auto_off and len(self.secure) > 1:
            raise ValueError("without `has_auto_off` one message must secure it: a last will is one message")
        if not self.online and not self.stale_s:
            raise ValueError("nothing would tell that the device is gone: `online` or `stale_s`")
        said: tuple[Rule | Said | ShowSaid, ...] = (*self.rules(), *self.release, *self.secure, *self.show)
        texts = [one.topic for one in said]
        if not all("{topic}" in text or "{root}" in text for text in texts):
            raise ValueError("every topic needs {topic} or {root}: the device could not be told from another")

    @property
    def serves(self) -> frozenset[str]:
        """What such a device can be to a portal: "reader", "keys", "strike", or one of its lines."""
        has = {"reader": self.card, "keys": self.keys, "strike": self.release}
        return frozenset({rule.line for rule in self.input} | {what for what, rules in has.items() if rules})

    def rules(self) -> tuple[Rule, ...]:
        """All of them, in the order in which they are asked: first whether the device is there, then what it says."""
        return (*self.online, *self.alive, *self.learn, *self.card, *self.keys, *self.output, *self.input)


def parse(tables: Mapping[str, Any]) -> Profile:
    """A profile from the tables of its file. ValueError naming what is wrong."""
    try:
        return msgspec.convert(tables, Profile)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


# -- one device that has a profile ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A rule with a device's own topics and pointers."""

    rule: Rule
    topic: str
    path: tuple[str, ...]
    when: tuple[tuple[tuple[str, ...], Scalar], ...]
    unless: tuple[tuple[tuple[str, ...], Scalar], ...]
    at: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """Whether the payload as it is is the value."""
        return not self.path and not self.when


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A payload, read both ways. `tree` is _ABSENT where it is no JSON."""

    text: str
    tree: object
    is_retained: bool
    is_repeat: bool
    now_ms: int


class ProfiledDevice:
    """What one device says, by its profile. `lanes`: which connections' share of it is asked for."""

    def __init__(self, device: MqttDevice, profile: Profile, lanes: frozenset[topics.Lane] = topics.LANES) -> None:
        self.id = device.id
        self.profile = profile
        channel = device.channel if device.channel is not None else profile.channel
        topic = device.topic or device.id
        self._names = {
            "topic": topic,
            "root": topic.partition("/")[0],
            "channel": "" if channel is None else str(channel),
        }
        self._rules: dict[str, list[_Bound]] = {}
        self._refusing: set[str] = set()
        for rule in profile.rules():
            lane: topics.Lane | None = _lane(rule)
            bound = self._bind(rule)
            if lane is None or lane in lanes:
                self._rules.setdefault(bound.topic, []).append(bound)
        self._refusing = self._topics_to_refuse_on(lanes)
        self._claims: dict[str, bool] = {}
        self._is_online: bool | None = None
        self._online_since_ms = 0
        self._heard_ms: int | None = None
        self._last_act: dict[str, tuple[str, int]] = {}
        self._lines: dict[str, bool] = {}

    @property
    def listens_to(self) -> dict[str, bool]:
        """What to listen to, each with whether the broker must tell live messages that were published to be retained:
        where acts are said.
        """
        return {topic: any(_is_act(bound.rule) for bound in rules) for topic, rules in self._rules.items()}

    def receive(self, topic: str, payload: bytes, *, is_retained: bool, is_repeat: bool, now_ms: int) -> list[Event]:
        """What a message on one of `topics` says. Never raises on what a peer can send."""
        try:
            message = _read(payload, is_retained=is_retained, is_repeat=is_repeat, now_ms=now_ms)
        except PayloadRefused as refused:
            return self._refused(topic, refused.why)
        told: list[Event] = []
        is_known = False
        rules = self._rules[topic]
        for bound in rules:
            try:
                said = self._apply(bound, message)
            except PayloadRefused as refused:
                is_known = True
                told += self._refused(topic, refused.why)
            else:
                is_known = is_known or (said is not None and not isinstance(bound.rule, AliveRule))
                told += said or []
        telling = [bound for bound in rules if not isinstance(bound.rule, AliveRule)]
        if telling and not is_known and (message.tree is _ABSENT or all(bound.is_text for bound in telling)):
            told += self._refused(topic, Refusal.MALFORMED)
        return told

    def tick(self, now_ms: int) -> list[Event]:
        """DeviceOffline when the device was silent for too long."""
        if (
            not self.profile.stale_s
            or self._heard_ms is None
            or now_ms - self._heard_ms <= self.profile.stale_s * 1_000
        ):
            return []
        return self._tell(is_online=False, why="stale", now_ms=now_ms)

    def broker_lost(self, why: str) -> list[Event]:
        """Nothing is known of the device any more."""
        self._claims.clear()
        self._heard_ms = None
        return self._tell(is_online=False, why=why, now_ms=0)

    def broker_silent(self, now_ms: int) -> list[Event]:
        """The broker had time to send what is retained. A device that only ever beats has until its next beat."""
        if not self.profile.online:
            self._heard_ms = now_ms if self._heard_ms is None else self._heard_ms
            return []
        return [] if self._is_online is not None else self._tell(is_online=False, why="no state", now_ms=now_ms)

    def encode_command(self, command: Command, sequence: int) -> list[tuple[str, bytes]] | None:
        """The messages of a command, in order; empty when the device secures by itself and cannot be told. None when it
        takes no commands, or what must be known first is not. ValueError for a time that no device may be told.
        """
        names: dict[str, str] = {"sequence": str(sequence)}
        if isinstance(command, Release):
            if not 1 <= command.for_ms <= RELEASE_MS_MAX:
                raise ValueError(f"a release lasts 1 to {RELEASE_MS_MAX} ms, not {command.for_ms}")
            names |= times(command.for_ms)
        said = self.profile.release if isinstance(command, Release) else self.profile.secure
        if not self.profile.release or (any("{ip}" in one.payload for one in said) and "ip" not in self._names):
            return None
        return [(self._fill(one.topic, names), self._fill(one.payload, names).encode()) for one in said]

    def last_words(self) -> tuple[str, bytes] | None:
        """The one message that secures it; None for a device that is not released."""
        said = [
            (self._fill(one.topic, {"sequence": "0"}), self._fill(one.payload, {"sequence": "0"}))
            for one in self.profile.secure
        ]
        return (said[0][0], said[0][1].encode()) if said else None

    def encode_show(self, shown: str) -> list[tuple[str, bytes]]:
        """The messages that make the reader show something; none where it cannot."""
        said = [one for one in self.profile.show if shown in one.shown]
        return [(self._fill(one.topic, {}), self._fill(one.payload, {}).encode()) for one in said]

    # -- rules -------------------------------------------------------------------------------------------------------

    def _apply(self, bound: _Bound, message: _Message) -> list[Event] | None:
        """What one rule makes of a message; None when the message says nothing of it."""
        value = _value(bound, message)
        if value is _ABSENT:
            return None
        meant: bool | _Unclear = _Unclear.UNKNOWN
        match bound.rule:
            case AliveRule():
                return [] if message.is_retained else self._heard(message.now_ms)
            case LearnRule(name=name):
                return self._learnt(name, value)
            case CardRule() | KeysRule():
                return [self._read_act(bound, value, message)]
            case OnlineRule(online=yes, offline=no):
                meant = _meaning(value, yes, no, [], is_text=bound.is_text)
            case OutputRule(on=yes, off=no, passed_over=neither) | InputRule(active=yes, idle=no, passed_over=neither):
                meant = _meaning(value, yes, no, neither, is_text=bound.is_text)
        if not isinstance(meant, bool):
            return None if meant is _Unclear.UNKNOWN else []
        return self._said(bound, message, is_so=meant)

    def _said(self, bound: _Bound, message: _Message, *, is_so: bool) -> list[Event]:
        """A message that says yes or no."""
        match bound.rule:
            case OnlineRule():
                return self._claimed(bound.topic, message, is_there=is_so)
            case InputRule():
                return [self._input(bound, bound.rule, message, is_active=is_so)]
            case _:
                return [OutputReported(source=self.id, is_on=is_so)]

    def _read_act(self, bound: _Bound, value: object, message: _Message) -> Event:
        """A card or typed digits."""
        if message.is_retained:
            raise PayloadRefused(Refusal.RETAINED)
        if any(_at(message.tree, pointer) == unless for pointer, unless in bound.unless):
            raise PayloadRefused(Refusal.DECIDED_BY_DEVICE)
        is_held_back = self._is_just_back(message.now_ms)
        if isinstance(bound.rule, CardRule):
            number = _number(value, bound.rule)
            self._once("card", number.hex(), message)
            return CardRead(source=self.id, number=number, kind="mqtt", is_held_back=is_held_back)
        if not isinstance(value, str) or _DIGITS.fullmatch(value) is None:
            raise PayloadRefused(Refusal.MALFORMED)
        self._once("keys", value, message)
        return KeysEntered(source=self.id, digits=value, is_held_back=is_held_back)

    def _input(self, bound: _Bound, rule: InputRule, message: _Message, *, is_active: bool) -> Event:
        if rule.is_act and message.is_retained:
            raise PayloadRefused(Refusal.RETAINED)
        before, self._lines[rule.line] = self._lines.get(rule.line), is_active
        is_level_report = rule.is_level or message.is_retained
        if not rule.is_act:
            is_level_report = is_level_report or before is is_active
        elif rule.is_state:
            is_level_report = before is None or before is is_active or self._is_just_back(message.now_ms)
        else:
            self._once(rule.line, str(is_active), message)
            is_level_report = self._is_just_back(message.now_ms)
        return InputChanged(
            source=self.id,
            line=rule.line,
            is_active=is_active,
            is_level_report=is_level_report,
            at_ms=_epoch_ms(_at(message.tree, bound.at)) if bound.at else None,
        )

    def _learnt(self, name: str, value: object) -> list[Event]:
        if not isinstance(value, str) or _ADDRESS.fullmatch(value) is None:
            raise PayloadRefused(Refusal.MALFORMED)
        self._names[name] = value
        return []

    def _once(self, kind: str, said: str, message: _Message) -> None:
        """Refuse the same act twice within REPEAT_MS, or one that the broker itself marks as sent before."""
        last = self._last_act.get(kind)
        self._last_act[kind] = (said, message.now_ms)
        if message.is_repeat or (last is not None and last[0] == said and message.now_ms - last[1] < REPEAT_MS):
            raise PayloadRefused(Refusal.DUPLICATE)

    # -- whether it is there -----------------------------------------------------------------------------------------

    def _claimed(self, topic: str, message: _Message, *, is_there: bool) -> list[Event]:
        """The device is there when something says so and nothing says the contrary."""
        self._claims[topic] = is_there
        if not is_there:
            return self._tell(is_online=False, why="device says offline", now_ms=message.now_ms)
        return self._heard(message.now_ms)

    def _heard(self, now_ms: int) -> list[Event]:
        self._heard_ms = now_ms
        is_claimed = any(self._claims.values()) and all(self._claims.values())
        return self._tell(is_online=True, why="", now_ms=now_ms) if is_claimed or not self.profile.online else []

    def _tell(self, *, is_online: bool, why: str, now_ms: int) -> list[Event]:
        if self._is_online is is_online:
            return []
        self._is_online = is_online
        self._online_since_ms = now_ms
        self._lines.clear()
        return [DeviceOnline(source=self.id) if is_online else DeviceOffline(source=self.id, why=why)]

    def _is_just_back(self, now_ms: int) -> bool:
        return self._is_online is not True or now_ms - self._online_since_ms < HELD_BACK_MS

    # -- names -------------------------------------------------------------------------------------------------------

    def _bind(self, rule: Rule) -> _Bound:
        unless = rule.unless if isinstance(rule, CardRule) else {}
        return _Bound(
            rule=rule,
            topic=self._fill(rule.topic, {}),
            path=_pointer(self._fill(rule.path, {})),
            when=tuple((_pointer(self._fill(path, {})), value) for path, value in rule.when.items()),
            unless=tuple((_pointer(self._fill(path, {})), value) for path, value in unless.items()),
            at=_pointer(rule.at) if isinstance(rule, InputRule) else (),
        )

    def _fill(self, template: str, names: Mapping[str, str]) -> str:
        known = self._names | dict(names)
        return _PLACEHOLDER.sub(lambda found: known[found[1]], template)

    def _topics_to_refuse_on(self, lanes: frozenset[topics.Lane]) -> set[str]:
        """Both connections hear the topics that say two things: nonsense there is told by one of them alone."""
        if lanes == topics.LANES:
            return set(self._rules)
        with_acts = {self._fill(rule.topic, {}) for rule in self.profile.rules() if _lane(rule) == "acts"}
        return with_acts if "acts" in lanes else set(self._rules) - with_acts

    def _refused(self, topic: str, why: Refusal) -> list[Event]:
        """An act that was refused is told by whoever asked for acts; it cannot be told twice."""
        if why in {Refusal.MALFORMED, Refusal.OVERSIZED} and topic not in self._refusing:
            return []
        return [MessageRefused(source=self.id, why=why.value)]


def times(for_ms: int) -> dict[str, str]:
    """A release's time in the units that devices take. None of them is longer than asked for, save that nothing is
    shorter than the shortest that a device can do.
    """
    tenths = max(1, for_ms // 100)
    pulse = tenths if tenths <= TASMOTA_TENTHS_MAX else 100 + max(12, for_ms // 1_000)
    if TASMOTA_TENTHS_MAX < tenths < 120:  # 11.2 s to 11.9 s cannot be said
        pulse = TASMOTA_TENTHS_MAX
    return {
        "for_ms": str(for_ms),
        "for_s": f"{for_ms / 1_000:g}",
        "whole_s": str(max(1, for_ms // 1_000)),
        "pulse": str(pulse),
    }


def _lane(rule: Rule) -> topics.Lane | None:
    """Whose connection it is heard on; None: both, which must both know whether the device is there."""
    if isinstance(rule, CardRule | KeysRule | OutputRule):
        return "acts"
    return "inputs" if isinstance(rule, InputRule) else None


def _is_act(rule: Rule) -> bool:
    return isinstance(rule, CardRule | KeysRule) or (isinstance(rule, InputRule) and rule.is_act)


def _read(payload: bytes, *, is_retained: bool, is_repeat: bool, now_ms: int) -> _Message:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise PayloadRefused(Refusal.OVERSIZED)
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise PayloadRefused(Refusal.MALFORMED) from None
    tree: object = _ABSENT
    try:
        tree = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        tree = _ABSENT
    return _Message(text=text, tree=tree, is_retained=is_retained, is_repeat=is_repeat, now_ms=now_ms)


def _value(bound: _Bound, message: _Message) -> object:
    """What the message says at the rule's place; _ABSENT when it says nothing there. A JSON null is nothing."""
    if bound.is_text:
        return message.text
    if any(not _is_same(_at(message.tree, pointer), wanted) for pointer, wanted in bound.when):
        return _ABSENT
    value = _at(message.tree, bound.path)
    if isinstance(bound.rule, CardRule) and isinstance(value, str) and not value.strip():
        return _ABSENT  # esp-rfid tells an opening by MQTT as the access of nobody's card
    return _ABSENT if value is None else value


def _at(tree: object, pointer: tuple[str, ...]) -> object:
    """RFC 6901."""
    for step in pointer:
        if isinstance(tree, dict):
            tree = tree.get(step, _ABSENT)
        elif isinstance(tree, list) and _DIGIT_STRING.fullmatch(step) and int(step) < len(tree):
            tree = tree[int(step)]
        else:
            return _ABSENT
    return tree


def _pointer(path: str) -> tuple[str, ...]:
    if path and not path.startswith("/"):
        raise ValueError(f"{path!r} is no JSON pointer: begin it with /")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:])


def _is_same(value: object, wanted: Scalar) -> bool:
    """Equal and of one type: to Python True is 1."""
    return type(value) is type(wanted) and value == wanted


def _meaning(
    value: object, yes: Iterable[Scalar], no: Iterable[Scalar], neither: Iterable[Scalar], *, is_text: bool
) -> bool | _Unclear:
    """True or False, or PASSED_OVER for what says nothing. A value in JSON that the profile does not know is refused; a
    text may be meant for another rule, and is UNKNOWN.
    """
    if any(_is_same(value, one) for one in yes):
        return True
    if any(_is_same(value, one) for one in no):
        return False
    if any(_is_same(value, one) for one in neither):
        return _Unclear.PASSED_OVER
    if is_text:
        return _Unclear.UNKNOWN
    raise PayloadRefused(Refusal.MALFORMED)


def _number(value: object, rule: CardRule) -> bytes:
    """A card number that can be trusted to be whole: leading zeros that a device lost cannot be found again."""
    if not isinstance(value, str):
        raise PayloadRefused(Refusal.BAD_NUMBER)
    digits = value.replace(rule.separator, "") if rule.separator else value
    if _HEX.fullmatch(digits) is None or len(digits) // 2 not in rule.sizes or not digits.strip("0"):
        raise PayloadRefused(Refusal.BAD_NUMBER)
    return bytes.fromhex(digits)


def _epoch_ms(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value * 1_000) if 0 <= value < 2**43 else None
