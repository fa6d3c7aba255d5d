"""Real brokers, and a peer that plays the controller by hand: its payloads are written out, not made by a codec."""

from __future__ import annotations

import getpass
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from simulators.journal import Journal
from simulators.loop import Loop

TIMEOUT_S = 10.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A real Mosquitto on a port of its own, which can die and come back."""

    def __init__(self, folder: Path) -> None:
        self.address = ("127.0.0.1", _free_port())
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.address[1]} 127.0.0.1\nallow_anonymous true\nuser {getpass.getuser()}\nlog_dest stderr\n"
        )
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "mosquitto is not installed"
        process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.PIPE, text=True)
        self._process = process
        running = threading.Event()

        def drain() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                if "running" in line:
                    running.set()
            process.stderr.close()

        self._drain = threading.Thread(target=drain, daemon=True)
        self._drain.start()
        assert running.wait(TIMEOUT_S), "mosquitto did not start"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
            self._drain.join(TIMEOUT_S)
            self._process = None


class Peer:
    """Whoever is at the other end of the broker: hears everything, says what a test tells it to say."""

    def __init__(self, address: tuple[str, int], protocol: int = mqtt.MQTTv5) -> None:
        self.heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.passed_over: list[mqtt.MQTTMessage] = []
        self.kept: list[mqtt.MQTTMessage] = []
        self.reply: Callable[[mqtt.MQTTMessage], None] = lambda message: None
        ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=protocol)
        self._client.on_connect = lambda client, *_: client.subscribe("sekisho/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._on_message
        self._client.connect(*address)
        self._client.loop_start()
        assert ready.wait(TIMEOUT_S)

    def _on_message(self, _client: mqtt.Client, _u: object, message: mqtt.MQTTMessage) -> None:
        self.kept.append(message)
        self.heard.put(message)
        self.reply(message)

    def say(self, topic: str, fields: object, *, retain: bool = False) -> None:
        payload = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        self._client.publish(topic, payload, qos=1, retain=retain)

    def say_and_wait(self, topic: str, fields: object, *, retain: bool = False) -> None:
        payload = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(TIMEOUT_S)

    def hears(self, topic: str, match: Callable[[bytes], bool] = lambda payload: True) -> mqtt.MQTTMessage:
        """The first message on this topic that matches and has not been asked for before."""
        for message in self.passed_over:
            if message.topic == topic and match(message.payload):
                self.passed_over.remove(message)
                return message
        until = time.monotonic() + TIMEOUT_S
        while True:
            message = self.heard.get(timeout=max(0.0, until - time.monotonic()))
            if message.topic == topic and match(message.payload):
                return message
            self.passed_over.append(message)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def mosquitto(tmp_path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def make_peer() -> Iterator[Callable[[tuple[str, int]], Peer]]:
    made: list[Peer] = []

    def make(address: tuple[str, int]) -> Peer:
        made.append(Peer(address))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def peer(mosquitto) -> Iterator[Peer]:
    made = Peer(mosquitto.address)
    yield made
    made.close()


@pytest.fixture
def old_broker() -> Iterator[tuple[str, int]]:
    """The demo's own broker (amqtt, which speaks 3.1.1 only), in a process of its own as in the demo: in this one it
    would leave sockets behind, whose warning then fails some other test.
    """
    address = ("127.0.0.1", _free_port())
    command = [sys.executable, "-m", "sekisho.demo_broker", str(address[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield address
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0


@pytest.fixture
def old_peer(old_broker) -> Iterator[Peer]:
    made = Peer(old_broker, mqtt.MQTTv311)
    yield made
    made.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    running.start()
    yield running
    running.stop()
    assert not running.faults


@pytest.fixture
def journal() -> Journal:
    return Journal()


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def release() -> Callable[..., dict[str, object]]:
    """A release as the contract writes it; keywords spoil it."""

    def make(**spoilt: object) -> dict[str, object]:
        now = epoch_ms()
        sound = {"id": "c1", "do": "release", "for_ms": 200, "issued_ms": now, "not_after_ms": now + 3000}
        return sound | spoilt

    return make
