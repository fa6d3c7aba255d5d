"""Alembic's entry: runs migrations on the connection that `controller.site.schema` hands over."""

from alembic import context
from sqlmodel import SQLModel

from controller.site import tables

connection = context.config.attributes["connection"]
ours = {*tables.MODELS, str(tables.SiteMeta.__tablename__)}
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    include_name=lambda name, kind, _: kind != "table" or name in ours,
    include_object=lambda _object, name, kind, *_: kind != "table" or name in ours,
)
with context.begin_transaction():
    context.run_migrations()
