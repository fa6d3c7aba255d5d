"""A start finds what is wrong with the end of its ledger, names the record and repairs nothing."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest

from controller.ledger.checkpoint import SigningKey
from controller.ledger.errors import LedgerDamaged

SIZE = 600  # two whole tiles and a tail of 88
COLUMNS = ("leaf", "salt", "body", "checkpoint")


@pytest.fixture
def written(site, path):
    """Commits of 1, 2 and 3 records in turn: the last three share one, and 595 to 596 one before."""
    with site.opens(path) as ledger:
        while ledger.size < SIZE:
            for count in (1, 2, 3):
                ledger.append(site.drafts(count))
    return path


def changes(path, *statements):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(*statement)


def is_refused(site, path):
    before = path.read_bytes()
    with pytest.raises(LedgerDamaged, match="run `sekisho verify") as caught:
        site.opens(path)
    assert path.read_bytes() == before, "a damaged ledger is evidence"
    return caught.value


@pytest.mark.req("A-27")
@pytest.mark.parametrize("column", COLUMNS)
def test_any_byte_of_any_record_of_the_tail(site, written, tmp_path, column):
    """An altered record would be signed over by the next commit."""
    with contextlib.closing(sqlite3.connect(written)) as connection:
        rows = connection.execute(f"SELECT seq, {column} FROM record WHERE seq >= 594").fetchall()
    for seq, held in rows:
        if held is None:
            continue
        for index in sorted(site.random.sample(range(len(held)), min(len(held), 12))):
            copy = tmp_path / "copy.db"
            shutil.copy(written, copy)
            flipped = held[:index] + bytes([held[index] ^ (1 << site.random.randrange(8))]) + held[index + 1 :]
            changes(copy, (f"UPDATE record SET {column}=? WHERE seq=?", (flipped, seq)))
            assert f"record {seq}" in str(is_refused(site, copy)), (column, index)


@pytest.mark.req("A-27")
@pytest.mark.parametrize(
    "statement, seq, says",
    [
        ("DELETE FROM record WHERE seq=0", 0, "record 0 is missing"),
        ("DELETE FROM record WHERE seq=598", 598, "record 598 is missing"),
        ("DELETE FROM record WHERE seq=599", 597, "record 597: no checkpoint"),
        ("DELETE FROM record WHERE seq>=598", 597, "record 597: no checkpoint"),
        ("UPDATE record SET checkpoint=NULL WHERE seq=599", 597, "no checkpoint"),
        ("UPDATE record SET seq=-1 WHERE seq=0", 0, "record -1"),
        ("UPDATE record SET seq=700 WHERE seq=599", 599, "record 599 is missing"),
        ("UPDATE record SET body=NULL WHERE seq=590", 590, "record 590: salt and body"),
        ("UPDATE record SET salt=NULL WHERE seq=590", 590, "record 590: salt and body"),
        ("UPDATE record SET salt=x'00' WHERE seq=590", 590, "record 590: salt and body"),
        ("UPDATE record SET leaf=x'' WHERE seq=590", 590, "record 590: its leaf"),
        (
            "UPDATE record SET leaf=CAST(replace(CAST(leaf AS TEXT), 'access', 'alarm') AS BLOB) WHERE seq=598",
            597,
            "one of the records 597 to 599",
        ),
        ("UPDATE record SET leaf=CAST(' ' || CAST(leaf AS TEXT) AS BLOB) WHERE seq=550", 550, "canonical"),
        (
            "UPDATE record SET checkpoint=(SELECT checkpoint FROM record WHERE seq=596) WHERE seq=599",
            597,
            "its size is not 600",
        ),
        ("UPDATE tile SET hash=zeroblob(32) WHERE number=1", None, "checkpoint of record"),
        ("DELETE FROM tile WHERE number=0", 0, "tile 1/0 (records 0 to 255) is missing"),
        ("INSERT INTO tile VALUES (1, 2, zeroblob(32))", 600, "tile 1/2"),
        ("INSERT INTO tile VALUES (0, 1, zeroblob(32))", 600, "tile 0/1"),
        ("DELETE FROM record", 0, "tile 1/1 is of records that are not there"),
    ],
)
def test_what_was_done_to_it_is_named(site, written, statement, seq, says):
    """The officer would be told that something is wrong somewhere."""
    changes(written, (statement,))
    error = is_refused(site, written)
    assert says in str(error)
    if seq is not None:
        assert error.seq == seq


@pytest.mark.req("A-27")
def test_two_records_changed_places(site, written):
    """Who came first would be a matter of who had the file."""
    changes(
        written,
        ("UPDATE record SET seq=9999 WHERE seq=580",),
        ("UPDATE record SET seq=580 WHERE seq=581",),
        ("UPDATE record SET seq=581 WHERE seq=9999",),
    )
    assert is_refused(site, written).seq == 580


def test_a_tile_that_ends_the_ledger_is_held_against_its_records(site, path):
    """With a size that is a multiple of 256, the last records would not be looked at."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(512))
    changes(path, ("UPDATE tile SET hash=zeroblob(32) WHERE number=1",))
    error = is_refused(site, path)
    assert "tile 1/1 (records 256 to 511) does not match" in str(error)
    assert error.seq == 256


def test_another_key_does_not_go_on_with_the_ledger(site, site_of, written):
    """An exchanged key file would end the proof without a word."""
    other = site_of()
    other.key = SigningKey.from_seed(bytes(32))
    assert "signature is by key" in str(is_refused(other, written))


@pytest.mark.req("A-27")
def test_a_page_of_the_file_turned_to_junk(site, written):
    """A dying card would be a traceback, or a new start from nothing."""
    junk = bytearray(written.read_bytes())
    end = len(junk) // 4096 * 4096
    for page in range(4096, end, 4096):
        junk[page : page + 8] = b"\xff" * 8
    written.write_bytes(junk)
    is_refused(site, written)


def test_a_ledger_cut_at_an_earlier_checkpoint_is_whole_in_itself(site, written):
    """The page would promise more than one box can know: a cut is found against an outside checkpoint alone."""
    changes(written, ("DELETE FROM record WHERE seq>=597",))
    with site.opens(written) as ledger:
        assert ledger.size == 597
