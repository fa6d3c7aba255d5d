"""Where the ledger's signing key lies, and how another one takes its place (docs/ledger.md §9, docs/keys.md).

Three places: a file of ours, a systemd credential, a PKCS#11 token that the key never leaves. In each there may be a
successor beside the key: durable before the ledger names it, taken up once the ledger does. Which of both signs is the
ledger's last checkpoint's to say; nothing here decides it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.keystore.errors import KeyStoreError
from controller.ledger.checkpoint import SEED_BYTES, Signer, SigningKey, sync_directory
from controller.ledger.errors import KeyRefused, LedgerUnavailable
from controller.tokens import Token, TokenError

CREDENTIAL: Final = "ledger-key"
"""The credential's name for systemd: `LoadCredentialEncrypted=ledger-key:...`; its successor's is `ledger-key-next`."""

NEXT: Final = "next"


class KeyPlace(Protocol):
    """Where a ledger's key lies. All raise KeyRefused, which says what to do."""

    @property
    def name(self) -> str: ...
    def keys(self) -> tuple[Signer | None, Signer | None]:
        """The key and its successor, each None where it is not there."""
        ...

    def make(self) -> Signer:
        """The first key of a ledger."""
        ...

    def make_successor(self) -> Signer:
        """A new key beside the one that signs: durable when this returns."""
        ...

    def take_up(self) -> None:
        """The successor takes the key's place, and the key is destroyed as far as it can be."""
        ...

    def drop_successor(self) -> None:
        """A successor that no record names: it never signed anything."""
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...


class FileKeys:
    """The key in a file of mode 0600 in the state folder, its successor beside it."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = path.with_name(f"{path.name}.{NEXT}")

    def keys(self) -> tuple[Signer | None, Signer | None]:
        """As `KeyPlace`."""
        found = [SigningKey.load(path) if os.path.lexists(path) else None for path in (self.path, self._next)]
        return found[0], found[1]

    def make(self) -> Signer:
        """As `KeyPlace`."""
        return SigningKey.create(self.path)

    def make_successor(self) -> Signer:
        """As `KeyPlace`."""
        self.drop_successor()
        return SigningKey.create(self._next)

    def take_up(self) -> None:
        """As `KeyPlace`. The file is replaced in one step; then zeros go over the old one's bytes, for what a disk
        makes of that (docs/keys.md).
        """
        try:
            old = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW) if self.path.exists() else None
            try:
                self._next.replace(self.path)
                sync_directory(self.path.parent)
                if old is not None:
                    os.pwrite(old, bytes(os.fstat(old).st_size), 0)
                    os.fsync(old)
            finally:
                if old is not None:
                    os.close(old)
        except OSError as error:
            raise KeyRefused(f"{self.path}: {error.strerror or error}: the new key is still {self._next}") from error

    def drop_successor(self) -> None:
        """As `KeyPlace`."""
        try:
            if left := [path for path in self.path.parent.glob(f"{self.path.name}.*") if self._is_ours(path.name)]:
                for path in left:
                    path.unlink()
                sync_directory(self.path.parent)
        except OSError as error:
            raise KeyRefused(f"{self._next}: {error.strerror or error}") from error

    def _is_ours(self, name: str) -> bool:
        """A successor, or what a process that was killed left of a new key (`SigningKey.create`)."""
        return name == self._next.name or name.endswith(".new")

    def close(self) -> None:
        """Nothing is held."""


class CredentialKeys:
    """A key that systemd decrypted for this service alone: 32 bytes, 64 hex digits, or PEM. It is systemd's to make."""

    name = "credential"

    def __init__(self, directory: str | None) -> None:
        """`directory`: $CREDENTIALS_DIRECTORY, None where it is not set."""
        self._directory = directory

    def keys(self) -> tuple[Signer | None, Signer | None]:
        """As `KeyPlace`."""
        return self._key(CREDENTIAL), self._key(f"{CREDENTIAL}-{NEXT}")

    def make(self) -> Signer:
        """As `KeyPlace`: it must be there."""
        return self._needed(CREDENTIAL)

    def make_successor(self) -> Signer:
        """As `KeyPlace`: it must be there, beside the key."""
        return self._needed(f"{CREDENTIAL}-{NEXT}")

    def take_up(self) -> None:
        """The unit's file is root's: whoever rotated puts the new credential in the place of the old one."""

    def drop_successor(self) -> None:
        """As above: it is not ours to take away."""

    def close(self) -> None:
        """Nothing is held."""

    def _needed(self, name: str) -> Signer:
        key = self._key(name)
        if key is None:
            raise KeyRefused(
                f"there is no credential {name!r}: give the unit LoadCredentialEncrypted={name}:PATH, made with"
                " systemd-creds encrypt (docs/keys.md)"
            )
        return key

    def _key(self, name: str) -> Signer | None:
        path = Path(self._directory or "", name)
        if not self._directory or not path.exists():
            return None
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                held = file.read(4096)
        except OSError as error:
            raise KeyRefused(f"{path}: {error.strerror or error}") from error
        if status.st_uid not in {os.geteuid(), 0} or status.st_mode & 0o007:
            raise KeyRefused(
                f"{path}: others can read it, or it is another account's: it is no credential of systemd's"
            )
        try:
            held = bytes.fromhex(held.decode("ascii").strip())
        except ValueError:
            return SigningKey.from_file(held, path)
        if len(held) != SEED_BYTES:
            raise KeyRefused(f"{path}: a signing key has 32 bytes or 64 hex digits, or is a PEM private key")
        return SigningKey.from_seed(held)


class TokenKeys:
    """A key pair inside a PKCS#11 token: made there, used there (CKM_EDDSA), never extractable."""

    name: ClassVar[str] = "pkcs11"

    def __init__(self, token: Token, label: str, random: Callable[[int], bytes] = os.urandom) -> None:
        self._token = token
        self._label = label
        self._random = random
        self._is_held = False

    def keys(self) -> tuple[Signer | None, Signer | None]:
        """As `KeyPlace`. From here on the token's session stays open."""
        with self._refusing():
            if not self._is_held:
                self._token.hold()
                self._is_held = True
            return self._signer(self._label), self._signer(self._next)

    def make(self) -> Signer:
        """As `KeyPlace`. One that the token's own tool made under this label is used."""
        return self.keys()[0] or self._made(self._label)

    def make_successor(self) -> Signer:
        """As `KeyPlace`."""
        self.drop_successor()
        return self._made(self._next)

    def take_up(self) -> None:
        """As `KeyPlace`. Cut off anywhere, it is done again to the end."""
        with self._refusing(), self._token.work() as (pkcs11, session):
            heir = _private(pkcs11, session, self._next)
            if heir is None:
                return
            self._destroy(pkcs11, session, self._label)
            for half in (*_publics(pkcs11, session, heir[pkcs11.Attribute.ID]), heir):
                half[pkcs11.Attribute.LABEL] = self._label

    def drop_successor(self) -> None:
        """As `KeyPlace`."""
        with self._refusing(), self._token.work() as (pkcs11, session):
            self._destroy(pkcs11, session, self._next)

    def close(self) -> None:
        """As `KeyPlace`."""
        if self._is_held:
            self._is_held = False
            self._token.release()

    @property
    def _next(self) -> str:
        return f"{self._label}-{NEXT}"

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (TokenError, KeyStoreError) as error:
            raise KeyRefused(str(error)) from None

    def _signer(self, label: str) -> Signer | None:
        with self._token.work() as (pkcs11, session):
            key = _private(pkcs11, session, label)
            if key is None:
                return None
            halves = _publics(pkcs11, session, key[pkcs11.Attribute.ID])
            if len(halves) != 1:
                raise TokenError(f"token {self._token.token!r} has no public half to its key {label!r}")
            public = bytes(halves[0][pkcs11.Attribute.EC_POINT])[-SEED_BYTES:]
            return TokenKey(self._token, bytes(key[pkcs11.Attribute.ID]), public)

    def _made(self, label: str) -> Signer:
        with self._refusing(), self._token.work() as (pkcs11, session):
            from pkcs11.util.ec import encode_named_curve_parameters

            attribute = pkcs11.Attribute
            curve = {attribute.EC_PARAMS: encode_named_curve_parameters("1.3.101.112")}  # Ed25519, RFC 8410
            session.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True).generate_keypair(
                mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label=label,
                id=self._random(8),
                capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
                private_template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
            )
        with self._refusing():
            key = self._signer(label)
        assert key is not None, "it was made a moment ago"
        return key

    @staticmethod
    def _destroy(pkcs11: Any, session: Any, label: str) -> None:
        key = _private(pkcs11, session, label)
        if key is not None:
            for half in (*_publics(pkcs11, session, key[pkcs11.Attribute.ID]), key):
                half.destroy()


class TokenKey:
    """Signs with one key of a token, and believes no signature that is not of the key it began with."""

    __slots__ = ("_id", "_token", "_verifier", "public")

    def __init__(self, token: Token, key_id: bytes, public: bytes) -> None:
        """`key_id`: CKA_ID, by which it is found again under whatever label."""
        self.public = public
        self._token = token
        self._id = key_id
        self._verifier = Ed25519PublicKey.from_public_bytes(public)

    def sign(self, message: bytes) -> bytes:
        """The signature. LedgerUnavailable: the token is away, or holds another key now; the next try asks again."""
        try:
            with self._token.work() as (pkcs11, session):
                key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=self._id)
                signature = bytes(key.sign(message, mechanism=pkcs11.Mechanism.EDDSA))
            self._verifier.verify(signature, message)
        except (TokenError, KeyStoreError) as error:
            raise LedgerUnavailable(f"no record can be signed: {error}") from None
        except InvalidSignature:
            raise LedgerUnavailable(
                f"token {self._token.token!r} signs with another key: bring the old one back"
            ) from None
        return signature


def _private(pkcs11: Any, session: Any, label: str) -> Any:
    try:
        return session.get_key(
            object_class=pkcs11.ObjectClass.PRIVATE_KEY, key_type=pkcs11.KeyType.EC_EDWARDS, label=label
        )
    except pkcs11.NoSuchKey:
        return None


def _publics(pkcs11: Any, session: Any, key_id: bytes) -> list[Any]:
    attribute = pkcs11.Attribute
    wanted = {attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, attribute.ID: key_id}
    return list(session.get_objects(wanted))
