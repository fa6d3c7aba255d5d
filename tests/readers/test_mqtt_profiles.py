"""readers/profiles and readers/protocols/mqtt_profiles.py: what bought devices say, as their makers write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import profiles
from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    KeysEntered,
    MessageRefused,
    OutputReported,
)
from readers.protocols import mqtt_profiles
from readers.protocols.mqtt_inbound import MqttInbound
from readers.protocols.mqtt_messages import Release, Secure, Show
from readers.protocols.mqtt_profiles import MqttDevice

BACK_FOR_LONG_MS = 60_000
RELEASE = Release(id="k-1", for_ms=5_000, issued_ms=1, not_after_ms=2)
SECURE = Secure(id="k-2", issued_ms=1, not_after_ms=2)

ONLINE = {
    "generic": ("unit/online", b"online"),
    "esp-rfid": ("unit/send", b'{"type":"heartbeat","time":1605991375,"uptime":999,"ip":"192.168.1.9","hostname":"e"}'),
    "tasmota-pn532": ("tele/unit/LWT", b"Online"),
    "tasmota-rdm6300": ("tele/unit/LWT", b"Online"),
    "tasmota-relay": ("tele/unit/LWT", b"Online"),
    "shelly-gen2": ("unit/online", b"true"),
    "shelly-gen2-rex": ("unit/online", b"true"),
    "esphome-tag": ("unit/status", b"online"),
    "esphome-switch": ("unit/status", b"online"),
    "esphome-lock": ("unit/status", b"online"),
    "esphome-binary-sensor": ("unit/status", b"online"),
    "zigbee2mqtt-contact": ("unit/availability", b'{"state":"online"}'),
    "zigbee2mqtt-motion": ("unit/availability", b'{"state":"online"}'),
    "zigbee2mqtt-lock": ("unit/availability", b'{"state":"online"}'),
    "zigbee2mqtt-plug": ("unit/availability", b'{"state":"online"}'),
}


def a(profile: str, **named: object) -> MqttInbound:
    """One device `d` of a profile, online for a minute at tick BACK_FOR_LONG_MS."""
    inbound = MqttInbound([MqttDevice("d", profile, **({"topic": "unit"} | named))])
    topic, payload = ONLINE[profile]
    assert inbound.receive_message(topic, payload, is_retained=False, now_ms=0) == [DeviceOnline(source="d")]
    return inbound


def says(inbound, topic, payload, *, now_ms=BACK_FOR_LONG_MS, is_retained=False, is_repeat=False):
    return inbound.receive_message(topic, payload, is_retained=is_retained, is_repeat=is_repeat, now_ms=now_ms)


def card(number: str, *, is_held_back: bool = False) -> CardRead:
    return CardRead(source="d", number=bytes.fromhex(number), kind="mqtt", is_held_back=is_held_back)


def line(name: str, is_active: bool, *, is_level_report: bool = False, at_ms: int | None = None) -> InputChanged:
    return InputChanged(source="d", line=name, is_active=is_active, is_level_report=is_level_report, at_ms=at_ms)


def refused(why: str) -> list[MessageRefused]:
    return [MessageRefused(source="d", why=why)]


def test_every_profile_is_in_the_tables_and_can_be_loaded():
    """A device would stand in the documentation and be refused on the site."""
    assert set(profiles.names()) == {"sekisho", *ONLINE}
    for name in ONLINE:
        assert profiles.load(name).serves
    with pytest.raises(ValueError, match="is not one of"):
        profiles.load("sonoff")


# -- what they say, in the words of their makers' documentation and sources --------------------------------------------

SHELLY_SWITCH = (
    b'{"src":"shellyplus1-a8032abe54dc","dst":"shellyplus1-a8032abe54dc/events","method":"NotifyStatus",'
    b'"params":{"ts":1736603810.49,"switch:0":{"id":0,"output":true,"source":"MQTT"}}}'
)
SHELLY_INPUT = (
    b'{"src":"shellyplus1-a8032abe54dc","dst":"shellyplus1-a8032abe54dc/events","method":"NotifyStatus",'
    b'"params":{"ts":1736603811.5,"input:0":{"id":0,"state":false}}}'
)
ESP_ACCESS = (
    b'{"type":"access","time":1605991375,"isKnown":"false","access":"Denied","username":"Unknown",'
    b'"uid":"04a1b2c3","hostname":"e"}'
)

SAID = [
    ("generic", "unit/card", b"04A1B2C3", card("04a1b2c3")),
    ("generic", "unit/keys", b"730516", KeysEntered(source="d", digits="730516")),
    ("generic", "unit/contact", b"open", line("contact", True)),
    ("generic", "unit/contact", b"closed", line("contact", False)),
    ("generic", "unit/rex", b"pressed", line("rex", True)),
    ("generic", "unit/fire", b"alarm", line("fire", True)),
    ("generic", "unit/power", b"lost", line("power", True)),
    ("generic", "unit/output", b"ON", OutputReported(source="d", is_on=True)),
    ("esp-rfid", "unit/send", ESP_ACCESS, card("04a1b2c3")),
    ("esp-rfid", "unit/send", b'{"type":"INFO","src":"door","desc":"Door Open","data":""}', line("contact", True)),
    ("esp-rfid", "unit/send", b'{"type":"INFO","src":"door","desc":"Door Closed"}', line("contact", False)),
    ("esp-rfid", "unit/send", b'{"type":"WARN","src":"tamper","desc":"Door was tampered!"}', line("tamper", True)),
    (
        "tasmota-pn532",
        "tele/unit/SENSOR",
        b'{"Time":"2026-11-27T10:00:00","PN532":{"UID":"04A1B2C3"}}',
        card("04a1b2c3"),
    ),
    (
        "tasmota-pn532",
        "tele/unit/SENSOR",
        b'{"Time":"2026-11-27T10:00:00","PN532":{"UID":"04112233445566","Data":"","Auth":"None"}}',
        card("04112233445566"),
    ),
    ("tasmota-rdm6300", "tele/unit/SENSOR", b'{"Time":"t","RDM6300":{"UID":"0012D687"}}', card("0012d687")),
    ("tasmota-relay", "stat/unit/POWER", b"ON", OutputReported(source="d", is_on=True)),
    ("tasmota-relay", "stat/unit/RESULT", b'{"Switch1":{"Action":"OFF"}}', line("contact", True)),
    ("tasmota-relay", "stat/unit/RESULT", b'{"Switch2":{"Action":"ON"}}', line("rex", True)),
    ("tasmota-relay", "tele/unit/SENSOR", b'{"Time":"t","Switch1":"ON"}', line("contact", False, is_level_report=True)),
    ("shelly-gen2", "unit/events/rpc", SHELLY_SWITCH, OutputReported(source="d", is_on=True)),
    ("shelly-gen2", "unit/events/rpc", SHELLY_INPUT, line("contact", True, at_ms=1_736_603_811_500)),
    ("shelly-gen2-rex", "unit/events/rpc", SHELLY_INPUT, line("rex", False, at_ms=1_736_603_811_500)),
    ("esphome-tag", "unit/card", b"04-A1-B2-C3", card("04a1b2c3")),
    ("esphome-switch", "unit/switch/strike/state", b"OFF", OutputReported(source="d", is_on=False)),
    ("esphome-lock", "unit/lock/strike/state", b"UNLOCKED", OutputReported(source="d", is_on=True)),
    ("esphome-binary-sensor", "unit/binary_sensor/contact/state", b"ON", line("contact", True)),
    ("esphome-binary-sensor", "unit/binary_sensor/rex/state", b"ON", line("rex", True)),
    ("zigbee2mqtt-contact", "unit", b'{"contact":true,"linkquality":128,"battery":97}', line("contact", False)),
    ("zigbee2mqtt-contact", "unit", b'{"contact":false,"battery":97}', line("contact", True)),
    ("zigbee2mqtt-motion", "unit", b'{"occupancy":false,"illuminance":12}', line("rex", False, is_level_report=True)),
    (
        "zigbee2mqtt-lock",
        "unit",
        b'{"state":"LOCK","lock_state":"locked","action":"keypad_lock"}',
        OutputReported(source="d", is_on=False),
    ),
    ("zigbee2mqtt-plug", "unit", b'{"state":"ON","power":0}', OutputReported(source="d", is_on=True)),
]


@pytest.mark.parametrize(("profile", "topic", "payload", "event"), SAID)
def test_what_a_device_says_is_understood(profile, topic, payload, event):
    """A device of that make would hang on the wall and do nothing, or the contrary of what it saw."""
    assert says(a(profile), topic, payload) == [event]


SILENT = [
    ("esp-rfid", "unit/send", b'{"type":"INFO","src":"doorbell","desc":"Doorbell ringing"}', "nothing of ours"),
    ("esp-rfid", "unit/send", b'{"type":"access","isKnown":"true","username":"MQTT","uid":" "}', "our own release"),
    ("esp-rfid", "unit/send", b'{"src":"tamper","desc":"Door wasn\'t closed within max open time!"}', "we time that"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"Time":"t","BME280":{"Temperature":21.5}}', "another part of the board"),
    ("tasmota-relay", "stat/unit/RESULT", b'{"POWER":"ON"}', "told on stat/…/POWER as well"),
    (
        "shelly-gen2",
        "unit/events/rpc",
        b'{"method":"NotifyStatus","params":{"switch:0":{"apower":3.1}}}',
        "power alone",
    ),
    ("shelly-gen2", "unit/events/rpc", b'{"method":"NotifyStatus","params":{"switch:1":{"output":true}}}', "not ours"),
    ("shelly-gen2", "unit/events/rpc", b'{"method":"NotifyEvent","params":{"events":[]}}', "an event"),
    ("esphome-lock", "unit/lock/strike/state", b"UNLOCKING", "not there yet"),
    ("zigbee2mqtt-contact", "unit", b'{"contact":null,"linkquality":0}', "not known yet"),
    ("zigbee2mqtt-contact", "unit", b'{"update":{"state":"idle"},"linkquality":99}', "a new version's field"),
]


@pytest.mark.parametrize(("profile", "topic", "payload", "why"), SILENT)
def test_what_is_no_business_of_ours_is_passed_over(profile, topic, payload, why):
    """Every temperature would stand in the ledger as a refused message, or a field of a new version would."""
    assert says(a(profile), topic, payload) == [], why


MANGLED = [
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":"4A1B2C3"}}', "bad_number", "a leading zero was lost"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":"4A1B2C"}}', "bad_number", "two were"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":"-"}}', "bad_number", "no card"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":78}}', "bad_number", "a number"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":"00000000"}}', "bad_number", "nothing was read"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":"04A1', "malformed", "cut short"),
    ("tasmota-pn532", "tele/unit/SENSOR", b"[" * 8_000, "malformed", "depth without end"),
    ("tasmota-pn532", "tele/unit/SENSOR", b'"' + b"x" * 8_192 + b'"', "oversized", "length without end"),
    ("tasmota-pn532", "tele/unit/SENSOR", b"\xff\xfe", "malformed", "no text"),
    ("esp-rfid", "unit/send", b'{"type":"access","isKnown":"false","uid":"a1b2c3"}', "bad_number", "three bytes"),
    ("esphome-tag", "unit/card", b"04:A1:B2:C3", "bad_number", "another separator"),
    ("esphome-switch", "unit/switch/strike/state", b"on", "malformed", "not a word of ESPHome"),
    ("zigbee2mqtt-contact", "unit", b'{"contact":"true"}', "malformed", "a text is no truth"),
    ("zigbee2mqtt-contact", "unit", b'{"contact":1}', "malformed", "nor is a number"),
    ("zigbee2mqtt-lock", "unit", b'{"state":"OPEN"}', "malformed", "not a state of a lock"),
    ("generic", "unit/keys", b"12", "malformed", "too few digits"),
    ("generic", "unit/contact", b"ajar", "malformed", "neither"),
    (
        "esp-rfid",
        "unit/send",
        b'{"type":"boot","ip":"x\\",\\"cmd\\":\\"deletusers"}',
        "malformed",
        "an order in an address",
    ),
]


@pytest.mark.parametrize(("profile", "topic", "payload", "code", "why"), MANGLED)
def test_what_may_be_mangled_is_refused_with_a_code_and_not_guessed(profile, topic, payload, code, why):
    """A number that lost its zeros would be somebody else's; a strange payload would end the listener."""
    assert says(a(profile), topic, payload) == refused(code), why


@pytest.mark.req("A-35")
def test_a_reader_that_decides_by_itself_is_told_of():
    """The board's own list would let people in and nobody would know that it is not empty."""
    opened = b'{"type":"access","isKnown":"true","access":"Always","username":"x","uid":"04a1b2c3"}'
    assert says(a("esp-rfid"), "unit/send", opened) == refused("decided_by_device")


# -- late, repeated, retained --------------------------------------------------------------------------------------

ACTS = [
    ("generic", "unit/card", b"04A1B2C3"),
    ("generic", "unit/keys", b"730516"),
    ("generic", "unit/rex", b"pressed"),
    ("esp-rfid", "unit/send", ESP_ACCESS),
    ("tasmota-pn532", "tele/unit/SENSOR", b'{"PN532":{"UID":"04A1B2C3"}}'),
    ("tasmota-rdm6300", "tele/unit/SENSOR", b'{"RDM6300":{"UID":"0012D687"}}'),
    ("tasmota-relay", "stat/unit/RESULT", b'{"Switch2":{"Action":"ON"}}'),
    ("shelly-gen2-rex", "unit/events/rpc", b'{"method":"NotifyStatus","params":{"input:0":{"state":true}}}'),
    ("esphome-tag", "unit/card", b"04-A1-B2-C3"),
    ("esphome-binary-sensor", "unit/binary_sensor/rex/state", b"ON"),
]


@pytest.mark.req("B-22", "B-27")
@pytest.mark.parametrize(("profile", "topic", "payload"), ACTS)
def test_an_act_counts_once_and_never_from_the_past(profile, topic, payload):
    """A retained card would open at every start of the controller, a repeated one twice."""
    inbound = a(profile)
    assert says(inbound, topic, payload, is_retained=True) == refused("retained")
    assert says(inbound, topic, payload, is_repeat=True) == refused("duplicate")
    assert says(a(profile), topic, payload)[0] == says(a(profile), topic, payload)[0]
    again = a(profile)
    (first,) = says(again, topic, payload)
    assert not isinstance(first, MessageRefused)
    assert says(again, topic, payload, now_ms=BACK_FOR_LONG_MS + 299) == refused("duplicate")
    assert says(again, topic, payload, now_ms=BACK_FOR_LONG_MS + 700) == [first]


@pytest.mark.req("B-22", "B-27")
@pytest.mark.parametrize(("profile", "topic", "payload"), ACTS)
def test_what_a_device_says_just_after_it_came_back_may_have_lain_in_it(profile, topic, payload):
    """A card read while the line was down would open when it comes back, for whoever stands there then."""
    inbound = a(profile)
    (early,) = says(inbound, topic, payload, now_ms=999)
    assert early.is_held_back if isinstance(early, CardRead | KeysEntered) else early.is_level_report
    (later,) = says(inbound, topic, payload, now_ms=1_400)
    assert not (later.is_held_back if isinstance(later, CardRead | KeysEntered) else later.is_level_report)


@pytest.mark.req("B-22", "B-25")
def test_a_movement_that_goes_on_is_one_press():
    """Every report of a battery would let the door go while somebody works beside it, or a detector is stuck."""
    inbound = a("zigbee2mqtt-motion")
    first = says(inbound, "unit", b'{"occupancy":true}')
    assert first == [line("rex", True, is_level_report=True)], "it may have been so for hours"
    assert says(inbound, "unit", b'{"occupancy":false}') == [line("rex", False)]
    assert says(inbound, "unit", b'{"occupancy":true}') == [line("rex", True)]
    for battery in (b'{"occupancy":true,"battery":96}', b'{"occupancy":true,"battery":95}'):
        assert says(inbound, "unit", battery) == [line("rex", True, is_level_report=True)]
    assert says(inbound, "unit", b'{"occupancy":true}', is_retained=True) == refused("retained")
    says(inbound, "unit", b'{"occupancy":false}')
    assert says(inbound, "unit/availability", b"offline") and says(inbound, "unit/availability", b"online")
    assert says(inbound, "unit", b'{"occupancy":true}') == [line("rex", True, is_level_report=True)], "its cache"


def test_a_leaf_that_is_said_to_be_open_again_has_not_opened_again():
    """Each battery report of a contact would be an opening."""
    inbound = a("zigbee2mqtt-contact")
    assert says(inbound, "unit", b'{"contact":false,"battery":97}') == [line("contact", True)]
    assert says(inbound, "unit", b'{"contact":false,"battery":96}') == [line("contact", True, is_level_report=True)]
    assert says(inbound, "unit", b'{"contact":true,"battery":96}') == [line("contact", False)]


def test_two_devices_of_the_site_file_may_be_one_box():
    """A Shelly whose relay is the strike and whose input is REX could not be used."""
    relay, rex = MqttDevice("relay", "shelly-gen2", "unit", 1), MqttDevice("out", "shelly-gen2-rex", "unit", 0)
    inbound = MqttInbound([relay, rex])
    both = [DeviceOnline(source="relay"), DeviceOnline(source="out")]
    assert says(inbound, "unit/online", b"true", now_ms=0) == both
    said = says(inbound, "unit/events/rpc", SHELLY_INPUT.replace(b"false", b"true"))
    assert said == [
        InputChanged(source="out", line="rex", is_active=True, is_level_report=False, at_ms=1_736_603_811_500)
    ]
    assert says(inbound, "unit/events/rpc", SHELLY_SWITCH.replace(b"switch:0", b"switch:1")) == [
        OutputReported(source="relay", is_on=True)
    ]


@pytest.mark.req("B-22")
def test_a_device_that_says_it_is_gone_releases_nobody():
    """Its name could be spoken for by somebody while the device itself is off."""
    inbound = a("tasmota-pn532")
    assert says(inbound, "tele/unit/LWT", b"Offline") == [DeviceOffline(source="d", why="device says offline")]
    read = says(inbound, "tele/unit/SENSOR", b'{"PN532":{"UID":"04A1B2C3"}}', now_ms=10 * BACK_FOR_LONG_MS)
    assert read == [card("04a1b2c3", is_held_back=True)]
    before = MqttInbound([MqttDevice("d", "tasmota-pn532", "unit")])
    assert says(before, "tele/unit/SENSOR", b'{"PN532":{"UID":"04A1B2C3"}}') == [card("04a1b2c3", is_held_back=True)]


@pytest.mark.parametrize(
    ("profile", "topic", "payload", "event"),
    [
        ("zigbee2mqtt-contact", "unit", b'{"contact":false}', line("contact", True, is_level_report=True)),
        (
            "esphome-binary-sensor",
            "unit/binary_sensor/contact/state",
            b"ON",
            line("contact", True, is_level_report=True),
        ),
        ("generic", "unit/tamper", b"open", line("tamper", True, is_level_report=True)),
        ("esphome-switch", "unit/switch/strike/state", b"ON", OutputReported(source="d", is_on=True)),
    ],
)
def test_a_level_may_be_retained_and_is_no_edge(profile, topic, payload, event):
    """A leaf that stood open before the start would not be known of, or would look as if it opened just now."""
    assert says(a(profile), topic, payload, is_retained=True) == [event]


# -- who is there --------------------------------------------------------------------------------------------------


@pytest.mark.req("B-27")
@pytest.mark.parametrize("profile", ["tasmota-pn532", "tasmota-relay", "esp-rfid"])
def test_a_device_that_beats_and_falls_silent_is_gone(profile):
    """A reader whose broker kept saying online for it would be missed by nobody."""
    inbound = a(profile)
    stale_ms = profiles.load(profile).stale_s * 1_000
    assert inbound.tick(stale_ms) == []
    assert inbound.tick(stale_ms + 1) == [DeviceOffline(source="d", why="stale")]
    assert inbound.tick(stale_ms + 2) == []
    topic = "unit/send" if profile == "esp-rfid" else "tele/unit/STATE"
    assert says(inbound, topic, b'{"type":"heartbeat"}', is_retained=True) == []  # a retained beat is no life
    assert says(inbound, topic, b'{"type":"heartbeat"}', now_ms=stale_ms + 3) == [DeviceOnline(source="d")]


def test_a_device_that_only_beats_has_until_its_next_beat():
    """Every start of the controller would tell three minutes of a lost reader."""
    inbound = MqttInbound([MqttDevice("d", "esp-rfid", "unit")])
    assert inbound.broker_silent(5_000) == []
    assert inbound.tick(405_000) == []
    assert inbound.tick(405_001) == [DeviceOffline(source="d", why="stale")]


def test_behind_a_bridge_both_must_be_there():
    """With the Zigbee stick unplugged every contact would look as if it were there."""
    inbound = MqttInbound([MqttDevice("d", "zigbee2mqtt-contact", "zigbee2mqtt/front")])
    assert says(inbound, "zigbee2mqtt/bridge/state", b'{"state":"online"}') == [DeviceOnline(source="d")]
    gone = [DeviceOffline(source="d", why="device says offline")]
    assert says(inbound, "zigbee2mqtt/front/availability", b'{"state":"offline"}') == gone
    assert says(inbound, "zigbee2mqtt/bridge/state", b"online") == []  # as old versions write it
    assert says(inbound, "zigbee2mqtt/front/availability", b"online") == [DeviceOnline(source="d")]
    assert says(inbound, "zigbee2mqtt/bridge/state", b'{"state":"offline"}') == gone


def test_a_lost_broker_takes_all_with_it_and_brings_none_back():
    """Devices would be believed to be there that were carried away meanwhile."""
    inbound = a("tasmota-pn532")
    assert inbound.broker_lost("broker lost") == [DeviceOffline(source="d", why="broker lost")]
    assert says(inbound, "tele/unit/STATE", b'{"Uptime":"1T"}') == []
    assert says(inbound, "tele/unit/LWT", b"Online", is_retained=True) == [DeviceOnline(source="d")]
    never = MqttInbound([MqttDevice("d", "tasmota-pn532", "unit")])
    assert never.broker_silent(0) == [DeviceOffline(source="d", why="no state")]


# -- what they are told --------------------------------------------------------------------------------------------

TOLD = [
    ("generic", None, [("unit/output/set", b"ON")], [("unit/output/set", b"OFF")], False),
    ("tasmota-relay", None, [("cmnd/unit/Backlog0", b"PulseTime 50; Power ON")], [("cmnd/unit/Power", b"OFF")], True),
    ("tasmota-relay", 2, [("cmnd/unit/Backlog0", b"PulseTime2 50; Power2 ON")], [("cmnd/unit/Power2", b"OFF")], True),
    (
        "shelly-gen2",
        None,
        [
            (
                "unit/rpc",
                b'{"id":7,"src":"unit/ctl","method":"Switch.Set","params":{"id":0,"on":true,"toggle_after":5}}',
            )
        ],
        [("unit/rpc", b'{"id":7,"src":"unit/ctl","method":"Switch.Set","params":{"id":0,"on":false}}')],
        True,
    ),
    (
        "esphome-switch",
        None,
        [("unit/switch/strike/command", b"ON")],
        [("unit/switch/strike/command", b"OFF")],
        False,
    ),
    ("esphome-lock", None, [("unit/lock/strike/command", b"UNLOCK")], [("unit/lock/strike/command", b"LOCK")], False),
    ("zigbee2mqtt-lock", None, [("unit/set", b'{"state":"UNLOCK"}')], [("unit/set", b'{"state":"LOCK"}')], False),
    ("zigbee2mqtt-plug", None, [("unit/set", b'{"state":"ON","on_time":5}')], [("unit/set", b'{"state":"OFF"}')], True),
    ("esp-rfid", None, [("unit/cmd", b'{"cmd":"opendoor","doorip":"192.168.1.9"}')], [], True),
    ("tasmota-pn532", None, None, None, False),
]


@pytest.mark.req("B-26")
@pytest.mark.parametrize(("profile", "channel", "release", "secure", "has_auto_off"), TOLD)
def test_a_command_is_what_the_device_understands(profile, channel, release, secure, has_auto_off):
    """The strike would stay shut, or stay open when the controller dies after a release."""
    inbound = a(profile, channel=channel)
    assert inbound.encode_command("d", RELEASE, 7) == release
    assert inbound.encode_command("d", SECURE, 7) == secure
    assert inbound.has_auto_off("d") is has_auto_off


@pytest.mark.req("B-26")
@pytest.mark.parametrize(("profile", "channel", "release", "secure", "has_auto_off"), TOLD)
def test_a_relay_without_a_timer_has_last_words(profile, channel, release, secure, has_auto_off):
    """It would stay released for ever when the controller dies in the moment of a release."""
    wanted = None if has_auto_off or not secure else secure[0]
    assert a(profile, channel=channel).last_words_of("d") == wanted
    assert MqttInbound(["ours"]).last_words_of("ours") is None


def test_a_board_whose_address_is_not_known_is_told_nothing():
    """A release would go to whichever board has the address that was written down a year ago."""
    inbound = MqttInbound([MqttDevice("d", "esp-rfid", "unit")])
    assert inbound.encode_command("d", RELEASE, 1) is None
    says(inbound, "unit/send", b'{"type":"boot","time":1605987212,"uptime":0,"ip":"10.0.0.7","hostname":"e"}')
    assert inbound.encode_command("d", RELEASE, 1) == [("unit/cmd", b'{"cmd":"opendoor","doorip":"10.0.0.7"}')]


@pytest.mark.req("B-26")
@pytest.mark.parametrize(
    ("for_ms", "pulse", "lasts_ms"),
    [
        (1, "1", 100),
        (100, "1", 100),
        (199, "1", 100),
        (700, "7", 700),
        (5_000, "50", 5_000),
        (11_100, "111", 11_100),
        (11_900, "111", 11_100),
        (12_000, "112", 12_000),
        (12_999, "112", 12_000),
        (600_000, "700", 600_000),
    ],
)
def test_tasmotas_pulse_time(for_ms, pulse, lasts_ms):
    """1 to 111 are tenths of a second, from 112 on seconds and a hundred: a slip there is a door open for minutes."""
    assert mqtt_profiles.times(for_ms)["pulse"] == pulse
    said = int(pulse)
    assert lasts_ms == (said * 100 if said <= 111 else (said - 100) * 1_000)


@given(st.integers(min_value=1, max_value=600_000))
def test_no_device_is_told_a_longer_time_than_was_decided(for_ms):
    """A strike would be open for longer than anybody granted."""
    units = mqtt_profiles.times(for_ms)
    pulse = int(units["pulse"])
    assert (pulse * 100 if pulse <= 111 else (pulse - 100) * 1_000) <= max(100, for_ms)
    assert int(units["whole_s"]) * 1_000 <= max(1_000, for_ms)
    assert float(units["for_s"]) * 1_000 == pytest.approx(for_ms)


@pytest.mark.parametrize("for_ms", [0, -1, 600_001])
def test_a_time_that_nobody_may_be_told_is_our_mistake(for_ms):
    """A slip in the controller would leave a door open for a day."""
    with pytest.raises(ValueError, match="release lasts"):
        a("shelly-gen2").encode_command("d", Release(id="k", for_ms=for_ms, issued_ms=1, not_after_ms=2), 1)


def test_a_reader_shows_what_it_can():
    """Whoever was refused would stand before a reader that says nothing, or be told why."""
    shows = a("tasmota-pn532")
    assert shows.encode_show("d", Show(id="s", show="granted", not_after_ms=1)) == [("cmnd/unit/Buzzer", b"1")]
    assert shows.encode_show("d", Show(id="s", show="refused", not_after_ms=1, number="B7KX")) == [
        ("cmnd/unit/Buzzer", b"3")
    ]
    assert shows.encode_show("d", Show(id="s", show="enter_pin", not_after_ms=1)) == []
    assert a("shelly-gen2").encode_show("d", Show(id="s", show="granted", not_after_ms=1)) == []


# -- two connections, and strangers --------------------------------------------------------------------------------


def test_each_connection_hears_its_share_and_nothing_is_told_twice():
    """Every bad message would stand in the ledger twice, or a flood of cards would hold up an exit."""
    device = MqttDevice("d", "esp-rfid", "unit")
    acts, inputs = MqttInbound([device], frozenset({"acts"})), MqttInbound([device], frozenset({"inputs"}))
    for inbound in (acts, inputs):
        assert says(inbound, "unit/send", b'{"type":"boot","ip":"10.0.0.7"}', now_ms=0) == [DeviceOnline(source="d")]
    assert says(acts, "unit/send", ESP_ACCESS) == [card("04a1b2c3")]
    assert says(inputs, "unit/send", ESP_ACCESS) == []
    leaf = b'{"src":"door","desc":"Door Open"}'
    assert says(acts, "unit/send", leaf) == []
    assert says(inputs, "unit/send", leaf) == [line("contact", True)]
    assert says(acts, "unit/send", b"{") == refused("malformed")
    assert says(inputs, "unit/send", b"{") == []


def test_acts_are_listened_to_with_their_retained_mark_and_levels_without():
    """A card published to be retained would look live, or a contact that opens now would look old."""
    devices = [
        MqttDevice("r", "tasmota-pn532", "r"),
        MqttDevice("c", "zigbee2mqtt-contact", "zigbee2mqtt/c"),
        MqttDevice("m", "zigbee2mqtt-motion", "zigbee2mqtt/m"),
        "ours",
    ]
    marks = {one.topic: one.keeps_retained_mark for one in MqttInbound(devices).subscriptions}
    assert marks["tele/r/SENSOR"] and marks["zigbee2mqtt/m"] and marks["sekisho/v1/+/card"]
    assert not marks["zigbee2mqtt/c"] and not marks["tele/r/LWT"] and not marks["sekisho/v1/+/input/contact"]
    assert not any("#" in topic or topic.endswith(("/set", "/rpc")) or topic.startswith("cmnd") for topic in marks)


@pytest.mark.parametrize("topic", ["", "a/#", "+", "sekisho/v1/x", "sekisho", 'a"b', "a{topic}", "a b", "ö", "$SYS/x"])
def test_a_topic_that_would_hear_others_is_refused(topic):
    """One device of the site file would hear and speak for all."""
    with pytest.raises(ValueError, match="may hold only"):
        MqttDevice("d", "generic", topic)


def test_a_stranger_with_another_devices_topic_is_not_heard():
    """Whoever may publish anywhere on the broker would be a reader."""
    inbound = a("tasmota-pn532")
    assert says(inbound, "tele/other/SENSOR", b'{"PN532":{"UID":"04A1B2C3"}}') == [
        MessageRefused(source="mqtt", why="unknown_topic")
    ]


@pytest.mark.parametrize("profile", sorted(ONLINE))
@given(
    payload=st.binary(max_size=200)
    | st.sampled_from([b"null", b"[]", b"{}", b'{"params":[]}', b'{"PN532":7}', b"1e999"])
)
def test_no_bytes_end_the_listener(profile, payload):
    """One bad device would silence all."""
    inbound = MqttInbound([MqttDevice("d", profile, "unit")])
    for one in inbound.subscriptions:
        if "+" not in one.topic:
            says(inbound, one.topic, payload)


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"topics": []}, "unknown field"),
        ({"online": [], "stale_s": 0}, "nothing would tell"),
        ({"release": [{"topic": "{topic}/set", "payload": "ON"}]}, "must end"),
        ({"card": [{"topic": "cards"}]}, "needs {topic}"),
        (
            {
                "release": [{"topic": "{topic}/a", "payload": "1"}],
                "secure": [{"topic": "{topic}/a", "payload": "0"}, {"topic": "{topic}/b", "payload": "0"}],
            },
            "one message must secure it",
        ),
    ],
)
def test_a_profile_that_says_too_little_is_refused(spoilt, why):
    """A strike would be released and never secured, or a device be lost without a word."""
    sound = {
        "name": "x",
        "title": "x",
        "source": "x",
        "online": [{"topic": "{topic}/s", "online": ["1"], "offline": ["0"]}],
    }
    assert mqtt_profiles.parse(sound).serves == frozenset()
    with pytest.raises(ValueError, match=why):
        mqtt_profiles.parse(sound | spoilt)
