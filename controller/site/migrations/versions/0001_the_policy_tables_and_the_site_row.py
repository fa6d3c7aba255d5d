"""The policy tables and the site row"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "cardholder",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "clearance",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("notified_on", sa.Date(), nullable=False),
        sa.Column("last_valid_on", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("clearance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_clearance_cardholder"), ["cardholder"], unique=False)

    op.create_table(
        "credential",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("number_hash", sa.String(), nullable=False),
        sa.Column("last4", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number_hash"),
    )
    op.create_table(
        "need_to_know",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("purpose_code", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("is_suspended", sa.Boolean(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("need_to_know", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_need_to_know_cardholder"), ["cardholder"], unique=False)

    op.create_table(
        "portal",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name_ja", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("outer", sa.String(), nullable=False),
        sa.Column("inner", sa.String(), nullable=False),
        sa.Column("lock_type", sa.String(), nullable=False),
        sa.Column("has_contact", sa.Boolean(), nullable=False),
        sa.Column("has_entry_reader", sa.Boolean(), nullable=False),
        sa.Column("has_exit_reader", sa.Boolean(), nullable=False),
        sa.Column("has_rex", sa.Boolean(), nullable=False),
        sa.Column("is_escape", sa.Boolean(), nullable=False),
        sa.Column("release_ms", sa.Integer(), nullable=False),
        sa.Column("held_after_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "roster",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cardholder", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("review_on", sa.Date(), nullable=False),
        sa.Column("is_suspended", sa.Boolean(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("roster", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_roster_cardholder"), ["cardholder"], unique=False)
        batch_op.create_index(batch_op.f("ix_roster_zone"), ["zone"], unique=False)

    op.create_table(
        "schedule",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("windows", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "site_meta",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("total", sa.String(), nullable=False),
        sa.Column("seal", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "zone",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name_ja", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("accepted_bases", sa.JSON(), nullable=False),
        sa.Column("min_factors", sa.Integer(), nullable=True),
        sa.Column("uid_accepted", sa.Boolean(), nullable=False),
        sa.Column("anti_passback", sa.String(), nullable=False),
        sa.Column("occupancy_max", sa.Integer(), nullable=True),
        sa.Column("schedule", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "zone_status",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("zone_status")
    op.drop_table("zone")
    op.drop_table("site_meta")
    op.drop_table("schedule")
    with op.batch_alter_table("roster", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_roster_zone"))
        batch_op.drop_index(batch_op.f("ix_roster_cardholder"))

    op.drop_table("roster")
    op.drop_table("portal")
    with op.batch_alter_table("need_to_know", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_need_to_know_cardholder"))

    op.drop_table("need_to_know")
    op.drop_table("credential")
    with op.batch_alter_table("clearance", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_clearance_cardholder"))

    op.drop_table("clearance")
    op.drop_table("cardholder")
