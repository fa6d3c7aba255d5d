"""How far a sink has got, kept on disk: a small file for each, replaced whole and synced (docs/streams.md §5).

The file names the ledger that it counts in (origin, public key) and the last record that was dealt with, by number and
by the hash of its leaf: a ledger that was put back and grew again has another record there, and that is seen.
A file that cannot be read is never taken for a new one.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from controller.link.messages import Record
from controller.streams.sinks import SinkDown

CURSOR_BYTES_MAX: Final = 16 * 1024
BEFORE_ALL: Final = -1
"""`seq` of a cursor that has dealt with nothing yet."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`seq`: the last record of the ledger `origin` (public key `vkey`) that was acknowledged or left out by a filter;
    `leaf`: SHA-256 of its leaf, in hex, empty where it was not seen.
    """

    v: Literal[1]
    origin: str
    vkey: str
    seq: Annotated[int, msgspec.Meta(ge=BEFORE_ALL)]
    leaf: str = ""


_decode: Final = msgspec.json.Decoder(Cursor).decode


def leaf_hash(record: Record) -> str:
    """What a cursor remembers a record by."""
    return sha256(record.leaf.encode()).hexdigest()


def load(path: Path) -> Cursor | None:
    """The cursor in `path`; None where there is none yet. SinkDown("cursor") where it cannot be read."""
    try:
        with path.open("rb") as file:
            held = file.read(CURSOR_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SinkDown("cursor", f"{path}: {error.strerror or error}") from error
    try:
        return _decode(held)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        advice = "move it away to send everything again; whoever receives leaves out what he has"
        raise SinkDown("cursor", f"{path} is damaged ({error}); {advice}") from error


def save(path: Path, cursor: Cursor) -> None:
    """Replace `path`, durable when this comes back. SinkDown("cursor") where the disk will not."""
    try:
        replace_durably(path, msgspec.json.encode(cursor) + b"\n")
    except OSError as error:
        raise SinkDown("cursor", f"{path}: {error.strerror or error}; make room, or mount the disk") from error


def replace_durably(path: Path, held: bytes) -> None:
    """Put `held` into `path`, whole or not at all, durable when this comes back. OSError as the system says it."""
    partial = path.with_name(f"{path.name}.new")
    with partial.open("wb") as file:
        file.write(held)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in `folder` durable. OSError as the system says it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
