"""Whatever was released must be heard to be off again; if not, OFF once more, and then an alarm (B-26)."""

from __future__ import annotations

from controller.config import Wiring
from controller.confirm import CannotReport, Confirmations, OffUnconfirmed, SecureAgain
from controller.standing import Standing
from controller.turn import SwitchOff, Turn
from readers.events import OutputReported
from zones.moment import Moment
from zones.portal import ReleaseStrike, SecureStrike


class OutputWatch:
    """Owns what is waited for. `standing`: what the parts of the engine share. `wiring`: where strikes hang."""

    def __init__(self, standing: Standing, wiring: Wiring) -> None:
        self._standing = standing
        self._wiring = wiring
        self._confirm = Confirmations()

    def reported(self, event: OutputReported, now: Moment, _turn: Turn) -> None:
        """A device says what its output does."""
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
