"""Credentials that can prove themselves: `has_key`.

Rows that were there before get False: what nobody said before (the default of `zones`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("credential", sa.Column("has_key", sa.Boolean(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("credential", "has_key")
