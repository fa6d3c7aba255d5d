"""At which speed a PN532 listens: asked for a higher one, and looked for where it does not answer.

The chip wakes at 115200 after power (UM0701-02 §6.3.2) and keeps a higher speed until it loses power, also when the
program that asked for it is gone. A speed at which nothing was ever heard is not asked for again while the line stays
open: the adapter, or the cable, cannot do it.
"""

from __future__ import annotations

from typing import Final

FIRST_BAUD: Final = 115_200
BAUD_CODES: Final = {230_400: 5, 460_800: 6, 921_600: 7}
"""UM0701-02 §7.2.8, BR."""


class SpeedSearch:
    """The speed to use now. `baud` is None where no higher one is configured: the line is left as it was opened.

    Raises:
        ValueError: the chip has no such speed.
    """

    __slots__ = ("_at", "_is_refused", "_order", "_wanted")

    def __init__(self, wanted: int | None) -> None:
        if wanted is not None and wanted not in BAUD_CODES:
            raise ValueError(f"high_baud must be one of {', '.join(map(str, BAUD_CODES))}, not {wanted}")
        self._wanted = wanted
        self._order: tuple[int, ...] = (FIRST_BAUD,)
        if wanted is not None:
            others = (baud for baud in BAUD_CODES if baud != wanted)
            self._order = (FIRST_BAUD, wanted, FIRST_BAUD, wanted, *others)
        self._at = 0
        self._is_refused = False

    @property
    def baud(self) -> int | None:
        """Bits per second at which the line must be, once what waits to be sent was sent."""
        return None if self._wanted is None else self._order[self._at]

    @property
    def is_faster_wanted(self) -> bool:
        """Whether the chip, which answers now, should be asked for more."""
        return self._wanted is not None and self._order[self._at] != self._wanted and not self._is_refused

    @property
    def command(self) -> bytes:
        """SetSerialBaudRate (§7.2.8)."""
        assert self._wanted is not None
        return bytes((0x10, BAUD_CODES[self._wanted]))

    def begin(self) -> None:
        """The line was opened, at the first speed."""
        self._at = 0
        self._is_refused = False

    def switch(self) -> None:
        """The chip agreed."""
        self._at = 1

    def refuse(self) -> None:
        """The higher speed was tried and does not work here."""
        self._is_refused = True

    def look_on(self) -> None:
        """Nothing was heard at this speed: try the next."""
        self._at = (self._at + 1) % len(self._order)
