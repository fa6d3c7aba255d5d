"""Carpentry: what a door does in any order of deeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.door import Deed, Door, do

DEEDS = st.lists(st.sampled_from(Deed), max_size=30)


def after(deeds) -> Door:
    door = Door()
    for deed in deeds:
        door = do(door, deed).door
    return door


@given(DEEDS)
@pytest.mark.req("D-24")
def test_nobody_is_ever_locked_in(deeds):
    """A person would stand inside before a door that does not open (P3)."""
    assert do(after(deeds), Deed.HANDLE).door.is_open


@given(DEEDS)
def test_only_strike_handle_or_force_opens_a_closed_leaf(deeds):
    """A simulated door that opens by itself would make every refusal look like an entry."""
    door = after(deeds)
    pushed = do(door, Deed.PUSH).door
    assert pushed.is_open == (door.is_open or door.is_strike_on)
    for deed in set(Deed) - {Deed.PUSH, Deed.HANDLE, Deed.FORCE}:
        assert do(door, deed).door.is_open <= door.is_open


@given(DEEDS, st.sampled_from(Deed))
def test_lines_change_exactly_when_the_door_does(deeds, deed):
    """A contact that reports twice, or never, would teach the controller a wrong door."""
    door = after(deeds)
    turn = do(door, deed)
    assert ("contact" in turn.changed) == (door.is_open != turn.door.is_open)
    assert ("strike" in turn.changed) == (door.is_strike_on != turn.door.is_strike_on)
    assert ("rex" in turn.changed) == (door.is_rex_pressed != turn.door.is_rex_pressed)


def test_propped_leaf_stays_open_until_cleared():
    """A held-open alarm needs a door that really stays open."""
    door = after([Deed.STRIKE_ON, Deed.PUSH, Deed.PROP, Deed.STRIKE_OFF, Deed.CLOSE])
    assert door.is_open
    assert not after([Deed.FORCE, Deed.PROP, Deed.CLEAR, Deed.CLOSE]).is_open
