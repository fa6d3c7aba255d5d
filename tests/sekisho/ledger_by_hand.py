"""A small ledger written by hand from docs/ledger.md.

The verifier is held against this as well as against the controller's writer.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "sekisho.example/tests"
SCHEMA = """
CREATE TABLE record (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL, salt BLOB, body BLOB, checkpoint BLOB) STRICT;
CREATE TABLE tile   (level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
                     PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;
CREATE TABLE cosignature (size INTEGER NOT NULL, witness TEXT NOT NULL, line BLOB NOT NULL,
                          PRIMARY KEY (size, witness)) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2; PRAGMA application_id = 0x53454B49;
"""


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word: split at the largest power of two below the size."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\x00", leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01", root_of(leaves[:split]), root_of(leaves[split:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A made-up key. `seed` of two signers differ where somebody else's key is wanted."""

    seed: bytes = bytes(range(32))
    origin: str = ORIGIN

    @property
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def key_hash(self) -> bytes:
        return sha256(self.origin.encode(), b"\x0a\x01", self.key.public_key().public_bytes_raw())[:4]

    @property
    def vkey(self) -> str:
        raw = base64.b64encode(b"\x01" + self.key.public_key().public_bytes_raw()).decode()
        return f"{self.origin}+{self.key_hash.hex()}+{raw}"

    def checkpoint(self, leaves: list[bytes]) -> str:
        text = f"{self.origin}\n{len(leaves)}\n{base64.b64encode(root_of(leaves)).decode()}\n"
        signature = base64.b64encode(self.key_hash + self.key.sign(text.encode())).decode()
        return f"{text}\n— {self.origin} {signature}\n"


@dataclass(slots=True, kw_only=True)
class Record:
    """One record's parts, to be spoiled at will."""

    seq: int
    leaf: bytes
    salt: bytes | None
    body: bytes | None
    checkpoint: bytes | None = None

    def line(self) -> bytes:
        parts: dict[str, object] = {"seq": self.seq, "leaf": self.leaf.decode()}
        if self.salt is not None:
            parts["salt"] = self.salt.hex()
        if self.body is not None:
            parts["body"] = self.body.decode()
        if self.checkpoint is not None:
            parts["checkpoint"] = self.checkpoint.decode()
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def leaf_of(seq: int, salt: bytes, body: bytes, class_: str = "access") -> bytes:
    return b'{"body":"%s","class":"%s","seq":%d,"v":1}' % (sha256(salt, body).hex().encode(), class_.encode(), seq)


def body_of(seq: int) -> bytes:
    return f'{{"at_ms":{1_790_000_000_000 + seq},"node":"n","type":"ACCESS_DENIED","v":1,"zone":"区画{seq}"}}'.encode()


@dataclass(slots=True)
class HandLedger:
    """`commits`: how many records each commit holds."""

    commits: list[int]
    signer: Signer = field(default_factory=Signer)
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        for count in self.commits:
            for _ in range(count):
                seq = len(self.records)
                salt, body = sha256(b"salt", seq.to_bytes(4, "big")), body_of(seq)
                self.records.append(Record(seq=seq, leaf=leaf_of(seq, salt, body), salt=salt, body=body))
            self.records[-1].checkpoint = self.signer.checkpoint(self.leaves).encode()

    @property
    def leaves(self) -> list[bytes]:
        return [record.leaf for record in self.records]

    def sign_again(self) -> None:
        """What somebody who holds the key can do: make the tree whole over changed records."""
        for index, record in enumerate(self.records):
            if record.checkpoint is not None:
                record.checkpoint = self.signer.checkpoint(self.leaves[: index + 1]).encode()

    def export(self, path: Path) -> Path:
        path.write_bytes(b"".join(record.line() for record in self.records))
        return path

    def store(self, path: Path) -> Path:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(SCHEMA)
            rows = [(one.seq, one.leaf, one.salt, one.body, one.checkpoint) for one in self.records]
            connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
            tiles = [
                (1, number, root_of(self.leaves[number * 256 : (number + 1) * 256]))
                for number in range(len(self.records) // 256)
            ]
            connection.executemany("INSERT INTO tile VALUES (?, ?, ?)", tiles)
        connection.close()
        return path
