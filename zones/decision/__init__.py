"""May this cardholder pass this access point now? One table of numbered rules (docs/decision.md is normative)."""

from zones.decision.decide import decide
from zones.decision.reasons import Outcome, PublicReason, Reason, public_reason
from zones.decision.values import Decision, Evidence, Finding, FindingKind, Method, PinCheck, Request

__all__ = [
    "Decision",
    "Evidence",
    "Finding",
    "FindingKind",
    "Method",
    "Outcome",
    "PinCheck",
    "PublicReason",
    "Reason",
    "Request",
    "decide",
    "public_reason",
]
