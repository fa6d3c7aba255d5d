"""The web process killed, frozen, hostile: doors go on, and the controller stays as small and as quick as it was."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.system.parts import epoch_ms, eventually
from tests.system.site import ITO, SATO, WATANABE, YAMAMOTO, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

QUICK_MS = 2500
"""Whoever waits for a process that hangs waits for ever; how quick a door is, the bench tells."""
GROWTH_BYTES_MAX = 48 * 1024 * 1024
BATCH = 100


TURNS = itertools.cycle((((WATANABE, "server"), (SATO, "front")), ((ITO, "server"), (YAMAMOTO, "front"))))


def doors_go_on(site: Site, what: str) -> None:
    """Somebody enters over serial wires and somebody over the broker, and neither waits."""
    for card, door in next(TURNS):
        reply = site.badges(card, door)
        assert reply.released, f"{door} stays shut while {what}"
        assert reply.took_ms < QUICK_MS, f"{door} took {reply.took_ms} ms while {what}"
    eventually(lambda: not site.any_strike_is_on(), 15, "the strikes drop")


def is_quiet(site: Site) -> bool:
    """Half a second of little work: what an attack left in the socket's queue is soon done."""
    cpu = site.controller.cpu_s()
    threading.Event().wait(0.5)
    return site.controller.cpu_s() - cpu < 0.3


@pytest.mark.req("B-11")
def test_doors_go_on_without_the_web_process(site):
    """The web process is killed or upgraded, and the doors with it."""
    officer = site.api_starts()
    doors_go_on(site, "the web process runs")
    officer.program.kill()
    doors_go_on(site, "the web process is dead")
    officer = site.api_starts()
    granted = site.found("ACCESS_GRANTED")[-1]

    def seen() -> bool:
        return any(
            item["seq"] == granted["seq"] for item in officer.get(f"/events?after={granted['seq'] - 1}")["items"]
        )

    eventually(seen, 15, "the new web process has caught up")


@pytest.mark.req("B-11")
def test_a_frozen_web_process_holds_nobody_up(site):
    """The web process hangs while everybody badges; the controller grows until the machine has no more."""
    officer = site.api_starts()
    eventually(lambda: officer.get("/events?after=0&limit=1")["items"], 15, "the web process follows")
    memory = site.controller.memory_bytes()
    officer.program.signal(signal.SIGSTOP)
    after = site.last_seq
    for reads in range(BATCH, 15 * BATCH + 1, BATCH):  # what a busy broker holds back is no fault of the web process
        for number in range(reads - BATCH, reads):
            read = {"id": f"f{number}", "number": f"0a{number:06x}", "at_ms": epoch_ms()}
            site.ear._client.publish("sekisho/v1/rd-side-in/card", json.dumps(read), qos=1)  # not waiting for each
        eventually(
            lambda n=reads: len(site.found("ACCESS_DENIED", after=after, portal="side")) == n, 30, f"{reads} recorded"
        )
        if reads in (BATCH, 15 * BATCH):
            doors_go_on(site, "the web process hangs")
    assert site.controller.memory_bytes() - memory < GROWTH_BYTES_MAX
    last = site.last_seq
    officer.program.signal(signal.SIGCONT)
    eventually(lambda: officer.get(f"/events?after={last - 1}")["items"], 30, "the web process catches up")


# -- hostile on its socket ---------------------------------------------------------------------------------------------


def connected(site: Site) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(0.5)
    try:
        line.connect(str(site.socket))
    except OSError:
        line.close()
        raise
    return line


def greeted(site: Site) -> tuple[socket.socket, dict]:
    """A session that was let in; OSError where there are too many."""
    line = connected(site)
    line.sendall(b'{"is":"hello","client":"hostile"}\n')
    answer = line.recv(65536)
    if b'"welcome"' not in answer:
        line.close()
        raise ConnectionRefusedError(answer)
    return line, json.loads(answer)


def random_bytes(site: Site) -> None:
    with connected(site) as line:
        for _ in range(20):
            line.sendall(os.urandom(4096))


def a_line_without_end(site: Site) -> None:
    with greeted(site)[0] as line:
        for _ in range(200):
            line.sendall(b"x" * 65536)


def half_a_line(site: Site) -> None:
    lines = [connected(site) for _ in range(8)]
    for line in lines:
        line.sendall(b'{"is":"hello","cli')
    threading.Event().wait(0.3)
    for line in lines:
        line.close()


def a_flood_of_notes(site: Site) -> None:
    with greeted(site)[0] as line:
        for _ in range(200):
            note = {"is": "note", "id": secrets.token_hex(8), "type": "VIEW_PERSONAL", "officer": "officer-01"}
            line.sendall(json.dumps(note).encode() + b"\n")
            with suppress(TimeoutError, BlockingIOError):
                line.recv(65536, socket.MSG_DONTWAIT)


def a_flood_of_commands(site: Site) -> None:
    line, welcome = greeted(site)
    with line:
        for number in range(200):
            command = {"id": secrets.token_hex(8), "boot": welcome["boot"], "not_after_ms": epoch_ms() + 2000}
            named = {"portal": ("vault", "nowhere")[number % 2], "reason": "other", "officer": "officer-01"}
            line.sendall(json.dumps({"is": "command", **command, **named}).encode() + b"\n")


def a_flood_of_edits(site: Site) -> None:
    """Each is big, and its fault stands in the last row."""
    line, welcome = greeted(site)
    dangling = ["credential", {"id": "cr-x", "cardholder": "h-nobody", "number": "0A0B0C0D", "state": "ACTIVE"}]
    with line:
        for _ in range(40):
            puts = [*(["cardholder", {"id": f"h-{secrets.token_hex(6)}"}] for _ in range(400)), dangling]
            base = {"base": welcome["revision"], "not_after_ms": epoch_ms() + 2000, "officer": "officer-01"}
            line.sendall(
                json.dumps({"is": "propose", "id": secrets.token_hex(8), **base, "puts": puts}).encode() + b"\n"
            )


def thousands_of_connections(site: Site) -> None:
    for _ in range(1000):
        with suppress(OSError), connected(site) as line:
            line.sendall(b"{}\n")


def many_that_stay(site: Site) -> None:
    lines = []
    for _ in range(64):
        with suppress(OSError):
            lines.append(connected(site))
    threading.Event().wait(0.5)
    for line in lines:
        line.close()


def never_reads(site: Site) -> None:
    lines = []
    for _ in range(6):
        with suppress(OSError, ValueError):
            line, _ = greeted(site)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lines.append(line)
            for _ in range(40):
                line.sendall(b'{"is":"subscribe","from_seq":0}\n')
    threading.Event().wait(0.5)
    for line in lines:
        line.close()


def strange_values(site: Site) -> None:
    for text in (
        b"[" * 60_000,
        b'{"is":"subscribe","from_seq":-5}',
        b'{"is":"subscribe","from_seq":123456789012345678901234567890}',
        b'{"is":"note","id":"\\ud800\\ud800\\ud800\\ud800\\ud800","type":"VIEW_PERSONAL","officer":"x"}',
        b'{"is":"note","id":"' + b"i" * 60_000 + b'","type":"VIEW_PERSONAL","officer":"x"}',
        b'{"is":"note","id":"aaaaaaaaaa","type":"VIEW_PERSONAL","officer":"\\u0000\\n\\ud83d\\ude00"}',
        b'{"is":"note","id":"aaaaaaaaab","type":"' + b"T" * 60_000 + b'","officer":"x"}',
        b'{"is":"command","id":"aaaaaaaaac","boot":"","not_after_ms":-9223372036854775808,"portal":"","reason":"","officer":""}',
        b'{"is":"propose","id":"aaaaaaaaad","base":"","not_after_ms":9223372036854775807,"puts":[["zone",{}]],"officer":"x"}',
        b'{"is":"propose","id":"aaaaaaaaae","base":"x","not_after_ms":1e300,"puts":[],"officer":"x"}',
        b'{"is":"hello","client":"x","protocol":99}',
        b"\xff\xfe\x00",
        b"",
    ):
        with suppress(OSError):
            line, _ = greeted(site)
            with line:
                line.sendall(text + b"\n")
                line.recv(65536)


@contextmanager
def under(attack: Callable[[Site], None], site: Site) -> Iterator[None]:
    """The attack goes on, again and again, from two sides."""
    over = threading.Event()

    def again() -> None:
        while not over.is_set():
            with suppress(OSError, ValueError):
                attack(site)
            over.wait(0.01)

    threads = [threading.Thread(target=again, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.req("B-11", "B-22")
@pytest.mark.parametrize(
    "attack",
    [
        random_bytes,
        a_line_without_end,
        half_a_line,
        a_flood_of_notes,
        a_flood_of_commands,
        a_flood_of_edits,
        thousands_of_connections,
        many_that_stay,
        never_reads,
        strange_values,
    ],
)
def test_a_hostile_web_process_holds_nobody_up(same_site, attack):
    """Whoever breaks into the web process also shuts the doors, or fills the controller's memory."""
    site, after = same_site, same_site.last_seq
    memory, before = site.controller.memory_bytes(), site.building.journal.last
    with under(attack, site):
        for _ in range(2):
            doors_go_on(site, attack.__name__)
    assert not site.strikes("vault", after=before), "the vault was opened over the socket"
    assert site.controller.memory_bytes() - memory < GROWTH_BYTES_MAX
    assert not site.found("RULE_ERROR"), site.found("RULE_ERROR")
    eventually(lambda: is_quiet(site), 15, "the controller runs hot no longer when the attack is over")
    doors_go_on(site, "all is quiet again")
    eventually(lambda: len(site.found("ACCESS_GRANTED", after=after)) == 6, 15, "every entry is told to the subscriber")
