"""Cables: real ptys, as the product's serial port sees them."""

from __future__ import annotations

import errno
import os
import select
import time

import pytest

from simulators.lcus import LcusBoard
from simulators.wire import SerialWire


@pytest.fixture
def wire(loop, tmp_path):
    made = SerialWire(loop, LcusBoard(1), tmp_path / "ttyBoard")
    made.mend()
    yield made
    made.cut()


def opened(wire) -> int:
    return os.open(wire.link, os.O_RDWR | os.O_NOCTTY)


def read_until(port: int, end: bytes, timeout_s: float = 5.0) -> bytes:
    got = b""
    while not got.endswith(end):
        assert select.select([port], [], [], timeout_s)[0], got
        got += os.read(port, 100)
    return got


@pytest.mark.req("S-01")
def test_bytes_go_both_ways_through_the_link(wire):
    """The product opens a path; if the link led nowhere, nothing would be simulated."""
    port = opened(wire)
    os.write(port, b"\xff")
    assert read_until(port, b"\n") == b"CH1:OFF \r\n"
    os.close(port)


def test_a_client_may_close_and_come_back(wire):
    """A controller that restarts would find a dead port."""
    for _ in range(3):
        port = opened(wire)
        os.write(port, b"\xff")
        assert read_until(port, b"\n") == b"CH1:OFF \r\n"
        os.close(port)


def test_cut_gives_eio_and_removes_the_link(wire):
    """Unplugging that looks like silence would leave the reopening untested."""
    port = opened(wire)
    wire.cut()
    assert not wire.link.is_symlink()
    with pytest.raises(OSError, match="Input/output error") as broken:
        os.write(port, b"\xff")
    assert broken.value.errno == errno.EIO
    os.close(port)
    wire.cut()  # twice is nothing


def test_mended_line_is_a_fresh_device_at_the_same_link(wire):
    """The product reopens by the link's name and must find the board with its relays off."""
    port = opened(wire)
    os.write(port, bytes.fromhex("a00101a2") + b"\xff")
    assert read_until(port, b"\n") == b"CH1:ON \r\n"
    wire.cut()
    os.close(port)
    wire.mend()
    port = opened(wire)
    os.write(port, b"\xff")
    assert read_until(port, b"\n") == b"CH1:OFF \r\n"
    os.close(port)


def test_paced_bytes_take_their_time(loop, tmp_path):
    """An instant pty passes with code that drops partly received frames."""
    wire = SerialWire(loop, LcusBoard(8), tmp_path / "slow", baud=9600)
    wire.mend()
    port = opened(wire)
    began = time.monotonic()
    os.write(port, b"\xff")
    pieces = [os.read(port, 100)]
    while not b"".join(pieces).endswith(b"CH8:OFF \r\n"):
        pieces.append(os.read(port, 100))
    assert len(pieces) > 8
    assert time.monotonic() - began > 0.06  # 80 bytes at 9600 baud are 83 ms, 2 of them may come at once
    os.close(port)
    wire.cut()


def test_a_real_file_is_never_replaced(loop, tmp_path):
    """A wrong run directory would cost somebody a file."""
    place = tmp_path / "precious"
    place.write_text("mine")
    with pytest.raises(FileExistsError, match="not a symbolic link"):
        SerialWire(loop, LcusBoard(1), place).mend()
    assert place.read_text() == "mine"


def test_nobody_reading_is_survived(wire):
    """A crashed controller must not stop the building when its buffers are full."""
    port = opened(wire)
    for _ in range(200):
        os.write(port, b"\xff" * 20)
    os.close(port)
    port = opened(wire)
    os.set_blocking(port, False)
    while select.select([port], [], [], 0.3)[0]:
        os.read(port, 65536)
    os.set_blocking(port, True)
    os.write(port, b"\xff")
    assert read_until(port, b"\n") == b"CH1:OFF \r\n"
    os.close(port)
