"""Carries effects out to relays and readers. Each is tried once, now: nothing waits for a wire that is down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from controller.clock import wall_ms
from controller.config import Strike, Wiring
from controller.relays import Relays
from controller.turn import (
    BeginInstall,
    EndInstall,
    ReaderEffect,
    RenewKey,
    SetBaud,
    ShowAtReader,
    Shown,
    SwitchOff,
    TrustReader,
)
from readers.protocols.mqtt_messages import Release, Secure, Show
from zones.ids import PortalId
from zones.moment import Moment
from zones.portal import Phase, ReleaseStrike, SecureStrike

if TYPE_CHECKING:
    from readers.transports.mqtt import MqttLink

SHOW_MS: Final = 3_000
NO_RELAYS: Final = "has no relays here"
"""Pins that could not be had, or a reader that speaks of an output that the site file does not know."""

Outgoing = ReleaseStrike | SecureStrike | ShowAtReader | SwitchOff | ReaderEffect
"""What goes out over a wire."""


class SecuredBus(Protocol):
    """What is done to readers with a secure channel."""

    def show(self, reader: str, shown: Shown, number: str | None, now: Moment) -> None: ...
    def begin_install(self, reader: str, key: bytes, within_ms: int, now: Moment) -> None: ...
    def end_install(self, reader: str, now: Moment) -> None: ...
    def renew_key(self, reader: str, key: bytes, now: Moment) -> bool: ...
    def trust(self, reader: str, identity: str, now: Moment) -> None: ...
    def set_baud(self, baud: int, now: Moment) -> bool: ...


class Outputs:
    """Everything that the controller can move or light.

    Args:
        wiring: which strike hangs where.
        relays: devices with relays on wires of our own.
        buses: readers with a secure channel, and their lines, by device.
        mqtt: the broker connection for commands, where the site has one.
        shows: the broker connection for what readers show.
        displays: readers on the broker that can show something.
        boot: this start's id, for command ids.
        skew_ms: our wall clock minus a device's: commands expire by the clock of the device that reads them, so that
            a wrong clock on either side holds nobody in.
    """

    def __init__(  # noqa: PLR0913 - one argument per kind of wire
        self,
        *,
        wiring: Wiring,
        relays: Mapping[str, Relays],
        buses: Mapping[str, SecuredBus],
        mqtt: MqttLink | None,
        shows: MqttLink | None,
        displays: frozenset[str],
        boot: str,
        skew_ms: Callable[[str, Moment], int],
    ) -> None:
        self._wiring = wiring
        self._relays = relays
        self._buses = buses
        self._mqtt = mqtt
        self._shows = shows
        self._displays = displays
        self._boot = boot
        self._skew_ms = skew_ms
        self._count = 0

    def perform(self, effect: Outgoing, now: Moment) -> str:
        """Do it. Returns "" or why it could not be done."""
        match effect:
            case ShowAtReader():
                return self._show(effect, now)
            case SecureStrike():
                return self._secure(self._wiring.strikes[effect.portal], now)
            case SwitchOff(device=device, channel=channel):
                return self._secure(Strike(device=device, channel=channel), now)
            case ReleaseStrike():
                if now.tick_ms > effect.not_after_tick_ms:
                    return "too late"
                return self._release(effect, self._wiring.strikes[effect.portal], now)
            case _:
                return self._to_reader(effect, now)

    def show_phases(self, phases: Mapping[PortalId, Phase]) -> None:
        """Show others how portals stand, where the site file says so (Home Assistant)."""
        if self._shows is not None:
            for portal, phase in phases.items():
                self._shows.publish_state(portal, phase.value)

    def all_off(self, now: Moment) -> None:
        """Every strike on wires of our own off: the last thing said there. MQTT devices drop theirs by themselves."""
        for relays in self._relays.values():
            relays.all_off(now)

    def device_of(self, effect: Outgoing) -> str:
        """The device that an effect is for."""
        match effect:
            case ReleaseStrike() | SecureStrike():
                return self._wiring.strikes[effect.portal].device
            case SwitchOff():
                return effect.device
            case _:
                return effect.reader

    def _release(self, effect: ReleaseStrike, strike: Strike, now: Moment) -> str:
        if strike.channel is not None:
            relays = self._relays.get(strike.device)
            return NO_RELAYS if relays is None else relays.release(strike.channel, effect.for_ms, now)
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
            relays = self._relays.get(strike.device)
            return NO_RELAYS if relays is None else relays.secure(strike.channel, now)
        issued_ms = self._time_of(strike.device, now)
        return self._publish(
            strike.device, Secure(id=self._next_id(), issued_ms=issued_ms, not_after_ms=issued_ms + SHOW_MS)
        )

    def _show(self, effect: ShowAtReader, now: Moment) -> str:
        """Light and sound are a courtesy: one that does not get out is no failure of its own. That the broker or the
        reader is away is in the ledger already, once.
        """
        if (bus := self._buses.get(effect.reader)) is not None:
            bus.show(effect.reader, effect.shown, effect.number, now)
        elif effect.reader in self._displays and self._shows is not None:
            not_after_ms = self._time_of(effect.reader, now) + SHOW_MS
            show = Show(id=self._next_id(), show=effect.shown.value, not_after_ms=not_after_ms, number=effect.number)
            self._shows.publish_show(effect.reader, show)
        return ""

    def _to_reader(self, effect: ReaderEffect, now: Moment) -> str:
        """Keys and trust of one reader with a secure channel."""
        bus = self._buses.get(effect.reader)
        if bus is None:
            return "has no secure channel"
        match effect:
            case BeginInstall(reader=reader, key=key, within_ms=within_ms):
                bus.begin_install(reader, key, within_ms, now)
            case EndInstall(reader=reader):
                bus.end_install(reader, now)
            case RenewKey(reader=reader, key=key):
                return "" if bus.renew_key(reader, key, now) else "does not answer"
            case SetBaud(baud=baud):
                return "" if bus.set_baud(baud, now) else "is busy changing its speed"
            case TrustReader(reader=reader, identity=identity):
                bus.trust(reader, identity, now)
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
