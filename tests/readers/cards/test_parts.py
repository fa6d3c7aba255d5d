"""The parts that sessions are made of, where a whole session does not reach them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cards.aes import AesKey, padded, unpadded
from readers.cards.aliro import AliroReader
from readers.cards.apdu import native, objects, parsed, tlv
from readers.cards.challenge import Challenger
from readers.cards.desfire import CREDENTIAL_FILE
from readers.cards.dialogue import DialogueSession
from readers.cards.diversify import diversified
from readers.cards.ev1 import Ev1Session, authenticate_aes
from readers.cards.ev2 import Fault, number_in
from readers.cards.felica import felica_session
from readers.cards.issue import Issued, Refused, issue
from readers.cards.ntag424 import ntag424_session
from readers.cards.pkoc import pkoc_session
from readers.cards.proving import RECORD_BYTES, candidates, is_record_of, record_of
from simulators.cards.desfire import CardKey, Desfire
from simulators.cards.site import maker_point, originality
from tests.readers.cards.peers import APPLICATION, READER, READER_ID, Dice, Felica, Ntag, NxpCard, Pkoc, SiteKeys, run
from tests.readers.cards.test_issue import order
from tests.readers.cards.test_sessions import asked, felica, ntag
from tests.readers.cards.test_with_simulated_cards import SITE, UID, Keys
from tests.readers.cards.test_with_simulated_cards import order as simulated_order
from tests.readers.cards.test_with_simulated_cards import run as run_simulated


def test_cmac_is_that_of_the_standard():
    """Every MAC that we make or check would be wrong (NIST SP 800-38B, examples of AES-128)."""
    key = AesKey(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    for size, mac in (
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ):
        assert key.cmac(message[:size]) == bytes.fromhex(mac)


def test_the_longest_input_fills_both_blocks():
    """A site with a long system id would get other keys than its cards (AN10922 §2.2, no padding)."""
    key = bytes(range(16))
    assert diversified(key, bytes(31)) == AesKey(key).cmac(b"\x01" + bytes(31))
    assert diversified(key, bytes(30)) != diversified(key, bytes(31))


@given(st.binary(max_size=70))
def test_padding_comes_off_as_it_went_on(plain):
    """A record would lose or gain bytes on its way."""
    assert unpadded(padded(plain)) == plain
    assert len(padded(plain)) % 16 == 0


@pytest.mark.parametrize("spoilt", ["", "00" * 16, "41" * 16, "80" + "00" * 16])
def test_what_is_not_padded_is_refused(spoilt):
    """A tampered answer would be read as an empty one."""
    assert unpadded(bytes.fromhex(spoilt)) is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("", {}),
        ("5C020100", {0x5C: b"\x01\x00"}),
        ("5C020100 9E81020102", {0x5C: b"\x01\x00", 0x9E: b"\x01\x02"}),
        ("7F4902AABB", {0x7F49: b"\xaa\xbb"}),
        ("5C820002AABB", {0x5C: b"\xaa\xbb"}),
        ("5C", None),
        ("5C03AABB", None),
        ("5C8102AA", None),
        ("5C82", None),
        ("5C80AABB", None),
        ("5C83000001AA", None),
        ("7F", None),
        ("5C01AA 5C01BB", None),
    ],
)
def test_objects(body, found):
    """A reader would believe half an object, or the second of two that contradict each other."""
    assert objects(bytes.fromhex(body)) == found


@given(st.dictionaries(st.sampled_from([0x41, 0x5A, 0x5C, 0x86, 0x9E]), st.binary(max_size=127)))
def test_objects_come_back(written):
    """What we send would not be what a card reads."""
    assert objects(b"".join(tlv(kind, value) for kind, value in written.items())) == written


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (None, None),
        ("04A1B2C3D4E580", "04A1B2C3D4E580"),
        ("0004" + "A1B2C3D4", "A1B2C3D4"),
        ("000A" + "01" * 10, "01" * 10),
        ("010A" + "01" * 10, None),
        ("0009" + "01" * 10, None),
        ("04A1B2C3", None),
    ],
)
def test_a_told_number(content, number):
    """A card would be looked up under a wrong number."""
    made = number_in(None if content is None else bytes.fromhex(content))
    assert made == (None if number is None else bytes.fromhex(number))


def test_a_record_names_its_card():
    """A record would fit another card whose number begins alike."""
    record = record_of(UID, b"serial")
    assert len(record) == RECORD_BYTES
    assert is_record_of(record, UID)
    assert is_record_of(record_of(UID, b"other!"), UID)
    assert not is_record_of(record, UID[:-1] + b"\x01")
    assert not is_record_of(record[:-1], UID)
    assert not is_record_of(None, UID)


@pytest.mark.parametrize(
    ("said", "known", "tried"),
    [
        (None, (), ()),
        (None, (3, 2, 1), (3, 2, 1)),
        (1, (5, 4, 3, 2, 1), (1, 5, 4)),
        (9, (5, 4, 3, 2, 1), (5, 4, 3)),
        (5, (5,), (5,)),
    ],
)
def test_versions_tried(said, known, tried):
    """A card that counts failures would be tried to death, or its right key never tried."""
    assert candidates(said, known) == tried


@pytest.mark.req("A-34")
def test_an_ev1_session_runs_its_vector_through_every_command():
    """After the first command of a session every further answer of a real EV1 card would be taken for a forgery."""
    card = SITE.desfire(UID, generation="ev1")
    card.activate()
    card.exchange(native(0x5A, bytes.fromhex("f53e4b")))

    def dialogue():
        session = yield from authenticate_aes(Keys().diversified("desfire_read", 2, UID), 2, bytes(range(16)))
        assert isinstance(session, Ev1Session)
        versions = []
        for _ in range(3):
            versions.append(session.mac_checked(parsed((yield session.command(0x64, b"\x02")))))
        record = yield from session.read(CREDENTIAL_FILE, RECORD_BYTES)
        number = yield from session.card_number()
        late = session.mac_checked(parsed(b"\x02" + bytes(8) + b"\x91\x00"))
        return versions, record, number, late, session.mac_checked(parsed(b"\x91\xae"))

    talk = DialogueSession(dialogue(), None)
    said = talk.begin()
    while isinstance(said, bytes):
        said = talk.answer(card.exchange(said))
    versions, record, number, late, refused = said
    assert versions == [b"\x02"] * 3
    assert is_record_of(record, UID)
    assert number == UID
    assert late is None
    assert refused is None


def test_a_blank_with_an_aes_factory_key_is_issued_too():
    """Half a delivery would be refused: some EV3 come with an AES key of zeros instead of DES."""
    card = Desfire(UID, generation="ev3", picc_key=CardKey(), signature=originality(UID))
    made = simulated_order(card, 1)
    assert made.makers == (maker_point(),)
    assert run_simulated(issue("desfire_ev2", made), card) == Issued(number=UID, scheme="desfire_ev2", key_version=1)


def test_a_card_that_will_not_prove_itself_in_the_end_is_not_issued():
    """The desk would hand out a card that does not open."""
    for scheme, card, command in (
        ("desfire_ev2", NxpCard(), 0xAD),
        ("ntag424", Ntag(), 0xAD),
    ):
        handler = getattr(card, f"on_{command:02x}")

        def spoilt(instruction, body, handler=handler, card=card):
            return handler(instruction, body) if card.session is None else b"\x91\x9d"

        setattr(card, f"on_{command:02x}", spoilt)
        assert run(issue(scheme, order(card)), card) == Refused(why="not_verified")
    card = Felica()
    card.refuses.add(0x92)
    assert run(issue("felica_lite_s", order(card)), card) == Refused(why="not_verified")


def test_a_key_that_vanishes_in_the_middle_stops_the_act():
    """A key retired at that very moment would end in a traceback, with a card half written."""

    class Vanishing(SiteKeys):
        def diversified(self, purpose, version, number):
            raise KeyError(purpose)

    card = NxpCard()
    assert run(issue("desfire_ev2", order(card, Vanishing())), card) == Refused(why="no_key")
    card = ntag(SiteKeys())
    verdict = asked(Vanishing(), card)
    assert not verdict.proof.is_genuine
    assert len(verdict.proof.nonce) == 16


def test_a_handshake_of_the_wrong_length_is_no_session():
    """A short answer would be deciphered as far as it goes."""
    for body in (b"", bytes(15), bytes(32)):
        talk = DialogueSession(authenticate_aes(bytes(16), 0, bytes(16)), None)
        talk.begin()
        assert talk.answer(body + b"\x91\xaf") is Fault.FAILED


def test_each_scheme_stands_alone():
    """A reader that knows what lies there would have no way to ask only that."""
    keys = SiteKeys()
    for card, session in (
        (ntag(keys), lambda c: ntag424_session(c.target(), keys, Dice(), APPLICATION)),
        (felica(keys), lambda c: felica_session(c.target(), keys, Dice(), APPLICATION)),
        (Pkoc(), lambda c: pkoc_session(c.target(), Dice(), READER_ID)),
    ):
        assert run(session(card), card).proof.is_genuine


def test_a_short_reader_id_is_our_own_mistake():
    """Phones would be told an id that no phone knows, and never open."""
    short = AliroReader(private_key=READER.private_key, reader_id=bytes(31))
    with pytest.raises(ValueError, match="32 bytes"):
        Challenger(SiteKeys(), Dice(), ("aliro",), APPLICATION, READER_ID, short)


def test_secrets_are_not_shown():
    """A key or a challenge would stand in a log (B-31)."""
    assert "private_key" not in repr(READER)
    fields = {field.name: field.repr for field in dataclasses.fields(AliroReader)}
    assert fields == {"private_key": False, "reader_id": True}
