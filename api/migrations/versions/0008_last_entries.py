"""When somebody was last seen to enter a zone, kept beside the events: for rosters and reviews of a thousand people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "last_entry",
        sa.Column("cardholder", sa.String(), primary_key=True),
        sa.Column("zone", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_last_entry_zone", "last_entry", ["zone"])
    op.create_index("ix_last_entry_seq", "last_entry", ["seq"])
    op.execute(
        "INSERT INTO last_entry (cardholder, zone, seq, at_ms) "
        "SELECT cardholder, zone, max(seq), coalesce(at_ms, 0) FROM event "
        "WHERE type = 'PASSAGE' AND direction = 'IN' AND cardholder IS NOT NULL AND zone IS NOT NULL "
        "GROUP BY cardholder, zone"
    )


def downgrade() -> None:
    op.drop_table("last_entry")
