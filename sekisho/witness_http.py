"""A witness's face: C2SP `tlog-witness` over HTTP/1.1, and over TLS where it has a certificate (docs/witness.md).

Anybody may speak to it. A request is small, its connection lives for half a minute at most, so many are served at once
and so many a second; what is beyond that is turned away. Nothing of a request is believed: the judge sees to that.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

BODY_BYTES_MAX: Final = 32 * 1024
CONNECTIONS_MAX: Final = 32
SILENCE_S_MAX: Final = 10.0
LIFE_S_MAX: Final = 30.0
REQUESTS_PER_S: Final = 10
REQUESTS_BURST: Final = 60

PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `headers` stand beside the usual ones."""

    status: int
    body: str
    content_type: str = PLAIN
    headers: dict[str, str] = field(default_factory=dict)


class WitnessServer(ThreadingHTTPServer):
    """Serves `routes`, by path: each takes the body of a POST and gives the reply, one request at a time.

    Args:
        address: host and port; port 0 is any free one (`server_address` tells).
        routes: called from the connections' threads, never two at once.
        tls: the certificate, for TLS.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS_MAX

    def __init__(
        self,
        address: tuple[str, int],
        routes: Mapping[str, Callable[[bytes], Reply]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self._routes = routes
        self._tls = tls
        self._one_at_a_time = threading.Lock()
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._open: dict[socket.socket, float] = {}
        self._guard = threading.Lock()
        self._tokens = float(REQUESTS_BURST)
        self._refilled_at = time.monotonic()

    def server_bind(self) -> None:
        """Without http.server's question to the name service, which may not answer for minutes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def answer(self, path: str, body: bytes) -> Reply:
        """The reply to a POST. Raises nothing that a request could make it raise."""
        route = self._routes.get(path)
        if route is None:
            return Reply(status=404, body="POST /add-checkpoint\n")
        if not self._take_token():
            return Reply(status=429, body="too many requests\n", headers={"Retry-After": "2"})
        with self._one_at_a_time:
            return route(body)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for one more connection, where there is room; else it is closed unanswered."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._guard:
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, to its end."""
        opened_at = self._open[request]
        served = request
        try:
            request.settimeout(SILENCE_S_MAX)
            if self._tls is not None:
                served = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                with self._guard:
                    del self._open[request]
                    self._open[served] = opened_at
                served.do_handshake()
            self.finish_request(served, client_address)
        except OSError:
            pass  # it went away, was too slow, or does not speak our TLS: nothing was asked of us
        finally:
            with self._guard:
                self._open.pop(served, None)
            self.shutdown_request(served)
            self._places.release()

    def service_actions(self) -> None:
        """Twice a second: whoever takes too long, byte by byte, makes room for others."""
        oldest = time.monotonic() - LIFE_S_MAX
        with self._guard:
            late = [one for one, opened_at in self._open.items() if opened_at < oldest]
        for one in late:
            try:
                socket.socket.shutdown(
                    one, socket.SHUT_RDWR
                )  # the line's own: TLS would be pulled from under its thread
            except OSError:
                continue  # it has gone by itself

    def _take_token(self) -> bool:
        with self._guard:
            at = time.monotonic()
            self._tokens = min(REQUESTS_BURST, self._tokens + (at - self._refilled_at) * REQUESTS_PER_S)
            self._refilled_at = at
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class _Handler(BaseHTTPRequestHandler):
    """Reads one request after another from a connection."""

    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "sekisho-witness"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece: else the body waits 40 ms for an acknowledgement
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = PLAIN

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._refuse(411, "say how long the request is")
        elif len(length) > 9 or int(length) > BODY_BYTES_MAX:
            self._refuse(413, f"a request has at most {BODY_BYTES_MAX} bytes")
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                self._send(self.server.answer(self.path, body))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing about who asked."""

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True  # its body is not read
        self._send(Reply(status=status, body=f"{why}\n", headers={"Connection": "close"}))

    def _send(self, reply: Reply) -> None:
        octets = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(octets)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)
        self.wfile.flush()
