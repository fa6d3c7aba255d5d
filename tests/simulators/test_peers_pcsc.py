"""Simulated cards on a desk reader: pcscd, vsmartcard's virtual reader and pyscard, none of them ours."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from simulators.cards import TypeACard
from simulators.cards.crypto import decrypt, encrypt, rotated
from simulators.cards.pkoc import PkocCard
from simulators.cards.site import AID, PURPOSES, SiteCards
from simulators.vpcd import DeskReader, atr_of, history_of
from tests.simulators.pcsc import DeskSoftware, running_pcscd

UID = bytes.fromhex("04112233445566")
SITE = SiteCards(keys={purpose: {1: bytes((at + 1,)) * 16} for at, purpose in enumerate(PURPOSES)})


@pytest.fixture(scope="module")
def slot(tmp_path_factory):
    with running_pcscd(tmp_path_factory.mktemp("pcscd")) as port:
        yield port


@pytest.fixture
def desk(slot, software):
    made = DeskReader(slot)
    yield made
    made.take()
    software.waits(is_present=False)  # pcscd looks a few times a second


@pytest.fixture
def software(slot):
    made = DeskSoftware()
    yield made
    made.close()


@pytest.mark.system
@pytest.mark.needs("pcscd", "peers")
def test_a_phone_signs_on_the_desk_reader(desk, software):
    """The enrolment desk must meet the same card as the door."""
    card = PkocCard(b"misaki", uid=UID)
    desk.place(card)
    assert software.waits(is_present=True) == atr_of(card)
    software.connect()
    assert software.ask(bytes.fromhex("ffca000000")) == UID + b"\x90\x00"
    assert software.ask(bytes.fromhex("00a4040008a00000089800000100")) == bytes.fromhex("5c0201009000")
    transaction = bytes(range(16))
    asked = bytes.fromhex("80800001385c0201004c10") + transaction + bytes.fromhex("4d20") + bytes(32) + b"\x00"
    said = software.ask(asked)
    signature = utils.encode_dss_signature(int.from_bytes(said[69:101]), int.from_bytes(said[101:133]))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), said[2:67])
    public.verify(signature, transaction, ec.ECDSA(hashes.SHA256()))


@pytest.mark.system
@pytest.mark.needs("pcscd", "peers")
def test_a_desfire_authenticates_on_the_desk_reader(desk, software):
    """Cards are made and replaced at the desk: the whole session must pass through PC/SC."""
    desk.place(SITE.desfire(UID))
    software.waits(is_present=True)
    software.connect()
    assert software.ask(bytes.fromhex("905a000003") + AID + b"\x00") == b"\x91\x00"
    key = SITE.key("desfire_read", UID).value
    said = software.ask(bytes.fromhex("90aa0000010200"))
    nonce_b = decrypt("aes", key, bytes(16), said[:16])
    proof = encrypt("aes", key, said[:16], bytes(16) + rotated(nonce_b))
    said = software.ask(b"\x90\xaf\x00\x00\x20" + proof + b"\x00")
    assert said[-2:] == b"\x91\x00"
    assert decrypt("aes", key, proof[-16:], said[:16]) == bytes(16)


@pytest.mark.parametrize(
    "ats, history",
    [
        ("067577810280", "80"),
        ("0578807002", ""),
        ("067777710280", "80"),
        ("0a7577810280aabbccdd", "80aabbccdd"),
        ("", ""),
    ],
)
def test_historical_bytes_of_an_ats(ats, history):
    """A wrong ATR makes software take the card for another kind."""
    assert history_of(bytes.fromhex(ats)).hex() == history
    atr = atr_of(TypeACard(uid=UID, sak=0x20, ats=bytes.fromhex(ats)))
    check = 0
    for byte in atr[1:]:
        check ^= byte
    assert check == 0
