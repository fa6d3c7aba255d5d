"""A record in ArcSight's Common Event Format (CEF:0, revision 27), as an option for SIEMs (docs/streams.md, CEF).

    CEF:0|Sekisho|Sekisho|<schema>|<type>|<name>|<severity>|<extension>

A record in CEF is a retelling: whoever wants to prove something keeps the ledger's own texts. `suser` and every other
field that a SIEM takes for somebody holds a pseudonym: the controller knows no names. Whatever a field holds, it can
end neither the field, nor the header, nor the line.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from controller.streams.event_names import WITHOUT_BODY, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.streams.outgoing import Outgoing

VENDOR: Final = "Sekisho"
PRODUCT: Final = "Sekisho"
_HEADER: Final = str.maketrans({"\\": r"\\", "|": r"\|", "\n": " ", "\r": " "})
_EXTENSION: Final = str.maketrans({"\\": r"\\", "=": r"\=", "\n": r"\n", "\r": r"\r"})
_LINE_ENDS: Final = (0x0A, 0x0D)
_CONTROLS: Final = {
    code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029) if code not in _LINE_ENDS
}
"""What a log viewer might take for the end of a line, or a terminal for an order."""

_LENGTHS: Final = {"outcome": 63, "externalId": 40, "deviceExternalId": 255, "dvchost": 100, "msg": 1023, "cat": 64}
"""The dictionary's own limits, in characters; all other texts of it may have at least 255."""
_LENGTH: Final = 255


class _Body(msgspec.Struct, frozen=True):
    """What of a body is retold. Other fields pass unread."""

    node: str = ""
    outcome: str | None = None
    reason: str | None = None
    zone: str | None = None
    portal: str | None = None
    access_point: str | None = None
    direction: str | None = None
    subject: dict[str, str] = {}
    actor: dict[str, str] = {}
    corr: str | None = None
    detail: dict[str, Any] | None = None


_decode: Final = msgspec.json.Decoder(_Body).decode
_OUTWARD: Final = {"IN": "0", "OUT": "1"}


def cef(one: Outgoing) -> str:
    """The event, on one line. Never raises on what a record holds."""
    severity, name = event(one.type, one.class_)
    header = ["CEF:0", VENDOR, PRODUCT, "1", one.type or WITHOUT_BODY, name, str(severity)]
    extension = " ".join(f"{key}={_value(key, text)}" for key, text in _fields(one) if text)
    return "|".join([header[0], *(_plain(part).translate(_HEADER) for part in header[1:]), extension])


def _fields(one: Outgoing) -> Iterator[tuple[str, str | None]]:
    """Keys of CEF's dictionary with what they hold here, in this order. An empty one does not apply."""
    body = _body(one)
    yield "rt", str(one.at_ms) if one.type else None
    yield "deviceExternalId", one.origin
    yield "externalId", str(one.seq)
    yield "dvchost", body.node
    yield "cat", one.class_
    yield "outcome", body.outcome
    yield "reason", body.reason
    yield "suser", body.subject.get("cardholder")
    yield "duser", body.actor.get("officer")
    yield "dpriv", body.actor.get("role")
    yield "deviceDirection", _OUTWARD.get(body.direction or "")
    yield from _labelled("cs1", "zone", one.zone)
    yield from _labelled("cs2", "portal", body.portal)
    yield from _labelled("cs3", "accessPoint", body.access_point)
    yield from _labelled("cs4", "credential", body.subject.get("credential"))
    yield from _labelled("cs5", "corr", body.corr)
    yield from _labelled("cs6", "leafHash", hashlib.sha256(b"\x00" + one.leaf.encode()).hexdigest())
    yield from _labelled("cn1", "lateMs", str(one.late_ms) if one.late_ms else None)
    yield "msg", msgspec.json.encode(body.detail, order="sorted").decode() if body.detail else None


def _labelled(key: str, label: str, text: str | None) -> Iterator[tuple[str, str | None]]:
    if text:
        yield f"{key}Label", label
        yield key, text


def _body(one: Outgoing) -> _Body:
    """What can be retold; nothing of a body that is gone or not of our schema."""
    if one.body is None or not one.type:
        return _Body()
    try:
        return _decode(one.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Body()


def _value(key: str, text: str) -> str:
    """Cut first: an escape that was cut in two would escape what follows."""
    return _plain(text[: _LENGTHS.get(key, _LENGTH)]).translate(_EXTENSION)


def _plain(text: str) -> str:
    return text.translate(_CONTROLS)
