"""The three keys said a second time, from the requirements (§3.1, §3.2, A-01) and not from the rules.

A proof that asked the rules what a key is would repeat their mistake. So this is plain, slow and on its own: nothing
here is shared with `zones.decision`, and where the two differ a proof fails and prints the steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from zones.ids import CardholderId, ClearanceId, NeedToKnowId, OverrideId, RosterEntryId, VisitId
from zones.moment import Moment, epoch_ms
from zones.people import Basis, Cardholder, CardholderKind, Clearance, NeedToKnow, RosterEntry
from zones.places import Zone
from zones.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The rows that are somebody's keys to one zone on one day; None where a key is missing."""

    clearance: ClearanceId | None = None
    need_to_know: NeedToKnowId | None = None
    roster: RosterEntryId | None = None

    @property
    def are_all(self) -> bool:
        """Whether all three are there (P1)."""
        return None not in (self.clearance, self.need_to_know, self.roster)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows, each with its table."""
        named = (("clearance", self.clearance), ("need_to_know", self.need_to_know), ("roster", self.roster))
        return tuple(f"{table} {row}" for table, row in named if row is not None)


def keys_held(policy: Policy, who: CardholderId, zone: Zone, day: date) -> Keys:
    """The keys to `zone` that a cardholder of the staff holds on `day`; a guest holds none."""
    holder = policy.holders.get(who)
    if holder is None or not _is_staff(holder.cardholder, day):
        return Keys()
    return Keys(
        clearance=next((one.id for one in holder.clearances if _clears(one, zone, day)), None),
        need_to_know=next((one.id for one in holder.needs if _is_needed(policy, one, zone, day)), None),
        roster=next((one.id for one in holder.roster if _is_listed(one, zone, day)), None),
    )


def brought_by(policy: Policy, who: CardholderId, zone: Zone, now: Moment) -> tuple[VisitId | OverrideId, ...]:
    """The rows by which somebody without keys may be in a sanitised zone: visits, break-glass (A-06, A-32)."""
    holder = policy.holders.get(who)
    if holder is None:
        return ()
    day, at_ms = now.today, epoch_ms(now.at)
    found: list[VisitId | OverrideId] = []
    if holder.cardholder.kind is not CardholderKind.STAFF:
        found += [
            one.id
            for one in holder.visits
            if zone.id in one.zones and one.from_on <= day <= one.until_on and _runs(one.ended_on, day)
        ]
    for override in policy.overrides.values():
        if override.zone == zone.id and who in override.cardholders:
            end = override.until_ms if override.ended_ms is None else min(override.until_ms, override.ended_ms)
            if override.from_ms <= at_ms < end:
                found.append(override.id)
    return tuple(found)


def three_officers(need: NeedToKnow) -> bool:
    """Whether it was requested by one and approved by two others, none of them the one it is for (§3.2)."""
    officers: Iterable[str | None] = (need.requested_by, need.approved_by_1, need.approved_by_2)
    return None not in officers and len({need.cardholder, *officers}) == 4


def _is_staff(cardholder: Cardholder, day: date) -> bool:
    return cardholder.kind is CardholderKind.STAFF and _runs(cardholder.ended_on, day)


def _clears(one: Clearance, zone: Zone, day: date) -> bool:
    if one.basis not in zone.accepted_bases or (one.basis is Basis.COMPANY and one.level < zone.company_level):
        return False
    is_confirmed = one.confirmed_by is not None and one.confirmed_by != one.recorded_by
    return is_confirmed and one.notified_on <= day <= one.last_valid_on and _runs(one.ended_on, day)


def _is_needed(policy: Policy, one: NeedToKnow, zone: Zone, day: date) -> bool:
    if one.item not in zone.items or one.is_suspended or not three_officers(one):
        return False
    ends = [one.until_on]
    if one.recert_on is not None:
        ends.append(one.recert_on)
    item = policy.items.get(one.item)
    if item is not None:
        ends.append(item.designated_until)
        if item.contract_until is not None:
            ends.append(item.contract_until)
        if not _runs(item.lifted_on, day):
            return False
    return one.from_on <= day <= min(ends) and _runs(one.ended_on, day)


def _is_listed(one: RosterEntry, zone: Zone, day: date) -> bool:
    if one.zone != zone.id or one.is_suspended:
        return False
    return one.from_on <= day <= one.until_on and _runs(one.ended_on, day)


def _runs(ended_on: date | None, day: date) -> bool:
    """An end acts from the morning of its day."""
    return ended_on is None or day < ended_on
