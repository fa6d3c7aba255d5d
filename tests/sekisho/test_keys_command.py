"""`sekisho keys` as two people type it while the controller is stopped."""

from __future__ import annotations

import argparse
import json
import os

import pytest

from controller.config import load_site
from controller.key_room import open_key_store
from controller.keystore import store
from sekisho.keys_arguments import PURPOSES, add_parsers
from tests.controller.conftest import SITE
from tests.controller.keystore.keys import GOOD, OTHER

KEYED = "\n[cards]\n"
BY = ("--by", "officer-01", "--by", "officer-02")


@pytest.fixture
def site_file(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE + KEYED, "utf-8")
    return path


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key.hex"
    path.write_text(GOOD.hex())
    path.chmod(0o600)
    return path


@pytest.fixture
def type_in(capsys):
    """Types a command; gives its exit status, what it printed and what it said."""

    def types(*words):
        parser = argparse.ArgumentParser()
        add_parsers(parser.add_subparsers(required=True))
        parsed = parser.parse_args(["keys", *map(str, words)])
        status = parsed.run(parsed)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return types


@pytest.mark.req("A-09")
def test_keys_are_made_rotated_retired_and_listed(type_in, site_file, key_file):
    """A site could not be given its first key, or nobody see which it has."""
    assert type_in("make", site_file, "desfire_read", *BY)[:2] == (0, "desfire_read v1\n")
    assert type_in("make", site_file, "desfire_read", *BY)[:2] == (0, "desfire_read v2\n")
    assert type_in("retire", site_file, "desfire_read", 1, *BY)[0] == 0
    assert type_in("import-card", site_file, "felica_card", 7, key_file, *BY)[0] == 0
    status, shown, _ = type_in("list", site_file, "--json")
    rows = json.loads(shown)
    assert status == 0
    assert [(row["key"], row["version"], row["state"]) for row in rows] == [
        ("desfire_read", 2, "ACTIVE"),
        ("desfire_read", 1, "RETIRED"),
        ("felica_card", 7, "ACTIVE"),
    ]
    assert rows[0]["custodians"] == ["officer-01", "officer-02"]
    assert GOOD.hex() not in shown
    english, japanese = (type_in("list", site_file, "--lang", lang)[1].splitlines() for lang in ("en", "ja"))
    assert english[0].split() == ["key", "version", "state", "made", "on", "mark", "uses", "custodians", "due"]
    assert english[3].split()[:3] == ["felica_card", "v7", "ACTIVE"]
    assert japanese[2].split()[:3] == ["desfire_read", "v1", "廃止"]


def test_a_site_without_keys_is_told_how_it_gets_one(type_in, site_file):
    """An empty answer: is there no key, or was it not asked?"""
    status, out, err = type_in("list", site_file, "--lang", "en")
    assert (status, out) == (0, "")
    assert "sekisho keys make" in err


@pytest.mark.req("B-28")
def test_root_does_not_take_the_key_store_away_from_the_controllers_account(type_in, site_file, monkeypatch):
    """Keys are made as root, and the controller, which has an account of its own, starts no more."""
    state = site_file.parent / "state"
    if os.geteuid() == 0:
        os.chown(site_file.parent, 65534, 65534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    status, _, err = type_in("make", site_file, "desfire_read", *BY)
    assert status == 1
    assert "sudo -u" in err
    assert not state.exists()


@pytest.mark.parametrize(
    "by",
    [
        (),
        ("--by", "officer-01"),
        ("--by", "officer-01", "--by", "officer-01"),
        ("--by", "officer-01", "--by", "Sato has debts"),
        (*BY, "--by", "officer-03"),
    ],
)
def test_nobody_changes_keys_alone(type_in, site_file, by):
    """One person would make himself a key that nobody else knows of."""
    status, _, said = type_in("make", site_file, "desfire_read", *by)
    assert (status, "two different people" in said) == (1, True)
    assert json.loads(type_in("list", site_file, "--json")[1]) == []


@pytest.mark.req("B-14", "B-28")
def test_what_is_refused_says_why_and_is_not_noted(type_in, site_file, key_file, tmp_path):
    """A weak key would be taken from a careless file; or the ledger tell of what never was."""
    (tmp_path / "zeros").write_bytes(bytes(16))
    (tmp_path / "zeros").chmod(0o600)
    assert "constant" in type_in("import-card", site_file, "desfire_read", 1, tmp_path / "zeros", *BY)[2]
    assert type_in("import-card", site_file, "desfire_read", 0, tmp_path / "zeros", "--factory", *BY)[0] == 0
    key_file.write_text("no key")
    assert "holds no key" in type_in("import-card", site_file, "desfire_read", 2, key_file, *BY)[2]
    key_file.chmod(0o644)
    assert "others can read" in type_in("import-card", site_file, "desfire_read", 2, key_file, *BY)[2]
    assert "no reader 'rd-9'" in type_in("import-reader", site_file, "rd-9", key_file, *BY)[2]
    assert type_in("retire", site_file, "desfire_read", 9, *BY)[0] == 1
    kept = open_key_store(load_site(site_file), os.urandom)
    assert [(note.act, note.about, note.people) for note in kept.notes] == [
        ("import_card_key", "desfire_read", ("officer-01", "officer-02"))
    ]
    kept.notes_recorded()
    kept.notes_recorded()
    kept.close()
    kept = open_key_store(load_site(site_file), os.urandom)
    assert kept.notes == ()
    assert type_in("list", site_file)[0] == 3  # somebody else has it open
    kept.close()


def test_a_restored_key_store_is_taken_when_two_people_say_so(type_in, site_file, tmp_path):
    """After a dead card the site could not be brought back; or anybody could bring old keys back."""
    type_in("make", site_file, "desfire_read", *BY)
    folder = next(path for path in tmp_path.rglob("keystore") if path.is_file()).parent
    backup = (folder / "keystore").read_bytes()
    type_in("make", site_file, "desfire_read", *BY)
    (folder / "keystore").write_bytes(backup)
    status, _, said = type_in("list", site_file)
    assert (status, "older than what was here" in said) == (3, True)
    assert type_in("restored", site_file, *BY)[0] == 0
    assert [row["version"] for row in json.loads(type_in("list", site_file, "--json")[1])] == [1]


def test_a_better_seal_is_taken_by_the_site_file(type_in, site_file, tmp_path, monkeypatch):
    """The deviation of the first day would stay for ever."""
    type_in("make", site_file, "desfire_read", *BY)
    assert "change it to the new one first" in type_in("seal-again", site_file, "--was", "file", *BY)[2]
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "sekisho-keystore").write_bytes(GOOD + OTHER)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    site_file.write_text(SITE + KEYED + '\n[keys]\nseal = "credential"\n', "utf-8")
    assert "sealed with 'file'" in type_in("list", site_file)[2]
    assert type_in("seal-again", site_file, "--was", "file", *BY)[0] == 0
    assert "desfire_read  v1" in type_in("list", site_file)[1]


def test_the_console_knows_the_purposes_that_cards_have():
    """A key could not be made for a card that the site uses."""
    assert set(PURPOSES) == set(store.PURPOSES)
