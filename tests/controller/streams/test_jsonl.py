"""controller/streams/jsonl.py: an archive that is an export, whatever crashes, fills up or is unmounted."""

from __future__ import annotations

import json
import logging
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.link.messages import Record
from controller.streams import jsonl
from controller.streams.jsonl import JsonlSection, JsonlSink
from controller.streams.outgoing import Outgoing, outgoing
from controller.streams.sinks import SinkDown
from sekisho import verify
from tests.controller.streams.made_ledger import ORIGIN, START_MS, Day, made
from tests.sekisho.ledger_by_hand import HandLedger, Signer

HOUR_MS = 3_600_000
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SIGNER = Signer(origin=ORIGIN)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def sink_of(folder: Path, **settings: object) -> JsonlSink:
    section = JsonlSection(**({"name": "archive", "folder": folder} | settings))
    return jsonl.build(section, folder.parent)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def seqs(folder: Path) -> list[int]:
    return [json.loads(line)["seq"] for file in files(folder) for line in lines(file)]


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def why_down(sink: JsonlSink, *batch: Outgoing) -> str:
    with pytest.raises(SinkDown) as down:
        sink.deliver(batch)
    return down.value.code


@pytest.mark.req("A-28")
def test_an_hour_away_and_back(in_memory):
    """The share at head office is unmounted for an hour; the archive lacks that hour, or has some of it twice."""
    folder, day = in_memory / "archive", Day(ends_ms=0)
    folder.mkdir()
    day.records_every(10_000, 2 * HOUR_MS)
    away = in_memory / "away"
    day.at(600_000, lambda: (folder.rename(away), folder.mkdir()))  # what is left is an empty mount point
    day.at(600_000 + HOUR_MS, lambda: (folder.rmdir(), away.rename(folder)))
    section = JsonlSection(name="archive", folder=folder, file_bytes_max=100_000)
    for start in range(5):  # and the program is started five times
        sink = sink_of(folder, file_bytes_max=100_000)
        day.carry(section, sink, in_memory / "archive.cursor", until_ms=(start + 1) * 1_500_000)
        sink.close()
    assert seqs(folder) == list(range(len(day.records)))
    assert [(one.code, one.why) for one in day.told] == [("SINK_LOST", "storage"), ("SINK_RESTORED", "")]
    assert len(files(folder)) > 3


def by_hand(count: int) -> list[Outgoing]:
    """Records that were signed, as a sink gets them."""
    ledger = HandLedger(commits=[2] * (count // 2), signer=SIGNER)
    lines = [json.loads(one.line()) for one in ledger.records]
    return [outgoing(Record(**line), ORIGIN, 1_790_000_000_000) for line in lines]


@pytest.mark.req("A-27", "A-28")
def test_the_files_one_after_the_other_are_an_export(folder, tmp_path, capsys):
    """The auditor's program does not read what the archive holds, and nobody noticed until he came."""
    sink, records = sink_of(folder, file_bytes_max=4096), by_hand(40)
    for at in range(0, 40, 7):
        assert sink.deliver(records[at : at + 7]) == len(records[at : at + 7])
    sink.close()
    assert len(files(folder)) > 2
    assert files(folder)[1].name.startswith("sekisho.example_lab-0000000000")
    whole = tmp_path / "whole.jsonl"
    whole.write_bytes(b"".join(file.read_bytes() for file in files(folder)))
    assert verify.main([str(whole), "--key", SIGNER.vkey]) == 0, capsys.readouterr().out
    assert all(file.stat().st_size <= 4096 for file in files(folder))


def power_goes(folder: Path, before: dict[Path, int], share: float, *, is_listed: bool) -> None:
    """Of what was written since `before`, only the first `share` reached the disk; of a file that was just begun
    nothing, or not even its name.
    """
    left = round(share * (sum(file.stat().st_size for file in files(folder)) - sum(before.values())))
    for file in files(folder):
        fresh = min(left, file.stat().st_size - before.get(file, 0))
        os.truncate(file, before.get(file, 0) + fresh)
        left -= fresh
        if file.stat().st_size == 0 and not is_listed:
            file.unlink()


@pytest.mark.req("A-28")
@given(steps=st.lists(st.tuples(st.integers(1, 9), st.none() | st.floats(0, 1), st.booleans()), max_size=10))
@settings(max_examples=60)
def test_a_crash_in_the_middle_of_a_line_leaves_no_gap_and_no_double(steps):
    """The power goes while a line is written; later half a record stands in the middle of the archive."""
    with TemporaryDirectory(dir=MEMORY) as place:
        folder = Path(place) / "archive"
        folder.mkdir()
        records, acknowledged = by_hand(40), 0
        for count, share, is_listed in [*steps, (40, None, True)]:
            before = {file: file.read_bytes().rfind(b"\n") + 1 for file in files(folder)}  # whole lines
            sink = sink_of(folder, file_bytes_max=4096)
            batch = records[acknowledged : acknowledged + count]
            if batch:
                sink.deliver(batch)
            sink.close()
            if share is None:
                acknowledged += len(batch)
            else:
                power_goes(folder, before, share, is_listed=is_listed)
        assert seqs(folder) == list(range(40))


def test_what_was_cut_off_is_told(folder, caplog):
    """Bytes vanish from an archive and nobody is told."""
    sink = sink_of(folder)
    sink.deliver([made(0), made(1)])
    sink.close()
    with files(folder)[0].open("ab") as file:
        file.write(b'{"seq":2,"leaf":"{\\"bo')
    with caplog.at_level(logging.WARNING):
        assert sink.deliver([made(1), made(2)]) == 2
    sink.close()
    assert seqs(folder) == [0, 1, 2]
    assert "22 bytes that were half-written are cut off" in caplog.text


@pytest.mark.req("A-28")
def test_an_empty_mount_point_is_no_archive(folder, tmp_path):
    """The share is not mounted after a restart; records go to the SD card under it until that is full."""
    sink = sink_of(folder)
    sink.deliver([made(0)])
    sink.close()
    folder.rename(tmp_path / "elsewhere")
    assert why_down(sink, made(1)) == "storage"
    folder.mkdir()
    assert why_down(sink, made(1)) == "storage"
    assert list(folder.iterdir()) == []
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    assert sink.deliver([made(1)]) == 1
    sink.close()
    assert seqs(folder) == [0, 1]


@pytest.mark.req("A-28")
@pytest.mark.parametrize("what", ["folder", "file", "mounted over"])
def test_what_goes_away_under_a_running_sink_is_noticed_before_anything_is_acknowledged(folder, tmp_path, what):
    """Somebody tidies up, or a share goes away: records are written to files that nobody can open, and acknowledged."""
    sink = sink_of(folder)
    sink.deliver([made(0), made(1)])
    if what == "file":
        files(folder)[-1].rename(tmp_path / "tidied")
    else:
        folder.rename(tmp_path / "elsewhere")
    if what == "mounted over":
        folder.mkdir()
    assert why_down(sink, made(2)) == ("foreign_archive" if what == "file" else "storage")
    if what == "file":
        assert sink.deliver([made(0), made(1), made(2)]) == 3, "sent again from the start, it takes what it lacks"
    else:
        if what == "mounted over":
            folder.rmdir()
        (tmp_path / "elsewhere").rename(folder)
        assert sink.deliver([made(2)]) == 1
    sink.close()
    assert seqs(folder) == [0, 1, 2]


def test_two_sinks_do_not_share_a_folder(folder):
    """Two programs write into one file, and each takes the other's records for its own."""
    sink = sink_of(folder)
    sink.deliver([made(0)])
    sink.close()
    other = sink_of(folder, name="other")
    assert why_down(other, made(0)) == "foreign_archive"


@pytest.mark.req("A-27", "A-28")
def test_another_record_under_the_same_number_is_refused(folder):
    """After a rollback the archive goes on as if nothing had been, and holds two histories in one."""
    sink = sink_of(folder, file_bytes_max=4096)
    for seq in range(20):
        sink.deliver([made(seq)])
    for seq in (2, 19):
        assert why_down(sink, made(seq, node="forged"), made(seq + 1)) == "foreign_archive"
    assert sink.deliver([made(seq) for seq in range(1, 22)]) == 21
    sink.close()
    assert seqs(folder) == list(range(22))


@pytest.mark.req("A-28")
def test_records_that_were_taken_out_are_noticed_with_the_next(folder):
    """Somebody deletes the last file of the archive, and the gap is found by the auditor a year later."""
    sink = sink_of(folder, file_bytes_max=4096)
    for seq in range(20):
        sink.deliver([made(seq)])
    sink.close()
    files(folder)[-1].unlink()
    assert why_down(sink, made(20)) == "foreign_archive"
    assert sink.deliver([made(seq) for seq in range(21)]) == 21, "sent again from the start, it takes what it lacks"
    sink.close()
    assert seqs(folder) == list(range(21))


def test_older_files_may_be_moved_away(folder, tmp_path):
    """Whoever puts last year's files on tape stops the archive."""
    sink = sink_of(folder, file_bytes_max=4096)
    for seq in range(20):
        sink.deliver([made(seq)])
    sink.close()
    files(folder)[0].rename(tmp_path / "tape")
    assert sink.deliver([made(0), made(19), made(20)]) == 3
    sink.close()


def test_a_new_day_begins_a_new_file(folder):
    """One file grows for ever, and cannot be handed over by day."""
    sink = sink_of(folder)
    sink.deliver([made(seq, at_ms=START_MS + seq * 8 * HOUR_MS) for seq in range(9)])
    sink.close()
    sink.deliver([made(9, at_ms=START_MS + 8 * 8 * HOUR_MS + 1)])
    sink.close()
    days = [
        {json.loads(json.loads(one)["body"])["at_ms"] // (24 * HOUR_MS) for one in lines(file)}
        for file in files(folder)
    ]
    assert len(days) >= 3
    assert all(len(found) == 1 for found in days)
    assert seqs(folder) == list(range(10))


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """A disk on which files end at so many bytes: the system writes what fits, and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size < 0 else size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.req("A-23", "A-28")
def test_a_full_disk_acknowledges_nothing_and_loses_nothing(folder, full_disk):
    """The archive's disk is full; the cursor moves on over records that were never written."""
    sink = sink_of(folder)
    sink.deliver([made(0)])
    size = files(folder)[0].stat().st_size
    full_disk(size + size // 2)
    for _ in range(3):
        assert why_down(sink, made(1), made(2)) == "storage"
    full_disk(-1)
    assert sink.deliver([made(1), made(2)]) == 2
    sink.close()
    assert seqs(folder) == [0, 1, 2]
