"""controller/streams/syslog.py: RFC 5424 over TLS with a real rsyslog, and exactly what may be lost on the way."""

from __future__ import annotations

import json
import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.streams.event_names import EVENTS, WITHOUT_BODY
from controller.streams.outgoing import Outgoing, outgoing
from controller.streams.sinks import SinkDown
from controller.streams.syslog import SyslogSection, SyslogSink
from controller.streams.syslog_message import BOM, Style, frames
from tests.controller.streams.made_ledger import ORIGIN, START_MS, Day, made, record
from tests.controller.streams.receivers import ByHand, Rsyslog
from tests.controller.streams.wire import Wire
from tests.deploy.certificates import Authority

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
RFC5424 = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<at>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<host>[!-~]{1,255}) sekisho"
    r" (?P<procid>[!-~]{1,128}) (?P<msgid>[!-~]{1,32})"
    r' (?P<sd>(?:\[[!-<>-~^\]]{1,32}(?: [a-z_A-Z]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+) \ufeff(?P<text>.*)',
    re.DOTALL,
)
"""The grammar of RFC 5424 §6, as far as we use it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Authority:
    made_here = Authority(tmp_path_factory.mktemp("site"))
    made_here.issue("receiver", hosts=("127.0.0.1",))
    made_here.issue("sekisho-streams")
    return made_here


@pytest.fixture
def closing():
    made_here: list = []

    def give(one):
        made_here.append(one)
        return one

    yield give
    for one in reversed(made_here):
        getattr(one, "kill", getattr(one, "close", None))()


@pytest.fixture
def section(site):
    def make(port: int, **keys: object) -> SyslogSection:
        known = {
            "name": "siem",
            "host": "127.0.0.1",
            "port": port,
            "ca_file": site.ca,
            "cert_file": site.folder / "sekisho-streams.pem",
            "key_file": site.folder / "sekisho-streams.key",
        }
        return SyslogSection(**(known | keys))

    return make


def delivered(sink: SyslogSink, records: list[Outgoing]) -> int:
    """What a courier does, without its waits: how many of `records` are acknowledged when all were offered."""
    done = 0
    for end in range(1, len(records) + 1):
        if end - done >= sink.batch_max or end % 7 == 0 or end == len(records):
            done += sink.deliver(records[done:end])
    return done


# -- with rsyslog ----------------------------------------------------------------------------------------------------


@pytest.mark.needs("rsyslog")
@pytest.mark.req("A-28")
def test_rsyslog_stores_each_record_as_the_ledger_has_it(site, section, closing, tmp_path):
    """A SIEM would show something else than the ledger holds, or cut what is long."""
    receiver = closing(Rsyslog(tmp_path, site))
    sink = closing(SyslogSink(section(receiver.port)))
    large = made(2, detail={"edit": '取扱区画 "]\\ ' * 3000})
    sink.deliver([made(0, zone="vault", now_ms=START_MS + 60_000), made(1), large, made(3)])
    receiver.numbers(last=3)
    lines = receiver.stored.read_text("utf-8").splitlines()
    found = [RFC5424.fullmatch(line) for line in lines]
    assert all(found)
    assert found[0]["text"] == record(0, zone="vault").body
    for part in (f'origin="{ORIGIN}"', 'seq="0"', 'zone="vault"', 'late_ms="60000"', f'salt="{record(0).salt}"'):
        assert part in found[0]["sd"]
    pieces = [one for one in found if 'seq="2"' in one["sd"]]
    assert "".join(one["text"] for one in pieces) == large.body
    assert [f'part="{n}" parts="{len(pieces)}"' in one["sd"] for n, one in enumerate(pieces, 1)] == [True] * len(pieces)


@pytest.mark.needs("rsyslog")
@pytest.mark.req("A-28")
def test_an_hour_without_rsyslog_and_a_restart_of_both_leave_no_gap(site, section, closing, tmp_path):
    """The records of the hour in which the receiver was away would be missing in the SIEM, and nobody would know."""
    receiver = closing(Rsyslog(tmp_path, site))
    wire = closing(Wire(receiver.port))
    day = Day(ends_ms=0)
    day.records_every(40_000, until_ms=90 * MINUTE_MS)
    day.at(10 * MINUTE_MS, receiver.kill)
    day.at(10 * MINUTE_MS + HOUR_MS, receiver.start)
    cursor = tmp_path / "siem.cursor"
    for until_ms in (3 * MINUTE_MS, 40 * MINUTE_MS, 75 * MINUTE_MS, 95 * MINUTE_MS):  # our side restarts, also in it
        day.carry(section(wire.port), SyslogSink(section(wire.port)), cursor, until_ms=until_ms)
    numbers = receiver.numbers(last=len(day.records) - 1)
    assert list(dict.fromkeys(numbers)) == list(range(len(day.records)))
    assert len(numbers) > len(day.records), "the last ones are sent again after each reconnect"
    assert [one.code for one in day.told] == ["SINK_LOST", "SINK_RESTORED"]


@pytest.mark.needs("rsyslog")
@pytest.mark.req("A-28")
def test_what_a_receiver_that_hangs_never_read_is_not_lost_with_it(site, section, closing, tmp_path):
    """Hundreds of records would lie in the kernel of a machine that hangs, counted as sent, and die with it."""
    receiver = closing(Rsyslog(tmp_path, site))
    sink = closing(SyslogSink(section(receiver.port, timeout_s=2.0, resend=8)))
    records = [made(seq) for seq in range(100)]
    done = delivered(sink, records[:40])
    assert done >= 24
    receiver.numbers(last=39)
    receiver.freeze()
    with pytest.raises(SinkDown) as down:
        delivered(sink, records[done:])
    assert down.value.code == "timeout"
    receiver.kill()
    with pytest.raises(SinkDown) as down:
        sink.deliver(records[done : done + 10])
    assert down.value.code == "unreachable"
    receiver.start()
    delivered(sink, records[done:])
    assert sorted(set(receiver.numbers(last=99))) == list(range(100))


@pytest.mark.needs("rsyslog")
@pytest.mark.req("A-28", "B-27")
def test_records_go_to_who_has_the_certificate_and_come_from_who_has_one(site, section, closing, tmp_path):
    """Somebody who takes the SIEM's address would be told who is where; anybody could write into the SIEM."""
    receiver = closing(Rsyslog(tmp_path, site))
    stranger = Authority(tmp_path / "stranger", "Stranger")
    stranger.issue("sekisho-streams")
    refused = [
        ("tls", {"ca_file": stranger.ca}),
        ("not_authorized", {"cert_file": None, "key_file": None}),
        (
            "not_authorized",
            {
                "cert_file": stranger.folder / "sekisho-streams.pem",
                "key_file": stranger.folder / "sekisho-streams.key",
            },
        ),
    ]
    for code, keys in refused:
        with pytest.raises(SinkDown) as down:
            closing(SyslogSink(section(receiver.port, **keys))).deliver([made(7)])
        assert down.value.code == code
    closing(SyslogSink(section(receiver.port))).deliver([made(8)])
    assert receiver.numbers(last=8) == [8]


# -- with a receiver played by hand: what exactly may be lost --------------------------------------------------------


@pytest.mark.req("A-28")
@pytest.mark.parametrize("resend", [0, 1, 5, 64])
def test_only_what_the_receiver_had_read_and_lost_itself_can_be_missing(site, section, closing, resend):
    """Syslog acknowledges nothing. The page says what may be lost; more would be lost than it says."""
    receiver = closing(ByHand(site))
    sink = closing(SyslogSink(section(receiver.port, resend=resend)))
    records = [made(seq) for seq in range(200)]
    receiver.is_storing = False  # it reads, and keeps it in memory
    done = delivered(sink, records[:150])
    assert 150 - 2 * resend - 7 <= done <= max(0, len(receiver.read) - resend), "never more than read, less `resend`"
    receiver.until(149)
    receiver.close()  # it dies with its queue
    with pytest.raises(SinkDown):
        sink.deliver(records[done:151])
    after = closing(ByHand(site))
    again = closing(SyslogSink(section(after.port, resend=resend)))
    delivered(again, records[done:])
    after.until(199)
    missing = set(range(200)) - set(after.stored)
    assert missing == set(range(done)), "what was acknowledged is gone, and nothing else"
    assert set(range(150 - resend, 150)) <= set(after.stored), "the last ones that it had read came again"


@pytest.mark.req("A-28")
def test_a_line_that_was_closed_unread_acknowledges_nothing(site, section, closing):
    """A receiver that dies with unread records would count as one that had stored them."""
    receiver = closing(ByHand(site))
    sink = closing(SyslogSink(section(receiver.port, resend=1, timeout_s=5.0)))
    assert sink.deliver([made(0), made(1)]) == 1
    receiver.is_reading.clear()
    threading.Timer(0.3, receiver.close).start()
    with pytest.raises(SinkDown):
        sink.deliver([made(1), made(2), made(3), made(4)])


@pytest.mark.req("A-28")
@pytest.mark.parametrize("dies_at", [0, 1, 7, 20, 38, 39])
def test_whenever_a_receiver_ends_the_line_nothing_unread_counts(site, section, closing, dies_at):
    """A receiver that ends the line just as we end it would seem to have read what it never saw."""
    records = [made(seq) for seq in range(41)]
    for _ in range(5):
        receiver = closing(ByHand(site))
        receiver.dies_at = dies_at
        sink = closing(SyslogSink(section(receiver.port, resend=1)))
        try:
            done = sink.deliver(records[:40])
        except SinkDown as down:
            done = down.acknowledged
        assert done < len(receiver.read) and receiver.read == list(range(dies_at + 1))
        sink.close()
        receiver.close()


@pytest.mark.req("A-28")
def test_a_line_that_broke_while_nothing_happened_is_noticed_before_more_is_written(site, section, closing):
    """Records would be written into a line that nobody reads any more, until it fills up."""
    receiver = closing(ByHand(site))
    sink = closing(SyslogSink(section(receiver.port)))
    assert sink.deliver([made(0)]) == 0
    receiver.close()
    with pytest.raises(SinkDown) as down:
        sink.deliver([made(0)])
    assert down.value.code in ("unreachable", "tls")


@pytest.mark.req("A-28")
def test_what_is_handed_over_again_is_not_written_again_while_the_line_stands(site, section, closing):
    """A quiet site would send its last records again every few seconds, for ever."""
    receiver = closing(ByHand(site))
    sink = closing(SyslogSink(section(receiver.port, resend=4)))
    records = [made(seq) for seq in range(3)]
    for _ in range(5):
        assert sink.deliver(records) == 0
    assert sink.deliver([*records, made(3), made(4)]) == 1
    assert sink.deliver([*records[1:], made(3), made(4)]) == 0
    receiver.until(4)
    assert receiver.read == [0, 1, 2, 3, 4]


# -- the message -----------------------------------------------------------------------------------------------------

STYLE = Style(format="json", enterprise="32473", hostname="", bytes_max=8192)


def message(one: Outgoing, style: Style = STYLE) -> re.Match[str]:
    """The only message of `one`, taken out of its frame and read by RFC 5424's grammar."""
    (frame,) = frames(one, style)
    length, _, rest = frame.partition(b" ")
    assert int(length) == len(rest)
    found = RFC5424.fullmatch(rest.decode())
    assert found is not None, rest
    return found


def test_a_message_says_when_where_and_what():
    """A SIEM would sort records by when they were sent, and call an alarm a note."""
    found = message(made(3, type="DOOR_FORCED", clock="untrusted"))
    assert (found["at"], found["host"], found["procid"], found["msgid"]) == (
        "2026-05-28T20:26:40.000Z",
        "lab",
        "b1",
        "DOOR_FORCED",
    )
    assert found["pri"] == str(10 * 8 + 2)
    assert '[timeQuality tzKnown="1" isSynced="0"]' in found["sd"]
    assert message(made(3), Style(format="cef", enterprise="1.2", hostname="gate", bytes_max=8192))["host"] == "gate"


@pytest.mark.parametrize("type_", sorted(EVENTS))
def test_every_type_fits_the_header(type_):
    """A record with a long name would make a message that no receiver can read."""
    assert message(made(1, type=type_))["msgid"] == type_
    assert type_ != WITHOUT_BODY


def test_a_record_without_its_body_still_has_its_place():
    """Where retention dropped a body the numbers would have a gap, and a gap means that somebody took something."""
    bare = outgoing(record(5), ORIGIN, START_MS)
    gone = Outgoing(
        **{name: getattr(bare, name) for name in ("origin", "seq", "leaf", "checkpoint", "class_")},
        salt=None,
        body=None,
        at_ms=0,
        type="",
        zone=None,
        late_ms=0,
    )
    found = message(gone)
    assert (found["at"], found["msgid"], found["text"]) == ("-", "-", bare.leaf)
    assert 'seq="5"' in found["sd"] and "salt" not in found["sd"]


HOSTILE = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)


@pytest.mark.req("A-28")
@settings(max_examples=200)
@given(
    fields=st.fixed_dictionaries({}, optional=dict.fromkeys(("zone", "type", "node", "boot", "clock"), HOSTILE)),
    origin=HOSTILE,
    at_ms=st.integers(-(2**53), 2**53),
    format_=st.sampled_from(["json", "cef"]),
)
def test_nothing_that_a_record_holds_ends_a_field_or_a_frame(fields, origin, at_ms, format_):
    """Whoever may name a zone could write records into a SIEM that never happened."""
    one = outgoing(record(1, **(fields | {"at_ms": at_ms})), origin, START_MS)
    style = Style(format=format_, enterprise="32473", hostname="", bytes_max=1 << 20)
    found = message(one, style)
    assert found["sd"].count("[sekisho@32473 ") == 1 or "[sekisho@32473" in origin + str(fields)
    unquoted = re.sub(r"\\(.)", r"\1", re.search(r'origin="((?:[^"\\\]]|\\.)*)"', found["sd"], re.DOTALL)[1])
    assert unquoted == origin
    if format_ == "json":
        assert json.loads(found["text"]) == json.loads(one.body)
    assert BOM not in found["text"] or BOM in str(fields) + origin
