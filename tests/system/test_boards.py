"""A door on a Modbus board, with a whole site around it: what a strike does when something breaks in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.link.messages import Done
from tests.system.parts import eventually
from tests.system.secured_site import SecuredSite

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.needs("mosquitto"), pytest.mark.req("B-26")]


@pytest.fixture
def site(tmp_path) -> Iterator[SecuredSite]:
    with SecuredSite(tmp_path) as site:
        yield site.starts()


def released(site: SecuredSite) -> None:
    assert isinstance(site.officer_releases("office"), Done)
    eventually(lambda: site.strike_is_on("office"), 15, "the strike is on")


def test_a_relay_that_hangs_is_sent_off_again_and_then_alarmed(site):
    """A door would stand open all night behind a relay that stuck, and nobody would be told."""
    board = site.building.fittings.boards["io"]
    released(site)
    eventually(lambda: not site.strike_is_on("office"), 15, "the strike is off")
    assert not site.found("OUTPUT_FAILED")
    site.building.loop.run(lambda: board.welded.add(1))
    released(site)
    assert site.recorded("OUTPUT_FAILED", device="io", within_s=15)["detail"]["why"] == "not confirmed off"
    site.building.loop.run(board.welded.clear)
    eventually(lambda: not site.strike_is_on("office"), 15, "a relay that is on without an order is switched off")


def test_a_board_that_is_cut_off_or_outlives_its_controller_lets_nobody_in(site):
    """A strike would stay released because a cable, or the controller, broke in the middle of a release."""
    released(site)
    seq = site.last_seq
    site.building.cut("io")
    eventually(lambda: not site.strike_is_on("office"), 15, "without its supply the relay is off")
    assert site.recorded("DEVICE_OFFLINE", after=seq, device="io")
    site.building.mend("io")
    assert site.recorded("DEVICE_ONLINE", after=seq, device="io", within_s=15)
    assert not site.strike_is_on("office")
    released(site)
    site.dies()
    eventually(lambda: not site.strike_is_on("office"), 15, "the guard, or the board's own timer, ends the release")
    site.starts()
    assert not site.any_strike_is_on()
