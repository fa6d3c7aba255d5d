"""docs/decision.md and docs/vocabulary.md say what the tables in the code say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from zones.decision import Reason, public_reason
from zones.decision.reasons import OFFICER_WORDS
from zones.decision.rules import RESERVED, RULES
from zones.portal import TRANSITIONS, Input, Phase

DOCS = Path(__file__).parents[2] / "docs"


def tables(page):
    """Every table of a page as {first cell: row}, headings first; code marks taken off."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", (DOCS / page).read_text("utf-8"), re.MULTILINE):
        rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append({row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]})
    return found


RULE_TABLE, OTHER_REASONS, TRANSITION_TABLE, EXPLAINED = tables("decision.md")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_each_rule_is_on_the_page_as_it_is_in_the_code(rule):
    """The page that an auditor is shown would describe another product."""
    row = RULE_TABLE[rule.number]
    assert (row["reason"], row["source"]) == (rule.reason, rule.source)
    assert row["the door says"] == public_reason(rule.reason)
    assert (row["officer, ja"], row["officer, en"]) == OFFICER_WORDS[rule.reason]


def test_the_page_has_no_other_rules():
    """The page would promise a check that nobody makes."""
    assert list(RULE_TABLE) == [rule.number for rule in RULES]


def test_every_reason_is_on_the_page_once():
    """An officer would look for a reason and not find it."""
    reasons = [row["reason"] for row in RULE_TABLE.values()] + list(OTHER_REASONS)
    assert sorted(reasons) == sorted(Reason)
    for reason, row in OTHER_REASONS.items():
        assert row["the door says"] == public_reason(Reason(reason))
        assert (row["officer, ja"], row["officer, en"]) == OFFICER_WORDS[Reason(reason)]


def test_reserved_numbers_are_on_the_page():
    """A number that is spoken for would be given to another rule."""
    told = re.findall(r"^- (D\d\d): (.*)$", (DOCS / "decision.md").read_text("utf-8"), re.MULTILINE)
    assert dict(told) == dict(RESERVED)


def test_transitions_are_on_the_page_as_they_are_in_the_code():
    """Whoever reads the page would expect another door."""
    told = {
        (phase, name): cell for name, row in TRANSITION_TABLE.items() for phase, cell in row.items() if phase != "input"
    }
    assert told == {(phase.value, kind.__name__): take.__name__ for (phase, kind), take in TRANSITIONS.items()}
    assert len(told) == len(Phase) * len(get_args(Input))


def test_each_transition_is_explained():
    """A cell of the table would name something that is told nowhere."""
    assert set(EXPLAINED) == {take.__name__ for take in TRANSITIONS.values()}


def test_the_vocabulary_is_a_table_that_a_machine_reads():
    """The house would have no law, and its test nothing to refuse."""
    (words,) = tables("vocabulary.md")
    assert words["cardholder"]["not"] == "user, person, employee"
    assert all(row["means"] and row["not"] for row in words.values())
