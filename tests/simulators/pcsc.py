"""A pcscd of our own with vsmartcard's virtual reader: what a desk reader is to software."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
SOCKET = Path("/run/pcscd/pcscd.comm")
START_S = 10.0


def free_pair() -> int:
    """A port that is free, and the one behind it: vpcd takes one for each of its two slots."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


@contextlib.contextmanager
def running_pcscd(folder: Path) -> Iterator[int]:
    """Hands out the port at which the first slot waits for its card. One pcscd at a time on a machine."""
    lock = Path(tempfile.gettempdir()) / "sekisho-pcscd.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        port = free_pair()
        (folder / "vpcd").write_text(
            f'FRIENDLYNAME "Virtual desk reader"\nDEVICENAME /dev/null:0x{port:04X}\n'
            f"LIBPATH {DRIVER}\nCHANNELID 0x{port:04X}\n"
        )
        program = shutil.which("pcscd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        SOCKET.parent.mkdir(exist_ok=True)
        daemon = subprocess.Popen(
            [program, "--foreground", "-c", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _await_slot(port, daemon)
            yield port
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(5)
            for left in (SOCKET, SOCKET.with_name("pcscd.pid")):
                left.unlink(missing_ok=True)


def _await_slot(port: int, daemon: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        if f":{port:04X} " in listening and SOCKET.exists():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(0.02)
            raise AssertionError("pcscd ended: does another one run?")
    raise AssertionError("pcscd did not open the virtual reader's port")


class DeskSoftware:
    """The host's side, on pyscard's plain calls: its classes let go of what pcscd took away, and say so at exit."""

    def __init__(self) -> None:
        from smartcard import scard

        self._calls = scard
        self._context = self._made(scard.SCardEstablishContext(scard.SCARD_SCOPE_USER))
        self._card = 0

    def _made(self, answer):
        assert answer[0] == self._calls.SCARD_S_SUCCESS, self._calls.SCardGetErrorMessage(answer[0])
        return answer[1]

    def readers(self) -> list[str]:
        return self._made(self._calls.SCardListReaders(self._context, []))

    def waits(self, *, is_present: bool) -> bytes:
        """Wait until a card lies on the first reader, or none does; hands back its ATR."""
        calls, first = self._calls, self.readers()[0]
        seen = calls.SCARD_STATE_UNAWARE
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            _, states = calls.SCardGetStatusChange(self._context, 1000, [(first, seen)])
            seen, atr = states[0][1], bytes(states[0][2])
            if bool(seen & calls.SCARD_STATE_PRESENT) == is_present:
                return atr
        raise AssertionError("the virtual reader noticed nothing")

    def connect(self) -> None:
        calls = self._calls
        protocols = calls.SCARD_PROTOCOL_T0 | calls.SCARD_PROTOCOL_T1
        answer = calls.SCardConnect(self._context, self.readers()[0], calls.SCARD_SHARE_SHARED, protocols)
        self._card, self._protocol = self._made(answer), answer[2]

    def ask(self, apdu: bytes) -> bytes:
        control = (
            self._calls.SCARD_PCI_T1 if self._protocol == self._calls.SCARD_PROTOCOL_T1 else self._calls.SCARD_PCI_T0
        )
        return bytes(self._made(self._calls.SCardTransmit(self._card, control, list(apdu))))

    def close(self) -> None:
        if self._card:
            self._calls.SCardDisconnect(self._card, self._calls.SCARD_UNPOWER_CARD)
        self._calls.SCardReleaseContext(self._context)
