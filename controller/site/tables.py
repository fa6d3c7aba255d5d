"""The tables of site.db: one a policy table, a column a field (`zones`), and one row that says how far they go.

They are written by `controller.site.store` and read at every start by `controller.site.boot`, without an ORM. A test
holds their columns against the fields of the rows. No `from __future__ import annotations` here: SQLModel reads them.
"""

from datetime import date

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from zones.policy import TABLES


class ScheduleRow(SQLModel, table=True):
    __tablename__ = "schedule"
    id: str = Field(primary_key=True)
    windows: list[dict[str, int]] = Field(sa_column=Column(JSON, nullable=False))


class ZoneRow(SQLModel, table=True):
    __tablename__ = "zone"
    id: str = Field(primary_key=True)
    name_ja: str
    name_en: str
    kind: int
    parent: str | None = None
    items: list[str] = Field(sa_column=Column(JSON, nullable=False))
    accepted_bases: list[str] = Field(sa_column=Column(JSON, nullable=False))
    min_factors: int | None = None
    uid_accepted: bool
    anti_passback: str
    occupancy_max: int | None = None
    schedule: str | None = None


class ZoneStatusRow(SQLModel, table=True):
    __tablename__ = "zone_status"
    id: str = Field(primary_key=True)
    state: str


class PortalRow(SQLModel, table=True):
    __tablename__ = "portal"
    id: str = Field(primary_key=True)
    name_ja: str
    name_en: str
    outer: str
    inner: str
    lock_type: str
    has_contact: bool
    has_entry_reader: bool
    has_exit_reader: bool
    has_rex: bool
    is_escape: bool
    release_ms: int
    held_after_ms: int


class CardholderRow(SQLModel, table=True):
    __tablename__ = "cardholder"
    id: str = Field(primary_key=True)
    ended_on: date | None = None


class CredentialRow(SQLModel, table=True):
    __tablename__ = "credential"
    id: str = Field(primary_key=True)
    cardholder: str
    number_hash: str = Field(unique=True)
    last4: str
    state: str


class ClearanceRow(SQLModel, table=True):
    __tablename__ = "clearance"
    id: str = Field(primary_key=True)
    cardholder: str = Field(index=True)
    basis: str
    notified_on: date
    last_valid_on: date
    recorded_by: str
    confirmed_by: str | None = None
    ended_on: date | None = None


class NeedToKnowRow(SQLModel, table=True):
    __tablename__ = "need_to_know"
    id: str = Field(primary_key=True)
    cardholder: str = Field(index=True)
    item: str
    purpose_code: str
    from_on: date
    until_on: date
    is_suspended: bool
    ended_on: date | None = None


class RosterRow(SQLModel, table=True):
    __tablename__ = "roster"
    id: str = Field(primary_key=True)
    cardholder: str = Field(index=True)
    zone: str = Field(index=True)
    from_on: date
    until_on: date
    review_on: date
    is_suspended: bool
    ended_on: date | None = None


class SiteMeta(SQLModel, table=True):
    """The one row (id 1): the record and revision that the tables stand for, and the seal over them."""

    __tablename__ = "site_meta"
    id: int = Field(default=1, primary_key=True)
    seq: int
    revision: str
    total: str
    seal: str


MODELS: dict[str, type[SQLModel]] = {
    str(model.__tablename__): model
    for model in (
        ScheduleRow,
        ZoneRow,
        ZoneStatusRow,
        PortalRow,
        CardholderRow,
        CredentialRow,
        ClearanceRow,
        NeedToKnowRow,
        RosterRow,
    )
}
assert MODELS.keys() == TABLES.keys(), "every policy table has its model"
