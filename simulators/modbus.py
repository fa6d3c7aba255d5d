"""Modbus-RTU relay boards on one RS-485 line: relays with a timer of their own, inputs, analog inputs.

No I/O. A request that does not stand alone on the line (bytes of another right behind it, without a silence) is taken
for one long spoilt frame and ignored, as a UART's idle detection does. Faults are set by hand: a board may be deaf
(hears nothing), mute (obeys and says nothing), or have relays whose contacts are welded.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BROADCAST = 0
SILENCE_MS = 20  # how long a host may pause inside a frame: ptys and busy machines are no UARTs
REST_MS = 2  # 3.5 characters, at least: only then is a frame at its end
FLASH_ON, FLASH_OFF = 0x0200, 0x0400
FLASH_UNIT_MS = 100
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
ALL_RELAYS = 0x00FF
FRAME_MAX = 256


class _Refused(Exception):
    """Answered by an exception with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def checksum(frame: bytes) -> bytes:
    """CRC-16 with the reflected polynomial A001, the low byte first."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            low, crc = crc & 1, crc >> 1
            if low:
                crc ^= 0xA001
    return struct.pack("<H", crc)


@dataclass(slots=True, kw_only=True)
class ModbusBoard:
    """One board. Relays and inputs are numbered from 1, on the line from 0.

    `on_switch(channel, is_on, now_ms)` hears each change, never a repetition. `is_deaf`, `is_mute`, `welded`: faults.
    """

    unit: int
    channels: int
    input_count: int = 0
    register_count: int = 0
    has_flash: bool = True
    has_write_all: bool = True
    on_switch: Callable[[int, bool, int], None] | None = None
    is_deaf: bool = False
    is_mute: bool = False
    welded: set[int] = field(default_factory=set)
    states: dict[int, bool] = field(init=False)
    inputs: dict[int, bool] = field(init=False)
    registers: dict[int, int] = field(init=False)
    ignored: Counter[str] = field(default_factory=Counter)
    _ends: dict[int, tuple[int, bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError on a unit that no board can have."""
        if not 1 <= self.unit <= 247 or not 0 <= self.channels <= 32:
            raise ValueError(
                f"unit {self.unit}, {self.channels} channels: a board has unit 1 to 247, at most 32 relays"
            )
        self.states = dict.fromkeys(range(1, self.channels + 1), False)
        self.inputs = dict.fromkeys(range(1, self.input_count + 1), False)
        self.registers = dict.fromkeys(range(1, self.register_count + 1), 0)

    def answer(self, frame: bytes, now_ms: int) -> bytes:
        """Obey a whole request with the right sum; what the board says to it, b"" for nothing."""
        if self.is_deaf or frame[0] not in (self.unit, BROADCAST):
            return b""
        try:
            body = self._perform(frame[1], frame[2:-2], now_ms)
        except _Refused as refused:
            self.ignored[f"exception {refused.code}"] += 1
            body = bytes((frame[1] | 0x80, refused.code))
        if self.is_mute or frame[0] == BROADCAST:
            return b""
        said = bytes((self.unit,)) + body
        return said + checksum(said)

    def deadline(self) -> int | None:
        """When the next flash ends."""
        return min((ends_ms for ends_ms, _ in self._ends.values()), default=None)

    def tick(self, now_ms: int) -> None:
        """End the flashes that are due."""
        for channel in [channel for channel, (ends_ms, _) in self._ends.items() if ends_ms <= now_ms]:
            _, is_on = self._ends.pop(channel)
            self._switch(channel, is_on, now_ms)

    def power_cycle(self, now_ms: int) -> None:
        """Supply gone: every relay falls off; a welded contact stays."""
        self._ends.clear()
        for channel in self.states:
            self._switch(channel, False, now_ms)

    def _perform(self, function: int, rest: bytes, now_ms: int) -> bytes:
        at, value = struct.unpack(">HH", rest[:4])
        match function:
            case 0x01:
                return self._packed(function, at, value, self.states)
            case 0x02:
                return self._packed(function, at, value, self.inputs)
            case 0x04:
                return self._words(at, value)
            case 0x05:
                self._write_one(at, value, now_ms)
            case 0x0F if self.has_write_all:
                self._write_all(at, value, rest[5:], now_ms)
            case _:
                raise _Refused(ILLEGAL_FUNCTION)
        return bytes((function,)) + rest[:4]

    def _packed(self, function: int, at: int, count: int, levels: dict[int, bool]) -> bytes:
        if not 1 <= count <= len(levels) - at:
            raise _Refused(ILLEGAL_ADDRESS)
        total = sum(levels[at + n + 1] << n for n in range(count))
        octets = total.to_bytes((count + 7) // 8, "little")
        return bytes((function, len(octets))) + octets

    def _words(self, at: int, count: int) -> bytes:
        if not 1 <= count <= len(self.registers) - at:
            raise _Refused(ILLEGAL_ADDRESS)
        octets = b"".join(struct.pack(">H", self.registers[at + n + 1]) for n in range(count))
        return bytes((0x04, len(octets))) + octets

    def _write_one(self, at: int, value: int, now_ms: int) -> None:
        flash = at & 0xFF00
        channel = (at & 0xFF) + 1
        if flash and not (self.has_flash and flash in (FLASH_ON, FLASH_OFF)):
            raise _Refused(ILLEGAL_ADDRESS)
        if at == ALL_RELAYS:
            targets: Iterable[int] = self.states
        elif channel in self.states:
            targets = (channel,)
        else:
            raise _Refused(ILLEGAL_ADDRESS)
        if (not flash and value not in (0x0000, 0xFF00)) or (flash and not 1 <= value <= 0x7FFF):
            raise _Refused(ILLEGAL_VALUE)
        for one in targets:
            self._ends.pop(one, None)
            is_on = flash == FLASH_ON if flash else value == 0xFF00
            self._switch(one, is_on, now_ms)
            if flash:
                self._ends[one] = (now_ms + value * FLASH_UNIT_MS, not is_on)

    def _write_all(self, at: int, count: int, octets: bytes, now_ms: int) -> None:
        if not 1 <= count <= len(self.states) - at or len(octets) != (count + 7) // 8:
            raise _Refused(ILLEGAL_ADDRESS)
        for n in range(count):
            self._ends.pop(at + n + 1, None)
            self._switch(at + n + 1, bool(octets[n // 8] >> n % 8 & 1), now_ms)

    def _switch(self, channel: int, is_on: bool, now_ms: int) -> None:
        if self.states[channel] == is_on or (channel in self.welded and not is_on):
            return
        self.states[channel] = is_on
        if self.on_switch is not None:
            self.on_switch(channel, is_on, now_ms)


class ModbusBus:
    """The boards of one line, as one serial device. `has_echo`: the host's adapter hears what it sends itself."""

    def __init__(self, boards: Iterable[ModbusBoard], *, has_echo: bool = False) -> None:
        self.boards = {board.unit: board for board in boards}
        self.has_echo = has_echo
        self.ignored: Counter[str] = Counter()
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._silent_at: int | None = None  # when what has come counts as a whole frame

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Collect bytes until the line rests; what does not stand alone is ignored whole."""
        self.tick(now_ms)
        if self.has_echo:
            self._outgoing += chunk
        if len(self._incoming) < FRAME_MAX:
            self._incoming += chunk
        length = _length_of(self._incoming)
        is_whole = length is not None and len(self._incoming) >= length
        self._silent_at = now_ms + (REST_MS if is_whole else SILENCE_MS)

    def outgoing(self) -> bytes:
        """Answers, and the echo where there is one."""
        sent = bytes(self._outgoing)
        self._outgoing.clear()
        return sent

    def deadline(self) -> int | None:
        """When a flash ends, or a frame."""
        waits = [due for board in self.boards.values() if (due := board.deadline()) is not None]
        return min(waits + ([] if self._silent_at is None else [self._silent_at]), default=None)

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        if self._silent_at is not None and now_ms >= self._silent_at:
            self._take_frame(now_ms)
        for board in self.boards.values():
            board.tick(now_ms)

    def power_cycle(self, now_ms: int) -> None:
        """The supply of all boards was gone."""
        self._forget()
        for board in self.boards.values():
            board.power_cycle(now_ms)

    def _take_frame(self, now_ms: int) -> None:
        frame, length = bytes(self._incoming), _length_of(self._incoming)
        self._forget()
        if length is None or len(frame) < length:
            self.ignored["cut short"] += 1
        elif len(frame) > length:
            self.ignored["no silence"] += 1
        elif checksum(frame[:-2]) != frame[-2:]:
            self.ignored["sum"] += 1
        else:
            for board in self.boards.values():
                self._outgoing += board.answer(frame, now_ms)

    def _forget(self) -> None:
        self._incoming.clear()
        self._silent_at = None


def _length_of(frame: bytearray) -> int | None:
    """How long a request is, once enough of it is there; unknown functions are as long as the usual ones."""
    if len(frame) < 2:
        return None
    if frame[1] in (0x0F, 0x10):
        return None if len(frame) < 7 else 9 + frame[6]
    return 8
