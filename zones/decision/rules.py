"""The rules of entry, one table: RULES (docs/decision.md §2 is normative, its numbers equal these).

Not here: fire release is wired in hardware; exits ask nothing (`zones.decision.decide`).
"""

from __future__ import annotations

from typing import Final

from zones.decision import box, keys, place, together
from zones.decision.ask import Ask
from zones.decision.reasons import Reason
from zones.decision.rule import FAILED, Check, Concerns, Rule, everywhere
from zones.decision.values import FindingKind


def holds_keys(ask: Ask) -> bool:
    """Whether somebody finds every rule about credential, cardholder and keys content: the measure of an escort."""
    return all(_is_content(rule, ask) for rule in OF_KEYS)


def may_enter_with(ask: Ask) -> bool:
    """Whether somebody finds every personal rule content, those about places too: the measure of a companion."""
    return all(_is_content(rule, ask) for rule in PERSONAL)


def companions_are_entitled(ask: Ask) -> FindingKind:
    """D20. Two different cardholders where the zone asks for two; every companion is entitled (B-04).

    A guest is nobody's companion: he enters by himself, so that D22 and D23 are asked about him.
    """
    return together.who_comes_along(ask, may_enter_with)


def guest_is_escorted(ask: Ask) -> FindingKind:
    """D22. A guest enters where guests may, behind or to an escort of this zone, within the ratio (A-06)."""
    return together.who_brings_a_guest(ask, holds_keys)


def _is_content(rule: Rule, ask: Ask) -> bool:
    way_in = (ask.zone, ask.from_zone, ask.portal)
    return not rule.concerns(*way_in) or rule.check(ask) is not FAILED


_Row = tuple[str, Reason, str, Check, Concerns, str]

_ANYONE: Final = ""
_KEYS: Final = "keys"
_PLACE: Final = "place"
"""Of whom a rule is asked: once for the entry, or of each who enters, escorts included or not."""

_TABLE: Final[tuple[_Row, ...]] = (
    # number, reason, source, what it asks, where it asks anything, of whom
    ("D01", Reason.ACCESS_POINT_UNKNOWN, "P1", box.access_point_is_known, everywhere, _ANYONE),
    ("D02", Reason.AUDIT_UNAVAILABLE, "A-24, P2", box.ledger_is_writable, everywhere, _ANYONE),
    ("D38", Reason.COMMISSIONING, "B-14", box.is_commissioned, everywhere, _ANYONE),
    ("D03", Reason.READER_UNTRUSTED, "A-12", box.reader_is_trusted, everywhere, _ANYONE),
    ("D04", Reason.CLOCK_UNTRUSTED, "B-02", box.clock_is_trusted, everywhere, _ANYONE),
    ("D05", Reason.STALE_POLICY, "A-04", box.policy_is_fresh, everywhere, _ANYONE),
    ("D30", Reason.READ_STALE, "B-22", box.read_is_timely, everywhere, _ANYONE),
    ("D33", Reason.LINK_INSECURE, "A-34, B-15", box.link_is_secure, box.asks_for_link, _KEYS),
    ("D31", Reason.REPEATED_READ, "B-22", box.read_is_new, everywhere, _ANYONE),
    ("D27", Reason.REPLAY, "B-22", box.evidence_is_fresh, everywhere, _ANYONE),
    ("D06", Reason.CARD_UNKNOWN, "A-02", keys.credential_is_known, everywhere, _KEYS),
    ("D07", Reason.CARD_INACTIVE, "A-02", keys.credential_is_active, everywhere, _KEYS),
    ("D32", Reason.CARD_AUTH_FAILED, "A-34", keys.credential_is_genuine, everywhere, _KEYS),
    ("D36", Reason.PIN_LOCKED, "B-13", keys.pin_is_not_locked, everywhere, _KEYS),
    ("D24", Reason.PIN_WRONG, "B-10, B-13", keys.pin_matches, everywhere, _KEYS),
    ("D08", Reason.FACTOR_MISSING, "A-33, A-34", keys.factors_suffice, everywhere, _KEYS),
    ("D09", Reason.CARDHOLDER_INACTIVE, "A-04", keys.cardholder_is_active, everywhere, _KEYS),
    ("D34", Reason.NOTICE_MISSING, "D-21", keys.notice_was_handed_over, everywhere, _KEYS),
    ("D37", Reason.PORTAL_LOCKED, "design §4", box.portal_is_not_locked, everywhere, _ANYONE),
    ("D10", Reason.ZONE_SECURED, "C-01", place.zone_is_open, everywhere, _ANYONE),
    ("D35", Reason.ZONE_UNATTENDED, "C-01, B-05", place.zone_is_attended, place.has_openers, _ANYONE),
    ("D26", Reason.LOCKDOWN, "A-16", place.is_not_locked_down, everywhere, _KEYS),
    ("D11", Reason.CLEARANCE_NONE, "D-01, D-02", keys.clearance_is_valid, keys.asks_for_clearance, _KEYS),
    ("D12", Reason.NO_NEED_TO_KNOW, "D-06", keys.need_to_know_is_approved, keys.is_protected, _KEYS),
    ("D13", Reason.NOT_ON_ROSTER, "A-01, D-03", keys.cardholder_is_on_roster, keys.asks_for_roster, _KEYS),
    ("D29", Reason.REVIEW_OVERDUE, "A-03", keys.roster_was_reviewed, keys.asks_for_roster, _KEYS),
    ("D14", Reason.OUT_OF_SCHEDULE, "B-03", keys.schedule_is_open, everywhere, _KEYS),
    ("D15", Reason.TRAINING_EXPIRED, "D-13", keys.is_trained, keys.asks_for_training, _KEYS),
    ("D16", Reason.DEVICE_DECLARATION, "D-08", keys.devices_are_declared, keys.asks_for_declaration, _KEYS),
    (
        "D17",
        Reason.OUT_OF_SEQUENCE,
        "B-06, B-07",
        place.comes_from_where_portal_leads_from,
        place.comes_from_inside,
        _PLACE,
    ),
    ("D18", Reason.APB, "B-06", place.is_not_inside_already, everywhere, _PLACE),
    ("D28", Reason.IMPOSSIBLE_TRAVEL, "B-23", place.is_within_walking_time, everywhere, _PLACE),
    ("D19", Reason.FULL, "requirements §3.4", place.zone_has_room, place.has_maximum, _ANYONE),
    ("D20", Reason.NEED_SECOND, "B-04", companions_are_entitled, everywhere, _ANYONE),
    ("D21", Reason.NOBODY_ALONE, "B-05", place.nobody_is_left_alone, place.has_minimum, _ANYONE),
    ("D22", Reason.NEED_ESCORT, "A-06", guest_is_escorted, keys.asks_for_roster, _ANYONE),
    ("D23", Reason.SANITISE_FIRST, "A-19, P1", together.zone_is_sanitised, keys.is_protected, _PLACE),
    ("D25", Reason.INTERLOCK, "A-13", place.interlocked_portals_are_closed, place.has_interlock, _ANYONE),
)

_RULES: Final = tuple(
    (Rule(number=number, reason=reason, source=source, check=check, concerns=concerns, is_personal=bool(of)), of)
    for number, reason, source, check, concerns, of in _TABLE
)

RULES: Final[tuple[Rule, ...]] = tuple(rule for rule, _ in _RULES)
"""Every rule, in the order in which a refusal is named after one of them."""

OF_KEYS: Final[tuple[Rule, ...]] = tuple(rule for rule, of in _RULES if of == _KEYS)
"""What is asked of everybody: the asker, companions and escorts."""

PERSONAL: Final[tuple[Rule, ...]] = tuple(rule for rule, of in _RULES if of)
"""What is asked of everybody who enters: the asker and companions."""
