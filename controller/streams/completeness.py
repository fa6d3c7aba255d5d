"""What of a ledger stands in an archive: what is missing, double or damaged, what arrived late (docs/streams.md §9).

Reads what `controller.streams.jsonl` wrote, and changes nothing. Whether what stands there is genuine is another
question: `sekisho verify` answers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.streams.archive import ArchiveFile, Late, files_in, late_name_of, lates_of, lines_of

SHOW_EVERY: Final = 10_000

Span = tuple[int, int]
"""First and last record, both included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSpan:
    """Records that follow each other and arrived late; the oldest so late; so many of them are missing."""

    first: int
    last: int
    late_ms: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """Of one ledger in one folder. `is_filtered`: records were left out on purpose, so that `missing` is no complaint.
    `signed_to`: up to which record a checkpoint stands in it (-1: none). `damaged`: file and line.
    """

    origin: str
    first: int
    last: int
    count: int
    missing: tuple[Span, ...]
    double: tuple[Span, ...]
    damaged: tuple[tuple[str, int], ...]
    late: tuple[LateSpan, ...]
    signed_to: int
    is_filtered: bool

    @property
    def is_whole(self) -> bool:
        """Nothing missing, nothing double, nothing damaged."""
        return not (self.double or self.damaged or (self.missing and not self.is_filtered))


@dataclass(slots=True)
class _Count:
    """What was seen so far."""

    first: int = -1
    last: int = -1
    count: int = 0
    signed_to: int = -1
    missing: list[Span] = field(default_factory=list)
    double: list[int] = field(default_factory=list)
    damaged: list[tuple[str, int]] = field(default_factory=list)

    def take(self, seq: int, *, is_signed: bool) -> None:
        if self.count == 0:
            self.first, self.last = seq, seq - 1
        if seq > self.last:
            if seq > self.last + 1:
                self.missing.append((self.last + 1, seq - 1))
            self.last = seq
        elif not self._filled(seq):
            self.double.append(seq)
            return
        self.count += 1
        if is_signed:
            self.signed_to = max(self.signed_to, seq)

    def _filled(self, seq: int) -> bool:
        """Whether `seq`, out of its order, was missing until now."""
        for at, (first, last) in enumerate(self.missing):
            if first <= seq <= last:
                self.missing[at : at + 1] = [(a, b) for a, b in ((first, seq - 1), (seq + 1, last)) if a <= b]
                return True
        return False


def completeness(
    folder: Path, *, is_filtered: bool, show: Callable[[int], None] = lambda _count: None
) -> list[Completeness]:
    """Of every ledger that has an archive in `folder`. `show` hears now and then how many records were looked at.

    OSError as the system says it.
    """
    return [
        _of_files(origin, files, lates_of(folder / late_name_of(origin)), is_filtered=is_filtered, show=show)
        for origin, files in files_in(folder).items()
    ]


def _of_files(
    origin: str, files: list[ArchiveFile], lates: list[Late], *, is_filtered: bool, show: Callable[[int], None]
) -> Completeness:
    seen = _Count()
    for file in files:
        for number, line in enumerate(lines_of(file.path), 1):
            if line is None:
                seen.damaged.append((file.path.name, number))
                continue
            seen.take(line.seq, is_signed=line.checkpoint is not None)
            if seen.count % SHOW_EVERY == 0:
                show(seen.count)
    return Completeness(
        origin=origin,
        first=seen.first,
        last=seen.last,
        count=seen.count,
        missing=tuple(seen.missing),
        double=tuple(_spans(seen.double)),
        damaged=tuple(seen.damaged),
        late=tuple(_late_spans(lates, seen)),
        signed_to=seen.signed_to,
        is_filtered=is_filtered,
    )


def _spans(seqs: list[int]) -> list[Span]:
    spans: list[Span] = []
    for seq in sorted(set(seqs)):
        if spans and spans[-1][1] == seq - 1:
            spans[-1] = (spans[-1][0], seq)
        else:
            spans.append((seq, seq))
    return spans


def _late_spans(lates: list[Late], seen: _Count) -> list[LateSpan]:
    """Notes that touch are one span; what was noted and is not there is missing in it."""
    merged: list[tuple[int, int, int]] = []
    for one in sorted(lates, key=lambda late: late.first):
        if merged and one.first <= merged[-1][1] + 1:
            first, last, late_ms = merged[-1]
            merged[-1] = (first, max(last, one.last), max(late_ms, one.late_ms))
        else:
            merged.append((one.first, one.last, one.late_ms))
    return [
        LateSpan(first=first, last=last, late_ms=late_ms, missing=_missing_in(first, last, seen))
        for first, last, late_ms in merged
    ]


def _missing_in(first: int, last: int, seen: _Count) -> int:
    """How many of a span stand nowhere: in a gap, or behind the end."""
    inside = sum(max(0, min(b, last) - max(a, first) + 1) for a, b in seen.missing)
    return inside + max(0, last - max(seen.last, first - 1))
