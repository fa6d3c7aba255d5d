"""deploy/mosquitto.conf, mosquitto-acl and make-certificates with a real Mosquitto: who may say and hear what."""

from __future__ import annotations

import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from readers.events import CardRead, DeviceOffline, DeviceOnline, MessageRefused
from readers.protocols.mqtt_messages import Release
from readers.protocols.mqtt_profiles import MqttDevice
from readers.transports.mqtt import MqttLink
from readers.transports.mqtt_access import BrokerAccess
from tests.deploy.certificates import Authority

DEPLOY = Path(__file__).parents[2] / "deploy"
WITHIN_S = 10.0
CONTROLLER = "sekisho-controller"
BRIDGE = "zigbee2mqtt"
STREAMS, COLLECTOR = "sekisho-streams", "sekisho-collector"
NAMES = (CONTROLLER, BRIDGE, STREAMS, COLLECTOR, "home-assistant", "a", "b")

pytestmark = [
    pytest.mark.needs("mosquitto"),
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # paho forgets failed sockets
]


class Shipped:
    """A Mosquitto with the settings that we ship; only paths and the port are another's."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        text = (DEPLOY / "mosquitto.conf").read_text("utf-8")
        text = text.replace("/etc/mosquitto/certs/", f"{authority.folder}/")
        text = text.replace("/etc/mosquitto/conf.d/", f"{DEPLOY}/").replace("listener 8883", f"listener {self.port}")
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"{text}\nuser {os.environ.get('USER', 'root') or 'root'}\n", "utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        assert program is not None
        self.process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end:
            assert self.process.poll() is None, "mosquitto does not take the settings that we ship"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            threading.Event().wait(0.02)
        pytest.fail("mosquitto does not listen")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(WITHIN_S)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("site"))
    made.issue("broker", hosts=("127.0.0.1",))
    for name in NAMES:
        made.issue(name)
    return made


@pytest.fixture(scope="module")
def broker(authority, tmp_path_factory):
    made = Shipped(tmp_path_factory.mktemp("broker"), authority)
    yield made
    made.stop()


class Client:
    """Somebody on the broker, with the certificate of `name`. It hears by its subscriptions, and is told by MQTT 5 what
    was not taken.
    """

    def __init__(self, broker: Shipped, authority: Authority, name: str | None, **options: object) -> None:
        self.heard: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._acks: queue.Queue[bool] = queue.Queue()
        self._subscribed = threading.Event()
        self._up = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False)
        if options.get("tls", True):
            context = ssl.create_default_context(cafile=str(options.get("ca", authority.ca)))
            if name is not None:
                context.load_cert_chain(authority.folder / f"{name}.pem", authority.folder / f"{name}.key")
            if "tls_max" in options:
                context.maximum_version = options["tls_max"]
            self.client.tls_set_context(context)
        if "username" in options:
            self.client.username_pw_set(str(options["username"]), "x")
        if "will" in options:
            self.client.will_set(str(options["will"]), b"offline", qos=1, retain=True)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: None if reason.is_failure else self._up.set()
        self.client.on_message = lambda _c, _u, message: self.heard.put(message)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_publish = lambda _c, _u, _m, reason, _p: self._acks.put(not reason.is_failure)
        self._is_ended = threading.Event()
        self.client.on_disconnect = lambda *_: self._is_ended.set()
        try:
            self.client.connect("127.0.0.1", broker.port)
        except OSError:
            self.is_up = False
            return
        self.client.loop_start()
        while not self._up.wait(0.01) and not self._is_ended.is_set():
            pass
        self.is_up = self._up.is_set()

    def says(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> bool:
        """Whether the broker took it."""
        self.client.publish(topic, payload, qos=1, retain=retain)
        return self._acks.get(timeout=WITHIN_S)

    def listens(self, *topics: str) -> Client:
        self._subscribed.clear()
        self.client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        assert self._subscribed.wait(WITHIN_S)
        return self

    def close(self) -> None:
        if self.is_up:
            self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def join(broker, authority):
    made: list[Client] = []

    def make(name: str | None, **options: object) -> Client:
        made.append(Client(broker, options.pop("by", authority), name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.req("B-27")
def test_only_who_has_a_certificate_of_the_site_is_let_in(join, authority, tmp_path):
    """Anybody who finds the network socket behind a reader would be in the building's nervous system."""
    assert join("a").is_up
    assert not join(None).is_up, "no certificate"
    assert not join(None, tls=False).is_up, "no TLS, no name"
    assert not join(None, username=CONTROLLER).is_up, "a name that is only said"
    stranger = Authority(tmp_path / "stranger", "Stranger")
    stranger.issue("a")
    assert not join("a", by=stranger, ca=authority.ca).is_up, "another authority's"
    assert not join("a", tls_max=ssl.TLSVersion.TLSv1_2).is_up, "TLS 1.2"


@pytest.mark.req("B-27")
def test_a_name_that_is_said_does_not_beat_the_one_in_the_certificate(join):
    """A device would call itself the controller and open the building."""
    assert not join("a", username=CONTROLLER).says("sekisho/v1/b/command")


OWN = [
    "sekisho/v1/a/card",
    "sekisho/v1/a/keys",
    "sekisho/v1/a/count",
    "sekisho/v1/a/done",
    "sekisho/v1/a/state",
    "sekisho/v1/a/input/contact",
    "a/online",
    "a/card",
    "a/contact",
    "a/output",
    "a/send",
    "tele/a/SENSOR",
    "tele/a/LWT",
    "stat/a/POWER",
    "stat/a/RESULT",
    "a/events/rpc",
    "a/status/switch:0",
    "a/ctl/rpc",
    "a/status",
    "a/binary_sensor/contact/state",
    "a/lock/strike/state",
]
COMMANDS = [
    "sekisho/v1/a/command",
    "sekisho/v1/a/show",
    "cmnd/a/Backlog0",
    "cmnd/a/Power",
    "a/rpc",
    "a/cmd",
    "a/output/set",
    "a/show",
    "a/switch/strike/command",
    "zigbee2mqtt/a/set",
]


@pytest.mark.req("B-27")
def test_a_device_speaks_for_itself_alone(join):
    """Whoever takes one reader off the wall would be every reader of the building."""
    a = join("a")
    assert [topic for topic in OWN if not a.says(topic)] == []
    others = [re.sub(r"(^|/)a(/|$)", r"\1b\2", topic) for topic in OWN]
    assert [topic for topic in others if a.says(topic)] == []
    strange = ["zigbee2mqtt/a", "zigbee2mqtt/bridge/state", "homeassistant/lock/x/config", "sekisho/home/x", "anything"]
    assert [topic for topic in strange if a.says(topic)] == []


@pytest.mark.req("B-22", "B-27")
def test_no_device_can_say_a_command_also_not_to_itself_nor_as_its_last_will(join):
    """A reader on the unsafe side would release the strike on the safe side."""
    a = join("a")
    assert [topic for topic in COMMANDS if a.says(topic, retain=True)] == []
    others = [re.sub(r"(^|/)a(/|$)", r"\1b\2", topic) for topic in COMMANDS]
    assert [topic for topic in others if a.says(topic, retain=True)] == []
    relay = join("b").listens("sekisho/v1/b/command", "cmnd/b/#", "b/rpc", "b/+/+/command")
    dying = join("a", will="sekisho/v1/b/command")
    if dying.is_up:
        dying.client.socket().close()
    assert join(CONTROLLER).says("cmnd/b/Power", b"the first that is heard")
    assert relay.heard.get(timeout=WITHIN_S).payload == b"the first that is heard"


@pytest.mark.req("B-27")
def test_a_device_hears_what_it_is_told_and_nothing_else(join):
    """Every reader would know each card and each release of the building."""
    a = join("a").listens("#")
    controller = join(CONTROLLER)
    assert join("b").says("sekisho/v1/b/card") and join("b").says("tele/b/SENSOR")
    for topic in COMMANDS:
        other = re.sub(r"(^|/)a(/|$)", r"\1b\2", topic)
        assert controller.says(other, b"for b"), other
        assert controller.says(topic, b"for a"), topic
    heard = {a.heard.get(timeout=WITHIN_S).topic for _ in range(len(COMMANDS) - 1)}
    assert heard == set(COMMANDS) - {"zigbee2mqtt/a/set"}
    assert controller.says("a/rpc", b"the last")
    assert a.heard.get(timeout=WITHIN_S).payload == b"the last"


@pytest.mark.req("B-27")
def test_the_controller_hears_every_device_and_speaks_for_none(join):
    """It would decide on its own echoes, or miss a make of device that we say we know."""
    controller = join(CONTROLLER).listens(*_controllers_topics())
    a = join("a")
    for topic in OWN:
        assert a.says(topic)
    wanted = set(OWN) - {"a/status/switch:0", "a/ctl/rpc"}
    assert {controller.heard.get(timeout=WITHIN_S).topic for _ in wanted} == wanted
    assert join(BRIDGE).says("zigbee2mqtt/a", b"{}")
    assert controller.heard.get(timeout=WITHIN_S).topic == "zigbee2mqtt/a"
    assert [topic for topic in OWN if controller.says(topic)] == []


def _controllers_topics() -> list[str]:
    """Every topic that any profile makes the controller listen to, of a device `a`."""
    from readers import profiles
    from readers.protocols.mqtt_inbound import MqttInbound

    devices = [MqttDevice(f"a-{number}", name, "a") for number, name in enumerate(profiles.names()[1:])]
    zigbee = [MqttDevice(f"z-{number}", name, "zigbee2mqtt/a") for number, name in enumerate(profiles.names()[1:])]
    topics = {one.topic for one in MqttInbound([*devices, *zigbee]).subscriptions}
    return sorted(topic for topic in topics if not topic.startswith(("zigbee2mqtt/a/", "tele/zigbee2mqtt", "stat/z")))


@pytest.mark.req("B-27")
def test_what_home_assistant_is_shown_it_cannot_touch(join):
    """A page on somebody's telephone would open the building."""
    home = join("home-assistant").listens("homeassistant/#", "sekisho/home/#", "sekisho/v1/#", "tele/#")
    tried = [*OWN, *COMMANDS, "homeassistant/status", "sekisho/home/p/state"]
    assert [topic for topic in tried if home.says(topic)] == []
    controller = join(CONTROLLER)
    assert controller.says("sekisho/v1/b/command")
    assert controller.says("sekisho/home/p/state")
    assert home.heard.get(timeout=WITHIN_S).topic == "sekisho/home/p/state"


RECORDS = ["sekisho/v1/site/ledger", "sekisho/v1/site/checkpoint", "sekisho/v1/a/ledger", "sekisho/v1/a/checkpoint"]


@pytest.mark.req("A-28", "B-27")
def test_records_are_said_by_who_carries_them_and_heard_by_who_keeps_them(join):
    """A reader on the wall would write a history of its own, or everybody on the broker would know who was where; and
    whoever breaks into what carries records would open the building.
    """
    others = [join("a").listens("#"), join("home-assistant").listens("#"), join(CONTROLLER).listens("sekisho/v1/+/+")]
    keeper = join(COLLECTOR).listens("#")
    streams = join(STREAMS).listens("#")
    for who in (join("a"), join(CONTROLLER), join("home-assistant"), join(COLLECTOR)):
        assert [topic for topic in RECORDS if who.says(topic)] == []
    assert [topic for topic in RECORDS if not streams.says(topic)] == []
    assert {keeper.heard.get(timeout=WITHIN_S).topic for _ in RECORDS} == set(RECORDS)
    for who in (join("a"), join(CONTROLLER), join("home-assistant"), streams):
        assert not who.says("sekisho/v1/site/kept"), "only who keeps records says how far"
    assert keeper.says("sekisho/v1/site/kept")
    assert streams.heard.get(timeout=WITHIN_S).topic == "sekisho/v1/site/kept"
    tried = [*OWN, *COMMANDS, "sekisho/v1/a/ledger/x", "sekisho/home/x", "homeassistant/x"]
    assert [topic for topic in tried if streams.says(topic)] == []
    assert [topic for topic in tried if join(COLLECTOR).says(topic)] == []
    assert join("b").says("sekisho/v1/b/card") and join(CONTROLLER).says("sekisho/v1/a/command", b"last")
    assert others[0].heard.get(timeout=WITHIN_S).payload == b"last", "and no record before it"
    assert others[2].heard.get(timeout=WITHIN_S).topic == "sekisho/v1/b/card"
    assert [one.heard.qsize() for one in (others[1], streams, keeper)] == [0, 0, 0]


# -- the product on it ---------------------------------------------------------------------------------------------


class Told:
    """Events in the order in which they were told."""

    def __init__(self) -> None:
        self._events: queue.Queue[object] = queue.Queue()

    def __call__(self, event: object) -> None:
        self._events.put(event)

    def until(self, wanted: object) -> list[object]:
        seen: list[object] = []
        while wanted not in seen:
            seen.append(self._events.get(timeout=WITHIN_S))
        return seen


@pytest.fixture
def link(broker, authority):
    """The controller's connection, as wires.py makes it, with two devices of ours and a bought one."""
    told = Told()
    access = BrokerAccess(
        ca_file=authority.ca,
        cert_file=authority.folder / f"{CONTROLLER}.pem",
        key_file=authority.folder / f"{CONTROLLER}.key",
    )
    made = MqttLink(
        host="127.0.0.1",
        port=broker.port,
        client_id="x",
        devices=["a", "b", MqttDevice("c", "tasmota-pn532", "c")],
        on_event=told,
        on_wake=lambda: None,
        access=access,
    )
    made.start()
    yield made, told
    made.stop()


CARD = b'{"id":"r-%d","number":"04a1b2c3","at_ms":7}'


@pytest.mark.req("B-22", "B-27")
def test_a_card_in_another_devices_name_never_arrives(link, join):
    """A stolen reader of the canteen would read cards at the vault."""
    _, told = link
    a, b = join("a"), join("b", will="sekisho/v1/b/state")
    assert b.says("sekisho/v1/b/state", b"online", retain=True)
    told.until(DeviceOnline(source="b"))
    assert not a.says("sekisho/v1/b/card", CARD % 1)
    assert not a.says("tele/c/SENSOR", b'{"PN532":{"UID":"04A1B2C3"}}')
    assert b.says("sekisho/v1/b/card", CARD % 2)
    genuine = CardRead(source="b", number=bytes.fromhex("04a1b2c3"), kind="mqtt", read_id="r-2", at_ms=7)
    assert [event for event in told.until(genuine) if isinstance(event, CardRead)] == [genuine]
    assert b.says("sekisho/v1/b/card", CARD % 3, retain=True)
    told.until(MessageRefused(source="b", why="retained"))
    assert b.says("sekisho/v1/b/card", b"", retain=True)  # take it off the broker again
    b.client.socket().close()
    told.until(DeviceOffline(source="b", why="device says offline"))


@pytest.mark.req("B-11", "B-22")
def test_a_broker_that_restarts_forgets_commands_and_keeps_nobody_waiting(broker, link, join):
    """A door would open for a command from before the outage, or the site would stay dark after it."""
    made, told = link
    assert join("a").says("sekisho/v1/a/state", b"online", retain=True)
    told.until(DeviceOnline(source="a"))
    broker.stop()
    told.until(DeviceOffline(source="a", why="broker lost"))
    assert made.publish_command("b", Release(id="k", for_ms=300, issued_ms=1, not_after_ms=2)) is False
    broker.start()
    relay = join("b").listens("sekisho/v1/b/command")
    assert join("a").says("sekisho/v1/a/state", b"online", retain=True)
    told.until(DeviceOnline(source="a"))
    assert made.publish_command("b", Release(id="after", for_ms=300, issued_ms=1, not_after_ms=2))
    assert b'"after"' in relay.heard.get(timeout=WITHIN_S).payload


@pytest.mark.req("B-27")
def test_a_lost_devices_certificate_can_be_taken_back(authority, tmp_path):
    """A reader that was stolen would speak until its certificate runs out in two years."""
    lost = Authority(tmp_path / "site")
    lost.issue("broker", hosts=("127.0.0.1",))
    lost.issue("a")
    lost.issue("b")
    lost.revoke("a")
    made = Shipped(tmp_path, lost)
    a, b = Client(made, lost, "a"), Client(made, lost, "b")
    assert (a.is_up, b.is_up) == (False, True)
    for one in (a, b):
        one.close()
    made.stop()


# -- the script ------------------------------------------------------------------------------------------------------


def _make(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DEPLOY / "make-certificates", *map(str, words)], capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.req("B-27")
def test_the_script_makes_what_the_broker_and_the_controller_take(tmp_path):
    """The site would be set up by whoever finds a recipe on the network, with one key for all."""
    folder = tmp_path / "site"
    for words in (
        ("authority", folder),
        ("broker", folder, "127.0.0.1", "broker.example"),
        ("controller", folder),
        ("streams", folder),
        ("collector", folder),
        ("receiver", folder, "siem.example"),
        ("device", folder, "a"),
        ("device", folder, "b"),
    ):
        assert _make(*words).returncode == 0
    assert {path.stat().st_mode & 0o077 for path in folder.glob("*.key")} == {0}
    assert _make("device", folder, "a").returncode != 0, "it would overwrite a key that is in use"
    for name in ("a/b", "+", "#", "", "tele", "sekisho", "sekisho-controller", "homeassistant"):
        assert _make("device", folder, name).returncode != 0, name
    assert _make("revoke", folder, "b").returncode == 0

    class Scripted:
        ca = folder / "ca.pem"

    made_by = Scripted()
    made_by.folder = folder
    (folder / "b.pem").write_bytes((folder / "b.revoked.pem").read_bytes())
    (folder / "b.key").write_bytes((folder / "b.revoked.key").read_bytes())
    made = Shipped(tmp_path, made_by)
    a, b, controller = (Client(made, made_by, name) for name in ("a", "b", CONTROLLER))
    assert (a.is_up, b.is_up, controller.is_up) == (True, False, True)
    assert a.says("sekisho/v1/a/card") and not a.says("sekisho/v1/b/card")
    assert controller.says("sekisho/v1/a/command")
    for one in (a, b, controller):
        one.close()
    made.stop()
