"""What a wire said, as values: the only things that leave `readers/`.

Owns the event types. Every event names the device that it came from (`source`: the device id of the site file) and
was sent *whole*: no event is made from a frame or message that failed its check. Refuses to judge: whether a read
opens anything, how old it may be and who carries it is the controller's and `zones`' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

CardKind: TypeAlias = Literal["iso14443a", "felica", "mqtt"]
LoopFault: TypeAlias = Literal["short", "cut"]

SAMPLE_BYTES_MAX: Final = 16
"""A noise sample is for a technician's eye; more of it could hold somebody's card number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRead:
    """A card entered the field of a reader: once per presentation.

    `number` is the UID (ISO 14443A), the IDm (FeliCa) or what an MQTT reader sent. It proves nothing by itself: it
    can be cloned. `read_id` and `at_ms` (epoch ms by the *device's* clock) come with MQTT only.
    """

    source: str
    number: bytes
    kind: CardKind
    read_id: str | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardAnswered:
    """The selected card's answer to `exchange()`; `answer` is None when the card left the field or the chip reported
    an error.
    """

    source: str
    answer: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChanged:
    """An input line says what it is. Active means: "contact" the leaf is OPEN, "rex" pressed, "tamper" an enclosure is
    open, "fire" the fire alarm is on, "power" the mains are LOST.

    `is_level_report`: a state that was already there (a retained message), not an edge; it may never release
    anything. `at_ms`: epoch ms by the device's clock, None where the device has none.
    """

    source: str
    line: str
    is_active: bool
    is_level_report: bool
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFault:
    """A supervised line is neither open nor closed: what hangs on it is not known. A later InputChanged of the same
    line ends it. `is_level_report` and `at_ms` as for InputChanged.
    """

    source: str
    line: str
    fault: LoopFault
    is_level_report: bool
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysEntered:
    """Somebody typed 4 to 12 digits (ASCII 0-9) at a reader's keypad and confirmed them.

    `digits` is a secret: it is left out of the repr, so that no log and no traceback shows it.
    """

    source: str
    digits: str = field(repr=False)
    read_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleCounted:
    """A people counter above a portal saw `count` (1 to 9) people pass just now; it knows neither who nor which way."""

    source: str
    count: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReported:
    """A relay says what its output does now.

    `command_id` is the id of the command that it answers, "" for its own automatic switch-off; `channel` only on
    boards with several.
    """

    source: str
    is_on: bool
    command_id: str = ""
    channel: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOnline:
    """The device answers again (once per change)."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOffline:
    """The device is gone (once per change); `why` is a short stable code or phrase without anything the peer sent."""

    source: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineNoise:
    """`count` bytes made no sense since the last report; `sample` holds the first of them (at most 16)."""

    source: str
    count: int
    sample: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused:
    """A whole message was refused; `why` is a stable code (`readers.protocols.mqtt_messages.Refusal`), never the
    peer's text.
    """

    source: str
    why: str


Event: TypeAlias = (
    CardRead
    | CardAnswered
    | KeysEntered
    | InputChanged
    | LineFault
    | PeopleCounted
    | OutputReported
    | DeviceOnline
    | DeviceOffline
    | LineNoise
    | MessageRefused
)
