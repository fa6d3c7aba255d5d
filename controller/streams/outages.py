"""What is known of one sink's outages, and that each is told once: SINK_LOST, then SINK_RESTORED (docs/streams.md §6).

Kept in a small file of its own, so that neither a restart nor a cursor that was moved away forgets an alarm that stands
on the officers' page. Short ones make no record. What is told goes by the outage's own id, so telling it twice makes
one record.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec

from controller.link.messages import StreamReport
from controller.streams.cursor import replace_durably
from controller.streams.sinks import SinkDown
from controller.streams.world import World

TELL_AFTER_MS: Final = 10_000
"""An outage that is over sooner makes no record: nothing was late."""

log = logging.getLogger(__name__)


class Outage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A time in which the sink took nothing: since when, why, from which record on. `is_told`: SINK_LOST is recorded.
    `late_ms`: how late the oldest was that has arrived since. `to_seq`: it is over, all up to this one has arrived.
    """

    since_ms: int
    why: str
    from_seq: int
    is_told: bool = False
    late_ms: int = 0
    to_seq: int | None = None


def removed(state_dir: Path, names: Collection[str]) -> list[Path]:
    """Files of outages of sinks that the settings have no more: an alarm that nothing would ever end."""
    return [path for path in sorted(state_dir.glob("*.outage")) if path.stem not in names]


def tell_removed(paths: Sequence[Path], world: World) -> list[Path]:
    """Have the alarms of `removed` ended. Those that could not be told yet."""
    waiting = []
    for path in paths:
        outage = Outages(path.stem, path, world)
        if not outage.end_removed():
            waiting.append(path)
    return waiting


class Outages:
    """Of the sink `name`, kept in the file `path`."""

    def __init__(self, name: str, path: Path, world: World) -> None:
        self._name = name
        self._path = path
        self._world = world
        self._outage = self._load()

    @property
    def is_down(self) -> bool:
        """Whether records wait that the sink has not taken since an outage began."""
        return self._outage is not None and self._outage.to_seq is None

    def began(self, down: SinkDown, from_seq: int) -> None:
        """The sink is down from record `from_seq` on; where it was already, or had not yet caught up, it still is."""
        if self._outage is None:
            self._keep(Outage(since_ms=self._world.now_ms(), why=down.code, from_seq=from_seq))
        elif self._outage.to_seq is not None:
            self._keep(msgspec.structs.replace(self._outage, to_seq=None))

    def arrived(self, seq: int, late_ms: int) -> None:
        """Record `seq` and perhaps some behind it arrived; the oldest so late."""
        if self._outage is not None:
            late_ms, from_seq = max(late_ms, self._outage.late_ms), min(seq, self._outage.from_seq)
            self._outage = msgspec.structs.replace(self._outage, late_ms=late_ms, from_seq=from_seq)

    def caught_up(self, to_seq: int) -> None:
        """All up to `to_seq` has arrived."""
        if self._outage is not None and self._outage.to_seq is None:
            self._keep(msgspec.structs.replace(self._outage, to_seq=to_seq))

    def report(self, *, is_lasting: bool = False) -> None:
        """Have told what is to be told now. `is_lasting`: it will not end by itself."""
        outage, now_ms = self._outage, self._world.now_ms()
        if outage is None:
            return
        is_long = is_lasting or now_ms - outage.since_ms >= TELL_AFTER_MS
        if not outage.is_told and is_long and self._tell("SINK_LOST", outage):
            outage = msgspec.structs.replace(outage, is_told=True)
            self._keep(outage)
        if outage.to_seq is None or (is_long and not outage.is_told):
            return
        if not outage.is_told or self._tell("SINK_RESTORED", outage):
            log.info("%s: again, records %d to %d", self._name, outage.from_seq, outage.to_seq)
            self._keep(None)

    def end_removed(self) -> bool:
        """Its sink is in no settings any more. Whether nothing is left to be told of it."""
        outage = self._outage
        if outage is not None and outage.is_told:
            id_ = f"{self._name}:{outage.since_ms}:removed"
            if not self._world.tell(StreamReport(id=id_, code="SINK_REMOVED", sink=self._name)):
                return False
        log.info("%s: in the settings no more: its outage is over", self._name)
        self._keep(None)
        return True

    def _tell(self, code: str, outage: Outage) -> bool:
        report = StreamReport(
            id=f"{self._name}:{outage.since_ms}:{code[len('SINK_') :].lower()}",
            code=code,
            sink=self._name,
        )
        if code == "SINK_LOST":
            return self._world.tell(msgspec.structs.replace(report, why=outage.why))
        for_ms = outage.late_ms or max(0, self._world.now_ms() - outage.since_ms)
        arrived = {"from_seq": outage.from_seq, "to_seq": outage.to_seq, "for_ms": for_ms}
        return self._world.tell(msgspec.structs.replace(report, **arrived))

    def _load(self) -> Outage | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Outage)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            log.warning("%s: %s: what was known of an outage cannot be read: %s", self._name, self._path, error)
            return None

    def _keep(self, outage: Outage | None) -> None:
        """Remember, on disk where that can be: an outage of the disk itself is remembered in memory alone."""
        self._outage = outage
        try:
            if outage is None:
                self._path.unlink(missing_ok=True)
            else:
                replace_durably(self._path, msgspec.json.encode(outage) + b"\n")
        except OSError as error:
            log.warning("%s: %s: %s", self._name, self._path, error.strerror or error)
