"""The plan of the building, as officers draw it: no record's, so that it stays when the view is folded anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_shape",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("x", "y", "w", "h")),
    )


def downgrade() -> None:
    op.drop_table("plan_shape")
