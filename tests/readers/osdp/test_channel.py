"""readers/protocols/osdp/channel.py: each proof of the handshake by itself, and every bit of a sealed answer."""

from __future__ import annotations

import pytest

from readers.protocols.osdp.channel import Handshake, Opening, SecureChannel
from readers.protocols.osdp.frames import Frame, decode, encode
from tests.readers.osdp.scripted import KEY, OTHER_KEY, ScriptedPd, ecb

RANDOM = bytes.fromhex("B0B1B2B3B4B5B6B7")


def frame(block: str, code: int, body: bytes) -> Frame:
    return Frame(0, True, 1, bytes.fromhex(block), code, body, b"", b"")


def answers(key: bytes = KEY) -> tuple[bytes, bytes]:
    """What a reader with `key` answers to RANDOM: its cryptogram and the first MAC."""
    pd = bytes.fromhex("A0A1A2A3A4A5A6A7")
    enc, mac1, mac2 = (ecb(key, head + RANDOM[:6] + bytes(8)) for head in (b"\x01\x82", b"\x01\x01", b"\x01\x02"))
    return bytes(8) + pd + ecb(enc, RANDOM + pd), ecb(mac2, ecb(mac1, ecb(enc, pd + RANDOM)))


@pytest.mark.parametrize(
    ("block", "code", "body", "came"),
    [
        ("031201", 0x76, answers()[0], Handshake.GOOD),
        ("031201", 0x76, answers(OTHER_KEY)[0], Handshake.WRONG_KEY),
        ("031200", 0x76, answers()[0], Handshake.DEFAULT_KEY),
        ("031201", 0x76, answers()[0][:-1], Handshake.MALFORMED),
        ("031201", 0x78, answers()[0], Handshake.MALFORMED),
        ("031401", 0x76, answers()[0], Handshake.MALFORMED),
        ("0212", 0x76, answers()[0], Handshake.MALFORMED),
    ],
    ids=["good", "other key", "default key", "short", "code", "block", "no flag"],
)
def test_only_the_right_cryptogram_goes_on(block, code, body, came):
    """A reader without the key would be asked on, and learn from it."""
    assert SecureChannel(KEY, RANDOM).take_cryptogram(frame(block, code, body)) is came


@pytest.mark.parametrize(
    ("block", "body", "came"),
    [
        ("031401", answers()[1], Handshake.GOOD),
        ("031401", answers(OTHER_KEY)[1], Handshake.WRONG_KEY),
        ("031400", answers()[1], Handshake.WRONG_KEY),
        ("0314FF", answers()[1], Handshake.WRONG_KEY),
        ("031401", answers()[1][:8], Handshake.MALFORMED),
        ("031201", answers()[1], Handshake.MALFORMED),
    ],
    ids=["good", "other key", "flag 0", "refused", "short", "block"],
)
def test_only_the_right_first_mac_begins_a_session(block, body, came):
    """Somebody who played back a cryptogram would have a session."""
    channel = SecureChannel(KEY, RANDOM)
    assert channel.take_cryptogram(frame("031201", 0x76, answers()[0])) is Handshake.GOOD
    assert channel.take_first_mac(frame(block, 0x78, body)) is came


def test_every_bit_of_a_sealed_answer_counts():
    """A bit of a card number could be turned on the wire."""
    reader = ScriptedPd(polls=[(0x50, bytes.fromhex("00002000A1B2C3D4"))])
    channel = SecureChannel(KEY, RANDOM)
    reader.take(_opening(channel.challenge(), 1))
    assert channel.take_cryptogram(frame("031201", 0x76, answers()[0])) is Handshake.GOOD
    reader.take(_opening(channel.proof(), 2))
    assert channel.take_first_mac(frame("031401", 0x78, answers()[1])) is Handshake.GOOD
    answer = decode(reader.take(channel.seal(0, 3, 0x60, b"")))
    assert answer is not None
    for at in range(len(answer.covered) * 8):
        covered = bytearray(answer.covered)
        covered[at // 8] ^= 1 << at % 8
        turned = Frame(0, True, 3, answer.block, answer.code, answer.body, answer.mac, bytes(covered))
        assert channel.unseal(turned) is None
    assert channel.unseal(answer) == (0x50, bytes.fromhex("00002000A1B2C3D4"))


def _opening(opening: Opening, sequence: int) -> bytes:
    return encode(0, sequence, opening.code, opening.body, block=opening.block)
