"""Our MQTT codec against the simulators' own, in both directions, and a simulated door on a real broker."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.events import DeviceOnline, InputChanged, KeysEntered, LineFault, PeopleCounted
from readers.protocols import mqtt_messages
from readers.protocols.mqtt_messages import NUMBER_ALPHABET, NUMBERED, Release, Secure, Show
from readers.transports.mqtt import MqttLink
from simulators import mqtt_codec
from simulators.journal import Journal
from simulators.loop import Loop
from simulators.mqtt_devices import MqttDoor, MqttReader

IDS = st.text(min_size=1, max_size=64)
TIMES = st.integers(min_value=0, max_value=2**53 - 1)
DIGITS = st.text("0123456789", min_size=4, max_size=12)
SHOWS = st.sampled_from(["granted", "refused", "not_read", "out_of_order", "enter_pin", "second_card"])
NUMBERS = st.text(NUMBER_ALPHABET, min_size=4, max_size=4)


@given(IDS, DIGITS, TIMES)
def test_digits_go_through(message_id, digits, at_ms):
    """Some PIN could be typed and never be right."""
    keys = mqtt_messages.decode_keys(mqtt_codec.encode_keys(message_id=message_id, digits=digits, at_ms=at_ms))
    assert (keys.id, keys.digits, keys.at_ms) == (message_id, digits, at_ms)


@given(IDS, st.integers(min_value=1, max_value=9), TIMES)
def test_counts_go_through(message_id, count, at_ms):
    """A people counter would count for nobody."""
    counted = mqtt_messages.decode_count(mqtt_codec.encode_count(message_id=message_id, count=count, at_ms=at_ms))
    assert (counted.id, counted.count, counted.at_ms) == (message_id, count, at_ms)


@pytest.mark.req("B-09")
@given(IDS, st.sampled_from([True, False, "short", "cut"]), TIMES)
def test_all_four_states_of_a_line_go_through(message_id, state, at_ms):
    """A cut wire would be told and not understood."""
    if isinstance(state, bool):
        payload = mqtt_codec.encode_input(message_id=message_id, is_active=state, at_ms=at_ms)
    else:
        payload = mqtt_codec.encode_fault(message_id=message_id, fault=state, at_ms=at_ms)
    told = mqtt_messages.decode_input(payload)
    assert (told.is_active if isinstance(state, bool) else told.fault) == state
    assert (told.id, told.at_ms) == (message_id, at_ms)


@given(IDS, SHOWS, st.none() | NUMBERS, TIMES)
def test_what_is_shown_goes_through_or_is_not_sent(message_id, what, number, not_after_ms):
    """We would send what the reader ignores: somebody stands before a dark display."""
    show = Show(id=message_id, show=what, not_after_ms=not_after_ms, number=number)
    if number is not None and what not in NUMBERED:
        with pytest.raises(ValueError, match="carries no number"):
            mqtt_messages.encode_show(show)
        return
    heard = mqtt_codec.Ear().show(mqtt_messages.encode_show(show), is_retained=False, now_wall_ms=0)
    assert heard == mqtt_codec.Show(id=message_id, show=what, number=number or "")


@given(SHOWS, st.text(max_size=5) | NUMBERS)
def test_a_number_is_right_for_both_sides_or_for_neither(what, number):
    """A number that one side takes and the other refuses would darken a reader."""
    show = Show(id="s", show=what, not_after_ms=1, number=number)
    spoken = json.dumps({"id": "s", "show": what, "not_after_ms": 1, "number": number}).encode()
    heard = mqtt_codec.Ear().show(spoken, is_retained=False, now_wall_ms=0)
    try:
        mqtt_messages.encode_show(show)
    except ValueError:
        assert heard == mqtt_codec.Ignored(why="malformed")
    else:
        assert heard == mqtt_codec.Show(id="s", show=what, number=number)


@given(IDS, st.integers(min_value=1, max_value=60_000), TIMES)
def test_commands_go_through(message_id, for_ms, not_after_ms):
    """A relay would not understand a release, or a lockdown."""
    release = Release(id=message_id, for_ms=for_ms, issued_ms=0, not_after_ms=not_after_ms)
    heard = mqtt_codec.Ear().command(mqtt_messages.encode_command(release), is_retained=False, now_wall_ms=0)
    assert heard == mqtt_codec.Release(id=message_id, for_ms=for_ms)
    secure = Secure(id=message_id, issued_ms=0, not_after_ms=not_after_ms)
    heard = mqtt_codec.Ear().command(mqtt_messages.encode_command(secure), is_retained=False, now_wall_ms=0)
    assert heard == mqtt_codec.Secure(id=message_id)


# -- on a broker ------------------------------------------------------------------------------------------------------

needs_mosquitto = pytest.mark.needs("mosquitto")


@pytest.fixture
def loop():
    running = Loop()
    running.start()
    yield running
    running.stop()
    assert not running.faults


@pytest.fixture
def door(loop, broker):
    made = MqttDoor("dr-1", loop=loop, journal=Journal(), broker=("127.0.0.1", broker.port), has_counter=True)
    made.session.connect()
    yield made
    made.session.close()


@pytest.fixture
def make_link(broker, told):
    made = []

    def make(*devices):
        link = MqttLink(
            host="127.0.0.1",
            port=broker.port,
            client_id=f"controller-{len(made)}",
            devices=devices,
            on_event=told,
            on_wake=told.wake,
        )
        made.append(link)
        link.start()
        return link

    yield make
    for one in made:
        one.stop()


def next_of(told, kind):
    while not isinstance(event := told.next(), kind):
        pass
    return event


@needs_mosquitto
@pytest.mark.req("B-09")
@pytest.mark.parametrize("line", ["contact", "rex", "tamper", "fire", "power"])
def test_a_pulse_of_401_ms_arrives_as_its_two_edges_in_order(door, loop, make_link, told, line):
    """Somebody quick opens an enclosure and shuts it again, and nobody hears of it."""
    make_link("dr-1")
    next_of(told, InputChanged)  # the contact's: the subscription is there

    def pulse() -> None:
        door.line(line, True)
        loop.call_in(401, lambda: door.line(line, False))

    loop.run(pulse)
    began, ended = next_of(told, InputChanged), next_of(told, InputChanged)
    assert [(one.line, one.is_active, one.is_level_report) for one in (began, ended)] == [
        (line, True, False),
        (line, False, False),
    ]
    assert ended.at_ms - began.at_ms >= 400  # the clock of a line's time is the wall's, in whole ms


@needs_mosquitto
@pytest.mark.req("B-09")
def test_a_broken_loop_is_told_live_and_to_who_comes_late(door, loop, make_link, told):
    """A controller that starts after the cut would take the door for watched."""
    make_link("dr-1")
    next_of(told, InputChanged)
    loop.run(lambda: door.break_loop("contact", "short"))
    live = next_of(told, LineFault)
    assert (live.line, live.fault, live.is_level_report) == ("contact", "short", False)
    make_link("dr-1")
    again = next_of(told, LineFault)
    assert (again.fault, again.is_level_report, again.at_ms) == ("short", True, live.at_ms)
    loop.run(lambda: door.break_loop("contact", None))
    assert not next_of(told, InputChanged).is_active


@needs_mosquitto
def test_digits_and_counts_arrive(door, loop, broker, make_link, told):
    """A keypad or a people counter would speak to nobody."""
    reader = MqttReader("rd-1", loop=loop, journal=Journal(), broker=("127.0.0.1", broker.port), has_keypad=True)
    reader.session.connect()
    make_link("dr-1", "rd-1")
    told.until(DeviceOnline(source="rd-1"))
    reader.enter("730516")
    typed = next_of(told, KeysEntered)
    assert (typed.source, typed.digits) == ("rd-1", "730516")
    door.count(2)
    counted = next_of(told, PeopleCounted)
    assert (counted.source, counted.count) == ("dr-1", 2)
    reader.session.close()
