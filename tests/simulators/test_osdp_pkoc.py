"""PKOC through a simulated OSDP reader: message layout, fragments, both ways of giving the challenge."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from simulators.osdp.functions import Make
from simulators.osdp.pkoc import KeyPairCard
from simulators.osdp.reader import OsdpReader
from tests.simulators.osdp_panel import Panel

KEY = bytes(range(16))
POLL, ACURXSIZE, MFG, MFGREP, RAW, NAK = 0x60, 0x7B, 0x80, 0x90, 0x50, 0x41
ACK = (0x40, b"")
OUI = bytes.fromhex("1a9021")
CHALLENGE = bytes.fromhex("6fcf5012b224043b09350a4fc5e56a8f")
READER_ID = bytes(range(32))
REQUEST = b"\x00\x01" + bytes.fromhex("5c020100") + b"\x4c\x10" + CHALLENGE + b"\x4d\x20" + READER_ID


@pytest.fixture
def reader():
    return OsdpReader(0, key=KEY)


@pytest.fixture
def panel(reader):
    made = Panel(reader, 0)
    assert made.connect(KEY)
    return made


@pytest.fixture
def card():
    return KeyPairCard(0x1234567)


def message(code, content, at=0, count=None):
    part = content[at : None if count is None else at + count]
    return OUI + bytes((code,)) + b"".join(one.to_bytes(2, "little") for one in (len(content), at, len(part))) + part


def gathered(panel, code):
    """Poll until a whole message of this code is there; (content, number of fragments)."""
    content, count = b"", 0
    for _ in range(20):
        answer, body = panel.ask(POLL)
        if answer == MFGREP:
            assert body[:4] == OUI + bytes((code,))
            total, offset, length = (int.from_bytes(body[at : at + 2], "little") for at in (4, 6, 8))
            assert (offset, length) == (len(content), len(body) - 10)
            content, count = content + body[10:], count + 1
            if len(content) == total:
                return content, count
        panel.wait(20)
    raise AssertionError("no whole message")


def check(content, challenge):
    assert content[:2] == b"\x5a\x41"
    assert content[67:69] == b"\x9e\x40"
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), content[2:67])
    r, s = (int.from_bytes(content[at : at + 32], "big") for at in (69, 101))
    key.verify(encode_dss_signature(r, s), challenge, ec.ECDSA(hashes.SHA256()))


@pytest.mark.req("A-34")
def test_synchronous(panel, reader, card):
    """The panel's challenge would not reach the card, or the card's answer not the panel."""
    assert panel.ask(ACURXSIZE, (1024).to_bytes(2, "little")) == ACK
    assert panel.ask(MFG, message(0xE3, b"\0\0")) == ACK
    reader.functions.present_pkoc(card, panel.now_ms)
    content, _ = gathered(panel, 0xE0)
    assert content.hex() == "fc065c0201004c00"
    assert panel.ask(MFG, message(0xE1, REQUEST)) == ACK
    content, count = gathered(panel, 0xE2)
    assert (content[2:67], count) == (card.public_key, 1)
    check(content, CHALLENGE)


@pytest.mark.req("A-34")
def test_fragments_both_ways(panel, reader, card):
    """A small panel or reader would never see a whole answer."""
    panel.ask(MFG, message(0xE3, b""))
    reader.functions.present_pkoc(card, panel.now_ms)
    gathered(panel, 0xE0)
    for at in range(0, len(REQUEST), 25):
        assert panel.ask(MFG, message(0xE1, REQUEST, at, 25)) == ACK
    content, count = gathered(panel, 0xE2)
    assert count == 2  # no ACURXSIZE: 128 bytes a frame
    check(content, CHALLENGE)


def test_challenge_in_advance(panel, reader, card):
    """Once loaded, the challenge is used once."""
    assert panel.ask(MFG, message(0xE3, b"\x4c\x10" + CHALLENGE)) == ACK
    reader.functions.present_pkoc(card, panel.now_ms)
    content, _ = gathered(panel, 0xE2)
    check(content, CHALLENGE)
    reader.functions.present_pkoc(card, panel.now_ms)
    assert gathered(panel, 0xE0)[0][:2] == b"\xfc\x06"


ERRORS = [
    (message(0xE1, REQUEST[:40]), "07"),
    (message(0xE1, REQUEST, 20, 10), "08"),
    (message(0xE1, REQUEST)[:-1], "09"),
    (message(0xE1, REQUEST)[:8], "06"),
    (message(0xE3, b"\x4c\x04abcd"), "07"),
]


@pytest.mark.parametrize("said, error", ERRORS)
def test_nonsense_is_told(panel, reader, card, said, error):
    """A panel that cuts a message would wait for ever."""
    panel.ask(MFG, message(0xE3, b"\0\0"))
    assert panel.ask(MFG, said) == ACK
    assert gathered(panel, 0xFE)[0].hex() == error


def test_a_card_that_leaves_is_told(panel, reader, card):
    """Somebody who is too quick would get no answer at all."""
    panel.ask(MFG, message(0xE3, b"\0\0"))
    reader.functions.present_pkoc(card, panel.now_ms)
    gathered(panel, 0xE0)
    panel.ask(MFG, message(0xE1, REQUEST))
    reader.functions.pkoc.take_away()
    assert gathered(panel, 0xFE)[0] == b"\x02"


@pytest.mark.req("A-34")
def test_a_reader_that_checks_by_itself(card):
    """A copied public key would be taken for the card."""
    reader = OsdpReader(0, key=KEY, make=Make(pkoc="reader"))
    panel = Panel(reader, 0)
    assert panel.connect(KEY)
    assert panel.ask(MFG, message(0xE3, b"\0\0")) == (NAK, b"\x09")
    reader.functions.present_pkoc(KeyPairCard(99, forges=card.public_key), panel.now_ms)
    assert panel.ask(POLL) == ACK
    reader.functions.present_pkoc(card, panel.now_ms)
    assert panel.ask(POLL) == (RAW, b"\x00\x00\x00\x01" + card.public_key[1:33])


def test_contactless_cards(panel, reader):
    """A reader that asked no card for its key would send a phone's random number."""
    felt = []

    class Phone:
        number = bytes.fromhex("08a1b2c3")

        def activate(self):
            felt.append("field")

        def field_lost(self):
            felt.append("gone")

        def exchange(self, command):
            if command[:4] == b"\x00\xa4\x04\x00":
                return bytes.fromhex("5c0201009000")
            return KeyPairCard(77).answer(command[11:27], b"") + b"\x90\x00"

    class Plain(Phone):
        number = bytes.fromhex("04a1b2c3")

        def exchange(self, _command):
            return None

    reader.functions.present_card(Plain(), panel.now_ms)
    assert panel.ask(POLL) == (RAW, b"\x00\x00\x20\x00" + Plain.number)
    panel.ask(MFG, message(0xE3, b"\0\0"))
    reader.functions.present_card(Phone(), panel.now_ms)
    gathered(panel, 0xE0)
    panel.ask(MFG, message(0xE1, REQUEST))
    check(gathered(panel, 0xE2)[0], CHALLENGE)
    reader.functions.take_card()
    assert felt == ["field", "gone", "field", "gone"]


def test_a_reader_without_pkoc_refuses():
    """The panel must learn that there is nothing to wait for."""
    reader = OsdpReader(0, key=KEY, make=Make(pkoc="none"))
    panel = Panel(reader, 0)
    assert panel.connect(KEY)
    assert panel.ask(MFG, message(0xE3, b"\0\0")) == (NAK, b"\x09")
    assert panel.ask(MFG, OUI) == (NAK, b"\x09")
