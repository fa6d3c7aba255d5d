"""Our questions put to the simulators' cards, which share no code with us: two readings of one specification agree."""

from __future__ import annotations

import pytest

from readers.cards.challenge import Challenger
from readers.cards.diversify import diversification_input, diversified
from readers.cards.issue import Issued, Order, Refused, Retired, issue, rekey, retire
from readers.cards.session import CardTarget, Left, NotOurs, Proved
from simulators.cards import fakes, site
from simulators.cards.felica import FelicaLiteS
from simulators.cards.pkoc import PkocCard
from tests.readers.cards.peers import READER_ID, Dice

UID = bytes.fromhex("04A1B2C3D4E580")
IDM = bytes.fromhex("0139D1A2B3C4D5E6")
MASTERS = {
    purpose: {version: bytes((at * 16 + version,)) * 16 for version in (1, 2)}
    for at, purpose in enumerate(site.PURPOSES, start=1)
}
SCHEMES = ("desfire_ev2", "desfire_ev1", "ntag424", "pkoc", "felica_lite_s")


class Keys:
    """The site's keys on our side: the same master keys as the simulated site's."""

    def __init__(self, *versions: int) -> None:
        self._versions = versions or (2, 1)

    def versions(self, purpose):
        return self._versions

    def diversified(self, purpose, version, number):
        if version not in self._versions:
            raise KeyError(purpose)
        return diversified(MASTERS[purpose][version], diversification_input(number, site.AID, b"SEKISHO"))


SITE = site.SiteCards(keys=MASTERS)


def target(card):
    if isinstance(card, FelicaLiteS):
        return CardTarget(kind="felica", number=card.number, system_code=card.system_code)
    return CardTarget(kind="iso14443a", number=card.number, sak=card.sak, ats=card.ats)


def run(session, card):
    card.activate()
    said = session.begin()
    while isinstance(said, bytes):
        said = session.answer(card.exchange(said))
    card.field_lost()
    return said


def asked(card, *versions, seed=1):
    return run(Challenger(Keys(*versions), Dice(seed), SCHEMES, site.AID, READER_ID).session(target(card)), card)


ISSUED = {
    "ev1": (lambda: SITE.desfire(UID, generation="ev1"), "desfire_ev1"),
    "ev1 with a random UID": (lambda: SITE.desfire(UID, generation="ev1", is_uid_random=True), "desfire_ev1"),
    "ev2": (lambda: SITE.desfire(UID), "desfire_ev2"),
    "ev2 with a random UID": (lambda: SITE.desfire(UID, is_uid_random=True), "desfire_ev2"),
    "ev2 with the older key": (lambda: SITE.desfire(UID, version=1), "desfire_ev2"),
    "ev3": (lambda: SITE.desfire(UID, generation="ev3"), "desfire_ev2"),
    "ntag": (lambda: SITE.ntag424(UID), "ntag424"),
    "ntag with a random UID": (lambda: SITE.ntag424(UID, is_uid_random=True), "ntag424"),
    "felica": (lambda: SITE.felica(IDM), "felica_lite_s"),
    "pkoc card": (lambda: PkocCard(b"a card", uid=UID), "pkoc"),
    "pkoc phone": (lambda: PkocCard(b"a phone"), "pkoc"),
}
every_issued = pytest.mark.parametrize(("make", "scheme"), ISSUED.values(), ids=ISSUED)


@pytest.mark.req("A-34", "B-28")
@every_issued
def test_a_card_that_the_simulated_site_issued_proves_itself(make, scheme):
    """Real cards would be refused: both sides of our tests were written by one hand."""
    card = make()
    verdict = asked(card)
    assert isinstance(verdict, Proved)
    assert verdict.proof.is_genuine
    assert verdict.proof.scheme == scheme
    expected = card.credential if isinstance(card, PkocCard) else IDM if scheme == "felica_lite_s" else UID
    assert verdict.number == expected


@pytest.mark.req("A-34", "B-22")
def test_fakes_prove_nothing():
    """A cloned number, made-up keys or a recording would open."""
    assert not asked(fakes.wrong_keys(UID)).proof.is_genuine
    assert not asked(fakes.wrong_keys(UID, generation="ev1")).proof.is_genuine
    assert asked(fakes.no_application(UID)) == NotOurs()
    for make, _ in ISSUED.values():
        if make is ISSUED["felica"][0]:
            continue
        recording = fakes.RecordingCard(make())
        assert asked(recording).proof.is_genuine
        replay = asked(fakes.ReplayingCard(UID, recording.transcript), seed=2)
        assert not isinstance(replay, Proved) or not replay.proof.is_genuine


def test_a_simulated_card_that_leaves_has_left():
    """Somebody too quick would be called a forger."""
    assert asked(fakes.LeavingCard(SITE.desfire(UID), 3)) == Left()


BLANKS = {
    "desfire_ev2": lambda: site.blank_desfire(UID),
    "ntag424": lambda: site.blank_ntag424(UID),
    "felica_lite_s": lambda: FelicaLiteS(IDM),
}
every_blank = pytest.mark.parametrize("scheme", BLANKS)


def order(card, *versions, **more):
    return Order(
        target=target(card),
        keys=Keys(*versions),
        random=Dice(7),
        application=site.AID,
        makers=(site.maker_point(),),
        **more,
    )


@pytest.mark.req("A-34", "A-09", "A-02", "B-28")
@every_blank
@pytest.mark.parametrize("is_random", [False, True])
def test_a_simulated_blank_lives_its_whole_life(scheme, is_random):
    """The desk would write cards that only our own idea of a card accepts."""
    card = BLANKS[scheme]()
    number = IDM if scheme == "felica_lite_s" else UID
    assert run(issue(scheme, order(card, 1, wants_random_uid=is_random)), card) == Issued(
        number=number, scheme=scheme, key_version=1
    )
    assert asked(card).proof.is_genuine
    assert run(rekey(scheme, order(card, 2, 1)), card) == Issued(number=number, scheme=scheme, key_version=2)
    assert asked(card, 2).proof.key_version == 2
    assert run(retire(scheme, order(card, 2, 1)), card) == Retired(number=number, scheme=scheme)
    verdict = asked(card)
    assert verdict == NotOurs() or not verdict.proof.is_genuine


@pytest.mark.req("A-34")
def test_faked_simulated_blanks_hear_no_key():
    """A faked blank would collect keys at the desk (complaint 12)."""
    faked = fakes.FakeBlank(UID)
    assert isinstance(run(issue("desfire_ev2", order(faked)), faked), Refused)
    assert all(command[1] not in {0x71, 0xAA, 0x1A, 0xC4} for command in faked.heard if command[:1] == b"\x90")
    for scheme, card in (
        ("desfire_ev2", site.blank_desfire(UID, is_genuine=False)),
        ("ntag424", site.blank_ntag424(UID, is_genuine=False)),
    ):
        assert run(issue(scheme, order(card)), card) == Refused(why="not_original")
    assert run(issue("desfire_ev2", order(SITE.desfire(UID))), SITE.desfire(UID)) == Refused(why="already_ours")


@every_blank
def test_a_simulated_blank_cut_off_anywhere_is_begun_again(scheme):
    """A clumsy hand at the desk would cost a card."""
    steps = 1
    while True:
        card = BLANKS[scheme]()
        left = fakes.LeavingCard(card, steps) if scheme != "felica_lite_s" else None
        if left is None or isinstance(run(issue(scheme, order(card)), left), Issued):
            break
        assert isinstance(run(issue(scheme, order(card, is_again=True)), card), Issued), steps
        steps += 1
    assert left is None or steps > 10
