"""The rules of entry, one table: RULES (docs/decision.md §2 is normative, its numbers equal these).

Each rule is one small function with one reason. It says PASSED, FAILED, WAIVED (a deviation or an alarm-only mode
lets it through, and the trace says so) or EXEMPT (nothing is asked here). Unknown is FAILED. A rule never looks at
another rule's finding, so the order is only the order in which reasons are named.

Not here: fire release is wired in hardware; exits ask nothing (`zones.decision.decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final

from zones.decision.reasons import Reason
from zones.decision.values import Finding, FindingKind, Method, Request
from zones.ids import ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.people import Cardholder, Credential, CredentialState
from zones.places import AccessPoint, AntiPassback, Zone, ZoneKind, ZoneState
from zones.policy import Policy
from zones.schedule import is_within

PASSED: Final = FindingKind.PASSED
FAILED: Final = FindingKind.FAILED
WAIVED: Final = FindingKind.WAIVED
EXEMPT: Final = FindingKind.EXEMPT

NOWHERE: Final = Zone(id=ZoneId(""), name_ja="", name_en="", kind=ZoneKind.EXCLUSION)
"""The zone behind an access point that nobody knows: everything is asked of it and nothing suffices."""


@dataclass(slots=True, kw_only=True)
class Ask:
    """One entry, looked up once: what every rule may read. Absent rows are None."""

    policy: Policy
    occupancy: Occupancy
    request: Request
    now: Moment
    today: date
    point: AccessPoint | None
    zone: Zone
    credential: Credential | None
    cardholder: Cardholder | None


Check = Callable[[Ask], FindingKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A numbered rule. Its findings are made once: a decision only picks them."""

    number: str
    reason: Reason
    source: str
    check: Check
    findings: Mapping[FindingKind, Finding] = field(init=False, repr=False)
    error: Finding = field(init=False, repr=False)

    def __post_init__(self) -> None:
        findings = {
            kind: Finding(rule=self.number, kind=kind, reason=self.reason if kind is FAILED else None)
            for kind in FindingKind
        }
        object.__setattr__(self, "findings", MappingProxyType(findings))
        object.__setattr__(self, "error", Finding(rule=self.number, kind=FAILED, reason=Reason.RULE_ERROR))


# -- the box ---------------------------------------------------------------------------------------------------------


def access_point_is_known(ask: Ask) -> FindingKind:
    """D01. The policy has this side of this portal, and its zone."""
    return FAILED if ask.zone is NOWHERE else PASSED


def ledger_is_writable(ask: Ask) -> FindingKind:
    """D02. What cannot be recorded is not released (P2)."""
    return PASSED if ask.request.ledger_is_writable else FAILED


def reader_is_trusted(ask: Ask) -> FindingKind:
    """D03. No tamper, no downgrade, no replaced reader."""
    return PASSED if ask.request.reader_is_trusted else FAILED


def clock_is_trusted(ask: Ask) -> FindingKind:
    """D04. Every right has dates; without the time of day none of them can be believed (B-02)."""
    return PASSED if ask.now.is_trusted else FAILED


# -- the credential and its cardholder -------------------------------------------------------------------------------


def credential_is_known(ask: Ask) -> FindingKind:
    """D06. Somebody was issued this card number."""
    return FAILED if ask.credential is None else PASSED


def credential_is_active(ask: Ask) -> FindingKind:
    """D07. Issued but not handed over, lost, returned and destroyed ones open nothing (A-02)."""
    return PASSED if ask.credential is not None and ask.credential.state is CredentialState.ACTIVE else FAILED


def factors_suffice(ask: Ask) -> FindingKind:
    """D08. As many factors as the zone asks for; a free-read number proves none, whatever the reader claims (A-34)."""
    evidence, zone = ask.request.evidence, ask.zone
    is_uid = evidence.method is Method.UID
    if (0 if is_uid else evidence.factors) >= zone.required_factors:
        return PASSED
    return WAIVED if is_uid and zone.uid_accepted else FAILED


def cardholder_is_active(ask: Ask) -> FindingKind:
    """D09. The cardholder's registration has not ended."""
    return PASSED if ask.cardholder is not None and not _is_ended(ask.cardholder.ended_on, ask.today) else FAILED


# -- the zone and the three keys -------------------------------------------------------------------------------------


def zone_is_open(ask: Ask) -> FindingKind:
    """D10. Neither the zone nor any zone around it is secured (C-01)."""
    state, secured = ask.policy.zone_state, ZoneState.SECURED
    return FAILED if any(state(zone) is secured for zone in ask.policy.lineages.get(ask.zone.id, ())) else PASSED


def clearance_is_valid(ask: Ask) -> FindingKind:
    """D11. First key: a confirmed clearance that counts here, in its days (D-01, D-02)."""
    accepted, today = ask.zone.accepted_bases, ask.today
    if not (accepted or ask.zone.is_protected):
        return EXEMPT
    if ask.cardholder is None:
        return FAILED
    clearances = ask.policy.clearances
    for clearance_id in ask.policy.clearances_of.get(ask.cardholder.id, ()):
        clearance = clearances[clearance_id]
        if (
            clearance.confirmed_by is not None
            and clearance.basis in accepted
            and clearance.notified_on <= today <= clearance.last_valid_on
            and not _is_ended(clearance.ended_on, today)
        ):
            return PASSED
    return FAILED


def need_to_know_is_approved(ask: Ask) -> FindingKind:
    """D12. Second key: need-to-know for at least one information item handled here (D-06)."""
    if not ask.zone.is_protected:
        return EXEMPT
    if ask.cardholder is None:
        return FAILED
    items, today, needs = ask.zone.items, ask.today, ask.policy.needs_to_know
    for need_id in ask.policy.needs_of.get(ask.cardholder.id, ()):
        need = needs[need_id]
        if (
            need.item in items
            and not need.is_suspended
            and need.from_on <= today <= need.until_on
            and not _is_ended(need.ended_on, today)
        ):
            return PASSED
    return FAILED


def cardholder_is_on_roster(ask: Ask) -> FindingKind:
    """D13. Third key: a place on the zone's own roster; its parent's does not count (A-01, A-10)."""
    if ask.zone.kind is ZoneKind.UNRESTRICTED and not ask.zone.is_protected:
        return EXEMPT
    if ask.cardholder is None:
        return FAILED
    today, roster = ask.today, ask.policy.roster
    for entry_id in ask.policy.roster_of.get((ask.cardholder.id, ask.zone.id), ()):
        entry = roster[entry_id]
        if not entry.is_suspended and entry.from_on <= today <= entry.until_on and not _is_ended(entry.ended_on, today):
            return PASSED
    return FAILED


def schedule_is_open(ask: Ask) -> FindingKind:
    """D14. Now lies within the zone's weekly schedule (B-03)."""
    if ask.zone.schedule is None:
        return EXEMPT
    return PASSED if is_within(ask.policy.schedules[ask.zone.schedule], ask.now) else FAILED


# -- where everybody is ----------------------------------------------------------------------------------------------


def comes_from_where_portal_leads_from(ask: Ask) -> FindingKind:
    """D17. Nobody who is certainly elsewhere; an uncertain place is passed (B-07), being inside is D18's question.

    Who comes from open ground (一般区域) is not asked: nobody is seen to get there, and whoever slipped out behind
    somebody else would be refused at the front entrance the next morning.
    """
    point = ask.point
    from_zone = None if point is None else ask.policy.zones.get(point.from_zone)
    if from_zone is not None and from_zone.kind is ZoneKind.UNRESTRICTED:
        return EXEMPT
    certain = _certain_zone(ask)
    if certain is None or _is_inside(ask, certain):
        return PASSED
    return PASSED if ask.point is not None and certain == ask.point.from_zone else FAILED


def is_not_inside_already(ask: Ask) -> FindingKind:
    """D18. Nobody enters twice without leaving: HARD refuses, SOFT lets through with an alarm (B-06)."""
    mode = ask.zone.anti_passback
    if mode is AntiPassback.NONE:
        return EXEMPT
    certain = _certain_zone(ask)
    if certain is None or not _is_inside(ask, certain):
        return PASSED
    return WAIVED if mode is AntiPassback.SOFT else FAILED


def zone_has_room(ask: Ask) -> FindingKind:
    """D19. Fewer than the most people are inside, the asker not counted; unknown is not empty (B-07)."""
    limit = ask.zone.occupancy_max
    if limit is None:
        return EXEMPT
    inside, counts = ask.policy.insides[ask.zone.id], ask.occupancy.counts
    count = sum(counts.get(zone, 0) for zone in inside)
    own = None if ask.cardholder is None else ask.occupancy.where.get(ask.cardholder.id)
    if own is not None and own.zone in inside:
        count -= 1
    return PASSED if count < limit else FAILED


def _is_ended(ended_on: date | None, today: date) -> bool:
    """An end acts from the morning of its day: who ends a right today means now."""
    return ended_on is not None and ended_on <= today


def _certain_zone(ask: Ask) -> ZoneId | None:
    return None if ask.cardholder is None else ask.occupancy.certain_zone(ask.cardholder.id)


def _is_inside(ask: Ask, zone: ZoneId) -> bool:
    return zone in ask.policy.insides.get(ask.zone.id, ())


RULES: Final[tuple[Rule, ...]] = tuple(
    Rule(number=number, reason=reason, source=source, check=check)
    for number, reason, source, check in (
        ("D01", Reason.ACCESS_POINT_UNKNOWN, "P1", access_point_is_known),
        ("D02", Reason.AUDIT_UNAVAILABLE, "A-24, P2", ledger_is_writable),
        ("D03", Reason.READER_UNTRUSTED, "A-12", reader_is_trusted),
        ("D04", Reason.CLOCK_UNTRUSTED, "B-02", clock_is_trusted),
        ("D06", Reason.CARD_UNKNOWN, "A-02", credential_is_known),
        ("D07", Reason.CARD_INACTIVE, "A-02", credential_is_active),
        ("D08", Reason.FACTOR_MISSING, "A-33, A-34", factors_suffice),
        ("D09", Reason.CARDHOLDER_INACTIVE, "A-04", cardholder_is_active),
        ("D10", Reason.ZONE_SECURED, "C-01", zone_is_open),
        ("D11", Reason.CLEARANCE_NONE, "D-01, D-02", clearance_is_valid),
        ("D12", Reason.NO_NEED_TO_KNOW, "D-06", need_to_know_is_approved),
        ("D13", Reason.NOT_ON_ROSTER, "A-01, D-03", cardholder_is_on_roster),
        ("D14", Reason.OUT_OF_SCHEDULE, "B-03", schedule_is_open),
        ("D17", Reason.OUT_OF_SEQUENCE, "B-06, B-07", comes_from_where_portal_leads_from),
        ("D18", Reason.APB, "B-06", is_not_inside_already),
        ("D19", Reason.FULL, "requirements §3.4", zone_has_room),
    )
)
"""Every rule, in the order in which a refusal is named after one of them."""

RESERVED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "D05": "age of the policy (A-04, STALE_POLICY)",
        "D15": "training (D-13, TRAINING_EXPIRED)",
        "D16": "device declaration (D-08, DEVICE_DECLARATION)",
        "D20": "two people in time (B-04, NEED_SECOND)",
        "D21": "nobody alone (B-05)",
        "D22": "escort (A-06, NEED_ESCORT)",
        "D23": "zone sanitised (A-19, SANITISE_FIRST)",
        "D24": "PIN and duress (B-10, B-13, PIN_WRONG)",
        "D25": "interlock (A-13)",
        "D26": "lockdown and threat level (A-16, A-33)",
        "D27": "replayed evidence (B-22, REPLAY)",
        "D28": "two places at once (B-23)",
        "D29": "review of the roster overdue (A-03)",
    }
)
"""Numbers kept for rules to come, so that none is ever given away twice."""
