"""Orders about readers, given at the console to a running controller and followed to their end."""

from __future__ import annotations

import pytest

from controller.keystore.jobs import KeyJob, KeysStored
from controller.link.messages import DeviceOrder, Devices, DeviceStanding, KeyStanding
from readers.events import InstallEnded, KeyRenewed, ReaderIdentified
from sekisho.devices_arguments import add_parsers
from tests.controller.test_secured_readers import IDENTITY, KEY, OSDP_SITE, READY
from tests.sekisho.console_rig import RunningSite, in_json, typed

STANDING = DeviceStanding(id="rd-vault", kind="osdp", is_online=True, is_trusted=False)


@pytest.fixture
def type_in(capsys, tmp_path):
    """Types an order for this reader's site."""
    return lambda *words: typed(capsys, add_parsers, "devices", *words, "--socket", tmp_path / "link.sock")


@pytest.fixture
def running(tmp_path):
    """The site, not yet running."""
    return RunningSite(tmp_path, tmp_path / "link.sock", OSDP_SITE, (STANDING,))


def installs(site, message, *, is_done=True, why=""):
    """The key store and the reader do what they are asked."""
    if not isinstance(message, DeviceOrder):
        return
    job = KeyJob(act="propose", reader="rd-vault", order=message.id)
    site.happens(KeysStored(job=job, view=READY, key=KEY))
    who = {"maker": "E5CA11", "model": "1.1", "serial": "10203040", "firmware": "1.4.2"}
    site.happens(ReaderIdentified(source="rd-vault", identity=IDENTITY, **who))
    if message.act == "install_on":
        site.happens(InstallEnded(source="rd-vault", is_done=is_done, why=why))
    else:
        site.happens(KeyRenewed(source="rd-vault", is_done=is_done))


@pytest.mark.req("B-18", "A-09")
def test_a_reader_gets_its_own_key_by_two_officers_and_what_remains_is_told(running, type_in):
    """A reader stays with the key that everybody knows, or nobody knows whether it took its own."""
    running.react = installs
    with running:
        status, out, err = type_in("install", "rd-vault", "--officers", "officer-01", "officer-02", "--minutes", "3")
        assert status == 0
        assert "has a key of its own now" in out and "restore" in out
        assert "it has no key of its own" not in out
        assert "E5CA11 1.1 10203040 1.4.2" in err
        order = running.asked[-1]
        assert (order.act, order.officer, order.second, order.minutes) == (
            "install_on",
            "officer-01",
            "officer-02",
            3,
        )
        status, told = in_json(type_in("renew-key", "rd-vault", "--officers", "officer-01", "officer-02", "--json"))
        assert (status, told["outcome"]) == (0, "done")


@pytest.mark.req("B-18")
def test_what_goes_wrong_at_an_installation_is_told(running, type_in):
    """An officer waits before a reader that never took its key, or one person alone gives it one."""
    running.react = lambda site, message: installs(site, message, is_done=False, why="time is over")
    with running:
        status, out, _ = type_in("install", "rd-vault", "--officers", "officer-01", "officer-02", "--lang", "ja")
        assert (status, "鍵を受け取りませんでした (time is over)" in out) == (1, True)
        count = len(running.asked)
        assert type_in("install", "rd-vault", "--officers", "officer-01", "officer-01")[0] == 2
        assert len(running.asked) == count
        status, told = in_json(type_in("install", "rd-none", "--officers", "a", "b", "--json"))
        assert (status, told["why"]) == (1, "unknown_device")
        assert type_in("install-off", "rd-vault", "--officer", "officer-01")[0] == 0
        running.standings = (DeviceStanding(id="rd-vault", kind="osdp", is_online=True),)
        count = len(running.asked)
        status, told = in_json(type_in("install", "rd-vault", "--officers", "a", "b", "--json"))
        assert (status, told["why"], len(running.asked)) == (1, "has_key", count)
    assert type_in("install-off", "rd-vault", "--officer", "officer-01")[0] == 3


@pytest.mark.req("A-09")
def test_a_custodian_who_left_makes_keys_due(running, type_in, monkeypatch):
    """Somebody who was moved still knows the keys of the site, and nobody is told to renew them."""
    due = KeyStanding(key="desfire_read", version=1, state="ACTIVE", made_on="2026-11-02", mark="m", is_due=True)
    running.keys = (due,)
    with running:
        status, told = in_json(type_in("custodian-left", "officer-09", "--officer", "officer-01", "--json"))
        assert (status, told["keys_due"]) == (0, ["desfire_read"])
        assert running.asked[-1].who == "officer-09"


def test_the_console_of_somebody_else_is_told_so():
    """An officer tries again and again from an account that is never listened to."""
    from sekisho.device_orders import _REFUSALS

    assert "sudo -u sekisho" in _REFUSALS["not_here"][0]
    assert Devices(id="x", devices=()).keys == ()
