"""What every card protocol here shares: who is asked with what, which key versions are tried, and the record that a
credential file holds (docs/wire/cards.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from readers.cards.dialogue import Random
from readers.cards.session import CardKeys, CardTarget, KeyPurpose, Proved
from readers.events import CardProof, CardScheme

TRIES_MAX: Final = 3
"""Key versions tried on one card: NTAG 424 DNA and EV3 count failures and answer ever later."""
NONCE_BYTES: Final = 16
RANDOM_NUMBER_BYTES: Final = 4
RANDOM_NUMBER_FIRST: Final = 0x08
"""ISO/IEC 14443-3 §6.5.4: a 4-byte UID that begins with 08 was made up for this presentation."""

MASTER_KEY: Final = 0
UID_KEY: Final = 1
READ_KEY: Final = 2
"""Numbers of the keys in our application, on DESFire and on NTAG 424 DNA."""

RECORD_BYTES: Final = 24
_RECORD_HEAD: Final = b"SEKISHO\x01"
_NUMBER_BYTES_MAX: Final = 10
SERIAL_BYTES: Final = RECORD_BYTES - len(_RECORD_HEAD) - _NUMBER_BYTES_MAX


@dataclass(slots=True, kw_only=True)
class Asker:
    """One card asked on behalf of one site. `nonce`: the challenge sent last."""

    target: CardTarget
    keys: CardKeys
    random: Random
    application: bytes
    nonce: bytes = field(default=b"", repr=False)

    def challenge(self) -> bytes:
        """A fresh challenge, kept as the nonce of the verdict."""
        self.nonce = self.random(NONCE_BYTES)
        return self.nonce

    def key(self, purpose: KeyPurpose, version: int, number: bytes) -> bytes | None:
        """A card's key; None where the key store has it no more."""
        try:
            return self.keys.diversified(purpose, version, number)
        except KeyError:
            return None

    def proved(self, scheme: CardScheme, number: bytes, version: int | None) -> Proved:
        """It answered our challenge with its own key."""
        proof = CardProof(scheme=scheme, is_genuine=True, nonce=self.nonce, key_version=version)
        return Proved(number=number, proof=proof)

    def failed(self, scheme: CardScheme, number: bytes) -> Proved:
        """It has what is ours and could not prove it: a copy, a fake, or a retired key."""
        nonce = self.nonce or self.challenge()
        return Proved(number=number, proof=CardProof(scheme=scheme, is_genuine=False, nonce=nonce))


def is_random(number: bytes) -> bool:
    """Whether a UID says that it is made up for this presentation."""
    return len(number) == RANDOM_NUMBER_BYTES and number[0] == RANDOM_NUMBER_FIRST


def candidates(said: int | None, known: tuple[int, ...]) -> tuple[int, ...]:
    """Key versions to try: the one that the card says it has, if it is one of ours, then the newest; never many."""
    ordered = [said] if said is not None and said in known else []
    ordered += [version for version in known if version != said]
    return tuple(ordered[:TRIES_MAX])


def record_of(number: bytes, serial: bytes) -> bytes:
    """The content of a credential file: whose it is, and a serial number of its own."""
    return _RECORD_HEAD + number.ljust(_NUMBER_BYTES_MAX, b"\0") + serial


def is_record_of(content: bytes | None, number: bytes) -> bool:
    """Whether a credential file belongs to the card with `number`."""
    if content is None or len(content) != RECORD_BYTES:
        return False
    return content[:-SERIAL_BYTES] == record_of(number, b"")
