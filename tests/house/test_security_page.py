"""The self-check of docs/security.md: every requirement of the level once, with a test that is there or a reason."""

from __future__ import annotations

import ast
import contextlib
import re
from typing import Final

from tests.house.named_tests import NAMED, gone, named
from tests.house.sources import ROOT

PAGE: Final = "docs/security.md"
VERDICTS: Final = ("yes", "otherwise", "in part", "owed", "–")
REASON_SIGNS_MIN: Final = 20

# How many of its requirements are of level 1 or 2, by section of ASVS 5.0.0: they are its first ones everywhere.
SECTIONS: Final = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4 5.1:1 5.2:3
5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3
9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4
13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4
17.3:2
"""
ASKED: Final = [
    f"{section}.{number}"
    for section, _, count in (one.partition(":") for one in SECTIONS.split())
    for number in range(1, int(count) + 1)
]


def rows() -> list[list[str]]:
    """The cells of each requirement's row: numbers, what is asked, verdict, what shows it."""
    part = (ROOT / PAGE).read_text("utf-8").split("\n## 5. ")[1].split("\n## 6. ")[0]
    lines = (line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| "))
    return [cells for cells in lines if cells[0] != "no."]


def test_every_requirement_of_the_level_stands_once():
    """A requirement that we do not meet is passed over without a word."""
    told = [number for cells in rows() for number in cells[0].split(", ")]
    assert len(ASKED) == 253
    assert sorted(told) == sorted(ASKED)


def test_no_line_is_without_a_test_or_a_reason():
    """A buyer reads "yes", and nothing shows it."""
    faults = []
    for cells in rows():
        if len(cells) != 4 or cells[2] not in VERDICTS:
            faults.append(f"{cells[0]}: four cells with a verdict of {VERDICTS}")
        elif not NAMED.search(cells[3]) and not _is_reason(cells[2], cells[3]):
            faults.append(f"{cells[0]}: neither a test nor a reason")
    assert faults == []


def _is_reason(verdict: str, said: str) -> bool:
    return verdict == "–" or len(said) >= REASON_SIGNS_MIN


def test_every_test_that_it_names_is_there():
    """A test is renamed or goes, and the page still says that it shows something."""
    found = named(PAGE)
    assert len(found) > 100
    assert gone(found) == []


def test_what_is_owed_stands_at_the_end():
    """What is not done is said in the two hundredth row, where nobody reads it."""
    told = (ROOT / PAGE).read_text("utf-8").split("\n## 6. ")[1]
    owed = {number for cells in rows() if cells[2] in ("owed", "in part") for number in cells[0].split(", ")}
    listed = {one for line in told.splitlines() if line.startswith("- ") for one in _numbers(line)}
    assert listed == owed


def _numbers(line: str) -> list[str]:
    return re.findall(r"\d+\.\d+\.\d+", line.partition(": ")[0])


def test_limits_are_those_of_the_code():
    """The page says ten sessions, and the program allows a thousand."""
    part = (ROOT / PAGE).read_text("utf-8").split("\n## 2. ")[1].split("\n## 3. ")[0]
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ") and "`" in line]
    assert len(lines) > 10
    wrong = []
    for what, told, code in lines:
        found = [_value(name) for name in re.findall(r"`([\w.]+)`", code)]
        if [float(one) for one in re.findall(r"\d+(?:\.\d+)?", told)] != found:
            wrong.append(f"{what}: {told}, in the code {found}")
    assert wrong == []


def _value(name: str) -> float:
    """A constant, read and not imported: the web process takes seconds to import."""
    module, _, constant = name.rpartition(".")
    known: dict[str, float] = {}
    for node in ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            with contextlib.suppress(NameError, TypeError, SyntaxError):
                known[ast.unparse(target)] = eval(ast.unparse(node.value), {"__builtins__": {}}, dict(known))
    return float(known[constant])
