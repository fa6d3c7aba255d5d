"""Devices on a real Mosquitto, and on the 3.1.1 broker of the demo."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from simulators.mqtt_devices import MqttDoor, MqttReader
from simulators.mqtt_session import BrokerUnreachable

COMMAND = "sekisho/v1/dr-1/command"
needs_mosquitto = pytest.mark.needs("mosquitto")


@contextlib.contextmanager
def on_broker(device):
    device.session.connect()
    try:
        yield device
    finally:
        device.session.close()


@pytest.fixture
def door(loop, journal, mosquitto):
    return MqttDoor("dr-1", loop=loop, journal=journal, broker=mosquitto.address)


@pytest.fixture
def reader(loop, journal, mosquitto):
    return MqttReader("rd-1", loop=loop, journal=journal, broker=mosquitto.address)


def never_moved(door, journal) -> bool:
    return not door.is_strike_on and not [entry for entry in journal.after(0) if entry.what == "relay"]


@needs_mosquitto
@pytest.mark.req("B-26")
def test_release_pulses_the_strike_and_the_device_drops_it_itself(door, journal, peer, release):
    """A controller that dies after the release would leave the door open."""
    with on_broker(door):
        assert door.session.protocol.name == "MQTTv5"
        peer.say(COMMAND, release(for_ms=120))
        assert json.loads(peer.hears("sekisho/v1/dr-1/done").payload) == {"id": "c1", "is_on": True}
        assert json.loads(peer.hears("sekisho/v1/dr-1/done").payload) == {"id": "", "is_on": False}
        on, off = [entry for entry in journal.after(0) if entry.what == "relay"]
        assert 100 <= off.tick_ms - on.tick_ms < 2000


@needs_mosquitto
def test_secure_drops_the_strike_now(door, journal, peer, release):
    """A lockdown would have to wait for the pulse to end."""
    with on_broker(door):
        peer.say(COMMAND, release(for_ms=60_000))
        assert journal.wait_for("relay", "dr-1", is_on=True)
        now = release()["issued_ms"]
        peer.say(COMMAND, {"id": "c2", "do": "secure", "issued_ms": now, "not_after_ms": now + 3000})
        assert journal.wait_for("relay", "dr-1", is_on=False, id="c2")


@needs_mosquitto
@pytest.mark.req("B-22")
def test_retained_release_never_energises_the_strike(door, journal, peer, release):
    """Everybody who reconnects would be let in by yesterday's message."""
    peer.say_and_wait(COMMAND, release(), retain=True)
    with on_broker(door):
        assert journal.wait_for("ignored", "dr-1", why="retained")
        peer.say(COMMAND, release(id="c2"), retain=True)  # a live one, to be retained: MQTT 5 says so
        assert journal.wait_for("ignored", "dr-1", why="retained", after=journal.after(0)[0].seq)
        assert never_moved(door, journal)


@needs_mosquitto
@pytest.mark.req("B-22")
def test_late_release_never_energises_the_strike(door, journal, peer, release):
    """A release that lay in a queue would open an empty corridor's door."""
    with on_broker(door):
        peer.say(COMMAND, release(not_after_ms=release()["issued_ms"] - 1))
        assert journal.wait_for("ignored", "dr-1", why="late")
        assert never_moved(door, journal)


@needs_mosquitto
@pytest.mark.req("B-22")
def test_repeated_release_moves_the_strike_once(door, journal, peer, release):
    """QoS 1 may deliver twice; the second delivery must not pulse again."""
    with on_broker(door):
        peer.say(COMMAND, release(for_ms=1))
        assert journal.wait_for("relay", "dr-1", is_on=False)
        peer.say(COMMAND, release(for_ms=1))
        assert journal.wait_for("ignored", "dr-1", why="duplicate")
        assert len([entry for entry in journal.after(0) if entry.what == "relay"]) == 2
        assert door.ignored == {"duplicate": 1}


@needs_mosquitto
@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"open sesame", b"{}", b"[" * 900, b"x" * 5000])
def test_junk_on_the_command_topic_moves_nothing(door, journal, peer, payload):
    """Anybody's message would move a relay, or silence the device for good."""
    with on_broker(door):
        peer.say(COMMAND, payload)
        assert journal.wait_for("ignored", "dr-1", why="malformed")
        assert never_moved(door, journal)


@needs_mosquitto
def test_device_without_a_strike_says_so(loop, journal, mosquitto, peer, release):
    """A command to the wrong device would vanish without a trace."""
    sensor = MqttDoor("dr-1", loop=loop, journal=journal, broker=mosquitto.address, has_strike=False)
    with on_broker(sensor):
        peer.say(COMMAND, release())
        assert journal.wait_for("ignored", "dr-1", why="no_strike")


@needs_mosquitto
def test_contact_is_retained_and_rex_is_not(door, loop, mosquitto, peer, make_peer):
    """A controller that starts late must learn the leaf's position, and must not hear an old REX."""
    with on_broker(door):
        assert not json.loads(peer.hears("sekisho/v1/dr-1/input/contact").payload)["is_active"]
        loop.run(lambda: door.contact(True))
        loop.run(lambda: door.rex(True))
        assert json.loads(peer.hears("sekisho/v1/dr-1/input/rex").payload)["is_active"]
        late = make_peer(mosquitto.address)
        again = late.hears("sekisho/v1/dr-1/input/contact")
        assert again.retain
        assert json.loads(again.payload)["is_active"]
        assert late.hears("sekisho/v1/dr-1/state").payload == b"online"
        loop.run(lambda: door.contact(False))
        late.hears("sekisho/v1/dr-1/input/contact", lambda payload: b"false" in payload)
        assert not [message for message in late.kept if message.topic.endswith("rex")]


@needs_mosquitto
def test_card_read_goes_out_with_an_id_never_used_before(reader, peer):
    """The reader side refuses a repeated id: a simulator that reuses one would look refused."""
    with on_broker(reader):
        assert reader.present(b"\x04\xa1\xb2\xc3")
        assert reader.present(b"\x04\xa1\xb2\xc3")
        first, second = (json.loads(peer.hears("sekisho/v1/rd-1/card").payload) for _ in range(2))
        assert first["number"] == second["number"] == "04a1b2c3"
        assert first["id"] != second["id"]
        assert abs(first["at_ms"] - time.time() * 1000) < 60_000


@needs_mosquitto
def test_reader_shows_what_it_is_told_once(reader, journal, peer, release):
    """A stale light would tell a refused person to go on."""
    now = release()["issued_ms"]
    show = {"id": "s1", "show": "granted", "not_after_ms": now + 3000}
    with on_broker(reader):
        peer.say("sekisho/v1/rd-1/show", show)
        assert journal.wait_for("show", "rd-1", show="granted")
        peer.say("sekisho/v1/rd-1/show", show)
        assert journal.wait_for("ignored", "rd-1", why="duplicate")
        peer.say("sekisho/v1/rd-1/show", show | {"id": "s2", "show": "rainbow"})
        assert journal.wait_for("ignored", "rd-1", why="malformed")
        assert reader.shown == "granted"


@needs_mosquitto
def test_keypad_sends_digits_and_notes_only_how_many(loop, journal, mosquitto, peer):
    """A PIN would stand in the building's log."""
    reader = MqttReader("rd-1", loop=loop, journal=journal, broker=mosquitto.address, has_keypad=True)
    with on_broker(reader):
        assert reader.enter("730516")
        keys = peer.hears("sekisho/v1/rd-1/keys")
        assert (json.loads(keys.payload)["digits"], keys.retain) == ("730516", False)
        assert journal.wait_for("keys", "rd-1", length=6)
        assert "730516" not in repr(journal.after(0))
        with pytest.raises(ValueError, match="4 to 12"):
            reader.enter("12")


@needs_mosquitto
def test_reader_shows_a_refusals_number(reader, journal, peer, release):
    """Somebody refused would have nothing to tell the officer."""
    show = {"id": "s1", "show": "refused", "not_after_ms": release()["not_after_ms"], "number": "B7KX"}
    with on_broker(reader):
        peer.say("sekisho/v1/rd-1/show", show)
        assert journal.wait_for("show", "rd-1", show="refused", number="B7KX")
        assert reader.number == "B7KX"
        peer.say("sekisho/v1/rd-1/show", {"id": "s2", "show": "granted", "not_after_ms": show["not_after_ms"]})
        assert journal.wait_for("show", "rd-1", show="granted", number="")
        assert reader.number == ""


def test_a_reader_without_keys_and_a_door_without_counter_say_so(loop, journal):
    """A test would believe that it had typed."""
    nowhere = ("127.0.0.1", 1)
    with pytest.raises(ValueError, match="no keypad"):
        MqttReader("rd-1", loop=loop, journal=journal, broker=nowhere).enter("1234")
    with pytest.raises(ValueError, match="no people counter"):
        MqttDoor("dr-1", loop=loop, journal=journal, broker=nowhere).count(1)


@needs_mosquitto
@pytest.mark.req("B-09")
def test_broken_loop_hides_the_leaf_until_it_is_mended(door, loop, mosquitto, peer, make_peer):
    """A burglar shorts the contact's wires, and the door would go on looking closed."""
    topic = "sekisho/v1/dr-1/input/contact"
    with on_broker(door):
        assert not json.loads(peer.hears(topic).payload)["is_active"]
        loop.run(lambda: door.break_loop("contact", "short"))
        assert json.loads(peer.hears(topic).payload)["fault"] == "short"
        loop.run(lambda: door.contact(True))  # nobody hears of it
        loop.run(lambda: door.break_loop("contact", "cut"))
        assert json.loads(peer.hears(topic).payload)["fault"] == "cut"
        late = make_peer(mosquitto.address).hears(topic)
        assert (late.retain, json.loads(late.payload)["fault"]) == (True, "cut")
        loop.run(lambda: door.break_loop("contact", None))
        mended = json.loads(peer.hears(topic).payload)
        assert mended["is_active"]
        assert "fault" not in mended


@needs_mosquitto
@pytest.mark.parametrize("line", ["tamper", "fire", "power"])
def test_used_terminals_tell_their_level_to_who_comes_late_and_unused_ones_nothing(
    door, loop, mosquitto, peer, make_peer, line
):
    """A controller that starts during a fire would not know; or would be told of wires that nobody laid."""
    with on_broker(door):
        loop.run(lambda: door.line(line, True))
        peer.hears(f"sekisho/v1/dr-1/input/{line}")
        late = make_peer(mosquitto.address)
        told = late.hears(f"sekisho/v1/dr-1/input/{line}")
        assert (told.retain, json.loads(told.payload)["is_active"]) == (True, True)
        loop.run(lambda: door.line(line, False))
        late.hears(f"sekisho/v1/dr-1/input/{line}", lambda payload: b"false" in payload)
        others = {message.topic for message in late.kept if "/input/" in message.topic}
        assert others == {f"sekisho/v1/dr-1/input/{line}", "sekisho/v1/dr-1/input/contact"}


@needs_mosquitto
def test_people_counter_counts(loop, journal, mosquitto, peer):
    """A tailgater would pass unseen."""
    door = MqttDoor("dr-1", loop=loop, journal=journal, broker=mosquitto.address, has_counter=True)
    with on_broker(door):
        assert door.count(2)
        counted = peer.hears("sekisho/v1/dr-1/count")
        assert (json.loads(counted.payload)["count"], counted.retain) == (2, False)


@needs_mosquitto
def test_vanished_device_is_declared_offline_by_its_last_will(door, peer):
    """A cut cable would look like a healthy device."""
    door.session.connect()
    peer.hears("sekisho/v1/dr-1/state", lambda payload: payload == b"online")
    door.session.drop()
    peer.hears("sekisho/v1/dr-1/state", lambda payload: payload == b"offline")
    assert not door.session.is_up


@needs_mosquitto
def test_card_while_the_broker_is_away_is_lost_not_late(reader, mosquitto, journal, make_peer):
    """A read that arrives minutes later would open a door for somebody who left."""
    with on_broker(reader):
        mosquitto.stop()
        while reader.present(b"\x04\xa1\xb2\xc3"):  # until the socket's end is noticed
            pass
        assert journal.wait_for("unsent", "rd-1")
        mosquitto.start()
        assert reader.session.wait_up(15)
        peer = make_peer(mosquitto.address)
        assert reader.present(b"\x09\x09\x09\x09")
        assert json.loads(peer.hears("sekisho/v1/rd-1/card").payload)["number"] == "09090909"


@needs_mosquitto
def test_no_broker_is_a_clear_error(loop, journal, mosquitto):
    """A demo without its broker would hang in silence."""
    mosquitto.stop()
    door = MqttDoor("dr-1", loop=loop, journal=journal, broker=mosquitto.address)
    with pytest.raises(BrokerUnreachable, match=r"dr-1: no MQTT broker accepted us at 127.0.0.1"):
        door.session.connect(timeout_s=0.1)


def test_the_demos_broker_speaks_3_1_1_and_that_suffices(loop, journal, old_broker, old_peer, release):
    """The demo runs on amqtt, which refuses MQTT 5."""
    door = MqttDoor("dr-1", loop=loop, journal=journal, broker=old_broker)
    old_peer.say_and_wait(COMMAND, release(id="old"), retain=True)
    with on_broker(door):
        assert door.session.protocol.name == "MQTTv311"
        assert journal.wait_for("ignored", "dr-1", why="retained")
        assert never_moved(door, journal)
        old_peer.say(COMMAND, release(for_ms=50))
        assert json.loads(old_peer.hears("sekisho/v1/dr-1/done").payload) == {"id": "c1", "is_on": True}
        assert json.loads(old_peer.hears("sekisho/v1/dr-1/done").payload) == {"id": "", "is_on": False}
