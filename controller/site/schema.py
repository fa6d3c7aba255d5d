"""Opens site.db for writing and brings it to this program's schema (Alembic migrations beside this file)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, event
from sqlmodel import create_engine

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK_S_MAX = 1.0
"""Nobody else writes here: a lock that lasts longer is reported, and tried again later."""


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the site database at `url`; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def open_site(path: Path) -> Engine:
    """An engine on site.db, migrated to the head. Raises SQLAlchemyError or OSError where the file cannot be used."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": LOCK_S_MAX})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, where we say
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    config = alembic_config(url.render_as_string())
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        engine.dispose()
        raise OSError(f"{path} was written by a newer program ({error}); it is left alone") from error
    except BaseException:
        engine.dispose()
        raise
    return engine
