"""Rules about the state of the zone and where everybody is (docs/decision.md §2.3, §2.5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from zones.decision.ask import Ask
from zones.decision.keys import attendants, is_guest, is_overriding
from zones.decision.rule import EXEMPT, FAILED, PASSED, WAIVED
from zones.decision.values import FindingKind
from zones.ids import CardholderId
from zones.places import AntiPassback, Portal, Zone, ZoneKind, ZoneState

_MS: Final = timedelta(milliseconds=1)
_SECURED: Final = ZoneState.SECURED  # an enum's members are looked up once: each look costs as much as a rule
_NO_APB: Final = AntiPassback.NONE
_SOFT: Final = AntiPassback.SOFT
_TIMED: Final = AntiPassback.TIMED


# -- the state of the zone -------------------------------------------------------------------------------------------


def openers(ask: Ask) -> int:
    """How many different openers of the zone enter together on this request (C-01)."""
    found = set()
    for evidence in (ask.request.evidence, *ask.request.companions):
        one = ask.of(evidence)
        entry = one.roster_entry()
        if entry is not None and entry.is_opener:
            found.add(entry.cardholder)
    return len(found)


def zone_is_open(ask: Ask) -> FindingKind:
    """D10. No zone around is secured, and the zone itself is not, unless two openers open it together (C-01)."""
    policy, secured = ask.policy, _SECURED
    lineage = policy.lineages.get(ask.zone.id, ())
    for zone in lineage[1:]:
        if policy.zone_state(zone) is secured:
            return FAILED
    if policy.zone_state(ask.zone.id) is not secured:
        return PASSED
    return PASSED if ask.zone.needs_opener and openers(ask) >= 2 else FAILED


def zone_is_attended(ask: Ask) -> FindingKind:
    """D35. Somebody with keys is in the zone, or an opener enters first (C-01)."""
    if ask.policy.zone_state(ask.zone.id) is _SECURED:
        return EXEMPT  # D10 asks for two
    return PASSED if any(attendants(ask)) or openers(ask) >= 1 else FAILED


def has_openers(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones that are opened and secured by named people."""
    return zone.needs_opener


def is_not_locked_down(ask: Ask) -> FindingKind:
    """D26. Neither the site nor a zone around nor the zone is locked down, or the asker may enter in a lockdown."""
    policy = ask.policy
    statuses = policy.zone_statuses
    is_locked_down = policy.site.is_locked_down or (
        bool(statuses)
        and any(
            status.is_locked_down
            for zone in policy.lineages.get(ask.zone.id, ())
            if (status := statuses.get(zone)) is not None
        )
    )
    if not is_locked_down:
        return PASSED
    entry = ask.roster_entry()
    return PASSED if entry is not None and entry.may_enter_lockdown else FAILED


# -- where everybody is ----------------------------------------------------------------------------------------------


def comes_from_where_portal_leads_from(ask: Ask) -> FindingKind:
    """D17. Nobody who is certainly elsewhere; an uncertain place is passed (B-07), being inside is D18's question.

    Who comes from open ground (一般区域) is not asked: nobody is seen to get there, and whoever slipped out behind
    somebody else would be refused at the front entrance the next morning.
    """
    certain = ask.certain_zone()
    if certain is None or ask.is_inside(certain):
        return PASSED
    return PASSED if ask.point is not None and certain == ask.point.from_zone else FAILED


def comes_from_inside(zone: Zone, from_zone: Zone | None, _portal: Portal | None) -> bool:
    """All ways in but those from open ground, and those too where presence counts everywhere (GLOBAL)."""
    is_global = zone.anti_passback is AntiPassback.GLOBAL
    return is_global or from_zone is None or from_zone.kind is not ZoneKind.UNRESTRICTED


def is_not_inside_already(ask: Ask) -> FindingKind:
    """D18. Nobody enters twice without leaving (B-06): SOFT lets through with an alarm, TIMED after its time.

    It is asked of every zone that one would enter again: whoever is in a zone inside this one would get back to it by
    this way; but not from open ground, for the reason that D17 has. Who was let in by another portal a moment ago is as
    good as inside.
    """
    usual = EXEMPT if ask.zone.anti_passback is _NO_APB else PASSED
    if ask.holder is None:
        return usual
    who = ask.holder.cardholder.id
    expected = ask.occupancy.expected.get(who)
    is_by_other_way = expected is not None and ask.point is not None and expected.portal != ask.point.portal
    there = expected.zone if expected is not None and is_by_other_way else ask.certain_zone()
    if there is None or not ask.is_inside(there):
        return usual
    since = None if is_by_other_way else ask.occupancy.where[who].since
    found = {_entered_again(ask, ask.zone, since)}
    if comes_from_inside(ask.zone, ask.from_zone, ask.portal):
        lineage = ask.policy.lineages[there]
        deeper = lineage[: lineage.index(ask.zone.id)]
        found |= {_entered_again(ask, ask.policy.zones[zone], since) for zone in deeper}
    return FAILED if FAILED in found else WAIVED if WAIVED in found else usual


def _entered_again(ask: Ask, zone: Zone, since: datetime | None) -> FindingKind:
    """What a zone says of somebody who is in it since then and enters it once more."""
    mode = zone.anti_passback
    if mode is _NO_APB:
        return PASSED
    if mode is _SOFT:
        return WAIVED
    is_over = since is not None and zone.apb_ms is not None and ask.now.at - since >= zone.apb_ms * _MS
    return PASSED if mode is _TIMED and is_over else FAILED


def is_within_walking_time(ask: Ask) -> FindingKind:
    """D28. From the portal that the asker was last seen to pass, one can have walked here since (B-23)."""
    if ask.holder is None or ask.portal is None:
        return PASSED
    seen = ask.occupancy.seen.get(ask.holder.cardholder.id)
    if seen is None:
        return PASSED
    min_ms = ask.policy.walk_ms.get((seen.portal, ask.portal.id))
    return PASSED if min_ms is None or ask.now.at - seen.at >= min_ms * _MS else FAILED


def zone_has_room(ask: Ask) -> FindingKind:
    """D19. There is room for all who enter and all who were just let in, nobody twice; unknown is not empty (B-07).

    Whoever nobody knows takes a place as well.
    """
    limit = ask.zone.occupancy_max
    if limit is None:
        return EXEMPT
    inside, where = ask.inside, ask.occupancy.where
    coming = _entering(ask) | ask.occupancy.expected_in(inside)
    strangers = 1 + len(ask.request.companions) - len(_entering(ask))
    count = ask.occupancy.count(inside) + strangers
    count += sum(1 for who in coming if (own := where.get(who)) is None or own.zone not in inside)
    return PASSED if count <= limit else FAILED


def has_maximum(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones with an occupancy maximum."""
    return zone.occupancy_max is not None


def nobody_is_left_alone(ask: Ask) -> FindingKind:
    """D21. With those who enter, at least the minimum is certainly inside; guests are company for nobody (B-05)."""
    entering = (ask, *map(ask.of, ask.request.companions))
    who = {one.holder.cardholder.id for one in entering if one.holder is not None and not is_guest(one)}
    who |= {holder.cardholder.id for holder in ask.staff_inside()}
    minimum = ask.zone.occupancy_min
    if minimum is None or len(who) >= minimum:
        return PASSED
    return WAIVED if is_overriding(ask) else FAILED


def has_minimum(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones in which nobody is alone."""
    return zone.occupancy_min is not None


def interlocked_portals_are_closed(ask: Ask) -> FindingKind:
    """D25. Every portal interlocked with this one is shut; nobody else is in the vestibule it leads out of (A-13)."""
    portal, from_zone = ask.portal, ask.from_zone
    if portal is None or from_zone is None:
        return FAILED
    if not ask.request.not_closed.isdisjoint(portal.interlock_with):
        return FAILED
    if not from_zone.is_vestibule:
        return PASSED
    vestibule = (from_zone.id,)
    there = _entering(ask) | set(ask.occupancy.people(vestibule)) | ask.occupancy.expected_in(vestibule)
    return PASSED if len(there) <= 1 else FAILED


def has_interlock(_zone: Zone, from_zone: Zone | None, portal: Portal | None) -> bool:
    """Portals of an interlock group, and the inner portal of a vestibule."""
    return bool(portal and portal.interlock_with) or bool(from_zone and from_zone.is_vestibule)


def _entering(ask: Ask) -> set[CardholderId]:
    """The known cardholders who would enter on this request."""
    holders = (ask.of(evidence).holder for evidence in (ask.request.evidence, *ask.request.companions))
    return {holder.cardholder.id for holder in holders if holder is not None}
