"""What the API takes and gives: Create, Update and Public models apart; unknown fields and loose types refused.

There is no field for a cause, a refusal, or an attachment: what is not here cannot be stored (E-01, E-02, E-10).
FastAPI reads annotations at run time; they are kept simple here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import date
from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from api.tables import EventRow
from api.words import moment_of
from controller.link.messages import FORGET_REASONS
from zones.ids import ID_PATTERN
from zones.people import Basis, CardholderKind, CredentialState
from zones.row_checks import CARD_SCHEMES

Id = Annotated[str, StringConstraints(pattern=f"^{ID_PATTERN}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
Pseudonym = Annotated[str, StringConstraints(pattern=f"^{ID_PATTERN}$")]
CardNumber = Annotated[
    str, StringConstraints(to_lower=True, pattern=r"^([0-9A-Fa-f]{2}){4,33}$"), Field(description="hex")
]
BasisWord = Literal["KEIZAI_ANPO", "TOKUTEI_HIMITSU", "BOEI_HOGO", "COMPANY"]
StateWord = Literal["ISSUED", "ACTIVE", "LOST", "RETURNED", "DESTROYED"]
SchemeWord = Literal["desfire_ev1", "desfire_ev2", "ntag424", "pkoc", "felica_lite_s", "aliro"]
KindWord = Literal["STAFF", "VISITOR", "MAINTENANCE"]
Millis = Annotated[int, Field(ge=0, le=600_000)]
Level = Annotated[int, Field(ge=0, le=9)]
Version = Annotated[int, Field(ge=0, le=100_000)]
ReleaseReason = Literal["visitor", "delivery", "forgotten_card", "reader_fault", "emergency", "other"]
RecordType = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
ForgetReason = Literal["term_over", "request", "mistake"]

assert set(ForgetReason.__args__) == set(FORGET_REASONS)  # type: ignore[attr-defined]
assert set(BasisWord.__args__) == {basis.value for basis in Basis}  # type: ignore[attr-defined]
assert set(KindWord.__args__) == {kind.value for kind in CardholderKind}  # type: ignore[attr-defined]
assert set(SchemeWord.__args__) == CARD_SCHEMES  # type: ignore[attr-defined]
assert set(StateWord.__args__) == {state.value for state in CredentialState}  # type: ignore[attr-defined]


def _iso_date(value: object) -> object:
    """Dates come as YYYY-MM-DD text only: pydantic alone would read the integer 0 as 1970."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("date") from None


_NO_TEXT: Final = ("Cc", "Cs", "Co", "Zl", "Zp")
_TURNS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they make text read as another


def _plain_text(value: object) -> object:
    """Names: one line, no control characters, no direction overrides, no lone surrogates; NFC."""
    if not isinstance(value, str):
        return value
    for sign in value:
        if unicodedata.category(sign) in _NO_TEXT or sign in _TURNS:
            raise ValueError("text")
    return unicodedata.normalize("NFC", value.strip())


IsoDate = Annotated[date, BeforeValidator(_iso_date, json_schema_input_type=date)]
NameText = Annotated[str, BeforeValidator(_plain_text), StringConstraints(min_length=1, max_length=100)]
ReadingText = Annotated[str, BeforeValidator(_plain_text), StringConstraints(max_length=100)]


class Asked(BaseModel):
    """Base of what is taken."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Changed(Asked):
    """Base of changes: at least one field, each optional, none of them null."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set or any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("nothing")
        return self


class Given(BaseModel):
    """Base of what is given."""

    model_config = ConfigDict(frozen=True)


Item = TypeVar("Item", bound=Given)


class PageOf(Given, Generic[Item]):
    """One page of a list; `next` is the cursor of the page after it, null on the last."""

    items: list[Item]
    next: str | None = None


class ListQuery(Asked):
    """`cursor`: `next` of the page before."""

    model_config = ConfigDict(extra="forbid", strict=False)
    limit: int = Field(default=100, ge=1, le=500)
    cursor: Id | None = None


class CardholderQuery(ListQuery):
    """`q`: part of an id or a name; `sort`: by id, or by how names are read."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    sort: Literal["id", "kana"] = "id"


class OwnedQuery(ListQuery):
    """Also by cardholder."""

    cardholder: Id | None = None


class RosterQuery(OwnedQuery):
    """Also by zone."""

    zone: Id | None = None


class EventQuery(Asked):
    """Events after number `after`; -1 is before the first."""

    model_config = ConfigDict(extra="forbid", strict=False)
    after: int = Field(default=-1, ge=-1, le=2**53)
    limit: int = Field(default=100, ge=1, le=1000)


class StreamQuery(Asked):
    """Events after number `after`; only those of these types, in these zones."""

    model_config = ConfigDict(extra="forbid", strict=False)
    after: int | None = Field(default=None, ge=-1, le=2**53)
    type: list[RecordType] = Field(default=[], max_length=100)
    zone: list[Id] = Field(default=[], max_length=100)


# -- cardholders --------------------------------------------------------------------------------------------------


class CardholderCreate(Asked):
    """A new cardholder. The name stays in the web process; the controller is told the rest. `kind` never changes."""

    id: Id | None = None
    name: NameText
    kana: ReadingText = ""
    roman: ReadingText = ""
    kind: KindWord = "STAFF"
    notice_version: Version = 0
    held_extra_ms: Millis = 0


class CardholderUpdate(Changed):
    """Another name, a newer notice handed over, a longer time for the door."""

    name: NameText | None = None
    kana: ReadingText | None = None
    roman: ReadingText | None = None
    notice_version: Version | None = None
    held_extra_ms: Millis | None = None


class ForgetCreate(Asked):
    """Why a name is destroyed: its term is over, the person asked, it was entered by mistake."""

    reason: ForgetReason


class CardholderPublic(Given):
    id: str
    name: str | None
    kana: str
    roman: str
    kind: KindWord = "STAFF"
    notice_version: int = 0
    held_extra_ms: int = 0


# -- credentials --------------------------------------------------------------------------------------------------


class CredentialCreate(Asked):
    """A credential. `number` is passed to the controller and kept nowhere; it answers with its last four signs.
    `scheme`: how the card proves itself; its mere number is then a copy where the reader can ask. None: a bare number.
    """

    id: Id | None = None
    cardholder: Id
    number: CardNumber
    state: StateWord = "ACTIVE"
    scheme: SchemeWord | None = None


class CredentialUpdate(Asked):
    """Other values, at least one. `scheme` may be null: the card is a bare number from now on."""

    state: StateWord | None = None
    scheme: SchemeWord | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set or (self.state is None and "state" in self.model_fields_set):
            raise ValueError("nothing")
        return self


class CredentialPublic(Given):
    id: str
    cardholder: str
    last4: str
    state: StateWord
    scheme: SchemeWord | None


# -- clearances ---------------------------------------------------------------------------------------------------


class ClearanceCreate(Asked):
    """A confirmed basis. `last_valid_on` is derived from it and the day of notice; who recorded and who confirmed it
    are the two who sign it. `level`: of COMPANY, 1 to 9.
    """

    id: Id | None = None
    cardholder: Id
    basis: BasisWord
    notified_on: IsoDate
    level: Level = 0


class ClearanceUpdate(Asked):
    """A renewal or a correction: the row ends and another takes its place, again by two people (§3.1)."""

    notified_on: IsoDate


class ClearancePublic(Given):
    id: str
    cardholder: str
    basis: BasisWord
    notified_on: date
    last_valid_on: date
    recorded_by: str
    confirmed_by: str | None
    level: int


# -- need-to-know and rosters -------------------------------------------------------------------------------------


class NeedToKnowCreate(Asked):
    """The right to one information item, by ledger number. `requested_by`: who asked for it, another than the two who
    approve it by their signatures (§3.2); without it, it is a draft.
    """

    id: Id | None = None
    cardholder: Id
    item: Id
    purpose_code: Code
    from_on: IsoDate
    until_on: IsoDate
    sponsor: Pseudonym | None = None
    requested_by: Pseudonym | None = None
    recert_on: IsoDate | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until_on < self.from_on:
            raise ValueError("order")
        return self


class NeedToKnowUpdate(Changed):
    """`requested_by` is set once, and with it whoever signs approves; `recert_on` moves with each recertification."""

    until_on: IsoDate | None = None
    is_suspended: bool | None = None
    sponsor: Pseudonym | None = None
    requested_by: Pseudonym | None = None
    recert_on: IsoDate | None = None


class NeedToKnowPublic(Given):
    id: str
    cardholder: str
    item: str
    purpose_code: str
    from_on: date
    until_on: date
    is_suspended: bool = False
    sponsor: str | None = None
    requested_by: str | None = None
    approved_by_1: str | None = None
    approved_by_2: str | None = None
    recert_on: date | None = None


class RosterCreate(Asked):
    """A place on one zone's roster, and the duties that go with it (`zones.people.RosterEntry`)."""

    id: Id | None = None
    cardholder: Id
    zone: Id
    from_on: IsoDate
    until_on: IsoDate
    review_on: IsoDate
    is_opener: bool = False
    is_escort: bool = False
    is_minimum: bool = False
    may_enter_lockdown: bool = False
    schedule: Id | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until_on < self.from_on:
            raise ValueError("order")
        return self


class RosterUpdate(Changed):
    until_on: IsoDate | None = None
    review_on: IsoDate | None = None
    is_suspended: bool | None = None
    is_opener: bool | None = None
    is_escort: bool | None = None
    is_minimum: bool | None = None
    may_enter_lockdown: bool | None = None
    schedule: Id | None = None


class RosterPublic(Given):
    id: str
    cardholder: str
    zone: str
    from_on: date
    until_on: date
    review_on: date
    is_suspended: bool = False
    is_opener: bool = False
    is_escort: bool = False
    is_minimum: bool = False
    may_enter_lockdown: bool = False
    schedule: str | None = None


# -- places, events, the state of things ---------------------------------------------------------------------------


ZoneKindWord = Literal["UNRESTRICTED", "CONTROLLED", "LIMITED", "EXCLUSION"]
ZoneStateWord = Literal["SECURED", "OPEN_ATTENDED", "OPEN_UNATTENDED"]
PortalModeWord = Literal["CARD", "LOCKED", "UNLOCKED", "ATTENDED"]
PortalStateWord = Literal["secured", "released", "open", "held", "forced", "unknown", "offline"]


class ZonePublic(Given):
    id: str
    name_ja: str
    name_en: str
    kind: ZoneKindWord
    parent: str | None
    state: ZoneStateWord
    is_locked_down: bool
    sanitised_by: str | None
    sanitised_confirmed_by: str | None
    required_factors: int
    items: list[str]
    accepted_bases: list[BasisWord]
    uid_accepted: bool
    needs_opener: bool
    visitors_allowed: bool
    occupancy_min: int | None
    occupancy_max: int | None


class DevicePublic(Given):
    """`is_trusted`: false from a tamper alarm until two officers restored it (A-12)."""

    id: str
    portal: str | None
    is_online: bool
    since: str | None
    is_trusted: bool


class LastEvent(Given):
    seq: int
    type: str
    at: str | None


class PortalPublic(Given):
    """A portal with its live state. `is_current` is false while the controller is not heard."""

    id: str
    name_ja: str
    name_en: str
    outer: str
    inner: str
    lock_type: str
    is_escape: bool
    has_contact: bool
    has_entry_reader: bool
    grade: int
    mode: PortalModeWord
    state: PortalStateWord
    since: str | None
    is_current: bool
    last_event: LastEvent | None
    devices: list[DevicePublic]


class ReleaseCreate(Asked):
    reason: ReleaseReason


class Recorded(Given):
    """It is recorded under `seq` and in force."""

    id: str
    seq: int


class EventPublic(Given):
    """One record. `body` is what the controller recorded, without rows of policy; null where retention dropped it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)
    seq: int
    record_class: str = Field(alias="class")
    at: str | None
    type: str | None
    outcome: str | None
    reason: str | None
    zone: str | None
    portal: str | None
    access_point: str | None
    direction: str | None
    cardholder: str | None
    credential: str | None
    body: dict[str, Any] | None


class EventPage(Given):
    """Events in order without a gap; ask again with `after` = `next`. `tail`: the newest number there is."""

    items: list[EventPublic]
    next: int
    tail: int


class HistoryPage(Given):
    """What is recorded about one person, the newest first. `recorded`: the number under which this look is recorded;
    `next`: the cursor of what came before, null at the beginning.
    """

    items: list[EventPublic]
    next: int | None
    recorded: int


class ConsistencyPublic(Given):
    """That one tree begins with another: sizes, roots and proof (RFC 9162 §2.1.4), hashes in base64."""

    old: int
    new: int
    old_root: str
    new_root: str
    hashes: list[str]


class CodePublic(Given):
    """The short code of the checkpoint over the first `size` records, told at `at`."""

    code: str
    size: int
    origin: str
    at: str
    checkpoint: str


class RecordProofPublic(Given):
    """One record and what proves it. `salt` (hex) and `body` are absent where the body was dropped, or is not shown
    here; `path` from the leaf upward, base64; `checkpoint` the signed tree head that it leads to.
    """

    seq: int
    leaf: str
    salt: str | None = None
    body: str | None = None
    path: list[str]
    checkpoint: str


class WitnessPublic(Given):
    """How far one witness vouches: for the first `size` records, at `at` by its own clock (absent: for nothing yet).
    `is_silent`: for a day it has vouched for nothing of what was recorded since.
    """

    name: str
    size: int
    at: str | None = None
    is_silent: bool


class HealthPublic(Given):
    """`status` is about this process. The rest is told to those with the token only."""

    status: Literal["up"] = "up"
    is_current: bool | None = None
    fault: str | None = None
    node_boot: str | None = None
    seq: int | None = None
    ledger_size: int | None = None
    revision: str | None = None
    is_ledger_writable: bool | None = None
    is_clock_trusted: bool | None = None
    deviations: list[str] | None = None
    devices_offline: list[str] | None = None
    witnesses: list[WitnessPublic] | None = None
    streams: int | None = None
    names_fault: str | None = None


class ProblemPublic(Given):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str


def iso(at_ms: int | None) -> str | None:
    """A time as people here read it: ISO 8601 with the offset of Japan."""
    at = moment_of(at_ms)
    return at.isoformat(timespec="milliseconds") if at is not None else None


def event_public(row: EventRow) -> EventPublic:
    """The public form of an event row."""
    return EventPublic.model_construct(
        seq=row.seq, record_class=row.record_class, at=iso(row.at_ms), type=row.type, outcome=row.outcome,
        reason=row.reason, zone=row.zone, portal=row.portal, access_point=row.access_point, direction=row.direction,
        cardholder=row.cardholder, credential=row.credential, body=json.loads(row.body) if row.body else None,
    )  # fmt: skip
