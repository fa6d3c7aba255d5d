"""docs/decision.md §4 and §5 say what the tables in the code say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from zones.portal import TRANSITIONS, Input, Phase
from zones.watch import CONDITIONS

PAGE = Path(__file__).parents[2] / "docs" / "decision.md"


def tables(number):
    """Every table of one section as {first cell: row}, headings first; code marks taken off."""
    (section,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE):
        rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append({row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]})
    return found


def test_transitions_are_on_the_page_as_they_are_in_the_code():
    """Whoever reads the page would expect another door."""
    transitions, _ = tables(4)
    told = {(phase, name): cell for name, row in transitions.items() for phase, cell in row.items() if phase != "input"}
    assert told == {(phase.value, kind.__name__): take.__name__ for (phase, kind), take in TRANSITIONS.items()}
    assert len(told) == len(Phase) * len(get_args(Input))


def test_each_transition_is_explained():
    """A cell of the table would name something that is told nowhere."""
    _, explained = tables(4)
    assert set(explained) == {take.__name__ for take in TRANSITIONS.values()}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_each_condition_is_on_the_page_with_its_grace(kind):
    """An officer would wait for an alarm that comes later, or never."""
    conditions, *_ = tables(5)
    assert conditions[kind]["grace"] == f"{CONDITIONS[kind].grace_ms // 1000} s"
    assert set(conditions) == set(CONDITIONS)
