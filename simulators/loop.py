"""The one thread of a simulated building: file descriptors, timers and calls from other threads.

Owns the thread and the order of everything that happens in it, so that no part of a building needs a lock.
Refuses to die: what a callback raises is kept in `faults` (tests assert that it is empty) and written to stderr.
"""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import sys
import threading
import time
import traceback
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
FAULTS_MAX = 100
EPOLL_S = 0.001  # epoll waits whole milliseconds, rounded up; a byte at 115200 baud takes 0.087 of one


class Alarm:
    """A call that will be made at a tick, unless cancelled."""

    __slots__ = ("_what",)

    def __init__(self, what: Callable[[], None]) -> None:
        self._what: Callable[[], None] | None = what

    def cancel(self) -> None:
        """Never call it. Harmless when already called."""
        self._what = None

    def ring(self) -> None:
        """Call it now, once."""
        what, self._what = self._what, None
        if what is not None:
            what()


class Loop:
    """One thread that watches descriptors, keeps alarms and runs what others ask."""

    def __init__(self, name: str = "simulators") -> None:
        self.faults: deque[BaseException] = deque(maxlen=FAULTS_MAX)
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wake)
        self._soon: deque[Callable[[], None]] = deque()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._turn_for_ever, name=name, daemon=True)

    @staticmethod
    def now_ms() -> int:
        """Monotonic milliseconds: deadlines are compared with this, never with wall time."""
        return time.monotonic_ns() // 1_000_000

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread and close the loop's own descriptors. Alarms that have not rung never will."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def call_soon(self, what: Callable[[], None]) -> None:
        """Run `what` in the loop's thread; returns at once. From any thread."""
        self._soon.append(what)
        self._wake()

    def call_in(self, delay_ms: float, what: Callable[[], None]) -> Alarm:
        """Run `what` after `delay_ms`. From the loop's own thread only."""
        return self.call_at(time.monotonic_ns() / 1e6 + delay_ms, what)

    def call_at(self, tick_ms: float, what: Callable[[], None]) -> Alarm:
        """Run `what` when the monotonic clock reaches `tick_ms`. From the loop's own thread only."""
        alarm = Alarm(what)
        heapq.heappush(self._alarms, (tick_ms, next(self._numbers), alarm))
        return alarm

    def run(self, what: Callable[[], T], timeout_s: float = 5.0) -> T:
        """Run `what` in the loop's thread and hand its answer (or what it raised) to the caller's thread."""
        if threading.current_thread() is self._thread:
            return what()
        answer: Future[T] = Future()

        def perform() -> None:
            try:
                answer.set_result(what())
            except BaseException as error:  # noqa: BLE001 - belongs to the caller, not to the loop
                answer.set_exception(error)

        self.call_soon(perform)
        return answer.result(timeout_s)

    def watch(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Call `on_readable` whenever `descriptor` has something to read. From the loop's own thread only."""
        self._selector.register(descriptor, selectors.EVENT_READ, on_readable)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching. From the loop's own thread only."""
        self._selector.unregister(descriptor)

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except OSError:  # full (it will wake anyway) or closed (it has stopped)
            return

    def _drain_wake(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return

    def _turn_for_ever(self) -> None:
        while not self._stopping.is_set():
            patience_s = self._patience_s()
            if patience_s is not None and 0 < patience_s < EPOLL_S:
                time.sleep(patience_s)
                patience_s = 0.0
            elif patience_s is not None:
                patience_s -= patience_s % EPOLL_S
            for key, _ in self._selector.select(patience_s):
                self._guarded(key.data)
            for _ in range(len(self._soon)):
                self._guarded(self._soon.popleft())
            self._ring_what_is_due()

    def _patience_s(self) -> float | None:
        if self._soon:
            return 0.0
        if not self._alarms:
            return None
        return max(0.0, self._alarms[0][0] / 1e3 - time.monotonic())

    def _ring_what_is_due(self) -> None:
        now = time.monotonic_ns() / 1e6
        while self._alarms and self._alarms[0][0] <= now:
            self._guarded(heapq.heappop(self._alarms)[2].ring)

    def _guarded(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:  # noqa: BLE001 - the rim: one broken part must not stop the building
            self.faults.append(error)
            traceback.print_exc(file=sys.stderr)
