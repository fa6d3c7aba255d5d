"""controller/streams/mqtt.py with a real Mosquitto: what it acknowledges, and that nothing is missing afterwards."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import subprocess
import sys
import threading

import msgspec
import paho.mqtt.client as paho
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from controller.streams import mqtt_message
from controller.streams.mqtt import MqttSection, MqttSink
from controller.streams.outgoing import stream_record
from controller.streams.sinks import SinkDown
from tests.controller.streams.collector import CHECKPOINT, KEEPING, LEDGER, Collector
from tests.controller.streams.made_ledger import ORIGIN, START_MS, Day, made, record
from tests.controller.streams.wire import Wire
from tests.deploy.certificates import Authority
from tests.readers.conftest import WITHIN_S, Broker, free_port

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # paho forgets failed sockets
]
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def closing():
    """Whatever is given to it is closed at the end, the last one first."""
    made_here: list = []

    def give(one):
        made_here.append(one)
        return one

    yield give
    for one in reversed(made_here):
        getattr(one, "kill", getattr(one, "close", None))()


@pytest.fixture
def broker(tmp_path, closing) -> Broker:
    (tmp_path / "kept").mkdir()
    return closing(Broker(tmp_path, extra=KEEPING.format(tmp_path / "kept")))


def section(port: int, **keys: object) -> MqttSection:
    return MqttSection(**({"name": "office", "host": "127.0.0.1", "port": port, "node": "lab"} | keys))


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_a_record_arrives_as_the_ledger_has_it_and_says_whose_it_is(broker, closing):
    """Whoever keeps records could not prove them later, or would take one controller's for another's."""
    collector = closing(Collector(broker.port))
    sink = closing(MqttSink(section(broker.port)))
    sent = [made(0, now_ms=START_MS + 60_000, zone="vault"), made(1)]
    assert sink.deliver(sent) == 2
    first, second = collector.until(1)
    assert dict(first.properties.UserProperty) == {"origin": ORIGIN, "seq": "0"}
    assert (first.properties.ContentType, first.qos, first.retain) == ("application/json", 1, False)
    told, kept = json.loads(first.payload), record(0, zone="vault")
    assert (told["leaf"], told["salt"], told["checkpoint"]) == (kept.leaf, kept.salt, kept.checkpoint)
    assert f'"body":{kept.body}' in first.payload.decode(), "the ledger's own text"
    assert (told["late_ms"], json.loads(second.payload).get("late_ms", 0)) == (60_000, 0)


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_the_newest_checkpoint_stands_on_the_broker_for_whoever_comes_later(broker, closing):
    """Somebody who comes to check a ledger would find nothing to hold it against until the next card is read; a record
    that is retained would be taken for news at every start.
    """
    closing(Collector(broker.port))
    sink = closing(MqttSink(section(broker.port)))
    assert sink.deliver([made(0), made(1)]) == 2
    assert sink.deliver([made(2)]) == 1
    late = closing(Collector(broker.port, "late"))
    message = late.heard.get(timeout=WITHIN_S)
    assert (message.topic, message.retain, message.payload.decode()) == (CHECKPOINT, True, record(2).checkpoint)
    sink.deliver([made(3)])
    assert json.loads(late.until(3)[0].payload)["seq"] == 3


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_a_record_that_nobody_is_subscribed_to_is_not_acknowledged(broker, closing):
    """The broker throws away what nobody asked for, and says that it is well: records would be gone for good."""
    sink = closing(MqttSink(section(broker.port)))
    with pytest.raises(SinkDown) as down:
        sink.deliver([made(0), made(1)])
    assert (down.value.code, down.value.acknowledged) == ("rejected", 0)
    collector = closing(Collector(broker.port))
    assert sink.deliver([made(0), made(1)]) == 2
    assert [json.loads(one.payload)["seq"] for one in collector.until(1)] == [0, 1]
    anybody = closing(MqttSink(section(broker.port, is_collector_needed=False, node="other")))
    assert anybody.deliver([made(0)]) == 1, "where the site says that it does not matter"


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_a_record_that_is_too_large_for_the_broker_goes_in_pieces(tmp_path, closing):
    """The first long change of the registers would stop the stream for good, or be thrown away by the broker."""
    limits = "allow_anonymous true\nmessage_size_limit 16384\nmax_inflight_messages 2"
    broker = closing(Broker(tmp_path, extra=limits))
    collector = closing(Collector(broker.port))
    sink = closing(MqttSink(section(broker.port)))
    large = made(0, detail={"edit": '区域\\"' * 9000})
    assert sink.deliver([large, made(1)]) == 2
    *pieces, last = collector.until(1)
    told = [msgspec.json.decode(one.payload, type=mqtt_message.Piece) for one in pieces]
    assert [one.part for one in told] == list(range(1, told[0].parts + 1))
    assert {one.properties.ContentType for one in pieces} == {mqtt_message.PIECE_TYPE}
    assert "".join(one.text for one in told).encode() == stream_record(large)
    assert last.properties.ContentType == mqtt_message.RECORD_TYPE


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_a_broker_that_refuses_says_so_before_any_record_overtakes_another(tmp_path, closing):
    """A broker that was set up wrongly would take every second record, and nobody would hear of it."""
    acl = tmp_path / "acl"
    acl.write_text(f"topic read {LEDGER}\ntopic read {CHECKPOINT}\n")
    acl.chmod(0o600)
    broker = closing(Broker(tmp_path, extra=f"allow_anonymous true\nacl_file {acl}"))
    closing(Collector(broker.port))
    sink = closing(MqttSink(section(broker.port)))
    with pytest.raises(SinkDown, match="record 0") as down:
        sink.deliver([made(0), made(1)])
    assert (down.value.code, down.value.acknowledged) == ("not_authorized", 0)


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_what_arrived_without_its_answer_is_sent_again_and_told_apart_by_its_number(broker, closing):
    """A line that breaks between a record and its acknowledgement would leave a gap, or two of one record."""
    collector = closing(Collector(broker.port))
    wire = closing(Wire(broker.port))
    sink = closing(MqttSink(section(wire.port)))
    assert sink.deliver([made(0)]) == 1
    batch = [made(seq) for seq in range(1, 101)]
    wire.lose_answers_after(4 * 30 + 2)
    with pytest.raises(SinkDown) as down:
        sink.deliver(batch)
    done = down.value.acknowledged
    assert 0 < done < 100
    assert sink.deliver(batch[done:]) == 100 - done
    numbers = [(one["origin"], one["seq"]) for one in (json.loads(m.payload) for m in collector.until(100))]
    assert len(numbers) > 101, "some came twice: they had arrived before the line broke"
    assert list(dict.fromkeys(numbers)) == [(ORIGIN, seq) for seq in range(101)]


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_where_the_collectors_word_counts_nothing_but_it_acknowledges(broker, closing):
    """A broker that forgets at its restart, or counts a stranger as a listener, would say that records are kept that
    nobody has.
    """
    collector = closing(Collector(broker.port))
    sink = closing(MqttSink(section(broker.port, acknowledged_by="collector", timeout_s=1.5)))
    batch = [made(seq) for seq in range(4)]
    collector.keeps(3, mqtt_message.leaf_hash(batch[3]), retain=True)  # from before: nobody knows of what
    with pytest.raises(SinkDown) as down:
        sink.deliver(batch)
    assert (down.value.code, down.value.acknowledged) == ("timeout", 0)
    answers = threading.Thread(target=_keep, args=(collector, batch))
    answers.start()
    with pytest.raises(SinkDown) as down:
        sink.deliver(batch)
    answers.join()
    assert (down.value.code, down.value.acknowledged) == ("timeout", 2)
    answers = threading.Thread(
        target=lambda: (collector.until(3), collector.keeps(3, mqtt_message.leaf_hash(batch[3])))
    )
    answers.start()
    assert sink.deliver(batch[2:]) == 2
    answers.join()


def _keep(collector: Collector, batch: list) -> None:
    """Store two of four, and speak of what is not so."""
    collector.until(3)  # of the attempt before
    collector.until(3)
    collector.keeps(3, mqtt_message.leaf_hash(batch[2]))  # another history
    collector.keeps(3, mqtt_message.leaf_hash(batch[3]), origin="sekisho.example/other")
    collector.keeps(9, mqtt_message.leaf_hash(batch[3]))
    collector.keeps(1, mqtt_message.leaf_hash(batch[1]))


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_an_hour_without_the_broker_and_a_restart_of_both_leave_no_gap(broker, closing, tmp_path):
    """The records of the hour in which somebody cut the network, which are the ones that matter, would be missing."""
    collector = closing(Collector(broker.port))
    wire = closing(Wire(broker.port))
    day = Day(ends_ms=0)
    day.records_every(40_000, until_ms=90 * MINUTE_MS)

    def back() -> None:
        broker.start()
        assert collector.ready.wait(WITHIN_S)

    day.at(5 * MINUTE_MS, lambda: wire.lose_answers_after(1))
    day.at(10 * MINUTE_MS, broker.kill)
    day.at(10 * MINUTE_MS + HOUR_MS, back)
    cursor = tmp_path / "office.cursor"
    for until_ms in (3 * MINUTE_MS, 40 * MINUTE_MS, 75 * MINUTE_MS, 95 * MINUTE_MS):  # our side restarts, also in it
        day.carry(section(wire.port), MqttSink(section(wire.port)), cursor, until_ms=until_ms)
    got = [json.loads(one.payload) for one in collector.until(len(day.records) - 1)]
    numbers = [one["seq"] for one in got]
    assert len(numbers) > len(day.records), "nothing came twice: the line never broke where it matters"
    assert list(dict.fromkeys(numbers)) == list(range(len(day.records)))
    late = {one["seq"]: one.get("late_ms", 0) for one in got}
    assert HOUR_MS - 60_000 < max(late.values()) < HOUR_MS + 2 * MINUTE_MS
    assert [one.code for one in day.told] == ["SINK_LOST", "SINK_RESTORED"]


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28", "B-27")
def test_records_leave_over_tls_with_a_certificate_or_not_at_all(tmp_path, closing):
    """Whoever listens on the network would know who was where, or somebody else's broker would be told."""
    site = Authority(tmp_path / "site")
    site.issue("broker", hosts=("127.0.0.1",))
    site.issue("sekisho-streams")
    listener = (
        f"tls_version tlsv1.3\ncafile {site.ca}\ncertfile {site.folder}/broker.pem\nkeyfile {site.folder}/broker.key\n"
        "require_certificate true\nuse_identity_as_username true"
    )
    broker = closing(Broker(tmp_path, listener=listener))
    ours = {
        "ca_file": site.ca,
        "cert_file": site.folder / "sekisho-streams.pem",
        "key_file": site.folder / "sekisho-streams.key",
        "is_collector_needed": False,
    }
    assert closing(MqttSink(section(broker.port, **ours))).deliver([made(0)]) == 1
    stranger = Authority(tmp_path / "stranger", "Stranger")
    refused = {
        "tls": {**ours, "ca_file": stranger.ca},
        "not_authorized": {"ca_file": site.ca, "is_collector_needed": False},
    }
    for code, keys in refused.items():
        with pytest.raises(SinkDown) as down:
            closing(MqttSink(section(broker.port, **keys))).deliver([made(0)])
        assert down.value.code == code
    (site.folder / "sekisho-streams.key").chmod(0o644)
    with pytest.raises(SinkDown, match="chmod 0600") as down:
        closing(MqttSink(section(broker.port, **ours))).deliver([made(0)])
    assert down.value.code == "tls"


@pytest.mark.needs("mosquitto")
@pytest.mark.req("A-28")
def test_a_broker_that_has_no_mqtt_5_is_asked_in_3_1_1():
    """A site with an older broker would get nothing."""
    command = [sys.executable, "-m", "sekisho.demo_broker", str(port := free_port())]  # amqtt, which has no more
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        heard, subscriber = _old_subscriber(port)
        sink = MqttSink(section(port))
        assert sink.deliver([made(0)]) == 1
        message = heard.get(timeout=WITHIN_S)
        assert (message.topic, json.loads(message.payload)["seq"]) == (LEDGER, 0)
        sink.close()
        subscriber.disconnect()
        subscriber.loop_stop()
        process.terminate()
        assert process.wait(WITHIN_S) == 0


def _old_subscriber(port: int) -> tuple[queue.Queue[paho.MQTTMessage], paho.Client]:
    heard: queue.Queue[paho.MQTTMessage] = queue.Queue()
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.on_connect = lambda client, *_: client.subscribe(LEDGER, 1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _c, _u, message: heard.put(message)
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(WITHIN_S)
    return heard, client


@pytest.mark.req("A-28")
def test_a_broker_that_spoke_5_is_never_asked_in_3_1_1(closing):
    """One that starts up slowly would be spoken to in a language in which a refusal looks like an acknowledgement."""
    versions: list[int] = []
    connack_5 = b"\x20\x03\x00\x00\x00"
    with Answering([connack_5, b"", b""], versions) as port:
        sink = closing(MqttSink(section(port, timeout_s=1.0)))
        for code in ("timeout", "unreachable", "unreachable"):
            with pytest.raises(SinkDown) as down:
                sink.deliver([made(0)])
            assert down.value.code == code
    assert versions == [5, 5, 5]


class Answering:
    """Somebody at a broker's address who answers each connection with what he was given, and hears which version of
    the protocol was asked for.
    """

    def __init__(self, answers: list[bytes], versions: list[int]) -> None:
        self._answers = list(answers)
        self._versions = versions

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._peers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for peer in self._peers:
            peer.close()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self._peers.append(peer)
                asked = peer.recv(1024)
                self._versions.append(asked[asked.index(b"MQTT") + 4])
                said = self._answers.pop(0) if self._answers else b""
                peer.sendall(said)
                if not said:
                    peer.shutdown(socket.SHUT_RDWR)


@pytest.mark.req("A-28")
def test_whatever_answers_in_place_of_a_broker_ends_nothing_of_ours():
    """Somebody who takes the broker's address could stop the program that carries the records."""
    for said in (b"\x20", b"\xff" * 64, b"\x20\x02\x00\x05", b"\x20\xff\xff\xff\xff\x7f", b"HTTP/1.1 400\r\n\r\n"):
        with Answering([said] * 2, []) as port:
            sink = MqttSink(section(port, timeout_s=0.3))
            with pytest.raises(SinkDown):
                sink.deliver([made(0)])
            sink.close()


@pytest.mark.req("A-28")
@settings(max_examples=30)
@given(
    body=st.dictionaries(st.text(max_size=20), st.text(max_size=600), max_size=20), size_max=st.integers(4096, 20_000)
)
def test_no_message_is_larger_than_agreed_and_pieces_are_the_whole(body, size_max):
    """A record would be thrown away by the broker for its size, or not be put together again."""
    one = made(7, detail=body)
    payloads = mqtt_message.payloads(one, size_max)
    assert all(len(payload) <= size_max for payload in payloads)
    if len(payloads) == 1:
        whole = payloads[0].decode()
    else:
        pieces = [msgspec.json.decode(payload, type=mqtt_message.Piece) for payload in payloads]
        assert {(piece.origin, piece.seq, piece.parts) for piece in pieces} == {(ORIGIN, 7, len(pieces))}
        whole = "".join(piece.text for piece in pieces)
    assert whole.encode() == stream_record(one)


REFUSED = [
    ({"host": "broker.example"}, "TLS"),
    ({"host": ""}, "certificate"),
    ({"host": "a b"}, "certificate"),
    ({"host": ".example", "ca_file": "ca.pem"}, "certificate"),
    ({"node": "#"}, "topic"),
    ({"node": "a/b"}, "topic"),
    ({"username": "x"}, "together"),
    ({"cert_file": "a.pem", "ca_file": "ca.pem"}, "together"),
    ({"cert_file": "a.pem", "key_file": "a.key"}, "TLS"),
]


@pytest.mark.req("A-28")
@pytest.mark.parametrize("keys,why", REFUSED)
def test_settings_that_would_leak_or_reach_nobody_are_refused(keys, why):
    """A slip in the settings would send records in the clear, or to every topic at once."""
    with pytest.raises(ValueError, match=why):
        section(1883, **keys)
