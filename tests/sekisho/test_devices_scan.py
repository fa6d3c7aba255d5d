"""`sekisho devices scan`: who answers at a port, why one cannot be had, and that no question switches anything."""

from __future__ import annotations

import errno

import pytest
import serial

from readers.errors import TransportError
from sekisho import probe
from sekisho.bench import busy_words, trouble_of
from sekisho.devices_arguments import add_parsers
from sekisho.spoken import padded, table, width
from simulators.lcus import LcusBoard
from simulators.modbus import ModbusBoard, ModbusBus
from simulators.osdp.bus import OsdpBus
from simulators.osdp.reader import OsdpReader
from simulators.pn532 import Pn532
from tests.sekisho.console_rig import RANDOM, in_json, typed, wired

KEY = RANDOM(16)


@pytest.fixture
def type_in(capsys):
    """Types a command; gives its exit status, what it printed and what it said."""
    return lambda *words: typed(capsys, add_parsers, "devices", *words)


# -- scan --------------------------------------------------------------------------------------------------------------


def test_what_is_plugged_in_is_found_and_nothing_is_switched(tmp_path, type_in):
    """An installer cannot tell which cable is which, or a lock opens while he looks."""
    switched = []
    lcus = LcusBoard(2, lambda *seen: switched.append(seen))
    board = ModbusBoard(unit=2, channels=4, on_switch=lambda *seen: switched.append(seen))
    ports = {name: tmp_path / name for name in ("pn532", "osdp", "modbus", "lcus")}
    prober = {name: probe.Prober(str(path), lambda _text: None) for name, path in ports.items()}
    with wired(Pn532(), ports["pn532"]):
        status, told = in_json(type_in("scan", "--port", ports["pn532"], "--json"))
    assert status == 0
    (found,) = told["ports"][0]["found"]
    assert (found["kind"], found["baud"]) == ("pn532", 115_200)
    wall = OsdpBus([OsdpReader(3, key=KEY), OsdpReader(5, key=None)])
    with wired(wall, ports["osdp"], 9600, is_pair=True, hears_speed=True):
        status, out, _ = type_in("scan", "--port", ports["osdp"], "--lang", "en")
    assert status == 0
    rows = [line.split() for line in out.splitlines()[1:]]
    assert [(row[3], row[4]) for row in rows] == [("3", "9600"), ("5", "9600")]
    assert "secure channel yes" in out and "check CRC" in out and "E5CA11" in out
    with wired(ModbusBus([board]), ports["modbus"], 9600):
        (found,) = prober["modbus"].modbus_only((9600,), (1, 2))
    assert (found.kind, found.at, found.facts["relays"]) == ("modbus", 2, "4")
    with wired(lcus, ports["lcus"], 9600):
        (found,) = prober["lcus"]._only(prober["lcus"]._lcus)
    assert (found.kind, found.facts["relays"]) == ("lcus", "2")
    assert switched == []


def test_a_board_that_hears_every_question_switches_nothing(tmp_path, monkeypatch):
    """A question for one device is an order for another, and a lock opens."""
    heard = []

    class Ear:
        """Hears everything and says nothing."""

        def receive(self, chunk, now_ms):
            heard.append(chunk)

        def outgoing(self):
            return b""

        def deadline(self):
            return None

        def tick(self, now_ms):
            """It keeps no time."""

        def power_cycle(self, now_ms):
            """It keeps nothing."""

    for name in ("PATIENCE_S", "LONG_PATIENCE_S", "LATENCY_S"):
        monkeypatch.setattr(probe, name, 0.0)
    with wired(Ear(), tmp_path / "ear", None):
        assert probe.Prober(str(tmp_path / "ear"), lambda _text: None).found() == []
    said = b"".join(heard)
    assert said.count(b"\x53\x7f") >= 5
    assert b"\xa0\x01\x01" not in said
    board = ModbusBoard(unit=1, channels=8, on_switch=lambda *_: pytest.fail("a relay moved"))
    bus, lcus = ModbusBus([board]), LcusBoard(8, lambda *_: pytest.fail("a relay moved"))
    for at, byte in enumerate(said):
        bus.receive(bytes((byte,)), at)
        bus.tick(at)
        lcus.receive(bytes((byte,)), at)


# -- a port that cannot be had -----------------------------------------------------------------------------------------


def test_why_a_port_cannot_be_had_is_said_exactly(tmp_path, type_in):
    """Somebody replaces a reader that only lacked a group, or was held by the controller."""
    status, out, _ = type_in("scan", "--port", tmp_path / "none", "--lang", "en")
    assert (status, "there is no port" in out) == (3, True)
    for number, part in ((errno.EACCES, "dialout"), (errno.EIO, "is gone"), (errno.EINVAL, "cannot be used")):
        error = TransportError("x")
        error.__cause__ = OSError(number, "x")
        assert part in trouble_of("/dev/ttyX", error).words[1]
    with wired(Pn532(), tmp_path / "pn532"):
        held = serial.Serial(str(tmp_path / "pn532"), exclusive=True)
        status, out, _ = type_in("scan", "--port", tmp_path / "pn532", "--lang", "en", "--json")
        held.close()
    assert status == 3
    assert '"busy"' in out
    assert "devices show --socket" in busy_words("/dev/x", (7, "sekisho controller"))[1]
    assert "cat (process 7)" in busy_words("/dev/x", (7, "cat"))[1]


def test_columns_stay_aligned_with_full_width_signs():
    """A table in Japanese cannot be read."""
    assert (width("扉a"), padded("扉", 4)) == (3, "扉  ")
    assert table([("機器", "x"), ("rd-1", "y")]) == ["機器  x", "rd-1  y"]
