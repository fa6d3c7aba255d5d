"""`sekisho check` and `sekisho ledger` as somebody types them who sets up a site."""

from __future__ import annotations

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
