"""Changes that touch several registers at once, as the rows of one proposal: somebody joins, is transferred, leaves.

One change is signed once, whole: nobody has a card before he has a place, and nobody keeps a right that was forgotten.
Pure: from the policy and what was asked to rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from controller.link.rows import row_to_doc
from zones.decision.ask import is_ended
from zones.ids import CardholderId
from zones.people import Basis, CredentialState
from zones.policy import Holder, Policy, Row
from zones.terms import term_of

Puts = list[tuple[str, dict[str, Any]]]
LIVING: Final = frozenset({CredentialState.ISSUED, CredentialState.ACTIVE})


def new_id(prefix: str) -> str:
    """A pseudonym or a row's name that says nothing."""
    return f"{prefix}-{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """Somebody who begins. `card`: number_hash, last4 and scheme of a card that was shown, or its `number` in clear, or
    nothing; `items`: with one purpose for all.
    """

    cardholder: str
    kind: str = "STAFF"
    notice_version: int = 0
    card: dict[str, Any] | None = None
    basis: Basis | None = None
    notified_on: date | None = None
    level: int = 0
    items: Sequence[str] = ()
    purpose_code: str = ""
    requested_by: str = ""
    zones: Sequence[str] = ()
    from_on: date
    until_on: date
    review_on: date


def joining(asked: Joins) -> Puts:
    """Everything that somebody begins with, in one change."""
    who = asked.cardholder
    period = {"from_on": asked.from_on.isoformat(), "until_on": asked.until_on.isoformat()}
    puts: Puts = [("cardholder", {"id": who, "kind": asked.kind, "notice_version": asked.notice_version})]
    if asked.card is not None:
        puts.append(("credential", card_row(who, asked.card)))
    if asked.basis is not None and asked.notified_on is not None:
        puts.append(("clearance", clearance_row(who, asked.basis, asked.notified_on, asked.level)))
    for item in asked.items:
        row = {"id": new_id("n"), "cardholder": who, "item": item, "purpose_code": asked.purpose_code, **period}
        puts.append(("need_to_know", row | {"requested_by": asked.requested_by}))
    for zone in asked.zones:
        row = {"id": new_id("r"), "cardholder": who, "zone": zone, **period}
        puts.append(("roster", row | {"review_on": asked.review_on.isoformat()}))
    return puts


def card_row(cardholder: str, card: dict[str, Any]) -> dict[str, Any]:
    """A card that opens from now on."""
    return {"id": new_id("c"), "cardholder": cardholder, "state": "ACTIVE", **card}


def clearance_row(cardholder: str, basis: Basis, notified_on: date, level: int = 0) -> dict[str, Any]:
    """A confirmation: its last day follows from its basis. Who records and who confirms it are those who sign."""
    row = {
        "id": new_id("k"), "cardholder": cardholder, "basis": basis.value, "notified_on": notified_on.isoformat(),
        "last_valid_on": term_of(basis, notified_on).isoformat(),
    }  # fmt: skip
    return row | ({"level": level} if basis is Basis.COMPANY else {})


def standing_rows(policy: Policy, cardholder: str, day: date) -> list[tuple[str, Row]]:
    """All rows that give somebody something today or later: cards, confirmations, needs-to-know, places, visits."""
    who = CardholderId(cardholder)
    holder = policy.holders.get(who) or Holder(cardholder=policy.cardholders[who])
    cards = [one for one in policy.credentials.values() if one.cardholder == who and one.state in LIVING]
    rows: list[Row] = [*cards, *_lasting(holder.clearances, day, "last_valid_on")]
    for table in (holder.needs, holder.roster, holder.declarations, holder.visits):
        rows += _lasting(table, day, "until_on")
    return [(row_to_doc(row)[0], row) for row in rows]


def _lasting(rows: Iterable[Any], day: date, last: str) -> list[Any]:
    return [row for row in rows if not is_ended(row.ended_on, day) and getattr(row, last) >= day]


def leaving(policy: Policy, cardholder: str, day: date, *, lost: Collection[str] = ()) -> Puts:
    """Somebody leaves: all he has ends today, and so does his registration. `lost`: cards that he did not hand back."""
    puts = [_ended(table, row, day, lost) for table, row in standing_rows(policy, cardholder, day)]
    _table, doc = row_to_doc(policy.cardholders[CardholderId(cardholder)])
    return [*puts, ("cardholder", {**doc, "ended_on": day.isoformat()})]


TRANSFERRED: Final = frozenset({"need_to_know", "roster", "declaration"})
"""What belongs to work, and ends with it; the card and the confirmation belong to the person."""


def transferring(policy: Policy, cardholder: str, day: date, *, keep: Collection[str] = ()) -> Puts:
    """Somebody is transferred: what belongs to the old work ends today, but for the rows that are kept."""
    return [
        _ended(table, row, day, ())
        for table, row in standing_rows(policy, cardholder, day)
        if table in TRANSFERRED and row.id not in keep
    ]


def _ended(table: str, row: Row, day: date, lost: Collection[str]) -> tuple[str, dict[str, Any]]:
    _table, doc = row_to_doc(row)
    if table == "credential":
        return table, {**doc, "state": "LOST" if row.id in lost else "RETURNED"}
    return table, {**doc, "ended_on": day.isoformat()}
