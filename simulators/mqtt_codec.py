"""What our simulated MQTT devices say and understand: topics and payloads of `sekisho/v1/<device>/…`.

No I/O. Written from the wire format in docs, sharing no code with the controller. A device trusts nothing it hears:
retained, repeated, late and malformed commands are ignored, and `Ignored.why` says which it was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "sekisho/v1"
PAYLOAD_MAX = 1024
IDS_KEPT = 256
RELEASE_MS_MAX = 60_000  # a device's own ceiling on a pulse (B-26)
SHOWS = ("granted", "refused", "not_read", "out_of_order", "enter_pin", "second_card")
NUMBERED_SHOWS = ("refused", "out_of_order")  # a refusal may carry its number
NUMBER_SIGNS = frozenset("23456789BCDFGHJKMNPQRSTVWXZ")
NUMBER_LENGTH = 4
DIGITS_MIN, DIGITS_MAX = 4, 12
PEOPLE_MAX = 9
ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Energise the strike for `for_ms`."""

    id: str
    for_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """Drop the strike now."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Display, light and sound of a reader. `number`: of a refusal, "" where none was sent."""

    id: str
    show: str
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A message the device did not act on; `why` in {retained, malformed, late, duplicate}."""

    why: str


Said = TypeVar("Said", Release, Secure, Show)


def topic(device: str, *parts: str) -> str:
    """`sekisho/v1/<device>/<parts…>`."""
    return "/".join((PREFIX, device, *parts))


def encode_card(*, message_id: str, number: bytes, at_ms: int) -> bytes:
    """…/card"""
    return _json({"id": message_id, "number": number.hex(), "at_ms": at_ms})


def encode_keys(*, message_id: str, digits: str, at_ms: int) -> bytes:
    """…/keys. ValueError for what this keypad could not have been typed on."""
    if not (DIGITS_MIN <= len(digits) <= DIGITS_MAX and digits.isascii() and digits.isdecimal()):
        raise ValueError(f"a keypad takes {DIGITS_MIN} to {DIGITS_MAX} digits")
    return _json({"id": message_id, "digits": digits, "at_ms": at_ms})


def encode_count(*, message_id: str, count: int, at_ms: int) -> bytes:
    """…/count. ValueError when no counter could have seen so many at once."""
    if not 1 <= count <= PEOPLE_MAX:
        raise ValueError(f"a people counter sees 1 to {PEOPLE_MAX} people at once, not {count}")
    return _json({"id": message_id, "count": count, "at_ms": at_ms})


def encode_input(*, message_id: str, is_active: bool, at_ms: int) -> bytes:
    """…/input/<line>"""
    return _json({"id": message_id, "is_active": is_active, "at_ms": at_ms})


def encode_fault(*, message_id: str, fault: str, at_ms: int) -> bytes:
    """…/input/<line> of a supervised loop that is "short" or "cut"."""
    return _json({"id": message_id, "fault": fault, "at_ms": at_ms})


def encode_done(*, command_id: str, is_on: bool) -> bytes:
    """…/done; `command_id` is empty when the device dropped the strike by itself."""
    return _json({"id": command_id, "is_on": is_on})


class Ear:
    """One topic's memory of what it has already heard."""

    def __init__(self) -> None:
        self._heard: dict[str, None] = {}

    def command(self, payload: bytes, *, is_retained: bool, now_wall_ms: int) -> Release | Secure | Ignored:
        """Judge a message on …/command. `now_wall_ms`: the device's own clock, epoch milliseconds."""
        fields = self._fields(payload, is_retained=is_retained, now_wall_ms=now_wall_ms)
        if isinstance(fields, Ignored):
            return fields
        release = {"id": str, "do": str, "for_ms": int, "issued_ms": int, "not_after_ms": int}
        secure = {"id": str, "do": str, "issued_ms": int, "not_after_ms": int}
        if fields.get("do") == "release" and _is_shaped(fields, release):
            for_ms = fields["for_ms"]
            assert isinstance(for_ms, int)
            if 1 <= for_ms <= RELEASE_MS_MAX:
                return self._once(Release(id=str(fields["id"]), for_ms=for_ms))
        if fields.get("do") == "secure" and _is_shaped(fields, secure):
            return self._once(Secure(id=str(fields["id"])))
        return Ignored(why="malformed")

    def show(self, payload: bytes, *, is_retained: bool, now_wall_ms: int) -> Show | Ignored:
        """Judge a message on …/show."""
        fields = self._fields(payload, is_retained=is_retained, now_wall_ms=now_wall_ms)
        if isinstance(fields, Ignored):
            return fields
        shape = {"id": str, "show": str, "not_after_ms": int} | ({"number": str} if "number" in fields else {})
        if not _is_shaped(fields, shape) or fields["show"] not in SHOWS or not _is_numbered_well(fields):
            return Ignored(why="malformed")
        return self._once(Show(id=str(fields["id"]), show=str(fields["show"]), number=str(fields.get("number", ""))))

    def _fields(self, payload: bytes, *, is_retained: bool, now_wall_ms: int) -> Mapping[str, object] | Ignored:
        if is_retained:
            return Ignored(why="retained")
        fields = _object(payload)
        if fields is None:
            return Ignored(why="malformed")
        not_after = fields.get("not_after_ms")
        if type(not_after) is not int:
            return Ignored(why="malformed")
        return Ignored(why="late") if now_wall_ms > not_after else fields

    def _once(self, said: Said) -> Said | Ignored:
        if said.id in self._heard:
            return Ignored(why="duplicate")
        self._heard[said.id] = None
        while len(self._heard) > IDS_KEPT:
            del self._heard[next(iter(self._heard))]
        return said


def _object(payload: bytes) -> Mapping[str, object] | None:
    if len(payload) > PAYLOAD_MAX:
        return None
    try:
        fields = json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _is_shaped(fields: Mapping[str, object], shape: Mapping[str, type]) -> bool:
    """Exactly these fields, exactly these types (a bool is no int), and an id of 1 to 64 characters."""
    is_typed = fields.keys() == shape.keys() and all(type(fields[name]) is kind for name, kind in shape.items())
    return is_typed and 1 <= len(str(fields["id"])) <= 64


def _is_numbered_well(fields: Mapping[str, object]) -> bool:
    """No number, or a refusal with one that a person can read out."""
    number = fields.get("number")
    if number is None:
        return True
    is_readable = isinstance(number, str) and len(number) == NUMBER_LENGTH and NUMBER_SIGNS.issuperset(number)
    return is_readable and fields["show"] in NUMBERED_SHOWS


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("utf-8")
