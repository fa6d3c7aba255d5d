"""Modbus-RTU frames: what a relay board is asked, and the one answer that fits each question (docs/wire/modbus.md).

Pure. An answer is believed only when its unit, function, length, echoed fields and CRC all fit the request that waits
for it; anything else is junk to be counted by the caller. Source: MODBUS over Serial Line V1.02, Application Protocol
V1.1b3; flash-on is Waveshare's own use of function 05.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FLASH_ON: Final = 0x0200
"""Added to a coil's number: on now, off by the board itself after the value, in FLASH_UNIT_MS."""
FLASH_UNIT_MS: Final = 100
FLASH_UNITS_MAX: Final = 0x7FFF
ANSWER_BYTES_MAX: Final = 5 + 2 * 32
_EXCEPTION: Final = 0x80
_SHORTEST: Final = 5


class Function(IntEnum):
    """The functions that we use."""

    READ_COILS = 0x01
    READ_DISCRETE = 0x02
    READ_REGISTERS = 0x04  # input registers
    WRITE_COIL = 0x05
    WRITE_COILS = 0x0F


_READS: Final = {Function.READ_COILS, Function.READ_DISCRETE, Function.READ_REGISTERS}


def _table() -> tuple[int, ...]:
    sums = []
    for octet in range(256):
        for _ in range(8):
            octet = octet >> 1 ^ 0xA001 if octet & 1 else octet >> 1  # noqa: PLW2901 - the polynomial, reflected
        sums.append(octet)
    return tuple(sums)


_CRC: Final = _table()


def crc16(octets: bytes | bytearray | memoryview) -> bytes:
    """CRC-16/MODBUS, low byte first as it stands on the line."""
    total = 0xFFFF
    for octet in octets:
        total = total >> 8 ^ _CRC[(total ^ octet) & 0xFF]
    return total.to_bytes(2, "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question or order to one board. `frame` goes on the line as it is."""

    unit: int
    function: Function
    at: int
    count: int
    frame: bytes

    @property
    def answer_bytes(self) -> int:
        """How long a good answer is."""
        if self.function is Function.READ_REGISTERS:
            return 5 + 2 * self.count
        return 5 + (self.count + 7) // 8 if self.function in _READS else 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the board said. `exception` is its code, 0 for none; `payload` holds what a read brought."""

    begin: int
    end: int
    payload: bytes = b""
    exception: int = 0


def _request(unit: int, function: Function, at: int, count: int, rest: bytes) -> Request:
    body = bytes((unit, function)) + at.to_bytes(2, "big") + rest
    return Request(unit=unit, function=function, at=at, count=count, frame=body + crc16(body))


def read(unit: int, function: Function, count: int) -> Request:
    """Read the first `count` coils, inputs or input registers."""
    return _request(unit, function, 0, count, count.to_bytes(2, "big"))


def switch(unit: int, channel: int, *, is_on: bool) -> Request:
    """Relay `channel` (from 1) on or off: 01 05 0000 FF00 8C3A switches the first one on."""
    return _request(unit, Function.WRITE_COIL, channel - 1, 1, b"\xff\x00" if is_on else b"\x00\x00")


def flash(unit: int, channel: int, for_ms: int) -> Request:
    """Relay `channel` on, and off by the board itself after `for_ms`, rounded up to 100 ms."""
    units = min(max(1, -(-for_ms // FLASH_UNIT_MS)), FLASH_UNITS_MAX)
    return _request(unit, Function.WRITE_COIL, FLASH_ON + channel - 1, 1, units.to_bytes(2, "big"))


def all_off(unit: int, channels: int) -> Request:
    """Every relay off at once (function 0F)."""
    octets = (channels + 7) // 8
    rest = channels.to_bytes(2, "big") + bytes((octets,)) + bytes(octets)
    return _request(unit, Function.WRITE_COILS, 0, channels, rest)


def find_reply(held: bytes | bytearray, request: Request) -> Reply | None:
    """The first whole answer to `request` anywhere in `held`, or None as long as there is none."""
    for begin in range(len(held) - _SHORTEST + 1):
        if held[begin] == request.unit:
            found = _reply_at(held, begin, request)
            if found is not None:
                return found
    return None


def _reply_at(held: bytes | bytearray, begin: int, request: Request) -> Reply | None:
    is_exception = held[begin + 1] == request.function | _EXCEPTION
    if not is_exception and held[begin + 1] != request.function:
        return None
    end = begin + (_SHORTEST if is_exception else request.answer_bytes)
    if end > len(held) or crc16(held[begin : end - 2]) != held[end - 2 : end]:
        return None
    if is_exception:
        return Reply(begin=begin, end=end, exception=held[begin + 2])
    if request.function in _READS:
        payload = bytes(held[begin + 3 : end - 2])
        return Reply(begin=begin, end=end, payload=payload) if held[begin + 2] == len(payload) else None
    return Reply(begin=begin, end=end) if held[begin : begin + 6] == request.frame[:6] else None


def bits(payload: bytes, count: int) -> tuple[bool, ...]:
    """The first `count` bits, the lowest of the first byte first."""
    return tuple(bool(payload[n // 8] >> n % 8 & 1) for n in range(count))


def words(payload: bytes) -> tuple[int, ...]:
    """Registers of 16 bits, the high byte first."""
    return tuple(int.from_bytes(payload[n : n + 2], "big") for n in range(0, len(payload), 2))
