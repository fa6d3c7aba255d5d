"""The chip's frames against published bytes (NXP UM0701-02 §6.2.1, and captures printed in many drivers' manuals)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.pn532_frames import ACK, NACK, PAYLOAD_MAX, Scanner, frame

PUBLISHED = [
    ("d402", "0000ff02fed4022a00", "GetFirmwareVersion, asked"),
    ("d50332010607", "0000ff06fad50332010607e800", "GetFirmwareVersion, answered"),
    ("d41401", "0000ff03fdd414011700", "SAMConfiguration normal mode"),
    ("d515", "0000ff02fed5151600", "SAMConfiguration, answered"),
    ("d44a0100", "0000ff04fcd44a0100e100", "InListPassiveTarget 106 kbps type A"),
    ("7f", "0000ff01ff7f8100", "application level error"),
]


@pytest.mark.parametrize("payload, whole, _what", PUBLISHED)
def test_frames_equal_the_published_bytes(payload, whole, _what):
    """A simulator with a framing of its own would prove only that two wrongs agree."""
    assert frame(bytes.fromhex(payload)).hex() == whole
    scanner = Scanner()
    scanner.feed(bytes.fromhex(whole))
    assert scanner.take() == bytes.fromhex(payload)


def test_extended_frame_is_announced_by_ffff():
    """A long answer in a normal frame would be cut at 255 bytes by every host."""
    whole = frame(bytes(261))
    assert whole[:8].hex() == "0000ffffff0105fa"  # LENM 01, LENL 05, and their complement
    scanner = Scanner()
    scanner.feed(whole)
    assert scanner.take() == bytes(261)


@pytest.mark.parametrize("mark", [ACK, NACK])
def test_marks_are_told_from_frames(mark):
    """A host's abort taken for a frame would leave the chip searching for ever."""
    scanner = Scanner()
    scanner.feed(mark + bytes.fromhex("0000ff02fed4022a00"))
    assert scanner.take() == mark
    assert scanner.take() == bytes.fromhex("d402")


@given(st.binary(max_size=600), st.lists(st.integers(1, 40), max_size=30))
def test_any_bytes_cut_anywhere_are_survived(junk, cuts):
    """Noise on the line would stop a reader until somebody unplugs it."""
    scanner = Scanner()
    at = 0
    for size in [*cuts, len(junk)]:
        scanner.feed(junk[at : at + size])
        at += size
        while scanner.take() is not None:
            pass
    scanner.feed(bytes(2 * PAYLOAD_MAX))  # what an unlucky length still waits for
    while scanner.take() is not None:
        pass
    scanner.feed(bytes.fromhex("0000ff02fed4022a00"))
    found = []
    while (payload := scanner.take()) is not None:
        found.append(payload)
    assert bytes.fromhex("d402") in found
