"""What a wire said, as values: the only things that leave `readers/`.

Owns the event types. Every event names the device that it came from (`source`: the device id of the site file) and
was sent *whole*: no event is made from a frame or message that failed its check. Refuses to judge: whether a read
opens anything, how old it may be and who carries it is the controller's and `zones`' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

CardKind: TypeAlias = Literal["iso14443a", "felica", "mqtt", "osdp"]
CardScheme: TypeAlias = Literal["desfire_ev1", "desfire_ev2", "ntag424", "pkoc", "felica_lite_s", "aliro"]
"""How a card proves itself (docs/wire/cards.md)."""
LoopFault: TypeAlias = Literal["short", "cut"]
Distrust: TypeAlias = Literal["replaced", "downgraded", "key_lost", "default_key", "macs_failed"]
"""Why a reader on a secured line is believed no more (B-16..B-21): it says that it is another one; it offers no secure
channel any more, or less than it did; it does not know its key; it answers to the key that everybody knows; its frames
fail their sums of authenticity again and again.
"""

SAMPLE_BYTES_MAX: Final = 16
"""A noise sample is for a technician's eye; more of it could hold somebody's card number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProof:
    """What became of asking a card to prove itself: evidence beyond its number (A-34).

    `is_genuine`: it answered our fresh challenge with its own key; False: it was asked to and could not, so it is a
    copy or a fake. `key_version`: of the site's key that it was made from; None where the key pair is the card's own.
    `nonce`: our challenge, at least 16 bytes, used once: whoever sees it a second time sees a replay (B-22).
    """

    scheme: CardScheme
    is_genuine: bool
    nonce: bytes
    key_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRead:
    """A card entered the field of a reader: once per presentation.

    `number` is the UID (ISO 14443A; the real one where the card shows a random one and `proof` is genuine), the IDm
    (FeliCa), the X of its public key (PKOC, Aliro), the bits of an OSDP reader, left-aligned, or what an MQTT reader
    sent. It proves nothing by itself: it can be cloned. `proof`: what became of asking the card; None where nobody
    asked, or the card speaks none of the site's schemes. `read_id` and `at_ms` (epoch ms by the *device's* clock) come
    with MQTT only. `is_held_back`: it may have lain in the reader while the line was down; recorded, and never enough.
    """

    source: str
    number: bytes
    kind: CardKind
    proof: CardProof | None = None
    read_id: str | None = None
    at_ms: int | None = None
    is_held_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUnread:
    """A card was there and left, or fell silent, before it could be read to the end: somebody was too quick. `why` is
    a short stable code.
    """

    source: str
    why: str


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

    `digits` is a secret: it is left out of the repr, so that no log and no traceback shows it. `read_id`, `at_ms` and
    `is_held_back` as for CardRead.
    """

    source: str
    digits: str = field(repr=False)
    read_id: str | None = None
    at_ms: int | None = None
    is_held_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleCounted:
    """A people counter above a portal saw `count` (1 to 9) people pass just now; it knows neither who nor which way."""

    source: str
    count: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReported:
    """A relay says what its output does now.

    `command_id` is the id of the command that it answers, "" for its own automatic switch-off; `channel` (from 1) only
    on devices with several.
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
class ReaderIdentified:
    """A reader on a secured line said who it is. `identity`: a hash over all that must not change unseen (maker, model,
    serial number, firmware, capabilities), in hex; the rest is for people.
    """

    source: str
    identity: str
    maker: str
    model: str
    serial: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderDistrusted:
    """A reader is believed no more until two people approve it (B-16..B-20); once per change."""

    source: str
    why: Distrust


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallEnded:
    """Install mode of a reader is over. `is_done`: it holds the new key now; else `why` is a short stable code."""

    source: str
    is_done: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRenewed:
    """A reader took a new key inside its secure channel, or refused it (`is_done` False: the old one holds)."""

    source: str
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSent:
    """A file transfer to a reader ended."""

    source: str
    is_done: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerReplied:
    """A reader's answer to a manufacturer command; `oui` are its maker's three bytes."""

    source: str
    oui: bytes
    payload: bytes


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
    | CardUnread
    | CardAnswered
    | KeysEntered
    | InputChanged
    | LineFault
    | PeopleCounted
    | OutputReported
    | DeviceOnline
    | DeviceOffline
    | ReaderIdentified
    | ReaderDistrusted
    | InstallEnded
    | KeyRenewed
    | FileSent
    | MakerReplied
    | LineNoise
    | MessageRefused
)
