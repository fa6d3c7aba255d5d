"""May this cardholder pass this access point now? (docs/decision.md §1)

1. An exit is GRANTED whatever else holds: no rule is asked (P3).
2. Otherwise every rule of RULES is asked, in order, none skipped.
3. A rule that raises, or answers with anything but a finding, has FAILED with RULE_ERROR: no mistake of ours admits.
4. GRANTED where no rule FAILED. Otherwise DENIED, with the reason of the first that did.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from zones.decision.reasons import Outcome, Reason
from zones.decision.rules import NOWHERE, RULES, Ask, Rule
from zones.decision.values import Decision, Finding, FindingKind, Request
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.people import Credential
from zones.places import AccessPoint, Direction
from zones.policy import Policy

EXIT_FINDINGS: Final[tuple[Finding, ...]] = (
    RULES[0].findings[FindingKind.PASSED],
    *(rule.findings[FindingKind.EXEMPT] for rule in RULES[1:]),
)
"""The trace of every exit: the access point is known, and nothing else is asked."""


def decide(policy: Policy, occupancy: Occupancy, request: Request, now: Moment) -> Decision:
    """The decision on `request` with its whole trace. Pure; never raises for anything a policy or a request says."""
    point = policy.access_points.get(request.access_point)
    credential_id = policy.credential_by_number.get(request.evidence.number_hash)
    credential = None if credential_id is None else policy.credentials.get(credential_id)
    if point is not None and point.direction is Direction.OUT:
        return _decision(request, point, credential, Reason.EXIT_FREE, EXIT_FINDINGS)
    findings = evaluate(RULES, ask_of(policy, occupancy, request, now))
    return _decision(request, point, credential, reason_of(findings), findings)


def ask_of(policy: Policy, occupancy: Occupancy, request: Request, now: Moment) -> Ask:
    """What the rules may read of an entry, looked up once."""
    point = policy.access_points.get(request.access_point)
    zone = None if point is None else policy.zones.get(point.to_zone)
    credential_id = policy.credential_by_number.get(request.evidence.number_hash)
    credential = None if credential_id is None else policy.credentials.get(credential_id)
    return Ask(
        policy=policy,
        occupancy=occupancy,
        request=request,
        now=now,
        today=_today(now),
        point=point,
        zone=NOWHERE if zone is None else zone,
        credential=credential,
        cardholder=None if credential is None else policy.cardholders.get(credential.cardholder),
    )


def evaluate(rules: tuple[Rule, ...], ask: Ask) -> tuple[Finding, ...]:
    """One finding per rule, in order."""
    findings = []
    for rule in rules:
        try:
            finding = rule.findings[rule.check(ask)]
        except Exception:  # noqa: BLE001 - a rim: whatever breaks in a rule is a refusal that the trace names
            finding = rule.error
        findings.append(finding)
    return tuple(findings)


def reason_of(findings: tuple[Finding, ...]) -> Reason:
    """The reason of the first FAILED finding; OK where none FAILED."""
    for finding in findings:
        if finding.kind is FindingKind.FAILED:
            return finding.reason or Reason.RULE_ERROR
    return Reason.OK


def _today(now: Moment) -> date:
    """The day in Japan; the first day of the calendar, on which no right is in force, where it has no such day."""
    try:
        return now.today
    except OverflowError:
        return date.min


def _decision(
    request: Request,
    point: AccessPoint | None,
    credential: Credential | None,
    reason: Reason,
    findings: tuple[Finding, ...],
) -> Decision:
    is_granted = reason is Reason.OK or reason is Reason.EXIT_FREE
    return Decision(
        outcome=Outcome.GRANTED if is_granted else Outcome.DENIED,
        reason=reason,
        findings=findings,
        access_point=request.access_point,
        portal=None if point is None else point.portal,
        zone=None if point is None else point.to_zone,
        direction=None if point is None else point.direction,
        cardholder=None if credential is None else credential.cardholder,
        credential=None if credential is None else credential.id,
    )
