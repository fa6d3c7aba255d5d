"""The floor of badge to relay: a bare loop that reads, looks up, makes durable and writes. There is no doing less.

After shared/bench/bench_e2e.py (modes sqlite_warm and fdatasync_log) of the project's performance research. Run as a
file of its own: `floor_loop.py MODE FOLDER BOARD LINE...` prints "ready". MODE is
  wal        one SQLite commit per badge, WAL, synchronous=FULL, the WAL grown beforehand
  fdatasync  one pwrite and fdatasync per badge on a file written beforehand
"""

from __future__ import annotations

import os
import select
import sqlite3
import sys
import tty
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

PEOPLE = 1_000
LOG_BYTES = 8 << 20


def commit_to_wal(folder: Path) -> Callable[[bytes], None]:
    database = sqlite3.connect(folder / "floor.db", isolation_level=None)
    run = database.execute
    run("pragma journal_mode=wal")
    run("pragma synchronous=full")
    run("create table audit(seq integer primary key, body blob not null, hash blob not null)")
    run("create table pad(x)")
    run("begin")
    for _ in range(1100):
        run("insert into pad values(zeroblob(4000))")
    run("commit")
    run("delete from pad")
    run("pragma wal_checkpoint(RESTART)").fetchall()
    head, seq = bytes(32), 0

    def commit(body: bytes) -> None:
        nonlocal head, seq
        seq += 1
        head = sha256(head + body).digest()
        run("insert into audit values(?,?,?)", (seq, body, head))

    return commit


def commit_to_file(folder: Path) -> Callable[[bytes], None]:
    log = os.open(folder / "floor.log", os.O_RDWR | os.O_CREAT)
    for _ in range(LOG_BYTES >> 20):
        os.write(log, bytes(1 << 20))
    os.fsync(log)
    head, position = bytes(32), 0

    def commit(body: bytes) -> None:
        nonlocal head, position
        head = sha256(head + body).digest()
        record = body + head
        os.pwrite(log, record, position)
        os.fdatasync(log)
        position = (position + len(record)) % (LOG_BYTES - 4096)

    return commit


def main(mode: str, folder: Path, board: str, lines: list[str]) -> None:
    commit = commit_to_wal(folder) if mode == "wal" else commit_to_file(folder)
    people = {b"\x04" + person.to_bytes(6, "big"): person for person in range(PEOPLE)}
    relay = os.open(board, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(relay)
    poll = select.epoll()
    on = {}
    for channel, path in enumerate(lines, 1):
        line = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(line)
        poll.register(line, select.EPOLLIN)
        on[line] = bytes((0xA0, channel, 1, 0xA1 + channel))
    print("ready", flush=True)
    while True:
        for line, _ in poll.poll():
            number = os.read(line, 4096)[13:20]
            if (person := people.get(number)) is not None:
                commit(
                    b'{"cardholder":"h-%04d","number":"%s","outcome":"granted","type":"access"}'
                    % (person, number.hex().encode())
                )
                os.write(relay, on[line])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
