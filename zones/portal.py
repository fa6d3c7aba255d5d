"""Portal machine: from grants, exits, contact, mode, fire and time to strike and alarms (docs/decision.md §4).

Pure. Every transition is in TRANSITIONS, keyed by phase and input; every output is an Effect (something to do) or a
Happening (something to record). Time arrives as `now`, and only its monotonic part is read.

Promises kept here by shape. Nothing switches a strike on but an EntryGranted or a ModeSet, whose records are
committed, and an ExitReleased; a contact, a level, a fire never does, and time only renews a mode's (B-11). No
phase, mode or fire refuses an ExitReleased (P3), and nothing cuts the strike of one. While a fire lasts nothing is
locked; what it releases is wired in hardware and never decided here (D-25).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from zones.moment import Moment
from zones.places import Portal
from zones.portal_modes import on_power_loss, standing_mode
from zones.portal_moves import (
    close,
    count_people,
    exit_through,
    expire_blind,
    expire_open,
    expire_release,
    follow_through,
    force,
    go_blind,
    ignored,
    level_closes,
    level_found,
    level_opens,
    open_released,
    release_blind,
    release_for_entry,
    release_for_exit,
    see_level,
    see_open,
    see_shut,
)
from zones.portal_standing import reset_fire, set_mode, start_fire
from zones.portal_values import (
    KEEP_AGAIN_MS,
    KEEP_MS,
    KEPT,
    RELEASE_NOT_AFTER_MS,
    DoorForced,
    DoorHeld,
    DoorHeldSoon,
    Effect,
    EntryGranted,
    ExitCause,
    ExitCompleted,
    ExitReleased,
    FireReset,
    FireStarted,
    Grant,
    GrantUnused,
    Happening,
    Input,
    LeafClosed,
    LeafFault,
    LeafLevel,
    LeafOpened,
    ModeSet,
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

__all__ = [
    "KEEP_AGAIN_MS",
    "KEEP_MS",
    "KEPT",
    "RELEASE_NOT_AFTER_MS",
    "TRANSITIONS",
    "DoorForced",
    "DoorHeld",
    "DoorHeldSoon",
    "Effect",
    "EntryGranted",
    "ExitCause",
    "ExitCompleted",
    "ExitReleased",
    "FireReset",
    "FireStarted",
    "Grant",
    "GrantUnused",
    "Happening",
    "Input",
    "LeafClosed",
    "LeafFault",
    "LeafLevel",
    "LeafOpened",
    "ModeSet",
    "PassageCompleted",
    "PeopleCounted",
    "Phase",
    "PortalClosed",
    "PortalOpenAtStart",
    "PortalState",
    "ReleaseStrike",
    "SecureStrike",
    "Step",
    "Tailgated",
    "Tally",
    "TimePassed",
    "deadline",
    "on_power_loss",
    "standing_mode",
    "step",
]

Transition = Callable[[Portal, PortalState, Any, Moment], Step]


def step(portal: Portal, state: PortalState, what: Input, now: Moment) -> Step:
    """The portal's next state, with what to do and what to record. Total: every input has its place in every phase."""
    return TRANSITIONS[state.phase, type(what)](portal, state, what, now)


def deadline(state: PortalState) -> int | None:
    """The tick (ms) at which TimePassed is due next, or None. A leaf that nobody sees is not held."""
    ticks = [state.strike_off_tick, state.renew_tick]
    if state.phase is not Phase.BLIND:
        ticks += [state.held_tick, state.warn_tick]
    return min((tick for tick in ticks if tick is not None), default=None)


def _in_phases(kind: type[Input], **takes: Transition) -> dict[tuple[Phase, type[Input]], Transition]:
    """One row of the table: the transition of each phase, by its name in lower case."""
    return {(Phase[phase.upper()], kind): take for phase, take in takes.items()}


def _in_all(kind: type[Input], take: Transition) -> dict[tuple[Phase, type[Input]], Transition]:
    return {(phase, kind): take for phase in Phase}


TRANSITIONS: Final[Mapping[tuple[Phase, type[Input]], Transition]] = MappingProxyType(
    _in_phases(
        EntryGranted,
        secured=release_for_entry,
        released=release_for_entry,
        open=follow_through,
        held=follow_through,
        forced=follow_through,
        unknown=release_for_entry,
        blind=release_blind,
    )
    | _in_phases(
        ExitReleased,
        secured=release_for_exit,
        released=release_for_exit,
        open=exit_through,
        held=exit_through,
        forced=exit_through,
        unknown=release_for_exit,
        blind=release_blind,
    )
    | _in_phases(
        LeafOpened,
        secured=force,
        released=open_released,
        open=ignored,
        held=ignored,
        forced=ignored,
        unknown=force,
        blind=see_open,
    )
    | _in_phases(
        LeafClosed,
        secured=ignored,
        released=ignored,
        open=close,
        held=close,
        forced=close,
        unknown=close,
        blind=see_shut,
    )
    | _in_phases(
        LeafLevel,
        secured=level_found,
        released=level_opens,
        open=level_closes,
        held=level_closes,
        forced=level_closes,
        unknown=level_found,
        blind=see_level,
    )
    | _in_phases(
        LeafFault,
        secured=go_blind,
        released=go_blind,
        open=go_blind,
        held=go_blind,
        forced=go_blind,
        unknown=go_blind,
        blind=ignored,
    )
    | _in_phases(
        TimePassed,
        secured=ignored,
        released=expire_release,
        open=expire_open,
        held=expire_open,
        forced=expire_open,
        unknown=ignored,
        blind=expire_blind,
    )
    | _in_all(PeopleCounted, count_people)
    | _in_all(ModeSet, set_mode)
    | _in_all(FireStarted, start_fire)
    | _in_all(FireReset, reset_fire)
)
