"""The link to the MQTT broker (paho-mqtt 2, in its own thread): messages in as events, commands out at once or not at
all.

The rules of this file:
  1. Every connection is a new paho client with a clean start. paho keeps unacknowledged QoS 1 messages and sends them
  again after a
     reconnect, clean start or not: a release command given just before an outage would arrive after it.
  2. While the broker is away nothing is queued: `publish_command` says False.
  3. A callback only decodes and hands over; an exception in one would end paho's thread and leave `is_connected()`
  True for ever, so
     each is caught here and told.
  4. MQTT 5 first; a broker that refuses it, or hangs up before it answered, is asked in 3.1.1 next.
  5. TCP_NODELAY, or a QoS 1 command takes 44 ms instead of half of one.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from readers import topics
from readers.backoff import Backoff
from readers.events import Event, MessageRefused
from readers.protocols import home_assistant
from readers.protocols.mqtt_inbound import UNKNOWN_SOURCE, MqttInbound, Subscription
from readers.protocols.mqtt_messages import Command, Refusal, Show
from readers.protocols.mqtt_profiles import MqttDevice
from readers.transports import mqtt_access
from readers.transports.mqtt_access import ADVICE, AccessFault, BrokerAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paho.mqtt.client import SocketLike
    from paho.mqtt.reasoncodes import ReasonCode

    from readers.protocols.home_assistant import HomeAssistant

log = logging.getLogger(__name__)

EXPIRY_S: Final = 3
"""Where the broker speaks MQTT 5 it drops a command that waited longer."""
KEEPALIVE_S: Final = 5
CONNECT_WITHIN_S: Final = 3.0
SILENT_AFTER_S: Final = 2.0
"""Retained states arrive with the subscription; a device without one by then is offline."""
LOOK_UP_EVERY_S: Final = 0.5
FIRST_RETRY_MS: Final = 100
LAST_RETRY_MS: Final = 5_000
QUEUED_MESSAGES_MAX: Final = 64
_LOST: Final = "broker lost"
_NONSENSE: Final = "broker spoke nonsense"
_TCP_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
"""Linux only; elsewhere the link works, 40 ms slower behind a broker with Nagle's algorithm."""


class MqttLink:
    """One broker and the devices that the site file puts behind it.

    `on_event` is called in the link's thread and must not block; `on_wake` is called once after the events of a
    message. `lanes`: which share of what the devices say this connection listens to. `home`: what Home Assistant is
    shown over it. `last_words`: topic and payload that the broker says for us when we die (`last_words_of`).

    Raises:
        ValueError: a device id or topic that may not stand in a topic, or a profile that there is not.
    """

    def __init__(  # noqa: PLR0913 - one argument a fact about a connection, all by name
        self,
        *,
        host: str,
        port: int,
        client_id: str,
        devices: Iterable[MqttDevice | str],
        on_event: Callable[[Event], None],
        on_wake: Callable[[], None],
        access: BrokerAccess | None = None,
        lanes: frozenset[topics.Lane] = topics.LANES,
        home: HomeAssistant | None = None,
        last_words: tuple[str, bytes] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._client_id = client_id
        self._access = access or BrokerAccess()
        self._inbound = MqttInbound(devices, lanes)
        self._sequence = itertools.count(1)
        self._home = home
        self._last_words = last_words
        self._on_event = on_event
        self._on_wake = on_wake
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._protocol = paho.MQTTv5
        self._up: paho.Client | None = None
        self._was_accepted = False
        self._why = self._advised = _LOST
        self._silent_after_s: float | None = None
        self._lost_events = 0

    @property
    def is_connected(self) -> bool:
        """Whether a command given now would leave now."""
        return self._up is not None

    @property
    def protocol_version(self) -> int:
        """5 (MQTT 5) or 4 (3.1.1): what is spoken, or will be tried next."""
        return int(self._protocol)

    @property
    def lost_events(self) -> int:
        """Events that `on_event` refused by raising."""
        return self._lost_events

    def start(self) -> None:
        """Begin to connect, in the background; the outcome is told as events. RuntimeError when already started."""
        if self._thread is not None:
            raise RuntimeError("the link is already started")
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{self._client_id}", daemon=True)
        self._thread.start()

    def stop(self, within_s: float = 2.0) -> None:
        """Say good-bye and end the thread; waits at most `within_s`. No event is told for it."""
        self._stopping.set()
        if (client := self._up) is not None:
            if self._home is not None:
                client.publish(home_assistant.AVAILABLE, home_assistant.OFFLINE, qos=0, retain=True)
            if self._last_words is not None:
                client.publish(*self._last_words, qos=1)  # who says good-bye has no last will
            client.disconnect()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(within_s)

    def publish_command(self, device: str, command: Command) -> bool:
        """Send a command to a relay, as its profile says it. False when it did not leave: it never will."""
        messages = self._inbound.encode_command(device, command, next(self._sequence))
        return messages is not None and all(self._publish(topic, payload) for topic, payload in messages)

    def publish_show(self, device: str, show: Show) -> bool:
        """Send a reader what to show. False when it did not leave: it never will."""
        messages = self._inbound.encode_show(device, show)
        return bool(messages) and all(self._publish(topic, payload) for topic, payload in messages)

    def publish_state(self, portal: str, phase: str) -> None:
        """Show Home Assistant how a portal stands, where it is shown anything. What gets lost is shown at the next
        connection.
        """
        shown = None if self._home is None else self._home.changed(portal, phase)
        if shown is not None and self._up is not None:
            self._up.publish(*shown, qos=0, retain=True)

    def has_auto_off(self, device: str) -> bool:
        """Whether a release ends on the device by itself, also when the controller and the broker are dead."""
        return self._inbound.has_auto_off(device)

    def last_words_of(self, device: str) -> tuple[str, bytes] | None:
        """For a relay that stays on until it is told: what the broker must tell it when we die, over a connection that
        does nothing else. None for every other device.
        """
        return self._inbound.last_words_of(device)

    def reports_output(self, device: str) -> bool:
        """Whether the device tells what its output does (OutputReported)."""
        return self._inbound.reports_output(device)

    def _publish(self, topic: str, payload: bytes) -> bool:
        client = self._up
        if client is None:
            return False
        properties = None
        if client.protocol == paho.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho types its client only
            properties.MessageExpiryInterval = EXPIRY_S
        sent = client.publish(topic, payload, qos=1, retain=False, properties=properties)
        return sent.rc == paho.MQTT_ERR_SUCCESS

    # -- the link's thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        backoff = Backoff(FIRST_RETRY_MS, LAST_RETRY_MS)
        while not self._stopping.is_set():
            self._was_accepted = False
            self._why = _LOST
            self._attempt()
            self._up = None
            if self._stopping.is_set():
                return
            if self._is_version_refused() and self._protocol == paho.MQTTv5:
                self._protocol = paho.MQTTv311  # at once, and without an alarm: the broker is there
                continue
            if self._is_version_refused():
                self._protocol = paho.MQTTv5
                if self._access.ca_file is not None:  # Mosquitto hangs up on a certificate without a word
                    has_own = self._access.cert_file is not None
                    self._why = "broker refused our certificate" if has_own else "broker wants a certificate"
            self._advise()
            self._tell(self._inbound.broker_lost(self._why))
            if self._was_accepted:
                backoff.reset()
            self._stopping.wait(backoff.next_ms() / 1_000)

    def _attempt(self) -> None:
        """One connection, and why it ended."""
        try:
            self._connect_and_listen()
        except AccessFault as fault:
            self._why = fault.why
        except ssl.SSLError as error:  # an OSError as well
            self._why = mqtt_access.why_refused(error)
        except ConnectionResetError:  # how Mosquitto answers a handshake on a plain listener
            self._why = "broker unreachable" if self._access.ca_file is None else mqtt_access.NO_TLS
        except OSError:
            self._why = "broker unreachable"
        except Exception:  # noqa: BLE001 - the thread's rim: paho raises what it likes on a peer's bytes
            self._why = _NONSENSE

    def _advise(self) -> None:
        """Say what to do about it, once."""
        if self._why in ADVICE and self._why != self._advised:
            log.error("broker %s:%d: %s: %s", self._host, self._port, self._why, ADVICE[self._why])
        self._advised = self._why

    def _connect_and_listen(self) -> None:
        """One connection from its beginning to its end. OSError when there is nobody."""
        client = self._new_client()
        client.connect(self._host, self._port, keepalive=KEEPALIVE_S, **self._clean_start())
        while client.loop(LOOK_UP_EVERY_S) == paho.MQTT_ERR_SUCCESS and not self._stopping.is_set():
            self._look_up()

    def _is_version_refused(self) -> bool:
        """Whether the broker was reached and ended the connection before it accepted us, for no reason that it gave."""
        return not self._was_accepted and self._why in {_LOST, _NONSENSE}

    def _look_up(self) -> None:
        if self._silent_after_s is not None and time.monotonic() >= self._silent_after_s:
            self._silent_after_s = None
            self._tell(self._inbound.broker_silent(_now_ms()))
        self._tell(self._inbound.tick(_now_ms()))

    def _clean_start(self) -> dict[str, Any]:
        return {"clean_start": True} if self._protocol == paho.MQTTv5 else {}

    def _new_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self._protocol == paho.MQTTv5 else True,
            protocol=self._protocol,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_WITHIN_S
        client.max_queued_messages_set(QUEUED_MESSAGES_MAX)
        if self._access.username is not None:
            client.username_pw_set(self._access.username, mqtt_access.password(self._access))
        if self._access.ca_file is not None:
            client.tls_set_context(mqtt_access.tls(self._access))
        if self._home is not None:
            client.will_set(home_assistant.AVAILABLE, home_assistant.OFFLINE, qos=1, retain=True)
        elif self._last_words is not None:
            client.will_set(*self._last_words, qos=1)
        client.on_socket_open = _send_at_once
        # With this set, publish() leaves the writing to the link's thread instead of writing from the caller's,
        # where two threads could mix their bytes.
        client.on_socket_register_write = _leave_to_the_thread
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = _on_publish
        return client

    # -- paho's callbacks: decode, hand over, never raise --------------------------------------------------------

    def _on_connect(self, client: paho.Client, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        if reason.is_failure:
            self._why = _LOST if _is_about_version(reason) else "broker refused us"
            return
        self._was_accepted = True
        if self._inbound.subscriptions:
            client.subscribe(_options(client, self._inbound.subscriptions))
        self._up = client
        for topic, payload in self._home.announced() if self._home is not None else ():
            client.publish(topic, payload, qos=0, retain=True)  # takes no place from a command in paho's queue

    def _on_subscribe(self, client: paho.Client, _u: object, _m: int, reasons: list[ReasonCode], _p: object) -> None:
        if any(reason.is_failure for reason in reasons):
            self._why = "broker refused our subscription"
            client.disconnect()
            return
        self._silent_after_s = time.monotonic() + SILENT_AFTER_S

    def _on_message(self, client: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        _acknowledge_at_once(client)
        try:
            told = self._inbound.receive_message(
                message.topic,
                bytes(message.payload),
                is_retained=message.retain,
                is_repeat=message.dup,
                now_ms=_now_ms(),
            )
        except Exception:  # noqa: BLE001 - the callback's rim: raising here would end the link without a word
            told = [MessageRefused(source=UNKNOWN_SOURCE, why=Refusal.CALLBACK_FAILED.value)]
        self._tell(told)

    def _tell(self, told: list[Event]) -> None:
        if not told:
            return
        for event in told:
            try:
                self._on_event(event)
            except Exception:  # noqa: BLE001 - the listener's fault must not end the link; it is counted
                self._lost_events += 1
        self._on_wake()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _options(client: paho.Client, subscriptions: tuple[Subscription, ...]) -> Any:
    """Everything at QoS 1. Brokers drop the retained mark of a message that is published while we listen, unless MQTT 5
    asks them to keep it: asked for what happens once, so that a card read or REX published to be retained is told from
    a live one. A contact is retained by its nature, and there the mark must mean "was there before". MQTT 3.1.1 cannot
    ask.
    """
    if client.protocol != paho.MQTTv5:
        return [(one.topic, 1) for one in subscriptions]
    return [(one.topic, SubscribeOptions(qos=1, retainAsPublished=one.keeps_retained_mark)) for one in subscriptions]


def _send_at_once(_client: paho.Client, _userdata: object, sock: SocketLike) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _acknowledge_at_once(client: paho.Client) -> None:
    """A broker that runs Nagle's algorithm (Mosquitto, unless told otherwise) holds its next message until our kernel
    has acknowledged the one before, which it puts off by 40 ms. The option does not last, so it is set again with
    every packet.
    """
    sock = client.socket()
    if isinstance(sock, socket.socket) and _TCP_QUICKACK is not None:
        with contextlib.suppress(OSError):  # the line broke under us: the thread's own loop finds out
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)


def _on_publish(client: paho.Client, _u: object, _m: int, _r: object, _p: object) -> None:
    _acknowledge_at_once(client)


def _leave_to_the_thread(_client: paho.Client, _userdata: object, _sock: object) -> None:
    """The thread's own loop finds the packet."""


def _is_about_version(reason: ReasonCode) -> bool:
    """MQTT 5 says 132; paho tells a 3.1.1 broker's return code 1 by the same name."""
    return bool(reason.getName() == "Unsupported protocol version")
