"""What a rule is: a number, a reason, a source, and a function that finds.

A rule says PASSED, FAILED, WAIVED (a deviation or an alarm-only mode lets it through, and the trace says so) or EXEMPT
(nothing is asked here). Unknown is FAILED. A rule never looks at another rule's finding, so the order of the table is
only the order in which reasons are named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from zones.decision.ask import Ask
from zones.decision.reasons import Reason
from zones.decision.values import Finding, FindingKind
from zones.places import Portal, Zone

PASSED: Final = FindingKind.PASSED
FAILED: Final = FindingKind.FAILED
WAIVED: Final = FindingKind.WAIVED
EXEMPT: Final = FindingKind.EXEMPT

Check = Callable[[Ask], FindingKind]
Concerns = Callable[[Zone, Zone | None, Portal | None], bool]
"""Whether a rule asks anything at all on the way into a zone, from a zone, through a portal; nothing else decides."""


def everywhere(_zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """The rule asks something at every entry."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A numbered rule. Its findings are made once: a decision only picks them.

    `is_personal`: asked of everybody who enters on one decision, companions too.
    """

    number: str
    reason: Reason
    source: str
    check: Check
    concerns: Concerns = everywhere
    is_personal: bool = False
    findings: Mapping[FindingKind, Finding] = field(init=False, repr=False)
    error: Finding = field(init=False, repr=False)

    def __post_init__(self) -> None:
        findings = {
            kind: Finding(rule=self.number, kind=kind, reason=self.reason if kind is FAILED else None)
            for kind in FindingKind
        }
        object.__setattr__(self, "findings", MappingProxyType(findings))
        object.__setattr__(self, "error", Finding(rule=self.number, kind=FAILED, reason=Reason.RULE_ERROR))
