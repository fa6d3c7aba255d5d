"""readers/transports/serial_line.py on real ptys and a real loopback socket."""

from __future__ import annotations

import os
import select
import socket
import termios
from pathlib import Path

import pytest
import serial  # noqa: F401 - before a test drops its rights

from readers.backoff import Backoff
from readers.errors import TransportError
from readers.transports.serial_line import PN532_BAUD, WRITE_HELD_BYTES_MAX, SerialLine

WITHIN_S = 10.0


@pytest.fixture
def line_on():
    """Open lines; all are closed afterwards."""
    opened = []

    def make(path: str, **options: bool) -> SerialLine:
        line = SerialLine(path, PN532_BAUD, **options)
        opened.append(line)
        line.open()
        return line

    yield make
    for line in opened:
        line.close()


def read_when_ready(line: SerialLine) -> bytes:
    ready, _, _ = select.select([line], [], [], WITHIN_S)
    assert ready, "nothing arrived"
    return line.read()


@pytest.mark.req("S-01")
def test_bytes_go_both_ways_unchanged(plug, line_on):
    """A terminal's line discipline would eat 0D, 11 or 13 out of a card number."""
    far = plug()
    line = line_on(far.path)
    every = bytes(range(256))
    far.send(every)
    got = b""
    while len(got) < 256:
        got += read_when_ready(line)
    assert got == every
    line.write(every)
    assert far.receive(256) == every


def test_silence_is_no_hangup(plug, line_on):
    """An idle reader would be reported as unplugged (a terminal says b"" to both unless told otherwise)."""
    line = line_on(plug().path)
    assert line.read() == b""
    assert line.read() == b""


def test_an_unplugged_line_says_so_and_the_selector_sees_it(plug, line_on):
    """The loop would spin on a dead line, or never learn that it died."""
    far = plug()
    line = line_on(far.path)
    far.unplug()
    with pytest.raises(TransportError, match=r"hung up|gone"):
        read_when_ready(line)
    line.close()
    line.close()
    assert not line.is_open


def test_writing_to_an_unplugged_line_says_so(plug, line_on):
    """A strike's OFF would be lost without a word."""
    far = plug()
    line = line_on(far.path)
    far.unplug()
    with pytest.raises(TransportError):
        line.write(b"\xa0\x01\x00\xa1")


def test_replugged_under_the_same_name_it_works_again(plug, line_on, tmp_path):
    """After a reader was unplugged somebody would have to restart the controller."""
    by_id = tmp_path / "usb-PN532-if00"
    first = plug()
    by_id.symlink_to(first.path)
    line = line_on(str(by_id))
    first.unplug()
    by_id.unlink()
    with pytest.raises(TransportError):
        read_when_ready(line)
    line.close()
    with pytest.raises(TransportError, match=r"usb-PN532-if00.*no such port.*by-id"):
        line.open()
    second = plug()
    by_id.symlink_to(second.path)
    line.open()
    second.send(b"back")
    assert read_when_ready(line) == b"back"


def test_what_arrived_before_opening_is_dropped(plug, line_on):
    """A card read before a restart would open a door after it."""
    far = plug()
    far.send(b"old")
    line = line_on(far.path)
    far.send(b"new")
    assert read_when_ready(line) == b"new"


def test_a_second_program_is_kept_out(plug, line_on):
    """Two controllers on one relay board would each undo what the other does."""
    far = plug()
    line_on(far.path)
    second = SerialLine(far.path, PN532_BAUD)
    if os.geteuid() == 0:
        with pytest.raises(TransportError, match="another program"):
            second.open()
    else:
        with pytest.raises(TransportError):
            second.open()


def test_a_line_that_takes_nothing_holds_a_bounded_amount(plug, line_on):
    """A hung board would fill the memory, or get minutes of old orders at once."""
    line = line_on(plug().path)

    def write_on() -> None:
        for _ in range(10_000):
            line.write(b"\xa0\x01\x00\xa1" * 64)
            assert len(line._held) <= WRITE_HELD_BYTES_MAX

    with pytest.raises(TransportError, match="takes no bytes"):
        write_on()
    assert line.wants_write
    line.close()
    assert not line.wants_write


def test_held_bytes_go_out_in_order_when_the_line_takes_them(plug, line_on):
    """Frames to a slow board would arrive torn."""
    far = plug()
    line = line_on(far.path)
    sent = b""
    while not line.wants_write:
        chunk = bytes((len(sent) // 64 % 256,)) * 64
        line.write(chunk)
        sent += chunk
    got = b""
    while len(got) < len(sent):
        got += far.receive(min(4096, len(sent) - len(got)))
        line.flush()
    assert got == sent
    assert not line.wants_write


def test_a_closed_line_is_not_read_or_written(plug):
    """A mistake in the loop would look like a quiet line."""
    line = SerialLine(plug().path, PN532_BAUD)
    with pytest.raises(TransportError, match="not open"):
        line.read()
    with pytest.raises(TransportError, match="not open"):
        line.write(b"x")
    with pytest.raises(RuntimeError, match="not open"):
        line.fileno()


def test_a_missing_port_is_named_with_what_to_do():
    """Whoever mounts the reader would search for the fault in the software."""
    with pytest.raises(TransportError, match=r"/dev/serial/by-id/none.*is it plugged in"):
        SerialLine("/dev/serial/by-id/none", PN532_BAUD).open()


def test_a_forbidden_port_is_named_with_what_to_do(plug):
    """The most common fault of a new installation would be told as [Errno 13]."""
    far = plug()
    Path(far.path).chmod(0)
    line = SerialLine(far.path, PN532_BAUD)
    myself = os.geteuid()
    if myself == 0:
        os.seteuid(65534)  # root may open everything
    try:
        with pytest.raises(TransportError, match=rf"{far.path}.*dialout"):
            line.open()
    finally:
        os.seteuid(myself)


def test_a_file_that_is_no_port_is_refused(tmp_path):
    """A typo in the path would be opened and written to."""
    file = tmp_path / "notes.txt"
    file.write_text("notes")
    with pytest.raises(TransportError):
        SerialLine(str(file), PN532_BAUD).open()
    assert file.read_text() == "notes"


@pytest.mark.req("S-01")
def test_a_loopback_socket_serves_in_simulation(line_on):
    """A simulated building could not run where there are no ptys."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = line_on(f"socket://127.0.0.1:{server.getsockname()[1]}", simulation=True)
        far, _ = server.accept()
        with far:
            assert line.read() == b""
            far.sendall(b"card")
            assert read_when_ready(line) == b"card"
            line.write(b"ok")
            assert far.recv(2) == b"ok"
        with pytest.raises(TransportError, match="hung up"):
            read_when_ready(line)


@pytest.mark.parametrize(
    "url,simulation,says",
    [
        ("socket://127.0.0.1:4000", False, "no authentication"),
        ("socket://192.0.2.7:4000", False, "no authentication"),
        ("socket://192.0.2.7:4000", True, "this machine only"),
        ("socket://relay.example:4000", True, "this machine only"),
        ("socket://localhost:4000", True, "this machine only"),
        ("socket://127.0.0.1", True, "this machine only"),
        ("rfc2217://127.0.0.1:4000", True, "absolute path"),
        ("loop://", True, "absolute path"),
        ("ttyUSB0", False, "absolute path"),
        ("", False, "absolute path"),
    ],
)
def test_a_relay_on_the_network_is_refused(url, simulation, says):
    """Everybody on the network could open the door."""
    with pytest.raises(ValueError, match=says):
        SerialLine(url, PN532_BAUD, simulation=simulation)


def test_waits_double_up_to_a_bound_and_start_again():
    """A missing reader would be asked for a thousand times a second, or once an hour."""
    backoff = Backoff(100, 1_000)
    assert [backoff.next_ms() for _ in range(6)] == [100, 200, 400, 800, 1_000, 1_000]
    backoff.reset()
    assert backoff.next_ms() == 100
    with pytest.raises(ValueError, match="first_ms"):
        Backoff(0, 10)


def test_an_open_line_changes_its_speed_and_stays_a_line(plug, line_on):
    """A reader that was asked for a higher speed would be spoken to at the old one, or silence be a hang-up again."""
    far = plug()
    line = line_on(far.path)
    assert line.baud == PN532_BAUD
    line.set_baud(921_600)
    assert line.baud == 921_600
    assert termios.tcgetattr(line.fileno())[4:6] == [termios.B921600, termios.B921600]
    assert line.read() == b""
    far.send(b"\x0d\x11\x13")
    assert read_when_ready(line) == b"\x0d\x11\x13"
    line.open()
    assert line.baud == PN532_BAUD
    assert termios.tcgetattr(line.fileno())[4] == termios.B115200


def test_a_speed_that_cannot_be_had_is_an_error_of_the_line(plug, line_on):
    """A mistake in a site file would end the loop."""
    far = plug()
    line = line_on(far.path)
    with pytest.raises(TransportError, match="cannot go at -1 baud"):
        line.set_baud(-1)
    far.unplug()
    with pytest.raises(TransportError):
        line.set_baud(230_400)
    line.close()
    with pytest.raises(TransportError, match="not open"):
        line.set_baud(230_400)


def test_a_speed_is_not_changed_under_bytes_that_wait(plug, line_on):
    """The rest of a command would leave at a speed that nobody hears."""
    line = line_on(plug().path)
    while not line.wants_write:
        line.write(bytes(64))
    with pytest.raises(RuntimeError, match="still wait"):
        line.set_baud(230_400)


def test_a_socket_has_no_speed_and_takes_every_one(line_on):
    """A simulated reader on a socket would fail where a real one speeds up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = line_on(f"socket://127.0.0.1:{server.getsockname()[1]}", simulation=True)
        far, _ = server.accept()
        with far:
            line.set_baud(921_600)
            assert line.baud == 921_600
            line.close()
