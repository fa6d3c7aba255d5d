"""One connection to a broker: paho-mqtt 2 with its own thread, and a queue of what the broker said.

The rules of this file:
  1. A connection is used once. paho sends unacknowledged messages again after a reconnect by itself, out of order with
     what the courier hands over.
  2. paho's callbacks only enqueue; an exception in one would end its thread without a word.
  3. TCP_NODELAY, or each message waits 40 ms for an acknowledgement that is itself delayed.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from controller.streams import tls_files
from controller.streams.section import SinkRefused, read_secret
from controller.streams.sinks import SinkDown

if TYPE_CHECKING:
    from pathlib import Path

    from paho.mqtt.client import SocketLike
    from paho.mqtt.enums import MQTTProtocolVersion
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S: Final = 15
CONNECT_WITHIN_S: Final = 5.0
LOOK_UP_EVERY_S: Final = 0.5
FAILURE: Final = 0x80
"""MQTT 5 §2.4: reason codes from here on are failures."""
VERSION_REFUSED: Final = 0x84
TOLD_MAX: Final = 100_000
HEARD_BYTES_MAX: Final = 1024
_IN_FLIGHT_MAX: Final = 65_535
_CODES: Final = {
    **dict.fromkeys((0x85, 0x86, 0x87, 0x8A, 0x8C), "not_authorized"),
    **dict.fromkeys((0x88, 0x89, 0x97, 0x9F), "busy"),
}
"""Reason codes that say more than that a record was not taken."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker let us in; what it said of itself (MQTT 5 §3.2.2.3)."""

    limits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over. `is_unasked`: the broker hung up before it answered, or does not know the version."""

    code: str
    why: str
    is_unasked: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker answered one message, by a reason code of MQTT 5; 0 in 3.1.1."""

    mid: int
    reason: int
    name: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker answered our subscription. Mosquitto says yes to all, and then lets nothing through."""

    is_granted: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """Somebody said something on the topic that we subscribed to, just now: what was retained is passed over."""

    payload: bytes


Told: TypeAlias = Accepted | Ended | Answered | Subscribed | Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Which broker, and how it knows us."""

    host: str
    port: int
    client_id: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None


class MqttLine:
    """A connection in `protocol`, from `connect` to `close`. All but the callbacks belong to the courier's thread."""

    def __init__(self, address: Address, protocol: MQTTProtocolVersion) -> None:
        """SinkDown where a file of ours is not in order."""
        self._address = address
        self._told: queue.Queue[Told] = queue.Queue(TOLD_MAX)
        self._was_accepted = False
        self._is_closing = False
        self._client = self._new_client(protocol)
        self._thread = threading.Thread(target=self._run, name=f"stream-{address.client_id}", daemon=True)

    @property
    def is_up(self) -> bool:
        """Whether the connection still stands, as far as its thread knows."""
        return self._thread.is_alive() and self._client.is_connected()

    @property
    def is_5(self) -> bool:
        """Whether MQTT 5 is spoken."""
        return self._client.protocol == paho.MQTTv5

    def connect(self) -> None:
        """Reach the broker and ask to be let in; its answer is heard. SinkDown where there is none, or no TLS."""
        clean: dict[str, Any] = {"clean_start": True} if self.is_5 else {}
        try:
            self._client.connect(self._address.host, self._address.port, keepalive=KEEPALIVE_S, **clean)
        except ssl.SSLError as error:  # an OSError as well
            raise SinkDown("tls", tls_files.why_refused(error)) from None
        except TimeoutError:
            raise SinkDown("timeout", "the broker did not answer") from None
        except OSError as error:
            raise SinkDown(
                "unreachable", f"the broker cannot be reached ({error.strerror or 'no such name'})"
            ) from None
        self._thread.start()

    def hear(self, within_s: float) -> Told:
        """The next thing that the broker says. SinkDown "timeout" when it says nothing."""
        try:
            return self._told.get(timeout=within_s)
        except queue.Empty:
            raise SinkDown("timeout", f"no answer of the broker within {within_s:.0f} s") from None

    def publish(self, topic: str, payload: bytes, *, retain: bool, properties: Properties | None) -> int:
        """Hand one message at QoS 1 to the thread: the number by which it is answered. SinkDown when it cannot."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise SinkDown("unreachable", "the connection broke")
        return sent.mid

    def subscribe(self, topic: str) -> None:
        """Ask for what is said on `topic`; the answer is heard. SinkDown when it cannot."""
        if self._client.subscribe(topic, qos=1)[0] != paho.MQTT_ERR_SUCCESS:
            raise SinkDown("unreachable", "the connection broke")

    def close(self) -> None:
        """Say good-bye and end the thread."""
        self._is_closing = True
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _new_client(self, protocol: MQTTProtocolVersion) -> paho.Client:
        address = self._address
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.client_id,
            clean_session=None if protocol == paho.MQTTv5 else True,
            protocol=protocol,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_WITHIN_S
        client.max_inflight_messages_set(_IN_FLIGHT_MAX)  # the sink keeps the window, by what the broker asked for
        if address.username is not None:
            client.username_pw_set(address.username, _password(address.password_file))
        if address.ca_file is not None:
            client.tls_set_context(tls_files.client_context(address.ca_file, address.cert_file, address.key_file))
        client.on_socket_open = _send_at_once
        # With this set publish() leaves the writing to the thread, where two threads would mix their bytes.
        client.on_socket_register_write = _leave_to_the_thread
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    # -- paho's thread: enqueue, never raise -----------------------------------------------------------------------

    def _run(self) -> None:
        why = "the connection broke"
        try:
            while self._client.loop(LOOK_UP_EVERY_S) == paho.MQTT_ERR_SUCCESS:
                pass
        except Exception:  # noqa: BLE001 - the thread's rim: paho raises what it likes on a peer's bytes
            why = "the broker spoke nonsense"
        self._enqueue(Ended("unreachable", why, is_unasked=not self._was_accepted))

    def _enqueue(self, told: Told) -> None:
        """What finds no place was said by a peer that floods: it is missed, and the sink's patience ends."""
        with contextlib.suppress(queue.Full):
            self._told.put_nowait(told)

    def _on_connect(self, _c: paho.Client, _u: object, _f: object, reason: ReasonCode, properties: Any) -> None:
        if not reason.is_failure:
            self._was_accepted = True
            self._enqueue(Accepted({} if properties is None else dict(properties.json())))
            return
        is_version = reason.value == VERSION_REFUSED  # paho tells a 3.1.1 broker's return code 1 by the same name
        self._enqueue(Ended(code_of(reason.value), f"the broker refused us: {reason.getName()}", is_version))

    def _on_publish(self, _c: paho.Client, _u: object, mid: int, reason: ReasonCode, _p: object) -> None:
        self._enqueue(Answered(mid, int(reason.value), str(reason.getName())))

    def _on_subscribe(self, _c: paho.Client, _u: object, _m: int, reasons: list[ReasonCode], _p: object) -> None:
        self._enqueue(Subscribed(not any(reason.is_failure for reason in reasons)))

    def _on_message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        if not message.retain and len(message.payload) <= HEARD_BYTES_MAX:
            self._enqueue(Heard(bytes(message.payload)))

    def _on_disconnect(self, _c: paho.Client, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        if self._was_accepted and not self._is_closing and reason.is_failure:
            self._enqueue(Ended(code_of(reason.value, "unreachable"), f"the broker hung up: {reason.getName()}"))


def code_of(reason: int, otherwise: str = "rejected") -> str:
    """Why the sink is down, by a reason code of MQTT 5."""
    return _CODES.get(reason, otherwise)


def _password(file: Path | None) -> str | None:
    """Read anew for each connection, so that it can be renewed."""
    if file is None:
        return None
    try:
        return read_secret("password_file", file).decode()
    except SinkRefused as refused:
        raise SinkDown("not_authorized", str(refused)) from None
    except UnicodeDecodeError:
        raise SinkDown("not_authorized", f"{file}: a password is UTF-8 text") from None


def _send_at_once(_client: paho.Client, _userdata: object, sock: SocketLike) -> None:
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):  # the line broke already: the thread's own loop finds out
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _leave_to_the_thread(_client: paho.Client, _userdata: object, _sock: object) -> None:
    """The thread's own loop finds the packet."""
