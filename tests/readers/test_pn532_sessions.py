"""Pn532Reader asks a card to prove itself: a scripted session over a chip written for the tests, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.cards.session import CardTarget, Left, NotOurs, Proved
from readers.events import CardProof, CardRead, CardUnread, DeviceOffline, DeviceOnline, LineNoise
from readers.protocols.pn532 import Pn532Reader
from readers.protocols.pn532_cards import ANSWER_BYTES_MAX, CardTalk, targets_a
from tests.readers.pn532_bench import (
    ACK,
    DESFIRE,
    DESFIRE_UID,
    FELICA,
    FELICA_IDM,
    NOTHING,
    RANDOM_A,
    RANDOM_B,
    TWO,
    Field,
    Machine,
    framed,
)

PROOF = CardProof(scheme="desfire_ev2", is_genuine=True, nonce=bytes(16), key_version=1)
REAL = bytes.fromhex("04AABBCCDDEEFF")
PROVED = Proved(number=REAL, proof=PROOF)
READ = CardRead(source="r", number=REAL, kind="iso14443a", proof=PROOF)
LEFT = CardUnread(source="r", why="card left")
ONLINE = DeviceOnline(source="r")
SELECT = bytes.fromhex("905A00000301020300")
GONE = b"\x01"


def yes(_: bytes) -> bytes:
    return b"\x00\x91\x00"


class Site:
    """A challenge that gives scripted machines and keeps them, the targets and the outcomes."""

    def __init__(self, *commands: bytes, outcome: object = PROVED, silent: object = Left()) -> None:
        self.commands = list(commands) or [SELECT]
        self.outcome = outcome
        self.silent = silent
        self.machines: list[Machine] = []
        self.targets: list[CardTarget] = []
        self.outcomes: list[object] = []

    def challenge(self, target: CardTarget) -> Machine:
        self.targets.append(target)
        self.machines.append(Machine(self.commands, self.outcome, self.silent))
        return self.machines[-1]

    def hear(self, target: CardTarget, outcome: object) -> None:
        assert target in self.targets
        self.outcomes.append(outcome)

    def field(self, card=yes, **options: object) -> Field:
        field = Field(card, challenge=self.challenge, on_outcome=self.hear, **options)
        assert field.run(100) == [ONLINE]
        return field


@pytest.mark.req("A-34")
def test_a_card_is_told_of_once_with_its_proof_and_its_real_number():
    """The number that everybody can copy would be the whole evidence."""
    site = Site(SELECT, b"\x90\xaf\x00\x00\x00")
    field = site.field()
    field.place(DESFIRE)
    assert field.run(2_000) == [READ]
    assert site.targets == [
        CardTarget(kind="iso14443a", number=DESFIRE_UID, sak=0x20, ats=bytes.fromhex("067577810280"))
    ]
    assert field.exchanges() == [b"\x01" + SELECT, b"\x01\x90\xaf\x00\x00\x00"]
    assert site.machines[0].heard == [b"\x91\x00"] * 2
    assert site.outcomes == [PROVED]
    field.take()
    assert field.run(500) == []
    field.place(DESFIRE)
    assert field.run(500) == [READ]


def test_after_a_talk_the_card_is_released_and_the_field_goes_dark():
    """The next card would be asked in the middle of the last one's session."""
    field = Site().field()
    field.commands.clear()
    field.place(DESFIRE)
    field.run(60)
    at = field.commands.index(b"\x40\x01" + SELECT)
    assert field.commands[at + 1 : at + 3] == [bytes.fromhex("5200"), bytes.fromhex("320100")]


@pytest.mark.req("A-34")
def test_a_card_of_nobody_is_told_by_number_alone():
    """A stranger's card would be invisible, or count as proved."""
    field = Site(outcome=NotOurs()).field()
    field.place(DESFIRE)
    assert field.run() == [CardRead(source="r", number=DESFIRE_UID, kind="iso14443a", proof=None)]


def test_a_card_that_nobody_asks_is_told_at_once():
    """A site without card keys would read no card."""
    field = Field(yes, challenge=lambda _: None)
    field.place(DESFIRE)
    assert field.run() == [ONLINE, CardRead(source="r", number=DESFIRE_UID, kind="iso14443a")]
    assert field.exchanges() == []


def test_a_felica_command_carries_its_length_byte_and_its_target_its_system_code():
    """No FeliCa card would understand a command, and nobody would know which system it speaks."""
    site = Site(b"\x06" + FELICA_IDM + b"\x01\x0b\x00\x01\x80\x82")
    field = site.field(lambda sent: b"\x00" + bytes((4,)) + b"\x07ok")
    field.place(FELICA)
    assert field.run() == [CardRead(source="r", number=REAL, kind="felica", proof=PROOF)]
    assert site.targets == [CardTarget(kind="felica", number=FELICA_IDM, system_code=b"\x88\xb4")]
    assert field.exchanges() == [b"\x01\x10\x06" + FELICA_IDM + b"\x01\x0b\x00\x01\x80\x82"]
    assert site.machines[0].heard == [b"\x07ok"]


@pytest.mark.parametrize("said", [b"\x00", b"\x00\x04\x07o", b"\x00\x03\x07ok", b"\x00\x01", b""])
def test_a_felica_answer_whose_length_is_not_its_own_is_silence(said):
    """A torn answer would be taken for a whole one."""
    site = Site(b"\x06")
    field = site.field(lambda sent: said)
    field.place(FELICA)
    assert field.run() == [LEFT]
    assert set(site.machines[0].heard) == {None}


@pytest.mark.parametrize("size", [1, 200, 251, 252, 255, 261, 262, 263, 524, 525, 1_000])
def test_a_long_command_is_chained_to_the_card(size):
    """An APDU longer than a frame could not be sent (UM0701-02 §7.3.8, MI)."""
    apdu = bytes(at % 251 for at in range(size))
    site = Site(apdu)
    field = site.field(lambda sent: b"\x00" if sent[0] & 0x40 else b"\x00\x90\x00")
    field.place(DESFIRE)
    assert field.run() == [READ]
    sent = field.exchanges()
    assert b"".join(piece[1:] for piece in sent) == apdu
    assert [piece[0] for piece in sent] == [0x41] * (len(sent) - 1) + [0x01]
    assert all(len(piece) <= 263 for piece in sent)
    assert site.machines[0].heard == [b"\x90\x00"]


@pytest.mark.parametrize("pieces", [[b""], [b"ab"], [b"ab", b"cd", b"ef"], [bytes(262), b"\x90\x00"], [b"", b"x"]])
def test_a_long_answer_is_put_together(pieces):
    """An answer longer than a frame would be cut, and a good signature be no signature."""
    site = Site(SELECT)
    left = list(pieces)

    def card(sent: bytes) -> bytes:
        assert sent == (b"\x01" + SELECT if len(left) == len(pieces) else b"\x01")
        piece = left.pop(0)
        return bytes((0x40 if left else 0x00,)) + piece

    field = site.field(card)
    field.place(DESFIRE)
    assert field.run() == [READ]
    assert site.machines[0].heard == [b"".join(pieces)]


def test_an_answer_without_end_is_silence():
    """A malicious card would fill the memory."""
    site = Site()
    field = site.field(lambda sent: b"\x40" + bytes(250), exchanges_max=100_000, session_ms=100_000)
    field.place(DESFIRE)
    told = field.run(100)
    assert told == [LEFT]
    assert len(field.exchanges()) < 4 * (ANSWER_BYTES_MAX // 250 + 2)


@pytest.mark.parametrize("breaks_at", [1, 2])
def test_a_card_that_leaves_between_the_pieces_is_silence(breaks_at):
    """Half an answer would be judged."""
    site = Site(SELECT, bytes(300))
    seen = []

    def card(sent: bytes) -> bytes:
        seen.append(sent)
        return GONE if len(seen) > breaks_at else b"\x00" if sent[0] & 0x40 else b"\x40ab"

    field = site.field(card)
    field.place(DESFIRE)
    assert field.run(1_000) == [LEFT]
    assert site.machines[0].heard[-1] is None


@pytest.mark.parametrize("code", [0x01, 0x02, 0x0B, 0x13, 0x27, 0x29, 0x2B, 0x81, 0xC1])
def test_every_error_of_the_chip_is_silence(code):
    """Bytes beside an error would be taken for the card's (UM0701-02 §7.1)."""
    site = Site()
    field = site.field(lambda sent: bytes((code, 0x90, 0x00)))
    field.place(DESFIRE)
    assert field.run(1_000) == [LEFT]
    assert {heard for machine in site.machines for heard in machine.heard} == {None}


@pytest.mark.parametrize("left_after", range(6))
def test_a_card_that_leaves_after_any_command_is_unread_once_and_read_when_it_comes_back(left_after):
    """A card drawn away too soon would be a proof, a flood of records, or shut out for good."""
    site = Site(*[SELECT] * 6)
    count = [0]

    def card(sent: bytes) -> bytes:
        count[0] += 1
        if count[0] <= left_after:
            return b"\x00\x91\xaf"
        field.take()
        return GONE

    field = site.field(card)
    field.place(DESFIRE)
    assert field.run(1_000) == [LEFT]
    field.card = yes
    field.place(DESFIRE)
    assert field.run(1_000) == [READ]


def test_a_card_at_the_edge_of_the_field_is_tried_again_and_told_of_once():
    """Somebody who holds his card a little too far away would have to step back and come again."""
    count = [0]

    def card(sent: bytes) -> bytes:
        count[0] += 1
        return GONE if count[0] <= 2 else b"\x00\x91\x00"

    field = Site().field(card)
    field.place(DESFIRE)
    assert field.run(1_000) == [LEFT, READ]


def test_a_card_that_never_answers_is_not_tried_for_ever():
    """A broken card left on a reader would keep it busy, and the ledger too."""
    site = Site()
    field = site.field(lambda sent: GONE)
    field.place(DESFIRE)
    assert field.run(5_000) == [LEFT]
    assert len(site.machines) == 3


def test_a_random_uid_card_that_was_proved_stays_one_presentation():
    """A DESFIRE card with a random UID would be read twenty times a second, each time with a new number."""
    site = Site()
    field = site.field()
    turns = [RANDOM_A, RANDOM_B]
    answer = field.answer

    def fresh(command: bytes) -> bytes | None:
        if command[:1] == b"\x4a" and command[2] == 0:
            turns.append(turns.pop(0))
            return turns[0]
        return answer(command)

    field.answer = fresh
    assert field.run(3_000) == [READ]
    assert len(site.machines) == 1


@pytest.mark.req("B-11")
@pytest.mark.parametrize("cut_after", range(1, 12))
def test_a_line_that_breaks_in_the_middle_is_an_unread_card_and_its_return_reads_none(cut_after):
    """Pulling the reader's plug would make a proof, or its return release a portal for a card that lies there."""
    site = Site(*[SELECT] * 3)
    field = site.field()
    field.place(DESFIRE)
    field.until_sent(0x40)
    field.reader.receive_data((ACK + framed(b"\x41\x00\x91\x00"))[:cut_after], field.now_ms)
    told = field.reader.connection_lost(field.now_ms)
    assert told == [CardUnread(source="r", why="line lost"), DeviceOffline(source="r", why="line lost")]
    assert site.outcomes == [Left()]
    field.reader.connection_made(field.now_ms)
    assert field.run(1_000) == [ONLINE]


def test_a_line_opened_anew_in_the_middle_ends_the_talk():
    """The new connection's first answer would be given to the old session."""
    site = Site(SELECT)
    field = site.field(lambda sent: None)
    field.place(DESFIRE)
    field.run(100)
    field.reader.connection_made(field.now_ms)
    assert field.reader.tick(field.now_ms) == [CardUnread(source="r", why="line lost")]


def test_a_card_that_makes_the_chip_wait_is_unread_and_takes_no_reader_down():
    """A malicious card could make the reader look broken."""
    site = Site()
    field = site.field(lambda sent: None)
    for _ in range(5):
        field.place(DESFIRE)
        assert field.run(2_000) == [CardUnread(source="r", why="no answer")]
        field.take()
        assert field.run(500) == []


@pytest.mark.parametrize("session_ms,within_ms", [(2_000, 1_000), (10_000, 5_000), (300, 300)])
def test_an_answer_may_take_half_a_talk_and_never_longer_than_it(session_ms, within_ms):
    """A card that formats itself at the desk would be torn, or a silent one hold a reader at the wall."""
    site = Site()
    field = site.field(lambda sent: None, session_ms=session_ms)
    field.place(DESFIRE)
    field.until_sent(0x40)
    field.reader.receive_data(ACK, field.now_ms)
    assert field.reader.deadline() == field.now_ms + within_ms


def test_a_talk_that_takes_too_long_is_ended():
    """A card could hold a reader for ever, always asking for a little more time."""
    site = Site(*[SELECT] * 1_000)

    def card(sent: bytes) -> bytes:
        field.now_ms += 50
        return b"\x00\x91\xaf"

    field = site.field(card, session_ms=400, exchanges_max=1_000)
    field.place(DESFIRE)
    began_ms = field.now_ms
    told = field.run(1_000)
    assert told == [CardUnread(source="r", why="too slow")]
    assert len(field.exchanges()) <= 9
    assert field.now_ms - began_ms < 2_000


def test_a_talk_of_too_many_commands_is_ended():
    """A card that always has more would never be done."""
    site = Site(*[SELECT] * 1_000)
    field = site.field(exchanges_max=20)
    field.place(DESFIRE)
    assert field.run(1_000) == [LEFT]
    assert len(field.exchanges()) == 3 * 20


def test_a_chip_that_dies_in_the_middle_recovers_and_reads_the_next_card():
    """A reset of the reader would need a restart of the controller."""
    site = Site(SELECT, SELECT)
    field = site.field()

    def dying(sent: bytes) -> None:
        field.is_mute = True

    field.card = dying
    field.place(DESFIRE)
    told = field.run(500)
    told += field.run(10_000)
    assert [type(event) for event in told] == [CardUnread, DeviceOffline]
    field.is_mute = False
    field.card = yes
    field.take()
    assert field.run(6_000) == [ONLINE]
    field.place(DESFIRE)
    assert field.run(300) == [READ]


class Issued:
    """An outcome of a machine that personalises."""


def test_a_machine_that_personalises_ends_in_its_own_outcome_and_no_read():
    """Issuing a card at the desk would also be a badge at the desk's reader."""
    outcome = Issued()
    site = Site(SELECT, SELECT, outcome=outcome, silent="torn")
    field = site.field()
    field.place(DESFIRE)
    assert field.run() == []
    assert site.outcomes == [outcome]
    field.take()
    field.run()
    field.card = lambda sent: GONE
    field.place(DESFIRE)
    assert field.run() == []
    assert site.outcomes == [outcome, "torn"]


def test_two_cards_at_once_are_refused_where_it_is_asked_for():
    """The desk would write keys into whichever of two cards answered first."""
    site = Site()
    field = site.field(is_alone_required=True)
    assert bytes.fromhex("4A0200") in field.commands
    field.place(TWO)
    assert field.run(1_000) == [CardUnread(source="r", why="two cards")]
    assert site.machines == []
    field.place(DESFIRE)
    assert field.run(500) == [READ]
    field.place(TWO)
    assert field.run(500) == [CardUnread(source="r", why="two cards")]
    field.place(DESFIRE)
    assert field.run(500) == []  # it lay there all the time


def test_two_cards_that_nobody_asked_for_are_noise():
    """A chip that answers more than it was asked could choose whose card is read."""
    field = Field(yes)
    field.run(100)
    field.place(TWO)
    told = field.run(200)
    assert any(isinstance(event, LineNoise) for event in told)
    assert not any(isinstance(event, CardRead) for event in told)


@pytest.mark.parametrize("cut", range(2, len(TWO) - 1))
def test_a_torn_target_list_is_none(cut):
    """Half a card number would be somebody else's."""
    found = targets_a(TWO[1:cut])
    assert found is None
    whole = targets_a(TWO[1:])
    assert whole is not None
    assert [target.number for target in whole] == [DESFIRE_UID, bytes.fromhex("04A1B2C3")]


def session_bytes() -> bytes:
    return ACK + framed(b"\x41\x00\x91\x00")


@pytest.mark.parametrize("cut", range(1, len(session_bytes())))
def test_a_session_is_the_same_at_every_cut(cut):
    """A slow line would lose the card in the middle of its proof."""
    field = _at_the_exchange(Site())
    said = session_bytes()
    told = field.reader.receive_data(said[:cut], field.now_ms)
    told += field.reader.receive_data(said[cut:], field.now_ms)
    assert told == [READ]


@pytest.mark.parametrize("at", range(len(ACK) + 1, len(session_bytes()) - 1))
def test_no_single_spoilt_byte_makes_a_proof(at):
    """Noise would be taken for the card's answer."""
    site = Site()
    field = _at_the_exchange(site)
    said = bytearray(session_bytes())
    said[at] ^= 0x41
    told = field.reader.receive_data(bytes(said), field.now_ms)
    assert not any(isinstance(event, CardRead) for event in told)
    assert site.machines[0].heard == []


@pytest.mark.parametrize("size", range(len(session_bytes()) - 1))
def test_no_beginning_of_an_answer_makes_a_proof(size):
    """An answer that never came whole would open."""
    site = Site()
    field = _at_the_exchange(site)
    told = field.reader.receive_data(session_bytes()[:size], field.now_ms)
    field.is_mute = True
    told += field.run(3_000)
    assert not any(isinstance(event, CardRead) for event in told)


def _at_the_exchange(site: Site) -> Field:
    field = site.field()
    field.place(DESFIRE)
    field.until_sent(0x40)
    return field


@given(st.lists(st.binary(max_size=300) | st.sampled_from([0, 60, 300, 1_200]), max_size=12))
@settings(max_examples=100, deadline=None)
def test_random_bytes_in_a_session_never_raise_and_never_prove(happenings):
    """Noise on a line would open a portal, or take the controller down."""
    site = Site(SELECT, SELECT)
    field = _at_the_exchange(site)
    for happening in happenings:
        if isinstance(happening, bytes):
            told = field.reader.receive_data(happening, field.now_ms)
        else:
            field.now_ms += happening
            told = field.reader.tick(field.now_ms)
        assert not any(isinstance(event, CardRead) for event in told)
        field.reader.data_to_send()


@given(st.lists(st.binary(max_size=280), max_size=40), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_talk_takes_whatever_a_chip_says(answers, is_felica):
    """One odd answer would end the reader."""
    target = CardTarget(kind="felica" if is_felica else "iso14443a", number=DESFIRE_UID)
    talk = CardTalk(Machine([b"x"] * 30, PROVED, Left()), target, until_ms=0, exchanges_max=25)
    assert isinstance(talk.begin(), bytes)
    for answer in answers:
        said = talk.take(answer)
        if not isinstance(said, bytes):
            return
        assert 2 <= len(said) <= 264


@pytest.mark.parametrize("options", [{"session_ms": 0}, {"exchanges_max": 0}, {"high_baud": 9_600}])
def test_settings_out_of_range_are_refused(options):
    """A typo would make a reader that proves nothing."""
    with pytest.raises(ValueError, match="must be"):
        Pn532Reader("r", **options)


def test_an_empty_field_costs_the_same_with_a_challenge():
    """Sites with card keys would poll more slowly."""
    plain, asking = Field(), Site().field()
    plain.run(1_000)
    asking.run(900)
    assert plain.commands == asking.commands
    assert NOTHING == b"\x4b\x00"
