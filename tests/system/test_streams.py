"""Records leave a whole site for a folder outside: both programs are killed, and the archive proves itself."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.system.parts import ROOT, Program, eventually
from tests.system.site import SATO, STRANGER, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]


def sekisho(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sekisho", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def archive_of(site: Site) -> bytes:
    return b"".join(file.read_bytes() for file in sorted((site.folder / "archive").glob("*.jsonl")))


def has_all(site: Site) -> bool:
    lines = archive_of(site).splitlines()
    return len(lines) == len(site.records) and json.loads(lines[-1])["seq"] == site.last_seq


def streams_start(site: Site) -> Program:
    settings = site.folder / "streams.toml"
    (site.folder / "archive").mkdir(exist_ok=True)
    settings.write_text(
        f'socket = "{site.socket}"\nstate_dir = "streams"\n[[sink]]\nkind = "jsonl"\nname = "archive"\n'
        'folder = "archive"\nfile_bytes_max = 20000\n'
    )
    return Program.sekisho("streams", str(settings), log=site.folder / "streams.log")


@pytest.fixture
def gone() -> Iterator[int]:
    """Somebody who answers that he wants no more records (410); his port."""

    class Gone(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(410)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Gone) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.req("A-28")
def test_a_sink_that_takes_no_more_is_in_the_ledger(site: Site, gone: int):
    """The guards' office was switched off a year ago, and the site believes that somebody there is told."""
    secret = site.folder / "secret"
    secret.write_text("whsec_" + base64.b64encode(bytes(32)).decode())
    secret.chmod(0o600)
    (site.folder / "hook.toml").write_text(
        f'socket = "{site.socket}"\nstate_dir = "hook"\n[[sink]]\nkind = "webhook"\nname = "guards"\n'
        f'url = "http://127.0.0.1:{gone}/"\nsecret_file = "secret"\n'
    )
    streams = Program.sekisho("streams", str(site.folder / "hook.toml"), log=site.folder / "hook.log")
    try:
        lost = site.recorded("SINK_LOST", sink="guards", within_s=15)
        assert lost["detail"] == {"sink": "guards", "why": "gone"}
        assert lost["actor"] == {"officer": "streams"}
        assert streams.stop() == 0, streams.said
    finally:
        streams.kill()


@pytest.mark.req("A-27", "A-28")
def test_an_archive_outside_is_whole_and_proves_itself(site: Site):
    """Both programs are killed while people come and go; the store outside lacks a badge, or has one twice."""
    export, key = site.folder / "all.jsonl", site.folder / "key"
    streams = streams_start(site)
    try:
        site.enters(SATO, "front")
        eventually(lambda: has_all(site), 15, "the archive has everything")
        streams.kill()
        site.badges(STRANGER, "front")
        site.officer_releases("front")
        streams = streams_start(site)
        eventually(lambda: has_all(site), 15, "the archive has what happened while nobody carried")
        site.dies()
        site.starts()
        site.enters(SATO, "front")
        eventually(lambda: has_all(site), 15, "the archive goes on after the controller's restart")
        key.write_text(sekisho("ledger", "key", "--socket", str(site.socket)).stdout)
        reported = sekisho("streams", "report", "--settings", str(site.folder / "streams.toml"), "--json")
        assert streams.stop() == 0, streams.said
        assert "Traceback" not in streams.said, streams.said
    finally:
        streams.kill()
    assert reported.returncode == 0, reported.stdout + reported.stderr
    told = json.loads(reported.stdout)["archives"][0]
    assert (told["first"], told["missing"], told["double"]) == (0, [], [])
    export.write_bytes(archive_of(site))
    done = sekisho("verify", str(export), "--key", str(key))
    assert done.returncode == 0, done.stdout + done.stderr
    assert_nothing_of_people(site.folder / "streams")


def assert_nothing_of_people(folder: Path) -> None:
    """A cursor is no second ledger."""
    held = b"".join(file.read_bytes() for file in folder.iterdir())
    assert SATO.lower().encode() not in held.lower()
    assert b"cardholder" not in held
