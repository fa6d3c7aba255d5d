"""Cards as a contactless reader meets them: what they answer while being found, and little more.

Owns the face every simulated card has: `activate` (a reader selected it), `field_lost` (its power is gone), `exchange`
(one command, one answer). The cards here have a number and no secrets; cryptographic cards bring their own `exchange`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FELICA_WILDCARD = 0xFF
RANDOM_UID_LEAD = b"\x08"  # ISO/IEC 14443-3 §6.5.4: a UID of four bytes that begins so is random
ISO_DEP_ATQA = b"\x03\x44"
ISO_DEP_ATS = bytes.fromhex("067577810280")
SINGLE_UID_ATQA = b"\x00\x04"


@dataclass(slots=True, kw_only=True)
class TypeACard:
    """ISO/IEC 14443 type A. `ats` includes its own length byte; empty = no ISO-DEP."""

    uid: bytes
    atqa: bytes = SINGLE_UID_ATQA
    sak: int = 0x08
    ats: bytes = b""

    def __post_init__(self) -> None:
        if len(self.uid) not in (4, 7, 10) or len(self.atqa) != 2:
            raise ValueError(f"uid of {len(self.uid)} bytes: a type A card has 4, 7 or 10 (and a 2-byte ATQA)")

    @property
    def number(self) -> bytes:
        """What a reader reports as the card's number."""
        return self.uid

    @property
    def is_iso_dep(self) -> bool:
        """SAK bit 6: speaks ISO/IEC 14443-4."""
        return bool(self.sak & 0x20)

    def activate(self) -> None:
        """A reader selects it."""

    def field_lost(self) -> None:
        """Its power is gone: whatever it did not write down is forgotten."""

    def exchange(self, _command: bytes) -> bytes | None:
        """Answer to one command; None = silence. A UID-only card knows no command (6D00 where it speaks ISO-DEP)."""
        return b"\x6d\x00" if self.is_iso_dep else None


@dataclass(slots=True, kw_only=True)
class FelicaCard:
    """JIS X 6319-4. `idm` and `pmm` of 8 bytes each."""

    idm: bytes
    pmm: bytes = bytes.fromhex("0120220427674eff")
    system_code: bytes = b"\x88\xb4"

    def __post_init__(self) -> None:
        if len(self.idm) != 8 or len(self.pmm) != 8 or len(self.system_code) != 2:
            raise ValueError(f"IDm of {len(self.idm)} bytes: a FeliCa card has 8 (PMm 8, system code 2)")

    @property
    def number(self) -> bytes:
        """What a reader reports as the card's number."""
        return self.idm

    def answers_to(self, system_code: bytes) -> bool:
        """Whether polling for `system_code` (FF = any byte) reaches this card."""
        pairs = zip(system_code, self.system_code, strict=True)
        return all(asked in (FELICA_WILDCARD, own) for asked, own in pairs)

    def activate(self) -> None:
        """A reader selects it."""

    def field_lost(self) -> None:
        """Its power is gone."""

    def exchange(self, _command: bytes) -> bytes | None:
        """Answer to one command (command code first, no length byte); None = silence."""
        return None


Card = TypeACard | FelicaCard


class IsoDepCard(TypeACard):
    """A type A card that takes APDUs. Two of them are never the same card, even with the same UID.

    `is_uid_random`: it shows a UID of four bytes, new each time it comes into a field; the real one stays inside.
    """

    __slots__ = ("_is_powered", "_random", "is_uid_random", "real_uid")

    def __init__(
        self,
        uid: bytes,
        *,
        ats: bytes = ISO_DEP_ATS,
        is_uid_random: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        atqa = ISO_DEP_ATQA if len(uid) == 7 else SINGLE_UID_ATQA
        super().__init__(uid=uid, atqa=atqa, sak=0x20, ats=ats)
        self.real_uid = uid
        self.is_uid_random = is_uid_random
        self._random = random
        self._is_powered = False
        self._show_uid()

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def activate(self) -> None:
        """A reader selects it."""
        self._is_powered = True
        self._forget()

    def field_lost(self) -> None:
        """Its power is gone; a card with a random UID comes back with another."""
        self._is_powered = False
        self._forget()
        self._show_uid()

    def _forget(self) -> None:
        """Drop what only lives while there is power."""

    def _show_uid(self) -> None:
        if self.is_uid_random:
            self.uid, self.atqa = RANDOM_UID_LEAD + self._random(3), SINGLE_UID_ATQA
        else:
            self.uid = self.real_uid
            self.atqa = ISO_DEP_ATQA if len(self.uid) == 7 else SINGLE_UID_ATQA


def card_of(kind: str, number: bytes) -> Card:
    """A card with this number. `kind`: "iso14443a" or "felica". A 7-byte UID gets SAK and ATS of an ISO-DEP card."""
    if kind == "felica":
        return FelicaCard(idm=number)
    if kind != "iso14443a":
        raise ValueError(f"kind: {kind!r}; write iso14443a or felica")
    if len(number) == 7:
        return TypeACard(uid=number, atqa=ISO_DEP_ATQA, sak=0x20, ats=ISO_DEP_ATS)
    return TypeACard(uid=number)


def uid_copy(card: Card) -> Card:
    """What a card cloner makes of somebody's card: the same number on the air, and nothing behind it."""
    if isinstance(card, FelicaCard):
        return FelicaCard(idm=card.idm, pmm=card.pmm, system_code=card.system_code)
    return TypeACard(uid=card.uid, atqa=card.atqa, sak=card.sak, ats=card.ats)
