"""Alembic's entry: runs on the connection that `api.store` hands over; there is no other way in."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import api.signin.tables
import api.tables
import api.transfer.tables  # noqa: F401  registers the tables

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
