"""Every record that the controller makes has its words on the officers' page."""

from __future__ import annotations

from api.words import TYPES
from controller.ledger.catalogue import RECORD_TYPES


def test_every_record_type_has_its_words():
    """An officer would read READS_REFUSED instead of a sentence."""
    assert set(RECORD_TYPES) <= set(TYPES)
