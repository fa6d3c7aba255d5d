"""Portal machine: from grants, exits, contact and time to strike and alarms (docs/decision.md §4).

Pure. Every transition is in TRANSITIONS, keyed by phase and input; every output is an Effect (something to do) or a
Happening (something to record). Time arrives as `now`, and only its monotonic part is read.

Two promises are kept here by shape. Nothing switches a strike on but an EntryGranted, whose record is committed, and
an ExitReleased; a contact, a level or the time never does (B-11). And no phase refuses an ExitReleased (P3). A
strike's OFF depends on time or on the leaf opening, on nothing else. Fire egress is wired in hardware and never
decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal

from zones.ids import CardholderId, PortalId, ZoneId
from zones.moment import Moment
from zones.places import Direction, Portal

RELEASE_NOT_AFTER_MS: Final = 3000
"""A release that reaches its relay later than this must not open anything."""


class Phase(StrEnum):
    """What is known of the leaf and the strike. UNKNOWN: after a start, until the contact or a release says more."""

    SECURED = "SECURED"
    RELEASED = "RELEASED"
    OPEN = "OPEN"
    HELD = "HELD"
    FORCED = "FORCED"
    UNKNOWN = "UNKNOWN"


ExitCause = Literal["card", "rex", "officer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One recorded decision that somebody may pass. `cardholder` is None where nobody knows who: an unknown card that
    leaves, an officer's release.
    """

    id: str
    cardholder: CardholderId | None
    to_zone: ZoneId
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalState:
    """Where a portal stands.

    `waiting`: grants nobody has passed on yet. `strike_off_tick`: when the strike goes off (None: it is off).
    `held_tick`: when an open leaf becomes held. `exit_cause`: a release without a grant waits for its opening.
    """

    phase: Phase = Phase.UNKNOWN
    waiting: tuple[Grant, ...] = ()
    strike_off_tick: int | None = None
    held_tick: int | None = None
    exit_cause: ExitCause | None = None


# -- inputs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryGranted:
    """An entry was granted and its record is committed."""

    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReleased:
    """Somebody leaves: by card (with a grant of direction OUT), by REX, or by an officer's hand."""

    grant: Grant | None
    cause: ExitCause


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafOpened:
    """The contact says that the leaf opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafClosed:
    """The contact says that the leaf closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafLevel:
    """What the contact is found at, at a start or when its device returns: a state, not an edge."""

    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """A deadline may be due."""


Input = EntryGranted | ExitReleased | LeafOpened | LeafClosed | LeafLevel | TimePassed


# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStrike:
    """Strike on for `for_ms`, unless it is later than `not_after_tick_ms` when this arrives."""

    portal: PortalId
    for_ms: int
    not_after_tick_ms: int
    grant_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureStrike:
    """Strike off, now."""

    portal: PortalId


Effect = ReleaseStrike | SecureStrike


# -- happenings ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageCompleted:
    """The holder of `grant` passed (where there is no contact: is taken to have passed)."""

    portal: PortalId
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCompleted:
    """Somebody passed on a release without a grant; nobody knows who."""

    portal: PortalId
    cause: ExitCause


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantUnused:
    """The strike's time went by and nobody opened."""

    portal: PortalId
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorForced:
    """The leaf opened without a grant or an exit."""

    portal: PortalId


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorHeld:
    """The leaf has been open too long. Said once per holding."""

    portal: PortalId


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalClosed:
    """The leaf closed; `was` is the phase that ended."""

    portal: PortalId
    was: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalOpenAtStart:
    """The leaf was found open at a start or when its contact returned; nobody saw it open."""

    portal: PortalId


Happening = PassageCompleted | ExitCompleted | GrantUnused | DoorForced | DoorHeld | PortalClosed | PortalOpenAtStart


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one input came to. Effects in the order in which they are to be carried out."""

    state: PortalState
    effects: tuple[Effect, ...] = ()
    happenings: tuple[Happening, ...] = ()


def step(portal: Portal, state: PortalState, what: Input, now: Moment) -> Step:
    """The portal's next state, with what to do and what to record. Total: every input has its place in every phase."""
    return TRANSITIONS[state.phase, type(what)](portal, state, what, now)


def deadline(state: PortalState) -> int | None:
    """The tick (ms) at which TimePassed is due next, or None."""
    if state.strike_off_tick is None or state.held_tick is None:
        return state.held_tick if state.strike_off_tick is None else state.strike_off_tick
    return min(state.strike_off_tick, state.held_tick)


# -- transitions -----------------------------------------------------------------------------------------------------


def ignored(_portal: Portal, state: PortalState, _what: Input, _now: Moment) -> Step:
    """Nothing changes: a duplicate, or a level that says what is known."""
    return Step(state=state)


def release_for_entry(portal: Portal, state: PortalState, what: EntryGranted, now: Moment) -> Step:
    """Strike on; the grant waits for the leaf. Without a contact the passage is taken as done."""
    effect, strike_off_tick = _strike_on(portal, state, what.grant.id, now)
    released = replace(state, phase=Phase.RELEASED, strike_off_tick=strike_off_tick)
    if not portal.has_contact:
        return Step(state=released, effects=(effect,), happenings=(_passed(portal, what.grant),))
    return Step(state=replace(released, waiting=(*state.waiting, what.grant)), effects=(effect,))


def follow_through(portal: Portal, state: PortalState, what: EntryGranted, now: Moment) -> Step:
    """The leaf is open already: the passage is done at once, no strike; the time to close starts again."""
    if state.phase is not Phase.FORCED:
        state = replace(state, phase=Phase.OPEN, held_tick=now.tick_ms + portal.held_after_ms)
    return Step(state=state, happenings=(_passed(portal, what.grant),))


def release_for_exit(portal: Portal, state: PortalState, what: ExitReleased, now: Moment) -> Step:
    """Strike on; whoever opens the leaf next leaves. Without a contact the exit is taken as done."""
    grant = what.grant
    effect, strike_off_tick = _strike_on(portal, state, None if grant is None else grant.id, now)
    released = replace(state, phase=Phase.RELEASED, strike_off_tick=strike_off_tick)
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
    effect, strike_off_tick = _strike_on(portal, state, grant_id, now)
    state = replace(state, strike_off_tick=strike_off_tick)
    return Step(state=state, effects=(effect,), happenings=(_left(portal, what),))


def open_released(portal: Portal, state: PortalState, _what: Input, now: Moment) -> Step:
    """Somebody came: every grant that waited has passed, and behind an entry the strike is secured.

    Not behind an exit: a contact that flutters would cut the strike before the leaf was pulled, and hold somebody in.
    """
    happenings: tuple[Happening, ...] = tuple(_passed(portal, grant) for grant in state.waiting)
    if state.exit_cause is not None:
        happenings = (*happenings, ExitCompleted(portal=portal.id, cause=state.exit_cause))
    opened = PortalState(phase=Phase.OPEN, held_tick=now.tick_ms + portal.held_after_ms)
    is_entry = state.waiting and all(grant.direction is Direction.IN for grant in state.waiting)
    if state.exit_cause is None and is_entry:
        return Step(state=opened, effects=(SecureStrike(portal=portal.id),), happenings=happenings)
    return Step(state=replace(opened, strike_off_tick=state.strike_off_tick), happenings=happenings)


def force(portal: Portal, _state: PortalState, _what: LeafOpened, _now: Moment) -> Step:
    """Nobody was to open the leaf."""
    return Step(state=PortalState(phase=Phase.FORCED), happenings=(DoorForced(portal=portal.id),))


def close(portal: Portal, state: PortalState, _what: Input, _now: Moment) -> Step:
    """The leaf is shut. Where an exit's strike is still on, the portal is released until its time is over."""
    phase = Phase.SECURED if state.strike_off_tick is None else Phase.RELEASED
    closed = PortalState(phase=phase, strike_off_tick=state.strike_off_tick)
    return Step(state=closed, happenings=(PortalClosed(portal=portal.id, was=state.phase),))


def level_opens(portal: Portal, state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """A released leaf found open was opened while nobody watched; found shut, it still waits."""
    return open_released(portal, state, what, now) if what.is_open else Step(state=state)


def level_closes(portal: Portal, state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """An open leaf found shut was shut while nobody watched."""
    return Step(state=state) if what.is_open else close(portal, state, what, now)


def level_found(portal: Portal, _state: PortalState, what: LeafLevel, now: Moment) -> Step:
    """The leaf as it is found: shut is secured, in silence; open is told, and must close in time."""
    if not what.is_open:
        return Step(state=PortalState(phase=Phase.SECURED))
    found = PortalState(phase=Phase.OPEN, held_tick=now.tick_ms + portal.held_after_ms)
    return Step(state=found, happenings=(PortalOpenAtStart(portal=portal.id),))


def expire_release(portal: Portal, state: PortalState, _what: TimePassed, now: Moment) -> Step:
    """The strike's time is over and nobody came: off, and every grant that waited was unused."""
    if state.strike_off_tick is None or now.tick_ms < state.strike_off_tick:
        return Step(state=state)
    unused = tuple(GrantUnused(portal=portal.id, grant=grant) for grant in state.waiting)
    secured = PortalState(phase=Phase.SECURED)
    return Step(state=secured, effects=(SecureStrike(portal=portal.id),), happenings=unused)


def expire_open(portal: Portal, state: PortalState, _what: TimePassed, now: Moment) -> Step:
    """What is due while the leaf is open: an exit's strike goes off, and the leaf becomes held."""
    effects: tuple[Effect, ...] = ()
    happenings: tuple[Happening, ...] = ()
    if state.strike_off_tick is not None and now.tick_ms >= state.strike_off_tick:
        state, effects = replace(state, strike_off_tick=None), (SecureStrike(portal=portal.id),)
    if state.held_tick is not None and now.tick_ms >= state.held_tick:
        state, happenings = replace(state, phase=Phase.HELD, held_tick=None), (DoorHeld(portal=portal.id),)
    return Step(state=state, effects=effects, happenings=happenings)


def _strike_on(portal: Portal, state: PortalState, grant_id: str | None, now: Moment) -> tuple[ReleaseStrike, int]:
    """The effect, and when the strike is due off: a later release never shortens an earlier one."""
    effect = ReleaseStrike(
        portal=portal.id,
        for_ms=portal.release_ms,
        not_after_tick_ms=now.tick_ms + RELEASE_NOT_AFTER_MS,
        grant_id=grant_id,
    )
    return effect, max(now.tick_ms + portal.release_ms, state.strike_off_tick or 0)


def _passed(portal: Portal, grant: Grant) -> PassageCompleted:
    return PassageCompleted(portal=portal.id, grant=grant)


def _left(portal: Portal, what: ExitReleased) -> PassageCompleted | ExitCompleted:
    if what.grant is not None:
        return _passed(portal, what.grant)
    return ExitCompleted(portal=portal.id, cause=what.cause)


Transition = Callable[[Portal, PortalState, Any, Moment], Step]

TRANSITIONS: Final[Mapping[tuple[Phase, type[Input]], Transition]] = MappingProxyType(
    {
        (Phase.SECURED, EntryGranted): release_for_entry,
        (Phase.SECURED, ExitReleased): release_for_exit,
        (Phase.SECURED, LeafOpened): force,
        (Phase.SECURED, LeafClosed): ignored,
        (Phase.SECURED, LeafLevel): level_found,
        (Phase.SECURED, TimePassed): ignored,
        (Phase.RELEASED, EntryGranted): release_for_entry,
        (Phase.RELEASED, ExitReleased): release_for_exit,
        (Phase.RELEASED, LeafOpened): open_released,
        (Phase.RELEASED, LeafClosed): ignored,
        (Phase.RELEASED, LeafLevel): level_opens,
        (Phase.RELEASED, TimePassed): expire_release,
        (Phase.OPEN, EntryGranted): follow_through,
        (Phase.OPEN, ExitReleased): exit_through,
        (Phase.OPEN, LeafOpened): ignored,
        (Phase.OPEN, LeafClosed): close,
        (Phase.OPEN, LeafLevel): level_closes,
        (Phase.OPEN, TimePassed): expire_open,
        (Phase.HELD, EntryGranted): follow_through,
        (Phase.HELD, ExitReleased): exit_through,
        (Phase.HELD, LeafOpened): ignored,
        (Phase.HELD, LeafClosed): close,
        (Phase.HELD, LeafLevel): level_closes,
        (Phase.HELD, TimePassed): expire_open,
        (Phase.FORCED, EntryGranted): follow_through,
        (Phase.FORCED, ExitReleased): exit_through,
        (Phase.FORCED, LeafOpened): ignored,
        (Phase.FORCED, LeafClosed): close,
        (Phase.FORCED, LeafLevel): level_closes,
        (Phase.FORCED, TimePassed): expire_open,
        (Phase.UNKNOWN, EntryGranted): release_for_entry,
        (Phase.UNKNOWN, ExitReleased): release_for_exit,
        (Phase.UNKNOWN, LeafOpened): force,
        (Phase.UNKNOWN, LeafClosed): close,
        (Phase.UNKNOWN, LeafLevel): level_found,
        (Phase.UNKNOWN, TimePassed): ignored,
    }
)
