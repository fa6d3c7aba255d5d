"""Inputs as they are believed: levels that hold for two samples, and loops that tell a cut wire from an open contact.

Pure: samples in, at most one change out. A supervised loop ends in two resistors, so that each of its four states has
a band of its own (B-09); what lies in no band, or lies in one that means nothing, is a fault and never "closed".
A change is believed when two samples agree, the second taken at least `SETTLE_MS` after the first; a loop that never
holds still is believed to be what it is after `UNSETTLED_MS`, so that nobody hides a change behind a shaking wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from readers.events import InputChanged, LineFault

Level: TypeAlias = Literal["active", "quiet", "short", "cut"]

SETTLE_MS: Final = 20
"""Contacts bounce for some milliseconds; a pulse of 400 ms must be seen (B-09)."""


UNSETTLED_MS: Final = 300

WITHOUT_CURRENT: Final = frozenset({"contact", "tamper", "fire", "power"})
"""Lines that are wired closed while all is well, so that their active state is no current."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Bands of raw units (both ends belong to the band) of one supervised loop.

    Below `quiet` begins the short circuit, above `active` the cut wire, where `active` is the higher band; the other
    way round for loops whose resistance falls when they become active. A value between the two bands is a fault too:
    the nearer outer one is named.
    """

    quiet: tuple[int, int]
    active: tuple[int, int]

    def __post_init__(self) -> None:
        """Raises ValueError on bands that overlap or are empty."""
        low, high = sorted((self.quiet, self.active))
        if not low[0] <= low[1] < high[0] <= high[1]:
            raise ValueError(f"a supervised loop needs two bands apart from each other, not {low} and {high}")

    def level(self, raw: int) -> Level:
        """What a raw value means."""
        if self.quiet[0] <= raw <= self.quiet[1]:
            return "quiet"
        if self.active[0] <= raw <= self.active[1]:
            return "active"
        low, high = sorted((self.quiet, self.active))
        return "short" if 2 * raw < low[0] + high[1] else "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPlan:
    """One input of a board. `number` counts from 1; events come from `device:number`. `line`: what hangs on it, in the
    words of InputChanged. `is_active_high`: whether current, or a reading of 1, means active; None: as the line is
    wired by custom, where a cut wire of a contact, tamper, fire or mains line looks like the alarm. `loop`: for an
    analog input with end-of-line resistors; then `is_active_high` says nothing.
    """

    number: int
    line: str
    is_active_high: bool | None = None
    loop: Loop | None = None

    def level(self, raw: int) -> Level:
        """What a raw reading means."""
        if self.loop is not None:
            return self.loop.level(raw)
        is_high = self.line not in WITHOUT_CURRENT if self.is_active_high is None else self.is_active_high
        return "active" if bool(raw) is is_high else "quiet"


class Debounced:
    """One input's past: says what changed. The first level after `forget()` is a report of what was there already."""

    __slots__ = ("_believed", "_is_first", "_plan", "_since_ms", "_source", "_unlike_ms", "_waiting")

    def __init__(self, device: str, plan: InputPlan) -> None:
        self._source = f"{device}:{plan.number}"
        self._plan = plan
        self._believed: Level | None = None
        self._waiting: Level | None = None
        self._since_ms = 0
        self._unlike_ms = 0
        self._is_first = True

    @property
    def is_waiting(self) -> bool:
        """Whether a second sample is wanted soon."""
        return self._waiting is not None

    def forget(self) -> None:
        """The line was lost: what comes next is no edge, whatever it is."""
        self._waiting = None
        self._is_first = True

    def sample(self, raw: int, now_ms: int) -> list[InputChanged | LineFault]:
        """Take a reading; yields the change that it confirms, if any."""
        level = self._plan.level(raw)
        if level == self._believed and not self._is_first:
            self._waiting = None
            return []
        if self._waiting is None:
            self._unlike_ms = now_ms
        if level != self._waiting:
            self._waiting, self._since_ms = level, now_ms
        is_steady = now_ms - self._since_ms >= SETTLE_MS
        if not is_steady and now_ms - self._unlike_ms < UNSETTLED_MS:
            return []
        is_report, self._is_first = self._is_first, False
        self._believed, self._waiting = level, None
        return [self._told(level, is_report)]

    def _told(self, level: Level, is_report: bool) -> InputChanged | LineFault:
        if level in ("short", "cut"):
            fault: Literal["short", "cut"] = "short" if level == "short" else "cut"
            return LineFault(source=self._source, line=self._plan.line, fault=fault, is_level_report=is_report)
        return InputChanged(
            source=self._source, line=self._plan.line, is_active=level == "active", is_level_report=is_report
        )
