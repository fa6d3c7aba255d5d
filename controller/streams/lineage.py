"""Whether the ledger that answers is the one a cursor counts in (docs/streams.md §5). Refuses, and never re-numbers.

The same origin; not shorter than the cursor; the same record where the cursor stands; the same key, or one that
follows from it by rotations that both keys signed (docs/ledger.md §9).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from controller.link.messages import Record, Status, Welcome
from controller.link.notes import ED25519, NoteError, Vkey, parse_checkpoint
from controller.streams.cursor import Cursor, leaf_hash
from controller.streams.sinks import SinkDown

ROTATION: Final = "LEDGER_KEY_ROTATED"
_ADVICE: Final = "; find out why, then move the cursor away to begin anew with this ledger"


class _Detail(msgspec.Struct, frozen=True):
    old: str = ""
    new: str = ""


class _Body(msgspec.Struct, frozen=True):
    type: str
    detail: _Detail = _Detail()


_decode: Final = msgspec.json.Decoder(_Body).decode


def origin_of(vkey: str) -> str:
    """The name of the ledger whose public key is `vkey`. SinkDown("protocol") where that is none."""
    try:
        return Vkey.parse(vkey, ED25519).name
    except NoteError as error:
        raise SinkDown("protocol", f"the controller's key: {error}") from error


def check_welcome(cursor: Cursor, welcome: Welcome) -> None:
    """Raises SinkDown where the ledger has another origin, or ends before the cursor."""
    if (origin := origin_of(welcome.vkey)) != cursor.origin:
        raise SinkDown("other_ledger", f"the ledger is {origin}, the cursor counts in {cursor.origin}{_ADVICE}")
    if welcome.size <= cursor.seq:
        ends = f"the ledger ends at record {welcome.size - 1}, and {cursor.seq} was sent already"
        raise SinkDown("ledger_behind", f"{ends}: an older state was put back{_ADVICE}")


def check_record(cursor: Cursor, record: Record) -> None:
    """Raises SinkDown where `record`, at the cursor's place, is not the one that was sent."""
    if cursor.leaf and leaf_hash(record) != cursor.leaf:
        why = f"record {record.seq} is another one than was sent: this ledger grew out of an older state"
        raise SinkDown("other_history", why + _ADVICE)


def check_key(cursor: Cursor, welcome: Welcome, records: Iterable[Record | Status]) -> None:
    """Follow the rotations from the cursor's key on through `records`, which begin at the cursor.

    Raises SinkDown where they do not lead to the key that the ledger is signed with now.
    """
    key = cursor.vkey
    for record in records if welcome.size else ():
        if not isinstance(record, Record):
            continue
        if record.seq == cursor.seq:
            check_record(cursor, record)
        elif record.body is not None and ROTATION in record.body:
            key = _rotated(record, key)
        if record.seq >= welcome.size - 1:
            break
    if key != welcome.vkey:
        raise SinkDown("other_key", f"the ledger is signed with a key that does not follow from the cursor's{_ADVICE}")


def _rotated(record: Record, key: str) -> str:
    """The key after `record`, where that is a rotation from `key` which both signed; else `key`."""
    try:
        body = _decode(record.body or "")
        if body.type != ROTATION or body.detail.old != key or record.checkpoint is None:
            return key
        head = parse_checkpoint(record.checkpoint)
        keys = [Vkey.parse(text, ED25519) for text in (body.detail.old, body.detail.new)]
        is_signed = all(one.name == head.origin and head.by(one) is not None for one in keys)
    except (msgspec.MsgspecError, NoteError, UnicodeError):
        return key
    return body.detail.new if is_signed and head.size == record.seq + 1 else key
