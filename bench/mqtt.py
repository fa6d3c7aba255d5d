"""QoS 1 over a real Mosquitto, there and back: the product's own link against paho's defaults, in turn.

A reader publishes a read; a millisecond after it has come (the time a decision and its record take) the answer is
published; the relay has it. Measured is the way there and back, without that millisecond. With paho's defaults the
acknowledgement of the read has just left by then, Nagle's algorithm holds the command until the broker's kernel has
acknowledged that, and it puts that off for 40 ms. (A client that hears itself, as in shared/bench/bench_mqtt.py of the
project's performance research, does not always show it: the broker's own answers carry the acknowledgement.)
"""

from __future__ import annotations

import json
import queue
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.broker import broker, mosquitto
from bench.figures import Figure, flat, not_run, ratio_of_rounds, spell
from readers import topics
from readers.events import CardRead
from readers.protocols.mqtt_messages import Release
from readers.transports.mqtt import MqttLink

ANSWER_S_MAX: Final = 5.0
DECIDING_S: Final = 0.001
READER: Final = "reader-1"
RELAY: Final = "relay-1"
WARM_UP: Final = 16
"""After a silence the kernel acknowledges so many packets at once, which hides what the default costs on a line in use:
every slice begins with as many that do not count.
"""

Heard = queue.SimpleQueue[float]
"""When something came, by the clock."""


def qos1(folder: Path, *, is_quick: bool) -> Figure:
    """Slices of each in turn. paho's default takes 44 ms a time, so it gets fewer."""
    if mosquitto() is None:
        return not_run("mqtt_qos1", "mosquitto is not installed")
    rounds, many, few = (2, 60, 6) if is_quick else (4, 120, 8)
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    with broker(folder) as port, _ours(port) as link, _default(port) as default:
        for turn in range(-1, rounds):
            for way, count, taken in ((link, many, ours), (default, few, theirs)):
                times = [way.there_and_back() for _ in range(WARM_UP + count)][WARM_UP:]
                if turn >= 0:
                    taken.append(times)
    medians, floors = [statistics.median(one) for one in ours], [statistics.median(one) for one in theirs]
    ratio, spread = ratio_of_rounds(medians, floors)
    return Figure(
        name="mqtt_qos1",
        value=statistics.median(medians),
        unit="ms",
        ratio=ratio,
        of="the same with paho's default client",
        aim="<= 0.02",
        spread=spread,
        notes=(f"read to command, two hops: {spell(flat(ours))}; default {spell(flat(theirs))}",),
    )


class _Way:
    """A reader and a relay on the broker, and between them whoever answers: `answer()` publishes a command."""

    def __init__(self, port: int, card_topic: str, command_topic: str) -> None:
        self.heard: Heard = queue.SimpleQueue()
        self.answer: Callable[[], object] = lambda: None
        self._moved: Heard = queue.SimpleQueue()
        self._card_topic = card_topic
        self._reader = _device(port)
        self._relay = _device(port)
        self._relay.on_message = lambda *_: self._moved.put(time.perf_counter())
        subscribed: Heard = queue.SimpleQueue()
        self._relay.on_subscribe = lambda *_: subscribed.put(0.0)
        self._relay.subscribe(command_topic, 1)
        subscribed.get(timeout=ANSWER_S_MAX)

    def wait_for_answers(self) -> None:
        """Until the answerer is connected and subscribed, and nothing of this is under way any more."""
        until = time.monotonic() + 2 * ANSWER_S_MAX
        while self.heard.empty():
            if time.monotonic() > until:
                raise RuntimeError("nothing comes through the broker")
            self._read()
            time.sleep(0.1)
        time.sleep(0.3)
        while not self.heard.empty():
            self.heard.get()

    def there_and_back(self) -> float:
        """Milliseconds from a read to the relay's command, without DECIDING_S."""
        began = time.perf_counter()
        self._read()
        heard_at = self.heard.get(timeout=ANSWER_S_MAX)
        while time.perf_counter() - heard_at < DECIDING_S:
            time.sleep(DECIDING_S / 10)
        answered_at = time.perf_counter()
        self.answer()
        moved_at = self._moved.get(timeout=ANSWER_S_MAX)
        return (moved_at - answered_at + heard_at - began) * 1e3

    def _read(self) -> None:
        at = time.time_ns()
        read = {"id": f"{at}", "number": "04000000000001", "at_ms": at // 1_000_000}
        self._reader.publish(self._card_topic, json.dumps(read).encode(), qos=1)

    def close(self) -> None:
        for client in (self._reader, self._relay):
            client.disconnect()
            client.loop_stop()


@contextmanager
def _ours(port: int) -> Iterator[_Way]:
    way = _Way(port, topics.card(READER), topics.command(RELAY))

    def on_event(event: object) -> None:
        if isinstance(event, CardRead):
            way.heard.put(time.perf_counter())

    def answer() -> None:
        at = time.time_ns()
        now_ms = at // 1_000_000
        link.publish_command(RELAY, Release(id=f"{at}", for_ms=3000, issued_ms=now_ms, not_after_ms=now_ms + 3000))

    link = MqttLink(
        host="127.0.0.1", port=port, client_id="ours", devices=[READER, RELAY], on_event=on_event, on_wake=lambda: None
    )
    way.answer = answer
    link.start()
    try:
        way.wait_for_answers()
        yield way
    finally:
        link.stop()
        way.close()


@contextmanager
def _default(port: int) -> Iterator[_Way]:
    way = _Way(port, "default/card", "default/command")
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="default")
    client.on_message = lambda *_: way.heard.put(time.perf_counter())
    client.on_connect = lambda *_: _ignore(client.subscribe("default/card", 1))
    command = bytes(120)
    way.answer = lambda: client.publish("default/command", command, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        way.wait_for_answers()
        yield way
    finally:
        client.disconnect()
        client.loop_stop()
        way.close()


def _ignore(_outcome: object) -> None:
    """A callback returns nothing."""


def _device(port: int) -> paho.Client:
    """A device that sends at once, so that what is measured is the controller's side."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    connected: Heard = queue.SimpleQueue()
    client.on_connect = lambda *_: connected.put(0.0)
    client.on_socket_open = _send_at_once
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.get(timeout=ANSWER_S_MAX)
    return client


def _send_at_once(_client: object, _userdata: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
