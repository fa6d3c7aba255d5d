"""Notes are about doors: words of an assessment's matters are refused, however they are written (E-01, P5)."""

from __future__ import annotations

import pytest

from tests.zones.test_what_is_never_stored import JAPANESE
from zones.plain_words import NOTE_SIGNS_MAX, denied_word, fault_of_note

PLAIN = (
    "風で扉が開いた。蝶番を調整。",
    "清掃業者が非常口から退出。注意済み。",
    "ドローンが中庭に落下し、警備員が回収",
    "スパイク付きの柵を点検",
    "納品のため10分間開放(台車)",
    "Latch worn, facility called; door guarded until 14:30.",
    "The reader was wet. Dried, works.",
    "Trace of tape on the strike, photographed",
    "葛󠄀城さんの鍵(旧型)で開かず、予備で対応",
)

REFUSED = (
    ("適性評価の結果待ちの人が入ろうとした", "適性評価"),
    ("適 性 評 価の件", "適性評価"),
    ("ｸﾘｱﾗﾝｽなし", "クリアランス"),
    ("借金の取り立てが来た", "借金"),
    ("前・科ありとの噂", "前科"),
    ("飲酒していた様子", "飲酒"),
    ("Lost his CLEARANCE last week", "clearance"),
    ("seems to have debts", "debts"),
    ("background   check pending", "background check"),
    ("came with his wife", "wife"),
    ("ｄｒｕｎｋ again", "drunk"),
)


@pytest.mark.req("E-01")
@pytest.mark.parametrize("note", PLAIN)
def test_what_happened_at_a_door_can_be_written(note: str) -> None:
    """Officers would write nothing at all, or leave the product for a sheet of paper."""
    assert fault_of_note(note) is None


@pytest.mark.req("E-01")
@pytest.mark.parametrize(("note", "word"), REFUSED)
def test_words_of_an_assessment_are_refused_and_named(note: str, word: str) -> None:
    """Somebody's debts would stand in the ledger for ten years."""
    assert fault_of_note(note) == ("word", word)


@pytest.mark.req("E-01")
def test_the_words_that_nothing_may_store_are_all_refused() -> None:
    """The schema would have no place for them, and the notes would."""
    allowed = {"苦情"}  # a complaint may be about a door
    assert {word for word in JAPANESE.split() if denied_word(f"x{word}y") is None} == allowed


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ("", "empty"), ("   ", "empty"), ("a" * (NOTE_SIGNS_MAX + 1), "long"), ("two\nlines", "sign"),
        ("turned \u202e round", "sign"), ("nul \x00", "sign"), ("lone \ud800", "sign"), ("zero\u200bwidth", "sign"),
    ],
)  # fmt: skip
def test_a_note_is_one_line_of_text(note: str, code: str) -> None:
    """A note would break the line it is printed on, or read as another."""
    fault = fault_of_note(note)
    assert fault is not None and fault[0] == code
