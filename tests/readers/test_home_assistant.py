"""readers/protocols/home_assistant.py: portals are shown, and can be worked by nobody."""

from __future__ import annotations

import json
import queue
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from readers.protocols.home_assistant import AVAILABLE, HomeAssistant
from readers.transports.mqtt import MqttLink
from zones.portal_values import Phase

NAMES = {"vault-door": "relay-1-2", "archive-door": "door-b"}
WITHIN_S = 10.0


@pytest.mark.req("B-27", "E-11")
def test_nothing_is_announced_that_works_a_portal_or_names_it():
    """A page on a telephone would open the vault, or tell the network that there is one."""
    for topic, payload in HomeAssistant("north", NAMES).announced():
        assert topic.startswith(("homeassistant/binary_sensor/", "sekisho/home/"))
        said = (topic + payload.decode()).lower()
        assert not any(word in said for word in ("command", "payload_", "vault", "archive", "secret"))


def test_each_portal_has_three_states_that_home_assistant_can_read():
    """Home Assistant would show nothing, or a state of another door."""
    announced = dict(HomeAssistant("north", NAMES).announced())
    assert announced[AVAILABLE] == b"online"
    configs = [json.loads(payload) for topic, payload in announced.items() if topic.endswith("/config")]
    assert len({config["unique_id"] for config in configs}) == len(configs) == 6
    for config in configs:
        state = json.loads(announced[config["state_topic"]])
        assert config["value_template"] == "{{ value_json." + config["name"] + " }}"
        assert config["name"] in state
        assert config["availability_topic"] == AVAILABLE


@pytest.mark.parametrize(
    ("phase", "strike", "leaf", "alarm"),
    [
        (Phase.SECURED, "OFF", "OFF", "OFF"),
        (Phase.RELEASED, "ON", "OFF", "OFF"),
        (Phase.OPEN, "ON", "ON", "OFF"),
        (Phase.HELD, "OFF", "ON", "ON"),
        (Phase.FORCED, "OFF", "ON", "ON"),
        (Phase.BLIND, "None", "None", "ON"),
    ],
)
def test_a_phase_is_shown_once_as_what_it_is(phase, strike, leaf, alarm):
    """A forced door would be shown as shut."""
    home = HomeAssistant("north", NAMES)
    topic, payload = home.changed("vault-door", phase)
    assert topic == "sekisho/home/relay-1-2/state"
    assert json.loads(payload) == {"strike": strike, "leaf": leaf, "alarm": alarm}
    assert home.changed("vault-door", phase) is None
    assert home.changed("no-such-door", phase) is None
    assert (topic, payload) in home.announced()


def test_every_phase_is_known():
    """A new phase would be shown as unknown for ever."""
    for phase in Phase:
        home = HomeAssistant("north", NAMES)
        assert phase is Phase.UNKNOWN or home.changed("vault-door", phase) is not None


def test_a_name_that_may_not_stand_in_a_topic_is_refused():
    """A name with a wildcard or a level of its own would end up in somebody else's topic."""
    with pytest.raises(ValueError, match="may hold only"):
        HomeAssistant("north", {"p": "a/b"})


@pytest.mark.needs("mosquitto")
def test_states_are_retained_and_the_controllers_death_is_shown(broker, told):
    """Home Assistant would show doors as shut for days after the controller died."""
    heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
    link = MqttLink(
        host="127.0.0.1",
        port=broker.port,
        client_id="controller",
        devices=[],
        on_event=told,
        on_wake=told.wake,
        home=HomeAssistant("north", NAMES),
    )
    link.start()
    subscribed = threading.Event()
    page = paho.Client(CallbackAPIVersion.VERSION2)
    page.on_message = lambda _c, _u, message: heard.put((message.topic, message.payload))
    page.on_subscribe = lambda *_: subscribed.set()
    page.connect("127.0.0.1", broker.port)
    page.subscribe("sekisho/home/#", qos=1)
    page.loop_start()
    assert subscribed.wait(WITHIN_S)
    until(heard, AVAILABLE, b"online")
    link.publish_state("vault-door", Phase.OPEN)
    until(heard, "sekisho/home/relay-1-2/state", b'{"strike":"ON","leaf":"ON","alarm":"OFF"}')
    link._up.socket().shutdown(2)  # it dies
    until(heard, AVAILABLE, b"offline")
    until(heard, AVAILABLE, b"online")
    until(heard, "sekisho/home/relay-1-2/state", b'{"strike":"ON","leaf":"ON","alarm":"OFF"}')
    link.stop()
    until(heard, AVAILABLE, b"offline")
    page.disconnect()
    page.loop_stop()


def until(heard: queue.Queue[tuple[str, bytes]], topic: str, payload: bytes) -> None:
    while heard.get(timeout=WITHIN_S) != (topic, payload):
        pass
