"""What a sink is (docs/streams.md §3): whoever carries records to one place outside, and says what arrived there.

A sink is used by one thread, its courier's. It keeps no cursor and retries nothing by itself: it delivers what it is
given, in that order, and tells how many the other side has for certain. What it was given and did not acknowledge it
is given again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from controller.streams.outgoing import Outgoing

WHY_DOWN: Final = (
    "unreachable",  # no route, refused, no such name
    "timeout",  # it did not answer in time
    "tls",  # its certificate or its TLS is not what was agreed
    "not_authorized",  # it does not know us, or not for this
    "rejected",  # it answered, and would not take the record
    "gone",  # it says that it will take no more, ever
    "busy",  # it says: later
    "storage",  # its folder is full, away or broken
    "protocol",  # it answered what its protocol has no place for
    "foreign_archive",  # it holds other records under these numbers
    "ledger_behind",  # our cursor stands beyond the ledger's end: another ledger, or an older one put back
    "other_ledger",  # the ledger has another origin than the cursor
    "other_key",  # the ledger is signed with a key that the cursor does not know
    "cursor",  # its cursor cannot be read or written
    "fault",  # a mistake of ours
)
"""Stable codes for why a sink is down; they stand in SINK_LOST, so they hold none of the network's own text."""


class SinkDown(Exception):
    """The other side does not take records now; they are offered again later.

    Args:
        code: one of WHY_DOWN.
        why: for a reader at the machine (standard error); never recorded.
        retry_after_s: how long the other side asked to be left alone, where it did.
    """

    def __init__(self, code: str, why: str, retry_after_s: float = 0.0) -> None:
        assert code in WHY_DOWN, code
        super().__init__(why)
        self.code = code
        self.retry_after_s = retry_after_s


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
