"""Serial lines in the deciding loop: a transport that moves bytes, a protocol that gives them meaning, one port each.

A port that breaks is closed, reported once, and opened again with a bounded wait; nothing is queued for it meanwhile.
"""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable
from typing import Final, Protocol

from readers.backoff import Backoff
from readers.errors import TransportError
from readers.events import DeviceOffline, DeviceOnline, Event
from readers.transports.serial_line import SerialLine

log = logging.getLogger(__name__)

RETRY_FIRST_MS: Final = 200
RETRY_MAX_MS: Final = 5_000


class WireProtocol(Protocol):
    """Bytes in, events out, bytes to send, and a deadline: what every protocol of `readers` is to the loop.

    One that changes the speed of its line also has `baud`: the bits per second that hold once what `data_to_send` gave
    is out, or None to leave the line as it was opened. It says nothing more until it has waited for the change. One
    that knows for how long nothing can come that is worth a look tells it in `quiet_ms`: the loop sleeps over it.
    """

    def connection_made(self, now_ms: int) -> None: ...
    def connection_lost(self, now_ms: int) -> list[Event]: ...
    def receive_data(self, chunk: bytes, now_ms: int) -> list[Event]: ...
    def data_to_send(self) -> bytes: ...
    def deadline(self) -> int | None: ...
    def tick(self, now_ms: int) -> list[Event]: ...


class Port:
    """One serial line.

    Args:
        device: the device's id, for messages.
        line: the transport, not yet open.
        protocol: what the bytes mean.
        selector: the loop's; keys carry a callable taking (mask, tick_ms).
        emit: takes events, from the loop's own thread.
        is_bus: the line is a device of its own, beside those that hang on it: its coming and going is told here.
    """

    def __init__(
        self,
        device: str,
        line: SerialLine,
        protocol: WireProtocol,
        selector: selectors.BaseSelector,
        emit: Callable[[Event], None],
        *,
        is_bus: bool = False,
    ) -> None:
        self.device = device
        self._is_bus = is_bus
        self.protocol = protocol
        self._line = line
        self._selector = selector
        self._emit = emit
        self._backoff = Backoff(RETRY_FIRST_MS, RETRY_MAX_MS)
        self._retry_at: int | None = 0
        self._is_reported = False
        self._mask = 0
        self._quiet_until: int | None = None
        self._has_answer = False

    @property
    def is_open(self) -> bool:
        return self._retry_at is None

    def tick(self, tick_ms: int) -> None:
        """Open the line again if it is time; let the protocol do what is due."""
        if self._retry_at is not None:
            if tick_ms >= self._retry_at:
                self._open(tick_ms)
            return
        if self._quiet_until is not None and tick_ms >= self._quiet_until:
            self._quiet_until = None
            self._listen(self._mask | selectors.EVENT_READ)
            self._ready(selectors.EVENT_READ, tick_ms)
            if self._retry_at is not None:
                return
        due = self.protocol.deadline()
        if due is not None and due <= tick_ms:
            self._tell(self.protocol.tick(tick_ms))
            self.send(tick_ms)

    def deadline(self) -> int | None:
        """The next tick (ms) at which `tick` has something to do."""
        if self._retry_at is not None:
            return self._retry_at
        due = (self.protocol.deadline(), self._quiet_until)
        return min((tick for tick in due if tick is not None), default=None)

    def answer(self, tick_ms: int) -> None:
        """Write what the protocol answers to what was read in this turn: after the turn's decisions, because the next
        poll of an idle reader can wait for somebody's door and not the other way round.
        """
        if self._has_answer:
            self.send(tick_ms)

    def send(self, tick_ms: int) -> None:
        """Write what the protocol has to say; a line that breaks meanwhile is closed."""
        self._has_answer = False
        if self._retry_at is not None:
            return
        try:
            if chunk := self.protocol.data_to_send():
                self._line.write(chunk)
            self._follow_speed()
        except TransportError as error:
            self._lost(str(error), tick_ms)
            return
        self._watch(tick_ms)

    def close(self, tick_ms: int) -> None:
        """Close for good."""
        if self._retry_at is None:
            self._listen(0)
            self.protocol.connection_lost(tick_ms)
            self._line.close()
            self._retry_at = tick_ms

    def _open(self, tick_ms: int) -> None:
        try:
            self._line.open()
        except TransportError as error:
            self._retry_at = tick_ms + self._backoff.next_ms()
            if not self._is_reported:
                self._is_reported = True
                log.warning("%s: %s", self.device, error)
                self._emit(DeviceOffline(source=self.device, why="cannot be opened"))
                known = DeviceOffline(source=self.device, why="line lost")  # who else hangs on this line is away too
                self._tell([event for event in self.protocol.connection_lost(tick_ms) if event != known])
            return
        log.info("%s: line open", self.device)
        if self._is_bus:
            self._emit(DeviceOnline(source=self.device))
        self._retry_at, self._is_reported = None, False
        self._quiet_until = None
        self._listen(selectors.EVENT_READ)
        self.protocol.connection_made(tick_ms)
        self._tell(self.protocol.tick(tick_ms))
        self.send(tick_ms)

    def _ready(self, mask: int, tick_ms: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._line.flush()
                self._follow_speed()
            chunk = self._line.read() if mask & selectors.EVENT_READ else b""
        except TransportError as error:
            self._lost(str(error), tick_ms)
            return
        if chunk:
            self._backoff.reset()
            self._tell(self.protocol.receive_data(chunk, tick_ms))
        self._has_answer = True

    def _follow_speed(self) -> None:
        """Change the line's speed where the protocol wants another one; not before its last byte has left."""
        baud: int | None = getattr(self.protocol, "baud", None)
        if baud is not None and baud != self._line.baud and not self._line.wants_write:
            log.info("%s: line at %d baud", self.device, baud)
            self._line.set_baud(baud)

    def _lost(self, why: str, tick_ms: int) -> None:
        log.warning("%s: %s", self.device, why)
        self._listen(0)
        self._line.close()
        self._retry_at = tick_ms + self._backoff.next_ms()
        self._is_reported = True
        if self._is_bus:
            self._emit(DeviceOffline(source=self.device, why="line lost"))
        self._tell(self.protocol.connection_lost(tick_ms))

    def _watch(self, tick_ms: int) -> None:
        """Listen to the line, unless its protocol knows that for a while nothing can be whole: a paced line would wake
        the loop for every byte or two.
        """
        quiet_ms: int = getattr(self.protocol, "quiet_ms", 0)
        self._quiet_until = tick_ms + quiet_ms if quiet_ms > 0 else None
        mask = 0 if self._quiet_until is not None else selectors.EVENT_READ
        self._listen(mask | (selectors.EVENT_WRITE if self._line.wants_write else 0))

    def _listen(self, mask: int) -> None:
        """What the selector waits for on this line; 0: nothing."""
        if mask == self._mask:
            return
        if mask and self._mask:
            self._selector.modify(self._line.fileno(), mask, self._ready)
        elif mask:
            self._selector.register(self._line.fileno(), mask, self._ready)
        else:
            self._selector.unregister(self._line.fileno())
        self._mask = mask

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._emit(event)
