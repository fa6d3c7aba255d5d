"""Topic strings of our own devices: the only module that builds or parses one. Those of devices that can be bought
stand in `readers/profiles`.

    sekisho/v1/<device>/card           device → controller, a card was read
    sekisho/v1/<device>/keys           device → controller, digits were typed at a keypad
    sekisho/v1/<device>/count          device → controller, people passed under a people counter
    sekisho/v1/<device>/input/<line>   device → controller, one of INPUT_LINES
    sekisho/v1/<device>/state          device → controller, "online" | "offline" (retained; offline is the last will)
    sekisho/v1/<device>/done           device → controller, what a relay did
    sekisho/v1/<device>/command        controller → device
    sekisho/v1/<device>/show           controller → device

Beside them stand `ledger`, `checkpoint` and `kept` of each controller, which `controller/streams/mqtt_message.py` owns.
A topic is readable by whoever can watch the network: it carries a device id and nothing about a zone's clearance or a
person (E-11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

PREFIX: Final = "sekisho/v1"

Channel: TypeAlias = Literal["card", "keys", "count", "input", "state", "done"]

Lane: TypeAlias = Literal["acts", "inputs"]
"""The two connections of the controller: what may come in floods, and what must not wait for it."""
LANES: Final[frozenset[Lane]] = frozenset({"acts", "inputs"})

LEVEL_LINES: Final = frozenset({"contact", "tamper", "fire", "power"})
"""Inputs whose state outlives its change: they may be retained."""

INPUT_LINES: Final = LEVEL_LINES | {"rex"}

READS: Final = (f"{PREFIX}/+/card", f"{PREFIX}/+/keys", f"{PREFIX}/+/count", f"{PREFIX}/+/done")
"""What may come in floods: listened to on a connection of its own, so that it holds up nothing else."""

INPUTS: Final = (
    f"{PREFIX}/+/input/rex",
    *(f"{PREFIX}/+/input/{line}" for line in sorted(LEVEL_LINES)),
    f"{PREFIX}/+/state",
)
"""What must not wait: presses, contacts, fire, tamper, power, and which devices are there."""

SUBSCRIPTIONS: Final = (*READS, *INPUTS)
"""What the controller listens to. Commands are not among them: it must never hear itself."""

ACTS: Final = (*READS, f"{PREFIX}/+/input/rex")
"""What happens once. None may be retained, and MQTT 5 brokers are asked to say if one was published so."""

_CHANNELS: Final[dict[str, Channel]] = {
    "card": "card",
    "keys": "keys",
    "count": "count",
    "state": "state",
    "done": "done",
}
_FOREIGN: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,128}", re.ASCII)
_DEVICE: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_INBOUND: Final = re.compile(
    rf"{PREFIX}/([a-z0-9-]{{1,64}})/(?:({'|'.join(_CHANNELS)})|input/({'|'.join(sorted(INPUT_LINES))}))", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message came from. `line` is "" except on the input channel."""

    device: str
    channel: Channel
    line: str = ""


def is_device_id(text: str) -> bool:
    """Whether `text` may stand in a topic as a device: [a-z0-9-]{1,64}."""
    return _DEVICE.fullmatch(text) is not None


def is_foreign_topic(text: str) -> bool:
    """Whether `text` may be a bought device's own part of topics: no wildcard, nothing that JSON must quote, and not in
    our own branch.
    """
    return _FOREIGN.fullmatch(text) is not None and text.partition("/")[0] != PREFIX.partition("/")[0]


def subscriptions(lanes: frozenset[Lane]) -> tuple[str, ...]:
    """What to listen to for our own devices."""
    return (*(READS if "acts" in lanes else ()), *(INPUTS if "inputs" in lanes else ()))


def card(device: str) -> str:
    """Topic on which `device` reports a read. ValueError when the device id may not stand in a topic."""
    return _topic(device, "card")


def keys(device: str) -> str:
    """Topic on which `device` reports what was typed at its keypad."""
    return _topic(device, "keys")


def count(device: str) -> str:
    """Topic on which a people counter reports."""
    return _topic(device, "count")


def input_line(device: str, line: str) -> str:
    """Topic of one input line of `device`; `line` is one of INPUT_LINES, else ValueError."""
    if line not in INPUT_LINES:
        raise ValueError(f"input line {line!r} is not one of {sorted(INPUT_LINES)}")
    return _topic(device, f"input/{line}")


def state(device: str) -> str:
    """Topic on which `device` says online, and its last will says offline."""
    return _topic(device, "state")


def done(device: str) -> str:
    """Topic on which a relay acknowledges."""
    return _topic(device, "done")


def command(device: str) -> str:
    """Topic of commands to a relay."""
    return _topic(device, "command")


def show(device: str) -> str:
    """Topic of a reader's light and sound."""
    return _topic(device, "show")


def parse(topic: str) -> Address | None:
    """The sender of an inbound topic, or None when it is none of ours (also for topics that only the controller
    writes).
    """
    found = _INBOUND.fullmatch(topic)
    if found is None:
        return None
    device, channel, line = found.groups()
    if line is not None:
        return Address(device=device, channel="input", line=line)
    return Address(device=device, channel=_CHANNELS[channel])


def sender(topic: str) -> str | None:
    """The device that a topic names, also where the rest of the topic is none of ours; None when it names none."""
    parts = topic.split("/", 3)
    return parts[2] if len(parts) == 4 and topic.startswith(f"{PREFIX}/") and is_device_id(parts[2]) else None


def _topic(device: str, rest: str) -> str:
    if not is_device_id(device):
        raise ValueError(f"device id {device!r} may hold only a-z, 0-9 and '-' (1 to 64 of them)")
    return f"{PREFIX}/{device}/{rest}"
