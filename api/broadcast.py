"""One event, encoded once, for every client that follows: a ring of frames that clients read at their own pace.

Clients hold a position, not a queue: a slow one costs no memory, reads older events from api.db, and is dropped when
its socket takes nothing for SEND_TIMEOUT_S. A client that wants some events only passes over the others by what a frame
says about itself: nothing is encoded for it. Its snapshots carry the position, so that it resumes from there.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import anyio
from starlette.concurrency import run_in_threadpool

RING_MAX: Final = 1024
PAGE: Final = 200
SNAPSHOT_S: Final = 2.0
SEND_TIMEOUT_S: Final = 10.0
STOP_LOOK_S: Final = 0.5


class Frame(NamedTuple):
    """One event on the wire, and what it is chosen by."""

    seq: int
    type: str | None
    zone: str | None
    wire: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events a client follows: of these types, in these zones; empty: of all, in all."""

    types: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        """Whether nothing is passed over."""
        return not (self.types or self.zones)

    def takes(self, frame: Frame) -> bool:
        """Whether the client wants this one."""
        return (not self.types or frame.type in self.types) and (not self.zones or frame.zone in self.zones)


class Page(NamedTuple):
    """Frames that are wanted, in order, and how far one has looked."""

    frames: list[Frame]
    reached: int


EVERYTHING: Final = Wanted()


class Broadcast:
    """Frames of live events. `read_after(seq, limit, wanted)` fetches older ones; `snapshot` describes this moment."""

    def __init__(
        self,
        tail: int,
        read_after: Callable[[int, int, Wanted], Page],
        snapshot: Callable[[], dict[str, object]],
    ) -> None:
        self._ring: deque[Frame] = deque(maxlen=RING_MAX)
        self._tail = tail
        self._lock = threading.Lock()
        self._read_after = read_after
        self._snapshot = snapshot
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._stirs = 0
        self._shown: tuple[int, float, bytes] | None = None
        self.followers = 0
        self._of: Counter[str] = Counter()

    @property
    def tail(self) -> int:
        """Sequence number of the newest event that can be followed."""
        return self._tail

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop the clients run on. Called on it."""
        self._loop = loop
        self._tick()

    def _tick(self) -> None:
        """One timer for all: a timer of each client's own was a third of what an event to 200 of them cost."""
        self._wake()
        assert self._loop is not None
        self._loop.call_later(STOP_LOOK_S, self._tick)

    def restart(self, tail: int) -> None:
        """Another ledger: forget the frames."""
        with self._lock:
            self._ring.clear()
            self._tail = tail
        self.stir()

    def publish(self, frames: Sequence[Frame]) -> None:
        """Offer new frames, in order. From any thread."""
        with self._lock:
            self._ring.extend(frames)
            self._tail = frames[-1].seq
        self.stir()

    def stir(self) -> None:
        """Wake every client: something changed. From any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._stirred)

    def _stirred(self) -> None:
        self._stirs += 1
        self._wake()

    def _wake(self) -> None:
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()

    def _after(self, position: int, wanted: Wanted) -> Page | None:
        """The wanted ones of the next frames after `position`; None where the ring does not reach back that far."""
        with self._lock:
            if position >= self._tail:
                return Page([], position)
            if not self._ring or self._ring[0].seq > position + 1:
                return None
            skip = position + 1 - self._ring[0].seq
            found = [self._ring[index] for index in range(skip, min(len(self._ring), skip + PAGE))]
        return Page(found if wanted.is_all else [frame for frame in found if wanted.takes(frame)], found[-1].seq)

    def is_full(self, whose: str, most: int) -> bool:
        """Whether there are as many followers as may be, or a quarter of that of one person."""
        return self.followers >= most or self._of[whose] >= -(-most // 4)

    def follow(
        self, position: int, stopping: anyio.Event, wanted: Wanted = EVERYTHING, whose: str = ""
    ) -> AsyncIterator[bytes]:
        """Every wanted event after `position`, then those that come, with a snapshot at least every SNAPSHOT_S, until
        `stopping` is set. The follower's place is taken now, not when it starts to read, and given back when nobody
        holds what is returned.
        """
        self.followers += 1
        self._of[whose] += 1
        frames = self._frames(position, stopping, wanted)
        weakref.finalize(frames, self._leave, whose).atexit = False
        return frames

    def _leave(self, whose: str) -> None:
        self.followers -= 1
        self._of[whose] -= 1
        if not self._of[whose]:
            del self._of[whose]

    async def _frames(self, position: int, stopping: anyio.Event, wanted: Wanted) -> AsyncGenerator[bytes]:
        """Events that wait and the snapshot after them go out as one piece."""
        seen, shown = -1, 0.0
        while not stopping.is_set():
            woken, stirs = self._woken, self._stirs
            page = self._after(position, wanted)
            if page is None:
                page = await run_in_threadpool(self._read_after, position, PAGE, wanted)
            has_moved, position = page.reached > position, page.reached
            is_first, now = seen < 0, time.monotonic()
            is_due = is_first or (position >= self._tail and (stirs != seen or now - shown >= SNAPSHOT_S))
            wire = b"".join(frame.wire for frame in page.frames)
            if is_due:
                seen, shown = stirs, now
                state = self._snapshot_frame(stirs, now, None if wanted.is_all else position)
                wire = state + wire if is_first else wire + state
            if wire:
                yield wire
            if not has_moved:
                await woken.wait()

    def _snapshot_frame(self, stirs: int, now: float, position: int | None) -> bytes:
        """Rendered once for all that are shown it. `position`: how far a client has come that does not get every
        event; it resumes after that.
        """
        if self._shown is None or self._shown[0] != stirs or now - self._shown[1] >= STOP_LOOK_S:
            frame = b"event: snapshot\ndata: " + json.dumps(self._snapshot()).encode() + b"\n\n"
            self._shown = (stirs, now, frame)
        mark = b"" if position is None else b"id: %d\n" % position
        return mark + self._shown[2]


def frame_of(seq: int, type: str | None, zone: str | None, data: str) -> Frame:
    """One event as it goes on the wire; `data` is one line."""
    return Frame(seq, type, zone, f"id: {seq}\nevent: record\ndata: {data}\n\n".encode())
