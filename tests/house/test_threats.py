"""Pages of attacks name tests: they must be there, or a page promises what nobody tries."""

from __future__ import annotations

from tests.house.named_tests import NAMED, gone, named
from tests.house.sources import ROOT

PAGES = ("docs/threats.md", "docs/witness.md", "docs/ledger.md")


def test_every_test_that_the_page_of_threats_names_is_there():
    """A test is renamed or goes, and the page still says that an attack was tried."""
    found = named(*PAGES)
    assert len(found) > 60
    assert gone(found) == []


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
