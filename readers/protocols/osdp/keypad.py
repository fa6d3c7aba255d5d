"""Keys of an OSDP keypad, added up to one entry: `#` confirms, `*` clears, silence clears too."""

from __future__ import annotations

from typing import Final

WITHIN_MS: Final = 10_000
"""From one key to the next."""
DIGITS_MIN: Final = 4
DIGITS_MAX: Final = 12
CONFIRM: Final = b"\x0d#"
CLEAR: Final = b"\x7f*"


class Keypad:
    """One keypad. An entry that is too short, too long or holds another key is nothing, and says nothing."""

    __slots__ = ("_digits", "_is_spoilt", "_until_ms")

    def __init__(self) -> None:
        self._digits = ""
        self._is_spoilt = False
        self._until_ms = 0

    def clear(self) -> None:
        """Forget what was typed."""
        self._digits, self._is_spoilt = "", False

    def press(self, keys: bytes, now_ms: int) -> list[str]:
        """The entries that these keys confirm."""
        if now_ms >= self._until_ms:
            self.clear()
        self._until_ms = now_ms + WITHIN_MS
        entered: list[str] = []
        for key in keys:
            if key in CONFIRM:
                if not self._is_spoilt and len(self._digits) >= DIGITS_MIN:
                    entered.append(self._digits)
                self.clear()
            elif key in CLEAR:
                self.clear()
            elif 0x30 <= key <= 0x39 and len(self._digits) < DIGITS_MAX:
                self._digits += chr(key)
            else:
                self._is_spoilt = True
        return entered
