"""How a place on a roster stands today, in the words that officers use, and what else its zone asks of the person.

Only what somebody has or lacks by the registers is told: never asked, not recorded yet, run out and taken back are one
and the same here as everywhere (E-03). Whoever may not see rights is told none of it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from api.texts import Said
from zones.decision import Evidence, Method, Request
from zones.decision.ask import Ask, is_ended
from zones.decision.keys import (
    REVIEW_GRACE,
    asks_for_clearance,
    has_clearance,
    has_need_to_know,
    is_protected,
    is_trained,
    notice_was_handed_over,
)
from zones.decision.values import FindingKind
from zones.ids import AccessPointId, CardholderId, CardNumberHash
from zones.moment import Moment, here
from zones.occupancy import Occupancy
from zones.people import CredentialState, RosterEntry
from zones.places import Zone
from zones.policy import Holder, Policy

SOON: Final = timedelta(days=30)


class RosterState(StrEnum):
    """What an officer calls a place on a roster (ux: one vocabulary on every page)."""

    MAY_ENTER = "may_enter"
    ENDS_SOON = "ends_soon"
    REVIEW_OVERDUE = "review_overdue"
    NOT_COMPLETE = "not_complete"
    SUSPENDED = "suspended"
    AWAITS_SECOND = "awaits_second"
    NOT_BEGUN = "not_begun"
    PERIOD_OVER = "period_over"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a state is shown: never by colour alone."""

    words: Said
    tone: str
    icon: str


LOOKS: Final[Mapping[RosterState, Look]] = MappingProxyType(
    {
        RosterState.MAY_ENTER: Look(words=Said("May enter", "roster"), tone="ok", icon="check"),
        RosterState.ENDS_SOON: Look(words=Said("Ends within 30 days", "roster"), tone="warn", icon="clock"),
        RosterState.REVIEW_OVERDUE: Look(words=Said("Review overdue", "roster"), tone="alarm", icon="alarm"),
        RosterState.NOT_COMPLETE: Look(words=Said("Not complete", "roster"), tone="warn", icon="dash"),
        RosterState.SUSPENDED: Look(words=Said("Suspended", "roster"), tone="plain", icon="pause"),
        RosterState.AWAITS_SECOND: Look(words=Said("Awaits the second officer", "roster"), tone="warn", icon="people"),
        RosterState.NOT_BEGUN: Look(words=Said("Not begun", "roster"), tone="plain", icon="clock"),
        RosterState.PERIOD_OVER: Look(words=Said("Period over", "roster"), tone="plain", icon="dash"),
        RosterState.REMOVED: Look(words=Said("Removed", "roster"), tone="plain", icon="cross"),
    }
)


class Key(StrEnum):
    """What a zone may ask of somebody beside the place on its roster."""

    CARD = "card"
    CLEARANCE = "clearance"
    NEED_TO_KNOW = "need_to_know"
    TRAINING = "training"
    NOTICE = "notice"


LACKS: Final[Mapping[Key, Said]] = MappingProxyType(
    {
        Key.CARD: Said("No active card"),
        Key.CLEARANCE: Said("No confirmation on record"),
        Key.NEED_TO_KNOW: Said("No need-to-know for what is handled here"),
        Key.TRAINING: Said("Training is due"),
        Key.NOTICE: Said("The notice on entry records was not handed over"),
    }
)


def roster_state(entry: RosterEntry, day: date, *, is_complete: bool = True) -> RosterState:
    """The state of a place on `day`. `is_complete`: the person holds all else that the zone asks for."""
    is_soon = entry.until_on - day <= SOON
    ladder = (
        (is_ended(entry.ended_on, day), RosterState.REMOVED),
        (entry.until_on < day, RosterState.PERIOD_OVER),
        (entry.is_suspended, RosterState.SUSPENDED),
        (entry.from_on > day, RosterState.NOT_BEGUN),
        (entry.review_on < day, RosterState.REVIEW_OVERDUE),
        (not is_complete, RosterState.NOT_COMPLETE),
        (is_soon, RosterState.ENDS_SOON),
    )
    return next((state for holds, state in ladder if holds), RosterState.MAY_ENTER)


def is_listed(entry: RosterEntry, day: date) -> bool:
    """Whether a place stands on the list: until it is ended, or was over for good."""
    return not is_ended(entry.ended_on, day)


def lapses_on(entry: RosterEntry) -> date | None:
    """The first day on which the place counts no more by itself, for want of a review (A-03); None: it is kept."""
    return None if entry.is_minimum else entry.review_on + REVIEW_GRACE + timedelta(days=1)


def missing_keys(policy: Policy, holder: Holder, zone: Zone, now: Moment, *, has_card: bool) -> tuple[Key, ...]:
    """What else the zone asks for and this person does not hold now, by the rules that decide at the door."""
    ask = _asked_of(policy, holder, zone, now)
    way_in = (zone, None, None)
    holds = {
        Key.CARD: has_card,
        Key.CLEARANCE: not asks_for_clearance(*way_in) or has_clearance(ask),
        Key.NEED_TO_KNOW: not is_protected(*way_in) or has_need_to_know(ask),
        Key.TRAINING: is_trained(ask) is not FindingKind.FAILED,
        Key.NOTICE: notice_was_handed_over(ask) is not FindingKind.FAILED,
    }
    return tuple(key for key, is_held in holds.items() if not is_held)


def card_holders(policy: Policy) -> frozenset[CardholderId]:
    """Everybody who has a card that opens."""
    return frozenset(one.cardholder for one in policy.credentials.values() if one.state is CredentialState.ACTIVE)


def _asked_of(policy: Policy, holder: Holder, zone: Zone, now: Moment) -> Ask:
    """What the rules about keys may read of this person before this zone: they look at no card."""
    items = frozenset(zone.items)
    return Ask(
        policy, _NOBODY, _NO_REQUEST, _NO_CARD, now, here(now.at).day, None, None, zone, None, items,
        policy.insides.get(zone.id, frozenset()), None, holder,
    )  # fmt: skip


_NOBODY: Final = Occupancy()
_NO_CARD: Final = Evidence(number_hash=CardNumberHash(""), method=Method.UID, factors=0)
_NO_REQUEST: Final = Request(access_point=AccessPointId(""), evidence=_NO_CARD)
