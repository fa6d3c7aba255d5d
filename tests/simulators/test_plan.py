"""The building file: its errors name the key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulators
from simulators.plan import KINDS, BuildingFileError, load

DEMO = Path(simulators.__file__).with_name("demo") / "building.toml"

SOUND = """
name = { ja = "棟", en = "Building" }
zones = [
    { id = "out", label = { ja = "外", en = "Out" } },
    { id = "in", label = { ja = "内", en = "In" }, within = "out" },
]
devices = [
    { kind = "pn532", id = "rd", link = "card" },
    { kind = "lcus", id = "board", link = "relay", channels = 2 },
    { kind = "mqtt-door", id = "dr", strike = false },
]
people = [{ name = { ja = "佐藤", en = "Sato" }, card = "04A1B2C3" }]
[[doors]]
id = "front"
label = { ja = "玄関", en = "Front" }
from_zone = "out"
to_zone = "in"
reader_in = "rd"
sensor = "dr"
strike = { board = "board", channel = 2 }
"""


def test_demo_building_is_as_promised():
    """The demo must show nested zones, six doors, every kind of wire, and cards that prove themselves."""
    plan = load(DEMO)
    assert [zone.id for zone in plan.zones] == ["outside", "office", "lab", "vault", "server"]
    assert [door.id for door in plan.doors] == ["front", "side", "lab", "vault", "server", "escape"]
    assert {device.kind for device in plan.devices} == set(KINDS) - {"mqtt-profile"}
    assert {person.kind for person in plan.people} == {"iso14443a", "felica"}
    assert {person.card_type for person in plan.people} == {"uid", "desfire", "pkoc"}
    assert plan.people[0].pin not in (None, plan.people[0].duress_pin)
    assert [door.id for door in plan.doors if door.lock_type == "fail-safe"] == ["escape"]
    readers = {device.id: device for device in plan.devices if device.kind == "osdp-reader"}
    assert [one.id for one in readers.values() if one.keypad] == ["rd-lab-in", "rd-vault-in"]
    assert all(one.key is not None for one in readers.values()), "a reader without a key lets nobody in"


RD = 'kind = "pn532", id = "rd", link = "card"'
ON = 'kind = "osdp-reader", id = "rd", bus = "pair", address = 0'
PAIR = 'kind = "osdp-bus", id = "pair", link = "rs485" }, { '

FAULTS = [
    ('link = "card"', 'lnk = "card"', r"devices\[0\]\.lnk: no such key"),
    ('link = "card"', 'link = "../card"', r"devices\[0\]\.link: '\.\./card' does not fit"),
    ('kind = "pn532"', 'kind = "pn533"', r"devices\[0\]: unknown kind; write pn532"),
    ('kind = "pn532", ', "", r"devices\[0\]: kind is missing"),
    ("channels = 2", "channels = 9", r"devices\[1\]\.channels: .*less than or equal to 8"),
    ('sensor = "dr"', "", r"doors\[0\]\.sensor: missing; add it"),
    ('sensor = "dr"', 'sensor = "rd"', r"doors\[0\]\.sensor: no device 'rd' of kind mqtt-door"),
    ('reader_in = "rd"', 'reader_in = "rdd"', r"doors\[0\]\.reader_in: no reader 'rdd'"),
    ('to_zone = "in"', 'to_zone = "inn"', r"doors\[0\]\.to_zone: no zone 'inn'"),
    ('within = "out"', 'within = "outt"', r"zones\[1\]\.within: no zone 'outt'"),
    ("channel = 2 }", "channel = 3 }", r"doors\[0\]\.strike\.channel: 3, but 'board' has 2"),
    ('strike = { board = "board", channel = 2 }', "", r"doors\[0\]\.strike: missing, and 'dr' has strike = false"),
    ('board = "board"', 'board = "rd"', r"doors\[0\]\.strike\.board: no device 'rd' of kind lcus"),
    ('id = "board", link = "relay"', 'id = "rd", link = "relay"', r"devices\.id: 'rd' stands 2 times"),
    ('link = "relay"', 'link = "card"', r"devices\.link: 'card' stands 2 times"),
    ('card = "04A1B2C3"', 'card = "04A1B2"', r"people\[0\]\.card: '04A1B2' does not fit"),
    ('card = "04A1B2C3"', 'card = "04A1B2C3D4"', r"people\[0\]\.card: a type A UID has 8, 14 or 20"),
    ('card = "04A1B2C3"', 'card = "04A1B2C3", kind = "felica"', r"people\[0\]\.card: a FeliCa IDm has 16"),
    ('card = "04A1B2C3"', 'card = "04A1B2C3", pin = "12a4"', r"people\[0\]\.pin: '12a4' does not fit"),
    ('card = "04A1B2C3"', 'card = "04A1B2C3", pin = 1234', r"people\[0\]\.pin: "),
    ('card = "04A1B2C3"', 'card = "04A1B2C3", pin = "1234", duress_pin = "1234"', r"people\[0\]\.duress_pin: the same"),
    ('sensor = "dr"', 'sensor = "dr"\nlock_type = "magnetic"', r"doors\[0\]\.lock_type: "),
    ('kind = "pn532"', 'kind = "pn532", keypad = true', r"devices\[0\]\.keypad: no such key"),
    ('id = "front"', 'id = front"', r"not TOML: .*line 14"),
    ('kind = "pn532"', 'kind = "osdp-reader", bus = "b", address = 0', r"devices\[0\]\.link: no such key"),
    (RD, 'kind = "osdp-reader", id = "rd", bus = "board", address = 0', r"devices\[0\]\.bus: no device 'board' of"),
    (RD, 'kind = "osdp-reader", id = "rd", bus = "b", address = 127', r"devices\[0\]\.address: .*less than or equal"),
    (RD, f"{PAIR}{ON} }}, {{ {ON.replace('rd', 'rd2')}", r"devices\[2\]\.address: 0 is taken on 'pair'"),
    (RD, f'{PAIR}{ON}, key = "00"', r"devices\[1\]\.key: '00' does not fit"),
    ('sensor = "dr"', 'sensor = "board"', r"doors\[0\]\.sensor: no device 'board' of kind mqtt-door"),
]


@pytest.mark.parametrize("sound, typo, said", FAULTS)
def test_a_typo_is_named_with_its_key(tmp_path, sound, typo, said):
    """Somebody who writes a building would have to read our source to find a typo."""
    path = tmp_path / "building.toml"
    assert sound in SOUND
    path.write_text(SOUND.replace(sound, typo), "utf-8")
    with pytest.raises(BuildingFileError, match=said) as error:
        load(path)
    assert str(error.value).startswith(str(path))


def test_sound_file_and_missing_file(tmp_path):
    """The table above proves nothing unless the file is sound without its typos."""
    path = tmp_path / "building.toml"
    with pytest.raises(BuildingFileError, match="not found; give the path"):
        load(path)
    path.write_text(SOUND, "utf-8")
    assert load(path).doors[0].id == "front"


ALONE = [
    ("inputs = 1", None),
    ("inputs = 0", "sensor: 'rd' has inputs = 0"),
    ("outputs = 0", "strike: missing, and 'rd' has outputs = 0"),
    ("outputs = 2", None),
]


@pytest.mark.parametrize("setting, said", ALONE)
def test_a_door_may_hang_on_an_osdp_reader_alone(tmp_path, setting, said):
    """A door with nothing but an OSDP reader beside it is the commonest door of all."""
    path = tmp_path / "building.toml"
    text = SOUND.replace(RD, PAIR + ON + ", " + setting).replace('sensor = "dr"', 'sensor = "rd"')
    path.write_text(text.replace('strike = { board = "board", channel = 2 }', ""), "utf-8")
    if said is None:
        assert load(path).doors[0].sensor == "rd"
    else:
        with pytest.raises(BuildingFileError, match=said):
            load(path)


def test_a_strike_may_hang_on_an_osdp_readers_output(tmp_path):
    """Outputs that do not exist would be found out by a door that stays shut."""
    path = tmp_path / "building.toml"
    text = SOUND.replace(RD, PAIR + ON + ", outputs = 2").replace('board = "board"', 'board = "rd"')
    path.write_text(text, "utf-8")
    assert load(path).doors[0].strike.board == "rd"
    path.write_text(text.replace("channel = 2 }", "channel = 3 }"), "utf-8")
    with pytest.raises(BuildingFileError, match=r"strike\.channel: 3, but 'rd' has 2"):
        load(path)
