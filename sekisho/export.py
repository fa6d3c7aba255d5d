"""`sekisho ledger export`: every record of a running controller as JSON Lines (docs/ledger.md §3).

A live ledger is locked to its controller, so the records come over the link, the exact bytes, in order.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from controller.link.client import LinkClient
from controller.link.messages import Record


def export(socket: Path, file: Path) -> int:
    """Write all records that the ledger holds now to `file` (`-`: standard output), and return how many.

    The file appears whole or not at all. Raises LinkDown where the controller is away, OSError from the disk.
    """
    with LinkClient(socket, "sekisho ledger export") as client, LinkClient(socket, "sekisho export lines") as asked:
        size = client.connect().size
        lines = Cosignatures(asked)
        if str(file) == "-":
            return _write(client, lines, size, nullcontext(sys.stdout))
        partial = file.with_name(file.name + ".part")
        count = _write(client, lines, size, partial.open("w", encoding="utf-8", newline="\n"))
        partial.replace(file)
        return count


class Cosignatures:
    """The checkpoints that witnesses signed, as the records go by: a page of them is held at a time."""

    def __init__(self, client: LinkClient) -> None:
        self._client = client
        self._page: deque[tuple[int, str]] = deque()
        self._next = 0
        self._is_over = False

    def under(self, checkpoint: str) -> str:
        """`checkpoint` with its witnesses' lines after its own. To be asked in the ledger's order. Raises LinkDown."""
        size = _size(checkpoint)
        while not self._page or self._page[0][0] < size:
            if self._page:
                self._page.popleft()
            elif self._is_over:
                return checkpoint
            else:
                self._fetch(size)
        held, note = self._page[0]
        return note if held == size and note.startswith(checkpoint) else checkpoint

    def _fetch(self, size: int) -> None:
        notes = self._client.cosigned(max(self._next, size))
        self._page.extend((_size(note), note) for note in notes)
        self._is_over = not notes
        if notes:
            self._next = self._page[-1][0] + 1


def _size(checkpoint: str) -> int:
    return int(checkpoint.split("\n", 2)[1])


def _write(client: LinkClient, lines: Cosignatures, size: int, opened: Any) -> int:
    """Records up to the last whole commit at or after `size`."""
    count = 0
    with opened as out:
        if size == 0:
            return 0
        for message in client.stream(0):
            if not isinstance(message, Record):
                continue
            _line(out, message, lines)
            count += 1
            _progress(count, size)
            if count >= size and message.checkpoint is not None:
                break
        out.flush()
        if out is not sys.stdout:
            os.fsync(out.fileno())
    return count


def _line(out: IO[str], record: Record, lines: Cosignatures) -> None:
    line: dict[str, Any] = {"seq": record.seq, "leaf": record.leaf}
    for key in ("salt", "body"):
        if (value := getattr(record, key)) is not None:
            line[key] = value
    if record.checkpoint is not None:
        line["checkpoint"] = lines.under(record.checkpoint)
    out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _progress(count: int, size: int) -> None:
    if sys.stderr.isatty() and (count % 1000 == 0 or count == size):
        print(f"\r{count}/{size}", end="\n" if count == size else "", file=sys.stderr, flush=True)
