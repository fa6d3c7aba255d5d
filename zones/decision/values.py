"""What goes into a decision and what comes out: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from zones.decision.reasons import Outcome, Reason
from zones.ids import AccessPointId, CardholderId, CardNumberHash, CredentialId, PortalId, ZoneId
from zones.places import Direction, LinkAssurance


class Method(StrEnum):
    """How a credential was read (no reader makes evidence of the last two kinds yet).

    UID: a number anybody can copy; it proves nothing (A-34). CHALLENGE: the card answered a fresh challenge with its
    own key. FAKED: it was asked to and could not, so it is a copy.
    """

    UID = "UID"
    CHALLENGE = "CHALLENGE"
    FAKED = "FAKED"


class PinCheck(StrEnum):
    """What came of asking for a PIN. MISSING: asked for and not entered in time. LOCKED: missed too often before."""

    NOT_ASKED = "NOT_ASKED"
    RIGHT = "RIGHT"
    DURESS = "DURESS"
    WRONG = "WRONG"
    MISSING = "MISSING"
    LOCKED = "LOCKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a reader proved: which number, by which method, how many factors of the card's own, over what line, and what
    came of the PIN. `scheme` and `key_version`: how the card was asked, and which version of the site's key it answered
    to; recorded, and never decided upon.
    """

    number_hash: CardNumberHash
    method: Method
    factors: int
    link: LinkAssurance = LinkAssurance.CLEAR
    pin: PinCheck = PinCheck.NOT_ASKED
    scheme: str | None = None
    key_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Somebody asks to pass an access point.

    `companions` presented their cards in the same dialogue and enter together (B-04). `escorts` were let in here just
    before (A-06). The others are facts about the box and the wire at that moment; `policy_age_ms` is None where this
    controller is where the policy is made; `not_closed`: portals that are open, released or unknown; `is_commissioned`:
    no factory default is left that this entry would hang on (B-14).
    """

    access_point: AccessPointId
    evidence: Evidence
    companions: tuple[Evidence, ...] = ()
    escorts: tuple[Evidence, ...] = ()
    reader_is_trusted: bool = True
    ledger_is_writable: bool = True
    policy_age_ms: int | None = None
    read_is_stale: bool = False
    read_is_repeated: bool = False
    evidence_is_replayed: bool = False
    portal_is_locked: bool = False
    not_closed: frozenset[PortalId] = frozenset()
    is_commissioned: bool = True


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


class Decision(NamedTuple):
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
