"""How rules are asked and what is told of them, whatever they are (docs/decision.md §1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.zones.traces import of_kind
from zones.decision import FindingKind, Outcome, PublicReason, Reason, public_reason
from zones.decision.ask import NO_SETTING
from zones.decision.decide import TRACES_MAX, evaluate, reason_of
from zones.decision.plan import plan_for
from zones.decision.reasons import ABOUT_THE_BOX, GRANTING, OFFICER_WORDS
from zones.decision.rule import Rule
from zones.decision.rules import RULES
from zones.edits import apply
from zones.places import Portal, Zone
from zones.policy import Edit


def rule_that(check, number="D99", **more):
    return Rule(number=number, reason=Reason.FULL, source="here", check=check, **more)


def evaluated(building, *rules):
    return evaluate(plan_for(NO_SETTING, rules), building.ask())


@pytest.mark.parametrize("broken", [ValueError, KeyError, RecursionError, AssertionError])
def test_a_rule_that_raises_admits_nobody_and_hides_no_other_rule(building, broken):
    """A mistake of ours in one rule would let people in, as in engines that skip what fails."""

    def raises(_ask):
        raise broken

    for place in range(3):
        rules = [*RULES[1:3]]
        rules.insert(place, rule_that(raises))
        findings, reason = evaluated(building, *rules)
        assert [finding.rule for finding in findings] == [rule.number for rule in rules]
        kinds = [FindingKind.PASSED] * 2
        kinds.insert(place, FindingKind.FAILED)
        assert [finding.kind for finding in findings] == kinds
        assert reason is findings[place].reason is Reason.RULE_ERROR


@pytest.mark.parametrize("answer", [None, True, 1, "yes", "passed", Reason.OK])
def test_a_rule_that_answers_nonsense_admits_nobody(building, answer):
    """A forgotten `return` would be a grant."""
    findings, reason = evaluated(building, rule_that(lambda _ask: answer))
    assert [finding.kind for finding in findings] == [FindingKind.FAILED]
    assert reason is Reason.RULE_ERROR


@pytest.mark.parametrize("kind", list(FindingKind))
def test_what_a_rule_finds_is_what_the_trace_says(building, kind):
    """An exempt rule would read as one that was passed."""
    findings, reason = evaluated(building, rule_that(lambda _ask: kind), RULES[1])
    assert findings[0].kind is kind
    assert findings[0].rule == "D99"
    assert findings[0].reason is (Reason.FULL if kind is FindingKind.FAILED else None)
    assert reason is (Reason.FULL if kind is FindingKind.FAILED else Reason.OK)
    unconcerned = rule_that(lambda _ask: kind, concerns=lambda *_row: False)
    assert evaluated(building, unconcerned)[0][0].kind is FindingKind.EXEMPT


def test_an_error_beside_a_failure_names_the_first_of_them(building):
    """The officer would read that the box is broken where somebody was refused for a reason."""

    def raises(_ask):
        raise ValueError

    fails = rule_that(lambda _ask: FindingKind.FAILED, "D98")
    assert evaluated(building, fails, rule_that(raises))[1] is Reason.FULL
    assert evaluated(building, rule_that(raises), fails)[1] is Reason.RULE_ERROR
    assert evaluated(building, RULES[1], rule_that(raises))[1] is Reason.RULE_ERROR


def test_a_failure_without_a_reason_is_a_mistake_of_ours(building):
    """A refusal would be recorded as a grant's reason."""
    (finding,) = evaluated(building, rule_that(lambda _ask: FindingKind.FAILED))[0]
    assert reason_of([replace(finding, reason=None)]) is Reason.RULE_ERROR
    assert reason_of([]) is Reason.OK


def test_traces_are_remembered_up_to_a_bound(building):
    """Somebody who tries cards all night would fill the memory, or would read another's trace."""
    found = iter([FindingKind.WAIVED, FindingKind.WAIVED, FindingKind.EXEMPT])
    plan = plan_for(NO_SETTING, (rule_that(lambda _ask: next(found)),))
    first = evaluate(plan, building.ask())
    assert evaluate(plan, building.ask()) is first
    known = len(plan.questions.traces)
    plan.questions.traces.update(dict.fromkeys(range(known - TRACES_MAX, 0)))
    bound = len(plan.questions.traces)
    assert evaluate(plan, building.ask())[0][0].kind is FindingKind.EXEMPT
    assert len(plan.questions.traces) == bound


@pytest.mark.parametrize("answers", [(None, None), ("raises", None), (None, "raises"), ("raises", "raises")])
def test_no_mistake_hides_another_or_a_refusal(building, answers):
    """Of two broken rules the trace would name one, or would not say that a third refused."""

    def broken(answer):
        def check(_ask):
            if answer == "raises":
                raise ValueError
            return answer

        return check

    one, other = (rule_that(broken(answer), f"D9{n}") for n, answer in enumerate(answers))
    fails = rule_that(lambda _ask: FindingKind.FAILED, "D97")
    findings, reason = evaluated(building, RULES[1], one, other, fails)
    assert [finding.reason for finding in findings] == [None, Reason.RULE_ERROR, Reason.RULE_ERROR, Reason.FULL]
    assert reason is Reason.RULE_ERROR


def test_what_a_companion_is_asked_is_the_same_entry(building):
    """The second card would be asked about another door, another moment or another policy."""
    ask = building.ask(*building.person("bo", 2))
    other = ask.of(building.evidence(2))
    same = ("policy", "occupancy", "request", "now", "today", "point", "portal", "zone", "from_zone", "items", "inside")
    assert all(getattr(other, name) is getattr(ask, name) for name in same)
    assert (other.evidence, other.credential.id, other.holder.cardholder.id) == (building.evidence(2), "bo-card", "bo")
    assert ask.of(building.evidence(99)).holder is None


@pytest.mark.parametrize("number", [1, 99])
def test_an_exit_says_who_left_where_it_is_known(building, number):
    """The record of an exit would name nobody, or somebody else, or another reason than that leaving is free."""
    decision = building.scene(point="vault-door.out", number=number)
    assert (decision.outcome, decision.reason) == (Outcome.GRANTED, Reason.EXIT_FREE)
    assert [finding.rule for finding in decision.findings] == [rule.number for rule in RULES]
    assert of_kind(decision, FindingKind.PASSED) == {"D01"}
    assert of_kind(decision, FindingKind.EXEMPT) == {rule.number for rule in RULES} - {"D01"}
    assert (decision.cardholder, decision.credential) == (("ana", "ana-card") if number == 1 else (None, None))
    assert (decision.portal, decision.zone, decision.direction) == ("vault-door", "lab", "OUT")


def test_an_edit_of_the_building_is_asked_about_at_the_next_read(building):
    """A door would go on asking what it asked before the building was changed."""
    policy = building.policy(*building.person("bo", 2))
    where = building.where(ana="lab", bo="vault")
    assert building.decides(policy, where).is_granted

    def edited(*rows):
        return building.decides(apply(policy, Edit(puts=rows)), where, not_closed=frozenset({"lab-door"})).reason

    vault, lab = building.row(Zone, "vault"), building.row(Zone, "lab")
    assert edited(building.row(Zone, "office", occupancy_max=9)) is Reason.OK
    assert edited(replace(vault, declares_devices=True)) is Reason.DEVICE_DECLARATION
    assert edited(replace(lab, is_vestibule=True)) is Reason.OK
    assert edited(replace(lab, is_vestibule=True), replace(vault, occupancy_max=1)) is Reason.FULL
    assert edited(building.row(Portal, "vault-door", interlock_with=("lab-door",))) is Reason.INTERLOCK
    assert edited(building.row(Portal, "vault-door", outer="office")) is Reason.OUT_OF_SEQUENCE
    where = building.where(ana="lab", bo="lab")
    assert edited(replace(lab, is_vestibule=True)) is Reason.INTERLOCK


def test_a_zone_built_into_another_counts_in_it_at_the_next_read(building):
    """People in the new room would not fill the zone around it, and would seem to be elsewhere."""
    limited = building.policy(building.row(Zone, "lab", occupancy_max=1))
    annex = building.row(Zone, "lab", id="annex", parent="office")
    where = building.where(ana="office", bo="annex")
    before = apply(limited, Edit(puts=(annex,)))
    assert building.decides(before, where, point="lab-door.in").is_granted
    after = apply(before, Edit(puts=(replace(annex, parent="lab"),)))
    assert building.decides(after, where, point="lab-door.in").reason is Reason.FULL


# -- what is told ------------------------------------------------------------------------------------------------------


OUT_OF_ORDER = {
    *("RULE_ERROR", "ACCESS_POINT_UNKNOWN", "AUDIT_UNAVAILABLE", "READER_UNTRUSTED", "CLOCK_UNTRUSTED"),
    *("READ_STALE", "STALE_POLICY", "LINK_INSECURE", "COMMISSIONING"),
}
ALIKE = {
    *("REPEATED_READ", "REPLAY", "CARD_UNKNOWN", "CARD_INACTIVE", "CARD_AUTH_FAILED", "PIN_WRONG", "PIN_LOCKED"),
    *("FACTOR_MISSING", "CARDHOLDER_INACTIVE", "NOTICE_MISSING", "PORTAL_LOCKED", "ZONE_SECURED", "ZONE_UNATTENDED"),
    *("LOCKDOWN", "CLEARANCE_NONE", "NO_NEED_TO_KNOW", "NOT_ON_ROSTER", "REVIEW_OVERDUE", "OUT_OF_SCHEDULE"),
    *("TRAINING_EXPIRED", "DEVICE_DECLARATION", "OUT_OF_SEQUENCE", "APB", "IMPOSSIBLE_TRAVEL", "FULL", "NEED_SECOND"),
    *("NOBODY_ALONE", "NEED_ESCORT", "SANITISE_FIRST", "INTERLOCK"),
}


@pytest.mark.req("E-05")
@pytest.mark.parametrize("reason", list(Reason))
def test_what_the_door_tells_of_each_reason(reason):
    """A new reason would slip onto the display at the door without anybody having thought about it."""
    told = public_reason(reason)
    assert (told is PublicReason.OUT_OF_ORDER) is (reason in OUT_OF_ORDER)
    assert (told is PublicReason.NO_AUTHORISATION) is (reason in ALIKE)
    assert (told is PublicReason.OK) is (reason in {"OK", "EXIT_FREE"})
    assert (reason in ABOUT_THE_BOX) is (reason in OUT_OF_ORDER)
    assert (reason in GRANTING) is (reason in {"OK", "EXIT_FREE"})


def test_the_box_is_asked_before_the_person():
    """By a box out of order a thief could tell a live card from a dead one."""
    about_the_box = [rule.reason in ABOUT_THE_BOX for rule in RULES]
    assert about_the_box == sorted(about_the_box, reverse=True)


def test_every_reason_has_its_words():
    """An officer would read a code instead of a sentence."""
    assert set(OFFICER_WORDS) == set(Reason)
    assert all(words.ja and words.en for words in OFFICER_WORDS.values())


def test_reasons_are_what_they_are_called():
    """A record of last year would name a reason that no longer exists."""
    assert all(reason.value == reason.name for reason in Reason)
