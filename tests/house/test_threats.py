"""Pages of attacks name tests: they must be there, or a page promises what nobody tries."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("docs/threats.md", "docs/witness.md", "docs/ledger.md")
NAMED = re.compile(r"`([a-z0-9_/]+\.py)::(test_\w+)`")


def test_every_test_that_the_page_of_threats_names_is_there():
    """A test is renamed or goes, and the page still says that an attack was tried."""
    named = [one for page in PAGES for one in NAMED.findall((ROOT / page).read_text("utf-8"))]
    assert len(named) > 60
    gone = [f"{file}::{name}" for file, name in named if f"def {name}(" not in _source(ROOT / "tests" / file)]
    assert gone == []


def test_every_row_of_attacks_names_one():
    """An attack is written down with what stops it, and nobody ever tried it."""
    page = (ROOT / "docs/threats.md").read_text("utf-8")
    rows = [line for part in (2, 3) for line in _section(page, part) if line.startswith("| ") and "tests |" not in line]
    assert len(rows) > 30 and [row for row in rows if not NAMED.search(row)] == []


def test_every_attack_on_the_ledger_says_what_is_found_by_whom_and_names_its_test():
    """The page that auditors buy promises that something is found, and nobody ever tried it."""
    lines = _section((ROOT / "docs/ledger.md").read_text("utf-8"), 13)
    assert len([line for line in lines if line.startswith("### 13.")]) == 8
    head = "| what is done | what is found | by whom, when | test |"
    rows = [line for line in lines if line.startswith("| ") and line != head]
    assert len(rows) > 70
    assert [row for row in rows if len(row.split(" | ")) != 4 or not NAMED.search(row.split(" | ")[3])] == []
    assert [row for row in rows if not all(cell.strip("| ") for cell in row.split(" | "))] == []
    assert len([row for row in rows if "**" in row]) > 15, "what is not found is said plainly"


def _section(page: str, number: int) -> list[str]:
    return page.split(f"\n## {number}. ")[1].split("\n## ", maxsplit=1)[0].splitlines()


def _source(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""
