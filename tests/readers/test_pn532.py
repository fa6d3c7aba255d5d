"""readers/protocols/pn532.py in virtual time, against a chip written in hex (UM0701-02 §7)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.events import CardAnswered, CardRead, DeviceOffline, DeviceOnline, LineNoise
from readers.protocols.pn532 import ANSWER_WITHIN_MS, TRANSITIONS, Pn532Reader, State, Turn
from readers.protocols.pn532_frames import HELD_BYTES_MAX

WAKE_UP = "5555" + "00" * 14
ACK = "0000FF00FF00"
NACK = "0000FFFF0000"
SAM, SAM_OK = "0000FF03FDD414011700", "0000FF02FED5151600"
SETTING, SETTING_OK = "0000FF03FDD412140600", "0000FF02FED5131800"
LIMITS, LIMITS_OK = "0000FF06FAD43205FF0104F100", "0000FF02FED533F800"
POLL_A = "0000FF04FCD44A0100E100"
POLL_F = "0000FF09F7D44A010100FFFF0100E100"
POLL_F424 = "0000FF09F7D44A010200FFFF0100E000"
NOTHING = "0000FF03FDD54B00E000"
CARD_A = "0000FF0CF4D54B01010004080404A1B2C3B400"
OTHER_A = "0000FF0CF4D54B01010004080404B1B2C3A400"
DESFIRE = "0000FF16EAD54B01010344200704112233445566067577810280809200"
RANDOM_1 = "0000FF0CF4D54B010100040804081B2C3D4200"
RANDOM_2 = "0000FF0CF4D54B0101000408040855AA339400"
FELICA = "0000FF18E8D54B0101140101020304050607080F1E2D3C4B5A697888B44D00"
FELICA_18 = "0000FF16EAD54B0101120101020304050607080F1E2D3C4B5A69788B00"
RELEASE, RELEASE_OK = "0000FF03FDD45200DA00", "0000FF03FDD55300D800"
FIELD_OFF, FIELD_OFF_OK = "0000FF04FCD4320100F900", "0000FF02FED533F800"
EXCHANGE, EXCHANGE_OK = "0000FF08F8D440019060000000FB00", "0000FF0CF4D541000401010100160591AF8800"
CARD_GONE = "0000FF03FDD54101E900"
ERROR = "0000FF01FF7F8100"

UID = bytes.fromhex("04A1B2C3")
READ_A = CardRead(source="r", number=UID, kind="iso14443a")
READ_F = CardRead(source="r", number=bytes.fromhex("0102030405060708"), kind="felica")
ONLINE = DeviceOnline(source="r")


class Bench:
    """A reader, a clock and a chip in the test's hand."""

    def __init__(self, **options: object) -> None:
        self.reader = Pn532Reader("r", **options)
        self.now_ms = 1_000
        self.reader.connection_made(self.now_ms)

    def sent(self) -> str:
        return self.reader.data_to_send().hex().upper()

    def says(self, *frames: str) -> list[object]:
        return self.reader.receive_data(bytes.fromhex("".join(frames)), self.now_ms)

    def until_due(self) -> list[object]:
        due_ms = self.reader.deadline()
        assert due_ms is not None
        self.now_ms = max(self.now_ms, due_ms)
        return self.reader.tick(self.now_ms)

    def polling(self) -> Bench:
        self.sent()
        assert self.says(ACK, SAM_OK) == [ONLINE]
        self.says(ACK, SETTING_OK)
        self.says(ACK, LIMITS_OK)
        assert self.sent() == SETTING + LIMITS + POLL_A
        return self

    def put_away(self) -> None:
        """Answer what follows a card: release, field off; then up to the next poll."""
        assert self.sent() == RELEASE
        self.says(ACK, RELEASE_OK)
        assert self.sent() == FIELD_OFF
        self.says(ACK, FIELD_OFF_OK)
        assert self.sent() == ""
        self.until_due()

    def round_without(self) -> list[object]:
        """One empty round: type A, then FeliCa, then up to the next."""
        told = self.says(ACK, NOTHING)
        assert self.sent() == POLL_F
        told += self.says(ACK, NOTHING)
        told += self.until_due()
        assert self.sent() == POLL_A
        return told


def test_the_chip_is_woken_and_configured_as_the_manual_says():
    """A real reader would stay asleep."""
    bench = Bench()
    assert bench.sent() == WAKE_UP + SAM
    assert bench.says(ACK) == []
    assert bench.says(SAM_OK) == [ONLINE]
    assert bench.sent() == SETTING
    assert bench.says(ACK, SETTING_OK) == []
    assert bench.sent() == LIMITS
    assert bench.says(ACK, LIMITS_OK) == []
    assert bench.sent() == POLL_A


@pytest.mark.parametrize(
    "answer,number",
    [(CARD_A, "04A1B2C3"), (DESFIRE, "04112233445566")],
)
def test_a_type_a_card_is_read(answer, number):
    """A cardholder would stand before a dead reader."""
    bench = Bench().polling()
    assert bench.says(ACK, answer) == [CardRead(source="r", number=bytes.fromhex(number), kind="iso14443a")]


@pytest.mark.parametrize("answer", [FELICA, FELICA_18])
def test_a_felica_card_is_read_in_the_other_half_of_the_round(answer):
    """Every Suica-like card would be ignored."""
    bench = Bench().polling()
    bench.says(ACK, NOTHING)
    assert bench.sent() == POLL_F
    assert bench.says(ACK, answer) == [READ_F]


def test_424_is_polled_where_it_is_asked_for():
    """A fast FeliCa card would not be seen."""
    bench = Bench(modulations=("424F",))
    bench.sent()
    bench.says(ACK, SAM_OK)
    bench.says(ACK, SETTING_OK)
    bench.says(ACK, LIMITS_OK)
    assert bench.sent() == SETTING + LIMITS + POLL_F424
    assert bench.says(ACK, FELICA) == [READ_F]


def test_every_cut_of_a_whole_conversation_reads_the_same_card():
    """A slow line would lose the card, or read it twice."""
    talk = bytes.fromhex(ACK + CARD_A)
    for cut in range(1, len(talk)):
        bench = Bench().polling()
        told = bench.reader.receive_data(talk[:cut], bench.now_ms) + bench.reader.receive_data(talk[cut:], bench.now_ms)
        assert told == [READ_A], cut


def test_nothing_is_told_before_the_last_check_byte():
    """A card number could be acted on that the line had not finished sending."""
    bench = Bench().polling()
    talk = bytes.fromhex(ACK + CARD_A)
    assert bench.reader.receive_data(talk[:-1], bench.now_ms) == []
    assert bench.reader.receive_data(talk[-1:], bench.now_ms) == [READ_A]


@pytest.mark.parametrize("answer", [CARD_A, DESFIRE, RANDOM_1, FELICA])
def test_an_answer_that_lost_a_byte_is_none(answer):
    """A byte 00 that got lost is in no sum: the sum would be the card's last byte, and the postamble the sum."""
    whole = bytes.fromhex(answer)
    for at in range(3, len(whole)):
        bench = Bench().polling()
        told = bench.says(ACK, (whole[:at] + whole[at + 1 :]).hex())
        told += bench.until_due()
        assert not any(isinstance(event, CardRead) for event in told), at


def test_an_idle_field_is_polled_no_faster_than_configured():
    """Sixteen idle readers would eat the processor."""
    bench = Bench(poll_interval_ms=50).polling()
    began_ms = bench.now_ms
    bench.says(ACK, NOTHING)
    bench.sent()
    bench.says(ACK, NOTHING)
    assert bench.sent() == ""
    assert bench.reader.deadline() == began_ms + 50


def test_a_poll_that_the_chip_held_open_is_followed_by_the_next_at_once():
    """A cardholder would wait for a pause that saves nothing."""
    bench = Bench(poll_interval_ms=50).polling()
    bench.says(ACK)
    bench.now_ms += 40
    bench.says(NOTHING)
    assert bench.sent() == POLL_F
    bench.says(ACK)
    bench.now_ms += 40
    bench.says(NOTHING)
    assert bench.sent() == POLL_A


def test_a_card_that_lies_there_is_read_once():
    """A card forgotten on a reader would hold the door open."""
    bench = Bench().polling()
    assert bench.says(ACK, CARD_A) == [READ_A]
    for _ in range(5):
        bench.put_away()
        assert bench.sent() == POLL_F
        bench.says(ACK, NOTHING)
        assert bench.sent() == POLL_A
        assert bench.says(ACK, CARD_A) == []


def test_a_card_that_was_taken_away_is_read_again():
    """The same person could not come twice."""
    bench = Bench(absent_polls=2).polling()
    bench.says(ACK, CARD_A)
    bench.put_away()
    bench.sent()
    bench.says(ACK, NOTHING)
    assert bench.sent() == POLL_A
    bench.round_without()
    bench.round_without()
    assert bench.says(ACK, CARD_A) == [READ_A]


def test_one_missed_poll_is_no_absence():
    """A card held at the edge of the field would be read again and again."""
    bench = Bench(absent_polls=2, modulations=("106A",)).polling()
    bench.says(ACK, CARD_A)
    bench.put_away()
    bench.sent()
    for _ in range(3):
        bench.says(ACK, NOTHING)
        bench.until_due()
        bench.sent()
        assert bench.says(ACK, CARD_A) == []
        bench.put_away()
        bench.sent()


def test_two_cards_taking_turns_are_two_reads_and_not_a_flood():
    """Two cards in one wallet would fill the ledger."""
    bench = Bench(modulations=("106A",)).polling()
    reads = []
    for turn in range(8):
        reads += bench.says(ACK, (CARD_A, OTHER_A)[turn % 2])
        bench.put_away()
        bench.sent()
    assert len(reads) == 2


def test_a_phone_with_a_new_random_uid_at_every_poll_is_one_presentation():
    """A phone left on a reader would be twenty refusals a second (ISO/IEC 14443-3: 08 … is random)."""
    bench = Bench(modulations=("106A",)).polling()
    assert len(bench.says(ACK, RANDOM_1)) == 1
    for answer in (RANDOM_2, RANDOM_1, RANDOM_2):
        bench.put_away()
        bench.sent()
        assert bench.says(ACK, answer) == []


def test_our_own_echo_is_ignored():
    """A reader on a half-duplex adapter would never work."""
    bench = Bench()
    assert bench.says(WAKE_UP, SAM, ACK, SAM_OK) == [ONLINE]
    assert bench.says(SETTING, ACK, SETTING_OK) == []
    assert bench.says(LIMITS, ACK, LIMITS_OK) == []
    bench.sent()
    assert bench.says(POLL_A, ACK, CARD_A) == [READ_A]


def test_an_answer_before_its_acknowledgement_is_none():
    """A card that was answered to an earlier, aborted poll would be read now."""
    bench = Bench().polling()
    assert not any(isinstance(event, CardRead) for event in bench.says(CARD_A))
    assert bench.says(ACK, NOTHING, ACK, NOTHING) == []


def test_the_chip_repeats_what_came_spoilt():
    """One disturbed byte would cost the cardholder a second, or the read."""
    bench = Bench().polling()
    bench.says(ACK, "0000FF0CF4D54B01010004080404A1B2C3B500")
    assert bench.sent() == NACK
    assert bench.says(CARD_A) == [READ_A]


@pytest.mark.req("B-11")
def test_silence_is_offline_once_and_an_answer_is_online_once():
    """A dead reader would go unseen, or be reported again every second."""
    bench = Bench().polling()
    told = []
    for _ in range(40):
        told += bench.until_due()
        bench.sent()
    assert told == [DeviceOffline(source="r", why="no answer")]
    while not bench.sent().endswith(SAM):
        bench.until_due()
    assert bench.says(ACK, SAM_OK) == []  # it wakes up, which a half-dead chip also does
    bench.says(ACK, SETTING_OK)
    bench.says(ACK, LIMITS_OK)
    assert bench.says(ACK, NOTHING) == [ONLINE]


def test_a_reader_that_never_answered_is_told_too():
    """A reader that was never connected would look as if it had never been asked."""
    bench = Bench()
    told = []
    for _ in range(12):
        told += bench.until_due()
    assert told == [DeviceOffline(source="r", why="no answer")]


def test_attempts_are_spaced_and_begin_with_an_abort_and_a_wake_up():
    """A dead reader would keep the line and the loop busy, or a sleeping one never be woken, or one that waits for the
    rest of a spoilt command swallow every other.
    """
    bench = Bench()
    bench.sent()
    waits = []
    for _ in range(9):
        bench.until_due()
        assert bench.sent() == ACK
        failed_ms = bench.now_ms
        bench.until_due()
        assert bench.sent() == ("" if len(waits) < 1 else "00" * HELD_BYTES_MAX) + WAKE_UP + SAM
        waits.append(bench.now_ms - failed_ms)
    assert waits == [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]


def test_a_chip_that_wakes_up_and_then_falls_silent_does_not_flicker():
    """The ledger would fill with a broken reader coming and going."""
    bench = Bench()
    told = []
    for _ in range(10):
        while not bench.sent().endswith(SAM):
            told += bench.until_due()
        told += bench.says(ACK, SAM_OK)
        told += bench.says(ACK, SETTING_OK)
        told += bench.says(ACK, LIMITS_OK)
    assert told == [ONLINE, DeviceOffline(source="r", why="no answer")]


@pytest.mark.req("B-11")
def test_a_cable_that_comes_back_reads_no_card_that_was_there_all_the_time():
    """Pulling and plugging a cable would release the door for a card left on the reader."""
    bench = Bench(modulations=("106A",)).polling()
    assert bench.says(ACK, CARD_A) == [READ_A]
    told = []
    for _ in range(1000):
        told += bench.reader.connection_lost(bench.now_ms)
        bench.reader.connection_made(bench.now_ms)
        for answer in (SAM_OK, SETTING_OK, LIMITS_OK, CARD_A):
            told += bench.says(ACK, answer)
    assert set(map(type, told)) == {DeviceOffline, DeviceOnline}
    assert told == [DeviceOffline(source="r", why="line lost"), ONLINE] * 1000


def test_a_lost_line_is_told_once_and_bytes_after_it_are_nothing():
    """Bytes of a line that was given up would be acted on."""
    bench = Bench().polling()
    assert bench.reader.connection_lost(bench.now_ms) == [DeviceOffline(source="r", why="line lost")]
    assert bench.reader.connection_lost(bench.now_ms) == []
    assert bench.says(ACK, CARD_A) == []
    assert bench.sent() == ""
    assert bench.reader.deadline() is None


def test_noise_is_told_at_a_bounded_rate_and_counted_in_full():
    """A torn cable would write thousands of records a second, or none."""
    bench = Bench().polling()
    first = bench.says("AB" * 100)
    assert first == [LineNoise(source="r", count=100, sample=b"\xab" * 16)]
    for _ in range(50):
        assert bench.says("CD" * 100) == []
    bench.now_ms += 1_000
    assert LineNoise(source="r", count=5_000, sample=b"\xcd" * 16) in bench.reader.tick(bench.now_ms)


def test_a_false_beginning_before_the_answer_costs_a_moment_and_not_the_reader():
    """Two bytes of noise would take a reader down until it is configured anew."""
    bench = Bench().polling()
    assert bench.says("00FFF010", ACK) == []
    told = bench.until_due()
    assert DeviceOffline not in map(type, told)
    assert bench.reader.state is State.POLLING
    assert READ_A in bench.says(CARD_A)


def test_an_error_frame_is_an_answer_and_the_chip_is_configured_anew():
    """A chip that lost its settings would be asked for ever in vain."""
    bench = Bench().polling()
    bench.says(ACK, ERROR)
    assert bench.reader.state is State.RETRYING
    assert bench.sent() == ACK
    bench.until_due()
    assert bench.sent() == WAKE_UP + SAM


@pytest.mark.parametrize(
    "answer",
    [
        "0000FF04FCD54B0101DE00",  # a card without a number
        "0000FF09F7D54B01010004080400C300",  # a number shorter than promised
        "0000FF0BF5D54B0101000408" + "03AABBCC" + "98" + "00",  # a number of three bytes
    ],
)
def test_a_well_framed_answer_that_makes_no_sense_is_no_card(answer):
    """A broken chip could invent card numbers."""
    bench = Bench().polling()
    assert not any(isinstance(event, CardRead) for event in bench.says(ACK, answer))


def test_a_selected_card_can_be_talked_to():
    """Card cryptography could not be built on this reader."""
    bench = Bench(keep_ms=300).polling()
    assert bench.reader.exchange(b"\x90\x60\x00\x00\x00", bench.now_ms) is False
    assert bench.says(ACK, DESFIRE) == [CardRead(source="r", number=bytes.fromhex("04112233445566"), kind="iso14443a")]
    assert bench.reader.exchange(bytes.fromhex("9060000000"), bench.now_ms) is True
    assert bench.sent() == EXCHANGE
    assert bench.says(ACK, EXCHANGE_OK) == [CardAnswered(source="r", answer=bytes.fromhex("0401010100160591AF"))]
    bench.reader.exchange(bytes.fromhex("9060000000"), bench.now_ms)
    bench.sent()
    assert bench.says(ACK, CARD_GONE) == [CardAnswered(source="r", answer=None)]
    bench.reader.let_go(bench.now_ms)
    bench.put_away()


def test_a_card_is_not_held_for_ever():
    """A conversation that nobody ends would stop the reader."""
    bench = Bench(keep_ms=300).polling()
    bench.says(ACK, CARD_A)
    assert bench.sent() == ""
    assert bench.reader.deadline() == bench.now_ms + 300
    bench.until_due()
    assert bench.sent() == RELEASE


def test_an_exchange_that_times_out_is_answered_with_nothing():
    """A card conversation would wait for ever."""
    bench = Bench(keep_ms=300).polling()
    bench.says(ACK, CARD_A)
    bench.reader.exchange(b"\x90", bench.now_ms)
    bench.says(ACK)
    assert bench.reader.deadline() == bench.now_ms + ANSWER_WITHIN_MS
    assert bench.until_due() == [CardAnswered(source="r", answer=None)]


@pytest.mark.parametrize(
    "options",
    [{"retries": 255}, {"retries": -1}, {"poll_interval_ms": -1}, {"absent_polls": 0}, {"modulations": ()}],
)
def test_settings_that_would_stop_the_reader_are_refused(options):
    """A typo in the site file would make a reader wait for ever."""
    with pytest.raises(ValueError, match="must"):
        Pn532Reader("r", **options)


def test_every_state_can_be_left_and_reached():
    """A reader would stand still in a state that nothing ends."""
    reached = {target for row in TRANSITIONS.values() for target in row.values()} | {State.CLOSED}
    assert set(TRANSITIONS) == set(State) == reached
    for state, row in TRANSITIONS.items():
        assert Turn.FAILED in row or Turn.DUE in row or state is State.CLOSED


@given(st.lists(st.binary(max_size=300) | st.sampled_from([0, 60, 300, 1200]), max_size=12))
@settings(max_examples=200)
def test_random_bytes_and_silences_never_raise_and_never_read_a_card(happenings):
    """Noise on a line would open a door, or take the controller down."""
    bench = Bench()
    for happening in happenings:
        if isinstance(happening, bytes):
            told = bench.reader.receive_data(happening, bench.now_ms)
        else:
            bench.now_ms += happening
            told = bench.reader.tick(bench.now_ms)
        assert not any(isinstance(event, CardRead | CardAnswered) for event in told)
        assert len(bench.sent()) < 2_000
        assert bench.reader._frames.held_bytes <= HELD_BYTES_MAX


@given(st.binary(max_size=300))
def test_after_any_noise_the_next_card_is_read(noise):
    """A burst of noise would silence a reader for good."""
    bench = Bench().polling()
    bench.reader.receive_data(noise, bench.now_ms)
    answers = {
        SAM: SAM_OK,
        SETTING: SETTING_OK,
        LIMITS: LIMITS_OK,
        POLL_A: CARD_A,
        POLL_F: NOTHING,
        RELEASE: RELEASE_OK,
    }
    sent, told = POLL_A, []
    for _ in range(30):
        for command, answer in answers.items():
            if sent.endswith(command):
                told += bench.says(ACK, answer)
        if READ_A in told:
            return
        sent = bench.sent()
        if not sent:
            told += bench.until_due()
            sent = bench.sent()
    pytest.fail(f"the card was not read: {told}")
