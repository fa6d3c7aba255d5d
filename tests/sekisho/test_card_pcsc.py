"""`sekisho card` at a desk reader on USB: the real pcscd, with vsmartcard's virtual reader."""

from __future__ import annotations

import pytest

from sekisho.card_arguments import add_parsers
from simulators.cards.site import blank_desfire
from simulators.vpcd import DeskReader
from tests.sekisho.console_rig import in_json, keyed_site, typed
from tests.simulators.pcsc import running_pcscd

UID = bytes.fromhex("04A1B2C3D4E580")


@pytest.mark.system
@pytest.mark.needs("pcscd", "peers")
@pytest.mark.req("A-02")
def test_a_blank_is_issued_at_a_pcsc_reader(tmp_path, capsys):
    """A site with a reader on USB, as most have, cannot make a card."""
    site = keyed_site(tmp_path)
    blank = blank_desfire(UID)
    readers = tmp_path / "readers"
    readers.mkdir()
    with running_pcscd(readers) as place:
        desk = DeskReader(place)
        desk.place(blank)
        try:
            at = ("--reader", "pcsc:desk reader 00 00", "--wait", "8", "--json")
            status, told = in_json(typed(capsys, add_parsers, "card", "issue", site, "--scheme", "desfire_ev2", *at))
            assert (status, told["last4"], told["key_version"]) == (0, "E580", 1)
            status, told = in_json(typed(capsys, add_parsers, "card", "look", site, *at))
            assert (status, told["ours"], told["chip"]) == (0, "genuine", "MIFARE DESFire EV2")
        finally:
            desk.take()
        status, told = in_json(typed(capsys, add_parsers, "card", "look", site, "--reader", "pcsc:none", "--json"))
        assert (status, told["outcome"]) == (3, "failed")
