"""What goes into a decision and what comes out: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zones.decision.reasons import Outcome, Reason
from zones.ids import AccessPointId, CardholderId, CardNumberHash, CredentialId, PortalId, ZoneId
from zones.places import Direction


class Method(StrEnum):
    """How a credential was read. UID: a number anybody can copy; it proves nothing (A-34). CHALLENGE: the card answered
    a fresh challenge with its own key (no reader makes such evidence yet).
    """

    UID = "UID"
    CHALLENGE = "CHALLENGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a reader proved: which number, by which method, how many factors."""

    number_hash: CardNumberHash
    method: Method
    factors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Somebody asks to pass an access point. The two flags are facts about the box at that moment."""

    access_point: AccessPointId
    evidence: Evidence
    reader_is_trusted: bool = True
    ledger_is_writable: bool = True


class FindingKind(StrEnum):
    """PASSED, FAILED; WAIVED by a recorded deviation; EXEMPT: the rule asks nothing here (an exit, no such limit)."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's result. `reason` is set when FAILED (and RULE_ERROR when the rule raised)."""

    rule: str
    kind: FindingKind
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer with its whole trace: every rule was evaluated, the first FAILED one names the reason."""

    outcome: Outcome
    reason: Reason
    findings: tuple[Finding, ...]
    access_point: AccessPointId
    portal: PortalId | None
    zone: ZoneId | None
    direction: Direction | None
    cardholder: CardholderId | None
    credential: CredentialId | None

    @property
    def is_granted(self) -> bool:
        """Whether the portal is released (an entry: once this is recorded)."""
        return self.outcome is Outcome.GRANTED
