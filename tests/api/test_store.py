"""Opening api.db: quickly where it is the newest, by its migrations where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from api.store import MIGRATIONS, SCHEMA, StoreError, open_store


def test_what_is_opened_without_migrating_is_the_newest_schema():
    """A database of yesterday would be opened as it is, and every page be a fault."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


def test_the_newest_is_opened_without_the_tool_that_made_it(tmp_path: Path):
    """Ten megabytes of a small machine would hold what nobody needs."""
    open_store(tmp_path / "api.db").dispose()
    code = (
        f"import sys, pathlib; from api.store import open_store; open_store(pathlib.Path({str(tmp_path / 'api.db')!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit('alembic' in sys.modules)"], check=False, timeout=60
    )
    assert done.returncode == 0


def test_a_schema_that_nobody_knows_is_not_opened(tmp_path: Path):
    """A database of a newer program would be written into as if it were ours."""
    engine = open_store(tmp_path / "api.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"from-the-future.*Restore it from a backup"):
        open_store(tmp_path / "api.db")
