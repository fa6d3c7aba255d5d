"""api.db: opened for this process alone, with mode 0600, brought to the newest schema by Alembic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
SCHEMA: Final = "0010"
"""The newest migration, held against them by a test. A database that has it is opened without Alembic, which takes ten
megabytes that the pages can use.
"""


class StoreError(RuntimeError):
    """api.db cannot be used. It also holds the names, so it is never thrown away by itself."""


def open_store(path: Path) -> Engine:
    """The engine of the database at `path`, migrated to head. Raises StoreError saying what to do."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine: Engine | None = None
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10}, hide_parameters=True)
        event.listen(engine, "connect", _prepare)
        with engine.begin() as connection:
            if not _is_newest(connection):
                _migrate(connection)
    except (OSError, DatabaseError, StoreError) as error:
        if engine is not None:
            engine.dispose()
        raise StoreError(
            f"{path}: {getattr(error, 'orig', error)}. Restore it from a backup; if it is deleted, all but the names"
            " comes back from the ledger."
        ) from error
    return engine


def _is_newest(connection: Connection) -> bool:
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == SCHEMA
    except OperationalError:
        return False  # a new file


def _migrate(connection: Connection) -> None:
    """Raises StoreError where it has a schema that this program does not know."""
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(str(error)) from error


def _prepare(connection: Any, _: object) -> None:
    """WAL and NORMAL: the view may lose its last commits with the power, the ledger gives them back."""
    try:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()  # SQLAlchemy would forget a connection that was never ready
        raise
