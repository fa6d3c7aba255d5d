"""Whoever has the disk writes into ledger.db what he likes, or it rots: the controller is not made to lose a record, to
stop its doors, or to hand out what is no record.
"""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from controller.committer import Committer
from controller.cosigning import attend
from controller.ledger.errors import LedgerDamaged
from controller.link.messages import AskCosigned
from tests.controller.test_link_server import ledger, served  # noqa: F401 - fixtures

TABLE = (
    "CREATE TABLE record (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL, salt BLOB, body BLOB, checkpoint BLOB) STRICT"
)


def change(path, *statements: str, loose: bool = False) -> None:
    """Statements by any SQLite tool. `loose`: past the types of the table, as a rotten page is."""
    if loose:
        change(path, "PRAGMA writable_schema=ON", f"UPDATE sqlite_schema SET sql='{TABLE[:-7]}' WHERE name='record'")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    if loose:
        change(path, "PRAGMA writable_schema=ON", f"UPDATE sqlite_schema SET sql='{TABLE}' WHERE name='record'")


HIDDEN = {
    "a trigger that drops the next record": (
        "CREATE TRIGGER t BEFORE INSERT ON record BEGIN SELECT RAISE(IGNORE); END",
    ),
    "a trigger that empties it": ("CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM record; END",),
    "a view in the table's place": (
        "ALTER TABLE record RENAME TO kept",
        "CREATE VIEW record AS SELECT * FROM kept WHERE seq <> 3",
    ),
    "a table that holds anything": (
        "ALTER TABLE record RENAME TO kept",
        "CREATE TABLE record (seq, leaf, salt, body, checkpoint)",
        "INSERT INTO record SELECT * FROM kept",
        "DROP TABLE kept",
    ),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("name", HIDDEN)
def test_a_file_that_would_not_keep_what_is_written_is_refused(site, path, name):
    """A door opens on a grant that was acknowledged and never stood anywhere: one line of SQL saw to that."""
    with site.opens(path) as made:
        made.append(site.drafts(9))
    change(path, *HIDDEN[name])
    with pytest.raises(LedgerDamaged, match=r"somebody was at the file; keep it"):
        site.opens(path)


@pytest.mark.req("A-27")
@pytest.mark.parametrize("what", ["leaf = 5", "body = 7", "salt = 'salt'", "checkpoint = 1.5"])
@pytest.mark.parametrize("seq", [3, 298])
def test_what_is_not_of_its_type_is_no_record(site, path, what, seq):
    """A rotten page gives a number for a text, and the thread that writes, or the doors' own, dies of it."""
    with site.opens(path) as made:
        made.append(site.drafts(300))
    change(path, f"UPDATE record SET {what} WHERE seq = {seq}", loose=True)
    if seq == 298:
        with pytest.raises(LedgerDamaged, match="298"):
            site.opens(path)
        return
    with site.opens(path) as left:
        assert [record.seq for record in left.read(0, 10)] == [0, 1, 2]
        with pytest.raises(LedgerDamaged, match="record 3 ") as damaged:
            left.read(3, 10)
        assert damaged.value.seq == 3
        assert left.append(site.drafts(1)) == range(300, 301)


@pytest.mark.req("A-27")
def test_a_hash_that_is_a_number_is_none(site, path):
    """`bytes(2000000000)` is two gigabytes of zeros: a start would end for want of memory."""
    with site.opens(path) as made:
        made.append(site.drafts(300))
    change(path, "PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET sql=replace(sql, ' STRICT,', '')")
    change(path, "UPDATE tile SET hash = 2000000000")
    change(
        path, "PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET sql=replace(sql, ') WITHOUT', ') STRICT, WITHOUT')"
    )
    with pytest.raises(LedgerDamaged, match="is no hash"):
        site.opens(path)


@pytest.mark.req("A-27")
def test_a_rotten_text_goes_out_marked_and_the_doors_go_on(served, ledger, site):  # noqa: F811 - the fixtures
    """One rotten byte of last year, and whoever reads the log stops every door."""
    ledger.append(site.drafts(9))
    ledger._connection.execute("UPDATE record SET body = CAST(x'ff' || substr(body, 2) AS BLOB) WHERE seq = 4")
    served.server.grown(ledger.size)
    peer = served.peer().sends(b'{"is":"subscribe","from_seq":0}\n')
    served.passes(200)
    got = [line for line in peer.hears() if line["is"] == "record"]
    assert len(got) == ledger.size
    assert ["\ufffd" in line["body"] for line in got].index(True) == 4


@pytest.mark.req("A-27")
def test_a_rotten_body_stops_a_fold_in_words(site, path):
    """A start would end in a traceback, and nobody know which record to look at."""
    with site.opens(path) as made:
        made.append(site.drafts(9))
        made._connection.execute("UPDATE record SET body = CAST('[]' AS BLOB) WHERE seq = 4")
        with pytest.raises(LedgerDamaged, match="record 4: its body is not readable") as damaged:
            made.read(4, 1)[0].decoded()
        assert damaged.value.seq == 4


@pytest.mark.req("A-28")
def test_a_rotten_line_of_a_witness_is_said_and_stops_nothing(site, path):
    """A flipped bit in a witness's line would keep the controller from starting, or end the thread that writes."""
    with site.opens(path) as made:
        made.append(site.drafts(9))
        made.add_cosignature(9, "witness.example/north", "— witness.example/north AAAA")
        made._connection.execute("UPDATE cosignature SET line = x'ff00'")
        answer = attend(1, AskCosigned(id="a"), made, ()).answer
        assert (answer.id, answer.code) == ("a", "ledger_unavailable")
        with pytest.raises(LedgerDamaged, match="not readable"):
            made.last_cosigned("witness.example/north")


@pytest.mark.req("A-24")
@pytest.mark.parametrize("number", [2**63, 2**70, -(2**70)])
def test_no_number_from_outside_ends_the_thread_that_writes(site, path, number):
    """Whoever breaks into the web process asks for record 2^70, and no record is written any more: nobody comes in."""
    with site.opens(path) as made:
        made.append(site.drafts(3))
        assert attend(1, AskCosigned(id="a", from_size=number), made, ()).answer.notes == ()
        assert [record.seq for record in made.read(number, 2)] == ([0, 1] if number < 0 else [])


@pytest.mark.req("A-24")
def test_a_question_that_breaks_ends_no_commits(site, path):
    """One mistake in answering a reader, and the controller records nothing until somebody starts it again."""
    said = []
    made = site.opens(path)
    committer = Committer(made, said.append)
    committer.ask(lambda _ledger: 1 // 0)
    committer.read(7, 0, 10)
    committer.stop()
    committer.start()
    committer.join(20)
    assert [report.session for report in said] == [7]


@pytest.mark.req("A-27")
def test_a_schema_that_is_no_text_any_more_is_damage(site, path):
    """Found by `flips --seed 894053`: the words of a table rot, and a start ends in a traceback about a code."""
    with site.opens(path) as made:
        made.append(site.drafts(9))
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b"hash BLOB NOT", b"hash \xccLOB NOT", 1))
    with pytest.raises(LedgerDamaged):
        site.opens(path)
