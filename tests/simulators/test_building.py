"""The demo building on real wires, with a controller played by hand: bytes written out, entitling everybody."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

import simulators
from simulators.building import SimulatedBuilding
from simulators.fittings import NotHere
from simulators.people import Pace

DEMO = Path(simulators.__file__).with_name("demo") / "building.toml"
MISAKI = "04A1B2C3"
QUICK = Pace(hold_ms=400, reach_ms=1, pass_ms=20, press_ms=5)
pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.req("S-01")]


@pytest.fixture
def building(mosquitto, tmp_path):
    with SimulatedBuilding(DEMO, run_dir=tmp_path / "run", broker=mosquitto.address, pace=QUICK) as made:
        yield made
    assert not made.loop.faults
    assert not list((tmp_path / "run").iterdir())


@pytest.fixture
def lenient(peer, release):
    """Answers every card and every REX with a release of that door, and every card with "granted"."""
    doors = {"rd-front-in": "dr-front", "rd-front-out": "dr-front", "rd-lab-in": "dr-lab"}
    numbers = iter(range(1000))

    def reply(message):
        device, what = message.topic.split("/")[2:4]
        is_rex = message.topic.endswith("input/rex") and json.loads(message.payload)["is_active"]
        if what == "card":
            show = {"id": f"s{next(numbers)}", "show": "granted", "not_after_ms": release()["not_after_ms"]}
            peer.say(f"sekisho/v1/{device}/show", show)
        if what == "card" or is_rex:
            peer.say(f"sekisho/v1/{doors.get(device, device)}/command", release(id=f"c{next(numbers)}"))

    peer.reply = reply
    return peer


def test_badge_walk_and_close(building, lenient):
    """The whole point: a card, a light, a strike, a leaf, a person on the other side."""
    reply = building.badge(MISAKI, door="front")
    assert (reply.shown, reply.released, reply.walking, reply.person) == ("granted", True, True, "佐藤 美咲")
    assert building.wait_for("contact", "front", is_open=True)
    assert building.wait_for("contact", "front", is_open=False)
    assert building.crowd.zone_of(MISAKI) == "office"
    out = building.badge(MISAKI.lower(), door="front", side="out")
    assert out.released
    assert building.wait_for("walk", "front", to="outside")


def test_refusal_opens_nothing(building, peer, release):
    """A refused person would walk in."""
    show = {"id": "s", "show": "refused", "not_after_ms": release()["not_after_ms"]}
    peer.reply = lambda message: message.topic.endswith("/card") and peer.say("sekisho/v1/rd-front-in/show", show)
    reply = building.badge(MISAKI, door="front")
    assert (reply.shown, reply.released, reply.walking) == ("refused", False, False)
    assert not building.open("front")
    assert building.crowd.zone_of(MISAKI) == "outside"


def test_silence_is_told_after_the_wait(building):
    """A dead controller must not make the hands wait for ever."""
    reply = building.badge(MISAKI, door="front", wait_ms=50)
    assert (reply.shown, reply.released, reply.was_sent) == (None, False, True)


def test_exit_by_rex_works_even_when_nobody_releases(building):
    """A dead controller would lock people in (P3)."""
    assert not building.rex("front", card=MISAKI, wait_ms=10)
    assert building.wait_for("contact", "front", is_open=True, timeout_s=5)
    assert building.wait_for("walk", "front", card=MISAKI, to="outside", timeout_s=5)


def test_exit_by_rex_waits_for_the_release_where_there_is_one(building, lenient):
    """A REX that always forces the leaf would alarm at every exit."""
    assert building.rex("front", card=MISAKI)
    strike = building.wait_for("strike", "front", is_on=True)
    contact = building.wait_for("contact", "front", is_open=True)
    assert strike.seq < contact.seq


def test_propped_leaf_stays_and_close_clears_it(building, lenient):
    """The held-open alarm needs a leaf that stays open, and an end to it."""
    assert not building.prop("front")
    building.badge(MISAKI, door="front")
    assert building.wait_for("walk", "front", card=MISAKI)
    assert not building.wait_for("contact", "front", is_open=False, timeout_s=0)
    assert building.close("front")


def test_tailgater_follows_through_the_open_leaf(building, lenient):
    """Two people on one card is what occupancy must not be fooled by."""
    assert not building.tailgate("front", card="04B2C3D4", wait_ms=10)
    follower = threading.Thread(target=building.tailgate, args=("front",), kwargs={"card": "04B2C3D4"})
    follower.start()
    building.badge(MISAKI, door="front")
    follower.join(10)
    assert building.crowd.zone_of("04B2C3D4") == "office"


def test_force_opens_any_door(building):
    """Without a burglar nobody sees the forced-door alarm."""
    assert building.force("vault")
    assert building.wait_for("contact", "vault", is_open=True)


@pytest.mark.parametrize("number", [MISAKI, "01147A0B2C3D4E5F", "DEADBEEF"])
def test_serial_reader_and_board_release_the_vault(building, tmp_path, number):
    """The product's serial path, in bytes written out: PN532 frames in, an LCUS frame out, and the leaf yields."""
    port = os.open(tmp_path / "run" / "pn532-vault", os.O_RDWR | os.O_NOCTTY)
    board = os.open(tmp_path / "run" / "lcus-1", os.O_RDWR | os.O_NOCTTY)
    is_felica = len(number) == 16
    search = "0000ff09f7d44a010100ffff0100e100" if is_felica else "0000ff04fcd44a0100e100"

    def control() -> None:
        os.write(port, bytes.fromhex("5555" + "00" * 14 + "00ff03fdd414011700"))
        os.write(port, bytes.fromhex(search))
        got = b""
        while bytes.fromhex(number) not in got:
            got += os.read(port, 100)
        os.write(board, bytes.fromhex("a00101a2"))

    acting = threading.Thread(target=control)
    acting.start()
    reply = building.badge(number, door="vault")
    acting.join(10)
    assert (reply.shown, reply.released, reply.walking) == (None, True, True)
    assert building.wait_for("walk", "vault", to="vault")
    os.write(board, bytes.fromhex("a00100a1"))
    assert building.wait_for("strike", "vault", is_on=False)
    assert building.wait_for("relay", "board/1", is_on=False)
    os.close(port)
    os.close(board)


@pytest.mark.req("B-26")
def test_unplugged_board_drops_the_strike(building, tmp_path):
    """A strike held by a board without power would leave the vault open."""
    board = os.open(tmp_path / "run" / "lcus-1", os.O_RDWR | os.O_NOCTTY)
    os.write(board, bytes.fromhex("a00101a2"))
    assert building.wait_for("strike", "vault", is_on=True)
    building.cut("lcus-1")
    assert building.wait_for("strike", "vault", is_on=False)
    os.close(board)
    building.mend("board")
    assert (tmp_path / "run" / "lcus-1").is_symlink()


def test_cut_mqtt_device_goes_offline_and_comes_back(building, peer):
    """The product must be shown a reader that vanishes."""
    building.cut("rd-front-in")
    peer.hears("sekisho/v1/rd-front-in/state", lambda payload: payload == b"offline")
    assert not building.badge(MISAKI, door="front").was_sent
    building.mend("rd-front-in")
    peer.hears("sekisho/v1/rd-front-in/state", lambda payload: payload == b"online")
    building.mend("rd-front-in")  # twice is nothing


def test_wrong_names_are_told(building):
    """A typo in a script would look like a refusal."""
    for hand in (lambda: building.badge(MISAKI, door="vualt"), lambda: building.open("x"), lambda: building.cut("x")):
        with pytest.raises(NotHere, match="there are"):
            hand()
    with pytest.raises(NotHere, match="no reader on the side"):
        building.badge(MISAKI, door="escape")
    with pytest.raises(ValueError, match="has 4, 7 or 10"):
        building.badge("0102030405", door="front")


def test_state_shows_doors_devices_and_people(building):
    """A script reads this to know what it did."""
    state = building.state()
    json.dumps(state)
    assert [door["id"] for door in state["doors"]] == ["front", "side", "lab", "vault", "server", "escape"]
    assert not any(door["is_open"] or door["is_strike_on"] for door in state["doors"])
    assert {device["kind"] for device in state["devices"]} == {"pn532", "lcus", "mqtt-reader", "mqtt-door"}
    assert not any(device["is_cut"] for device in state["devices"])
    assert state["people"][0]["zone"] == "outside"


def test_building_on_the_demos_broker(old_broker, tmp_path):
    """The demo's broker has no MQTT 5: eleven devices must connect all the same."""
    with SimulatedBuilding(DEMO, run_dir=tmp_path, broker=old_broker, pace=QUICK) as made:
        assert not any(device["is_cut"] for device in made.state()["devices"])


def test_refused_person_does_not_slip_in_on_anothers_release(building, peer, release):
    """A refused person who walks in while the strike is still on from the last one would spoil every refusal test."""
    peer.say("sekisho/v1/dr-front/command", release(for_ms=60_000))
    assert building.wait_for("strike", "front", is_on=True)
    show = {"id": "s", "show": "refused", "not_after_ms": release()["not_after_ms"]}
    peer.reply = lambda message: message.topic.endswith("/card") and peer.say("sekisho/v1/rd-front-in/show", show)
    assert not building.badge(MISAKI, door="front").walking
