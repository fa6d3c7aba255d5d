"""What the key store holds, as values, and their text inside the seal.

Owns what stands where. A key is a `Secret`: no repr, no exception and no pickle shows it. People see its fingerprint.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NoReturn

import msgspec

from controller.keystore.errors import KeyStoreError
from controller.ledger.canonical import canonical

FORMAT: Final = 1
FINGERPRINT_HEX: Final = 6
VERSION_MAX: Final = 255

_LABEL: Final = b"sekisho key fingerprint v1"


class Secret:
    """Bytes that are shown to nobody. `reveal` alone gives them. (Python cannot wipe them from memory.)"""

    __slots__ = ("_hidden",)

    def __init__(self, hidden: bytes) -> None:
        self._hidden = bytes(hidden)

    def reveal(self) -> bytes:
        """The bytes themselves: to use them as a key, or to seal them, and for nothing else."""
        return self._hidden

    @property
    def fingerprint(self) -> str:
        """Six hex digits that tell two keys apart, and from which no key can be found."""
        return hmac.digest(self._hidden, _LABEL, hashlib.sha256).hex()[:FINGERPRINT_HEX]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._hidden, other._hidden)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are never written down outside the key store")


class KeyState(StrEnum):
    """ACTIVE: new cards are made with it. RETIRING: cards made with it are still taken. RETIRED: forgotten."""

    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardKey:
    """One version of the site's master key for a purpose. `key` is None once RETIRED: only its fingerprint is left.

    `is_due`: somebody who had to do with it left, was moved or lost it (A-09).
    """

    version: int
    key: Secret | None
    fingerprint: str
    state: KeyState
    made_on: date
    custodians: tuple[str, ...] = ()
    uses: int = 0
    is_due: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderKey:
    """The secure channel's key of one reader. `pending`: kept before it is sent; it is the key once the reader has it.
    `identity`: who the reader must say it is. `version` counts the keys that it has had.
    """

    key: Secret | None = None
    pending: Secret | None = None
    pending_on: date | None = None
    pending_custodians: tuple[str, ...] = ()
    identity: str | None = None
    installed_on: date | None = None
    custodians: tuple[str, ...] = ()
    version: int = 0
    is_due: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What was done to the key store while no controller ran: the next start records it. `about`: a reader or a
    purpose; `people`: who did it.
    """

    act: str
    about: str
    on: date
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that is sealed. Changed as a whole; the newest card key of a purpose stands first.

    `extras`: secrets of which there is one: the Aliro reader's private key.
    """

    cards: MappingProxyType[str, tuple[CardKey, ...]] = field(default_factory=lambda: MappingProxyType({}))
    readers: MappingProxyType[str, ReaderKey] = field(default_factory=lambda: MappingProxyType({}))
    extras: MappingProxyType[str, Secret] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[Note, ...] = ()

    def with_cards(self, purpose: str, keys: tuple[CardKey, ...]) -> Contents:
        """The same with other keys of `purpose`."""
        return replace(self, cards=MappingProxyType({**self.cards, purpose: keys}))

    def with_reader(self, reader: str, row: ReaderKey | None) -> Contents:
        """The same with another row of `reader`, or without any."""
        rest = {name: kept for name, kept in self.readers.items() if name != reader}
        return replace(self, readers=MappingProxyType(rest if row is None else {**rest, reader: row}))

    def with_extra(self, name: str, secret: Secret) -> Contents:
        """The same with another single secret."""
        return replace(self, extras=MappingProxyType({**self.extras, name: secret}))


# -- their text ------------------------------------------------------------------------------------------------------


class _Card(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    version: int
    fingerprint: str
    state: KeyState
    made_on: date
    key: str | None = None
    custodians: tuple[str, ...] = ()
    uses: int = 0
    is_due: bool = False

    def __repr__(self) -> str:
        return "_Card(hidden)"


class _Reader(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    key: str | None = None
    pending: str | None = None
    pending_on: date | None = None
    pending_custodians: tuple[str, ...] = ()
    identity: str | None = None
    installed_on: date | None = None
    custodians: tuple[str, ...] = ()
    version: int = 0
    is_due: bool = False

    def __repr__(self) -> str:
        return "_Reader(hidden)"


class _Contents(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    cards: dict[str, tuple[_Card, ...]]
    readers: dict[str, _Reader]
    extras: dict[str, str]
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        return "_Contents(hidden)"


def to_text(contents: Contents) -> bytes:
    """The canonical text of `contents`: secret, and only ever sealed."""
    whole = _Contents(
        format=FORMAT,
        cards={purpose: tuple(map(_card_out, keys)) for purpose, keys in contents.cards.items()},
        readers={reader: _reader_out(row) for reader, row in contents.readers.items()},
        extras={name: secret.reveal().hex() for name, secret in contents.extras.items()},
        notes=contents.notes,
    )
    built: dict[str, Any] = msgspec.to_builtins(whole)
    return canonical(built)


def from_text(text: bytes) -> Contents:
    """The contents of a text that came out of the seal. KeyStoreError where this program cannot read it."""
    try:
        whole = msgspec.json.decode(text, type=_Contents)
        if whole.format != FORMAT:
            raise ValueError
        return Contents(
            cards=MappingProxyType({purpose: tuple(map(_card_in, keys)) for purpose, keys in whole.cards.items()}),
            readers=MappingProxyType({reader: _reader_in(row) for reader, row in whole.readers.items()}),
            extras=MappingProxyType({name: Secret(bytes.fromhex(secret)) for name, secret in whole.extras.items()}),
            notes=whole.notes,
        )
    except ValueError:  # msgspec's too; its words could hold what it could not read
        raise KeyStoreError(
            "the key store was written by a newer program: start that one, or restore the backup of the key store"
        ) from None


def _hex(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal().hex()


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(bytes.fromhex(text))


def _card_out(row: CardKey) -> _Card:
    return _Card(
        version=row.version,
        fingerprint=row.fingerprint,
        state=row.state,
        made_on=row.made_on,
        key=_hex(row.key),
        custodians=row.custodians,
        uses=row.uses,
        is_due=row.is_due,
    )


def _card_in(row: _Card) -> CardKey:
    return CardKey(
        version=row.version,
        key=_secret(row.key),
        fingerprint=row.fingerprint,
        state=row.state,
        made_on=row.made_on,
        custodians=row.custodians,
        uses=row.uses,
        is_due=row.is_due,
    )


def _reader_out(row: ReaderKey) -> _Reader:
    return _Reader(
        key=_hex(row.key),
        pending=_hex(row.pending),
        pending_on=row.pending_on,
        pending_custodians=row.pending_custodians,
        identity=row.identity,
        installed_on=row.installed_on,
        custodians=row.custodians,
        version=row.version,
        is_due=row.is_due,
    )


def _reader_in(row: _Reader) -> ReaderKey:
    return ReaderKey(
        key=_secret(row.key),
        pending=_secret(row.pending),
        pending_on=row.pending_on,
        pending_custodians=row.pending_custodians,
        identity=row.identity,
        installed_on=row.installed_on,
        custodians=row.custodians,
        version=row.version,
        is_due=row.is_due,
    )
