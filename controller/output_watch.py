"""Whatever was released must be heard to be off again; if not, OFF once more, and then an alarm (B-26)."""

from __future__ import annotations

from typing import Final

from controller.config import Wiring
from controller.confirm import CannotReport, Confirmations, OffUnconfirmed, Output, SecureAgain
from controller.standing import Standing
from controller.turn import SwitchOff, Turn
from readers.events import OutputReported
from zones.moment import Moment
from zones.portal import ReleaseStrike, SecureStrike

TOLD_AGAIN_MS: Final = 10_000
"""An output that is switched on again and again by somebody else is told this often."""


class OutputWatch:
    """Owns what is waited for. `standing`: what the parts of the engine share. `wiring`: where strikes hang."""

    def __init__(self, standing: Standing, wiring: Wiring) -> None:
        self._standing = standing
        self._wiring = wiring
        self._confirm = Confirmations()
        self._strikes = frozenset((strike.device, strike.channel) for strike in wiring.strikes.values())
        self._told_on: dict[Output, int] = {}

    def reported(self, event: OutputReported, now: Moment, turn: Turn) -> None:
        """A device says what its output does. One that is on, and was not released by us, was switched by somebody
        else: on a plain line or a stolen password of the broker. It is switched off, and that is an alarm.
        """
        output = (event.source, event.channel)
        if output not in self._strikes:
            return  # a lamp, or whatever a stranger says that he has
        if event.is_on and output not in self._confirm.waiting:
            told = self._told_on.get(output)
            if told is None or now.tick_ms - told >= TOLD_AGAIN_MS:
                self._told_on[output] = now.tick_ms
                detail = {"device": event.source, "why": "on without a release"}
                self._standing.record(self._standing.scribe.draft("OUTPUT_FAILED", now=now, detail=detail), turn)
        self._confirm.reported(event.source, event.channel, event.is_on, now.tick_ms)

    def deadline(self) -> int | None:
        """The next tick (ms) at which something is due, or None."""
        return self._confirm.deadline()

    def look(self, now: Moment, turn: Turn) -> None:
        """Note what goes out with `turn`, and what should have been heard by now."""
        for effect in turn.urgent:
            if isinstance(effect, ReleaseStrike | SecureStrike):
                strike = self._wiring.strikes[effect.portal]
                if isinstance(effect, ReleaseStrike):
                    self._confirm.released(strike.device, strike.channel, effect.for_ms, now.tick_ms)
                else:
                    self._confirm.secured(strike.device, strike.channel, now.tick_ms)
        scribe = self._standing.scribe
        for due in self._confirm.due(now.tick_ms):
            match due:
                case SecureAgain(device=device, channel=channel):
                    turn.urgent.append(SwitchOff(device=device, channel=channel))
                case OffUnconfirmed(device=device):
                    detail = {"device": device, "why": "not confirmed off"}
                    self._standing.record(scribe.draft("OUTPUT_FAILED", now=now, detail=detail), turn)
                case CannotReport(device=device):
                    detail = {"code": "output_unconfirmed", "place": device}
                    self._standing.record(scribe.draft("DEVIATION", now=now, detail=detail), turn)
