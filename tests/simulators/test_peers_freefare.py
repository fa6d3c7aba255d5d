"""DESFire cards of ours before libfreefare, written by people who never saw our code; bytes paced at 115200."""

from __future__ import annotations

import os
import subprocess

import pytest

from simulators.cards.desfire import PICC, CardKey
from simulators.cards.fakes import wrong_keys
from simulators.cards.site import AID, PURPOSES, SiteCards, blank_desfire, credential_bytes
from simulators.pn532 import Pn532
from simulators.wire import SerialWire
from tests.simulators.freefare import connected

pytestmark = [pytest.mark.needs("libnfc"), pytest.mark.system]
UID = bytes.fromhex("04112233445566")
SITE = SiteCards(keys={purpose: {3: bytes((at + 1,)) * 16} for at, purpose in enumerate(PURPOSES)})
MASTER = SITE.key("desfire_master", UID)
READ = SITE.key("desfire_read", UID)


@pytest.fixture
def chip():
    return Pn532()


@pytest.fixture
def wire(loop, chip, tmp_path):
    made = SerialWire(loop, chip, tmp_path / "ttyCard", baud=115200)
    made.mend()
    yield made
    made.cut()


@pytest.fixture
def reader(wire, chip):
    def read(card):
        wire.touch(lambda now_ms: chip.place(card, now_ms))
        return connected(wire.device)

    return read


@pytest.mark.parametrize("generation", ["ev1", "ev2"])
def test_issued_card_proves_itself_to_libfreefare(reader, generation):
    """A card that only our own reader can authenticate proves nothing about either."""
    with reader(SITE.desfire(UID, generation=generation)) as peer:
        assert peer.select(AID) == 0
        assert peer.authenticate_aes(2, peer.aes(bytes(16))) == -1, "a wrong key"
        assert peer.read(1, 32) is None
        assert peer.authenticate_aes(2, peer.aes(READ.value)) == 0
        assert peer.read(1, 32) == credential_bytes(UID), "enciphered"
        assert peer.uid() == UID.hex(), "enciphered, with its CRC32"
        assert [peer.key_version(number) for number in (0, 1, 2)] == [3, 3, 3]


def test_random_uid_card_tells_who_it_is_to_the_key_for_that(reader):
    """A card that hides its number must tell it to the site, and to nobody else."""
    card = SITE.desfire(UID, is_uid_random=True)
    with reader(card) as peer:
        assert peer.select(AID) == 0
        assert peer.uid() is None
        assert peer.authenticate_aes(1, peer.aes(SITE.key("desfire_uid", b"").value)) == 0
        assert peer.uid() == UID.hex()
        assert peer.read(1, 32) is None, "and that key reads nothing"


def test_clone_with_wrong_keys_fails(reader):
    """The cloner's card must fail at the key, not by an accident of the simulator."""
    with reader(wrong_keys(UID)) as peer:
        assert peer.select(AID) == 0
        assert peer.authenticate_aes(2, peer.aes(READ.value)) == -1


def test_blank_card_is_made_ours_by_libfreefare(reader):
    """Personalisation on a simulated blank must be what it is on a real one: DES, then AES, then files."""
    card = blank_desfire(UID, generation="ev1")
    with reader(card) as peer:
        assert peer.authenticate(0, peer.des()) == 0
        assert peer.change_key(0, peer.aes(MASTER.value, MASTER.version), peer.des()) == 0
        assert card.application_keys[PICC] == [MASTER]
        assert peer.authenticate_aes(0, peer.aes(MASTER.value)) == 0
        assert peer.create_application_aes(peer.aid(AID), 0x0B, 3) == 0
        assert peer.select(AID) == 0
        zeros = peer.aes(bytes(16))
        assert peer.authenticate_aes(0, zeros) == 0
        assert peer.change_key(2, peer.aes(READ.value, READ.version), zeros) == 0, "another key than the session's"
        assert peer.create_std_data_file(1, 3, 0x2000, 32) == 0
        assert peer.create_std_data_file(2, 1, 0x2000, 100) == 0
        assert peer.create_std_data_file(3, 0, 0xE000, 100) == 0
        assert peer.write(1, b"enciphered and longer than that!") == 32
        assert peer.write(2, bytes(range(100))) == 100, "in two frames, with a MAC"
        assert peer.write(3, bytes(range(100, 200))) == 100
        assert peer.change_key(0, peer.aes(MASTER.value, MASTER.version), None) == 0
        assert card.application_keys[AID] == [MASTER, CardKey(), READ]
        assert peer.authenticate_aes(2, peer.aes(READ.value)) == 0
        assert peer.read(1, 32) == b"enciphered and longer than that!"
        assert peer.read(2, 100) == bytes(range(100)), "in two frames, with a CMAC"
        assert peer.read(3, 100) == bytes(range(100, 200))
        assert peer.read(3, 200) is None, "beyond the end"


def test_iso_authentication_and_settings(reader):
    """EV1's 3DES authentication (1A) and what may be set under it."""
    card = blank_desfire(UID)
    with reader(card) as peer:
        assert peer.authenticate_iso(0, peer.des()) == 0
        assert peer.create_application_aes(peer.aid(AID), 0x0B, 2) == 0
        assert peer.change_key_settings(0x0B) == 0
        assert peer.set_configuration(False, True) == 0
        assert peer.delete_application(peer.aid(AID)) == 0
        assert peer.change_key(0, peer.aes(MASTER.value, 7), peer.des()) == 0
        assert peer.authenticate_aes(0, peer.aes(MASTER.value)) == 0
        assert peer.format_picc() == 0
        assert peer.key_version(0) == 7
    assert card.is_uid_random
    assert card.applications[PICC].settings == 0x0B


def test_desfire_info_describes_the_card(wire, chip):
    """mifare-desfire-info reads version, settings and memory: a strange one would be no DESFire."""
    wire.touch(lambda now_ms: chip.place(blank_desfire(UID, generation="ev1"), now_ms))
    environment = os.environ | {"LIBNFC_DEFAULT_DEVICE": f"pn532_uart:{wire.device}:115200"}
    done = subprocess.run(
        ["mifare-desfire-info"], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert f" 0x{UID.hex()}\n" in done.stdout
    assert "Master Key version: 0" in done.stdout
    assert "Free memory: 8192 bytes" in done.stdout
