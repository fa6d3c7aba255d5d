"""Rules about the box, the wire and the portal: they are the same for every card (docs/decision.md §2.1, §2.3)."""

from __future__ import annotations

from typing import Final

from zones.decision.ask import NOWHERE, Ask
from zones.decision.rule import EXEMPT, FAILED, PASSED
from zones.decision.values import FindingKind
from zones.places import Portal, Zone, ZoneKind

POLICY_AGE_MS_MAX: Final = 24 * 3_600_000
POLICY_AGE_MS_MAX_EXCLUSION: Final = 3_600_000
"""How old an unconfirmed policy may be where the zone does not say (A-04)."""


def access_point_is_known(ask: Ask) -> FindingKind:
    """D01. The policy has this side of this portal, and its zone."""
    return FAILED if ask.zone is NOWHERE else PASSED


def ledger_is_writable(ask: Ask) -> FindingKind:
    """D02. What cannot be recorded is not released (P2)."""
    return PASSED if ask.request.ledger_is_writable else FAILED


def is_commissioned(ask: Ask) -> FindingKind:
    """D38. Nothing that this entry hangs on still has the key it came with: everybody knows those (B-14)."""
    return PASSED if ask.request.is_commissioned else FAILED


def reader_is_trusted(ask: Ask) -> FindingKind:
    """D03. No tamper, no downgrade, no replaced reader, nothing that guards the portal away."""
    return PASSED if ask.request.reader_is_trusted else FAILED


def clock_is_trusted(ask: Ask) -> FindingKind:
    """D04. Every right has dates; without the time of day none of them can be believed (B-02)."""
    return PASSED if ask.now.is_trusted else FAILED


def policy_is_fresh(ask: Ask) -> FindingKind:
    """D05. A policy made elsewhere was confirmed within the zone's time (A-04). One made here is never old."""
    age_ms = ask.request.policy_age_ms
    if age_ms is None:
        return EXEMPT
    zone = ask.zone
    limit = zone.policy_age_ms_max
    if limit is None:
        limit = POLICY_AGE_MS_MAX_EXCLUSION if zone.kind is ZoneKind.EXCLUSION else POLICY_AGE_MS_MAX
    return PASSED if 0 <= age_ms <= limit else FAILED  # an age below zero is a clock that was put back


def evidence_is_fresh(ask: Ask) -> FindingKind:
    """D27. A card's answer counts once (B-22)."""
    return FAILED if ask.request.evidence_is_replayed else PASSED


def read_is_timely(ask: Ask) -> FindingKind:
    """D30. The reader's clock says that the card is there now."""
    return FAILED if ask.request.read_is_stale else PASSED


def read_is_new(ask: Ask) -> FindingKind:
    """D31. One presentation of a card is asked about once."""
    return FAILED if ask.request.read_is_repeated else PASSED


def link_is_secure(ask: Ask) -> FindingKind:
    """D33. The line from the reader is as well protected as the zone asks (B-15)."""
    return PASSED if ask.evidence.link >= ask.zone.min_link else FAILED


def asks_for_link(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones that take reads from protected lines only."""
    return zone.min_link > 0


def portal_is_not_locked(ask: Ask) -> FindingKind:
    """D37. The portal is not in the mode LOCKED."""
    return FAILED if ask.request.portal_is_locked else PASSED
