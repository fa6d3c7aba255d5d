"""A real Mosquitto on a free loopback port, with the queues that we ship for a site's broker, else its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_S_MAX: Final = 10
SHIPPED: Final = Path(__file__).resolve().parents[1] / "deploy" / "mosquitto.conf"
"""What a site is told to give its broker; only what it says of queues is taken from it."""


def mosquitto() -> str | None:
    """The program, also where Debian puts daemons; None where it is not installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Its port. What a burst does to its queues is part of the question."""
    program = mosquitto()
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = folder / "mosquitto.conf"
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", *shipped_queues()]
    settings.write_text("\n".join(lines) + "\n", "utf-8")
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(settings)], stdout=log, stderr=log)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def shipped_queues() -> list[str]:
    """The lines about queues of the broker settings that we ship."""
    try:
        lines = SHIPPED.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if line.startswith(("max_queued_", "max_inflight_"))]


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
