"""names.keys: one key per person, each wrapped by the key of the site, in a file of its own beside api.db.

A copy of api.db alone tells nobody's name, and a key that is destroyed here ends every copy of that name (E-08). The
key of the site is the systemd credential `sekisho-names` where there is one, else names.seal beside the file.
The file is text: a line `sekisho names v1 SEAL CHECK`, then a line `CARDHOLDER KEY` each, in base64. It is small, so it
is written whole, put in place of the old one at once, and the old one is overwritten.

A file that cannot be read is never written over.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CREDENTIAL: Final = "sekisho-names"
"""The credential's name for systemd: `LoadCredentialEncrypted=sekisho-names:...`."""

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_HEAD: Final = "sekisho names v1"
_CHECK: Final = b"sekisho names v1 check"
_BOUND: Final = b"sekisho names v1 key of "
BY_CREDENTIAL, BY_FILE = "credential", "file"


class NameKeysError(RuntimeError):
    """The keys of the names cannot be read or written. `code`: why, a stable word."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the file holds: which seal it was made with, and the wrapped keys."""

    seal: str
    check: bytes
    wrapped: dict[str, bytes]


class NameKeys:
    """The keys in `folder`. `credentials`: systemd's $CREDENTIALS_DIRECTORY, None where there is none.

    Opening never raises: `fault` says why nothing can be read, and then every writing raises NameKeysError.
    """

    def __init__(
        self, folder: Path, credentials: Path | None = None, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._path = folder / "names.keys"
        self._next_path = folder / "names.keys.new"
        self._seal_path = folder / "names.seal"
        self._credentials = credentials
        self._random = random
        self._wrapped: dict[str, bytes] = {}
        self._site_key: bytes | None = None
        self._seal = BY_FILE
        self.fault: NameKeysError | None = None
        try:
            self._open()
        except NameKeysError as error:
            self.fault = error
        except OSError as error:
            self.fault = NameKeysError("keys_unreadable", f"{error.filename or self._path}: {error.strerror}")

    def __repr__(self) -> str:
        return f"NameKeys({len(self._wrapped)} hidden)"

    # -- what it is asked ---------------------------------------------------------------------------------------

    def get(self, cardholder: str) -> bytes | None:
        """The key of one person; None where there is none, or it cannot be unwrapped."""
        wrapped = self._wrapped.get(cardholder)
        if wrapped is None or self._site_key is None:
            return None
        try:
            return unsealed(self._site_key, wrapped, _BOUND + cardholder.encode())
        except InvalidTag:
            return None

    def has(self, cardholder: str) -> bool:
        """Whether there is a key of that person, readable or not."""
        return cardholder in self._wrapped

    def ensure(self, cardholders: Iterable[str]) -> None:
        """Make a key for each that has none that can be read. Durable when it returns. Raises NameKeysError."""
        self._refuse_fault()
        missing = [one for one in dict.fromkeys(cardholders) if self.get(one) is None]
        if not missing:
            return
        site_key = self._site_key = self._site_key or self._made_site_key()
        fresh = {one: self._boxed(site_key, self._random(KEY_BYTES), _BOUND + one.encode()) for one in missing}
        self._write(self._wrapped | fresh)

    def destroy(self, cardholders: Iterable[str]) -> None:
        """Destroy the keys of these people for good; who has none is passed over. Raises NameKeysError."""
        gone = set(cardholders)
        self._refuse_fault()
        if gone & self._wrapped.keys():
            self._write({one: key for one, key in self._wrapped.items() if one not in gone})

    # -- the file -----------------------------------------------------------------------------------------------

    def _refuse_fault(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _open(self) -> None:
        _wipe(self._next_path)  # of a writing that was cut off: it may hold keys that are to be gone
        credential = self._credential()
        found = self._read()
        if found is None:
            self._seal = BY_FILE if credential is None else BY_CREDENTIAL
            self._site_key = credential if credential is not None else _optional(self._seal_path)
            return
        site_key = credential if found.seal == BY_CREDENTIAL else _optional(self._seal_path)
        where = f"the credential {CREDENTIAL}" if found.seal == BY_CREDENTIAL else str(self._seal_path)
        if site_key is None:
            raise NameKeysError("seal_missing", f"{where} is not there, which opens {self._path}")
        try:
            unsealed(site_key, found.check, _CHECK)
        except (InvalidTag, ValueError):
            raise NameKeysError("seal_foreign", f"{where} does not open {self._path}") from None
        self._seal, self._site_key, self._wrapped = found.seal, site_key, found.wrapped
        if credential is not None:
            self._move_to(credential)

    def _move_to(self, credential: bytes) -> None:
        """Keys that were sealed with a file beside them are sealed with the credential from now on."""
        if self._seal == BY_FILE:
            keys = {one: key for one in self._wrapped if (key := self.get(one)) is not None}
            self._seal, self._site_key = BY_CREDENTIAL, credential
            self._write({one: self._boxed(credential, key, _BOUND + one.encode()) for one, key in keys.items()})
        _wipe(self._seal_path)

    def _read(self) -> _Read | None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        self._path.chmod(0o600)
        head, *lines = text.decode("ascii", "replace").splitlines() or [""]
        words = head.removeprefix(_HEAD + " ").split(" ")
        if not head.startswith(_HEAD + " ") or len(words) != 2 or words[0] not in (BY_CREDENTIAL, BY_FILE):
            raise NameKeysError("keys_damaged", f"{self._path} does not begin as a file of keys does")
        wrapped = dict(pair for line in lines if (pair := _pair(line)) is not None)
        return _Read(seal=words[0], check=_decoded(words[1]) or b"", wrapped=wrapped)

    def _write(self, wrapped: Mapping[str, bytes]) -> None:
        """Put a new file in place of the old one, which is overwritten before it is given up."""
        assert self._site_key is not None, "keys are wrapped before they are written"
        check = base64.b64encode(self._boxed(self._site_key, b"", _CHECK)).decode()
        lines = [f"{_HEAD} {self._seal} {check}"]
        lines += [f"{one} {base64.b64encode(key).decode()}" for one, key in sorted(wrapped.items())]
        try:
            _wipe(self._next_path)
            _write_new(self._next_path, ("\n".join(lines) + "\n").encode())
            old = os.open(self._path, os.O_RDWR) if self._path.exists() else None
            try:
                self._next_path.replace(self._path)
                _sync_folder(self._path.parent)
                self._wrapped = dict(wrapped)
                if old is not None:
                    _zero(old)
            finally:
                if old is not None:
                    os.close(old)
        except OSError as error:
            why = f"{error.filename or self._path}: {error.strerror}; make room or mend the disk, then again"
            raise NameKeysError("keys_unwritable", why) from error

    # -- the key of the site ------------------------------------------------------------------------------------

    def _credential(self) -> bytes | None:
        if self._credentials is None:
            return None
        return _optional(self._credentials / CREDENTIAL)

    def _made_site_key(self) -> bytes:
        key = self._random(KEY_BYTES)
        try:
            _write_new(self._seal_path, key)
            _sync_folder(self._seal_path.parent)
        except OSError as error:
            raise NameKeysError("keys_unwritable", f"{self._seal_path}: {error.strerror}") from error
        return key

    def _boxed(self, key: bytes, plain: bytes, bound: bytes) -> bytes:
        return sealed(key, plain, bound, self._random)


def sealed(key: bytes, plain: bytes, bound: bytes, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """`plain` under AES-256-GCM with a fresh nonce before it, bound to `bound`."""
    nonce = random(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def unsealed(key: bytes, box: bytes, bound: bytes) -> bytes:
    """What `sealed` made, again. Raises InvalidTag where it is not whole, of another key or bound to something else."""
    if len(box) < NONCE_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], bound)


def _pair(line: str) -> tuple[str, bytes] | None:
    name, _, text = line.partition(" ")
    key = _decoded(text)
    return (name, key) if name and key else None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _optional(path: Path) -> bytes | None:
    """32 bytes, or 64 hex digits, of a file; None where there is none."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(found) == KEY_BYTES:
        return found
    with suppress(ValueError):
        if len(key := bytes.fromhex(found.decode("ascii", "replace").strip())) == KEY_BYTES:
            return key
    raise NameKeysError("seal_damaged", f"{path} must hold {KEY_BYTES} bytes or as many in hex; restore it")


def _write_new(path: Path, content: bytes) -> None:
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(made, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _zero(opened: int) -> None:
    """Overwrite an open file. A disk that writes elsewhere (flash) may keep the old blocks: docs/privacy.md says so."""
    size = os.fstat(opened).st_size
    os.pwrite(opened, bytes(size), 0)
    os.fsync(opened)


def _wipe(path: Path) -> None:
    """Overwrite a file and take it away, where it is there."""
    try:
        opened = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        _zero(opened)
    finally:
        os.close(opened)
    path.unlink()
