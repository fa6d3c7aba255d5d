"""The sink that is a folder: a local disk, a network share, or an object store that is mounted (docs/streams.md §7).

It appends lines of an export, and acknowledges when they are on the disk. What a crash left half-written is cut off
before anything is added; what the folder holds already is compared and not written again. It never writes over a
line, and never leaves one out: where it cannot go on in order, it is down.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec

from controller.streams.archive import (
    ArchiveFile,
    Late,
    files_in,
    late_name_of,
    lines_of,
    mend,
    name_of,
    stem_of,
)
from controller.streams.cursor import sync_folder
from controller.streams.outgoing import Outgoing, export_line
from controller.streams.own_folder import Mark, check_folder
from controller.streams.section import SinkSection
from controller.streams.sinks import SinkDown

DAY_MS: Final = 86_400_000
BEFORE_ALL: Final = -1

log = logging.getLogger(__name__)


class JsonlSection(SinkSection, frozen=True, kw_only=True, tag="jsonl"):
    """`folder`: where the files go; it must be there. A file ends at `file_bytes_max`, and with the day (UTC)."""

    folder: Path
    file_bytes_max: Annotated[int, msgspec.Meta(ge=4096, le=1 << 40)] = 64 << 20


class JsonlSink:
    """Writes one archive.

    Args:
        section: its settings.
        copy: where it is kept which folder that is, beside the cursor.
    """

    batch_max = 500

    def __init__(self, section: JsonlSection, copy: Path) -> None:
        self._section = section
        self._folder = section.folder
        self._copy = copy
        self._origin = ""
        self._files: list[ArchiveFile] = []
        self._file: IO[bytes] | None = None
        self._size = 0
        self._day = 0
        self._last = BEFORE_ALL
        self._has_written = False  # an archive that is empty after that was emptied
        self._held: tuple[Path, dict[int, str]] | None = None

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        """Append what the folder does not hold yet, and sync it. Raises SinkDown, and then acknowledges nothing."""
        try:
            if self._origin != batch[0].origin or not self._is_in_place():
                self._open(batch[0].origin)
            fresh = [one for one in batch if one.seq > self._last]
            for one in batch[: len(batch) - len(fresh)]:
                self._compare(one)
            if fresh:
                self._append(fresh)
        except OSError as error:
            self.close()
            raise SinkDown("storage", f"{self._folder}: {error.strerror or error}") from error
        except SinkDown:
            self.close()
            raise
        return len(batch)

    def close(self) -> None:
        """Close the file. The folder is looked at anew before anything more is written."""
        file, self._file, self._origin, self._held = self._file, None, "", None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                log.warning("%s: %s", self._folder, error.strerror or error)

    def _is_in_place(self) -> bool:
        """Whether the open file still is the one in the folder. A disk acknowledges what is written to a file that was
        deleted, or whose folder was moved or mounted over, and nobody ever reads it.
        """
        if self._file is None:
            return True
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._files[-1].path.stat())
        except FileNotFoundError:
            return False

    # -- where the archive ends --------------------------------------------------------------------------------------

    def _open(self, origin: str) -> None:
        """Look where the archive of this ledger ends, and mend that end."""
        self.close()
        try:
            stem_of(origin)
        except ValueError as error:
            raise SinkDown("protocol", str(error)) from error
        mark = Mark(id=secrets.token_hex(8), sink=self._section.name, is_filtered=self._section.is_filtered)
        check_folder(self._folder, self._copy, mark)
        self._files = files_in(self._folder).get(origin, [])
        self._last = BEFORE_ALL
        while self._files:
            newest = self._files[-1].path
            last, cut = mend(newest)
            if cut:
                log.warning("%s: %d bytes that were half-written are cut off", newest, cut)
            if last is not None:
                self._last = last.seq
                self._take_up(newest)
                break
            newest.unlink()
            self._files.pop()
        self._origin = origin

    def _take_up(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()
        first = next(lines_of(path), None)
        body = "" if first is None or first.body is None else first.body
        try:
            self._day = msgspec.json.decode(body, type=_Dated).at_ms // DAY_MS
        except msgspec.MsgspecError:
            self._day = 0

    def _compare(self, one: Outgoing) -> None:
        """Raises SinkDown where the archive holds another record under this number, or none."""
        files = [file for file in self._files if file.first <= one.seq]
        if not files:
            return  # its file was moved away to where older ones are kept
        if self._held is None or self._held[0] != files[-1].path:
            held = {line.seq: line.leaf for line in lines_of(files[-1].path) if line is not None}
            self._held = (files[-1].path, held)
        if (leaf := self._held[1].get(one.seq)) != one.leaf:
            what = "another record" if leaf is not None else "no record"
            why = f"{files[-1].path} holds {what} under {one.seq}: begin a new folder, and keep this one"
            raise SinkDown("foreign_archive", why)

    # -- writing -------------------------------------------------------------------------------------------------------

    def _append(self, fresh: Sequence[Outgoing]) -> None:
        """Write and sync. Notes first what is late: a note without its record is repeated with it, never missing."""
        is_begun = self._last != BEFORE_ALL or self._has_written
        is_gap = is_begun and fresh[0].seq != self._last + 1
        if is_gap and not self._section.is_filtered:
            why = (
                f"{self._folder} ends at record {self._last}, and {fresh[0].seq} is next: something was taken out of it"
            )
            raise SinkDown("foreign_archive", f"{why}; move the cursor away, and what lacks is sent again")
        self._note_late([one for one in fresh if one.late_ms])
        for day, records in groupby(fresh, key=lambda one: one.at_ms // DAY_MS or self._day):
            self._write(list(records), day)
        self._last, self._has_written = fresh[-1].seq, True
        self._held = None

    def _write(self, records: Sequence[Outgoing], day: int) -> None:
        waiting = bytearray()
        for one in records:
            line = export_line(one).encode() + b"\n"
            if (
                self._file is None
                or day != self._day
                or self._size + len(waiting) + len(line) > self._section.file_bytes_max
            ):
                self._flush(waiting)
                self._begin(one.seq, day)
            waiting += line
        self._flush(waiting)

    def _begin(self, first: int, day: int) -> None:
        """The next file."""
        if self._file is not None:
            self._file.close()
        path = self._folder / name_of(self._origin, first)
        self._file = path.open("xb", buffering=0)
        sync_folder(self._folder)
        self._files.append(ArchiveFile(first, path))
        self._size, self._day = 0, day

    def _flush(self, waiting: bytearray) -> None:
        if not waiting:
            return
        assert self._file is not None, "a file was begun"
        at = 0
        while at < len(waiting):
            at += self._file.write(memoryview(waiting)[at:])
        os.fsync(self._file.fileno())
        self._size += len(waiting)
        waiting.clear()

    def _note_late(self, late: Sequence[Outgoing]) -> None:
        if not late:
            return
        oldest = max(late, key=lambda one: one.late_ms)
        note = Late(
            first=late[0].seq,
            last=late[-1].seq,
            count=len(late),
            at_ms=oldest.at_ms + oldest.late_ms,
            late_ms=oldest.late_ms,
        )
        with (self._folder / late_name_of(self._origin)).open("ab") as file:
            file.write(b"\n" * (file.tell() > 0) + msgspec.json.encode(note))
            file.flush()
            os.fsync(file.fileno())


class _Dated(msgspec.Struct, frozen=True):
    at_ms: int = 0


def build(section: JsonlSection, state_dir: Path) -> JsonlSink:
    """The sink of `section`; which folder it is, is kept in `state_dir`."""
    return JsonlSink(section, state_dir / f"{section.name}.folder")
