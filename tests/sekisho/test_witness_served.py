"""A witness as a process on a port: whoever speaks to it, however badly, it goes on, and never signs two futures."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import sys
import threading

import pytest

from controller.link.notes import COSIGNATURE, Vkey, cosigned_at, parse_checkpoint, parse_signature
from sekisho.witness_http import CONNECTIONS_MAX, REQUESTS_BURST, Reply, WitnessServer
from tests.deploy.certificates import Authority
from tests.sekisho.witness_rig import NAME, VKEY, History
from tests.system.parts import Program, eventually

PATH = "/add-checkpoint"


@contextlib.contextmanager
def served(tls: ssl.SSLContext | None = None):
    """A server whose only route says how long a body was."""
    with WitnessServer(("127.0.0.1", 0), {PATH: lambda body: Reply(status=200, body=f"{len(body)}\n")}, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def says(server: WitnessServer, octets: bytes) -> bytes:
    """All that it answers to these bytes, sent as they are, with nothing after them."""
    with socket.create_connection(server.server_address, timeout=5) as line:
        line.sendall(octets)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := line.recv(65536):
                answer += chunk
        return answer


def post(address, body: bytes, *, path: str = PATH, tls: ssl.SSLContext | None = None) -> tuple[int, str, str]:
    """Status, content type and body."""
    made = http.client.HTTPConnection if tls is None else http.client.HTTPSConnection
    line = made(*address[:2], timeout=10, **({} if tls is None else {"context": tls}))
    with contextlib.closing(line):
        line.request("POST", path, body)
        answer = line.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


@pytest.mark.parametrize(
    "octets, status",
    [
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"200"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"404"),
        (b"GET /add-checkpoint HTTP/1.1\r\n\r\n", b"501"),
        (b"POST /add-checkpoint HTTP/1.1\r\n\r\n", b"411"),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"411"),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", b"411"),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", b"413"),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 40000\r\n\r\n", b"413"),
        (b"POST /add-checkpoint HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 30\r\n\r\ncut off", b""),
        (b"\x16\x03\x01 not even HTTP\r\n\r\n", b""),
        (b"POST " + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"POST /add-checkpoint HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"", b""),
    ],
)
def test_bytes_of_strangers_get_an_answer_or_none(octets, status):
    """Somebody who can reach the port could stop the witness."""
    with served() as server:
        assert status in says(server, octets).split(b"\r\n")[0]
        assert post(server.server_address, b"still there")[0] == 200


@pytest.mark.parametrize(
    "is_tls, octets",
    [(False, b"POST /add-check"), (True, b""), (True, b"\x16\x03\x01\x02\x00\x01")],
    ids=["plain", "tls silent", "tls begun"],
)
def test_whoever_holds_lines_open_is_let_go_and_others_are_served(monkeypatch, tmp_path, is_tls, octets):
    """A handful of silent connections, or a byte now and then, would keep the witness from the site for ever."""
    monkeypatch.setattr("sekisho.witness_http.LIFE_S_MAX", 0.2)
    ours = theirs = None
    if is_tls:
        authority = Authority(tmp_path)
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(*authority.issue("witness", hosts=("127.0.0.1",)))
        theirs = ssl.create_default_context(cafile=str(authority.ca))
    with served(ours) as server, contextlib.ExitStack() as lines:
        for _ in range(CONNECTIONS_MAX + 5):
            line = lines.enter_context(socket.create_connection(server.server_address, timeout=5))
            line.sendall(octets)

        def is_served() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return post(server.server_address, b"after them", tls=theirs)[0] == 200
            return False

        eventually(is_served, 5, "somebody is served again")


def test_a_flood_is_turned_away_and_leaves_the_rest():
    """Requests without end would keep the processor from the one that matters."""
    with served() as server:
        line = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
        with contextlib.closing(line):
            statuses = []
            for _ in range(2 * REQUESTS_BURST):
                line.request("POST", PATH, b"x")
                answer = line.getresponse()
                answer.read()
                statuses.append(answer.status)
    assert statuses[0] == 200
    assert 429 in statuses


class Served:
    """`sekisho witness serve` as a process."""

    def __init__(self, folder, *arguments: str) -> None:
        self.folder = folder / "witness"
        self.log = folder / "witness.log"
        self.arguments = arguments
        if not self.folder.exists():
            done = sekisho("witness", "init", str(self.folder), "--name", NAME, log=folder / "init.log")
            self.vkey = Vkey.parse(done.strip().splitlines()[-1], COSIGNATURE)
        self.starts()

    def starts(self):
        self.program = Program.sekisho(
            *("witness", "serve", str(self.folder), "--listen", "127.0.0.1:0", "--ledger", VKEY, *self.arguments),
            log=self.log,
        )
        self.program.wait_said("listening on")
        self.address = ("127.0.0.1", int(re.findall(r"listening on 127\.0\.0\.1:(\d+)", self.program.said)[-1]))
        return self

    def shown(self) -> dict:
        return json.loads(sekisho("witness", "show", str(self.folder), "--json", log=self.folder.parent / "show.log"))


def sekisho(*words: str, log) -> str:
    program = Program([sys.executable, "-m", "sekisho", *words], log)
    program.ends()
    return program.said


@pytest.fixture
def history(tmp_path):
    with contextlib.closing(History(tmp_path / "site")) as made:
        yield made.grows(3)


@pytest.mark.system
@pytest.mark.req("A-27")
def test_a_witness_that_is_killed_at_any_moment_signs_one_history(history, tmp_path):
    """A power cut at the wrong moment, and the witness signs the other future too."""
    served = Served(tmp_path)
    try:
        assert post(served.address, history.asks(0))[0] == 200
        history.grows(5)
        with contextlib.closing(history.forked(tmp_path / "image")) as other:
            history.grows(1)
            other.grows(1)
            for delay_s in (0.001, 0.004):
                ours, known = threading.Event(), served.shown()["ledgers"][0]["signed"]["size"]
                killer = threading.Timer(delay_s, served.program.kill)
                killer.start()
                got = ""
                with contextlib.suppress(OSError, http.client.HTTPException):
                    status, _, got = post(served.address, history.asks(known))
                    ours.set()
                    assert status == 200
                killer.join()
                served.program.process.wait()
                served.starts()
                signed = served.shown()["ledgers"][0]["signed"]["size"]
                assert signed == history.size or not ours.is_set(), "what left it is on its disk"
                assert signed in (known, history.size)
                if ours.is_set():
                    cosigned_at(parse_checkpoint(history.note()), served.vkey, parse_signature(got.strip()))
                if signed == history.size:
                    assert post(served.address, other.asks(min(signed, other.size)))[0] in (409, 422)
                history.grows(1)
                other.grows(1)
            assert post(served.address, history.asks(served.shown()["ledgers"][0]["signed"]["size"]))[0] == 200
        said = served.log.read_text("utf-8")
        assert "Traceback" not in said, said
    finally:
        served.program.signal(signal.SIGTERM)
        assert served.program.ends() == 0


@pytest.mark.system
def test_a_witness_speaks_tls_where_it_has_a_certificate(history, tmp_path):
    """Whoever is on the wire could see how much happens at a site, or answer in the witness's place."""
    authority = Authority(tmp_path / "tls")
    certificate, key = authority.issue("witness", hosts=("127.0.0.1",))
    served = Served(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key))
    try:
        trusting = ssl.create_default_context(cafile=str(authority.ca))
        status, _, line = post(served.address, history.asks(0), tls=trusting)
        assert (status, line.startswith("— witness.example/north ")) == (200, True)
        with pytest.raises(ssl.SSLCertVerificationError):
            post(served.address, history.asks(0), tls=ssl.create_default_context())
        with pytest.raises((OSError, http.client.HTTPException)):
            post(served.address, history.asks(0))
        assert post(served.address, history.asks(3), tls=trusting)[0] == 200
        assert "Traceback" not in served.program.said, served.program.said
    finally:
        served.program.signal(signal.SIGTERM)
        assert served.program.ends() == 0
