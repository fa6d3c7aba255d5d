"""Cables: real ptys, as the product's serial port sees them."""

from __future__ import annotations

import errno
import os
import select
import termios
import threading
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


class Diary:
    """A core that writes down what it hears and when, and says what a test tells it to."""

    def __init__(self):
        self.heard = []
        self.to_say = b""
        self.changed = threading.Condition()

    def receive(self, chunk, now_ms):
        with self.changed:
            self.heard.append((chunk, time.monotonic()))
            self.changed.notify_all()

    def outgoing(self):
        said, self.to_say = self.to_say, b""
        return said

    def deadline(self):
        return None

    def tick(self, now_ms):
        return None

    def power_cycle(self, now_ms):
        return None


def hears(core, count):
    with core.changed:
        core.changed.wait_for(lambda: len(core.heard) >= count, 5)
    return core.heard


def test_the_device_hears_the_host_byte_by_byte(loop, tmp_path):
    """A command that arrived in one piece would hide that the product talks before its own bytes have left the line."""
    core = Diary()
    wire = SerialWire(loop, core, tmp_path / "slow", baud=9600)
    wire.mend()
    port = opened(wire)
    began = time.monotonic()
    os.write(port, bytes(range(40)))
    heard = hears(core, 40)
    assert [chunk for chunk, _ in heard] == [bytes((byte,)) for byte in range(40)]
    assert heard[0][1] - began > 0.0009
    assert heard[-1][1] - began > 0.0415  # 40 bytes at 9600 baud are 41.7 ms
    os.close(port)
    wire.cut()


def test_an_answer_never_comes_early(loop, tmp_path):
    """Short answers would come in no time, and a panel's turnaround would look faster than its line."""
    core = Diary()
    wire = SerialWire(loop, core, tmp_path / "slow", baud=9600)
    wire.mend()
    port = opened(wire)
    core.to_say = b"0123456789"
    began = time.monotonic()
    wire.touch(lambda _now: None)
    read_until(port, b"9")
    assert time.monotonic() - began > 0.0104
    os.close(port)
    wire.cut()


def test_two_at_once_on_a_pair_are_garbage(loop, tmp_path):
    """RS-485 has one pair for both: a product that talks into an answer would seem to work."""
    core = Diary()
    wire = SerialWire(loop, core, tmp_path / "pair", baud=9600, is_pair=True)
    wire.mend()
    port = opened(wire)
    core.to_say = bytes(20)
    wire.touch(lambda _now: None)
    assert os.read(port, 1) == b"\0"
    os.write(port, b"ab")
    heard = hears(core, 2)
    assert b"".join(chunk for chunk, _ in heard) != b"ab"
    assert wire.collisions
    os.close(port)
    wire.cut()


def test_another_speed_is_garbage(loop, tmp_path):
    """A wrong baud rate is the installer's first mistake; on a pty it would not be noticed."""
    core = Diary()
    wire = SerialWire(loop, core, tmp_path / "fast", baud=115200, hears_speed=True)
    wire.mend()
    port = opened(wire)
    settings = termios.tcgetattr(port)
    for speed, said in ((termios.B9600, False), (termios.B115200, True)):
        settings[4] = settings[5] = speed
        termios.tcsetattr(port, termios.TCSANOW, settings)
        core.heard.clear()
        os.write(port, b"ab")
        assert (b"".join(chunk for chunk, _ in hears(core, 2)) == b"ab") is said
    os.close(port)
    wire.cut()
