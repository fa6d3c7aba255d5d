"""Canonical JSON: one value, one text, whoever writes it."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger.canonical import DEPTH_MAX, INTEGER_MAX, canonical

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=0x7F))
values = st.recursive(
    texts | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)


@given(values)
@pytest.mark.req("A-27")
def test_the_text_is_that_of_another_implementation(value):
    """An auditor's tool would call a whole record altered."""
    assert canonical(value) == rfc8785.dumps(value)


def test_escapes_are_those_of_rfc_8785():
    """A control character, a quote or a character beyond the BMP would make two texts of one body."""
    every = "".join(map(chr, range(0x20))) + '\x7f"\\/\u0080\u2028é渋谷😀'
    assert canonical({every[0x20:0x21]: every}) == rfc8785.dumps({every[0x20:0x21]: every})
    assert canonical({"b": 1, "a": [True, -1, INTEGER_MAX]}) == b'{"a":[true,-1,9007199254740991],"b":1}'


class Word(StrEnum):
    OK = "OK"


class Number(IntEnum):
    ONE = 1


def test_a_word_of_an_enumeration_is_its_text():
    """Reasons would be written by their Python names."""
    assert canonical({"reason": Word.OK, "list": (Word.OK,)}) == b'{"list":["OK"],"reason":"OK"}'


def nested(depth: int) -> object:
    return [] if depth == 0 else [nested(depth - 1)]


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        None,
        float("nan"),
        b"bytes",
        {1: "a"},
        {Word.OK: 1},  # by its type: what is a key here is written as a key there
        {"a": None},
        ["a", 0.5],
        Number.ONE,
        {1, 2},
        object(),
        INTEGER_MAX + 1,
        -INTEGER_MAX - 1,
        {"\u00e9": 1},  # sorted by UTF-16 units elsewhere: refused rather than got wrong
        {"\uffff": 1, "\U0001f600": 2},
        "\ud800",
        {"a": ["\udfff"]},
        nested(DEPTH_MAX + 2),
    ],
    ids=repr,
)
def test_what_has_no_place_is_refused(value):
    """A record would read differently in another program, or not at all."""
    with pytest.raises((TypeError, ValueError)):
        canonical(value)
