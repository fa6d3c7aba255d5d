"""readers/protocols/osdp/frames.py against the frames of the standard's Annex E, and against what is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.protocols.osdp import commands, pkoc, replies
from readers.protocols.osdp.frames import FRAME_BYTES_MAX, FrameReader, checksum, crc, decode, encode

COMSET = bytes.fromhex("537F0D00046E00802500006E38")
ID = bytes.fromhex("530009000461 00C066")
COMSET_SUM = bytes.fromhex("537F0C00006E00802500000F")
ID_SUM = bytes.fromhex("53000800006100 44")
SEALED = bytes.fromhex("5380 0E00 0D 0216 40 11223344".replace(" ", ""))
SEALED += crc(SEALED).to_bytes(2, "little")


@pytest.mark.parametrize(
    ("message", "wanted"), [(COMSET[:-2], "6E38"), (ID[:-2], "C066")], ids=["example 1", "example 2"]
)
def test_crc_is_the_standards(message, wanted):
    """No reader would answer a word."""
    assert crc(message).to_bytes(2, "little").hex().upper() == wanted


@pytest.mark.parametrize(("message", "wanted"), [(COMSET_SUM[:-1], 0x0F), (ID_SUM[:-1], 0x44)])
def test_checksum_is_the_standards(message, wanted):
    """Readers that only know the checksum would count as noise."""
    assert checksum(message) == wanted


def test_commands_are_encoded_as_published():
    """A reader would see another command than was meant."""
    assert encode(0x7F, 0, commands.COMSET, bytes.fromhex("0080250000")) == COMSET
    assert encode(0, 0, commands.ID, b"\0") == ID


@pytest.mark.parametrize(
    ("raw", "code", "body", "mac"),
    [
        (COMSET, 0x6E, bytes.fromhex("0080250000"), b""),
        (ID_SUM, 0x61, b"\0", b""),
        (SEALED, 0x40, b"", bytes.fromhex("11223344")),
    ],
    ids=["crc", "checksum", "sealed"],
)
def test_whole_frames_are_decoded(raw, code, body, mac):
    """What a reader said would be lost or misread."""
    frame = decode(raw)
    assert frame is not None
    assert (frame.code, frame.body, frame.mac) == (code, body, mac)


def test_every_flipped_bit_is_seen():
    """A disturbed line would speak in a reader's name."""
    for raw in (COMSET, SEALED):
        for at in range(len(raw) * 8):
            spoilt = bytearray(raw)
            spoilt[at // 8] ^= 1 << at % 8
            assert decode(bytes(spoilt)) is None


def with_sum(head: str) -> bytes:
    message = bytes.fromhex(head)
    return message + crc(message).to_bytes(2, "little")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (with_sum("5380 0800 0C 00"), "a security block of no bytes"),
        (with_sum("5380 0900 0C 0216"), "a security block and no code"),
        (with_sum("5380 0A00 0C FF16 40"), "a security block beyond its frame"),
        (with_sum("5380 0C00 0C 0216 40 1122"), "a sealed frame too short for its MAC"),
        (with_sum("5380 0700 04"), "no code at all"),
        (b"\x53\x80\x06\x00\x00\xa7", "shorter than any frame"),
        (b"", "nothing"),
    ],
)
def test_malformed_frames_are_none(raw, why):
    """A short frame would be read beyond its end."""
    assert decode(raw) is None, why


def test_frames_are_found_at_every_byte_boundary():
    """A UART hands over what it has: half a frame would be lost (libosdp 3.2 does that)."""
    stream = b"\xff" + ID + b"\xff\xff" + SEALED + COMSET_SUM
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        first, junk = reader.receive(stream[:cut])
        second, more = reader.receive(stream[cut:])
        assert [frame.code for frame in first + second] == [0x61, 0x40, 0x6E]
        assert junk + more == b""


def test_a_frame_behind_a_false_beginning_is_found_in_the_end():
    """One stray 0x53 before it would cost a good answer."""
    reader = FrameReader()
    frames, _ = reader.receive(bytes.fromhex("53800002") + SEALED)
    assert frames == []
    frames, junk = reader.give_up()
    assert [frame.code for frame in frames] == [0x40]
    assert junk == bytes.fromhex("53800002")
    assert reader.held_bytes == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.just(SEALED) | st.just(b"\x53\x80\xa0\x05"), max_size=12), st.data())
def test_noise_is_bounded_and_loses_no_frame_after_silence(pieces, data):
    """A chattering line would fill the memory, or hide the reader that speaks after it."""
    reader = FrameReader()
    stream = b"".join(pieces)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.receive(stream[:size])
        stream = stream[size:]
        assert reader.held_bytes <= FRAME_BYTES_MAX
    reader.give_up()
    assert [frame.code for frame in reader.receive(SEALED)[0]] == [0x40]


PARSERS = [
    replies.identity,
    replies.capabilities,
    replies.local_status,
    replies.card_number,
    replies.formatted_number,
    replies.keys,
    replies.communication,
    replies.file_status,
    pkoc.fragment,
    pkoc.fields,
]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@settings(max_examples=80, deadline=None)
@given(body=st.binary(max_size=80))
def test_no_reply_breaks_its_parser(parser, body):
    """One crafted reply would stop the controller."""
    parser(body)
    pkoc.judge(body, bytes(16))


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("00001a00a1b2c3c0", "a1b2c3c0"),
        ("00001a00a1b2c3ff", "a1b2c3c0"),
        ("0000200004a1b2c3", "04a1b2c3"),
        ("00011000a1b2", "a1b20000"),
        ("0000380004112233445566", "04112233445566"),
        ("0000a000" + "11" * 20, "11" * 20),
        ("00000001" + "11" * 32, "11" * 32),
        ("00000101" + "11" * 33, None),
        ("00002000a1b2c3", None),
        ("00002000a1b2c3d4e5", None),
        ("00000000", None),
        ("000000", None),
    ],
)
def test_card_bits_are_left_aligned_and_whole(body, number):
    """One card would be taken for another, or half of one for a whole."""
    found = replies.card_number(bytes.fromhex(body))
    assert found == (None if number is None else bytes.fromhex(number))


def test_outputs_are_dropped_by_the_reader_itself():
    """A strike would stay released when the controller dies."""
    assert commands.output(1, is_on=True, for_ms=5_000, not_after_ms=1_000).body.hex() == "01053200"
    assert commands.output(1, is_on=True, for_ms=1, not_after_ms=1_000).body.hex() == "01050100"
    assert commands.output(0, is_on=True, for_ms=0, not_after_ms=1_000).body.hex() == "00020000"
    off = commands.output(0, is_on=False, for_ms=0, not_after_ms=1_000)
    assert (off.body.hex(), off.not_after_ms) == ("00010000", None)
