"""Our Aliro questions put to the simulators' phone, which shares no code with us."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from readers.cards.aliro import AliroReader, aliro_session, encoded
from readers.cards.session import CardTarget, Left, NotOurs, Proved
from simulators.cards import card_of
from simulators.cards.aliro import AliroPhone
from simulators.cards.fakes import LeavingCard
from tests.readers.cards.peers import READER_ID, Dice

OURS, STRANGER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (99, 98))


def asked(card, key=OURS):
    target = CardTarget(kind="iso14443a", number=card.uid, sak=card.sak, ats=card.ats)
    session = aliro_session(target, Dice(1), AliroReader(private_key=key, reader_id=READER_ID))
    card.activate()
    said = session.begin()
    while isinstance(said, bytes):
        said = session.answer(card.exchange(said))
    card.field_lost()
    return said


@pytest.mark.parametrize("seed", [b"misaki", b"ken"])
def test_the_phone_is_known_by_its_key(seed):
    """Two readings of one specification must meet, or no phone will open a door."""
    phone = AliroPhone(seed, encoded(OURS.public_key()))
    verdict = asked(phone)
    assert isinstance(verdict, Proved)
    assert verdict.number == phone.public_point[1:33]
    assert verdict.proof.is_genuine


def test_a_phone_that_knows_another_reader_tells_us_nothing():
    """A strange phone is no card of the site, and no forgery either."""
    verdict = asked(AliroPhone(b"misaki", encoded(OURS.public_key())), STRANGER)
    assert not isinstance(verdict, Proved) or not verdict.proof.is_genuine


@pytest.mark.parametrize("commands", [0, 1, 2])
def test_a_phone_taken_away_too_soon_proves_nothing(commands):
    """Half a conversation must open nothing."""
    assert asked(LeavingCard(AliroPhone(b"misaki", encoded(OURS.public_key())), commands)) in (Left(), NotOurs())


def test_a_bare_card_is_not_ours():
    """A card without the application must fall through to the next scheme."""
    assert asked(card_of("iso14443a", bytes.fromhex("04112233445566"))) == NotOurs()
