"""One courier carries the records of the ledger to one sink: at least once, in order (docs/streams.md §3, §5).

It owns the sink's cursor. It skips nothing: a sink that will not take a record holds up those behind it, and that is
recorded until they have arrived (`controller.streams.outages`). Time, waiting and chance are arguments.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from controller.link.client import LinkDown
from controller.link.messages import Record, Status, Welcome
from controller.streams import lineage
from controller.streams.cursor import BEFORE_ALL, Cursor, leaf_hash, load, save
from controller.streams.outages import Outages
from controller.streams.outgoing import Outgoing, outgoing
from controller.streams.section import SinkSection
from controller.streams.sinks import Sink, SinkDown
from controller.streams.world import World

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
RETRY_AFTER_S_MAX: Final = 3600.0
"""No sink may ask for a longer rest than this."""

LINK_RETRY_MAX_S: Final = 5.0
AGAIN_AFTER_MS: Final = 5_000
"""What was not acknowledged is handed over again after this, where nothing follows it."""

UNSAVED_MAX: Final = 1000
"""So many records may be left out by a filter before the cursor is written."""

HALTING: Final = frozenset({"gone"})
"""After these nothing is tried again before the next start: the other side said so (Standard Webhooks, 410)."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where records come from: `controller.link.client.LinkClient`. All of it raises LinkDown."""

    def connect(self) -> Welcome: ...
    def stream(self, from_seq: int) -> Iterator[Record | Status]: ...
    def has_more(self) -> bool: ...
    def close(self) -> None: ...


class Courier:
    """Carries to one sink. `run` is its thread."""

    def __init__(self, section: SinkSection, sink: Sink, source: Source, cursor: Path, world: World) -> None:
        """`cursor`: the file that the cursor is kept in; what is known of outages lies beside it."""
        self._section = section
        self._sink = sink
        self._source = source
        self._path = cursor
        self._world = world
        self._cursor = Cursor(v=1, origin="", vkey="", seq=BEFORE_ALL)
        self._outages = Outages(section.name, cursor.with_suffix(".outage"), world)
        self._seen = (BEFORE_ALL, "")
        self._pending: list[Record] = []
        self._is_fresh = False  # whether some of them were never handed over
        self._handed_at = 0
        self._target = BEFORE_ALL
        self._said = ""

    def run(self) -> None:
        """Carry until `wait` says to end. Rim: whatever happens is an outage, and is tried again."""
        retry_s = link_retry_s = RETRY_FIRST_S
        while not self._world.wait(0):
            before = self._cursor.seq
            try:
                self._follow()
                break
            except LinkDown as down:
                if self._world.wait(0):
                    break  # whoever ends us closes the line, so that we wake
                self._say(logging.WARNING, str(down))
                pause_s, link_retry_s = link_retry_s, min(link_retry_s * 2, LINK_RETRY_MAX_S)
            except SinkDown as down:
                retry_s = retry_s if self._cursor.seq == before else RETRY_FIRST_S
                pause_s = max(retry_s * (0.75 + self._world.chance() / 2), min(down.retry_after_s, RETRY_AFTER_S_MAX))
                retry_s, link_retry_s = min(retry_s * 2, RETRY_MAX_S), RETRY_FIRST_S
                self._lost(down)
            except Exception as error:  # the rim: a mistake of ours must not end this sink for good
                log.exception("%s: a mistake of ours", self._section.name)
                pause_s = RETRY_MAX_S
                self._lost(SinkDown("fault", repr(error)))
            self._let_go()
            if self._world.wait(pause_s):
                break
        self._let_go()

    def _let_go(self) -> None:
        """Close both ends; what cannot be closed is left to the system."""
        for end in (self._source, self._sink):
            with suppress(OSError, SinkDown):
                end.close()

    def _say(self, level: int, what: str) -> None:
        """Once, however often it is so in a row."""
        if what != self._said:
            log.log(level, "%s: %s", self._section.name, what)
        self._said = what

    def _lost(self, down: SinkDown) -> None:
        """The sink is down. Where it will not come back by itself, this lasts until the end is asked for."""
        self._say(logging.WARNING, f"{down.code}: {down}")
        self._outages.began(down, self._cursor.seq + 1)
        self._outages.report(is_lasting=down.code in HALTING)
        while down.code in HALTING and not self._world.wait(RETRY_MAX_S):
            self._outages.report(is_lasting=True)

    # -- one connection ------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Follow the ledger from the cursor on, until it shall end. Raises LinkDown and SinkDown."""
        welcome = self._source.connect()
        self._cursor = self._opened(welcome)
        if not (self._said and self._outages.is_down):  # else each try would be two lines in the log, for days
            self._say(logging.INFO, f"follows {self._cursor.origin} from record {self._cursor.seq + 1} on")
        self._seen = (max(self._cursor.seq, 0) - 1, "")
        self._pending, self._is_fresh, self._handed_at = [], False, 0
        self._target = welcome.size - 1
        for message in self._source.stream(max(self._cursor.seq, 0)):
            if isinstance(message, Record):
                self._take(message)
            if self._is_due(message):
                self._hand_over()
            self._pass_over(message)
            self._outages.report()
            if self._world.wait(0):
                return

    def _opened(self, welcome: Welcome) -> Cursor:
        """The cursor, held against the ledger that answers; a new one where there was none."""
        cursor = load(self._path)
        if cursor is None:
            seq = BEFORE_ALL if self._section.start == "beginning" else welcome.size - 1
            cursor = Cursor(v=1, origin=lineage.origin_of(welcome.vkey), vkey=welcome.vkey, seq=seq)
            save(self._path, cursor)
        lineage.check_welcome(cursor, welcome)
        if cursor.vkey != welcome.vkey:
            lineage.check_key(cursor, welcome, self._source.stream(max(cursor.seq, 0)))
            self._source.connect()
            cursor = msgspec.structs.replace(cursor, vkey=welcome.vkey)
        return cursor

    def _take(self, record: Record) -> None:
        """The next record of the stream; the first one stands where the cursor stands."""
        if record.seq != self._seen[0] + 1:
            raise LinkDown(f"record {record.seq} came where {self._seen[0] + 1} was next")
        self._seen = (record.seq, leaf_hash(record))
        if record.seq <= self._cursor.seq:
            lineage.check_record(self._cursor, record)
            return
        if self._is_wanted(outgoing(record, "", 0)):
            self._pending.append(record)
            self._is_fresh = True

    def _is_wanted(self, one: Outgoing) -> bool:
        types, zones = self._section.types, self._section.zones
        return (not types or one.type in types) and (not zones or one.zone in zones)

    def _is_due(self, message: Record | Status) -> bool:
        """Whether what waits is handed over now: it is enough, or nothing follows at once, or it waited long."""
        if self._is_fresh:
            return len(self._pending) >= self._sink.batch_max or not self._source.has_more()
        return isinstance(message, Status) and abs(self._world.now_ms() - self._handed_at) >= AGAIN_AFTER_MS

    def _hand_over(self) -> None:
        """Hand over what waits, and move the cursor by what was acknowledged. Raises SinkDown."""
        self._is_fresh = False
        while self._pending:
            self._handed_at = self._world.now_ms()
            records = self._pending[: self._sink.batch_max]
            batch = [outgoing(record, self._cursor.origin, self._handed_at) for record in records]
            try:
                count = self._sink.deliver(batch)
            except SinkDown as down:
                self._acknowledged(batch, down.acknowledged)
                raise
            is_all = len(batch) == len(self._pending)
            self._acknowledged(batch, count)
            if is_all and self._seen[0] >= self._target:
                self._outages.caught_up(self._seen[0])
            if len(self._pending) < self._sink.batch_max:
                return  # where some are left: with what follows, or a while later
            if count == 0 and self._world.wait(AGAIN_AFTER_MS / 1000):
                return

    def _pass_over(self, message: Record | Status) -> None:
        """Move the cursor over what a filter left out; not for each one, to spare the disk."""
        if self._pending:
            return
        if self._seen[0] >= self._target:
            self._outages.caught_up(self._seen[0])
        left_out = self._seen[0] - self._cursor.seq
        if left_out >= UNSAVED_MAX or (left_out > 0 and isinstance(message, Status)):
            self._advance()

    def _acknowledged(self, batch: list[Outgoing], count: int) -> None:
        assert 0 <= count <= len(batch), f"a sink acknowledged {count} of {len(batch)}"
        if count == 0:
            return
        self._outages.arrived(batch[0].seq, max(one.late_ms for one in batch[:count]))
        last = self._pending[count - 1]
        del self._pending[:count]
        self._advance(last)

    def _advance(self, last: Record | None = None) -> None:
        """Move the cursor to `last`, or to all that was seen where nothing waits, and keep it."""
        seq, leaf = self._seen if last is None or not self._pending else (last.seq, leaf_hash(last))
        self._cursor = msgspec.structs.replace(self._cursor, seq=seq, leaf=leaf)
        save(self._path, self._cursor)
