"""Records are searched by zone, type, outcome, day and a refusal's number; and what a second officer is asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = {"event_zone": "zone", "event_type": "type", "event_outcome": "outcome", "event_at": "at_ms"}


def upgrade() -> None:
    op.add_column("event", sa.Column("number", sa.String()))
    op.execute(
        "UPDATE event SET number = json_extract(body, '$.number') WHERE type = 'ACCESS_DENIED' AND json_valid(body)"
    )
    for index, column in {**INDEXES, "event_number": "number"}.items():
        op.create_index(index, "event", [column, "seq"])
    op.create_table(
        "agreement",
        sa.Column("id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("kind", "asker", "purpose", "about")),
        sa.Column("count", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("made_ms", "until_ms")),
        sa.Column("second", sa.String()),
        *(sa.Column(name, sa.BigInteger()) for name in ("agreed_ms", "used_ms")),
    )
    op.create_table(
        "transfer",
        sa.Column("id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("of_register", "officer", "state")),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("proposals", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("undone_by", sa.String()),
    )


def downgrade() -> None:
    op.drop_table("transfer")
    op.drop_table("agreement")
    for index in (*INDEXES, "event_number"):
        op.drop_index(index, "event")
    op.drop_column("event", "number")
