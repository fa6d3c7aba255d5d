"""Names become ciphertext; who was forgotten, and who else an event is about. The view is folded anew for both.

Names that stood in the clear are put aside in `name_plain`: `api.names` seals them at its start, where the keys are,
and drops that table. Going back keeps what is sealed in `name_sealed`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.execute(sa.text("SELECT count(*) FROM name")).scalar_one():
        op.rename_table("name", "name_plain")
    else:
        op.drop_table("name")
    if sa.inspect(connection).has_table("name_sealed"):
        op.rename_table("name_sealed", "name")
    else:
        op.create_table(
            "name",
            sa.Column("cardholder", sa.String(), primary_key=True),
            sa.Column("sealed", sa.LargeBinary(), nullable=False),
        )
    op.create_table(
        "forgotten",
        sa.Column("cardholder", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "event_other",
        sa.Column("cardholder", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
    )
    for table in ("event", "policy", "portal_live", "alarm_live", "device", "cursor"):
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def downgrade() -> None:
    op.drop_table("event_other")
    op.drop_table("forgotten")
    op.rename_table("name", "name_sealed")
    op.create_table(
        "name",
        sa.Column("cardholder", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kana", sa.String(), nullable=False),
        sa.Column("roman", sa.String(), nullable=False),
    )
