"""The chip's commands, spoken to in bytes written out by hand from NXP UM0701-02 §7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cards import FelicaCard, TypeACard, card_of
from simulators.pn532 import Pn532

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
    ("d40663026303", "d5070000", "ReadRegister answers one byte a register and no status byte"),
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
    assert ask(chip, WAKE + framed("d402")[2:]) == ACK + framed("d50332010607")


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
