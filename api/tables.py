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
    """One committed record. `body` is its JSON text with rows of policy left out (they are in `policy`)."""

    __tablename__ = "event"
    __table_args__ = (Index("event_cardholder", "cardholder", "seq"), Index("event_portal", "portal", "seq"))
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


PROJECTED = (EventRow, PolicyRow, PortalRow, AlarmRow, DeviceRow, OtherRow, ForgottenRow, LeafRow, TileRow)
"""What is rebuilt from the ledger when it is lost; all but the names and the cursor."""
