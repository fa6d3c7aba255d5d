"""Bodies that retention dropped (docs/ledger.md §10): whole where a record says so, and refused where none does."""

from __future__ import annotations

import pytest

from sekisho.verify import SPAN, Found, Gone, Span, parse_key, verify_file
from tests.sekisho.ledger_by_hand import HandLedger, Signer

KEY = parse_key(Signer().vkey)


def both(tmp_path, ledger):
    yield ledger.export(tmp_path / "export")
    yield ledger.store(tmp_path / "store")


@pytest.mark.req("A-27", "D-23")
def test_bodies_dropped_by_rule_leave_a_whole_ledger(tmp_path):
    """Forgetting a person would break the log, so nobody would be forgotten."""
    ledger = HandLedger([2, 3, 1])
    ledger.purge("access", (1, 2), (4, 4))
    ledger.commit({"type": "REX", "v": 1})
    ledger.drop(1, 2, 4)
    for path in both(tmp_path, ledger):
        report = verify_file(path, KEY)
        assert (report.problem, report.bodies_dropped) == (None, 3)


COVERS = {
    "no record of it": ((), 1),
    "another class": (("alarm", (1, 2)), 1),
    "a range too short": (("access", (0, 1)), 2),
    "a range of others": (("access", (3, 5)), 1),
    "ranges that meet": (("access", (1, 1), (2, 2)), None),
    "one range over all before it": (("access", (0, 5)), None),
}


@pytest.mark.req("A-27", "D-23")
@pytest.mark.parametrize("name", COVERS)
def test_an_erased_record_is_refused_unless_a_later_record_names_it(tmp_path, name):
    """Somebody would erase what a record says, and the log would count as whole."""
    purge, index = COVERS[name]
    ledger = HandLedger([2, 3, 1])
    if purge:
        ledger.purge(*purge)
    ledger.drop(1, 2)
    for path in both(tmp_path, ledger):
        problem = verify_file(path, KEY).problem
        assert (problem and (problem.index, problem.part, problem.kind)) == (index and (index, "body", "missing"))
        assert problem is None or "PURGED" in problem.what


@pytest.mark.req("A-27", "D-23")
def test_a_record_of_the_rule_covers_nothing_that_comes_after_it(tmp_path):
    """One purge would be a licence to erase for ever."""
    ledger = HandLedger([2])
    ledger.purge("access", (0, 9))
    last = ledger.commit({"type": "REX", "v": 1})
    ledger.drop(last)
    for path in both(tmp_path, ledger):
        report = verify_file(path, KEY)
        assert report.problem is not None
        assert (report.problem.index, report.findings_count) == (last, 1)


@pytest.mark.req("A-27", "D-23")
def test_bodies_of_policy_are_never_gone(tmp_path):
    """Who was given which right could be erased, and no decision could be explained any more."""
    ledger = HandLedger([2])
    seq = ledger.commit({"type": "REX", "v": 1}, class_="policy")
    ledger.purge("policy", (seq, seq))
    ledger.drop(seq)
    for path in both(tmp_path, ledger):
        problem = verify_file(path, KEY).problem
        assert problem is not None and (problem.index, problem.kind) == (seq, "missing")


@pytest.mark.req("A-27", "D-23")
def test_what_is_gone_is_counted_over_spans():
    """In a ledger of years a body erased far from the others would be overlooked."""
    gone = Gone()
    for number in range(4):
        gone.take(Found(Span(number * SPAN, SPAN), gone={b"access": (1 << SPAN) - 1, b"alarm": 1}))
    assert gone.count == 4 * (SPAN + 1)
    end = 5 * SPAN
    assert gone.purge(end, {"of_class": "alarm", "ranges": [[0, 4 * SPAN]]})
    assert gone.purge(end, {"of_class": "access", "ranges": [[0, SPAN + 6], [SPAN + 8, 4 * SPAN - 1]]})
    assert gone.first() == SPAN + 7
    for ranges in ([[5, 4]], [[-1, 2]], [[0, end]], [[0]], [0], [["0", "1"]], None):
        assert not gone.purge(end, {"of_class": "access", "ranges": ranges})
    assert gone.purge(end, {"of_class": "access", "ranges": [[SPAN + 7, SPAN + 7]]})
    assert gone.first() is None
