"""The portals of a site: each one's machine, its mode, and what its steps come to in effects and records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.records import happening_record
from controller.standing import Standing
from controller.turn import AfterMode, Turn
from zones.decision.ask import roster_entry
from zones.ids import CardholderId, PortalId, ZoneId
from zones.moment import Moment, here
from zones.people import CardholderKind
from zones.places import Direction, Portal, PortalMode, ZoneState
from zones.policy import Holder, Policy
from zones.portal import (
    Grant,
    Happening,
    Input,
    LeafFault,
    ModeSet,
    PassageCompleted,
    Phase,
    PortalState,
    TimePassed,
    deadline,
    step,
)
from zones.portal_modes import standing_mode

MODES_EVERY_MS: Final = 5_000
"""How often it is looked whether a schedule or a term put a portal into another mode."""

_KEPT_RELEASED: Final = frozenset({PortalMode.UNLOCKED, PortalMode.ATTENDED})


_MAY_ENTER_UNSEEN: Final = frozenset({Phase.OPEN, Phase.HELD, Phase.FORCED, Phase.BLIND})

Told = Callable[[PortalId, Happening], None]


class Portals:
    """Owns the portals' states. `told` hears of whatever happens at one."""

    def __init__(self, standing: Standing, told: Told = lambda _portal, _what: None) -> None:
        self._standing = standing
        self._told = told
        self._promised: dict[PortalId, int] = {}
        self._openers: dict[PortalId, tuple[str, CardholderId]] = {}
        self._states: dict[PortalId, PortalState] = {}
        self._modes: dict[PortalId, PortalMode] = {}
        self._entered: set[PortalId] = set()
        self._modes_at = 0
        self._opened_zones: list[ZoneId] = []
        self._changed: dict[PortalId, Phase] = {}
        self._looked_at: Policy | None = None
        self._is_scheduled = False

    def phase(self, portal: PortalId) -> Phase:
        """What is known of a portal's leaf and strike."""
        return self._states.get(portal, PortalState()).phase

    def take_changed(self) -> dict[PortalId, Phase]:
        """Portals that are in another phase since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def mode(self, portal: PortalId) -> PortalMode:
        """The mode that a portal is in."""
        return self._modes.get(portal, PortalMode.CARD)

    def not_closed(self, portals: tuple[PortalId, ...]) -> frozenset[PortalId]:
        """Those of `portals` of which it is not known that they are shut and secured, and stay so: a grant that waits
        for its record will release one in a moment.
        """
        promised = self._promised
        return frozenset(one for one in portals if one in promised or self.phase(one) is not Phase.SECURED)

    def promise(self, portal: PortalId) -> None:
        """An entry was granted here, and waits for its record."""
        self._promised[portal] = self._promised.get(portal, 0) + 1

    def keep_promise(self, portal: PortalId) -> None:
        """The record of an entry is durable, or could not be written."""
        count = self._promised.pop(portal, 0) - 1
        if count > 0:
            self._promised[portal] = count

    def is_anybody_coming(self, zone: ZoneId, but: CardholderId) -> bool:
        """Whether anybody but `but` may be on the way into `zone`, or walk in unseen."""
        policy = self._standing.policy
        inside = policy.insides[zone]
        for portal in policy.portals.values():
            if portal.inner not in inside or portal.outer in inside:
                continue
            state = self._states.get(portal.id, PortalState())
            waiting = (grant for grant in state.waiting if grant.direction is Direction.IN)
            if portal.id in self._promised or state.phase in _MAY_ENTER_UNSEEN or state.is_free:
                return True
            if any(grant.cardholder != but for grant in waiting):
                return True
        return False

    def take_back(self, zones: frozenset[ZoneId], now: Moment, turn: Turn) -> None:
        """Nobody simply walks into `zones` from now on: entries that wait there are over, exits are not."""
        for portal in self._standing.policy.portals.values():
            if portal.inner in zones and self._states.get(portal.id, PortalState()).mode is PortalMode.CARD:
                self.step(portal.id, ModeSet(mode=PortalMode.LOCKED), now, turn)
                self.step(portal.id, ModeSet(mode=PortalMode.CARD), now, turn)

    def step(self, portal_id: PortalId, what: Input, now: Moment, turn: Turn) -> None:
        """One input to one portal: its effects go out with this turn, what happened is recorded."""
        standing = self._standing
        portal = standing.policy.portals[portal_id]
        before = self._states.get(portal_id, PortalState())
        taken = step(portal, before, what, now)
        self._states[portal_id] = taken.state
        if taken.state.phase is not before.phase:
            self._changed[portal_id] = taken.state.phase
        turn.urgent.extend(taken.effects)
        for happening in taken.happenings:
            draft = happening_record(standing.scribe, portal, happening, standing.at.revision, now)
            standing.record(draft, turn)
            if isinstance(happening, PassageCompleted) and happening.grant.to_zone == portal.inner:
                self._went_in(portal, happening.grant, now)
            self._told(portal_id, happening)

    def _went_in(self, portal: Portal, grant: Grant, now: Moment) -> None:
        """Somebody passed into the inner zone. The first of staff to come begins the hours of its schedule; the second
        opener on one grant opens a secured zone. One person alone opens none, whatever he was granted before.
        """
        holder = None if grant.cardholder is None else self._standing.policy.holders.get(grant.cardholder)
        if holder is None or holder.cardholder.kind is not CardholderKind.STAFF:
            return
        self._entered.add(portal.id)
        if self._standing.policy.zone_state(portal.inner) is not ZoneState.SECURED or not _is_opener(
            holder, portal.inner, now
        ):
            return
        first = self._openers.pop(portal.id, None)
        if first is not None and first[0] == grant.id and first[1] != holder.cardholder.id:
            self._opened_zones.append(portal.inner)
        else:
            self._openers[portal.id] = (grant.id, holder.cardholder.id)

    def step_all(self, what: Input, now: Moment, turn: Turn) -> None:
        """One input to every portal: a fire, its reset."""
        for portal in list(self._standing.policy.portals):
            self.step(portal, what, now, turn)

    def fault(self, portal: PortalId, fault: str, now: Moment, turn: Turn) -> None:
        """The line of a portal's contact is short or cut."""
        self.step(portal, LeafFault(fault=fault), now, turn)

    def take_opened_zones(self) -> list[ZoneId]:
        """Secured zones that somebody passed into since the last call."""
        opened, self._opened_zones = self._opened_zones, []
        return opened

    # -- time ------------------------------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """The next tick (ms) at which something is due, or None."""
        due = [tick for state in self._states.values() if (tick := deadline(state)) is not None]
        if self._has_modes():
            due.append(self._modes_at)
        return min(due, default=None)

    def pass_time(self, now: Moment, turn: Turn) -> None:
        """Whatever is due by now."""
        for portal_id, state in list(self._states.items()):
            due = deadline(state)
            if due is not None and due <= now.tick_ms and portal_id in self._standing.policy.portals:
                self.step(portal_id, TimePassed(), now, turn)
        if self._has_modes() and now.tick_ms >= self._modes_at:
            self.look_at_modes(now, turn)

    def look_soon(self) -> None:
        """Look at the modes in the next turn."""
        self._modes_at = 0

    def look_at_modes(self, now: Moment, turn: Turn) -> None:
        """Bring every portal into the mode that policy and hour ask for: locking at once, unlocking with its record.

        While nothing can be recorded none is kept released: entry stops everywhere (P2).
        """
        self._modes_at = now.tick_ms + MODES_EVERY_MS
        standing = self._standing
        for portal in standing.policy.portals.values():
            mode = standing_mode(standing.policy, portal.id, now, was_entered=portal.id in self._entered)
            if mode not in _KEPT_RELEASED and not self._is_scheduled_open(portal.id, now):
                self._entered.discard(portal.id)
            if mode in _KEPT_RELEASED and not standing.is_writable:
                mode = PortalMode.CARD
            if mode is self.mode(portal.id):
                continue
            draft = standing.scribe.draft(
                "PORTAL_MODE", now=now, portal=portal.id, zone=portal.inner, detail={"mode": mode.value}
            )
            index = standing.record(draft, turn)
            self._modes[portal.id] = mode
            if mode in _KEPT_RELEASED:
                turn.after.append(AfterMode(index=index, portal=portal.id, mode=mode))
            else:
                self.step(portal.id, ModeSet(mode=mode), now, turn)

    def unlock(self, after: AfterMode, now: Moment, turn: Turn) -> None:
        """The record of a standing mode is durable: keep the portal released, if it still is to be."""
        if self.mode(after.portal) is after.mode:
            self.step(after.portal, ModeSet(mode=after.mode), now, turn)

    def not_unlocked(self, after: AfterMode) -> None:
        """The record could not be written: the portal stays as it was, and is looked at again."""
        if self.mode(after.portal) is after.mode:
            self._modes.pop(after.portal, None)

    def _is_scheduled_open(self, portal: PortalId, now: Moment) -> bool:
        return standing_mode(self._standing.policy, portal, now, was_entered=True) in _KEPT_RELEASED

    def _has_modes(self) -> bool:
        policy = self._standing.policy
        if policy is not self._looked_at:  # asked twice a turn, and the same from edit to edit
            self._looked_at = policy
            self._is_scheduled = any(portal.unlock_schedule for portal in policy.portals.values())
        return self._is_scheduled or bool(self._modes or policy.portal_statuses)


def _is_opener(holder: Holder, zone: ZoneId, now: Moment) -> bool:
    entry = roster_entry(holder, zone, here(now.at).day)
    return entry is not None and entry.is_opener


def shut_zones(policy: Policy) -> frozenset[ZoneId]:
    """The zones that nobody simply walks into: secured or locked down, or in one that is; all in a lockdown."""
    if policy.site.is_locked_down:
        return frozenset(policy.zones)
    return frozenset(
        zone
        for status in policy.zone_statuses.values()
        if status.state is ZoneState.SECURED or status.is_locked_down
        for zone in policy.insides.get(status.id, ())
    )
