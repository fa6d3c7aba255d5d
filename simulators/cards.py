"""Cards as a contactless reader meets them: what they answer while being found, and little more.

A card here has a number and no secrets; cryptographic cards bring their own `exchange`.
"""

from __future__ import annotations

from dataclasses import dataclass

FELICA_WILDCARD = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeACard:
    """ISO/IEC 14443 type A. `ats` includes its own length byte; empty = no ISO-DEP."""

    uid: bytes
    atqa: bytes = b"\x00\x04"
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

    def exchange(self, _command: bytes) -> bytes | None:
        """Answer to one command; None = silence. A UID-only card knows no command (6D00 where it speaks ISO-DEP)."""
        return b"\x6d\x00" if self.is_iso_dep else None


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def exchange(self, _command: bytes) -> bytes | None:
        """Answer to one command; None = silence."""
        return None


Card = TypeACard | FelicaCard


def card_of(kind: str, number: bytes) -> Card:
    """A card with this number. `kind`: "iso14443a" or "felica". A 7-byte UID gets SAK and ATS of an ISO-DEP card."""
    if kind == "felica":
        return FelicaCard(idm=number)
    if kind != "iso14443a":
        raise ValueError(f"kind: {kind!r}; write iso14443a or felica")
    if len(number) == 7:
        return TypeACard(uid=number, atqa=b"\x03\x44", sak=0x20, ats=bytes.fromhex("067577810280"))
    return TypeACard(uid=number)
