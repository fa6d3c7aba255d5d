"""The controller's end of the link: sessions on a Unix socket, served from the deciding loop, never waited for.

The peer may be hostile, frozen or gone. A line that is not understood ends its session; requests are taken at a bounded
rate; what a peer does not read is bounded, and records are fetched for it only as fast as it reads.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from controller.link.messages import (
    LINE_BYTES_MAX,
    PROTOCOL,
    AskCosigned,
    AskDevices,
    Cosign,
    DeviceOrder,
    Devices,
    FromController,
    Hello,
    Record,
    Refused,
    Request,
    Status,
    Subscribe,
    ToController,
    Welcome,
)

SESSIONS_MAX: Final = 16
OUT_BYTES_MAX: Final = 4 * 1024 * 1024
FEED_BYTES: Final = 256 * 1024
"""No further page is fetched for a subscriber that still has this much to read."""

PAGE_RECORDS: Final = 200
FEED_MS: Final = 25
"""Records are passed on at most this often: a live page cannot tell, and the disk's thread is left alone."""

STATUS_MS: Final = 2_000
GREETING_MS: Final = 5_000
REQUESTS_PER_S: Final = 50
REQUESTS_BURST: Final = 100


class Stored(Protocol):
    """A record as the ledger keeps it."""

    @property
    def seq(self) -> int: ...
    @property
    def leaf(self) -> bytes: ...
    @property
    def salt(self) -> bytes | None: ...
    @property
    def body(self) -> bytes | None: ...
    @property
    def checkpoint(self) -> bytes | None: ...


class _Session:
    """One connection."""

    def __init__(self, number: int, connection: socket.socket, tick_ms: int) -> None:
        self.number = number
        self.opened_at = tick_ms
        self.socket = connection
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.is_greeted = False
        self.next_seq: int | None = None
        self.is_fetching = False
        self.feed_at = 0
        self.tokens = float(REQUESTS_BURST)
        self.refilled_at = tick_ms
        self.is_paused = False
        self.is_writing = False
        self.is_console = _is_console(connection)

    def take_token(self, tick_ms: int) -> bool:
        """Whether one more request may be taken now."""
        gained = (tick_ms - self.refilled_at) * REQUESTS_PER_S / 1000
        self.tokens, self.refilled_at = min(REQUESTS_BURST, self.tokens + gained), tick_ms
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class LinkServer:
    """Listens at `path` (mode 0660) and serves sessions.

    Args:
        path: the Unix socket; a stale one is replaced.
        selector: the loop's; keys carry a callable taking (mask, tick_ms).
        on_request: takes (session number, message); False when it cannot take any more now.
        welcome: makes the greeting.
        fetch: asks for a page of records: (session number, from_seq, limit); answered through `page`.
        devices: tells how every device stands, to the request of this id.
        on_cosign: takes a witness's line, or the question for them; False when it cannot take any more now.
    """

    def __init__(
        self,
        path: Path,
        selector: selectors.BaseSelector,
        *,
        on_request: Callable[[int, Request], bool],
        welcome: Callable[[], Welcome],
        fetch: Callable[[int, int, int], None],
        devices: Callable[[str], Devices] = lambda asked: Devices(id=asked, devices=()),
        on_cosign: Callable[[int, Cosign | AskCosigned], bool] = lambda _session, _message: False,
    ) -> None:
        self._path = path
        self._selector = selector
        self._on_request = on_request
        self._welcome = welcome
        self._fetch = fetch
        self._devices = devices
        self._on_cosign = on_cosign
        self._sessions: dict[int, _Session] = {}
        self._number = 0
        self._size = 0
        self._status_at = 0
        self._decode = msgspec.json.Decoder(ToController).decode
        self._encode = msgspec.json.Encoder().encode
        self._listener = self._listen()
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _listen(self) -> socket.socket:
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        before = os.umask(0o117)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        listener.listen(SESSIONS_MAX)
        return listener

    # -- called by the loop ------------------------------------------------------------------------------------

    def send(self, session: int, message: FromController) -> None:
        """Send a message to a session, if it is still there."""
        if (found := self._sessions.get(session)) is not None:
            self._queue(found, self._encode(message) + b"\n")

    def page(self, session: int, from_seq: int, records: Sequence[Stored], tick_ms: int) -> None:
        """A page that was fetched for a subscriber."""
        found = self._sessions.get(session)
        if found is None:
            return
        found.is_fetching = False
        if found.next_seq != from_seq:
            return  # it subscribed anew while this was fetched
        lines = bytearray()
        for record in records:
            lines += self._encode(_as_message(record)) + b"\n"
            found.next_seq = record.seq + 1
        if lines:
            self._queue(found, bytes(lines))
        found.feed_at = tick_ms + (0 if len(records) == PAGE_RECORDS else FEED_MS)

    def is_console(self, session: int) -> bool:
        """Whether a session is of a program that runs as root or as ourselves: orders about the log come from no other
        (one from elsewhere is recorded, so it is not refused here).
        """
        return (found := self._sessions.get(session)) is not None and found.is_console

    def grown(self, size: int) -> None:
        """The ledger now holds `size` records."""
        self._size = size

    def tick(self, tick_ms: int, status: Callable[[], Status]) -> None:
        """Feed subscribers, send the status that shows the line is alive, and take up paused sessions again."""
        is_status_due = tick_ms >= self._status_at
        line = b""
        for session in list(self._sessions.values()):
            if session.is_paused and session.take_token(tick_ms):
                session.tokens += 1
                session.is_paused = False
                self._watch(session)
                self._lines(session, tick_ms)
            if not session.is_greeted and tick_ms - session.opened_at >= GREETING_MS:
                self._end(session)  # whoever says nothing must not take a place from those who do
                continue
            if session.next_seq is None:
                continue
            if is_status_due and len(session.outgoing) < FEED_BYTES:
                line = line or self._encode(status()) + b"\n"
                self._queue(session, line)
            self._feed(session, tick_ms)
        if is_status_due:
            self._status_at = tick_ms + STATUS_MS

    def deadline(self, tick_ms: int) -> int | None:
        """The next tick (ms) at which `tick` has something to do."""
        due: list[int] = []
        for session in self._sessions.values():
            if not session.is_greeted:
                due.append(session.opened_at + GREETING_MS)
            if session.is_paused:
                due.append(tick_ms + 1000 // REQUESTS_PER_S)
            if session.next_seq is not None:
                due.append(self._status_at)
                if not session.is_fetching and session.next_seq < self._size and len(session.outgoing) < FEED_BYTES:
                    due.append(session.feed_at)
        return min(due, default=None)

    def close(self) -> None:
        """End all sessions and remove the socket."""
        for session in list(self._sessions.values()):
            self._flush(session)
            self._end(session)
        self._selector.unregister(self._listener)
        self._listener.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    # -- sessions ----------------------------------------------------------------------------------------------

    def _accept(self, _mask: int, tick_ms: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it went away before we looked, or we are out of descriptors: the loop must go on
        connection.setblocking(False)
        if len(self._sessions) >= SESSIONS_MAX:
            with suppress(OSError):
                refused = Refused(id="", code="busy", why=f"at most {SESSIONS_MAX} connections at once")
                connection.send(self._encode(refused) + b"\n")
            connection.close()
            return
        self._number += 1
        session = _Session(self._number, connection, tick_ms)
        self._sessions[session.number] = session
        mask = selectors.EVENT_READ
        self._selector.register(connection, mask, lambda m, t, s=session: self._ready(s, m, t))

    def _ready(self, session: _Session, mask: int, tick_ms: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._flush(session)
        if mask & selectors.EVENT_READ and session.number in self._sessions:
            try:
                chunk = session.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._end(session)
                return
            session.incoming += chunk
            self._lines(session, tick_ms)

    def _lines(self, session: _Session, tick_ms: int) -> None:
        while session.number in self._sessions and (end := session.incoming.find(b"\n")) >= 0:
            if not session.take_token(tick_ms):
                session.is_paused = True
                self._watch(session)
                return
            line = bytes(session.incoming[:end])
            del session.incoming[: end + 1]
            self._line(session, line)
        if len(session.incoming) > LINE_BYTES_MAX:
            self._refuse(session, f"a line may have at most {LINE_BYTES_MAX} bytes")

    def _line(self, session: _Session, line: bytes) -> None:
        try:
            if len(line) > LINE_BYTES_MAX:
                raise msgspec.DecodeError(f"a line may have at most {LINE_BYTES_MAX} bytes")
            message = self._decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(session, str(error))
            return
        match message:
            case Hello(protocol=protocol):
                if protocol != PROTOCOL:
                    self._refuse(session, f"this controller speaks protocol {PROTOCOL}")
                    return
                session.is_greeted = True
                self._queue(session, self._encode(self._welcome()) + b"\n")
            case _ if not session.is_greeted:
                self._refuse(session, "say hello first")
            case Subscribe(from_seq=from_seq):
                session.next_seq = max(0, from_seq)
                self._status_at = 0
            case AskDevices(id=asked):
                self._queue(session, self._encode(self._devices(asked)) + b"\n")
            case _:
                self._request(session, message)

    def _request(self, session: _Session, message: Request | Cosign | AskCosigned) -> None:
        """Hand a request to the loop, or say why not."""
        code, why = "busy", "too much is waiting; try again"
        if isinstance(message, DeviceOrder) and not session.is_console:
            code, why = "not_here", "readers and keys are changed at the controller itself, by root or its own account"
        elif self._is_taken(session.number, message):
            return
        self._queue(session, self._encode(Refused(id=message.id, code=code, why=why)) + b"\n")

    def _is_taken(self, session: int, message: Request | Cosign | AskCosigned) -> bool:
        if isinstance(message, Cosign | AskCosigned):
            return self._on_cosign(session, message)
        return self._on_request(session, message)

    def _feed(self, session: _Session, tick_ms: int) -> None:
        if session.next_seq is None or session.is_fetching or tick_ms < session.feed_at:
            return
        if session.next_seq < self._size and len(session.outgoing) < FEED_BYTES:
            session.is_fetching = True
            self._fetch(session.number, session.next_seq, PAGE_RECORDS)

    def _queue(self, session: _Session, line: bytes) -> None:
        session.outgoing += line
        if len(session.outgoing) > OUT_BYTES_MAX:
            self._end(session)
            return
        self._flush(session)

    def _flush(self, session: _Session) -> None:
        while session.outgoing:
            try:
                sent = session.socket.send(session.outgoing[:65536])
            except BlockingIOError:
                break
            except OSError:
                self._end(session)
                return
            del session.outgoing[:sent]
        if session.is_writing != bool(session.outgoing):
            self._watch(session)

    def _watch(self, session: _Session) -> None:
        """Tell the selector what to listen for: nothing to read while paused, room to write while there is a queue."""
        session.is_writing = bool(session.outgoing)
        mask = (0 if session.is_paused else selectors.EVENT_READ) | (selectors.EVENT_WRITE if session.is_writing else 0)
        is_registered = session.socket in self._selector.get_map()
        if mask == 0:
            if is_registered:
                self._selector.unregister(session.socket)
            return
        change = self._selector.modify if is_registered else self._selector.register
        change(session.socket, mask, lambda m, t, s=session: self._ready(s, m, t))

    def _refuse(self, session: _Session, why: str) -> None:
        self._queue(session, self._encode(Refused(id="", code="protocol", why=why)) + b"\n")
        self._end(session)

    def _end(self, session: _Session) -> None:
        if self._sessions.pop(session.number, None) is None:
            return
        if session.socket in self._selector.get_map():
            self._selector.unregister(session.socket)
        session.socket.close()


def _is_console(connection: socket.socket) -> bool:
    """Whether the other end runs as root or as ourselves (unix(7), SO_PEERCRED): the web process does not."""
    size = struct.calcsize("3i")
    try:
        _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    except OSError:
        return False
    return uid in (0, os.getuid())


def _as_message(record: Stored) -> Record:
    """What is no text any more (a rotten disk) goes out marked: whoever receives it sees that it is not what was
    signed, and the doors go on.
    """
    return Record(
        seq=record.seq,
        leaf=str(record.leaf, "utf-8", "replace"),
        salt=None if record.salt is None else record.salt.hex(),
        body=None if record.body is None else str(record.body, "utf-8", "replace"),
        checkpoint=None if record.checkpoint is None else str(record.checkpoint, "utf-8", "replace"),
    )
