"""The change of the ledger's key, cut off at every step that a kernel sees: some key always opens the ledger again."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.config import load_site
from controller.keys import load_keys
from controller.ledger.body import Scribe
from controller.ledger.store import Ledger
from controller.rotation import RotationRefused, origin_of, rotate_key
from tests.controller.conftest import SITE

SEEN = ("open", "os.", "sqlite3.connect", "fcntl.")
"""What a process does to the disk, as Python's audit hooks tell it (sys.audit)."""


@pytest.fixture
def site(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(SITE, "utf-8")
    site = load_site(file)
    keys = load_keys(site.state_dir, os.urandom)
    scribe = Scribe(node=site.node, boot="b-1")
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, origin_of(site)) as ledger:
        for _ in range(3):
            ledger.append([scribe.draft("CONTROLLER_STARTED", now=SystemClock(None).now())])
    return site


def starts(site):
    """As a start does: the keys, the ledger, and what was cut off. The vkey and how many records."""
    keys = load_keys(site.state_dir, os.urandom)
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, origin_of(site), successor=keys.successor) as ledger:
        keys.settle(ledger)
        ledger.append([Scribe(node=site.node, boot="b-2").draft("CONTROLLER_STARTED", now=SystemClock(None).now())])
        return ledger.notary.vkey, ledger.size - 1


def cut_off(site, at: int) -> bool:
    """Rotate in a child that is killed at its `at`-th deed; False where it came to its end before."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event, arguments):
            nonlocal seen
            if event.startswith(SEEN) and str(site.state_dir) in repr(arguments):
                seen += 1
                if seen > at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            rotate_key(site, "officer-01", "officer-02")
            os._exit(0)
        finally:
            os._exit(9)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.mark.req("A-27")
def test_a_rotation_that_is_killed_at_any_moment_leaves_a_ledger_that_starts(site, tmp_path):
    """One power cut at the wrong moment, and no key in the world opens the site's ledger."""
    whole = tmp_path / "whole"
    shutil.copytree(site.state_dir, whole)
    before = load_keys(site.state_dir, os.urandom)
    old = Ledger.open(site.state_dir / "ledger.db", before.signer, origin_of(site))
    with old:
        first = old.notary.vkey
    seen = []
    for at in range(200):
        shutil.rmtree(site.state_dir)
        shutil.copytree(whole, site.state_dir)
        was_killed = cut_off(site, at)
        vkey, size = starts(site)
        again, more = starts(site)
        assert (again, more) == (vkey, size + 1)
        assert (vkey == first) is (size == 3)
        assert sorted(path.name for path in site.state_dir.iterdir()) == ["ledger.db", "ledger.key", "site.key"]
        seen.append(size)
        if not was_killed:
            break
    else:
        pytest.fail("the rotation never came to its end")
    assert seen == sorted(seen) and {3, 4} == set(seen)  # both sides of the record were cut


def test_a_running_controllers_key_is_not_changed(site):
    """The controller would go on signing with a key that the ledger has given up."""
    keys = load_keys(site.state_dir, os.urandom)
    ledger = Ledger.open(site.state_dir / "ledger.db", keys.signer, origin_of(site))
    with ledger, pytest.raises(RotationRefused, match="stop the controller first"):
        rotate_key(site, "officer-01", "officer-02")
    assert starts(site)[1] == 3


def test_a_site_that_was_never_begun_has_nothing_to_rotate(tmp_path):
    """A typing mistake in a path would make a second site."""
    file = tmp_path / "site.toml"
    file.write_text(SITE, "utf-8")
    with pytest.raises(RotationRefused, match="sekisho init"):
        rotate_key(load_site(file), "officer-01", "officer-02")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["site.toml"]


def test_two_rotations_follow_each_other(site):
    """A key that leaked could be changed once, and never again."""
    first = rotate_key(site, "officer-01", "officer-02")
    second = rotate_key(site, "officer-02", "officer-03")
    assert first.new == second.old and second.seq == first.seq + 1
    assert starts(site) == (second.new, 5)


def test_a_ledger_without_a_record_is_not_rotated(tmp_path):
    """The first record of all would name a key that never signed anything."""
    file = tmp_path / "site.toml"
    file.write_text(SITE, "utf-8")
    site = load_site(file)
    load_keys(site.state_dir, os.urandom)
    with pytest.raises(RotationRefused, match="no record yet"):
        rotate_key(site, "officer-01", "officer-02")
    assert sorted(path.name for path in site.state_dir.iterdir()) == ["ledger.db", "ledger.key", "site.key"]
