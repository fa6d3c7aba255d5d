"""A courier in virtual time: whatever fails, each record arrives at least once, in order, and it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.link.client import LinkDown
from controller.link.messages import Record, StreamReport, Welcome
from controller.streams.cursor import Cursor
from controller.streams.outages import removed, tell_removed
from controller.streams.outgoing import Outgoing
from controller.streams.section import SinkSection
from controller.streams.sinks import SinkDown
from controller.streams.world import World
from tests.controller.streams.made_ledger import ORIGIN, START_MS, VKEY, Day, record
from tests.sekisho.ledger_by_hand import Signer

SECTION = SinkSection(name="outside")
HOUR_MS = 3_600_000
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A thousand syncs of a busy disk would be all that a property test measures."""


class Crash(BaseException):
    """The power goes: nothing after it happens."""


@dataclass
class Receiver:
    """The other side: keeps what came, in order of arrival. `faults`: what each delivery comes to, in turn (an
    exception, or how many it acknowledges), and how many arrive all the same.
    """

    batch_max: int = 3
    faults: list[tuple[object, int]] = field(default_factory=list)
    came: list[Outgoing] = field(default_factory=list)
    is_down: str = ""
    retry_after_s: float = 0.0
    tries: int = 0

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        self.tries += 1
        assert 0 < len(batch) <= self.batch_max
        if self.is_down:
            raise SinkDown(self.is_down, "as told", retry_after_s=self.retry_after_s)
        fault, arrives = self.faults.pop(0) if self.faults else (len(batch), len(batch))
        self.came += batch[:arrives]
        if isinstance(fault, BaseException):
            raise fault
        assert isinstance(fault, int)
        return min(fault, arrives, len(batch))

    def close(self) -> None:
        """Nothing to close."""

    @property
    def kept(self) -> list[int]:
        """After de-duplication by (origin, seq), in order of arrival."""
        return list(dict.fromkeys(one.seq for one in self.came))


class Site(Day):
    """A day in which the controller can be away, and its ledger another one."""

    def __init__(self, *, ends_ms: int = 8 * HOUR_MS) -> None:
        super().__init__(ends_ms=ends_ms)
        self.is_away = False
        self.vkey = VKEY
        self.hears = True

    def connect(self) -> Welcome:
        if self.is_away:
            raise LinkDown("no controller")
        return msgspec.structs.replace(super().connect(), vkey=self.vkey)

    def stream(self, from_seq: int):
        for message in super().stream(from_seq):
            if self.is_away:
                raise LinkDown("the controller went away")
            yield message

    def tell(self, report: StreamReport) -> bool:
        return self.hears and super().tell(report)

    def grows(self, count: int, **fields: object) -> None:
        for _ in range(count):
            self.records.append(record(len(self.records), START_MS + self.ms, **fields))

    @property
    def codes(self) -> list[str]:
        return [report.code for report in self.told]


def carried(site: Site, sink: Receiver, folder: Path, *, for_ms: int = 60_000, section: SinkSection = SECTION) -> None:
    site.carry(section, sink, folder / "outside.cursor", until_ms=site.ms + for_ms)


@pytest.mark.req("A-28")
def test_an_hour_away_and_both_sides_restarted(in_memory):
    """The store at head office is down for an hour, and what happened in that hour is nowhere but on the box."""
    site, sink = Site(), Receiver()
    site.records_every(10_000, 2 * HOUR_MS)
    site.at(600_000, lambda: setattr(sink, "is_down", "unreachable"))
    site.at(600_000 + HOUR_MS, lambda: setattr(sink, "is_down", ""))
    site.at(1_800_000, lambda: setattr(site, "is_away", True))  # the controller is restarted, too
    site.at(1_860_000, lambda: setattr(site, "is_away", False))
    for _ in range(9):  # nine starts of the program, one every 15 minutes
        carried(site, sink, in_memory, for_ms=900_000)
    assert sink.kept == list(range(len(site.records)))
    assert site.codes == ["SINK_LOST", "SINK_RESTORED"], "one outage, told once each"
    lost, restored = site.told
    assert (lost.sink, lost.why) == ("outside", "unreachable")
    assert restored.from_seq == 60
    assert restored.to_seq > 400
    assert HOUR_MS - 20_000 < restored.for_ms < HOUR_MS + 120_000
    late = [one for one in sink.came if one.late_ms]
    assert all(one.late_ms == 0 or 10_000 < one.late_ms < HOUR_MS + 120_000 for one in sink.came)
    assert 350 <= len(late) <= 370, "what was late says so, and nothing else does"


WHYS = ("unreachable", "timeout", "busy", "storage")
FAULTS = st.tuples(st.one_of(st.integers(0, 5), st.sampled_from(WHYS), st.just("crash")), st.integers(0, 5))


@pytest.mark.req("A-28")
@given(
    batch_max=st.integers(1, 5),
    faults=st.lists(FAULTS, max_size=25),
    growth=st.lists(st.tuples(st.integers(0, 120_000), st.integers(1, 6)), max_size=8),
    away=st.lists(st.tuples(st.integers(0, 120_000), st.booleans()), max_size=4),
)
@settings(max_examples=60)
def test_whatever_fails_each_record_arrives_at_least_once_and_in_order(batch_max, faults, growth, away):
    """One unlucky moment of a crash, a lost answer or half an answer leaves a hole in the archive for ever."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        site = Site()
        sink = Receiver(batch_max=batch_max)
        ends = {"crash": Crash()} | {why: SinkDown(why, "") for why in WHYS}
        sink.faults = [(ends.get(fault, fault), arrives) for fault, arrives in faults]
        for at_ms, count in growth:
            site.at(at_ms, lambda count=count: site.grows(count))
        for at_ms, is_away in away:
            site.at(at_ms, lambda is_away=is_away: setattr(site, "is_away", is_away))
        site.at(130_000, lambda: setattr(site, "is_away", False))
        lives = 0
        while site.ms < 130_000 or sink.faults:
            lives += 1
            sink.faults = sink.faults if lives < 12 else []
            with suppress(Crash):
                carried(site, sink, Path(folder), for_ms=90_000)
        carried(site, sink, Path(folder), for_ms=180_000)
        newest = -1
        for one in sink.came:
            assert one.seq <= newest + 1, f"{one.seq} came when {newest} was the newest"
            newest = max(newest, one.seq)
        assert sink.kept == list(range(len(site.records)))
        assert {one.origin for one in sink.came} <= {ORIGIN}
        assert site.codes == ["SINK_LOST", "SINK_RESTORED"] * (len(site.told) // 2)


@pytest.mark.req("A-28")
@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("ledger_behind", lambda site: site.records.__delitem__(slice(4, None))),
        ("ledger_behind", lambda site: site.records.pop()),
        ("other_history", lambda site: (site.records.__delitem__(slice(4, None)), site.grows(9, node="other"))),
        ("other_ledger", lambda site: setattr(site, "vkey", Signer(origin="sekisho.example/other").vkey)),
        ("other_key", lambda site: setattr(site, "vkey", Signer(seed=bytes(32), origin=ORIGIN).vkey)),
    ],
)
def test_another_ledger_stops_the_sink_and_is_told(tmp_path, why, change: Callable[[Site], object]):
    """An older disk image is put back, and the archive outside quietly gets other records under the same numbers."""
    site, sink = Site(), Receiver()
    site.grows(6)
    carried(site, sink, tmp_path)
    before = (tmp_path / "outside.cursor").read_bytes()
    change(site)
    carried(site, sink, tmp_path)
    assert sink.kept == [0, 1, 2, 3, 4, 5]
    assert [(one.code, one.why) for one in site.told] == [("SINK_LOST", why)]
    assert (tmp_path / "outside.cursor").read_bytes() == before

    (tmp_path / "outside.cursor").rename(tmp_path / "put-aside")  # somebody found out why
    carried(site, sink, tmp_path)
    assert sink.came[6].seq == 0
    assert site.codes == ["SINK_LOST", "SINK_RESTORED"]
    assert (site.told[1].from_seq, site.told[1].to_seq) == (0, len(site.records) - 1)


def rotation(seq: int, old: Signer, new: Signer, *signers: Signer) -> Record:
    """LEDGER_KEY_ROTATED, its checkpoint signed by `signers`."""
    plain = record(
        seq, type="LEDGER_KEY_ROTATED", detail={"id": "r", "old": old.vkey, "new": new.vkey, "officer2": "b"}
    )
    leaves = [b"%d" % at for at in range(seq + 1)]
    notes = [signer.checkpoint(leaves) for signer in signers]
    return msgspec.structs.replace(plain, checkpoint=notes[0] + "".join(note.split("\n\n")[1] for note in notes[1:]))


@pytest.mark.req("A-28")
def test_a_key_that_both_keys_signed_for_is_followed_and_no_other(tmp_path):
    """After the yearly change of the ledger's key the archive gets nothing more; or a thief's key is taken for it."""
    old, new, thief = (Signer(seed=bytes([n]) * 32, origin=ORIGIN) for n in (1, 2, 3))
    cases = ((old, (old, new), True), (old, (new,), False), (old, (thief, new), False), (thief, (thief, new), False))
    for number, (said, signers, is_followed) in enumerate(cases):
        site, sink, folder = Site(), Receiver(), tmp_path / str(number)
        folder.mkdir()
        site.vkey = old.vkey
        site.grows(3)
        carried(site, sink, folder)
        site.records.append(rotation(3, said, new, *signers))
        site.vkey = new.vkey
        site.grows(3)
        carried(site, sink, folder)
        assert sink.kept == list(range(7 if is_followed else 3)), signers
        assert site.codes == ([] if is_followed else ["SINK_LOST"])


def test_a_damaged_cursor_is_no_new_one(tmp_path):
    """A worn SD card makes the program send years of records again, or skip to the end."""
    site, sink = Site(), Receiver()
    site.grows(4)
    carried(site, sink, tmp_path)
    (tmp_path / "outside.cursor").write_bytes(b'{"v":1,"seq":')
    site.grows(4)
    carried(site, sink, tmp_path)
    assert sink.kept == [0, 1, 2, 3]
    assert [one.why for one in site.told] == ["cursor"]
    assert (tmp_path / "outside.cursor").read_bytes() == b'{"v":1,"seq":'


def test_a_blink_makes_no_record_and_an_outage_is_told_when_the_controller_is_back(tmp_path):
    """A sink that restarts every night fills the ledger with alarms; or an alarm is lost because nobody heard it."""
    site, sink = Site(), Receiver()
    site.grows(1)
    sink.faults = [(SinkDown("busy", ""), 0)]
    carried(site, sink, tmp_path)
    assert site.codes == []
    site.hears, sink.is_down = False, "timeout"
    site.grows(2)
    carried(site, sink, tmp_path)
    sink.is_down = ""
    carried(site, sink, tmp_path)
    assert site.codes == []
    site.hears = True
    carried(site, sink, tmp_path)
    assert site.codes == ["SINK_LOST", "SINK_RESTORED"]
    assert len({one.id for one in site.told}) == 2


def test_an_outage_that_comes_again_before_it_was_told_is_one(tmp_path):
    """The page says that records arrive again, while they do not."""
    site, sink = Site(), Receiver()
    site.hears = False
    for is_down in ("timeout", "", "timeout"):
        sink.is_down = is_down
        site.grows(1)
        carried(site, sink, tmp_path)
    site.hears = True
    carried(site, sink, tmp_path)
    assert site.codes == ["SINK_LOST"]
    sink.is_down = ""
    carried(site, sink, tmp_path)
    assert site.codes == ["SINK_LOST", "SINK_RESTORED"]
    assert (site.told[1].from_seq, site.told[1].to_seq) == (0, 2)


def test_a_sink_that_is_gone_is_left_alone_until_the_next_start(tmp_path):
    """A receiver that said 410 is asked again every minute for ever."""
    site, sink = Site(), Receiver(is_down="gone")
    site.grows(1)
    carried(site, sink, tmp_path, for_ms=HOUR_MS)
    assert sink.tries == 1
    assert [(one.code, one.why) for one in site.told] == [("SINK_LOST", "gone")]
    sink.is_down = ""
    carried(site, sink, tmp_path)
    assert sink.kept == [0]
    assert site.codes == ["SINK_LOST", "SINK_RESTORED"]


def test_a_sink_that_was_taken_out_of_the_settings_leaves_no_alarm_behind(tmp_path):
    """A misspelt sink was an alarm once, and stands on the page for as long as there is a page."""
    site, sink = Site(), Receiver(is_down="tls")
    site.grows(1)
    carried(site, sink, tmp_path)
    world = World(now_ms=lambda: START_MS, wait=lambda _s: False, chance=lambda: 0.5, tell=site.tell)
    assert removed(tmp_path, ["outside"]) == []
    site.hears = False
    (file,) = tell_removed(removed(tmp_path, ["other"]), world)
    site.hears = True
    assert tell_removed([file], world) == removed(tmp_path, ["other"]) == []
    assert site.codes == ["SINK_LOST", "SINK_REMOVED"]


def test_an_outage_of_days_is_a_few_lines_in_the_log(tmp_path, caplog):
    """The log has turned over when somebody looks for how it began."""
    caplog.set_level("INFO")
    site, sink = Site(), Receiver(is_down="unreachable")
    site.grows(1)
    carried(site, sink, tmp_path, for_ms=HOUR_MS)
    assert sink.tries >= 60
    assert len(caplog.records) <= 4


def test_tries_come_a_minute_apart_and_a_rest_that_was_asked_for_is_kept(tmp_path):
    """A receiver that has just come back is beaten down again by those who waited for it."""
    site, sink = Site(), Receiver(is_down="unreachable")
    site.grows(1)
    carried(site, sink, tmp_path, for_ms=HOUR_MS)
    assert 60 <= sink.tries <= 70
    sink.tries, sink.is_down, sink.retry_after_s = 0, "busy", 600
    carried(site, sink, tmp_path, for_ms=HOUR_MS)
    assert 6 <= sink.tries <= 7


def test_a_key_that_changed_before_the_first_record_is_not_waited_for(tmp_path):
    """A controller that was set up anew, with nothing in its ledger yet, holds the sink for ever without a word."""
    site, sink = Site(), Receiver()
    carried(site, sink, tmp_path)
    site.vkey = Signer(seed=bytes(32), origin=ORIGIN).vkey
    carried(site, sink, tmp_path)
    assert [one.why for one in site.told] == ["other_key"]


@pytest.mark.req("A-28")
def test_a_record_that_came_with_a_status_behind_it_is_sent_at_once(tmp_path):
    """An alarm waits until the next one happens."""
    site, sink = Site(), Receiver(batch_max=9)
    carried(site, sink, tmp_path, for_ms=1000)
    site.grows(1)
    site.has_more = lambda: site.ms < 2500  # the line can be read: a status is on its way
    carried(site, sink, tmp_path, for_ms=2500)
    assert sink.kept == [0]


@pytest.mark.req("A-28")
def test_a_record_that_the_link_left_out_is_asked_for_again(tmp_path):
    """One record is lost between two programs on one machine, and the archive has a hole that nobody looks for."""

    class Skipping(Site):
        skipped = False

        def stream(self, from_seq: int):
            for message in super().stream(from_seq):
                if isinstance(message, Record) and message.seq == 2 and not self.skipped:
                    self.skipped = True
                    continue
                yield message

    site, sink = Skipping(), Receiver()
    site.grows(5)
    carried(site, sink, tmp_path)
    assert sink.kept == [0, 1, 2, 3, 4]


class Lagging(Receiver):
    """As syslog: of what it was given the last two are never acknowledged."""

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        super().deliver(batch)
        return max(0, len(batch) - 2)


def test_what_is_never_acknowledged_is_handed_over_with_what_follows_and_not_over_and_over(tmp_path):
    """A SIEM on syslog is sent the same two records a thousand times a second, or nothing new behind them."""
    site, sink = Site(), Lagging(batch_max=9)
    site.records_every(1000, 30_000)
    carried(site, sink, tmp_path, for_ms=130_000)
    assert sink.kept == list(range(30))
    assert json.loads((tmp_path / "outside.cursor").read_text())["seq"] == 27
    assert sink.tries < 30 + 130 / 5 + 5
    carried(site, sink, tmp_path)
    assert [one.seq for one in sink.came[-2:]] == [28, 29], "and after a restart, too"


@pytest.mark.req("A-28")
def test_filters_leave_out_and_never_stand_still(tmp_path):
    """The SIEM is sent every badge of every door, or the cursor waits for ever for a record it does not want."""
    site, sink = Site(), Receiver()
    for number in range(30):
        site.grows(1, type="DOOR_FORCED" if number % 5 == 0 else "PASSAGE", zone="vault" if number % 2 else "office")
    section = SinkSection(name="outside", types=("DOOR_FORCED",), zones=("vault",))
    carried(site, sink, tmp_path, section=section)
    assert sink.kept == [5, 15, 25]
    assert json.loads((tmp_path / "outside.cursor").read_text())["seq"] == 29
    site.grows(1, type="DOOR_FORCED", zone="vault")
    carried(site, sink, tmp_path, section=section)
    assert [one.seq for one in sink.came] == [5, 15, 25, 30]


def test_a_sink_can_begin_now(tmp_path):
    """A new SIEM is flooded with years of badges, each an alarm there."""
    site, sink = Site(), Receiver()
    site.grows(20)
    section = SinkSection(name="outside", start="now")
    carried(site, sink, tmp_path, section=section)
    site.grows(2)
    carried(site, sink, tmp_path, section=section)
    assert sink.kept == [20, 21]


def test_a_record_of_a_later_version_travels_like_any_other(tmp_path):
    """After an upgrade one record that the program cannot read stops all that come behind it."""
    site, sink = Site(), Receiver()
    site.grows(1)
    strange = record(1)
    site.records.append(msgspec.structs.replace(strange, body='{"v":2}', leaf='{"v":2}'))
    site.records.append(msgspec.structs.replace(record(2), body=None, salt=None))
    carried(site, sink, tmp_path)
    assert [(one.seq, one.type, one.body) for one in sink.came[1:]] == [(1, "", '{"v":2}'), (2, "", None)]


def test_a_mistake_of_ours_is_an_outage_and_not_the_end(tmp_path):
    """One exception that nobody thought of ends a sink's thread, and nobody is told until the auditor comes."""
    site, sink = Site(), Receiver()
    sink.faults = [(ZeroDivisionError("ours"), 0)]
    site.grows(2)
    carried(site, sink, tmp_path, for_ms=200_000)
    assert sink.kept == [0, 1]
    cursor = msgspec.json.decode((tmp_path / "outside.cursor").read_bytes(), type=Cursor)
    assert cursor.seq == 1
