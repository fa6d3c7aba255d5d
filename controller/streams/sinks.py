"""What a sink is (docs/streams.md §3): whoever carries records to one place outside, and says what arrived there.

A sink is used by one thread, its courier's. It keeps no cursor and retries nothing by itself: it delivers what it is
given, in that order, and tells how many the other side has for certain. What it was given and did not acknowledge it
is given again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controller.link.messages import SINK_WHY
from controller.streams.outgoing import Outgoing


class SinkDown(Exception):
    """The other side does not take records now; they are offered again later.

    Args:
        code: one of SINK_WHY.
        why: for a reader at the machine (standard error); never recorded.
        retry_after_s: how long the other side asked to be left alone, where it did.
        acknowledged: how many of the batch's first records arrived all the same.
    """

    def __init__(self, code: str, why: str, *, retry_after_s: float = 0.0, acknowledged: int = 0) -> None:
        assert code in SINK_WHY, code
        super().__init__(why)
        self.code = code
        self.retry_after_s = retry_after_s
        self.acknowledged = acknowledged


class Sink(Protocol):
    """One place outside."""

    @property
    def batch_max(self) -> int:
        """The most records that it is handed at once."""
        ...

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        """Bring `batch` (never empty, in order) to the other side; how many of the first ones it has acknowledged.

        Raises SinkDown where it cannot. Whatever is not acknowledged is handed over again, also after a restart.

        Fewer than it was given, even none, is no failure: syslog knows what arrived only by what it could write after
        it. The rest is handed over again with what follows it, and without that after a few seconds, so that a line
        that broke is noticed while nothing happens; never at once, over and over.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files. It may be called twice, and deliver may be called after it."""
        ...
