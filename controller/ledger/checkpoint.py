"""Signed tree heads: C2SP `tlog-checkpoint` in a `signed-note` with Ed25519 (docs/ledger.md §2), and the key's file.

The key file is PKCS #8 PEM or the 32 raw bytes of the seed, ours or root's, mode 0600 or stricter: one that others can
read is refused, because whoever holds it can write another history. It is never overwritten.
"""

from __future__ import annotations

import os
import stat
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from controller.ledger.errors import KeyRefused

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHM: Final = b"\x01"
"""signed-note's type byte for Ed25519."""

SEED_BYTES: Final = 32
KEY_FILE_BYTES_MAX: Final = 4096


class Signer(Protocol):
    """Whoever signs: a key in memory, or one in a token. `sign` raises LedgerUnavailable where it cannot now."""

    @property
    def public(self) -> bytes: ...
    def sign(self, message: bytes, /) -> bytes: ...


class SigningKey:
    """An Ed25519 private key in memory."""

    __slots__ = ("_key", "public", "sign")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        self.sign = key.sign

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of 32 secret bytes (RFC 8032 §5.1.5)."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a key file. KeyRefused names the file and what is wrong with it."""
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise KeyRefused(f"{path}: not a regular file")
                if status.st_uid not in {os.geteuid(), 0}:
                    raise KeyRefused(
                        f"{path}: belongs to another account: chown it to the controller's, and ask who did that"
                    )
                if status.st_mode & 0o077:
                    mode = stat.S_IMODE(status.st_mode)
                    raise KeyRefused(f"{path}: mode {mode:04o}: others can read the ledger's key; chmod 0600 {path}")
                held = file.read(KEY_FILE_BYTES_MAX + 1)
        except OSError as error:
            raise KeyRefused(f"{path}: {error.strerror or error}") from error
        return cls.from_file(held, path)

    @classmethod
    def from_file(cls, held: bytes, path: Path) -> SigningKey:
        """The key in the bytes of a key file. KeyRefused names `path` where they are none."""
        if len(held) == SEED_BYTES:
            return cls.from_seed(held)
        try:
            key = load_pem_private_key(held, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyRefused(f"{path}: neither a PEM private key without passphrase nor a 32-byte seed") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyRefused(f"{path}: not an Ed25519 key")
        return cls(key)

    @classmethod
    def create(cls, path: Path) -> SigningKey:
        """Make a new key and its file, mode 0600: all of it or nothing. KeyRefused where there is one already."""
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        partial = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            write_durably(partial, text)
            try:
                os.link(partial, path)  # unlike rename, refuses to replace
            finally:
                partial.unlink()
            sync_directory(path.parent)
        except FileExistsError as error:
            raise KeyRefused(f"{path}: a key is there already; it is never overwritten") from error
        except OSError as error:
            raise KeyRefused(f"{path}: {error.strerror or error}") from error
        return cls(key)


class Notary:
    """Writes and checks the checkpoints of one origin and key."""

    __slots__ = ("_key", "_key_hash", "_verifiers", "origin", "public")

    def __init__(self, *, origin: str, key: Signer) -> None:
        """ValueError: `origin` is no name a signed note allows (empty, white space, plus sign, control characters)."""
        if not origin or "+" in origin or " " in origin or not origin.isprintable():
            raise ValueError(f"origin {origin!r}: must be printable, without spaces and plus signs")
        self.origin = origin
        self.public = key.public
        self._key = key
        self._key_hash = key_hash(origin, key.public)
        self._verifiers: dict[bytes, Ed25519PublicKey] = {}

    @property
    def vkey(self) -> str:
        """The public key as others configure it: origin+key hash+key."""
        public = b64encode(ALGORITHM + self.public).decode("ascii")
        return f"{self.origin}+{self._key_hash.hex()}+{public}"

    def text(self, size: int, root: bytes) -> bytes:
        """The signed part: origin, size and root hash, a line each."""
        return f"{self.origin}\n{size}\n{b64encode(root).decode('ascii')}\n".encode()

    def line(self, text: bytes) -> bytes:
        """Our signature line over that part."""
        signature = b64encode(self._key_hash + self._key.sign(text)).decode("ascii")
        return f"— {self.origin} {signature}\n".encode()

    def checkpoint(self, size: int, root: bytes) -> bytes:
        """The signed note for a tree of `size` leaves with `root`. LedgerUnavailable: the key cannot sign now."""
        text = self.text(size, root)
        return text + b"\n" + self.line(text)

    def handover(self, size: int, root: bytes, successor: Notary) -> bytes:
        """The same, with the line of the key that signs from here on after ours (docs/ledger.md §9)."""
        text = self.text(size, root)
        return text + b"\n" + self.line(text) + successor.line(text)

    def has_signed(self, note: bytes) -> bool:
        """Whether a line of `note` says to be of our key. Not whether it is good."""
        start = f"\n— {self.origin} ".encode()
        lines = note.split(start)[1:]
        return any(_key_hash_in(line.partition(b"\n")[0]) == self._key_hash for line in lines)

    def check(self, note: bytes, size: int, root: bytes, by: tuple[bytes, ...] = ()) -> None:
        """ValueError says why `note` is not the checkpoint of that tree by the public keys `by` (none told: ours).

        Ed25519 signatures are deterministic: a good note is the one we would write, and writing it (30 us) is cheaper
        than verifying (85 us). Only where they differ, or a token signs, are the parts looked at.
        """
        by = by or (self.public,)
        if by == (self.public,) and isinstance(self._key, SigningKey) and note == self.checkpoint(size, root):
            return
        text = self.text(size, root)
        if not note.startswith(text + b"\n"):
            raise ValueError(self._text_fault(note, size))
        lines = note[len(text) + 1 :].split(b"\n")
        if len(lines) != len(by) + 1 or lines[-1]:
            raise ValueError("its signature line is malformed or of another origin")
        for line, public in zip(lines, by, strict=False):
            self._check_line(line, public, text)

    def _check_line(self, line: bytes, public: bytes, text: bytes) -> None:
        start = f"— {self.origin} ".encode()
        if not line.startswith(start):
            raise ValueError("its signature line is malformed or of another origin")
        try:
            signature = b64decode(line[len(start) :], validate=True)
        except ValueError:
            raise ValueError("its signature is not base64") from None
        wanted = key_hash(self.origin, public)
        if signature[:4] != wanted:
            raise ValueError(f"its signature is by key {signature[:4].hex()}, and ours is {wanted.hex()}")
        verifier = self._verifiers.get(public)
        if verifier is None:
            verifier = self._verifiers[public] = Ed25519PublicKey.from_public_bytes(public)
        try:
            verifier.verify(signature[4:], text)
        except InvalidSignature:
            raise ValueError("its signature is bad") from None
        if b64encode(signature) != line[len(start) :]:
            raise ValueError("its signature is not base64 as it is written")

    def _text_fault(self, note: bytes, size: int) -> str:
        lines = note.split(b"\n")
        if lines[0] != self.origin.encode():
            return f"its origin is {lines[0][:80]!r}, and ours is {self.origin!r}"
        if lines[1:2] != [str(size).encode()]:
            return f"its size is not {size}"
        return "its root hash is not that of the records"


def _key_hash_in(encoded: bytes) -> bytes:
    try:
        return b64decode(encoded, validate=True)[:4]
    except ValueError:
        return b""


def key_hash(origin: str, public: bytes) -> bytes:
    """First four bytes of SHA-256(origin ‖ LF ‖ 0x01 ‖ public key)."""
    return sha256(origin.encode() + b"\n" + ALGORITHM + public).digest()[:4]


def write_durably(path: Path, content: bytes) -> None:
    """Create `path`, mode 0600 whatever the umask, with `content` on the disk. OSError where it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Make a created or renamed name in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
