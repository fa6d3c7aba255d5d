"""Asks a serial port what speaks there, and switches nothing: every question here only reads.

Owns the questions and the order of speeds. A port that answered one protocol is not asked in another. Answers count
only when they are whole, with their checks right.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from readers.errors import TransportError
from readers.protocols import modbus_frames, pn532_frames
from readers.protocols.modbus_frames import Function
from readers.protocols.osdp import commands, frames, replies
from readers.transports.serial_line import SerialLine
from sekisho.bench import opened, trouble_of

T = TypeVar("T")

PN532_BAUDS: Final = (115_200, 230_400, 460_800, 921_600)
OSDP_BAUDS: Final = (9_600, 19_200, 38_400, 57_600, 115_200)
MODBUS_BAUDS: Final = (9_600, 19_200)
LCUS_BAUD: Final = 9_600
OSDP_ADDRESSES: Final = tuple(range(8))
MODBUS_UNITS: Final = tuple(range(1, 9))
PATIENCE_S: Final = 0.12
"""What a device needs to begin its answer, beside the time on the line; OSDP allows 0.2 s, and few need it."""
LONG_PATIENCE_S: Final = 0.25
QUIET_S: Final = 0.02
BITS_PER_BYTE: Final = 11
LATENCY_S: Final = 0.032
"""USB adapters hand bytes over every 16 ms, each way."""
_FIRMWARE: Final = b"\xd4\x02"
_CHECKS: Final = 8
"""Function code 8 of osdp_PDCAP: whether the reader knows the CRC."""
_STATES: Final = re.compile(rb"CH(\d{1,2}): ?(ON|OFF)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that answered. `at`: its address or unit, None where a port has one device. `facts`: for people."""

    kind: str
    port: str
    baud: int
    at: int | None = None
    facts: dict[str, str] = field(default_factory=dict)


class Prober:
    """Asks one port. `progress(text)` is told what is tried.

    Args:
        path: the port.
        progress: hears what is asked now.
        simulation: whether the port may be a loopback socket.
    """

    def __init__(self, path: str, progress: Callable[[str], object], *, simulation: bool = False) -> None:
        self._path = path
        self._progress = progress
        self._line = SerialLine(path, PN532_BAUDS[0], simulation=simulation)
        self._has_heard = False
        self.heard_at: int | None = None

    def found(self) -> list[Found]:
        """Everything that answered. PortTroubleError where the port cannot be had or breaks."""
        return self._only(self._each)

    def _each(self) -> Iterator[Found]:
        for asks in (self._pn532, self._osdp, self._modbus, self._lcus):
            found = list(asks())
            yield from found
            if found:
                return

    def pn532_only(self, bauds: Sequence[int]) -> Found | None:
        """The PN532 at one of these speeds."""
        return next(iter(self._only(lambda: self._pn532(bauds))), None)

    def osdp_only(self, bauds: Sequence[int], addresses: Sequence[int]) -> list[Found]:
        """The OSDP readers at these speeds and addresses; stops at the first speed that has some. One address alone is
        not looked for under another one; `heard_at` is a speed at which somebody answered all the same.
        """
        return self._only(lambda: self._osdp(bauds, addresses))

    def modbus_only(self, bauds: Sequence[int], units: Sequence[int]) -> list[Found]:
        """The Modbus boards at these speeds and units; stops at the first speed that has some."""
        return self._only(lambda: self._modbus(bauds, units))

    def _only(self, asks: Callable[[], Iterator[Found]]) -> list[Found]:
        try:
            opened(self._line)
            return list(asks())
        except TransportError as error:
            raise trouble_of(self._path, error) from error
        finally:
            self._line.close()

    # -- the line --------------------------------------------------------------------------------------------------

    def _ask(self, request: bytes, complete: Callable[[bytes], T | None], patience_s: float) -> T | None:
        """Send, and wait for what `complete` calls an answer; longer while bytes come."""
        self._drain()
        self._line.write(request)
        baud = self._line.baud
        until = time.monotonic() + len(request) * BITS_PER_BYTE / baud + patience_s + LATENCY_S
        latest = until + 1.0
        held = b""
        while (left_s := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._line.fileno()], [], [], left_s)
            if not ready:
                break
            held += self._line.read()
            self._has_heard = True
            if (answer := complete(held)) is not None:
                return answer
            until = min(latest, max(until, time.monotonic() + QUIET_S + 3 * BITS_PER_BYTE / baud))
        return None

    def _drain(self) -> None:
        """Late bytes of the question before are no answer to the next."""
        while select.select([self._line.fileno()], [], [], 0)[0] and self._line.read():
            pass

    def _at_speed(self, bauds: Sequence[int], what: str) -> Iterator[int]:
        for baud in bauds:
            self._line.set_baud(baud)
            self._progress(f"{self._path}  {what}  {baud}")
            yield baud

    # -- the protocols ---------------------------------------------------------------------------------------------

    def _pn532(self, bauds: Sequence[int] = PN532_BAUDS) -> Iterator[Found]:
        for baud in self._at_speed(bauds, "PN532"):
            version = self._ask(pn532_frames.WAKE_UP + pn532_frames.encode(_FIRMWARE), _firmware_in, PATIENCE_S)
            if version is not None:
                yield Found(kind="pn532", port=self._path, baud=baud, facts={"firmware": version})
                return

    def _osdp(self, bauds: Sequence[int] = OSDP_BAUDS, addresses: Sequence[int] = OSDP_ADDRESSES) -> Iterator[Found]:
        for baud in self._at_speed(bauds, "OSDP"):
            self._has_heard = False
            identify = commands.identify()
            self._osdp_ask(frames.BROADCAST, identify.code, identify.body, LONG_PATIENCE_S)
            is_somebody = self._has_heard
            self.heard_at = baud if is_somebody else self.heard_at
            patience_s = LONG_PATIENCE_S if is_somebody else PATIENCE_S
            readers = [one for at in addresses if (one := self._osdp_reader(at, baud, patience_s)) is not None]
            if not readers and is_somebody and len(addresses) > 1:
                readers = self._osdp_elsewhere(baud, addresses)
            yield from readers
            if readers or (is_somebody and len(addresses) == 1):
                return

    def _osdp_elsewhere(self, baud: int, asked: Sequence[int]) -> list[Found]:
        """Somebody answers when everybody is asked, and has none of these addresses: the first that is found."""
        if self._osdp_reader(frames.BROADCAST, baud, LONG_PATIENCE_S) is None:
            return []
        for address in range(frames.ADDRESS_MAX + 1):
            if address not in asked:
                self._progress(f"{self._path}  OSDP  {baud}  {address}")
                found = self._osdp_reader(address, baud, PATIENCE_S)
                if found is not None:
                    return [found]
        return []

    def _osdp_reader(self, address: int, baud: int, patience_s: float) -> Found | None:
        identify, capable = commands.identify(), commands.capabilities()
        frame = self._osdp_ask(address, identify.code, identify.body, patience_s)
        if frame is None:
            return None
        facts: dict[str, str] = {}
        who = replies.identity(frame.body) if frame.code == replies.PDID else None
        if who is not None:
            facts = {"maker": who.maker, "model": who.model, "serial": who.serial, "firmware": who.firmware}
        told = self._osdp_ask(address, capable.code, capable.body, LONG_PATIENCE_S, sequence=1)
        can = replies.capabilities(told.body) if told is not None and told.code == replies.PDCAP else None
        if can is not None:
            facts["secure_channel"] = "yes" if replies.is_secure(can) else "no"
            facts["default_key"] = "yes" if can.get(commands.CAN_SECURE, (0, 0))[1] & 1 else "no"
            facts["checks"] = "CRC" if can.get(_CHECKS, (0, 0))[0] else "checksum"
        if frame.code == replies.NAK:
            facts["answer"] = f"NAK {frame.body[:1].hex()}"
        return Found(kind="osdp", port=self._path, baud=baud, at=address, facts=facts)

    def _osdp_ask(
        self, address: int, code: int, body: bytes, patience_s: float, *, sequence: int = 0
    ) -> frames.Frame | None:
        def complete(held: bytes) -> frames.Frame | None:
            found, _ = frames.FrameReader().receive(held)
            return next((one for one in found if one.is_reply and one.address == address), None)

        mark = bytes((frames.MARK,))
        return self._ask(mark + frames.encode(address, sequence, code, body), complete, patience_s)

    def _modbus(self, bauds: Sequence[int] = MODBUS_BAUDS, units: Sequence[int] = MODBUS_UNITS) -> Iterator[Found]:
        for baud in self._at_speed(bauds, "Modbus"):
            boards = [one for unit in units if (one := self._modbus_board(unit, baud)) is not None]
            yield from boards
            if boards:
                return

    def _modbus_board(self, unit: int, baud: int) -> Found | None:
        facts: dict[str, str] = {}
        for count in (1, 2, 4, 8, 16, 32):
            reply = self._modbus_ask(modbus_frames.read(unit, Function.READ_COILS, count))
            if reply is None and count == 1:
                return None
            if reply is None or reply.exception:
                break
            facts["relays"] = str(count)
        return Found(kind="modbus", port=self._path, baud=baud, at=unit, facts=facts)

    def _modbus_ask(self, request: modbus_frames.Request) -> modbus_frames.Reply | None:
        return self._ask(request.frame, lambda held: modbus_frames.find_reply(held, request), PATIENCE_S)

    def _lcus(self) -> Iterator[Found]:
        for baud in self._at_speed((LCUS_BAUD,), "LCUS"):
            states: dict[int, bool] = {}

            def gather(held: bytes, into: dict[int, bool] = states) -> None:
                """Never whole: a board says so many lines as it has relays, and then nothing."""
                into |= {int(channel): state == b"ON" for channel, state in _STATES.findall(held)}

            self._ask(b"\xff", gather, LONG_PATIENCE_S)
            if states:
                on = ", ".join(str(channel) for channel, is_on in sorted(states.items()) if is_on)
                facts = {"relays": str(len(states)), "on": on or "-"}
                yield Found(kind="lcus", port=self._path, baud=baud, facts=facts)


def _firmware_in(held: bytes) -> str | None:
    reader = pn532_frames.FrameReader()
    found, _ = reader.receive(held)
    for one in found:
        if one.body[:2] == b"\xd5\x03" and len(one.body) == 6:
            return f"PN5{one.body[2]:02x} {one.body[3]}.{one.body[4]}"
    return None


# -- what is plugged in ------------------------------------------------------------------------------------------------

BY_ID: Final = Path("/dev/serial/by-id")


def serial_ports() -> list[tuple[str, str]]:
    """Every serial port by its lasting name, with what its adapter says of itself."""
    from serial.tools import list_ports

    lasting = {os.path.realpath(one): str(one) for one in sorted(BY_ID.glob("*"))} if BY_ID.is_dir() else {}
    found = [(lasting.get(port.device, port.device), port.description or "") for port in list_ports.comports()]
    return sorted((path, "" if words == "n/a" else words) for path, words in found)


def gpio_present() -> dict[str, str]:
    """What there is of GPIO on this machine."""
    chips = sorted(one.name for one in Path("/dev").glob("gpiochip*"))
    model = Path("/proc/device-tree/model")
    facts = {"chips": ", ".join(chips)} if chips else {}
    if model.exists():
        facts["machine"] = model.read_bytes().rstrip(b"\0").decode(errors="replace")
    return facts
