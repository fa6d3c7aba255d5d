"""Files of an archive: how they are named, read and mended (docs/streams.md §7). No record is made up or moved here.

`<origin>-<first seq>.jsonl`: lines of an export (docs/ledger.md §3), so that the files one after the other are an
export. `<origin>.late`: which of them arrived late, and how late.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

ORIGIN: Final = re.compile(r"[a-z0-9.-]{1,200}(?:/[a-z0-9-]{1,64})?")
_NAME: Final = re.compile(r"(?P<origin>.+)-(?P<first>[0-9]{12,})\.jsonl")
READ_BYTES: Final = 1 << 16


class ArchivedLine(msgspec.Struct, frozen=True):
    """What of a line is looked at. Other keys pass unread."""

    seq: int
    leaf: str
    body: str | None = None
    checkpoint: str | None = None


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """Records `first` to `last` (`count` of them) were written at `at_ms`; the oldest `late_ms` after it was made."""

    first: int
    last: int
    count: int
    at_ms: int
    late_ms: int


_line: Final = msgspec.json.Decoder(ArchivedLine).decode
_late: Final = msgspec.json.Decoder(Late).decode


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """One file, and the record that it begins with by its name."""

    first: int
    path: Path


def stem_of(origin: str) -> str:
    """What the names of all files of a ledger begin with. ValueError: an origin that no file can be named after."""
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"no file can be named after the origin {origin!r}")
    return origin.replace("/", "_")  # no origin has one of its own


def name_of(origin: str, first: int) -> str:
    """The file that begins with record `first`."""
    return f"{stem_of(origin)}-{first:012d}.jsonl"


def late_name_of(origin: str) -> str:
    """Where it is noted what arrived late."""
    return f"{stem_of(origin)}.late"


def files_in(folder: Path) -> dict[str, list[ArchiveFile]]:
    """The files of every ledger that has some in `folder`, in order. OSError as the system says it."""
    found: dict[str, list[ArchiveFile]] = {}
    for path in folder.iterdir():
        if (name := _NAME.fullmatch(path.name)) is not None and path.is_file():
            origin = name["origin"].replace("_", "/")
            found.setdefault(origin, []).append(ArchiveFile(int(name["first"]), path))
    return {origin: sorted(files) for origin, files in sorted(found.items())}


def parse_line(line: bytes) -> ArchivedLine | None:
    """The line; None where it is not whole."""
    try:
        return _line(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def lines_of(path: Path) -> Iterator[ArchivedLine | None]:
    """Every line of a file, None for one that is not whole. OSError as the system says it."""
    with path.open("rb") as file:
        for line in file:
            yield parse_line(line) if line.endswith(b"\n") else None


def lates_of(path: Path) -> list[Late]:
    """What is noted of late arrivals; lines that are not whole are passed over. OSError as the system says it."""
    found = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                found.append(_late(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # torn by a power cut: its records were then sent again, and noted again
    return found


def mend(path: Path) -> tuple[ArchivedLine | None, int]:
    """Cut off what a crash left half-written at the end of `path`.

    Returns the last whole line (None: there is none) and how many bytes were cut. OSError as the system says it.
    """
    with path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        last = None
        while end > 0 and last is None:
            start = _line_start(file.fileno(), end)
            line = os.pread(file.fileno(), end - start, start)
            last = parse_line(line) if line.endswith(b"\n") else None
            end = start if last is None else end
        if end < size:
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
        return last, size - end


def _line_start(handle: int, end: int) -> int:
    """Where the line begins that ends before offset `end` (> 0)."""
    at = end - 1  # its own line end, where it has one
    while at > 0:
        begin = max(0, at - READ_BYTES)
        found = os.pread(handle, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
