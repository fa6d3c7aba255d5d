"""Runs the web process: one worker, no access log (addresses carry pseudonyms), a bounded time to stop."""

from __future__ import annotations

from typing import Final

import uvicorn

from api.app import create_app
from api.settings import Settings

STOP_S_MAX: Final = 3


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError or StoreError where it cannot start."""
    uvicorn.run(
        create_app(settings), host=settings.host, port=settings.port, access_log=False, log_level="warning",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=STOP_S_MAX, ws="none", lifespan="on",
    )  # fmt: skip
