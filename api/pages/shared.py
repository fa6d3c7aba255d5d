"""A part of a page that many look at: made once for all who see the same, at most twice a second, and packed once.

Fifty open pages ask within the same second whenever something happens. Whoever asks too soon after the last time waits
for the next one instead of making his own.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import anyio
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from api.texts import Language, spoken
from api.view import View

SPACED_S: Final = 0.5
KEPT_S: Final = 1.0
"""What changes by itself (a release that is over) shows after so long at the latest."""

Sees = TypeVar("Sees", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Made:
    version: int
    tick: float
    text: str
    packed: bytes


class Shared(Generic[Sees]):
    """`render` makes the part for whoever sees `Sees`, in the spoken language. One for the process."""

    def __init__(self, view: View, render: Callable[[Sees], str]) -> None:
        self._view = view
        self._render = render
        self._lock = threading.Lock()
        self._made: dict[tuple[Language, Sees], _Made] = {}

    def text(self, sees: Sees) -> str:
        """The part as it is now."""
        return self._now(sees).text

    async def answer(self, request: Request, sees: Sees) -> Response:
        """The part as an answer of its own."""
        was = self._made.get((spoken(), sees))
        if was is not None and was.version != self._view.version:
            await anyio.sleep(max(0.0, was.tick + SPACED_S - time.monotonic()))
        made = await run_in_threadpool(self._now, sees)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return HTMLResponse(made.text)
        return HTMLResponse(made.packed, headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})

    def forget(self) -> None:
        """What it is made of changed without a record."""
        with self._lock:
            self._made.clear()

    def _now(self, sees: Sees) -> _Made:
        key = (spoken(), sees)
        with self._lock:
            version, tick = self._view.version, time.monotonic()
            was = self._made.get(key)
            if was is not None and was.version == version and tick - was.tick < KEPT_S:
                return was
            text = self._render(sees)
            self._made = {one: made for one, made in self._made.items() if tick - made.tick < KEPT_S}
            self._made[key] = _Made(version, tick, text, gzip.compress(text.encode(), 5))
            return self._made[key]
