"""Serial ports and ptys for the loop's selector (pyserial opens and configures; reads and writes go to the
descriptor).

Owns the bytes of one line. Refuses: a second program on the same port (exclusive), `socket://` anywhere but to
loopback in simulation (a card reader or relay on a network without authentication is open to everybody on it), and to
hold more than WRITE_HELD_BYTES_MAX bytes for a line that takes none.

A read costs one system call: pyserial's own `read` costs 1.5 to 1.7 times a blocking read, a thread per port 2.5 to 4
times.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import termios
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from readers.backoff import Backoff
from readers.errors import TransportError

if TYPE_CHECKING:
    from serial import SerialBase

__all__ = ["LCUS_BAUD", "PN532_BAUD", "Backoff", "SerialLine"]

PN532_BAUD: Final = 115_200
LCUS_BAUD: Final = 9_600
READ_BYTES_MAX: Final = 4_096
WRITE_HELD_BYTES_MAX: Final = 4_096

_NO_PERMISSION: Final = (
    "no permission: add the controller's account to the group dialout (`usermod -aG dialout ACCOUNT`) and start it anew"
)
_TAKEN: Final = "another program holds it: `fuser -v PORT` names it"
_GONE: Final = "the device behind it is gone: plug it in again"
_WHAT_TO_DO: Final = {
    errno.ENOENT: "there is no such port: is it plugged in? `ls -l /dev/serial/by-id/` shows the lasting names",
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EAGAIN: _TAKEN,
    errno.EBUSY: _TAKEN,
    errno.EIO: _GONE,
    errno.ENXIO: _GONE,
    errno.ENODEV: _GONE,
    errno.ECONNREFUSED: "nothing listens there: is the simulation running?",
}


class SerialLine:
    """One line, opened non-blocking.

    Args:
        url: an absolute device path (`/dev/serial/by-id/…`, a pty, a symlink to either), or `socket://127.0.0.1:PORT`
        in simulation. baud: bits per second; meaningless on a pty or socket. simulation: whether `socket://` to
        loopback is allowed.

    Raises:
        ValueError: the url is none of those; the message says what to write instead.
    """

    def __init__(self, url: str, baud: int, *, simulation: bool = False) -> None:
        _refuse_unfit(url, simulation=simulation)
        self._url = url
        self._baud = baud
        self._baud_now = baud
        self._port: SerialBase | None = None
        self._fd = -1
        self._held = bytearray()

    @property
    def url(self) -> str:
        """What was configured."""
        return self._url

    @property
    def baud(self) -> int:
        """Bits per second of the open line; of the next one while closed."""
        return self._baud if self._port is None else self._baud_now

    @property
    def is_open(self) -> bool:
        """Whether `fileno()` may be watched."""
        return self._port is not None

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the line: watch it for writing and call `flush()`."""
        return bool(self._held)

    def open(self) -> None:
        """Open the port for this program alone, dropping what it received before. TransportError when it cannot be
        had.
        """
        import serial  # a site without serial lines starts without it

        self.close()
        try:
            if self._url.startswith("/"):
                port = serial.Serial(self._url, self._baud, timeout=0, write_timeout=0, exclusive=True)
            else:
                port = serial.serial_for_url(self._url, self._baud, timeout=0)
        except (OSError, ValueError) as why:  # SerialException is an OSError
            raise TransportError(f"cannot open {self._url}: {_advice(why)}") from why
        try:
            fd = port.fileno()
            os.set_blocking(fd, False)
            _make_silence_differ_from_hangup(fd)
        except (OSError, termios.error) as why:
            port.close()
            raise TransportError(f"cannot configure {self._url}: {why}") from why
        self._port = port
        self._fd = fd
        self._baud_now = self._baud

    def set_baud(self, baud: int) -> None:
        """Change the speed of the open line, once what was written has left it; the next `open()` begins at the first
        speed again. TransportError when the line is broken or cannot go at this speed; RuntimeError while bytes are
        still held (`wants_write`): they belong to the old speed.

        Waits until the last byte is out: at most the few bytes that an adapter holds, and only when a speed changes.
        """
        if self._port is None:
            raise TransportError(f"{self._url} is not open")
        if self._held:
            raise RuntimeError(f"{len(self._held)} bytes still wait for {self._url}")
        try:
            if self._url.startswith("/"):
                termios.tcdrain(self._fd)
                self._port.baudrate = baud
                _make_silence_differ_from_hangup(self._fd)  # pyserial has set VMIN anew
        except (OSError, ValueError, termios.error) as why:
            raise TransportError(f"{self._url} cannot go at {baud} baud: {_advice(why)}") from why
        self._baud_now = baud

    def fileno(self) -> int:
        """The descriptor for the selector. RuntimeError while closed."""
        if self._port is None:
            raise RuntimeError(f"{self._url} is not open")
        return self._fd

    def read(self) -> bytes:
        """What has arrived, b"" when nothing has. TransportError when the line hung up."""
        if self._port is None:
            raise TransportError(f"{self._url} is not open")
        try:
            chunk = os.read(self._fd, READ_BYTES_MAX)
        except BlockingIOError:
            return b""
        except OSError as why:
            raise TransportError(f"{self._url} broke: {_advice(why)}") from why
        if not chunk:
            raise TransportError(f"{self._url} hung up")
        return chunk

    def write(self, chunk: bytes) -> None:
        """Send `chunk` now, or hold what the line does not take yet. TransportError when it is broken or takes
        nothing.
        """
        if self._port is None:
            raise TransportError(f"{self._url} is not open")
        if len(self._held) + len(chunk) > WRITE_HELD_BYTES_MAX:
            raise TransportError(f"{self._url} takes no bytes: {len(self._held)} are waiting")
        self._held += chunk
        self.flush()

    def flush(self) -> None:
        """Try to send what is held. TransportError when the line is broken."""
        while self._held:
            try:
                sent = os.write(self._fd, self._held)
            except BlockingIOError:
                return
            except OSError as why:
                raise TransportError(f"{self._url} broke: {_advice(why)}") from why
            del self._held[:sent]

    def close(self) -> None:
        """Let the port go; bytes that it did not take are dropped, never sent later. May be called at any time."""
        port, self._port = self._port, None
        self._held.clear()
        self._fd = -1
        if port is not None:
            try:
                port.close()
            except (OSError, termios.error):
                return  # an unplugged port cannot be closed politely, and is closed


def _refuse_unfit(url: str, *, simulation: bool) -> None:
    if url.startswith("/"):
        return
    parts = urlsplit(url)
    if parts.scheme != "socket":
        raise ValueError(
            f"{url!r} is no serial line: write an absolute path, best one under /dev/serial/by-id/ "
            "(it stays the same when replugged)"
        )
    if not simulation:
        raise ValueError(
            f"{url!r}: a serial line over the network has no authentication and is refused; write a device path, "
            "or set simulation = true to reach a simulator on this machine"
        )
    if not _is_loopback(parts.hostname) or parts.port is None:
        raise ValueError(
            f"{url!r}: even in simulation socket:// reaches this machine only: write socket://127.0.0.1:PORT"
        )


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, even localhost, is whatever the resolver says


def _make_silence_differ_from_hangup(fd: int) -> None:
    """With pyserial's VMIN=0 a terminal answers b"" both to "nothing yet" and to "unplugged"; with VMIN=1 silence is
    EAGAIN.
    """
    if not os.isatty(fd):
        return
    attributes = termios.tcgetattr(fd)
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def _advice(why: Exception) -> str:
    code = why.errno if isinstance(why, OSError) else None
    if code is None and isinstance(why.__context__, OSError):
        code = why.__context__.errno
    return _WHAT_TO_DO.get(code, str(why)) if code is not None else str(why)
