"""Pages name tests, as `folder/test_file.py::test_name` under tests/: which, and whether they are there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.house.sources import ROOT

NAMED: Final = re.compile(r"`([a-z0-9_/]+\.py)::(\w+)`")


def named(*pages: str) -> list[tuple[str, str]]:
    """Each test that the pages name."""
    return [one for page in pages for one in NAMED.findall((ROOT / page).read_text("utf-8"))]


def gone(tests: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the named tests that are not there."""
    return [f"{file}::{name}" for file, name in tests if f"def {name}(" not in _source(ROOT / "tests" / file)]


def _source(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""
