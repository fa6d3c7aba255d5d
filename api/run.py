"""Runs the web process: one worker, no access log (addresses carry pseudonyms), TLS where it is set up, a bounded time
to stop.
"""

from __future__ import annotations

from typing import Final

import uvicorn

from api.app import create_app
from api.settings import Settings
from api.tls import Renewal, files_of, harden

STOP_S_MAX: Final = 3


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError or StoreError where it cannot start."""
    server, renewal = served(settings)
    if renewal is not None:
        renewal.start()
    try:
        server.run()
    finally:
        if renewal is not None:
            renewal.stop()


def served(settings: Settings) -> tuple[uvicorn.Server, Renewal | None]:
    """The server, and what renews its certificate. Raises SettingsError."""
    files = files_of(settings)
    config = uvicorn.Config(
        create_app(settings), host=settings.host, port=settings.port, access_log=False, log_level="warning",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=STOP_S_MAX, ws="none", lifespan="on",
        ssl_certfile=None if files is None else files.certificate, ssl_keyfile=None if files is None else files.key,
    )  # fmt: skip
    config.load()
    if config.ssl is None:
        return uvicorn.Server(config), None
    harden(config.ssl)
    return uvicorn.Server(config), Renewal(config.ssl, lambda: files_of(settings))
