"""All of the policy: calendars, statuses, walks, items, PINs, trainings, declarations, visits, overrides, new fields.

Rows that were there before get what a row without the new fields means (the defaults of `zones`).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLES: dict[str, tuple[sa.Column[Any], ...]] = {
    "calendar": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("days", sa.JSON(), nullable=False),
    ),
    "site_status": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("is_locked_down", sa.Boolean(), nullable=False),
        sa.Column("threat_level", sa.Integer(), nullable=False),
        sa.Column("notice_version", sa.Integer(), nullable=False),
    ),
    "portal_status": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=True),
    ),
    "device_status": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("is_trusted", sa.Boolean(), nullable=False),
        sa.Column("restored_by", sa.String(), nullable=True),
        sa.Column("confirmed_by", sa.String(), nullable=True),
    ),
    "walk": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("one", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.Column("min_ms", sa.Integer(), nullable=False),
    ),
    "item": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("designated_until", sa.Date(), nullable=False),
        sa.Column("contract_until", sa.Date(), nullable=True),
        sa.Column("lifted_on", sa.Date(), nullable=True),
    ),
    "pin": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("pin_hash", sa.String(), nullable=False),
        sa.Column("duress_hash", sa.String(), nullable=True),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
    ),
    "training": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("course", sa.String(), nullable=False),
        sa.Column("done_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
    ),
    "declaration": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("locker", sa.String(), nullable=True),
        sa.Column("permits", sa.JSON(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
    ),
    "visit": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("zones", sa.JSON(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
    ),
    "override": (
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("cardholders", sa.JSON(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("started_by", sa.String(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("from_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
    ),
}
"""New table -> its columns, of which `id` is the key."""

INDEXES = (
    ("training", "cardholder"),
    ("declaration", "cardholder"),
    ("visit", "cardholder"),
)
COLUMNS: tuple[tuple[str, sa.Column[Any]], ...] = (
    ("schedule", sa.Column("calendar", sa.String(), nullable=True)),
    ("zone", sa.Column("company_level", sa.Integer(), nullable=False, server_default="0")),
    ("zone", sa.Column("raised_factors", sa.Integer(), nullable=True)),
    ("zone", sa.Column("raised_outside", sa.String(), nullable=True)),
    ("zone", sa.Column("attended_counts", sa.Boolean(), nullable=False, server_default="0")),
    ("zone", sa.Column("min_link", sa.Integer(), nullable=False, server_default="0")),
    ("zone", sa.Column("apb_ms", sa.Integer(), nullable=True)),
    ("zone", sa.Column("occupancy_min", sa.Integer(), nullable=True)),
    ("zone", sa.Column("dual_window_ms", sa.Integer(), nullable=True)),
    ("zone", sa.Column("needs_opener", sa.Boolean(), nullable=False, server_default="0")),
    ("zone", sa.Column("training", sa.JSON(), nullable=False, server_default="[]")),
    ("zone", sa.Column("declares_devices", sa.Boolean(), nullable=False, server_default="0")),
    ("zone", sa.Column("visitors_allowed", sa.Boolean(), nullable=False, server_default="0")),
    ("zone", sa.Column("escort_ratio", sa.Integer(), nullable=False, server_default="4")),
    ("zone", sa.Column("policy_age_ms_max", sa.Integer(), nullable=True)),
    ("zone", sa.Column("is_vestibule", sa.Boolean(), nullable=False, server_default="0")),
    ("zone", sa.Column("plan_ref", sa.String(), nullable=True)),
    ("zone_status", sa.Column("is_locked_down", sa.Boolean(), nullable=False, server_default="0")),
    ("zone_status", sa.Column("sanitised_by", sa.String(), nullable=True)),
    ("zone_status", sa.Column("sanitised_confirmed_by", sa.String(), nullable=True)),
    ("portal", sa.Column("held_warn_ms", sa.Integer(), nullable=True)),
    ("portal", sa.Column("grade", sa.Integer(), nullable=False, server_default="2")),
    ("portal", sa.Column("reader_link", sa.Integer(), nullable=False, server_default="0")),
    ("portal", sa.Column("relay_in_reader", sa.Boolean(), nullable=False, server_default="0")),
    ("portal", sa.Column("exit_hardware", sa.String(), nullable=False, server_default="SOFTWARE")),
    ("portal", sa.Column("fire_release", sa.String(), nullable=False, server_default="NONE")),
    ("portal", sa.Column("interlock_with", sa.JSON(), nullable=False, server_default="[]")),
    ("portal", sa.Column("unlock_schedule", sa.String(), nullable=True)),
    ("portal", sa.Column("first_in", sa.Boolean(), nullable=False, server_default="0")),
    ("cardholder", sa.Column("kind", sa.String(), nullable=False, server_default="STAFF")),
    ("cardholder", sa.Column("notice_version", sa.Integer(), nullable=False, server_default="0")),
    ("cardholder", sa.Column("held_extra_ms", sa.Integer(), nullable=False, server_default="0")),
    ("clearance", sa.Column("level", sa.Integer(), nullable=False, server_default="0")),
    ("need_to_know", sa.Column("sponsor", sa.String(), nullable=True)),
    ("need_to_know", sa.Column("requested_by", sa.String(), nullable=True)),
    ("need_to_know", sa.Column("approved_by_1", sa.String(), nullable=True)),
    ("need_to_know", sa.Column("approved_by_2", sa.String(), nullable=True)),
    ("need_to_know", sa.Column("recert_on", sa.Date(), nullable=True)),
    ("roster", sa.Column("is_opener", sa.Boolean(), nullable=False, server_default="0")),
    ("roster", sa.Column("is_escort", sa.Boolean(), nullable=False, server_default="0")),
    ("roster", sa.Column("is_minimum", sa.Boolean(), nullable=False, server_default="0")),
    ("roster", sa.Column("may_enter_lockdown", sa.Boolean(), nullable=False, server_default="0")),
    ("roster", sa.Column("schedule", sa.String(), nullable=True)),
)
"""(table, column) of what is new in tables that were there."""


def upgrade() -> None:
    for table, columns in TABLES.items():
        op.create_table(table, *columns, sa.PrimaryKeyConstraint("id"))
    for table, name in INDEXES:
        op.create_index(f"ix_{table}_{name}", table, [name])
    for table, column in COLUMNS:
        op.add_column(table, column)


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
    for table in reversed(TABLES):
        op.drop_table(table)
