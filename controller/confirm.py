"""Whether every release ended: the device's own word that its output is off again, or a second OFF, or an alarm (B-26).

Pure, in ticks. It is told of each release, each OFF and each report of an output, and says what is to be done. A device
that has never reported anything may be unable to (an LCUS-1 board, a plain relay): it is named once and alarms nothing.
An output that says it is on without a release gets an OFF too. Nothing here waits for, or holds up, anybody at a door.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

SLACK_MS: Final = 1_500
"""How long after the end of a pulse the device's word may take: a busy line, a broker, a board that was asked twice."""
EARLY_MS: Final = 200
"""A report this much before the end still counts: the device's timer and ours began at different moments."""

Output: TypeAlias = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureAgain:
    """Send OFF a second time."""

    device: str
    channel: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffUnconfirmed:
    """It was sent OFF twice and is not known to be off. `is_on`: it says that it is on; None: it says nothing."""

    device: str
    channel: int | None
    is_on: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotReport:
    """The device moved a strike and has never said what its output does: a deviation, told once."""

    device: str


Due: TypeAlias = SecureAgain | OffUnconfirmed | CannotReport


@dataclass(slots=True)
class _Pulse:
    """One output that shall be off at `ends_ms`; `said` is its last word since the release."""

    ends_ms: int
    due_ms: int
    is_second: bool = False
    said: bool | None = None


class Confirmations:
    """Every output that is not known to be off.

    Args:
        reporting: devices that are known to report their outputs; others are learned by their first report.
    """

    def __init__(self, reporting: Iterable[str] = ()) -> None:
        self._reporting = set(reporting)
        self._named: set[str] = set()
        self._pulses: dict[Output, _Pulse] = {}

    @property
    def waiting(self) -> frozenset[Output]:
        """The outputs whose OFF is not confirmed yet."""
        return frozenset(self._pulses)

    def released(self, device: str, channel: int | None, for_ms: int, tick_ms: int) -> None:
        """A release went out (again); it shall be over after `for_ms`."""
        ends_ms = tick_ms + for_ms
        self._pulses[device, channel] = _Pulse(ends_ms, ends_ms + SLACK_MS)

    def secured(self, device: str, channel: int | None, tick_ms: int) -> None:
        """An OFF went out: the pulse is over now, if one was on."""
        pulse = self._pulses.get((device, channel))
        if pulse is not None and not pulse.is_second:
            pulse.ends_ms = min(pulse.ends_ms, tick_ms)
            pulse.due_ms = min(pulse.due_ms, tick_ms + SLACK_MS)

    def reported(self, device: str, channel: int | None, is_on: bool, tick_ms: int) -> None:
        """The device said what its output does."""
        self._reporting.add(device)
        pulse = self._pulses.get((device, channel))
        if pulse is None:
            if is_on:  # nobody released it
                self._pulses[device, channel] = _Pulse(tick_ms, tick_ms, said=True)
        elif not is_on and tick_ms >= pulse.ends_ms - EARLY_MS:
            del self._pulses[device, channel]
        else:
            pulse.said = is_on

    def deadline(self) -> int | None:
        """When `due` has something to say (tick ms), or None."""
        return min((pulse.due_ms for pulse in self._pulses.values()), default=None)

    def due(self, tick_ms: int) -> list[Due]:
        """What is to be done now about outputs that are not known to be off."""
        told: list[Due] = []
        for (device, channel), pulse in list(self._pulses.items()):
            if tick_ms < pulse.due_ms:
                continue
            if device not in self._reporting:
                del self._pulses[device, channel]
                if device not in self._named:
                    self._named.add(device)
                    told.append(CannotReport(device=device))
            elif not pulse.is_second:
                pulse.is_second, pulse.due_ms = True, tick_ms + SLACK_MS
                told.append(SecureAgain(device=device, channel=channel))
            else:
                del self._pulses[device, channel]
                if pulse.said is not False:  # one that ended early by its own timer had nothing more to say
                    told.append(OffUnconfirmed(device=device, channel=channel, is_on=pulse.said))
        return told
