"""`sekisho ledger export`: every record of a running controller as JSON Lines (docs/ledger.md §3).

A live ledger is locked to its controller, so the records come over the link, the exact bytes, in order.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from controller.link.client import LinkClient
from controller.link.messages import Record


def export(socket: Path, file: Path) -> int:
    """Write all records that the ledger holds now to `file` (`-`: standard output), and return how many.

    The file appears whole or not at all. Raises LinkDown where the controller is away, OSError from the disk.
    """
    with LinkClient(socket, "sekisho ledger export") as client:
        size = client.connect().size
        if str(file) == "-":
            return _write(client, size, nullcontext(sys.stdout))
        partial = file.with_name(file.name + ".part")
        count = _write(client, size, partial.open("w", encoding="utf-8", newline="\n"))
        partial.replace(file)
        return count


def _write(client: LinkClient, size: int, opened: Any) -> int:
    """Records up to the last whole commit at or after `size`."""
    count = 0
    with opened as out:
        if size == 0:
            return 0
        for message in client.stream(0):
            if not isinstance(message, Record):
                continue
            _line(out, message)
            count += 1
            _progress(count, size)
            if count >= size and message.checkpoint is not None:
                break
        out.flush()
        if out is not sys.stdout:
            os.fsync(out.fileno())
    return count


def _line(out: IO[str], record: Record) -> None:
    line: dict[str, Any] = {"seq": record.seq, "leaf": record.leaf}
    for key in ("salt", "body", "checkpoint"):
        if (value := getattr(record, key)) is not None:
            line[key] = value
    out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _progress(count: int, size: int) -> None:
    if sys.stderr.isatty() and (count % 1000 == 0 or count == size):
        print(f"\r{count}/{size}", end="\n" if count == size else "", file=sys.stderr, flush=True)
