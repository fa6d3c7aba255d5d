"""docs/decision.md and docs/vocabulary.md say what the tables in the code say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zones.decision import Reason, public_reason
from zones.decision.reasons import OFFICER_WORDS
from zones.decision.rules import OF_KEYS, PERSONAL, RULES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "decision.md").read_text("utf-8")


def tables(page):
    """Every table of a page as {first cell: row}, headings first; code marks taken off."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", (DOCS / page).read_text("utf-8"), re.MULTILINE):
        rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in block.splitlines()]
        found.append({row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]})
    return found


RULE_TABLES = [table for table in tables("decision.md") if "rule" in next(iter(table.values()))]
RULE_TABLE = {number: row for table in RULE_TABLES for number, row in table.items()}
(OTHER_REASONS,) = (table for table in tables("decision.md") if next(iter(next(iter(table.values())))) == "reason")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_each_rule_is_on_the_page_as_it_is_in_the_code(rule):
    """The page that an auditor is shown would describe another product."""
    row = RULE_TABLE[rule.number]
    assert (row["reason"], row["source"]) == (rule.reason, rule.source)
    assert row["the door says"] == public_reason(rule.reason)
    assert (row["officer, ja"], row["officer, en"]) == OFFICER_WORDS[rule.reason]
    asked_of = "all, and escorts" if rule in OF_KEYS else "all who enter" if rule in PERSONAL else "once"
    assert row["asked of"] == asked_of
    assert row["asks"] and row["exempt"] and row["waived"]


def test_the_page_has_no_other_rules():
    """The page would promise a check that nobody makes."""
    told = [number for table in RULE_TABLES for number in table]
    assert told == [rule.number for rule in RULES]


def test_the_page_says_which_number_comes_next():
    """A number of a rule that is gone would be given to another."""
    told = re.findall(r"^\*\*Numbers\*\* D01 to (D\d\d) are given. The next rule is (D\d\d);", PAGE, re.MULTILINE)
    ((last, following),) = told
    assert last == max(rule.number for rule in RULES)
    assert int(following[1:]) == int(last[1:]) + 1


def test_every_reason_is_on_the_page_once():
    """An officer would look for a reason and not find it."""
    reasons = [row["reason"] for row in RULE_TABLE.values()] + list(OTHER_REASONS)
    assert sorted(reasons) == sorted(Reason)
    for reason, row in OTHER_REASONS.items():
        assert row["the door says"] == public_reason(Reason(reason))
        assert (row["officer, ja"], row["officer, en"]) == OFFICER_WORDS[Reason(reason)]


def test_the_vocabulary_is_a_table_that_a_machine_reads():
    """The house would have no law, and its test nothing to refuse."""
    (words,) = tables("vocabulary.md")
    assert words["cardholder"]["not"] == "user, person, employee"
    assert all(row["means"] and row["not"] for row in words.values())
