"""The verifier and whoever has the key, or the file: a purge that covers more than the rule, a file that shows what it
likes (docs/ledger.md §10, §11, §13).
"""

from __future__ import annotations

import contextlib
import sqlite3
from copy import deepcopy
from functools import cache

import pytest

from sekisho.verify import WITNESS_KEY, parse_key, verify_file
from tests.sekisho.ledger_by_hand import HandLedger, Signer, Witness

KEY = parse_key(Signer().vkey)


def both(tmp_path, ledger):
    yield ledger.export(tmp_path / "export")
    yield ledger.store(tmp_path / "store")


DAY = 86_400_000
NOW = 1_790_000_000_000
HOLD = {"hold": "case-7", "from_ms": NOW + 2 * DAY, "until_ms": NOW + 9 * DAY}


@cache
def quarter():
    """A hundred and twenty days, an entry and a purge of nothing on each; and where each day's entry stands."""
    ledger, where = HandLedger([]), {}
    for day in range(120):
        at = {"at_ms": NOW + day * DAY, "boot": "b1", "clock": "trusted", "v": 1}
        where[day] = ledger.commit(at | {"type": "REX" if day else "CONTROLLER_STARTED"})
        nothing = {"of_class": "access", "ranges": [], "reckoned_ms": at["at_ms"], "term_days": 90}
        ledger.commit(at | {"type": "PURGED", "detail": nothing}, class_="policy")
    return ledger, where


def days(told=lambda at: {}, *, hold=(), purged=(), class_="policy"):
    """That quarter; then holds, then a PURGED by whoever has the key, over the entries of `purged` (first and last
    day), which are gone.
    """
    of_a_quarter, where = quarter()
    ledger = deepcopy(of_a_quarter)
    at = {"at_ms": NOW + 120 * DAY, "boot": "b1", "clock": "trusted", "v": 1}
    for type_, detail in hold:
        ledger.commit(at | {"type": type_, "detail": detail}, class_="policy")
    ranges = [[where[purged[0]], where[purged[1]]]]
    detail = {"of_class": "access", "ranges": ranges, "reckoned_ms": at["at_ms"], "term_days": 90} | told(at["at_ms"])
    seq = ledger.commit(at | {"type": "PURGED", "detail": detail}, class_=class_)
    ledger.drop(*(where[day] for day in range(purged[0], purged[1] + 1)))
    return ledger, seq


ON, OFF = ("LEGAL_HOLD_ON", HOLD), ("LEGAL_HOLD_OFF", {"hold": "case-7"})
LICENCES = {
    "what is due": ({"purged": (1, 20)}, ""),
    "last night": ({"purged": (119, 119)}, "younger than the term"),
    "a month too early": ({"purged": (1, 60)}, "younger than the term"),
    "a term of a day": ({"purged": (119, 119), "told": lambda _at: {"term_days": 1}}, "is kept for 90 at least"),
    "a time to come": (
        {"purged": (119, 119), "told": lambda at: {"reckoned_ms": at + 900 * DAY}},
        "by a time that had not come",
    ),
    "no time at all": ({"purged": (1, 20), "told": lambda _at: {"reckoned_ms": "soon"}}, "by which term and time"),
    "what a court asked for": ({"purged": (1, 20), "hold": [ON]}, "the legal hold case-7 kept"),
    "what it had asked for": ({"purged": (1, 20), "hold": [ON, OFF]}, ""),
    "beside what it asked for": ({"purged": (11, 20), "hold": [ON]}, ""),
    "a record that can be made to go": ({"purged": (1, 20), "class_": "view"}, "is of class policy, and not of view"),
}


@pytest.mark.req("A-27", "D-23", "E-15")
@pytest.mark.parametrize("name", LICENCES)
def test_whoever_has_the_key_cannot_erase_by_a_record_of_the_rule(tmp_path, name):
    """A thief of the box writes one PURGED over last night, and every check, the witness's too, is content."""
    how, what = LICENCES[name]
    ledger, seq = days(**how)
    for path in both(tmp_path, ledger):
        problem = verify_file(path, KEY).problem
        if not what:
            assert problem is None
            continue
        assert problem is not None and (problem.kind, problem.index) == ("meaning", seq)
        assert what in problem.what


@pytest.mark.req("A-26", "D-23")
def test_a_clock_that_was_put_right_accuses_nobody(tmp_path):
    """A night with a wrong clock, and the honest purge of that quarter reads as an erasure."""
    ledger = HandLedger([])
    at = {"boot": "b1", "clock": "trusted", "v": 1}

    def purge(day, *ranges):
        detail = {"of_class": "access", "ranges": ranges, "reckoned_ms": NOW + day * DAY, "term_days": 90}
        return ledger.commit(at | {"at_ms": NOW + day * DAY, "type": "PURGED", "detail": detail}, class_="policy")

    ledger.commit(at | {"at_ms": NOW, "type": "CONTROLLER_STARTED"})
    purge(3000)
    ledger.commit(at | {"at_ms": NOW + DAY, "type": "CLOCK_ACCEPTED"})
    due = ledger.commit(at | {"at_ms": NOW + DAY, "type": "REX"})
    purge(200, (due, due))
    ledger.drop(due)
    assert verify_file(ledger.export(tmp_path / "export"), KEY).problem is None


HIDDEN = {
    "a view": ("ALTER TABLE record RENAME TO kept", "CREATE VIEW record AS SELECT * FROM kept"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON record BEGIN SELECT 1; END",),
    "a column more": ("ALTER TABLE record ADD COLUMN note TEXT",),
    "a row without a number": (
        "ALTER TABLE record RENAME TO kept",
        "CREATE TABLE record (seq, leaf, salt, body, checkpoint)",
        "INSERT INTO record SELECT * FROM kept",
        "INSERT INTO record SELECT NULL, leaf, salt, body, checkpoint FROM kept WHERE seq = 1",
    ),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("name", HIDDEN)
def test_a_file_that_shows_what_it_likes_is_no_ledger(tmp_path, name):
    """A view shows the auditor a whole ledger, and whoever looks next year another one."""
    path = HandLedger([2, 3]).store(tmp_path / "ledger.db")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in HIDDEN[name]:
            connection.execute(statement)
    problem = verify_file(path, KEY).problem
    assert problem is not None and (problem.kind, problem.part) == ("changed", "file")


OLD, NEW, THIEF = Signer(), Signer(seed=bytes(range(50, 82))), Signer(seed=bytes(range(150, 182)))


def test_a_key_that_was_rotated_away_proves_nothing_to_whoever_has_the_newest(tmp_path):
    """A thief with last year's key writes that year anew; whoever asks with last year's key believes it."""
    true = HandLedger([3])
    true.rotate(NEW)
    true.commit({"type": "REX", "v": 1})
    forged = HandLedger([9]).export(tmp_path / "forged")
    assert verify_file(true.export(tmp_path / "true"), parse_key(NEW.vkey)).problem is None
    problem = verify_file(forged, parse_key(NEW.vkey)).problem
    assert problem is not None and problem.kind == "not proven"
    assert verify_file(forged, parse_key(OLD.vkey)).problem is None  # docs/ledger.md §13 says so


def test_a_handover_by_the_stolen_key_alone_is_shown_with_both_keys(tmp_path):
    """Whoever has the key hands the ledger to one of his own; the auditor must see that there was a handover."""
    ledger = HandLedger([3])
    ledger.rotate(THIEF)
    ledger.commit({"type": "REX", "v": 1})
    report = verify_file(ledger.export(tmp_path / "export"), parse_key(OLD.vkey))
    assert report.problem is None
    assert [term.vkey for term in report.keys] == [OLD.vkey, THIEF.vkey]


def test_what_is_written_falsely_from_now_on_is_whole(tmp_path):
    """The page would promise more than a log can: it proves that nothing was altered, not that it was true."""
    ledger = HandLedger([3])
    ledger.commit({"at_ms": NOW, "type": "ACCESS_DENIED", "v": 1, "zone": "somewhere else"})
    report = verify_file(ledger.export(tmp_path / "export"), KEY)
    assert (report.problem, report.end) == (None, "not proven")


def test_a_cut_at_what_a_witness_signed_is_told_by_how_far_it_vouches(tmp_path):
    """An evening is cut off down to the last line of the witness: the verdict must not read as if all were there."""
    ledger, witness = HandLedger([3, 2]), Witness()
    ledger.cosign(witness, 2, at_s=1_790_000_000)
    whole = [parse_key(witness.vkey, WITNESS_KEY)]
    del ledger.records[3:]
    report = verify_file(ledger.export(tmp_path / "cut"), KEY, witnesses=whole)
    assert report.problem is None
    assert [(one.record, one.at) for one in report.witnesses] == [(2, "2026-09-21T14:13:20Z")]


def test_a_witness_in_the_thiefs_hand_vouches_and_a_second_one_does_not(tmp_path):
    """One stolen key of a witness, and a history written anew passes; that is why two are named."""
    forged, bad, good = HandLedger([4]), Witness(), Witness(seed=bytes(range(60, 92)), name="witness.example/w2")
    forged.cosign(bad, 3)
    path = forged.export(tmp_path / "forged")
    asked = [parse_key(bad.vkey, WITNESS_KEY)]
    assert verify_file(path, KEY, witnesses=asked).problem is None
    problem = verify_file(path, KEY, witnesses=[*asked, parse_key(good.vkey, WITNESS_KEY)]).problem
    assert problem is not None and (problem.kind, problem.part) == ("not proven", "cosignature")
