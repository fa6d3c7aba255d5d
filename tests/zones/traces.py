"""How tests read the trace of a decision."""

from __future__ import annotations

from zones.decision import Decision, FindingKind, Reason


def failed(decision: Decision) -> dict[str, Reason | None]:
    """The rules that failed, with their reasons."""
    return {finding.rule: finding.reason for finding in decision.findings if finding.kind is FindingKind.FAILED}


def of_kind(decision: Decision, kind: FindingKind) -> set[str]:
    """The rules that found `kind`."""
    return {finding.rule for finding in decision.findings if finding.kind is kind}


def kind_of(decision: Decision, rule: str) -> FindingKind:
    """What one rule found."""
    return next(finding.kind for finding in decision.findings if finding.rule == rule)
