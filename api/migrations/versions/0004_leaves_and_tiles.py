"""Leaves and tiles of the ledger, and its newest checkpoint. The view is folded anew from record 0: all are there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leaf",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "tile",
        sa.Column("level", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("nth", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("grown", sa.LargeBinary(), nullable=False),
    )
    op.add_column("cursor", sa.Column("checkpoint", sa.Text(), nullable=False, server_default=""))
    for table in ("event", "policy", "portal_live", "alarm_live", "device", "event_other", "forgotten", "cursor"):
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def downgrade() -> None:
    op.drop_column("cursor", "checkpoint")
    op.drop_table("tile")
    op.drop_table("leaf")
