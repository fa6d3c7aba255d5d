"""Deriving recorded decisions again, from the policy that was in force and what was known of everybody's place (P8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from zones.decision import Decision, Finding, FindingKind
from zones.review.values import Past, Purged, RecordedDecision, Step, Trace, Unreadable, trace_of

DIFFERENCES_MAX: Final = 1000
"""Differences kept one by one; more are counted."""

OF_PRESENCE: Final = frozenset({"D08", "D17", "D18", "D19", "D20", "D21", "D22", "D25", "D28", "D35"})
"""Rules that read where people are: where records of that were dropped, their findings cannot be derived again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A decision that comes out otherwise than it was recorded. `rules`: those that find something else now."""

    seq: int
    what: str
    was: str
    is_now: str
    rules: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """What a replay found. `purged_records`: dropped by retention, decisions or not; `purged_inputs`: decisions that
    cannot be derived again for want of them; `undone`: granted, and not recorded in time.
    """

    decisions: int = 0
    same: int = 0
    undone: int = 0
    purged_records: int = 0
    purged_inputs: int = 0
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def is_same(self) -> bool:
        """Whether every decision that can be derived again came out as it was recorded."""
        return self.differing == 0

    def differs(self, difference: Difference) -> None:
        """Count a difference, and keep it while there is room."""
        self.differing += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(difference)


class Traces:
    """Traces by the findings they were made from: a site sees a handful of them, over and over."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[Finding, ...], Trace]] = {}

    def of(self, findings: tuple[Finding, ...]) -> Trace:
        """The trace of `findings`."""
        known = self._known.get(id(findings))
        if known is not None:
            return known[1]
        if len(self._known) >= 4096:
            self._known.clear()
        trace = trace_of(findings)
        self._known[id(findings)] = findings, trace  # kept alive, so that the id stays theirs
        return trace


def replay(steps: Iterable[Step], progress: Callable[[int], None] | None = None) -> ReplayReport:
    """Derive each decision of `steps` again. `progress` is told the sequence number, every thousand decisions."""
    report, traces = ReplayReport(), Traces()
    for step in steps:
        if isinstance(step, Purged):
            report.purged_records += 1
            continue
        report.decisions += 1
        if progress is not None and report.decisions % 1000 == 0:
            progress(step.seq if isinstance(step, Unreadable) else step.recorded.seq)
        if isinstance(step, Unreadable):
            report.differs(Difference(seq=step.seq, what="unreadable", was=step.why, is_now=""))
        else:
            _derive(step, report, traces)
    return report


def _derive(past: Past, report: ReplayReport, traces: Traces) -> None:
    recorded = past.recorded
    report.reasons[recorded.reason] += 1
    if past.policy is None:
        if past.is_foreign:
            known = f"no edit before record {recorded.seq} made revision {recorded.revision[:16]}"
            report.differs(Difference(seq=recorded.seq, what="revision", was=recorded.revision, is_now=known))
        else:
            report.purged_inputs += 1
        return
    decision = recorded.case(past.policy, past.occupancy).decide()
    difference = compared(recorded, decision, traces)
    if difference is None:
        report.same += 1
        report.undone += recorded.is_undone
    elif past.is_partial and difference.rules and OF_PRESENCE.issuperset(difference.rules):
        report.purged_inputs += 1
    else:
        report.differs(difference)


def _differing(recorded: Trace, derived: Trace) -> tuple[str, ...]:
    """The rules that find something else now. One younger than the record that finds nothing wrong is passed over:
    numbers are given in order, and an upgrade makes no old record false.
    """
    before, after = recorded.kinds(), derived.kinds()
    youngest = max(before, default="")
    return tuple(
        sorted(
            rule
            for rule in before.keys() | after.keys()
            if before.get(rule) != after.get(rule)
            and not (youngest and rule > youngest and rule not in before and after[rule][0] is not FindingKind.FAILED)
        )
    )


def compared(recorded: RecordedDecision, decision: Decision, traces: Traces | None = None) -> Difference | None:
    """What differs between a record and the decision derived again, or None. A grant that could not be recorded in time
    says so in its record and not in its trace (`is_undone`): the trace is what is held.
    """
    trace = (traces or Traces()).of(decision.findings)
    if trace != recorded.trace and (rules := _differing(recorded.trace, trace)):
        return Difference(
            seq=recorded.seq, what="trace", was=recorded.decided, is_now=decision.reason.value, rules=rules
        )
    for what, was, now in (
        ("reason", recorded.decided, decision.reason.value),
        ("outcome", recorded.outcome, "DENIED" if recorded.is_undone else decision.outcome.value),
        ("cardholder", recorded.cardholder, decision.cardholder),
        ("credential", recorded.evidence.credential, decision.credential),
        ("portal", recorded.portal, decision.portal),
        ("zone", recorded.zone, decision.zone),
    ):
        if was != now:
            return Difference(seq=recorded.seq, what=what, was=str(was), is_now=str(now))
    return None
