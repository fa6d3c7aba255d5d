"""The PN532 simulator before its sternest judge: the real libnfc, by nfc-list and through pynfc."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simulators.cards import card_of
from simulators.cards.site import blank_desfire
from simulators.pn532 import Pn532
from simulators.wire import SerialWire
from tests.simulators.freefare import opened

pytestmark = [pytest.mark.needs("libnfc"), pytest.mark.req("S-01")]


@pytest.fixture
def chip():
    return Pn532()


@pytest.fixture
def wire(loop, chip, tmp_path):
    made = SerialWire(loop, chip, tmp_path / "ttyCard", baud=115200)
    made.mend()
    yield made
    made.cut()


def place(wire, chip, kind, number):
    card = card_of(kind, bytes.fromhex(number))
    wire.touch(lambda now_ms: chip.place(card, now_ms))


def nfc_list(wire) -> str:
    environment = os.environ | {"LIBNFC_DEFAULT_DEVICE": f"pn532_uart:{wire.device}:115200", "LIBNFC_LOG_LEVEL": "0"}
    done = subprocess.run(["nfc-list"], env=environment, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.replace("  ", " ")


def test_empty_field(wire):
    """libnfc must open the simulator before anything else can be believed."""
    said = nfc_list(wire)
    assert "opened" in said
    assert "found" not in said


@pytest.mark.parametrize(
    "kind, number, said",
    [
        ("iso14443a", "04a1b2c3", "UID (NFCID1): 04 a1 b2 c3"),
        ("iso14443a", "04112233445566", "ATS: 75 77 81 02 80"),
        ("felica", "01147a0b2c3d4e5f", "ID (NFCID2): 01 14 7a 0b 2c 3d 4e 5f"),
    ],
)
def test_nfc_list_reads_the_card(wire, chip, kind, number, said):
    """A card that only our own driver can read is no card."""
    place(wire, chip, kind, number)
    assert said in nfc_list(wire)


@pytest.mark.parametrize("number", ["04a1b2c3", "04112233445566"])
def test_pynfc_reads_the_card(wire, chip, number):
    """The reader backend through pynfc must have something real to stand on."""
    place(wire, chip, "iso14443a", number)
    program = f"import pynfc; n = pynfc.Nfc('pn532_uart:{wire.device}:115200'); print(next(n.poll()).uid.decode())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == number


def test_pynfc_waits_for_a_card_that_comes_later(wire, chip):
    """An endless poll must be answered by the card, not by a time-out."""
    program = f"import pynfc; n = pynfc.Nfc('pn532_uart:{wire.device}:115200'); print(next(n.poll()).uid.decode())"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as waiting:
        card = card_of("iso14443a", bytes.fromhex("04a1b2c3"))
        wire.touch(lambda now_ms: chip.place(card, now_ms))
        said, _ = waiting.communicate(timeout=30)
    assert said.strip() == "04a1b2c3"


def test_libnfc_sees_the_card_come_and_go(wire, chip):
    """libnfc waits for a removal by asking the chip: a card that never leaves would hang it."""
    card = card_of("iso14443a", bytes.fromhex("04112233445566"))
    with opened(wire.device) as device:
        assert not device.polls(), "an empty field"
        wire.touch(lambda now_ms: chip.place(card, now_ms))
        assert device.polls()
        assert 0x60 in chip.commands_seen, "InAutoPoll is what libnfc asks a PN532"
        assert device.is_present()
        wire.touch(lambda now_ms: chip.take(card, now_ms))
        assert not device.is_present()


@pytest.mark.parametrize("key, is_right", [("0000000000000000", True), ("1234567890abcdef", False)])
def test_pynfc_authenticates_a_blank_desfire(wire, chip, key, is_right):
    """What pynfc can prove, it proves against our card: the card's own level with DES."""
    card = blank_desfire(bytes.fromhex("04112233445566"))
    wire.touch(lambda now_ms: chip.place(card, now_ms))
    program = (
        f"import pynfc; n = pynfc.Nfc('pn532_uart:{wire.device}:115200'); t = next(n.poll());"
        f"print(type(t).__name__, t.auth(bytes.fromhex('{key}'), 0))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["Desfire", str(is_right)]
