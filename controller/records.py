"""How decisions and happenings stand in the ledger."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller.ledger.body import Draft, Scribe, Trace
from controller.ledger.canonical import encode_sorted
from controller.ledger.catalogue import RECORD_TYPES
from zones.decision import Finding, FindingKind, Outcome, Reason
from zones.moment import Moment
from zones.places import Direction, Portal
from zones.portal import (
    DoorForced,
    DoorHeld,
    DoorHeldSoon,
    ExitCompleted,
    GrantUnused,
    Happening,
    PassageCompleted,
    PortalClosed,
    PortalOpenAtStart,
    Tailgated,
)

_TYPES: Final[dict[type[Any], str]] = {
    PassageCompleted: "PASSAGE",
    ExitCompleted: "EXIT",
    GrantUnused: "NO_PASSAGE",
    DoorForced: "DOOR_FORCED",
    DoorHeld: "DOOR_HELD",
    DoorHeldSoon: "DOOR_HELD_SOON",
    Tailgated: "TAILGATE",
    PortalClosed: "DOOR_CLOSED",
    PortalOpenAtStart: "DOOR_OPEN_AT_START",
}

TRACES_MAX: Final = 1024
_TRACES: Final[dict[int, tuple[tuple[Finding, ...], Trace]]] = {}

_UNDONE: Final = {
    "ACCESS_GRANTED": "ACCESS_DENIED",
    "POLICY_EDITED": "EDIT_REFUSED",
    **dict.fromkeys(("RELEASED", "PURGED", "LEGAL_HOLD_ON", "LEGAL_HOLD_OFF"), "COMMAND_REFUSED"),
}
"""What a record becomes when its commit failed: it did not happen."""


def trace_of(findings: tuple[Finding, ...]) -> Trace:
    """Every rule's finding, as it stands in a record: rule numbers by kind; failed ones with their reason.

    Sites see a handful of distinct traces over and over, each as one tuple (`zones.decision.plan`): so they are
    remembered by which tuple it is, which is quicker than comparing what stands in it.
    """
    known = _TRACES.get(id(findings))
    if known is not None and known[0] is findings:
        return known[1]
    trace = _trace(findings)
    if len(_TRACES) >= TRACES_MAX:
        _TRACES.clear()
    _TRACES[id(findings)] = (findings, trace)
    return trace


def _trace(findings: tuple[Finding, ...]) -> Trace:
    found: dict[FindingKind, list[str]] = {kind: [] for kind in FindingKind}
    failed: list[tuple[str, str]] = []
    for finding in findings:
        if finding.kind is FindingKind.FAILED:
            failed.append((finding.rule, str(finding.reason)))
        else:
            found[finding.kind].append(finding.rule)
    return Trace(
        passed=tuple(found[FindingKind.PASSED]),
        waived=tuple(found[FindingKind.WAIVED]),
        failed=tuple(failed),
        exempt=tuple(found[FindingKind.EXEMPT]),
    )


def happening_record(scribe: Scribe, portal: Portal, what: Happening, revision: str, now: Moment) -> Draft:
    """The record of something that a portal saw happen."""
    type_ = _TYPES[type(what)]
    match what:
        case PassageCompleted(grant=grant) | GrantUnused(grant=grant):
            is_doubtful = isinstance(what, GrantUnused) and not what.is_certain
            return scribe.draft(
                type_,
                now=now,
                portal=portal.id,
                zone=grant.to_zone,
                direction=grant.direction,
                cardholder=grant.cardholder,
                corr=grant.id,
                revision=revision,
                detail={"is_certain": False} if is_doubtful else None,
            )
        case PortalClosed(was=was):
            return scribe.draft(type_, now=now, portal=portal.id, zone=portal.inner, detail={"was": was.value})
        case Tailgated(counted=counted, granted=granted):
            detail = {"counted": counted, "granted": granted}
            return scribe.draft(type_, now=now, portal=portal.id, zone=portal.inner, detail=detail)
        case ExitCompleted(cause=cause):
            return scribe.draft(
                type_, now=now, portal=portal.id, zone=portal.outer, direction=Direction.OUT, detail={"cause": cause}
            )
        case _:
            return scribe.draft(type_, now=now, portal=portal.id, zone=portal.inner)


def undone(draft: Draft) -> Draft:
    """The record of what was decided but could not be recorded in time: a refusal, at the time of the decision."""
    type_ = _UNDONE.get(draft.body.type)
    if type_ is None:
        return draft
    detail: dict[str, Any] | None = draft.body.detail
    if type_ != "ACCESS_DENIED":
        detail = {"id": (detail or {}).get("id", ""), "code": "ledger_unavailable"}
    body = msgspec.structs.replace(
        draft.body,
        type=type_,
        outcome=Outcome.DENIED.value,
        reason=Reason.AUDIT_UNAVAILABLE.value,
        corr=None,
        detail=detail,
        number=None,
    )
    return Draft(RECORD_TYPES[type_][0], body, encode_sorted(body))
