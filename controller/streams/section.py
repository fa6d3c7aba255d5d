"""What every `[[sink]]` of the settings says, whatever its kind (docs/streams.md §4). Each kind's module adds its keys.

Secrets never stand in the settings: a key that ends in `_file` names the file that holds one, and a file that others
may read is refused.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

SINK_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,31}"
SECRET_BYTES_MAX: Final = 4096

SinkName = Annotated[str, msgspec.Meta(pattern=rf"^{SINK_PATTERN}\Z")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=300)]


class SinkRefused(ValueError):
    """A sink that cannot be made as its settings say. `key` names the key at fault."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


class SinkSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of the `[[sink]]` sections. `types`, `zones`: only records of these; empty: all. A sink with a filter is no
    archive. `start`: whether a new sink is sent everything from record 0 on, or what comes from now on.
    """

    name: SinkName
    types: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    start: Literal["beginning", "now"] = "beginning"

    @property
    def is_filtered(self) -> bool:
        """Whether records are left out on purpose."""
        return bool(self.types or self.zones or self.start == "now")


def read_secret(key: str, path: Path) -> bytes:
    """What the secret file `path` of the key `key` holds, without white space around it.

    Raises SinkRefused where it cannot be read, is no file, is empty, or may be read by others.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SinkRefused(key, f"{path} is no regular file")
            if status.st_mode & 0o077:
                raise SinkRefused(key, f"others can read {path}: chmod 600 {path}, and renew the secret if they did")
            held = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SinkRefused(key, f"{path}: {error.strerror or error}") from error
    if len(held) > SECRET_BYTES_MAX:
        raise SinkRefused(key, f"{path} is longer than a secret")
    if not held.strip():
        raise SinkRefused(key, f"{path} is empty")
    return held.strip()
