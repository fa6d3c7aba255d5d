"""Somebody who keeps the records that come over a real broker, and how such a broker is set up."""

from __future__ import annotations

import json
import queue
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.controller.streams.made_ledger import ORIGIN
from tests.readers.conftest import WITHIN_S

LEDGER = "sekisho/v1/lab/ledger"
CHECKPOINT = "sekisho/v1/lab/checkpoint"
KEPT = "sekisho/v1/lab/kept"
KEEPING = (
    "allow_anonymous true\npersistence true\npersistence_location {}/\nautosave_on_changes true\nautosave_interval 1"
)
"""What a broker needs to be trusted with records: it keeps on disk what a collector has not fetched."""


class Collector:
    """Somebody who keeps records: a session of its own on the broker, which waits while it is away."""

    def __init__(self, port: int, name: str = "collector") -> None:
        self.heard: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_disconnect = lambda *_: self.ready.clear()
        self._client.on_message = lambda _c, _u, message: self.heard.put(message)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 86_400
        self._client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        self._client.loop_start()
        assert self.ready.wait(WITHIN_S)

    def _subscribe(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(LEDGER, SubscribeOptions(qos=1)), (CHECKPOINT, SubscribeOptions(qos=1))])

    def keeps(self, seq: int, leaf_hash: str, origin: str = ORIGIN, *, retain: bool = False) -> None:
        """Say how far it has stored."""
        said = {"v": 1, "origin": origin, "seq": seq, "leaf_hash": leaf_hash}
        self._client.publish(KEPT, json.dumps(said), qos=1, retain=retain).wait_for_publish(WITHIN_S)

    def until(self, seq: int) -> list[paho.MQTTMessage]:
        """All records up to the first message of record `seq`."""
        got: list[paho.MQTTMessage] = []
        while not got or json.loads(got[-1].payload)["seq"] != seq:
            message = self.heard.get(timeout=WITHIN_S)
            if message.topic == LEDGER:
                got.append(message)
        return got

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
