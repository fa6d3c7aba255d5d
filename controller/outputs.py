"""Carries effects out to relays and readers. Each is tried once, now: nothing waits for a wire that is down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from controller.clock import wall_ms
from controller.config import Strike, Wiring
from controller.ports import Port
from controller.turn import ShowAtReader
from readers.protocols.lcus import LcusBoard
from readers.protocols.mqtt_messages import Release, Secure, Show
from zones.moment import Moment
from zones.portal import ReleaseStrike, SecureStrike

if TYPE_CHECKING:
    from readers.transports.mqtt import MqttLink

SHOW_MS = 3_000


class Outputs:
    """Everything that the controller can move or light.

    Args:
        wiring: which strike hangs where.
        boards: relay boards by device id, with the port that each is on.
        mqtt: the broker connection for commands, where the site has one.
        shows: the broker connection for what readers show.
        displays: readers that can show something (those on MQTT).
        boot: this start's id, for command ids.
        skew_ms: our wall clock minus a device's: commands expire by the clock of the device that reads them, so that
            a wrong clock on either side holds nobody in.
    """

    def __init__(
        self,
        wiring: Wiring,
        boards: Mapping[str, tuple[LcusBoard, Port]],
        mqtt: MqttLink | None,
        shows: MqttLink | None,
        displays: frozenset[str],
        boot: str,
        skew_ms: Callable[[str, Moment], int],
    ) -> None:
        self._wiring = wiring
        self._boards = boards
        self._mqtt = mqtt
        self._shows = shows
        self._displays = displays
        self._boot = boot
        self._skew_ms = skew_ms
        self._count = 0

    def perform(self, effect: ReleaseStrike | SecureStrike | ShowAtReader, now: Moment) -> str:
        """Do it. Returns "" or why it could not be done."""
        match effect:
            case ShowAtReader():
                return self._show(effect, now)
            case SecureStrike():
                return self._secure(self._wiring.strikes[effect.portal], now)
            case ReleaseStrike():
                if now.tick_ms > effect.not_after_tick_ms:
                    return "too late"
                return self._release(effect, self._wiring.strikes[effect.portal], now)

    def all_off(self, now: Moment) -> None:
        """Every serial strike off: the last thing said on those lines. MQTT devices drop theirs by themselves."""
        for board, port in self._boards.values():
            board.all_off()
            port.send(now.tick_ms)

    def device_of(self, effect: ReleaseStrike | SecureStrike | ShowAtReader) -> str:
        """The device that an effect is for."""
        return effect.reader if isinstance(effect, ShowAtReader) else self._wiring.strikes[effect.portal].device

    def _release(self, effect: ReleaseStrike, strike: Strike, now: Moment) -> str:
        if strike.channel is not None:
            return self._switch(strike.device, strike.channel, True, now)
        issued_ms = self._time_of(strike.device, now)
        command = Release(
            id=effect.grant_id or self._next_id(),
            for_ms=effect.for_ms,
            issued_ms=issued_ms,
            not_after_ms=issued_ms + effect.not_after_tick_ms - now.tick_ms,
        )
        return self._publish(strike.device, command)

    def _secure(self, strike: Strike, now: Moment) -> str:
        if strike.channel is not None:
            return self._switch(strike.device, strike.channel, False, now)
        issued_ms = self._time_of(strike.device, now)
        return self._publish(
            strike.device, Secure(id=self._next_id(), issued_ms=issued_ms, not_after_ms=issued_ms + SHOW_MS)
        )

    def _switch(self, device: str, channel: int, is_on: bool, now: Moment) -> str:
        board, port = self._boards[device]
        if not board.is_open:
            return "line is down"
        board.switch(channel, is_on)
        port.send(now.tick_ms)
        return "" if port.is_open else "line broke"

    def _show(self, effect: ShowAtReader, now: Moment) -> str:
        """Light and sound are a courtesy: one that does not get out is no failure of its own. That the broker or the
        reader is away is in the ledger already, once.
        """
        if effect.reader in self._displays and self._shows is not None:
            not_after_ms = self._time_of(effect.reader, now) + SHOW_MS
            show = Show(id=self._next_id(), show=effect.shown.value, not_after_ms=not_after_ms, number=effect.number)
            self._shows.publish_show(effect.reader, show)
        return ""

    def _publish(self, device: str, command: Release | Secure) -> str:
        if self._mqtt is None or not self._mqtt.publish_command(device, command):
            return "broker is away"
        return ""

    def _time_of(self, device: str, now: Moment) -> int:
        """Now, as the device's clock shows it."""
        return max(0, wall_ms(now.at) - self._skew_ms(device, now))

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._boot}-o{self._count}"
