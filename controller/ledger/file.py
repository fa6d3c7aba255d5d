"""ledger.db as a file: its making, its pragmas and the exclusive hold on it (docs/ledger.md §3).

A new file is made complete under another name and linked into place, so a ledger that exists always carries its mark.
The WAL is grown once, at start, with zeros: then commits never change a file's size and cost one `fdatasync` without a
file-system journal commit (measured: WAL as is reaches 0.83 of the disk's own rate, grown 0.95). Zeros end SQLite's
recovery like the end of the file does; they are written only while we hold the lock. Growing by inserting and deleting
rows does the same with twice the writing, a table of padding and a grown main file, so that went.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from typing import TYPE_CHECKING, Final

from controller.ledger.checkpoint import sync_directory
from controller.ledger.errors import LedgerDamaged, LedgerRefused, LedgerUnavailable

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID: Final = 0x53454B49  # "SEKI"
SCHEMA_VERSION: Final = 2
COSIGNATURES: Final = (
    "CREATE TABLE cosignature (size INTEGER NOT NULL, witness TEXT NOT NULL, line BLOB NOT NULL,"
    " PRIMARY KEY (size, witness)) STRICT, WITHOUT ROWID"
)
RECORD: Final = (
    "CREATE TABLE record (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL, salt BLOB, body BLOB, checkpoint BLOB) STRICT"
)
TILE: Final = (
    "CREATE TABLE tile (level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,"
    " PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID"
)
POLICY: Final = 'instr(leaf, \'"class":"policy"\') > 0'
POLICY_INDEX: Final = f"CREATE INDEX IF NOT EXISTS record_policy ON record (seq) WHERE {POLICY}"
"""What a start folds is found without reading the rest: 4 s of a million records (docs/bench.md)."""

MIGRATIONS: Final = {1: COSIGNATURES}
"""By the version that a file has: the statement that makes it one of the next."""

SCHEMA: Final = (
    RECORD,
    TILE,
    COSIGNATURES,
    POLICY_INDEX,
)
PAGE_BYTES: Final = 2048
"""A record is about 1 kB: with pages of 4 kB a commit writes 15 µs more (bench commit_rate)."""
HEADER_BYTES: Final = 100
CHECKPOINT_PAGES: Final = 2000
WAL_PAGES: Final = 2200
"""CHECKPOINT_PAGES and what a commit may add before the checkpoint runs."""

WAL_BYTES: Final = 32 + WAL_PAGES * (24 + PAGE_BYTES)
"""File header and frames: https://www.sqlite.org/fileformat2.html#the_write_ahead_log"""

PRAGMAS: Final = (
    "PRAGMA locking_mode=EXCLUSIVE",  # before the first access: then no shared memory file is made
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",  # a body that retention drops is overwritten
    f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
)
"""Of every connection that writes; in a power cut they are what decides (tests/faults/power.py runs them elsewhere)."""


def open_file(path: Path) -> sqlite3.Connection:
    """Create `path` if there is none, take it for this process alone and make it ready for commits.

    LedgerRefused: not a ledger of ours, newer than this program, a write-ahead log without its main file, or held by
    another process. LedgerDamaged: SQLite cannot make it out. LedgerUnavailable: the disk refused.
    """
    make_file(path)
    try:
        _check_header(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    except OSError as error:
        raise LedgerUnavailable(f"{path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{path}: {error}") from error
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def code_of(error: sqlite3.Error) -> int:
    """SQLite's own code; CORRUPT where Python could not make a text out of what the file holds."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)


def _read_only(path: Path) -> str:
    """What to do about a disk that the kernel, or a switch on the card, has made read-only; "" where it is not."""
    try:
        is_read_only = bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY) or not os.access(path, os.W_OK)
    except OSError:
        return ""
    if not is_read_only:
        return ""
    return (
        "the disk is read-only, and no record can be written: look why (dmesg; a worn card), replace it or remount it;"
        " until then ways out are handles and wired buttons"
    )


def make_file(path: Path) -> None:
    """Make an empty ledger where there is none. LedgerRefused: a write-ahead log without its main file is there.
    LedgerUnavailable: the disk refused.
    """
    try:
        if not path.exists():
            _create(path)
    except OSError as error:
        raise LedgerUnavailable(f"{path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{path}: {error}") from error


def scrub_log(connection: sqlite3.Connection, path: Path) -> None:
    """Write the write-ahead log back into the file, and zeros over it where it lies: it may still hold pages as they
    were before bodies were dropped. After a RESTART the next commit begins the log anew, header and all, so nothing
    is read of what is overwritten; zeros end a recovery. What a flash card keeps of old blocks by itself is out of
    reach. sqlite3.Error, OSError.
    """
    is_busy, in_log, written_back = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    if is_busy or in_log != written_back:
        raise sqlite3.OperationalError("the write-ahead log is in use")
    descriptor = os.open(path.with_name(path.name + "-wal"), os.O_WRONLY)
    try:
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    run = connection.execute
    try:
        for pragma in PRAGMAS:
            run(pragma).fetchall()
        mode = run("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            raise LedgerRefused(f"{path}: SQLite will not keep a write-ahead log here (journal mode {mode})")
        run("BEGIN IMMEDIATE")  # takes the lock now, and keeps it
        _check_tables(connection, path)
        _migrate(connection, path)
    except UnicodeDecodeError as error:  # in what SQLite says of a damaged schema
        raise LedgerDamaged(f"{path}: its schema is damaged; run `sekisho verify {path}`, keep it as it is") from error
    except sqlite3.Error as error:
        if code_of(error) == sqlite3.SQLITE_BUSY:
            raise LedgerRefused(f"{path}: in use by another process; a ledger has one writer, stop that one") from error
        if code_of(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise LedgerDamaged(f"{path}: {error}; run `sekisho verify {path}` and keep the file as it is") from error
        raise LedgerUnavailable(f"{path}: {_read_only(path) or error}") from error
    except OSError as error:
        raise LedgerUnavailable(f"{path}: {error.strerror or error}") from error


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """That what we write is what will stand there. A trigger could drop a record that was just acknowledged, and a view
    show others than there are. LedgerDamaged.
    """
    ours = {"record": RECORD, "tile": TILE, "cosignature": COSIGNATURES}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall():
        is_other = kind == "table" and name in ours and " ".join(str(sql).split()) != ours[name]
        if is_other or kind in ("trigger", "view"):
            why = f"the {kind} {name!r:.40} is not of a ledger: somebody was at the file"
            raise LedgerDamaged(f"{path}: {why}; keep it as it is, and bring back ledger.db from the backup")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older file to this program's version: the transaction that is open, to its end."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()  # the header may be behind its write-ahead log
    if version > SCHEMA_VERSION:
        raise _newer(path, version)
    try:
        for older in range(version, SCHEMA_VERSION):
            connection.execute(MIGRATIONS[older])
            connection.execute(f"PRAGMA user_version={older + 1}")
        connection.execute(POLICY_INDEX)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if code_of(error) & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        if connection.in_transaction:  # a full disk: exits must be served meanwhile, and the next start tries again
            connection.execute("ROLLBACK")


def _newer(path: Path, version: int) -> LedgerRefused:
    return LedgerRefused(f"{path}: of version {version}, and this program knows {SCHEMA_VERSION}: run a newer one")


def _create(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    if log.exists():  # SQLite would play it into the new file
        raise LedgerRefused(f"{path}: missing, but {log.name} is there: put the file back, or move that one away")
    partial = path.with_name(path.name + ".new")
    for left in (partial, partial.with_name(partial.name + "-journal"), partial.with_name(partial.name + "-wal")):
        left.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(partial, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
    os.link(partial, path)  # unlike rename, never replaces a ledger that came meanwhile
    partial.unlink()
    sync_directory(path.parent)


def _check_header(path: Path) -> None:
    """Read the file's first bytes ourselves: SQLite might already change a stranger's file by opening it."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES or not head.startswith(b"SQLite format 3\x00"):
        raise LedgerRefused(f"{path}: not a database; move it away, or put back the ledger that belongs here")
    (version,) = struct.unpack_from(">I", head, 60)
    (application,) = struct.unpack_from(">I", head, 68)
    if application != APPLICATION_ID:
        raise LedgerRefused(f"{path}: a database of another program (application_id {application:#010x})")
    if version not in (*MIGRATIONS, SCHEMA_VERSION):
        raise _newer(path, version)


def grow_log(path: Path) -> None:
    """Give the write-ahead log of the open ledger `path` its size. OSError where the disk has no room for it."""
    descriptor = os.open(path.with_name(path.name + "-wal"), os.O_WRONLY)
    try:
        size = os.fstat(descriptor).st_size
        if size < WAL_BYTES:
            os.pwrite(descriptor, bytes(WAL_BYTES - size), size)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
