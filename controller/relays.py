"""Relays on wires of the loop's own: a board, the outputs of an OSDP reader, the controller's pins; one face for all.

Each order is tried once, now: nothing waits for a wire that is down (B-11, B-22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from controller.ports import Port
from controller.turn import Shown
from readers.protocols.lcus import LcusBoard
from zones.moment import Moment

if TYPE_CHECKING:
    from readers.protocols.modbus import ModbusLine
    from readers.protocols.osdp.bus import OsdpBus
    from readers.transports.gpio import GpioPins

LINE_DOWN = "line is down"
BROKE = "line broke"


class Relays(Protocol):
    """The relays of one device. Each call returns "" or why it could not be done."""

    def release(self, channel: int, for_ms: int, now: Moment) -> str: ...
    def secure(self, channel: int, now: Moment) -> str: ...
    def all_off(self, now: Moment) -> None: ...


class LcusRelays:
    """An LCUS board: ON and OFF by our own deadlines."""

    def __init__(self, board: LcusBoard, port: Port) -> None:
        self._board, self._port = board, port

    def release(self, channel: int, _for_ms: int, now: Moment) -> str:
        """The strike on; its OFF is the portal machine's."""
        return self._switch(channel, True, now)

    def secure(self, channel: int, now: Moment) -> str:
        """The strike off."""
        return self._switch(channel, False, now)

    def all_off(self, now: Moment) -> None:
        """Every strike off."""
        self._board.all_off()
        self._port.send(now.tick_ms)

    def _switch(self, channel: int, is_on: bool, now: Moment) -> str:
        if not self._board.is_open:
            return LINE_DOWN
        self._board.switch(channel, is_on)
        self._port.send(now.tick_ms)
        return "" if self._port.is_open else BROKE


class ModbusRelays:
    """One board on a Modbus line: it drops the strike by itself where it can."""

    def __init__(self, line: ModbusLine, board: str, port: Port) -> None:
        self._line, self._board, self._port = line, board, port

    def release(self, channel: int, for_ms: int, now: Moment) -> str:
        """The strike on for `for_ms`."""
        return self._sent(self._line.release(self._board, channel, for_ms, now.tick_ms), now)

    def secure(self, channel: int, now: Moment) -> str:
        """The strike off."""
        return self._sent(self._line.secure(self._board, channel, now.tick_ms), now)

    def all_off(self, now: Moment) -> None:
        """Every strike on this line off: a line is switched off as a whole."""
        self._line.all_off(now.tick_ms)
        self._port.send(now.tick_ms)

    def _sent(self, is_taken: bool, now: Moment) -> str:
        if not is_taken:
            return LINE_DOWN
        self._port.send(now.tick_ms)
        return "" if self._port.is_open else BROKE


class OsdpOutputs:
    """The outputs of one OSDP device: its own timer drops the strike, and it is asked whether that is so."""

    def __init__(self, bus: OsdpBus, device: str, channels: int, port: Port) -> None:
        self._bus, self._device, self._channels, self._port = bus, device, channels, port

    def release(self, channel: int, for_ms: int, now: Moment) -> str:
        """The output on for `for_ms`."""
        return self._sent(self._bus.switch(self._device, channel - 1, is_on=True, for_ms=for_ms), now)

    def secure(self, channel: int, now: Moment) -> str:
        """The output off."""
        return self._sent(self._bus.switch(self._device, channel - 1, is_on=False, for_ms=0), now)

    def all_off(self, now: Moment) -> None:
        """Every output off."""
        for channel in range(1, self._channels + 1):
            self.secure(channel, now)

    def _sent(self, is_taken: bool, now: Moment) -> str:
        if not is_taken:
            return "does not answer"
        self._bus.ask_outputs(self._device)  # what it does now is heard, not believed (B-26)
        self._port.send(now.tick_ms)
        return "" if self._port.is_open else BROKE


class PinRelays:
    """The controller's own pins."""

    def __init__(self, pins: GpioPins) -> None:
        self._pins = pins

    def release(self, channel: int, for_ms: int, _now: Moment) -> str:
        """The pin active for `for_ms`; it falls by a timer of its own."""
        return "" if self._pins.release(channel, for_ms) else LINE_DOWN

    def secure(self, channel: int, _now: Moment) -> str:
        """The pin at rest."""
        return "" if self._pins.secure(channel) else LINE_DOWN

    def all_off(self, _now: Moment) -> None:
        """Every pin at rest."""
        self._pins.all_off()


class OsdpReaders:
    """The readers of one bus, as `controller.outputs` speaks to them: what is said goes out at once."""

    def __init__(self, bus: OsdpBus, port: Port) -> None:
        self._bus, self._port = bus, port

    def show(self, reader: str, shown: Shown, number: str | None, now: Moment) -> None:
        """Light, sound and words."""
        self._bus.show(reader, shown.value, number or "")
        self._port.send(now.tick_ms)

    def begin_install(self, reader: str, key: bytes, within_ms: int, now: Moment) -> None:
        """Let this reader take its first key."""
        self._bus.begin_install(reader, key, now.tick_ms, within_ms)
        self._port.send(now.tick_ms)

    def end_install(self, reader: str, now: Moment) -> None:
        """No more."""
        self._bus.end_install(reader)
        self._port.send(now.tick_ms)

    def renew_key(self, reader: str, key: bytes, now: Moment) -> bool:
        """Another key, inside the channel. False: the reader does not answer."""
        is_sent = self._bus.renew_key(reader, key)
        self._port.send(now.tick_ms)
        return is_sent

    def set_baud(self, baud: int, now: Moment) -> bool:
        """Another speed for the whole line. False: it is changing already."""
        is_begun = self._bus.set_baud(baud)
        self._port.send(now.tick_ms)
        return is_begun

    def trust(self, reader: str, identity: str, now: Moment) -> None:
        """The reader that is there now is the right one."""
        self._bus.trust(reader, identity)
        self._port.send(now.tick_ms)
