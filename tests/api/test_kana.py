"""The order of names in kana."""

from __future__ import annotations

import random

import pytest

from api.kana import kana_order
from api.names import Name

ROWS = [
    ["サトウ", "サトオ", "サトー"],
    ["ハヤシ", "はやし", "バヤシ", "パヤシ", "ハヤシダ"],
    ["ヴァン", "ウチダ", "ワタナベ"],
    ["さとう みさき", "さとう ゆり", "さとうだ あい"],
    ["カアド", "カード", "カイト"],
    ["きょう", "きよう", "きようこ"],
    ["アベ", "あべ", "安部", "渡辺"],
]  # fmt: skip


@pytest.mark.req("D-30")
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_names_stand_where_people_here_look_for_them(row: list[str]) -> None:
    """Somebody would be looked for under ハ, not found, and entered a second time."""
    for seed in range(6):
        mixed = random.Random(seed).sample(row, len(row))
        assert sorted(mixed, key=kana_order) == row


def test_half_width_and_full_width_are_one_reading() -> None:
    """A list that came from an old system would be sorted apart."""
    assert kana_order("ｻﾄｳ ﾐｻｷ")[:2] == kana_order("サトウ　ミサキ")[:2]
    assert kana_order("") == ("", "", False) and kana_order("ー")[0] == "ー"


def test_in_english_names_stand_by_their_latin_letters() -> None:
    """An officer who reads no kana could not find anybody in the list."""
    people = [
        Name(cardholder="c-1", name="安部", kana="あべ", roman="ZZ Abe"),
        Name(cardholder="c-2", name="渡辺", kana="わたなべ", roman="Aoi Watanabe"),
    ]
    assert [one.cardholder for one in sorted(people, key=lambda one: one.order_in("ja"))] == ["c-1", "c-2"]
    assert [one.cardholder for one in sorted(people, key=lambda one: one.order_in("en"))] == ["c-2", "c-1"]
