"""Modes of portals, alarms that last. The view is folded anew, so that both are what the ledger says."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("portal_live", sa.Column("mode", sa.String(), nullable=False, server_default="CARD"))
    op.create_table(
        "alarm_live",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("place", sa.String(), primary_key=True),
        sa.Column("portal", sa.String()),
        sa.Column("zone", sa.String()),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
    )
    for table in ("event", "policy", "portal_live", "device", "cursor"):
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def downgrade() -> None:
    op.drop_table("alarm_live")
    op.drop_column("portal_live", "mode")
