"""How a credential proves itself: `scheme`.

Rows that were there before get none: bare numbers, what nobody said before (the default of `zones`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("credential", sa.Column("scheme", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("credential", "scheme")
