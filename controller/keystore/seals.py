"""What seals the key store: something that only this machine has. Each wraps the file's content key, 32 fresh bytes.

Three seals (docs/keys.md): a systemd credential, a key inside a PKCS#11 token, and a plain file, which is a deviation.
A seal that is missing is never made anew beside a key store that was sealed with another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controller.keystore.errors import KeyStoreError
from controller.keystore.guarded import read_guarded
from controller.secrets_file import read_or_create
from controller.tokens import Token, TokenError

WRAPPED_KEY_BYTES: Final = 32
CREDENTIAL: Final = "sekisho-keystore"
"""The credential's name for systemd: `LoadCredentialEncrypted=sekisho-keystore:...`."""

_NONCE_BYTES: Final = 12
_IV_BYTES: Final = 16
_LABEL: Final = b"sekisho keystore content key v1"


class Seal(Protocol):
    """Wraps and unwraps the content key. `name` stands in the file's head; `is_deviation`: weaker than it should be."""

    @property
    def name(self) -> str: ...
    @property
    def is_deviation(self) -> bool: ...

    def begin(self) -> None:
        """Make what seals, where it is ours to make and not there. Called only where there is no key store."""

    def wrap(self, content_key: bytes) -> bytes:
        """The content key, sealed. KeyStoreError where the seal cannot be used."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The content key again. KeyStoreError where it was sealed with something else, or the seal cannot be used."""


class _KeySeal:
    """Seals with 32 bytes that are read when they are needed, and not kept."""

    name: ClassVar[str]

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random

    def _key(self) -> bytes:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def wrap(self, content_key: bytes) -> bytes:
        """The content key under AES-256-GCM."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + AESGCM(self._key()).encrypt(nonce, content_key, _LABEL)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The content key again."""
        try:
            return AESGCM(self._key()).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _LABEL)
        except (InvalidTag, ValueError):
            raise foreign(self.name) from None


class FileSeal(_KeySeal):
    """A plain file of 32 bytes, mode 0600: whoever takes the disk has both. The deviation `keystore_unsealed`."""

    name = "file"
    is_deviation = True

    def __init__(self, path: Path, random: Callable[[int], bytes]) -> None:
        super().__init__(random)
        self._path = path

    def begin(self) -> None:
        """Make the file at the first start; one that is there is used."""
        try:
            read_or_create(self._path, self._random)
        except (OSError, ValueError) as error:
            raise KeyStoreError(f"the sealing key cannot be made: {error}") from error

    def _key(self) -> bytes:
        return _thirty_two(read_guarded(self._path, "restore the sealing key from its backup"), str(self._path))


class CredentialSeal(_KeySeal):
    """32 bytes (or 64 hex digits) that systemd decrypted for this service alone, sealed to its TPM or host key."""

    name = "credential"
    is_deviation = False

    def __init__(self, directory: str | None, random: Callable[[int], bytes]) -> None:
        """`directory`: $CREDENTIALS_DIRECTORY, None where it is not set."""
        super().__init__(random)
        self._directory = directory

    def begin(self) -> None:
        """It is systemd's to make: it must be there."""
        self._key()

    def _key(self) -> bytes:
        how = f"give the unit LoadCredentialEncrypted={CREDENTIAL}:PATH, made with systemd-creds encrypt (docs/keys.md)"
        if not self._directory:
            raise KeyStoreError(f"there is no $CREDENTIALS_DIRECTORY: {how}")
        path = Path(self._directory) / CREDENTIAL
        try:
            found = path.read_bytes()
        except OSError as error:
            raise KeyStoreError(f"{path}: {error.strerror}: {how}") from error
        return _thirty_two(found, str(path))


class Pkcs11Seal:
    """An AES-256 key inside a PKCS#11 token (SoftHSM2, tpm2-pkcs11, a smart card): it never leaves it.

    The content key is wrapped with CKM_AES_CBC, exactly two blocks under a fresh IV: the one mechanism that SoftHSM2
    and tpm2-pkcs11 both have. What it lacks is given by the file's own AES-256-GCM: a changed wrapping gives another
    content key, and nothing opens.
    """

    name = "pkcs11"
    is_deviation = False

    def __init__(self, *, module: str, token: str, label: str, pin_file: Path, random: Callable[[int], bytes]) -> None:
        self._module = module
        self._token = token
        self._label = label
        self._pin_file = pin_file
        self._random = random

    def __repr__(self) -> str:
        return f"Pkcs11Seal({self._module}, {self._token}, {self._label})"

    def begin(self) -> None:
        """Make the key in the token, where it is not there: never extractable."""
        with self._session() as (pkcs11, session):
            if self._found(pkcs11, session) is None:
                session.generate_key(
                    pkcs11.KeyType.AES,
                    256,
                    label=self._label,
                    store=True,
                    capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
                    template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
                )

    def wrap(self, content_key: bytes) -> bytes:
        """The content key as the token encrypts it."""
        iv = self._random(_IV_BYTES)
        with self._session() as (pkcs11, session):
            mechanism = pkcs11.Mechanism.AES_CBC
            return iv + bytes(self._key(pkcs11, session).encrypt(content_key, mechanism=mechanism, mechanism_param=iv))

    def unwrap(self, wrapped: bytes) -> bytes:
        """The content key as the token decrypts it."""
        if len(wrapped) != _IV_BYTES + WRAPPED_KEY_BYTES:
            raise foreign(self.name)
        iv, sealed = wrapped[:_IV_BYTES], wrapped[_IV_BYTES:]
        with self._session() as (pkcs11, session):
            mechanism = pkcs11.Mechanism.AES_CBC
            return bytes(self._key(pkcs11, session).decrypt(sealed, mechanism=mechanism, mechanism_param=iv))

    def _key(self, pkcs11: Any, session: Any) -> Any:
        key = self._found(pkcs11, session)
        if key is None:
            raise KeyStoreError(
                f"token {self._token!r} has no AES key {self._label!r}: it is not the one that sealed this key store; "
                "bring that token back, or restore the key store from its backup"
            )
        return key

    def _found(self, pkcs11: Any, session: Any) -> Any:
        try:
            return session.get_key(
                object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=self._label
            )
        except pkcs11.NoSuchKey:
            return None

    @contextmanager
    def _session(self) -> Iterator[tuple[Any, Any]]:
        """A logged-in session, for one piece of work."""
        token = Token(module=self._module, token=self._token, pin_file=self._pin_file)
        try:
            with token.work() as found:
                yield found
        except TokenError as error:
            raise KeyStoreError(str(error)) from None


def foreign(name: str) -> KeyStoreError:
    """The error of a key store that something else sealed."""
    return KeyStoreError(
        f"the key store was not sealed with this {name}, or was changed: bring back what sealed it, "
        "or restore the key store and its seal from the backup, together"
    )


def _thirty_two(found: bytes, where: str) -> bytes:
    """32 bytes, from themselves or from 64 hex digits."""
    if len(found) == WRAPPED_KEY_BYTES:
        return found
    try:
        key = bytes.fromhex(found.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != WRAPPED_KEY_BYTES:
        raise KeyStoreError(f"{where} is no sealing key: it has 32 bytes or 64 hex digits; restore it from its backup")
    return key
