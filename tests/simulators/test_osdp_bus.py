"""Several simulated OSDP readers on one pair: who hears whom, who answers, and what hands do to the line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.osdp.bus import OsdpBus
from simulators.osdp.reader import OsdpReader
from simulators.osdp.words import SCBK_D
from tests.simulators.osdp_panel import Panel

KEYS = {1: bytes(range(16)), 2: bytes(range(16, 32)), 5: bytes(range(32, 48))}
POLL, ID, OUT, KEYSET, OSTATR, NAK = 0x60, 0x61, 0x68, 0x75, 0x4A, 0x41
ACK = (0x40, b"")


def a_bus() -> OsdpBus:
    return OsdpBus([OsdpReader(address, key=key) for address, key in KEYS.items()])


@pytest.fixture
def bus():
    return a_bus()


@pytest.fixture
def panels(bus):
    made = {address: Panel(bus, address) for address in KEYS}
    assert all(panel.connect(KEYS[address]) for address, panel in made.items())
    return made


def test_each_reader_answers_for_itself(bus, panels):
    """One reader's card would open another's door."""
    bus.at(2).functions.present(b"\xab", 8, is_wiegand=False, now_ms=0)
    assert panels[1].ask(POLL) == ACK
    assert panels[2].ask(POLL)[0] == 0x50
    assert panels[5].ask(POLL) == ACK
    assert panels[5].ask(OUT, bytes.fromhex("00020000")) == (OSTATR, b"\x01")
    assert [reader.functions.face.outputs for reader in bus.readers] == [[False], [False], [True]]
    assert bus.collisions == 0
    with pytest.raises(LookupError):
        bus.at(9)


@pytest.mark.req("B-20")
def test_a_cut_reader_is_silent_and_remembers(bus, panels):
    """A cut drop cable that silenced the neighbours, or emptied the reader's queue, would be no cut drop cable."""
    reader = bus.at(2)
    bus.cut(reader)
    reader.functions.present(b"\xab", 8, is_wiegand=False, now_ms=0)
    assert panels[2].push(panels[2].make_secure(POLL)) == []
    assert panels[1].ask(POLL) == ACK
    bus.mend(reader)
    assert panels[2].connect(KEYS[2])
    assert panels[2].ask(POLL)[0] == 0x50


def test_a_reader_without_power_forgets(bus, panels):
    """Its queue and its outputs hang on the supply; its key does not."""
    reader = bus.at(1)
    panels[1].ask(OUT, bytes.fromhex("00020000"))
    reader.functions.present(b"\xab", 8, is_wiegand=False, now_ms=0)
    bus.power(reader, is_on=False, now_ms=2000)
    assert panels[1].push(panels[1].make_secure(POLL)) == []
    assert reader.functions.face.outputs == [False]
    bus.power(reader, is_on=True, now_ms=3000)
    assert panels[1].push(panels[1].make_secure(POLL))[0].code == NAK
    assert panels[1].connect(KEYS[1])
    assert panels[1].ask(POLL) == ACK


def test_two_at_one_address_are_garbage(bus):
    """Two readers with the same address are the installer's second mistake."""
    bus.at(2).address = 1
    assert Panel(bus, 1).say(ID, b"\0") is None
    assert bus.collisions == 1


@pytest.mark.req("B-18")
def test_noise_and_flipped_bits(bus, panels):
    """A noisy pair could not be tried."""
    bus.noise(b"\x53\x00\xff")
    panel = panels[1]
    raw = panel.make_secure(POLL)
    bus.flip(70)
    assert panel.push(raw) == []
    panel.now_ms += 500
    assert panel.open(panel.push(raw)[0]) == ACK  # the repeated command finds the reader where it was
    bus.noise_to_readers(b"\x53\x01\x40", panel.now_ms)
    panel.now_ms += 500
    assert panel.ask(POLL) == ACK


@pytest.mark.req("B-16")
def test_the_capture_holds_all_frames_and_no_key(bus, panels):
    """A test that looks for a key in an empty capture proves nothing."""
    fresh = bytes(range(100, 116))
    assert panels[1].ask(KEYSET, b"\x01\x10" + fresh) == ACK
    assert bus.at(1).key == fresh
    assert fresh not in bus.overheard()
    assert KEYS[1] not in bus.overheard()
    codes = [one.frame.code for one in bus.captured if one.frame.address == 1]
    assert codes[:6] == [ID, 0x45, 0x76, 0x76, 0x77, 0x78]
    assert len(bus.captured) == 3 * 6 + 2


@pytest.mark.req("B-19")
def test_the_capture_would_show_a_key_given_in_install_mode(bus):
    """Under the key that everybody knows, everybody reads the new one: why install mode is a guarded act."""
    reader = bus.at(1)
    reader.reset(0)
    panel = Panel(bus, 1)
    assert panel.connect(SCBK_D, is_default=True)
    fresh = bytes(range(100, 116))
    assert panel.ask(KEYSET, b"\x01\x10" + fresh) == ACK
    keyset = next(one.frame for one in bus.captured if one.frame.code == KEYSET)
    assert panel.keys is not None  # made from SCBK-D and two numbers that went over the line
    assert fresh not in keyset.raw


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 5, 6, 0x7F, 0x81, 0xFF]), st.binary(max_size=24)), max_size=6))
@pytest.mark.req("B-18")
def test_nobody_answers_for_another_whatever_comes(pieces):
    """A confused reader would speak in its neighbour's name."""
    bus = a_bus()
    panel = Panel(bus)
    for address, body in pieces:
        raw = panel.make(POLL, body, sequence=len(body) % 4)
        bus.receive(raw[:1] + bytes((address,)) + raw[2:], panel.now_ms)
        bus.receive(body, panel.now_ms)
        panel.address = address & 0x7F
        heard = panel.push(panel.make(ID, b"\0", sequence=0))
        assert all(one.is_reply and one.address == panel.address for one in heard)
        assert bool(heard) <= (panel.address in KEYS)
        panel.now_ms += 200
    assert all(Panel(bus, address, now_ms=panel.now_ms + 500).connect(key) for address, key in KEYS.items())


def test_an_unplugged_adapter_takes_no_power_from_the_readers(bus, panels):
    """A strike that drops because somebody pulled a USB plug, and reads that are lost: not what RS-485 does."""
    panels[1].ask(OUT, bytes.fromhex("00020000"))
    bus.power_cycle(5000)
    assert bus.at(1).functions.face.outputs == [True]
    assert bus.at(1).is_secure


def test_readers_change_speed_one_by_one(bus, panels):
    """A panel that raises the speed has, for a while, readers of two speeds on one pair."""
    bus.set_speed(9600)
    assert panels[1].ask(0x6E, b"\x01" + (115200).to_bytes(4, "little"))[0] == 0x54
    assert panels[1].push(panels[1].make_secure(POLL)) == []
    assert panels[2].ask(POLL) == ACK
    bus.set_speed(115200)
    assert panels[1].connect(KEYS[1])
    assert panels[2].push(panels[2].make_secure(POLL)) == []
