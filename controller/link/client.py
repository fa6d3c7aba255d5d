"""The web process's end of the link: blocking, one instance per connection, standard library and msgspec only.

Use one instance for requests and another for the stream. Nothing is retried here: a request that got no answer may or
may not have been recorded, and its id tells (the controller refuses an id twice).
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from controller.link.messages import (
    ANSWER_BYTES_MAX,
    PROTOCOL,
    AskCosigned,
    AskDevices,
    AwaitCard,
    CardShown,
    Cosign,
    Cosigned,
    Devices,
    Done,
    FromController,
    Hello,
    Invited,
    OfficerOrder,
    Prepare,
    Prepared,
    Record,
    Refused,
    Request,
    Status,
    Subscribe,
    ToController,
    Welcome,
)

Told = Done | Refused | Cosigned | CardShown | Prepared | Invited
"""What one question is answered with."""

SILENCE_S_MAX: Final = 10.0
"""A stream on which nothing came for so long is dead: the controller sends a Status every 2 s."""


class LinkDown(OSError):
    """The controller does not answer. Doors go on without us; say so and try again later."""


class LinkClient:
    """One connection to the controller.

    Args:
        path: the Unix socket.
        name: this program, for the record.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._encode = msgspec.json.Encoder().encode
        self._decode: Callable[[bytes], FromController] = msgspec.json.Decoder(FromController).decode

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> Welcome:
        """Connect and greet. Raises LinkDown where the controller is away or speaks another protocol."""
        self.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(5.0)
        try:
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise LinkDown(f"no controller at {self._path}: {error.strerror or error}") from error
        self._socket = connection
        try:
            self._send(Hello(client=self._name))
            answer = self._receive(5.0)
        except LinkDown:
            self.close()
            raise
        if not isinstance(answer, Welcome) or answer.protocol != PROTOCOL:
            self.close()
            why = answer.why if isinstance(answer, Refused) else "it speaks another protocol; upgrade both together"
            raise LinkDown(f"the controller at {self._path} refused us: {why}")
        return answer

    def devices(self, timeout_s: float = 5.0) -> Devices:
        """How every device stands. Raises LinkDown; connects first if need be."""
        with self._lock:
            if self._socket is None:
                self.connect()
            try:
                self._send(AskDevices(id="devices"))
                while True:
                    answer = self._receive(timeout_s)
                    if isinstance(answer, Devices):
                        return answer
                    if isinstance(answer, Refused):
                        raise LinkDown(f"the controller refused to tell: {answer.why}")
            except LinkDown:
                self.close()
                raise

    def cosign(self, note: str, timeout_s: float = 5.0) -> Done | Refused:
        """Bring a checkpoint with a witness's line under it. Raises LinkDown; connects first if need be."""
        answer = self._ask(Cosign(id="cosign", note=note), timeout_s)
        if not isinstance(answer, Done | Refused):
            raise LinkDown("the controller answered something else")
        return answer

    def cosigned(self, from_size: int, timeout_s: float = 5.0) -> tuple[str, ...]:
        """Cosigned checkpoints from `from_size` records on, the oldest first, as many as fit; empty: no more. Raises
        LinkDown, also where the controller cannot tell now; connects first if need be.
        """
        answer = self._ask(AskCosigned(id="cosigned", from_size=from_size), timeout_s)
        if not isinstance(answer, Cosigned):
            raise LinkDown(f"the controller refused to tell: {answer.why if isinstance(answer, Refused) else answer}")
        return answer.notes

    def await_card(self, message: AwaitCard, timeout_s: float = 5.0) -> CardShown | Refused:
        """Wait until a card of nobody is held to that reader, `timeout_s` longer than the controller does at the most:
        on a connection of its own, which is busy so long. Raises LinkDown; connects first if need be.
        """
        answer = self._ask(message, message.for_ms / 1000 + timeout_s)
        if not isinstance(answer, CardShown | Refused):
            raise LinkDown("the controller answered something else")
        return answer

    def prepare(self, message: Prepare, timeout_s: float = 10.0) -> Prepared | Refused:
        """Rows as they can be signed. Raises LinkDown; connects first if need be."""
        answer = self._ask(message, timeout_s)
        if not isinstance(answer, Prepared | Refused):
            raise LinkDown("the controller answered something else")
        return answer

    def invite(self, message: OfficerOrder, timeout_s: float = 5.0) -> Invited | Refused:
        """The ticket of an officer, at the console. Raises LinkDown; connects first if need be."""
        answer = self._ask(message, timeout_s)
        if not isinstance(answer, Invited | Refused):
            raise LinkDown("the controller answered something else")
        return answer

    def _ask(self, message: Cosign | AskCosigned | AwaitCard | Prepare | OfficerOrder, timeout_s: float) -> Told:
        with self._lock:
            if self._socket is None:
                self.connect()
            try:
                self._send(message)
                while True:
                    answer = self._receive(timeout_s)
                    if isinstance(answer, Told) and answer.id in (message.id, ""):
                        return answer
            except LinkDown:
                self.close()
                raise

    def request(self, message: Request, timeout_s: float = 5.0) -> Done | Refused:
        """Send one request and wait for its answer. Raises LinkDown when none comes; connects first if need be."""
        with self._lock:
            if self._socket is None:
                self.connect()
            try:
                self._send(message)
                while True:
                    answer = self._receive(timeout_s)
                    if isinstance(answer, Done | Refused) and answer.id in (message.id, ""):
                        return answer
            except LinkDown:
                self.close()
                raise

    def stream(self, from_seq: int) -> Iterator[Record | Status]:
        """Every record from `from_seq` on, then those that follow, with a Status between. Ends by raising LinkDown."""
        if self._socket is None:
            self.connect()
        self._send(Subscribe(from_seq=from_seq))
        while True:
            answer = self._receive(SILENCE_S_MAX)
            if isinstance(answer, Refused):
                raise LinkDown(f"the controller ended the stream: {answer.why}")
            if isinstance(answer, Record | Status):
                yield answer

    def has_more(self) -> bool:
        """Whether the stream has a message that came already, so that the next one needs no wait."""
        if b"\n" in self._buffer or (connection := self._socket) is None:
            return b"\n" in self._buffer
        try:
            return bool(select.select([connection], [], [], 0)[0])
        except (OSError, ValueError):  # closed meanwhile: the next read says so
            return False

    def close(self) -> None:
        """Close the connection; a reader blocked in another thread wakes with LinkDown."""
        connection, self._socket = self._socket, None
        self._buffer.clear()
        if connection is not None:
            with suppress(OSError):  # already gone
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _send(self, message: ToController) -> None:
        connection = self._socket  # another thread may close it meanwhile
        if connection is None:
            raise LinkDown("not connected")
        try:
            connection.sendall(self._encode(message) + b"\n")
        except OSError as error:
            raise LinkDown(f"the controller went away: {error}") from error

    def _receive(self, timeout_s: float) -> FromController:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > ANSWER_BYTES_MAX:
                raise LinkDown("the controller sent a line that is too long")
            connection = self._socket
            if connection is None:
                raise LinkDown("not connected")
            try:
                connection.settimeout(timeout_s)
                chunk = connection.recv(65536)
            except TimeoutError:
                raise LinkDown(f"the controller did not answer within {timeout_s:g} s") from None
            except OSError as error:
                raise LinkDown(f"the controller went away: {error}") from error
            if not chunk:
                raise LinkDown("the controller closed the connection")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            return self._decode(line)
        except msgspec.MsgspecError as error:
            raise LinkDown(f"the controller sent something we do not understand: {error}") from error
