"""One card in the field of a reader, from the first command to a verdict: the face of every card protocol.

No I/O, no clock, no randomness of its own. Whoever moves the bytes (a PN532, a PC/SC reader, libnfc) calls `begin` once
and sends what it gives to the card; then `answer` with what the card said, until it gives a verdict. The payloads are
whole APDUs (ISO-DEP cards) or whole FeliCa commands without their length byte (command code first).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from readers.events import CardKind, CardProof

ISO_DEP: Final = 0x20
"""Bit 6 of SAK (ISO/IEC 14443-3 §6.5.3): the card speaks ISO/IEC 14443-4."""

KeyPurpose: TypeAlias = Literal[
    "desfire_master", "desfire_read", "desfire_uid", "ntag424_master", "ntag424_read", "felica_card"
]
"""What a site's master key is for. `*_master` change a card, `*_read` prove it; `desfire_uid` only tells who a card
with a random UID is, is the same on every card and proves nothing.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTarget:
    """A card as the reader found it. `number`: UID or IDm, possibly random. `sak`, `ats` (with its length byte): type A
    only. `system_code`: FeliCa only.
    """

    kind: CardKind
    number: bytes
    sak: int = 0
    ats: bytes = b""
    system_code: bytes = b""

    @property
    def is_iso_dep(self) -> bool:
        """Whether it takes APDUs."""
        return self.kind == "iso14443a" and bool(self.sak & ISO_DEP)


class CardKeys(Protocol):
    """The site's own card keys. Nobody outside sees a master key: only what AN10922 makes of it for one card."""

    def versions(self, purpose: KeyPurpose) -> tuple[int, ...]:
        """Versions (0 to 255) that cards may still carry, the newest first; () where the site has no such key."""

    def diversified(self, purpose: KeyPurpose, version: int, number: bytes) -> bytes:
        """16 bytes: the key of the card with `number` (AN10922, AES-128; for `desfire_uid` the number is b""). KeyError
        where there is no such key.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The card was asked and `proof` tells what came of it. `number`: what the credential is looked up by."""

    number: bytes
    proof: CardProof


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOurs:
    """The card does not speak this scheme, or holds nothing of this site: nothing proved, nothing disproved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The card fell silent in the middle: taken away too soon, or a fault. Nothing proved, nothing disproved."""


Verdict: TypeAlias = Proved | NotOurs | Left


class CardSession(Protocol):
    """One authentication of one card. Used once. Never raises on what a card can say."""

    def begin(self) -> bytes:
        """The first command."""

    def answer(self, response: bytes | None) -> bytes | Verdict:
        """`response`: what the card answered, None when it said nothing. The next command, or the verdict."""
