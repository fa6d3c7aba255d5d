"""Tasmota, Shelly, Zigbee and ESPHome devices at two doors of a real site: they open for whom it is right, and end."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.system.parts import eventually, stays
from tests.system.site import YAMAMOTO, Site
from zones.moment import JST

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

FILES = Path(__file__).parent / "bought"
NO_LONGER_FRESH_S = 1.2
"""What a device says in its first second is held back."""


def rows() -> list[tuple[str, dict[str, object]]]:
    today = datetime.now(JST).date()
    period = {"from_on": f"{today}", "until_on": f"{today + timedelta(days=90)}"}
    place = {"id": "ro-1", "zone": "office", "review_on": f"{today + timedelta(days=60)}", "cardholder": "h-07"}
    return [
        ("cardholder", {"id": "h-07"}),
        ("credential", {"id": "cr-1", "number": YAMAMOTO.lower(), "state": "ACTIVE", "cardholder": "h-07"}),
        ("roster", place | period),
    ]


@pytest.fixture
def site(make_site) -> Site:
    made = make_site(files=FILES).starts()
    made.edits(rows())
    grown_old(made)
    return made


def grown_old(site: Site) -> None:
    """Until every device has been online for longer than the second in which it may tell of the past."""
    threading.Event().wait(NO_LONGER_FRESH_S)


@pytest.mark.req("B-26", "S-01")
def test_an_entitled_person_walks_in_and_the_strike_drops(site):
    """A building of bought devices would open for nobody, or stay open behind the first, or all night for nobody."""
    _enters(site, "front")
    _does_not_enter(site, "side")
    grown_old(site)  # the same card within a second is the same presentation
    _does_not_enter(site, "front")
    _enters(site, "side")


def _enters(site: Site, door: str) -> None:
    site.enters(YAMAMOTO, door)
    passed = site.recorded("PASSAGE", portal=door, cardholder="h-07")
    assert not site.badges("08FEEDFA", door, wait_ms=200).released
    site.recorded("ACCESS_DENIED", portal=door, after=passed["seq"])


def _does_not_enter(site: Site, door: str) -> None:
    assert site.badges(YAMAMOTO, door).released
    eventually(lambda: not site.strike_is_on(door), 15, "a strike that nobody used drops")
    site.recorded("NO_PASSAGE", portal=door)


@pytest.mark.req("A-35", "B-11", "B-26")
def test_without_a_controller_nothing_opens_and_what_ends_by_itself_ends(site):
    """The death of the controller would open the building, or leave it open."""
    for door, how in (("front", "by its own timer"), ("side", "because the broker speaks our last words")):
        assert site.badges(YAMAMOTO, door).released
        assert site.strike_is_on(door)
        site.dies()
        eventually(lambda door=door: not site.strike_is_on(door), 15, f"the relay drops the strike {how}")
        if door == "front":
            site.starts()
            grown_old(site)
    for door in ("front", "side"):
        assert not site.badges(YAMAMOTO, door, wait_ms=300).released
    stays(lambda: not site.any_strike_is_on(), 0.3)


@pytest.mark.req("B-11", "B-22")
def test_after_the_brokers_death_all_are_back_and_nothing_of_before_opens(site):
    """Relays that hang after hours, and a card from before the outage that opens when it is over."""
    before = site.last_seq
    site.broker.kill()
    site.recorded("DEVICE_OFFLINE", after=before, device="relay-front")
    assert not site.badges(YAMAMOTO, "front", wait_ms=200).was_sent
    after = site.building.journal.last
    site.broker.start()
    for device in ("rd-front", "relay-front", "leaf-front", "rd-side", "relay-side", "lines-side"):
        site.recorded("DEVICE_ONLINE", after=before, within_s=15, device=device)
    early = site.badges(YAMAMOTO, "front", wait_ms=300)
    assert not early.released, "it may have lain in the reader"
    assert site.strikes("front", after=after) == []
    grown_old(site)
    site.enters(YAMAMOTO, "front")


@pytest.mark.req("B-22", "B-27")
def test_what_a_stranger_leaves_on_the_broker_opens_nothing(site):
    """One retained message would be a badge, or a press, at every start of the controller."""
    site.ear.say("tele/rd-front/SENSOR", {"PN532": {"UID": YAMAMOTO}}, retain=True)
    site.ear.say("rd-side/card", b"04-E5-F6-07", retain=True)
    site.ear.say("lines-side/binary_sensor/rex/state", b"ON", retain=True)
    stays(lambda: not site.any_strike_is_on(), 0.5)
    site.stops()
    site.starts()
    stays(lambda: not site.any_strike_is_on(), 1.5)
    assert site.found("ACCESS_GRANTED") == []
    assert len(site.found("MESSAGE_REFUSED", why="retained")) >= 1
