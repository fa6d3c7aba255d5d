"""What a form says of a mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import zones
from api.pages.forms import told
from api.problems import Problem
from api.rule_words import RULES
from api.texts import speaking

ROOT = Path(zones.__file__).parents[1]
SAID = "".join(path.read_text("utf-8") for path in (*ROOT.glob("zones/*.py"), ROOT / "controller" / "edit_desk.py"))


@pytest.mark.parametrize("sign", RULES)
def test_the_rules_are_still_worded_so(sign: str) -> None:
    """An officer would be told that a rule is broken, and not what to put right."""
    assert sign in SAID


@pytest.mark.parametrize(
    ("problem", "field", "why", "says"),
    [
        ("edit_refused", "until_on", "roster r-1: until_on: is before from_on", "開始日以降の日付に"),
        ("edit_refused", "zones", "visit v-1: zones: is empty; a visit leads somewhere", "区域を1つ以上"),
        ("edit_refused", "until_on", "something new", "（終了日）"),
        ("not_valid", "name", "", "入力の誤り（氏名）: 入力するか直してから、もう一度送ってください。"),
        ("protocol", "note", "note must be text", "入力の誤り"),
    ],
)
def test_a_mistake_in_a_form_is_told_in_its_own_words(problem: str, field: str, why: str, says: str) -> None:
    """An officer would read of a fault of the controller, or of an “errors” that no page shows,
    for a field left empty.
    """
    with speaking("ja"):
        sentence = told(Problem(problem, 422, members={"field": field, "why": why}))
    assert says in sentence
    assert "errors" not in sentence
    assert why == "" or why not in sentence
