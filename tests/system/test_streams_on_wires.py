"""Records leave a whole site over MQTT and over syslog at once: a real broker, a real rsyslog, real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.controller.streams.collector import KEEPING, Collector
from tests.controller.streams.receivers import SEQ, Rsyslog
from tests.deploy.certificates import Authority
from tests.readers.conftest import Broker
from tests.system.parts import Program, eventually
from tests.system.site import SATO, STRANGER, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto", "rsyslog")]

SETTINGS = """
socket = "{socket}"
state_dir = "streams"
[[sink]]
kind = "mqtt"
name = "office"
host = "127.0.0.1"
port = {broker}
node = "lab"
[[sink]]
kind = "syslog"
name = "siem"
host = "127.0.0.1"
port = {receiver}
ca_file = "{pki}/ca.pem"
cert_file = "{pki}/sekisho-streams.pem"
key_file = "{pki}/sekisho-streams.key"
resend = 8
"""


class Outside:
    """What keeps the records: a broker with its collector, and a SIEM."""

    def __init__(self, site: Site) -> None:
        folder = site.folder / "outside"
        (folder / "kept").mkdir(parents=True)
        authority = Authority(folder / "pki")
        authority.issue("receiver", hosts=("127.0.0.1",))
        authority.issue("sekisho-streams")
        self.broker = Broker(folder, extra=KEEPING.format(folder / "kept"))
        self.siem = Rsyslog(folder, authority)
        self.collector = Collector(self.broker.port)
        self.settings = site.folder / "streams.toml"
        self.settings.write_text(
            SETTINGS.format(socket=site.socket, broker=self.broker.port, receiver=self.siem.port, pki=authority.folder)
        )
        self._collected: list[int] = []

    def collected(self) -> list[int]:
        """Numbers of what the collector has, in the order in which they came."""
        while not self.collector.heard.empty():
            message = self.collector.heard.get_nowait()
            if message.topic.endswith("/ledger"):
                self._collected.append(json.loads(message.payload)["seq"])
        return self._collected

    def stored(self) -> list[int]:
        """Numbers of what the SIEM has stored."""
        held = self.siem.stored.read_bytes() if self.siem.stored.exists() else b""
        return [int(one) for one in SEQ.findall(held)]

    def have_all(self, site: Site) -> bool:
        wanted = list(range(site.last_seq + 1))
        return all(list(dict.fromkeys(has())) == wanted for has in (self.collected, self.stored))

    def dies(self) -> None:
        self.broker.kill()
        self.siem.kill()

    def starts(self) -> None:
        self.broker.start()
        self.siem.start()

    def close(self) -> None:
        self.collector.close()
        self.dies()


@pytest.fixture
def outside(site: Site) -> Iterator[Outside]:
    made = Outside(site)
    yield made
    made.close()


@pytest.mark.req("A-28")
def test_both_sides_die_and_nothing_is_missing_outside(site: Site, outside: Outside):
    """The broker, the SIEM and our own program die while people come and go, and somebody's entry is known to nobody
    outside.
    """
    log = site.folder / "streams.log"
    streams = Program.sekisho("streams", str(outside.settings), log=log)
    try:
        site.enters(SATO, "front")
        eventually(lambda: outside.have_all(site), 15, "everything is outside")
        outside.dies()
        site.badges(STRANGER, "front")
        streams.kill()
        streams = Program.sekisho("streams", str(outside.settings), log=log)
        site.officer_releases("front")
        outside.starts()
        eventually(lambda: outside.have_all(site), 30, "everything of the outage is outside")
        assert streams.stop() == 0, streams.said
        assert "Traceback" not in streams.said, streams.said
    finally:
        streams.kill()
