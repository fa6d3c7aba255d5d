"""`sekisho verify` as an auditor runs it: alone, with exit codes that a script can trust, and in plain words."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc

import pytest

from sekisho import verify
from tests.sekisho.ledger_by_hand import HandLedger, Signer, Witness, code_of

VKEY = Signer().vkey


def run(capsys, *arguments):
    code = verify.main([str(one) for one in arguments])
    return code, *capsys.readouterr()


@pytest.mark.req("A-27")
def test_a_whole_ledger_is_said_to_be_whole_in_both_languages(tmp_path, capsys):
    """The officer could not tell the verdict, or would take an unproven end for a proven one."""
    ledger = HandLedger([2, 3])
    path = ledger.export(tmp_path / "export.jsonl")
    code, out, err = run(capsys, path, "--key", VKEY)
    assert (code, err) == (0, "")
    assert "検証成功: 5 records are whole" in out
    assert "end not proven / 末尾は未証明" in out
    note = tmp_path / "checkpoint"
    note.write_bytes(ledger.records[-1].checkpoint)
    code, out, _ = run(capsys, path, "--key", VKEY, "--checkpoint", note)
    assert code == 0
    assert "not proven" not in out


@pytest.mark.req("A-27")
def test_a_changed_ledger_names_the_record_and_what_to_do(tmp_path, capsys):
    """The auditor would know that something is wrong and not where, or what to do next."""
    path = HandLedger([1, 1, 1]).export(tmp_path / "export.jsonl")
    path.write_bytes(path.read_bytes().replace("区画1".encode(), "区画9".encode()))
    code, out, _ = run(capsys, path, "--key", VKEY)
    assert code == 1
    assert "検証失敗: record 1, body" in out
    assert "What to do" in out
    code, out, _ = run(capsys, path, "--key", VKEY, "--json")
    answer = json.loads(out)
    assert code == 1
    assert (answer["verdict"], answer["problem"]["index"], answer["problem"]["part"]) == ("bad", 1, "body")


def test_the_key_may_stand_in_a_file(tmp_path, capsys):
    """A key typed by hand is a key mistyped."""
    path = HandLedger([1]).export(tmp_path / "export.jsonl")
    (tmp_path / "key").write_text(f"{VKEY}\n", "utf-8")
    assert run(capsys, path, "--key", tmp_path / "key")[0] == 0


@pytest.mark.parametrize(
    ("cut", "kind"),
    [(0.97, "cut off"), (0.5, "cut off"), (0.002, "changed")],
    ids=["in its last line", "in the middle", "in its first line"],
)
def test_a_copy_that_was_cut_off_is_told_from_a_rewritten_one(tmp_path, capsys, cut, kind):
    """A full USB stick is reported to the ministry as a forgery."""
    path = HandLedger([1] * 9).export(tmp_path / "export.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    code, out, _ = run(capsys, path, "--key", VKEY, "--json")
    problem = json.loads(out)["problem"]
    assert (code, problem["kind"]) == (1, kind)
    assert ("export it again" in problem["what"]) == (kind == "cut off")
    assert ("is this an export" in problem["what"]) == (kind == "changed")


def test_the_proof_of_one_record_is_no_forged_ledger(tmp_path, capsys):
    """An auditor is handed one record with its proof, and this says that the log was rewritten."""
    for text in ("c2sp.org/tlog-proof@v1\nextra e30=\nindex 5\n", '{"seq": 5, "leaf": "{}", "path": ["AAAA"]}\n'):
        (tmp_path / "proof").write_text(text)
        code, out, err = run(capsys, tmp_path / "proof", "--key", VKEY)
        assert (code, out) == (3, "")
        assert "check-proof" in err and "一件の証明" in err
    path = HandLedger([1]).export(tmp_path / "export.jsonl")
    path.write_bytes(b'{"path": []}\n' + path.read_bytes())
    assert run(capsys, path, "--key", VKEY)[0] == 1, "a line put before an export hides nothing"


def test_what_was_typed_wrongly_is_said_in_japanese_too(tmp_path, capsys):
    """The auditor reads Japanese, and copies the code a fourth time without looking at its last letter."""
    ledger = HandLedger([1])
    path = ledger.export(tmp_path / "export.jsonl")
    code = code_of(ledger.records[-1].checkpoint.decode().partition("\n\n")[0] + "\n")
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    for given, told in (
        (["--key", VKEY, "--code", wrong], "写し間違い"),
        (["--key", VKEY, "--code", "12"], "符号は"),
        (["--key", "nothing"], "鍵は"),
        (["--key", Witness().vkey], "--witness で"),
    ):
        assert told in run(capsys, path, *given)[2]
    assert "名前と権限" in run(capsys, tmp_path / "nowhere", "--key", VKEY)[2]


@pytest.mark.req("A-27")
def test_exit_codes_tell_misuse_from_a_bad_ledger(tmp_path, capsys):
    """A script that watches the log would take a typing mistake for a break-in, or a break-in for nothing."""
    ledger = HandLedger([1, 1])
    path = ledger.export(tmp_path / "export.jsonl")
    strange, note = tmp_path / "strange.db", tmp_path / "note"
    with contextlib.closing(sqlite3.connect(strange)) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    note.write_text(Signer(seed=bytes(32)).checkpoint(ledger.leaves), "utf-8")
    (tmp_path / "empty").write_bytes(b"")
    cases = [
        ([path], 2),  # no key
        ([path, "--key", "sekisho.example/tests+0000"], 2),
        ([path, "--key", VKEY.replace("+", "+0", 1)], 2),
        ([path, "--key", VKEY[:-3] + "AA="], 2),
        ([path, "--key", VKEY, "--checkpoint", path], 2),
        ([path, "--key", VKEY, "--checkpoint", note], 2),  # signed by somebody else
        ([path, "--key", VKEY, "--checkpoint", tmp_path / "absent"], 3),
        ([tmp_path / "absent", "--key", VKEY], 3),
        ([tmp_path, "--key", VKEY], 3),
        ([strange, "--key", VKEY], 3),
        ([tmp_path / "empty", "--key", VKEY], 1),
        ([path, "--key", Signer(seed=bytes(32)).vkey], 1),
        ([path, "--key", VKEY], 0),
    ]
    for arguments, code in cases:
        assert run(capsys, *arguments)[0] == code, arguments
        assert run(capsys, *arguments, "--json", "--pure-python")[0] == code, arguments


@pytest.mark.req("A-27")
def test_it_runs_alone_on_a_bare_python(tmp_path):
    """The auditor's laptop has Python and one file from us, and must need nothing else."""
    shutil.copy(verify.__file__, tmp_path / "verify.py")
    path = HandLedger([1, 2]).store(tmp_path / "ledger.db")
    command = [sys.executable, "-I", "-S", "verify.py", str(path), "--key", VKEY, "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["verdict"], answer["signatures_by"]) == ("ok", "pure Python")


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("UPDATE record SET seq = seq")
connection.commit()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.req("A-25", "A-27")
def test_a_running_controllers_ledger_is_left_alone(tmp_path, capsys):
    """Checking the log would stall the doors, or read a half-written page and cry wolf."""
    path = HandLedger([1, 2]).store(tmp_path / "ledger.db")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        code, _, err = run(capsys, path, "--key", VKEY)
        assert code == 3
        assert "sekisho ledger export" in err
        holder.stdin.close()
        holder.wait()
    assert run(capsys, path, "--key", VKEY)[0] == 0


@pytest.mark.req("A-27")
def test_a_file_written_to_meanwhile_is_no_evidence(tmp_path):
    """A controller that starts during the check would be accused of tampering."""
    path = HandLedger([verify.PROGRESS_EVERY]).export(tmp_path / "export.jsonl")

    def write(_records, _done):
        with path.open("ab") as file:
            file.write(b"\n")

    with pytest.raises(verify.CannotRun):
        verify.verify_file(path, verify.parse_key(VKEY), on_progress=write)


def test_progress_is_shown_where_somebody_watches(tmp_path, capsys, monkeypatch):
    """A check of an hour that says nothing would be stopped by hand."""
    path = HandLedger([verify.PROGRESS_EVERY]).export(tmp_path / "export.jsonl")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, out, err = run(capsys, path, "--key", VKEY)
    assert code == 0
    assert f"{verify.PROGRESS_EVERY} records, 100%" in err
    assert "records/s" in err and "s left" in err
    assert "\r" not in out


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
def test_memory_does_not_grow_with_the_ledger(tmp_path, form, monkeypatch):
    """Ten years of a busy site would not fit into an auditor's laptop."""
    monkeypatch.setattr(verify, "SPAN", 256)  # what is held at once
    monkeypatch.setattr(verify, "PARTS_MAX", 64)  # texts that are kept in mind
    small, large = HandLedger([256]), HandLedger([256] * 4)
    peaks = []
    for ledger in (small, large, small, large):
        path = getattr(ledger, form)(tmp_path / f"{len(peaks)}")
        tracemalloc.start()
        assert verify.verify_file(path, verify.parse_key(VKEY)).verdict == "ok"
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[3] < peaks[2] + 64 * 1024


@pytest.mark.req("A-27")
def test_what_was_kept_outside_is_given_by_name_or_file_and_told_in_words(tmp_path, capsys):
    """The officer would have a key on paper and no way to say so, or a verdict without how far it goes."""
    ledger = HandLedger([2, 3])
    code = code_of(Signer().text(ledger.leaves[:2]))
    ledger.rotate(Signer(seed=bytes(32)))
    ledger.cosign(Witness(), 5)
    path = ledger.store(tmp_path / "ledger.db")
    (tmp_path / "witness").write_text(f"{Witness().vkey}\n", "utf-8")
    arguments = (path, "--key", VKEY, "--witness", tmp_path / "witness", "--code", code)
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    for told in ("end proven", "vouches up to record 5, 2026-09-21T14:13:20Z", "立会人", "Key changed at record 5"):
        assert told in out
    status, out, _ = run(capsys, *arguments, "--json", "--quick")
    answer = json.loads(out)
    assert status == 0
    assert (answer["form"], answer["end"], answer["findings_count"]) == ("database", "proven", 0)
    assert [(one["witness"], one["record"]) for one in answer["witnesses"]] == [("witness.example/w1", 5)]
    assert [(one["first"], one["last"]) for one in answer["keys"]] == [(0, 5), (5, 5)]
    assert answer["signatures"] == "last checkpoint and key changes"
    for wrong in (("--witness", VKEY), ("--code", f"9{code}"), ("--code", "x"), ("--processes", "many")):
        assert run(capsys, path, "--key", VKEY, *wrong)[0] == 2
    assert run(capsys, path, "--key", Witness().vkey)[0] == 2


@pytest.mark.req("A-27")
def test_a_quick_look_misses_no_change_of_the_history(tmp_path, capsys):
    """Ten years of signatures take a night on a laptop; the short way would let a rewritten record through."""
    for spoil in ("body", "checkpoint", "last signature"):
        ledger = HandLedger([1, 2, 2])
        record = ledger.records[-1 if spoil == "last signature" else 2]
        if spoil == "body":
            record.body = record.body.replace(b"DENIED", b"REFUSE")
        elif spoil == "checkpoint":
            record.checkpoint = record.checkpoint.replace(b"\n3\n", b"\n4\n")
        else:
            record.checkpoint = record.checkpoint[:-5] + b"AAA=\n"
        path = ledger.export(tmp_path / spoil)
        status, out, _ = run(capsys, path, "--key", VKEY, "--quick")
        assert (status, f"record {record.seq}" in out or f"to {record.seq}" in out) == (1, True), out


@pytest.mark.req("A-27")
def test_a_database_whose_schema_is_damaged_gets_a_verdict(tmp_path, capsys):
    """SQLite names what it cannot read in bytes that are no text, and the auditor would get a traceback."""
    path = HandLedger([1, 2]).store(tmp_path / "ledger.db")
    whole = path.read_bytes()
    start = whole.index(b"CREATE TABLE record")
    for at in range(start, start + 110):
        path.write_bytes(whole[:at] + b"\xd2" + whole[at + 1 :])
        code, out, _ = run(capsys, path, "--key", VKEY, "--json")
        assert code in (0, 1, 3) and json.loads(out)["verdict"] in ("ok", "bad", "cannot run")
    path.write_bytes(whole)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO record VALUES (9223372036854775807, x'00', NULL, NULL, NULL)")
    connection.close()
    code, out, _ = run(capsys, path, "--key", VKEY, "--json", "--processes", "1")
    assert (code, json.loads(out)["problem"]["index"]) == (1, 3)


def test_a_console_without_japanese_still_gets_its_verdict(tmp_path):
    """The verdict on an old Windows console would be a traceback."""
    path = HandLedger([1]).export(tmp_path / "export.jsonl")
    command = [sys.executable, verify.__file__, str(path), "--key", VKEY]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 records are whole" in done.stdout


def test_help_tells_an_auditor_what_to_do(capsys):
    """The one file would lie on a laptop and nobody would know how to use it."""
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert "for an auditor" in out and "監査の手順" in out


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
def test_several_processes_say_what_one_says(tmp_path, form, monkeypatch):
    """A long ledger, which nobody reads by eye, would be looked at less closely than a short one."""
    monkeypatch.setattr(verify, "SPAN", 256)
    monkeypatch.setattr(verify, "ALONE_MAX", 256)
    ledger = HandLedger([300, 300])
    ledger.rotate(Signer(seed=bytes(32)))
    ledger.commit({"type": "REX", "v": 1})
    key = verify.parse_key(VKEY)
    for name in ("whole", "changed"):
        path = getattr(ledger, form)(tmp_path / name)
        one, two = (verify.verify_file(path, key, how=verify.How(processes=count)) for count in (1, 2))
        assert (one.processes, two.processes) == (1, 2)
        assert (one.problem, one.root, one.keys) == (two.problem, two.root, two.keys)
        assert (one.problem is None) is (name == "whole")
        ledger.records[400].body = b"{}"
    assert one.problem is not None and one.problem.index == 400
