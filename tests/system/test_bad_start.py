"""Starts that must fail say why; starts that may go on say what they went on without."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat

import pytest

from tests.system.parts import eventually, stays
from tests.system.site import NAKAMURA, SATO, WATANABE, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]


def does_not_start(site: Site, *words: str, status: int) -> str:
    """Start it; it must end with this status, say these words, and switch nothing on."""
    program = site.launch()
    site.is_crash_expected = True
    assert program.ends(20) == status, program.said
    said = program.said
    assert "Traceback" not in said, said
    assert "armed" not in said
    for word in words:
        assert word in said, f"{word!r} is not in:\n{said}"
    assert not site.any_strike_is_on()
    return said


def line_of(site: Site, text: str) -> str:
    lines = site.file.read_text("utf-8").splitlines()
    return f"site.toml:{next(number for number, line in enumerate(lines, 1) if text in line)}:"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('kind = "EXCLUSION"', 'kind = "EXCLUSIVE"', "kind"),
        ('rex = "dr-lab"', 'rexx = "dr-lab"', "rexx"),
        ("held_after_ms = 15000", 'held_after_ms = "long"', "held_after_ms"),
        ('strike = "board:2"', 'strike = "board:9"', "strike"),
        ('entry_reader = "rd-lab-in"', 'entry_reader = "rd-lap-in"', "entry_reader"),
        ('anti_passback = "HARD"', 'anti_passback = "NONE"', "anti_passback"),
    ],
)
def test_a_typing_mistake_in_the_site_file_is_named(make_site, old, new, key):
    """A typing mistake is passed over, and a door is wired to nothing."""
    site = make_site(change=lambda text: text.replace(old, new))
    said = does_not_start(site, key, status=1)
    if key != "anti_passback":
        assert line_of(site, new) in said, said


def test_a_site_file_that_is_no_toml_is_named(make_site):
    """The controller does not come up, and says nothing that helps."""
    does_not_start(make_site(change=lambda text: text + "[[zone]\n"), "TOML", "site.toml:", status=1)


@pytest.mark.req("A-27", "B-12")
def test_a_ledger_whose_key_is_gone_is_not_signed_with_another(site):
    """The signing key is lost, the controller makes a new one, and history is signed by nobody in particular."""
    site.stops()
    key = site.state_dir / "ledger.key"
    kept = key.read_bytes()
    key.unlink()
    does_not_start(site, "ledger.key", status=3)
    assert not key.exists(), "a new key lies where the old one must be put back"
    key.write_bytes(kept)
    key.chmod(0o600)
    site.starts()
    site.enters(SATO, "front")


@pytest.mark.req("A-27")
def test_a_ledger_that_is_gone_is_not_begun_anew_in_silence(site):
    """Somebody deletes the ledger, and the next start begins a new history as if nothing had been."""
    site.stops()
    for file in site.state_dir.glob("ledger.db*"):
        file.unlink()
    program = site.launch()
    site.is_crash_expected = True
    eventually(lambda: not program.is_alive or "armed" in program.said, 20)
    if program.is_alive:
        assert any(word in program.said for word in ("ledger.db is missing", "ledger was missing")) or site.recorded(
            "SITE_REBUILT", within_s=15
        ), "the ledger was gone, and nobody says so"
    else:
        assert program.process.returncode == 3
        assert "ledger.db" in program.said


@pytest.mark.req("B-12")
def test_a_write_ahead_log_without_its_ledger_is_refused(site):
    """Half of the ledger is restored from a backup, and the rest is thrown away unseen."""
    site.dies()
    (site.state_dir / "ledger.db").rename(site.folder / "elsewhere.db")
    does_not_start(site, "ledger.db", "put", status=3)


def test_a_second_controller_leaves_the_first_one_alone(site):
    """Two controllers write one ledger, or the second one's end shuts the doors of the first."""
    first, board = site.controller, site.building.fittings.boards["board"]
    heard, receive = [], board.receive
    board.receive = lambda chunk, now_ms: (heard.append(chunk), receive(chunk, now_ms))
    second = site.launch()
    site.is_crash_expected = True
    assert second.ends(20) == 3
    assert "in use" in second.said
    site.controller = first
    stays(lambda: first.is_alive and not heard, 0.5, f"the second controller spoke to the relay board: {heard}")
    assert site.badges(WATANABE, "server").released, "the first controller has lost its doors to the second"


def test_a_secret_that_others_can_read_is_refused(site):
    """The keys lie open on a shared machine."""
    site.stops()
    key = site.state_dir / "site.key"
    key.chmod(key.stat().st_mode | stat.S_IRGRP)
    does_not_start(site, "site.key", "chmod 600", status=3)


def spoil_missing(site: Site) -> None:
    for file in site.state_dir.glob("site.db*"):
        file.unlink()


def spoil_corrupt(site: Site) -> None:
    (site.state_dir / "site.db").write_bytes(os.urandom(8192))


def spoil_truncated(site: Site) -> None:
    os.truncate(site.state_dir / "site.db", 5000)


def spoil_forged(site: Site) -> None:
    with contextlib.closing(sqlite3.connect(site.state_dir / "site.db")) as connection, connection:
        connection.execute("UPDATE credential SET state = 'ACTIVE'")
        connection.execute("DELETE FROM roster WHERE cardholder = 'h-06'")
    connection.close()


@pytest.mark.req("B-12")
@pytest.mark.parametrize("spoil", [spoil_missing, spoil_corrupt, spoil_truncated, spoil_forged])
def test_a_policy_database_that_cannot_be_believed_is_rebuilt_from_the_ledger(site, spoil):
    """Somebody writes himself onto a roster in site.db, or a bad block throws everybody off it."""
    site.stops()
    after = site.last_seq
    spoil(site)
    site.starts()
    site.recorded("SITE_REBUILT", after=after)
    assert site.badges(WATANABE, "server").released, "who was on the roster is not any more"
    assert not site.badges(NAKAMURA, "front", wait_ms=700).released, "a lost card opens"
    site.stops()
    last = site.last_seq
    site.starts()
    assert not site.found("SITE_REBUILT", after=last), "site.db was not put right again"


@pytest.mark.req("B-12")
def test_a_policy_database_that_is_locked_stops_nobody(site):
    """A backup holds site.db, and edits are lost or doors stop."""
    site.stops()
    lock = sqlite3.connect(site.state_dir / "site.db", isolation_level=None)
    lock.execute("PRAGMA locking_mode=EXCLUSIVE")
    lock.execute("BEGIN EXCLUSIVE")
    try:
        site.starts()
        site.enters(WATANABE, "server")
    finally:
        lock.close()


def test_a_reader_that_is_missing_at_the_start_is_said(make_site):
    """One cable is unplugged, and no door of the site comes up."""
    site = make_site()
    site.building.cut("rd-vault-in")
    site.starts(without=["rd-vault-in"]).admits_people()
    site.recorded("DEVICE_OFFLINE", device="rd-vault-in")
    site.enters(WATANABE, "server")


def test_a_broker_that_is_missing_at_the_start_is_said(make_site):
    """The broker comes up after the controller, and the site stays dead."""
    site = make_site()
    site.broker.kill()
    site.starts(without=site.devices - {"rd-vault-in", "rd-server-in", "board"})
    site.recorded("DEVICE_OFFLINE", device="dr-front")
    site.broker.start()
    site.recorded("DEVICE_ONLINE", device="dr-front", within_s=20)
    eventually(lambda: site.building.rex("front", walk=False, wait_ms=500), 15, "REX releases when the broker is there")
