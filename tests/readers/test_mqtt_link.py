"""readers/transports/mqtt.py against a real Mosquitto, a real amqtt and brokers written by hand."""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from readers.events import CardRead, DeviceOffline, DeviceOnline, InputChanged, MessageRefused
from readers.protocols.mqtt_messages import Release, Secure, Show
from readers.transports import mqtt
from readers.transports.mqtt import MqttLink
from readers.transports.mqtt_access import BrokerAccess

WITHIN_S = 10.0
CARD = "sekisho/v1/reader-1/card"
CONTACT = "sekisho/v1/reader-1/input/contact"
STATE = "sekisho/v1/reader-1/state"
COMMAND = "sekisho/v1/relay-1/command"

READER_ONLINE = DeviceOnline(source="reader-1")
RELEASE = Release(id="k-1", for_ms=5000, issued_ms=1, not_after_ms=2)


def lost(device: str, why: str = "broker lost") -> DeviceOffline:
    return DeviceOffline(source=device, why=why)


class Device:
    """A device on the broker: paho and hand-written payloads."""

    def __init__(self, port: int, *, will: bool = False, protocol: int = paho.MQTTv5, name: str = "") -> None:
        self.heard: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
        if will:
            self._client.will_set(STATE, b"offline", qos=1, retain=True)
        self._client.on_message = lambda _c, _u, message: self.heard.put(message)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect_async("127.0.0.1", port)
        self._connected = threading.Event()
        self._client.on_connect = lambda *_: self._connected.set()
        self._client.loop_start()
        assert self._connected.wait(WITHIN_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WITHIN_S)

    def subscribe(self, topic: str) -> None:
        self._subscribed.clear()
        self._client.subscribe(topic, 1)
        assert self._subscribed.wait(WITHIN_S)

    def die(self) -> None:
        """The power goes: no good-bye."""
        self._client.socket().shutdown(socket.SHUT_RDWR)
        self.leave()

    def leave(self) -> None:
        with contextlib.suppress(ValueError):
            self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def device_on():
    made: list[Device] = []

    def make(port: int, **options: object) -> Device:
        made.append(Device(port, **options))
        return made[-1]

    yield make
    for one in made:
        one.leave()


@pytest.fixture
def link_to(told):
    made: list[MqttLink] = []

    def make(port: int, devices: tuple[str, ...] = ("reader-1",), **options: object) -> MqttLink:
        options.setdefault("on_event", told)
        link = MqttLink(
            host="127.0.0.1", port=port, client_id="controller", devices=devices, on_wake=told.wake, **options
        )
        made.append(link)
        link.start()
        return link

    yield make
    for link in made:
        link.stop()


@pytest.fixture
def soon_silent(monkeypatch):
    """Do not wait two seconds for states that will not come."""
    monkeypatch.setattr(mqtt, "SILENT_AFTER_S", 0.2)


def online(link: MqttLink, device: Device, told) -> None:
    device.publish(STATE, b"online", retain=True)
    told.until(READER_ONLINE)
    assert link.is_connected


@pytest.mark.needs("mosquitto")
@pytest.mark.req("S-01")
def test_a_card_and_a_command_cross_a_real_broker(broker, told, link_to, device_on):
    """An MQTT door would not open."""
    device = device_on(broker.port)
    device.subscribe("sekisho/v1/+/command")
    device.subscribe("sekisho/v1/+/show")
    link = link_to(broker.port)
    online(link, device, told)
    assert link.protocol_version == 5
    device.publish(CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}')
    assert told.next() == CardRead(source="reader-1", number=b"\x04\xa1\xb2\xc3", kind="mqtt", read_id="r-1", at_ms=7)
    assert told.woken.is_set()
    assert link.publish_command("relay-1", RELEASE) is True
    command = device.heard.get(timeout=WITHIN_S)
    assert command.topic == COMMAND
    assert command.payload == b'{"do":"release","id":"k-1","for_ms":5000,"issued_ms":1,"not_after_ms":2}'
    assert link.publish_command("relay-1", Secure(id="k-2", issued_ms=1, not_after_ms=2)) is True
    assert device.heard.get(timeout=WITHIN_S).payload.startswith(b'{"do":"secure"')
    assert link.publish_show("reader-1", Show(id="s-1", show="refused", not_after_ms=9)) is True
    assert device.heard.get(timeout=WITHIN_S).topic == "sekisho/v1/reader-1/show"


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-22", "B-27")
def test_commands_are_never_retained_and_expire_on_the_broker(broker, told, link_to, device_on):
    """A relay that comes back would open the door for somebody who left minutes ago."""
    device = device_on(broker.port)
    device.subscribe(COMMAND)
    link = link_to(broker.port)
    online(link, device, told)
    link.publish_command("relay-1", RELEASE)
    command = device.heard.get(timeout=WITHIN_S)
    assert not command.retain
    assert command.qos == 1
    assert command.properties.MessageExpiryInterval == 3
    late = device_on(broker.port)
    late.subscribe(COMMAND)
    late.subscribe(CARD)
    late.publish(CARD, b"marker")
    assert late.heard.get(timeout=WITHIN_S).topic == CARD


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-22", "B-27")
def test_retained_and_repeated_reads_are_refused_on_the_wire(broker, told, link_to, device_on):
    """One retained message would open the door at every restart."""
    device = device_on(broker.port)
    device.publish(CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}', retain=True)
    device.publish(CONTACT, b'{"id":"c-1","is_active":true,"at_ms":7}', retain=True)
    device.publish(STATE, b"online", retain=True)
    link_to(broker.port)
    first = {told.next() for _ in range(3)}
    assert first == {
        MessageRefused(source="reader-1", why="retained"),
        InputChanged(source="reader-1", line="contact", is_active=True, is_level_report=True, at_ms=7),
        READER_ONLINE,
    }
    device.publish(CARD, b'{"id":"r-2","number":"04a1b2c3","at_ms":7}')
    assert isinstance(told.next(), CardRead)
    device.publish(CARD, b'{"id":"r-2","number":"04a1b2c3","at_ms":7}')
    assert told.next() == MessageRefused(source="reader-1", why="duplicate")
    device.publish(CARD, b'{"id":"r-3","number":"04a1b2c3","at_ms":7' + b" " * 2000 + b"}")
    assert told.next() == MessageRefused(source="reader-1", why="oversized")
    device.publish(CARD, b"\x00\xff\x17")
    assert told.next() == MessageRefused(source="reader-1", why="malformed")
    device.publish("sekisho/v1/stranger/card", b'{"id":"r-3","number":"04a1b2c3","at_ms":7}')
    assert told.next() == MessageRefused(source="stranger", why="unknown_device")
    device.publish(CONTACT, b'{"id":"c-2","is_active":false,"at_ms":7}', retain=True)
    assert told.next() == InputChanged(
        source="reader-1", line="contact", is_active=False, is_level_report=False, at_ms=7
    )


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-22")
@pytest.mark.parametrize("topic", [CARD, "sekisho/v1/reader-1/input/rex"])
def test_what_is_published_to_be_retained_while_we_listen_is_refused(broker, told, link_to, device_on, topic):
    """It would open the door now, and again for whoever subscribes next."""
    device = device_on(broker.port)
    device.publish(STATE, b"online", retain=True)
    link_to(broker.port)
    assert told.next() == READER_ONLINE
    kind = b'"number":"04a1b2c3"' if topic == CARD else b'"is_active":true'
    device.publish(topic, b'{"id":"r-1",' + kind + b',"at_ms":7}', retain=True)
    assert told.next() == MessageRefused(source="reader-1", why="retained")


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-27")
def test_the_last_will_takes_a_dead_device_offline(broker, told, link_to, device_on):
    """A reader whose cable was cut would look alive."""
    link = link_to(broker.port)
    device = device_on(broker.port, will=True)
    online(link, device, told)
    device.die()
    told.until(lost("reader-1", "device says offline"))


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-11", "B-22")
def test_a_broker_that_dies_and_returns_takes_commands_with_it(broker, told, link_to, device_on):
    """A command given during an outage, or just before it, would open a door after it."""
    device = device_on(broker.port)
    link = link_to(broker.port)
    online(link, device, told)
    broker.kill()
    link.publish_command("relay-1", RELEASE)  # perhaps before the link noticed: then it must be lost as well
    told.until(lost("reader-1"))
    assert link.is_connected is False
    assert link.publish_command("relay-1", RELEASE) is False
    broker.start()
    late = device_on(broker.port)
    late.subscribe("sekisho/v1/+/command")
    online(link, late, told)
    assert link.publish_command("relay-1", Secure(id="after", issued_ms=1, not_after_ms=2)) is True
    assert b'"after"' in late.heard.get(timeout=WITHIN_S).payload  # the first that arrives: nothing older was sent
    assert told.drained() == []


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-22")
def test_nothing_that_happened_during_an_outage_arrives_after_it(broker, told, link_to, device_on):
    """Badges from while the controller was away would be decided as if somebody stood at the door."""
    device = device_on(broker.port)
    link = link_to(broker.port)
    online(link, device, told)
    link.stop()
    device.publish(CARD, b'{"id":"r-away","number":"04a1b2c3","at_ms":7}')
    again = link_to(broker.port)
    told.until(READER_ONLINE)
    device.publish(CARD, b'{"id":"r-now","number":"04a1b2c3","at_ms":7}')
    assert told.next().read_id == "r-now"
    assert again.is_connected


@pytest.mark.needs("mosquitto")
def test_a_listener_that_raises_does_not_end_the_link(broker, told, link_to, device_on):
    """One full inbox would leave the link dead and looking alive for ever."""
    full = threading.Event()

    def sometimes_full(event: object) -> None:
        if isinstance(event, CardRead) and not full.is_set():
            full.set()
            raise queue.Full
        told(event)

    device = device_on(broker.port)
    link = link_to(broker.port, on_event=sometimes_full)
    online(link, device, told)
    device.publish(CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}')
    device.publish(CARD, b'{"id":"r-2","number":"04a1b2c3","at_ms":7}')
    assert told.next().read_id == "r-2"
    assert link.lost_events == 1


@pytest.mark.needs("mosquitto")
def test_a_burst_arrives_whole_and_in_order(broker, told, link_to, device_on):
    """Cards would be lost at shift change."""
    device = device_on(broker.port)
    link = link_to(broker.port)
    online(link, device, told)
    for number in range(500):
        device._client.publish(CARD, b'{"id":"r-%d","number":"04a1b2c3","at_ms":7}' % number, qos=1)
    assert [told.next().read_id for _ in range(500)] == [f"r-{number}" for number in range(500)]


@pytest.mark.needs("mosquitto")
def test_a_device_that_never_spoke_is_told_offline(broker, told, link_to, soon_silent):
    """A reader that was never mounted would be missed by nobody."""
    link_to(broker.port, ("reader-1", "relay-1"))
    assert told.next() == lost("reader-1", "no state")
    assert told.next() == lost("relay-1", "no state")


@pytest.mark.req("B-11")
def test_no_broker_at_all_is_told_once(told, link_to):
    """An installation without its broker would wait silently."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        link = link_to(taken.getsockname()[1], ("reader-1", "relay-1"))
        assert told.next() == lost("reader-1", "broker unreachable")
        assert told.next() == lost("relay-1", "broker unreachable")
        with pytest.raises(queue.Empty):
            told.next(within_s=0.7)
        assert link.publish_command("relay-1", RELEASE) is False


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-27")
def test_an_anonymous_or_wrong_login_is_refused_and_the_right_one_works(
    make_broker, tmp_path, told, link_to, soon_silent
):
    """Anybody on the network could speak for the controller."""
    (tmp_path / "passwords").write_text(
        "gate:$7$101$c2FsdHNhbHRzYWx0$" + _pbkdf2(b"correct horse", b"saltsaltsalt") + "\n"
    )
    (tmp_path / "passwords").chmod(0o600)
    (tmp_path / "good").write_text("correct horse\n")
    (tmp_path / "bad").write_text("wrong\n")
    broker = make_broker(extra=f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}")
    anonymous = link_to(broker.port)
    assert told.next() == lost("reader-1", "broker refused us")
    anonymous.stop()
    wrong = link_to(broker.port, access=BrokerAccess(username="gate", password_file=tmp_path / "bad"))
    assert told.next() == lost("reader-1", "broker refused us")
    wrong.stop()
    link_to(broker.port, access=BrokerAccess(username="gate", password_file=tmp_path / "good"))
    assert told.next() == lost("reader-1", "no state")  # accepted, and the broker knows nothing of the device


def _pbkdf2(password: bytes, salt: bytes) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.pbkdf2_hmac("sha512", password, salt, 101)).decode()


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-27")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho forgets the socket of a failed handshake
def test_tls_13_with_the_sites_own_authority(make_broker, tmp_path, told, link_to, soon_silent, certificates):
    """Commands would cross the network in clear text, or to whoever answers."""
    ca, cert, key, stranger = certificates
    broker = make_broker(listener=f"cafile {ca}\ncertfile {cert}\nkeyfile {key}\ntls_version tlsv1.3")
    wrong = link_to(broker.port, access=BrokerAccess(ca_file=stranger))
    assert told.next() == lost("reader-1", "broker certificate of another authority")
    wrong.stop()
    link = link_to(broker.port, access=BrokerAccess(ca_file=ca))
    assert told.next() == lost("reader-1", "no state")
    assert link.is_connected


@pytest.fixture
def certificates(tmp_path):
    """A made-up authority, a certificate for 127.0.0.1, and another authority that signed nothing."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def signed(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        )
        if subject == issuer:
            usage = dict.fromkeys(
                (
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ours, theirs, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    paths = [tmp_path / name for name in ("ca.pem", "server.pem", "server.key", "stranger.pem")]
    paths[0].write_bytes(signed("Site", ours, "Site", ours))
    paths[1].write_bytes(signed("broker", server, "Site", ours))
    paths[2].write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    paths[3].write_bytes(signed("Stranger", theirs, "Stranger", theirs))
    return paths


# -- brokers that speak 3.1.1 only, and worse ---------------------------------------------------------------------


class HandBroker:
    """A socket that answers each CONNECT as a table says: protocol level → bytes, or b"" to hang up."""

    def __init__(self, answers: dict[int, bytes]) -> None:
        self.levels: queue.Queue[int] = queue.Queue()
        self._answers = answers
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                connect = peer.recv(1024)  # 10 len 00 04 'MQTT' level …
                level = connect[8]
                self.levels.put(level)
                if self._answers[level]:
                    peer.sendall(self._answers[level])
                    self._held.append(peer)
                    subscribe = peer.recv(1024)  # 82 len mid mid …
                    peer.sendall(b"\x90\x06" + subscribe[2:4] + b"\x01\x01\x01\x01")
                    continue
            peer.close()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(WITHIN_S)
        for peer in self._held:
            peer.close()


@pytest.fixture
def hand_broker():
    made: list[HandBroker] = []

    def make(answers: dict[int, bytes]) -> HandBroker:
        made.append(HandBroker(answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


ACCEPTED_311 = b"\x20\x02\x00\x00"


@pytest.mark.parametrize(
    "to_version_5",
    [
        b"",  # hangs up, as amqtt does
        b"\x20\x03\x00\x84\x00",  # MQTT 5 CONNACK: unsupported protocol version
        b"\x20\x02\x00\x01",  # 3.1.1 CONNACK: unacceptable protocol version
        b"\xff\xff\xff\xff\xff\xff",  # nonsense
    ],
)
def test_a_broker_of_311_is_spoken_to_in_311(hand_broker, told, link_to, soon_silent, to_version_5):
    """A site with an older broker could not be used at all."""
    old = hand_broker({5: to_version_5, 4: ACCEPTED_311})
    link = link_to(old.port)
    assert old.levels.get(timeout=WITHIN_S) == 5
    level = old.levels.get(timeout=WITHIN_S)
    while level == 5:
        level = old.levels.get(timeout=WITHIN_S)
    assert level == 4
    assert told.next() == lost("reader-1", "no state")  # and no alarm for the version that was refused
    assert link.is_connected
    assert link.protocol_version == 4


def test_a_broker_that_talks_nonsense_does_not_end_the_link(hand_broker, told, link_to):
    """A broken broker would leave the controller without its doors after the broker was repaired."""
    broken = hand_broker({5: b"\x00\x00\x00", 4: b"\xf0\xff\xff\xff\xff\x01"})
    link = link_to(broken.port)
    for _ in range(4):
        broken.levels.get(timeout=WITHIN_S)
    assert isinstance(told.next(), DeviceOffline)
    assert told.drained() == []
    assert link._thread.is_alive()


def test_the_demos_own_broker_is_spoken_to(told, link_to, device_on):
    """`make demo` would show a building without doors: amqtt hangs up on MQTT 5."""
    import subprocess

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "sekisho.demo_broker", str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            link = link_to(port)
            device = device_on(port, protocol=paho.MQTTv311, name="device")
            device.subscribe(COMMAND)
            online(link, device, told)
            assert link.protocol_version == 4
            device.publish(CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}')
            told.until(CardRead(source="reader-1", number=b"\x04\xa1\xb2\xc3", kind="mqtt", read_id="r-1", at_ms=7))
            assert link.publish_command("relay-1", RELEASE) is True
            assert device.heard.get(timeout=WITHIN_S).topic == COMMAND
        finally:
            process.kill()
