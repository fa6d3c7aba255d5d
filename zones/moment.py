"""One reading of both clocks. `zones` never asks what time it is: it is told.

Deadlines use `tick_ms` (monotonic, survives a stepped wall clock); dates and schedules use `at`.
Legal dates are days in Asia/Tokyo whatever the host's zone is (requirements D-30).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")
"""Japan has no daylight saving time, so a fixed offset is exact and needs no time-zone database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`at`: aware UTC wall time. `tick_ms`: monotonic milliseconds. `is_trusted`: the wall clock may be believed."""

    at: datetime
    tick_ms: int
    is_trusted: bool = True

    def __post_init__(self) -> None:
        assert self.at.tzinfo is UTC, "Moment.at must be aware UTC"

    @property
    def today(self) -> date:
        """The day in Japan."""
        return self.at.astimezone(JST).date()
