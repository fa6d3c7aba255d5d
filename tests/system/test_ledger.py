"""What a site leaves behind proves itself, and gives away every byte that was changed."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sekisho import cli, verify
from tests.system.parts import ROOT, eventually
from tests.system.site import SATO, STRANGER, SUZUKI, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]


def sekisho(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sekisho", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def busy(site: Site) -> None:
    site.enters(SATO, "front")
    site.badges(STRANGER, "front")
    site.badges(SUZUKI, "vault", wait_ms=300)
    site.building.rex("server", walk=False)
    site.officer_releases("front")
    site.recorded("RELEASED", portal="front")


def verdict(capsys, *arguments: str) -> tuple[int, dict]:
    capsys.readouterr()
    status = verify.main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.req("A-27")
def test_an_export_proves_itself_and_names_a_changed_record(site, capsys):
    """A record is changed after the fact, and the auditor's laptop says that all is well."""
    busy(site)
    export, key = site.folder / "export.jsonl", site.folder / "key"
    assert sekisho("ledger", "export", str(export), "--socket", str(site.socket)).returncode == 0
    key.write_text(sekisho("ledger", "key", "--socket", str(site.socket)).stdout)
    done = sekisho("verify", str(export), "--key", str(key))
    assert done.returncode == 0, done.stdout + done.stderr

    lines = export.read_text("utf-8").splitlines()
    die = random.Random(27)
    for number, line in enumerate(lines):
        record = json.loads(line)
        part = die.choice([name for name in ("leaf", "salt", "body") if name in record])
        at = die.randrange(len(record[part]))
        old = record[part][at]
        record[part] = record[part][:at] + ("x" if old != "x" else "y") + record[part][at + 1 :]
        changed = [*lines]
        changed[number] = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        export.write_text("\n".join(changed) + "\n", "utf-8")
        status, answer = verdict(capsys, str(export), "--key", str(key))
        assert status == 1, f"{part} of record {number} was changed at {at}, and nobody noticed"
        assert answer["problem"]["index"] == number, answer


@pytest.mark.req("A-27")
def test_one_record_is_proven_by_console_and_web_process_alike(site, capsys):
    """An auditor who asks for one entry is handed everybody's, or has to take our word for it."""

    def typed(*words: object) -> str:
        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    site.enters(SATO, "front")
    ask = ("--socket", site.socket)
    key = typed("ledger", "key", *ask).strip()
    granted = site.found("ACCESS_GRANTED", portal="front")[0]["seq"]
    tiles, console, web = site.folder / "tiles", site.folder / "console.tlog-proof", site.folder / "web.json"
    typed("ledger", "tiles", tiles, *ask)
    typed("ledger", "prove", granted, "--out", console, "--tiles", tiles, *ask)
    api = site.api_starts()
    eventually(lambda: api.get("/health")["seq"] > granted, 20, "the web process has seen the record")
    web.write_text(json.dumps(api.get(f"/ledger/records/{granted}/proof?purpose=audit")))
    look = site.recorded("NOTE", kind="VIEW_PERSONAL")
    assert look["detail"]["purpose"] == "audit"
    for proof in (console, web):
        found = json.loads(typed("ledger", "check-proof", proof, "--key", key, "--json"))
        assert found["body"]["type"] == "ACCESS_GRANTED"
    code = typed("ledger", "code", *ask).strip()
    assert site.stops() == 0
    typed("verify", site.state_dir / "ledger.db", "--key", key, "--code", code)
    typed("verify", tiles, "--key", key)


@pytest.mark.req("A-27")
def test_the_file_of_a_stopped_controller_proves_itself_and_names_a_changed_record(site, capsys):
    """Whoever holds the SD card rewrites who was let in."""
    busy(site)
    key = sekisho("ledger", "key", "--socket", str(site.socket)).stdout.strip()
    assert site.stops() == 0
    ledger = site.state_dir / "ledger.db"
    whole = sekisho("verify", str(ledger), "--key", key)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    granted = site.found("ACCESS_GRANTED", portal="front")[0]["seq"]
    for column in ("body", "salt", "leaf"):
        copy = forged(ledger, site.folder / "forged.db", granted, column)
        status, answer = verdict(capsys, str(copy), "--key", key)
        assert status == 1
        assert answer["problem"]["index"] == granted, answer


def forged(ledger: Path, copy: Path, seq: int, column: str) -> Path:
    shutil.copy2(ledger, copy)
    with contextlib.closing(sqlite3.connect(copy)) as connection, connection:
        (old,) = connection.execute(f"SELECT {column} FROM record WHERE seq = ?", (seq,)).fetchone()
        new = bytes([*old[:-1], old[-1] ^ 1])
        connection.execute(f"UPDATE record SET {column} = ? WHERE seq = ?", (new, seq))
    connection.close()
    return copy


@pytest.mark.req("A-27", "B-12")
def test_a_damaged_ledger_keeps_the_doors_shut_until_the_rights_in_force_are_known(site, tmp_path):
    """The controller goes on writing behind a record that somebody changed, and so makes it look genuine."""
    busy(site)
    site.stops()
    ledger = site.state_dir / "ledger.db"
    with contextlib.closing(sqlite3.connect(ledger)) as connection, connection:
        (last,) = connection.execute("SELECT max(seq) FROM record").fetchone()
        forge = "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'LLER', 'LLED') AS BLOB) WHERE seq = ?"
        connection.execute(forge, (last,))
    connection.close()
    kept = site.state_dir / "site.db"
    kept.rename(kept.with_name("site.db.kept"))
    done = sekisho("controller", str(site.file))
    assert done.returncode == 3
    assert "ledger.db" in done.stderr and "--accept-set-aside" in done.stderr
    assert str(last) in done.stderr
    assert "Traceback" not in done.stderr
    kept.with_name("site.db.kept").rename(kept)
    site.launch().wait_said("armed")  # with site.db the rights in force are known: set aside, and told
    assert sekisho("ledger", "export", str(tmp_path / "log.jsonl"), "--socket", str(site.socket)).returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    aside = json.loads(lines[last]["body"])
    assert aside["type"] == "TAIL_SET_ASIDE" and aside["detail"]["first"] == last
    assert (site.state_dir / aside["detail"]["file"]).exists()
    assert json.loads(lines[last + 1]["body"])["type"] == "CONTROLLER_STARTED"
