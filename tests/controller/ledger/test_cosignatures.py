"""What witnesses signed, kept beside the records: it never changes the tree, and an older file learns to keep it."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from controller.ledger.errors import LedgerRefused

LINE = "— witness.example/north AAAAAAAA"


def as_version_1(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE cosignature")
        connection.execute("PRAGMA user_version=1")


@pytest.mark.req("A-27")
def test_a_cosignature_is_kept_and_changes_nothing_else(site, path):
    """A witness could move the ledger's head, or what it signed would be gone after a start."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        ledger.append(site.drafts())
        before = (ledger.size, ledger.root, ledger.checkpoint_text, ledger.read(0, 9))
        assert ledger.add_cosignature(3, "witness.example/south", LINE.replace("north", "south"))
        assert ledger.add_cosignature(3, "witness.example/north", LINE)
        assert not ledger.add_cosignature(3, "witness.example/north", LINE + "B")
        assert (ledger.size, ledger.root, ledger.checkpoint_text, ledger.read(0, 9)) == before
        ledger.append(site.drafts())
        assert ledger.add_cosignature(5, "witness.example/north", LINE)
    with site.opens(path) as ledger:
        first, second = ledger.cosigned(0, 10)
        assert first == (3, ledger.read(2, 1)[0].checkpoint.decode(), [LINE, LINE.replace("north", "south")])
        assert second == (5, ledger.checkpoint_text, [LINE])
        assert ledger.cosigned(0, 1) == [first]
        assert ledger.cosigned(4, 10) == [second]
        assert ledger.cosigned(6, 10) == []
        site.finds_whole(ledger)


@pytest.mark.parametrize(
    "size, line",
    [(0, LINE), (1, LINE), (4, LINE), (10**9, LINE), (3, ""), (3, LINE + "\n"), (3, LINE + "\n— b c")],
    ids=["nothing", "inside a commit", "later", "far later", "empty", "with its line end", "two lines"],
)
def test_a_cosignature_without_a_checkpoint_of_ours_is_refused(site, path, size, line):
    """A witness would vouch for a state that this ledger never was in."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        with pytest.raises(ValueError, match=r"checkpoint of size|one line"):
            ledger.add_cosignature(size, "witness.example/north", line)
        assert ledger.cosigned(0, 10) == []


def test_a_ledger_of_version_1_is_carried_over(site, path):
    """An upgrade would leave a site without its ledger, or a ledger that no witness can sign."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(300))
        records = ledger.read(0, 300)
    as_version_1(path)
    with site.opens(path) as ledger:
        assert ledger.read(0, 300) == records
        assert ledger.add_cosignature(300, "witness.example/north", LINE)
        ledger.append(site.drafts())
        site.finds_whole(ledger)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_file_of_version_1_that_cannot_be_carried_over_still_opens(site, path, monkeypatch):
    """An upgrade on a full disk would leave a site without its controller, and its exits without their buttons."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
    as_version_1(path)
    real = sqlite3.connect

    def on_a_full_disk(*arguments, **named):
        connection = real(*arguments, **named)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
        return connection

    with contextlib.closing(real(path, isolation_level=None)) as connection:
        connection.execute("VACUUM")  # no free page is left to put a table in
    monkeypatch.setattr(sqlite3, "connect", on_a_full_disk)
    with site.opens(path) as ledger:
        assert ledger.size == 3
    monkeypatch.undo()
    with site.opens(path) as ledger:
        assert ledger.add_cosignature(3, "witness.example/north", LINE)


def test_a_newer_version_that_stands_in_the_log_alone_is_refused(site, path):
    """A program of yesterday would write into a ledger that it does not understand."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA user_version=3")  # committed, and not yet in the main file
        main, log = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
    path.write_bytes(main)
    path.with_name("ledger.db-wal").write_bytes(log)
    with pytest.raises(LedgerRefused, match="version 3"):
        site.opens(path)
