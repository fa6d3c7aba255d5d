"""controller/ports.py on real ptys: a protocol that changes the speed of its line."""

from __future__ import annotations

import os
import pty
import selectors
import termios
import tty

import pytest

from controller.ports import Port
from readers.events import DeviceOffline
from readers.protocols.modbus import ModbusBoardPlan, ModbusLine
from readers.transports.serial_line import SerialLine


class Hasty:
    """Says one thing, and wants another speed from then on."""

    def __init__(self, baud: int | None) -> None:
        self.baud = baud
        self.is_lost = False
        self._out = b"go faster"

    def connection_made(self, now_ms: int) -> None: ...

    def connection_lost(self, now_ms: int) -> list[object]:
        self.is_lost = True
        return []

    def receive_data(self, chunk: bytes, now_ms: int) -> list[object]:
        return []

    def data_to_send(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def deadline(self) -> int | None:
        return None

    def tick(self, now_ms: int) -> list[object]:
        return []


@pytest.fixture
def far():
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, slave
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("wanted,speed", [(None, termios.B9600), (230_400, termios.B230400), (9_600, termios.B9600)])
def test_a_line_follows_the_speed_of_its_protocol_once_its_bytes_are_out(far, wanted, speed):
    """A reader that was told to go faster would not be understood any more."""
    master, slave = far
    protocol = Hasty(wanted)
    with selectors.DefaultSelector() as selector:
        port = Port("r", SerialLine(os.ttyname(slave), 9_600), protocol, selector, emit=print)
        port.tick(0)
        assert os.read(master, 100) == b"go faster"
        assert termios.tcgetattr(slave)[4] == speed
        port.close(1)


def test_a_line_that_cannot_follow_is_given_up_and_opened_again_later(far):
    """A speed that the adapter lacks would end the controller's loop."""
    _, slave = far
    protocol = Hasty(-1)
    with selectors.DefaultSelector() as selector:
        port = Port("r", SerialLine(os.ttyname(slave), 9_600), protocol, selector, emit=print)
        port.tick(0)
        assert protocol.is_lost
        assert not port.is_open
        assert port.deadline() is not None


def test_everybody_on_a_line_that_cannot_be_opened_is_away(tmp_path):
    """The second board of a line would look alive from the start, because the first one alone was told of."""
    line = ModbusLine("b1", [ModbusBoardPlan(id=f"b{unit}", unit=unit) for unit in (1, 2)])
    told = []
    with selectors.DefaultSelector() as selector:
        port = Port("b1", SerialLine(str(tmp_path / "ttyUSB7"), 9_600), line, selector, emit=told.append)
        for tick in (0, 60_000):
            port.tick(tick)
    assert told == [DeviceOffline(source="b1", why="cannot be opened"), DeviceOffline(source="b2", why="line lost")]


class Patient(Hasty):
    """Knows that nothing worth a look comes for a while after it spoke."""

    def __init__(self, quiet_ms: int) -> None:
        super().__init__(None)
        self.quiet_ms = quiet_ms
        self.heard: list[tuple[int, bytes]] = []

    def receive_data(self, chunk: bytes, now_ms: int) -> list[object]:
        self.heard.append((now_ms, chunk))
        self.quiet_ms = 0
        return []


def test_the_loop_sleeps_while_a_protocol_knows_that_nothing_can_be_whole(far):
    """Every byte of every answer wakes the loop, and an idle line of readers takes a tenth of the processor."""
    master, slave = far
    selector, protocol, told = selectors.DefaultSelector(), Patient(quiet_ms=7), []
    port = Port("bus", SerialLine(os.ttyname(slave), 9_600), protocol, selector, told.append)
    port.tick(1_000)
    assert os.read(master, 64) == b"go faster"
    os.write(master, b"piece by piece")
    assert not selector.get_map(), "it is not listened to"
    assert port.deadline() == 1_007
    port.tick(1_006)
    assert not protocol.heard
    port.tick(1_007)
    assert protocol.heard == [(1_007, b"piece by piece")]
    port.answer(1_007)
    assert selector.get_map() and port.deadline() is None, "it is listened to again"
    os.write(master, b"more")
    for key, mask in selector.select(1):
        key.data(mask, 1_010)
    assert protocol.heard[-1] == (1_010, b"more")
    protocol.quiet_ms = 50
    port.answer(1_010)
    port.close(1_011)
    assert not selector.get_map()


def test_a_line_that_hangs_up_while_the_loop_sleeps_is_lost_when_it_wakes():
    """The adapter is pulled in the one moment in which nobody looks, and its readers count as there for ever."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    selector, protocol, told = selectors.DefaultSelector(), Patient(quiet_ms=7), []
    port = Port("bus", SerialLine(os.ttyname(slave), 9_600), protocol, selector, told.append, is_bus=True)
    os.close(slave)
    port.tick(1_000)
    os.close(master)
    port.tick(1_007)
    assert protocol.is_lost and not port.is_open
    assert told[-1] == DeviceOffline(source="bus", why="line lost")
