"""A site file's bought MQTT devices: what cannot work is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config import SiteFileError, parse_site
from controller.site_wires import mqtt_device
from readers.protocols.mqtt_profiles import MqttDevice
from zones.ids import PortalId

PATH = Path("site.toml")
GOOD = """\
[controller]
node = "north"
state_dir = "state"
socket = "controller.sock"

[mqtt]
host = "broker.example"
port = 8883
ca_file = "ca.pem"
cert_file = "sekisho-controller.pem"
key_file = "sekisho-controller.key"
home_assistant = true

[[device]]
id = "rd"
kind = "mqtt"
profile = "tasmota-pn532"
topic = "rd-1"

[[device]]
id = "relay"
kind = "mqtt"
profile = "shelly-gen2"
topic = "shellyplus2-a8032abe54dc"
channel = 1

[[device]]
id = "out"
kind = "mqtt"
profile = "shelly-gen2-rex"
topic = "shellyplus2-a8032abe54dc"
channel = 0

[[device]]
id = "leaf"
kind = "mqtt"
profile = "zigbee2mqtt-contact"
topic = "zigbee2mqtt/leaf"

[[zone]]
id = "outside"
kind = "UNRESTRICTED"
name_ja = "屋外"
name_en = "Outside"

[[zone]]
id = "office"
kind = "CONTROLLED"
parent = "outside"
name_ja = "執務室"
name_en = "Office"

[[portal]]
id = "front"
name_ja = "正面"
name_en = "Front"
outer = "outside"
inner = "office"
entry_reader = "rd"
strike = "relay"
contact = "leaf"
rex = "out"
exit_hardware = "HANDLE"
"""


TWIN = '[[device]]\nid = "rd-2"\nkind = "mqtt"\nprofile = "tasmota-pn532"\ntopic = "rd-1"\n\n[[zone]]'
AS_MQTT = 'kind = "mqtt"\nprofile = "tasmota-pn532"\ntopic = "rd-1"'
AS_SERIAL = 'kind = "pn532"\nport = "/dev/ttyUSB0"\ntopic = "rd-1"'


def test_bought_devices_and_certificates_are_understood(tmp_path):
    """A site with Tasmota, Shelly and Zigbee devices could not be written down."""
    site = parse_site(GOOD, tmp_path / "site.toml")
    assert mqtt_device(site.devices["relay"]) == MqttDevice("relay", "shelly-gen2", "shellyplus2-a8032abe54dc", 1)
    assert site.wiring.rexes == {"out": PortalId("front")}
    assert site.mqtt.key_file == str(tmp_path / "sekisho-controller.key")
    assert site.mqtt.cert_file == str(tmp_path / "sekisho-controller.pem")
    assert site.mqtt.home_assistant


@pytest.mark.req("B-27")
@pytest.mark.parametrize(
    ("sound", "spoilt", "said"),
    [
        ('"tasmota-pn532"', '"tasmota-rc522"', "is not one of sekisho, esp-rfid"),
        ('profile = "tasmota-pn532"\n', "", "only with a `profile` other than sekisho"),
        ('topic = "rd-1"', 'topic = "rd-1"\nkeypad = true', "cannot be this: it is good for reader"),
        ('topic = "rd-1"', 'topic = "rd/#"', "may hold only"),
        ('topic = "rd-1"', 'topic = "sekisho/v1/relay"', "may hold only"),
        ('topic = "rd-1"', 'topic = "Rooms/Secret/rd"', "tells all who see the wires"),
        ('"shelly-gen2-rex"', '"shelly-gen2"', "cannot be this: it is good for contact, strike"),
        ('entry_reader = "rd"', 'entry_reader = "leaf"', "cannot be this: it is good for contact, tamper"),
        ('strike = "relay"', 'strike = "rd"', "cannot be this: it is good for reader"),
        ("channel = 1", "channel = -1", ">= 0"),
        ('key_file = "sekisho-controller.key"\n', "", "go together"),
        ('ca_file = "ca.pem"\n', "", "needs `ca_file`"),
        ("[[zone]]", TWIN, "rd is the same device"),
        (AS_MQTT, AS_SERIAL, "of kind pn532 has no `topic`"),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(sound, spoilt, said):
    """It would be found out on the evening of the installation, or by whoever stands at the door."""
    assert sound in GOOD
    with pytest.raises(SiteFileError, match=said.replace("(", r"\(")):
        parse_site(GOOD.replace(sound, spoilt, 1), PATH)
