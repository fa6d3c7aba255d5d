"""OSDP readers on a real bus, and what is done to them: only the reader with its own key lets anybody in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.link.messages import Done, Refused
from tests.system.parts import eventually
from tests.system.secured_site import KIMURA, PINS, SecuredSite

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]


def in_a_hurry(text: str) -> str:
    """Nobody waits long for the second one: a test asks for one card after the other."""
    return text.replace("dual_window_ms = 20000", "dual_window_ms = 1000")


@pytest.fixture
def site(tmp_path) -> Iterator[SecuredSite]:
    with SecuredSite(tmp_path, change=in_a_hurry) as site:
        yield site.starts().admits_people()


def is_believed(site: SecuredSite, wait_ms: int = 8000) -> bool:
    """Whether a genuine card is asked about at the vault's reader at all: then a second one is asked for."""
    site.passes_a_second()
    return site.holds(KIMURA, "vault", digits=PINS[KIMURA], wait_ms=wait_ms).shown == "second_card"


def comes_back(site: SecuredSite) -> None:
    """Two officers approve the reader, and it is believed again."""
    site.approves("rd-vault")
    site.comes_online("rd-vault")
    eventually(lambda: is_believed(site), 40, "the reader is believed")


@pytest.mark.req("B-16", "B-17", "B-20", "B-21")
@pytest.mark.timeout(90)
def test_a_reader_that_is_not_itself_is_an_alarm_and_lets_nobody_in(site):
    """The reader is unscrewed, and whatever hangs there instead is believed; or it is made to speak in clear."""
    eventually(lambda: is_believed(site), 40, "the reader is believed")
    attacks = (
        ("downgrade", "OSDP_DOWNGRADE", {}),
        ("default_key", "READER_UNTRUSTED", {"why": "default_key"}),
        ("wrong_key", "READER_UNTRUSTED", {"why": "key_lost"}),
    )
    for trick, type_, detail in attacks:
        seq = site.last_seq
        site.building.osdp.power("rd-vault", is_on=False)
        site.building.osdp.trick("rd-vault", trick, is_on=True)
        site.building.osdp.power("rd-vault", is_on=True)
        site.recorded(type_, after=seq, device="rd-vault", within_s=15, **detail)
        assert not is_believed(site, wait_ms=600), trick
        site.building.osdp.trick("rd-vault", trick, is_on=False)
        assert not site.standing("rd-vault").is_trusted, "it comes back by itself"
        comes_back(site)
    seq = site.last_seq
    site.building.osdp.swap("rd-vault", has_key=True)
    site.recorded("READER_REPLACED", after=seq, device="rd-vault", within_s=15)
    assert not is_believed(site, wait_ms=600)
    comes_back(site)
    assert {"ACCESS_GRANTED"}.isdisjoint(body["type"] for body in site.records)
    assert not site.strikes("vault")


@pytest.mark.req("B-17", "B-18", "B-19", "B-20", "A-09")
@pytest.mark.timeout(90)
def test_a_new_reader_gets_its_key_from_two_people_and_from_nobody_else(site):
    """Whoever swaps the reader is handed the key of the door, as open controllers do by themselves."""
    before = site.last_seq
    site.building.osdp.swap("rd-vault", has_key=False)
    site.recorded("READER_UNTRUSTED", after=before, device="rd-vault", within_s=15)
    site.passes_a_second()
    alone = site.orders("install_on", second=None)
    assert isinstance(alone, Refused) and alone.code == "two_people"
    with site.link() as link:
        link.connect()
    assert site.building.osdp.reader("rd-vault").key is None, "nobody ordered it"
    assert isinstance(site.orders("install_on", minutes=1), Done)
    site.recorded("OSDP_INSTALL_OFF", after=before, device="rd-vault", is_done=True, within_s=15)
    eventually(lambda: site.standing("rd-vault").is_commissioned, 15, "the key is confirmed")
    key = site.building.osdp.reader("rd-vault").key
    assert key is not None and key.hex() != site.building.plan.devices[3].key
    comes_back(site)
    assert isinstance(site.orders("renew_key"), Done)
    site.recorded("KEY_RENEWED", after=before, device="rd-vault", is_done=True, within_s=15)
    eventually(lambda: site.building.osdp.reader("rd-vault").key != key, 15, "the reader has another key")
    site.comes_online("rd-vault")
    eventually(lambda: is_believed(site), 40, "the reader is believed")
    renewed = site.building.osdp.reader("rd-vault").key
    heard = b"".join(one.frame.raw for one in site.building.osdp.captured("bus"))
    assert key not in heard and renewed not in heard, "a key went over the wire in clear"
    site.stops()
    site.starts()
    eventually(lambda: is_believed(site), 40, "the key outlives a restart")
    assert not [body for body in site.records if key.hex() in str(body) or renewed.hex() in str(body)]


@pytest.mark.req("B-11", "B-18", "B-22", "A-35")
@pytest.mark.timeout(90)
def test_a_cut_wire_holds_nothing_back_and_a_restart_ends_install_mode(site):
    """Cards that were shown while the wire was down open the door when it is mended, or install mode waits for ever."""
    seq = site.last_seq
    site.building.cut("rd-vault")
    site.recorded("DEVICE_OFFLINE", after=seq, device="rd-vault", within_s=15)
    assert site.standing("io-vault").is_online, "its neighbour on the bus does not suffer"
    for _ in range(5):
        site.holds(KIMURA, "vault", wait_ms=50)
    site.building.mend("rd-vault")
    site.recorded("DEVICE_ONLINE", after=seq, device="rd-vault", within_s=15)
    site.passes_a_second()
    late = [body for body in site.found("ACCESS_DENIED", after=seq) if body["reason"] == "READ_STALE"]
    assert len(late) == len(site.found("ACCESS_DENIED", after=seq))
    assert not site.strikes("vault")
    eventually(lambda: is_believed(site), 40, "the reader is believed")
    assert isinstance(site.orders("install_on"), Done)
    site.stops()
    site.starts()
    assert site.standing("rd-vault").facts.get("is_installing") != "True"
    eventually(lambda: is_believed(site), 40, "the reader is believed")
