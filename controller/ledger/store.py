"""The ledger as the controller uses it: append, read, scan. One writer, one process, one thread at a time.

Everything an append says is on the disk, closed by a signed checkpoint, or nothing of it is: then LedgerUnavailable,
the tree stands where it stood, and the next append tries again. A ledger whose end does not hold together stays shut.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import msgspec

from controller.ledger.body import Body, Draft, decode_body
from controller.ledger.checkpoint import Notary
from controller.ledger.errors import LedgerDamaged, LedgerUnavailable
from controller.ledger.file import (
    APPLICATION_ID,
    PAGE_BYTES,
    POLICY,
    WAL_BYTES,
    code_of,
    grow_log,
    open_file,
    scrub_log,
)
from controller.ledger.log_file import look_at_log
from controller.ledger.tail import SALT_BYTES, Damage, has_types, leaf_text, verify_tail, whole_before
from controller.link.tree import Tile, Tree, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from controller.ledger.checkpoint import Signer

SCAN_PAGE: Final = 256
"""Records a scan reads at a time."""

SEQ_MAX: Final = 2**63 - 1
"""SQLite holds no larger number; whoever asks for more may be anybody."""

_INSERT: Final = "INSERT INTO record (seq, leaf, salt, body, checkpoint) VALUES (?, ?, ?, ?, ?)"
_INSERT_TILE: Final = "INSERT INTO tile (level, number, hash) VALUES (?, ?, ?)"
_READ: Final = "SELECT seq, leaf, salt, body, checkpoint FROM record WHERE seq >= ? ORDER BY seq LIMIT ?"
_READ_BACK: Final = "SELECT seq, leaf, salt, body, checkpoint FROM record WHERE seq < ? ORDER BY seq DESC LIMIT ?"
_READ_POLICY: Final = (
    f"SELECT seq, leaf, salt, body, checkpoint FROM record WHERE {POLICY} AND seq >= ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own
)
_COSIGN: Final = "INSERT OR IGNORE INTO cosignature (size, witness, line) VALUES (?, ?, ?)"
_COSIGNED: Final = (
    "SELECT size, checkpoint, witness, line FROM cosignature JOIN record ON seq = size - 1"
    " WHERE size IN (SELECT DISTINCT size FROM cosignature WHERE size >= ? ORDER BY size LIMIT ?)"
    " ORDER BY size, witness"
)
_LAST_COSIGNED: Final = (
    "SELECT checkpoint, line FROM cosignature JOIN record ON seq = size - 1"
    " WHERE witness = ? AND checkpoint IS NOT NULL ORDER BY size DESC LIMIT 1"
)

_WITH_BODY: Final = "SELECT seq, leaf, checkpoint FROM record WHERE seq BETWEEN ? AND ? AND body IS NOT NULL"
_TAKE_OUT: Final = "DELETE FROM record WHERE seq = ?"
"""Of a row that is put back without its body in the same transaction: an UPDATE leaves its page half empty for good,
while after a DELETE SQLite joins such pages and new records are written into those that become free.
"""

_Row = tuple[int, bytes, bytes | None, bytes | None, bytes | None]


class StoredRecord(msgspec.Struct, frozen=True):
    """One committed record, the exact bytes. `salt` and `body` are None where retention dropped them; `checkpoint` is
    set on the last record of a commit.
    """

    seq: int
    leaf: bytes
    salt: bytes | None
    body: bytes | None
    checkpoint: bytes | None

    def decoded(self) -> Body | None:
        """The body, None where retention dropped it. LedgerDamaged where it is not of this program's schema."""
        try:
            return None if self.body is None else decode_body(self.body)
        except ValueError as error:
            why = "it was written by a newer version, or is damaged: run `sekisho verify`"
            raise LedgerDamaged(
                f"record {self.seq}: its body is not readable ({error}); {why}", seq=self.seq
            ) from error


class Ledger:
    """An open ledger. Made by `Ledger.open`; hand it to the one thread that commits, and use it from there alone."""

    def __init__(
        self,
        *,
        path: Path,
        connection: sqlite3.Connection,
        notary: Notary,
        random: Callable[[int], bytes],
        may_set_aside: bool = False,
    ) -> None:
        """Takes over an open connection; LedgerDamaged and LedgerUnavailable as `open`, which callers use."""
        self.path = path
        self.notary = notary
        self._connection = connection
        self._run = connection.execute
        self._random = random
        self._is_settled = True
        self._tree = Tree()
        self._checkpoint: bytes | None = None
        self.damage: Damage | None = None
        try:
            self.verify_tail()
        except LedgerDamaged:
            if not may_set_aside or not self._go_back():
                raise

    @classmethod
    def open(
        cls,
        path: Path,
        signer: Signer,
        origin: str,
        random: Callable[[int], bytes] = os.urandom,
        *,
        successor: Signer | None = None,
        may_set_aside: bool = False,
    ) -> Ledger:
        """Open or create the ledger at `path`, hold it for this process alone and verify its end.

        `random(n)` gives n unpredictable bytes for salts (seeded in a replay). `successor`: the key that signs instead
        of `signer` where the last checkpoint has its line, a rotation that was cut off (§9). `may_set_aside`: records
        after the last whole checkpoint that do not hold together are `damage`, and taken out with the next append,
        instead of LedgerDamaged. Raises LedgerRefused (not ours, newer, in use), LedgerDamaged, LedgerUnavailable (the
        disk), ValueError (`origin`).
        """
        notary = Notary(origin=origin, key=signer)
        why = look_at_log(path, page_bytes=PAGE_BYTES, application=APPLICATION_ID, whole_bytes=WAL_BYTES)
        connection = open_file(path)
        try:
            if successor is not None and _is_signed_by(heir := Notary(origin=origin, key=successor), connection):
                notary = heir
            ledger = cls(path=path, connection=connection, notary=notary, random=random, may_set_aside=may_set_aside)
            ledger._take_log(why, may_set_aside=may_set_aside)
            with suppress(OSError):  # a full disk: the first commit will say so, and exits must be served meanwhile
                grow_log(path)
        except BaseException:
            connection.close()
            raise
        return ledger

    @property
    def size(self) -> int:
        """How many records are committed; the next one's `seq`."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """Tree head over all committed records."""
        return self._tree.root()

    @property
    def checkpoint_text(self) -> str | None:
        """The last signed checkpoint; None while the ledger is empty."""
        return None if self._checkpoint is None else self._checkpoint.decode()

    def append(self, drafts: Sequence[Draft]) -> range:
        """Commit all of `drafts` with one checkpoint; returns their sequence numbers once they are on the disk.

        LedgerUnavailable: none of them is committed. LedgerDamaged: after a failure, the ledger was found changed.
        """
        return self._append(drafts, self.notary.checkpoint)

    def hand_over(self, draft: Draft, key: Signer) -> int:
        """Commit `draft` (LEDGER_KEY_ROTATED) alone, under a checkpoint that our key and `key` sign, and go on with
        `key` (docs/ledger.md §9). Returns its number. ValueError: the record names other keys. Raises as `append`.
        """
        successor = Notary(origin=self.notary.origin, key=key)
        named = draft.body.detail or {}
        if draft.body.type != "LEDGER_KEY_ROTATED" or (named.get("old"), named.get("new")) != (
            self.notary.vkey,
            successor.vkey,
        ):
            raise ValueError("a key is handed over by the record that names both")
        seqs = self._append([draft], lambda size, root: self.notary.handover(size, root, successor))
        self.notary = successor
        return seqs.start

    def _append(self, drafts: Sequence[Draft], close: Callable[[int, bytes], bytes]) -> range:
        if not drafts:
            raise ValueError("nothing to append")
        if not self._is_settled:
            self._look_again()
        tree = self._tree.copy()  # kept only when the disk has the records
        first = tree.size
        tiles: list[Tile] = []
        rows: list[_Row] = []
        for seq, draft in enumerate(drafts, first):
            salt = self._random(SALT_BYTES)
            leaf = leaf_text(seq, draft.class_, sha256(salt + draft.text).hexdigest())
            tiles += tree.append(leaf_hash(leaf))
            rows.append((seq, leaf, salt, draft.text, None))
        checkpoint = close(tree.size, tree.root())
        rows[-1] = (*rows[-1][:4], checkpoint)
        self._commit(rows, tiles)
        self._tree = tree
        self._checkpoint = checkpoint
        return range(first, tree.size)

    def read(self, from_seq: int, limit: int) -> list[StoredRecord]:
        """Up to `limit` records from `from_seq` on, in order. LedgerUnavailable where the disk fails; LedgerDamaged
        where the first of them is none any more (those before a damaged one are given).
        """
        return self._fetch(_READ, from_seq, limit)

    def scan(
        self, from_seq: int = 0, *, types: Collection[str] = (), is_backward: bool = False
    ) -> Iterator[StoredRecord]:
        """Records from `from_seq` to the end (or, backward, from the end down to it), of the record types named.

        Without `types` all; with `types` those whose body is gone are left out. Reads a page at a time: records
        appended meanwhile are met going forward.
        """
        marks = [f'"type":"{type_}"'.encode() for type_ in types]
        position = self.size if is_backward else from_seq
        while True:
            if is_backward:
                page = self._fetch(_READ_BACK, position, max(0, min(SCAN_PAGE, position - from_seq)))
            else:
                page = self._fetch(_READ, position, SCAN_PAGE)
            if not page:
                return
            for record in page:
                if not marks or self._is_of(record, types, marks):
                    yield record
            position = page[-1].seq + (0 if is_backward else 1)

    def scan_policy(self, from_seq: int = 0) -> Iterator[StoredRecord]:
        """As `scan`, forward, the records of class `policy` alone; the others are not even read."""
        position = from_seq
        while page := self._fetch(_READ_POLICY, position, SCAN_PAGE):
            yield from page
            position = page[-1].seq + 1

    def last_at_ms(self) -> int | None:
        """When the last record whose body is kept was made (epoch ms, by the clock of then); None without one."""
        for record in self.scan(is_backward=True):
            body = record.decoded()
            if body is not None:
                return body.at_ms
        return None

    def drop_bodies(self, class_: str, first: int, last: int, limit: int) -> tuple[int, int]:
        """Overwrite body and salt of the records of one class from `first` to `last`; looks at `limit` records.

        Call it only for what a durable PURGED record names (docs/ledger.md §10); leaves and checkpoints stay. Returns
        how many bodies went, and the sequence number to go on with (beyond `last`: done). LedgerUnavailable: nothing
        went.
        """
        mark = f'"class":"{class_}"'.encode()
        try:
            end = min(last, first + limit - 1)
            rows = self._run(_WITH_BODY, (first, end)).fetchall()
            going = [(seq, leaf, None, None, checkpoint) for seq, leaf, checkpoint in rows if mark in leaf]
            if going:
                self._run("BEGIN IMMEDIATE")
                for row in going:
                    self._run(_TAKE_OUT, row[:1])
                    self._run(_INSERT, row)
                self._run("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._unavailable(error) from error
        return len(going), end + 1

    def scrub(self) -> None:
        """Overwrite what the write-ahead log still holds of bodies that were dropped. LedgerUnavailable."""
        try:
            scrub_log(self._connection, self.path)
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnavailable(f"{self.path}: the write-ahead log cannot be emptied: {error}") from error

    def verify_tail(self) -> None:
        """Hold the last records, the tiles and the last checkpoint against each other, and go on from there.

        LedgerDamaged names the record; nothing is repaired. LedgerUnavailable: the disk could not be read.
        """
        try:
            if self._connection.in_transaction:
                self._run("ROLLBACK")
            self._tree, self._checkpoint = verify_tail(self._connection, self.notary, str(self.path))
        except sqlite3.DatabaseError as error:
            if code_of(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise LedgerDamaged(
                    f"{self.path}: {error}; run `sekisho verify {self.path}` and keep the file as it is"
                ) from error
            raise self._unavailable(error) from error

    def _go_back(self) -> bool:
        """To the last whole checkpoint before the damage; whether there is one."""
        try:
            found = whole_before(self._connection, self.notary)
        except sqlite3.DatabaseError:
            return False
        if found is None:
            return False
        (self._tree, self._checkpoint), self.damage = found
        return True

    def _take_log(self, why: str, *, may_set_aside: bool) -> None:
        """What the write-ahead log was found to lack before it was played in."""
        if not why:
            return
        if not may_set_aside:
            raise LedgerDamaged(f"{self.path}: {why}; keep the file and its log as they are", seq=self.size)
        self.lacks(why)

    def lacks(self, why: str) -> None:
        """Something is known to have stood beyond the end: from here on it is gone on from as from before a damage."""
        found = self.damage or Damage(first=self.size, count=0, why=why)
        self.damage = found if found.why == why else replace(found, why=f"{found.why}; {why}")

    def damaged(self) -> list[tuple[int, bytes, bytes | None]]:
        """Number, leaf and body of each record in the damaged end, as far as they can be read."""
        if self.damage is None:
            return []
        rows: list[tuple[int, bytes, bytes | None]] = []
        with suppress(sqlite3.DatabaseError):  # what cannot be read is not told
            for row in self._run("SELECT seq, leaf, body FROM record WHERE seq >= ?", (self.damage.first,)):
                rows.append(row)  # noqa: PERF402 - what was read before it failed counts
        return rows

    def _look_again(self) -> None:
        """After a commit that failed: is the end on the disk the one that we know?"""
        if self.damage is None:
            self.verify_tail()
        elif self._connection.in_transaction:
            self._run("ROLLBACK")
        self._is_settled = True

    def add_cosignature(self, size: int, witness: str, line: str) -> bool:
        """Keep a witness's signature line (without line end) under the checkpoint of `size`, durably; the tree stays
        as it is. False where that witness's is there already: the first one stays.

        ValueError: no checkpoint of ours has that size, or `line` is no line. Whether the signature is good is the
        caller's to check (docs/ledger.md §8). LedgerUnavailable: the disk refused, nothing was kept.
        """
        if not line or not witness or len(line.splitlines()) != 1 or line.endswith("\n"):
            raise ValueError(f"{witness!r}: a cosignature is one line, without its line end")
        if not 0 < size <= self.size or not (record := self.read(size - 1, 1)) or record[0].checkpoint is None:
            raise ValueError(f"this ledger has no checkpoint of size {size}")
        try:
            return self._run(_COSIGN, (size, witness, line.encode())).rowcount == 1
        except sqlite3.Error as error:
            self._roll_back()
            raise self._unavailable(error) from error

    def cosigned(self, from_size: int, limit: int) -> list[tuple[int, str, list[str]]]:
        """The first `limit` cosigned checkpoints of at least `from_size` records: size, checkpoint, signature lines by
        witness. LedgerUnavailable, LedgerDamaged.
        """
        found: dict[int, tuple[int, str, list[str]]] = {}
        try:
            for size, checkpoint, _witness, line in self._run(_COSIGNED, (min(from_size, SEQ_MAX), limit)):
                found.setdefault(size, (size, self._text(checkpoint), []))[2].append(self._text(line))
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        return list(found.values())

    def last_cosigned(self, witness: str) -> tuple[str, str] | None:
        """The newest checkpoint under which a line of that witness is kept, and the line; None without one."""
        try:
            found = self._run(_LAST_COSIGNED, (witness,)).fetchone()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        return None if found is None else (self._text(found[0]), self._text(found[1]))

    def close(self) -> None:
        """Write everything back into the one file and let go of it. A second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, rows: list[_Row], tiles: list[Tile]) -> None:
        run = self._run
        self._is_settled = False
        try:
            if self.damage is not None:
                run("BEGIN IMMEDIATE")
                self._take_out(self.damage.first)
                self._insert(rows, tiles)
                run("COMMIT")
                self.damage = None
            elif len(rows) == 1 and not tiles:  # one statement is a transaction of its own, and two statements cheaper
                run(_INSERT, rows[0])
            else:
                run("BEGIN IMMEDIATE")
                self._insert(rows, tiles)
                run("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._unavailable(error) from error
        self._is_settled = True

    def _insert(self, rows: list[_Row], tiles: list[Tile]) -> None:
        for row in rows:
            self._run(_INSERT, row)
        for tile in tiles:
            self._run(_INSERT_TILE, tile)

    def _take_out(self, first: int) -> None:
        """What stands in the damaged end, within the transaction that goes on before it."""
        self._run("DELETE FROM record WHERE seq >= ?", (first,))
        self._run("DELETE FROM cosignature WHERE size > ?", (first,))
        self._run("DELETE FROM tile WHERE (number + 1) << (8 * level) > ?", (first,))

    def _roll_back(self) -> None:
        """Best effort, so that reads see the committed end; the next append looks at the disk before it writes."""
        try:
            if self._connection.in_transaction:
                self._run("ROLLBACK")
        except sqlite3.Error:
            pass  # the failure that led here is the one to report

    def _fetch(self, query: str, position: int, limit: int) -> list[StoredRecord]:
        try:
            rows = self._run(query, (max(-1, min(position, SEQ_MAX)), limit)).fetchall()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        found = [StoredRecord(*row) for row in takewhile(has_types, rows)]
        if rows and not found:
            raise LedgerDamaged(
                f"{self.path}: record {rows[0][0]} is not a record any more; run `sekisho verify {self.path}`",
                seq=rows[0][0],
            )
        return found if self.damage is None else [record for record in found if record.seq < self.size]

    def _text(self, octets: object) -> str:
        """A checkpoint or signature line as stored. LedgerDamaged: it is no text any more."""
        try:
            return str(octets, "utf-8") if isinstance(octets, bytes) else ""
        except UnicodeDecodeError:
            why = "a checkpoint or a witness's line is not readable"
            raise LedgerDamaged(f"{self.path}: {why}; run `sekisho verify {self.path}`") from None

    def _unavailable(self, error: sqlite3.Error) -> LedgerUnavailable:
        return LedgerUnavailable(f"{self.path}: {error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})")

    @staticmethod
    def _is_of(record: StoredRecord, types: Collection[str], marks: list[bytes]) -> bool:
        text = record.body
        if text is None or not any(mark in text for mark in marks):
            return False
        return decode_body(text).type in types  # the mark may also stand in a detail


def _is_signed_by(notary: Notary, connection: sqlite3.Connection) -> bool:
    """Whether the last record's checkpoint has a line of that key. sqlite3.Error as the disk gives it."""
    row = connection.execute("SELECT checkpoint FROM record ORDER BY seq DESC LIMIT 1").fetchone()
    return row is not None and row[0] is not None and notary.has_signed(row[0])
