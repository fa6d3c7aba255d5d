"""What hands do to the OSDP readers of a building: cards and digits, and everything an attacker or a bad day does.

Each hand names a reader by its device id and may be used from any thread. Raises NotHere for a reader that is none.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from simulators.osdp.words import SCBK_D

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.fittings import Fittings
    from simulators.osdp.bus import Captured, OsdpBus
    from simulators.osdp.functions import NumberedCard
    from simulators.osdp.reader import Mischief, OsdpReader

Trick = Literal[
    "install_mode", "downgrade", "default_key", "wrong_key", "corrupt_macs", "late", "nak_all", "busy", "silent"
]
HOLD_MS = 800
LATE_MS = 400
NAK_UNABLE = 9
TRICKS: dict[str, Callable[[Mischief, bool], None]] = {
    "install_mode": lambda mischief, is_on: setattr(mischief, "holds_install_mode", is_on),
    "downgrade": lambda mischief, is_on: setattr(mischief, "offers_no_security", is_on),
    "default_key": lambda mischief, is_on: setattr(mischief, "answers_with", SCBK_D if is_on else None),
    "wrong_key": lambda mischief, is_on: setattr(mischief, "answers_with", secrets.token_bytes(16) if is_on else None),
    "corrupt_macs": lambda mischief, is_on: setattr(mischief, "corrupts_macs", is_on),
    "late": lambda mischief, is_on: setattr(mischief, "late_ms", LATE_MS if is_on else 0),
    "nak_all": lambda mischief, is_on: setattr(mischief, "naks_all", NAK_UNABLE if is_on else None),
    "busy": lambda mischief, is_on: setattr(mischief, "is_busy", is_on),
    "silent": lambda mischief, is_on: setattr(mischief, "is_silent", is_on),
}


class OsdpHands:
    """The hands."""

    def __init__(self, fittings: Fittings) -> None:
        self._fittings = fittings
        self._wall = fittings.osdp

    def reader(self, device: str) -> OsdpReader:
        """The reader of that id. Raises NotHere."""
        from simulators.fittings import NotHere

        if device not in self._wall.readers:
            raise NotHere(f"no OSDP reader {device!r}; there are {', '.join(self._wall.readers) or 'none'}")
        return self._wall.readers[device]

    def present(self, device: str, card: NumberedCard, hold_ms: float = HOLD_MS) -> bool:
        """Hold a contactless card to it for a while. It is read even while the pair is cut: the reader remembers."""

        def hold(reader: OsdpReader, _bus: OsdpBus, now_ms: int) -> None:
            reader.functions.present_card(card, now_ms)
            self._fittings.loop.call_in(hold_ms, lambda: reader.functions.take_card(card))

        self._touch(device, hold)
        return True

    def present_bits(self, device: str, bits: bytes, count: int, *, is_wiegand: bool = True) -> None:
        """Show a card of so many bits, left-aligned."""
        self._touch(
            device,
            lambda reader, _bus, now_ms: reader.functions.present(bits, count, is_wiegand=is_wiegand, now_ms=now_ms),
        )

    def type(self, device: str, digits: str) -> bool:
        """Type digits and confirm them. ValueError: no such keys, or no keypad."""
        if not digits.isascii() or not digits.isdigit():
            raise ValueError("a keypad has the digits 0 to 9")
        self._touch(device, lambda reader, _bus, now_ms: reader.functions.type(digits, now_ms))
        return True

    def has_keypad(self, device: str) -> bool:
        """Whether it is an OSDP reader with keys."""
        return device in self._wall.readers and self._wall.readers[device].functions.make.has_keypad

    def swap(self, device: str, *, serial: int | None = None, has_key: bool = False) -> int:
        """Hang another reader in its place; its serial number, one that no other has. `has_key`: it was given the old
        one's key.
        """
        old = self.reader(device)
        fresh = max(one.identity.serial for one in self._wall.readers.values()) + 1 if serial is None else serial
        key = old.key if has_key else None
        identity = replace(old.identity, serial=fresh)
        self._touch(device, lambda reader, _bus, now_ms: reader.swap(identity, key, now_ms))
        return fresh

    def reset(self, device: str) -> None:
        """Press the reset switch inside: it forgets its key."""
        self._touch(device, lambda reader, _bus, now_ms: reader.reset(now_ms))

    def power(self, device: str, *, is_on: bool) -> None:
        """Cut its supply, or bring it back."""
        self._touch(device, lambda reader, bus, now_ms: bus.power(reader, is_on=is_on, now_ms=now_ms))

    def tamper(self, device: str, *, is_open: bool) -> None:
        """Open or close its housing."""
        self._touch(device, lambda reader, _bus, now_ms: reader.functions.set_tamper(is_open, now_ms))

    def trick(self, device: str, what: Trick, *, is_on: bool) -> None:
        """Make it misbehave, or behave again."""
        self._touch(device, lambda reader, _bus, _now_ms: TRICKS[what](reader.mischief, is_on))
        self._fittings.journal.note("trick", device, trick=what, is_on=is_on)

    def replay(self, device: str, raw: bytes) -> None:
        """Answer the next poll with captured bytes."""
        self._touch(device, lambda reader, _bus, _now_ms: reader.replay(raw))

    def noise(self, bus: str, junk: bytes) -> None:
        """Bytes that nobody sent, in the panel's ear."""
        self._wall.wires[bus].touch(lambda _now_ms: self._wall.buses[bus].noise(junk))

    def captured(self, bus: str) -> list[Captured]:
        """What somebody with a clip on the pair has seen so far. Raises NotHere."""
        from simulators.fittings import NotHere

        if bus not in self._wall.buses:
            raise NotHere(f"no pair {bus!r}; there are {', '.join(self._wall.buses) or 'none'}")
        return self._fittings.loop.run(lambda: list(self._wall.buses[bus].captured))

    def _touch(self, device: str, what: Callable[[OsdpReader, OsdpBus, int], None]) -> None:
        self.reader(device)
        self._wall.touch(device, what)
