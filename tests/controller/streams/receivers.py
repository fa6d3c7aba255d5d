"""Receivers of syslog over TLS: a real rsyslog, and one that a test plays by hand to lose what it likes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from tests.deploy.certificates import Authority
from tests.readers.conftest import WITHIN_S, free_port

SNIPPET = Path(__file__).parents[3] / "deploy" / "rsyslog-receiver.conf"
SEQ = re.compile(rb' seq="(\d+)"')


class Rsyslog:
    """An rsyslog with the settings that we ship, as an ordinary process; only paths and the port are another's."""

    def __init__(self, folder: Path, site: Authority) -> None:
        self.port = free_port()
        self.stored = folder / "sekisho.log"
        text = SNIPPET.read_text("utf-8").replace("/etc/rsyslog.d/certs/ca.pem", str(site.ca))
        text = text.replace("/etc/rsyslog.d/certs/", f"{site.folder}/").replace('port="6514"', f'port="{self.port}"')
        text = text.replace("/var/log/sekisho.log", str(self.stored))
        self._config = folder / "rsyslog.conf"
        self._config.write_text(f'global(workDirectory="{folder}")\n{text}', "utf-8")
        self._pid = folder / "rsyslog.pid"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        assert program is not None
        self._pid.unlink(missing_ok=True)
        command = [program, "-n", "-f", str(self._config), "-i", str(self._pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end:
            assert self._process.poll() is None, "rsyslog does not take the settings that we ship"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.02)
        raise AssertionError("rsyslog does not listen")

    def freeze(self) -> None:
        """It stays, and reads nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Without a chance to store what it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WITHIN_S)
            self._process = None

    def numbers(self, *, last: int) -> list[int]:
        """The numbers of what is stored, in the order of storing, once record `last` is."""
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end:
            held = self.stored.read_bytes() if self.stored.exists() else b""
            numbers = [int(one) for one in SEQ.findall(held)]
            if last in numbers:
                return numbers
            threading.Event().wait(0.02)
        raise AssertionError(f"record {last} is not stored")


class ByHand:
    """A receiver in memory. It stores what it reads, or keeps it in a queue that it loses with its life."""

    def __init__(self, site: Authority) -> None:
        self.read: list[int] = []
        self.stored: list[int] = []
        self.is_storing = True
        self.is_reading = threading.Event()
        self.is_reading.set()
        self.dies_at: int | None = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(site.folder / "receiver.pem", site.folder / "receiver.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._is_dead = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def until(self, last: int) -> None:
        """Wait until it has read record `last`."""
        end = time.monotonic() + WITHIN_S
        while last not in self.read:
            assert time.monotonic() < end, f"record {last} is not read"
            threading.Event().wait(0.01)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._is_dead = True
        for one in self._open if self.is_reading.is_set() else ():
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)  # without a good-bye
        self.is_reading.set()
        for thread in self._threads:
            thread.join(WITHIN_S)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(raw,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(raw),
            self._context.wrap_socket(raw, server_side=True) as line,
        ):
            self._open.append(line)
            held = b""
            while True:
                self.is_reading.wait()
                if self._is_dead:
                    return  # with what it had not read: its kernel says so by a reset
                chunk = line.recv(16384)
                if not chunk:
                    return
                held = self._taken(held + chunk)

    def _taken(self, held: bytes) -> bytes:
        """Whole frames out of `held`; what is left of it."""
        while (found := re.match(rb"(\d+) ", held)) and len(held) >= found.end() + int(found[1]):
            message, held = held[found.end() : found.end() + int(found[1])], held[found.end() + int(found[1]) :]
            seq = SEQ.search(message)
            assert seq is not None
            self.read.append(int(seq[1]))
            if self.read[-1] == self.dies_at:
                raise OSError  # its end closes, with or without something unread
            if self.is_storing:
                self.stored.append(int(seq[1]))
        return held
