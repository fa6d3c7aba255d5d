"""The arithmetic of cards against vectors that others published."""

from __future__ import annotations

import pytest

from readers.cards import originality, sdm
from readers.cards.diversify import diversification_input, diversified
from readers.cards.ev2 import Ev2Session, Mode
from readers.cards.order import CHANGE_KEY, key_change
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
    """A signature heard once would open for ever (Z-bit's unit test pairs key and signature so)."""
    key = point(published.PKOC_KEY)
    assert key is not None
    assert not is_signed(key, published.PKOC_SIGNATURE, bytes(range(16)))


def key_session(counter):
    """The session of AN12196 §5.16."""
    return Ev2Session(
        bytes.fromhex("4CF3CB41A22583A61E89B158D252FC53"),
        bytes.fromhex("5529860B2FC5FB6154B7F28361D30BF9"),
        bytes.fromhex("7614281A"),
        counter,
    )


@pytest.mark.req("A-09")
@pytest.mark.parametrize(
    ("counter", "slot", "key", "old", "published_command"),
    [
        (
            2,
            2,
            "F3847D627727ED3BC9C4CC050489B966",
            bytes(16),
            "90C4000029022CF362B7BF4311FF3BE1DAA295E8C68DE09050560D19B9E16C2393AE9CD1FAC75D0CE20BCD1D06E600",
        ),
        (
            3,
            0,
            "5004BF991F408672B1EF00F08F9E8647",
            None,
            "90C400002900C0EB4DEEFEDDF0B513A03A95A75491818580503190D4D05053FF75668A01D6FDA6610234BDED643200",
        ),
    ],
)
def test_change_key(counter, slot, key, old, published_command):
    """A card would get another key than the one we keep, and be lost (AN12196 §5.16, tables 25 and 26)."""
    body = key_change(bytes.fromhex(key), 1, old)
    made = key_session(counter).command(Mode.FULL, CHANGE_KEY, bytes((slot,)), body)
    assert made == bytes.fromhex(published_command)


def test_answer_to_change_key():
    """A card's good answer would be refused, or a forged one taken (AN12196 table 25)."""
    assert key_session(2).response(Mode.FULL, bytes.fromhex("203BB55D1089D5879100")) == b""
    assert key_session(2).response(Mode.FULL, bytes.fromhex("203BB55D1089D5869100")) is None
    assert key_session(3).response(Mode.FULL, bytes.fromhex("203BB55D1089D5879100")) is None


ORIGINALS = [
    (
        originality.DESFIRE_EV2,
        "042A41CAE45380",
        (
            "B2769F8DDB575AEA2A680ADCA8FFED4FAB81A1E9908E2B82FE0FABB6"
            "97BBD9B23835C416970E75768F12902ACA491349E94E6589EAF4F508"
        ),
    ),
    (
        originality.DESFIRE_EV2,
        "045640CAE45380",
        (
            "D34B53A8C2C100D700DEA1C4C0D0DE4409F3A418CD8D57C4F41F146E"
            "42AD9A55F014199ABBF5CA259C7799DB0AE20D5E77D4950AC7E95D33"
        ),
    ),
    (
        originality.NTAG_424,
        "0463474AA26A80",
        (
            "27E9A50E6CA4BA9037C02F7D20A80D0284D0C1D83C67F5A5AC1D8A4E"
            "F86C9508417E4E9C6F85AA7920F0ABDED984CAF20467D66EA54BBF08"
        ),
    ),
    (
        originality.NTAG_424,
        "04C46C222A6380",
        (
            "344A806EBF704C05C19215D2F840529CE365AAD2D08A469A95896D75"
            "D477D9FAB02A0C827E9F215BD8EB0E56A3A9A008FB75D706AABBD4DA"
        ),
    ),
]
"""Chips' signatures as proxmark3's recover_pk.py lists them for its own test."""


@pytest.mark.parametrize(("maker", "number", "signature"), ORIGINALS)
def test_originality(maker, number, signature):
    """A maker's chip would be refused at the desk, or a fake enrolled (complaint 12)."""
    uid, signed = bytes.fromhex(number), bytes.fromhex(signature)
    assert originality.is_original(uid, signed, (maker,))
    assert originality.is_original(uid, signed)
    assert not originality.is_original(bytes((*uid[:-1], uid[-1] ^ 1)), signed)
    assert not originality.is_original(uid, signed[:-1])
    assert not originality.is_original(uid, bytes(56))
    assert not originality.is_original(uid, signed, (originality.DESFIRE_EV3,))


def test_sun_message():
    """A tapped address would be believed without its card (AN12196 §5)."""
    enciphered, mac = bytes.fromhex("EF963FF7828658A599F3041510671E88"), bytes.fromhex("94EED9EE65337086")
    assert sdm.verified(bytes(16), bytes(16), enciphered, mac) == sdm.Sun(
        number=bytes.fromhex("04DE5F1EACC040"), counter=61
    )
    assert sdm.verified(bytes(16), bytes(16), enciphered, mac[:-1] + b"\0") is None
    assert sdm.verified(bytes(16), bytes(16), enciphered[:-1], mac) is None
    assert sdm.verified(b"\x01" * 16, bytes(16), enciphered, mac) is None


@pytest.mark.parametrize("size", [0, 32])
def test_what_cannot_be_diversified_is_refused(size):
    """Two cards would silently share one key."""
    with pytest.raises(ValueError, match="1 to 31 bytes"):
        diversified(bytes(16), bytes(size))


def test_the_input_of_a_diversified_key():
    """Another system would make other keys of the same master (AN10922 §2.2's own example)."""
    made = diversification_input(bytes.fromhex("04782E21801D80"), bytes.fromhex("3042F5"), b"NXP Abu")
    assert made == bytes.fromhex("04782E21801D803042F54E585020416275")
