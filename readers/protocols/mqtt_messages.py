"""MQTT payloads: JSON objects to typed values and back, and nothing else.

Refuses: more than 1024 bytes, unknown or missing fields, wrong types, numbers out of range. A refusal carries a
stable code (`Refusal`), never a word of what the peer sent: refusals are recorded, and the record must not repeat a
stranger's text, card number or PIN. Retained, duplicate and unknown-device messages are refused one level up
(`mqtt_inbound.py`), age by the controller.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec

from readers.errors import ProtocolError

PAYLOAD_BYTES_MAX: Final = 1024
RELEASE_MS_MAX: Final = 600_000
ID_CHARS_MAX: Final = 64
PEOPLE_MAX: Final = 9
"""More than this pass a people counter at once only when it is broken."""
NUMBER_ALPHABET: Final = "23456789BCDFGHJKMNPQRSTVWXZ"
"""Of a refusal's number: no vowels, so that no word comes about, and nothing that is read as something else."""
NUMBER_CHARS: Final = 4

_EPOCH_MS_MAX: Final = 2**53 - 1
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARS_MAX)]
_EpochMs = Annotated[int, msgspec.Meta(ge=0, le=_EPOCH_MS_MAX)]
_Digits = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4,12}\Z")]
_Number = Annotated[str, msgspec.Meta(pattern=rf"\A[{NUMBER_ALPHABET}]{{{NUMBER_CHARS}}}\Z")]
_Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9A-Fa-f]{2}){4,20}\Z")]


class Refusal(Enum):
    """Why a message was refused. Stable strings: they go into records."""

    RETAINED = "retained"
    DUPLICATE = "duplicate"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_TOPIC = "unknown_topic"
    CALLBACK_FAILED = "callback_failed"
    BAD_NUMBER = "bad_number"
    DECIDED_BY_DEVICE = "decided_by_device"


class PayloadRefused(ProtocolError):
    """The payload is not a message of its topic; `why` is the code to record."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


class CardMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A read: `number` in hex (4 to 20 bytes), `at_ms` epoch ms by the device's clock."""

    id: _Id
    number: _Hex
    at_ms: _EpochMs


class KeysMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Digits that were typed and confirmed. They are a secret: the repr leaves them out."""

    id: _Id
    digits: _Digits
    at_ms: _EpochMs

    def __repr__(self) -> str:
        return f"KeysMessage(id={self.id!r}, at_ms={self.at_ms!r})"


class CountMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`count` people passed under a people counter."""

    id: _Id
    count: Annotated[int, msgspec.Meta(ge=1, le=PEOPLE_MAX)]
    at_ms: _EpochMs


class InputMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An input line's state (what active means: `readers.events.InputChanged`), or the fault of a supervised one.
    Exactly one of `is_active` and `fault`; ValueError (refused when decoded) otherwise.
    """

    id: _Id
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    fault: Literal["short", "cut"] | msgspec.UnsetType = msgspec.UNSET
    at_ms: _EpochMs

    def __post_init__(self) -> None:
        if (self.is_active is msgspec.UNSET) is (self.fault is msgspec.UNSET):
            raise ValueError("an input is active or not, or its line is faulty: one of the two")


class DoneMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A relay's acknowledgement; `id` is "" for its own automatic switch-off."""

    id: Annotated[str, msgspec.Meta(max_length=ID_CHARS_MAX)]
    is_on: bool


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do", tag="release"):
    """Strike on for `for_ms`; the device drops it by itself, and ignores the command after `not_after_ms` by its own
    wall clock.
    """

    id: _Id
    for_ms: Annotated[int, msgspec.Meta(ge=1, le=RELEASE_MS_MAX)]
    issued_ms: _EpochMs
    not_after_ms: _EpochMs


class Secure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do", tag="secure"):
    """Strike off now."""

    id: _Id
    issued_ms: _EpochMs
    not_after_ms: _EpochMs


Command: TypeAlias = Release | Secure
ShowWhat: TypeAlias = Literal["granted", "refused", "not_read", "out_of_order", "enter_pin", "second_card"]
NUMBERED: Final = frozenset({"refused", "out_of_order"})
"""What is shown for a refusal that stands in the ledger, and may therefore carry its number."""


class Show(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What the reader shows. One "refused" for every refusal about the person (P5).

    `number`: what somebody who was refused reads off the reader and tells an officer: NUMBER_CHARS of NUMBER_ALPHABET,
    only with what stands in NUMBERED. It must not tell why.
    """

    id: _Id
    show: ShowWhat
    not_after_ms: _EpochMs
    number: _Number | None = None


_T = TypeVar("_T")
_CARD: Final = msgspec.json.Decoder(CardMessage)
_KEYS: Final = msgspec.json.Decoder(KeysMessage)
_COUNT: Final = msgspec.json.Decoder(CountMessage)
_INPUT: Final = msgspec.json.Decoder(InputMessage)
_DONE: Final = msgspec.json.Decoder(DoneMessage)
_COMMAND: Final = msgspec.json.Decoder(Release | Secure)
_SHOW: Final = msgspec.json.Decoder(Show)
_STATES: Final = {b"online": True, b"offline": False}


def decode_card(payload: bytes) -> CardMessage:
    """A read. PayloadRefused when it is not exactly one."""
    return _decode(_CARD, payload)


def decode_keys(payload: bytes) -> KeysMessage:
    """Typed digits. PayloadRefused when it is not exactly that."""
    return _decode(_KEYS, payload)


def decode_count(payload: bytes) -> CountMessage:
    """A people counter's word. PayloadRefused when it is not exactly that."""
    return _decode(_COUNT, payload)


def decode_input(payload: bytes) -> InputMessage:
    """An input line's state or fault. PayloadRefused when it is not exactly one."""
    return _decode(_INPUT, payload)


def decode_done(payload: bytes) -> DoneMessage:
    """A relay's acknowledgement. PayloadRefused when it is not exactly one."""
    return _decode(_DONE, payload)


def decode_state(payload: bytes) -> bool:
    """True for `online`, False for `offline`; anything else is PayloadRefused."""
    try:
        return _STATES[bytes(payload)]
    except KeyError:
        raise PayloadRefused(Refusal.MALFORMED) from None


def encode_command(command: Command) -> bytes:
    """JSON bytes of a command. ValueError when a field is out of the range that the device would accept."""
    return _encode(_COMMAND, command)


def encode_show(show: Show) -> bytes:
    """JSON bytes for a reader's display, light and sound. ValueError as for `encode_command`, and for a number with
    what is no refusal.
    """
    if show.number is not None and show.show not in NUMBERED:
        raise ValueError(f"Show would be refused by the device: {show.show!r} carries no number")
    return _encode(_SHOW, show)


def _decode(decoder: msgspec.json.Decoder[_T], payload: bytes) -> _T:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise PayloadRefused(Refusal.OVERSIZED)
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise PayloadRefused(Refusal.MALFORMED) from None


def _encode(decoder: msgspec.json.Decoder[_T], message: _T) -> bytes:
    """Structs check their fields only when decoded, so what we send is read back once: our own mistake must not reach
    a device.
    """
    payload = msgspec.json.encode(message)
    try:
        decoder.decode(payload)
    except msgspec.MsgspecError as why:
        raise ValueError(f"{type(message).__name__} would be refused by the device: {why}") from why
    return payload
