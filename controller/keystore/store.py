"""The key store: the site's card keys and its readers' keys, apart from ledger.db and site.db (docs/keys.md).

Whoever asks gets what AN10922 makes of a card key for one card, or the key of one reader's line; no master key leaves.
Each change is durable before it holds. No clock: whoever changes something says what day it is. What is read is one
value that is replaced as a whole, so that the deciding loop may read while the key desk's thread writes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final, get_args

from controller.keystore.errors import KeyRefused, KeyStoreError
from controller.keystore.file import KeyFile
from controller.keystore.seals import Seal
from controller.keystore.values import (
    VERSION_MAX,
    CardKey,
    Contents,
    KeyState,
    Note,
    ReaderKey,
    Secret,
    from_text,
    to_text,
)
from controller.keystore.weak import KEY_BYTES, weakness
from readers.cards.diversify import diversification_input, diversified
from readers.cards.session import CardKeys, KeyPurpose

PURPOSES: Final[tuple[KeyPurpose, ...]] = get_args(KeyPurpose)
UNSEALED: Final = "keystore_unsealed"
"""The deviation of a key store whose sealing key lies beside it."""

ALIRO: Final = "aliro_reader_key"
PKOC: Final = "pkoc_reader_id"
EXTRAS: Final = frozenset({ALIRO, PKOC})

_DRAWS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyListing:
    """One key as people may see it."""

    name: str
    version: int
    state: str
    made_on: date
    fingerprint: str
    custodians: tuple[str, ...] = ()
    uses: int = 0
    is_due: bool = False


class KeyStore:
    """Owns the site's keys. Opened by `open`, once; `close` gives the folder back."""

    def __init__(self, file: KeyFile, contents: Contents, random: Callable[[int], bytes], *, is_sealed: bool) -> None:
        self._file = file
        self._contents = contents
        self._random = random
        self._is_sealed = is_sealed
        self._uses: Counter[tuple[str, int]] = Counter()
        self._noting: tuple[Note, ...] = ()
        self._changing = threading.RLock()
        self._counting = threading.Lock()

    def __repr__(self) -> str:
        return f"KeyStore(generation {self._file.generation})"

    @classmethod
    def open(cls, folder: Path, seal: Seal, random: Callable[[int], bytes], *, is_restored: bool = False) -> KeyStore:
        """The key store in `folder`; where nothing is there, an empty one, kept at once.

        Args:
            folder: its own folder, made with mode 0700; one that others can read is refused.
            seal: what seals it.
            random: gives as many random bytes as asked for.
            is_restored: it was put back from a backup, by somebody who says so.

        Raises:
            KeyStoreError: it cannot be believed or used. It says what to do; nothing is begun anew.
        """
        file = KeyFile(folder, seal, random)
        text = file.open(is_restored=is_restored)
        try:
            store = cls(file, Contents() if text is None else from_text(text), random, is_sealed=not seal.is_deviation)
            if text is None or is_restored:
                store._keep(store._contents)
        except BaseException:
            file.close()
            raise
        return store

    @classmethod
    def look(cls, folder: Path, seal: Seal, random: Callable[[int], bytes]) -> KeyStore:
        """The key store as it is kept now, while a controller may hold it: keys can be used, nothing can be changed.

        Raises:
            KeyStoreError: there is none, or it cannot be believed.
        """
        file = KeyFile(folder, seal, random)
        return cls(file, from_text(file.look()), random, is_sealed=not seal.is_deviation)

    def close(self) -> None:
        """Keep what was counted, as far as the disk lets us, and give the folder back."""
        try:
            self.flush_uses()
        except KeyStoreError:
            pass  # counts are for people; they are not worth a stop that hangs
        finally:
            self._file.close()

    def seal_again(self, seal: Seal) -> None:
        """Seal the same keys with another seal. What sealed them before may be destroyed after that."""
        with self._changing:
            contents = self._noted(self._contents)
            self._file.seal_again(seal, _text_of(contents))
            self._contents, self._is_sealed = contents, not seal.is_deviation

    @property
    def generation(self) -> int:
        """How often it was written."""
        return self._file.generation

    @property
    def deviations(self) -> tuple[str, ...]:
        """What this key store does less strictly than it should."""
        return () if self._is_sealed else (UNSEALED,)

    # -- cards ---------------------------------------------------------------------------------------------------------

    def card_keys(self, *, application: bytes, system: bytes = b"") -> CardKeys:
        """The face that card sessions ask. `application`, `system`: of the site, part of every card's own key."""
        return _CardKeys(self, application, system)

    def versions(self, purpose: str) -> tuple[int, ...]:
        """Versions that cards may carry, the newest first."""
        return tuple(row.version for row in self._contents.cards.get(purpose, ()) if row.key is not None)

    def diversified(self, purpose: str, version: int, divided_by: bytes) -> bytes:
        """What AN10922 makes of a card key. KeyError where there is none, or it is RETIRED."""
        for row in self._contents.cards.get(purpose, ()):
            if row.version == version and row.key is not None:
                with self._counting:
                    self._uses[purpose, version] += 1
                return diversified(row.key.reveal(), divided_by)
        raise KeyError(f"no key {purpose} of version {version}")

    def rotate(self, purpose: str, today: date, custodians: tuple[str, ...] = ()) -> int:
        """Draw a new version of a card key; the one before is still taken from cards. Returns the new version."""
        with self._changing:
            key = self._fresh()
            return self._add_card_key(purpose, key, self._next_version(purpose), today, custodians)

    def import_card_key(
        self,
        purpose: str,
        version: int,
        key: bytes,
        today: date,
        custodians: tuple[str, ...] = (),
        *,
        is_factory: bool = False,
    ) -> None:
        """Take a card key that was made elsewhere. A weak or published one is refused (B-28).

        `is_factory`: cards still have the key they came with; it is taken, and the scheme is not commissioned (B-14).
        """
        with self._changing:
            why = weakness(key)
            if why is not None and not (is_factory and len(key) == KEY_BYTES):
                raise KeyRefused(f"this key for {purpose} is refused: {why}; draw one at random")
            if any(row.version == version for row in self._contents.cards.get(purpose, ())):
                raise KeyRefused(f"{purpose} has a version {version} already: give this one another number")
            if why is None:
                self._refuse_known(Secret(key))
            self._add_card_key(purpose, Secret(key), version, today, custodians)

    def retire(self, purpose: str, version: int) -> None:
        """Forget a version: no card that was made with it is genuine any more. Not the newest one: rotate first."""
        with self._changing:
            rows = self._rows(purpose)
            found = next((row for row in rows if row.version == version), None)
            if found is None:
                raise KeyRefused(f"{purpose} has no version {version}")
            if found.state is KeyState.ACTIVE:
                raise KeyRefused(f"version {version} of {purpose} is the newest: rotate first, then retire it")
            gone = replace(found, key=None, state=KeyState.RETIRED, is_due=False)
            self._keep(self._contents.with_cards(purpose, tuple(gone if row is found else row for row in rows)))

    def _add_card_key(self, purpose: str, key: Secret, version: int, today: date, custodians: tuple[str, ...]) -> int:
        if not 0 <= version <= VERSION_MAX:
            raise KeyRefused(f"a version is 0 to {VERSION_MAX}, not {version}")
        row = CardKey(
            version=version,
            key=key,
            fingerprint=key.fingerprint,
            state=KeyState.ACTIVE,
            made_on=today,
            custodians=custodians,
        )
        older = tuple(
            replace(old, state=KeyState.RETIRING) if old.state is KeyState.ACTIVE else old
            for old in self._rows(purpose)
            if old.version != version
        )
        self._keep(self._contents.with_cards(purpose, (row, *older)))
        return version

    def _next_version(self, purpose: str) -> int:
        """The number after the newest. Zero is what cards come with, and is not given; one that was RETIRED may be."""
        rows = self._rows(purpose)
        taken = {row.version for row in rows if row.state is not KeyState.RETIRED}
        after = rows[0].version if rows else 0
        for step in range(1, VERSION_MAX + 1):
            version = (after + step - 1) % VERSION_MAX + 1
            if version not in taken:
                return version
        raise KeyRefused(f"{purpose} has no number left: retire old versions first")

    def _rows(self, purpose: str) -> tuple[CardKey, ...]:
        if purpose not in PURPOSES:
            raise KeyRefused(f"there is no key for {purpose!r}: one of {', '.join(PURPOSES)}")
        return self._contents.cards.get(purpose, ())

    # -- readers -------------------------------------------------------------------------------------------------------

    def reader_key(self, reader: str) -> bytes | None:
        """The key of a reader's secure channel; None where it has none of its own."""
        return _revealed(self._reader(reader).key)

    def pending_key(self, reader: str) -> bytes | None:
        """A key that was sent to a reader, or was about to be, and that nobody confirmed: try it where the other one
        is not taken, and confirm it then.
        """
        return _revealed(self._reader(reader).pending)

    def identity(self, reader: str) -> str | None:
        """Who this reader must say it is."""
        return self._reader(reader).identity

    def propose_reader_key(self, reader: str, today: date, custodians: tuple[str, ...] = ()) -> bytes:
        """A fresh key, kept as pending before anybody sends it."""
        with self._changing:
            key = self._fresh()
            row = self._reader(reader)
            self._keep_reader(reader, replace(row, pending=key, pending_on=today, pending_custodians=custodians))
            return key.reveal()

    def confirm_reader_key(self, reader: str, identity: str | None = None) -> None:
        """The reader has the pending key: it is the key from now on."""
        with self._changing:
            row = self._reader(reader)
            if row.pending is None:
                raise KeyRefused(f"no key is waiting for {reader}")
            self._keep_reader(
                reader,
                ReaderKey(
                    key=row.pending,
                    identity=identity or row.identity,
                    installed_on=row.pending_on,
                    custodians=row.pending_custodians,
                    version=row.version + 1,
                ),
            )

    def withdraw_reader_key(self, reader: str) -> None:
        """The pending key never reached the reader. Nothing where none waits."""
        with self._changing:
            row = self._reader(reader)
            if row.pending is not None:
                kept = replace(row, pending=None, pending_on=None, pending_custodians=())
                self._keep_reader(reader, None if kept == ReaderKey() else kept)

    def pin_identity(self, reader: str, identity: str) -> None:
        """Who the reader must say it is, from now on."""
        with self._changing:
            row = self._reader(reader)
            if row.identity != identity:
                self._keep_reader(reader, replace(row, identity=identity))

    def import_reader_key(
        self, reader: str, key: bytes, today: date, custodians: tuple[str, ...] = (), identity: str | None = None
    ) -> None:
        """Take the key that a reader got on the bench, from a file that came another way than the wire (B-20)."""
        with self._changing:
            if (why := weakness(key)) is not None:
                raise KeyRefused(f"this key for {reader} is refused: {why}; draw one at random")
            secret = Secret(key)
            self._refuse_known(secret)
            row = self._reader(reader)
            self._keep_reader(
                reader,
                ReaderKey(
                    key=secret,
                    identity=identity or row.identity,
                    installed_on=today,
                    custodians=custodians,
                    version=row.version + 1,
                ),
            )

    def forget_reader(self, reader: str) -> None:
        """The reader is gone from the site."""
        with self._changing:
            if reader in self._contents.readers:
                self._keep_reader(reader, None)

    def _reader(self, reader: str) -> ReaderKey:
        return self._contents.readers.get(reader, _NONE)

    def _keep_reader(self, reader: str, row: ReaderKey | None) -> None:
        self._keep(self._contents.with_reader(reader, row))

    # -- single secrets ------------------------------------------------------------------------------------------------

    def single(self, name: str) -> bytes | None:
        """A secret of which there is one: ALIRO's private key of the site's readers (32 bytes), PKOC's reader id."""
        return _revealed(self._contents.extras.get(name))

    def keep_single(self, name: str, secret: bytes) -> None:
        """Keep such a secret, in the place of the one before."""
        if name not in EXTRAS:
            raise KeyRefused(f"there is no secret {name!r}: one of {', '.join(sorted(EXTRAS))}")
        with self._changing:
            self._keep(self._contents.with_extra(name, Secret(secret)))

    # -- what people see -----------------------------------------------------------------------------------------------

    def listing(self) -> tuple[KeyListing, ...]:
        """Every key without the key, cards first. Of a RETIRED one the fingerprint is left."""
        contents = self._contents
        with self._counting:
            counted = Counter(self._uses)
        cards = tuple(
            KeyListing(
                name=purpose,
                version=row.version,
                state=row.state.value,
                made_on=row.made_on,
                fingerprint=row.fingerprint,
                custodians=row.custodians,
                uses=row.uses + counted[purpose, row.version],
                is_due=row.is_due and row.state is KeyState.ACTIVE,
            )
            for purpose, rows in sorted(contents.cards.items())
            for row in rows
        )
        return cards + tuple(
            listed for reader, row in sorted(contents.readers.items()) for listed in _reader_listings(reader, row)
        )

    @property
    def identities(self) -> dict[str, str]:
        """Reader -> who it must say it is."""
        readers = self._contents.readers
        return {reader: row.identity for reader, row in readers.items() if row.identity is not None}

    @property
    def custodians(self) -> frozenset[str]:
        """Who had to do with keys that are in use."""
        return frozenset(who for _, held, _ in self._in_use() for who in held)

    # -- what was done while no controller ran -------------------------------------------------------------------------

    @property
    def notes(self) -> tuple[Note, ...]:
        """What the next start must record."""
        return self._contents.notes

    @contextmanager
    def noting(self, act: str, about: str, today: date, people: tuple[str, ...] = ()) -> Iterator[None]:
        """The change inside is kept together with who did it: both, or neither where it is refused."""
        with self._changing:
            self._noting = (Note(act=act, about=about, on=today, people=people),)
            try:
                yield
            finally:
                self._noting = ()

    def notes_recorded(self) -> None:
        """They stand in the ledger."""
        with self._changing:
            if self._contents.notes:
                self._keep(replace(self._contents, notes=()))

    # -- rotation ------------------------------------------------------------------------------------------------------

    def custodian_left(self, who: str) -> None:
        """Somebody left, was moved, or lost what he held: his keys are due, until there are newer ones (A-09)."""
        with self._changing:
            contents = self._contents
            for purpose, rows in contents.cards.items():
                marked = tuple(replace(row, is_due=True) if _is_held(row, who) else row for row in rows)
                contents = contents.with_cards(purpose, marked)
            for reader, row in contents.readers.items():
                if row.key is not None and who in row.custodians:
                    contents = contents.with_reader(reader, replace(row, is_due=True))
            if contents != self._contents:
                self._keep(contents)

    def rotation_due(self, gone: Set[str] = frozenset()) -> frozenset[str]:
        """Names of keys in use that are due: marked before, or held by one of `gone`."""
        return frozenset(name for name, held, is_due in self._in_use() if is_due or not gone.isdisjoint(held))

    def _in_use(self) -> list[tuple[str, tuple[str, ...], bool]]:
        """(name, custodians, whether it is marked) of each newest card key and each reader's key."""
        contents = self._contents
        found = [
            (purpose, row.custodians, row.is_due)
            for purpose, rows in contents.cards.items()
            for row in rows
            if row.state is KeyState.ACTIVE
        ]
        return found + [
            (reader, row.custodians, row.is_due) for reader, row in contents.readers.items() if row.key is not None
        ]

    # -- commissioning -------------------------------------------------------------------------------------------------

    def is_reader_commissioned(self, reader: str) -> bool:
        """Whether this reader has a key of its own that everybody does not know."""
        key = self._reader(reader).key
        return key is not None and weakness(key.reveal()) is None

    def has_factory_key(self, purpose: str) -> bool:
        """Whether a version of this card key that still counts is a factory default."""
        rows = self._contents.cards.get(purpose, ())
        return any(row.key is not None and weakness(row.key.reveal()) is not None for row in rows)

    # -- keeping -------------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Write what is there once more."""
        with self._changing:
            self._keep(self._contents)

    def flush_uses(self) -> None:
        """Keep the counts of uses, where there are new ones. Once a day is enough."""
        with self._changing:
            if self._uses:
                self._keep(self._contents)

    def _keep(self, contents: Contents) -> None:
        """Durable first; then it holds."""
        with self._counting:
            counted, self._uses = self._uses, Counter()
        for purpose in {purpose for purpose, _ in counted}:
            rows = contents.cards.get(purpose, ())
            rows = tuple(replace(row, uses=row.uses + counted[purpose, row.version]) for row in rows)
            contents = contents.with_cards(purpose, rows)
        contents = self._noted(contents)
        try:
            self._file.write(_text_of(contents))
        except BaseException:
            with self._counting:
                self._uses.update(counted)
            raise
        self._contents = contents

    def _noted(self, contents: Contents) -> Contents:
        noting, self._noting = self._noting, ()
        return replace(contents, notes=(*contents.notes, *noting)) if noting else contents

    def _fresh(self) -> Secret:
        """A key that nobody knows, unlike every other one here."""
        for _ in range(_DRAWS_MAX):
            key = Secret(self._random(KEY_BYTES))
            if weakness(key.reveal()) is None and key not in self._known():
                return key
        raise KeyStoreError("a hundred draws gave no key: the source of randomness is broken; do not use this machine")

    def _refuse_known(self, key: Secret) -> None:
        if key in self._known():
            raise KeyRefused("this key is in use already: every reader and purpose has one of its own (B-19)")

    def _known(self) -> list[Secret]:
        contents = self._contents
        cards = [row.key for rows in contents.cards.values() for row in rows]
        readers = [key for row in contents.readers.values() for key in (row.key, row.pending)]
        return [key for key in (*cards, *readers) if key is not None]


class _CardKeys:
    """`readers.cards.session.CardKeys` over a key store: AN10922 over number, application and system, in that order."""

    def __init__(self, store: KeyStore, application: bytes, system: bytes) -> None:
        self._store = store
        self._application = application
        self._system = system

    def versions(self, purpose: KeyPurpose) -> tuple[int, ...]:
        """Versions that cards may still carry, the newest first."""
        return self._store.versions(purpose)

    def diversified(self, purpose: KeyPurpose, version: int, number: bytes) -> bytes:
        """The key of the card with `number`."""
        divided_by = diversification_input(number, self._application, self._system)
        return self._store.diversified(purpose, version, divided_by)


_NONE: Final = ReaderKey()


def _revealed(secret: Secret | None) -> bytes | None:
    return None if secret is None else secret.reveal()


def _text_of(contents: Contents) -> bytes:
    try:
        return to_text(contents)
    except (TypeError, ValueError):
        raise KeyRefused("a name in this order cannot be kept: ids are ASCII") from None


def _is_held(row: CardKey, who: str) -> bool:
    return row.key is not None and who in row.custodians


def _reader_listings(reader: str, row: ReaderKey) -> list[KeyListing]:
    found: list[KeyListing] = []
    if row.pending is not None and row.pending_on is not None:
        found.append(
            KeyListing(
                name=reader,
                version=row.version + 1,
                state="PENDING",
                made_on=row.pending_on,
                fingerprint=row.pending.fingerprint,
                custodians=row.pending_custodians,
            )
        )
    if row.key is not None and row.installed_on is not None:
        found.append(
            KeyListing(
                name=reader,
                version=row.version,
                state=KeyState.ACTIVE.value,
                made_on=row.installed_on,
                fingerprint=row.key.fingerprint,
                custodians=row.custodians,
                is_due=row.is_due,
            )
        )
    return found
