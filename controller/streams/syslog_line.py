"""One TLS connection to a syslog receiver (RFC 5425): written to, looked at, and closed so that it proves something.

The proof of `close_in_order`: after our good-bye and the end of our bytes the receiver's kernel ends its side in order,
and acknowledges the end of ours, only when its process has closed a socket without a byte left unread in it. With bytes
left unread, or bytes that come after, it answers with a reset (RFC 1122 §4.2.2.13, RFC 2525 §2.17).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import time
from typing import Final

from controller.streams import tls_files
from controller.streams.sinks import SinkDown

REFUSED_WITHIN_S: Final = 0.2
"""A receiver that refuses our certificate says so within a round trip, after the handshake (RFC 8446 §4.4.2.4). A
receiver that sends session tickets, as OpenSSL does, says within it that it did not.
"""


CHUNKS_MAX: Final = 8
"""A receiver has nothing to say; so much of it is passed over."""
_TCP_CLOSED: Final = 7
"""TCP_CLOSE of the kernel's tcp_states.h: both ends came and were acknowledged, or a reset did."""
_TCP_STATE: Final = getattr(socket, "TCP_INFO", None)
_OPTIONS: Final = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 10_000),
)
"""A receiver without power answers nothing: its line is given up after seconds, and not after the usual quarter of an
hour.
"""


class SyslogLine:
    """Open from its making to `close_in_order` or `hang_up`."""

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, *, timeout_s: float, is_doubted: bool
    ) -> None:
        """Connect. `timeout_s`: for connecting, each write, the end. `is_doubted`: wait a moment for a refusal of our
        certificate. SinkDown where nobody answers, or not as was agreed.
        """
        self._timeout_s = timeout_s
        host, port = address
        try:
            raw = socket.create_connection(address, timeout=timeout_s)
        except TimeoutError:
            raise SinkDown("timeout", f"{host}:{port} does not answer") from None
        except OSError as error:
            raise SinkDown("unreachable", f"{host}:{port}: {error.strerror or 'no such name'}") from None
        try:
            _set_options(raw)
            self._tls = context.wrap_socket(raw, server_hostname=host)
        except TimeoutError:
            raw.close()
            raise SinkDown("timeout", f"{host}:{port} does not answer in TLS") from None
        except OSError as error:
            raw.close()
            why = tls_files.why_refused(error) if isinstance(error, ssl.SSLError) else "it hung up"
            raise SinkDown("tls", f"{host}:{port}: {why}") from None
        self._tls.settimeout(self._timeout_s)
        if is_doubted:
            self._await_refusal()

    def check(self) -> None:
        """Look whether the receiver ended the line. SinkDown where it did, or broke it."""
        self._tls.settimeout(0)
        try:
            for _ in range(CHUNKS_MAX):
                if not self._tls.recv(4096):
                    raise SinkDown("unreachable", "the receiver closed the line")
        except ssl.SSLWantReadError:
            self._tls.settimeout(self._timeout_s)
            return
        except OSError as error:
            raise _broken(error) from None
        raise SinkDown("protocol", "the receiver talks, which a syslog receiver does not")

    def send(self, frame: bytes) -> None:
        """Write one frame into a line that stands. SinkDown where it does not."""
        self.check()
        try:
            self._tls.sendall(frame)
        except OSError as error:
            raise _broken(error) from None

    def close_in_order(self) -> None:
        """End the line, and return once the receiver's process has read every byte of it. SinkDown where that is not
        certain: it broke, or did not end its side in time.
        """
        end = time.monotonic() + self._timeout_s
        try:
            self._say_good_bye(end)
            self._tls.shutdown(socket.SHUT_WR)  # from here on the socket reads past TLS
            self._await_end(end)
            self._await_acknowledgement(end)
        except OSError as error:
            raise _broken(error) from None
        finally:
            self._tls.close()

    def hang_up(self) -> None:
        """End the line, with a good-bye where it can be said at once; it proves nothing."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: it ended before
            self._tls.settimeout(0)
            self._tls.unwrap()
        self._tls.close()

    def _await_refusal(self) -> None:
        if select.select([self._tls], [], [], REFUSED_WITHIN_S)[0]:
            try:
                self.check()
            except SinkDown as down:
                self._tls.close()
                why = f"{down}: is our certificate of its authority? Its log tells"
                raise SinkDown("not_authorized", why) from None

    def _say_good_bye(self, end: float) -> None:
        """close_notify (RFC 8446 §6.1). The receiver's own is not waited for: many send none."""
        self._tls.settimeout(0)
        while True:
            try:
                self._tls.unwrap()
            except ssl.SSLWantWriteError:
                if not select.select([], [self._tls], [], max(0.0, end - time.monotonic()))[1]:
                    raise TimeoutError from None
                continue
            except ssl.SSLError:
                pass  # it is sent; what came back is looked at below TLS
            return

    def _await_end(self, end: float) -> None:
        """Pass over its own good-bye and session tickets. TimeoutError where it does not end."""
        while (rest_s := end - time.monotonic()) > 0:
            self._tls.settimeout(rest_s)
            if not self._tls.recv(4096):
                return
        raise TimeoutError

    def _await_acknowledgement(self, end: float) -> None:
        """OSError where a reset came, TimeoutError where the end of our bytes is not acknowledged."""
        while _TCP_STATE is not None and self._tls.getsockopt(socket.IPPROTO_TCP, _TCP_STATE, 1)[0] != _TCP_CLOSED:
            if time.monotonic() >= end:
                raise TimeoutError
            select.select([], [], [], 0.002)
        if code := self._tls.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))


def _set_options(raw: socket.socket) -> None:
    for level, name, number in _OPTIONS:
        if (option := getattr(socket, name, None)) is not None:  # some are Linux's own
            raw.setsockopt(level, option, number)


def _broken(error: OSError) -> SinkDown:
    if isinstance(error, TimeoutError):
        return SinkDown("timeout", "the receiver does not read")
    if isinstance(error, ssl.SSLError):
        return SinkDown("tls", f"the receiver ended the line ({error.reason or 'without a good-bye'})")
    return SinkDown("unreachable", f"the line broke ({error.strerror or error})")
