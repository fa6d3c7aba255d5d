"""api.db: opened for this process alone, with mode 0600, brought to the newest schema by Alembic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

MIGRATIONS = Path(__file__).parent / "migrations"


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
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (OSError, DatabaseError, CommandError) as error:
        if engine is not None:
            engine.dispose()
        raise StoreError(
            f"{path}: {getattr(error, 'orig', error)}. Restore it from a backup; if it is deleted, all but the names"
            " comes back from the ledger."
        ) from error
    return engine


def _prepare(connection: Any, _: object) -> None:
    """WAL and NORMAL: the view may lose its last commits with the power, the ledger gives them back."""
    try:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()  # SQLAlchemy would forget a connection that was never ready
        raise
