"""Our chip and cards before nfcpy, which speaks ISO-DEP and FeliCa by itself; bytes paced at 115200, then at 921600."""

from __future__ import annotations

import threading

import pytest
import serial

from simulators.cards import TypeACard
from simulators.cards.pkoc import PkocCard
from simulators.cards.site import AID, PURPOSES, SiteCards
from simulators.pn532 import Pn532
from simulators.pn532_field import AirTime
from simulators.wire import SerialWire

pytestmark = [pytest.mark.needs("peers"), pytest.mark.system]
UID = bytes.fromhex("04112233445566")
IDM = bytes.fromhex("01147a0b2c3d4e5f")
SITE = SiteCards(keys={purpose: {3: bytes(range(at, at + 16))} for at, purpose in enumerate(PURPOSES)})


class Rig:
    """A chip on a paced line that follows the chip's speed."""

    def __init__(self, loop, link, *, hears_speed: bool = False) -> None:
        self.chip = Pn532(on_speed=self._on_speed, air=AirTime())
        self.wire = SerialWire(loop, self.chip, link, baud=115200, hears_speed=hears_speed)
        self.wire.mend()
        self.has_changed = threading.Event()

    def _on_speed(self, baud: int) -> None:
        self.wire.baud = baud
        self.has_changed.set()

    def place(self, card) -> None:
        self.wire.touch(lambda now_ms: self.chip.place(card, now_ms))

    def take(self, card) -> None:
        self.wire.touch(lambda now_ms: self.chip.take(card, now_ms))


@pytest.fixture
def rig(loop, tmp_path):
    made = Rig(loop, tmp_path / "ttyCard")
    yield made
    made.wire.cut()


@pytest.fixture
def nfcpy(rig):
    import nfc.clf
    import nfc.clf.pn532
    import nfc.clf.transport

    class Port(nfc.clf.transport.TTY):
        def open(self, port, baudrate=115200):
            if baudrate != 115200:  # a UART sends what it was given before it closes; a pty throws it away
                assert rig.has_changed.wait(2)
            super().open(port, baudrate)

    frontend = nfc.clf.ContactlessFrontend()
    frontend.device = nfc.clf.pn532.init(Port(rig.wire.device))
    frontend.device._path = "tty"
    yield frontend
    frontend.close()


def sensed(nfcpy, brty: str):
    import nfc.clf
    import nfc.tag

    target = nfcpy.sense(nfc.clf.RemoteTarget(brty))
    return target if target is None else nfc.tag.activate(nfcpy, target)


def test_nfcpy_raises_the_speed_and_lowers_it_again(rig, nfcpy):
    """A site that wants a fast line must find a chip that changes its speed when it says so."""
    assert rig.chip.baud == 921600
    assert rig.wire.baud == 921600
    assert sensed(nfcpy, "106A") is None
    assert sensed(nfcpy, "212F") is None
    nfcpy.close()
    assert rig.chip.baud == 115200
    assert rig.chip.is_asleep


def test_apdus_through_nfcpys_own_iso_dep(rig, nfcpy):
    """RATS, block numbers, chaining and presence checks must be right without the chip's help."""
    card = SITE.desfire(UID)
    rig.place(card)
    found = sensed(nfcpy, "106A")
    assert found.type == "Type4Tag"
    assert found.identifier == UID
    assert found.transceive(bytes.fromhex("905a000003") + AID + b"\x00") == b"\x91\x00"
    assert found.transceive(bytes.fromhex("90f50000010100"))[:2] == b"\x00\x03"
    assert found.is_present
    assert len(found.transceive(bytes.fromhex("90aa0000010200"))) == 18
    rig.take(card)
    assert not found.is_present


def test_a_phone_signs_through_nfcpy(rig, nfcpy):
    """PKOC's long answer comes whole, and a phone shows a random number."""
    card = PkocCard(b"misaki")
    rig.place(card)
    found = sensed(nfcpy, "106A")
    assert found.identifier[:1] == b"\x08"
    assert found.transceive(bytes.fromhex("00a4040008a00000089800000100")) == bytes.fromhex("5c0201009000")
    asked = bytes.fromhex("80800001385c0201004c10") + bytes(16) + bytes.fromhex("4d20") + bytes(32) + b"\x00"
    said = found.transceive(asked)
    assert (len(said), said[2:67]) == (135, card.public_point)


def test_a_long_command_arrives_in_blocks(rig, nfcpy):
    """A card with frames of 64 bytes gets a long command in pieces, and answers with the whole."""

    class Mirror(TypeACard):
        def exchange(self, command: bytes) -> bytes | None:
            return command[::-1]

    rig.place(Mirror(uid=UID, atqa=b"\x03\x44", sak=0x20, ats=bytes.fromhex("067577810280")))
    found = sensed(nfcpy, "106A")
    long = bytes(range(240))
    assert found.transceive(long) == long[::-1]


def test_felica_lite_s_and_nfcpy_prove_themselves_to_each_other(rig, nfcpy):
    """MAC one way, MAC_A the other: a card that only our own reader believes is not FeliCa."""
    card = SITE.felica(IDM)
    rig.place(card)
    found = sensed(nfcpy, "212F")
    assert found.product == "FeliCa Lite-S (RC-S966)"
    key = card.blocks[0x87]
    assert not found.authenticate(bytes(16)), "a wrong key"
    assert found.authenticate(key[7::-1] + key[15:7:-1])
    assert found.read_with_mac(0x82)[:8] == IDM
    assert found.read_without_mac(0x86)[:2] == b"\x03\x00", "CKV tells the key's version"
    found.write_with_mac(b"sixteen letters!", 4)
    assert card.blocks[4] == b"sixteen letters!"
    assert found.is_present
    rig.take(card)
    assert not found.is_present


def test_a_host_at_the_old_speed_is_not_understood(loop, tmp_path):
    """A chip that hears every speed would hide a driver that forgot to change its own."""
    rig = Rig(loop, tmp_path / "ttySpeed", hears_speed=True)
    try:
        with serial.Serial(rig.wire.device, 115200, timeout=0.3) as slow:
            slow.write(bytes.fromhex("5555" + "00" * 14 + "0000ff03fdd41401170000"))
            assert len(slow.read(15)) == 15
            slow.write(bytes.fromhex("0000ff03fdd410071500"))
            assert len(slow.read(15)) == 15
            slow.write(bytes.fromhex("0000ff00ff00"))
            assert rig.has_changed.wait(2)
            slow.timeout = 0.05
            slow.write(bytes.fromhex("0000ff02fed4022a00"))
            assert slow.read(1) == b""
        with serial.Serial(rig.wire.device, 921600, timeout=0.3) as fast:
            fast.write(bytes.fromhex("0000ff02fed4022a00"))
            assert fast.read(19)[6:] == bytes.fromhex("0000ff06fad50332010607e800")
    finally:
        rig.wire.cut()
