"""The enrolment desk: what a blank becomes, what is refused before a key is used, and what a power cut leaves."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.cards.issue import Issued, Order, Refused, Retired, issue, rekey, retire
from readers.cards.session import CardTarget, NotOurs, Proved
from tests.readers.cards.peers import (
    APPLICATION,
    IDM,
    MAKER_POINT,
    RANDOM_UID,
    UID,
    App,
    Dice,
    Felica,
    Ntag,
    NxpCard,
    Pkoc,
    SiteKeys,
    run,
)
from tests.readers.cards.test_sessions import asked

KINDS = {"desfire_ev2": NxpCard, "ntag424": Ntag, "felica_lite_s": Felica}
every_scheme = pytest.mark.parametrize("scheme", KINDS)
NUMBERS = {"desfire_ev2": UID, "ntag424": UID, "felica_lite_s": IDM}
NEWER = SiteKeys(**dict.fromkeys(SiteKeys().held, (2, 1)))


def order(card, keys=None, **more):
    more.setdefault("random", Dice(5))
    return Order(target=card.target(), keys=keys or SiteKeys(), application=APPLICATION, makers=(MAKER_POINT,), **more)


def fields(card):
    """Every key that the card holds."""
    if isinstance(card, Felica):
        return {card.blocks[0x87]}
    apps = [card.picc, *card.apps.values(), *([card.app] if isinstance(card, Ntag) else [])]
    return {key for app in apps for key, _ in app.keys}


@pytest.mark.req("A-34", "B-28")
@every_scheme
@pytest.mark.parametrize("is_random", [False, True])
def test_a_blank_becomes_a_credential(scheme, is_random):
    """Enrolment would hand out a card that does not open, or keeps a factory key (B-14)."""
    card, keys = KINDS[scheme](), SiteKeys()
    outcome = run(issue(scheme, order(card, keys, wants_random_uid=is_random)), card)
    assert outcome == Issued(number=NUMBERS[scheme], scheme=scheme, key_version=1)
    verdict = asked(keys, card)
    assert isinstance(verdict, Proved)
    assert verdict.proof.is_genuine
    assert verdict.number == NUMBERS[scheme]
    if scheme == "desfire_ev2":
        assert bytes(16) not in fields(card)
    if scheme == "ntag424":
        assert bytes(16) not in {key for key, _ in card.app.keys}


@pytest.mark.req("B-28")
def test_two_cards_share_no_key_but_the_one_that_proves_nothing():
    """One opened card would open all others (complaint 12: per-UID keys)."""
    one, two = NxpCard(), NxpCard(bytes.fromhex("04010203040580"))
    for card in (one, two):
        assert isinstance(run(issue("desfire_ev2", order(card)), card), Issued)
    keys = [card.apps[APPLICATION].keys for card in (one, two)]
    assert keys[0][1] == keys[1][1]
    assert {keys[0][0], keys[0][2]}.isdisjoint({keys[1][0], keys[1][2]})
    assert one.picc.keys != two.picc.keys


def fake_signature():
    return NxpCard(maker=ec.derive_private_key(8, ec.SECP224R1()))


def no_signature():
    return NxpCard(maker=None)


def wrong_hardware():
    card = NxpCard()
    card.hardware = bytes.fromhex("04020112001A05")
    return card


def wrong_vendor():
    card = NxpCard()
    card.hardware = bytes.fromhex("05010112001A05")
    return card


def ev1_chip():
    card = NxpCard()
    card.hardware = bytes.fromhex("04010101001A05")
    return card


def foreign_application():
    card = NxpCard()
    card.apps[b"\x01\x02\x03"] = App([(bytes(16), 0)])
    return card


def foreign_master():
    card = NxpCard()
    card.picc.keys[0], card.is_des = (bytes(range(16)), 9), False
    return card


def foreign_des():
    card = NxpCard()
    card.on_1a = lambda *_: b"\x91\xae"
    return card


def begun():
    card = NxpCard()
    card.apps[APPLICATION] = App([(bytes(16), 0)] * 3)
    return card


def foreign_ntag():
    card = Ntag()
    card.app.keys[0] = (bytes(range(16)), 1)
    return card


def lite():
    card = Felica()
    card.blocks[0x83] = card.blocks[0x83][:9] + b"\xf0" + card.blocks[0x83][10:]
    return card


def other_idm():
    card = Felica()
    card.blocks[0x83] = bytes(8) + card.blocks[0x83][8:]
    return card


def locked_felica():
    card = Felica()
    card.blocks[0x88] = bytes.fromhex("FFFF0001070100000000000001000000")
    return card


def foreign_felica():
    card = Felica()
    card.blocks[0x87] = bytes(range(16))
    return card


@pytest.mark.req("A-34")
@pytest.mark.parametrize(
    ("scheme", "make", "why"),
    [
        ("desfire_ev2", fake_signature, "not_original"),
        ("desfire_ev2", no_signature, "not_original"),
        ("desfire_ev2", wrong_hardware, "wrong_type"),
        ("desfire_ev2", wrong_vendor, "wrong_type"),
        ("desfire_ev2", ev1_chip, "wrong_type"),
        ("desfire_ev2", Ntag, "wrong_type"),
        ("desfire_ev2", foreign_application, "not_blank"),
        ("desfire_ev2", foreign_master, "not_blank"),
        ("desfire_ev2", foreign_des, "not_blank"),
        ("desfire_ev2", begun, "already_ours"),
        ("desfire_ev2", Pkoc, "wrong_type"),
        ("ntag424", NxpCard, "wrong_type"),
        ("ntag424", foreign_ntag, "not_blank"),
        ("felica_lite_s", lite, "wrong_type"),
        ("felica_lite_s", other_idm, "uid_changed"),
        ("felica_lite_s", locked_felica, "not_blank"),
        ("felica_lite_s", foreign_felica, "not_blank"),
        ("pkoc", NxpCard, "wrong_type"),
    ],
)
def test_a_wrong_or_faked_blank_is_refused_before_a_key_is_used(scheme, make, why):
    """Somebody's faked blank would collect the site's keys at the desk (complaint 12)."""
    card, keys = make(), SiteKeys()
    before = None if isinstance(card, Pkoc) else fields(card)
    assert run(issue(scheme, order(card, keys)), card) == Refused(why=why)
    if before is not None:
        assert fields(card) == before
    assert [row for row in keys.asked if row[0] != "desfire_master" or why != "not_blank"] == []


def test_a_card_that_changes_its_number_is_refused():
    """The keys of one card would be written into another."""
    card = NxpCard()
    other = CardTarget(kind="iso14443a", number=bytes.fromhex("04FFEEDDCCBB80"), sak=0x20)
    made = Order(target=other, keys=SiteKeys(), random=Dice(), application=APPLICATION, makers=(MAKER_POINT,))
    assert run(issue("desfire_ev2", made), card) == Refused(why="uid_changed")


@every_scheme
def test_an_issued_card_is_not_issued_again_unasked(scheme):
    """A colleague's card would be overwritten at the desk."""
    card = KINDS[scheme]()
    assert isinstance(run(issue(scheme, order(card)), card), Issued)
    assert run(issue(scheme, order(card)), card) == Refused(why="already_ours")


@every_scheme
@pytest.mark.parametrize(("held", "why"), [((), "no_key"), ((0,), "version_zero")])
def test_without_proper_keys_no_card_is_begun(scheme, held, why):
    """A card would be spoilt half-way, or get a key that looks like the factory's."""
    card = KINDS[scheme]()
    before = fields(card)
    keys = SiteKeys(**dict.fromkeys(SiteKeys().held, held))
    assert run(issue(scheme, order(card, keys)), card) == Refused(why=why)
    assert fields(card) == before


@every_scheme
@pytest.mark.parametrize("is_random", [False, True])
def test_a_power_cut_at_any_step_leaves_a_card_that_can_be_begun_again(scheme, is_random):
    """A clumsy hand at the desk would cost a card."""
    step = 1
    while True:
        card, keys, dice = KINDS[scheme](), SiteKeys(), Dice(5)
        made = order(card, keys, random=dice, wants_random_uid=is_random)
        outcome = run(issue(scheme, made), card, until=step)
        if isinstance(outcome, Issued):
            break
        assert outcome == Refused(why="card_left")
        again = order(card, keys, random=dice, wants_random_uid=is_random, is_again=True)
        assert run(issue(scheme, again), card) == Issued(number=NUMBERS[scheme], scheme=scheme, key_version=1), step
        verdict = asked(keys, card)
        assert isinstance(verdict, Proved)
        assert verdict.proof.is_genuine
        step += 1
    assert step > 8


@every_scheme
def test_an_answer_lost_at_any_step_is_the_same_as_a_power_cut(scheme):
    """A card that did what it was told and could not say so would be lost: the worst moment for a hand to slip."""
    step = 0
    while True:
        card, keys, dice = KINDS[scheme](), SiteKeys(), Dice(5)
        outcome = run(issue(scheme, order(card, keys, random=dice)), Deaf(card, step))
        if isinstance(outcome, Issued):
            break
        again = order(card, keys, random=dice, is_again=True)
        assert isinstance(run(issue(scheme, again), card), Issued), step
        assert asked(keys, card).proof.is_genuine
        step += 1
    assert step > 8


class Deaf:
    """A card whose answer to the `at`th command, which it obeys, and every later one is lost."""

    def __init__(self, card, at):
        self.card, self.at, self.count = card, at, 0

    def __call__(self, command):
        if self.count > self.at:
            return None
        answer = self.card(command)
        self.count += 1
        return answer if self.count - 1 < self.at else None

    def lost(self):
        self.card.lost()


@pytest.mark.req("A-09")
@every_scheme
@pytest.mark.parametrize("is_random", [False, True])
def test_keys_are_renewed_and_the_old_ones_are_gone(scheme, is_random):
    """After a leak of a key every card would have to be bought anew, or kept the leaked one."""
    card = KINDS[scheme]()
    assert isinstance(run(issue(scheme, order(card, wants_random_uid=is_random)), card), Issued)
    before = fields(card) - {bytes(16)}
    assert run(rekey(scheme, order(card, NEWER)), card) == Issued(number=NUMBERS[scheme], scheme=scheme, key_version=2)
    assert fields(card).isdisjoint(before)
    assert asked(NEWER, card).proof.key_version == 2
    only = SiteKeys(**dict.fromkeys(SiteKeys().held, (2,)))
    assert asked(only, card).proof.is_genuine


@pytest.mark.req("A-09")
@every_scheme
def test_a_renewal_cut_at_any_step_can_be_begun_again(scheme):
    """A card would be lost in the middle of a key rotation, when hundreds are renewed in a row."""
    step = 1
    while True:
        card, dice = KINDS[scheme](), Dice(5)
        assert isinstance(run(issue(scheme, order(card, random=dice)), card), Issued)
        outcome = run(rekey(scheme, order(card, NEWER, random=dice)), Deaf(card, step))
        if isinstance(outcome, Issued):
            break
        assert outcome == Refused(why="card_left")
        assert asked(NEWER, card).proof.is_genuine  # it opens in between, too
        assert isinstance(run(rekey(scheme, order(card, NEWER, random=dice)), card), Issued)
        step += 1
    assert step > 3


@pytest.mark.req("A-02")
@every_scheme
def test_a_retired_card_proves_nothing(scheme):
    """A returned card would still open."""
    card, keys = KINDS[scheme](), SiteKeys()
    assert isinstance(run(issue(scheme, order(card, keys)), card), Issued)
    assert run(retire(scheme, order(card, keys)), card) == Retired(number=NUMBERS[scheme], scheme=scheme)
    verdict = asked(keys, card)
    assert verdict == NotOurs() or not verdict.proof.is_genuine
    if scheme != "felica_lite_s":
        again = run(issue(scheme, order(card, keys, is_again=True)), card)
        assert again == Issued(number=NUMBERS[scheme], scheme=scheme, key_version=1)


@every_scheme
def test_another_sites_card_is_neither_renewed_nor_retired(scheme):
    """The desk would destroy somebody else's card."""
    card = KINDS[scheme]()
    assert isinstance(run(issue(scheme, order(card)), card), Issued)
    before = fields(card)
    others = SiteKeys(**dict.fromkeys(SiteKeys().held, (7,)))
    for act in (rekey, retire):
        assert run(act(scheme, order(card, others)), card) == Refused(why="not_ours")
        assert run(act(scheme, order(KINDS[scheme]())), KINDS[scheme]()) == Refused(why="not_ours")
    assert fields(card) == before


def test_a_random_number_at_the_desk_is_no_blank():
    """A card of somebody's would be taken for a blank because it hides who it is."""
    card = NxpCard()
    card.is_random = True
    assert card.target().number == RANDOM_UID
    assert run(issue("desfire_ev2", order(card)), card) == Refused(why="not_blank")


@pytest.mark.req("B-28")
def test_pkoc_is_registered_by_its_key():
    """A phone's key would be registered that nobody showed to hold."""
    phone = Pkoc()
    outcome = run(issue("pkoc", order(phone)), phone)
    assert outcome == Issued(number=phone.point[1:33], scheme="pkoc", key_version=None)
    other = Pkoc(secret=4712)
    other.point = phone.point
    assert run(issue("pkoc", order(other)), other) == Refused(why="not_original")


@pytest.mark.parametrize(
    ("act", "scheme"), [(issue, "aliro"), (issue, "desfire_ev1"), (rekey, "pkoc"), (retire, "pkoc")]
)
def test_what_is_not_personalised_here_is_said_at_once(act, scheme):
    """An officer would wait for a card that is never written."""
    with pytest.raises(ValueError, match=scheme):
        act(scheme, order(NxpCard()))


@settings(max_examples=60)
@given(
    scheme=st.sampled_from([*KINDS, "pkoc"]),
    is_again=st.booleans(),
    answers=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.binary(max_size=56).map(lambda body: body + b"\x91\x00"),
            st.just(bytes.fromhex("04010112001A0591AF")),
            st.just(bytes.fromhex("04040230001105") + b"\x91\xaf"),
            st.just(UID + bytes(7) + b"\x91\x00"),
            st.just(b"\x90\x00"),
        ),
        max_size=30,
    ),
)
def test_whatever_is_said_at_the_desk_nothing_is_issued(scheme, is_again, answers):
    """Noise at the desk would become a credential, or a traceback."""
    kind = KINDS.get(scheme, Pkoc)
    act = issue(scheme, order(kind(), is_again=is_again))
    said = act.begin()
    queue = iter(answers)
    for _ in range(60):
        if not isinstance(said, bytes):
            break
        said = act.answer(next(queue, None))
    assert isinstance(said, Refused)
