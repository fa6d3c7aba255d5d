"""A device's connection to its broker, over paho: MQTT 5, or 3.1.1 where the broker has no more.

Owns the client, its last will and its reconnecting. Refuses to queue: what cannot be sent now is not sent later
(`publish` answers False), because a late message is worse than none. Callbacks only hand over to the loop.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from simulators.mqtt_codec import OFFLINE, ONLINE, topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.loop import Loop

KEEPALIVE_S = 15
ANSWER_S = 5.0  # how long a broker may take to accept a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message from the broker."""

    topic: str
    payload: bytes
    is_retained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Where a device says that it is there, and its last will that it is not."""

    topic: str
    online: bytes = ONLINE
    offline: bytes = OFFLINE


class BrokerUnreachable(ConnectionError):
    """No broker answered, or it refused us in both protocol versions."""


class Session:
    """One device's client. `on_heard` and `on_up` run in the loop's thread. `presence`: None for a device that has no
    last will.
    """

    def __init__(  # noqa: PLR0913 - one argument a fact about a device, all by name
        self,
        device: str,
        *,
        loop: Loop,
        host: str,
        port: int,
        listens_to: str | tuple[str, ...] | None,
        on_heard: Callable[[Heard], None],
        on_up: Callable[[], None] = lambda: None,
        presence: Presence | Literal["ours"] | None = "ours",
    ) -> None:
        self.device = device
        self.protocol = MQTTProtocolVersion.MQTTv5
        self._loop = loop
        self._address = (host, port)
        self._listens_to = (listens_to,) if isinstance(listens_to, str) else listens_to or ()
        self._presence = Presence(topic=topic(device, "state")) if presence == "ours" else presence
        self._on_heard = on_heard
        self._on_up = on_up
        self._client: mqtt.Client | None = None
        self._is_up = threading.Event()
        self._settled = threading.Event()  # this attempt was accepted or refused

    @property
    def is_up(self) -> bool:
        """Whether the broker has us, subscribed and announced."""
        return self._is_up.is_set()

    def connect(self, timeout_s: float = 10.0) -> None:
        """Connect and wait until subscribed. Raises BrokerUnreachable after `timeout_s`. Not from the loop's thread."""
        until = time.monotonic() + timeout_s
        while not self._try():
            if time.monotonic() > until:
                host, port = self._address
                raise BrokerUnreachable(f"{self.device}: no MQTT broker accepted us at {host}:{port}")
            threading.Event().wait(0.2)  # back-off between attempts

    def wait_up(self, timeout_s: float) -> bool:
        """Wait until connected (again)."""
        return self._is_up.wait(timeout_s)

    def publish(self, topic_name: str, payload: bytes, *, is_retained: bool = False) -> bool:
        """Send at QoS 1 now; False = not connected, and it will never be sent."""
        client = self._client
        if client is None or not self.is_up:
            return False
        return client.publish(topic_name, payload, qos=1, retain=is_retained).rc is mqtt.MQTT_ERR_SUCCESS

    def drop(self) -> None:
        """Vanish without a goodbye: the broker publishes the last will. Not from the loop's thread."""
        client, self._client = self._client, None
        if client is None:
            return
        self._is_up.clear()
        line = client.socket()
        client.on_socket_close = None
        if isinstance(line, socket.socket):
            with contextlib.suppress(OSError):  # it may be gone already
                line.shutdown(socket.SHUT_RDWR)
        client.loop_stop()

    def close(self) -> None:
        """Say "offline" and disconnect. Not from the loop's thread."""
        client, self._client = self._client, None
        if client is None:
            return
        if self.is_up and self._presence is not None:
            farewell = client.publish(self._presence.topic, self._presence.offline, qos=1, retain=True)
            farewell.wait_for_publish(1.0)
        self._is_up.clear()
        client.disconnect()
        client.loop_stop()

    def _try(self) -> bool:
        try:
            self.protocol = MQTTProtocolVersion.MQTTv5 if _speaks_5(*self._address) else MQTTProtocolVersion.MQTTv311
            client = self._make(self.protocol)
            client.connect(*self._address, keepalive=KEEPALIVE_S)
        except OSError:
            return False
        self._client = client
        self._settled.clear()
        client.loop_start()
        self._settled.wait(ANSWER_S)
        if not self.is_up:
            self.drop()
        return self.is_up

    def _make(self, protocol: MQTTProtocolVersion) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.device, protocol=protocol)
        if self._presence is not None:
            client.will_set(self._presence.topic, self._presence.offline, qos=1, retain=True)
        client.reconnect_delay_set(1, 2)
        client.on_socket_open = _no_delay
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        return client

    def _connected(
        self, client: mqtt.Client, _u: object, _flags: object, reason: object, _properties: object = None
    ) -> None:
        if getattr(reason, "is_failure", True):
            self._settled.set()
        elif self._listens_to:
            client.subscribe(self._wishes())
        else:
            self._announce(client)

    def _wishes(self) -> list[Any]:
        """MQTT 5 says of a live message too whether it was sent to be retained; 3.1.1 only of a replayed one."""
        if self.protocol is MQTTProtocolVersion.MQTTv5:
            return [(one, SubscribeOptions(qos=1, retainAsPublished=True)) for one in self._listens_to]
        return [(one, 1) for one in self._listens_to]

    def _subscribed(self, client: mqtt.Client, *_rest: object) -> None:
        self._announce(client)

    def _announce(self, client: mqtt.Client) -> None:
        if self._presence is not None:
            client.publish(self._presence.topic, self._presence.online, qos=1, retain=True)
        self._is_up.set()
        self._loop.call_soon(self._on_up)
        self._settled.set()

    def _disconnected(self, client: mqtt.Client, *_rest: object) -> None:
        if client is self._client:
            self._is_up.clear()
            self._settled.set()

    def _message(self, _client: mqtt.Client, _u: object, message: mqtt.MQTTMessage) -> None:
        heard = Heard(topic=message.topic, payload=bytes(message.payload), is_retained=bool(message.retain))
        self._loop.call_soon(lambda: self._on_heard(heard))


def _speaks_5(host: str, port: int) -> bool:
    """Ask without a last will: amqtt refuses a plain MQTT 5 CONNECT at once, but chokes on one with a will."""
    answers: list[bool] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda _c, _u, _flags, reason, _properties: answers.append(not reason.is_failure)
    client.connect(host, port, keepalive=KEEPALIVE_S)
    until = time.monotonic() + ANSWER_S
    while not answers and time.monotonic() < until and client.loop(0.2) is mqtt.MQTT_ERR_SUCCESS:
        pass
    client.disconnect()
    return answers == [True]


def _no_delay(_client: mqtt.Client, _u: object, line: object) -> None:
    if isinstance(line, socket.socket):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
