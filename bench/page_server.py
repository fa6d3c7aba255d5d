"""The web process with a big house, as `sekisho api` runs it, without a controller (`bench.page_house`).

Prints its port. Told "move N RATE" on its input it has so many things happen, so many a second.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.settings import Settings
from controller.link.messages import Status


def _moves(app: FastAPI, count: int, rate: float) -> None:
    """Things happen: every page that is open hears it and asks again."""
    parts = app.state.parts
    began = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        status = Status(
            at_ms=time.time_ns() // 1_000_000, boot="b", size=parts.view.seq + 1, revision="0" * 64,
            is_ledger_writable=True, is_clock_trusted=True, deviations=[], devices_offline=[f"d-{number % 2}"],
        )  # fmt: skip
        parts.view.heard(status)
        parts.broadcast.stir()


def _listens(app: FastAPI) -> None:
    for line in sys.stdin:
        _, count, rate = line.split()
        _moves(app, int(count), float(rate))
        print("moved", flush=True)


def main(folder: Path) -> None:
    app = create_app(
        Settings(socket=folder / "none.sock", state_dir=folder, port=0, origin="http://localhost", streams_max=256)
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1_024)
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=_listens, args=(app,), daemon=True).start()
        uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
