"""The arithmetic of cards against vectors that others published."""

from __future__ import annotations

import pytest

from readers.cards.pkoc import is_signed, point
from tests.readers.cards import published


def test_all_published_vectors_are_here():
    """A vector would be lost, and with it what only that one shows."""
    assert len(published.VECTORS) == 46


@pytest.mark.req("A-34", "B-28")
@pytest.mark.parametrize(
    ("made", "expected"), [pytest.param(made, due, id=name) for name, made, due in published.VECTORS]
)
def test_vector(made, expected):
    """A real card would be refused, or a fake one believed: our arithmetic is not the card maker's."""
    assert made == expected


def test_the_pkoc_signature_of_another_transaction_does_not_verify():
    """A signature heard once would open for ever (Z-bit's own unit test pairs this key with a transaction that does not)."""
    key = point(published.PKOC_KEY)
    assert key is not None
    assert not is_signed(key, published.PKOC_SIGNATURE, bytes(range(16)))
