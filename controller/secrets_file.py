"""A file that holds 32 secret bytes: made once, readable by nobody else, never overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from controller.ledger.checkpoint import sync_directory

SECRET_BYTES = 32


def read_or_create(path: Path, random: Callable[[int], bytes]) -> bytes:
    """The secret in `path`; a new one where there is no file. OSError and ValueError say what is wrong with it."""
    if path.exists():
        return read_secret(path)
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)  # of a start that lost its power
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        secret = random(SECRET_BYTES)
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    os.link(partial, path)  # whole or not at all, and never over another
    partial.unlink()
    sync_directory(path.parent)
    return secret


def read_secret(path: Path) -> bytes:
    """The secret in `path`. OSError and ValueError say what is wrong with it."""
    found = path.stat()
    if found.st_uid not in {os.geteuid(), 0}:
        raise ValueError(f"{path}: belongs to another account: chown it to the controller's, and ask who did that")
    if found.st_mode & 0o077:
        raise ValueError(f"{path}: others can read this secret: chmod 600 {path}")
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"{path}: has {len(secret)} bytes, a secret has {SECRET_BYTES}; restore it from the backup")
    return secret
