"""Who may be admitted: the positive list, and nothing else (promise P5).

Every value here says what somebody *may* do and until when. There is no field, state or reason for the opposite:
an absent row, a lapsed row and a row never asked for look the same to every reader of the policy (E-01..E-03).
Rows are whole values; a change replaces the row, and `ended_on` closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from zones.ids import (
    CardholderId,
    CardNumberHash,
    ClearanceId,
    CredentialId,
    InformationItemId,
    NeedToKnowId,
    RosterEntryId,
    ZoneId,
)


class Basis(StrEnum):
    """On what a clearance rests (requirements D-02, D-20). The years are in `zones.terms`."""

    KEIZAI_ANPO = "KEIZAI_ANPO"
    TOKUTEI_HIMITSU = "TOKUTEI_HIMITSU"
    BOEI_HOGO = "BOEI_HOGO"
    COMPANY = "COMPANY"


class CredentialState(StrEnum):
    """Life cycle of a credential (A-02). Only ACTIVE opens anything."""

    ISSUED = "ISSUED"
    ACTIVE = "ACTIVE"
    LOST = "LOST"
    RETURNED = "RETURNED"
    DESTROYED = "DESTROYED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cardholder:
    """A person who may be admitted, by pseudonym. Names are kept elsewhere, under a key of their own (E-08)."""

    id: CardholderId
    ended_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The issued right to identify, of exactly one cardholder. `last4` is all of the number that is ever shown."""

    id: CredentialId
    cardholder: CardholderId
    number_hash: CardNumberHash
    last4: str
    state: CredentialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """A positive record of a suitability result (§3.1). Usable once a second person has confirmed it."""

    id: ClearanceId
    cardholder: CardholderId
    basis: Basis
    notified_on: date
    last_valid_on: date
    recorded_by: str
    confirmed_by: str | None = None
    ended_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedToKnow:
    """The approved right of one cardholder to one information item, by ledger number, never by title (§3.2)."""

    id: NeedToKnowId
    cardholder: CardholderId
    item: InformationItemId
    purpose_code: str
    from_on: date
    until_on: date
    is_suspended: bool = False
    ended_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """One cardholder's place on one zone's roster. `is_suspended` is neutral: its cause is never stored (D-03)."""

    id: RosterEntryId
    cardholder: CardholderId
    zone: ZoneId
    from_on: date
    until_on: date
    review_on: date
    is_suspended: bool = False
    ended_on: date | None = None
