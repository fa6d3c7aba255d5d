"""The demo building on real wires, with a controller played by hand: bytes written out, entitling everybody."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from simulators.building import SimulatedBuilding
from simulators.fittings import NotHere
from simulators.people import Pace
from simulators.plan import load

PLAIN = Path(__file__).parents[1] / "system" / "plain" / "building.toml"
MISAKI = "04A1B2C3"
QUICK = Pace(hold_ms=400, reach_ms=1, pass_ms=20, press_ms=5)
pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.req("S-01")]


@pytest.fixture
def building(mosquitto, tmp_path):
    with SimulatedBuilding(PLAIN, run_dir=tmp_path / "run", broker=mosquitto.address, pace=QUICK) as made:
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
    with SimulatedBuilding(PLAIN, run_dir=tmp_path, broker=old_broker, pace=QUICK) as made:
        assert not any(device["is_cut"] for device in made.state()["devices"])


def test_refused_person_does_not_slip_in_on_anothers_release(building, peer, release):
    """A refused person who walks in while the strike is still on from the last one would spoil every refusal test."""
    peer.say("sekisho/v1/dr-front/command", release(for_ms=60_000))
    assert building.wait_for("strike", "front", is_on=True)
    show = {"id": "s", "show": "refused", "not_after_ms": release()["not_after_ms"]}
    peer.reply = lambda message: message.topic.endswith("/card") and peer.say("sekisho/v1/rd-front-in/show", show)
    assert not building.badge(MISAKI, door="front").walking


# -- keypads, wires, fire and power -----------------------------------------------------------------------------------


@pytest.fixture
def careful(peer, release):
    """Asks every card for a PIN, releases on 594017 or 184092 and refuses any other, at the laboratory."""
    numbers = iter(range(1000))

    def show(what, **more):
        fields = {"id": f"s{next(numbers)}", "show": what, "not_after_ms": release()["not_after_ms"]} | more
        peer.say("sekisho/v1/rd-lab-in/show", fields)

    def reply(message):
        what = message.topic.split("/")[3]
        if what == "card":
            show("enter_pin")
        elif what == "keys" and json.loads(message.payload)["digits"] in ("594017", "184092"):
            show("granted")
            peer.say("sekisho/v1/dr-lab/command", release(id=f"c{next(numbers)}"))
        elif what == "keys":
            show("refused", number="B7KX")

    peer.reply = reply
    return peer


def test_card_then_pin_then_through(building, careful):
    """Two factors could not be shown on a simulated door."""
    asked = building.badge(MISAKI, door="lab")
    assert (asked.shown, asked.released, asked.walking) == ("enter_pin", False, False)
    missed = building.keys("000000", door="lab")
    assert (missed.shown, missed.number, missed.released) == ("refused", "B7KX", False)
    typed = building.keys("594017", door="lab")
    assert (typed.shown, typed.number, typed.released, typed.walking) == ("granted", "", True, True)
    assert typed.person == "佐藤 美咲"
    assert building.wait_for("walk", "lab", card=MISAKI, to="lab")


@pytest.mark.parametrize("which", ["pin", "duress_pin"])
def test_badge_types_the_pin_when_it_is_asked_for(building, careful, which):
    """A script would have to know when to type."""
    person = building.crowd.person(MISAKI)
    assert building.badge(MISAKI, door="lab", digits=getattr(person, which)).walking


def test_a_second_card_is_asked_for_and_then_presented(building, peer, release):
    """Two people at once could not be shown on a simulated door."""
    shows = iter(("second_card", "granted"))

    def reply(message):
        if message.topic.endswith("/card"):
            what = next(shows)
            show = {"id": what, "show": what, "not_after_ms": release()["not_after_ms"]}
            peer.say("sekisho/v1/rd-lab-in/show", show)
            if what == "granted":
                peer.say("sekisho/v1/dr-lab/command", release())

    peer.reply = reply
    assert building.badge(MISAKI, door="lab").shown == "second_card"
    assert building.badge("04B2C3D4", door="lab").walking


def test_tamper_and_loops_are_told(building, peer):
    """Nobody would see that a wire was cut."""
    contact = "sekisho/v1/dr-lab/input/contact"
    building.tamper("lab", is_open=True)
    assert json.loads(peer.hears("sekisho/v1/dr-lab/input/tamper").payload)["is_active"]
    building.break_loop("lab", fault="cut")
    peer.hears(contact, lambda payload: b'"fault":"cut"' in payload)
    building.force("lab")
    building.break_loop("lab", fault=None)
    assert json.loads(peer.hears(contact, lambda payload: b"is_active" in payload and b"true" in payload).payload)
    assert building.state()["doors"][2]["faults"] == {}


@pytest.mark.req("D-25")
def test_fire_unlocks_what_is_fail_safe_without_broker_and_controller(building, mosquitto):
    """A dead computer would keep an escape door shut in a fire; or the door would lock again behind the first one."""
    assert not building.open("escape")
    mosquitto.stop()
    building.fire(is_on=True)
    assert building.wait_for("lock", "escape", is_locked=False)
    assert building.open("escape")
    assert building.close("escape")
    building.reset_fire()  # the alarm is on: nothing
    building.fire(is_on=False)
    assert building.open("escape")  # and until somebody resets it
    assert building.close("escape")
    building.reset_fire()
    assert not building.open("escape")
    assert not building.open("lab")
    assert not building.wait_for("lock", "lab", is_locked=False, timeout_s=0)  # fail-secure: the handle lets out
    assert building.open("lab", side="out")


@pytest.mark.req("D-26")
def test_power_cut_leaves_each_lock_in_its_own_state(building, lenient, peer):
    """Cutting the mains would open the laboratory, or shut the emergency exit."""
    building.power(is_on=False)
    for door in ("escape", "lab"):
        assert json.loads(peer.hears(f"sekisho/v1/dr-{door}/input/power").payload)["is_active"]
    assert building.open("escape")
    assert not building.open("lab")
    reply = building.badge(MISAKI, door="lab", wait_ms=300)  # the relay obeys, the strike has nothing to obey with
    assert building.wait_for("strike", "lab", is_on=True)
    assert (reply.shown, reply.released, reply.walking) == ("granted", False, False)
    assert building.open("lab", side="out")  # the handle needs no power
    building.close("lab")
    building.close("escape")
    building.power(is_on=True)
    assert not json.loads(peer.hears("sekisho/v1/dr-escape/input/power").payload)["is_active"]
    assert not building.open("escape")


def test_people_counter_sees_walkers_tailgaters_and_what_hands_say(mosquitto, tmp_path, lenient):
    """Two people on one card would pass a counter that sees nobody."""
    plan = load(PLAIN)
    devices = tuple(one.model_copy(update={"counter": True}) if one.id == "dr-front" else one for one in plan.devices)
    plan = plan.model_copy(update={"devices": devices})
    with SimulatedBuilding(plan, run_dir=tmp_path / "run", broker=mosquitto.address, pace=QUICK) as building:
        assert building.badge(MISAKI, door="front").walking
        assert building.wait_for("count", "dr-front", people=1)
        after = building.journal.last
        building.force("front")
        assert building.tailgate("front", card="04B2C3D4")
        assert building.wait_for("count", "dr-front", after=after, people=1)
        assert building.count(3, door="front")
        lenient.hears("sekisho/v1/dr-front/count", lambda payload: json.loads(payload)["count"] == 3)
        with pytest.raises(NotHere, match="no people counter"):
            building.count(1, door="lab")
