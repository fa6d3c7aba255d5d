"""readers/protocols/modbus.py: relays that drop by themselves, and inputs, on one RS-485 line of several boards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.events import DeviceOffline, DeviceOnline, InputChanged, LineFault, LineNoise, OutputReported
from readers.protocols import modbus_frames as frames
from readers.protocols.modbus import (
    BACKOFF_MAX_MS,
    COILS_MS,
    HELD_BYTES_MAX,
    PULSE_MAX_MS,
    RELEASE_WITHIN_MS,
    ModbusBoardPlan,
    ModbusLine,
)
from readers.protocols.modbus_frames import Function
from readers.protocols.supervised import InputPlan, Loop
from tests.readers.modbus_rig import Rig, board

ON_1, OFF_1 = bytes.fromhex("01050000FF008C3A"), bytes.fromhex("010500000000CDCA")
FLASH_700, FLASH_2_800 = bytes.fromhex("0105020000078DB0"), bytes.fromhex("0105020100089C74")


def online(name: str = "b1") -> DeviceOnline:
    return DeviceOnline(source=name)


def test_the_published_frames():
    """No board that one can buy would move."""
    assert frames.switch(1, 1, is_on=True).frame == ON_1
    assert frames.switch(1, 1, is_on=False).frame == OFF_1
    assert frames.flash(1, 1, 700).frame == FLASH_700
    assert frames.flash(1, 2, 800).frame == FLASH_2_800
    for request in (frames.switch(1, 1, is_on=True), frames.flash(1, 2, 800)):
        found = frames.find_reply(request.frame, request)
        assert found is not None and (found.begin, found.end, found.exception) == (0, 8, 0)


@pytest.mark.req("B-11", "B-26")
def test_every_relay_is_off_first_when_the_line_opens():
    """A strike that was on when the cable was cut would stay on."""
    rig = Rig(board(1), board(2))
    for one in rig.boards.values():
        one.states[2] = True
    rig.plug()
    assert rig.line.release("b1", 1, 500, rig.now) is False
    told = rig.run(400)
    assert rig.sent[0] == frames.all_off(1, 2).frame
    assert [states for one in rig.boards.values() for states in one.states.values()] == [False] * 4
    assert online("b1") in told and online("b2") in told


@pytest.mark.req("B-26")
def test_a_release_is_dropped_by_the_board_itself():
    """A controller that dies during a pulse would leave the door open."""
    rig = Rig().online()
    assert rig.line.release("b1", 2, 800, rig.now) is True
    told = rig.run(100)
    assert FLASH_2_800 in rig.sent
    assert OutputReported(source="b1", is_on=True, channel=2) in told
    began = rig.moves[0][0]
    for now in range(rig.now, began + 1_000):  # the controller is dead: nobody speaks
        rig.bus.tick(now)
    assert rig.moves == [(began, 1, 2, True), (began + 800, 1, 2, False)]


@pytest.mark.req("B-26")
@pytest.mark.parametrize("has_flash", [True, False])
def test_a_pulse_ends_by_our_off_and_its_end_is_read_back(has_flash):
    """Nobody would know whether the door locked again."""
    rig = Rig(board(has_flash=has_flash), has_flash=has_flash).online()
    rig.line.release("b1", 1, 650, rig.now)
    told = rig.run(1_000)
    (on_ms, *_), (off_ms, *_) = rig.moves
    assert 600 <= off_ms - on_ms <= 700
    assert OFF_1 in rig.sent
    reports = [event for event in told if isinstance(event, OutputReported)]
    assert [(event.channel, event.is_on) for event in reports] == [(1, True), (1, False)]


def test_a_board_without_flash_is_found_out_and_obeys_all_the_same():
    """The door would stay shut because the site file believes the board to be another one."""
    rig = Rig(board(has_flash=False)).online()
    rig.line.release("b1", 1, 500, rig.now)
    rig.run(1_000)
    assert [is_on for *_, is_on in rig.moves] == [True, False]
    assert [sent for sent in rig.sent if sent[1] == Function.WRITE_COIL][:2] == [frames.flash(1, 1, 500).frame, ON_1]


def test_a_board_that_cannot_write_all_at_once_is_switched_off_one_by_one():
    """A cheaper board would never come online."""
    one = board(has_write_all=False)
    one.states[1] = one.states[2] = True
    rig = Rig(one)
    rig.plug()
    assert online() in rig.run(600)
    assert [(channel, is_on) for _, _, channel, is_on in rig.moves] == [(2, False), (1, False)]


@pytest.mark.req("B-26")
def test_no_release_is_longer_than_the_longest():
    """A typo in a site file would hold a door open for hours."""
    rig = Rig().online()
    rig.line.release("b1", 1, 10 * PULSE_MAX_MS, rig.now)
    rig.run(100)
    assert frames.flash(1, 1, PULSE_MAX_MS).frame in rig.sent
    assert frames.flash(1, 1, 10**9).frame[4:6] == b"\x7f\xff"
    with pytest.raises(ValueError, match="a release of 0 ms"):
        rig.line.release("b1", 1, 0, rig.now)


@pytest.mark.req("B-22", "B-11")
def test_nothing_is_kept_for_a_line_or_a_board_that_is_down():
    """A door would open when a cable is plugged in, minutes after the badge."""
    rig = Rig().online()
    rig.unplug()
    assert rig.line.release("b1", 1, 500, rig.now) is False
    assert rig.line.secure("b1", 1, rig.now) is False
    rig.plug()
    rig.run(500)
    rig.boards[1].is_deaf = True
    rig.run(1_000)
    assert rig.line.release("b1", 1, 500, rig.now) is False
    rig.boards[1].is_deaf = False
    rig.run(3_000)
    assert rig.line.release("b1", 1, 500, rig.now) is True
    assert rig.moves == []


@pytest.mark.req("B-22")
def test_a_release_that_is_not_heard_in_time_is_dropped():
    """The strike would fire long after the person went away."""
    rig = Rig().online()
    rig.boards[1].is_deaf = True
    rig.line.release("b1", 1, 2_000, rig.now)
    rig.run(150)
    assert any(sent[1] == Function.WRITE_COIL for sent in rig.sent)
    rig.run(RELEASE_WITHIN_MS)
    rig.boards[1].is_deaf = False
    rig.run(3_000)
    assert rig.moves == []


def test_a_lost_answer_is_asked_for_again_and_the_pulse_is_not_longer_for_it():
    """One disturbed byte would keep a door shut, or keep it open longer."""
    rig = Rig().online()
    heard: list[bytes] = []

    def lose_the_first(answer: bytes) -> bytes:
        if answer[1:2] == b"\x05":
            heard.append(answer)
            return b"" if len(heard) == 1 else answer
        return answer

    rig.spoil = lose_the_first
    rig.line.release("b1", 1, 600, rig.now)
    rig.run(1_000)
    (on_ms, *_), (off_ms, *_) = rig.moves
    assert 550 <= off_ms - on_ms <= 650


def test_the_last_order_of_a_relay_counts():
    """A secured door would be released by an order that was overtaken."""
    rig = Rig().online()
    rig.line.release("b1", 1, 5_000, rig.now)
    rig.line.release("b1", 1, 5_000, rig.now)
    rig.line.secure("b1", 1, rig.now)
    rig.run(500)
    assert rig.boards[1].states == {1: False, 2: False}
    rig.line.secure("b1", 1, rig.now)
    rig.line.release("b1", 1, 5_000, rig.now)
    rig.run(500)
    assert rig.boards[1].states == {1: True, 2: False}
    rig.line.all_off(rig.now)
    rig.run(500)
    assert rig.boards[1].states == {1: False, 2: False}


def test_a_pulse_that_is_renewed_goes_on():
    """A door in an unlocked mode would fall shut between two renewals."""
    rig = Rig().online()
    for _ in range(5):
        rig.line.release("b1", 1, 1_000, rig.now)
        rig.run(700)
    assert [is_on for *_, is_on in rig.moves] == [True]
    rig.run(1_000)
    assert [is_on for *_, is_on in rig.moves] == [True, False]


@pytest.mark.req("B-26")
def test_a_relay_that_is_on_without_an_order_is_switched_off_and_told():
    """A hand at the board's own interface, or a glitch, would hold a door open unseen."""
    rig = Rig().online()
    rig.boards[1].states[2] = True
    told = rig.run(COILS_MS + 200)
    assert OutputReported(source="b1", is_on=True, channel=2) in told
    assert rig.boards[1].states[2] is False


@pytest.mark.req("B-26")
def test_a_welded_relay_is_reported_on_after_its_off():
    """A strike that hangs would look secured."""
    rig = Rig().online()
    rig.line.release("b1", 1, 300, rig.now)
    rig.run(200)
    rig.boards[1].welded.add(1)
    told = rig.run(400)
    assert [event.is_on for event in told if isinstance(event, OutputReported)] == [True]


# -- inputs ----------------------------------------------------------------------------------------------------------


def test_levels_that_were_there_are_reports_and_changes_are_edges():
    """A REX that was pressed when the cable came back would free the strike."""
    one = board()
    one.inputs[2] = True
    rig = Rig(one)
    rig.plug()
    told = [event for event in rig.run(600) if isinstance(event, InputChanged)]
    assert [(event.source, event.line, event.is_active, event.is_level_report) for event in told] == [
        ("b1:1", "contact", False, True),
        ("b1:2", "rex", True, True),
        ("b1:3", "tamper", False, True),
    ]
    one.inputs[1] = False  # no current: the leaf is open, or the wire is cut
    (told,) = [event for event in rig.run(300) if isinstance(event, InputChanged)]
    assert told == InputChanged(source="b1:1", line="contact", is_active=True, is_level_report=False)
    rig.unplug()
    one.inputs[1] = True
    rig.plug()
    told = [event for event in rig.run(600) if isinstance(event, InputChanged)]
    assert all(event.is_level_report for event in told) and len(told) == 3


@pytest.mark.req("B-09")
@pytest.mark.parametrize("shift_ms", range(0, 400, 23))
def test_a_pulse_of_401_ms_is_seen_whatever_else_happens_on_the_line(shift_ms):
    """Somebody would slip through a door between two looks at its contact."""
    boards = [board(unit) for unit in range(1, 4)]
    rig = Rig(*boards, board(9, input_count=0, register_count=0)).online()
    rig.boards[9].is_deaf = True
    rig.run(2_000 + shift_ms)
    rig.events.clear()
    boards[2].inputs[2] = True
    rig.line.release("b1", 1, 300, rig.now)
    rig.run(401)
    boards[2].inputs[2] = False
    rig.run(600)
    told = [event.is_active for event in rig.events if isinstance(event, InputChanged) and event.source == "b3:2"]
    assert told == [True, False]


def test_a_bounce_is_no_change():
    """Every slammed door would be two openings."""
    rig = Rig().online()
    for _ in range(20):
        rig.boards[1].inputs[2] = True
        rig.run(8)
        rig.boards[1].inputs[2] = False
        rig.run(60)
    assert [event for event in rig.events if isinstance(event, InputChanged)] == []


@pytest.mark.req("B-09")
@pytest.mark.parametrize(("raw", "fault"), [(0, "short"), (399, "short"), (601, "short"), (799, "cut"), (1023, "cut")])
def test_a_supervised_loop_tells_a_cut_wire_from_an_open_contact(raw, fault):
    """A burglar would silence a contact by bridging or cutting its wire."""
    rig = Rig().online()
    rig.boards[1].registers[3] = 850
    assert InputChanged(source="b1:3", line="tamper", is_active=True, is_level_report=False) in rig.run(300)
    rig.boards[1].registers[3] = raw
    assert rig.run(300) == [LineFault(source="b1:3", line="tamper", fault=fault, is_level_report=False)]
    rig.boards[1].registers[3] = 500
    assert InputChanged(source="b1:3", line="tamper", is_active=False, is_level_report=False) in rig.run(300)


def test_a_loop_that_never_holds_still_is_not_believed_to_be_quiet():
    """A shaken wire would hide that the contact opened."""
    rig = Rig().online()
    for n in range(200):
        rig.boards[1].registers[3] = 850 if n % 2 else 1_000
        rig.run(3)
    assert [event for event in rig.events if isinstance(event, InputChanged | LineFault)]


def test_bands_that_touch_are_refused():
    """A cut wire would be read as a closed contact."""
    with pytest.raises(ValueError, match="two bands"):
        Loop(quiet=(400, 600), active=(600, 700))


# -- trouble ---------------------------------------------------------------------------------------------------------


def test_a_board_that_falls_silent_is_told_once_and_comes_back_with_every_relay_off():
    """A dead board would look alive; a returned one would be left as it is."""
    rig = Rig(board(1), board(2)).online()
    rig.boards[2].is_deaf = True
    told = rig.run(3_000)
    assert [event for event in told if isinstance(event, DeviceOffline)] == [
        DeviceOffline(source="b2", why="no answer")
    ]
    rig.boards[2].states[1] = True
    rig.boards[2].is_deaf = False
    told = rig.run(BACKOFF_MAX_MS + 500)
    assert [event for event in told if isinstance(event, DeviceOnline)] == [online("b2")]
    assert rig.boards[2].states[1] is False
    assert not [event for event in told if isinstance(event, DeviceOffline)]


def test_a_dead_neighbour_holds_no_release_up_beyond_its_own_probe():
    """One broken board would make all doors of the line slow."""
    rig = Rig(board(1), board(2)).online()
    rig.boards[2].is_deaf = True
    rig.run(1_000)
    for _ in range(20):
        rig.run(137)
        before = rig.now
        rig.moves.clear()
        rig.line.release("b1", 1, 100, rig.now)
        rig.run(300)
        assert rig.moves[0][0] - before <= 150


def test_an_adapter_that_hears_itself_proves_nothing():
    """The echo of an order would pass for its answer, and a dead board for an obedient one."""
    rig = Rig(has_echo=True).online()
    rig.line.release("b1", 1, 500, rig.now)
    assert OutputReported(source="b1", is_on=True, channel=1) in rig.run(200)
    rig.run(600)
    rig.boards[1].is_deaf = True
    rig.line.secure("b1", 1, rig.now)
    assert DeviceOffline(source="b1", why="no answer") in rig.run(1_000)
    deaf = Rig(board(is_deaf=True), has_echo=True)
    deaf.plug()
    assert online() not in deaf.run(2_000)


def test_a_board_that_refuses_its_inputs_is_not_online():
    """A wrong count in the site file would look like a door that is always shut."""
    line = ModbusLine("line", [ModbusBoardPlan(id="b1", unit=1, channels=2, inputs=(InputPlan(number=9, line="rex"),))])
    rig = Rig()
    rig.line = line
    rig.plug()
    told = rig.run(2_000)
    assert [event.why for event in told if isinstance(event, DeviceOffline)] == ["exception 2"]
    assert not [event for event in told if isinstance(event, DeviceOnline)]


ANSWERS = [
    (frames.switch(1, 1, is_on=True), ON_1),
    (frames.flash(1, 1, 700), FLASH_700),
    (frames.read(1, Function.READ_COILS, 8), bytes.fromhex("01010101") + frames.crc16(bytes.fromhex("01010101"))),
    (frames.all_off(1, 8), bytes.fromhex("010F00000008") + frames.crc16(bytes.fromhex("010F00000008"))),
    (
        frames.read(1, Function.READ_REGISTERS, 1),
        bytes.fromhex("01040201F4") + frames.crc16(bytes.fromhex("01040201F4")),
    ),
]


@pytest.mark.parametrize(("request_", "answer"), ANSWERS, ids=[request.function.name for request, _ in ANSWERS])
def test_no_answer_that_is_cut_changed_or_another_boards_is_believed(request_, answer):
    """A disturbed line would report a relay that never moved."""
    for end in range(len(answer)):
        assert frames.find_reply(answer[:end], request_) is None
    for at in range(len(answer)):
        for bit in range(8):
            spoilt = bytearray(answer)
            spoilt[at] ^= 1 << bit
            assert frames.find_reply(spoilt, request_) is None
    other = b"\x02" + answer[1:-2]
    assert frames.find_reply(other + frames.crc16(other), request_) is None


@given(
    before=st.binary(max_size=30),
    after=st.binary(max_size=30),
    cut=st.integers(min_value=0, max_value=70),
)
def test_a_good_answer_is_found_in_any_noise_and_any_pieces(before, after, cut):
    """One stray byte before an answer would cost a board its place."""
    request, answer = ANSWERS[2]
    found = frames.find_reply(before + answer + after, request)
    assert found is not None
    line = ModbusLine("line", [ModbusBoardPlan(id="b1", unit=1)])
    line.connection_made(0)
    line.tick(10)
    assert line.data_to_send() == frames.all_off(1, 8).frame
    stream = before + ANSWERS[3][1] + after
    line.receive_data(stream[:cut], 20)
    line.receive_data(stream[cut:], 21)
    line.tick(40)
    assert line.data_to_send() == request.frame


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(min_value=0, max_value=300)), max_size=40))
def test_random_bytes_never_raise_hold_no_memory_and_move_nothing(chunks):
    """A disturbed line would take the controller down, or a strike up."""
    line = ModbusLine("line", [ModbusBoardPlan(id="b1", unit=1), ModbusBoardPlan(id="b2", unit=2)])
    line.connection_made(0)
    now = 0
    for chunk, pause_ms in chunks:
        now += pause_ms
        told = [*line.receive_data(chunk, now), *line.tick(now)]
        out = line.data_to_send()
        assert not out or out[1] == Function.WRITE_COILS  # switching off is all that it does
        assert all(isinstance(event, DeviceOffline | LineNoise) for event in told)
        assert len(line._held) <= HELD_BYTES_MAX


@given(st.integers(min_value=0, max_value=2_000), st.integers(min_value=0, max_value=600))
@pytest.mark.req("B-11")
def test_unplugged_at_any_moment_and_plugged_in_again(first_ms, gap_ms):
    """A strike would be on after a cable came back, without anybody's grant."""
    rig = Rig(board(1), board(2)).online()
    rig.line.release("b1", 1, 900, rig.now)
    rig.line.release("b2", 2, 900, rig.now)
    rig.run(first_ms)
    rig.unplug()
    rig.run(gap_ms)
    rig.moves.clear()
    rig.plug()
    rig.run(800)
    assert not any(is_on for *_, is_on in rig.moves)
    assert [event.source for event in rig.events[-20:] if isinstance(event, DeviceOnline)] == ["b1", "b2"]


@pytest.mark.parametrize(
    "plans",
    [
        [ModbusBoardPlan(id="a", unit=0)],
        [ModbusBoardPlan(id="a", unit=248)],
        [ModbusBoardPlan(id="a", unit=1), ModbusBoardPlan(id="b", unit=1)],
        [ModbusBoardPlan(id="a", unit=1, channels=33)],
        [ModbusBoardPlan(id="a", unit=1, channels=0)],
        [ModbusBoardPlan(id="a", unit=1, inputs=(InputPlan(number=0, line="rex"),))],
        [
            ModbusBoardPlan(
                id="a", unit=1, inputs=(InputPlan(number=1, line="rex"), InputPlan(number=1, line="contact"))
            )
        ],
    ],
)
def test_a_line_that_cannot_be_is_our_mistake(plans):
    """A typo in the site file would switch somebody else's strike."""
    with pytest.raises(ValueError, match=r"unit|channels|numbered"):
        ModbusLine("line", plans)


def test_more_inputs_than_the_speed_allows_are_our_mistake():
    """Pulses would be missed on a line that is too full, and nobody would know."""
    plans = [ModbusBoardPlan(id=f"b{n}", unit=n, inputs=(InputPlan(number=8, line="contact"),)) for n in range(1, 33)]
    assert ModbusLine("line", plans[:6]).is_open is False
    with pytest.raises(ValueError, match="fewer boards, or more baud"):
        ModbusLine("line", plans[:12])
    assert ModbusLine("line", plans[:12], 115_200).is_open is False
    assert ModbusLine("line", [ModbusBoardPlan(id=f"b{n}", unit=n) for n in range(1, 33)]).is_open is False


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_a_channel_that_the_board_has_not_is_our_mistake(channel):
    """A typo in the site file would switch somebody else's strike."""
    with pytest.raises(ValueError, match="channels 1 to 2"):
        Rig().online().line.release("b1", channel, 100, 0)
