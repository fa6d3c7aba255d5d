"""What a record says of a decision, and what a decision is derived from: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from zones.decision import Decision, Evidence, Finding, FindingKind, Method, Reason, Request, decide
from zones.decision.values import PinCheck
from zones.ids import AccessPointId, CardNumberHash, CredentialId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.places import LinkAssurance
from zones.policy import Policy

NOBODYS: Final = "nobody's"
"""Begins the number of a card that was unknown: no keyed hash looks like it, so it stays unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvidence:
    """What a reader proved, as it stands in a record: the credential's id in place of its number's hash."""

    credential: str | None
    method: Method
    factors: int
    link: LinkAssurance = LinkAssurance.CLEAR
    pin: PinCheck = PinCheck.NOT_ASKED
    scheme: str | None = None
    key_version: int | None = None

    def under(self, policy: Policy) -> Evidence:
        """The evidence as a request holds it. A credential that `policy` does not have is a card that nobody knows."""
        row = None if self.credential is None else policy.credentials.get(CredentialId(self.credential))
        number = CardNumberHash(f"{NOBODYS} {self.credential or ''}") if row is None else row.number_hash
        return Evidence(
            number_hash=number,
            method=self.method,
            factors=self.factors,
            link=self.link,
            pin=self.pin,
            scheme=self.scheme,
            key_version=self.key_version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Every rule's finding by rule number, as a record keeps it; `failed` pairs the rule with its reason, in order."""

    passed: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    exempt: tuple[str, ...] = ()

    def kinds(self) -> dict[str, tuple[FindingKind, str | None]]:
        """Rule -> what it found, and the reason where it FAILED."""
        found: dict[str, tuple[FindingKind, str | None]] = {}
        for kind in (FindingKind.PASSED, FindingKind.WAIVED, FindingKind.EXEMPT):
            found |= dict.fromkeys(getattr(self, kind.value), (kind, None))
        return found | {rule: (FindingKind.FAILED, reason) for rule, reason in self.failed}


def trace_of(findings: tuple[Finding, ...]) -> Trace:
    """The trace of a decision's findings, in the order of the rules."""
    by_kind: dict[FindingKind, list[str]] = {kind: [] for kind in FindingKind}
    failed: list[tuple[str, str]] = []
    for finding in findings:
        if finding.kind is FindingKind.FAILED:
            failed.append((finding.rule, str(finding.reason)))
        else:
            by_kind[finding.kind].append(finding.rule)
    return Trace(
        passed=tuple(by_kind[FindingKind.PASSED]),
        waived=tuple(by_kind[FindingKind.WAIVED]),
        failed=tuple(failed),
        exempt=tuple(by_kind[FindingKind.EXEMPT]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as its record tells it. `facts`: what was unusual about the box and the wire, by the field of Request.

    `reason` and the reasons of `trace` are texts: a later version may have written ones that this one does not know.
    """

    seq: int
    at: datetime
    is_clock_trusted: bool
    type: str
    access_point: str
    evidence: RecordedEvidence
    outcome: str
    reason: str
    revision: str
    trace: Trace
    cardholder: str | None = None
    portal: str | None = None
    zone: str | None = None
    number: str | None = None
    companions: tuple[RecordedEvidence, ...] = ()
    escorts: tuple[RecordedEvidence, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_undone(self) -> bool:
        """Whether it was granted and the record could not be made in time: then it says AUDIT_UNAVAILABLE and its trace
        does not, on purpose (P2).
        """
        unavailable = Reason.AUDIT_UNAVAILABLE.value
        return self.reason == unavailable and not any(reason == unavailable for _, reason in self.trace.failed)

    @property
    def decided(self) -> str:
        """The reason that was decided, whatever became of the record afterwards."""
        if not self.is_undone:
            return self.reason
        return self.trace.failed[0][1] if self.trace.failed else Reason.OK.value

    def case(self, policy: Policy, occupancy: Occupancy) -> Case:
        """What this decision was derived from, given the policy in force and what was known of everybody's place."""
        request = Request(
            access_point=AccessPointId(self.access_point),
            evidence=self.evidence.under(policy),
            companions=tuple(one.under(policy) for one in self.companions),
            escorts=tuple(one.under(policy) for one in self.escorts),
            **self.facts,
        )
        now = Moment(at=self.at, tick_ms=0, is_trusted=self.is_clock_trusted)
        return Case(policy=policy, occupancy=occupancy, request=request, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The four values that a decision is a function of."""

    policy: Policy
    occupancy: Occupancy
    request: Request
    now: Moment

    def decide(self) -> Decision:
        """The decision on it."""
        return decide(self.policy, self.occupancy, self.request, self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A recorded decision with what was in force and known when it was made.

    `policy` is None where retention dropped an edit that it was folded from, or where the record names a revision that
    the history never had (`is_foreign`). `is_partial`: records that told of people's places were dropped.
    """

    recorded: RecordedDecision
    policy: Policy | None
    occupancy: Occupancy
    is_partial: bool = False
    is_foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """A record whose body retention dropped: nothing can be said about it but that it was there."""

    seq: int
    record_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A decision's record that this version cannot read; why."""

    seq: int
    why: str


Step = Past | Purged | Unreadable
