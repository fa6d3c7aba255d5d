"""Power cuts: whatever was written and not synced may be lost, whole or in part, in any order.

The product's schema, pragmas and statements run on APSW, whose VFS can be watched: every write, sync and truncation of
a run is on a tape. A cut is a place on the tape. All before a file's last sync is on the disk; of what came after it,
each write is there, or not, or torn between sectors. From that the product's own ledger must start.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from controller.ledger.checkpoint import Notary
from controller.ledger.file import PRAGMAS
from controller.ledger.store import Ledger
from tests.faults.found import KEY, ORIGIN, Ask, FaultFound, drafts, named, opened, verified

SECTOR = 512
COMMITS_PER_RUN = 120
CHECKPOINT_PAGES = 60
"""Far fewer than the product's 2,000: a run meets many checkpoints, where the main file is written."""

VERIFY_EVERY = 20


@dataclass(kw_only=True)
class Tape:
    """What was done to files, in order: (act, file name, offset or size, bytes); ("acknowledged", "", size, b"")."""

    acts: list[tuple[str, str, int, bytes]] = field(default_factory=list)

    def put(self, act: str, name: str, at: int = 0, octets: bytes = b"") -> None:
        self.acts.append((act, name, at, octets))


class _Files(apsw.VFS):
    """The machine's own file system, with a tape beside it."""

    def __init__(self, name: str, tape: Tape) -> None:
        self.tape = tape
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's names
        return _File(self.tape, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.tape.put("delete", Path(filename).name)
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, tape: Tape, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.tape = tape
        self.name = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name)).name

    def xWrite(self, octets: Any, offset: int) -> None:  # noqa: N802
        self.tape.put("write", self.name, offset, bytes(octets))
        super().xWrite(octets, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self.tape.put("sync", self.name)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self.tape.put("truncate", self.name, size)
        super().xTruncate(size)


def power(ask: Ask) -> str:
    """`count` cuts over several runs. Raises FaultFound where a start does not find all that was acknowledged."""
    die, cuts, lost = ask.die, 0, 0
    run = 0
    while cuts < ask.count:
        folder = ask.folder / f"run-{run}"
        folder.mkdir()
        tape, base = _recorded(folder / "ledger.db", die, run)
        for _ in range(min(ask.count - cuts, len(tape.acts))):
            at = die.randrange(len(tape.acts) + 1)
            with named(f"run {run}, cut at {at} of {len(tape.acts)}", ask):
                lost += _cut(folder / "cut", tape, base, at, die, is_verified=cuts % VERIFY_EVERY == 0)
            cuts += 1
            ask.progress(cuts)
        run += 1
    return (
        f"{cuts} cuts over {run} runs, {lost} unsynced writes lost or torn; on APSW's VFS ({apsw.sqlite_lib_version()})"
    )


def _recorded(path: Path, die: random.Random, run: int) -> tuple[Tape, dict[str, bytes]]:
    """A run of commits on tape, and what lay on the disk before it."""
    with opened(path) as ledger:  # made, and its WAL grown, by the product itself
        ledger.append(drafts(0, 3))
        base = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    tape = Tape()
    files = _Files(f"sekisho-tape-{run}", tape)
    for name, octets in base.items():
        (path.parent / name).write_bytes(octets)
    connection = apsw.Connection(str(path), vfs=f"sekisho-tape-{run}")
    for pragma in PRAGMAS:
        connection.execute(pragma).fetchall()
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchall()
    notary = Notary(origin=ORIGIN, key=KEY)
    ledger = Ledger(path=path, connection=connection, notary=notary, random=die.randbytes)  # type: ignore[arg-type]
    for _ in range(COMMITS_PER_RUN):
        ledger.append(drafts(ledger.size, die.choice((1, 1, 1, 2, 5, 30))))
        tape.put("acknowledged", "", ledger.size)
    connection.close()
    files.unregister()
    return tape, base


def _cut(folder: Path, tape: Tape, base: dict[str, bytes], at: int, die: random.Random, *, is_verified: bool) -> int:
    """What lies on the disk after a cut at `at`, and a start from it; how many writes were lost or torn."""
    acknowledged = max((size for act, _, size, _ in tape.acts[:at] if act == "acknowledged"), default=3)
    files, lost = after_cut(tape, base, at, die)
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    for name, octets in files.items():
        (folder / name).write_bytes(octets)
    with opened(folder / "ledger.db") as ledger:
        if ledger.size < acknowledged:
            raise FaultFound(f"{acknowledged} records were acknowledged, {ledger.size} are there")
        ledger.append(drafts(ledger.size, 1))
    if is_verified and (problem := verified(folder / "ledger.db").problem) is not None:
        raise FaultFound(f"the verifier: {problem}")
    return lost


def after_cut(tape: Tape, base: dict[str, bytes], at: int, die: random.Random) -> tuple[dict[str, bytes], int]:
    """Files as a cut may leave them, and how many writes did not come through whole."""
    synced: dict[str, int] = defaultdict(int)
    for place, (act, name, _, _) in enumerate(tape.acts[:at]):
        if act == "sync":
            synced[name] = place
    files = {name: bytearray(octets) for name, octets in base.items()}
    lost = 0
    for place, (act, name, where, octets) in enumerate(tape.acts[:at]):
        is_sure = place < synced[name]
        if act == "write":
            whole = is_sure or die.random() < 0.4
            lost += not whole
            _write(files.setdefault(name, bytearray()), where, octets, None if whole else die)
        elif act == "truncate" and (is_sure or die.random() < 0.5):
            del files[name][where:]
        elif act == "delete" and die.random() < 0.5:
            files.pop(name, None)
    return {name: bytes(octets) for name, octets in files.items()}, lost


def _write(file: bytearray, where: int, octets: bytes, die: random.Random | None) -> None:
    """All of it, or (with `die`) each sector of it by chance; half of the time none."""
    if die is not None and die.random() < 0.5:
        return
    for begin in range(0, len(octets), SECTOR):
        if die is None or die.random() < 0.5:
            piece = octets[begin : begin + SECTOR]
            if len(file) < where + begin + len(piece):
                file.extend(bytes(where + begin + len(piece) - len(file)))
            file[where + begin : where + begin + len(piece)] = piece
