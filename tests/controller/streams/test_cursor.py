"""The file that a sink's place is kept in: whole or the one before, never half."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from controller.streams.cursor import Cursor, load, save
from controller.streams.sinks import SinkDown


def cursor(seq: int) -> Cursor:
    return Cursor(v=1, origin="sekisho.example/lab", vkey="k", seq=seq, leaf="00" * 32)


def test_a_full_disk_leaves_the_place_that_was_kept(tmp_path: Path):
    """The disk fills up in the middle of a cursor; at the next start everything is sent again, or nothing."""
    path = tmp_path / "archive.cursor"
    save(path, cursor(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(SinkDown) as down:
            save(path, cursor(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert down.value.code == "cursor"
    assert load(path) == cursor(1)
    save(path, cursor(3))
    assert load(path) == cursor(3)


def test_a_cursor_is_replaced_and_never_written_over(tmp_path: Path):
    """The power goes while a cursor is written over, and neither the old place nor the new one is left."""
    path = tmp_path / "archive.cursor"
    save(path, cursor(1))
    with path.open("rb") as before:
        save(path, cursor(2))
        assert b'"seq":1' in before.read(), "whoever holds the old one still has it whole"
    assert load(path) == cursor(2)
    assert [file.name for file in tmp_path.iterdir()] == ["archive.cursor"]


@pytest.mark.parametrize(
    "held", [b"", b"{}", b'{"v":2}', b"\xff", b'{"v":1,"origin":"a","vkey":"b","seq":-2}', b"[" * 9]
)
def test_what_is_no_cursor_is_refused(tmp_path: Path, held: bytes):
    """A damaged file is taken for a new sink, and years of records are sent again."""
    path = tmp_path / "archive.cursor"
    path.write_bytes(held)
    with pytest.raises(SinkDown, match="move it away") as down:
        load(path)
    assert down.value.code == "cursor"
