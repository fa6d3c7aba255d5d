"""`sekisho devices` as an installer types it, on byte-paced lines."""

from __future__ import annotations

import argparse

import pytest
from paho.mqtt import publish

from controller.link.messages import DeviceStanding
from sekisho import device_osdp, device_others, device_test, devices, probe
from sekisho.device_report import Report
from sekisho.devices_arguments import add_parsers
from simulators.lcus import LcusBoard
from simulators.modbus import ModbusBoard, ModbusBus
from simulators.pn532 import Pn532
from tests.controller.conftest import SITE
from tests.sekisho.console_rig import CARDS, RunningSite, in_json, typed, walled_site, wired
from tests.simulators.conftest import Mosquitto

UID = bytes.fromhex("04A1B2C3D4E580")


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
    monkeypatch.setattr(probe, "LONG_PATIENCE_S", probe.PATIENCE_S)


@pytest.fixture
def site(tmp_path):
    """A site with one device of each wired kind, and the reader's key in its key store."""
    return walled_site(tmp_path)


# -- test --------------------------------------------------------------------------------------------------------------


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


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize(("said", "wanted"), [("online", 0), ("offline", 1)])
def test_a_device_that_is_on_the_broker_is_said_to_be_there(tmp_path, type_in, monkeypatch, said, wanted):
    """Its retained word comes with the connection, and an installer is sent to look at power and radio."""
    monkeypatch.setattr(device_others, "ONLINE_S", 1.0)
    monkeypatch.setattr(device_others, "STATES_S", 0.1)
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        path = tmp_path / "site.toml"
        path.write_text(SITE.replace("[mqtt]", f"[mqtt]\nport = {broker.address[1]}"), "utf-8")
        publish.single("sekisho/v1/dr-office/state", said, qos=1, retain=True, port=broker.address[1])
        for _ in range(3):
            status, told = in_json(type_in("test", path, "dr-office", "--json"))
            assert (status, told["steps"][0]["step"]) == (wanted, "broker")
    finally:
        broker.stop()


def test_a_relay_is_off_whatever_ends_the_trial(site, capsys):
    """Somebody presses Ctrl-C while a lock is released, and it stays so."""
    done = []

    class Broken:
        """A trial that Ctrl-C ends."""

        def run(self, for_s, on_event, is_over):
            done.append("on")
            if done.count("on") == 1:
                raise KeyboardInterrupt
            return True

    tried = device_test.Tried.__new__(device_test.Tried)
    tried.arguments = argparse.Namespace(pulse=True, for_ms=100)
    tried.report = Report("strike", "en", is_json=True)
    with pytest.raises(KeyboardInterrupt):
        tried.pulse(Broken(), lambda: True, lambda: done.append("off"))
    assert done[:2] == ["on", "off"]


def test_a_relay_that_is_not_there_and_pins_that_are_not(tmp_path, site, type_in):
    """A typing mistake moves another relay, or a fault of the machine is taken for one of the cable."""
    assert type_in("test", site, "strike", "--pulse", "--yes", "--channel", "3")[0] == 2
    path = tmp_path / "pi.toml"
    path.write_text(SITE + '[[device]]\nid = "pins"\nkind = "gpio"\npins = [5]\nrelay_pins = [17]\n', "utf-8")
    status, told = in_json(type_in("test", path, "pins", "--json"))
    assert (status, told["is_good"]) == (3, False)
    assert type_in("test", path, "nothing")[0] == 1


def test_a_chip_that_kept_a_higher_speed_is_named(tmp_path, site, type_in):
    """A reader that only needs its power taken away is thrown away."""
    with wired(Pn532(), tmp_path / "pn532", 460_800, hears_speed=True):
        status, told = in_json(type_in("test", site, "desk", "--json"))
    assert (status, told["steps"][-1]["step"], told["steps"][-1]["real"]) == (1, "baud", 460_800)


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
    fresh = DeviceStanding(id="rd-5", kind="osdp", is_online=False, is_commissioned=False, fault="not commissioned")
    assert [words[1].partition(":")[0] for words in devices.next_steps(fresh)] == ["it has no key of its own"]
    swapped = DeviceStanding(id="rd-6", kind="osdp", is_online=False, is_trusted=False, facts={"last_why": "wrong key"})
    first, second = (words[1] for words in devices.next_steps(swapped))
    assert "exchanged" in first and "devices install rd-6" in first and "cable" not in first
    assert "restore" in second
    busy = DeviceStanding(id="rd-4", kind="osdp", is_online=False, facts={"is_installing": "True"})
    assert "install-off rd-4" in devices.next_steps(busy)[0][1]
