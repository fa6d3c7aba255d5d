"""kill -9 at any moment, at the product's own committer: a thousand times in a minute.

Each life is a fork that commits as fast as it can, alone and in groups, and says on a pipe what was acknowledged. The
whole controller with its doors is killed in tests/system/test_killed.py; there are fewer moments in a minute of that.
"""

from __future__ import annotations

import os
import queue
import signal
import struct
import threading
from pathlib import Path

from controller.committer import CommitFailed, Committed, Committer
from controller.turn import Turn
from tests.faults.found import Ask, FaultFound, drafts, named, opened, verified

LIVES_PER_LEDGER = 25
LIFE_S_MAX = 0.03
GROUP_MAX = 12
_SIZE = struct.Struct("<q")


def killed(ask: Ask) -> str:
    """Kill `count` lives. Raises FaultFound where something acknowledged is gone, or the ledger does not hold."""
    die, acknowledged, torn = ask.die, 0, 0
    for number in range(ask.count):
        folder = ask.folder / f"ledger-{number // LIVES_PER_LEDGER}"
        folder.mkdir(exist_ok=True)
        if number % LIVES_PER_LEDGER == 0:
            acknowledged = 0
        with named(f"life {number}", ask):
            said = _life(folder / "ledger.db", die.random() * LIFE_S_MAX, die.getrandbits(32))
            acknowledged = max(acknowledged, said)
            with opened(folder / "ledger.db") as ledger:
                size = ledger.size
            if size < acknowledged:
                raise FaultFound(f"{acknowledged} records were acknowledged, {size} are there")
            torn += size > acknowledged
            if number % LIVES_PER_LEDGER == LIVES_PER_LEDGER - 1 or number == ask.count - 1:
                report = verified(folder / "ledger.db")
                if report.problem is not None:
                    raise FaultFound(f"the verifier: {report.problem}")
        ask.progress(number + 1)
    return f"{ask.count} kills, {torn} of them after a commit and before its acknowledgement"


def _life(path: Path, for_s: float, seed: int) -> int:
    """One life of a committer; how many records it had acknowledged when it was killed."""
    hears, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hears)
        try:
            _commits(path, says, seed)
        finally:
            os._exit(1)  # only where it raised: it has no other end than its death
    os.close(says)
    began = False
    heard = b""
    try:
        while not began:  # a ledger that is being made has nothing to lose
            chunk = os.read(hears, _SIZE.size)
            if not chunk:
                raise FaultFound("it ended before it committed anything")
            heard, began = chunk, True
        threading.Event().wait(for_s)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    while chunk := os.read(hears, 65536):
        heard += chunk
    os.close(hears)
    whole = len(heard) - len(heard) % _SIZE.size
    return int(_SIZE.unpack_from(heard, whole - _SIZE.size)[0])


def _commits(path: Path, says: int, seed: int) -> None:
    """Commit until killed. Turns of one and of many are handed over while others are under way."""
    ledger = opened(path)
    outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()
    committer = Committer(ledger, outcomes.put)
    number = ledger.size
    committer.start()
    under_way = 0
    while True:
        while under_way < 4:
            group = 1 if seed % 3 else 1 + seed % GROUP_MAX
            seed = (seed * 1103515245 + 12345) % 2**31
            committer.submit(Turn(records=drafts(number, group)))
            number += group
            under_way += 1
        match outcomes.get():
            case Committed(size=size):
                os.write(says, _SIZE.pack(size))
            case CommitFailed(why=why):
                raise AssertionError(why)
        under_way -= 1
