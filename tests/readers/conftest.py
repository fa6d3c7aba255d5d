"""Wires for the tests of readers: ptys with the far end in the test's hand, a real Mosquitto, and queues to wait on."""

from __future__ import annotations

import os
import pty
import queue
import select
import shutil
import socket
import subprocess
import threading
import time
import tty
from pathlib import Path

import pytest

from readers.events import MessageRefused

WITHIN_S = 10.0
"""How long a test waits for what must happen: far longer than it takes, on a busy machine."""


class Told:
    """Events in the order in which they were told, from whatever thread."""

    def __init__(self) -> None:
        self._queue: queue.Queue[object] = queue.Queue()
        self.woken = threading.Event()

    def __call__(self, event: object) -> None:
        self._queue.put(event)

    def wake(self) -> None:
        self.woken.set()

    def next(self, within_s: float = WITHIN_S) -> object:
        return self._queue.get(timeout=within_s)

    def until(self, wanted: object, within_s: float = WITHIN_S) -> list[object]:
        """Everything told up to and including `wanted`; fails naming what came instead."""
        seen: list[object] = []
        end = time.monotonic() + within_s
        while wanted not in seen:
            try:
                seen.append(self._queue.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"never told {wanted}; told {seen}")
        return seen

    def until_refused(self, source: str, why: str, within_s: float = WITHIN_S) -> list[object]:
        """Everything told up to and including the refusal of a message of `source`."""
        return self.until(MessageRefused(source=source, why=why), within_s)

    def drained(self) -> list[object]:
        seen = []
        while not self._queue.empty():
            seen.append(self._queue.get_nowait())
        return seen


@pytest.fixture
def told() -> Told:
    return Told()


class FarEnd:
    """A pty whose far end the test holds: `path` is what the product opens."""

    def __init__(self) -> None:
        self._far, self._near = pty.openpty()
        tty.setraw(self._near)
        self.path = os.ttyname(self._near)
        self._is_plugged = True

    def send(self, chunk: bytes) -> None:
        os.write(self._far, chunk)

    def receive(self, size: int, within_s: float = WITHIN_S) -> bytes:
        got = b""
        end = time.monotonic() + within_s
        while len(got) < size:
            ready, _, _ = select.select([self._far], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                pytest.fail(f"expected {size} bytes, got {got.hex(' ')}")
            got += os.read(self._far, size - len(got))
        return got

    def fileno(self) -> int:
        return self._far

    def unplug(self) -> None:
        if self._is_plugged:
            self._is_plugged = False
            os.close(self._far)
            os.close(self._near)


@pytest.fixture
def plug():
    """Make far ends; all are unplugged afterwards."""
    made: list[FarEnd] = []

    def make() -> FarEnd:
        made.append(FarEnd())
        return made[-1]

    yield make
    for one in made:
        one.unplug()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A Mosquitto on a port of this machine, which can be killed and started again there."""

    def __init__(self, folder: Path, extra: str = "", listener: str = "") -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if program is None:
            pytest.fail("mosquitto is not installed: `make test` installs it")
        self.port = free_port()
        self._program = program
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\n{listener}\nuser {os.environ.get('USER', 'root') or 'root'}\n"
            f"set_tcp_nodelay true\n{extra or 'allow_anonymous true'}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                pytest.fail(f"mosquitto ended with {self._process.returncode}")
            with socket.socket() as probe:
                probe.settimeout(0.2)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            select.select([], [], [], 0.02)
        pytest.fail("mosquitto does not listen")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def make_broker(tmp_path):
    made: list[Broker] = []

    def make(**options: str) -> Broker:
        made.append(Broker(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def broker(make_broker) -> Broker:
    return make_broker()
