"""The first schema: the view of records, the policy in force, live states, names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cursor",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("vkey", sa.String(), nullable=False),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger()),
        sa.Column("type", sa.String()),
        sa.Column("class", sa.String(), nullable=False),
        *(
            sa.Column(name, sa.String())
            for name in ("outcome", "reason", "zone", "portal", "access_point", "direction", "cardholder", "credential")
        ),
        sa.Column("body", sa.Text()),
    )
    op.create_index("event_cardholder", "event", ["cardholder", "seq"])
    op.create_index("event_portal", "event", ["portal", "seq"])
    op.create_table(
        "policy",
        sa.Column("table", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("cardholder", sa.String()),
        sa.Column("zone", sa.String()),
        sa.Column("doc", sa.Text(), nullable=False),
    )
    op.create_index("ix_policy_cardholder", "policy", ["cardholder"])
    op.create_table(
        "portal_live",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger()),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_type", sa.String(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "device",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("portal", sa.String()),
        sa.Column("is_online", sa.Boolean(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "name",
        sa.Column("cardholder", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kana", sa.String(), nullable=False),
        sa.Column("roman", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in ("name", "device", "portal_live", "policy", "event", "cursor"):
        op.drop_table(table)
