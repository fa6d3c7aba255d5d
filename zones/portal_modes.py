"""The mode that a portal should be in now, and what its lock does without power (docs/decision.md §4)."""

from __future__ import annotations

from typing import Literal

from zones.ids import PortalId
from zones.moment import Moment, epoch_ms
from zones.places import LockType, Portal, PortalMode, ZoneState
from zones.policy import Policy
from zones.portal_values import KEPT
from zones.schedule import is_within


def standing_mode(policy: Policy, portal_id: PortalId, now: Moment, *, was_entered: bool) -> PortalMode:
    """What policy and hour ask of a portal: an officer's word while it holds, else its schedule, else CARD.

    `was_entered`: somebody was admitted through it since the current window of its schedule began (first in). What
    would keep the strike released gives way to CARD wherever cards are needed: into a protected zone, into one that is
    secured or locked down, and while the clock is not believed. It is CARD and not LOCKED, so that those who open a
    secured zone or may enter in a lockdown still can; the decision refuses the others.
    """
    portal = policy.portals[portal_id]
    mode = _asked_mode(policy, portal, now, was_entered)
    return PortalMode.CARD if mode in KEPT and not _may_stand_open(policy, portal, now) else mode


def on_power_loss(portal: Portal) -> Literal["released", "locked"]:
    """What the lock does when its power is gone (D-26).

    通電時施錠型 (fail-safe) lets go, 通電時解錠型 (fail-secure) holds.

    It is said of the way in. The way out never depends on it: an escape portal that locks without power needs a handle.
    """
    return "released" if portal.lock_type is LockType.FAIL_SAFE else "locked"


def _asked_mode(policy: Policy, portal: Portal, now: Moment, was_entered: bool) -> PortalMode:
    status = policy.portal_statuses.get(portal.id)
    if status is not None:
        is_over = now.is_trusted and status.until_ms is not None and epoch_ms(now.at) >= status.until_ms
        if not is_over:  # a clock that is not believed ends no lock
            return status.mode
    if portal.unlock_schedule is None or (portal.first_in and not was_entered):
        return PortalMode.CARD
    is_open = is_within(policy.schedules[portal.unlock_schedule], now, policy.calendars)
    return PortalMode.UNLOCKED if is_open else PortalMode.CARD


def _may_stand_open(policy: Policy, portal: Portal, now: Moment) -> bool:
    """Whether nothing behind the portal asks for a decision about each person."""
    if not now.is_trusted or policy.site.is_locked_down:
        return False
    outside = policy.lineages[portal.outer]
    for zone in policy.lineages[portal.inner]:
        if zone not in outside and policy.zones[zone].is_protected:
            return False
        status = policy.zone_statuses.get(zone)
        if status is not None and (status.is_locked_down or status.state is ZoneState.SECURED):
            return False
    return True
