"""Verify a Sekisho ledger: python3 verify.py FILE --key K [--checkpoint FILE] [--json]

FILE is the `ledger.db` of a stopped controller or an export in JSON Lines; K is the ledger's public key (a vkey, or a
file that holds one), got from somewhere other than the box. Written from docs/ledger.md alone: one file, standard
library only, Python 3.10 or newer, and no code shared with the writer. It carries Ed25519 (RFC 8032) in pure Python and
uses the `cryptography` package where it is installed.

It never writes to FILE or beside it, holds no lock, and stops at the first record that is not what was signed.
Exit codes: 0 whole, 1 not whole, 2 misuse, 3 could not be checked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPLICATION_ID: Final = 0x53454B49
USER_VERSIONS: Final = (1, 2)
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
INTEGER_MAX: Final = 2**53 - 1  # RFC 8785 §3.2.2.3: what every reader of JSON holds exactly
PROGRESS_EVERY: Final = 2048
LEAF: Final = re.compile(
    rb'\{"body":"([0-9a-f]{64})","class":"(?:access|alarm|command|policy|system|view)","seq":(0|[1-9][0-9]{0,18}),"v":1\}'
)
VKEY: Final = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


class Misuse(Exception):
    """The command line is wrong: a key that is none, a checkpoint of another log."""


class CannotRun(Exception):
    """The file cannot be checked as it stands; nothing is said about its content."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Where the ledger is not what was signed. `index` is the first bad record as far as can be known; where only a
    span can be named, `first` to `last` hold it. `part` is the column, or `file`.
    """

    index: int
    first: int
    last: int
    part: str
    what: str


class NotWhole(Exception):
    """The first problem found."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def refuse(index: int, part: str, what: str, *, first: int | None = None, last: int | None = None) -> NoReturn:
    """Raise NotWhole for record `index`, or for the span around it."""
    first = index if first is None else first
    raise NotWhole(Problem(index=index, first=first, last=index if last is None else last, part=part, what=what))


# -- Ed25519, RFC 8032 §5.1: verification alone, so no secret is handled and no care for timing is needed --------------

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE: Final = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z


def decode_point(encoded: bytes) -> Point | None:
    """§5.1.3. None where the 32 bytes are no point of the curve."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == P - u or (u == 0 and v * x * x % P != u):
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add_points(one: Point, other: Point) -> Point:
    """§5.1.4."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiples(point: Point) -> list[list[Point]]:
    """j·256^i·point for i < 32 and j < 256, each as (Y-X, Y+X, 2dT, 2Z), which an addition wants. One key signs a whole
    ledger, so a tenth of a second here makes each signature four times cheaper.
    """
    table, base = [], point
    for _ in range(32):
        row, at = [], (0, 1, 1, 0)
        for _ in range(256):
            row.append(((at[1] - at[0]) % P, (at[1] + at[0]) % P, 2 * D * at[3] % P, 2 * at[2] % P))
            at = add_points(at, base)
        table.append(row)
        base = at
    return table


class PureEd25519:
    """Signatures of one public key, in Python alone."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key = public_key
        point = decode_point(public_key)
        if point is None:
            raise Misuse("the key is no Ed25519 public key")
        base = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
        assert base is not None
        x, y, z, t = point
        self.tables = (multiples(base), multiples((-x % P, y, z, -t % P)))

    def is_valid(self, signature: bytes, message: bytes) -> bool:
        """§5.1.7 without the cofactor, as OpenSSL does it: R must be exactly s·B - h·A."""
        s = int.from_bytes(signature[32:], "little")
        if len(signature) != 64 or s >= ORDER:
            return False
        digest = hashlib.sha512(signature[:32] + self.public_key + message).digest()
        h = int.from_bytes(digest, "little") % ORDER
        x, y, z, t = 0, 1, 1, 0
        for number, table in zip((s, h), self.tables, strict=True):
            for byte, row in zip(number.to_bytes(32, "little"), table, strict=True):
                if byte:
                    y_less_x, y_plus_x, t2d, z2 = row[byte]
                    a, b, c, d = (y - x) * y_less_x, (y + x) * y_plus_x, t * t2d, z * z2
                    e, f, g, i = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
                    x, y, z, t = e * f % P, g * i % P, f * g % P, e * i % P
        inverse = pow(z, -1, P)
        x, y = x * inverse % P, y * inverse % P
        return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def signature_check(public_key: bytes, *, pure: bool) -> tuple[str, Callable[[bytes, bytes], bool]]:
    """What checks signatures of `public_key`, and its name: the `cryptography` package where it is installed."""
    if not pure:
        with contextlib.suppress(ImportError):
            from cryptography.exceptions import InvalidSignature  # optional
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

            key = Ed25519PublicKey.from_public_bytes(public_key)

            def is_valid(signature: bytes, message: bytes) -> bool:
                try:
                    key.verify(signature, message)
                except InvalidSignature:
                    return False
                return True

            return "cryptography", is_valid
    return "pure Python", PureEd25519(public_key).is_valid


# -- canonical JSON, RFC 8785, of objects, arrays, strings, booleans and integers --------------------------------------


def refuse_number(text: str) -> NoReturn:
    """Fractions, exponents, NaN."""
    raise ValueError(f"{text} is no integer")


def canonical(value: object) -> str:
    """The one text of a value (RFC 8785 §3.2). ValueError on null, on what JSON has not and on integers too large."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))  # §3.2.3: by UTF-16 code units
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # the escapes of §3.2.2.2 are the ones Python makes
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) <= INTEGER_MAX:
        return str(value)
    raise ValueError("only objects, arrays, strings, booleans and integers below 2^53")


DECODER: Final = json.JSONDecoder(parse_float=refuse_number, parse_constant=refuse_number)
ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
LONG_NUMBER: Final = re.compile(rb"[0-9]{16}")


def is_canonical(body: bytes) -> bool:
    """Is `body` an object, written as RFC 8785 writes it? Quick for plain ASCII, exact for the rest."""
    try:
        value = DECODER.decode(body.decode())
        if not isinstance(value, dict):
            return False
        # DEL: the one ASCII character that Python escapes and RFC 8785 does not
        is_plain = body.isascii() and b"\x7f" not in body and b"null" not in body and not LONG_NUMBER.search(body)
        if not is_plain:
            return canonical(value).encode() == body
        return ENCODER.encode(value).encode() == body
    except (ValueError, RecursionError):  # UnicodeError is a ValueError
        return False


# -- tree, RFC 6962 §2.1 -----------------------------------------------------------------------------------------------


class Tree:
    """The hashes of the complete subtrees of a growing log: as many as its size has bits set."""

    def __init__(self, on_tile: Callable[[int, int, bytes], None]) -> None:
        self.size = 0
        self.subtrees: list[bytes] = []
        self.on_tile = on_tile

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf; tell `on_tile` of each complete subtree of 256^level leaves: level, number, hash."""
        node = hashlib.sha256(b"\x00" + leaf).digest()
        height, left = 0, self.size
        while left & 1:
            node = hashlib.sha256(b"\x01" + self.subtrees.pop() + node).digest()
            left >>= 1
            height += 1
            if height % 8 == 0:
                self.on_tile(height // 8, left, node)
        self.subtrees.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The tree head of all leaves so far."""
        if not self.subtrees:
            return hashlib.sha256().digest()
        node = self.subtrees[-1]
        for left in self.subtrees[-2::-1]:
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


# -- key and checkpoint: signed-note and tlog-checkpoint ---------------------------------------------------------------


def decode_base64(text: str, size: int) -> bytes | None:
    """Exactly `size` bytes in the one standard writing, else None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size and base64.b64encode(raw).decode() == text else None


class Key(NamedTuple):
    """A ledger's name and public key."""

    origin: str
    key_hash: bytes
    public_key: bytes


def parse_key(text: str) -> Key:
    """A vkey: `<origin>+<key hash>+<base64(0x01 ‖ public key)>`. Misuse where it is none."""
    match = VKEY.fullmatch(text.strip())
    raw = decode_base64(match[3], 33) if match else None
    if match is None or raw is None or raw[0] != 1:
        raise Misuse("--key takes a vkey, <origin>+<8 hex digits>+<base64>, or a file that holds one line of it")
    key_hash = hashlib.sha256(match[1].encode() + b"\n" + raw).digest()[:4]
    if key_hash.hex() != match[2]:
        raise Misuse("the key's own check digits do not match: a letter of it is wrong")
    if decode_point(raw[1:]) is None:
        raise Misuse("the key is no Ed25519 public key")
    return Key(match[1], key_hash, raw[1:])


class Checkpoint(NamedTuple):
    """A signed tree head, taken apart. `text` is what was signed; `signature` None where no line is of this key."""

    size: int
    root: bytes
    text: bytes
    signature: bytes | None


def parse_checkpoint(note: bytes, key: Key) -> Checkpoint:
    """Take a checkpoint apart; witnesses may have added signature lines. ValueError says what is wrong with it."""
    try:
        lines = note.decode().split("\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if len(lines) < 6 or lines[3] != "" or lines[-1] != "":
        raise ValueError("is not three lines, an empty line and a signature")
    origin, size, root64 = lines[:3]
    if origin != key.origin:
        raise ValueError(f"is of another origin: {origin[:80]!r}, not {key.origin!r}")
    root = decode_base64(root64, 32)
    if re.fullmatch(r"0|[1-9][0-9]{0,18}", size, re.ASCII) is None or root is None:
        raise ValueError("has a malformed size or root")
    signature = None
    for line in lines[4:-1]:
        match = re.fullmatch(r"— (\S+) (\S+)", line)
        if match is None:
            raise ValueError("has a malformed signature line")
        if match[1] == key.origin:
            raw = decode_base64(match[2], 68)
            if raw is not None and raw[:4] == key.key_hash:
                signature = raw[4:]
    return Checkpoint(int(size), root, "".join(f"{line}\n" for line in lines[:3]).encode(), signature)


# -- where records come from -------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One record as it lies in the file, every part still to be believed."""

    seq: int
    leaf: bytes
    salt: bytes | None
    body: bytes | None
    checkpoint: bytes | None


def refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object's members; ValueError where a name stands twice, which readers take differently."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def parse_line(line: bytes) -> Row:
    """One line of an export. ValueError where it is not what docs/ledger.md §3 says."""
    value = json.loads(line.decode(), object_pairs_hook=refuse_repeated)
    if not isinstance(value, dict) or not {"seq", "leaf"} <= set(value) <= {
        "seq",
        "leaf",
        "salt",
        "body",
        "checkpoint",
    }:
        raise ValueError("the line is not an object of seq, leaf, salt, body, checkpoint")
    texts = {name: text for name, text in value.items() if name != "seq"}
    if type(value["seq"]) is not int or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("a part is of the wrong type")
    salt = texts.pop("salt", None)
    if salt is not None and re.fullmatch(r"(?:[0-9a-f]{2})*", salt, re.ASCII) is None:
        raise ValueError("the salt is not in lower-case hex")
    parts = {name: text.encode() for name, text in texts.items()}
    return Row(
        seq=value["seq"],
        leaf=parts["leaf"],
        salt=None if salt is None else bytes.fromhex(salt),
        body=parts.get("body"),
        checkpoint=parts.get("checkpoint"),
    )


class Export:
    """An export in JSON Lines, read line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes_read = 0
        self.bytes_total = max(path.stat().st_size, 1)

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rows(self) -> Iterator[Row]:
        """The records in the file's order. NotWhole at the first line that is none."""
        with self.path.open("rb") as file:
            for index, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX + 1), b"")):
                if len(line) > LINE_BYTES_MAX:
                    refuse(index, "file", "the line is longer than any record")
                self.bytes_read += len(line)
                try:
                    yield parse_line(line)
                except (ValueError, RecursionError) as error:
                    refuse(index, "file", f"line {index + 1} is not a record: {error}")

    def done(self, _seq: int) -> float:
        """How much of the file is read, 0 to 1."""
        return self.bytes_read / self.bytes_total

    def check_tile(self, level: int, number: int, node: bytes) -> None:
        """An export carries no tiles."""

    def tile_problem(self, last: int) -> Problem | None:
        """An export carries no tiles."""


class Store:
    """`ledger.db` of a stopped controller, opened as immutable; with a write-ahead log beside it, a copy of both."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.seq_max: object = 0
        self.tiles_met = 0
        self.bad_tile: Problem | None = None

    def __enter__(self) -> Store:
        if is_locked(self.path):
            raise CannotRun(
                "a running controller holds this ledger. Let it write an export and verify that: sekisho ledger export"
            )
        if sqlite3.sqlite_version_info < (3, 37):
            raise CannotRun(f"this Python brings SQLite {sqlite3.sqlite_version}; a ledger needs 3.37 or newer")
        beside = [Path(f"{self.path}{end}") for end in ("-wal", "-journal")]
        beside = [path for path in beside if path.exists() and path.stat().st_size]
        if beside:
            self.folder = tempfile.TemporaryDirectory(prefix="sekisho-verify-")
            copy = Path(self.folder.name) / self.path.name
            for path in (self.path, *beside):
                shutil.copyfile(path, copy.with_name(path.name))
            self.connection = sqlite3.connect(copy)
        else:
            self.connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        self.connection.execute("PRAGMA trusted_schema = OFF")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        if self.folder is not None:
            self.folder.cleanup()

    def one(self, query: str, *values: int) -> Any:  # whatever stands in a hostile file
        """The first column of the first row, or None."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def rows(self) -> Iterator[Row]:
        """The records by sequence number. NotWhole where SQLite finds the file damaged."""
        index = 0
        try:
            if self.one("PRAGMA application_id") != APPLICATION_ID:
                raise CannotRun("this SQLite file is no Sekisho ledger (application_id)")
            if self.one("PRAGMA user_version") not in USER_VERSIONS:
                raise CannotRun("this ledger's format is of another version: take the verifier that came with it")
            self.seq_max = self.one("SELECT max(seq) FROM record") or 0
            for row in self.connection.execute("SELECT seq, leaf, salt, body, checkpoint FROM record ORDER BY seq"):
                seq, leaf, *others = row
                if type(seq) is not int or type(leaf) is not bytes:
                    refuse(index, "leaf", "the leaf or its number is of the wrong type")
                if not all(part is None or type(part) is bytes for part in others):
                    refuse(index, "file", "a part is of the wrong type")
                yield Row(seq, leaf, *others)
                index += 1
        except sqlite3.OperationalError as error:
            raise CannotRun(f"SQLite cannot read it: {error}") from error
        except sqlite3.DatabaseError as error:
            refuse(index, "file", f"SQLite finds the file damaged here: {error}")

    def done(self, seq: int) -> float:
        """How much of the file is read, 0 to 1."""
        return seq / self.seq_max if isinstance(self.seq_max, int) and self.seq_max > 0 else 0.0

    def check_tile(self, level: int, number: int, node: bytes) -> None:
        """Hold the stored hash of a complete subtree against the recomputed one."""
        query = "SELECT hash FROM tile WHERE level = ? AND number = ?"
        stored = [row[0] for row in self.connection.execute(query, (level, number))]
        self.tiles_met += len(stored)
        if self.bad_tile is None and stored != [node]:
            first, count = number * 256**level, 256**level
            what = f"the stored hash {level}/{number} is missing or not that of its records (they are whole)"
            self.bad_tile = Problem(index=first, first=first, last=first + count - 1, part="tile", what=what)

    def tile_problem(self, last: int) -> Problem | None:
        """After the last record: the first tile that does not match, or that no records stand under."""
        if self.bad_tile is None and self.one("SELECT count(*) FROM tile") != self.tiles_met:
            what = "a stored tile covers records that are not there"
            self.bad_tile = Problem(index=last, first=last, last=last, part="tile", what=what)
        return self.bad_tile


def is_locked(path: Path) -> bool:
    """Does a process hold the database for itself? Asks for SQLite's shared lock and gives it back at once."""
    try:
        import fcntl  # absent on Windows, where no controller runs
    except ImportError:
        return False
    # SQLite's SHARED_FIRST and SHARED_SIZE; beside a write-ahead log, its writer's byte (WAL_WRITE_LOCK)
    for file_path, start, length in ((path, 0x40000002, 510), (Path(f"{path}-shm"), 120, 1)):
        if file_path.exists():
            with file_path.open("rb") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
                except OSError:
                    return True
                fcntl.lockf(file, fcntl.LOCK_UN, length, start)
    return False


def state_of(path: Path) -> list[tuple[int, int] | None]:
    """Size and time of the file and what stands beside it: has somebody written while we read?"""
    paths = (path, Path(f"{path}-wal"), Path(f"{path}-journal"))
    return [(at.stat().st_size, at.stat().st_mtime_ns) if at.exists() else None for at in paths]


def open_source(path: Path) -> Store | Export:
    """Tell a database from an export by its first bytes."""
    with path.open("rb") as file:
        head = file.read(16)
    return Store(path) if head == b"SQLite format 3\x00" else Export(path)


# -- the check itself --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found. `end`: "proven", "proven to record N" or "not proven"; `root` in base64."""

    verdict: str
    records: int
    checkpoints: int
    bodies_dropped: int
    root: str
    end: str
    problem: Problem | None
    signatures_by: str
    seconds: float
    records_per_s: int


class Check:
    """Holds each record against docs/ledger.md §4, in its order. Memory does not grow with the ledger."""

    def __init__(
        self, key: Key, source: Store | Export, outside: Checkpoint | None, *, pure: bool, may_drop: bool
    ) -> None:
        self.key = key
        self.outside = outside
        self.may_drop = may_drop
        self.signatures_by, self.is_signed = signature_check(key.public_key, pure=pure)
        self.tree = Tree(source.check_tile)
        self.next_after_checkpoint = 0
        self.checkpoints = 0
        self.bodies_dropped = 0
        self.is_outside_met = outside is not None and outside.size == 0
        if outside is not None and (outside.signature is None or not self.is_signed(outside.signature, outside.text)):
            raise Misuse("the checkpoint given is not signed by this key: it proves nothing about this ledger")

    def add(self, row: Row) -> None:
        """Check one record and take its leaf into the tree."""
        index = self.tree.size
        if row.seq != index:
            refuse(index, "seq", f"record {index} should follow, and record {row.seq} stands there")
        match = LEAF.fullmatch(row.leaf)
        if match is None or int(match[2]) != index:
            refuse(index, "leaf", "the leaf is not the canonical text of this record")
        self.check_body(index, row, match[1])
        self.tree.append(row.leaf)
        if row.checkpoint is not None:
            self.check_checkpoint(index, row.checkpoint)
        if self.outside is not None and self.tree.size == self.outside.size:
            self.hold_against_outside(self.outside)

    def check_body(self, index: int, row: Row, body_hash: bytes) -> None:
        """Salt and body belong together, and to the leaf."""
        if (row.salt is None) != (row.body is None):
            refuse(index, "salt" if row.salt is None else "body", "salt and body must stand or be dropped together")
        if row.salt is None or row.body is None:
            if not self.may_drop:
                refuse(index, "body", "body and salt are gone; --allow-dropped passes over what retention took")
            self.bodies_dropped += 1
        elif len(row.salt) != 32:
            refuse(index, "salt", f"the salt has {len(row.salt)} bytes, not 32")
        elif hashlib.sha256(row.salt + row.body).hexdigest().encode() != body_hash:
            refuse(index, "body", "the body with its salt is not the one that the leaf names")
        elif not is_canonical(row.body):
            refuse(index, "body", "the body is not canonical JSON")

    def check_checkpoint(self, index: int, note: bytes) -> None:
        """A checkpoint vouches for the records since the one before. Where its root is not the recomputed one, a valid
        signature says that the records were changed, and a bad one that the checkpoint was.
        """
        first = self.next_after_checkpoint
        try:
            checkpoint = parse_checkpoint(note, self.key)
            if note.count(b"\n") != 5:
                raise ValueError("has more than one signature line")
        except ValueError as error:
            refuse(index, "checkpoint", f"the checkpoint {error}")
        if checkpoint.signature is None:
            refuse(index, "checkpoint", "the checkpoint is not signed by this key")
        if checkpoint.size != index + 1:
            refuse(index, "checkpoint", f"the checkpoint speaks of {checkpoint.size} records, not {index + 1}")
        is_signed = self.is_signed(checkpoint.signature, checkpoint.text)
        if checkpoint.root != self.tree.root():
            if is_signed:
                what = "one of these records is not the one that was signed (each is whole in itself)"
                refuse(first, "leaf", what, first=first, last=index)
            refuse(index, "checkpoint", "the root is not that of the records, and the signature is not of this root")
        if not is_signed:
            what = "the signature is bad: nobody vouches for the records since the checkpoint before"
            refuse(index, "checkpoint", what, first=first, last=index)
        self.checkpoints += 1
        self.next_after_checkpoint = index + 1

    def hold_against_outside(self, outside: Checkpoint) -> None:
        """The tree has the size of the checkpoint kept outside: is it the same tree?"""
        if outside.root != self.tree.root():
            what = (
                f"the log was rewritten: its first {outside.size} records are not those of the checkpoint kept outside"
            )
            refuse(0, "leaf", what, first=0, last=outside.size - 1)
        self.is_outside_met = True

    def finish(self, source: Store | Export) -> None:
        """What can be said only after the last record."""
        size = self.tree.size
        if size == 0:
            refuse(0, "file", "there is no record; a controller's first start writes one")
        if self.next_after_checkpoint != size:
            first = self.next_after_checkpoint
            refuse(size - 1, "checkpoint", "the last record closes no checkpoint: the end is cut off", first=first)
        if not self.is_outside_met and self.outside is not None:
            what = f"the end is cut off: the checkpoint kept outside knows {self.outside.size} records"
            refuse(size, "file", what, first=size, last=self.outside.size - 1)
        problem = source.tile_problem(size - 1)
        if problem is not None:
            raise NotWhole(problem)

    def end(self) -> str:
        """How far a checkpoint kept outside proves that nothing is missing."""
        if self.outside is None or not self.is_outside_met or self.outside.size == 0:
            return "not proven"
        return "proven" if self.outside.size == self.tree.size else f"proven to record {self.outside.size - 1}"


def verify_file(
    path: Path,
    key: Key,
    *,
    checkpoint: bytes | None = None,
    pure: bool = False,
    may_drop: bool = False,
    on_progress: Callable[[int, float], None] = lambda _records, _done: None,
) -> Report:
    """Check a ledger or an export. `checkpoint`: one kept outside the box. `may_drop`: records without body and salt
    are passed over and counted. `on_progress` hears records and 0 to 1.

    Raises Misuse where the checkpoint is not of this key, CannotRun and OSError where the file cannot be read. Not for
    a process that has the ledger open itself: closing any handle on a file drops that process's locks on it (POSIX).
    """
    outside = None
    if checkpoint is not None:
        try:
            outside = parse_checkpoint(checkpoint, key)
        except ValueError as error:
            raise Misuse(f"the checkpoint given {error}") from error
    started, before, problem = time.monotonic(), state_of(path), None
    with open_source(path) as source:
        check = Check(key, source, outside, pure=pure, may_drop=may_drop)
        try:
            for row in source.rows():
                check.add(row)
                if check.tree.size % PROGRESS_EVERY == 0:
                    on_progress(check.tree.size, source.done(row.seq))
            check.finish(source)
        except NotWhole as found:
            problem = found.problem
    if state_of(path) != before:
        raise CannotRun("somebody wrote to the file while it was read. Verify an export: sekisho ledger export")
    seconds = time.monotonic() - started
    return Report(
        verdict="ok" if problem is None else "bad",
        records=check.tree.size,
        checkpoints=check.checkpoints,
        bodies_dropped=check.bodies_dropped,
        root=base64.b64encode(check.tree.root()).decode(),
        end=check.end() if problem is None else "not proven",
        problem=problem,
        signatures_by=check.signatures_by,
        seconds=round(seconds, 3),
        records_per_s=round(check.tree.size / max(seconds, 1e-9)),
    )


# -- for people --------------------------------------------------------------------------------------------------------


def tell(report: Report) -> str:
    """The report in words: one line of verdict in both languages, then what to know or to do."""
    lines = []
    if report.problem is None:
        lines.append(f"OK  検証成功: {report.records} records are whole / 記録 {report.records} 件は署名どおりです")
        if report.end == "not proven":
            lines.append(
                "end not proven / 末尾は未証明: records cut off at the end would not show. Give --checkpoint FILE,"
            )
            lines.append("  a checkpoint kept outside the box, to prove the end.")
        else:
            lines.append(f"end {report.end} / 末尾は外部の検査点と一致")
        if report.bodies_dropped:
            lines.append(f"{report.bodies_dropped} bodies were dropped (retention); their leaves stand in the tree.")
    else:
        at = report.problem
        where = f"record {at.index}" if at.first == at.last else f"records {at.first} to {at.last}"
        lines.append(f"BAD 検証失敗: {where}, {at.part}: {at.what} / 記録 {at.first}〜{at.last} が署名と一致しません")
        lines.append(f"Records before {at.first} are whole." if at.first else "No record before it stands.")
        lines.append(
            "What to do: keep this file as it is and work on a copy; compare with exports and checkpoints kept"
        )
        lines.append(
            "  outside the box; open an incident. 原本を保全し、外部の控えと照合し、保護責任者に報告してください。"
        )
    lines.append(
        f"{report.checkpoints} checkpoints checked by {report.signatures_by}; root {report.root};"
        f" {report.seconds:.1f} s, {report.records_per_s} records/s"
    )
    return "\n".join(lines)


def show_progress(records: int, done: float) -> None:
    """One line on the terminal, written over."""
    sys.stderr.write(f"\r{records} records, {done:4.0%} ")
    sys.stderr.flush()


def read_key(text: str) -> Key:
    """The key as given, or out of the file of that name."""
    if VKEY.fullmatch(text.strip()) is None and Path(text).is_file():
        text = Path(text).read_bytes()[:4096].decode("utf-8", "replace")
    return parse_key(text)


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="sekisho verify", description="Is this ledger what its controller signed?")
    parser.add_argument("file", type=Path, help="ledger.db of a stopped controller, or an export (JSON Lines)")
    parser.add_argument("--key", required=True, help="the ledger's public key (vkey), or a file that holds it")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint kept outside the box: proves the end")
    parser.add_argument("--allow-dropped", action="store_true", help="pass over records whose body retention dropped")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--pure-python", action="store_true", help="do not use the cryptography package")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:  # argparse has said why; the number is ours to return
        return 0 if stop.code in (0, None) else 2
    is_watched = sys.stderr.isatty()
    try:
        report = verify_file(
            options.file,
            read_key(options.key),
            checkpoint=options.checkpoint.read_bytes() if options.checkpoint else None,
            pure=options.pure_python,
            may_drop=options.allow_dropped,
            **({"on_progress": show_progress} if is_watched else {}),
        )
    except Misuse as error:
        return stop_with(2, "misuse", error, as_json=options.json)
    except (CannotRun, OSError, sqlite3.Error) as error:
        return stop_with(3, "cannot run", error, as_json=options.json)
    finally:
        if is_watched:
            sys.stderr.write("\r\033[K")
    print(json.dumps(asdict(report), ensure_ascii=False) if options.json else tell(report))
    return 0 if report.problem is None else 1


def stop_with(code: int, verdict: str, error: Exception, *, as_json: bool) -> int:
    """Say why nothing could be said about the ledger."""
    if as_json:
        print(json.dumps({"verdict": verdict, "why": str(error)}, ensure_ascii=False))
    else:
        sys.stderr.write(f"{verdict} / 検証できません: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
