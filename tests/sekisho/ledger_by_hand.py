"""A small ledger written by hand from docs/ledger.md.

The verifier is held against this as well as against the controller's writer.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "sekisho.example/tests"
SCHEMA = """
CREATE TABLE record (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL, salt BLOB, body BLOB, checkpoint BLOB) STRICT;
CREATE TABLE tile   (level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
                     PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;
PRAGMA application_id = 0x53454B49;
"""
COSIGNATURE = """
CREATE TABLE cosignature (size INTEGER NOT NULL, witness TEXT NOT NULL, line BLOB NOT NULL,
                          PRIMARY KEY (size, witness)) STRICT, WITHOUT ROWID;
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

    def line(self, text: str) -> str:
        signature = base64.b64encode(self.key_hash + self.key.sign(text.encode())).decode()
        return f"— {self.origin} {signature}\n"

    def text(self, leaves: list[bytes]) -> str:
        return f"{self.origin}\n{len(leaves)}\n{base64.b64encode(root_of(leaves)).decode()}\n"

    def checkpoint(self, leaves: list[bytes]) -> str:
        text = self.text(leaves)
        return f"{text}\n{self.line(text)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A made-up witness: C2SP tlog-cosignature, cosignature/v1."""

    seed: bytes = bytes(range(100, 132))
    name: str = "witness.example/w1"

    @property
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> bytes:
        return b"\x04" + self.key.public_key().public_bytes_raw()

    @property
    def key_hash(self) -> bytes:
        return sha256(self.name.encode(), b"\x0a", self.public)[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(self.public).decode()}"

    def line(self, note: str, at_s: int = 1_790_000_000) -> str:
        """Over the three lines that `note` begins with; without its line end."""
        text = note.split("\n\n", 1)[0].removesuffix("\n") + "\n"
        signature = self.key.sign(f"cosignature/v1\ntime {at_s}\n{text}".encode())
        return f"— {self.name} {base64.b64encode(self.key_hash + at_s.to_bytes(8, 'big') + signature).decode()}"


def code_of(text: str) -> str:
    """docs/ledger.md §12, bit by bit."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    size = text.split("\n")[1]

    def letters(octets: bytes, count: int) -> str:
        bits = "".join(f"{octet:08b}" for octet in octets)
        return "".join(alphabet[int(bits[5 * at : 5 * at + 5], 2)] for at in range(count))

    twelve = letters(sha256(b"sekisho code v1\n", text.encode()), 12)
    code = f"{size}-{twelve[:4]}-{twelve[4:8]}-{twelve[8:]}"
    return f"{code}-{letters(sha256(code.encode()), 1)}"


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
    cosignatures: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for count in self.commits:
            for _ in range(count):
                seq = len(self.records)
                salt, body = sha256(b"salt", seq.to_bytes(4, "big")), body_of(seq)
                self.records.append(Record(seq=seq, leaf=leaf_of(seq, salt, body), salt=salt, body=body))
            self.records[-1].checkpoint = self.signer.checkpoint(self.leaves).encode()

    def commit(
        self,
        *bodies: dict[str, object],
        class_: str = "access",
        by: tuple[Signer, ...] = (),
        policy: frozenset[str] = frozenset(),
    ) -> int:
        """Further records with one checkpoint, signed by `by` (the signer); of the types in `policy` under that class.
        Returns the last one's number.
        """
        for body in bodies:
            seq = len(self.records)
            salt = sha256(b"salt", seq.to_bytes(4, "big"))
            of = "policy" if body.get("type") in policy else class_
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
            self.records.append(Record(seq=seq, leaf=leaf_of(seq, salt, text, of), salt=salt, body=text))
        text = self.signer.text(self.leaves)
        self.records[-1].checkpoint = f"{text}\n{''.join(one.line(text) for one in by or (self.signer,))}".encode()
        return len(self.records) - 1

    def rotate(self, new: Signer, *, by: tuple[Signer, ...] = ()) -> int:
        """docs/ledger.md §9."""
        detail = {"id": "0" * 16, "new": new.vkey, "officer2": "officer-02", "old": self.signer.vkey}
        body: dict[str, object] = {"type": "LEDGER_KEY_ROTATED", "detail": detail, "v": 1}
        seq = self.commit(body, class_="policy", by=by or (self.signer, new))
        self.signer = new
        return seq

    def drop(self, *seqs: int) -> None:
        """What retention does once its record is durable."""
        for seq in seqs:
            self.records[seq].salt = self.records[seq].body = None

    def purge(self, of_class: str, *ranges: tuple[int, int], **said: int) -> int:
        """docs/ledger.md §10: the record of the rule."""
        count = sum(last - first + 1 for first, last in ranges)
        detail: dict[str, object] = {"code": "daily", "count": count, "id": "p", "of_class": of_class, "ranges": ranges}
        detail |= {"reckoned_ms": 1_900_000_000_000, "term_days": 730} | said
        return self.commit({"type": "PURGED", "detail": detail, "v": 1}, class_="policy")

    def cosign(self, witness: Witness, seq: int, at_s: int = 1_790_000_000) -> None:
        """The witness vouches for the checkpoint of record `seq`."""
        note = self.records[seq].checkpoint
        assert note is not None
        self.cosignatures.setdefault(seq + 1, []).append(witness.line(note.decode(), at_s))

    @property
    def leaves(self) -> list[bytes]:
        return [record.leaf for record in self.records]

    def sign_again(self) -> None:
        """What somebody who holds the key can do: make the tree whole over changed records."""
        for index, record in enumerate(self.records):
            if record.checkpoint is not None:
                record.checkpoint = self.signer.checkpoint(self.leaves[: index + 1]).encode()

    def export(self, path: Path) -> Path:
        path.write_bytes(b"".join(self.with_cosignatures(record).line() for record in self.records))
        return path

    def with_cosignatures(self, record: Record) -> Record:
        lines = self.cosignatures.get(record.seq + 1)
        if not lines or record.checkpoint is None:
            return record
        return replace(record, checkpoint=record.checkpoint + "".join(f"{line}\n" for line in lines).encode())

    def store(self, path: Path, version: int = 2) -> Path:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(SCHEMA + (COSIGNATURE if version > 1 else ""))
            connection.execute(f"PRAGMA user_version = {version}")
            rows = [(one.seq, one.leaf, one.salt, one.body, one.checkpoint) for one in self.records]
            connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
            tiles = [
                (1, number, root_of(self.leaves[number * 256 : (number + 1) * 256]))
                for number in range(len(self.records) // 256)
            ]
            connection.executemany("INSERT INTO tile VALUES (?, ?, ?)", tiles)
            lines = [
                (size, line.split(" ")[1], line.encode()) for size, lines in self.cosignatures.items() for line in lines
            ]
            if version > 1:
                connection.executemany("INSERT INTO cosignature VALUES (?, ?, ?)", lines)
        connection.close()
        return path

    def tiles(self, path: Path) -> Path:
        """C2SP tlog-tiles, tile by tile."""
        leaves = self.leaves
        for level in range(3):
            width = 256**level
            nodes = [root_of(leaves[at : at + width]) for at in range(0, len(leaves) - width + 1, width)]
            for number in range(0, len(nodes), 256):
                part = nodes[number : number + 256]
                self.write_tile(path / "tile" / str(level), number // 256, len(part), b"".join(part))
        for number in range(0, len(leaves), 256):
            part = leaves[number : number + 256]
            bundle = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in part)
            self.write_tile(path / "tile" / "entries", number // 256, len(part), bundle)
        (path / "checkpoint").write_bytes(self.with_cosignatures(self.records[-1]).checkpoint or b"")
        return path

    @staticmethod
    def write_tile(folder: Path, number: int, width: int, octets: bytes) -> None:
        name = f"{number:03d}" if number < 1000 else f"x{number // 1000:03d}/{number % 1000:03d}"
        path = folder / (name if width == 256 else f"{name}.p/{width}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
