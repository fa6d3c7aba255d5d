"""readers/protocols/pn532_frames.py against frames of UM0701-02 and of other people's traces, in hex."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.protocols.pn532_frames import BODY_BYTES_MAX, HELD_BYTES_MAX, Frame, FrameKind, FrameReader, encode

ACK = bytes.fromhex("0000FF00FF00")
NACK = bytes.fromhex("0000FFFF0000")
ERROR = bytes.fromhex("0000FF01FF7F8100")
SAM = bytes.fromhex("0000FF03FDD414011700")
FIRMWARE = bytes.fromhex("0000FF06FAD50332010607E800")
EMPTY_FIELD = bytes.fromhex("0000FF03FDD54B00E000")
EXTENDED = (
    bytes.fromhex("0000FFFFFF0103FCD54100") + bytes(256) + bytes.fromhex("EA00")
)  # 259 bytes: more than a normal frame

BODIES = {
    SAM: "D41401",
    FIRMWARE: "D50332010607",
    EMPTY_FIELD: "D54B00",
    ERROR: "7F",
    EXTENDED: "D54100" + "00" * 256,
}


def body(frame: bytes) -> Frame:
    return Frame(FrameKind.BODY, bytes.fromhex(BODIES[frame]))


@pytest.mark.parametrize("frame", BODIES)
def test_published_frames_are_read_and_written(frame):
    """Every reader on the market would be deaf or mute."""
    assert FrameReader().receive(frame) == ([body(frame)], b"")
    assert encode(bytes.fromhex(BODIES[frame])) == frame


def test_acknowledgements():
    """The chip's ACK would be taken for noise."""
    assert FrameReader().receive(ACK + NACK) == ([Frame(FrameKind.ACK), Frame(FrameKind.NACK)], b"")


@pytest.mark.parametrize("frame", [ACK, NACK, *BODIES])
def test_a_frame_may_be_cut_anywhere(frame):
    """A slow UART would lose cards (this is what made a well-known library useless)."""
    whole, _ = FrameReader().receive(frame)
    for cut in range(1, len(frame)):
        reader = FrameReader()
        first, junk_1 = reader.receive(frame[:cut])
        rest, junk_2 = reader.receive(frame[cut:])
        assert first + rest == whole
        assert junk_1 + junk_2 == b""
    reader = FrameReader()
    assert [one for byte in frame for one in reader.receive(bytes((byte,)))[0]] == whole


@pytest.mark.parametrize("frame", BODIES)
def test_no_flipped_bit_passes(frame):
    """A disturbed line could turn one card number into another."""
    for position in range(3, len(frame) - 1):
        for bit in range(8):
            spoilt = bytearray(frame)
            spoilt[position] ^= 1 << bit
            frames, _ = FrameReader().receive(bytes(spoilt))
            assert body(frame) not in frames
            assert all(one.kind is not FrameKind.BODY for one in frames)


def test_a_spoilt_frame_is_told_apart_from_noise():
    """The reader could not ask the chip to say it again."""
    frames, junk = FrameReader().receive(bytes.fromhex("0000FF03FDD54B01E000"))
    assert frames == [Frame(FrameKind.SPOILT)]
    assert junk


@pytest.mark.parametrize(
    "junk",
    ["", "12", "FF", "00", "0000", "00FF", "00FF80", "00FF0000", "00FFFFFF", "00FFFFFFFFFF00", "55" * 20, "00" * 300],
)
def test_a_frame_behind_junk_is_found_at_the_latest_when_the_junk_is_given_up(junk):
    """One burst of noise would silence a reader until somebody pulls its plug."""
    reader = FrameReader()
    frames, _ = reader.receive(bytes.fromhex(junk) + EMPTY_FIELD)
    frames += reader.give_up()[0]
    assert body(EMPTY_FIELD) in frames
    assert reader.held_bytes == 0


def test_a_promise_of_more_than_the_chip_can_send_is_not_waited_for():
    """Three wrong bytes would make the reader wait for 64 KiB."""
    reader = FrameReader()
    reader.receive(bytes.fromhex("0000FFFFFFFFFF02") + bytes(10))
    assert reader.held_bytes <= 1


@given(st.lists(st.binary(max_size=400), max_size=6))
def test_random_bytes_make_no_frame_and_no_memory(chunks):
    """Noise would become a card, or fill the memory."""
    reader = FrameReader()
    for chunk in chunks:
        frames, _ = reader.receive(chunk)
        assert reader.held_bytes <= HELD_BYTES_MAX
        for frame in frames:
            if frame.kind is FrameKind.BODY:  # by chance, and then really there, checks and all
                assert encode(frame.body)[2:-1] in b"".join(chunks)
    reader.give_up()
    assert reader.held_bytes == 0


@given(st.binary(min_size=1, max_size=BODY_BYTES_MAX), st.data())
def test_every_body_survives_every_cut(whole, data):
    """A card whose number has an unlucky pattern could never pass."""
    frame = encode(whole)
    cut = data.draw(st.integers(min_value=0, max_value=len(frame)))
    reader = FrameReader()
    frames = reader.receive(frame[:cut])[0] + reader.receive(frame[cut:])[0]
    assert frames == [Frame(FrameKind.BODY, whole)]


@pytest.mark.parametrize("size", [0, BODY_BYTES_MAX + 1])
def test_what_no_frame_can_carry_is_refused(size):
    """Our own mistake would go out as a frame that means something else."""
    with pytest.raises(ValueError, match="1 to 265"):
        encode(bytes(size))
