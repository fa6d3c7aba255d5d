"""Pn532Reader and the site's questions against the simulators' chip and cards: no code in common, every byte alone."""

from __future__ import annotations

import random

import pytest

from readers.cards.challenge import Challenger
from readers.cards.issue import Issued, Order, Refused, issue
from readers.events import CardRead, CardUnread, DeviceOnline, LineNoise
from readers.protocols.pn532 import Pn532Reader
from simulators.cards import fakes, site
from simulators.cards.felica import FelicaLiteS
from simulators.cards.pkoc import PkocCard
from simulators.pn532 import Pn532
from tests.readers.cards.peers import READER_ID, Dice
from tests.readers.cards.test_with_simulated_cards import IDM, ISSUED, SCHEMES, SITE, UID, Keys


class Wire:
    """Both ends and one clock; a byte travels at a time, `gap_ms` apart on the reader's side."""

    def __init__(self, *, seed: int = 1, **options: object) -> None:
        self.now_ms = 0
        self.spoil = lambda chunk, is_ours: chunk
        self.told: list[object] = []
        self.asked: list[tuple[object, object]] = []
        self.chip = Pn532()
        challenger = Challenger(Keys(), Dice(seed), SCHEMES, site.AID, READER_ID)
        options = {"challenge": challenger.session, "on_outcome": self._hear} | options
        self.reader = Pn532Reader("r", **options)
        self.reader.connection_made(0)
        assert self.run(200) == [DeviceOnline(source="r")]

    def _hear(self, target, outcome) -> None:
        self.asked.append((target, outcome))

    def run(self, for_ms: int) -> list[object]:
        """What was told in this time."""
        self.told = []
        end_ms = self.now_ms + for_ms
        while True:
            self._settle()
            due = [ms for ms in (self.reader.deadline(), self.chip.deadline()) if ms is not None]
            self.now_ms = max(self.now_ms, min(due, default=end_ms))
            if self.now_ms >= end_ms:
                self.now_ms = end_ms
                return self.told
            self.told += self.reader.tick(self.now_ms)
            self.chip.tick(self.now_ms)

    def _settle(self) -> None:
        while True:
            sent, said = self.reader.data_to_send(), self.chip.outgoing()
            if not sent and not said:
                return
            for byte in self.spoil(sent, is_ours=True):
                self.chip.receive(bytes((byte,)), self.now_ms)
            for byte in self.spoil(said, is_ours=False):
                self.told += self.reader.receive_data(bytes((byte,)), self.now_ms)

    def show(self, card, for_ms: int = 3_000) -> list[object]:
        self.chip.place(card, self.now_ms)
        told = self.run(for_ms)
        self.chip.take(card, self.now_ms)
        self.run(500)
        return told


every_issued = pytest.mark.parametrize(("make", "scheme"), ISSUED.values(), ids=ISSUED)


@pytest.mark.req("A-34", "B-28")
@every_issued
def test_every_card_of_the_site_proves_itself_at_the_reader_once(make, scheme):
    """A cardholder with a good card would stand before a shut leaf, or his card be read again and again."""
    wire = Wire()
    nonces = set()
    for _ in range(2):
        (read,) = wire.show(make())
        assert isinstance(read, CardRead)
        assert read.proof is not None
        assert (read.proof.scheme, read.proof.is_genuine) == (scheme, True)
        assert len(read.proof.nonce) >= 16
        nonces.add(read.proof.nonce)
    assert len(nonces) == 2


@pytest.mark.req("A-34", "B-22")
@pytest.mark.parametrize(
    "make",
    [
        lambda: fakes.wrong_keys(UID),
        lambda: fakes.wrong_keys(UID, version=2),
        lambda: fakes.wrong_keys(UID, generation="ev1"),
    ],
    ids=["zeros", "zeros that say version 2", "ev1"],
)
def test_a_clone_with_the_right_number_is_told_as_no_genuine_card(make):
    """A copied number would be a credential."""
    (read,) = Wire().show(make())
    assert isinstance(read, CardRead)
    assert read.proof is not None
    assert read.proof.is_genuine is False


@pytest.mark.req("A-34", "B-22")
@pytest.mark.parametrize("name", [name for name in ISSUED if name != "felica"])
def test_a_recorded_conversation_proves_nothing(name):
    """Whoever listens once could come back with what he heard."""
    make, _ = ISSUED[name]
    recording = fakes.RecordingCard(make())
    (read,) = Wire(seed=1).show(recording)
    assert read.proof.is_genuine
    told = Wire(seed=2).show(fakes.ReplayingCard(recording.uid, recording.transcript))
    assert told
    assert not any(isinstance(event, CardRead) and event.proof and event.proof.is_genuine for event in told)


def test_a_recorded_felica_proves_nothing():
    """Whoever listens once could come back with what he heard."""
    heard = []

    class Recording(FelicaLiteS):
        __slots__ = ()

        def exchange(self, command):
            answer = super().exchange(command)
            heard.append((command, answer))
            return answer

    card = SITE.felica(IDM)
    card.__class__ = Recording
    (read,) = Wire(seed=1).show(card)
    assert read.proof.is_genuine
    told = Wire(seed=2).show(fakes.ReplayingFelica(IDM, heard))
    assert told
    assert not any(isinstance(event, CardRead) and event.proof and event.proof.is_genuine for event in told)


@pytest.mark.req("A-34")
@every_issued
def test_a_card_that_leaves_after_any_command_is_unread_and_never_a_proof(make, scheme):
    """A card drawn away in the middle would be let in, or be called a fake."""
    wire = Wire()
    card = make()
    commands = _commands_of(card)
    assert commands >= 1
    for left_after in range(commands):
        card = make()
        told = _leaving(wire, card, left_after)
        assert told == [CardUnread(source="r", why="card left")], left_after
    (read,) = wire.show(make())
    assert read.proof.is_genuine


def _commands_of(card) -> int:
    count = [0]
    _counted(card, lambda: count.__setitem__(0, count[0] + 1))
    Wire().show(card)
    return count[0]


def _counted(card, on_command) -> None:
    """Call `on_command` before each command; where it says True the card has gone, else it is itself."""
    kind = type(card)

    class Counted(kind):
        __slots__ = ()

        def exchange(self, command):
            return None if on_command() else super().exchange(command)

    card.__class__ = Counted


def _leaving(wire: Wire, card, left_after: int) -> list[object]:
    left = [left_after]

    def pulled() -> bool:
        left[0] -= 1
        if left[0] < 0:
            wire.chip.take(card, wire.now_ms)
        return left[0] < 0

    _counted(card, pulled)
    wire.chip.place(card, wire.now_ms)
    told = [event for event in wire.run(3_000) if not isinstance(event, LineNoise)]
    wire.chip.take(card, wire.now_ms)
    wire.run(1_000)
    return told


def test_a_stranger_s_card_is_told_by_number_alone():
    """A card of another company would raise an alarm for a forged one."""
    (read,) = Wire().show(fakes.no_application(UID))
    assert read == CardRead(source="r", number=UID, kind="iso14443a", proof=None)


@pytest.mark.req("A-02")
def test_a_blank_becomes_a_credential_at_the_reader_and_proves_itself_after_that():
    """Cards could be issued on paper only: what the desk makes must open at the wall."""
    outcomes = []

    def desk(target):
        order = Order(
            target=target,
            keys=Keys(),
            random=Dice(7),
            application=site.AID,
            makers=(site.maker_point(),),
        )
        return issue("desfire_ev2", order)

    card = site.blank_desfire(UID)
    wire = Wire(challenge=desk, on_outcome=lambda target, outcome: outcomes.append(outcome), session_ms=5_000)
    assert wire.show(card) == []
    assert isinstance(outcomes[0], Issued), outcomes
    (read,) = Wire(seed=9).show(card)
    assert read.proof.is_genuine
    forged = site.blank_desfire(UID, is_genuine=False)
    assert wire.show(forged) == []
    assert isinstance(outcomes[-1], Refused)


def test_a_phone_that_is_shown_twice_is_two_presentations_with_one_number():
    """A phone with a new random UID each time would be another cardholder each time."""
    wire = Wire()
    card = PkocCard(b"a phone")
    numbers = {wire.show(card)[0].number for _ in range(3)}
    assert len(numbers) == 1


@pytest.mark.parametrize("seed", range(12))
def test_a_disturbed_line_delays_a_card_and_never_forges_one(seed):
    """A motor beside the cable would let a copy in, call a good card a fake, or end the reader."""
    dice = random.Random(seed)

    def spoil(chunk: bytes, *, is_ours: bool) -> bytes:
        kept = bytearray()
        for byte in chunk:
            chance = dice.random()
            if chance > 0.004 or (is_ours and byte == 0):  # 00 that the chip loses: docs/wire/pn532.md
                kept.append(byte)
            elif chance > 0.002:
                kept.append(byte ^ 1 << dice.randrange(8))
        return bytes(kept)

    wire = Wire(seed=seed)
    wire.spoil = spoil
    told = []
    for make in (ISSUED["ev2"][0], ISSUED["felica"][0], lambda: fakes.wrong_keys(UID)):
        told.append([event for event in wire.show(make(), 4_000) if isinstance(event, CardRead)])
    assert all(read.proof.is_genuine for reads in told[:2] for read in reads)
    assert not any(read.proof and read.proof.is_genuine for read in told[2])
    assert all(len(reads) <= 1 for reads in told)
    wire.spoil = lambda chunk, is_ours: chunk
    wire.run(8_000)
    assert [read.proof.is_genuine for read in wire.show(ISSUED["ev2"][0]())] == [True]
