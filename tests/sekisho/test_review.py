"""`sekisho explain`, `replay`, `what-if` and `who-can` on a ledger that the product's own core has written."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest

from controller.policy_log import FIRST_REVISION
from sekisho.review_arguments import SOCKET_VARIABLE, add_parsers
from tests.api.stand_in import StandIn
from tests.controller.conftest import SATO, STRANGER, VirtualSite, first_edit


def run(capsys, *arguments):
    """One command: its exit status, standard output and standard error."""
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers(required=True))
    parsed = parser.parse_args([str(one) for one in arguments])
    code = parsed.run(parsed)
    return code, *capsys.readouterr()


@pytest.fixture
def site(tmp_path):
    """Sato enters, is refused at the vault for the second time, and a stranger's card is refused."""
    virtual = VirtualSite(tmp_path)
    virtual.first = virtual.engine.policy
    virtual.admits("h-sato", SATO, "office", "vault")
    for portal in ("office", "vault"):
        virtual.badges(SATO, f"rd-{portal}")
        virtual.goes_through(f"dr-{portal}")
        virtual.passes(5000)
    virtual.badges(SATO, "rd-vault")
    virtual.badges(STRANGER, "rd-office")
    yield virtual
    virtual.ledger.close()


def lines_of(site) -> list[dict]:
    """The ledger as it is exported, the virtual site's first policy before it."""
    edit = first_edit(site.file)
    detail = {"id": "x", "edit": edit, "revision": site.first.revision, "base": FIRST_REVISION, "signed": False}
    first = site.scribe.draft("POLICY_EDITED", now=site.now(), detail=detail)
    texts = [first.text, *(record.body for record in site.ledger.scan(0))]
    return [{"seq": n, "leaf": '{"class":"access"}', "body": text.decode()} for n, text in enumerate(texts)]


@pytest.fixture
def export(site, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines_of(site)), "utf-8")
    return path


def seq_of(site, reason: str) -> int:
    return next(n for n, line in enumerate(lines_of(site)) if f'"reason":"{reason}"' in line["body"])


def test_a_refusal_is_told_in_words_with_what_would_help(site, export, capsys):
    """The officer at the telephone has a code and nothing to say."""
    code, out, err = run(capsys, "explain", seq_of(site, "APB"), "--export", export)
    assert (code, err) == (0, "")
    assert "(アンチパスバック) / Anti-passback" in out
    assert "× D18" in out and "○ D06" in out and "－ D14" in out
    assert "leave vault, and come from office  ⇒ GRANTED OK" in out
    _, out, _ = run(capsys, "explain", seq_of(site, "APB"), "--export", export, "--lang", "ja")
    assert "vault を出て、office から入り直す" in out
    assert "leave vault" not in out


def test_a_refusal_is_found_by_the_number_that_the_reader_showed(site, export, capsys):
    """Four characters on a slip of paper lead nowhere."""
    number = site.last.number
    code, out, _ = run(capsys, "explain", number.lower(), "--number", "--export", export, "--json")
    told = json.loads(out)
    assert (code, told["decision"]["reason"], told["decision"]["number"]) == (0, "CARD_UNKNOWN", number)
    assert (told["is_same"], told["others"]) == (True, [])
    code, _, err = run(capsys, "explain", "AAAA", "--export", export)
    assert code == 1
    assert "AAAA" in err


def test_the_same_number_twice_lists_both(site, export, capsys):
    """The officer explains somebody else's refusal."""
    lines = export.read_text("utf-8").splitlines()
    body = json.loads(lines[seq_of(site, "APB")])["body"]
    number = json.loads(body)["number"]
    last = json.loads(lines[seq_of(site, "CARD_UNKNOWN")])
    last["body"] = json.dumps(json.loads(last["body"]) | {"number": number})
    lines[last["seq"]] = json.dumps(last)
    export.write_text("\n".join(lines) + "\n", "utf-8")
    _, out, _ = run(capsys, "explain", number, "--number", "--export", export, "--json")
    told = json.loads(out)
    assert (told["decision"]["reason"], [one["reason"] for one in told["others"]]) == ("CARD_UNKNOWN", ["APB"])


def test_what_is_no_decision_is_not_explained(site, export, capsys):
    """An explanation of nothing would be believed."""
    for seq in (0, 9999):
        code, out, err = run(capsys, "explain", seq, "--export", export)
        assert (code, out) == (1, "")
        assert "no decision" in err


def test_replay_says_that_all_is_the_same_and_where_it_is_not(site, export, capsys):
    """A rewritten ledger is told to be sound, or a sound one cries wolf."""
    code, out, _ = run(capsys, "replay", "--export", export)
    assert code == 0
    assert "すべて一致 / all the same: 4/4" in out
    text = export.read_text("utf-8")
    export.write_text(text.replace(r"\"reason\":\"CARD_UNKNOWN\"", r"\"reason\":\"FULL\""), "utf-8")
    code, out, _ = run(capsys, "replay", seq_of(site, "CARD_UNKNOWN"), "--export", export, "--json")
    told = json.loads(out)
    assert (code, told["decisions"], told["differing"]) == (1, 1, 1)
    assert told["differences"][0]["was"] == "FULL"


def test_a_span_may_be_named_by_times(site, export, capsys):
    """An officer who knows when has to count records."""
    spans = {("2026-11-24",): 4, ("2026-11-24T12:00:05",): 3, ("2026-11-24", "2026-11-24T12:00:04"): 1}
    for span, decisions in spans.items():
        _, out, _ = run(capsys, "replay", *span, "--export", export, "--json")
        assert json.loads(out)["decisions"] == decisions, span


def test_what_if_tells_what_flips_who_loses_and_who_is_stranded(site, export, tmp_path, capsys):
    """An edit locks somebody out of the room in which he sits, and nobody knew."""
    row = json.loads(json.dumps({"id": "r-h-sato-vault", "cardholder": "h-sato", "zone": "vault"}))
    period = {"from_on": "2026-11-01", "until_on": "2027-10-01", "review_on": "2027-01-01", "is_suspended": True}
    edit = tmp_path / "edit.json"
    edit.write_text(json.dumps({"puts": [["roster", row | period]]}))
    code, out, _ = run(capsys, "what-if", edit, "--export", export, "--json")
    told = json.loads(out)
    assert code == 0
    assert [(flip["was"], flip["would_be"]) for flip in told["flips"]] == [("OK", "NOT_ON_ROSTER")]
    assert told["loses"] == [{"cardholder": "h-sato", "zone": "vault"}]
    assert told["stranded"] == [{"cardholder": "h-sato", "zone": "vault", "is_certain": True, "by_edit": True}]
    _, out, _ = run(capsys, "what-if", edit, "--export", export, "--lang", "en")
    assert "would come out otherwise: 1" in out
    assert "inside, and could not enter again: 1" in out


def test_an_edit_that_cannot_be_is_refused(export, tmp_path, capsys):
    """The officer takes an edit with a slip of the pen for one without effect."""
    edit = tmp_path / "edit.json"
    edit.write_text(json.dumps({"puts": [["roster", {"id": "r-1", "colour": "red"}]]}))
    code, _, err = run(capsys, "what-if", edit, "--export", export)
    assert code == 1
    assert "colour" in err
    edit.write_text("[]")
    assert run(capsys, "what-if", edit, "--export", export)[0] == 3


def test_who_can_lists_those_with_all_keys_and_what_others_lack(site, export, capsys):
    """The list on the wall and the door disagree."""
    at = ("--at", "2026-11-24T12:00:30")
    code, out, _ = run(capsys, "who-can", "vault", *at, "--export", export)
    assert code == 0
    assert "○ h-sato  vault" in out and "roster:r-h-sato-vault" in out
    code, out, _ = run(capsys, "who-can", "vault", "--at", "2028-11-24T12:00", "--all", "--export", export)
    assert code == 1
    assert "× h-sato" in out and "D13" in out
    code, out, _ = run(capsys, "who-can", "vault", "--at", "2026-11-24T11:59", "--export", export)
    assert code == 1, "by what was in force then: nothing"
    assert run(capsys, "who-can", "nowhere", *at, "--export", export)[0] == 1


def test_a_running_controller_is_asked_over_its_socket(site, tmp_path, capsys, monkeypatch):
    """The commands work on copies alone."""
    stand_in = StandIn(tmp_path / "c.sock")
    stand_in.records = [{"is": "record", "salt": "00", **line} for line in lines_of(site)]
    stand_in.start()
    try:
        code, out, _ = run(capsys, "replay", "--socket", stand_in.path)
        assert (code, "4/4" in out) == (0, True)
        monkeypatch.setenv(SOCKET_VARIABLE, str(stand_in.path))
        code, out, _ = run(capsys, "explain", seq_of(site, "APB"))
        assert (code, "× D18" in out) == (0, True)
    finally:
        stand_in.stop()
    code, _, err = run(capsys, "replay")
    assert code == 3
    assert "no controller" in err


def test_without_a_source_it_says_what_to_do(capsys, monkeypatch, tmp_path):
    """The first try ends with a traceback."""
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    code, _, err = run(capsys, "replay")
    assert code == 3
    assert "--socket" in err and "--export" in err
    assert run(capsys, "replay", "--export", tmp_path / "none")[0] == 3
    (tmp_path / "bad").write_text("{}\n")
    code, _, err = run(capsys, "replay", "--export", tmp_path / "bad")
    assert (code, "line 1" in err) == (3, True)


def test_arguments_cost_nothing_of_ours():
    """Doors are armed late because a command that nobody asked for was loaded."""
    program = (
        "import sys, sekisho.review_arguments; print([n for n in sys.modules if n.split('.')[0] in ('zones', 'api')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
