"""A simulated OSDP reader under a panel by hand: link rules, secure channel, commands, and how it can misbehave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.osdp.frames import close
from simulators.osdp.functions import Make
from simulators.osdp.reader import OsdpReader
from simulators.osdp.words import SCBK_D, Identity
from tests.simulators.osdp_panel import RANDOM, Panel

KEY = bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b")
OTHER_KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
POLL, ID, CAP, LSTAT, ISTAT, OSTAT, RSTAT, OUT, LED, BUZ, TEXT, COMSET = (
    0x60, 0x61, 0x62, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6E,
)  # fmt: skip
KEYSET, CHLNG, ACURXSIZE, FILETRANSFER, MFG, KEEPACTIVE = 0x75, 0x76, 0x7B, 0x7C, 0x80, 0xA7
ACK, NAK = (0x40, b""), 0x41


@pytest.fixture
def notes():
    return []


@pytest.fixture
def reader(notes):
    return OsdpReader(
        3, key=KEY, random=lambda count: bytes(range(0xA0, 0xA0 + count)), note=lambda *what: notes.append(what)
    )


@pytest.fixture
def panel(reader):
    made = Panel(reader, 3)
    assert made.connect(KEY)
    return made


@pytest.fixture
def plain():
    """A reader of the careless kind, and its panel: everything in clear text."""
    return Panel(OsdpReader(3, key=None, enforces_security=False), 3)


# -- link --------------------------------------------------------------------------------------------------------------


def test_answers_for_itself_only(plain):
    """Two readers that answer for each other would mix up two doors."""
    plain.address = 4
    assert plain.say(POLL) is None
    plain.restart()
    plain.address = 3
    answer = plain.say(POLL)
    assert (answer.address, answer.is_reply, answer.code) == (3, True, 0x40)
    plain.restart()
    plain.address = 0x7F
    assert plain.say(ID, b"\0").code == 0x45


def test_checksum_panels_get_checksums(reader):
    """A panel without CRC would hear nothing."""
    answer = Panel(reader, 3, has_crc=False).say(ID, b"\0")
    assert (answer.code, answer.has_crc) == (0x45, False)


def test_the_same_sequence_repeats_the_answer_and_nothing_else(plain):
    """A card read would be lost, or a strike pulsed twice, whenever an answer was damaged on the way."""
    plain.say(POLL)
    plain.core.functions.present(b"\xab\xcd", 16, is_wiegand=False, now_ms=0)
    first = plain.push(plain.make(POLL))[0]
    assert plain.push(plain.said)[0].raw == first.raw
    assert plain.push(plain.said)[0].raw == first.raw
    assert plain.say(POLL).code == 0x40


def test_a_wrong_sequence_is_refused(plain):
    """A frame of another conversation would be carried out."""
    plain.say(POLL)
    answer = plain.push(plain.make(OUT, bytes.fromhex("00020000"), sequence=3))[0]
    assert (answer.code, answer.body) == (NAK, b"\x04")
    assert plain.core.functions.face.outputs == [False]
    plain.restart()
    assert plain.say(POLL).code == 0x40


@pytest.mark.req("B-18")
def test_silence_ends_the_channel(panel, reader):
    """A session that outlives the line could be taken over by who plugs in later."""
    panel.wait(7900)
    assert reader.is_secure
    assert panel.ask(POLL) == ACK
    panel.wait(8000)
    assert not reader.is_secure
    assert panel.ask(POLL)[0] == NAK


# -- secure channel ----------------------------------------------------------------------------------------------------


@pytest.mark.req("B-16")
def test_whole_conversation_inside_the_channel(panel, reader):
    """Nothing else of this file would mean anything without a channel."""
    assert reader.is_secure
    for _ in range(7):  # around the sequence numbers twice
        assert panel.ask(POLL) == ACK
    reader.functions.present(bytes.fromhex("a1b2c380"), 26, is_wiegand=True, now_ms=0)
    assert panel.ask(POLL) == (0x50, bytes.fromhex("00011a00a1b2c380"))
    assert b"\xa1\xb2\xc3\x80" not in panel.said


@pytest.mark.parametrize("code", [POLL, LSTAT, OUT, LED, KEYSET, MFG, COMSET])
def test_clear_text_is_refused_by_a_secured_reader(reader, code):
    """Whoever clips onto the pair would switch outputs and set keys."""
    answer = Panel(reader, 3).say(code, bytes.fromhex("00020000"))
    assert (answer.code, answer.body) == (NAK, b"\x06")


def test_clear_text_ends_the_channel(panel, reader):
    """An injected command would be obeyed because somebody else is trusted."""
    answer = panel.say(OUT, bytes.fromhex("00020000"))
    assert (answer.code, answer.body) == (NAK, b"\x06")
    assert not reader.is_secure
    assert reader.functions.face.outputs == [False]


@given(bit=st.integers(0, 31))
def test_a_wrong_mac_ends_the_channel(bit):
    """A forged command would be carried out."""
    reader = OsdpReader(3, key=KEY)
    panel = Panel(reader, 3)
    assert panel.connect(KEY)
    forged = bytearray(panel.make_secure(OUT, bytes.fromhex("00020000"))[:-2])
    forged[-4 + bit // 8] ^= 1 << bit % 8
    answer = panel.push(close(bytes(forged), has_crc=True))[0]
    assert (answer.code, answer.body) == (NAK, b"\x06")
    assert not reader.is_secure
    assert reader.functions.face.outputs == [False]


def test_a_replayed_command_does_nothing(panel, reader):
    """Who recorded an OUT yesterday would open today."""
    assert panel.ask(OUT, bytes.fromhex("00020000"))[1] == b"\x01"
    recorded = panel.said
    assert panel.ask(OUT, bytes.fromhex("00010000"))[1] == b"\x00"
    assert panel.ask(POLL) == ACK
    assert panel.ask(POLL) == ACK  # so that the recorded sequence number fits
    assert panel.push(recorded)[0].code == NAK or reader.functions.face.outputs == [False]
    assert reader.functions.face.outputs == [False]


def test_wrong_key_and_default_key_are_refused(reader):
    """Any key would do, or the one that everybody knows."""
    assert not Panel(reader, 3).connect(OTHER_KEY)
    assert not reader.is_secure
    assert not Panel(reader, 3).connect(SCBK_D, is_default=True)
    assert not reader.is_secure


@pytest.mark.req("B-19")
def test_install_state_takes_the_default_key_and_a_new_one():
    """A fresh reader could not be given its key; or, once it has one, would still take the default."""
    reader = OsdpReader(3, key=None)
    panel = Panel(reader, 3)
    assert panel.connect(SCBK_D, is_default=True)
    assert panel.ask(KEYSET, b"\x01\x10" + KEY) == ACK
    assert panel.connect(KEY)
    assert not panel.connect(SCBK_D, is_default=True)


@pytest.mark.parametrize("body", ["0110", "0210" + "00" * 16, "010f" + "00" * 15, "0111" + "00" * 17])
def test_malformed_keys_are_refused(panel, reader, body):
    """A cut KEYSET would leave the reader with a key that nobody knows."""
    assert panel.ask(KEYSET, bytes.fromhex(body))[0] == NAK
    assert reader.key == KEY


# -- commands ----------------------------------------------------------------------------------------------------------


def test_who_it_is_and_what_it_can(panel, reader):
    """A panel knows a swapped reader by these answers only."""
    assert panel.ask(ID, b"\0") == (0x45, bytes.fromhex("e5ca11010140302010010402"))
    code, body = panel.ask(CAP, b"\0")
    rows = {body[at]: tuple(body[at + 1 : at + 3]) for at in range(0, len(body), 3)}
    assert code == 0x46
    assert rows[1] == (1, 2)
    assert rows[9] == (1, 0)
    assert rows[10] == (0, 2)


def test_states_are_told(panel, reader):
    """Tamper, supply, inputs and outputs would be invisible."""
    reader.functions.set_input(1, True)
    reader.functions.set_tamper(True, 0)
    reader.functions.set_power_fault(True)
    reader.functions.is_head_tampered = True
    assert panel.ask(LSTAT) == (0x48, b"\x01\x01")
    assert panel.ask(ISTAT) == (0x49, b"\x00\x01")
    assert panel.ask(OSTAT) == (0x4A, b"\x00")
    assert panel.ask(RSTAT) == (0x4B, b"\x02")
    assert [panel.ask(POLL)[0] for _ in range(3)] == [0x49, 0x48, 0x48]


@pytest.mark.req("B-26")
def test_a_timed_output_drops_by_itself(panel, reader, notes):
    """The strike would stay released when the panel dies after the pulse began."""
    assert panel.ask(OUT, bytes.fromhex("00050a00")) == (0x4A, b"\x01")
    panel.wait(999)
    assert reader.functions.face.outputs == [True]
    panel.wait(1)
    assert reader.functions.face.outputs == [False]
    assert panel.ask(POLL) == (0x4A, b"\x00")
    moves = [(detail["is_on"], at) for what, detail, at in notes if what == "output"]
    assert [is_on for is_on, _ in moves] == [True, False]
    assert moves[1][1] - moves[0][1] == 1000


OUTPUTS = [
    ("00020000", "", 0, True),  # on for good
    ("00020000", "00010000", 0, False),
    ("00050a00", "00020000", 2000, True),  # aborts the pulse
    ("00050a00", "00040000", 2000, True),  # lets it end, then on
    ("00050a00", "00030000", 500, True),
    ("00050a00", "00030000", 2000, False),
    ("00020000", "00060a00", 500, False),  # off for a second
    ("00020000", "00060a00", 2000, True),
    ("00020000", "00000000", 0, True),
]


@pytest.mark.parametrize("first, then, wait_ms, is_on", OUTPUTS)
def test_output_codes(panel, reader, first, then, wait_ms, is_on):
    """Table 25 read another way would hold a strike, or drop it."""
    panel.ask(OUT, bytes.fromhex(first))
    if then:
        panel.ask(OUT, bytes.fromhex(then))
    panel.wait(wait_ms)
    assert reader.functions.face.outputs == [is_on]


def test_what_it_shows_is_noted(panel, reader, notes):
    """Nobody could ask what was shown at the wall."""
    steady_red = bytes.fromhex("0000000000000000000101000100")
    green_for_two = bytes.fromhex("0000020100020014000000000000")
    assert panel.ask(LED, steady_red) == ACK
    assert reader.functions.face.colour == "red"
    assert panel.ask(LED, green_for_two) == ACK
    assert reader.functions.face.colour == "green"
    panel.wait(2000)
    assert reader.functions.face.colour == "red"
    assert panel.ask(BUZ, bytes.fromhex("0002010103")) == ACK
    assert panel.ask(TEXT, bytes.fromhex("000305010102") + b"OK") == ACK
    assert reader.functions.face.text == "OK"
    panel.wait(5000)
    assert reader.functions.face.text == ""
    said = [(what, detail.get("colour") or detail.get("text") or detail.get("count")) for what, detail, _ in notes]
    assert said[1:] == [("led", "red"), ("led", "green"), ("led", "red"), ("buzzer", 3), ("text", "OK"), ("text", None)]


@pytest.mark.parametrize(
    "code, body, why",
    [
        (OUT, "000200", 2),
        (OUT, "05020000", 9),
        (OUT, "00090000", 9),
        (LED, "00", 2),
        (BUZ, "0002", 2),
        (TEXT, "000100010105", 2),
        (0x73, "", 3),
        (FILETRANSFER, "01", 2),
        (MFG, "01", 2),
        (MFG, "010203", 9),
        (COMSET, "01", 2),
    ],
)
def test_what_it_cannot_do_it_refuses(panel, code, body, why):
    """A panel must be able to tell a refusal from a dead reader."""
    assert panel.ask(code, bytes.fromhex(body)) == (NAK, bytes((why,)))
    assert panel.ask(POLL) == ACK


def test_digits_come_one_by_one(panel, reader, notes):
    """A PIN would arrive as no keypad sends it, or stand in the journal."""
    reader.functions.type("19*", 0)
    assert [panel.ask(POLL)[1] for _ in range(4)] == [b"\0\1" + key for key in (b"1", b"9", b"\x7f", b"\x0d")]
    assert notes[-1][:2] == ("keys", {"length": 3})
    with pytest.raises(ValueError, match="no keypad"):
        OsdpReader(0, key=None, make=Make(has_keypad=False)).functions.type("1", 0)


def test_formatted_cards(panel, reader):
    """Magnetic stripe readers send characters."""
    reader.functions.present_text("0012345", is_backward=True, now_ms=0)
    assert panel.ask(POLL) == (0x51, b"\x00\x01\x07" + b"0012345")


def test_a_file_arrives_whole_or_not_at_all(panel, reader):
    """A firmware with a hole would be taken for one."""
    whole = bytes(range(256)) * 2

    def part(offset: int, count: int) -> bytes:
        piece = whole[offset : offset + count]
        numbers = len(whole).to_bytes(4, "little") + offset.to_bytes(4, "little") + len(piece).to_bytes(2, "little")
        return b"\x01" + numbers + piece

    ok, done, bad = (b"\x01\0\0" + word + b"\0\0" for word in (b"\0\0", b"\1\0", b"\xfd\xff"))
    assert panel.ask(FILETRANSFER, part(0, 200)) == (0x7A, ok)
    assert panel.ask(FILETRANSFER, part(300, 100)) == (0x7A, bad)
    assert [panel.ask(FILETRANSFER, part(at, 200))[1] for at in (0, 200, 400)] == [ok, ok, done]
    assert reader.functions.files == {1: whole}


def test_line_settings_change_after_the_answer(panel, reader):
    """A panel that raises the speed waits for the answer at the old one."""
    code, body = panel.ask(COMSET, b"\x05" + (115200).to_bytes(4, "little"))
    assert (code, body) == (0x54, b"\x05" + (115200).to_bytes(4, "little"))
    assert (reader.address, reader.baud) == (5, 115200)
    panel.address = 5
    assert panel.connect(KEY)
    assert panel.ask(COMSET, b"\x05" + (1234).to_bytes(4, "little"))[1] == b"\x05" + (115200).to_bytes(4, "little")


def test_sizes_and_keep_active(panel, reader):
    """Smart card work needs both, before the card comes."""
    assert panel.ask(ACURXSIZE, (1024).to_bytes(2, "little")) == ACK
    assert panel.ask(KEEPACTIVE, (5000).to_bytes(2, "little")) == ACK
    assert (reader.functions.panel_size, reader.functions.keep_active_ms) == (1024, 5000)


# -- what hands do to it -----------------------------------------------------------------------------------------------


@pytest.mark.req("B-17")
def test_reads_wait_in_the_reader_while_nobody_polls(panel, reader):
    """Stale reads could not be tried: a real reader hands them out after an outage."""
    for number in range(70):
        reader.functions.present(bytes((number,)), 8, is_wiegand=False, now_ms=0)
    panel.wait(60_000)
    assert panel.connect(KEY)
    told = [panel.ask(POLL) for _ in range(65)]
    assert [body[4] for code, body in told if code == 0x50] == list(range(6, 70))
    assert told[-1] == ACK
    assert reader.functions.events_lost == 6


@pytest.mark.req("B-19")
def test_swapped_and_reset_readers(panel, reader, notes):
    """The attacks that the product must notice could not be carried out."""
    reader.swap(Identity(serial=7), KEY, panel.now_ms)
    assert panel.push(panel.make_secure(POLL))[0].code == NAK
    assert panel.connect(KEY)
    assert panel.ask(ID, b"\0")[1][5:9] == b"\x07\0\0\0"
    reader.swap(Identity(serial=8), None, panel.now_ms)
    assert not panel.connect(KEY)
    assert panel.connect(SCBK_D, is_default=True)
    reader.swap(Identity(), KEY, panel.now_ms)
    reader.reset(panel.now_ms)
    assert not panel.connect(KEY)
    assert panel.connect(SCBK_D, is_default=True)
    assert [what for what, _, _ in notes if what in ("swap", "reset")] == ["swap", "swap", "swap", "reset"]


@pytest.mark.req("B-19")
def test_held_in_install_mode(reader):
    """A reader that forgets its key on purpose fishes for keys at every re-installation."""
    reader.mischief.holds_install_mode = True
    panel = Panel(reader, 3)
    assert panel.connect(SCBK_D, is_default=True)
    assert panel.ask(KEYSET, b"\x01\x10" + OTHER_KEY) == ACK
    assert not panel.connect(OTHER_KEY)
    assert panel.connect(SCBK_D, is_default=True)


@pytest.mark.req("B-18")
def test_downgraded(reader):
    """A reader that claims to know no AES would have to be met somewhere before the site."""
    reader.mischief.offers_no_security = True
    panel = Panel(reader, 3)
    answer = panel.say(CAP, b"\0")
    assert bytes((9, 0, 0)) in answer.body
    answer = panel.say(CHLNG, RANDOM, block=b"\x11\x01")
    assert (answer.code, answer.body) == (NAK, b"\x05")


@pytest.mark.parametrize("key", [SCBK_D, OTHER_KEY])
def test_answers_with_another_key(reader, key):
    """A reader that does not know its key, or knows the one that everybody knows."""
    reader.mischief.answers_with = key
    panel = Panel(reader, 3)
    assert not panel.connect(KEY)
    assert panel.connect(key)


def test_corrupt_macs(panel, reader):
    """Frames that fail their sum of authenticity again and again."""
    reader.mischief.corrupts_macs = True
    with pytest.raises(AssertionError, match="wrong MAC"):
        panel.ask(POLL)


def test_late_busy_silent_and_refusing(panel, reader):
    """The four ways in which a sick reader slows its neighbours."""
    reader.mischief.late_ms = 150
    assert panel.push(panel.make_secure(POLL)) == []
    answer = panel.read(panel.wait(150))[0]
    assert panel.open(answer) == ACK
    reader.mischief.late_ms = 0
    reader.mischief.naks_all = 9
    assert panel.ask(POLL) == (NAK, b"\x09")
    reader.mischief.naks_all = None
    reader.mischief.is_busy = True
    raw = panel.make_secure(POLL)
    busy = panel.push(raw)[0]
    assert (busy.code, busy.sequence, busy.block) == (0x79, 0, b"")
    reader.mischief.is_busy = False
    assert panel.open(panel.push(raw)[0]) == ACK  # the very same command, now carried out
    reader.mischief.is_silent = True
    assert panel.push(panel.make_secure(POLL)) == []


def test_a_replayed_answer(panel, reader):
    """A card read that somebody recorded and plays again."""
    reader.functions.present(b"\xab", 8, is_wiegand=False, now_ms=0)
    recorded = panel.push(panel.make_secure(POLL))[0]
    panel.open(recorded)
    reader.replay(recorded.raw)
    with pytest.raises(AssertionError, match="wrong MAC"):
        panel.ask(POLL)


# -- anything at all ---------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(1, 20))
@pytest.mark.req("B-18")
def test_garbage_moves_nothing_and_the_reader_lives(junk, cut):
    """Noise would switch an output, change the key or kill the reader."""
    reader = OsdpReader(3, key=KEY)
    panel = Panel(reader, 3)
    for at in range(0, len(junk), cut):
        reader.receive(junk[at : at + cut], panel.now_ms + at)
    reader.outgoing()
    assert reader.functions.face.outputs == [False]
    assert reader.key == KEY
    panel.now_ms += 1000
    assert panel.connect(KEY)


@settings(max_examples=40)
@given(st.integers(0x50, 0xBF), st.binary(max_size=40), st.integers(0, 3))
def test_no_body_breaks_a_command(code, body, block):
    """A panel of another maker with longer or shorter bodies would kill the reader."""
    reader = OsdpReader(3, key=KEY, enforces_security=False)
    panel = Panel(reader, 3)
    assert panel.say(code, body, block=(b"", b"\x11\x01", b"\x13\x01", b"\x20\x00")[block]) is not None
    secure = Panel(reader, reader.address)
    assert secure.connect(reader.key)
    if code not in (0x76, 0x77):
        assert secure.ask(code, body)[0] in range(0x40, 0x91)


def test_a_frame_cut_at_every_place():
    """A frame whose end is missing would wait for its end in the next frame, for ever."""
    reader = OsdpReader(3, key=None, enforces_security=False)
    panel = Panel(reader, 3)
    for at in range(1, 12):
        panel.restart()
        assert panel.push(panel.make(OUT, bytes.fromhex("00020000"))[:at]) == []
        panel.now_ms += 500
        panel.restart()
        assert panel.say(POLL).code == 0x40
        assert reader.functions.face.outputs == [False]
