"""The chip's commands, spoken to in bytes written out by hand from NXP UM0701-02 §7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cards import FelicaCard, TypeACard, card_of
from simulators.pn532 import Pn532
from simulators.pn532_field import AirTime, crc_a

ACK = "0000ff00ff00"
ERROR = "0000ff01ff7f8100"
WAKE = "5555" + "00" * 14
SAM = "00ff03fdd414011700"
MISAKI = TypeACard(uid=bytes.fromhex("04a1b2c3"))
LIST_A = "0000ff04fcd44a0100e100"


def framed(payload: str) -> str:
    body = bytes.fromhex(payload)
    assert len(body) < 256
    return (bytes([0, 0, 0xFF, len(body), -len(body) & 0xFF]) + body + bytes([-sum(body) & 0xFF, 0])).hex()


@pytest.fixture
def chip():
    made = Pn532()
    assert ask(made, WAKE + SAM) == ACK + "0000ff02fed5151600"
    return made


def ask(chip: Pn532, said: str, now_ms: int = 0) -> str:
    chip.receive(bytes.fromhex(said), now_ms)
    return chip.outgoing().hex()


ANSWERS = [
    ("d4000061626364", "d5010061626364", "Diagnose 00 echoes, number of the test included: libnfc's first question"),
    ("d402", "d50332010607", "GetFirmwareVersion"),
    ("d404", "d50500000080", "GetGeneralStatus with no target"),
    ("d40663026303", "d5078080", "ReadRegister answers one byte a register and no status byte"),
    ("d408630280", "d509", "WriteRegister"),
    ("d40c", "d50d3f0603", "ReadGPIO"),
    ("d40e8000", "d50f", "WriteGPIO"),
    ("d41004", "d511", "SetSerialBaudRate"),
    ("d41214", "d513", "SetParameters"),
    ("d41401", "d515", "SAMConfiguration"),
    ("d432050001ff", "d533", "RFConfiguration MaxRetries"),
    ("d4320100", "d533", "RF off"),
    ("d44400", "d54500", "InDeselect all"),
    ("d45200", "d55300", "InRelease all"),
    ("d45401", "d55527", "InSelect of a target nobody has"),
    ("d440013000", "d54127", "InDataExchange without a target"),
    ("d44230", "d54301", "InCommunicateThru into an empty field times out"),
    ("d456010000", "d55701", "InJumpForDEP: no peer is ever here"),
    ("d41620", "d51700", "PowerDown"),
]


@pytest.mark.parametrize("asked, answered, _why", ANSWERS)
def test_commands_answer_as_the_manual_says(chip, asked, answered, _why):
    """A simulator that libnfc refuses would test nothing but itself."""
    assert ask(chip, framed(asked)) == ACK + framed(answered)


@pytest.mark.parametrize("asked", ["d4ff", "d44a0300", "d40663", "d41405", "d5", "d4", "d43277"])
def test_what_it_cannot_understand_gets_the_error_frame(chip, asked):
    """A chip silent on a bad command would hide a driver's mistake behind a time-out."""
    assert ask(chip, framed(asked)) == ACK + ERROR


def test_registers_keep_what_was_written(chip):
    """libnfc writes bit masks back over what it reads: forgetting would mislead it."""
    ask(chip, framed("d40863025a"))
    assert ask(chip, framed("d4066302")) == ACK + framed("d5075a")


def test_deaf_until_woken():
    """A driver that forgets the wake-up works on a soft simulator and never on a real chip."""
    chip = Pn532()
    assert ask(chip, framed("d402")) == ""
    chip = Pn532()
    assert ask(chip, WAKE + framed("d402")[2:]) == ACK + framed("d50332010607")


def test_zeros_wake_it_as_well():
    """nfcpy wakes the chip with ten zeros: five rising edges are enough, whatever the bytes."""
    assert ask(Pn532(), "00" * 10 + framed("d402")) == ACK + framed("d50332010607")


def test_no_search_before_sam_configuration():
    """A driver that forgets SAMConfiguration would only fail on the wall."""
    chip = Pn532()
    assert ask(chip, WAKE + LIST_A) == ACK + ERROR


def test_type_a_card_is_described_as_on_the_air(chip):
    """A swapped ATQA or UID would let a driver's parsing bug pass."""
    chip.place(MISAKI, 0)
    assert ask(chip, LIST_A) == ACK + framed("d54b0101000408" + "0404a1b2c3")


def test_seven_byte_uid_and_ats_follow_the_cards_kind(chip):
    """An ISO-DEP card without its ATS would be taken for a plain one."""
    chip.place(card_of("iso14443a", bytes.fromhex("04112233445566")), 0)
    assert ask(chip, LIST_A) == ACK + framed("d54b010103442007" + "04112233445566" + "067577810280")
    ask(chip, framed("d41204"))  # automatic RATS off
    assert ask(chip, LIST_A) == ACK + framed("d54b010103442007" + "04112233445566")


def test_felica_card_is_found_at_both_speeds_with_its_system_code(chip):
    """A FeliCa holder would stand before a closed door in the demo."""
    card = FelicaCard(idm=bytes.fromhex("01147a0b2c3d4e5f"))
    chip.place(card, 0)
    for speed in ("01", "02"):
        asked = framed(f"d44a01{speed}00ffff0100")
        assert ask(chip, asked) == ACK + framed("d54b01011401" + card.idm.hex() + card.pmm.hex() + "88b4")
    assert ask(chip, framed("d44a010100ffff0000")) == ACK + framed("d54b01011201" + card.idm.hex() + card.pmm.hex())


def test_finite_search_gives_up_after_its_tries(chip):
    """An empty field answered at once would hide how long a real poll holds the line."""
    ask(chip, framed("d43205000102"))
    assert ask(chip, LIST_A, now_ms=100) == ACK
    assert chip.deadline() == 115
    chip.tick(114)
    assert chip.outgoing() == b""
    chip.tick(115)
    assert chip.outgoing().hex() == framed("d54b00")


def test_infinite_search_waits_for_a_card(chip):
    """A driver that waits for an answer to an endless search must find out here."""
    assert ask(chip, LIST_A) == ACK
    assert chip.deadline() is None
    chip.place(MISAKI, 5)
    assert chip.outgoing().hex() == framed("d54b0101000408" + "0404a1b2c3")


def test_host_ack_aborts_a_search(chip):
    """A card put down after the abort must not answer a question that was withdrawn."""
    ask(chip, LIST_A)
    assert ask(chip, ACK) == ""
    chip.place(MISAKI, 5)
    assert chip.outgoing() == b""


def test_nack_repeats_the_last_answer(chip):
    """A host whose answer was damaged asks once more."""
    first = ask(chip, framed("d402"))
    assert ask(chip, "0000ffff0000") == first[len(ACK) :]


def test_auto_poll_finds_type_a_by_libnfcs_kind_10(chip):
    """nfc-poll and pynfc ask InAutoPoll 0x10 for every type A card."""
    chip.place(MISAKI, 0)
    assert ask(chip, framed("d460ff0110")) == ACK + framed("d561011009" + "01000408" + "0404a1b2c3")


def test_auto_poll_gives_up_after_rounds_times_period(chip):
    """150 ms a unit, a kind and a round."""
    ask(chip, framed("d460020110" + "11"), now_ms=0)
    assert chip.deadline() == 2 * 150 * 2
    chip.tick(600)
    assert chip.outgoing().hex() == framed("d56100")


def test_card_taken_away_is_silent(chip):
    """A card that answers after it left would hide removal bugs."""
    chip.place(MISAKI, 0)
    ask(chip, LIST_A)
    chip.take(MISAKI, 1)
    assert ask(chip, framed("d440013000")) == ACK + framed("d54101")
    assert ask(chip, framed("d40006")) == ACK + framed("d50101")


def test_damaged_frame_is_not_answered(chip):
    """The chip stays silent on a wrong checksum; a host that expects a NACK would wait for ever."""
    assert ask(chip, "0000ff02fed4022b00") == ""
    assert ask(chip, framed("d402")) == ACK + framed("d50332010607")


def test_power_cycle_forgets_everything_but_the_cards(chip):
    """After unplugging, a driver must start from the wake-up again."""
    chip.place(MISAKI, 0)
    chip.power_cycle(1)
    assert ask(chip, framed("d402")) == ""
    ask(chip, WAKE + SAM)
    assert ask(chip, LIST_A) == ACK + framed("d54b0101000408" + "0404a1b2c3")


@given(st.lists(st.one_of(st.binary(max_size=40), st.binary(min_size=1, max_size=12).map(lambda b: b"\xd4" + b))))
@pytest.mark.req("S-01")
def test_junk_never_crashes_it(chunks):
    """A simulator that dies of noise would blame the driver under test."""
    chip = Pn532()
    chip.place(MISAKI, 0)
    chip.receive(bytes.fromhex(WAKE + SAM), 0)
    for number, chunk in enumerate(chunks):
        whole = bytes.fromhex(framed(chunk.hex())) if chunk[:1] == b"\xd4" else chunk
        chip.receive(whole, number)
        chip.tick(number)
        chip.outgoing()


@pytest.mark.parametrize("kind, number", [("iso14443a", b"123"), ("felica", b"1234"), ("mifare", b"1234")])
def test_impossible_cards_are_refused(kind, number):
    """A typo in a test's card would look like a reader's fault."""
    with pytest.raises(ValueError, match=r"card|kind"):
        card_of(kind, number)


ISO_CARD = bytes.fromhex("04112233445566")


class Parrot(TypeACard):
    """Answers every command with `size` bytes that begin with the command."""

    def __init__(self, size: int) -> None:
        super().__init__(uid=ISO_CARD, atqa=b"\x03\x44", sak=0x20, ats=bytes.fromhex("067577810280"))
        self.size = size
        self.heard: list[bytes] = []

    def exchange(self, command: bytes) -> bytes | None:
        self.heard.append(command)
        return (command + bytes(self.size))[: self.size]


def big(payload: bytes) -> str:
    return ("0000ffffff" + f"{len(payload):04x}" + f"{-((len(payload) >> 8) + len(payload)) & 0xFF:02x}") + (
        payload.hex() + f"{-sum(payload) & 0xFF:02x}00"
    )


def test_long_apdus_go_in_pieces_both_ways(chip):
    """A certificate that does not fit a frame would arrive cut, and nobody would see."""
    card = Parrot(600)
    chip.place(card, 0)
    ask(chip, LIST_A)
    assert ask(chip, big(b"\xd4\x40\x41" + b"a" * 262)) == ACK + framed("d54100")
    first = ask(chip, framed("d44001" + "62" * 38))
    assert card.heard == [b"a" * 262 + b"b" * 38]
    whole = card.heard[0] + bytes(300)
    assert first == ACK + big(b"\xd5\x41\x40" + whole[:262])
    assert ask(chip, framed("d44001")) == ACK + big(b"\xd5\x41\x40" + whole[262:524])
    assert ask(chip, framed("d44001")) == ACK + framed("d54100" + whole[524:].hex())


def test_card_that_leaves_between_pieces_is_silent(chip):
    """Half an answer must never be taken for a whole one."""
    card = Parrot(600)
    chip.place(card, 0)
    ask(chip, LIST_A)
    ask(chip, framed("d4400130"))
    chip.take(card, 1)
    assert ask(chip, framed("d44001")) == ACK + framed("d54101")


@pytest.mark.parametrize("taken_ms, error", [(3, "01"), (9, "13")])
def test_leaving_in_the_middle_of_an_exchange(taken_ms, error):
    """A hand that is too quick must look as it does on the wall: silence, or half an answer."""
    chip = Pn532(air=AirTime(byte_ms=0.1, card_ms=5))
    chip.receive(bytes.fromhex(WAKE + SAM), 0)
    card = Parrot(60)
    chip.place(card, 0)
    ask(chip, LIST_A)
    chip.outgoing()
    assert ask(chip, framed("d4400130"), now_ms=100) == ACK
    assert chip.deadline() == 100 + round((1 + 3) * 0.1 + 5 + 63 * 0.1)
    chip.take(card, 100 + taken_ms)
    chip.tick(chip.deadline())
    assert chip.outgoing().hex() == framed("d541" + error)


def test_an_exchange_takes_its_time_in_the_air():
    """A driver that is only ever answered at once was never shown how long a card thinks."""
    chip = Pn532(air=AirTime())
    chip.receive(bytes.fromhex(WAKE + SAM), 0)
    chip.place(Parrot(2), 0)
    ask(chip, LIST_A)
    assert ask(chip, framed("d440016000"), now_ms=10) == ACK
    chip.tick(10)
    assert chip.outgoing() == b""
    chip.tick(chip.deadline())
    assert chip.outgoing().hex() == framed("d541006000")
    assert chip.deadline() is None


def test_host_ack_aborts_an_exchange_in_the_air():
    """An answer to a question that was withdrawn would be taken for the next one's."""
    chip = Pn532(air=AirTime())
    chip.receive(bytes.fromhex(WAKE + SAM), 0)
    chip.place(Parrot(2), 0)
    ask(chip, LIST_A)
    ask(chip, framed("d440016000"), now_ms=10)
    ask(chip, ACK, now_ms=11)
    assert chip.deadline() is None


@pytest.mark.parametrize("error", [0x01, 0x02, 0x13])
def test_a_spoilt_exchange_tells_the_chips_own_error(chip, error):
    """Faults of the air must be found in a test, not on the wall."""
    chip.place(Parrot(2), 0)
    ask(chip, LIST_A)
    chip.spoil(error)
    assert ask(chip, framed("d4400130")) == ACK + framed(f"d541{error:02x}")
    assert ask(chip, framed("d4400130")) == ACK + framed("d541003000")


def test_two_cards_are_two_targets(chip):
    """Two cards in one purse: each must be talked to under its own number."""
    one, other = Parrot(1), TypeACard(uid=bytes.fromhex("04a1b2c3"))
    chip.place(one, 0)
    chip.place(other, 0)
    found = ask(chip, framed("d44a0200"))
    assert found[len(ACK) :][10:16] == "d54b02"
    assert ask(chip, framed("d4400130")) == ACK + framed("d5410030")
    assert ask(chip, framed("d4400230")) == ACK + framed("d54101"), "a card that knows no command is silent"


def test_deselected_card_wakes_without_its_session(chip):
    """A session that outlives its card's sleep would make a stolen one useful."""
    card = Parrot(2)
    woken: list[bool] = []
    card.activate = lambda: woken.append(True)  # type: ignore[method-assign]
    chip.place(card, 0)
    ask(chip, LIST_A)
    assert ask(chip, framed("d44401")) == ACK + framed("d54500")
    ask(chip, framed("d45401"))
    assert len(woken) == 2


BLOCKS = [
    ("e080", "067577810280", "RATS"),
    ("02aabb", "02aabb", "an I-block"),
    ("b3", "a2", "R(NAK) of the other number: is anybody here"),
    ("12aa", "a2", "a block with more to come is receipted"),
    ("03bb", "03aabb", "and the whole answered"),
    ("b3", "03aabb", "R(NAK) of this number: again"),
    ("c2", "c2", "S(DESELECT)"),
]


def test_raw_blocks_as_nfcpy_speaks_them(chip):
    """nfcpy does RATS and blocks by itself: a chip that only knows whole APDUs would shut it out."""
    card = Parrot(2)
    ask(chip, framed("d41200"))
    chip.place(card, 0)
    assert ask(chip, LIST_A) == ACK + framed("d54b0101034420" + "07" + ISO_CARD.hex())
    for sent, answered, why in BLOCKS:
        if why == "an I-block":
            card.size = 2
        if why == "a block with more to come is receipted":
            card.size = 2
        assert ask(chip, framed("d442" + sent)) == ACK + framed("d54300" + answered), why


def test_raw_frames_carry_their_checksum_where_the_host_wants_it(chip):
    """libnfc and nfcpy switch the chip's own CRC off: a frame with a wrong one must not be answered."""
    chip.place(FelicaCard(idm=bytes.fromhex("01147a0b2c3d4e5f")), 0)
    chip.place(Parrot(2), 0)
    ask(chip, framed("d41200"))
    ask(chip, LIST_A)
    ask(chip, framed("d408" + "630200" + "630300"))
    assert ask(chip, framed("d442" + "e080" + "31 73".replace(" ", ""))) == ACK + framed(
        "d54300" + "067577810280" + crc_a(bytes.fromhex("067577810280")).hex()
    )
    assert ask(chip, framed("d442" + "e080" + "0000")) == ACK + framed("d54301")


def test_new_speed_begins_with_the_hosts_ack():
    """A chip that changes too early garbles its own answer; too late, everything after it."""
    told: list[int] = []
    chip = Pn532(on_speed=told.append)
    chip.receive(bytes.fromhex(WAKE + SAM), 0)
    chip.outgoing()
    assert ask(chip, framed("d41007")) == ACK + framed("d511")
    assert (chip.baud, told) == (115200, [])
    ask(chip, ACK)
    assert (chip.baud, told) == (921600, [921600])
    chip.power_cycle(1)
    assert told == [921600, 115200]


def test_field_off_takes_the_cards_power(chip):
    """A card must begin anew when the carrier was gone, or replayed halves of sessions would work."""
    lost: list[bool] = []
    card = Parrot(1)
    card.field_lost = lambda: lost.append(True)  # type: ignore[method-assign]
    chip.place(card, 0)
    ask(chip, LIST_A)
    ask(chip, framed("d4320100"))
    assert lost == [True]
    assert ask(chip, framed("d4400130")) == ACK + framed("d54127")


@given(st.lists(st.binary(max_size=20), max_size=12))
def test_junk_blocks_never_crash_a_card(frames):
    """A simulator that dies of a bad block would blame the driver."""
    chip = Pn532()
    chip.receive(bytes.fromhex(WAKE + SAM), 0)
    ask(chip, framed("d41200"))
    chip.place(Parrot(30), 0)
    ask(chip, LIST_A)
    for body in frames:
        chip.receive(bytes.fromhex(framed("d442" + body.hex())), 0)
        chip.receive(bytes.fromhex(framed("d44001" + body.hex())), 0)
    chip.outgoing()
