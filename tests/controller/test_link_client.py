"""The web process's end of the socket: it says what is wrong, in time, and never hangs or answers with a guess."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from controller.link.client import LinkClient, LinkDown
from controller.link.messages import (
    ANSWER_BYTES_MAX,
    AwaitCard,
    CardShown,
    Done,
    Note,
    Record,
    Refused,
    Status,
    Welcome,
)
from controller.link.server import LinkServer

AWAIT = AwaitCard(id="await-000001", reader="rd-office", officer="officer-01", for_ms=1_000)
WELCOME = b'{"is":"welcome","node":"gate","boot":"b0","size":3,"revision":"00","vkey":"k","protocol":1}\n'
STATUS = (
    b'{"is":"status","at_ms":1,"boot":"b0","size":3,"revision":"00","is_ledger_writable":true,'
    b'"is_clock_trusted":true,"deviations":[],"devices_offline":[]}\n'
)
NOTE = Note(id="note-000001", type="EXPORT", officer="officer-01")


class Controller:
    """Something at the other end that says what the test says: one script a connection, then it hangs up."""

    def __init__(self, path: Path, scripts: list[list[bytes | None]]) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(10)
        self._scripts = scripts
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with self._listener, suppress(OSError):  # the client hung up first, or never came
            for script in self._scripts:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(10)
                    for says in script:
                        if says is None:  # waits until it was told something
                            self.heard.append(connection.recv(65536))
                        else:
                            connection.sendall(says)

    def ends(self) -> None:
        self.thread.join(30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "link.sock"


@pytest.fixture
def controller(path: Path) -> Iterator[Callable[..., Controller]]:
    made: list[Controller] = []

    def make(*scripts: list[bytes | None]) -> Controller:
        made.append(Controller(path, list(scripts)))
        return made[-1]

    yield make
    for one in made:
        one.ends()


@pytest.fixture
def client(path: Path) -> Iterator[LinkClient]:
    made = LinkClient(path, "test")
    yield made
    made.close()


def test_where_no_controller_is_it_says_where_it_looked(client, path):
    """The page would say "error" and nobody would know what to start."""
    with pytest.raises(LinkDown, match=f"no controller at {path}: No such file"):
        client.connect()


def test_a_path_that_is_too_long_is_told_too(tmp_path):
    """The page would say that there is no controller because of None."""
    with pytest.raises(LinkDown, match="AF_UNIX path too long"):
        LinkClient(tmp_path / ("x" * 120), "test").connect()


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"", "the controller closed the connection"),
        (b"HTTP/1.1 400\r\n\r\n", "something we do not understand"),
        (b'{"is":"welcome"', "the controller closed the connection"),
        (WELCOME.replace(b'"protocol":1', b'"protocol":2'), "it speaks another protocol; upgrade both together"),
        (WELCOME.replace(b'"boot"', b'"boots"'), "something we do not understand"),
        (b'{"is":"refused","id":"","code":"busy","why":"at most 16 connections at once"}\n', "refused us: at most 16"),
        (STATUS, "it speaks another protocol"),
        (b"x" * (ANSWER_BYTES_MAX + 2), "a line that is too long"),
    ],
)
def test_a_greeting_that_is_none_is_told_in_words(client, controller, says, words):
    """The web process would go on with a controller that it does not understand."""
    controller([None, says])
    with pytest.raises(LinkDown, match=words):
        client.connect()
    with pytest.raises(LinkDown):
        next(client.stream(0))


def test_a_failed_greeting_is_not_gone_on_from(client, controller):
    """The next request would go to a connection on which nobody answers, and be refused for that."""
    controller([None], [None, WELCOME, None, b'{"is":"done","id":"note-000001","seq":4}\n'])
    with pytest.raises(LinkDown):
        client.request(NOTE)
    assert client.request(NOTE) == Done(id="note-000001", seq=4)


def test_a_card_is_awaited_as_long_as_the_controller_waits(client, controller):
    """An officer would hear that the controller is away while a recruit looks for his card."""
    controller([None, WELCOME, None, b'{"is":"card_shown","id":"await-000001","number_hash":"ab","last4":"c2d3"}\n'])
    assert client.await_card(AWAIT) == CardShown(id="await-000001", number_hash="ab", last4="c2d3")


def test_an_answer_is_the_one_to_the_question(client, controller):
    """An officer would read that his change is in force when it was another's."""
    other = b'{"is":"done","id":"note-000000","seq":3}\n'
    mine = b'{"is":"refused","id":"note-000001","code":"expired","why":"late","seq":4}\n'
    controller([None, WELCOME, None, other + STATUS + mine[:20], mine[20:]])
    assert client.request(NOTE) == Refused(id="note-000001", code="expired", why="late", seq=4)


def test_no_answer_in_time_is_told_and_nothing_is_repeated(client, controller):
    """A page would hang, or a door would be released twice."""
    made = controller([None, WELCOME, None, WELCOME, None])
    with pytest.raises(LinkDown, match=r"did not answer within 0\.05 s"):
        client.request(NOTE, timeout_s=0.05)
    made.ends()
    assert [line.count(b"note-000001") for line in made.heard] == [0, 1, 0]


def test_a_stream_ends_with_a_reason(client, controller):
    """The live view would stand still and look like a quiet night."""
    record = b'{"is":"record","seq":3,"leaf":"{}","salt":null,"body":null}\n'
    refused = b'{"is":"refused","id":"","code":"protocol","why":"a line may have at most"}\n'
    controller([None, WELCOME, None, record + STATUS, refused])
    stream = client.stream(3)
    first, second = next(stream), next(stream)
    assert isinstance(first, Record) and first.seq == 3 and isinstance(second, Status)
    with pytest.raises(LinkDown, match="the controller ended the stream: a line may have"):
        next(stream)


def test_a_reader_in_another_thread_wakes_when_the_line_is_closed(client, controller):
    """The web process could not be stopped."""
    controller([None, WELCOME, None, STATUS, None])
    told: list[Any] = []
    is_reading = threading.Event()

    def read() -> None:
        try:
            for line in client.stream(0):
                told.append(line)
                is_reading.set()
        except LinkDown as down:
            told.append(down)

    thread = threading.Thread(target=read)
    thread.start()
    assert is_reading.wait(10)
    client.close()
    thread.join(10)
    assert not thread.is_alive() and isinstance(told[-1], LinkDown)


def test_both_ends_understand_each_other(client, path):
    """Every test above could be green, and no page would show a door."""
    selector = selectors.DefaultSelector()
    taken: list[Any] = []

    def take(session: int, message: Any) -> bool:
        taken.append(message)
        done = Done(id=message.id, seq=len(taken))
        shown = CardShown(id=message.id, number_hash="ab" * 32, last4="c2d3", scheme="pkoc")
        server.send(session, shown if isinstance(message, AwaitCard) else done)
        return True

    def welcome() -> Welcome:
        return Welcome(node="gate", boot="b0", size=0, revision="00", vkey="k", protocol=1)

    server = LinkServer(path, selector, on_request=take, welcome=welcome, fetch=lambda *_: None)
    is_over = threading.Event()

    def loop() -> None:
        tick_ms = 0
        while not is_over.is_set():
            for key, mask in selector.select(0.01):
                key.data(mask, tick_ms)
            tick_ms += 10

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        with client:
            assert client.request(NOTE) == Done(id="note-000001", seq=1)
            assert client.request(NOTE) == Done(id="note-000001", seq=2)
            assert client.await_card(AWAIT) == CardShown(
                id="await-000001", number_hash="ab" * 32, last4="c2d3", scheme="pkoc"
            )
    finally:
        is_over.set()
        thread.join(10)
        server.close()
        selector.close()
    assert taken == [NOTE, NOTE, AWAIT]
