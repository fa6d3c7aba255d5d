"""The sealed file: its head, its seal, and how it is replaced.

    SEKISHO-KEYSTORE 1
    {"format":1,"generation":12,"nonce":"...","seal":"file","wrapped":"..."}     canonical JSON (RFC 8785), one line
    AES-256-GCM(content key, nonce, contents; authenticated with it: the lines above)

The content key is drawn for every write and wrapped by the seal. Beside it lie `keystore.old`, the generation before,
and `keystore.generation`, the highest one ever written: a file older than that was put back, and is refused until
somebody says that he did it. One process at a time holds `keystore.lock`. Nothing is ever begun anew where something
is left.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controller.keystore.errors import KeyStoreError
from controller.keystore.guarded import open_folder, read_guarded, write_whole
from controller.keystore.seals import WRAPPED_KEY_BYTES, Seal, foreign
from controller.ledger.canonical import canonical
from controller.ledger.checkpoint import sync_directory

MAGIC: Final = b"SEKISHO-KEYSTORE 1\n"
NAME: Final = "keystore"
HEAD_BYTES_MAX: Final = 2048

_NONCE_BYTES: Final = 12
_RESTORE: Final = "restore the key store from its backup; keystore.old beside it is the state before its last change"


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    generation: int
    nonce: str
    seal: str
    wrapped: str


class KeyFile:
    """Owns the folder of the key store, and the right to write it."""

    def __init__(self, folder: Path, seal: Seal, random: Callable[[int], bytes]) -> None:
        self.generation = 0
        self._path = folder / NAME
        self._old = folder / f"{NAME}.old"
        self._counter = folder / f"{NAME}.generation"
        self._folder = folder
        self._seal = seal
        self._random = random
        self._lock: int | None = None

    def open(self, *, is_restored: bool = False) -> bytes | None:
        """The text that is kept; None where there is no key store yet. Holds the folder until `close`.

        `is_restored`: somebody put an older file back, and means it. KeyStoreError where it cannot be believed.
        """
        open_folder(self._folder)
        self._take()
        try:
            return self._read(is_restored=is_restored)
        except BaseException:
            self.close()
            raise

    def look(self) -> bytes:
        """The text that is kept, for somebody who changes nothing: the folder may be another process's. KeyStoreError
        where there is none, or it cannot be believed.
        """
        if not self._path.exists():
            raise KeyStoreError(f"there is no key store in {self._folder}: `sekisho keys make` makes it")
        text = self._read(is_restored=False)
        assert text is not None, "it exists"
        return text

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, text: bytes) -> None:
        """Seal `text` and keep it in the place of what is kept. Durable on return; KeyStoreError where it is not: then
        a whole file is there, the one before or this one.
        """
        if self._lock is None:
            raise KeyStoreError("the key store is closed")
        generation = self.generation + 1
        sealed = self._sealed(text, generation)
        self.generation = generation  # also where the rest fails: no number is used twice
        try:
            if self._path.exists():
                self._keep_old()
            write_whole(self._path, sealed)
            write_whole(self._counter, b"%d\n" % generation)
        except OSError as error:
            raise KeyStoreError(
                f"{self._path} cannot be written ({error.strerror}): make room or repair the disk, then ask again"
            ) from error

    def seal_again(self, seal: Seal, text: bytes) -> None:
        """Seal `text` with another seal from now on. What the old one sealed is taken away, as far as disks forget."""
        seal.begin()
        before, self._seal = self._seal, seal
        try:
            self.write(text)
        except BaseException:
            self._seal = before
            raise
        try:
            self._old.unlink(missing_ok=True)
            sync_directory(self._folder)
        except OSError as error:
            raise KeyStoreError(f"{self._old} is still there ({error.strerror}): take it away yourself") from error

    def _take(self) -> None:
        path = self._folder / f"{NAME}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise KeyStoreError(f"{path}: {error.strerror}: the controller's account must be able to write") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise KeyStoreError(
                f"{self._folder} is in use by another process: stop the controller first, or ask it"
            ) from error
        self._lock = lock

    def _keep_old(self) -> None:
        """Give the present file a second name; it is never out of its own place."""
        partial = self._folder / f"{NAME}.old.new"
        partial.unlink(missing_ok=True)
        os.link(self._path, partial)
        partial.replace(self._old)
        sync_directory(self._folder)

    def _read(self, *, is_restored: bool) -> bytes | None:
        if not self._path.is_symlink() and not self._path.exists():
            left = [path.name for path in (self._old, self._counter) if path.exists()]
            if left:
                raise KeyStoreError(f"{self._path} is gone, and {' and '.join(left)} is left: {_RESTORE}")
            self._seal.begin()
            return None
        head, text = self._opened(read_guarded(self._path, _RESTORE))
        newest = self._newest()
        self.generation = head.generation
        if newest is None and head.generation > 1:
            newest = head.generation + 1  # somebody took it away: as much as an old file
        if newest is not None and head.generation < newest:
            if not is_restored:
                raise KeyStoreError(
                    f"{self._path} is older than what was here: generation {head.generation}, and {newest} was "
                    "written. If you restored it, say so (sekisho keys restored); if not, somebody put old keys back: "
                    "keep the disk, and rotate every key"
                )
            self.generation = newest
        return text

    def _newest(self) -> int | None:
        """The highest generation that was ever written here."""
        if not self._counter.exists():
            return None
        text = read_guarded(self._counter, _RESTORE)
        if not text.strip().isdigit() or len(text) > 20:
            raise KeyStoreError(f"{self._counter} is damaged: {_RESTORE}")
        return int(text)

    # -- sealing -------------------------------------------------------------------------------------------------------

    def _sealed(self, text: bytes, generation: int) -> bytes:
        content_key, nonce = self._random(WRAPPED_KEY_BYTES), self._random(_NONCE_BYTES)
        head = _Head(
            format=1,
            generation=generation,
            nonce=nonce.hex(),
            seal=self._seal.name,
            wrapped=self._seal.wrap(content_key).hex(),
        )
        above = MAGIC + canonical(msgspec.to_builtins(head)) + b"\n"
        return above + AESGCM(content_key).encrypt(nonce, text, above)

    def _opened(self, sealed: bytes) -> tuple[_Head, bytes]:
        if not sealed.startswith(MAGIC):
            is_ours = sealed.startswith(MAGIC[:17])
            why = "was written by a newer program" if is_ours else "is no key store, or is damaged"
            raise KeyStoreError(f"{self._path} {why}: {_RESTORE}")
        end = sealed.find(b"\n", len(MAGIC), len(MAGIC) + HEAD_BYTES_MAX) + 1
        above, rest = sealed[:end], sealed[end:]
        head = self._head(above[len(MAGIC) : -1])
        if head.seal != self._seal.name:
            raise KeyStoreError(
                f"{self._path} is sealed with {head.seal!r}, and the site file says seal = {self._seal.name!r}: "
                "set it as it was; to seal it otherwise, see docs/keys.md"
            )
        try:
            content_key, nonce = self._seal.unwrap(bytes.fromhex(head.wrapped)), bytes.fromhex(head.nonce)
            return head, AESGCM(content_key).decrypt(nonce, rest, above)
        except (InvalidTag, ValueError):
            raise KeyStoreError(f"{self._path} is damaged or cut off: {foreign(self._seal.name)}") from None

    def _head(self, line: bytes) -> _Head:
        try:
            head = msgspec.json.decode(line, type=_Head)
            if canonical(msgspec.to_builtins(head)) == line and head.format == 1 and head.generation > 0:
                return head
        except ValueError:
            pass
        raise KeyStoreError(f"{self._path}: its head is damaged: {_RESTORE}")
