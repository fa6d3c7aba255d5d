"""The same reader through the system's real libnfc."""

from __future__ import annotations

import pytest

from tests.system.site import STRANGER, WATANABE

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto", "libnfc")]


@pytest.mark.req("S-01")
def test_a_card_read_by_the_real_libnfc_opens_the_door(make_site):
    """A site that uses libnfc has a door that nobody can enter."""

    def through_libnfc(text: str) -> str:
        serial = f'kind = "pn532"\nport = "{site_folder(text)}/pn532-server"'
        assert serial in text
        return text.replace(
            serial, f'kind = "pynfc"\nconnection = "pn532_uart:{site_folder(text)}/pn532-server:115200"'
        )

    site = make_site(change=through_libnfc).starts().admits_people()
    assert not site.badges(STRANGER, "server", wait_ms=1500).released
    site.recorded("ACCESS_DENIED", portal="server", reason="CARD_UNKNOWN")
    site.enters(WATANABE, "server")
    site.recorded("PASSAGE", portal="server", cardholder="h-06")
    assert site.stops() == 0


def site_folder(text: str) -> str:
    """Where the serial lines are, as the site file says it."""
    return text.partition("/pn532-server")[0].rpartition('"')[2]
