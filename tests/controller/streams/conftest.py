"""A folder for cursors in memory: hundreds of syncs of a busy disk would be all that a day in a test measures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """Gone afterwards."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with TemporaryDirectory(dir=place) as folder:
        yield Path(folder)
