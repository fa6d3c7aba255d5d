"""`sekisho streams report`: what arrived late, and what lacks, in words for both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.streams import jsonl
from controller.streams.jsonl import JsonlSection
from sekisho.cli import main
from sekisho.streams_report import duration
from tests.controller.streams.made_ledger import START_MS, made

HOUR_MS = 3_600_000


@pytest.fixture
def folder(tmp_path) -> Path:
    """Records 0 to 811 in time, 812 to 840 three hours late, 841 to 850 in time."""
    (tmp_path / "archive").mkdir()
    write(tmp_path / "archive", range(812))
    write(tmp_path / "archive", range(812, 830), late_ms=3 * HOUR_MS)
    write(tmp_path / "archive", range(830, 841), late_ms=2 * HOUR_MS)
    write(tmp_path / "archive", range(841, 851))
    return tmp_path / "archive"


def write(folder: Path, seqs: range, *, late_ms: int = 0, **fields: object) -> None:
    sink = jsonl.build(JsonlSection(name="archive", folder=folder, file_bytes_max=100_000, **fields), folder.parent)
    sink.deliver([made(seq, START_MS + late_ms) for seq in seqs])
    sink.close()


def told(capsys, *arguments: str) -> tuple[int, str]:
    status = main(["streams", "report", *arguments])
    return status, capsys.readouterr().out


@pytest.mark.req("A-28")
def test_what_was_late_is_told_and_that_nothing_is_missing(folder, capsys):
    """The officer is asked whether the night of the outage is complete, and nobody can say."""
    status, out = told(capsys, str(folder), "--lang", "en")
    assert status == 0
    assert "records 812 to 840 arrived 3 h late, none missing" in out
    assert "0 missing, 0 double" in out
    status, out = told(capsys, str(folder), "--lang", "ja")
    assert "記録 812〜840 は最大 3時間 遅れて到着、欠落なし" in out
    status, out = told(capsys, str(folder), "--json")
    answer = json.loads(out)["archives"][0]
    assert answer["late"] == [{"first": 812, "last": 840, "late_ms": 3 * HOUR_MS, "missing": 0}]
    assert (answer["first"], answer["last"], answer["count"], answer["is_whole"]) == (0, 850, 851, True)


@pytest.mark.req("A-28")
def test_what_lacks_is_double_or_damaged_is_named(folder, capsys):
    """Somebody took a line out of the archive, and the report says that all is well."""
    newest = max(folder.glob("*.jsonl"))
    lines = newest.read_bytes().splitlines(keepends=True)
    numbers = [json.loads(line)["seq"] for line in lines]
    at = numbers.index(820)
    newest.write_bytes(b"".join([*lines[:at], *lines[at + 2 :], lines[at - 1], lines[-1][:40] + b"\n"]))
    status, out = told(capsys, str(folder), "--lang", "en")
    assert status == 1
    assert "missing: 820-821" in out
    assert "double: 819" in out
    assert f"damaged: {newest.name}, line {len(lines)}" in out
    assert "2 of them missing" in out


def test_what_was_noted_as_late_and_never_came_is_missing(folder, capsys):
    """The last lines of the archive are cut off, and the report says that they arrived late."""
    with next(folder.glob("*.late")).open("ab") as late:
        late.write(b'\n{"first":849,"last":853,"count":5,"at_ms":1,"late_ms":60000}\n{"first":8')
    _, out = told(capsys, str(folder), "--lang", "en")
    assert "records 849 to 853 arrived 1 min late, 3 of them missing" in out


def test_a_filtered_archive_claims_nothing(tmp_path, capsys):
    """Gaps that a filter made are taken for losses, or losses for a filter's gaps."""
    (tmp_path / "archive").mkdir()
    write(tmp_path / "archive", range(0, 30, 5), types=("DOOR_FORCED",))
    status, out = told(capsys, str(tmp_path / "archive"), "--lang", "en")
    assert status == 0
    assert "gaps say nothing" in out


def test_misuse_and_what_is_not_there(tmp_path, capsys):
    """A report on a folder that is not mounted says that nothing is missing."""
    assert told(capsys)[0] == 2
    assert told(capsys, str(tmp_path / "nowhere"))[0] == 3
    (tmp_path / "empty").mkdir()
    assert told(capsys, str(tmp_path / "empty"))[0] == 1


@pytest.mark.parametrize(
    ("ms", "ja", "en"),
    [
        (900, "1秒未満", "under 1 s"),
        (61_000, "1分1秒", "1 min 1 s"),
        (97_200_000, "1日3時間", "1 d 3 h"),
        (86_400_000, "1日", "1 d"),
    ],
)
def test_how_long(ms, ja, en):
    """Three hours read as three days."""
    assert duration(ms) == (ja, en)
