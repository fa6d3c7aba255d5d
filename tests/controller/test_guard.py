"""After any death of the controller its serial relays go off: a real process, real ptys, a real SIGKILL."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller import guard
from controller.config import parse_site
from controller.wires import all_off, modbus_off, off_frames
from sekisho.cli import CANNOT_RUN, main
from simulators.loop import Loop
from simulators.modbus import ModbusBoard, ModbusBus
from simulators.wire import SerialWire
from tests.readers.modbus_rig import Rig
from tests.readers.modbus_rig import board as relay_board

WITHIN_S = 20.0

PARENT = """
import subprocess, sys
program = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1]], stdin=subprocess.PIPE, start_new_session=True)
program.stdin.write(sys.argv[2].encode())
program.stdin.flush()
print(program.pid, flush=True)
sys.stdin.read()
"""
"""Stands for the controller: tells the guard what to do, then lives until it is killed."""


class Board:
    """A relay board's end of a pty."""

    def __init__(self) -> None:
        self.far, self.near = pty.openpty()
        tty.setraw(self.near)
        self.path = os.ttyname(self.near)

    def hears(self, size: int, within_s: float = WITHIN_S) -> bytes:
        got = b""
        end = time.monotonic() + within_s
        while len(got) < size and select.select([self.far], [], [], max(0.0, end - time.monotonic()))[0]:
            got += os.read(self.far, size - len(got))
        return got

    def is_silent(self) -> bool:
        return not select.select([self.far], [], [], 0)[0]

    def unplug(self) -> None:
        os.close(self.far)
        os.close(self.near)


@pytest.fixture
def board() -> Iterator[Callable[[], Board]]:
    made: list[Board] = []

    def make() -> Board:
        made.append(Board())
        return made[-1]

    yield make
    for one in made:
        one.unplug()


def order(*boards: tuple[str, bytes]) -> str:
    return "".join(f"{path} {frames.hex()}\n" for path, frames in boards)


def start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE)


def end(program: subprocess.Popen[bytes], text: str) -> int:
    program.communicate(text.encode(), timeout=WITHIN_S)
    return program.returncode


@pytest.mark.req("B-26")
def test_relays_go_off_when_the_controller_is_killed(board):
    """A strike would stay released all night because the controller died during a pulse."""
    one, two = board(), board()
    text = order((one.path, all_off(2)), (two.path, all_off(8)))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, guard.__file__, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None and parent.stdin is not None
    guard_pid = int(parent.stdout.readline())
    assert guard_pid != parent.pid and one.is_silent() and two.is_silent()
    parent.kill()
    parent.wait(WITHIN_S)
    assert one.hears(len(all_off(2))) == all_off(2)
    assert two.hears(len(all_off(8))) == all_off(8)
    parent.stdout.close()
    parent.stdin.close()


def test_the_bytes_are_off_for_every_relay():
    """The guard would switch something on, or leave the last relay as it is."""
    frames = all_off(4)
    assert [frames[n : n + 4] for n in range(0, len(frames), 4)][-4:] == [
        bytes((0xA0, channel, 0, 0xA0 + channel)) for channel in (1, 2, 3, 4)
    ]


def test_the_frames_for_a_bus_reach_every_board_and_every_relay():
    """The last board of a line, or one that cannot switch all at once, would keep its strikes on."""
    frames = modbus_off([(1, 2), (7, 1)])
    assert [frame[:6].hex(" ") for frame in frames] == [
        "01 0f 00 00 00 02",
        "07 0f 00 00 00 01",
        "01 05 00 00 00 00",
        "01 05 00 01 00 00",
        "07 05 00 00 00 00",
    ]
    assert frames[2] == bytes.fromhex("010500000000CDCA")


@pytest.mark.req("B-26")
@pytest.mark.parametrize("has_write_all", [True, False])
def test_boards_on_a_bus_go_off_when_the_controller_is_killed_in_the_middle_of_a_frame(tmp_path, has_write_all):
    """A strike on a shared line would stay released: the guard's frames would run into each other or into an answer."""
    boards = [ModbusBoard(unit=unit, channels=2, has_write_all=has_write_all) for unit in (1, 2)]
    loop, bus = Loop(), ModbusBus(boards)
    wire = SerialWire(loop, bus, tmp_path / "bus", baud=9_600)
    loop.start()
    wire.mend()
    text = f"{tmp_path / 'bus'} {','.join(frame.hex() for frame in modbus_off([(1, 2), (2, 2)]))}@9600\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, guard.__file__, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None and parent.stdin is not None
    parent.stdout.readline()
    for board in boards:
        board.states = dict.fromkeys(board.states, True)
    wire.touch(lambda now: bus.receive(bytes.fromhex("0105020000"), now))  # cut off in the middle of a release
    parent.kill()
    parent.wait(WITHIN_S)
    end_at = time.monotonic() + WITHIN_S
    while any(any(board.states.values()) for board in boards) and time.monotonic() < end_at:
        select.select([], [], [], 0.02)
    assert [board.states for board in boards] == [{1: False, 2: False}] * 2
    parent.stdout.close()
    parent.stdin.close()
    wire.cut()
    loop.stop()
    assert not loop.faults


def test_a_speed_that_no_line_has_is_told_by_the_exit_status(board):
    """The strikes would count as secured although the board never understood a byte."""
    one = board()
    assert end(start(), f"{one.path} {all_off(1).hex()}@12345\n") == 1
    assert one.is_silent()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE])
def test_a_signal_to_everybody_does_not_end_the_guard(board, number):
    """Ctrl-C, or a service manager that signals the group, would take away what should outlive the controller."""
    one = board()
    program = start()
    assert program.stdin is not None
    program.stdin.write(order((one.path, all_off(1))).encode())
    program.stdin.flush()
    ignored_by(program.pid, number)
    program.send_signal(number)
    assert program.poll() is None and one.is_silent()
    assert end(program, "") == 0
    assert one.hears(len(all_off(1))) == all_off(1)


def ignored_by(pid: int, number: int) -> None:
    """Wait until the process ignores the signal: it says so in /proc before it reads its first line."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
        (mask,) = [line.split()[1] for line in status if line.startswith("SigIgn:")]
        if int(mask, 16) >> (number - 1) & 1:
            return
        select.select([], [], [], 0.01)
    pytest.fail(f"signal {number} is not ignored")


def test_a_board_that_is_gone_does_not_keep_the_others_on(board, tmp_path):
    """One unplugged cable would leave all other strikes released."""
    one = board()
    text = order((str(tmp_path / "ttyUSB7"), all_off(1)), (one.path, all_off(2)))
    assert end(start(), text) == 1
    assert one.hears(len(all_off(2))) == all_off(2)


def test_something_that_is_no_serial_port_is_told_by_the_exit_status(tmp_path):
    """systemd would call the strikes secured when they were not."""
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert end(start(), order((str(plain), all_off(1)))) == 1
    assert plain.read_bytes() == b""


def test_the_latest_word_on_a_port_counts(board):
    """A board that was exchanged for a larger one would keep its last relays."""
    one = board()
    assert end(start(), order((one.path, all_off(1)), (one.path, all_off(4)))) == 0
    assert one.hears(len(all_off(4))) == all_off(4) and one.is_silent()


def test_a_path_with_spaces_is_one_path(board, tmp_path):
    """A board behind such a name would never be switched off."""
    one = board()
    link = tmp_path / "left board"
    link.symlink_to(one.path)
    assert end(start(), order((str(link), all_off(1)))) == 0
    assert one.hears(len(all_off(1))) == all_off(1)


def test_with_nothing_to_do_it_ends_well():
    """Every stop of a site without boards would be a failure."""
    assert end(start(), "") == 0


BOARD = 'id = "board"\nkind = "lcus"\nport = "@RUN_DIR@/lcus-1"\nchannels = 4\n'
ON_A_BUS = """id = "board"
kind = "modbus"
port = "/dev/bus"
unit = 3
channels = 4
baud = 19200

[[device]]
id = "board-2"
kind = "modbus"
port = "/dev/bus"
unit = 4
channels = 1
baud = 19200

[[device]]
id = "plain"
kind = "lcus"
port = "/dev/plain"
channels = 2
"""


def plain_site_with(board: str) -> str:
    text = (Path(__file__).parents[1] / "system" / "plain" / "site.toml").read_text("utf-8")
    assert BOARD in text
    return text.replace(BOARD, board).replace("@RUN_DIR@", "/run").replace("@BROKER_PORT@", "1883")


def test_every_relay_of_a_site_is_on_the_guards_list():
    """The boards that were added last would stay as they are."""
    assert off_frames(parse_site(plain_site_with(ON_A_BUS), Path("site.toml"))) == {
        "/dev/bus": (modbus_off([(3, 4), (4, 1)]), 19_200),
        "/dev/plain": ((all_off(2),), 9_600),
    }


def test_pins_that_cannot_be_brought_to_rest_are_told_by_the_exit_status(tmp_path, capsys):
    """systemd would call the strikes on the controller's own pins secured when they were not."""
    path = tmp_path / "site.toml"
    path.write_text(plain_site_with('id = "board"\nkind = "gpio"\nrelay_pins = [1, 2, 3, 4]\n'), "utf-8")
    assert main(["safe", str(path)]) == CANNOT_RUN
    assert "board: no pins on this machine" in capsys.readouterr().err


@pytest.mark.req("B-26")
@pytest.mark.parametrize("has_flash", [True, False])
@pytest.mark.parametrize("dies_after_ms", range(0, 700, 13))
def test_whenever_the_controller_dies_the_relay_is_off_again(has_flash, dies_after_ms):
    """A crash at the wrong moment (before, in, or between the frames of a release) would leave a door open."""
    rig = Rig(relay_board(1, has_flash=has_flash), relay_board(2), has_flash=has_flash).online()
    rig.line.release("b1", 2, 500, rig.now)
    rig.run(dies_after_ms)
    now = rig.now
    if has_flash:  # nobody at all has to do anything
        rig.bus.tick(now + 700)
        assert rig.boards[1].states == {1: False, 2: False}
    rig.bus.receive(b"\x01\x05\x02", now)  # the last thing that it said was half a frame
    for frame in modbus_off([(1, 2), (2, 2)]):
        now += int(guard.SILENCE_S * 1_000)
        rig.bus.tick(now)
        rig.bus.receive(frame, now)
    rig.bus.tick(now + 60)
    assert [board.states for board in rig.boards.values()] == [{1: False, 2: False}] * 2
