"""The number on a refusal: four characters that tell an officer which record it was, and others nothing (P5, P8)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

ALPHABET: Final = "23456789BCDFGHJKMNPQRSTVWXZ"
"""Digits and consonants that are not taken for one another: no number reads as a word. 27^4 = 531,441 numbers."""

CHARACTERS: Final = 4
KEPT: Final = 4096
"""Numbers given last, and not given again meanwhile."""


class RefusalNumbers:
    """Draws numbers. `random`: gives so many random bytes."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._recent: deque[str] = deque(maxlen=KEPT)
        self._known: set[str] = set()

    def next(self) -> str:
        """A number that none of the last refusals had, with a letter in it: digits alone name a record by its place."""
        while True:
            drawn = int.from_bytes(self._random(8))
            number = ""
            for _ in range(CHARACTERS):
                drawn, letter = divmod(drawn, len(ALPHABET))
                number += ALPHABET[letter]
            if number not in self._known and not number.isdigit():
                if len(self._recent) == KEPT:
                    self._known.discard(self._recent[0])
                self._recent.append(number)
                self._known.add(number)
                return number
