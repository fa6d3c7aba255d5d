"""A ledger in memory that records are streamed from in virtual time, and what happens in its world at which moment.

What a sink's other side does is real; only the clock is not: an hour passes while somebody waits for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from controller.link.messages import Record, Status, StreamReport, Welcome
from controller.streams.courier import Courier
from controller.streams.outgoing import Outgoing, outgoing
from controller.streams.section import SinkSection
from controller.streams.sinks import Sink
from controller.streams.world import World

ORIGIN = "sekisho.example/lab"
START_MS = 1_780_000_000_000
_PUBLIC = b"\x01" + bytes(range(32))
_KEY_HASH = hashlib.sha256(ORIGIN.encode() + b"\n" + _PUBLIC).hexdigest()[:8]
VKEY = f"{ORIGIN}+{_KEY_HASH}+{base64.b64encode(_PUBLIC).decode()}"


def record(seq: int, at_ms: int = START_MS, **fields: object) -> Record:
    """A record as the controller streams it; each one closes a commit."""
    body = {"at_ms": at_ms, "boot": "b1", "clock": "trusted", "node": "lab", "type": "PASSAGE", "tz": "+09:00", "v": 1}
    text = json.dumps(dict(sorted((body | fields).items())), ensure_ascii=False, separators=(",", ":"))
    salt = hashlib.sha256(b"salt %d" % seq).digest()
    digest = hashlib.sha256(salt + text.encode()).hexdigest()
    return Record(
        seq=seq,
        leaf=f'{{"body":"{digest}","class":"access","seq":{seq},"v":1}}',
        salt=salt.hex(),
        body=text,
        checkpoint=f"{ORIGIN}\n{seq + 1}\nroot\n\n— {ORIGIN} signature\n",
    )


def made(seq: int, now_ms: int = START_MS, **fields: object) -> Outgoing:
    """A record as a sink gets it."""
    return outgoing(record(seq, **fields), ORIGIN, now_ms)


class Day:
    """Virtual time, what happens in it, and the ledger that grows in it. It is a courier's source and its world."""

    def __init__(self, *, ends_ms: int) -> None:
        self.ms = 0
        self.ends_ms = ends_ms
        self.told: list[StreamReport] = []
        self.records: list[Record] = []
        self._agenda: list[tuple[int, Callable[[], object]]] = []
        self._next = 0

    def at(self, ms: int, what: Callable[[], object]) -> None:
        """Have something happen."""
        self._agenda = sorted([*self._agenda, (ms, what)], key=lambda one: one[0])

    def records_every(self, ms: int, until_ms: int) -> None:
        """Have the ledger grow."""
        for at_ms in range(0, until_ms, ms):
            self.at(at_ms, lambda: self.records.append(record(len(self.records), START_MS + self.ms)))

    def wait(self, seconds: float) -> bool:
        """Time passes, and what is due happens. True at the day's end."""
        until = self.ms + int(seconds * 1000)
        while self._agenda and self._agenda[0][0] <= until:
            at_ms, what = self._agenda.pop(0)
            self.ms = max(self.ms, at_ms)
            what()
        self.ms = max(self.ms, until)
        return self.ms >= self.ends_ms

    def tell(self, report: StreamReport) -> bool:
        self.told.append(report)
        return True

    def connect(self) -> Welcome:
        return Welcome(node="lab", boot="b1", size=len(self.records), revision="r", vkey=VKEY)

    def stream(self, from_seq: int) -> Iterator[Record | Status]:
        self._next = from_seq
        while True:
            if self._next < len(self.records):
                self._next += 1
                yield self.records[self._next - 1]
            else:
                self.wait(2)
                yield Status(
                    at_ms=START_MS + self.ms,
                    boot="b1",
                    size=len(self.records),
                    revision="r",
                    is_ledger_writable=True,
                    is_clock_trusted=True,
                    deviations=[],
                    devices_offline=[],
                )

    def has_more(self) -> bool:
        return self._next < len(self.records)

    def close(self) -> None:
        """A source is closed between connections."""

    def carry(self, section: SinkSection, sink: Sink, cursor: Path, *, until_ms: int) -> None:
        """One life of the program that carries records, up to that moment."""
        world = World(now_ms=lambda: START_MS + self.ms, wait=self.wait, chance=lambda: 0.5, tell=self.tell)
        self.ends_ms = until_ms
        Courier(section, sink, self, cursor, world).run()
