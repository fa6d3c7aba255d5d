"""Counting what made no sense on a line, and saying so at a bounded rate.

A torn cable can produce thousands of junk bytes a second; each report becomes a record on disk. So the first is told
at once, the rest is added up and told once a second.
"""

from __future__ import annotations

from typing import Final

from readers.events import SAMPLE_BYTES_MAX, LineNoise

REPORT_EVERY_MS: Final = 1_000


class NoiseMeter:
    """Adds up junk of one device; `report()` yields at most one LineNoise per REPORT_EVERY_MS."""

    __slots__ = ("_count", "_quiet_until_ms", "_sample", "_source")

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self._sample = b""
        self._quiet_until_ms: int | None = None

    def add(self, junk: bytes | bytearray) -> None:
        """Count `junk`; the first bytes since the last report are kept as its sample."""
        if not self._count:
            self._sample = bytes(junk[:SAMPLE_BYTES_MAX])
        self._count += len(junk)

    def deadline(self) -> int | None:
        """When `report()` has something to say (tick ms); None while the line is clean."""
        if not self._count:
            return None
        return 0 if self._quiet_until_ms is None else self._quiet_until_ms

    def report(self, now_ms: int) -> list[LineNoise]:
        """The noise since the last report, or nothing while it is too early for another one."""
        due_ms = self.deadline()
        if due_ms is None or now_ms < due_ms:
            return []
        told = LineNoise(source=self._source, count=self._count, sample=self._sample)
        self._count = 0
        self._sample = b""
        self._quiet_until_ms = now_ms + REPORT_EVERY_MS
        return [told]
