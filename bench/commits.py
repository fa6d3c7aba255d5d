"""Records per second of the real ledger, one commit and one signed checkpoint each, against the disk's own limit."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.figures import Figure, percentile, ratio_of_rounds, short, spell
from controller.ledger.body import Draft, Evidence, Scribe, Trace
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from zones.decision.rules import RULES
from zones.moment import Moment

LOG_BYTES: Final = 32 << 20
GROUP: Final = 16


def commit_rate(folder: Path, *, is_quick: bool) -> Figure:
    """Slices of ten commits in turn: ledger, floor, ledger in groups. A round is one slice of each."""
    rounds, slice_ = (40, 10) if is_quick else (200, 10)
    signer = SigningKey.create(folder / "ledger.key")
    draft = draft_of_entry()
    single: list[float] = []
    floors: list[float] = []
    grouped: list[float] = []
    took: list[float] = []
    with Ledger.open(folder / "ledger.db", signer, "bench.example/bench") as ledger:
        size = stored_bytes(ledger, draft)
        floor = floor_of(folder / "floor.log", size)
        for turn in range(-2, rounds):
            ours = _seconds(lambda: ledger.append([draft]), slice_)
            theirs = _seconds(floor, slice_)
            groups = _seconds(lambda: ledger.append([draft] * GROUP), 2)
            if turn >= 0:
                single.append(slice_ / sum(ours))
                floors.append(slice_ / sum(theirs))
                grouped.append(2 * GROUP / sum(groups))
                took += ours
    ratio, _ = ratio_of_rounds(single, floors)
    ratios = [mine / theirs for mine, theirs in zip(single, floors, strict=True)]
    limit, in_groups = statistics.median(floors), statistics.median(grouped)
    return Figure(
        name="commit_rate",
        value=statistics.median(single),
        unit="records/s",
        ratio=ratio,
        of="pwrite + fdatasync on a pre-written file",
        aim=">= 0.85",
        spread=f"{short(percentile(ratios, 0.1))}-{short(percentile(ratios, 0.9))}",
        notes=(
            f"{size} bytes each; {spell([one * 1e3 for one in took])} a commit; floor {short(limit)}/s; rounds p10-p90",
            f"in groups of {GROUP}: {short(in_groups)} records/s, {short(in_groups / limit)} of the floor",
        ),
    )


def floor_of(path: Path, size: int) -> Callable[[], None]:
    """One pwrite of so many bytes and one fdatasync, on a file that was written before: nothing but the flush.

    After shared/bench/bench_audit.py (fdatasync_prealloc) of the project's performance research.
    """
    log = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(LOG_BYTES >> 20):
        os.write(log, bytes(1 << 20))
    os.fsync(log)
    record, position = os.urandom(size), 0

    def commit() -> None:
        nonlocal position
        os.pwrite(log, record, position)
        os.fdatasync(log)
        position = (position + size) % (LOG_BYTES - 65536)

    return commit


def _seconds(work: Callable[[], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


def draft_of_entry(now: Moment | None = None, corr: str = "0badcafe-1", boot: str = "0badcafe") -> Draft:
    """An entry as the controller records it."""
    now = now or Moment(at=datetime.now(UTC), tick_ms=0, is_trusted=True)
    exempt = {"D11", "D12", "D14", "D18", "D19"}
    trace = Trace(
        passed=tuple(rule.number for rule in RULES if rule.number not in exempt | {"D08"}),
        waived=("D08",),
        exempt=tuple(sorted(exempt)),
    )
    return Scribe(node="bench", boot=boot).draft(
        "ACCESS_GRANTED",
        now=now,
        outcome="GRANTED",
        reason="granted",
        zone="office",
        portal="door-1",
        access_point="door-1:in",
        direction="IN",
        cardholder="h-0001",
        credential="c-0001",
        evidence=Evidence(method="UID", factors=0, last4="0001"),
        revision="0" * 64,
        corr=corr,
        trace=trace,
        detail={"device": "reader-1"},
    )


def stored_bytes(ledger: Ledger, draft: Draft) -> int:
    """How many bytes one such record is, as stored."""
    seq = ledger.append([draft]).start
    (record,) = ledger.read(seq, 1)
    return sum(len(part or b"") for part in (record.leaf, record.salt, record.body, record.checkpoint))
