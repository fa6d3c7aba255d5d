"""Tables of api.db: a view of the controller's records that can be thrown away, and the names, which exist only here.

No table of this file may hold why somebody is not on a list, nor anything of the matters that an assessment looks at
(promise P5, E-01, E-02), nor a card number, nor a biometric template (E-10).
SQLModel reads annotations at run time: no `from __future__ import annotations` here.
"""

from sqlalchemy import BigInteger, Column, Index, String, Text
from sqlmodel import Field, SQLModel


class CursorRow(SQLModel, table=True):
    """One row: how far the view is, of which ledger, the policy revision it has reached, and the newest checkpoint."""

    __tablename__ = "cursor"
    id: int = Field(default=1, primary_key=True)
    seq: int = Field(default=-1, sa_type=BigInteger)
    revision: str = ""
    vkey: str = ""
    checkpoint: str = Field(default="", sa_type=Text)


class EventRow(SQLModel, table=True):
    """One committed record. `body` is its JSON text with rows of policy left out (they are in `policy`). `number`: the
    four characters that a refusal showed.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("event_cardholder", "cardholder", "seq"),
        Index("event_portal", "portal", "seq"),
        Index("event_zone", "zone", "seq"),
        Index("event_type", "type", "seq"),
        Index("event_outcome", "outcome", "seq"),
        Index("event_at", "at_ms", "seq"),
        Index("event_number", "number", "seq"),
    )
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    at_ms: int | None = Field(default=None, sa_type=BigInteger)
    type: str | None = None
    record_class: str = Field(sa_column=Column("class", String, nullable=False))
    outcome: str | None = None
    reason: str | None = None
    zone: str | None = None
    portal: str | None = None
    access_point: str | None = None
    direction: str | None = None
    cardholder: str | None = None
    credential: str | None = None
    number: str | None = None
    body: str | None = Field(default=None, sa_type=Text)


class PolicyRow(SQLModel, table=True):
    """One row of the policy in force, as the document the controller recorded."""

    __tablename__ = "policy"
    kind: str = Field(sa_column=Column("table", String, primary_key=True))
    id: str = Field(primary_key=True)
    cardholder: str | None = Field(default=None, index=True)
    zone: str | None = None
    doc: str = Field(sa_type=Text)


class PortalRow(SQLModel, table=True):
    """Live state of one portal, folded from records. `until_ms`: when a release ends by itself."""

    __tablename__ = "portal_live"
    id: str = Field(primary_key=True)
    state: str
    since_ms: int = Field(sa_type=BigInteger)
    until_ms: int | None = Field(default=None, sa_type=BigInteger)
    last_seq: int = Field(sa_type=BigInteger)
    last_type: str
    last_at_ms: int = Field(sa_type=BigInteger)
    mode: str = "CARD"


class AlarmRow(SQLModel, table=True):
    """Something wrong that began with a record and has not ended yet. `kind` is the type of that record, `place` what
    it is about: a device and its line, a zone and somebody in it.
    """

    __tablename__ = "alarm_live"
    kind: str = Field(primary_key=True)
    place: str = Field(primary_key=True)
    portal: str | None = None
    zone: str | None = None
    since_ms: int = Field(sa_type=BigInteger)


class AlarmCaseRow(SQLModel, table=True):
    """An alarm and its repetitions until an officer has said what it was: `seq`, `last_seq`: its first and its newest
    record. `ended_ms`: when its cause was over; `is_doubted`: a start of the controller came since, and nothing has
    been said of it after that. `handled_seq`, `cause`, `officer`: who said what it was.
    """

    __tablename__ = "alarm_case"
    __table_args__ = (Index("alarm_case_kind", "kind", "row"), Index("alarm_case_handled", "handled_seq"))
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    last_seq: int = Field(sa_type=BigInteger)
    kind: str
    row: str
    portal: str | None = None
    zone: str | None = None
    first_ms: int = Field(sa_type=BigInteger)
    last_ms: int = Field(sa_type=BigInteger)
    count: int = 1
    ended_ms: int | None = Field(default=None, sa_type=BigInteger)
    is_doubted: bool = False
    handled_seq: int | None = Field(default=None, sa_type=BigInteger)
    handled_ms: int | None = Field(default=None, sa_type=BigInteger)
    cause: str | None = None
    officer: str | None = None


class PresenceRow(SQLModel, table=True):
    """Where somebody was last seen. `is_certain`: seen to pass and nothing since that could have moved him unseen;
    `was_certain`: that was so when the fire alarm came (a fire makes every place uncertain, B-07).
    """

    __tablename__ = "presence"
    cardholder: str = Field(primary_key=True)
    zone: str = Field(index=True)
    portal: str | None = None
    since_ms: int = Field(sa_type=BigInteger)
    is_certain: bool = True
    was_certain: bool = True


class RollRow(SQLModel, table=True):
    """A roll call, by the record that began it: a fire until it is reset, a drill until an officer ends it.
    `is_doubted`: a start of the controller came since, and the fire alarm has not spoken after that.
    """

    __tablename__ = "roll"
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    at_ms: int = Field(sa_type=BigInteger)
    is_drill: bool
    ended_ms: int | None = Field(default=None, sa_type=BigInteger)
    is_doubted: bool = False


class TickRow(SQLModel, table=True):
    """What a roll call found of somebody, each time that somebody said so. `request`: the id of the request."""

    __tablename__ = "roll_tick"
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    roll: int = Field(index=True, sa_type=BigInteger)
    request: str
    cardholder: str
    at_ms: int = Field(sa_type=BigInteger)
    is_found: bool
    officer: str


class DeviceRow(SQLModel, table=True):
    """Live state of one device on a wire."""

    __tablename__ = "device"
    id: str = Field(primary_key=True)
    portal: str | None = None
    is_online: bool
    since_ms: int = Field(sa_type=BigInteger)


class OtherRow(SQLModel, table=True):
    """Who else a record is about: companions and escorts of a decision. The person is in the event itself."""

    __tablename__ = "event_other"
    cardholder: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)


class LastEntryRow(SQLModel, table=True):
    """When somebody was last seen to enter a zone (`api.last_entries`)."""

    __tablename__ = "last_entry"
    cardholder: str = Field(primary_key=True)
    zone: str = Field(primary_key=True, index=True)
    seq: int = Field(sa_type=BigInteger, index=True)
    at_ms: int = Field(sa_type=BigInteger)


class ForgottenRow(SQLModel, table=True):
    """A pseudonym whose name was destroyed, and the record that says so: it never gets a name again (E-08)."""

    __tablename__ = "forgotten"
    cardholder: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)


class LeafRow(SQLModel, table=True):
    """The leaf of one record: its number, its class and a salted hash. Nothing about whom."""

    __tablename__ = "leaf"
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    leaf: bytes


class TileRow(SQLModel, table=True):
    """A full tile of the ledger's tree. `grown`: its 256 hashes and all nodes above them; `root`: the last of those."""

    __tablename__ = "tile"
    level: int = Field(primary_key=True)
    nth: int = Field(primary_key=True, sa_type=BigInteger)
    root: bytes
    grown: bytes


class NameRow(SQLModel, table=True):
    """The name behind a pseudonym, as ciphertext under that person's key (`api.names`, `api.name_keys`). Never sent to
    the controller, never logged, not rebuilt from the ledger (E-08).
    """

    __tablename__ = "name"
    cardholder: str = Field(primary_key=True)
    sealed: bytes


class SuggestionRow(SQLModel, table=True):
    """A change that was made ready at the console (EDIT_SUGGESTED), for a week; its rows as they can be signed."""

    __tablename__ = "suggestion"
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    at_ms: int = Field(sa_type=BigInteger)
    officer: str
    reason: str
    puts: str = Field(sa_type=Text)


class ProposalRow(SQLModel, table=True):
    """A change that waits for signatures, or what became of it (`api.proposals`). `puts`: its rows as they are signed,
    without card numbers or PINs; `was`: the rows before. Of what came to nothing both are emptied at once: that
    something about a person was once proposed is nobody's business (P5, E-03). `named`: who has a name only for it.
    """

    __tablename__ = "proposal"
    id: str = Field(primary_key=True)
    state: str
    proposer: str
    reason: str
    made_at_ms: int = Field(sa_type=BigInteger, index=True)
    base: str
    not_after_ms: int = Field(sa_type=BigInteger)
    puts: str = Field(sa_type=Text)
    was: str = Field(sa_type=Text)
    named: str = ""
    weight: int = 0
    code: str = ""
    why: str = ""
    field: str = ""
    seq: int | None = Field(default=None, sa_type=BigInteger)
    settled_at_ms: int | None = Field(default=None, sa_type=BigInteger)
    suggestion: int | None = Field(default=None, sa_type=BigInteger)


class ProposalSignatureRow(SQLModel, table=True):
    """One officer's signature under one proposal: a WebAuthn assertion, its parts in hex."""

    __tablename__ = "proposal_signature"
    proposal: str = Field(primary_key=True)
    officer: str = Field(primary_key=True)
    at_ms: int = Field(sa_type=BigInteger)
    credential: str
    client_data: str = Field(sa_type=Text)
    authenticator_data: str = Field(sa_type=Text)
    signature: str = Field(sa_type=Text)


class PlanShapeRow(SQLModel, table=True):
    """Where a zone or portal (`kind`) stands on the plan of the building, as an officer drew it."""

    __tablename__ = "plan_shape"
    kind: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    x: int
    y: int
    w: int
    h: int


PROJECTED = (
    *(EventRow, PolicyRow, PortalRow, AlarmRow, DeviceRow, OtherRow, ForgottenRow, LeafRow, TileRow, SuggestionRow),
    *(AlarmCaseRow, PresenceRow, RollRow, TickRow, LastEntryRow),
)
"""What is rebuilt from the ledger when it is lost; all but the names and the cursor."""
