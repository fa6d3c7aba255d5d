"""What records say is held against each other (docs/ledger.md §11): stories that cannot be true, and ones that can."""

from __future__ import annotations

import pytest

from sekisho.verify import parse_key, verify_file
from tests.sekisho.ledger_by_hand import HandLedger, Signer

KEY = parse_key(Signer().vkey)
T = 1_790_000_000_000


def said(type_, at=0, boot="b1", clock="trusted", **fields):
    """A body; `at` in seconds after the story's begin."""
    return {"at_ms": T + int(at * 1000), "boot": boot, "clock": clock, "type": type_, "v": 1} | fields


def edit(at, base, revision):
    return said("POLICY_EDITED", at, detail={"base": base, "revision": revision})


START, START2 = said("CONTROLLER_STARTED"), said("CONTROLLER_STARTED", 50, "b2")
TRACE = {"passed": ["D01"], "failed": [], "waived": []}
GRANT = said("ACCESS_GRANTED", 1, corr="b1-1", trace=TRACE)
POLICY = frozenset({"POLICY_EDITED", "PURGED", "LEDGER_KEY_ROTATED"})
"""What must stand under class policy."""
RESTORED = {"why": "x", "for_ms": 9_000, "records_lost": 0}
LOST = RESTORED | {"records_lost": 3}

STORIES = {
    "an entry": ([START, GRANT, said("PASSAGE", 2, corr="b1-1")], None),
    "two on one grant": ([START, GRANT, *[said("PASSAGE", 2, corr="b1-1")] * 2], None),
    "an exit": ([START, said("EXIT_GRANTED", 1, corr="x"), said("NO_PASSAGE", 2, corr="x")], None),
    "a release that came too late": (
        [START, said("RELEASED", 1, corr="x"), said("RELEASE_EXPIRED", 2, corr="x")],
        None,
    ),
    "a passage on nothing": ([START, GRANT, said("PASSAGE", 2, corr="b1-2")], 2),
    "a passage before its grant": ([START, said("PASSAGE", 1, corr="b1-1"), GRANT], 1),
    "nobody came on no grant": ([START, said("NO_PASSAGE", 1, corr="b1-1")], 1),
    "a passage on a refusal": ([START, said("ACCESS_DENIED", 1, corr="x"), said("PASSAGE", 1, corr="x")], 2),
    "let in against a rule": (
        [START, said("ACCESS_GRANTED", 1, corr="x", trace=TRACE | {"failed": [["D08", "CLEARANCE"]]})],
        1,
    ),
    "refused by a rule": ([START, said("ACCESS_DENIED", 1, trace=TRACE | {"failed": [["D08", "CLEARANCE"]]})], None),
    "a boot without its start": ([START, said("REX", 1, "b2")], 1),
    "no start at all": ([said("REX", 1)], 0),
    "two starts": ([START, said("REX", 1), START2], None),
    "a boot that comes back": ([START, START2, said("REX", 51)], 2),
    "one boot started twice": ([START, said("CONTROLLER_STARTED", 1)], 1),
    "time back": ([START, said("REX", 30), said("REX", 20)], 2),
    "time back as far as a time server may": ([START, said("REX", 30), said("REX", 28), said("REX", 29)], None),
    "time back over a start": ([START, said("REX", 60), START2], 2),
    "time back over a start that was accepted": (
        [START, said("REX", 60), START2, said("CLOCK_ACCEPTED", 50, "b2"), said("REX", 51, "b2")],
        None,
    ),
    "a clock that is off and says so": (
        [
            *[
                START,
                said("REX", 60),
                said("CLOCK_UNTRUSTED", -9, clock="untrusted"),
                said("REX", -5, clock="untrusted"),
            ],
            *[said("CLOCK_TRUSTED", 61), said("REX", 62)],
        ],
        None,
    ),
    "a clock that is off at a start": (
        [START, said("CONTROLLER_STARTED", -9, "b2", "untrusted"), said("CLOCK_UNTRUSTED", -9, "b2", "untrusted")],
        None,
    ),
    "a clock that is off and never says so": ([START, said("REX", 60), said("REX", -9, clock="untrusted")], 2),
    "a clock that is right again and is not": (
        [
            *[START, said("REX", 60), said("CLOCK_UNTRUSTED", -9, clock="untrusted"), said("CLOCK_TRUSTED", 61)],
            said("REX", -5, clock="untrusted"),
        ],
        4,
    ),
    "written late": (
        [START, said("REX", 20), said("REX", 15), said("STORAGE_RESTORED", 21, detail=RESTORED), said("REX", 22)],
        None,
    ),
    "written late by more than the outage": (
        [START, said("REX", 200), said("REX", 100), said("STORAGE_RESTORED", 201, detail=RESTORED)],
        2,
    ),
    "lost in an outage": (
        [said("REX", 20), said("PASSAGE", 21, corr="x"), said("STORAGE_RESTORED", 22, detail=LOST)],
        None,
    ),
    "nothing lost in an outage": (
        [START, said("PASSAGE", 21, corr="x"), said("STORAGE_RESTORED", 22, detail=RESTORED)],
        1,
    ),
    "lost in another boot": (
        [START, said("PASSAGE", 21, corr="x"), START2, said("STORAGE_RESTORED", 60, "b2", detail=LOST)],
        1,
    ),
    "edits in a row": ([START, edit(1, "aa", "bb"), edit(2, "bb", "cc")], None),
    "an edit that is missing": ([START, edit(1, "aa", "bb"), edit(2, "cc", "dd")], 2),
    "an edit without revisions": ([START, said("POLICY_EDITED", 1, detail={"edit": {}})], 1),
    "a key changed at the console": (
        [START, said("LEDGER_KEY_ROTATED", 5, "console"), said("REX", 6)],
        "key",  # without its two signatures it is refused for these
    ),
    "a purge of nothing that is there": (
        [START, said("PURGED", 1, detail={"of_class": "access", "ranges": [[0, 9]]})],
        1,
    ),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_believed_where_it_can_be_true(tmp_path, name, together):
    """Records that nobody changed would contradict each other, and the auditor would say that all is well."""
    story, index = STORIES[name]
    ledger = HandLedger([])
    for bodies in [story] if together else [[one] for one in story]:
        ledger.commit(*bodies, policy=POLICY)
    report = verify_file(ledger.store(tmp_path / "ledger.db"), KEY)
    found = report.problem
    if index == "key":
        assert found is not None and (found.kind, found.part) == ("not proven", "checkpoint")
    elif index is None:
        assert (found, report.findings_count) == (None, 0)
    else:
        assert found is not None
        assert (found.kind, found.index, found.part) == ("meaning", index, "body")
        assert report.verdict == "bad" and report.findings_count == 1 and report.findings == [found]


@pytest.mark.req("A-27", "D-23")
def test_what_stood_in_a_dropped_body_is_not_held_against_anybody(tmp_path):
    """Retention would turn honest records into contradictions: the grant is gone, the passage is not."""
    ledger = HandLedger([])
    for one in (START, GRANT, said("PASSAGE", 2, corr="b1-1"), said("REX", 9)):
        ledger.commit(one, class_="system" if one is START else "access")
    ledger.purge("access", (1, 1))
    ledger.purge("system", (0, 0))
    ledger.drop(0, 1)
    report = verify_file(ledger.export(tmp_path / "export"), KEY)
    assert (report.problem, report.bodies_dropped) == (None, 2)


@pytest.mark.req("A-27")
def test_a_changed_record_goes_before_what_the_others_say(tmp_path):
    """The auditor would read about contradictions, and not that somebody was at the file."""
    ledger = HandLedger([])
    for one in (START, said("PASSAGE", 1, corr="x"), said("REX", 2), said("REX", 3)):
        ledger.commit(one)
    assert ledger.records[3].body is not None
    ledger.records[3].body = ledger.records[3].body.replace(b"REX", b"REY")
    report = verify_file(ledger.export(tmp_path / "export"), KEY)
    assert report.problem is not None
    assert (report.problem.kind, report.problem.index, report.findings_count) == ("changed", 3, 0)


@pytest.mark.req("A-27")
def test_findings_are_counted_and_a_hundred_are_told(tmp_path):
    """A controller that went mad would fill the auditor's memory."""
    ledger = HandLedger([])
    ledger.commit(START, *(said("PASSAGE", 1, corr=f"x{number}") for number in range(150)), START2)
    report = verify_file(ledger.export(tmp_path / "export"), KEY)
    assert (report.findings_count, len(report.findings)) == (150, 100)
