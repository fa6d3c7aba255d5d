"""The shape of a site: zones nested as a tree, and portals that never lead past a key (requirements §3.3, P1).

An exit is free and asks nothing, so it must not be a way *into* anything: what one reaches by leaving may be no
better guarded than what one left. And an entry asks for the keys of one zone, so it must not lead into two protected
zones at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from zones.ids import ZoneId
from zones.places import Portal, Zone, ZoneKind
from zones.row_checks import refusal

DEPTH_MAX: Final = 16
"""Zones nested deeper than this are a mistake, and a bound keeps every walk up the tree short."""

Lineages = Mapping[ZoneId, tuple[ZoneId, ...]]


def lineages_of(zones: Mapping[ZoneId, Zone]) -> dict[ZoneId, tuple[ZoneId, ...]]:
    """Each zone's way up to the outermost, itself first. Raises EditRefused on an unknown parent or a circle."""
    return {zone_id: _lineage(zones, zone) for zone_id, zone in zones.items()}


def insides_of(lineages: Lineages) -> dict[ZoneId, frozenset[ZoneId]]:
    """Each zone with all the zones nested in it."""
    inside: dict[ZoneId, set[ZoneId]] = {zone_id: set() for zone_id in lineages}
    for zone_id, lineage in lineages.items():
        for ancestor in lineage:
            inside[ancestor].add(zone_id)
    return {zone_id: frozenset(members) for zone_id, members in inside.items()}


def check_nesting(zones: Mapping[ZoneId, Zone]) -> None:
    """Raises EditRefused where a zone asks for less than the zone around it."""
    for zone in zones.values():
        if zone.parent is None:
            continue
        parent = zones[zone.parent]
        if zone.kind < parent.kind:
            raise refusal(zone, "kind", f"{zone.kind.name} may not lie in {parent.id}, which is {parent.kind.name}")
        if zone.required_factors < parent.required_factors:
            why = f"asks for {zone.required_factors} factors, less than {parent.id} around it"
            raise refusal(zone, "min_factors", f"{why} ({parent.required_factors})")


def check_portals(zones: Mapping[ZoneId, Zone], lineages: Lineages, portals: Iterable[Portal]) -> None:
    """Raises EditRefused where a portal's zones are unknown, or where it leads past a key. Zones must be in order."""
    for portal in portals:
        for field, zone_id in (("outer", portal.outer), ("inner", portal.inner)):
            if zone_id not in zones:
                raise refusal(portal, field, f"there is no zone {zone_id!r}")
        _check_way_in(zones, lineages, portal)
        _check_standing_open(zones, lineages, portal)
        _check_way_out(zones, lineages, portal)


def _lineage(zones: Mapping[ZoneId, Zone], zone: Zone) -> tuple[ZoneId, ...]:
    way = [zone.id]
    above = zone.parent
    while above is not None:
        if above in way:
            raise refusal(zone, "parent", f"makes a circle: {' in '.join((*way, above))}")
        if above not in zones:
            raise refusal(zones[way[-1]], "parent", f"there is no zone {above!r}")
        if len(way) == DEPTH_MAX:
            raise refusal(zone, "parent", f"is nested deeper than {DEPTH_MAX}")
        way.append(above)
        above = zones[above].parent
    return tuple(way)


def _check_way_in(zones: Mapping[ZoneId, Zone], lineages: Lineages, portal: Portal) -> None:
    inner = zones[portal.inner]
    if inner.kind is ZoneKind.EXCLUSION:
        if not portal.has_contact:
            raise refusal(portal, "has_contact", f"a portal into {inner.id} (EXCLUSION) needs a contact (§3.3)")
        if not portal.has_entry_reader:
            raise refusal(portal, "has_entry_reader", f"a portal into {inner.id} (EXCLUSION) needs a reader (§3.3)")
    outside = lineages[portal.outer]
    for zone_id in lineages[portal.inner][1:]:
        if zone_id not in outside and zones[zone_id].is_protected:
            why = f"leads from {portal.outer} into {zone_id} as well, without its keys; enter {zone_id} first"
            raise refusal(portal, "inner", why)


def _check_standing_open(zones: Mapping[ZoneId, Zone], lineages: Lineages, portal: Portal) -> None:
    """A portal that is unlocked by the clock asks nobody for a key (P1)."""
    if portal.unlock_schedule is None:
        return
    outside = lineages[portal.outer]
    for zone_id in lineages[portal.inner]:
        if zone_id not in outside and zones[zone_id].is_protected:
            why = f"never stands open by schedule: {zone_id} is protected, and each entry asks for its keys"
            raise refusal(portal, "unlock_schedule", why)


def _check_way_out(zones: Mapping[ZoneId, Zone], lineages: Lineages, portal: Portal) -> None:
    inner = zones[portal.inner]
    if portal.inner in lineages[portal.outer]:
        raise refusal(portal, "inner", f"{portal.outer} lies in {portal.inner}: outer and inner are exchanged")
    for zone_id in lineages[portal.outer]:
        if zone_id in lineages[portal.inner]:
            break
        entered = zones[zone_id]
        if entered.is_protected:
            raise refusal(portal, "outer", f"leaving is free, so it must not lead into {zone_id}, which is protected")
        if entered.required_factors > inner.required_factors:
            raise refusal(portal, "outer", f"leaving is free, so it must not lead into {zone_id}, which asks for more")
