"""readers/protocols/mqtt_inbound.py: retained, repeated and unknown messages open nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    KeysEntered,
    LineFault,
    MessageRefused,
    OutputReported,
    PeopleCounted,
)
from readers.protocols.mqtt_inbound import MqttInbound

CARD = "sekisho/v1/reader-1/card"
CONTACT = "sekisho/v1/reader-1/input/contact"
REX = "sekisho/v1/reader-1/input/rex"
KEYS = "sekisho/v1/reader-1/keys"
COUNT = "sekisho/v1/reader-1/count"
STATE = "sekisho/v1/reader-1/state"


@pytest.fixture
def inbound() -> MqttInbound:
    return MqttInbound(["reader-1", "relay-1"])


def live(inbound, topic, payload):
    return inbound.receive_message(topic, payload, is_retained=False)


def retained(inbound, topic, payload):
    return inbound.receive_message(topic, payload, is_retained=True)


def refused(why, source="reader-1"):
    return [MessageRefused(source=source, why=why)]


def test_a_read_arrives_with_its_id_and_time(inbound):
    """A card on an MQTT reader would do nothing, or could not be judged by its age."""
    assert live(inbound, CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}') == [
        CardRead(source="reader-1", number=b"\x04\xa1\xb2\xc3", kind="mqtt", read_id="r-1", at_ms=7)
    ]


@pytest.mark.req("B-22")
def test_the_same_message_counts_once(inbound):
    """A broker's second delivery, or an eavesdropper's replay, would be a second badge."""
    message = b'{"id":"r-1","number":"04a1b2c3","at_ms":7}'
    live(inbound, CARD, message)
    assert live(inbound, CARD, message) == refused("duplicate")
    press = b'{"id":"r-1","is_active":true,"at_ms":8}'
    assert live(inbound, REX, press) != refused("duplicate")
    assert live(inbound, REX, press) == refused("duplicate")


@pytest.mark.req("D-24")
def test_a_device_that_counts_anew_after_a_restart_keeps_its_button(inbound):
    """Its first press after a power cut would be taken for the first one before, and hold somebody in."""
    live(inbound, REX, b'{"id":"1","is_active":true,"at_ms":8}')
    assert live(inbound, REX, b'{"id":"1","is_active":true,"at_ms":90000}') != refused("duplicate")


@pytest.mark.req("B-22")
def test_an_id_is_remembered_for_1024_messages_and_memory_is_bounded(inbound):
    """A replay would pass after a few messages, or a chattering device would eat the memory."""
    for number in range(1024):
        live(inbound, CARD, b'{"id":"r-%d","number":"04a1b2c3","at_ms":7}' % number)
    assert live(inbound, CARD, b'{"id":"r-0","number":"04a1b2c3","at_ms":7}') == refused("duplicate")
    live(inbound, CARD, b'{"id":"new","number":"04a1b2c3","at_ms":7}')
    assert len(live(inbound, CARD, b'{"id":"r-0","number":"04a1b2c3","at_ms":7}')) == 1
    assert live(inbound, CARD, b'{"id":"r-2","number":"04a1b2c3","at_ms":7}') == refused("duplicate")


@pytest.mark.req("B-22", "B-27")
def test_retained_reads_and_presses_are_refused(inbound):
    """Whoever left a retained message on the broker would be let in at every start."""
    assert retained(inbound, CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}') == refused("retained")
    assert retained(inbound, REX, b'{"id":"r-2","is_active":true,"at_ms":7}') == refused("retained")
    assert retained(inbound, "sekisho/v1/relay-1/done", b'{"id":"k","is_on":true}') == refused("retained", "relay-1")


def test_a_retained_contact_is_a_state_and_a_live_one_is_an_edge(inbound):
    """A door that stood open at the start would look as if it had just been opened, or the other way round."""
    message = b'{"id":"c-1","is_active":true,"at_ms":7}'
    level = InputChanged(source="reader-1", line="contact", is_active=True, is_level_report=True, at_ms=7)
    edge = InputChanged(source="reader-1", line="contact", is_active=True, is_level_report=False, at_ms=7)
    assert retained(inbound, CONTACT, message) == [level]
    assert live(inbound, CONTACT, message) == [edge]
    assert retained(inbound, CONTACT, message) == [level]  # the next subscription, same id
    assert live(inbound, CONTACT, message) == refused("duplicate")


def test_digits_arrive_once_and_in_no_log(inbound):
    """A PIN would count twice, or stand in whatever prints an event."""
    message = b'{"id":"k-1","digits":"730516","at_ms":7}'
    events = live(inbound, KEYS, message)
    assert events == [KeysEntered(source="reader-1", digits="730516", read_id="k-1", at_ms=7)]
    assert "730516" not in repr(events)
    assert live(inbound, KEYS, message) == refused("duplicate")
    assert retained(inbound, KEYS, b'{"id":"k-2","digits":"730516","at_ms":7}') == refused("retained")
    assert "730516" not in repr(live(inbound, KEYS, b'{"id":"k-3","digits":"730516","at_ms":"7"}'))


def test_people_are_counted_once_and_never_from_the_past(inbound):
    """A tailgater would be seen twice, or yesterday's."""
    message = b'{"id":"n-1","count":2,"at_ms":7}'
    assert live(inbound, COUNT, message) == [PeopleCounted(source="reader-1", count=2, at_ms=7)]
    assert live(inbound, COUNT, message) == refused("duplicate")
    assert live(inbound, COUNT, b'{"id":"n-1","count":2,"at_ms":90000}') != refused("duplicate")  # it began anew
    assert retained(inbound, COUNT, b'{"id":"n-2","count":2,"at_ms":7}') == refused("retained")


@pytest.mark.req("B-09")
@pytest.mark.parametrize("line", ["contact", "tamper", "fire", "power"])
def test_a_level_line_tells_open_closed_short_and_cut(inbound, line):
    """A cut wire would look like a closed door, an old alarm like a new one."""
    topic = f"sekisho/v1/reader-1/input/{line}"
    for at_ms, is_active in ((1, True), (2, False)):
        message = b'{"id":"i","is_active":%s,"at_ms":%d}' % (str(is_active).lower().encode(), at_ms)
        changed = InputChanged(source="reader-1", line=line, is_active=is_active, is_level_report=False, at_ms=at_ms)
        assert live(inbound, topic, message) == [changed]
    for at_ms, fault in ((3, "short"), (4, "cut")):
        message = b'{"id":"i","fault":"%s","at_ms":%d}' % (fault.encode(), at_ms)
        broken = LineFault(source="reader-1", line=line, fault=fault, is_level_report=False, at_ms=at_ms)
        assert live(inbound, topic, message) == [broken]
        assert live(inbound, topic, message) == refused("duplicate")
        told = retained(inbound, topic, message)
        assert told == [LineFault(source="reader-1", line=line, fault=fault, is_level_report=True, at_ms=at_ms)]


@pytest.mark.req("B-09", "B-22")
def test_a_rex_line_tells_its_fault_live_only(inbound):
    """A cut exit button would go unseen, or an old one be told at every start."""
    message = b'{"id":"i","fault":"cut","at_ms":3}'
    assert live(inbound, REX, message) == [
        LineFault(source="reader-1", line="rex", fault="cut", is_level_report=False, at_ms=3)
    ]
    assert retained(inbound, REX, message) == refused("retained")


@pytest.mark.parametrize(
    "topic,source,why",
    [
        ("sekisho/v1/stranger/card", "stranger", "unknown_device"),
        ("sekisho/v1/reader-1/input/bell", "reader-1", "unknown_topic"),
        ("sekisho/v1/READER/card", "mqtt", "unknown_topic"),
        ("sekisho/v1/reader-1/command", "reader-1", "unknown_topic"),
        ("elsewhere", "mqtt", "unknown_topic"),
    ],
)
def test_strangers_are_refused_by_name_where_they_have_one(inbound, topic, source, why):
    """A device that nobody configured could badge."""
    assert live(inbound, topic, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}') == refused(why, source)


def test_a_refused_message_does_not_use_up_its_id(inbound):
    """A garbled copy would make the good one a duplicate."""
    live(inbound, CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7,"x":1}')
    assert isinstance(live(inbound, CARD, b'{"id":"r-1","number":"04a1b2c3","at_ms":7}')[0], CardRead)


def test_a_relay_acknowledges(inbound):
    """Nobody would know whether a strike obeyed."""
    assert live(inbound, "sekisho/v1/relay-1/done", b'{"id":"k-1","is_on":true}') == [
        OutputReported(source="relay-1", is_on=True, command_id="k-1")
    ]


@pytest.mark.req("B-11", "B-27")
def test_online_and_offline_are_told_once_per_change(inbound):
    """A flapping broker would flood the ledger, or a dead device would go unseen."""
    assert retained(inbound, STATE, b"online") == [DeviceOnline(source="reader-1")]
    assert live(inbound, STATE, b"online") == []
    assert live(inbound, STATE, b"offline") == [DeviceOffline(source="reader-1", why="device says offline")]
    assert live(inbound, STATE, b"offline") == []
    assert live(inbound, STATE, b"Online") == refused("malformed")


@pytest.mark.req("B-11")
def test_a_lost_broker_takes_all_devices_and_its_return_brings_back_none(inbound):
    """A door would count as watched while nobody can hear its contact."""
    live(inbound, STATE, b"online")
    assert inbound.broker_lost("broker lost") == [
        DeviceOffline(source="reader-1", why="broker lost"),
        DeviceOffline(source="relay-1", why="broker lost"),
    ]
    assert inbound.broker_lost("broker lost") == []
    assert retained(inbound, STATE, b"online") == [DeviceOnline(source="reader-1")]


def test_a_device_without_a_state_is_offline(inbound):
    """A device that never came up would stay unknown, and nobody would be called."""
    live(inbound, STATE, b"online")
    assert inbound.broker_silent() == [DeviceOffline(source="relay-1", why="no state")]
    assert inbound.broker_silent() == []


def test_an_impossible_device_id_is_refused_at_configuration():
    """A typo in the site file would be heard of at the first badge, or never."""
    with pytest.raises(ValueError, match="Reader 1"):
        MqttInbound(["Reader 1"])


@given(
    st.sampled_from([CARD, KEYS, COUNT, CONTACT, REX, STATE, "sekisho/v1/relay-1/done"]) | st.text(max_size=60),
    st.binary(max_size=200),
    st.booleans(),
)
def test_no_message_raises_and_none_is_understood_by_chance(topic, payload, is_retained):
    """Noise on the broker would badge."""
    inbound = MqttInbound(["reader-1", "relay-1"])
    for event in inbound.receive_message(topic, payload, is_retained=is_retained):
        assert isinstance(event, MessageRefused) or payload in (b"online", b"offline")
