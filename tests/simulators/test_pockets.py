"""What people of a building file hold to a reader: cards with keys, and what somebody made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.building import SimulatedBuilding
from simulators.cards import FelicaCard, TypeACard
from simulators.cards.desfire import Desfire
from simulators.cards.felica import FelicaLiteS
from simulators.cards.ntag424 import Ntag424
from simulators.cards.pkoc import PkocCard
from simulators.cards.site import AID, PURPOSES, credential_bytes
from simulators.people import Pace
from simulators.plan import BuildingFileError, Plan, load
from simulators.pockets import Pockets
from tests.simulators.freefare import connected

PLAIN = Path(__file__).parents[1] / "system" / "plain" / "building.toml"
UID, IDM = "04112233445566", "0102030405060708"
KEYS = {purpose: {1: bytes((at + 1,)) * 16, 2: bytes((at + 17,)) * 16} for at, purpose in enumerate(PURPOSES)}


@pytest.fixture
def pockets():
    made = Pockets(KEYS)
    made.put(UID, "desfire", "iso14443a")
    made.put(IDM, "felica-lite-s", "felica")
    return made


@pytest.mark.parametrize(
    "card_type, number, kind, made",
    [
        ("uid", "04A1B2C3", "iso14443a", TypeACard),
        ("uid", IDM, "felica", FelicaCard),
        ("desfire", UID, "iso14443a", Desfire),
        ("ntag424", UID, "iso14443a", Ntag424),
        ("pkoc", "04A1B2C3", "iso14443a", PkocCard),
        ("felica-lite-s", IDM, "felica", FelicaLiteS),
    ],
)
def test_everybody_has_the_card_that_the_file_says(card_type, number, kind, made):
    """A demo in which a strong card is a bare number would show nothing."""
    pockets = Pockets(KEYS)
    pockets.put(number, card_type, kind)
    card = pockets.held(number, kind)
    assert type(card) is made
    assert card.number == bytes.fromhex(number)
    assert pockets.held(number, kind) is card, "it is the same card the next time"


def test_newest_key_is_on_the_card(pockets):
    """Cards of the file carry the version that the site would issue today."""
    assert [key.version for key in pockets.held(UID, "iso14443a").application_keys[AID]] == [2, 2, 2]


def test_copies_have_the_number_and_nothing_else(pockets):
    """What a cloner has must not be able to do what the card does."""
    copy = pockets.held(UID, "iso14443a", "copy")
    assert (type(copy), copy.number) == (TypeACard, bytes.fromhex(UID))
    assert copy.exchange(b"\x5a" + AID) == b"\x6d\x00"
    assert pockets.held(UID, "iso14443a", "no-application").exchange(b"\x5a" + AID) == b"\xa0"
    keys = pockets.held(UID, "iso14443a", "wrong-keys").application_keys[AID]
    assert keys != pockets.held(UID, "iso14443a").application_keys[AID]
    other = pockets.held(IDM, "felica", "wrong-keys")
    assert other.blocks[0x87] != pockets.held(IDM, "felica").blocks[0x87]


def test_recording_is_played_back(pockets):
    """The attacker's recording must hold what really passed."""
    with pytest.raises(ValueError, match="nothing was recorded"):
        pockets.held(UID, "iso14443a", "replay")
    recorded = pockets.held(UID, "iso14443a", "recorded")
    recorded.activate()
    said = [recorded.exchange(b"\x5a" + AID), recorded.exchange(b"\xaa\x02")]
    replayed = pockets.held(UID, "iso14443a", "replay")
    assert [replayed.exchange(b"\x5a" + AID), replayed.exchange(b"\xaa\x02")] == said


def test_felica_is_recorded_and_played_back(pockets):
    """The same attack on the other kind of card."""
    asked = b"\x06" + bytes.fromhex(IDM) + bytes.fromhex("010b00018082")
    said = pockets.held(IDM, "felica", "recorded").exchange(asked)
    assert said[:1] == b"\x07"
    assert pockets.held(IDM, "felica", "replay").exchange(asked) == said


@pytest.mark.parametrize(
    "number, kind, how",
    [
        ("04A1B2C3", "iso14443a", "leaving"),
        ("04A1B2C3", "iso14443a", "recorded"),
        ("04A1B2C3", "iso14443a", "wrong-keys"),
        (IDM, "felica", "leaving"),
        (IDM, "felica", "no-application"),
    ],
)
def test_what_cannot_be_done_with_a_card_is_said(pockets, number, kind, how):
    """A hand that silently does something else would show a wrong attack."""
    with pytest.raises(ValueError, match=f"held {how}"):
        pockets.held(number, kind, how)


FAULTS = [
    ('card = "04A1B2C3"\ncard_type = "desfire"', "14 hexadecimal digits"),
    (f'card = "{UID}"\ncard_type = "desfire"', r"card_keys.desfire_master: missing"),
    (f'card = "{IDM}"\nkind = "felica"\ncard_type = "pkoc"', "a pkoc card is type A"),
    ('card = "04A1B2C3"\ncard_type = "felica-lite-s"', "set kind = felica"),
    (f'card = "{UID}"\ncard_type = "mifare"', "card_type"),
    ('card = "04A1B2C3"\n[card_keys.desfire_read]\n0 = "00000000000000000000000000000000"', "card_keys"),
    ('card = "04A1B2C3"\n[card_keys.desfire_read]\n1 = "00"', "card_keys"),
]


@pytest.mark.parametrize("lines, said", FAULTS)
def test_file_with_an_impossible_card_is_refused(tmp_path, lines, said):
    """A typo in a card would look like a reader's fault."""
    path = tmp_path / "building.toml"
    whole = PLAIN.read_text("utf-8").split("[[people]]")[0]
    path.write_text(f'{whole}\n[[people]]\nname = {{ ja = "佐藤 美咲", en = "SATO Misaki" }}\n{lines}\n', "utf-8")
    with pytest.raises(BuildingFileError, match=said):
        load(path)


@pytest.mark.needs("mosquitto", "libnfc")
@pytest.mark.system
def test_desfire_of_a_building_is_one_to_libfreefare(mosquitto, tmp_path):
    """The card that somebody of the file holds to the vault's reader must prove itself there."""
    fields = load(PLAIN).model_dump()
    fields["people"] = [{"name": {"ja": "佐藤 美咲", "en": "SATO Misaki"}, "card": UID, "card_type": "desfire"}]
    fields["card_keys"] = {purpose: {"1": key[1].hex()} for purpose, key in KEYS.items()}
    plan = Plan.model_validate(fields)
    with SimulatedBuilding(plan, run_dir=tmp_path, broker=mosquitto.address, pace=Pace(hold_ms=5000)) as building:
        building.badge(UID, door="vault", wait_ms=1)
        read = building.pockets.site.key("desfire_read", bytes.fromhex(UID)).value
        with connected(str(building.fittings.wires["rd-vault-in"].link)) as peer:
            assert peer.select(AID) == 0
            assert peer.authenticate_aes(2, peer.aes(read)) == 0
            assert peer.read(1, 32) == credential_bytes(bytes.fromhex(UID))
