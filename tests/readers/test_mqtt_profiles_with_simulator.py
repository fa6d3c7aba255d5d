"""Bought devices, simulated from their makers' documentation, on a real broker: what they say and what they obey."""

from __future__ import annotations

import socket
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from readers import profiles
from readers.events import CardRead, DeviceOffline, DeviceOnline, InputChanged, OutputReported
from readers.protocols import mqtt_profiles
from readers.protocols.mqtt_messages import Release, Secure, Show
from readers.protocols.mqtt_profiles import MqttDevice
from readers.transports.mqtt import MqttLink
from simulators.journal import Journal
from simulators.loop import Loop
from simulators.mqtt_profiles import MAKERS, BoughtDevice, Maker

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.system]

WITHIN_S = 10.0
ONLINE = DeviceOnline(source="d")
NUMBER = bytes.fromhex("04a1b2c3")
TOPICS = {name: "zigbee2mqtt/d" if name.startswith("zigbee2mqtt") else "unit" for name in MAKERS}
WITH_CONTACT = [name for name in MAKERS if profiles.load(name).serves & {"contact"}]
WITH_REX = [name for name in MAKERS if profiles.load(name).serves & {"rex"}]
READERS = [name for name in MAKERS if "reader" in profiles.load(name).serves]
RELAYS = [name for name in MAKERS if "strike" in profiles.load(name).serves]


@pytest.fixture
def no_second_of_grace(monkeypatch):
    monkeypatch.setattr(mqtt_profiles, "HELD_BACK_MS", -1)


@pytest.fixture
def on_broker(broker, told):
    """Put one simulated device and the product's link on a broker; the device is heard to be online."""
    loop = Loop()
    loop.start()
    links: list[MqttLink] = []
    devices: list[BoughtDevice] = []

    def make(profile: str, **named: object) -> tuple[BoughtDevice, MqttLink]:
        link = MqttLink(
            host="127.0.0.1",
            port=broker.port,
            client_id="controller",
            devices=[MqttDevice("d", profile, TOPICS[profile])],
            on_event=told,
            on_wake=told.wake,
        )
        links.append(link)
        device = BoughtDevice(
            "d",
            profile,
            loop=loop,
            journal=Journal(),
            broker=("127.0.0.1", broker.port),
            topic=TOPICS[profile],
            **named,
        )
        devices.append(device)
        link.start()
        device.session.connect(WITHIN_S)
        told.until(ONLINE)
        return device, link

    yield make
    for link in links:
        link.stop()
    for device in devices:
        device.session.close()
    loop.stop()
    assert not loop.faults


def done(device: BoughtDevice, what):
    return device._loop.run(what)


def line(name: str, is_active: bool, *, is_level_report: bool = False) -> InputChanged:
    return InputChanged(source="d", line=name, is_active=is_active, is_level_report=is_level_report)


def seen(told, wanted: InputChanged) -> None:
    """Until the line says so; a device's own clock is its own."""
    while True:
        event = told.next(WITHIN_S)
        if isinstance(event, InputChanged) and (event.line, event.is_active) == (wanted.line, wanted.is_active):
            assert event.is_level_report is wanted.is_level_report
            return


@pytest.mark.parametrize("profile", READERS)
def test_a_card_arrives(on_broker, told, no_second_of_grace, profile):
    """A card at such a reader would open nothing."""
    device, _ = on_broker(profile)
    assert done(device, lambda: device.present(NUMBER))
    told.until(CardRead(source="d", number=NUMBER, kind="mqtt"))


@pytest.mark.req("B-22")
@pytest.mark.parametrize("profile", READERS)
def test_a_card_just_after_the_reader_came_back_is_held_back(on_broker, told, profile):
    """What lay in a reader while its line was down would open the door when it comes back."""
    device, _ = on_broker(profile)
    assert done(device, lambda: device.present(NUMBER))
    told.until(CardRead(source="d", number=NUMBER, kind="mqtt", is_held_back=True))


@pytest.mark.parametrize("profile", WITH_CONTACT)
def test_a_leaf_that_opens_is_seen_to_open(on_broker, told, profile):
    """An open door would be taken for a shut one: the inversions of makers are what one gets wrong."""
    device, _ = on_broker(profile)
    done(device, lambda: device.contact(True))
    seen(told, line("contact", True))
    done(device, lambda: device.contact(False))
    seen(told, line("contact", False))


@pytest.mark.parametrize("profile", WITH_REX)
def test_a_press_is_a_press(on_broker, told, no_second_of_grace, profile):
    """Somebody would stand before a door that does not let him out."""
    device, _ = on_broker(profile)
    done(device, lambda: device.rex(False))
    done(device, lambda: device.rex(True))
    seen(told, line("rex", True))


@pytest.mark.req("B-26")
@pytest.mark.parametrize("profile", RELAYS)
def test_a_release_moves_the_strike_and_ends(on_broker, told, profile):
    """The strike would not move, or not drop by itself when the controller is dead a moment later."""
    moved: list[bool] = []
    changed = threading.Semaphore(0)

    def moves(is_on: bool) -> None:
        moved.append(is_on)
        changed.release()

    device, link = on_broker(profile, on_strike=moves)
    whole_s_only = profile == "zigbee2mqtt-plug"
    for_ms = 1_000 if whole_s_only else 300
    assert link.publish_command("d", Release(id="k", for_ms=for_ms, issued_ms=1, not_after_ms=2))
    if link.reports_output("d"):
        told.until(OutputReported(source="d", is_on=True))
    assert changed.acquire(timeout=WITHIN_S)
    if link.has_auto_off("d"):
        link.stop()  # the controller is dead; the device has the rest in its own hands
    else:
        assert link.publish_command("d", Secure(id="k", issued_ms=1, not_after_ms=2))
    assert changed.acquire(timeout=WITHIN_S)
    assert moved == [True, False]
    assert not device.ignored


@pytest.mark.req("B-26")
@pytest.mark.parametrize("is_orderly", [True, False])
def test_a_relay_without_a_timer_is_told_by_the_broker(broker, on_broker, told, is_orderly):
    """The door would stand open from the controller's end until somebody comes by."""
    moved = threading.Semaphore(0)
    device, link = on_broker("esphome-switch", on_strike=lambda _is_on: moved.release())
    guard = MqttLink(
        host="127.0.0.1",
        port=broker.port,
        client_id="guard",
        devices=[],
        on_event=told,
        on_wake=told.wake,
        lanes=frozenset(),
        last_words=link.last_words_of("d"),
    )
    guard.start()
    while not guard.is_connected:
        told.woken.wait(0.01)
    assert link.publish_command("d", Release(id="k", for_ms=60_000, issued_ms=1, not_after_ms=2))
    assert moved.acquire(timeout=WITHIN_S)
    if is_orderly:
        guard.stop()
    else:
        guard._up.socket().shutdown(socket.SHUT_RDWR)
    assert moved.acquire(timeout=WITHIN_S)
    assert not device.is_strike_on
    guard.stop()


@pytest.mark.parametrize("profile", [name for name in MAKERS if profiles.load(name).show])
def test_a_reader_shows_what_it_is_told(on_broker, profile):
    """Whoever was admitted would not know it."""
    device, link = on_broker(profile)
    assert link.publish_show("d", Show(id="s", show="granted", not_after_ms=1))
    assert device.journal.wait_for("show", "d", after=0, timeout_s=WITHIN_S) is not None
    assert device.shown == "granted"


@pytest.mark.req("B-27")
@pytest.mark.parametrize("profile", [name for name in MAKERS if profiles.load(name).online])
def test_a_device_that_loses_its_power_is_told_offline(on_broker, told, profile):
    """A reader that was torn off the wall would be missed by nobody."""
    device, _ = on_broker(profile)
    device.session.drop()
    told.until(DeviceOffline(source="d", why="device says offline"))


@pytest.mark.req("B-22", "B-27")
@pytest.mark.parametrize(
    "profile", ["tasmota-pn532", "shelly-gen2-rex", "esphome-tag", "zigbee2mqtt-motion", "esp-rfid"]
)
def test_a_retained_act_of_a_stranger_counts_nothing(broker, on_broker, told, profile):
    """One message left on the broker would be a card, or a press, at every start."""
    device, link = on_broker(profile)
    maker: Maker = device.maker
    (act,) = maker.card(NUMBER) if profile in READERS else maker.line("rex", True)
    stranger = paho.Client(CallbackAPIVersion.VERSION2)
    stranger.connect("127.0.0.1", broker.port)
    stranger.loop_start()
    stranger.publish(act.topic, act.payload, qos=1, retain=True).wait_for_publish(WITHIN_S)
    refused = [event for event in told.until_refused("d", "retained") if isinstance(event, CardRead)]
    assert refused == []
    link.stop()
    link.start()  # as after a restart of the controller
    later = told.until_refused("d", "retained")
    assert not any(isinstance(event, CardRead) or getattr(event, "line", "") == "rex" for event in later)
    stranger.disconnect()
    stranger.loop_stop()


@pytest.mark.req("B-11", "B-22")
@pytest.mark.parametrize("profile", ["tasmota-relay", "shelly-gen2", "zigbee2mqtt-lock"])
def test_a_broker_that_restarts_releases_nothing_and_loses_nobody(broker, on_broker, told, profile):
    """Relays that hang after hours, or a release from before the outage that arrives after it."""
    moved: list[bool] = []
    device, link = on_broker(profile, on_strike=moved.append)
    broker.kill()
    told.until(DeviceOffline(source="d", why="broker lost"))
    assert not link.publish_command("d", Release(id="k", for_ms=300, issued_ms=1, not_after_ms=2))
    broker.start()
    told.until(ONLINE)
    assert device.session.wait_up(WITHIN_S)
    assert moved == []
    assert link.publish_command("d", Release(id="k", for_ms=300, issued_ms=1, not_after_ms=2))
    told.until(OutputReported(source="d", is_on=True))
    assert moved == [True]
