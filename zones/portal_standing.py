"""The portal machine's transitions on what lasts: its mode, and a fire (docs/decision.md §4).

A mode that keeps the strike released does so by short releases that are renewed, so that the relay of a dead controller
drops by itself. A fire releases nothing here: that is done by a wire. It only forbids the machine to lock.
"""

from __future__ import annotations

from dataclasses import replace

from zones.moment import Moment
from zones.places import Direction, Portal, PortalMode
from zones.portal_moves import ANY_NUMBER, renewed, shut_phase, switched_off, timed, unseen, unused
from zones.portal_values import FireReset, FireStarted, Happening, ModeSet, Phase, PortalState, Step


def set_mode(portal: Portal, state: PortalState, what: ModeSet, now: Moment) -> Step:
    """UNLOCKED and ATTENDED keep the strike from now on; leaving them, and LOCKED, secures at once. No exit is cut."""
    was_kept = state.is_kept
    if what.mode is state.mode:
        return Step(state=state)
    state = replace(state, mode=what.mode)
    if state.is_kept and was_kept:
        return Step(state=state)
    if state.is_kept:
        return _keep(portal, state, now)
    if was_kept or what.mode is PortalMode.LOCKED:
        return _take_back(portal, replace(state, renew_tick=None), was_kept, now)
    return Step(state=state)


def start_fire(portal: Portal, state: PortalState, _what: FireStarted, _now: Moment) -> Step:
    """From now until the reset nothing is locked here, and no opening is forced or held."""
    if state.is_fire:
        return Step(state=state)
    state, happenings = _freed(portal, replace(state, is_fire=True))
    return Step(state=state, happenings=happenings)


def reset_fire(portal: Portal, state: PortalState, _what: FireReset, now: Moment) -> Step:
    """Locked again, once, as the mode has it. The leaf is where its contact last said; an open one must close in time.

    To call it unknown would leave a propped leaf without its alarm, and the two portals of a vestibule each waiting for
    the other to be shut.
    """
    if not state.is_fire:
        return Step(state=state)
    state = replace(state, is_fire=False)
    if not state.is_kept:
        return _take_back(portal, state, True, now)
    state, effects = renewed(portal, replace(state, renew_tick=now.tick_ms), now)
    return Step(state=state, effects=effects)


def _keep(portal: Portal, state: PortalState, now: Moment) -> Step:
    """The strike on for as long as the mode lasts."""
    state, effects = renewed(portal, replace(state, renew_tick=now.tick_ms), now)
    state, happenings = _freed(portal, state)
    if state.phase in (Phase.SECURED, Phase.UNKNOWN):
        state = replace(state, phase=Phase.RELEASED)
    return Step(state=state, effects=effects, happenings=happenings)


def _freed(portal: Portal, state: PortalState) -> tuple[PortalState, tuple[Happening, ...]]:
    """The leaf as anybody may open it: an open one is held no more, and whoever goes through is not seen."""
    is_open = state.phase in (Phase.OPEN, Phase.HELD)
    state = replace(
        state,
        phase=Phase.OPEN if is_open else state.phase,
        held_tick=None,
        warn_tick=None,
        tally=ANY_NUMBER,
        blind_from=Phase.RELEASED if state.blind_from is Phase.SECURED else state.blind_from,
    )
    return state, (unseen(portal),) if is_open else ()


def _take_back(portal: Portal, state: PortalState, was_free: bool, now: Moment) -> Step:
    """Secured at once, but for an exit's time. Entries that waited are over."""
    is_exit_on = state.exit_off_tick is not None and now.tick_ms < state.exit_off_tick
    waits_on = tuple(grant for grant in state.waiting if is_exit_on and grant.direction is Direction.OUT)
    is_certain = state.phase is not Phase.BLIND and not state.was_blind
    over = tuple(grant for grant in state.waiting if grant not in waits_on)
    happenings = unused(portal, over, is_certain=is_certain)
    is_on = was_free or state.strike_off_tick is not None
    exit_cause = state.exit_cause if is_exit_on else None
    was_blind = state.was_blind and bool(waits_on or exit_cause)
    state = replace(state, waiting=waits_on, exit_cause=exit_cause, was_blind=was_blind)
    state, effects = switched_off(portal, state, now) if is_on else (state, ())
    if state.phase is Phase.OPEN and was_free:
        state = timed(portal, state, 0, now)
        happenings = (*happenings, unseen(portal))
    if state.phase is Phase.RELEASED:
        state = replace(state, phase=shut_phase(state))
    return Step(state=state, effects=effects, happenings=happenings)
