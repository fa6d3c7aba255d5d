"""`sekisho streams` with settings that cannot be used: one line that says what, exit status 3, never a traceback."""

from __future__ import annotations

import signal

import pytest

from sekisho.cli import main

WITNESS = """
[[witness]]
name = "audit"
url = "http://127.0.0.1:1"
vkey = "audit.example/sekisho+fd7a5ca7+BO4jK/bsdtCaGRMcrl/dRt5sNOa7RV/FBFOAYGqMtYkg"
"""
WEBHOOK = """
[[sink]]
kind = "webhook"
name = "guards"
url = "https://guards.example/sekisho"
secret_file = "webhook.secret"
"""


@pytest.fixture(autouse=True)
def _signals():
    """The program takes SIGTERM and SIGINT for itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def refused(folder, sections, capsys):
    """The line that it ends with."""
    settings = folder / "streams.toml"
    if sections is not None:
        settings.write_text(f'socket = "c.sock"\nstate_dir = "state"\n{sections}')
    assert main(["streams", str(settings)]) == 3
    told = capsys.readouterr()
    assert told.out == "" and "Traceback" not in told.err and "Errno" not in told.err
    (line,) = told.err.splitlines()
    return line


def test_settings_that_cannot_be_used_are_told_in_one_line_with_their_section(tmp_path, capsys):
    """Whoever installs it looks for the fault in eight sections, or in a traceback."""
    assert refused(tmp_path, None, capsys).endswith("streams.toml: No such file or directory")
    assert "sink guards: secret_file: " in refused(tmp_path, WEBHOOK, capsys)
    (tmp_path / "webhook.secret").write_text("whsec_abc\n")
    (tmp_path / "webhook.secret").chmod(0o644)
    assert "sink guards: secret_file: others can read" in refused(tmp_path, WEBHOOK, capsys)
    assert "is not TOML" in refused(tmp_path, "x = [", capsys)


@pytest.mark.req("A-27")
def test_a_tree_that_cannot_be_opened_is_told_with_what_to_do(tmp_path, capsys):
    """No witness is asked any more, and the log has a traceback that nobody reads."""
    (tmp_path / "state/tree.hashes").mkdir(parents=True)
    line = refused(tmp_path, WITNESS, capsys)
    assert "tree.hashes: Is a directory; it is a cache: mend or remove it" in line
