"""Commands of a control panel (SIA OSDP 2.2.2 §6), as code and body.

Owns the layouts and what a reader must be able to do for each (`Need`). Times are given in ms here and sent in units
of 100 ms, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

POLL: Final = 0x60
ID: Final = 0x61
CAP: Final = 0x62
LSTAT: Final = 0x64
ISTAT: Final = 0x65
OSTAT: Final = 0x66
OUT: Final = 0x68
LED: Final = 0x69
BUZ: Final = 0x6A
TEXT: Final = 0x6B
COMSET: Final = 0x6E
KEYSET: Final = 0x75
ACURXSIZE: Final = 0x7B
FILETRANSFER: Final = 0x7C
MFG: Final = 0x80
KEEPACTIVE: Final = 0xA7

# Function codes of osdp_PDCAP (Annex B).
CAN_INPUTS: Final = 1
CAN_OUTPUTS: Final = 2
CAN_LEDS: Final = 4
CAN_BUZZER: Final = 5
CAN_TEXT: Final = 6
CAN_SECURE: Final = 9
RECEIVE_BYTES: Final = 10

BLACK: Final = 0
RED: Final = 1
GREEN: Final = 2
AMBER: Final = 3
BLUE: Final = 4

_UNIT_MS: Final = 100
_UNITS_MAX: Final = 0xFFFF
TIMED_MS_MAX: Final = _UNIT_MS * _UNITS_MAX
TEXT_BYTES_MAX: Final = 32
_KEY_TYPE_SCBK: Final = 1


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `needs`: the function code of a capability, 0 for none. `not_after_ms`: how long after it was asked
    for it may still be carried out; None: as long as the reader is there.
    """

    code: int
    body: bytes = field(default=b"", repr=False)
    needs: int = 0
    not_after_ms: int | None = None


def _units(for_ms: int) -> int:
    return min(-(-for_ms // _UNIT_MS), _UNITS_MAX)


def poll() -> Command:
    """osdp_POLL: anything new?"""
    return Command(POLL)


def identify() -> Command:
    """osdp_ID: who are you?"""
    return Command(ID, b"\0")


def capabilities() -> Command:
    """osdp_CAP: what can you do?"""
    return Command(CAP, b"\0")


def local_status() -> Command:
    """osdp_LSTAT: tamper and power."""
    return Command(LSTAT)


def input_status() -> Command:
    """osdp_ISTAT."""
    return Command(ISTAT, needs=CAN_INPUTS)


def output_status() -> Command:
    """osdp_OSTAT."""
    return Command(OSTAT, needs=CAN_OUTPUTS)


def output(number: int, *, is_on: bool, for_ms: int, not_after_ms: int) -> Command:
    """osdp_OUT. On for a time: the reader itself drops it (control code 5), whatever becomes of us. On without a time
    stands (2); off is off at once and for good (1), and never too late.
    """
    if not is_on:
        return Command(OUT, bytes((number, 1, 0, 0)), CAN_OUTPUTS)
    units = _units(for_ms)
    return Command(OUT, bytes((number, 5 if units else 2)) + units.to_bytes(2, "little"), CAN_OUTPUTS, not_after_ms)


def light(
    *, on_ms: int, off_ms: int = 0, color: int, off_color: int = BLACK, for_ms: int, reader: int = 0, number: int = 0
) -> Command:
    """osdp_LED: a temporary light that gives way to the permanent one after `for_ms`."""
    temporary = bytes((2, _units(on_ms), _units(off_ms), color, off_color)) + _units(for_ms).to_bytes(2, "little")
    return Command(LED, bytes((reader, number)) + temporary + bytes(5), CAN_LEDS)


def buzzer(*, on_ms: int, off_ms: int = 0, times: int = 1, reader: int = 0) -> Command:
    """osdp_BUZ, the default tone."""
    return Command(BUZ, bytes((reader, 2, _units(on_ms), _units(off_ms), times)), CAN_BUZZER)


def text(words: str, *, for_s: int, reader: int = 0) -> Command:
    """osdp_TEXT: for some seconds, in the first row (ASCII; the rest becomes `?`)."""
    chars = words.encode("ascii", "replace")[:TEXT_BYTES_MAX]
    return Command(TEXT, bytes((reader, 3, for_s, 1, 1, len(chars))) + chars, CAN_TEXT)


def keyset(key: bytes) -> Command:
    """osdp_KEYSET: a new SCBK. Only ever sealed."""
    return Command(KEYSET, bytes((_KEY_TYPE_SCBK, len(key))) + key, CAN_SECURE)


def comset(address: int, baud: int) -> Command:
    """osdp_COMSET: address and speed from the next message on."""
    return Command(COMSET, bytes((address,)) + baud.to_bytes(4, "little"))


def receive_size(size: int) -> Command:
    """osdp_ACURXSIZE: the longest message that we take."""
    return Command(ACURXSIZE, size.to_bytes(2, "little"))


def keep_active(for_ms: int) -> Command:
    """osdp_KEEPACTIVE: keep the field on for a card that is being asked."""
    return Command(KEEPACTIVE, for_ms.to_bytes(2, "little"))


def manufacturer(oui: bytes, payload: bytes) -> Command:
    """osdp_MFG."""
    return Command(MFG, oui + payload)


def file_fragment(kind: int, total: int, offset: int, fragment: bytes) -> Command:
    """osdp_FILETRANSFER: one piece."""
    head = bytes((kind,)) + total.to_bytes(4, "little") + offset.to_bytes(4, "little")
    return Command(FILETRANSFER, head + len(fragment).to_bytes(2, "little") + fragment)
