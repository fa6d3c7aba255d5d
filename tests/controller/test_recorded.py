"""Records read back: what a review folds from the ledger is what the engine knew when it decided."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import msgspec
import pytest

from controller import history
from controller.link import recorded
from controller.link.follow import PLACES_SCAN_MAX
from controller.link.recorded import BEGINNING, DECISIONS, Follower, History, HistoryBroken, decision_of
from controller.policy_log import next_revision
from tests.controller.conftest import SATO, SITE, STRANGER, VirtualSite
from zones.edits import EMPTY
from zones.review.explain import explain
from zones.review.replay import replay
from zones.review.values import Past, Purged, Unreadable


@dataclass(frozen=True)
class Line:
    seq: int
    leaf: str
    body: str | None


def lines_of(site: VirtualSite) -> list[Line]:
    return [
        Line(record.seq, record.leaf.decode(), None if record.body is None else record.body.decode())
        for record in site.ledger.scan(0)
    ]


def history_of(site: VirtualSite, lines: list[Line] | None = None) -> History:
    """The virtual site's first policy is not in its ledger: its history begins with it."""
    kept = lines_of(site) if lines is None else lines
    begin = replace(BEGINNING, revision=site.first.revision, policies={site.first.revision: site.first.policy})
    return History(lambda seq: iter(kept[seq:]), begin=begin, revision_of=next_revision)


@pytest.fixture
def site(tmp_path, monkeypatch):
    virtual = VirtualSite(tmp_path)
    virtual.first = virtual.engine.policy
    virtual.admits("h-sato", SATO, "office", "vault")
    yield virtual
    virtual.ledger.close()


def walks(site: VirtualSite, number: str, portal: str) -> None:
    """Card, and through if it is let in."""
    site.passes(2000)
    before = len(site.releases)
    site.badges(number, f"rd-{portal}")
    if len(site.releases) > before:
        site.goes_through(f"dr-{portal}")
    site.passes(2000)


def a_day(site: VirtualSite) -> None:
    """Entries, refusals, a change of policy, an exit by card and one by button, a dead reader."""
    walks(site, SATO, "office")
    walks(site, STRANGER, "office")
    walks(site, SATO, "vault")
    walks(site, SATO, "vault")
    site.changes(("roster", {"id": "r-h-sato-vault", "is_suspended": True}))
    site.badges(SATO, "rd-vault-out")
    site.goes_through("dr-vault")
    walks(site, SATO, "vault")
    site.presses_rex("dr-office")
    site.goes_through("dr-office")
    walks(site, SATO, "office")
    site.loses("dr-vault")
    walks(site, SATO, "vault")
    site.orders("forgive_presence", "h-sato")
    walks(site, SATO, "office")
    site.badges(SATO, "rd-office", age_ms=9000)
    site.badges(SATO, "rd-office")
    site.badges(SATO, "rd-office")
    site.passes(5000)


@pytest.mark.req("S-02")
def test_every_recorded_decision_is_derived_again_exactly(site):
    """A refusal could not be explained afterwards: what decided is not what the ledger says decided."""
    a_day(site)
    report = replay(history_of(site).steps())
    assert report.decisions == sum(body.type in DECISIONS for body in site.records)
    assert (report.differences, report.same) == ([], report.decisions)
    assert len(report.reasons) >= 6, report.reasons


def test_a_decision_that_was_changed_in_the_ledger_is_found(site):
    """Somebody rewrites why, and a replay finds nothing."""
    a_day(site)
    lines = lines_of(site)
    at = next(n for n, line in enumerate(lines) if '"reason":"CARD_UNKNOWN"' in line.body)
    body = json.loads(lines[at].body) | {"reason": "OK", "outcome": "GRANTED", "type": "ACCESS_GRANTED"}
    lines[at] = Line(at, lines[at].leaf, json.dumps(body))
    (difference,) = replay(history_of(site, lines).steps()).differences
    assert (difference.seq, difference.what, difference.was, difference.is_now) == (at, "reason", "OK", "CARD_UNKNOWN")


def test_a_grant_that_could_not_be_recorded_is_no_difference(site):
    """After a full disk every replay would cry wolf."""
    from controller.ledger.errors import LedgerUnavailable

    def full() -> None:
        raise LedgerUnavailable("no space left on device")

    walks(site, SATO, "office")
    site.disk = full
    site.badges(SATO, "rd-vault")
    site.disk = lambda: None
    site.passes(60_000)
    walks(site, SATO, "vault")
    undone = [body for body in site.records if body.reason == "AUDIT_UNAVAILABLE"]
    assert undone
    report = replay(history_of(site).steps())
    assert (report.differences, report.undone) == ([], len(undone))


def test_what_retention_dropped_is_said_to_be_purged(site):
    """A replay would call a decision false because it no longer knows who was where."""
    a_day(site)
    lines = lines_of(site)
    passages = [line.seq for line in lines if '"type":"PASSAGE"' in line.body]
    gone = [replace(line, body=None) if line.seq in passages else line for line in lines]
    report = replay(history_of(site, gone).steps())
    assert report.differences == []
    assert report.purged_records == len(passages)
    assert 0 < report.purged_inputs < report.decisions
    edits = [line.seq for line in lines if '"type":"POLICY_EDITED"' in line.body]
    gone = [replace(line, body=None) if line.seq == edits[-1] else line for line in lines]
    report = replay(history_of(site, gone).steps())
    assert report.differences == []
    later = [line.seq for line in lines if line.seq > edits[-1] and json.loads(line.body)["type"] in DECISIONS]
    assert report.purged_inputs == len(later)
    past = next(step for step in history_of(site, gone).steps(later[0]) if not isinstance(step, Purged))
    assert explain(past).missing == "purged"


def test_a_history_with_a_hole_is_refused(site):
    """An edit that was cut out would be passed over, and the replay of a cut ledger be called the same."""
    a_day(site)
    lines = lines_of(site)
    with pytest.raises(HistoryBroken, match="record 3 is missing before record 4"):
        list(history_of(site, lines[:3] + lines[4:]).steps())


def test_an_edit_that_was_changed_is_refused(site):
    """A forged edit would be folded: the replay would judge by rights that nobody ever granted."""
    a_day(site)
    lines = lines_of(site)
    at = next(n for n, line in enumerate(lines) if '"type":"POLICY_EDITED"' in line.body)
    lines[at] = replace(lines[at], body=lines[at].body.replace("2027-10-01", "2027-09-01"))
    with pytest.raises(HistoryBroken, match=f"record {at} names revision"):
        list(history_of(site, lines).steps())


def test_a_decision_of_a_later_version_is_unreadable_and_not_read_by_halves(site):
    """A fact that decided would be left out, and the replay be wrong about a grant."""
    walks(site, STRANGER, "office")
    lines = lines_of(site)
    at = next(n for n, line in enumerate(lines) if '"type":"ACCESS_DENIED"' in line.body)
    body = json.loads(lines[at].body) | {"facts": {"is_raining": True}}
    lines[at] = replace(lines[at], body=json.dumps(body))
    (step,) = [step for step in history_of(site, lines).steps() if isinstance(step, Unreadable)]
    assert step.seq == at
    assert "is_raining" in step.why
    assert not replay(history_of(site, lines).steps()).is_same


def test_a_later_start_from_a_mark_says_the_same(site, monkeypatch):
    """An explanation from the middle of the ledger would differ from one from its beginning."""
    monkeypatch.setattr(recorded, "MARK_EVERY", 5)
    monkeypatch.setattr(recorded, "MARKS_MAX", 4)
    a_day(site)
    whole = history_of(site)
    steps = list(whole.steps())
    for step in steps:
        assert isinstance(step, Past)
        (again,) = [one for one in whole.steps(step.recorded.seq, step.recorded.seq) if one is not None]
        assert again == step
        assert explain(again) == explain(step)


def test_what_is_in_force_at_a_time_is_what_was_in_force_then(site):
    """`who-can` of last week would tell of today's rights."""
    walks(site, SATO, "office")
    then_ms = site.records[-1].at_ms
    site.passes(10_000)
    site.changes(("roster", {"id": "r-h-sato-vault", "is_suspended": True}))
    past = history_of(site)
    assert not past.until(at_ms=then_ms).policy.roster["r-h-sato-vault"].is_suspended
    assert past.until().policy.roster["r-h-sato-vault"].is_suspended
    assert past.until().policy == site.engine.policy.policy
    assert past.until().occupancy == site.engine.occupancy


def test_a_start_remembers_as_far_back_as_the_controller_does(site):
    """After a start a replay would know places that the controller had forgotten, or the other way round."""
    a_day(site)
    site.core.record([site.scribe.draft("CONTROLLER_STARTED", now=site.now())], site.now())
    site.settles()
    lines = lines_of(site)
    ours = history_of(site).until()
    theirs, _ = history.last_standing(site.ledger, site.engine.policy.policy)
    assert (ours.occupancy.where, ours.occupancy.seen) == (theirs.where, theirs.seen)
    assert ours.occupancy.where
    follower = Follower(ours.mark())
    for seq in range(len(lines), len(lines) + PLACES_SCAN_MAX):
        follower.take(Line(seq, "{}", '{"type":"NOTE","at_ms":1}'))
    follower.take(Line(follower.seq + 1, "{}", lines[-1].body))
    assert not follower.occupancy.where


def test_a_decision_reads_back_with_all_that_it_was_made_of(site):
    """A fact of the box would get lost on the way, and the replay of every tampered reader differ."""
    body = {
        "v": 1, "type": "ACCESS_DENIED", "at_ms": 1_700_000_000_123, "clock": "untrusted", "access_point": "vault.in",
        "outcome": "DENIED", "reason": "READER_UNTRUSTED", "revision": "ab" * 32, "zone": "vault", "portal": "vault",
        "subject": {"cardholder": "h-1", "credential": "c-1"}, "number": "7KQX",
        "evidence": {"method": "CHALLENGE", "factors": 1, "link": 2, "pin": "RIGHT", "last4": "00FF",
                     "scheme": "desfire_ev2", "key_version": 3, "is_fresh": True},
        "trace": {"passed": ["D01"], "failed": [["D03", "READER_UNTRUSTED"]]},
        "facts": {"reader_is_trusted": False, "not_closed": ["front"], "policy_age_ms": 5, "is_commissioned": False},
        "companions": [{"evidence": {"method": "UID", "factors": 0}, "cardholder": "h-2", "credential": "c-2"}],
        "escorts": [{"evidence": {"method": "UID", "factors": 0}}],
    }  # fmt: skip
    decision = decision_of(7, msgspec.json.encode(body).decode())
    assert dict(decision.facts) == {
        "reader_is_trusted": False, "not_closed": frozenset({"front"}), "policy_age_ms": 5,
        "is_commissioned": False,
    }  # fmt: skip
    request = decision.case(EMPTY, None).request
    assert not request.reader_is_trusted
    assert request.policy_age_ms == 5
    assert not request.is_commissioned
    assert (request.evidence.scheme, request.evidence.key_version) == ("desfire_ev2", 3)
    assert [one.credential for one in decision.companions] == ["c-2"]
    assert [one.credential for one in decision.escorts] == [None]
    assert (decision.number, decision.is_clock_trusted, decision.at.microsecond) == ("7KQX", False, 123000)
    assert SITE
