"""Our panel over our readers, written by two hands from one standard: what works, and which attacks fail."""

from __future__ import annotations

import pytest

from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InstallEnded,
    KeyRenewed,
    KeysEntered,
    OutputReported,
    ReaderDistrusted,
    ReaderIdentified,
)
from simulators.osdp.pkoc import KeyPairCard
from simulators.osdp.words import SCBK_D, Identity
from tests.simulators.osdp_line import KEYS, OsdpLine

FRESH = bytes.fromhex("41e8f07dac12369b9a3fc17e5502d86b")
NUMBER = bytes.fromhex("04a1b2c3")


@pytest.fixture
def line():
    made = OsdpLine()
    told = made.run(2000)
    assert [one.source for one in told if isinstance(one, DeviceOnline)] == ["rd0", "rd1"]
    return made


def of(events, kind, source="rd1"):
    return [one for one in events if isinstance(one, kind) and one.source == source]


def show_card(line, address=1):
    line.readers[address].functions.present(NUMBER, 32, is_wiegand=False, now_ms=line.now_ms)


@pytest.mark.req("B-16")
def test_everyday(line):
    """Two hands that read the standard differently would leave every door shut."""
    one = line.readers[1].functions
    show_card(line)
    one.type("1928", line.now_ms)
    one.set_input(0, True)
    told = line.run(1000)
    assert [(read.number, read.is_held_back) for read in of(told, CardRead)] == [(NUMBER, False)]
    assert [keys.digits for keys in of(told, KeysEntered)] == ["1928"]
    assert [(change.line, change.is_active) for change in of(told, InputChanged)] == [("contact", True)]
    assert line.panel.switch("rd1", 0, is_on=True, for_ms=500)
    assert line.panel.show("rd1", "granted")
    told = line.run(450)
    assert (one.face.outputs, one.face.colour, one.face.text) == ([True], "green", "OK")
    told += line.run(1000)
    assert [report.is_on for report in of(told, OutputReported)] == [True, False]
    assert line.bus.collisions == 0
    assert not of(line.events, CardRead, "rd0")


@pytest.mark.req("A-34")
def test_pkoc():
    """A card with its own key would prove nothing through an OSDP reader; or a copy would."""
    line = OsdpLine(pkoc=True)
    line.run(2000)
    card = KeyPairCard(7)
    line.readers[1].functions.present_pkoc(card, line.now_ms)
    proof = of(line.run(2000), CardRead)[0]
    assert (proof.number, proof.proof.scheme, proof.proof.is_genuine) == (card.public_key[1:33], "pkoc", True)
    line.readers[1].functions.present_pkoc(KeyPairCard(8, forges=card.public_key), line.now_ms)
    read = of(line.run(3000), CardRead)
    assert all(one.proof is not None and not one.proof.is_genuine for one in read)


ATTACKS = {
    "swapped, with the key": ("replaced", lambda one, now: one.swap(Identity(serial=99), KEYS[1], now)),
    "swapped": ("key_lost", lambda one, now: one.swap(Identity(serial=99), None, now)),
    "reset": ("key_lost", lambda one, now: one.reset(now)),
    "downgraded": ("downgraded", lambda one, now: setattr(one.mischief, "offers_no_security", True)),
    "default key": ("default_key", lambda one, now: setattr(one.mischief, "answers_with", SCBK_D)),
    "another key": ("key_lost", lambda one, now: setattr(one.mischief, "answers_with", FRESH)),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.req("B-18")
@pytest.mark.req("B-19")
def test_a_reader_that_is_not_what_it_was(line, attack):
    """A reader in other hands would be believed."""
    why, act = ATTACKS[attack]
    act(line.readers[1], line.now_ms)
    line.readers[1].power_cycle(line.now_ms)
    told = line.run(3500)
    assert [one.why for one in of(told, ReaderDistrusted)] == [why]
    assert of(told, DeviceOffline)
    show_card(line)
    told = line.run(3500)
    assert not of(told, CardRead)
    assert not of(told, DeviceOnline)
    assert FRESH not in line.bus.overheard()
    show_card(line, 0)
    assert of(line.run(1000), CardRead, "rd0"), "the neighbour suffers"


SICK = {
    "macs": lambda one: setattr(one.mischief, "corrupts_macs", True),
    "busy": lambda one: setattr(one.mischief, "is_busy", True),
    "silent": lambda one: setattr(one.mischief, "is_silent", True),
    "refuses all": lambda one: setattr(one.mischief, "naks_all", 9),
}


@pytest.mark.parametrize("sickness", SICK)
@pytest.mark.req("B-20")
def test_a_sick_reader_is_told_and_its_neighbour_lives(line, sickness):
    """One sick reader would hide itself, or take the whole pair with it."""
    SICK[sickness](line.readers[1])
    show_card(line)
    told = line.run(3500)
    assert of(told, DeviceOffline)
    assert not of(told, CardRead)
    began = line.now_ms
    show_card(line, 0)
    while not of(line.run(10), CardRead, "rd0"):
        assert line.now_ms - began < 1000


@pytest.mark.req("B-17")
def test_stale_cards_are_marked(line):
    """A card shown during an outage would open the door when the cable is mended."""
    one = line.readers[1]
    line.bus.cut(one)
    show_card(line)
    assert of(line.run(5000), DeviceOffline)
    line.bus.mend(one)
    told = line.run(3000)
    assert of(told, DeviceOnline)
    assert all(read.is_held_back for read in of(told, CardRead))
    show_card(line)
    assert [read.is_held_back for read in of(line.run(500), CardRead)] == [False]


@pytest.mark.req("B-18")
def test_a_replayed_answer_is_no_card(line):
    """Who recorded a card read at the pair would open without a card."""
    show_card(line)
    line.run(500)
    frames = [one.frame for one in line.bus.captured if one.frame.is_reply and one.frame.address == 1]
    longest = [one for one in frames if one.block[:1] == b"\x18"][-5:]
    for frame in longest:
        line.readers[1].replay(frame.raw)
    told = line.run(3000)
    assert not of(told, CardRead)


@pytest.mark.req("B-19")
def test_install_and_new_key(line):
    """A fresh reader could not be put to use, or its key would be seen on the pair."""
    line.readers[1].swap(Identity(serial=50), None, line.now_ms)
    line.run(3500)
    line.panel.begin_install("rd1", FRESH, line.now_ms)
    told = line.run(8000)
    assert [one.is_done for one in of(told, InstallEnded)] == [True]
    assert [one.serial for one in of(told, ReaderIdentified)]
    assert line.readers[1].key == FRESH
    assert line.readers[1].is_secure
    assert FRESH not in line.bus.overheard()
    newer = bytes(reversed(FRESH))
    assert line.panel.renew_key("rd1", newer)
    assert [one.is_done for one in of(line.run(3000), KeyRenewed)] == [True]
    assert line.readers[1].key == newer
    assert newer not in line.bus.overheard()


@pytest.mark.req("B-19")
def test_a_reader_that_holds_install_mode_ends_the_installation_undone(line):
    """A reader that forgets its key on purpose would be called installed."""
    line.readers[1].mischief.holds_install_mode = True
    line.readers[1].reset(line.now_ms)
    line.run(3500)
    line.panel.begin_install("rd1", FRESH, line.now_ms, 12_000)
    told = line.run(15_000)
    assert [one.is_done for one in of(told, InstallEnded)] == [False]
    assert not of(told, DeviceOnline)
    show_card(line)
    assert not of(line.run(2000), CardRead)


@pytest.mark.req("B-20")
def test_noise_and_flipped_bits(line):
    """A noisy pair would lose cards, or make them up."""
    for bit in range(0, 400, 13):
        line.bus.flip(bit)
    line.bus.noise(b"\x53\x81\x08\x00")
    show_card(line)
    told = line.run(8000)
    assert [read.number for read in of(told, CardRead)] in ([NUMBER], [])
    show_card(line)
    assert [read.number for read in of(line.run(3000), CardRead)] == [NUMBER]


@pytest.mark.req("A-12")
def test_a_higher_speed(line):
    """Readers would be lost between two speeds."""
    assert line.panel.set_baud(115200)
    line.run(8000)
    assert line.panel.baud == 115200
    assert {one.baud for one in line.readers.values()} == {115200}
    show_card(line)
    assert of(line.run(500), CardRead)
