"""The webhook sink: each record a POST of its own, signed as Standard Webhooks 1.0.0 says (docs/streams.md §8).

One record a request, because `webhook-id` is the name of one event: a receiver that keeps ids leaves out what it has,
with anybody's library. 2xx acknowledges; whatever else does not, and nothing is skipped. The other side is not trusted:
no redirects, no proxies from the environment, an answer read up to a bound and within a deadline.

`http.client` and no more: of a larger library we would switch off what it adds (redirects, retries, proxies, cookies).
"""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from controller.streams import tls_files
from controller.streams.outgoing import Outgoing, stream_record
from controller.streams.section import Seconds, SinkRefused, SinkSection, read_secret
from controller.streams.sinks import SinkDown
from controller.streams.webhook_signature import parse_secret, signature, webhook_id

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_BYTES_MAX: Final = 64 * 1024
"""More of an answer is not read; the connection is closed instead."""

TYPE: Final = "sekisho.record"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

CODES: Final = {
    401: "not_authorized",
    403: "not_authorized",
    407: "not_authorized",
    408: "timeout",
    410: "gone",
    425: "busy",
    429: "busy",
    502: "busy",
    503: "busy",
    504: "busy",
}
"""Status of an answer -> why the sink is down; all others that are not 2xx are `rejected`."""


class WebhookSection(SinkSection, frozen=True, kw_only=True, tag="webhook"):
    """`url`: https, or http to this machine alone. `secret_file`: `whsec_...`; `old_secret_file`: the one before, which
    signs as well while a receiver is given the new one. `ca_file`: whose certificates are believed instead of the
    system's. `cert_file`, `key_file`: ours. `timeout_s`: for one request, all in all.
    """

    url: str
    secret_file: Path
    old_secret_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    timeout_s: Seconds = 20.0

    def __post_init__(self) -> None:
        _checked_url(self.url)
        if (self.cert_file is None) != (self.key_file is None):
            raise SinkRefused("cert_file", "give cert_file and key_file together, or neither")
        if self.cert_file is not None and self.ca_file is None:
            raise SinkRefused("ca_file", "who knows us by a certificate has an authority of his own: give it")


def _checked_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_sound = parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError as error:
        raise SinkRefused("url", f"is no URL: {error}") from None
    host = parts.hostname or ""
    if not is_sound or not host or parts.scheme not in ("https", "http"):
        raise SinkRefused("url", "must be like https://audit.example/sekisho")
    if parts.scheme == "http" and host not in tls_files.LOOPBACK:
        raise SinkRefused("url", "records leave this machine under TLS only: https://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise SinkRefused("url", "holds a secret or a fragment; the signature says who we are")
    return parts


class WebhookSink:
    """Posts to one address. Used by one thread.

    Args:
        section: its settings.
        keys: what signs, the present one first.
        now_ms: UTC, epoch.
    """

    batch_max = 64

    def __init__(self, section: WebhookSection, keys: Sequence[bytes], now_ms: Callable[[], int]) -> None:
        self._section = section
        self._keys = tuple(keys)
        self._now_ms = now_ms
        self._url = _checked_url(section.url)
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        """Post each record of `batch`, in order. SinkDown at the first that is not acknowledged, with how many were."""
        for count, one in enumerate(batch):
            try:
                self._post(one)
            except SinkDown as down:
                self.close()
                raise SinkDown(down.code, str(down), retry_after_s=down.retry_after_s, acknowledged=count) from down
        return len(batch)

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _post(self, one: Outgoing) -> None:
        """One record. SinkDown where it is not acknowledged."""
        payload, webhook, timestamp_s = payload_of(one), webhook_id(one.number), self._now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "sekisho-streams",
            "webhook-id": webhook,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signature(self._keys, webhook, timestamp_s, payload),
        }
        was_kept = self._connection is not None
        try:
            status, retry_after = self._exchange(payload, headers)
        except SinkDown as down:
            if not (was_kept and isinstance(down.__cause__, ConnectionError)):
                raise
            # A connection that was kept may have been closed meanwhile, which says nothing: once more, on a fresh one.
            self.close()
            status, retry_after = self._exchange(payload, headers)
        if not 200 <= status < 300:
            retry_after_s = _retry_after_s(retry_after, self._now_ms())
            raise SinkDown(CODES.get(status, "rejected"), f"answered {status}", retry_after_s=retry_after_s)

    def _exchange(self, payload: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Status and Retry-After of the answer. SinkDown where there is none."""
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        connection, timeout_s = self._connected(), self._section.timeout_s
        with _deadline(connection, timeout_s) as is_over:
            try:
                connection.request("POST", path, payload, headers)
                answer = connection.getresponse()
                said = answer.read(ANSWER_BYTES_MAX)
                if len(said) < ANSWER_BYTES_MAX and answer.length:  # cut off: who knows what it wanted to say
                    raise http.client.IncompleteRead(said, answer.length)
            except (http.client.HTTPException, OSError) as error:
                if is_over.is_set():
                    raise SinkDown("timeout", f"no whole answer within {timeout_s:g} s") from None
                raise self._down(error) from error
        if len(said) == ANSWER_BYTES_MAX or answer.will_close:
            self.close()
        return answer.status, answer.getheader("retry-after") or ""

    def _connected(self) -> http.client.HTTPConnection:
        """The connection, opened where there is none. SinkDown where it cannot be."""
        if self._connection is not None:
            return self._connection
        host, port, timeout_s = self._url.hostname or "", self._url.port, self._section.timeout_s
        if self._url.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout_s, context=self._context()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self._down(error) from error
        self._connection = connection
        return connection

    def _down(self, error: Exception) -> SinkDown:
        """What an exception of the connection says about the other side."""
        where = self._url.netloc
        match error:
            case TimeoutError():
                return SinkDown("timeout", f"{where} does not answer")
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionError():
                return SinkDown("unreachable", f"{where} hung up, or refuses connections: {error}")
            case ssl.SSLError():
                return SinkDown("tls", f"{where}: {tls_files.why_refused(error)}")
            case OSError():
                return SinkDown("unreachable", f"{where}: {error.strerror or error}")
        return SinkDown("protocol", f"{where} answered what is no HTTP: {type(error).__name__}")

    def _context(self) -> ssl.SSLContext:
        section = self._section
        if section.ca_file is not None:
            return tls_files.client_context(section.ca_file, section.cert_file, section.key_file, "1.2")
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[threading.Event]:
    """End the connection after `seconds`, however slowly bytes drip in; the event says that it was so."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        if (line := connection.sock) is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()
        timer.join()


def payload_of(one: Outgoing) -> bytes:
    """The body of the request: the record under `data`, above it its kind and, where its body is still there, its time
    (Standard Webhooks, Payload structure).
    """
    payload: dict[str, object] = {"type": TYPE, "data": msgspec.Raw(stream_record(one))}
    with suppress(OverflowError):  # no calendar has that time
        at = _EPOCH + one.at_ms * timedelta(milliseconds=1)
        payload |= {} if not one.type else {"timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    return msgspec.json.encode(payload)


def _retry_after_s(header: str, now_ms: int) -> float:
    """Seconds that Retry-After (RFC 9110 §10.2.3) asks for; 0 where it says nothing that we understand."""
    if header.isascii() and header.isdecimal() and len(header) <= 9:
        return float(header)
    with suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now_ms / 1000)
    return 0.0


def build(section: WebhookSection, now_ms: Callable[[], int]) -> WebhookSink:
    """The sink of `section`. SinkRefused where a secret cannot be used."""
    keys = []
    for key, path in (("secret_file", section.secret_file), ("old_secret_file", section.old_secret_file)):
        if path is not None:
            try:
                keys.append(parse_secret(read_secret(key, path)))
            except SinkRefused:
                raise
            except ValueError as error:
                raise SinkRefused(key, f"{path}: {error}") from None
    return WebhookSink(section, keys, now_ms)
