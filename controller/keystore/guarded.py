"""Files and folders that nobody else may read: checked before they are believed, written so that a crash leaves a whole
one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from controller.keystore.errors import KeyStoreError
from controller.ledger.checkpoint import sync_directory

BYTES_MAX: Final = 4 * 1024 * 1024
"""A key store of a thousand readers has a quarter of this."""


def check_guarded(path: Path, found: os.stat_result, *, is_folder: bool = False) -> None:
    """KeyStoreError where `path` is another's, can be read by others, or is no file (folder) at all."""
    kind, is_kind = ("folder", stat.S_ISDIR) if is_folder else ("plain file", stat.S_ISREG)
    if not is_kind(found.st_mode):
        raise KeyStoreError(f"{path} is no {kind}: put the real one there")
    if found.st_uid not in {os.geteuid(), 0}:
        raise KeyStoreError(f"{path} belongs to another account: chown it to the controller's, and ask who did that")
    if found.st_mode & 0o077:
        mode = "700" if is_folder else "600"
        raise KeyStoreError(
            f"others can read {path}: chmod {mode} {path}, and rotate its keys if anybody may have done so"
        )


def read_guarded(path: Path, what_to_do: str) -> bytes:
    """The bytes of a file that nobody else can read. No link is followed."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            check_guarded(path, os.fstat(file.fileno()))
            return file.read(BYTES_MAX)
    except OSError as error:
        raise KeyStoreError(f"{path}: {error.strerror}: {what_to_do}") from error


def open_folder(path: Path) -> None:
    """Make the folder, or check the one that is there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_guarded(path, os.lstat(path), is_folder=True)
    except OSError as error:
        raise KeyStoreError(f"{path}: {error.strerror}: the key store needs a folder of its own") from error


def write_whole(path: Path, text: bytes) -> None:
    """Put `text` in the place of `path`: after a crash one of both is there, whole. OSError where the disk will not."""
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)  # of a write that lost its power
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)
