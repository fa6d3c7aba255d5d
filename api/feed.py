"""The feed: follows the controller's records on a thread of its own and keeps the view up to date.

One thread reads the socket into a bounded queue; the other applies what waits in one transaction. A full queue holds
the reader, the reader holds the socket, and the controller drops us: it never waits for a web process.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from api.broadcast import Broadcast, Frame, frame_of
from api.lineage import Course, OtherEnd, course_of, read_from
from api.models import event_public
from api.problems import log_fault
from api.tables import EventRow
from api.tiles import NotHeld
from api.view import Gap, View
from controller.link.client import LinkClient, LinkDown
from controller.link.messages import Record, Status

BATCH_MAX: Final = 500
WAITING_MAX: Final = 2000
RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0
REFOLD_S: Final = 3600.0
"""A copy that is found damaged again within this time is on a disk that fails: it is said, and not folded for ever."""

log = logging.getLogger(__name__)


class Feed:
    """Keeps `view` and `broadcast` following the controller at `socket`. `on_change` hears of its coming and going."""

    def __init__(self, socket: Path, view: View, broadcast: Broadcast, on_change: Callable[[], None]) -> None:
        self._socket = socket
        self._client = LinkClient(socket, "api-stream")
        self._view = view
        self._broadcast = broadcast
        self._on_change = on_change
        self._stopping = threading.Event()
        self._is_doubted = threading.Event()
        self._doubted_tick = float("-inf")
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin. Returns at once, whether the controller is there or not."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stopping.set()
        self._client.close()
        self._thread.join(timeout=5.0)

    def doubt(self, why: object) -> bool:
        """What is folded in api.db is not what the controller signed. Whether it is folded anew now, from record 0; the
        names, which are no record's, stay. From any thread.
        """
        tick = time.monotonic()
        if self._is_doubted.is_set() or tick - self._doubted_tick < REFOLD_S:
            return self._is_doubted.is_set()
        log.warning("api.db is damaged: %s; it is folded anew from the ledger", why)
        self._doubted_tick = tick
        self._is_doubted.set()
        return True

    def _run(self) -> None:
        """Rim: whatever happens, say that the page is stale, wait a bounded while, try again."""
        delay_s = RETRY_FIRST_S
        while not self._stopping.is_set():
            before, began = self._view.seq, time.monotonic()
            try:
                self._follow()
                fault = "stopped"
            except (LinkDown, Gap, OtherEnd, SQLAlchemyError) as error:
                fault = f"{type(error).__name__}: {error}"
            except NotHeld as error:
                fault = "folded anew" if self.doubt(error) else f"{type(error).__name__}: {error}"
            except Exception as error:  # noqa: BLE001  the rim: a fault of ours must not end the feed for good
                log_fault(error, "FEED", "")
                fault = type(error).__name__
            self._client.close()
            if self._stopping.is_set():
                return
            if self._view.seq > before or time.monotonic() - began > RETRY_MAX_S:
                delay_s = RETRY_FIRST_S
            if self._view.live.is_connected:
                log.warning("controller lost: %s", fault)
            self._view.heard(is_connected=False, fault=fault)
            self._on_change()
            self._broadcast.stir()
            self._stopping.wait(delay_s)
            delay_s = min(delay_s * 2, RETRY_MAX_S)

    def _follow(self) -> None:
        welcome = self._client.connect()
        view = self._view
        read = read_from(self._socket, welcome.size)
        course = course_of(welcome, vkey=view.vkey, seq=view.seq, has_seen=view.has_seen, read=read)
        is_first, is_other = not view.vkey, course is Course.START_OVER
        anew = is_other or self._is_doubted.is_set()
        if is_other:
            log.warning("another ledger, or one whose end was set aside: everything is folded anew")
        view.follow_ledger(welcome.vkey, welcome.revision, anew=anew, is_other=is_other)
        self._is_doubted.clear()
        if anew or is_first:
            self._broadcast.restart(self._view.seq)
        self._on_change()
        waiting: queue.Queue[Record | Status | BaseException] = queue.Queue(WAITING_MAX)
        reader = threading.Thread(target=self._read, args=(waiting,), name="feed-read", daemon=True)
        reader.start()
        try:
            while not self._stopping.is_set() and not self._is_doubted.is_set():
                self._take(waiting)
        finally:
            self._client.close()
            while reader.is_alive():  # it may stand before a full queue
                with contextlib.suppress(queue.Empty):
                    waiting.get(timeout=0.05)

    def _read(self, waiting: queue.Queue[Record | Status | BaseException]) -> None:
        try:
            for message in self._client.stream(self._view.seq + 1):
                waiting.put(message)
        except Exception as error:  # noqa: BLE001  the rim: handed to the other thread, which decides
            waiting.put(error)

    def _take(self, waiting: queue.Queue[Record | Status | BaseException]) -> None:
        batch: list[Record] = []
        status: Status | None = None
        try:
            message: Record | Status | BaseException = waiting.get(timeout=1.0)
            while True:
                if isinstance(message, Record):
                    batch.append(message)
                elif isinstance(message, Status):
                    status = message
                else:
                    self._apply(batch)
                    raise message
                if len(batch) >= BATCH_MAX:
                    break
                message = waiting.get_nowait()
        except queue.Empty:
            pass
        if not batch and status is None:
            return
        was_connected = self._view.live.is_connected
        self._apply(batch)
        self._view.heard(status)
        if not was_connected:
            log.info("controller found at record %d", self._view.seq)
            self._broadcast.stir()

    def _apply(self, batch: list[Record]) -> None:
        if not batch:
            return
        before = self._view.seq
        try:
            rows = self._view.apply(batch)
        except Gap:
            if rows := self._view.events_after(before, BATCH_MAX):
                self._publish(rows)
            raise
        if rows:
            self._publish(rows)

    def _publish(self, rows: list[EventRow]) -> None:
        self._broadcast.publish(list(map(event_frame, rows)))


def event_frame(row: EventRow) -> Frame:
    """An event as it goes to every client that follows: rendered once."""
    return frame_of(row.seq, row.type, row.zone, event_public(row).model_dump_json())
