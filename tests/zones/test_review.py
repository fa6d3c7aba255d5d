"""Explanations: every rule in words, and changes that were tried before they are told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from inspect import getsource

import pytest

from zones.decision import Method, Outcome, Reason
from zones.decision.rules import RULES
from zones.decision.values import FindingKind, PinCheck
from zones.edits import apply
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.people import Cardholder, CardholderKind, Clearance, Credential, CredentialState, NeedToKnow, RosterEntry
from zones.places import (
    AntiPassback,
    LinkAssurance,
    Portal,
    SiteStatus,
    Walk,
    Zone,
    ZoneState,
    ZoneStatus,
)
from zones.policy import Edit
from zones.review import changes, explain
from zones.review.changes import PROPOSALS
from zones.review.explain import flips_of, rule_lines, ways_in
from zones.review.replay import OF_PRESENCE, compared
from zones.review.values import Case, Past, RecordedDecision, RecordedEvidence, Trace, trace_of
from zones.review.words import CHANGES, RULE_WORDS
from zones.terms import term_of

SUNDAY = Moment(at=datetime(2026, 5, 10, 1, 0, tzinfo=UTC), tick_ms=0)


def case_of(building, *rows, where=None, now=None, drop=(), **request) -> Case:
    """Ana before the vault, in a building with `rows` and without those in `drop`."""
    policy = apply(building.without(*drop), Edit(puts=rows))
    return Case(
        policy=policy,
        occupancy=building.at("lab") if where is None else where,
        request=building.request(**request),
        now=now or building.now,
    )


def told(case: Case) -> list[str]:
    """The codes of each way found; every way is tried here once more."""
    decision = case.decide()
    found = flips_of(case, decision)
    for flip in found:
        after = flip.steps[-1].case.decide()
        assert (after.outcome.value, after.reason.value) == (flip.outcome, flip.reason)
        assert after.outcome is not decision.outcome
        assert all("{" not in text for step in flip.steps for text in step.words)
    return ["+".join(step.code for step in flip.steps) for flip in found]


def test_every_rule_has_its_words_and_a_way_to_satisfy_it():
    """An officer would read D28 and nothing else."""
    numbers = {rule.number for rule in RULES}
    assert set(RULE_WORDS) == numbers
    assert set(PROPOSALS) == numbers - {"D01"}, "an access point is declared in the site file, not in an edit"
    assert numbers >= OF_PRESENCE


def test_every_change_has_its_words():
    """A way in would be a code."""
    used = set(re.findall(r'_change\(\s*"([a-z_]+)"', getsource(changes)))
    used |= set(re.findall(r'(?:_if_made\(\s*|code=)"([a-z_]+)"', getsource(explain)))
    assert used == set(CHANGES)


ONE_STEP = [
    # the rule, what breaks it, how the vault is changed, and the ways back
    ("D02", {"ledger_is_writable": False}, {}, ["restore_ledger"]),
    ("D03", {"reader_is_trusted": False}, {}, ["restore_reader"]),
    ("D04", {"now": replace(SUNDAY, at=datetime(2026, 5, 11, 1, 0, tzinfo=UTC), is_trusted=False)}, {}, ["set_clock"]),
    ("D05", {"policy_age_ms": 10**9}, {}, ["confirm_policy"]),
    ("D07", {"rows": lambda b: [b.row(Credential, "ana-card", state=CredentialState.ISSUED)]}, {},
     ["activate_credential"]),
    ("D07", {"rows": lambda b: [b.row(Credential, "ana-card", state=CredentialState.DESTROYED)]}, {},
     ["replace_credential"]),
    ("D08", {"factors": 2}, {}, ["enter_pin", "use_challenge"]),
    ("D08", {"factors": 1}, {}, ["use_challenge_and_pin", "use_challenge"]),
    ("D09", {"rows": lambda b: [Cardholder(id="ana", ended_on=date(2026, 5, 1))]}, {}, ["register_cardholder"]),
    ("D10", {"rows": lambda b: [ZoneStatus(id="lab", state=ZoneState.SECURED)]}, {}, ["open_zone"]),
    ("D10", {"rows": lambda b: [ZoneStatus(id="vault", state=ZoneState.SECURED),
                                b.row(RosterEntry, "ana-vault", is_opener=True), *b.person("ben", 2, is_opener=True)]},
     {"needs_opener": True}, ["openers_together", "open_zone"]),
    ("D11", {"drop": ((Clearance, "ana-clearance"),)}, {}, ["confirm_clearance"]),
    ("D12", {"drop": ((NeedToKnow, "ana-need"),)}, {}, ["approve_need", "approve_need"]),
    ("D13", {"drop": ((RosterEntry, "ana-vault"),)}, {}, ["put_on_roster"]),
    ("D14", {"now": SUNDAY}, {}, ["come_back"]),
    ("D15", {}, {"training": ("SAFETY",)}, ["complete_training"]),
    ("D16", {}, {"declares_devices": True}, ["declare_devices"]),
    ("D17", {"where": "office"}, {}, ["go_first", "forgive_presence"]),
    ("D18", {"where": "vault"}, {}, ["come_through", "forgive_presence"]),
    ("D19", {"rows": lambda b: b.person("ben", 2), "where": {"ben": "vault"}}, {"occupancy_max": 1}, ["others_leave"]),
    ("D20", {"rows": lambda b: b.person("ben", 2)}, {"dual_window_ms": 10_000}, ["bring_second"]),
    ("D21", {"rows": lambda b: b.person("ben", 2)}, {"occupancy_min": 2}, ["bring_second", "somebody_inside"]),
    ("D23", {"rows": lambda b: [*b.guest("gus", 3), *b.person("ben", 2, is_escort=True)], "number": 3,
             "where": {"ben": "vault"}}, {"visitors_allowed": True}, ["sanitise_zone"]),
    ("D24", {"pin": PinCheck.WRONG}, {}, ["enter_pin"]),
    ("D26", {"rows": lambda b: [SiteStatus(id="site", is_locked_down=True)]}, {}, ["lift_lockdown"]),
    ("D26", {"rows": lambda b: [ZoneStatus(id="lab", state=ZoneState.OPEN_ATTENDED, is_locked_down=True)]}, {},
     ["lift_lockdown"]),
    ("D27", {"evidence_is_replayed": True}, {}, ["present_again"]),
    ("D29", {"now": Moment(at=datetime(2026, 7, 15, 1, 0, tzinfo=UTC), tick_ms=0)}, {}, ["review_roster"]),
    ("D30", {"read_is_stale": True}, {}, ["present_again"]),
    ("D31", {"read_is_repeated": True}, {}, ["wait_and_present"]),
    ("D32", {"method": Method.FAKED, "pin": PinCheck.RIGHT}, {}, ["use_genuine_card"]),
    ("D33", {}, {"min_link": LinkAssurance.ENCRYPTED}, ["protect_line"]),
    ("D34", {"rows": lambda b: [SiteStatus(id="site", notice_version=2)]}, {}, ["hand_over_notice"]),
    ("D35", {"rows": lambda b: b.person("ben", 2, is_opener=True)}, {"needs_opener": True},
     ["opener_enters_first"]),
    ("D36", {"pin": PinCheck.LOCKED}, {}, ["unlock_pin"]),
    ("D37", {"portal_is_locked": True}, {}, ["portal_to_card"]),
    ("D38", {"is_commissioned": False}, {}, ["commission"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "broken", "vault", "ways"), ONE_STEP)
def test_one_failing_rule_is_answered_by_what_would_satisfy_it(building, rule, broken, vault, ways):
    """The officer is told to do something that does not help, or nothing at all."""
    broken = dict(broken)
    rows = list(broken.pop("rows", lambda _: [])(building))
    where = broken.pop("where", "lab")
    where = building.where(ana="lab", **where) if isinstance(where, dict) else building.at(where)
    case = case_of(building, building.row(Zone, "vault", **vault), *rows, where=where, **broken)
    failed = [finding.rule for finding in case.decide().findings if finding.kind is FindingKind.FAILED]
    assert rule in failed
    assert [one for one in told(case) if one in ways] == ways


def test_an_escort_is_offered_to_a_guest(building):
    """A visitor is sent away while somebody who could bring him sits inside."""
    allowed = building.row(Zone, "office", visitors_allowed=True)
    case = case_of(
        building, allowed, *building.guest("gus", 3), building.roster("ben-office", "office", "ben", is_escort=True),
        *building.person("ben", 2)[:2], where=Occupancy(), number=3, point="front.in",
    )  # fmt: skip
    assert case.decide().reason is Reason.NEED_ESCORT
    assert told(case) == ["bring_escort"]


def test_a_walk_and_an_interlock_are_waited_for(building):
    """`Wait` without how long, or `close the door` without which."""
    seen = building.at("lab").sighted("ana", "front", building.now.at - timedelta(seconds=10))
    far = Walk(id="far", one="front", other="vault-door", min_ms=30_500)
    case = case_of(building, far, where=seen)
    assert case.decide().reason is Reason.IMPOSSIBLE_TRAVEL
    (flip,) = ways_in(case)
    assert flip.steps[0].words.en == "wait 21 s"
    locked = building.row(Portal, "vault-door", interlock_with=("lab-door",))
    case = case_of(building, locked, not_closed=frozenset({"lab-door"}))
    (flip,) = ways_in(case)
    assert (flip.steps[0].words.en, flip.steps[0].words.ja) == ("close lab-door", "扉 lab-door を閉める")


def test_timed_anti_passback_says_how_long(building):
    """Somebody waits before the door until he is told to stop."""
    timed = building.row(Zone, "office", anti_passback=AntiPassback.TIMED, apb_ms=60_000)
    where = Occupancy().moved("ana", "office", building.now.at - timedelta(seconds=18))
    case = case_of(building, timed, where=where, point="front.in")
    assert case.decide().reason is Reason.APB
    assert "wait 42 s" in [flip.steps[0].words.en for flip in ways_in(case)]


def test_hours_are_told_to_the_minute(building):
    """`Come back later` brings him to a closed door again."""
    (flip,) = ways_in(case_of(building, now=SUNDAY))
    assert flip.steps[0].words.en == "come back at 2026-05-11 08:00"
    usual = building.row(Zone, "office", raised_factors=2, raised_outside="hours")
    case = case_of(building, usual, now=SUNDAY, point="front.in", factors=1)
    assert "come_back" in told(case)


def test_an_unknown_card_is_to_be_issued_to_somebody_with_the_keys(building):
    """The way in for a stranger's card would name a person, or break the glass."""
    case = case_of(building, number=9)
    assert told(case) == ["issue_credential"]
    (flip,) = ways_in(case)
    assert dict(flip.steps[0].places) == {"zone": "vault"}
    nobody = case_of(building, number=9, drop=((RosterEntry, "ana-vault"),))
    assert sorted(told(nobody)[0].split("+")) == [
        "approve_need", "confirm_clearance", "put_on_roster", "register_and_issue",
    ]  # fmt: skip


def test_two_steps_are_found_where_one_is_not_enough(building):
    """Two things lack, and the officer is told of neither."""
    case = case_of(building, now=SUNDAY, drop=((RosterEntry, "ana-vault"),))
    assert [sorted(way.split("+")) for way in told(case)] == [["come_back", "put_on_roster"]]


NO_CLEARANCE = {
    "never asked for": [],
    "waiting for its second officer": [{"confirmed_by": None}],
    "lapsed": [{"notified_on": date(2010, 4, 1), "last_valid_on": term_of("KEIZAI_ANPO", date(2010, 4, 1))}],
    "ended": [{"ended_on": date(2026, 5, 1)}],
}
NO_ROSTER = {
    "never": [],
    "suspended": [{"is_suspended": True}],
    "ended": [{"ended_on": date(2026, 5, 1)}],
    "lapsed": [{"until_on": date(2026, 5, 1), "review_on": date(2026, 5, 1)}],
    "not yet": [{"from_on": date(2026, 6, 1)}],
}


@pytest.mark.req("E-03")
@pytest.mark.parametrize(
    ("kind", "row_id", "states"), [(Clearance, "ana-clearance", NO_CLEARANCE), (RosterEntry, "ana-vault", NO_ROSTER)]
)
def test_an_explanation_does_not_tell_why_a_right_is_missing(building, kind, row_id, states):
    """An officer who asks why could tell a suspended colleague from one who was never on the list."""
    found = set()
    for rows in states.values():
        changed = [building.row(kind, row_id, **fields) for fields in rows]
        case = case_of(building, *changed, drop=((kind, row_id),))
        flips = flips_of(case, case.decide())
        lines = rule_lines(trace_of(case.decide().findings))
        found.add((lines, tuple(tuple((step.code, step.places, step.words) for step in one.steps) for one in flips)))
    assert len(found) == 1


@pytest.mark.req("E-03")
def test_a_need_that_waits_or_was_never_asked_for_is_answered_alike(building):
    """An officer could tell who was once considered."""
    ways = []
    for rows in ([], [building.row(NeedToKnow, "ana-need", approved_by_2=None)]):
        case = case_of(building, *rows, drop=((NeedToKnow, "ana-need"),))
        ways.append([(flip.steps[0].code, flip.steps[0].places) for flip in ways_in(case)])
    assert ways[0] == ways[1] != []


def test_nothing_turns_an_exit_round(building):
    """Somebody would believe that leaving can be refused."""
    case = case_of(building, point="vault-door.out", number=9, ledger_is_writable=False)
    assert case.decide().reason is Reason.EXIT_FREE
    assert told(case) == []


def test_a_grant_says_what_would_end_it(building):
    """The officer does not see that the right ends tonight."""
    case = case_of(building, where=building.where(ana="lab"))
    flips = {flip.steps[0].code: flip for flip in flips_of(case, case.decide())}
    assert set(flips) == {"later", "report_lost", "leave_roster", "secure_zone", "lock_down"}
    assert flips["later"].steps[0].words.en == "from 2026-05-11 20:00 on"
    assert flips["later"].reason == "OUT_OF_SCHEDULE"
    told(case)


def test_a_grant_without_hours_ends_with_its_first_right(building):
    """The officer learns on the day that nobody may enter any more."""
    case = case_of(building, building.row(Zone, "vault", schedule=None))
    flips = {flip.steps[0].code: flip for flip in flips_of(case, case.decide())}
    assert (flips["later"].steps[0].words.en, flips["later"].reason) == ("from 2026-07-15 00:00 on", "REVIEW_OVERDUE")


def recorded(case: Case, **changed) -> RecordedDecision:
    """The record of a decision on `case`."""
    decision = case.decide()
    usual = {
        "seq": 7,
        "at": case.now.at,
        "is_clock_trusted": case.now.is_trusted,
        "type": "ACCESS_GRANTED" if decision.is_granted else "ACCESS_DENIED",
        "access_point": case.request.access_point,
        "evidence": RecordedEvidence(credential=decision.credential, method=Method.CHALLENGE, factors=3),
        "outcome": decision.outcome.value,
        "reason": decision.reason.value,
        "revision": "r",
        "trace": trace_of(decision.findings),
        "cardholder": decision.cardholder,
        "portal": decision.portal,
        "zone": decision.zone,
    }
    return RecordedDecision(**(usual | changed))


def test_a_record_is_held_to_what_was_decided_and_not_to_what_became_of_it(building):
    """A grant undone for a full disk would be called false, or a false one be passed over."""
    case = case_of(building)
    assert compared(recorded(case), case.decide()) is None
    undone = recorded(case, type="ACCESS_DENIED", outcome="DENIED", reason="AUDIT_UNAVAILABLE")
    assert undone.is_undone
    assert compared(undone, case.decide()) is None
    assert compared(recorded(case, reason="FULL"), case.decide()).what == "reason"
    assert compared(recorded(case, cardholder="ben"), case.decide()).what == "cardholder"
    assert compared(recorded(case, outcome="DENIED"), case.decide()).what == "outcome"
    trace = trace_of(case.decide().findings)
    moved = Trace(passed=trace.passed[1:], exempt=trace.exempt, failed=(("D01", "ACCESS_POINT_UNKNOWN"),))
    difference = compared(recorded(case, trace=moved), case.decide())
    assert (difference.what, difference.rules) == ("trace", ("D01",))


@pytest.mark.parametrize(
    ("younger", "facts", "rules"),
    [
        (("D38",), {}, None),  # the rule came with the next version, and finds nothing wrong
        (("D38",), {"is_commissioned": False}, ("D38",)),
        (("D37",), {}, ("D37",)),  # a finding taken out of the middle
    ],
)
def test_a_rule_younger_than_a_record_makes_it_not_false(building, younger, facts, rules):
    """After an upgrade every decision of last year would be called forged; or a finding cut out not be noticed."""
    case = case_of(building, **facts)
    trace = trace_of(case.decide().findings)
    shown = [entry for entry in trace.passed if entry not in younger], [one for one in trace.failed if one[0] != "D38"]
    older = Trace(passed=tuple(shown[0]), waived=trace.waived, failed=tuple(shown[1]), exempt=trace.exempt)
    difference = compared(recorded(case, trace=older), case.decide())
    assert (difference and difference.rules) == rules


def test_an_explanation_without_what_was_dropped_says_so(building):
    """A way in would be invented from half of what was known."""
    case = case_of(building, where=building.at("office"))
    record = recorded(case)
    whole = explain.explain(Past(recorded=record, policy=case.policy, occupancy=case.occupancy))
    assert (whole.missing, whole.difference) == ("", None)
    assert whole.flips
    partial = Past(recorded=record, policy=case.policy, occupancy=building.at("lab"), is_partial=True)
    assert explain.explain(partial).missing == "purged"
    wrong = explain.explain(replace(partial, is_partial=False))
    assert wrong.difference.rules == ("D17",)
    gone = explain.explain(Past(recorded=record, policy=None, occupancy=Occupancy()))
    assert (gone.missing, gone.flips) == ("purged", ())
    assert len(gone.rules) == len(RULES)
    assert Outcome.DENIED.value == record.outcome
    assert CardholderKind.STAFF.value == "STAFF"
