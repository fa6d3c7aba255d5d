"""Who is where, as far as is known. After a start everybody's place is a memory, not a fact (B-07)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from zones.frozen import Shelf, nothing
from zones.ids import CardholderId, PortalId, ZoneId

_NOBODY: frozenset[CardholderId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """`is_certain`: seen to pass since the last start; otherwise the last known place only. `since`: when seen."""

    zone: ZoneId
    is_certain: bool
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The portal that somebody was last seen to pass, and when."""

    portal: PortalId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Somebody was let into `zone` by `portal` on `grant` and has not been seen to pass yet, nor to stay away."""

    zone: ZoneId
    portal: PortalId
    grant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Cardholder -> presence. A cardholder who is absent from the map was never seen.

    `inside` is derived: who is in each zone itself, certain or last known (unknown is not empty, B-07). `seen`: last
    sightings, for the walk from one portal to another (B-23). `expected`: who was let in somewhere and may pass any
    moment: he takes room there, and his card takes no second way in.
    """

    where: Mapping[CardholderId, Presence] = field(default_factory=nothing)
    seen: Mapping[CardholderId, Sighting] = field(default_factory=nothing)
    expected: Mapping[CardholderId, Expected] = field(default_factory=nothing)
    inside: Mapping[ZoneId, frozenset[CardholderId]] = field(default_factory=nothing, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.where and not self.inside:
            found: dict[ZoneId, set[CardholderId]] = {}
            for who, presence in self.where.items():
                found.setdefault(presence.zone, set()).add(who)
            object.__setattr__(self, "inside", Shelf({zone: frozenset(people) for zone, people in found.items()}))

    # -- what is known ---------------------------------------------------------------------------------------------

    def certain_zone(self, cardholder: CardholderId) -> ZoneId | None:
        """Where the cardholder certainly is, or None where that is not known."""
        presence = self.where.get(cardholder)
        return presence.zone if presence is not None and presence.is_certain else None

    def count(self, zones: Iterable[ZoneId]) -> int:
        """How many are in any of `zones`, certain or last known."""
        inside = self.inside
        return sum(len(inside.get(zone, _NOBODY)) for zone in zones)

    def people(self, zones: Iterable[ZoneId]) -> Iterable[CardholderId]:
        """Who is in any of `zones`, certain or last known."""
        for zone in zones:
            yield from self.inside.get(zone, _NOBODY)

    def certain_people(self, zones: Iterable[ZoneId]) -> Iterable[CardholderId]:
        """Who is certainly in any of `zones`."""
        return (who for who in self.people(zones) if self.where[who].is_certain)

    def expected_in(self, zones: Collection[ZoneId]) -> set[CardholderId]:
        """Who was let into any of `zones` and may pass any moment."""
        return {who for who, one in self.expected.items() if one.zone in zones} if self.expected else set()

    # -- what changes it -------------------------------------------------------------------------------------------

    def moved(self, cardholder: CardholderId, zone: ZoneId, at: datetime | None = None) -> Occupancy:
        """The occupancy after `cardholder` was seen to pass into `zone`: that heals an unknown presence (B-07)."""
        before = self.where.get(cardholder)
        presence = Presence(zone=zone, is_certain=True, since=at)
        inside = {zone: self.inside.get(zone, _NOBODY) | {cardholder}}
        if before is not None and before.zone != zone:
            inside[before.zone] = self.inside[before.zone] - {cardholder}
        where = Shelf(self.where).changed({cardholder: presence})
        return replace(self, where=where, inside=Shelf(self.inside).changed(inside))

    def sighted(self, cardholder: CardholderId, portal: PortalId, at: datetime) -> Occupancy:
        """The occupancy after `cardholder` was seen to pass `portal`."""
        return replace(self, seen=Shelf(self.seen).changed({cardholder: Sighting(portal=portal, at=at)}))

    def awaited(self, cardholder: CardholderId, expected: Expected) -> Occupancy:
        """The occupancy after `cardholder` was let in."""
        return replace(self, expected=MappingProxyType({**self.expected, cardholder: expected}))

    def settled(self, grant: str, cardholder: CardholderId | None = None) -> Occupancy:
        """The occupancy after `grant` was used or is over: for `cardholder`, or for all who were let in on it."""
        left = {
            who: one
            for who, one in self.expected.items()
            if one.grant != grant or (cardholder is not None and who != cardholder)
        }
        return self if len(left) == len(self.expected) else replace(self, expected=MappingProxyType(left))

    def nobody_expected(self) -> Occupancy:
        """The occupancy after a start: no grant outlives one."""
        return replace(self, expected=nothing()) if self.expected else self

    def made_uncertain(self) -> Occupancy:
        """The same places, none of them certain: after a start, a fire or a loss of power (B-07)."""
        return self._doubted(self.where)

    def forgiven(self, cardholder: CardholderId) -> Occupancy:
        """An officer forgave a wrong presence (B-06): the next passage will tell where this cardholder is."""
        return self._doubted((cardholder,) if cardholder in self.where else ())

    def left_unseen(self, zones: Collection[ZoneId]) -> Occupancy:
        """Somebody left one of `zones` without a card (REX), nobody knows who: all who are there become uncertain.

        Without this a cardholder who walks out by the button would be refused everywhere as still inside.
        """
        return self._doubted(tuple(self.people(zones)))

    def _doubted(self, people: Iterable[CardholderId]) -> Occupancy:
        doubted = {who: replace(self.where[who], is_certain=False) for who in people if self.where[who].is_certain}
        if not doubted:
            return self
        return replace(self, where=Shelf(self.where).changed(doubted))
