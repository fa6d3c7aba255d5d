"""readers/protocols/lcus.py: the strike's last metre. Frames as printed on the boards' sheets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.events import DeviceOffline, DeviceOnline, LineNoise, OutputReported
from readers.protocols.lcus import ANSWER_WITHIN_MS, ASK_AFTER_MS, HELD_BYTES_MAX, QUEUED_FRAMES_MAX, LcusBoard

ON_1, OFF_1 = bytes.fromhex("A00101A2"), bytes.fromhex("A00100A1")
ON_2, OFF_2 = bytes.fromhex("A00201A3"), bytes.fromhex("A00200A2")


def opened(channels: int = 2) -> LcusBoard:
    board = LcusBoard("b", channels)
    board.connection_made(0)
    board.data_to_send()
    return board


def test_the_published_frames():
    """No strike on such a board would move."""
    board = opened()
    board.switch(1, True)
    board.switch(1, False)
    board.switch(2, True)
    assert board.data_to_send() == ON_1 + OFF_1 + ON_2
    assert board.data_to_send() == b""


@pytest.mark.req("B-11")
def test_every_relay_is_off_first_when_the_line_opens():
    """A strike that was on when the cable was cut would stay on."""
    board = LcusBoard("b", 2)
    board.connection_made(0)
    assert board.data_to_send() == OFF_1 + OFF_2


@pytest.mark.req("B-11", "B-22")
def test_a_command_given_while_the_line_is_down_is_never_sent():
    """A door would open when a cable is plugged in, minutes after the badge."""
    board = LcusBoard("b", 1)
    board.switch(1, True)
    assert board.data_to_send() == b""
    board.connection_made(0)
    board.data_to_send()
    board.switch(1, True)
    board.connection_lost(1)
    board.switch(1, True)
    board.connection_made(2)
    assert board.data_to_send() == OFF_1


def test_online_means_the_port_and_is_told_once_per_change():
    """A board that was pulled would look alive."""
    board = LcusBoard("b", 1)
    board.connection_made(5)
    assert board.deadline() == 5
    assert board.tick(5) == [DeviceOnline(source="b")]
    assert board.tick(6) == []
    assert board.connection_lost(7) == [DeviceOffline(source="b", why="line lost")]
    assert board.connection_lost(8) == []


def test_a_board_that_answers_is_understood_in_any_pieces():
    """The relays' own state could not be seen."""
    board = opened()
    board.tick(0)
    board.query()
    board.query()
    assert board.data_to_send() == b"\xff"
    answer = b"CH1:ON \r\nCH2: OFF\r\n"
    told = [event for byte in answer for event in board.receive_data(bytes((byte,)), 1)]
    assert told == [
        OutputReported(source="b", is_on=True, channel=1),
        OutputReported(source="b", is_on=False, channel=2),
    ]


@pytest.mark.parametrize(
    "line", [b"CH9:ON \r\n", b"CH1:MAYBE\r\n", b"hello\n", b"\xff\xfe\n", b"CH0:ON\r\n", b"CH1:ON!\n"]
)
def test_what_is_no_answer_is_noise(line):
    """A relay would be believed to be in a state that nobody reported."""
    board = opened()
    board.tick(0)
    told = board.receive_data(line, 1)
    assert [type(event) for event in told] == [LineNoise]


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_random_bytes_never_raise_and_hold_no_memory(chunks):
    """A disturbed relay line would take the controller down."""
    board = opened()
    board.tick(0)
    for chunk in chunks:
        board.receive_data(chunk, 1)
        assert len(board._held) <= HELD_BYTES_MAX
    assert board.data_to_send() == b""


def test_a_line_that_takes_nothing_keeps_each_relays_last_order_only():
    """Hours of pulses would be sent at once when the line recovers."""
    board = opened()
    for _ in range(10 * QUEUED_FRAMES_MAX):
        board.switch(1, True)
        board.switch(1, False)
    board.switch(2, True)
    waiting = board.data_to_send()
    assert len(waiting) <= 4 * (QUEUED_FRAMES_MAX + 1)
    assert waiting.endswith(OFF_1 + ON_2)


def asked(board: LcusBoard, from_ms: int, until_ms: int) -> list[int]:
    """When the board was asked, in a loop that wakes by its deadline."""
    times = []
    now_ms = from_ms
    while (due_ms := board.deadline()) is not None and due_ms <= until_ms:
        now_ms = max(now_ms, due_ms)
        board.tick(now_ms)
        if board.data_to_send() == b"\xff":
            times.append(now_ms)
    return times


@pytest.mark.req("B-26")
def test_after_every_order_the_board_is_asked_and_its_word_reported():
    """A relay that stuck would count as off, although its board could tell."""
    board = opened()
    assert asked(board, 0, 400) == [ASK_AFTER_MS]
    assert board.receive_data(b"CH1:OFF \r\nCH2:OFF \r\n", 60) == []
    assert board.can_report and board.deadline() is None
    for is_on in (True, False):
        board.switch(1, is_on)
        board.data_to_send()
        assert asked(board, 1_000, 1_400) == [1_000 + ASK_AFTER_MS]
        word = b"ON" if is_on else b"OFF"
        told = board.receive_data(b"CH1:" + word + b" \r\nCH2:OFF \r\n", 1_060)
        assert told == [OutputReported(source="b", is_on=is_on, channel=1)]
    assert asked(board, 2_000, 10**6) == []


def test_a_relay_that_was_left_on_is_told_when_the_line_opens():
    """A strike that ignores OFF would look secured from the first minute."""
    board = opened()
    asked(board, 0, 400)
    assert board.receive_data(b"CH1:OFF\r\nCH2:ON\r\n", 60) == [OutputReported(source="b", is_on=True, channel=2)]


def test_a_board_that_never_says_anything_is_asked_no_more():
    """A board that cannot answer would be asked for ever, and its silence taken for a fault."""
    board = opened()
    first = asked(board, 0, 10**6)
    assert first == [ASK_AFTER_MS + n * ANSWER_WITHIN_MS for n in range(3)]
    board.switch(1, True)
    board.data_to_send()
    assert board.deadline() is None and not board.can_report
    board.connection_lost(10**6)
    board.connection_made(10**6)
    board.data_to_send()
    assert len(asked(board, 10**6, 2 * 10**6)) == 3


def test_a_board_that_stops_answering_is_asked_again_and_then_left():
    """The line would be filled with questions; and the next order would be asked about no more."""
    board = opened()
    asked(board, 0, 400)
    board.receive_data(b"CH1:OFF\r\nCH2:OFF\r\n", 60)
    for begin in (1_000, 9_000):
        board.switch(1, True)
        board.data_to_send()
        assert len(asked(board, begin, begin + 5_000)) == 3
    assert board.can_report


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_a_channel_that_the_board_has_not_is_our_mistake(channel):
    """A typo in the site file would switch somebody else's strike."""
    with pytest.raises(ValueError, match="channels 1 to 2"):
        opened().switch(channel, True)
    with pytest.raises(ValueError, match="1 to 32"):
        LcusBoard("b", 0)
