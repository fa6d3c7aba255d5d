"""`sekisho devices` as an installer types it, on byte-paced lines."""

from __future__ import annotations

import errno
import os
from datetime import date

import pytest
import serial

from controller.config import load_site
from controller.key_room import open_key_store
from controller.link.messages import DeviceStanding
from readers.errors import TransportError
from sekisho import device_osdp, device_test, devices, probe
from sekisho.bench import busy_words, trouble_of
from sekisho.devices_arguments import add_parsers
from sekisho.spoken import padded, table, width
from simulators.lcus import LcusBoard
from simulators.modbus import ModbusBoard, ModbusBus
from simulators.osdp.bus import OsdpBus
from simulators.osdp.reader import OsdpReader
from simulators.pn532 import Pn532
from tests.sekisho.console_rig import CARDS, KEYED, RANDOM, RunningSite, in_json, keyed_site, typed, wired

KEY = RANDOM(16)
OTHER = RANDOM(16)
UID = bytes.fromhex("04A1B2C3D4E580")
WALL = """
[[device]]
id = "desk"
kind = "pn532"
port = "{folder}/pn532"
[[device]]
id = "bus"
kind = "osdp-bus"
port = "{folder}/osdp"
[[device]]
id = "rd-1"
kind = "osdp"
bus = "bus"
address = 3
channels = 1
[[device]]
id = "relays"
kind = "modbus"
port = "{folder}/modbus"
unit = 2
channels = 4
[[device]]
id = "strike"
kind = "lcus"
port = "{folder}/lcus"
channels = 2
"""


@pytest.fixture
def type_in(capsys):
    """Types a command; gives its exit status, what it printed and what it said."""
    return lambda *words: typed(capsys, add_parsers, "devices", *words)


@pytest.fixture(autouse=True)
def no_time_to_lose(monkeypatch):
    """People look at a light for longer than a test does."""
    monkeypatch.setattr(device_osdp, "SHOWN_S", 0.15)
    monkeypatch.setattr(device_osdp, "STATES_S", 0.2)
    monkeypatch.setattr(device_test, "STATES_S", 0.3)


@pytest.fixture
def site(tmp_path):
    """A site with one device of each wired kind, and the reader's key in its key store."""
    path = keyed_site(tmp_path, KEYED + WALL.format(folder=tmp_path))
    store = open_key_store(load_site(path), os.urandom)
    store.import_reader_key("rd-1", KEY, date(2026, 11, 2), ("officer-01", "officer-02"))
    store.close()
    return path


def reader(address=3, *, key=KEY, baud=9600, note=lambda _what, _detail, _now_ms: None):
    return OsdpReader(address, key=key, baud=baud, note=note)


def osdp(tmp_path, *readers, baud=9600):
    return wired(OsdpBus(readers), tmp_path / "osdp", baud, is_pair=True, hears_speed=True)


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
    with osdp(tmp_path, reader(3), reader(5, key=None)):
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


# -- test --------------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-16")
def test_a_good_reader_shows_and_pulses_and_ends_at_rest(tmp_path, site, type_in):
    """An installer leaves a reader that nobody ever saw working, or a lock that stays released."""
    noted = []
    good = reader(note=lambda what, detail, _now_ms: noted.append((what, detail)))
    with osdp(tmp_path, good):
        status, told = in_json(
            type_in("test", site, "rd-1", "--light", "--sound", "--pulse", "--yes", "--for-ms", "200", "--json")
        )
    steps = {step["step"]: step for step in told["steps"]}
    assert (status, told["is_good"], steps["key"]["key"]) == (0, True, "site")
    assert steps["identity"]["firmware"] == "1.4.2"
    assert {"light", "sound", "relay"} <= steps.keys()
    assert not any(good.functions.face.outputs)
    assert [detail["is_on"] for what, detail in noted if what == "output"] == [True, False]
    assert {what for what, _ in noted} >= {"led", "buzzer", "output"}


@pytest.mark.req("B-17")
@pytest.mark.parametrize(
    ("made", "key", "words"),
    [
        ({"key": OTHER}, "other", "wrong key"),
        ({"key": None}, "default", "factory's default key"),
    ],
)
def test_whose_key_a_reader_has_is_told(tmp_path, site, type_in, made, key, words):
    """A reader that was exchanged is taken for one with a bad cable."""
    with osdp(tmp_path, reader(**made)):
        status, told = in_json(type_in("test", site, "rd-1", "--json"))
    step = told["steps"][-1]
    assert (status, step["step"], step["key"]) == (1, "key", key)
    assert words in step["words"]
    assert "sekisho devices install rd-1" in step["do"]


def test_a_wrong_speed_and_a_wrong_address_are_named(tmp_path, site, type_in):
    """An installer tries every switch of a reader by hand."""
    with osdp(tmp_path, reader(baud=38_400), baud=38_400):
        status, told = in_json(type_in("test", site, "rd-1", "--json"))
    assert (status, told["steps"][-1]["step"]) == (1, "baud")
    assert "38400" in told["steps"][-1]["do"]


def test_a_pn532_reads_a_card_and_tells_its_last_four_signs(tmp_path, site, type_in):
    """A number that opens something stands on a screen, or nobody knows whether cards are read at all."""
    chip = Pn532()
    with wired(chip, tmp_path / "pn532") as wire:
        wire.touch(lambda now_ms: chip.place(CARDS.desfire(UID), now_ms))
        status, out, _ = type_in("test", site, "desk", "--read", "--lang", "both")
    assert status == 0
    assert "…E580 desfire_ev2, genuine" in out and "本物" in out
    assert UID.hex().upper() not in out.upper()


def test_boards_answer_pulse_and_are_off_afterwards(tmp_path, site, type_in):
    """A relay that was tried stays on."""
    switched = []
    board = ModbusBoard(unit=2, channels=4, on_switch=lambda channel, is_on, _ms: switched.append((channel, is_on)))
    with wired(ModbusBus([board]), tmp_path / "modbus", 9600):
        status, told = in_json(
            type_in("test", site, "relays", "--pulse", "--yes", "--for-ms", "200", "--channel", "3", "--json")
        )
    assert (status, told["is_good"]) == (0, True)
    assert switched == [(3, True), (3, False)]
    switched.clear()
    lcus = LcusBoard(2, lambda channel, is_on, _ms: switched.append((channel, is_on)))
    with wired(lcus, tmp_path / "lcus", 9600):
        status, _, _ = type_in("test", site, "strike", "--pulse", "--yes", "--for-ms", "200")
        assert (status, switched) == (0, [(1, True), (1, False)])
        assert type_in("test", site, "strike", "--pulse")[0] == 2
    assert switched == [(1, True), (1, False)]


def test_a_board_at_another_unit_is_named(tmp_path, site, type_in):
    """An installer looks at cables while a switch on the board is set to another number."""
    with wired(ModbusBus([ModbusBoard(unit=5, channels=4)]), tmp_path / "modbus", 9600):
        status, told = in_json(type_in("test", site, "relays", "--json"))
    assert (status, told["steps"][-1]["answering"]) == (1, [5])


# -- show and orders ---------------------------------------------------------------------------------------------------

STANDINGS = (
    DeviceStanding(id="rd-1", kind="osdp", is_online=True, where="bus address 3", serves=("vault",)),
    DeviceStanding(id="rd-2", kind="osdp", is_online=True, is_trusted=False, where="bus address 4"),
    DeviceStanding(id="rd-3", kind="osdp", is_online=False, is_commissioned=False, facts={"last_why": "no answer"}),
)


def test_how_devices_stand_and_what_to_do_next(tmp_path, type_in):
    """An officer sees that something is wrong and not what he has to do."""
    socket = tmp_path / "link.sock"
    with RunningSite(tmp_path, socket, standings=STANDINGS):
        status, out, _ = type_in("show", "--socket", socket, "--lang", "ja")
        assert status == 1
        assert "POST /api/v1/devices/rd-2/restore" in out
        assert "sekisho devices install rd-3 --officers A B" in out
        assert type_in("show", "rd-1", "--socket", socket)[0] == 0
        status, told = in_json(type_in("show", "rd-3", "--socket", socket, "--json"))
        assert (status, told["facts"]["last_why"]) == (1, "no answer")
        assert type_in("show", "rd-9", "--socket", socket)[0] == 1
    status, _, err = type_in("show", "--socket", socket)
    assert (status, "no controller" in err) == (3, True)


def test_every_standing_has_words():
    """A column is empty where an officer looks for help."""
    for one in STANDINGS:
        assert devices.is_wrong(one) is bool(devices.next_steps(one))
