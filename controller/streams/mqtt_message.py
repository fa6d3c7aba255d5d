"""What a record looks like on a broker: topics, and the pieces of a record that is too large for one message. No I/O.

    sekisho/v1/<node>/ledger       one record, not retained: it happened once
    sekisho/v1/<node>/checkpoint   the newest signed tree head, retained
    sekisho/v1/<node>/kept         from the collector: how far it has stored them

docs/streams.md has the format. `readers/topics.py` owns the topics of devices; this module stands apart because the
process that carries records outside may not import what knows doors.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from controller.streams.outgoing import stream_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.streams.outgoing import Outgoing

RECORD_TYPE: Final = "application/json"
PIECE_TYPE: Final = "application/vnd.sekisho.piece+json"
CHECKPOINT_TYPE: Final = "text/plain;charset=utf-8"
_NODE: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_MANY: Final = 2**31 - 1


class Piece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a record that is too large for one: the `text`s of all `parts` (counted from 1) in order are the
    record as one message would have carried it.
    """

    v: Literal[1]
    origin: str
    seq: Annotated[int, msgspec.Meta(ge=0)]
    part: Annotated[int, msgspec.Meta(ge=1)]
    parts: Annotated[int, msgspec.Meta(ge=2)]
    text: str


def is_node(text: str) -> bool:
    """Whether `text` may stand in a topic as a controller: no wildcard, no level of its own."""
    return _NODE.fullmatch(text) is not None


def ledger_topic(node: str) -> str:
    """Where the records of `node` go."""
    return f"sekisho/v1/{node}/ledger"


def checkpoint_topic(node: str) -> str:
    """Where its newest checkpoint stands."""
    return f"sekisho/v1/{node}/checkpoint"


def kept_topic(node: str) -> str:
    """Where its collector says how far it has stored the records of `node`."""
    return f"sekisho/v1/{node}/kept"


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a collector: record `seq`, whose leaf hash is that, and all that it was sent before are on its disk."""

    v: Literal[1]
    origin: str
    seq: Annotated[int, msgspec.Meta(ge=0)]
    leaf_hash: str


_kept: Final = msgspec.json.Decoder(Kept).decode


def kept(payload: bytes, batch: Sequence[Outgoing]) -> int:
    """How many of the first records of `batch` a collector says that it keeps; 0 where it speaks of none of them."""
    try:
        said = _kept(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return 0
    for count, one in enumerate(batch, 1):
        if (one.origin, one.seq) == (said.origin, said.seq):
            return count if leaf_hash(one) == said.leaf_hash else 0
    return 0


def leaf_hash(one: Outgoing) -> str:
    """The record's leaf hash (docs/ledger.md §1), in hex."""
    return sha256(b"\x00" + one.leaf.encode()).hexdigest()


def payloads(one: Outgoing, bytes_max: int) -> list[bytes]:
    """What carries `one`: the record, or its pieces where it has more than `bytes_max` bytes."""
    whole = stream_record(one)
    if len(whole) <= bytes_max:
        return [whole]
    frame = Piece(v=1, origin=one.origin, seq=one.seq, part=_MANY, parts=_MANY, text="")
    texts = split(whole.decode(), bytes_max - len(msgspec.json.encode(frame)), _bytes_in_json)
    return [
        msgspec.json.encode(Piece(v=1, origin=one.origin, seq=one.seq, part=part, parts=len(texts), text=text))
        for part, text in enumerate(texts, 1)
    ]


def split(text: str, size_max: int, size_of: Callable[[str], int]) -> list[str]:
    """`text` in pieces that each take at most `size_max`, as `size_of` counts; one character goes whatever it takes."""
    if size_of(text) <= size_max or len(text) <= 1:
        return [text]
    half = len(text) // 2
    return split(text[:half], size_max, size_of) + split(text[half:], size_max, size_of)


def _bytes_in_json(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2
