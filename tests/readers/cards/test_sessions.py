"""One card before one reader: who is believed, who is not, and that nothing that a card says can break it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.cards.aliro import aliro_session
from readers.cards.challenge import Challenger
from readers.cards.desfire import desfire_session
from readers.cards.issue import Issued, Order, issue
from readers.cards.session import CardTarget, Left, NotOurs, Proved
from tests.readers.cards.peers import (
    APPLICATION,
    MAKER_POINT,
    RANDOM_UID,
    READER,
    READER_ID,
    UID,
    Aliro,
    Dice,
    Felica,
    Ntag,
    NxpCard,
    Pkoc,
    SiteKeys,
    run,
)

SCHEMES = ("desfire_ev2", "desfire_ev1", "ntag424", "pkoc", "felica_lite_s", "aliro")


def issued(kind, scheme, keys, *, is_random=False, uid=None):
    card = kind() if uid is None else kind(uid)
    order = Order(
        target=card.target(),
        keys=keys,
        random=Dice(5),
        application=APPLICATION,
        makers=(MAKER_POINT,),
        wants_random_uid=is_random,
    )
    assert isinstance(run(issue(scheme, order), card), Issued)
    return card


def ev2(keys):
    return issued(NxpCard, "desfire_ev2", keys)


def ev2_random(keys):
    return issued(NxpCard, "desfire_ev2", keys, is_random=True)


def ev1(keys):
    card = ev2(keys)
    card.knows_ev2 = False
    return card


def ev1_random(keys):
    card = ev2_random(keys)
    card.knows_ev2 = False
    return card


def ntag(keys):
    return issued(Ntag, "ntag424", keys)


def ntag_random(keys):
    return issued(Ntag, "ntag424", keys, is_random=True)


def felica(keys):
    return issued(Felica, "felica_lite_s", keys)


def pkoc(keys):
    return Pkoc()


def aliro(keys):
    return Aliro()


CARDS = {
    "ev2": (ev2, "desfire_ev2", 1),
    "ev2_random": (ev2_random, "desfire_ev2", 1),
    "ev1": (ev1, "desfire_ev1", 1),
    "ev1_random": (ev1_random, "desfire_ev1", 1),
    "ntag": (ntag, "ntag424", 1),
    "ntag_random": (ntag_random, "ntag424", 1),
    "felica": (felica, "felica_lite_s", 1),
    "pkoc": (pkoc, "pkoc", None),
    "aliro": (aliro, "aliro", None),
}
every_card = pytest.mark.parametrize("name", CARDS)
every_keyed_card = pytest.mark.parametrize("name", [name for name, row in CARDS.items() if row[2] is not None])


def true_number(card):
    if isinstance(card, NxpCard):
        return card.uid
    return card.idm if isinstance(card, Felica) else None


def challenger(keys, dice=None, schemes=SCHEMES):
    return Challenger(keys, dice or Dice(), schemes, APPLICATION, READER_ID, READER)


def asked(keys, card, dice=None, **more):
    return run(challenger(keys, dice).session(card.target()), card, **more)


@pytest.mark.req("A-34", "B-28")
@every_card
def test_a_card_of_ours_proves_itself(name):
    """A cardholder with a good card would stand before a closed door."""
    make, scheme, version = CARDS[name]
    keys = SiteKeys()
    card = make(keys)
    verdict = asked(keys, card)
    assert isinstance(verdict, Proved)
    assert verdict.proof.is_genuine
    assert (verdict.proof.scheme, verdict.proof.key_version) == (scheme, version)
    assert verdict.number == (true_number(card) or verdict.number)
    assert len(verdict.number) == 32 or verdict.number == true_number(card)


@pytest.mark.req("B-22")
@every_card
def test_every_presentation_has_its_own_nonce(name):
    """A replay could not be told from the card: the challenge is short, constant or not ours."""
    keys, dice = SiteKeys(), Dice()
    card = CARDS[name][0](keys)
    nonces = [asked(keys, card, dice).proof.nonce for _ in range(20)]
    assert len(set(nonces)) == 20
    assert {len(nonce) for nonce in nonces} == {16}


@pytest.mark.req("B-22")
@every_card
def test_a_replayed_transcript_never_verifies(name):
    """Somebody who recorded one presentation would walk in with a tape of it."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    tape = []

    def recorded(command):
        tape.append(card(command))
        return tape[-1]

    recorded.lost = card.lost
    assert run(challenger(keys).session(card.target()), recorded).proof.is_genuine
    player = iter(tape)

    def replayed(_):
        return next(player, None)

    replayed.lost = lambda: None
    verdict = run(challenger(keys, Dice(2)).session(card.target()), replayed)
    assert not (isinstance(verdict, Proved) and verdict.proof.is_genuine)
    assert not isinstance(verdict, NotOurs)


@pytest.mark.req("A-34")
@every_keyed_card
def test_a_copy_with_the_right_number_and_other_keys_is_not_genuine(name):
    """A cloned card would open: only its number was looked at (UID cloning)."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    if isinstance(card, Felica):
        card.blocks[0x87] = bytes(range(16))
    else:
        app = card.app if isinstance(card, Ntag) else card.apps[APPLICATION]
        app.keys[2] = (bytes(range(16)), 1)
    verdict = asked(keys, card)
    assert isinstance(verdict, Proved)
    assert not verdict.proof.is_genuine
    assert verdict.number == true_number(card)
    assert len(verdict.proof.nonce) >= 16


@pytest.mark.req("A-34")
@pytest.mark.parametrize("name", ["ev2_random", "ev1_random", "ntag_random"])
def test_a_copy_that_does_not_even_know_the_shared_key_is_not_genuine(name):
    """A copy with a random UID would be waved through as somebody unknown, without an alarm."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    app = card.app if isinstance(card, Ntag) else card.apps[APPLICATION]
    app.keys[1] = (bytes(range(16)), 1)
    verdict = asked(keys, card)
    assert isinstance(verdict, Proved)
    assert not verdict.proof.is_genuine
    assert verdict.number == RANDOM_UID


@pytest.mark.req("A-34")
@pytest.mark.parametrize("name", ["ev2", "ev1", "ntag"])
def test_a_genuine_card_with_another_cards_number_is_not_genuine(name):
    """Whoever has one good card would be everybody: its keys do not depend on its number."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    other = CardTarget(kind="iso14443a", number=bytes.fromhex("04FFEEDDCCBB80"), sak=0x20)
    verdict = run(challenger(keys).session(other), card)
    assert isinstance(verdict, Proved)
    assert not verdict.proof.is_genuine


@pytest.mark.req("A-34")
@pytest.mark.parametrize("name", ["ev2", "ev1", "ntag"])
def test_a_record_of_another_card_is_not_genuine(name):
    """A copied container would be accepted as this card's own."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    file = card.app.files[3] if isinstance(card, Ntag) else card.apps[APPLICATION].files[1]
    file[9] ^= 1
    assert not asked(keys, card).proof.is_genuine


@pytest.mark.req("A-09")
@every_keyed_card
def test_a_retired_key_version_is_not_genuine(name):
    """A key that was withdrawn would still open."""
    card = CARDS[name][0](SiteKeys())
    gone = SiteKeys(**dict.fromkeys(SiteKeys().held, (3, 2)))
    verdict = asked(gone, card)
    assert isinstance(verdict, Proved)
    assert not verdict.proof.is_genuine


@pytest.mark.req("A-09")
@every_keyed_card
@pytest.mark.parametrize("tells", [True, False])
def test_a_card_with_an_older_but_valid_key_still_opens(name, tells):
    """On the day of a new key the whole company would stand outside."""
    card = CARDS[name][0](SiteKeys())
    if isinstance(card, NxpCard):
        card.tells_versions = tells
    verdict = asked(SiteKeys(**dict.fromkeys(SiteKeys().held, (2, 1))), card)
    assert verdict.proof.is_genuine
    assert verdict.proof.key_version == 1


@pytest.mark.parametrize("name", ["ev2", "ntag"])
def test_a_card_is_not_tried_for_ever(name):
    """A card that counts failures would be locked by our own reader."""
    card = CARDS[name][0](SiteKeys())
    tries = []

    def counted(command):
        tries.append(command[1] == 0x71)
        return card(command)

    counted.lost = card.lost
    many = SiteKeys(**dict.fromkeys(SiteKeys().held, tuple(range(99, 50, -1))))
    assert not run(challenger(many).session(card.target()), counted).proof.is_genuine
    assert sum(tries) == 3


@pytest.mark.parametrize("kind", [NxpCard, Ntag, Felica])
def test_a_foreign_or_blank_card_is_not_ours(kind):
    """Every transit card at the door would raise an alarm of forgery."""
    assert asked(SiteKeys(), kind()) == NotOurs()


def test_another_sites_cards_are_not_ours():
    """The neighbours' cards would raise an alarm of forgery."""
    keys = SiteKeys()
    for name in ("ev2", "ntag", "felica"):
        card = CARDS[name][0](keys)
        other = Challenger(keys, Dice(), SCHEMES, b"\x01\x02\x03", READER_ID, READER)
        assert run(other.session(card.target()), card) == NotOurs()


@every_card
def test_a_card_taken_away_at_any_moment_has_left(name):
    """Somebody too quick would be called a forger, or be let in half proved."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    steps = 0
    while (verdict := asked(keys, card, until=steps)) == Left():
        steps += 1
    assert verdict.proof.is_genuine
    assert steps >= 3


@pytest.mark.req("A-34")
@every_card
def test_an_answer_cut_at_any_byte_proves_nothing(name):
    """Half an answer would count as a whole one."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    only = challenger(keys, schemes=(CARDS[name][1],))
    commands = []

    def noted(command):
        answer = card(command)
        commands.append((command, len(answer)))
        return answer

    noted.lost = card.lost
    run(only.session(card.target()), noted)
    for at, (command, size) in enumerate(list(commands)):
        if command[:2] == b"\x90\x64":
            continue  # the version that a card claims proves nothing, and need not be told
        for cut in range(size):
            verdict = run(only.session(card.target()), Spoilt(card, at, lambda whole, n=cut: whole[:n]))
            assert not (isinstance(verdict, Proved) and verdict.proof.is_genuine), (at, cut)


class Spoilt:
    """A card one of whose answers (the `at`th; every one: None) is changed on its way."""

    def __init__(self, card, at, change):
        self.card, self.at, self.change, self.count = card, at, change, 0

    def __call__(self, command):
        answer = self.card(command)
        self.count += 1
        return self.change(answer) if self.at in {None, self.count - 1} and answer is not None else answer

    def lost(self):
        self.card.lost()


@pytest.mark.req("A-34")
@every_card
def test_a_flipped_bit_never_makes_another_card_of_it(name):
    """Noise, or a man in the middle, would turn one card into another."""
    keys = SiteKeys()
    card = CARDS[name][0](keys)
    good = asked(keys, card)
    for at in range(12):
        for byte in range(0, 70, 3):

            def flipped(whole, where=byte):
                if where >= len(whole):
                    return whole
                return whole[:where] + bytes((whole[where] ^ 0x11,)) + whole[where + 1 :]

            verdict = run(challenger(keys).session(card.target()), Spoilt(card, at, flipped))
            if isinstance(verdict, Proved) and verdict.proof.is_genuine:
                assert verdict.number == good.number


@pytest.mark.req("A-34")
@settings(max_examples=120)
@given(
    kind=st.sampled_from(["iso14443a", "felica"]),
    number=st.sampled_from([UID, RANDOM_UID, bytes(8)]),
    answers=st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.binary(max_size=64).map(lambda body: body + b"\x91\x00"),
            st.binary(min_size=16, max_size=16).map(lambda body: body + b"\x91\xaf"),
            st.binary(max_size=64).map(lambda body: body + b"\x90\x00"),
            st.just(b"\x91\x00"),
            st.just(b"\x90\x00"),
            st.binary(max_size=70).map(lambda body: b"\x07" + bytes(8) + b"\0\0\x02" + body),
        ),
        max_size=40,
    ),
)
def test_whatever_is_said_there_is_a_verdict_and_it_is_not_genuine(kind, number, answers):
    """One strange card would stop a reader, or guess its way in."""
    target = CardTarget(kind=kind, number=number, sak=0x20, system_code=b"\x88\xb4" if kind == "felica" else b"")
    session = challenger(SiteKeys()).session(target)
    said = session.begin()
    queue = iter(answers)
    for _ in range(60):
        if not isinstance(said, bytes):
            break
        said = session.answer(next(queue, None))
    assert isinstance(said, Proved | NotOurs | Left)
    assert not (isinstance(said, Proved) and said.proof.is_genuine)
    assert session.answer(b"\x91\x00") == said


def test_a_site_without_keys_asks_nobody():
    """A site that only registers PKOC cards would call every DESFire card a forgery."""
    keys = SiteKeys()
    cards = [CARDS[name][0](keys) for name in ("ev2", "ntag", "felica")]
    none = SiteKeys(**dict.fromkeys(keys.held, ()))
    for card in cards:
        assert asked(none, card) == NotOurs()


@pytest.mark.req("A-34", "B-28")
def test_pkoc_refuses_a_bad_signature_and_a_point_off_the_curve():
    """Any public key that somebody read off a card would open without its private half."""
    card = Pkoc()
    other = Pkoc(secret=4712)
    other.point = card.point
    verdict = asked(SiteKeys(), other)
    assert isinstance(verdict, Proved)
    assert not verdict.proof.is_genuine
    assert verdict.number == card.point[1:33]
    other.point = b"\x04" + bytes(63) + b"\x01"
    verdict = asked(SiteKeys(), other)
    assert not verdict.proof.is_genuine
    assert verdict.number == RANDOM_UID


def test_pkoc_of_another_version_is_not_ours():
    """We would speak 1.1 to a card that said it does not."""
    card = Pkoc()
    card.versions = bytes.fromhex("0200")
    assert asked(SiteKeys(), card) == NotOurs()
    card.versions = bytes.fromhex("02000100")
    assert asked(SiteKeys(), card).proof.is_genuine


def test_felica_that_does_not_take_our_proof_is_not_genuine():
    """A card that answers from a recording but cannot check the reader would pass as mutual."""
    keys = SiteKeys()
    card = felica(keys)
    card.refuses.add(0x92)
    assert not asked(keys, card).proof.is_genuine


def test_aliro_is_off_unless_it_is_configured():
    """An experimental protocol would run at every door that nobody asked it for."""
    card = Aliro()
    session = Challenger(SiteKeys(), Dice(), ("aliro",), APPLICATION, READER_ID).session(card.target())
    assert session is None
    assert run(aliro_session(card.target(), Dice(), READER), card).proof.is_genuine


def test_only_what_can_answer_is_asked():
    """The reader would lose time on cards that speak nothing, or shout at transit cards."""
    keys = SiteKeys()
    assert challenger(keys).session(CardTarget(kind="iso14443a", number=UID, sak=0x08)) is None
    assert challenger(keys).session(CardTarget(kind="felica", number=bytes(8), system_code=b"\x00\x03")) is None
    assert challenger(keys, schemes=("pkoc",)).session(CardTarget(kind="felica", number=bytes(8))) is None
    with pytest.raises(ValueError, match="3 bytes"):
        Challenger(keys, Dice(), SCHEMES, b"\x01")


def test_a_card_of_ours_that_knows_none_of_the_schemes_is_not_genuine():
    """A copy would escape the alarm by claiming to be too old to prove anything."""
    keys = SiteKeys()
    card = ev1(keys)
    verdict = run(desfire_session(card.target(), keys, Dice(), APPLICATION, ("desfire_ev2",)), card)
    assert not verdict.proof.is_genuine


@pytest.mark.parametrize("name", CARDS)
def test_our_share_of_an_apdu_is_short(name):
    """The door would feel slow because of us, not of the card: over 0.3 ms per APDU of our own."""
    keys, dice = SiteKeys(), Dice()
    card = CARDS[name][0](keys)
    best = float("inf")
    for _ in range(12):
        session = challenger(keys, dice).session(card.target())
        spent, count = 0.0, 0
        began = time.perf_counter()
        said = session.begin()
        spent += time.perf_counter() - began
        while isinstance(said, bytes):
            answer = card(said)
            began = time.perf_counter()
            said = session.answer(answer)
            spent += time.perf_counter() - began
            count += 1
        card.lost()
        best = min(best, spent / count)
    assert best < 0.0003
