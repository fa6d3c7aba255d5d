"""What a review found as plain values, for `--json` and for the API alike: codes, places, words in both languages.

Nothing here names a person: cardholders are pseudonyms, as in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from zones.decision.reasons import Words
from zones.moment import JST
from zones.review.changes import Change
from zones.review.explain import Explanation, Flip, RuleLine
from zones.review.replay import Difference, ReplayReport
from zones.review.values import RecordedDecision
from zones.review.whatif import FlippedDecision, Right, Stranded, WhatIf
from zones.review.who import Way
from zones.review.words import reason_words

Document = dict[str, Any]


def words(of: Words) -> Document:
    """Both languages."""
    return {"ja": of.ja, "en": of.en}


def wall_time(at: datetime) -> str:
    """A time as people in Japan read it, with its offset."""
    return at.astimezone(JST).isoformat(timespec="milliseconds")


def explanation(of: Explanation) -> Document:
    """Why a decision came out as it did."""
    return {
        "decision": decision(of.recorded),
        "rules": [_rule(line) for line in of.rules],
        "flips": [_flip(one) for one in of.flips],
        "is_same": None if of.missing else of.difference is None,
        "difference": None if of.difference is None else difference(of.difference),
        "missing": of.missing or None,
        "is_partial": of.is_partial,
    }


def decision(of: RecordedDecision) -> Document:
    """The head of a recorded decision."""
    return {
        "seq": of.seq,
        "at": wall_time(of.at),
        "type": of.type,
        "outcome": of.outcome,
        "reason": of.reason,
        "words": words(reason_words(of.reason)),
        "is_undone": of.is_undone,
        "access_point": of.access_point,
        "portal": of.portal,
        "zone": of.zone,
        "cardholder": of.cardholder,
        "credential": of.evidence.credential,
        "number": of.number,
        "revision": of.revision,
    }


def _rule(line: RuleLine) -> Document:
    return {
        "rule": line.rule,
        "finding": line.kind.value,
        "reason": line.reason,
        "asks": words(line.asks),
        "found": words(line.found),
    }


def _flip(flip: Flip) -> Document:
    return {
        "outcome": flip.outcome,
        "reason": flip.reason,
        "words": words(reason_words(flip.reason)),
        "steps": [_change(step) for step in flip.steps],
    }


def _change(change: Change) -> Document:
    return {"code": change.code, "places": dict(change.places), "words": words(change.words)}


def difference(of: Difference) -> Document:
    """One decision that comes out otherwise."""
    return {"seq": of.seq, "what": of.what, "was": of.was, "is_now": of.is_now, "rules": list(of.rules)}


def replayed(of: ReplayReport) -> Document:
    """What a replay found."""
    return {
        "is_same": of.is_same,
        "decisions": of.decisions,
        "same": of.same,
        "undone": of.undone,
        "purged_records": of.purged_records,
        "purged_inputs": of.purged_inputs,
        "differing": of.differing,
        "differences": [difference(one) for one in of.differences],
        "reasons": dict(sorted(of.reasons.items())),
    }


def what_if(of: WhatIf) -> Document:
    """What a proposed edit would have changed, and would change now."""
    return {
        "refused": of.refused or None,
        "decisions": of.decisions,
        "flipped": of.flipped,
        "other_reason": of.other_reason,
        "purged": of.purged,
        "not_applicable": of.not_applicable,
        "differing": of.differing,
        "flips": [_flipped(one) for one in of.flips],
        "gains": [_right(one) for one in of.gains],
        "loses": [_right(one) for one in of.loses],
        "stranded": [_stranded(one) for one in of.stranded],
        "is_cut": of.is_cut,
    }


def _flipped(of: FlippedDecision) -> Document:
    return {
        "seq": of.seq,
        "cardholder": of.cardholder,
        "portal": of.portal,
        "zone": of.zone,
        "was": of.was,
        "would_be": of.would_be,
        "would_be_granted": of.would_be_granted,
    }


def _right(of: Right) -> Document:
    return {"cardholder": of.cardholder, "zone": of.zone}


def _stranded(of: Stranded) -> Document:
    return {"cardholder": of.cardholder, "zone": of.zone, "is_certain": of.is_certain, "by_edit": of.by_edit}


def way(of: Way) -> Document:
    """One cardholder at one portal."""
    found: Document = {"cardholder": of.cardholder, "portal": of.portal, "is_open": of.is_open}
    if of.is_open:
        keys: dict[str, list[str]] = {}
        for table, row in of.keys:
            keys.setdefault(table, []).append(row)
        return found | {"by": of.by, "beside": of.beside, "keys": keys}
    missing = [{"rule": rule, "reason": reason, "words": words(reason_words(reason))} for rule, reason in of.missing]
    return found | {"missing": missing}


def ways(of: Iterable[Way]) -> list[Document]:
    """Ways as documents."""
    return [way(one) for one in of]
