"""May this cardholder pass this access point now? (docs/decision.md §1)

1. An exit is GRANTED whatever else holds: no rule is asked (P3).
2. Otherwise every rule of RULES is asked, in order, none skipped.
3. A rule that raises, or answers with anything but a finding, has FAILED with RULE_ERROR: no mistake of ours admits.
4. GRANTED where no rule FAILED. Otherwise DENIED, with the reason of the first that did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zones.decision.ask import Ask, ask_of
from zones.decision.plan import EXIT_FINDINGS, KINDS, NOWHERE_PLAN, Plan, Questions
from zones.decision.reasons import Outcome, Reason
from zones.decision.rule import EXEMPT, FAILED, PASSED, WAIVED
from zones.decision.values import Decision, Finding, Request
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.people import Credential
from zones.policy import Policy

TRACES_MAX: Final = 4096
"""Traces remembered of all access points that are asked the same."""

_GRANTED: Final = Outcome.GRANTED  # an enum's members are looked up once: each look costs as much as a rule
_DENIED: Final = Outcome.DENIED
_OK: Final = Reason.OK
_EXIT_FREE: Final = Reason.EXIT_FREE


def decide(policy: Policy, occupancy: Occupancy, request: Request, now: Moment) -> Decision:
    """The decision on `request` with its whole trace. Pure; never raises for anything a policy or a request says."""
    plan = policy.plans.get(request.access_point, NOWHERE_PLAN)
    if plan.is_exit:
        credential = policy.by_number.get(request.evidence.number_hash)
        return _decision(request, plan, credential, _GRANTED, _EXIT_FREE, EXIT_FINDINGS)
    ask = ask_of(policy, occupancy, request, now)
    findings, reason = evaluate(plan, ask)
    return _decision(request, plan, ask.credential, _GRANTED if reason is _OK else _DENIED, reason, findings)


def evaluate(plan: Plan, ask: Ask) -> tuple[tuple[Finding, ...], Reason]:
    """One finding per rule in the order of the plan's rules, and the reason of the first that FAILED (OK: none did).

    What is found is kept as one number (`zones.decision.plan.KINDS`), so that the same findings are the same tuple.
    """
    questions = plan.questions
    found, errors = questions.usual, 0
    for place, check, usual in questions.checks:
        try:
            kind = check(ask)
        except Exception:  # noqa: BLE001 - a rim: whatever breaks in a rule is a refusal that the trace names
            errors |= 1 << place
            continue
        if kind is usual:
            continue
        if kind is PASSED or kind is EXEMPT or kind is WAIVED or kind is FAILED:
            found = found & ~(3 << place) | KINDS.index(kind) << place
        else:
            errors |= 1 << place
    if errors:
        return _trace(questions, found, errors)
    trace = questions.traces.get(found)
    if trace is None:
        trace = _trace(questions, found, 0)
        if len(questions.traces) < TRACES_MAX:
            questions.traces[found] = trace
    return trace


def _trace(questions: Questions, found: int, errors: int) -> tuple[tuple[Finding, ...], Reason]:
    findings = tuple(
        rule.error if errors >> 2 * number & 1 else rule.findings[KINDS[found >> 2 * number & 3]]
        for number, rule in enumerate(questions.rules)
    )
    return findings, reason_of(findings)


def reason_of(findings: Sequence[Finding]) -> Reason:
    """The reason of the first FAILED finding; OK where none FAILED."""
    for finding in findings:
        if finding.kind is FAILED:
            return finding.reason or Reason.RULE_ERROR
    return _OK


def _decision(
    request: Request,
    plan: Plan,
    credential: Credential | None,
    outcome: Outcome,
    reason: Reason,
    findings: tuple[Finding, ...],
) -> Decision:
    point = plan.setting.point
    who, card = (None, None) if credential is None else (credential.cardholder, credential.id)
    if point is None:
        return Decision(outcome, reason, findings, request.access_point, None, None, None, who, card)
    return tuple.__new__(  # what Decision() does, without its Python half
        Decision,
        (outcome, reason, findings, request.access_point, point.portal, point.to_zone, point.direction, who, card),
    )
