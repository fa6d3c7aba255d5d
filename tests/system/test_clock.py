"""A Pi without a battery clock wakes up in 1970."""

from __future__ import annotations

import time

import pytest

from tests.system.parts import Faults, eventually
from tests.system.site import ITO, STRANGER, WATANABE, YAMAMOTO

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto", "gcc")]


@pytest.mark.req("B-02")
def test_at_1970_nobody_enters_and_everybody_leaves(make_site, fault_library, tmp_path):
    """The clock is wrong, and rights that have run out count again, or nobody gets out."""
    faults = Faults(fault_library, tmp_path)
    site = make_site(faults=faults).starts().admits_people()
    assert site.badges(WATANABE, "server").released
    site.dies()
    eventually(lambda: not site.any_strike_is_on(), 15)

    after = site.last_seq
    faults.clock(-int(time.time()) + 60)
    site.starts()
    site.recorded("CLOCK_UNTRUSTED", after=after)
    assert not site.badges(WATANABE, "server", wait_ms=800).released
    denied = site.recorded("ACCESS_DENIED", portal="server", after=after)
    assert denied["reason"] == "CLOCK_UNTRUSTED"
    assert denied["clock"] == "untrusted"
    assert denied["at_ms"] < 10_000_000
    assert not site.badges(YAMAMOTO, "front", wait_ms=800).released
    assert site.building.rex("server", walk=False, wait_ms=1500), "REX does not release at 1970"
    assert site.badges(STRANGER, "vault", side="out").released
    site.recorded("REX", portal="server", after=after)
    site.recorded("EXIT_GRANTED", portal="vault", after=after)
    eventually(lambda: not site.any_strike_is_on(), 15)

    faults.clock(0)  # the time server was found
    site.recorded("CLOCK_TRUSTED", after=after)
    assert site.badges(ITO, "server").released


@pytest.mark.req("B-02", "D-24", "A-35")
def test_at_1970_mqtt_doors_let_everybody_out(make_site, fault_library, tmp_path):
    """The controller's clock is wrong, its relays take every release for one from long ago, and nobody gets out."""
    faults = Faults(fault_library, tmp_path)
    site = make_site(faults=faults).starts()
    site.dies()
    faults.clock(-int(time.time()) + 60)
    site.starts()
    for door in ("escape", "front", "side", "lab"):
        assert site.building.rex(door, walk=False, wait_ms=1500), f"REX does not release {door} at 1970"
    eventually(lambda: not site.any_strike_is_on(), 15)
    assert site.badges(STRANGER, "front", side="out").released


@pytest.mark.req("B-02")
def test_a_clock_that_is_set_back_is_not_believed(make_site, fault_library, tmp_path):
    """Somebody sets the clock back to a day on which he still had a right."""
    faults = Faults(fault_library, tmp_path)
    site = make_site(faults=faults).starts().admits_people()
    after = site.last_seq
    faults.clock(-86_400)
    assert not site.badges(WATANABE, "server", wait_ms=800).released
    site.recorded("CLOCK_UNTRUSTED", after=after)
    site.recorded("ACCESS_DENIED", portal="server", after=after, reason="CLOCK_UNTRUSTED")
    assert site.building.rex("server", walk=False, wait_ms=1500)
    faults.clock(0)
    site.recorded("CLOCK_TRUSTED", after=after)
