"""Rules about those who enter together or are brought in (docs/decision.md §2.6)."""

from __future__ import annotations

from collections.abc import Callable

from zones.decision.ask import Ask
from zones.decision.keys import attendants, holds_own_keys, is_guest, is_overriding
from zones.decision.rule import EXEMPT, FAILED, PASSED, WAIVED
from zones.decision.values import FindingKind
from zones.ids import CardholderId
from zones.people import CardholderKind

Holds = Callable[[Ask], bool]
"""Whether somebody finds certain rules content: which ones, `zones.decision.rules` says."""


def who_comes_along(ask: Ask, holds: Holds) -> FindingKind:
    """What D20 finds of the companions, with `holds` as the measure of one."""
    asker = None if ask.holder is None else ask.holder.cardholder.id
    others = set()
    for evidence in ask.request.companions:
        one = ask.of(evidence)
        if one.holder is None or is_guest(one) or one.holder.cardholder.id == asker or not holds(one):
            return FAILED
        others.add(one.holder.cardholder.id)
    if len(others) != len(ask.request.companions):
        return FAILED
    if others:
        return PASSED
    if ask.zone.dual_window_ms is None:
        return EXEMPT
    return WAIVED if is_guest(ask) or is_overriding(ask) else FAILED


def who_brings_a_guest(ask: Ask, holds: Holds) -> FindingKind:
    """What D22 finds of the escorts, with `holds` as the measure of one just let in."""
    if not is_guest(ask):
        return EXEMPT
    if is_overriding(ask):
        return WAIVED
    if not ask.zone.visitors_allowed:
        return FAILED
    escorts = _escorts(ask, holds)
    there = {*ask.occupancy.people(ask.inside), *ask.occupancy.expected_in(ask.inside)}
    others = sum(1 for who in there if _is_other_guest(ask, who))
    return PASSED if others + 1 <= len(escorts) * ask.zone.escort_ratio else FAILED


def zone_is_sanitised(ask: Ask) -> FindingKind:
    """D23. Who lacks a key enters a zone with protected information only while it is sanitised (P1, A-19)."""
    if not is_guest(ask) and (not is_overriding(ask) or holds_own_keys(ask)):
        return EXEMPT  # holds all of them, or is refused for the one that he lacks
    status = ask.policy.zone_statuses.get(ask.zone.id)
    return PASSED if status is not None and status.is_sanitised else FAILED


def _escorts(ask: Ask, holds: Holds) -> set[CardholderId]:
    """Escorts of the zone, with keys of their own, who are certainly inside or were let in here just before."""
    let_in = (one for evidence in ask.request.escorts if holds(one := ask.of(evidence)) and holds_own_keys(one))
    entries = (one.roster_entry() for one in (*attendants(ask), *let_in))
    return {entry.cardholder for entry in entries if entry is not None and entry.is_escort}


def _is_other_guest(ask: Ask, who: CardholderId) -> bool:
    holder = ask.policy.holders.get(who)
    return holder is not None and holder is not ask.holder and holder.cardholder.kind is not CardholderKind.STAFF
