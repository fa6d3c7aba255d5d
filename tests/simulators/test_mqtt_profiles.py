"""Simulated bought devices: their payloads written out as their makers document them."""

from __future__ import annotations

import json

import pytest

from simulators.mqtt_profiles import MAKERS, BoughtDevice, Maker, NoSuchPart, Order, Shown, TasmotaPn532
from simulators.mqtt_session import Heard
from simulators.plan import BuildingFileError, load

CARD = bytes.fromhex("04a1b2c3")


def heard(topic: str, payload: bytes) -> Heard:
    return Heard(topic=topic, payload=payload, is_retained=False)


def a(profile: str, channel: int | None = None) -> Maker:
    return MAKERS[profile]("unit", channel)


@pytest.mark.parametrize(
    ("profile", "topic", "payload"),
    [
        ("tasmota-pn532", "tele/unit/SENSOR", {"Time": "2026-11-27T10:00:00", "PN532": {"UID": "04A1B2C3"}}),
        ("tasmota-rdm6300", "tele/unit/SENSOR", {"Time": "2026-11-27T10:00:00", "RDM6300": {"UID": "04A1B2C3"}}),
    ],
)
def test_a_card_is_told_as_the_firmware_tells_it(profile, topic, payload):
    """The product would be held against a device that does not exist."""
    (told,) = a(profile).card(CARD)
    assert (told.topic, json.loads(told.payload), told.is_retained) == (topic, payload, False)


def test_other_cards():
    """As above: esp-rfid, ESPHome and the plain one."""
    (esp,) = a("esp-rfid").card(CARD)
    fields = json.loads(esp.payload)
    assert (esp.topic, fields["type"], fields["isKnown"], fields["uid"]) == ("unit/send", "access", "false", "04a1b2c3")
    (node,) = a("esphome-tag").card(CARD)
    assert (node.topic, node.payload) == ("unit/card", b"04-A1-B2-C3")
    (plain,) = a("generic").card(CARD)
    assert (plain.topic, plain.payload) == ("unit/card", b"04A1B2C3")


def test_a_fork_of_tasmota_loses_zeros():
    """Nobody would see that the product refuses such a number."""

    class Fork(TasmotaPn532):
        drops_zeros = True

    (told,) = Fork("unit", None).card(CARD)
    assert json.loads(told.payload)["PN532"]["UID"] == "4A1B2C3"


@pytest.mark.parametrize(
    ("profile", "channel", "topic", "payload", "meant"),
    [
        ("tasmota-relay", None, "cmnd/unit/Backlog0", b"PulseTime 7; Power ON", Order(is_on=True, for_ms=700)),
        ("tasmota-relay", None, "cmnd/unit/Backlog", b"pulsetime1 111;power1 on", Order(is_on=True, for_ms=11_100)),
        ("tasmota-relay", 2, "cmnd/unit/Backlog0", b"PulseTime2 113; Power2 ON", Order(is_on=True, for_ms=13_000)),
        ("tasmota-relay", 2, "cmnd/unit/Power1", b"ON", None),
        ("tasmota-relay", None, "cmnd/unit/POWER", b"OFF", Order(is_on=False)),
        ("tasmota-relay", None, "cmnd/unit/POWER", b"ON", Order(is_on=True)),
        ("tasmota-pn532", None, "cmnd/unit/Buzzer", b"1", Shown(what="granted")),
        (
            "shelly-gen2",
            None,
            "unit/rpc",
            b'{"id":1,"src":"me","method":"Switch.Set","params":{"id":0,"on":true,"toggle_after":0.5}}',
            Order(is_on=True, for_ms=500),
        ),
        (
            "shelly-gen2",
            1,
            "unit/rpc",
            b'{"id":1,"src":"me","method":"Switch.Set","params":{"id":0,"on":true,"toggle_after":5}}',
            None,
        ),
        ("shelly-gen2", None, "unit/rpc", b'{"id":1,"method":"Switch.Set","params":{"id":0,"on":true}}', None),
        ("esphome-lock", None, "unit/lock/strike/command", b"UNLOCK", Order(is_on=True)),
        ("esphome-switch", None, "unit/switch/strike/command", b"OFF", Order(is_on=False)),
        ("zigbee2mqtt-lock", None, "unit/set", b'{"state":"LOCK"}', Order(is_on=False)),
        ("zigbee2mqtt-plug", None, "unit/set", b'{"state":"ON","on_time":3}', Order(is_on=True, for_ms=3_000)),
        ("esp-rfid", None, "unit/cmd", b'{"cmd":"opendoor","doorip":"192.0.2.17"}', Order(is_on=True, for_ms=400)),
        ("esp-rfid", None, "unit/cmd", b'{"cmd":"opendoor","doorip":"192.0.2.18"}', None),
        ("esp-rfid", None, "unit/cmd", b"\xff", None),
    ],
)
def test_an_order_is_understood_as_the_firmware_does(profile, channel, topic, payload, meant):
    """The product's orders would be tested against a device that understands too much."""
    assert a(profile, channel).hears(heard(topic, payload)) == meant


def test_tasmota_keeps_its_pulse_time():
    """A strike would stay on after a second order in the simulation and drop in the world, or the other way round."""
    board = a("tasmota-relay")
    board.hears(heard("cmnd/unit/PulseTime", b"20"))
    assert board.hears(heard("cmnd/unit/Power", b"ON")) == Order(is_on=True, for_ms=2_000)


@pytest.mark.needs("mosquitto")
def test_a_relay_drops_by_its_own_timer_and_a_plain_one_does_not(mosquitto, peer, loop, journal):
    """A product that forgets its OFF would look right on every simulated door."""
    devices = {
        name: BoughtDevice(f"d-{name}", name, loop=loop, journal=journal, broker=mosquitto.address)
        for name in ("tasmota-relay", "esphome-switch")
    }
    for device in devices.values():
        device.session.connect()
    peer.say("cmnd/d-tasmota-relay/Backlog0", b"PulseTime 2; Power ON")
    peer.say("d-esphome-switch/switch/strike/command", b"ON", retain=True)  # it obeys a retained one, too
    assert journal.wait_for("relay", "d-tasmota-relay", after=0, is_on=True) is not None
    assert journal.wait_for("relay", "d-tasmota-relay", after=0, is_on=False) is not None
    assert journal.wait_for("relay", "d-esphome-switch", after=0, is_on=True) is not None
    assert devices["esphome-switch"].is_strike_on
    with pytest.raises(NoSuchPart):
        devices["tasmota-relay"].present(CARD)
    for device in devices.values():
        device.session.close()


BUILDING = """
[name]
ja = "x"
en = "x"
[[zones]]
id = "out"
label = { ja = "x", en = "x" }
[[zones]]
id = "in"
label = { ja = "x", en = "x" }
[[devices]]
kind = "mqtt-profile"
id = "d"
profile = "esp-rfid"
[[doors]]
id = "p"
label = { ja = "x", en = "x" }
from_zone = "out"
to_zone = "in"
reader_in = "d"
sensor = "d"
"""


def test_a_building_may_have_them(tmp_path):
    """Bought devices could be tried alone and never in a building."""
    file = tmp_path / "building.toml"
    file.write_text(BUILDING)
    assert load(file).devices[0].profile == "esp-rfid"
    file.write_text(BUILDING.replace("esp-rfid", "esp-rfd"))
    with pytest.raises(BuildingFileError, match=r"devices\[0\].profile: no profile 'esp-rfd'; write one of generic"):
        load(file)
