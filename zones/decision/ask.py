"""One entry, looked up once: what every rule may read. Rows that do not exist are None."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from zones.decision.values import Evidence, Request
from zones.ids import InformationItemId, ZoneId
from zones.moment import Moment, here
from zones.occupancy import Occupancy
from zones.people import CardholderKind, Credential, RosterEntry
from zones.places import AccessPoint, Portal, Zone, ZoneKind
from zones.policy import Holder, Policy

NOWHERE: Final = Zone(id=ZoneId(""), name_ja="", name_en="", kind=ZoneKind.EXCLUSION)
"""The zone behind an access point that nobody knows: everything is asked of it and nothing suffices."""

_STAFF: Final = CardholderKind.STAFF  # looked up once: an enum's member costs as much as three rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is fixed about passing one access point. `items`: the zone's; `inside`: the zone and all nested in it."""

    point: AccessPoint | None
    portal: Portal | None
    zone: Zone
    from_zone: Zone | None
    items: frozenset[InformationItemId] = frozenset()
    inside: frozenset[ZoneId] = frozenset()


NO_SETTING: Final = Setting(point=None, portal=None, zone=NOWHERE, from_zone=None)
"""What is fixed about an access point that nobody knows: nothing."""


@dataclass(slots=True)
class Ask:
    """What every rule may read of one entry."""

    policy: Policy
    occupancy: Occupancy
    request: Request
    evidence: Evidence
    now: Moment
    today: date
    point: AccessPoint | None
    portal: Portal | None
    zone: Zone
    from_zone: Zone | None
    items: frozenset[InformationItemId]
    inside: frozenset[ZoneId]
    credential: Credential | None
    holder: Holder | None
    _entry: RosterEntry | None = field(init=False, default=None, repr=False)
    _is_entry_known: bool = field(init=False, default=False, repr=False)

    def of(self, evidence: Evidence) -> Ask:
        """The same entry, asked by whoever holds `evidence`."""
        credential = self.policy.by_number.get(evidence.number_hash)
        return Ask(
            self.policy,
            self.occupancy,
            self.request,
            evidence,
            self.now,
            self.today,
            self.point,
            self.portal,
            self.zone,
            self.from_zone,
            self.items,
            self.inside,
            credential,
            None if credential is None else self.policy.holders.get(credential.cardholder),
        )

    def roster_entry(self) -> RosterEntry | None:
        """The asker's place on this zone's own roster that is in force today, or None. A guest holds none (A-06)."""
        if not self._is_entry_known:  # four rules ask
            holder = self.holder
            if holder is not None and holder.cardholder.kind is _STAFF:
                self._entry = roster_entry(holder, self.zone.id, self.today)
            self._is_entry_known = True
        return self._entry

    def certain_zone(self) -> ZoneId | None:
        """Where the asker certainly is, or None where that is not known."""
        return None if self.holder is None else self.occupancy.certain_zone(self.holder.cardholder.id)

    def is_inside(self, zone: ZoneId) -> bool:
        """Whether `zone` is the asked zone or lies in it."""
        return zone in self.inside

    def staff_inside(self) -> Iterator[Holder]:
        """Cardholders with keys of their own who are certainly in the zone: whoever is there was asked for his keys."""
        for who in self.occupancy.certain_people(self.inside):
            holder = self.policy.holders.get(who)
            if holder is not None and holder.cardholder.kind is _STAFF:
                yield holder


def ask_of(policy: Policy, occupancy: Occupancy, request: Request, now: Moment) -> Ask:
    """What the rules may read of the entry that `request` asks for."""
    plan = policy.plans.get(request.access_point)
    setting = NO_SETTING if plan is None else plan.setting
    evidence = request.evidence
    credential = policy.by_number.get(evidence.number_hash)
    return Ask(
        policy,
        occupancy,
        request,
        evidence,
        now,
        here(now.at)[0],
        setting.point,
        setting.portal,
        setting.zone,
        setting.from_zone,
        setting.items,
        setting.inside,
        credential,
        None if credential is None else policy.holders.get(credential.cardholder),
    )


def roster_entry(holder: Holder, zone: ZoneId, today: date) -> RosterEntry | None:
    """The place of `holder` on the roster of `zone` that is in force `today`, or None."""
    for entry in holder.roster:
        is_in_days = entry.from_on <= today <= entry.until_on and not is_ended(entry.ended_on, today)
        if entry.zone == zone and not entry.is_suspended and is_in_days:
            return entry
    return None


def is_ended(ended_on: date | None, today: date) -> bool:
    """An end acts from the morning of its day: who ends a right today means now."""
    return ended_on is not None and ended_on <= today
