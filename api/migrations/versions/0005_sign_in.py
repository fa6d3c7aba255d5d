"""Who is signed in and by what: sessions, counts of passkeys, passwords, API tokens, one-time links."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session",
        sa.Column("id_hash", sa.String(), primary_key=True),
        sa.Column("officer", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String()),
        sa.Column("strength", sa.Integer(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("made_ms", "seen_ms", "until_ms", "fresh_ms")),
        sa.Column("agent", sa.String(), nullable=False),
    )
    op.create_index("ix_session_officer", "session", ["officer"])
    op.create_table(
        "passkey_count",
        sa.Column("credential", sa.String(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "password",
        sa.Column("officer", sa.String(), primary_key=True),
        sa.Column("hashed", sa.String(), nullable=False),
        sa.Column("code_secret", sa.String(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("set_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "signed_in",
        sa.Column("officer", sa.String(), primary_key=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("id_hash", sa.String(), nullable=False, unique=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("officer", "name", "scopes")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("made_ms", "until_ms", "used_ms")),
    )
    op.create_index("ix_api_token_officer", "api_token", ["officer"])
    op.create_table(
        "one_time_link",
        sa.Column("id_hash", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("kind", "who", "made_by")),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    for table in ("one_time_link", "api_token", "signed_in", "password", "passkey_count", "session"):
        op.drop_table(table)
