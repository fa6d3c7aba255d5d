"""A record as syslog messages (RFC 5424), each framed by its length (RFC 5425 §4.3). No I/O.

    <PRI>1 TIMESTAMP HOSTNAME sekisho PROCID MSGID [sekisho@PEN ...][timeQuality ...] BOM BODY

PROCID is the start of the controller, MSGID the record's type. A message never says more than the record: what does not
apply is NILVALUE or left out. Nothing that a record holds can end a field, the structured data or the frame.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from controller.streams.cef import cef
from controller.streams.event_names import event
from controller.streams.mqtt_message import split

if TYPE_CHECKING:
    from controller.streams.outgoing import Outgoing

Format: TypeAlias = Literal["json", "cef"]

APP_NAME: Final = "sekisho"
NIL: Final = "-"
BOM: Final = "\ufeff"
FRAME_BYTES: Final = 1024
"""At least so much of a message is left to its header and structured data."""

_FACILITIES: Final = {"access": 10, "alarm": 14, "system": 3}
_LOG_AUDIT: Final = 13
"""RFC 5424 §6.2.1: 10 security, 13 log audit, 14 log alert, 3 system daemons."""

_SEVERITIES: Final = (6, 6, 6, 5, 5, 4, 4, 3, 2, 2, 1)
"""By CEF's severity, 0 to 10: informational, notice, warning, error, critical, alert."""

_NOT_PRINTED: Final = re.compile(r"[^!-~]")
_QUOTED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "]": r"\]"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_MAX_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: RFC 3339 has no later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a receiver wants its messages. `enterprise`: a private enterprise number; `hostname`: "" for the node's."""

    format: Format
    enterprise: str
    hostname: str
    bytes_max: int


class _Said(msgspec.Struct, frozen=True):
    """What of a body stands in the header."""

    node: str = ""
    boot: str = ""
    clock: str = ""


_decode: Final = msgspec.json.Decoder(_Said).decode


def frames(one: Outgoing, style: Style) -> list[bytes]:
    """What carries `one`: a message, or several where its body needs more than `bytes_max`; each after its length."""
    if style.format == "cef":
        texts = [cef(one)]
    else:
        texts = split(one.body or one.leaf, style.bytes_max - FRAME_BYTES, lambda text: len(text.encode()))
    said = _said(one)
    return [framed(_message(one, said, style, text, (part, len(texts)))) for part, text in enumerate(texts, 1)]


def framed(message: bytes) -> bytes:
    """MSG-LEN SP SYSLOG-MSG."""
    return b"%d %s" % (len(message), message)


def _message(one: Outgoing, said: _Said, style: Style, text: str, part: tuple[int, int]) -> bytes:
    severity, _ = event(one.type, one.class_)
    priority = _FACILITIES.get(one.class_, _LOG_AUDIT) * 8 + _SEVERITIES[severity]
    header = " ".join(
        (
            f"<{priority}>1",
            _timestamp(one),
            _printed(style.hostname or said.node or one.origin.rsplit("/", 1)[-1], 255),
            APP_NAME,
            _printed(said.boot, 128),
            _printed(one.type, 32),
        )
    )
    return f"{header} {_structured(one, said, style, part)} {BOM}{text}".encode()


def _structured(one: Outgoing, said: _Said, style: Style, part: tuple[int, int]) -> str:
    number, count = part
    fields = {
        "origin": one.origin,
        "seq": str(one.seq),
        "class": one.class_,
        "zone": one.zone,
        "late_ms": str(one.late_ms) if one.late_ms else None,
        "part": str(number) if count > 1 else None,
        "parts": str(count) if count > 1 else None,
        "leaf_hash": hashlib.sha256(b"\x00" + one.leaf.encode()).hexdigest(),
        "salt": one.salt if style.format == "json" else None,
    }
    own = " ".join(f'{name}="{value.translate(_QUOTED)}"' for name, value in fields.items() if value is not None)
    quality = f'[timeQuality tzKnown="1" isSynced="{int(said.clock == "trusted")}"]' if said.clock else ""
    return f"[sekisho@{style.enterprise} {own}]{quality}"


def _timestamp(one: Outgoing) -> str:
    """When the record was made, not when it is sent."""
    if not one.type or not 0 <= one.at_ms <= _YEAR_MAX_MS:
        return NIL
    at = _EPOCH + timedelta(milliseconds=one.at_ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{one.at_ms % 1000:03d}Z"


def _printed(text: str, length: int) -> str:
    """PRINTUSASCII: no blank, nothing beyond ASCII."""
    return _NOT_PRINTED.sub("_", text[:length]) or NIL


def _said(one: Outgoing) -> _Said:
    if one.body is None or not one.type:
        return _Said()
    try:
        return _decode(one.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Said()
