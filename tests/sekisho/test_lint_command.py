"""`sekisho lint` and `sekisho prove` on a site file and on an export, as an officer types them."""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.config import parse_site
from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from controller.link.rows import row_to_doc
from controller.policy_log import PolicyAt, edit_to_doc
from sekisho.lint import run, site_policy
from sekisho.lint_arguments import add_parsers
from tests.controller.conftest import SITE, clearance, need, roster
from zones.moment import Moment
from zones.places import ExitHardware
from zones.policy import Edit

UNSAFE = SITE.replace('exit_hardware = "HANDLE"', 'exit_hardware = "SOFTWARE"', 1)


@pytest.fixture
def type_in(capsys):
    """Types a command; gives its exit status, what it printed and what it said."""

    def types(*words):
        parser = argparse.ArgumentParser()
        add_parsers(parser.add_subparsers(required=True))
        status = run(parser.parse_args([str(word) for word in words]))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return types


@pytest.fixture
def site_file(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE, "utf-8")
    return path


@pytest.fixture
def export(tmp_path):
    """Writes the export of a ledger whose edits are these."""
    today = datetime.now(UTC)

    def write(*puts, text=SITE):
        site = parse_site(text, tmp_path / "site.toml")
        docs = [edit_to_doc(Edit(puts=site.layout)), {"puts": [list(put) for put in puts], "drops": []}]
        ledger = Ledger.open(
            tmp_path / "ledger.db", SigningKey.from_seed(bytes(32)), "sekisho.example/test", random.Random(1).randbytes
        )
        scribe, at = Scribe(node="test", boot="b0b0b0b0"), PolicyAt()
        for number, doc in enumerate(docs):
            after = at.after(doc, seq=number)
            now = Moment(at=today + timedelta(seconds=number), tick_ms=number)
            detail = {
                "id": f"e-{number}",
                "edit": doc,
                "revision": after.revision,
                "base": at.revision,
                "signed": False,
            }
            ledger.append([scribe.draft("POLICY_EDITED", now=now, officer="o-1", revision=at.revision, detail=detail)])
            at = after
        file = tmp_path / "export.jsonl"
        lines = [
            {"seq": record.seq, "leaf": record.leaf.decode(), "body": record.body.decode()} for record in ledger.scan(0)
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        ledger.close()
        return file

    return write


def people():
    """Rows of h-sato, and of h-ito who lacks the need-to-know."""
    for who, number in (("h-sato", 1), ("h-ito", 2)):
        yield "cardholder", {"id": who}
        card = {"id": f"c-{who}", "cardholder": who, "number_hash": f"{number:064x}", "last4": "00FF"}
        yield "credential", card | {"state": "ACTIVE"}
        yield "clearance", clearance(who)
        if who == "h-sato":
            yield "need_to_know", need(who) | days("from_on", "until_on")
        for zone in ("office", "vault"):
            yield "roster", roster(who, zone) | days("from_on", "until_on", "review_on")


def days(*names):
    """Days around today: the command knows no other."""
    today = datetime.now(UTC).date()
    reach = {"from_on": -30, "until_on": 300, "review_on": 60}
    return {name: str(today + timedelta(days=reach[name])) for name in names}


def test_a_sound_site_file_has_warnings_and_no_errors(type_in, site_file):
    """An installer could not tell a clean site from one that was never looked at."""
    status, out, err = type_in("lint", site_file)
    assert status == 0
    assert "注意 / warning UID_INTO_PROTECTED: zone vault [outside > office > vault]" in out
    assert "0 errors" in err


@pytest.mark.req("B-01")
def test_an_unsafe_site_file_is_refused_with_the_way_to_the_fault(type_in, tmp_path, site_file):
    """A door that only a computer opens from inside would be built."""
    policy = site_policy(site_file)
    site_file.write_text(UNSAFE, "utf-8")
    status, out, err = type_in("lint", site_file, "--json")
    assert status == 1
    told = out or err  # the site file may be refused where it is read, before it is linted
    assert "EXIT_BY_SOFTWARE" in told
    assert "office" in told
    assert set(policy.zones) == {"outside", "office", "vault"}


def test_what_is_in_force_is_linted_from_an_export(type_in, export):
    """Only site files would be looked at, and never what officers made of them."""
    status, out, _ = type_in("lint", "--export", export(*people()), "--json")
    assert status == 0
    assert "ITEM_UNKNOWN" in {one["code"] for one in json.loads(out)["findings"]}
    assert json.loads(out)["findings"][0].keys() == {"code", "severity", "table", "row", "path", "words"}


@pytest.mark.req("C-05")
def test_who_could_be_in_the_vault_is_proven_from_an_export(type_in, export):
    """The auditor would be told a list that nobody can check."""
    file = export(*people())
    status, out, _ = type_in("prove", "--export", file, "--days", 10, "--lang", "en")
    assert status == 0
    assert "holds WHO vault" in out
    assert "each with the three keys when entering: h-sato\n" in out
    assert "h-sato: in vault by clearance k-h-sato, need_to_know n-h-sato, roster r-h-sato-vault" in out
    status, out, _ = type_in("prove", "--export", file, "--days", 0, "--json")
    document = json.loads(out)
    assert [(one["name"], one["zone"], one["holds"]) for one in document["proofs"]] == [
        ("WHO", "vault", True),
        ("KEYS", "vault", True),
        ("SANITISED", "vault", True),
        ("EXIT", None, True),
    ]
    (witness,) = document["proofs"][0]["witnesses"]
    assert witness["path"] == ["outside", "office", "office", "vault", "vault"]
    assert witness["keys"] == {"clearance": "k-h-sato", "need_to_know": "n-h-sato", "roster": "r-h-sato-vault"}


@pytest.mark.req("D-24")
def test_a_proof_that_fails_is_the_exit_status_and_its_steps(type_in, export, site_file):
    """A script would go on over a site from which nobody can leave."""
    portal = site_policy(site_file).portals["office"]
    soft = row_to_doc(replace(portal, exit_hardware=ExitHardware.SOFTWARE))
    status, out, _ = type_in("prove", "--export", export(*people(), soft), "--days", 0)
    assert status == 1
    assert "不成立 / FAILS EXIT" in out
    assert "office -[office]-> outside: the exit needs software" in out


def test_records_that_cannot_be_read_prove_nothing(type_in, tmp_path):
    """No records would read as: no faults."""
    for command in ("prove", "lint"):
        status, out, err = type_in(command, "--export", tmp_path / "nowhere.jsonl")
        assert (status, out) == (3, "")
        assert f"sekisho {command}: " in err


def test_an_unknown_zone_is_said(type_in, export):
    """An empty list would read as: nobody."""
    status, _, err = type_in("prove", "--export", export(), "--zone", "attic", "--days", 0)
    assert status == 1
    assert "attic" in err
