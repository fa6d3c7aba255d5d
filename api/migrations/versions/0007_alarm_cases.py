"""Alarms until they are handled, last places, the roll call. The view is folded anew from record 0: all are there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FOLDED = (
    *("event", "policy", "portal_live", "alarm_live", "device", "event_other", "forgotten", "cursor", "leaf", "tile"),
    "suggestion",
)


def upgrade() -> None:
    op.create_table(
        "alarm_case",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("row", sa.String(), nullable=False),
        sa.Column("portal", sa.String()),
        sa.Column("zone", sa.String()),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger()),
        sa.Column("is_doubted", sa.Boolean(), nullable=False),
        sa.Column("handled_seq", sa.BigInteger()),
        sa.Column("handled_ms", sa.BigInteger()),
        sa.Column("cause", sa.String()),
        sa.Column("officer", sa.String()),
    )
    op.create_index("alarm_case_kind", "alarm_case", ["kind", "row"])
    op.create_index("alarm_case_handled", "alarm_case", ["handled_seq"])
    op.create_table(
        "presence",
        sa.Column("cardholder", sa.String(), primary_key=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("portal", sa.String()),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_certain", sa.Boolean(), nullable=False),
        sa.Column("was_certain", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_presence_zone", "presence", ["zone"])
    op.create_table(
        "roll",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_drill", sa.Boolean(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger()),
        sa.Column("is_doubted", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "roll_tick",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("roll", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_found", sa.Boolean(), nullable=False),
        sa.Column("officer", sa.String(), nullable=False),
    )
    op.create_index("ix_roll_tick_roll", "roll_tick", ["roll"])
    for table in FOLDED:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def downgrade() -> None:
    for table in ("roll_tick", "roll", "presence", "alarm_case"):
        op.drop_table(table)
