"""libosdp's control panel over our simulated readers, on a byte-paced half-duplex pty."""

from __future__ import annotations

import pytest

from simulators.osdp.bus import OsdpBus
from simulators.osdp.reader import OsdpReader
from simulators.wire import SerialWire

pytestmark = [pytest.mark.needs("peers"), pytest.mark.system]

KEYS = {1: bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b"), 2: bytes.fromhex("5502d86b41e8f07dac12369b9a3fc17e")}
BAUD = 115200


@pytest.fixture
def bus():
    return OsdpBus([OsdpReader(address, key=key, baud=BAUD) for address, key in KEYS.items()])


@pytest.fixture
def wire(loop, bus, tmp_path):
    made = SerialWire(loop, bus, tmp_path / "osdp", baud=BAUD, is_pair=True)
    made.mend()
    yield made
    made.cut()
    assert made.collisions == bus.collisions == 0


@pytest.fixture
def lib():
    """The panel's module, which needs the peer library."""
    from tests.simulators import osdp_peer

    return osdp_peer


@pytest.fixture
def panel(lib, wire):
    made = lib.LibPanel(wire.link, KEYS)
    assert made.turn_until(lambda: made.is_secure(1) and made.is_secure(2))
    yield made
    made.close()
    assert made.channel.fault is None


def events(panel, address, kind):
    return [event for at, event in panel.events if (at, event["event"]) == (address, kind)]


@pytest.mark.req("B-16")
def test_channel_events_and_commands(panel, bus, wire):
    """Our readers would speak a dialect that only our own panel understands."""
    import osdp

    one, two = bus.readers
    wire.touch(lambda now: one.functions.present(bytes.fromhex("a1b2c380"), 26, is_wiegand=True, now_ms=now))
    wire.touch(lambda now: two.functions.type("19", now))
    wire.touch(lambda now: two.functions.set_tamper(True, now))
    wire.touch(lambda now: two.functions.set_input(1, True))
    card, keys, told = osdp.Event.CardRead, osdp.Event.KeyPress, osdp.Event.Status
    assert panel.turn_until(lambda: events(panel, 1, card) and len(events(panel, 2, told)) == 2)
    read = events(panel, 1, card)[0]
    assert (read["format"], read["length"], read["data"]) == (1, 26, bytes.fromhex("a1b2c380"))
    assert b"".join(event["data"] for event in events(panel, 2, keys)) == b"19\r"
    reports = {event["type"]: event["report"] for event in events(panel, 2, told)}
    assert reports[osdp.StatusReportType.Input] == b"\x00\x01"
    assert sorted(reports[osdp.StatusReportType.Local]) == [0, 1]  # their panel tells power first

    led = {"reader": 0, "led_number": 0, "control_code": 1, "on_count": 1, "off_count": 0, "off_color": 0}
    green = osdp.CommandLEDColor.Green
    assert panel.command(1, command=osdp.Command.LED, on_color=green, timer_count=0, temporary=False, **led)
    assert one.functions.face.colour == "green"
    assert panel.command(1, command=osdp.Command.Buzzer, reader=0, control_code=2, on_count=1, off_count=1, rep_count=2)
    text = {"reader": 0, "control_code": 1, "temp_time": 0, "offset_col": 1, "offset_row": 1, "data": "no entry"}
    assert panel.command(1, command=osdp.Command.Text, **text)
    assert one.functions.face.text == "no entry"
    assert panel.command(2, command=osdp.Command.Output, output_no=0, control_code=5, timer_count=2)
    assert panel.turn_until(lambda: two.functions.face.outputs == [False])
    for kind in ("Local", "Input", "Output", "Remote"):
        asked = getattr(osdp.StatusReportType, kind)
        assert panel.command(2, command=osdp.Command.Status, type=asked, nr_entries=0, report=b"")
    vendor = int.from_bytes(one.identity.vendor, "little")
    assert panel.command(1, command=osdp.Command.Manufacturer, vendor_code=vendor, data=b"\x09abc")
    assert events(panel, 1, osdp.Event.ManufacturerReply)[0]["data"] == b"\x09abc"


@pytest.mark.req("B-16")
def test_a_new_key_from_their_panel(panel, bus, lib):
    """Re-keying would only work between our own two halves."""
    import osdp

    fresh = bytes(range(1, 17))
    assert panel.command(1, command=osdp.Command.Keyset, type=1, data=fresh)
    assert bus.at(1).key == fresh
    assert panel.turn_until(lambda: panel.is_secure(1) and bus.at(1).is_secure)
    assert fresh not in bus.overheard()


@pytest.mark.req("B-18")
def test_their_panel_refuses_a_wrong_key(lib, wire, bus):
    """A reader with another key would pass."""
    bus.at(2).key = bytes(16)
    made = lib.LibPanel(wire.link, KEYS)
    assert made.turn_until(lambda: made.is_secure(1))
    assert not made.turn_until(lambda: made.is_secure(2) or made.is_online(2), timeout_s=0.5)
    assert not bus.at(2).is_secure
    made.close()


def test_a_cut_reader_comes_back_to_their_panel(panel, bus):
    """A mended cable would stay dead."""
    reader = bus.at(2)
    bus.cut(reader)
    panel.turn_until(lambda: False, timeout_s=0.3)
    bus.mend(reader)
    panel.kick(2)
    assert panel.turn_until(lambda: panel.is_secure(2) and reader.is_secure)


def test_a_file_from_their_panel(panel, bus, lib):
    """Firmware would arrive with holes."""
    import osdp

    whole = bytes(range(256)) * 5

    class Source:
        def open(self, _file, _size):
            return len(whole)

        def read(self, size, offset):
            return whole[offset : offset + size]

        def write(self, _chunk, _offset):
            return -1

        def close(self, _file):
            return 0

    source = Source()
    fops = {"open": source.open, "read": source.read, "write": source.write, "close": source.close}
    assert panel.ctx.register_file_ops(0, fops)
    assert panel.ctx.submit_command(0, {"command": osdp.Command.FileTransfer, "id": 13, "flags": 0})
    assert panel.turn_until(lambda: 13 in bus.at(1).functions.files)
    assert bus.at(1).functions.files[13] == whole
