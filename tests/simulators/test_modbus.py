"""simulators/modbus.py: relay boards in virtual time, against bytes written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from simulators.door import Deed
from simulators.fittings import Fittings
from simulators.modbus import FRAME_MAX, REST_MS, ModbusBoard, ModbusBus, checksum
from simulators.plan import BuildingFileError, load


def framed(body: str) -> bytes:
    frame = bytes.fromhex(body)
    return frame + checksum(frame)


@pytest.fixture
def moves() -> list[tuple[int, int, bool]]:
    return []


@pytest.fixture
def board(moves) -> ModbusBoard:
    def moved(channel: int, is_on: bool, now_ms: int) -> None:
        moves.append((now_ms, channel, is_on))

    return ModbusBoard(unit=1, channels=8, input_count=8, register_count=2, on_switch=moved)


def ask(bus: ModbusBus, request: bytes, now_ms: int = 0) -> bytes:
    """What the boards say once the line has rested."""
    bus.receive(request, now_ms)
    bus.tick(now_ms + REST_MS)
    return bus.outgoing()


@pytest.mark.parametrize(
    ("request_", "channel", "is_on"),
    [
        ("01050000FF008C3A", 1, True),
        ("010500000000CDCA", 1, False),
        ("0105020000078DB0", 1, True),
        ("0105020100089C74", 2, True),
    ],
)
def test_the_published_frames_move_the_relay_and_are_repeated(board, moves, request_, channel, is_on):
    """The simulated board would understand only our own code."""
    bus = ModbusBus([board])
    board.states[1] = not is_on
    assert ask(bus, bytes.fromhex(request_)) == bytes.fromhex(request_)
    assert moves == [(REST_MS, channel, is_on)]


@pytest.mark.parametrize(("request_", "off_at"), [("0105020000078DB0", 700), ("0105020100089C74", 800)])
def test_a_flash_ends_by_the_boards_own_timer(board, moves, request_, off_at):
    """A test of a dead controller would show nothing."""
    bus = ModbusBus([board])
    ask(bus, bytes.fromhex(request_))
    assert bus.deadline() == REST_MS + off_at
    bus.tick(REST_MS + off_at - 1)
    assert len(moves) == 1
    bus.tick(REST_MS + off_at)
    assert [is_on for *_, is_on in moves] == [True, False] and bus.deadline() is None


def test_an_off_ends_a_flash_and_its_timer(board, moves):
    """A later pulse would be cut by the timer of an earlier one."""
    bus = ModbusBus([board])
    ask(bus, framed("01050200 0032"))
    ask(bus, framed("01050000 0000"), 100)
    ask(bus, framed("01050200 0032"), 200)
    bus.tick(5_100 + REST_MS)
    assert moves[-1] == (200 + REST_MS, 1, True)
    bus.tick(5_200 + REST_MS)
    assert moves[-1] == (5_200 + REST_MS, 1, False)


def test_reads_and_writes_of_many(board):
    """The boards' inputs and relays could not be seen."""
    bus = ModbusBus([board])
    board.inputs[1] = board.inputs[8] = True
    board.registers[2] = 0x1234
    assert ask(bus, framed("010F00000008 01 A5")) == framed("010F00000008")
    assert ask(bus, framed("0101 0000 0008")) == framed("010101A5")
    assert ask(bus, framed("0102 0000 0008")) == framed("01020181")
    assert ask(bus, framed("0104 0000 0002")) == framed("01040400001234")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("0103 0000 0001", 1),
        ("0101 0000 0009", 2),
        ("0102 0000 0000", 2),
        ("0104 0002 0001", 2),
        ("0105 0008 FF00", 2),
        ("0105 0600 0001", 2),
        ("0105 0000 1234", 3),
        ("0105 0200 0000", 3),
        ("0105 0200 8000", 3),
        ("010F 0004 0008 01 FF", 2),
    ],
)
def test_what_it_has_not_is_refused_with_a_code(board, moves, request_, code):
    """A master's mistake would look like success."""
    answer = ask(ModbusBus([board]), framed(request_))
    assert answer == framed(f"01{int(request_[2:4], 16) | 0x80:02X}{code:02X}")
    assert moves == []


def test_only_the_board_that_is_meant_answers_and_nobody_answers_all(board):
    """Two boards would talk at once."""
    other = ModbusBoard(unit=2, channels=2)
    bus = ModbusBus([board, other])
    assert ask(bus, framed("0205 0000 FF00")) == framed("0205 0000 FF00")
    assert other.states[1] and not board.states[1]
    assert ask(bus, framed("0305 0000 FF00")) == b""
    assert ask(bus, framed("0005 0000 FF00")) == b""
    assert board.states[1]


def test_spoilt_and_crowded_frames_are_ignored_whole(board, moves):
    """A relay would move on a frame that a real UART would never see as one."""
    bus = ModbusBus([board])
    on = bytes.fromhex("01050000FF008C3A")
    assert ask(bus, on[:-1] + b"\x00") == b""
    assert ask(bus, on + on, 100) == b""
    bus.receive(on[:5], 200)
    assert bus.deadline() == 220
    bus.tick(220)
    assert moves == [] and bus.ignored == {"sum": 1, "no silence": 1, "cut short": 1}
    assert ask(bus, on, 300) == on


def test_faults_by_hand(board, moves):
    """Nobody could show what a broken board does."""
    bus = ModbusBus([board])
    on, off = framed("0105 0000 FF00"), framed("0105 0000 0000")
    board.is_mute = True
    assert ask(bus, on) == b"" and moves == [(REST_MS, 1, True)]
    board.is_mute = False
    board.welded.add(1)
    assert ask(bus, off, 10) == off and board.states[1]
    bus.power_cycle(20)
    assert board.states[1]
    board.welded.clear()
    board.is_deaf = True
    assert ask(bus, off, 30) == b"" and board.states[1]
    bus.power_cycle(40)
    assert not board.states[1]
    assert ask(ModbusBus([ModbusBoard(unit=1, channels=1)], has_echo=True), on) == on + on


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(min_value=0, max_value=50)), max_size=20))
def test_random_bytes_never_raise_and_hold_no_memory(chunks):
    """Noise on a line would end the building."""
    bus, now = ModbusBus([ModbusBoard(unit=1, channels=4)]), 0
    for chunk, pause_ms in chunks:
        now += pause_ms
        bus.receive(chunk, now)
        assert len(bus._incoming) <= FRAME_MAX + 60
        bus.outgoing()


@pytest.mark.parametrize(("unit", "channels"), [(0, 1), (248, 1), (1, 33)])
def test_a_board_that_cannot_be(unit, channels):
    """A plan's mistake would show itself as silence."""
    with pytest.raises(ValueError, match="a board has unit 1 to 247"):
        ModbusBoard(unit=unit, channels=channels)


BUILDING = """
name = { ja = "棟", en = "Building" }
zones = [{ id = "out", label = { ja = "外", en = "Out" } }, { id = "in", label = { ja = "内", en = "In" } }]
devices = [
    { kind = "modbus", id = "mb-1", link = "rs485", unit = 1, channels = 2, inputs = 4 },
    { kind = "modbus", id = "mb-2", link = "rs485", unit = 2, channels = 1, inputs = 2 },
]
[[doors]]
id = "front"
label = { ja = "玄関", en = "Front" }
from_zone = "out"
to_zone = "in"
sensor = "mb-1:3"
strike = { board = "mb-1", channel = 2 }
[[doors]]
id = "back"
label = { ja = "裏口", en = "Back" }
from_zone = "out"
to_zone = "in"
sensor = "mb-2:1"
strike = { board = "mb-2", channel = 1 }
"""


def built(folder: Path, text: str = BUILDING) -> Fittings:
    path = folder / "building.toml"
    path.write_text(text, "utf-8")
    return Fittings(load(path), run_dir=folder / "run", broker=("127.0.0.1", 1))


@pytest.mark.system
def test_doors_hang_on_the_boards_of_one_pair(tmp_path):
    """A building with relay boards on RS-485 could not be simulated, and so no controller be tried against it."""
    fittings = built(tmp_path)
    fittings.start(1.0)
    port = serial.Serial(str(tmp_path / "run" / "rs485"), 9_600, timeout=10)

    def ask(body: str, answer_bytes: int) -> str:
        port.write(framed(body))
        return port.read(answer_bytes)[3:-2].hex()

    try:
        assert ask("0102 0000 0004", 6) == "04"  # the front leaf is closed: current on input 3
        port.write(framed("0105 0201 0032"))
        assert port.read(8) == framed("0105 0201 0032")
        assert not fittings.loop.run(lambda: fittings.rigs["front"].door.is_locked)
        assert fittings.loop.run(lambda: fittings.rigs["back"].door.is_locked)
        fittings.loop.run(lambda: fittings.rigs["front"].do(Deed.PUSH))
        fittings.loop.run(lambda: fittings.rigs["back"].do(Deed.REX_DOWN))
        assert ask("0102 0000 0004", 6) == "00" and ask("0202 0000 0002", 6) == "03"
        front = fittings.sensors["mb-1:3"]
        fittings.loop.run(lambda: front.break_loop("contact", "short"))
        assert ask("0102 0000 0004", 6) == "04"
        fittings.loop.run(lambda: front.break_loop("contact", None))
        assert ask("0102 0000 0004", 6) == "00"
        fittings.cut("rs485")
        assert fittings.loop.run(lambda: fittings.rigs["front"].door.is_locked)
        fittings.mend("mb-2")
        assert fittings.loop.run(lambda: fittings.device_state("mb-1", "modbus"))["relays"] == {"1": False, "2": False}
    finally:
        port.close()
        fittings.stop()
    assert not fittings.loop.faults


@pytest.mark.parametrize(
    ("sound", "typo", "said"),
    [
        ("unit = 2", "unit = 1", r"devices\[1\]\.unit: 1 is taken on 'rs485'"),
        ("unit = 2", "unit = 2, baud = 19200", r"devices\[1\]\.baud: 19200, but 'rs485' runs at 9600"),
        ('"mb-1:3"', '"mb-1:5"', r"doors\[0\]\.sensor: 'mb-1' has inputs 1 to 4"),
        ('"mb-1:3"', '"mb-1"', r"doors\[0\]\.sensor: no device 'mb-1' of kind mqtt-door"),
        ("channel = 2", "channel = 3", r"doors\[0\]\.strike\.channel: 3, but 'mb-1' has 2"),
        ('strike = { board = "mb-1", channel = 2 }', "", r"doors\[0\]\.strike: missing"),
    ],
)
def test_a_typo_is_named_with_its_key(tmp_path, sound, typo, said):
    """Somebody who writes a building would have to read our source to find a typo."""
    assert sound in BUILDING
    with pytest.raises(BuildingFileError, match=said):
        built(tmp_path, BUILDING.replace(sound, typo))
