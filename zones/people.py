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
    DeclarationId,
    InformationItemId,
    NeedToKnowId,
    OverrideId,
    RosterEntryId,
    ScheduleId,
    TrainingId,
    VisitId,
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


class CardholderKind(StrEnum):
    """STAFF holds the keys of a zone himself. VISITOR and MAINTENANCE hold none and enter escorted (A-06, A-19)."""

    STAFF = "STAFF"
    VISITOR = "VISITOR"
    MAINTENANCE = "MAINTENANCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cardholder:
    """A person who may be admitted, by pseudonym. Names are kept elsewhere, under a key of their own (E-08).

    `notice_version`: the version of the notice on the use of entry records that was handed to this person (D-21).
    `held_extra_ms`: how much longer a portal may stay open behind this person before it counts as held.
    """

    id: CardholderId
    ended_on: date | None = None
    kind: CardholderKind = CardholderKind.STAFF
    notice_version: int = 0
    held_extra_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The issued right to identify, of exactly one cardholder. `last4` is all of the number that is ever shown.

    `scheme`: how this card proves itself, None where it is a bare number. Its mere number, from a reader that could
    have asked it, is then a copy, and so is a proof of another kind (A-34).
    """

    id: CredentialId
    cardholder: CardholderId
    number_hash: CardNumberHash
    last4: str
    state: CredentialState
    scheme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """A positive record of a suitability result (§3.1). Usable once a second person has confirmed it.

    `level`: 1 to 9 for the company's own levels (`Basis.COMPANY`), 0 for every other basis.
    """

    id: ClearanceId
    cardholder: CardholderId
    basis: Basis
    notified_on: date
    last_valid_on: date
    recorded_by: str
    confirmed_by: str | None = None
    ended_on: date | None = None
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationItem:
    """A ledger-numbered thing handled in zones. Every need-to-know for it ends with its designation (§3.2, D-06).

    `designated_until`, `contract_until`: last days; `lifted_on`: the day from which it is designated no more.
    """

    id: InformationItemId
    designated_until: date
    contract_until: date | None = None
    lifted_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedToKnow:
    """The approved right of one cardholder to one information item, by ledger number, never by title (§3.2).

    In force once two officers have approved what a third requested; `recert_on` is the last day before it lapses for
    want of recertification.
    """

    id: NeedToKnowId
    cardholder: CardholderId
    item: InformationItemId
    purpose_code: str
    from_on: date
    until_on: date
    is_suspended: bool = False
    ended_on: date | None = None
    sponsor: str | None = None
    requested_by: str | None = None
    approved_by_1: str | None = None
    approved_by_2: str | None = None
    recert_on: date | None = None

    @property
    def is_approved(self) -> bool:
        """Whether it left its drafts: requested by one officer, approved by two others (held by `row_checks`)."""
        return self.approved_by_1 is not None and self.approved_by_2 is not None and self.requested_by is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """One cardholder's place on one zone's roster. `is_suspended` is neutral: its cause is never stored (D-03).

    `is_opener`: may open the zone when it is secured (C-01). `is_escort`: may bring visitors (A-06). `is_minimum`:
    keeps the place when its review is overdue (A-03). `may_enter_lockdown`: is let in during a lockdown. `schedule`:
    hours of this person here, within the zone's own.
    """

    id: RosterEntryId
    cardholder: CardholderId
    zone: ZoneId
    from_on: date
    until_on: date
    review_on: date
    is_suspended: bool = False
    ended_on: date | None = None
    is_opener: bool = False
    is_escort: bool = False
    is_minimum: bool = False
    may_enter_lockdown: bool = False
    schedule: ScheduleId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One cardholder completed one course; `due_on` is the day by which it is to be repeated (D-13)."""

    id: TrainingId
    cardholder: CardholderId
    course: str
    done_on: date
    due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One cardholder declared the devices brought to one zone (D-08): `locker` holds those that stay outside, `permits`
    are the permit numbers of those that may go in.
    """

    id: DeclarationId
    cardholder: CardholderId
    zone: ZoneId
    from_on: date
    until_on: date
    locker: str | None = None
    permits: tuple[str, ...] = ()
    ended_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A cardholder without keys may be brought into `zones` by an escort on these days; `host` answers (A-06)."""

    id: VisitId
    cardholder: CardholderId
    host: CardholderId
    zones: tuple[ZoneId, ...]
    from_on: date
    until_on: date
    ended_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Break-glass: `cardholders` may enter `zone` without its keys from `from_ms` until `until_ms` (epoch; A-32).

    Started by one officer and approved by another. It ends by itself.
    """

    id: OverrideId
    zone: ZoneId
    cardholders: tuple[CardholderId, ...]
    reason_code: str
    started_by: str
    approved_by: str
    from_ms: int
    until_ms: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What is kept of a cardholder's PIN: keyed slow hashes, never the digits (B-13). `duress_hash`: the PIN that opens
    and raises a silent alarm (B-10). `is_locked`: it was missed too often; an officer lifts that, or sets another.
    """

    id: CardholderId
    salt: str
    pin_hash: str
    duress_hash: str | None = None
    is_locked: bool = False
