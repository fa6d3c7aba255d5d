"""OSDP readers in a simulated building: what hands do there, over the byte-paced pair, and what a person sees."""

from __future__ import annotations

import os
import select
import termios
import threading
import time

import pytest
from fastapi.testclient import TestClient

from simulators.building import SimulatedBuilding
from simulators.fittings import NotHere
from simulators.hands import make_app
from simulators.osdp.words import SCBK_D
from simulators.people import Pace
from simulators.plan import load
from tests.simulators.osdp_panel import Panel

KEY = bytes(range(16))
BAUD = 115200
PLAN = f"""
name = {{ ja = "棟", en = "Building" }}
zones = [
    {{ id = "out", label = {{ ja = "外", en = "Out" }} }},
    {{ id = "in", label = {{ ja = "内", en = "In" }}, within = "out" }},
]
devices = [
    {{ kind = "osdp-bus", id = "pair", link = "rs485", baud = {BAUD} }},
    {{ kind = "osdp-reader", id = "rd-in", bus = "pair", address = 0, keypad = true, key = "{KEY.hex()}", inputs = 3 }},
    {{ kind = "osdp-reader", id = "rd-out", bus = "pair", address = 1, display = false, key = "{KEY.hex()}" }},
]
people = [{{ name = {{ ja = "佐藤", en = "Sato" }}, card = "04A1B2C3" }},
    {{ name = {{ ja = "鈴木", en = "Suzuki" }}, card = "04B2C3D4", card_type = "pkoc" }}]
[[doors]]
id = "front"
label = {{ ja = "玄関", en = "Front" }}
from_zone = "out"
to_zone = "in"
reader_in = "rd-in"
reader_out = "rd-out"
sensor = "rd-in"
"""
POLL, ISTAT, OUT, LED, TEXT = 0x60, 0x65, 0x68, 0x69, 0x6B
RAW, KEYPAD, ISTATR, LSTATR = 0x50, 0x53, 0x49, 0x48
GREEN = bytes.fromhex("0000020100020014000000000000")
PULSE = bytes.fromhex("00050200")


class Line:
    """The pty's other end, in the place of a core: so that the panel by hand speaks over the real wire."""

    def __init__(self, link) -> None:
        self._port = os.open(link, os.O_RDWR | os.O_NOCTTY)
        settings = termios.tcgetattr(self._port)
        settings[4] = settings[5] = termios.B115200
        termios.tcsetattr(self._port, termios.TCSANOW, settings)

    def receive(self, chunk, _now_ms):
        os.write(self._port, chunk)

    def outgoing(self):
        """A whole answer, or nothing after a tenth of a second."""
        got = b""
        while select.select([self._port], [], [], 0.1)[0]:
            got += os.read(self._port, 4096)
            start = got.find(0x53)
            count = int.from_bytes(got[start + 2 : start + 4], "little") if start >= 0 and len(got) > start + 3 else 0
            if count and len(got) >= start + count:
                break
        return got

    def deadline(self):
        return None

    def tick(self, now_ms):
        return None

    def close(self):
        os.close(self._port)


@pytest.fixture
def building(tmp_path):
    path = tmp_path / "building.toml"
    path.write_text(PLAN, "utf-8")
    pace = Pace(hold_ms=50, reach_ms=20, pass_ms=30, press_ms=20)
    with SimulatedBuilding(load(path), run_dir=tmp_path / "run", broker=("127.0.0.1", 1), pace=pace) as running:
        yield running
        assert not running.loop.faults


@pytest.fixture
def line(building, tmp_path):
    made = Line(tmp_path / "run" / "rs485")
    yield made
    made.close()


@pytest.fixture
def panel(line):
    made = Panel(line, 0)
    assert made.connect(KEY)
    return made


def polled(panel, code):
    """Poll until such an answer comes."""
    for _ in range(20):
        answer, body = panel.ask(POLL)
        if answer == code:
            return body
    raise AssertionError("it did not come")


def aside(what):
    """Run a hand that waits, beside the panel."""
    replies = []
    thread = threading.Thread(target=lambda: replies.append(what()))
    thread.start()
    return thread, replies


@pytest.mark.req("S-01")
@pytest.mark.system
def test_a_card_a_release_and_a_walk(building, panel):
    """A door behind an OSDP reader alone could not be gone through."""
    thread, replies = aside(lambda: building.badge("04A1B2C3", door="front"))
    assert polled(panel, RAW).hex() == "0000200004a1b2c3"
    panel.ask(OUT, PULSE)
    panel.ask(TEXT, bytes.fromhex("000303010102") + b"OK")
    thread.join()
    reply = replies[0]
    assert (reply.shown, reply.released, reply.walking, reply.reader) == ("granted", True, True, "rd-in")
    assert polled(panel, ISTATR)[0] == 1  # the leaf opened
    assert polled(panel, ISTATR)[0] == 0  # and fell shut
    assert building.wait_for("walk", "front") is not None
    assert building.crowd.zone_of("04A1B2C3") == "in"
    assert building.wait_for("relay", "rd-in/1", is_on=False) is not None


@pytest.mark.system
def test_digits_and_a_refusal(building, panel):
    """A PIN at an OSDP keypad, and its words on the display."""
    thread, replies = aside(lambda: building.keys("1928", door="front"))
    assert b"".join(polled(panel, KEYPAD)[2:] for _ in range(5)) == b"1928\r"
    panel.ask(TEXT, bytes.fromhex("000303010108") + b"NO ENTRY")
    thread.join()
    assert (replies[0].shown, replies[0].released) == ("refused", False)
    with pytest.raises(NotHere, match="no keypad"):
        building.keys("1928", door="front", side="out")
    with pytest.raises(ValueError, match="0 to 9"):
        building.osdp.type("rd-in", "12a4")


@pytest.mark.system
def test_a_lamp_speaks_where_there_are_no_words(building, line):
    """A reader without display shows nothing but a colour."""
    panel = Panel(line, 1)
    assert panel.connect(KEY)
    thread, replies = aside(lambda: building.badge("04A1B2C3", door="front", side="out", walk=False, wait_ms=2000))
    polled(panel, RAW)
    panel.ask(LED, GREEN)
    panel.address = 0
    assert panel.connect(KEY)
    panel.ask(OUT, PULSE)
    thread.join()
    assert (replies[0].shown, replies[0].released) == ("granted", True)


@pytest.mark.req("B-28")
@pytest.mark.system
def test_lines_at_the_terminals(building, panel):
    """Two wires without resistors: a cut contact loop looks like an open leaf, a short hides one."""
    building.force("front")
    assert polled(panel, ISTATR)[0] == 1
    building.break_loop("front", fault="short")
    assert polled(panel, ISTATR)[0] == 0
    building.break_loop("front", fault=None)
    assert polled(panel, ISTATR)[0] == 1
    building.close("front")
    assert polled(panel, ISTATR)[0] == 0
    building.break_loop("front", fault="cut")
    assert polled(panel, ISTATR)[0] == 1
    building.break_loop("front", line="rex", fault="short")
    assert polled(panel, ISTATR)[1] == 1
    building.fire(is_on=True)
    assert polled(panel, ISTATR)[2] == 1
    building.tamper("front", is_open=True)
    assert polled(panel, LSTATR)[0] == 1


@pytest.mark.req("B-20")
@pytest.mark.system
def test_cut_mend_and_stale_cards(building, panel):
    """A reader cut off its pair, and the card that was shown meanwhile."""
    building.cut("rd-in")
    building.badge("04A1B2C3", door="front", wait_ms=0)
    assert panel.push(panel.make_secure(POLL)) == []
    building.mend("rd-in")
    assert panel.connect(KEY)
    assert polled(panel, RAW)[4:].hex() == "04a1b2c3"
    building.cut("pair")
    assert building.state()["devices"][0]["is_cut"]
    building.mend("rs485")


@pytest.mark.req("B-19")
@pytest.mark.system
def test_what_an_attacker_does(building, panel):
    """Swap, reset, tricks and the clip on the wire: each by the reader's id."""
    serial = building.osdp.swap("rd-in")
    assert not panel.connect(KEY)
    building.osdp.swap("rd-in", serial=serial + 1, has_key=False)
    state = {one["id"]: one for one in building.state()["devices"]}["rd-in"]
    assert (state["serial"], state["has_key"], state["is_secure"]) == (serial + 1, False, False)
    building.osdp.trick("rd-out", "downgrade", is_on=True)
    panel.address = 1
    assert not panel.connect(KEY)
    building.osdp.trick("rd-out", "downgrade", is_on=False)
    assert panel.connect(KEY)
    building.osdp.reset("rd-out")
    assert not panel.connect(KEY)
    building.osdp.power("rd-out", is_on=False)
    assert panel.say(0x61, b"\0") is None
    assert KEY not in b"".join(one.frame.raw for one in building.osdp.captured("pair"))
    assert len(building.osdp.captured("pair")) > 20
    for wrong in (lambda: building.osdp.reset("pair"), lambda: building.osdp.captured("rd-in")):
        with pytest.raises(NotHere):
            wrong()


@pytest.mark.system
def test_another_speed_hears_nothing(building, panel, tmp_path):
    """A wrong baud rate must be found out by whoever scans the wall."""
    port = os.open(tmp_path / "run" / "rs485", os.O_RDWR | os.O_NOCTTY)
    settings = termios.tcgetattr(port)
    settings[4] = settings[5] = termios.B9600
    termios.tcsetattr(port, termios.TCSANOW, settings)
    began = time.monotonic()
    assert panel.push(panel.make_secure(POLL)) == []
    assert time.monotonic() - began < 5
    os.close(port)


READERS_HANDS = [
    ("swap", {}, {"serial": 0x5E000002}),  # 0x5E000001 hangs beside it
    ("swap", {"serial": 7, "has_key": True}, {"serial": 7}),
    ("reset", {}, {"is_keyless": True}),
    ("trick", {"trick": "install_mode", "is_on": True}, {"is_tricked": True}),
    ("power", {"is_on": False}, {"has_power": False}),
    ("tamper", {"is_open": True}, {"is_tampered": True}),
]


@pytest.mark.system
def test_every_hand_at_a_reader_answers(building, panel):
    """A button without a hand behind it does nothing, silently."""
    hands = TestClient(make_app(building), base_url="http://127.0.0.1")
    for name, fields, said in READERS_HANDS:
        reply = hands.post(f"/hands/reader/{name}", json={"device": "rd-in"} | fields)
        assert (reply.status_code, reply.json()) == (200, said)
    frames = hands.get("/hands/capture", params={"pair": "pair", "limit": 3}).json()
    assert (len(frames["frames"]), frames["count"]) == (3, 6)
    assert frames["frames"][0]["raw"] == panel_frame()
    assert hands.post("/hands/reader/reset", json={"device": "pair"}).status_code == 404
    assert hands.post("/hands/reader/trick", json={"device": "rd-in", "trick": "x", "is_on": True}).status_code == 422
    assert hands.get("/hands/capture", params={"pair": "rd-in"}).status_code == 404
    state = {one["id"]: one for one in hands.get("/hands/state").json()["devices"]}
    assert state["rd-in"]["holds_install_mode"]
    page = hands.get("/").text
    assert all(word in page for word in ("reader/swap", "reader/reset", "install_mode"))


def panel_frame() -> str:
    """osdp_ID to address 0, sequence 0, as Annex E shows its neighbour."""
    return Panel(None, 0).make(0x61, b"\0").hex()


@pytest.mark.system
def test_a_reader_may_remember_its_key_over_a_restart(tmp_path):
    """A demo that is started again would find all its readers reset."""
    plan = tmp_path / "building.toml"
    plan.write_text(PLAN.replace(f'keypad = true, key = "{KEY.hex()}"', "keypad = true, remembers = true"), "utf-8")
    fresh = bytes(range(50, 66))
    for key, is_default in ((SCBK_D, True), (fresh, False)):
        with SimulatedBuilding(plan, run_dir=tmp_path / "run", broker=("127.0.0.1", 1)):
            line = Line(tmp_path / "run" / "rs485")
            panel = Panel(line, 0)
            assert panel.connect(key, is_default=is_default)
            panel.ask(0x75, b"\x01\x10" + fresh)
            line.close()


@pytest.mark.req("A-34")
@pytest.mark.system
def test_a_card_with_a_key_of_its_own(building, panel):
    """The people's PKOC cards would be no cards at an OSDP reader."""
    building.pace = Pace(hold_ms=2000)
    building.badge("04B2C3D4", door="front", walk=False, wait_ms=0)
    oui, challenge = bytes.fromhex("1a9021"), bytes(range(16))
    assert polled(panel, 0x90)[:4] == oui + b"\xe0"
    request = bytes.fromhex("00015c0201004c10") + challenge + b"\x4d\x20" + bytes(32)
    head = len(request).to_bytes(2, "little") + b"\0\0" + len(request).to_bytes(2, "little")
    assert panel.ask(0x80, oui + b"\xe1" + head + request) == (0x40, b"")
    panel.wait(100)
    assert polled(panel, 0x90)[:4] == oui + b"\xe2"
