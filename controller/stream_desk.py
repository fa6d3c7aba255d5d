"""What the program that carries records outside, and witnesses' messengers, may have recorded: the table of reports.

They stand outside the controller and are not trusted: names of a known form, reasons out of a list and never the
network's words, numbers that can be, and a bounded number of records whatever they say. A report opens nothing and
changes nothing but the alarms on the officers' page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from controller.ledger.body import Draft, Scribe
from controller.ledger.canonical import INTEGER_MAX
from controller.link.messages import SINK_WHY, WITNESS_WHY, StreamReport
from zones.ids import ID_PATTERN
from zones.moment import Moment

BURST: Final = 40
REFILL_MS: Final = 15_000
"""Beyond a burst one report is recorded in this time: four a minute, whatever flaps."""

SKEW_MS_MIN: Final = 1_000
_SINK: Final = re.compile(ID_PATTERN)
_WITNESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


class ReportRefused(ValueError):
    """A report that is not recorded. `field` names what of it is wrong."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


class StreamDesk:
    """Judges reports for one start of the controller."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._left = BURST
        self._refilled_at: int | None = None

    def takes_one(self, now: Moment) -> bool:
        """Whether one more report may make a record now."""
        if self._refilled_at is None:
            self._refilled_at = now.tick_ms
        gained = (now.tick_ms - self._refilled_at) // REFILL_MS
        self._left = min(BURST, self._left + gained)
        self._refilled_at += gained * REFILL_MS
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def draft(self, report: StreamReport, now: Moment) -> Draft:
        """The record of `report`. Raises ReportRefused."""
        detail_of = DETAILS.get(report.code)
        if detail_of is None:
            raise ReportRefused("code", f"code must be one of {', '.join(DETAILS)}")
        type_ = RECORDED.get(report.code, report.code)
        return self._scribe.draft(type_, now=now, officer=report.officer, detail=detail_of(report))


def _lost(report: StreamReport) -> dict[str, Any]:
    return {"sink": _sink(report), "why": _one_of(report.why, SINK_WHY)}


def _restored(report: StreamReport) -> dict[str, Any]:
    numbers = {"from_seq": report.from_seq, "to_seq": report.to_seq, "for_ms": report.for_ms}
    for field, number in numbers.items():
        _count(field, number)
    if report.to_seq < report.from_seq - 1:
        raise ReportRefused("to_seq", "to_seq must not lie before from_seq")
    return {"sink": _sink(report), **numbers}


def _removed(report: StreamReport) -> dict[str, Any]:
    return {"kind": "SINK_LOST", "row": _sink(report)}


def _refused(report: StreamReport) -> dict[str, Any]:
    _count("size", report.size)
    return {"witness": _witness(report), "code": _one_of(report.why, WITNESS_WHY), "size": report.size}


def _skew(report: StreamReport) -> dict[str, Any]:
    if not SKEW_MS_MIN <= abs(report.by_ms) <= INTEGER_MAX:
        raise ReportRefused("by_ms", f"clocks that differ by less than {SKEW_MS_MIN} ms are no matter")
    return {"against": _witness(report), "by_ms": report.by_ms}


def _agrees(report: StreamReport) -> dict[str, Any]:
    return {"kind": "CLOCK_SKEW", "row": _witness(report)}


DETAILS: Final[Mapping[str, Callable[[StreamReport], dict[str, Any]]]] = MappingProxyType(
    {
        "SINK_LOST": _lost,
        "SINK_RESTORED": _restored,
        "SINK_REMOVED": _removed,
        "WITNESS_REFUSED": _refused,
        "CLOCK_SKEW": _skew,
        "CLOCK_AGREES": _agrees,
    }
)
"""Code of a report (STREAM_REPORTS) -> what its record says, checked."""

RECORDED: Final = {"SINK_REMOVED": "ALARM_CEASED", "CLOCK_AGREES": "ALARM_CEASED"}
"""Code of a report -> the type of its record, where it is another word."""


def _sink(report: StreamReport) -> str:
    if not _SINK.fullmatch(report.sink):
        raise ReportRefused("sink", "sink must be lower-case letters, digits and dashes")
    return report.sink


def _witness(report: StreamReport) -> str:
    if not _WITNESS.fullmatch(report.sink):
        raise ReportRefused("sink", "a witness is named as in its vkey: letters, digits, and signs of ._:/-")
    return report.sink


def _one_of(why: str, known: tuple[str, ...]) -> str:
    if why not in known:
        raise ReportRefused("why", f"why must be one of {', '.join(known)}")
    return why


def _count(field: str, number: int) -> None:
    if not 0 <= number <= INTEGER_MAX:
        raise ReportRefused(field, f"{field} must be a count")
