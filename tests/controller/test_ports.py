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
