"""`sekisho init` and `sekisho ledger rotate-key`, as they are typed."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pytest

from controller.config import load_site
from controller.keys import load_keys
from controller.ledger.body import Scribe
from controller.ledger.store import Ledger
from controller.rotation import origin_of
from sekisho import verify
from sekisho.cli import main
from tests.controller.conftest import SITE
from zones.moment import Moment


@pytest.fixture
def site_file(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE, "utf-8")
    return path


@pytest.fixture
def type_in(capsys):
    """Types a command; gives its exit status, what it printed and what it said."""

    def types(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return types


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_init_makes_a_site_once_and_says_what_to_keep(type_in, site_file):
    """A site would begin without anybody having its public key outside, or a second `init` would make it anew."""
    status, shown, said = type_in("init", site_file)
    folder = load_site(site_file).state_dir
    assert status == 0 and said == ""
    vkey = shown.splitlines()[0]
    assert vkey.startswith("sekisho.example/")
    for words in ("紙に控え", "on paper", str(folder / "ledger.key"), "sealed and apart", "systemctl enable --now"):
        assert words in shown
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.key": 0o600, "site.key": 0o600}
    made = contents(folder)
    status, shown, said = type_in("init", site_file)
    assert (status, shown) == (1, "") and "there is a site already" in said
    assert contents(folder) == made
    keys = load_keys(folder, pytest.fail)
    with Ledger.open(folder / "ledger.db", keys.signer, "sekisho.example/test") as ledger:
        assert not keys.is_new and ledger.size == 0 and ledger.notary.vkey == vkey


def test_init_answers_as_json(type_in, site_file):
    """Whoever installs ten sites by a program would have to read prose."""
    status, shown, _ = type_in("init", site_file, "--json")
    document = json.loads(shown)
    assert status == 0 and document["key"] == "file" and document["vkey"].count("+") >= 2
    assert [path.rpartition("/")[2] for path in document["made"]] == ["ledger.db", "ledger.key", "site.key"]


@pytest.mark.parametrize("lost", ["ledger.db", "site.key"])
def test_init_makes_nothing_beside_half_a_site(type_in, site_file, lost):
    """A ledger that was lost would be begun anew by whoever tries `init` to mend it."""
    type_in("init", site_file)
    folder = load_site(site_file).state_dir
    keys = load_keys(folder, pytest.fail)
    with Ledger.open(folder / "ledger.db", keys.signer, "sekisho.example/test") as ledger:
        ledger.append(_drafts())
    (folder / lost).unlink()
    kept = contents(folder)
    status, shown, said = type_in("init", site_file)
    assert (status, shown) == (3, "") and f"{lost} is missing" in said
    assert contents(folder) == kept


def _drafts(boot="b-1"):
    at = datetime(2026 if boot == "b-1" else 2199, 11, 2, tzinfo=UTC)  # before and after whatever the clock says now
    return [Scribe(node="test", boot=boot).draft("CONTROLLER_STARTED", now=Moment(at=at, tick_ms=0))]


def test_a_key_is_rotated_by_two_people_and_the_ledger_verifies_by_either(type_in, site_file):
    """A key that leaked would stay, or whoever holds the old public key could check nothing any more."""
    type_in("init", site_file)
    site = load_site(site_file)
    keys = load_keys(site.state_dir, pytest.fail)
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, origin_of(site)) as ledger:
        ledger.append(_drafts())
    status, shown, said = type_in("ledger", "rotate-key", site_file, "--officer", "o-1", "--second", "o-2", "--json")
    assert status == 0, said
    done = json.loads(shown)
    assert done["seq"] == 1 and done["old"] != done["new"]
    keys = load_keys(site.state_dir, pytest.fail)
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, origin_of(site)) as ledger:
        assert ledger.notary.vkey == done["new"]
        body = ledger.read(1, 1)[0].decoded()
        assert (body.type, body.actor.officer, body.detail["officer2"]) == ("LEDGER_KEY_ROTATED", "o-1", "o-2")
        ledger.append(_drafts("b-2"))
    for key in (done["old"], done["new"]):
        assert verify.main([str(site.state_dir / "ledger.db"), "--key", key]) == 0


@pytest.mark.parametrize("people", [("o-1", "o-1"), ("o-1", ""), ("o 1", "o-2")])
def test_one_person_alone_rotates_nothing(type_in, site_file, people):
    """One officer could hand the ledger to a key of his own."""
    type_in("init", site_file)
    kept = contents(load_site(site_file).state_dir)
    officer, second = people
    status, shown, said = type_in("ledger", "rotate-key", site_file, "--officer", officer, "--second", second)
    assert (status, shown) == (1, "") and "two different people" in said
    assert contents(load_site(site_file).state_dir) == kept


def test_a_rotation_before_init_is_refused(type_in, site_file):
    """A typing mistake in a path would make a second site."""
    status, shown, said = type_in("ledger", "rotate-key", site_file, "--officer", "o-1", "--second", "o-2")
    assert (status, shown) == (1, "") and "sekisho init" in said
