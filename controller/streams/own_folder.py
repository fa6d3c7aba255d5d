"""Whether a folder is the one that an archive was begun in: an empty mount point must not be taken for it.

A mark in the folder and its copy beside the cursor carry the same random id. No mark although there should be one:
what is mounted there has gone. Another mark: another archive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from controller.streams.cursor import replace_durably
from controller.streams.sinks import SinkDown

T = TypeVar("T")

MARK: Final = ".sekisho-archive"


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In the folder. `is_filtered`: records were left out on purpose at some time, so gaps mean nothing."""

    id: str
    sink: str
    is_filtered: bool


class _Copy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    folder: str


def check_folder(folder: Path, copy: Path, mark: Mark) -> None:
    """Make sure that `folder` is the one of this sink; on first use, `mark` it. `copy`: where the copy is kept.

    Raises SinkDown: storage (away, or not mounted), foreign_archive (somebody else's). OSError as the system says it.
    """
    if not folder.is_dir():
        raise SinkDown("storage", f"{folder} is not there: mount it, or make it")
    found, kept = _read(folder / MARK, Mark), _read(copy, _Copy)
    if kept is not None and kept.folder != str(folder):
        kept = None  # the settings name another folder now
    if found is None:
        if kept is not None:
            raise SinkDown("storage", f"{folder} is empty, and holds an archive otherwise: is it mounted? ({copy})")
        found = mark
        replace_durably(folder / MARK, msgspec.json.encode(mark) + b"\n")
    if found.sink != mark.sink or (kept is not None and kept.id != found.id):
        raise SinkDown("foreign_archive", f"{folder} holds another archive, of the sink {found.sink}")
    if mark.is_filtered and not found.is_filtered:
        filtered = msgspec.structs.replace(found, is_filtered=True)
        replace_durably(folder / MARK, msgspec.json.encode(filtered) + b"\n")
    if kept is None:
        replace_durably(copy, msgspec.json.encode(_Copy(id=found.id, folder=str(folder))) + b"\n")


def read_mark(folder: Path) -> Mark | None:
    """The mark of a folder; None without one. SinkDown where it cannot be read."""
    return _read(folder / MARK, Mark)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SinkDown("foreign_archive", f"{path} is no mark of ours: {error}") from error
