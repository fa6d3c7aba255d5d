"""Cards that prove themselves, and what is made of them, at real wires: nothing but the card itself opens a door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.parts import eventually
from tests.system.secured_site import ITO, KIMURA, MORI, PINS, SATO, TANAKA, SecuredSite

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

SPOILT = [
    # whose card, what was made of it, and how it is refused; one after the other, so that none is a repeated one
    (SATO, "copy", "CARD_AUTH_FAILED"),
    (TANAKA, "copy", "CARD_AUTH_FAILED"),
    (ITO, "copy", None),  # it knows no commands: silent, like a card that was taken away
    (KIMURA, "copy", "CARD_UNKNOWN"),  # the number on the outside of a PKOC card is nobody's
    (SATO, "wrong-keys", "CARD_AUTH_FAILED"),
    (TANAKA, "wrong-keys", "CARD_AUTH_FAILED"),
    (ITO, "wrong-keys", "CARD_AUTH_FAILED"),
    (SATO, "no-application", "CARD_AUTH_FAILED"),
]


@pytest.fixture
def site(tmp_path) -> Iterator[SecuredSite]:
    with SecuredSite(tmp_path) as site:
        yield site.starts().admits_people()


def enters_office(site: SecuredSite, card: str, scheme: str) -> None:
    seq = site.last_seq
    assert site.holds(card, "office").released, scheme
    evidence = site.recorded("ACCESS_GRANTED", after=seq)["evidence"]
    assert (evidence["method"], evidence["factors"], evidence["scheme"]) == ("CHALLENGE", 1, scheme)
    assert evidence["is_fresh"] is True
    assert evidence.get("key_version") == (None if scheme == "pkoc" else 1)
    eventually(lambda: not site.strike_is_on("office"), 15, "the strike goes off")


@pytest.mark.req("A-34", "B-22", "B-28", "A-35")
def test_every_kind_of_card_proves_itself_and_what_is_made_of_it_opens_nothing(site):
    """Somebody stands behind a colleague in the lift with a reader in the bag, and is in the office the next day."""
    for card, scheme in ((SATO, "desfire_ev2"), (TANAKA, "ntag424"), (ITO, "felica_lite_s"), (KIMURA, "pkoc")):
        enters_office(site, card, scheme)
    after = site.building.journal.last
    for card, how, reason in SPOILT:
        seq = site.last_seq
        assert not site.holds(card, "office", how, wait_ms=700).released, (card, how)  # by then it is taken away
        if reason is None:
            assert site.recorded("CARD_UNREAD", after=seq)
            continue
        denied = site.recorded("ACCESS_DENIED", after=seq)
        assert denied["reason"] == reason, (card, how)
        assert denied["evidence"]["factors"] == 0
        if reason == "CARD_AUTH_FAILED":
            assert site.recorded("CREDENTIAL_ALARM", after=seq, code="copied")
            assert denied["subject"]["cardholder"], "an officer hears whose card was copied"
    site.passes_a_second()
    seq = site.last_seq
    assert site.holds(SATO, "office", "recorded").released
    site.passes_a_second()
    assert not site.holds(SATO, "office", "replay", wait_ms=400).released
    assert site.recorded("ACCESS_DENIED", after=seq)["reason"] == "CARD_AUTH_FAILED"
    site.holds(TANAKA, "office", "leaving", wait_ms=400)
    assert site.recorded("CARD_UNREAD", after=seq)
    assert len(site.strikes("office", after=after)) == 1, "the genuine card, once"
    assert not [body for body in site.records if SATO.lower() in str(body).lower()], "no number is kept whole"


@pytest.mark.req("A-33", "A-34", "B-04", "B-13", "C-01")
def test_two_with_card_and_pin_open_the_vault_over_an_encrypted_line(site):
    """The vault opens for one alone, for a card without its PIN, or not at all where nobody reads fingers."""
    alone = site.holds(KIMURA, "vault", digits=PINS[KIMURA])
    assert (alone.shown, alone.released) == ("second_card", False), site.records[-3:]
    both = site.holds(MORI, "vault", digits=PINS[MORI], wait_ms=5000)
    assert both.released, both
    granted = site.recorded("ACCESS_GRANTED", zone="vault")
    proved = {"method": "CHALLENGE", "factors": 1, "scheme": "pkoc", "is_fresh": True, "link": 2, "pin": "RIGHT"}
    assert granted["evidence"] | {"last4": ""} == proved | {"last4": ""}
    assert granted["companions"][0]["evidence"]["pin"] == "RIGHT"
    assert "D08" in granted["trace"]["waived"], "the third factor is that each is attended by the other"
    eventually(lambda: not site.strike_is_on("vault"), 15, "the strike goes off")
    seq = site.last_seq
    site.passes_a_second()
    wrong = site.holds(KIMURA, "vault", digits="000000")
    assert (wrong.shown, wrong.released) == ("second_card", False), "whether the PIN was right is told to nobody yet"
    last = site.holds(MORI, "vault", digits=PINS[MORI])
    assert (last.shown, last.released) == ("refused", False)
    assert not site.found("ACCESS_GRANTED", after=seq, zone="vault")
