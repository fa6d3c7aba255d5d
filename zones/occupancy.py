"""Who is where, as far as is known. After a start everybody's place is a memory, not a fact (B-07)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from zones.frozen import nothing, thawed
from zones.ids import CardholderId, ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """`is_certain`: seen to pass since the last start; otherwise the last known place only."""

    zone: ZoneId
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Cardholder -> presence. A cardholder who is absent from the map was never seen.

    `counts` is derived: how many are in each zone itself, certain or last known (unknown is not empty, B-07).
    """

    where: Mapping[CardholderId, Presence] = field(default_factory=nothing)
    counts: Mapping[ZoneId, int] = field(default_factory=nothing, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.where and not self.counts:
            counts = Counter(presence.zone for presence in self.where.values())
            object.__setattr__(self, "counts", MappingProxyType(dict(counts)))

    def moved(self, cardholder: CardholderId, zone: ZoneId) -> Occupancy:
        """The occupancy after `cardholder` was seen to pass into `zone`."""
        where, counts = thawed(self.where), thawed(self.counts)
        before = where.get(cardholder)
        if before is not None:
            counts[before.zone] -= 1
        where[cardholder] = Presence(zone=zone, is_certain=True)
        counts[zone] = counts.get(zone, 0) + 1
        return Occupancy(where=MappingProxyType(where), counts=MappingProxyType(counts))

    def made_uncertain(self) -> Occupancy:
        """The same places, none of them certain: after a start, a fire or a loss of power."""
        return self._doubted(None)

    def left_unseen(self, zones: Collection[ZoneId]) -> Occupancy:
        """Somebody left one of `zones` without a card (REX), nobody knows who: all who are there become uncertain.

        Without this a cardholder who walks out by the button would be refused everywhere as still inside.
        """
        return self._doubted(zones)

    def _doubted(self, zones: Collection[ZoneId] | None) -> Occupancy:
        where = {
            who: Presence(zone=presence.zone, is_certain=False) if zones is None or presence.zone in zones else presence
            for who, presence in self.where.items()
        }
        return Occupancy(where=MappingProxyType(where), counts=self.counts)

    def certain_zone(self, cardholder: CardholderId) -> ZoneId | None:
        """Where the cardholder certainly is, or None where that is not known."""
        presence = self.where.get(cardholder)
        return presence.zone if presence is not None and presence.is_certain else None
