"""`sekisho check` and `sekisho ledger` as somebody types them who sets up a site."""

from __future__ import annotations

import json

import pytest

from sekisho.cli import main
from tests.controller.conftest import SITE
from tests.sekisho.console_rig import RunningSite


@pytest.mark.req("B-14")
def test_every_deviation_of_a_site_file_is_told_in_words_before_anything_runs(tmp_path, capsys):
    """An installer reads a code, or nothing at all, and the first to tell him is the page of the running site."""
    path = tmp_path / "site.toml"
    path.write_text(SITE + "\n[cards]\n", "utf-8")
    assert main(["check", str(path)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("deviation: ")]
    assert any(line.startswith("deviation: keystore_unsealed: ") and "same disk" in line for line in told)
    assert all(line.count(": ") >= 2 for line in told)


@pytest.mark.req("A-29")
def test_what_a_site_file_may_not_leave_out_is_told_before_anything_runs(tmp_path, capsys):
    """A site is planned without records of refusals, and hears at its first start that they are kept."""
    path = tmp_path / "site.toml"
    path.write_text(SITE + '\n[ledger]\nomit = ["ACCESS_DENIED", "LINE_NOISE"]\n', "utf-8")
    assert main(["check", str(path)]) == 0
    told = capsys.readouterr().out
    assert "passed over: ledger.omit (ACCESS_DENIED): " in told and "deviation: record_omitted (LINE_NOISE): " in told
    assert main(["check", "--json", str(path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["passed_over"], document["is_sound"]) == (["ACCESS_DENIED"], True)
    path.write_text("x = 1", "utf-8")
    assert main(["check", "--json", str(path)]) == 1
    assert json.loads(capsys.readouterr().out)["is_sound"] is False


def test_the_ledgers_key_is_asked_of_the_controller_that_the_environment_names(tmp_path, capsys, monkeypatch):
    """Who has named the controller once is told by one command of many that he has not."""
    socket = tmp_path / "link.sock"
    monkeypatch.delenv("SEKISHO_SOCKET", raising=False)
    with pytest.raises(SystemExit):
        main(["ledger", "key"])
    monkeypatch.setenv("SEKISHO_SOCKET", str(socket))
    with RunningSite(tmp_path, socket):
        assert main(["ledger", "key"]) == 0
    assert capsys.readouterr().out == "k\n"
