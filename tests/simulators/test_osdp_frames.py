"""OSDP framing and the secure channel's arithmetic against the published examples (OSDP 2.2.2 Annexes C, D and E)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.osdp.frames import Scanner, checksum, close, crc16, opening
from simulators.osdp.secure import Session, SessionKeys
from simulators.osdp.words import SCBK_D

PANEL_RANDOM = bytes.fromhex("b0b1b2b3b4b5b6b7")
READER_RANDOM = bytes.fromhex("a0a1a2a3a4a5a6a7")


@pytest.mark.parametrize("covered, check", [("537f0d00046e0080250000", "6e38"), ("53000900046100", "c066")])
def test_published_crcs(covered, check):
    """Every frame would be refused by every other maker's panel."""
    assert crc16(bytes.fromhex(covered)).to_bytes(2, "little").hex() == check


@pytest.mark.parametrize("covered, check", [("537f0c00006e0080250000", 0x0F), ("53000800006100", 0x44)])
def test_published_checksums(covered, check):
    """Panels that know no CRC would be deaf to us."""
    assert checksum(bytes.fromhex(covered)) == check


@pytest.mark.req("B-16")
def test_published_secure_channel():
    """A reader that computes other keys talks to nobody else's panel, and proves nothing about ours."""
    keys = SessionKeys.of(SCBK_D, PANEL_RANDOM)
    assert keys.mac1.hex() == "5e86c676603bdee2d8beafe178637332"
    assert keys.mac2.hex() == "6fda86e857777e81132035758239172e"
    assert keys.enc.hex() == "bf8dc2a8329acb8c67c6d0cd9a451682"
    server = keys.server_cryptogram(PANEL_RANDOM, READER_RANDOM)
    assert server.hex() == "26d3356e07762d262801fc8e6665a891"
    assert keys.client_cryptogram(PANEL_RANDOM, READER_RANDOM).hex() == "fde5d2f428ec16312471ea3c02bd7796"
    assert keys.first_reply_mac(server).hex() == "b2a30057eb98ba2229ec1f875662b524"


def test_a_refused_mac_leaves_the_chain_where_it_was():
    """One forged frame would throw the true panel out of step."""
    session = Session(SessionKeys.of(SCBK_D, PANEL_RANDOM), bytes(16))
    keys = SessionKeys.of(SCBK_D, PANEL_RANDOM)
    assert not session.accepts(b"forged", b"\0\0\0\0")
    assert session.accepts(b"true", keys.mac(bytes(16), b"true")[:4])


def a_frame(body: bytes = b"\x01\x02", *, has_crc: bool = True, block: bytes = b"") -> bytes:
    control = 2 | (4 if has_crc else 0)
    return close(opening(5, control, block, b"\x68" + body, 2 if has_crc else 1), has_crc=has_crc)


@given(st.binary(max_size=60), st.booleans(), st.sampled_from([b"", b"\x11\x01", b"\x13\x00"]))
def test_what_is_built_is_understood(body, has_crc, block):
    """Builder and scanner would agree on nothing but the easy frames."""
    scanner = Scanner()
    scanner.feed(b"\xff" + a_frame(body, has_crc=has_crc, block=block), 0)
    found = scanner.take()
    assert found is not None
    assert (found.address, found.is_reply, found.sequence, found.has_crc) == (5, False, 2, has_crc)
    assert (found.block, found.code, found.body) == (block, 0x68, body)
    assert scanner.take() is None


@given(st.binary(max_size=120), st.integers(1, 9))
@pytest.mark.req("B-18")
def test_a_sound_frame_after_junk_and_a_pause_is_heard(junk, cut):
    """Noise on the pair would deafen a reader for good."""
    scanner = Scanner()
    for at in range(0, len(junk), cut):
        scanner.feed(junk[at : at + cut], at)
    while scanner.take() is not None:
        pass
    scanner.feed(a_frame(), 10_000)
    found = scanner.take()
    assert found is not None
    assert found.body == b"\x01\x02"


@given(st.data())
def test_a_damaged_frame_is_none(data):
    """One flipped bit would become a command."""
    whole = bytearray(a_frame(bytes(range(12))))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    scanner = Scanner()
    scanner.feed(bytes(whole), 0)
    found = scanner.take()
    assert found is None or bit // 8 == 0
