"""Bit rot and cut-off logs: whatever happens to the bytes, a start and the verifier say so, or nothing was hurt."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from controller.ledger.errors import LedgerError
from sekisho.verify import CannotRun
from tests.faults.found import Ask, FaultFound, drafts, named, opened, verified

RECORDS = 700
"""Two whole tiles and a tail."""

Rows = list[tuple[object, ...]]


def flips(ask: Ask) -> str:
    """`count` single bits, one at a time, anywhere in a closed ledger. Raises FaultFound where it goes unseen."""
    path = ask.folder / "ledger.db"
    checkpoint = _made(path)
    whole, octets, die = _rows(path), path.read_bytes(), ask.die
    seen = refused = harmless = 0
    for number in range(ask.count):
        at, bit = die.randrange(len(octets)), 1 << die.randrange(8)
        with named(f"byte {at}, bit {bit}", ask):
            folder = ask.folder / "rotten"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            rotten = folder / "ledger.db"
            rotten.write_bytes(octets[:at] + bytes((octets[at] ^ bit,)) + octets[at + 1 :])
            is_ok = _says_ok(rotten, checkpoint)
            if is_ok and _rows(rotten) != whole:
                raise FaultFound("the verifier believes a file whose records are others")
            seen += not is_ok
            harmless += is_ok
            refused += not _starts(rotten)
        ask.progress(number + 1)
    told = f"{seen} named by the verifier, {harmless} hurt no record; {refused} starts refused or set aside"
    return f"{ask.count} bits: {told}"


def truncated_log(ask: Ask) -> str:
    """The write-ahead log of a killed controller, cut off or overwritten anywhere: what is gone is missed."""
    path = ask.folder / "ledger.db"
    ledger = opened(path)
    for _ in range(60):
        ledger.append(drafts(ledger.size, 1 + ledger.size % 4))
    size, checkpoint = ledger.size, ledger.checkpoint_text
    main, log = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
    ledger.close()
    die, shorter = ask.die, 0
    used = len(log.rstrip(b"\0"))
    for number in range(ask.count):
        cut = die.randrange(used)
        torn = log[:cut] + (die.randbytes(min(512, len(log) - cut)) if number % 2 else b"")
        with named(f"log of {cut} bytes", ask):
            folder = ask.folder / "cut"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "ledger.db").write_bytes(main)
            (folder / "ledger.db-wal").write_bytes(torn)
            try:
                with opened(folder / "ledger.db") as left:
                    is_short = left.size < size
            except LedgerError:
                continue
            if is_short and _says_ok(folder / "ledger.db", checkpoint):
                raise FaultFound("records are gone, and a checkpoint kept outside does not miss them")
            shorter += is_short
        ask.progress(number + 1)
    return f"{ask.count} logs: {shorter} had lost records, all missed against a checkpoint kept outside"


def _made(path: Path) -> str | None:
    with opened(path) as ledger:
        while ledger.size < RECORDS:
            ledger.append(drafts(ledger.size, min(9, RECORDS - ledger.size)))
        return ledger.checkpoint_text


def _says_ok(path: Path, checkpoint: str | None) -> bool:
    try:
        return verified(path, checkpoint).problem is None
    except (CannotRun, sqlite3.Error):  # it is no ledger any more, and that was said
        return False


def _starts(path: Path) -> bool:
    """Whether the product opens it and it is as long as it was. Any other exception is a fault."""
    try:
        with opened(path) as ledger:
            return ledger.size == RECORDS
    except LedgerError:
        return False


def _rows(path: Path) -> Rows:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        return connection.execute("SELECT * FROM record ORDER BY seq").fetchall()
