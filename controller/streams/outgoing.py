"""One record on its way outside: what every sink is handed, and how the link's record becomes it (docs/streams.md §2).

The ledger's own texts travel unchanged, so that whoever keeps them can prove them later; what a sink filters and
labels by stands beside them. A record is numbered by (origin, seq) everywhere; the origin is the ledger's, from its
public key.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from controller.link.messages import Record

LATE_AFTER_MS: Final = 10_000
"""A record that is sent later than this after it was made says by how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One record as a sink gets it.

    `leaf`, `salt` (hex), `body` and `checkpoint` are the exact texts of the ledger (docs/ledger.md §1); salt and body
    are None where retention dropped them, and then `type` is empty and `at_ms` 0: all that is left is the class.
    `late_ms`: 0 where the record is sent in time, else how long after `at_ms` it is sent.
    """

    origin: str
    seq: int
    leaf: str
    salt: str | None
    body: str | None
    checkpoint: str | None
    at_ms: int
    type: str
    zone: str | None
    class_: str
    late_ms: int

    @property
    def number(self) -> str:
        """`origin/seq`: the same for every sending of the same record, and for no other record."""
        return f"{self.origin}/{self.seq}"


class _Leaf(msgspec.Struct, frozen=True):
    class_: str = msgspec.field(name="class")


class _Said(msgspec.Struct, frozen=True):
    """What of a body matters on the way. Other fields pass unread: they are not ours to judge."""

    at_ms: int
    type: str
    zone: str | None = None


_NOTHING: Final = _Said(at_ms=0, type="")
_leaf: Final = msgspec.json.Decoder(_Leaf).decode
_said: Final = msgspec.json.Decoder(_Said).decode


def outgoing(record: Record, origin: str, now_ms: int) -> Outgoing:
    """The link's `record` of the ledger `origin`, as it is sent at `now_ms` (UTC, epoch).

    Never raises on what a record holds: one of a schema that we do not know travels like one without a body.
    """
    said, class_ = _NOTHING, "system"
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        class_ = _leaf(record.leaf).class_
        said = _NOTHING if record.body is None else _said(record.body)
    age_ms = now_ms - said.at_ms if said.type else 0
    return Outgoing(
        origin=origin,
        seq=record.seq,
        leaf=record.leaf,
        salt=record.salt,
        body=record.body,
        checkpoint=record.checkpoint,
        at_ms=said.at_ms,
        type=said.type,
        zone=said.zone,
        class_=class_,
        late_ms=age_ms if age_ms > LATE_AFTER_MS else 0,
    )


class StreamRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A record as webhook and MQTT carry it: docs/schema/stream-record.schema.json is made from this.

    `body` is the ledger's canonical text itself, as an object: its canonical form (RFC 8785) is what the leaf commits
    to. `leaf` is the exact text; `late_ms` is absent in time, salt, body, type, at_ms and zone where they do not apply.
    """

    v: Literal[1]
    origin: str
    seq: Annotated[int, msgspec.Meta(ge=0)]
    class_: str = msgspec.field(name="class")
    leaf: str
    type: str = ""
    at_ms: int = 0
    zone: str | None = None
    late_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    salt: str | None = None
    body: msgspec.Raw | None = None
    checkpoint: str | None = None


_encode: Final = msgspec.json.Encoder().encode


def stream_record(one: Outgoing) -> bytes:
    """The record as webhook and MQTT carry it: JSON, UTF-8, one line without its end."""
    return _encode(
        StreamRecord(
            v=1,
            origin=one.origin,
            seq=one.seq,
            class_=one.class_,
            leaf=one.leaf,
            type=one.type,
            at_ms=one.at_ms,
            zone=one.zone,
            late_ms=one.late_ms,
            salt=one.salt,
            body=None if one.body is None else msgspec.Raw(one.body.encode()),
            checkpoint=one.checkpoint,
        )
    )


def export_line(one: Outgoing) -> str:
    """The record as a line of an export (docs/ledger.md §3), without its line end."""
    texts = {"leaf": one.leaf, "salt": one.salt, "body": one.body, "checkpoint": one.checkpoint}
    line: dict[str, Any] = {"seq": one.seq, **{key: text for key, text in texts.items() if text is not None}}
    return msgspec.json.encode(line).decode()
