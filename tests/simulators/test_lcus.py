"""The relay board against its published frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.lcus import LcusBoard


def test_published_frames_switch_the_relay():
    """A00101A2 and A00100A1 are on the seller's page: a board that wants others is no LCUS."""
    moved = []
    board = LcusBoard(2, lambda channel, is_on, now_ms: moved.append((channel, is_on, now_ms)))
    board.receive(bytes.fromhex("a00101a2"), 10)
    board.receive(bytes.fromhex("a00101a2"), 11)  # repeated: nothing moves
    board.receive(bytes.fromhex("a00100a1"), 12)
    board.receive(bytes.fromhex("a00201a3"), 13)
    assert moved == [(1, True, 10), (1, False, 12), (2, True, 13)]
    assert board.outgoing() == b""  # a real board acknowledges nothing


def test_query_lists_every_channel():
    """The controller reads the board's state back by FF."""
    board = LcusBoard(2)
    board.receive(bytes.fromhex("a00201a3ff"), 0)
    assert board.outgoing() == b"CH1:OFF \r\nCH2:ON \r\n"


@pytest.mark.parametrize(
    "said, why",
    [("a00101a3", "sum"), ("a00901aa", "channel"), ("a00107a8", "operation"), ("41", "junk"), ("a00001a1", "channel")],
)
@pytest.mark.req("B-26")
def test_nothing_but_a_sound_frame_moves_a_relay(said, why):
    """A damaged frame would release a strike."""
    board = LcusBoard(2)
    board.receive(bytes.fromhex(said), 0)
    assert not any(board.states.values())
    assert board.ignored[why]


@given(st.binary(max_size=80), st.integers(1, 7))
def test_a_sound_frame_after_any_junk_is_heard(junk, cut):
    """Noise would deafen the board: the OFF that must come through would be lost."""
    board = LcusBoard(1)
    for at in range(0, len(junk), cut):
        board.receive(junk[at : at + cut], 0)
    board.receive(bytes.fromhex("a00101a2"), 0)
    board.receive(bytes.fromhex("a00100a1"), 0)
    assert board.states == {1: False}
    board.receive(bytes.fromhex("a00101a2"), 0)
    assert board.states == {1: True}


@pytest.mark.req("B-26")
def test_unplugged_board_drops_its_relays():
    """A strike held by a dead board would leave the door open."""
    board = LcusBoard(1)
    board.receive(bytes.fromhex("a00101a2"), 0)
    board.power_cycle(1)
    assert board.states == {1: False}


def test_impossible_board_is_refused():
    """Channel numbers are one byte, boards have eight at most."""
    with pytest.raises(ValueError, match="channels"):
        LcusBoard(0)


def test_faults_by_hand():
    """Nobody could show what a welded relay or a silent board does."""
    board = LcusBoard(2)
    board.welded.add(1)
    board.receive(bytes.fromhex("a00101a2a00100a1ff"), 0)
    assert board.outgoing() == b"CH1:ON \r\nCH2:OFF \r\n"
    board.power_cycle(1)
    assert board.states[1]
    board.is_answering = False
    board.receive(b"\xff", 2)
    assert board.outgoing() == b""
