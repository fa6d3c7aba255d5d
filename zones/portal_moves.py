"""The portal machine's transitions on grants, exits, contact, counter and time (docs/decision.md §4).

`switched_on`, `renewed` and `switched_off` are the only places where a strike's effects are made, and `switched_off`
holds the three things that outrank a lock: somebody who leaves, a mode that keeps the strike released, and a fire.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from zones.moment import Moment
from zones.places import Direction, Portal, PortalMode
from zones.portal_values import (
    KEEP_AGAIN_MS,
    KEEP_MS,
    LEAF_OPEN,
    RELEASE_NOT_AFTER_MS,
    DoorForced,
    DoorHeld,
    DoorHeldSoon,
    Effect,
    EntryGranted,
    ExitCompleted,
    ExitReleased,
    Grant,
    GrantUnused,
    Happening,
    Input,
    LeafFault,
    LeafLevel,
    LeafOpened,
    PassageCompleted,
    PeopleCounted,
    Phase,
    PortalClosed,
    PortalOpenAtStart,
    PortalState,
    ReleaseStrike,
    SecureStrike,
    Step,
    Tailgated,
    Tally,
    TimePassed,
)

ANY_NUMBER: Final = Tally()
"""The tally of an opening at which nobody is counted against grants."""


def ignored(_portal: Portal, state: PortalState, _what: Input, _now: Moment) -> Step:
    """Nothing changes: a duplicate, or a level that says what is known."""
    return Step(state=state)


# -- grants and exits ------------------------------------------------------------------------------------------------


def release_for_entry(portal: Portal, state: PortalState, what: EntryGranted, now: Moment) -> Step:
    """Strike on; the grant waits for the leaf. Without a contact the passage is taken as done.

    A grant that was decided before the portal was locked and recorded after it releases nothing. Who shows his card
    again before he goes in is still one person.
    """
    if state.mode is PortalMode.LOCKED:
        return Step(state=state, happenings=(GrantUnused(portal=portal.id, grant=what.grant),))
    is_again = what.grant.cardholder is not None and what.grant.cardholder in {one.cardholder for one in state.waiting}
    allowed = allowing(state, 0 if is_again else 1)
    released, effect = switched_on(portal, replace(state, tally=allowed), what.grant.id, now)
    released = replace(released, phase=Phase.RELEASED)
    if not portal.has_contact:
        return Step(state=released, effects=(effect,), happenings=(passed(portal, what.grant),))
    return Step(state=replace(released, waiting=(*state.waiting, what.grant)), effects=(effect,))


def follow_through(portal: Portal, state: PortalState, what: EntryGranted, now: Moment) -> Step:
    """The leaf is open already: the passage is done at once, no strike; the time to close starts again."""
    state = replace(state, tally=allowing(state, 1))
    if state.phase is not Phase.FORCED:
        state = timed(portal, replace(state, phase=Phase.OPEN), what.grant.held_extra_ms, now)
    return Step(state=state, happenings=(passed(portal, what.grant),))


def release_for_exit(portal: Portal, state: PortalState, what: ExitReleased, now: Moment) -> Step:
    """Strike on; whoever opens the leaf next leaves. Without a contact the exit is taken as done."""
    grant = what.grant
    allowed = allowing(state, None if grant is None else 1)
    grant_id = None if grant is None else grant.id
    released, effect = switched_on(portal, replace(state, tally=allowed), grant_id, now, is_exit=True)
    released = replace(released, phase=Phase.RELEASED)
    if not portal.has_contact:
        return Step(state=released, effects=(effect,), happenings=(_left(portal, what),))
    if grant is None:
        return Step(state=replace(released, exit_cause=what.cause), effects=(effect,))
    return Step(state=replace(released, waiting=(*state.waiting, grant)), effects=(effect,))


def exit_through(portal: Portal, state: PortalState, what: ExitReleased, now: Moment) -> Step:
    """The leaf is said to be open: the exit is done at once, and the strike goes on all the same.

    A contact can lie and a leaf can fall shut: an exit never depends on either. The time to close runs on, or a
    motion sensor beside a propped leaf would hold the alarm back for ever.
    """
    grant_id = None if what.grant is None else what.grant.id
    allowed = allowing(state, None if what.grant is None else 1)
    state, effect = switched_on(portal, replace(state, tally=allowed), grant_id, now, is_exit=True)
    return Step(state=state, effects=(effect,), happenings=(_left(portal, what),))


def release_blind(portal: Portal, state: PortalState, what: EntryGranted | ExitReleased, now: Moment) -> Step:
    """As from SECURED, but nothing will be seen of the leaf: from now on an opening need not have been forced."""
    if isinstance(what, EntryGranted):
        taken = release_for_entry(portal, state, what, now)
    else:
        taken = release_for_exit(portal, state, what, now)
    blind_from = Phase.RELEASED if state.blind_from is Phase.SECURED and taken.effects else state.blind_from
    return replace(taken, state=replace(taken.state, phase=Phase.BLIND, blind_from=blind_from))


# -- the leaf --------------------------------------------------------------------------------------------------------


def open_released(portal: Portal, state: PortalState, _what: Input, now: Moment) -> Step:
    """Somebody came: every grant that waited has passed, and behind an entry the strike is secured.

    Not behind an exit: a contact that flutters would cut the strike before the leaf was pulled, and hold somebody in.
    """
    happenings: tuple[Happening, ...] = tuple(passed(portal, grant) for grant in state.waiting)
    if state.exit_cause is not None:
        happenings = (*happenings, ExitCompleted(portal=portal.id, cause=state.exit_cause))
    elif state.is_free:
        happenings = (unseen(portal), *happenings)
    opened = _opened(portal, state, max((grant.held_extra_ms for grant in state.waiting), default=0), now)
    if not state.waiting:
        opened = replace(opened, tally=ANY_NUMBER)
    has_exit = state.exit_cause is not None or any(grant.direction is Direction.OUT for grant in state.waiting)
    if has_exit or not state.waiting:
        return Step(state=opened, happenings=happenings)
    opened, effects = switched_off(portal, opened, now)
    return Step(state=opened, effects=effects, happenings=happenings)


def force(portal: Portal, state: PortalState, _what: LeafOpened, now: Moment) -> Step:
    """Nobody was to open the leaf; in a fire anybody may."""
    if state.is_free:
        return Step(state=replace(_opened(portal, state, 0, now), tally=ANY_NUMBER), happenings=(unseen(portal),))
    return Step(state=replace(state, phase=Phase.FORCED, tally=ANY_NUMBER), happenings=(DoorForced(portal=portal.id),))


def close(portal: Portal, state: PortalState, _what: Input, _now: Moment) -> Step:
    """The leaf is shut. Where a strike is still on, an exit's or a mode's, the portal is released until it is off."""
    closed = replace(state, phase=shut_phase(state), held_tick=None, warn_tick=None)
    return Step(state=closed, happenings=(PortalClosed(portal=portal.id, was=state.phase),))


def level_opens(portal: Portal, state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """A released leaf found open was opened while nobody watched; found shut, it still waits."""
    return open_released(portal, state, what, now) if what.is_open else Step(state=state)


def level_closes(portal: Portal, state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """An open leaf found shut was shut while nobody watched."""
    return Step(state=state) if what.is_open else close(portal, state, what, now)


def level_found(portal: Portal, state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """The leaf as it is found: shut is secured, in silence; open is told, and must close in time."""
    if not what.is_open:
        return Step(state=replace(state, phase=shut_phase(state)))
    found = replace(_opened(portal, state, 0, now), tally=ANY_NUMBER)
    happenings: tuple[Happening, ...] = (PortalOpenAtStart(portal=portal.id),)
    return Step(state=found, happenings=(*happenings, unseen(portal)) if state.is_free else happenings)


# -- the line of the contact -----------------------------------------------------------------------------------------


def go_blind(_portal: Portal, state: PortalState, _what: LeafFault, _now: Moment) -> Step:
    """Nothing is known of the leaf. What waits goes on waiting for its time, and the strike keeps it."""
    return Step(state=replace(state, phase=Phase.BLIND, blind_from=state.phase, tally=ANY_NUMBER))


def see_open(portal: Portal, state: PortalState, what: Input, now: Moment) -> Step:
    """The line speaks again, and the leaf is open; nobody saw it open, whether this came as an edge or as a level.

    Somebody waits on a release: he opened it. Open as when the line broke: nothing that anybody could tell has
    happened, and its time ran on. Shut, secured and never released since: it can only have been forced. Otherwise it
    was found so.
    """
    was, seeing = state.blind_from, replace(state, phase=Phase.RELEASED, blind_from=None)
    is_released = was is Phase.RELEASED and (state.strike_off_tick is not None or state.is_kept)
    if state.waiting or state.exit_cause is not None or is_released:
        taken = open_released(portal, seeing, what, now)
        if was is not Phase.FORCED:
            return taken
        return replace(taken, state=replace(taken.state, phase=Phase.FORCED, held_tick=None, warn_tick=None))
    if was in LEAF_OPEN:
        seen = replace(seeing, phase=Phase.OPEN if was is Phase.HELD and state.is_free else was or Phase.OPEN)
        is_untimed = seen.phase is Phase.OPEN and seen.held_tick is None
        return Step(state=timed(portal, seen, 0, now) if is_untimed else seen)
    if was is Phase.SECURED:
        return force(portal, seeing, LeafOpened(), now)
    return level_found(portal, seeing, LeafLevel(is_open=True), now)


def see_shut(portal: Portal, state: PortalState, what: Input, now: Moment) -> Step:
    """The line speaks again, and the leaf is shut. What waits waits on, but may have been used: nobody could see."""
    was, seeing = state.blind_from, replace(state, blind_from=None, was_blind=bool(state.waiting or state.exit_cause))
    if was in LEAF_OPEN:
        return close(portal, replace(seeing, phase=was or Phase.OPEN), what, now)
    return Step(state=replace(seeing, phase=shut_phase(state), held_tick=None, warn_tick=None))


def see_level(portal: Portal, state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """As the contact is found: `see_open` or `see_shut`."""
    return (see_open if what.is_open else see_shut)(portal, state, what, now)


# -- people counted --------------------------------------------------------------------------------------------------


def count_people(portal: Portal, state: PortalState, what: PeopleCounted, _now: Moment) -> Step:
    """More people than grants is told once per opening. Counts that come late still belong to the last opening."""
    tally = replace(state.tally, counted=state.tally.counted + what.count)
    if tally.granted is None or tally.is_told or tally.counted <= tally.granted:
        return Step(state=replace(state, tally=tally))
    told = Tailgated(portal=portal.id, counted=tally.counted, granted=tally.granted)
    return Step(state=replace(state, tally=replace(tally, is_told=True)), happenings=(told,))


# -- time ------------------------------------------------------------------------------------------------------------


def expire_release(portal: Portal, state: PortalState, _what: TimePassed, now: Moment) -> Step:
    """The strike's time is over and nobody came: off, and every grant that waited was unused. A mode's is renewed."""
    state, effects = renewed(portal, state, now)
    if state.strike_off_tick is None or now.tick_ms < state.strike_off_tick:
        return Step(state=state, effects=effects)
    happenings = unused(portal, state.waiting, is_certain=not state.was_blind)
    if state.was_blind and state.exit_cause is not None:
        happenings = (*happenings, unseen(portal))
    secured, off = switched_off(portal, state, now)
    secured = replace(secured, waiting=(), exit_cause=None, was_blind=False, tally=ANY_NUMBER)
    return Step(state=replace(secured, phase=shut_phase(secured)), effects=(*effects, *off), happenings=happenings)


def expire_open(portal: Portal, state: PortalState, _what: TimePassed, now: Moment) -> Step:
    """What is due while the leaf is open: an exit's strike goes off, a warning, and the leaf becomes held."""
    state, effects = renewed(portal, state, now)
    happenings: tuple[Happening, ...] = ()
    if state.strike_off_tick is not None and now.tick_ms >= state.strike_off_tick:
        state, off = switched_off(portal, state, now)
        effects = (*effects, *off)
    if state.held_tick is not None and now.tick_ms >= state.held_tick:
        state = replace(state, phase=Phase.HELD, held_tick=None, warn_tick=None)
        happenings = (DoorHeld(portal=portal.id),)
    elif state.warn_tick is not None and now.tick_ms >= state.warn_tick:
        state, happenings = replace(state, warn_tick=None), (DoorHeldSoon(portal=portal.id),)
    return Step(state=state, effects=effects, happenings=happenings)


def expire_blind(portal: Portal, state: PortalState, what: TimePassed, now: Moment) -> Step:
    """As from RELEASED, but nobody can say that a grant was unused, or that nobody left."""
    taken = expire_release(portal, replace(state, was_blind=True), what, now)
    return replace(taken, state=replace(taken.state, phase=Phase.BLIND, was_blind=False))


# -- what they share -------------------------------------------------------------------------------------------------


def switched_on(
    portal: Portal, state: PortalState, grant_id: str | None, now: Moment, *, is_exit: bool = False
) -> tuple[PortalState, ReleaseStrike]:
    """The strike on for its time: a later release never shortens an earlier one, nor a mode's standing one."""
    off_tick, for_ms = now.tick_ms + portal.release_ms, portal.release_ms
    if state.is_kept:
        for_ms = max(for_ms, KEEP_MS)
        state = replace(state, renew_tick=now.tick_ms + KEEP_AGAIN_MS)
    state = replace(
        state,
        strike_off_tick=max(off_tick, state.strike_off_tick or 0),
        exit_off_tick=max(off_tick, state.exit_off_tick or 0) if is_exit else state.exit_off_tick,
    )
    return state, _release(portal, for_ms, grant_id, now)


def switched_off(portal: Portal, state: PortalState, now: Moment) -> tuple[PortalState, tuple[Effect, ...]]:
    """A momentary release over: off, unless somebody leaves, a mode keeps the strike, or a fire lasts."""
    if state.exit_off_tick is not None and now.tick_ms < state.exit_off_tick:
        return replace(state, strike_off_tick=state.exit_off_tick), ()
    state = replace(state, strike_off_tick=None, exit_off_tick=None)
    return state, () if state.is_free else (SecureStrike(portal=portal.id),)


def renewed(portal: Portal, state: PortalState, now: Moment) -> tuple[PortalState, tuple[Effect, ...]]:
    """A mode's standing release, when it is due again. It lasts at least as long as a momentary one that is on."""
    if state.renew_tick is None or now.tick_ms < state.renew_tick:
        return state, ()
    for_ms = max(KEEP_MS, (state.strike_off_tick or 0) - now.tick_ms)
    state = replace(state, renew_tick=now.tick_ms + KEEP_AGAIN_MS)
    return state, (_release(portal, for_ms, None, now),)


def timed(portal: Portal, state: PortalState, extra_ms: int, now: Moment) -> PortalState:
    """The time to close starts again, never to end sooner than before. A leaf that is free has none."""
    if state.is_free:
        return replace(state, held_tick=None, warn_tick=None)
    held_tick = max(now.tick_ms + portal.held_after_ms + extra_ms, state.held_tick or 0)
    warn_tick = None if portal.held_warn_ms is None else held_tick - portal.held_warn_ms
    return replace(state, held_tick=held_tick, warn_tick=warn_tick)


def allowing(state: PortalState, count: int | None) -> Tally:
    """The tally once `count` more may pass (None: any number). A release of a secured leaf begins a new one."""
    is_going_on = state.phase in LEAF_OPEN or state.strike_off_tick is not None
    tally = state.tally if is_going_on else Tally(granted=0)
    if count is None or tally.granted is None or state.is_free or state.phase is Phase.BLIND:
        return replace(tally, granted=None)
    return replace(tally, granted=tally.granted + count)


def shut_phase(state: PortalState) -> Phase:
    """The phase of a shut leaf."""
    return Phase.RELEASED if state.strike_off_tick is not None or state.is_kept else Phase.SECURED


def unused(portal: Portal, grants: tuple[Grant, ...], *, is_certain: bool = True) -> tuple[Happening, ...]:
    """That nobody passed on these grants."""
    return tuple(GrantUnused(portal=portal.id, grant=grant, is_certain=is_certain) for grant in grants)


def unseen(portal: Portal) -> ExitCompleted:
    """That somebody may have passed, nobody knows who or which way."""
    return ExitCompleted(portal=portal.id, cause="unseen")


def passed(portal: Portal, grant: Grant) -> PassageCompleted:
    """That the holder of `grant` passed."""
    return PassageCompleted(portal=portal.id, grant=grant)


def _opened(portal: Portal, state: PortalState, extra_ms: int, now: Moment) -> PortalState:
    """The leaf open, nothing waiting any more, and its time to close begun."""
    opened = replace(state, phase=Phase.OPEN, waiting=(), exit_cause=None, was_blind=False, held_tick=None)
    return timed(portal, opened, extra_ms, now)


def _release(portal: Portal, for_ms: int, grant_id: str | None, now: Moment) -> ReleaseStrike:
    not_after = now.tick_ms + RELEASE_NOT_AFTER_MS
    return ReleaseStrike(portal=portal.id, for_ms=for_ms, not_after_tick_ms=not_after, grant_id=grant_id)


def _left(portal: Portal, what: ExitReleased) -> PassageCompleted | ExitCompleted:
    if what.grant is not None:
        return passed(portal, what.grant)
    return ExitCompleted(portal=portal.id, cause=what.cause)
