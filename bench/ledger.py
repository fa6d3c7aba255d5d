"""What the ledger costs: commits of 1, 10 and 100 records, checkpoints, and a million records.

The million is written by the product's own ledger into the state folder of a real site, whose controller then starts
on it. `--quick` makes do with a hundred thousand.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bench.commits import draft_of_entry, floor_of, stored_bytes
from bench.figures import Figure, ratio_of_rounds, short
from bench.processes import peopled_site
from bench.site import Site, environment, start_controller
from controller.ledger.body import Draft, Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.file import open_file
from controller.ledger.store import Ledger
from controller.link.proofs import consistency_proof, inclusion_proof
from controller.link.tree import leaf_hash, node_hash
from sekisho.verify import parse_key, verify_file
from zones.moment import Moment

ORIGIN: Final = "sekisho.example/bench"
GROUPS: Final = (1, 10, 100)
MILLION: Final = 1_000_000
INSERT: Final = "INSERT INTO record (seq, leaf, salt, body, checkpoint) VALUES (?, ?, ?, ?, ?)"
QUICK: Final = 100_000
PER_COMMIT: Final = 1_000

COMMIT_NAMES: Final = (*(f"ledger_commit_{size}" for size in GROUPS), "ledger_checkpoint_us")
MILLION_NAMES: Final = (
    "start_1m",
    "verify_vs_hash",
    "ledger_inclusion",
    "ledger_consistency",
    "ledger_writer_memory",
    "ledger_bytes_per_record",
)


def commits(folder: Path, *, is_quick: bool) -> list[Figure]:
    """Records per second for 1, 10 and 100 waiting, and what the checkpoint adds; slices of each in turn."""
    rounds = 30 if is_quick else 120
    draft = draft_of_entry()
    rates: dict[int, list[float]] = {size: [] for size in GROUPS}
    floors: list[float] = []
    added: list[float] = []
    signer = SigningKey.create(folder / "ledger.key")
    bare = open_file(folder / "bare.db")
    with Ledger.open(folder / "ledger.db", signer, ORIGIN) as ledger, contextlib.closing(bare):
        octets = stored_bytes(ledger, draft)
        floor = floor_of(folder / "floor.log", octets)
        row = ledger.read(0, 1)[0]
        for turn in range(-2, rounds):
            for size in GROUPS:
                took = _took(lambda size=size: ledger.append([draft] * size), 4)  # type: ignore[misc]
                if turn >= 0:
                    rates[size].append(size / took)
            limit = _took(floor, 4)
            if turn >= 0:
                floors.append(1 / limit)
        for connection in (ledger._connection, bare):  # noqa: SLF001 - a disk's noise is larger than what is asked
            connection.execute("PRAGMA synchronous=OFF")
        parts = (row.leaf, row.salt, row.body, row.checkpoint)
        for number in range(1, rounds * 4):
            single = _took(lambda: ledger.append([draft]), 4)
            plain = _took(lambda number=number: bare.execute(INSERT, (number, *parts)), 1)  # type: ignore[misc]
            added.append((single - plain) * 1e6)
    found = [_rate(size, rates[size], floors, octets) for size in GROUPS]
    note = "salt, leaf, tree, root, signature: over one INSERT of the same bytes, both without syncs"
    return [
        *found,
        Figure(
            name="ledger_checkpoint_us",
            value=statistics.median(added),
            unit="us",
            ratio=statistics.median(added) * 1e-6 * statistics.median(floors),
            of="one fdatasync",
            notes=(note,),
        ),
    ]


def _rate(size: int, rates: Sequence[float], floors: Sequence[float], octets: int) -> Figure:
    ratio, spread = ratio_of_rounds(rates, floors)
    return Figure(
        name=f"ledger_commit_{size}",
        value=statistics.median(rates),
        unit="records/s",
        ratio=ratio,
        of="one pwrite + fdatasync per record, on a pre-written file",
        aim=">= 0.85" if size == 1 else "",
        spread=spread,
        notes=(f"{octets} bytes a record; floor {short(statistics.median(floors))}/s",) if size == 1 else (),
    )


# -- a million ---------------------------------------------------------------------------------------------------------


def million(folder: Path, *, is_quick: bool) -> list[Figure]:
    """A site's controller with few records and with a million; its ledger verified, proven from, and written on."""
    count = QUICK if is_quick else MILLION
    rounds = 3 if is_quick else 7
    with peopled_site(folder) as (site, controller):
        controller.end()
        few = _starts(site, rounds)
        memory_few = _writer_mb(site)
        path = site.folder / "state" / "ledger.db"
        before = path.stat().st_size
        _fill(site, count)
        octets = (path.stat().st_size - before) / count
        many = _starts(site, rounds)
        memory_many = _writer_mb(site)
        return [
            _start(few, many, count),
            _verified(site, path, rounds=1 if is_quick else 3),
            *_proofs(path),
            Figure(
                name="ledger_writer_memory",
                value=memory_many,
                unit="MB",
                ratio=memory_many / memory_few,
                of="the same writer on a ledger of a few records",
                notes=("resident set of a process that opens the ledger and commits 2,000 records",),
            ),
            Figure(
                name="ledger_bytes_per_record",
                value=octets,
                unit="bytes",
                ratio=octets / _plain_bytes(path),
                of="leaf, salt, body and checkpoint alone",
                notes=(f"{count} records in commits of {PER_COMMIT}; one checkpoint per record: about 200 bytes more",),
            ),
        ]


def _starts(site: Site, rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        with start_controller(site) as program:
            taken.append(time.perf_counter() - program.started_at)
    return taken


def _start(few: list[float], many: list[float], count: int) -> Figure:
    value = statistics.median(many)
    return Figure(
        name="start_1m",
        value=value * 1e3,
        unit="ms",
        ratio=value / 2,
        of=f"2 s; a start with {count} records, until the doors are armed",
        aim="<= 1",
        notes=(f"{short(value / statistics.median(few))} times the same start with a few records",),
    )


def _fill(site: Site, count: int) -> None:
    """`count` entries since the ledger's last record, in commits of PER_COMMIT, in a boot of their own."""
    with _ledger(site) as ledger:
        size = ledger.size
        last_at_ms, now = ledger.last_at_ms(), datetime.now(UTC)  # times that ran back would be found
        since = now - timedelta(seconds=1) if last_at_ms is None else datetime.fromtimestamp(last_at_ms / 1000, UTC)
        step = (now - since) / count
        started = Moment(at=since, tick_ms=0, is_trusted=True)
        draft = Scribe(node="bench", boot="0badcafe").draft("CONTROLLER_STARTED", now=started)
        ledger.append([draft])
        size += 1
        for first in range(0, count, PER_COMMIT):
            at = since + first * step
            ledger.append([_entry(at, first + number) for number in range(PER_COMMIT)])
        assert ledger.size == size + count


def _entry(at: datetime, number: int) -> Draft:
    """An entry at that moment, as a grant of its own."""
    return draft_of_entry(Moment(at=at, tick_ms=number, is_trusted=True), corr=f"0badcafe-{number}")


def _ledger(site: Site) -> Ledger:
    state = site.folder / "state"
    return Ledger.open(state / "ledger.db", SigningKey.load(state / "ledger.key"), ORIGIN)


def _writer_mb(site: Site) -> float:
    """How much memory a writer needs, in a process of its own."""
    command = [sys.executable, "-m", "bench.ledger_writer", str(site.folder / "state")]
    said = subprocess.run(command, check=True, env=environment(), capture_output=True, text=True).stdout
    return float(said)


def _verified(site: Site, path: Path, *, rounds: int) -> Figure:
    """The verifier, and a loop that hashes what it must hash, in turn."""
    with _ledger(site) as ledger:
        key, size = parse_key(ledger.notary.vkey), ledger.size
    ours: list[float] = []
    floors: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        report = verify_file(path, key)
        ours.append(size / (time.perf_counter() - began))
        if report.problem is not None:
            raise RuntimeError(f"the bench's ledger is not whole: {report.problem}")
        began = time.perf_counter()
        assert _hashed(path) == size
        floors.append(size / (time.perf_counter() - began))
    ratio, spread = ratio_of_rounds(ours, floors)
    return Figure(
        name="verify_vs_hash",
        value=statistics.median(ours),
        unit="records/s",
        ratio=ratio,
        of="reading the same rows and SHA-256 over leaf and over salt+body, one process",
        aim=">= 0.6",
        spread=spread,
        notes=(f"{size} records, floor {short(statistics.median(floors))}/s; the verifier uses both cores",),
    )


def _proofs(path: Path) -> list[Figure]:
    """Both kinds at random places, out of subtrees in memory; each is one figure, against 50 us."""
    levels = _levels(path)
    size, die = len(levels[0]), random.Random(1)

    def node(height: int, number: int) -> bytes:
        return levels[height][number]

    made = {
        "ledger_inclusion": lambda: inclusion_proof(node, die.randrange(size), size),
        "ledger_consistency": lambda: consistency_proof(node, die.randrange(1, size), size),
    }
    found = []
    for name, make in made.items():
        taken = [_took(make, 200) * 1e6 for _ in range(20)]
        value = statistics.median(taken)
        note = f"{short(1e6 / value)} proofs/s out of {size} records, subtrees in memory"
        found.append(Figure(name=name, value=value, unit="us", ratio=value / 50, of="50 us", aim="<= 1", notes=(note,)))
    return found


def _levels(path: Path) -> list[list[bytes]]:
    """Hashes of all complete subtrees, by height."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        levels = [[leaf_hash(leaf) for (leaf,) in connection.execute("SELECT leaf FROM record ORDER BY seq")]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return levels


def _hashed(path: Path) -> int:
    """The floor: every stored byte is read and hashed, and nothing is held against anything."""
    sha256, count = hashlib.sha256, 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        for leaf, salt, body, _ in connection.execute("SELECT leaf, salt, body, checkpoint FROM record ORDER BY seq"):
            sha256(leaf).digest()
            sha256(salt + body).digest()
            count += 1
    return count


def _plain_bytes(path: Path) -> float:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        query = "SELECT avg(length(leaf) + length(salt) + length(body) + ifnull(length(checkpoint), 0)) FROM record"
        return float(connection.execute(query).fetchone()[0])


def _took(work: Callable[[], object], count: int) -> float:
    """Seconds of one call, the mean of `count`."""
    began = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - began) / count
