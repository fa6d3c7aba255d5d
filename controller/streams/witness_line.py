"""One question to a witness over HTTP: what was sent, what came back, and when (C2SP `tlog-witness`).

Nothing is believed here and nothing retried. What does not answer as HTTP is SinkDown, by its code.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from controller.link.notes import COSIGNATURE, NoteError, Vkey
from controller.streams.section import SinkName, SinkRefused
from controller.streams.sinks import SinkDown
from controller.streams.tls_files import client_context, why_refused

TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 16 * 1024

CODE_HEADER: Final = "Sekisho-Refused"
TIME_HEADER: Final = "Sekisho-At-Ms"
"""What our own witness says beside the specification: how it names a refusal, and its time to the millisecond."""


class WitnessSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[witness]]` of the settings. `url`: its submission prefix. `vkey`: as `sekisho witness init` printed it.
    `ca_file`: the authority of its certificate (https alone). `every_s`: it is asked at most so often.
    """

    name: SinkName
    url: str
    vkey: str
    ca_file: Path | None = None
    every_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60

    def checked(self) -> Vkey:
        """The witness's key. Raises SinkRefused naming what of the section cannot be."""
        if not _is_prefix(self.url):
            raise SinkRefused("url", "must be http://HOST:PORT or https://HOST:PORT, where the witness listens")
        if self.url.startswith("https:") is (self.ca_file is None):
            why = "https needs the authority of the witness's certificate" if self.ca_file is None else "is for https"
            raise SinkRefused("ca_file", why)
        try:
            return Vkey.parse(self.vkey, COSIGNATURE)
        except NoteError as error:
            raise SinkRefused("vkey", f"{error}; `sekisho witness show` tells it") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `code`: the header by which our own witness names a refusal, "" without it; `at_ms`: its time, 0
    without it. `sent_ms`, `came_ms`: by our clock.
    """

    status: int
    text: str
    code: str
    at_ms: int
    sent_ms: int
    came_ms: int


def post(section: WitnessSection, path: str, body: bytes, now_ms: Callable[[], int]) -> Answer:
    """POST `body` to `path` below the witness's URL. Raises SinkDown where no answer comes."""
    try:
        with closing(_connection(section)) as line:
            sent_ms = now_ms()
            line.request("POST", urlsplit(section.url).path.rstrip("/") + path, body, {"Content-Type": "text/plain"})
            reply = line.getresponse()
            octets = reply.read(ANSWER_BYTES_MAX + 1)
            came_ms = now_ms()
    except ssl.SSLError as error:
        raise SinkDown("tls", why_refused(error)) from error
    except TimeoutError as error:
        raise SinkDown("timeout", f"{section.url} does not answer") from error
    except (OSError, socket.gaierror) as error:
        raise SinkDown("unreachable", f"{section.url}: {error}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise SinkDown("protocol", f"{section.url} does not speak HTTP: {error!r:.100}") from error
    if len(octets) > ANSWER_BYTES_MAX:
        raise SinkDown("protocol", f"{section.url} answers with more than {ANSWER_BYTES_MAX} bytes")
    at = reply.headers.get(TIME_HEADER, "")
    return Answer(
        status=reply.status,
        text=octets.decode(errors="replace"),
        code=reply.headers.get(CODE_HEADER, ""),
        at_ms=int(at) if re.fullmatch(r"[0-9]{1,15}", at) else 0,
        sent_ms=sent_ms,
        came_ms=came_ms,
    )


def _is_prefix(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_there = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_there and parts.scheme in ("http", "https") and not (parts.query or parts.fragment or parts.username)


def _connection(section: WitnessSection) -> http.client.HTTPConnection:
    parts = urlsplit(section.url)
    assert parts.hostname is not None, "the section was checked"
    if section.ca_file is None:
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    context = client_context(section.ca_file, None, None, "1.2")
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=context)
