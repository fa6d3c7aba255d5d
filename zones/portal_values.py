"""What a portal machine is told, what it answers, and the state in between: frozen values (docs/decision.md §4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from zones.ids import CardholderId, PortalId, ZoneId
from zones.places import Direction, PortalMode

RELEASE_NOT_AFTER_MS: Final = 3000
"""A release that reaches its relay later than this must not open anything."""

KEPT: Final = frozenset({PortalMode.UNLOCKED, PortalMode.ATTENDED})
"""Modes in which the strike is kept released."""

KEEP_MS: Final = 15_000
"""How long a relay keeps a standing release by itself: one that hears no more drops it."""

KEEP_AGAIN_MS: Final = 10_000
"""How often a standing release is renewed."""


class Phase(StrEnum):
    """What is known of the leaf and the strike.

    UNKNOWN: after a start, until the contact or a release says more. BLIND: the contact's line is short or cut, so that
    nothing is known of the leaf.
    """

    SECURED = "SECURED"
    RELEASED = "RELEASED"
    OPEN = "OPEN"
    HELD = "HELD"
    FORCED = "FORCED"
    UNKNOWN = "UNKNOWN"
    BLIND = "BLIND"


LEAF_OPEN: Final = frozenset({Phase.OPEN, Phase.HELD, Phase.FORCED})
"""Phases in which the contact says that the leaf is open."""

ExitCause = Literal["card", "rex", "officer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One recorded decision that somebody may pass. `cardholder` is None where nobody knows who: an unknown card that
    leaves, an officer's release. `held_extra_ms`: how much longer the leaf may stay open behind this person.
    """

    id: str
    cardholder: CardholderId | None
    to_zone: ZoneId
    direction: Direction
    held_extra_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many may pass at one opening, and how many did (B-24).

    `granted` is None where any number may: an exit without a card, a leaf that stands open to all, an opening that is
    an alarm already.
    """

    granted: int | None = None
    counted: int = 0
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalState:
    """Where a portal stands.

    `waiting`: grants nobody has passed on yet. `strike_off_tick`: when a momentary release is over (None: there is
    none). `exit_off_tick`: until then the strike belongs to somebody who leaves, and nothing cuts it. `held_tick`,
    `warn_tick`: when an open leaf becomes held, and when that is near. `exit_cause`: a release without a grant waits
    for its opening. `renew_tick`: when a standing release is to be renewed. `blind_from`: the phase in which the
    contact's line broke. `was_blind`: it was broken at some time while the grants of `waiting` waited.
    """

    phase: Phase = Phase.UNKNOWN
    waiting: tuple[Grant, ...] = ()
    strike_off_tick: int | None = None
    exit_off_tick: int | None = None
    held_tick: int | None = None
    warn_tick: int | None = None
    exit_cause: ExitCause | None = None
    mode: PortalMode = PortalMode.CARD
    renew_tick: int | None = None
    is_fire: bool = False
    blind_from: Phase | None = None
    was_blind: bool = False
    tally: Tally = Tally()

    @property
    def is_kept(self) -> bool:
        """Whether a mode keeps the strike released."""
        return self.mode in KEPT

    @property
    def is_free(self) -> bool:
        """Whether anybody may open the leaf, for any time: by mode, or because of a fire."""
        return self.is_fire or self.mode in KEPT


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
class LeafFault:
    """The supervised line of the contact is "short" or "cut". What the contact says next ends it (B-09)."""

    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleCounted:
    """A counter above the portal saw so many more people pass (B-24)."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSet:
    """The portal is in this mode from now on. UNLOCKED and ATTENDED: the record of it is committed."""

    mode: PortalMode


@dataclass(frozen=True, slots=True, kw_only=True)
class FireStarted:
    """The fire alarm is on. Whatever it releases, it releases by a wire of its own (D-25)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FireReset:
    """Somebody reset the doors after the fire. That the alarm is silent again is no reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """A deadline may be due."""


Input = (
    EntryGranted
    | ExitReleased
    | LeafOpened
    | LeafClosed
    | LeafLevel
    | LeafFault
    | PeopleCounted
    | ModeSet
    | FireStarted
    | FireReset
    | TimePassed
)


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
    """Somebody passed on a release without a grant; nobody knows who.

    Cause "unseen": the leaf stood open to all, or nothing was seen of it while it was released, so that nobody knows
    which way either, nor whether anybody did.
    """

    portal: PortalId
    cause: ExitCause | Literal["unseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantUnused:
    """The strike's time went by and nobody opened.

    `is_certain` is False where the contact's line was broken meanwhile: nobody can say whether the holder passed.
    """

    portal: PortalId
    grant: Grant
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorForced:
    """The leaf opened without a grant or an exit."""

    portal: PortalId


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorHeldSoon:
    """The leaf has been open so long that it will soon be held: a warning to those who stand there."""

    portal: PortalId


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorHeld:
    """The leaf has been open too long. Said once per holding."""

    portal: PortalId


@dataclass(frozen=True, slots=True, kw_only=True)
class Tailgated:
    """More people were counted than were granted at this opening. Said once per opening."""

    portal: PortalId
    counted: int
    granted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalClosed:
    """The leaf closed; `was` is the phase that ended."""

    portal: PortalId
    was: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalOpenAtStart:
    """The leaf was found open at a start or when its contact returned; nobody saw it open."""

    portal: PortalId


Happening = (
    PassageCompleted
    | ExitCompleted
    | GrantUnused
    | DoorForced
    | DoorHeldSoon
    | DoorHeld
    | Tailgated
    | PortalClosed
    | PortalOpenAtStart
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one input came to. Effects in the order in which they are to be carried out."""

    state: PortalState
    effects: tuple[Effect, ...] = ()
    happenings: tuple[Happening, ...] = ()
