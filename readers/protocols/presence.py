"""A card lying in the field is one presentation, however often it is polled.

Kept through faults and line losses on purpose: a card left on a reader must not be read again because a cable came
back (B-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from readers.events import CardKind

_RANDOM_UID_FIRST: Final = 0x08
"""ISO/IEC 14443-3 §6.5.4: a single-size UID that begins with 08 is random, new at every activation (phones, DESFire
random ID).
"""
TRIES_MAX: Final = 3
"""How often one presentation is tried when the card falls silent in the middle: held at the edge of the field, it may
come nearer.
"""


@dataclass(slots=True)
class _Seen:
    poll: object
    misses: int = 0
    tries: int = 0
    is_unread: bool = False


class Presence:
    """Which cards are in one reader's field. A card is absent after `absent_polls` polls of its kind without it."""

    __slots__ = ("_absent_polls", "_present")

    def __init__(self, absent_polls: int) -> None:
        if absent_polls < 1:
            raise ValueError(f"absent_polls must be at least 1, not {absent_polls}")
        self._absent_polls = absent_polls
        self._present: dict[tuple[CardKind, bytes], _Seen] = {}

    def found(self, poll: object, kind: CardKind, number: bytes) -> bool:
        """A poll found `number`; True when that is a new presentation, or one that could not be read to the end. `poll`
        names the modulation that was asked.
        """
        key = (kind, _same_card(kind, number))
        seen = self._present.get(key)
        self._missed(poll, but={key})
        self._present[key] = _Seen(poll, tries=0 if seen is None else seen.tries)
        return seen is None or seen.is_unread

    def crowded(self, poll: object, kind: CardKind, numbers: list[bytes]) -> bool:
        """A poll found several cards at once, and none of them is read; True when that is news. A card that lay there
        before still lies there.
        """
        together = (kind, b"")
        keys = {(kind, _same_card(kind, number)) for number in numbers} & self._present.keys()
        is_new = together not in self._present
        self._missed(poll, but=keys | {together})
        for key in keys:
            self._present[key].misses = 0
        self._present[together] = _Seen(poll)
        return is_new

    def unread(self, kind: CardKind, number: bytes) -> bool:
        """The card that was found fell silent: it may be tried again, TRIES_MAX times in all. True the first time."""
        seen = self._present.get((kind, _same_card(kind, number)))
        if seen is None:
            return True
        seen.tries += 1
        seen.is_unread = seen.tries < TRIES_MAX
        return seen.tries == 1

    def empty(self, poll: object) -> None:
        """A poll of this modulation found nothing."""
        if self._present:
            self._missed(poll, but=set())

    def _missed(self, poll: object, but: set[tuple[CardKind, bytes]]) -> None:
        for key, seen in list(self._present.items()):
            if key in but or seen.poll != poll:
                continue
            seen.misses += 1
            if seen.misses >= self._absent_polls:
                del self._present[key]


def _same_card(kind: CardKind, number: bytes) -> bytes:
    """What stays the same while a card lies there: of a random UID only that it is one."""
    is_random = kind == "iso14443a" and len(number) == 4 and number[0] == _RANDOM_UID_FIRST
    return number[:1] if is_random else number
