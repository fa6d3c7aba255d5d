"""Carpentry: what a door does in any order of deeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.door import Deed, Door, do

DEEDS = st.lists(st.sampled_from(Deed), max_size=30)


def after(deeds, lock_type="fail-secure") -> Door:
    door = Door(lock_type=lock_type)
    for deed in deeds:
        door = do(door, deed).door
    return door


LOCKS = st.sampled_from(["fail-safe", "fail-secure"])


@given(DEEDS, LOCKS)
@pytest.mark.req("D-24", "D-26")
def test_nobody_is_ever_locked_in(deeds, lock_type):
    """A person would stand inside before a door that does not open (P3), with power or without."""
    assert do(after(deeds, lock_type), Deed.HANDLE).door.is_open


# lock, power, relay, fire contact tripped: is it locked? Written out, so that the model's own formula is not asked.
STANDS = [
    ("fail-secure", True, False, False, True, "the strike rests"),
    ("fail-secure", True, True, False, False, "the strike is energised"),
    ("fail-secure", False, False, False, True, "no power: locked"),
    ("fail-secure", False, True, False, True, "no power: the relay's word does not reach the strike"),
    ("fail-secure", True, False, True, True, "fire does not let go of a fail-secure lock; the handle does"),
    ("fail-safe", True, False, False, True, "the magnet holds"),
    ("fail-safe", True, True, False, False, "the relay takes its power away"),
    ("fail-safe", False, False, False, False, "no power: unlocked"),
    ("fail-safe", False, True, False, False, "no power: unlocked"),
    ("fail-safe", True, False, True, False, "the fire contact takes its power away"),
    ("fail-safe", False, False, True, False, "both"),
]


@pytest.mark.req("D-26", "D-25")
@pytest.mark.parametrize("lock_type, has_power, is_strike_on, is_tripped, is_locked, why", STANDS)
def test_a_lock_stands_as_its_type_says(lock_type, has_power, is_strike_on, is_tripped, is_locked, why):
    """A power cut would open the vault, or keep an escape door shut."""
    door = Door(lock_type=lock_type, has_power=has_power, is_strike_on=is_strike_on, is_fire_tripped=is_tripped)
    assert door.is_locked == is_locked, why
    assert do(door, Deed.PUSH).door.is_open != is_locked, why


@pytest.mark.req("D-25")
@given(DEEDS)
def test_fire_lets_go_until_it_is_over_and_somebody_resets(deeds):
    """A door would lock again by itself, in front of those who are still inside."""
    door = do(after(deeds, "fail-safe"), Deed.FIRE_ON).door
    assert not door.is_locked
    assert not do(door, Deed.FIRE_RESET).door.is_locked  # the alarm is on: no reset
    door = do(door, Deed.FIRE_OFF).door
    for deed in set(Deed) - {Deed.FIRE_RESET}:
        assert not do(door, deed).door.is_locked, deed
    rested = do(do(do(door, Deed.FIRE_RESET).door, Deed.POWER_BACK).door, Deed.STRIKE_OFF).door
    assert rested.is_locked


@given(DEEDS, LOCKS)
def test_only_an_unlocked_leaf_handle_or_force_opens_a_closed_one(deeds, lock_type):
    """A simulated door that opens by itself would make every refusal look like an entry."""
    door = after(deeds, lock_type)
    pushed = do(door, Deed.PUSH).door
    assert pushed.is_open == (door.is_open or not door.is_locked)
    for deed in set(Deed) - {Deed.PUSH, Deed.HANDLE, Deed.FORCE}:
        assert do(door, deed).door.is_open <= door.is_open


@given(DEEDS, st.sampled_from(Deed), LOCKS)
def test_lines_change_exactly_when_the_door_does(deeds, deed, lock_type):
    """A contact that reports twice, or never, would teach the controller a wrong door."""
    door = after(deeds, lock_type)
    turn = do(door, deed)
    assert ("contact" in turn.changed) == (door.is_open != turn.door.is_open)
    assert ("strike" in turn.changed) == (door.is_strike_on != turn.door.is_strike_on)
    assert ("lock" in turn.changed) == (door.is_locked != turn.door.is_locked)
    assert ("fire" in turn.changed) == (door.is_fire_on != turn.door.is_fire_on)
    assert ("power" in turn.changed) == (door.has_power != turn.door.has_power)
    assert ("rex" in turn.changed) == (door.is_rex_pressed != turn.door.is_rex_pressed)


def test_propped_leaf_stays_open_until_cleared():
    """A held-open alarm needs a door that really stays open."""
    door = after([Deed.STRIKE_ON, Deed.PUSH, Deed.PROP, Deed.STRIKE_OFF, Deed.CLOSE])
    assert door.is_open
    assert not after([Deed.FORCE, Deed.PROP, Deed.CLEAR, Deed.CLOSE]).is_open
