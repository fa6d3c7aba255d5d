"""The MQTT sink: records to a broker at QoS 1, each acknowledged before the cursor moves (docs/streams.md, MQTT).

The rules of this file:
  1. A PUBACK is the acknowledgement. In MQTT 5 one that says "no matching subscribers" is none: the broker threw the
     record away. Records wait at the controller until their collector has subscribed (`is_collector_needed`).
  2. The first message of a connection goes alone. Whatever would refuse all of them refuses that one, before a later
     record has overtaken it.
  3. MQTT 5 first, 3.1.1 for a broker that has no more. One that spoke 5 to us is never asked in 3.1.1: there a refused
     message looks taken.
  4. `acknowledged_by = "collector"`: a record is acknowledged when its collector says that it has stored it, whatever
     the broker says. Then neither a broker that forgets nor a stranger who subscribes can lose one.
  5. A record is never retained: it happened once, and whoever comes later gets it by a session of his own. The newest
     checkpoint is: it commands nothing, is signed, stays true for ever, and whoever comes to check a ledger must find
     one at once. An old one put in its place is smaller, and cannot be made larger.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from controller.streams import mqtt_message, tls_files
from controller.streams.mqtt_line import (
    FAILURE,
    Accepted,
    Address,
    Answered,
    Ended,
    Heard,
    MqttLine,
    Subscribed,
    code_of,
)
from controller.streams.section import Port, Seconds, SinkRefused, SinkSection
from controller.streams.sinks import SinkDown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.enums import MQTTProtocolVersion

    from controller.streams.outgoing import Outgoing

log = logging.getLogger(__name__)

BATCH_MAX: Final = 256
MESSAGE_BYTES_MIN: Final = 4096
IN_FLIGHT_MAX: Final = 65_535
FRAME_BYTES: Final = 1024
"""Left free of a broker's largest packet for the topic and the properties."""
_NOBODY: Final = 0x10
"""No matching subscribers (MQTT 5 §3.4.2.1)."""


class MqttSection(SinkSection, frozen=True, kw_only=True, tag="mqtt"):
    """`[[sink]]` of kind "mqtt".

    `node`: the controller's, as in its site file. `acknowledged_by`: whose word counts. `is_collector_needed`: a record
    that nobody is subscribed to is not acknowledged. `message_bytes_max`: larger ones go in pieces. `in_flight_max`: so
    many wait for their answer. `timeout_s`: for one answer.
    """

    host: str
    node: str
    port: Port = 8883
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    client_id: str = ""
    acknowledged_by: Literal["broker", "collector"] = "broker"
    is_collector_needed: bool = True
    message_bytes_max: Annotated[int, msgspec.Meta(ge=MESSAGE_BYTES_MIN)] = 16_384
    in_flight_max: Annotated[int, msgspec.Meta(ge=1, le=IN_FLIGHT_MAX)] = 20
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        tls_files.check_pair(host=self.host, ca_file=self.ca_file, cert_file=self.cert_file, key_file=self.key_file)
        if not mqtt_message.is_node(self.node):
            raise SinkRefused("node", "1 to 64 of a-z, 0-9 and '-'; it stands in the topic")
        if (self.username is None) != (self.password_file is None):
            raise SinkRefused("password_file", "give username and password_file together, or neither")

    def address(self) -> Address:
        """The broker, and how it knows us."""
        return Address(
            host=self.host,
            port=self.port,
            client_id=self.client_id or f"sekisho-streams-{self.node}",
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            username=self.username,
            password_file=self.password_file,
        )


@dataclass(slots=True)
class _Connection:
    """A line, and what its broker takes."""

    line: MqttLine
    message_bytes_max: int
    in_flight_max: int
    may_retain: bool
    window: int = 1


@dataclass(slots=True)
class _Sending:
    """One batch on its way: which messages wait for an answer, and how many each record still waits for."""

    batch: Sequence[Outgoing]
    waiting: dict[int, tuple[int, bool]] = field(default_factory=dict)
    unanswered: list[int] = field(init=False)
    begun: int = 0
    kept: int | None = None

    def __post_init__(self) -> None:
        self.unanswered = [0] * len(self.batch)

    @property
    def acknowledged(self) -> int:
        """How many of the first records were sent whole and have all their answers, and where a collector's word
        counts, that too.
        """
        whole = len(self.batch) if self.begun > len(self.batch) else max(0, self.begun - 1)
        answered = next((index for index in range(whole) if self.unanswered[index]), whole)
        return answered if self.kept is None else min(answered, self.kept)


class MqttSink:
    """One broker. Used by one thread; paho has another, which only enqueues."""

    batch_max: int = BATCH_MAX

    def __init__(self, section: MqttSection) -> None:
        self._section = section
        self._connection: _Connection | None = None
        self._has_spoken_5 = False

    def deliver(self, batch: Sequence[Outgoing]) -> int:
        """Publish `batch`, and the newest checkpoint in it: all of it acknowledged, or SinkDown."""
        connection = self._connected()
        sending = _Sending(batch, kept=0 if self._is_by_collector else None)
        try:
            self._send(connection, sending)
        except SinkDown as down:
            self.close()  # what is still on its way must not arrive behind what the courier sends again
            down.acknowledged = sending.acknowledged
            raise
        return len(batch)

    def close(self) -> None:
        """Say good-bye, where somebody hears it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.line.close()

    def _send(self, connection: _Connection, sending: _Sending) -> None:
        newest = max((index for index, one in enumerate(sending.batch) if one.checkpoint is not None), default=None)
        for index, one in enumerate(sending.batch):
            sending.begun = index + 1
            payloads = mqtt_message.payloads(one, connection.message_bytes_max)
            kind = mqtt_message.RECORD_TYPE if len(payloads) == 1 else mqtt_message.PIECE_TYPE
            for payload in payloads:
                self._publish(connection, sending, payload, kind)
            if index == newest and one.checkpoint is not None:
                self._publish(connection, sending, one.checkpoint.encode(), mqtt_message.CHECKPOINT_TYPE)
        sending.begun = len(sending.batch) + 1
        while sending.waiting:
            self._hear(connection, sending)
        give_up_at = time.monotonic() + self._section.timeout_s
        while sending.kept is not None and sending.kept < len(sending.batch):
            before = sending.kept
            self._hear(connection, sending)
            if sending.kept > before:
                give_up_at = time.monotonic() + self._section.timeout_s
            elif time.monotonic() > give_up_at:
                raise SinkDown("timeout", "the collector does not say that it keeps the records")

    @property
    def _is_by_collector(self) -> bool:
        return self._section.acknowledged_by == "collector"

    def _publish(self, connection: _Connection, sending: _Sending, payload: bytes, content_type: str) -> None:
        """One message of the record that was begun last. It counts as arrived only with all its messages, and the last
        one of a commit with its checkpoint.
        """
        while len(sending.waiting) >= connection.window:
            self._hear(connection, sending)
        index, node = sending.begun - 1, self._section.node
        sending.unanswered[index] += 1
        is_record = content_type != mqtt_message.CHECKPOINT_TYPE
        mid = connection.line.publish(
            mqtt_message.ledger_topic(node) if is_record else mqtt_message.checkpoint_topic(node),
            payload,
            retain=not is_record and connection.may_retain,
            properties=_properties(sending.batch[index], content_type) if connection.line.is_5 else None,
        )
        sending.waiting[mid] = (index, is_record)

    def _hear(self, connection: _Connection, sending: _Sending) -> None:
        """Wait for one answer. SinkDown where there is none, or it is no."""
        told = connection.line.hear(self._section.timeout_s)
        if isinstance(told, Ended):
            raise SinkDown(told.code, told.why)
        if isinstance(told, Heard) and sending.kept is not None:
            sending.kept = max(sending.kept, mqtt_message.kept(told.payload, sending.batch))
        if not isinstance(told, Answered) or told.mid not in sending.waiting:
            return
        index, is_record = sending.waiting.pop(told.mid)
        seq = sending.batch[index].seq
        if told.reason == _NOBODY and is_record and self._section.is_collector_needed:
            raise SinkDown("rejected", f"nobody subscribes to record {seq}: start the collector, it must come first")
        if told.reason >= FAILURE:
            what = "record" if is_record else "the checkpoint of record"
            raise SinkDown(code_of(told.reason), f"the broker refused {what} {seq}: {told.name}")
        sending.unanswered[index] -= 1
        connection.window = connection.in_flight_max

    # -- connections -------------------------------------------------------------------------------------------------

    def _connected(self) -> _Connection:
        if self._connection is not None and self._connection.line.is_up:
            return self._connection
        self.close()
        answer = self._attempt(paho.MQTTv5)
        if isinstance(answer, Ended) and answer.is_unasked and not self._has_spoken_5:
            answer = self._attempt(paho.MQTTv311)
            if not isinstance(answer, Ended):
                log.warning("%s speaks MQTT 3.1.1 only: a record that it refuses looks taken", self._section.host)
        elif not isinstance(answer, Ended):
            self._has_spoken_5 = True
        if not isinstance(answer, Ended):
            self._connection = answer
            self._listen(answer.line)
            return answer
        if answer.is_unasked and self._section.ca_file is not None:  # Mosquitto hangs up on a certificate, mutely
            raise SinkDown("not_authorized", "the broker hung up: is our certificate of its authority? Its log tells")
        raise SinkDown(answer.code, answer.why)

    def _listen(self, line: MqttLine) -> None:
        """Hear the collector, where its word counts. SinkDown where the broker will not have it."""
        if not self._is_by_collector:
            return
        line.subscribe(mqtt_message.kept_topic(self._section.node))
        told = line.hear(self._section.timeout_s)
        if not isinstance(told, Subscribed) or not told.is_granted:
            self.close()
            raise SinkDown("not_authorized", "the broker does not let us hear the collector")

    def _attempt(self, protocol: MQTTProtocolVersion) -> _Connection | Ended:
        """A connection that the broker accepted, or how it ended. SinkDown where nobody was reached."""
        line = MqttLine(self._section.address(), protocol)
        try:
            line.connect()
            told = line.hear(self._section.timeout_s)
        except SinkDown:
            line.close()
            raise
        if isinstance(told, Accepted):
            return self._agreed(line, told)
        line.close()
        assert isinstance(told, Ended)
        return told

    def _agreed(self, line: MqttLine, told: Accepted) -> _Connection:
        """What both sides can take (MQTT 5 §3.2.2.3). SinkDown where the broker has no QoS 1."""
        if told.limits.get("MaximumQoS", 1) < 1:
            line.close()
            raise SinkDown("protocol", "the broker takes QoS 0 only: nothing would be acknowledged")
        packet_max = told.limits.get("MaximumPacketSize", self._section.message_bytes_max + FRAME_BYTES)
        return _Connection(
            line=line,
            message_bytes_max=max(MESSAGE_BYTES_MIN, min(self._section.message_bytes_max, packet_max - FRAME_BYTES)),
            in_flight_max=min(self._section.in_flight_max, told.limits.get("ReceiveMaximum", IN_FLIGHT_MAX)),
            may_retain=bool(told.limits.get("RetainAvailable", 1)),
        )


def _properties(one: Outgoing, content_type: str) -> Properties:
    """Whose record it is, without opening it."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho types its client only
    properties.PayloadFormatIndicator = 1
    properties.ContentType = content_type
    properties.UserProperty = [("origin", one.origin), ("seq", str(one.seq))]
    return properties
