"""Which keys are refused (B-14, B-19, B-28)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.keystore.weak import PUBLISHED, SCBK_D, weakness

REFUSED = [
    ("00" * 16, "every DESFire, NTAG 424 DNA and FeliCa Lite-S card comes with it"),
    ("FF" * 16, "constant"),
    ("303132333435363738393A3B3C3D3E3F", "SCBK-D"),
    ("000102030405060708090A0B0C0D0E0F", "ascending"),
    ("0F0E0D0C0B0A09080706050403020100", "descending"),
    ("F8F9FAFBFCFDFEFF0001020304050607", "ascending over the end of a byte"),
    ("00112233445566778899AABBCCDDEEFF", "an application note's"),
    ("F0E0D0C0B0A090807060504030201000", "descending by sixteen"),
    ("9A3FC17E5502D86B9A3FC17E5502D86B", "one half twice"),
    ("DEADBEEFDEADBEEFDEADBEEFDEADBEEF", "a quarter four times"),
    ("9A3F9A3F9A3F9A3F9A3F9A3F9A3F9A3F", "two bytes"),
    ("0102010302040105010203040501020A", "six different bytes"),
    (b"Sekisho-2026-key".hex(), "typed"),
    ("9a3fc17e5502d86b41e8f07dac1236", "too short"),
    ("9a3fc17e5502d86b41e8f07dac12369b00", "too long"),
    ("", "none"),
]


@pytest.mark.req("B-19", "B-14", "B-28")
@pytest.mark.parametrize(("key", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_key_that_can_be_guessed_is_none(key, why):
    """The burglar tries the hundred keys that everybody knows first."""
    assert weakness(bytes.fromhex(key)) is not None, why
    assert weakness(SCBK_D) is not None
    assert all(weakness(published) for published in PUBLISHED)


@given(start=st.integers(0, 255), step=st.integers(0, 255))
def test_no_key_counts(start, step):
    """Ascending by any step is a pattern; so is constant."""
    assert weakness(bytes((start + step * at) % 256 for at in range(16))) is not None


def test_a_drawn_key_passes():
    """Rotation would stop at random, on a night when a key must be changed."""
    draw = random.Random(4)
    assert all(weakness(draw.randbytes(16)) is None for _ in range(20_000))
    assert weakness(bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b")) is None
