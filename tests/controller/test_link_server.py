"""The controller's end of the socket: whatever the web process does there, doors are not kept waiting."""

from __future__ import annotations

import json
import os
import selectors
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from controller.link.messages import LINE_BYTES_MAX, Done, Status, Welcome
from controller.link.server import OUT_BYTES_MAX, PAGE_RECORDS, REQUESTS_BURST, SESSIONS_MAX, LinkServer
from zones.moment import Moment

NOON = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
HELLO = b'{"is":"hello","client":"test","protocol":1}\n'
NOTE = b'{"is":"note","id":"note-%06d","type":"EXPORT","officer":"officer-01"}\n'


class Peer:
    """A client that does only what it is told."""

    def __init__(self, served: Served, path: Path) -> None:
        self._served = served
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.connect(str(path))
        self._buffer = b""
        self.is_ended = False

    def sends(self, octets: bytes) -> Peer:
        """As much as the server takes before it ends the connection."""
        while octets and not self.is_ended:
            try:
                octets = octets[self.socket.send(octets) :]
            except BlockingIOError:
                return self
            except OSError:
                self.is_ended = True
            self._served.turns()
        return self

    def hears(self) -> list[dict[str, Any]]:
        """Every whole line that came."""
        self._served.turns()
        while not self.is_ended:
            try:
                chunk = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except ConnectionResetError:
                chunk = b""
            self.is_ended = not chunk
            self._buffer += chunk
            self._served.turns()
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines]


class Served:
    """A link server in a loop that turns when the test says so, on a virtual tick."""

    def __init__(self, folder: Path) -> None:
        self.selector = selectors.DefaultSelector()
        self.tick_ms = 1_000_000
        self.path = folder / "link.sock"
        self.requests: list[tuple[int, Any]] = []
        self.fetches: list[tuple[int, int, int]] = []
        self.takes: Callable[[], bool] = lambda: True
        self.ledger: Ledger | None = None
        self.peers: list[Peer] = []
        self.server = LinkServer(
            self.path, self.selector, on_request=self._on_request, welcome=self._welcome, fetch=self._fetch
        )

    def _on_request(self, session: int, message: Any) -> bool:
        if self.takes():
            self.requests.append((session, message))
            return True
        return False

    def _welcome(self) -> Welcome:
        return Welcome(node="gate", boot="b0", size=0, revision="00", vkey="k", protocol=1)

    def _fetch(self, session: int, from_seq: int, limit: int) -> None:
        self.fetches.append((session, from_seq, limit))

    def _status(self) -> Status:
        return Status(
            at_ms=self.tick_ms,
            boot="b0",
            size=0,
            revision="00",
            is_ledger_writable=True,
            is_clock_trusted=True,
            deviations=[],
            devices_offline=[],
        )

    def peer(self, first: bytes = HELLO) -> Peer:
        self.peers.append(Peer(self, self.path))
        return self.peers[-1].sends(first)

    def turns(self) -> None:
        """Turn the loop until nothing is to be done, at this tick."""
        for _ in range(10_000):
            ready = self.selector.select(0)
            for key, mask in ready:
                key.data(mask, self.tick_ms)
            self.server.tick(self.tick_ms, self._status)
            if self.ledger is not None:
                for session, from_seq, limit in self.fetches:
                    self.server.page(session, from_seq, self.ledger.read(from_seq, limit), self.tick_ms)
                self.fetches.clear()
            if not ready:
                return
        pytest.fail("the loop never comes to rest")

    def passes(self, milliseconds: int) -> None:
        """Time goes by; the loop wakes when the server said so."""
        end = self.tick_ms + milliseconds
        while self.tick_ms < end:
            due = self.server.deadline(self.tick_ms)
            self.tick_ms = min(end, max(self.tick_ms + 1, end if due is None else due))
            self.turns()

    @property
    def sessions(self) -> int:
        return len(self.server._sessions)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.server.close()
    for peer in made.peers:
        peer.socket.close()
    made.selector.close()
    if made.ledger is not None:
        made.ledger.close()


@pytest.fixture
def ledger(served: Served, tmp_path: Path) -> Ledger:
    """A real ledger behind the server; its records are appended by the test."""
    served.ledger = Ledger.open(tmp_path / "ledger.db", SigningKey.from_seed(bytes(32)), "sekisho.example/gate")
    return served.ledger


def grow(served: Served, ledger: Ledger, count: int) -> None:
    scribe = Scribe(node="gate", boot="b0")
    now = Moment(at=NOON, tick_ms=served.tick_ms)
    ledger.append([scribe.draft("REX", now=now, portal=f"p{n}") for n in range(count)])
    served.server.grown(ledger.size)


def test_the_socket_is_open_to_its_group_and_nobody_else(served):
    """Anybody with an account on the box could propose changes."""
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o660


def test_a_stale_socket_is_replaced_and_a_closed_server_leaves_none(served, tmp_path):
    """After a power cut the web process would find no controller."""
    other = LinkServer(
        served.path, served.selector, on_request=served._on_request, welcome=served._welcome, fetch=served._fetch
    )
    peer = served.peer()
    assert peer.hears()[0]["is"] == "welcome"
    other.close()
    assert not served.path.exists()
    assert peer.hears() == [] and peer.is_ended


BAD_LINES = [
    (b'{"is":"note","id":"note-000001","type":"EXPORT","officer":"o"}\n', "say hello first"),
    (b'{"is":"subscribe","from_seq":0}\n', "say hello first"),
    (b'{"is":"hello","client":"test","protocol":2}\n', "this controller speaks protocol 1"),
    (b'{"is":"hello","client":"test","protocol":1,"more":1}\n', "unknown field `more`"),
    (HELLO + b'{"is":"unlock","portal":"front"}\n', "Invalid value 'unlock'"),
    (HELLO + b'{"is":"record","seq":1,"leaf":""}\n', "Invalid value 'record'"),
    (HELLO + b'{"is":"done","id":"note-000001"}\n', "Invalid value 'done'"),
    (HELLO + b'{"is":"subscribe","from_seq":"0"}\n', "Expected `int`"),
    (HELLO + b'{"is":"subscribe","from_seq":1.5}\n', "Expected `int`"),
    (HELLO + b"[]\n", "Expected `object`"),
    (HELLO + b"\n", "truncated"),
    (HELLO + b"GET / HTTP/1.1\r\n", "malformed"),
    (HELLO + b'{"is":"hello","client":"\xff"}\n', "UTF-8"),
    (HELLO + b'{"is":"hello","client":"\\ud800"}\n', ""),
    (HELLO + b'{"is":"propose","id":"x","base":"","not_after_ms":1,"officer":"o","puts":' + b"[" * 3000 + b"\n", ""),
    (HELLO + b"\x00" * (LINE_BYTES_MAX + 1), "at most 65536 bytes"),
    (HELLO + b"x" * (LINE_BYTES_MAX + 1) + b"\n", "at most 65536 bytes"),
]


@pytest.mark.parametrize(("octets", "words"), BAD_LINES)
def test_a_line_that_is_not_understood_ends_the_session(served, octets, words):
    """Half an understanding would act on something that nobody said."""
    peer = served.peer(octets)
    *_, refused = peer.hears()
    assert refused["is"] == "refused" and refused["code"] == "protocol" and words in refused["why"]
    assert peer.is_ended and served.requests == [] and served.sessions == 0


def test_lines_may_come_in_any_pieces(served):
    """A request would be lost, or taken twice, because a socket cut it in two."""
    whole = HELLO + NOTE % 1
    for cut in range(len(whole) + 1):
        peer = served.peer(whole[:cut])
        peer.sends(whole[cut:])
        assert [line["is"] for line in peer.hears()] == ["welcome"]
        peer.socket.close()
        served.turns()
        served.passes(40)
    assert [message.id for _, message in served.requests] == ["note-000001"] * (len(whole) + 1)
    assert served.sessions == 0


def test_a_flood_of_good_requests_is_taken_at_a_bounded_rate_and_others_are_served(served):
    """The web process could keep the loop from its doors by asking much."""
    flood = served.peer().sends(b"".join(NOTE % n for n in range(1000)))
    assert len(served.requests) == REQUESTS_BURST - 1
    served.requests.clear()
    other = served.peer().sends(NOTE % 7)
    assert len(other.hears()) == 1 and len(served.requests) == 1
    served.passes(2000)
    assert 95 <= len(served.requests) <= 105
    served.passes(20_000)
    served.server.send(1, Done(id="note-000001", seq=1))
    assert [line["is"] for line in flood.hears()] == ["welcome", "done"]
    assert [message.id for session, message in served.requests if session == 1][-1] == "note-000999"


def test_what_a_turn_has_no_room_for_is_refused_as_busy(served):
    """A request would be forgotten without a word."""
    served.takes = lambda: False
    peer = served.peer().sends(NOTE % 1)
    assert [(line["is"], line.get("code"), line.get("id")) for line in peer.hears()][1:] == [
        ("refused", "busy", "note-000001")
    ]


def test_the_seventeenth_connection_is_told_so(served):
    """Connections that are never closed would eat the loop's descriptors."""
    peers = [served.peer() for _ in range(SESSIONS_MAX)]
    late = served.peer(b"")
    (refused,) = late.hears()
    assert refused["code"] == "busy" and late.is_ended and served.sessions == SESSIONS_MAX
    peers[0].socket.close()
    served.turns()
    assert served.peer().hears()[0]["is"] == "welcome"


def test_a_subscriber_gets_every_record_once_and_in_order(served, ledger):
    """The view of the officers would miss an alarm, or show it twice."""
    grow(served, ledger, 3 * PAGE_RECORDS + 50)
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    served.passes(1000)
    grow(served, ledger, 7)
    served.passes(1000)
    got = [line for line in peer.hears() if line["is"] == "record"]
    assert [line["seq"] for line in got] == list(range(ledger.size))
    stored = ledger.read(640, 20)
    for line, record in zip(got[640:], stored, strict=False):
        assert line["leaf"].encode() == record.leaf and line["body"].encode() == record.body
        assert bytes.fromhex(line["salt"]) == record.salt
        assert line.get("checkpoint") == (record.checkpoint.decode() if record.checkpoint else None)


@pytest.mark.parametrize(("from_seq", "first"), [(0, 0), (199, 199), (200, 200), (401, 401), (-5, 0)])
def test_a_subscription_goes_on_where_it_ended(served, ledger, from_seq, first):
    """After an upgrade of the web process records would be missing from its view."""
    grow(served, ledger, 402)
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":%d}\n' % from_seq)
    served.passes(500)
    assert [line["seq"] for line in peer.hears() if line["is"] == "record"] == list(range(first, 402))


def test_a_subscription_from_the_future_waits_for_it(served, ledger):
    """A view that knows more than the ledger (a restored backup) would stop the loop, or get another's records."""
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":5}\n')
    grow(served, ledger, 5)
    served.passes(500)
    assert [line for line in peer.hears() if line["is"] == "record"] == []
    grow(served, ledger, 2)
    served.passes(500)
    assert [line["seq"] for line in peer.hears() if line["is"] == "record"] == [5, 6]


def test_subscribing_anew_while_a_page_is_fetched_goes_on(served):
    """The live view would stand still for good."""
    served.server.grown(10)
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n').sends(b'{"is":"subscribe","from_seq":4}\n')
    assert served.fetches == [(1, 0, PAGE_RECORDS)]
    served.server.page(1, 0, [], served.tick_ms)
    served.passes(100)
    assert served.fetches[1:] == [(1, 4, PAGE_RECORDS)]
    assert [line["is"] for line in peer.hears()][:1] == ["welcome"]


def test_a_page_that_could_not_be_read_is_asked_for_again(served):
    """One bad moment of the disk would end the live view."""
    served.server.grown(10)
    served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    served.server.page(1, 0, [], served.tick_ms)
    served.passes(24)
    assert len(served.fetches) == 1
    served.passes(10)
    assert len(served.fetches) == 2


def test_a_page_for_somebody_who_has_left_is_dropped(served):
    """The loop would stumble over a connection that is gone."""
    served.server.grown(10)
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    peer.socket.close()
    served.turns()
    served.server.page(1, 0, [], served.tick_ms)
    served.server.send(1, Done(id="note-000001", seq=1))
    assert served.sessions == 0


def test_a_subscriber_hears_at_least_every_two_seconds_that_the_line_is_alive(served):
    """A dead line and a quiet night would look alike."""
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    silent = served.peer()
    peer.hears()
    for _ in range(5):
        served.passes(2000)
        assert [line["is"] for line in peer.hears()] == ["status"]
    assert [line["is"] for line in silent.hears()] == ["welcome"]


def test_a_subscriber_that_never_reads_costs_bounded_memory_and_nobody_else(served, ledger):
    """A frozen web process would eat the controller's memory, or keep others from their records."""
    grow(served, ledger, 4000)
    frozen = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    served.passes(60_000)
    held = max(len(session.outgoing) for session in served.server._sessions.values())
    assert 0 < held < OUT_BYTES_MAX // 4
    reading = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    seen = 0
    for _ in range(50):
        served.passes(200)
        seen += len([line for line in reading.hears() if line["is"] == "record"])
    assert seen == 4000
    answer = Done(id="x" * 1000, seq=1)
    while not frozen.is_ended and served.sessions == 2:
        served.server.send(1, answer)
    assert served.sessions == 1
    assert len([line for line in frozen.hears() if line["is"] == "record"]) > 0 and frozen.is_ended


def test_the_server_sleeps_when_there_is_nothing_to_do(served):
    """The loop would turn without end, and the doors would be late."""
    assert served.server.deadline(served.tick_ms) is None
    served.peer()
    assert served.server.deadline(served.tick_ms) is None
    served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    assert served.server.deadline(served.tick_ms) == served.tick_ms + 2000
    served.server.grown(5)
    assert served.server.deadline(served.tick_ms) <= served.tick_ms
    served.turns()
    assert served.server.deadline(served.tick_ms) == served.tick_ms + 2000


lines = st.sampled_from(
    [HELLO, NOTE % 1, b'{"is":"subscribe","from_seq":0}\n', b'{"is":"command"}\n', b"\n", b"{", b"\xff\n", b"null\n"]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(lines | st.binary(max_size=40), max_size=6), min_size=1, max_size=4), st.booleans())
@example([[b"\x00" * 70_000], [HELLO, b"\n"]], True)
def test_no_bytes_make_the_server_stumble(served, peers, is_cut):
    """Whoever breaks into the web process could stop every door with a line."""
    made = [served.peer(b"".join(pieces)) for pieces in peers]
    for peer in made:
        if is_cut and not peer.is_ended:
            peer.socket.shutdown(socket.SHUT_WR)
        peer.hears()
    served.passes(100)
    for peer in made:
        peer.socket.close()
    served.turns()
    served.passes(3000)
    assert served.sessions == 0
    last = served.peer()
    assert last.hears()[0]["is"] == "welcome"
    last.socket.close()
    served.turns()


def test_closing_ends_every_session_and_says_what_was_left_to_say(served):
    """A last answer would be lost though its record was made."""
    peer = served.peer()
    served.server.send(1, Done(id="note-000001", seq=9))
    served.server.close()
    assert [line["is"] for line in peer.hears()] == ["welcome", "done"] and peer.is_ended
    served.server = LinkServer(
        served.path, served.selector, on_request=served._on_request, welcome=served._welcome, fetch=served._fetch
    )


def test_whoever_says_nothing_is_shown_out(served):
    """Sixteen silent connections would keep the officers' pages away for ever."""
    for _ in range(16):
        served.peer(b"")
    served.turns()
    assert served.sessions == 16
    served.passes(4_900)
    assert served.sessions == 16
    served.passes(200)
    assert served.sessions == 0
    assert served.peer().hears()[0]["is"] == "welcome"


ORDER = (
    b'{"is":"device_order","id":"order-000001","boot":"b0b0b0b0","not_after_ms":1,"act":"install_on",'
    b'"officer":"officer-01","second":"officer-02","device":"rd-1"}\n'
)


@pytest.mark.req("B-18")
def test_the_controllers_own_account_may_order_what_is_done_to_readers(served):
    """Nobody at the console could give a reader its key."""
    served.peer().sends(ORDER)
    assert [message.act for _, message in served.requests] == ["install_on"]


@pytest.mark.req("B-18")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_web_process_can_not(served, tmp_path, monkeypatch):
    """Whoever broke into the officers' pages teaches a reader his own key."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o711)
    Path("link.sock").chmod(0o666)
    os.seteuid(65534)
    try:
        web = Peer(served, Path("link.sock"))
    finally:
        os.seteuid(0)
    answers = web.sends(HELLO + ORDER).hears()
    assert [answer.get("code") for answer in answers] == [None, "not_here"]
    assert not served.requests
    web.sends(NOTE % 1)
    assert [message.type for _, message in served.requests] == ["EXPORT"], "the rest is taken as ever"
    web.socket.close()


LOG_ORDER = (
    b'{"is":"log_order","id":"order-000002","boot":"b0b0b0b0","not_after_ms":1,"act":"purge","officer":"auditor-01"}\n'
)


@pytest.mark.req("A-29")
def test_an_order_about_the_log_is_handed_on_with_where_it_came_from(served):
    """An auditor at the console would be refused."""
    served.peer().sends(LOG_ORDER)
    (session, message) = served.requests[0]
    assert message.act == "purge" and served.server.is_console(session)
    assert not served.server.is_console(session + 1), "nobody is at the console who is not there"


@pytest.mark.req("A-29")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_web_process_administers_no_log_and_its_attempt_reaches_the_ledger(served, tmp_path, monkeypatch):
    """Whoever broke into the officers' pages drops the record of it in an auditor's name, or tries unheard."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o711)
    Path("link.sock").chmod(0o666)
    os.seteuid(65534)
    try:
        web = Peer(served, Path("link.sock"))
    finally:
        os.seteuid(0)
    web.sends(HELLO + LOG_ORDER)
    (session, message) = served.requests[0]
    assert message.act == "purge" and not served.server.is_console(session)
    web.socket.close()
