"""Is the ledger that the controller streams the one that was seen before? Asked at each connection.

A key may change: then the ledger's own record names the old one and the new one, and it is the same ledger
(docs/ledger.md §9). The end may have been damaged and set aside: then a record says so, and all is folded anew. What is
neither, a ledger that ends before what was seen of it or that holds something else there, is not followed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any, Final

from controller.link.client import LinkClient
from controller.link.messages import Record, Welcome

SET_ASIDE_MAX: Final = 600
"""How far before what was seen the record about a damaged end may stand: two tiles, and a little."""


class Course(Enum):
    """What to do with the records that come."""

    GO_ON = "go on"
    START_OVER = "start over"


class OtherEnd(Exception):
    """The ledger ends before what was seen of it, or holds something else there: it was cut or put back."""


def course_of(
    welcome: Welcome,
    *,
    vkey: str,
    seq: int,
    has_seen: Callable[[Record], bool],
    read: Callable[[int], Generator[Record, None, None]],
) -> Course:
    """How to follow the ledger of `welcome`, of which `seq` was the last record seen, by the key `vkey`.

    `has_seen`: whether a record is the one that was seen at its place. `read(n)` gives the records from `n` to the end.
    Raises OtherEnd.
    """
    if not vkey or seq < 0:
        return Course.GO_ON
    if welcome.size > seq:
        with closing(read(seq)) as records:
            is_there = (first := next(records, None)) is not None and has_seen(first)
            if is_there and (vkey == welcome.vkey or _handed_over(records, vkey) == welcome.vkey):
                return Course.GO_ON
        if is_there or _origin(vkey) != _origin(welcome.vkey):
            return Course.START_OVER
    with closing(read(max(0, seq - SET_ASIDE_MAX))) as records:
        if _was_set_aside(records, seq):
            return Course.START_OVER
    if vkey != welcome.vkey:
        return Course.START_OVER  # another ledger altogether
    if welcome.size > seq:
        raise OtherEnd(f"LEDGER_SHORTER: record {seq} is not the one that was seen")
    raise OtherEnd(f"LEDGER_SHORTER: it ends at {welcome.size - 1}, {seq} was seen")


def read_from(socket: Path, size: int) -> Callable[[int], Generator[Record, None, None]]:
    """`read` for `course_of`, over a connection of its own for each call; raises LinkDown."""

    def read(from_seq: int) -> Generator[Record, None, None]:
        if from_seq >= size:
            return
        with LinkClient(socket, "api-lineage") as client:
            for message in client.stream(from_seq):
                if isinstance(message, Record):
                    yield message
                    if message.seq >= size - 1:
                        return

    return read


def _handed_over(records: Iterable[Record], vkey: str) -> str:
    """The key that `vkey` was followed by, over however many changes."""
    for record in records:
        detail = _detail(record, "LEDGER_KEY_ROTATED")
        if detail is not None and detail.get("old") == vkey:
            vkey = str(detail.get("new"))
    return vkey


def _was_set_aside(records: Iterable[Record], seq: int) -> bool:
    """Whether a record says that the end was damaged at or before `seq`."""
    for record in records:
        detail = _detail(record, "TAIL_SET_ASIDE")
        first = None if detail is None else detail.get("first")
        if isinstance(first, int) and first <= seq and record.seq <= seq:
            return True
    return False


def _detail(record: Record, type_: str) -> dict[str, Any] | None:
    if record.body is None or type_ not in record.body:
        return None
    try:
        body = json.loads(record.body)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.get("type") != type_:
        return None
    detail = body.get("detail")
    return detail if isinstance(detail, dict) else {}


def _origin(vkey: str) -> str:
    return vkey.partition("+")[0]
