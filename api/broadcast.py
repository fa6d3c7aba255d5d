"""One event, encoded once, for every client that follows: a ring of frames that clients read at their own pace.

Clients hold a position, not a queue: a slow one costs no memory, reads older events from api.db, and is dropped when
its socket takes nothing for SEND_TIMEOUT_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Final

import anyio
from starlette.concurrency import run_in_threadpool

RING_MAX: Final = 1024
PAGE: Final = 200
SNAPSHOT_S: Final = 2.0
SEND_TIMEOUT_S: Final = 10.0
STOP_LOOK_S: Final = 0.5


class Broadcast:
    """Frames of live events. `read_after(seq, limit)` fetches older ones; `snapshot` describes this moment."""

    def __init__(
        self,
        tail: int,
        read_after: Callable[[int, int], list[tuple[int, bytes]]],
        snapshot: Callable[[], dict[str, object]],
    ) -> None:
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=RING_MAX)
        self._tail = tail
        self._lock = threading.Lock()
        self._read_after = read_after
        self._snapshot = snapshot
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stir = asyncio.Event()
        self.followers = 0

    @property
    def tail(self) -> int:
        """Sequence number of the newest event that can be followed."""
        return self._tail

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop the clients run on."""
        self._loop = loop

    def restart(self, tail: int) -> None:
        """Another ledger: forget the frames."""
        with self._lock:
            self._ring.clear()
            self._tail = tail
        self.stir()

    def publish(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Offer new frames, in order. From any thread."""
        with self._lock:
            self._ring.extend(frames)
            self._tail = frames[-1][0]
        self.stir()

    def stir(self) -> None:
        """Wake every client: something changed. From any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        stirred, self._stir = self._stir, asyncio.Event()
        stirred.set()

    def _after(self, position: int) -> list[bytes] | None:
        """Frames after `position`; None where the ring does not reach back that far."""
        with self._lock:
            if position >= self._tail:
                return []
            if not self._ring or self._ring[0][0] > position + 1:
                return None
            skip = position + 1 - self._ring[0][0]
            return [self._ring[index][1] for index in range(skip, min(len(self._ring), skip + PAGE))]

    def follow(self, position: int, stopping: anyio.Event) -> AsyncIterator[bytes]:
        """Every event after `position`, then those that come, with a snapshot at least every SNAPSHOT_S, until
        `stopping` is set. The follower's place is taken now, not when it starts to read, and given back when nobody
        holds what is returned.
        """
        self.followers += 1
        frames = self._frames(position, stopping)
        weakref.finalize(frames, self._leave).atexit = False
        return frames

    def _leave(self) -> None:
        self.followers -= 1

    async def _frames(self, position: int, stopping: anyio.Event) -> AsyncGenerator[bytes]:
        yield self._snapshot_frame()
        shown = time.monotonic()
        while not stopping.is_set():
            stirred = self._stir
            frames = self._after(position)
            if frames is None:
                page = await run_in_threadpool(self._read_after, position, PAGE)
                frames = [frame for _, frame in page]
            if frames:
                position += len(frames)
                yield b"".join(frames)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stirred.wait(), STOP_LOOK_S)
                if self._after(position) != []:
                    continue
            if stirred.is_set() or time.monotonic() - shown >= SNAPSHOT_S:
                yield self._snapshot_frame()
                shown = time.monotonic()

    def _snapshot_frame(self) -> bytes:
        return b"event: snapshot\ndata: " + json.dumps(self._snapshot()).encode() + b"\n\n"


def frame_of(seq: int, data: str) -> bytes:
    """One event as bytes on the wire; `data` is one line."""
    return f"id: {seq}\nevent: record\ndata: {data}\n\n".encode()
