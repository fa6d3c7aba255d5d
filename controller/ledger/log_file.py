"""The write-ahead log as it lies there at a start, before SQLite plays it in: is it whole, and is it ours?

SQLite reads a log up to the first frame whose checksum fails and passes over the rest without a word: right for the
last commit of a power cut, wrong for a log that was damaged or cut off further back: acknowledged records are gone.
Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Nothing is changed here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from controller.ledger.errors import LedgerRefused, LedgerUnavailable

if TYPE_CHECKING:
    from pathlib import Path

HEADER: Final = struct.Struct(">8I")
"""Magic, format, page size, checkpoint sequence, two salts, two checksums."""

FRAME: Final = struct.Struct(">6I")
"""Page number, pages after a commit (0: no commit), two salts, two checksums."""

MAGICS: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""By the byte order in which checksums are summed up."""

APPLICATION_AT: Final = 68
"""Where page 1 holds the application id."""

_MASK: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The frames that SQLite believes, and what of the same log stands after them."""

    frames: int
    commits_after: int
    is_to_the_end: bool


def look_at_log(path: Path, *, page_bytes: int, application: int, whole_bytes: int) -> str:
    """Why records may be gone from the log of the ledger `path`; "" where nothing speaks for it.

    `whole_bytes`: what a log of ours has. LedgerRefused: it is another database's. LedgerUnavailable: not readable.
    """
    log = path.with_name(path.name + "-wal")
    try:
        held = log.read_bytes() if log.exists() else b""
    except OSError as error:
        raise LedgerUnavailable(f"{log}: {error.strerror or error}") from error
    if not any(held):
        return ""  # none, or zeros as we make it
    if len(held) < HEADER.size:
        return "the write-ahead log was cut off within its head"
    magic, _, pages, _, *salts_and_sums = HEADER.unpack_from(held)
    order = MAGICS.get(magic)
    salts, sums = tuple(salts_and_sums[:2]), (salts_and_sums[2], salts_and_sums[3])
    if order is None or _summed(held[: HEADER.size - 8], (0, 0), order) != sums:
        return "the head of the write-ahead log is damaged: what it held cannot be played in"
    if pages != page_bytes:
        raise LedgerRefused(_foreign(log, f"its pages have {pages} bytes, and ours {page_bytes}"))
    run = _run(log, held, page_bytes, salts, sums, order, application)
    if run.commits_after > 1:  # one may be what a power cut left of a commit that nobody was told of
        return f"frame {run.frames + 1} of the write-ahead log is damaged: {run.commits_after} commits stand after it"
    if len(held) < whole_bytes and run.is_to_the_end:
        return "the write-ahead log was cut off: records may have followed"
    return ""


def _run(
    log: Path,
    held: bytes,
    page_bytes: int,
    salts: tuple[int, ...],
    sums: tuple[int, int],
    order: str,
    application: int,
) -> _Run:
    frames, commits_after, is_believed = 0, 0, True
    step = FRAME.size + page_bytes
    for at in range(HEADER.size, len(held) - step + 1, step):
        page, pages_after, *rest = FRAME.unpack_from(held, at)
        content = held[at + FRAME.size : at + step]
        is_of_this_log = tuple(rest[:2]) == salts
        is_believed = (
            is_believed
            and is_of_this_log
            and _summed(held[at : at + 8] + content, sums, order)
            == (
                rest[2],
                rest[3],
            )
        )
        if is_believed:
            sums, frames = (rest[2], rest[3]), frames + 1
            if page == 1 and struct.unpack_from(">I", content, APPLICATION_AT)[0] != application:
                raise LedgerRefused(_foreign(log, "it holds another program's pages"))
        elif is_of_this_log and pages_after:
            commits_after += 1
    return _Run(frames=frames, commits_after=commits_after, is_to_the_end=is_believed)


def _summed(octets: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """The checksum of a log over `octets` after `sums`."""
    one, other = sums
    words = struct.unpack(f"{order}{len(octets) // 4}I", octets)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & _MASK
        other = (other + second + one) & _MASK
    return one, other


def _foreign(log: Path, why: str) -> str:
    return f"{log}: not the write-ahead log of this ledger ({why}); keep it, move it away, and ask how it came here"
