"""The real controller on the broker that we ship: its certificate, and what it says when that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.certificates import Authority
from tests.deploy.test_mosquitto import CARD, CONTROLLER, Client, Shipped
from tests.system.parts import Program, Subscriber, eventually

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.system]

SITE = """\
[controller]
node = "north"
state_dir = "state"
socket = "controller.sock"

[mqtt]
host = "127.0.0.1"
port = {port}
ca_file = "site/ca.pem"
cert_file = "site/sekisho-controller.pem"
key_file = "site/sekisho-controller.key"

[[device]]
id = "a"
kind = "mqtt"

[[device]]
id = "b"
kind = "mqtt"
profile = "tasmota-pn532"

[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"

[[zone]]
id = "office"
name_ja = "執務室"
name_en = "Office"
kind = "CONTROLLED"
parent = "outside"

[[portal]]
id = "front"
name_ja = "正面"
name_en = "Front"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
entry_reader = "b"
strike = "a"
contact = "a"
"""


@pytest.fixture
def authority(tmp_path) -> Authority:
    made = Authority(tmp_path / "site")
    made.issue("broker", hosts=("127.0.0.1",))
    for name in (CONTROLLER, "a", "b"):
        made.issue(name)
    return made


@pytest.fixture
def broker(authority, tmp_path):
    made = Shipped(tmp_path, authority)
    yield made
    made.stop()


@pytest.fixture
def started(broker, tmp_path):
    """The controller, started; and its records."""
    running: list[Program] = []
    ear = Subscriber(tmp_path / "controller.sock")

    def start() -> tuple[Program, Subscriber]:
        (tmp_path / "site.toml").write_text(SITE.format(port=broker.port), "utf-8")
        program = Program.sekisho("controller", str(tmp_path / "site.toml"), log=tmp_path / "controller.log")
        running.append(program)
        program.wait_said("armed")
        ear.start()
        return program, ear

    yield start
    ear.stop()
    for program in running:
        program.kill()


def has(ear: Subscriber, type_: str, **detail: object) -> bool:
    return any(
        body["type"] == type_ and all(body.get("detail", {}).get(key) == value for key, value in detail.items())
        for body in list(ear.bodies)
    )


@pytest.mark.req("B-27")
def test_the_controller_is_let_in_and_hears_devices_with_certificates(broker, authority, started):
    """A site with TLS would be dark; or the line to a reader would not count as encrypted."""
    _, ear = started()
    a, b = Client(broker, authority, "a", will="sekisho/v1/a/state"), Client(broker, authority, "b")
    a.says("sekisho/v1/a/state", b"online", retain=True)
    b.says("tele/b/LWT", b"Online", retain=True)
    eventually(lambda: has(ear, "DEVICE_ONLINE", device="a") and has(ear, "DEVICE_ONLINE", device="b"), 10)
    b.says("tele/b/SENSOR", b'{"PN532":{"UID":"04A1B2C3"}}')
    eventually(lambda: has(ear, "ACCESS_DENIED", device="b"), 10)
    assert not b.says("sekisho/v1/a/card", CARD % 1)
    a.client.socket().close()  # it is torn off the wall
    eventually(lambda: has(ear, "DEVICE_OFFLINE", device="a"), 10)
    for one in (a, b):
        one.close()


@pytest.mark.req("B-27")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / f"{CONTROLLER}.key").chmod(0o644), "own key open to others: chmod 0600"),
        (lambda folder: (folder / f"{CONTROLLER}.pem").unlink(), "own certificate unreadable: give the path"),
    ],
)
def test_a_certificate_that_does_not_fit_is_told_and_the_doors_are_armed_all_the_same(authority, started, spoil, said):
    """A wrong mode of a file would keep the serial doors shut too, or look like a dead broker."""
    spoil(Path(authority.folder))
    program, ear = started()
    program.wait_said(said)
    eventually(lambda: has(ear, "DEVICE_OFFLINE", device="a"), 10)
    assert "Traceback" not in program.said
