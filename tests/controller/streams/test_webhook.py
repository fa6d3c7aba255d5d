"""controller/streams/webhook.py with a real HTTP server, in the clear and under TLS, verified by somebody else."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controller.streams import webhook
from controller.streams.outgoing import Outgoing, stream_record
from controller.streams.section import SinkRefused
from controller.streams.sinks import SinkDown
from controller.streams.webhook import WebhookSection, WebhookSink
from controller.streams.webhook_signature import parse_secret, signature, webhook_id
from tests.controller.streams.made_ledger import ORIGIN, START_MS, Day, made
from tests.controller.streams.wire import Wire
from tests.deploy.certificates import Authority

HOUR_MS = 3_600_000
OLD = "whsec_" + base64.b64encode(bytes(range(24))).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()


class Collector:
    """An HTTP server of the other side's: keeps what came by its `webhook-id`. `answers`: status and headers of the
    next answers; 200 where there is none. It can be stopped and started again on its port, and forgets nothing.
    """

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.kept: dict[str, dict] = {}
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self._certificate = certificate
        self._server: ThreadingHTTPServer | None = None
        self._lines: set[socket.socket] = set()
        self.port = 0
        self.start()

    def start(self) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                collector._lines.add(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = collector.answers.pop(0) if collector.answers else (200, {})
                collector.came.append(({name.lower(): text for name, text in self.headers.items()}, body))
                if status == 200:
                    collector.kept.setdefault(self.headers["webhook-id"], json.loads(body)["data"])
                self.send_response(status)
                for name, text in {"content-length": "2", **headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def handle_error(self, *_: object) -> None: ...

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.socket.close()
            for line in self._lines:
                with suppress(OSError):
                    socket.socket.shutdown(line, socket.SHUT_RDWR)
            server.server_close()
            self._lines.clear()


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.stop()


@pytest.fixture
def secret(tmp_path) -> Path:
    return secret_file(tmp_path / "secret", NEW)


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def make_sink(secret) -> Iterator[Callable[..., WebhookSink]]:
    made_sinks: list[WebhookSink] = []

    def make(port: int, *, scheme: str = "http", host: str = "127.0.0.1", **fields: object) -> WebhookSink:
        url = f"{scheme}://{host}:{port}/in?site=lab"
        section = WebhookSection(**({"name": "hook", "url": url, "secret_file": secret, "timeout_s": 5.0} | fields))
        made_sinks.append(webhook.build(section, lambda: START_MS))
        return made_sinks[-1]

    yield make
    for sink in made_sinks:
        sink.close()


def down(sink: WebhookSink, *batch: Outgoing) -> SinkDown:
    with pytest.raises(SinkDown) as raised:
        sink.deliver(batch)
    return raised.value


@pytest.mark.req("A-28")
def test_an_hour_away_with_lost_answers_and_restarts(collector, secret, in_memory):
    """The collector is down for an hour; afterwards it lacks that hour, or counts some people twice."""
    day, wire = Day(ends_ms=0), Wire(collector.port)
    try:
        day.records_every(60_000, 2 * HOUR_MS)
        for at_ms in (50_000, 4_500_000, 5_000_000):
            day.at(at_ms, lambda: wire.lose_answers_after(10))  # it has the record, and we do not know it
        day.at(600_000, collector.stop)
        day.at(600_000 + HOUR_MS, collector.start)
        section = WebhookSection(name="hook", url=f"http://127.0.0.1:{wire.port}/", secret_file=secret)
        for start in range(4):  # and the program is started four times
            sink = webhook.build(section, lambda: START_MS + day.ms)
            day.carry(section, sink, in_memory / "hook.cursor", until_ms=(start + 1) * 2_000_000)
            sink.close()
    finally:
        wire.close()
    assert [one["seq"] for one in collector.kept.values()] == list(range(len(day.records)))
    assert len(collector.came) > len(collector.kept), "what was not known to have arrived came again"
    assert [(one.code, one.why) for one in day.told] == [("SINK_LOST", "unreachable"), ("SINK_RESTORED", "")]
    late = [one["seq"] for one in collector.kept.values() if one.get("late_ms", 0)]
    assert late
    assert late[0] == 10


@pytest.mark.needs("peers")
@pytest.mark.req("A-28")
def test_somebody_elses_library_verifies_what_we_sign(collector, make_sink, tmp_path, monkeypatch):
    """The receiver uses the published library, and it refuses everything that we send."""
    import standardwebhooks.webhooks as peer

    old = secret_file(tmp_path / "old", OLD)
    sink = make_sink(collector.port, old_secret_file=old)
    assert sink.deliver([made(0, zone="区画"), made(1)]) == 2
    for key in (OLD, NEW):  # while keys are changed, both are good
        for headers, body in collector.came:
            skewed = int(headers["webhook-timestamp"])
            assert skewed == START_MS // 1000
            signed_now = at_present(headers, body, key)
            assert peer.Webhook(key).verify(body, signed_now)["data"]["origin"] == ORIGIN
            with pytest.raises(peer.WebhookVerificationError):
                peer.Webhook(key).verify(body.replace(b"PASSAGE", b"PASSAGF"), signed_now)
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    with pytest.raises(peer.WebhookVerificationError):
        peer.Webhook(other).verify(collector.came[0][1], at_present(*collector.came[0], NEW))


def at_present(headers: dict[str, str], body: bytes, key: str) -> dict[str, str]:
    """The same request signed by us at this moment: the library looks at the real clock."""
    import time

    now_s = int(time.time())
    keys = [parse_secret(OLD.encode()), parse_secret(NEW.encode())]
    signed = signature(keys, headers["webhook-id"], now_s, body)
    assert len(headers["webhook-signature"].split()) == 2
    return headers | {"webhook-timestamp": str(now_s), "webhook-signature": signed}


def test_a_signature_is_the_published_one():
    """Our own notion of the signature, which nobody else has."""
    key = parse_secret(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    payload = b'{"test": 2432232314}'
    made_by_us = signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, payload)
    assert made_by_us == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_a_request_says(collector, make_sink):
    """A receiver cannot tell which record it has, or whose."""
    make_sink(collector.port).deliver([made(7, zone="vault", now_ms=START_MS + 20_000)])
    headers, body = collector.came[0]
    assert headers["webhook-id"] == "sekisho_example/lab/7" == webhook_id(f"{ORIGIN}/7")
    assert "." not in headers["webhook-id"]
    assert headers["content-type"] == "application/json"
    sent = json.loads(body)
    assert sent["type"] == "sekisho.record"
    assert sent["timestamp"] == "2026-05-28T20:26:40.000Z"
    assert sent["data"] == json.loads(stream_record(made(7, zone="vault", now_ms=START_MS + 20_000)))
    assert sent["data"]["late_ms"] == 20_000


@pytest.mark.parametrize(
    ("status", "headers", "why", "rest_s"),
    [
        (301, {"location": "http://127.0.0.1:1/"}, "rejected", 0),
        (400, {}, "rejected", 0),
        (401, {}, "not_authorized", 0),
        (404, {}, "rejected", 0),
        (410, {}, "gone", 0),
        (429, {"retry-after": "120"}, "busy", 120),
        (503, {"retry-after": formatdate(START_MS / 1000 + 300, usegmt=True)}, "busy", 300),
        (503, {"retry-after": "soon"}, "busy", 0),
        (500, {}, "rejected", 0),
    ],
)
def test_what_is_no_2xx_acknowledges_nothing(collector, make_sink, status, headers, why, rest_s):
    """The collector refuses a record, and the cursor moves on over it; or a redirect takes records elsewhere."""
    collector.answers = [(200, {}), (status, headers)]
    failed = down(make_sink(collector.port), made(0), made(1), made(2))
    assert (failed.code, failed.acknowledged) == (why, 1)
    assert failed.retry_after_s == pytest.approx(rest_s, abs=1)
    assert len(collector.came) == 2, "nothing overtakes what was refused"


def test_records_leave_the_machine_under_tls_alone(make_sink, tmp_path):
    """Records go over the site's network in the clear, or to whoever answers at that address."""
    good, bad = Authority(tmp_path / "good"), Authority(tmp_path / "bad")
    server = Collector(good.issue("server", hosts=("127.0.0.1",)))
    wrong = Collector(good.issue("wrong", hosts=("elsewhere.example",)))
    try:
        assert make_sink(server.port, scheme="https", ca_file=good.ca).deliver([made(0)]) == 1
        assert down(make_sink(server.port, scheme="https", ca_file=bad.ca), made(0)).code == "tls"
        assert down(make_sink(server.port, scheme="https"), made(0)).code == "tls"
        assert down(make_sink(wrong.port, scheme="https", ca_file=good.ca), made(0)).code == "tls"
        assert not wrong.came
    finally:
        server.stop()
        wrong.stop()
    with pytest.raises(SinkRefused, match="TLS"):
        make_sink(80, host="audit.example")


ANSWERS = {
    "nothing": (b"", "unreachable"),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol"),
    "endless head": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500, "protocol"),
    "a long line": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "protocol"),
    "half an answer": (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nx", "protocol"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_hostile_answer_acknowledges_nothing(make_sink, name):
    """Whoever sits at the collector's address crashes the program, fills its memory, or acknowledges by accident."""
    said, why = ANSWERS[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_once, args=(server, said), daemon=True)
        thread.start()
        failed = down(make_sink(server.getsockname()[1]), made(0))
        thread.join(5)
    assert failed.code == why


def answer_once(server: socket.socket, said: bytes) -> None:
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def test_an_answer_that_drips_is_not_waited_for(make_sink):
    """One byte a second keeps a courier for ever, and nobody is told that nothing arrives."""
    is_over = threading.Event()

    def drips(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            while not is_over.wait(0.02):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drips, args=(server,), daemon=True)
        thread.start()
        assert down(make_sink(server.getsockname()[1], timeout_s=0.3), made(0)).code == "timeout"
        is_over.set()
        thread.join(5)


def test_a_longer_answer_than_anybody_needs_is_not_read(collector, make_sink):
    """An answer of gigabytes fills the memory of a small box."""
    collector.answers = [(200, {"content-length": str(1 << 40)})]
    sink = make_sink(collector.port, timeout_s=0.5)
    assert down(sink, made(0)).code == "timeout"
    assert sink.deliver([made(0)]) == 1


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("hunter2", 0o600, "whsec_"),
        ("whsec_not base64!", 0o600, "base64"),
        ("whsec_c2hvcnQ=", 0o600, "24 to 64"),
        (NEW, 0o644, "chmod 600"),
        ("", 0o600, "empty"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_never_shown(tmp_path, text, mode, why):
    """A key of four letters signs the audit log; or the key itself stands in the complaint about it."""
    path = secret_file(tmp_path / "bad", text)
    path.chmod(mode)
    section = WebhookSection(name="hook", url="http://localhost/", secret_file=path)
    with pytest.raises(SinkRefused, match=why) as refused:
        webhook.build(section, lambda: 0)
    assert refused.value.key == "secret_file"
    assert not text or text[6:] not in str(refused.value) or len(text) < 8


@pytest.mark.parametrize(
    "url",
    ["ftp://a/", "https://", "audit.example", "https://u:p@a/", "https://a/#x", "https://a b/", "http://10.0.0.1/"],
)
def test_an_address_that_cannot_be_is_refused(url, secret):
    """A mistake in the settings is found a month later, when the records are wanted."""
    with pytest.raises(SinkRefused):
        WebhookSection(name="hook", url=url, secret_file=secret)
