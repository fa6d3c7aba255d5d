"""The tables of site.db: one a policy table, a column a field (`zones`), and one row that says how far they go.

They are written by `controller.site.store` and read at every start by `controller.site.boot`, without an ORM. A test
holds their columns against the fields of the rows. No `from __future__ import annotations` here: SQLModel reads them.
"""

from datetime import date
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from zones.policy import TABLES


class CalendarRow(SQLModel, table=True):
    __tablename__ = "calendar"
    id: str = Field(primary_key=True)
    days: list[str] = Field(sa_column=Column(JSON, nullable=False))


class ScheduleRow(SQLModel, table=True):
    __tablename__ = "schedule"
    id: str = Field(primary_key=True)
    windows: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    calendar: str | None = None


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
    company_level: int
    raised_factors: int | None = None
    raised_outside: str | None = None
    attended_counts: bool
    min_link: int
    apb_ms: int | None = None
    occupancy_min: int | None = None
    dual_window_ms: int | None = None
    needs_opener: bool
    training: list[str] = Field(sa_column=Column(JSON, nullable=False))
    declares_devices: bool
    visitors_allowed: bool
    escort_ratio: int
    policy_age_ms_max: int | None = None
    is_vestibule: bool
    plan_ref: str | None = None


class ZoneStatusRow(SQLModel, table=True):
    __tablename__ = "zone_status"
    id: str = Field(primary_key=True)
    state: str
    is_locked_down: bool
    sanitised_by: str | None = None
    sanitised_confirmed_by: str | None = None


class SiteStatusRow(SQLModel, table=True):
    __tablename__ = "site_status"
    id: str = Field(primary_key=True)
    is_locked_down: bool
    threat_level: int
    notice_version: int


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
    held_warn_ms: int | None = None
    grade: int
    reader_link: int
    relay_in_reader: bool
    exit_hardware: str
    fire_release: str
    interlock_with: list[str] = Field(sa_column=Column(JSON, nullable=False))
    unlock_schedule: str | None = None
    first_in: bool


class PortalStatusRow(SQLModel, table=True):
    __tablename__ = "portal_status"
    id: str = Field(primary_key=True)
    mode: str
    until_ms: int | None = None


class DeviceStatusRow(SQLModel, table=True):
    __tablename__ = "device_status"
    id: str = Field(primary_key=True)
    is_trusted: bool
    restored_by: str | None = None
    confirmed_by: str | None = None


class WalkRow(SQLModel, table=True):
    __tablename__ = "walk"
    id: str = Field(primary_key=True)
    one: str
    other: str
    min_ms: int


class ItemRow(SQLModel, table=True):
    __tablename__ = "item"
    id: str = Field(primary_key=True)
    designated_until: date
    contract_until: date | None = None
    lifted_on: date | None = None


class CardholderRow(SQLModel, table=True):
    __tablename__ = "cardholder"
    id: str = Field(primary_key=True)
    ended_on: date | None = None
    kind: str
    notice_version: int
    held_extra_ms: int


class CredentialRow(SQLModel, table=True):
    __tablename__ = "credential"
    id: str = Field(primary_key=True)
    cardholder: str
    number_hash: str = Field(unique=True)
    last4: str
    state: str
    scheme: str | None = None


class PinRow(SQLModel, table=True):
    __tablename__ = "pin"
    id: str = Field(primary_key=True)
    salt: str
    pin_hash: str
    duress_hash: str | None = None
    is_locked: bool


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
    level: int


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
    sponsor: str | None = None
    requested_by: str | None = None
    approved_by_1: str | None = None
    approved_by_2: str | None = None
    recert_on: date | None = None


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
    is_opener: bool
    is_escort: bool
    is_minimum: bool
    may_enter_lockdown: bool
    schedule: str | None = None


class TrainingRow(SQLModel, table=True):
    __tablename__ = "training"
    id: str = Field(primary_key=True)
    cardholder: str = Field(index=True)
    course: str
    done_on: date
    due_on: date


class DeclarationRow(SQLModel, table=True):
    __tablename__ = "declaration"
    id: str = Field(primary_key=True)
    cardholder: str = Field(index=True)
    zone: str
    from_on: date
    until_on: date
    locker: str | None = None
    permits: list[str] = Field(sa_column=Column(JSON, nullable=False))
    ended_on: date | None = None


class VisitRow(SQLModel, table=True):
    __tablename__ = "visit"
    id: str = Field(primary_key=True)
    cardholder: str = Field(index=True)
    host: str
    zones: list[str] = Field(sa_column=Column(JSON, nullable=False))
    from_on: date
    until_on: date
    ended_on: date | None = None


class OverrideRow(SQLModel, table=True):
    __tablename__ = "override"
    id: str = Field(primary_key=True)
    zone: str
    cardholders: list[str] = Field(sa_column=Column(JSON, nullable=False))
    reason_code: str
    started_by: str
    approved_by: str
    from_ms: int
    until_ms: int
    ended_ms: int | None = None


class OfficerRow(SQLModel, table=True):
    __tablename__ = "officer"
    id: str = Field(primary_key=True)
    roles: list[str] = Field(sa_column=Column(JSON, nullable=False))
    from_on: date
    until_on: date
    deputises: list[str] = Field(sa_column=Column(JSON, nullable=False))
    zones: list[str] = Field(sa_column=Column(JSON, nullable=False))
    cardholder: str | None = None
    ended_on: date | None = None


class OfficerKeyRow(SQLModel, table=True):
    __tablename__ = "officer_key"
    id: str = Field(primary_key=True)
    officer: str = Field(index=True)
    credential: str
    public_key: str
    enrolled_on: date
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
        CalendarRow,
        ScheduleRow,
        ZoneRow,
        ZoneStatusRow,
        SiteStatusRow,
        PortalRow,
        PortalStatusRow,
        DeviceStatusRow,
        WalkRow,
        ItemRow,
        CardholderRow,
        CredentialRow,
        PinRow,
        ClearanceRow,
        NeedToKnowRow,
        RosterRow,
        TrainingRow,
        DeclarationRow,
        VisitRow,
        OverrideRow,
        OfficerRow,
        OfficerKeyRow,
    )
}
assert MODELS.keys() == TABLES.keys(), "every policy table has its model"
