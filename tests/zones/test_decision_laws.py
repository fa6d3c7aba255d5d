"""What holds whatever the policy is, wherever anybody is, and whatever is asked (docs/decision.md §1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.share import share
from tests.zones.strategies import (
    NUMBERS,
    STRANGER,
    Case,
    cases,
    evidences,
    number_hash,
    occupancies,
    tighter,
    tighter_rows,
)
from tests.zones.traces import failed, kind_of
from zones.decision import FindingKind, Method, Outcome, PublicReason, Reason, decide, public_reason
from zones.decision.ask import ask_of
from zones.decision.decide import evaluate
from zones.decision.keys import pin_is_asked
from zones.decision.reasons import ABOUT_THE_BOX, GRANTING
from zones.decision.rules import PERSONAL, RULES
from zones.decision.values import PinCheck
from zones.edits import EMPTY, apply
from zones.moment import Moment, epoch_ms, here
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    Credential,
    CredentialState,
    InformationItem,
    Override,
    RosterEntry,
)
from zones.places import Portal, Schedule, SiteStatus, Zone, ZoneKind, ZoneState, ZoneStatus
from zones.policy import Edit, Policy

TODAY = date(2026, 5, 11)
EVERYBODY = (*NUMBERS.values(), STRANGER)


# -- a decision is its trace -----------------------------------------------------------------------------------------


@settings(max_examples=share(17, many=350))
@given(case=cases())
def test_granted_if_and_only_if_no_rule_failed(case):
    """The trace that explains a decision would not be what decided it (P8)."""
    decision = case.decided()
    assert [finding.rule for finding in decision.findings] == [rule.number for rule in RULES]
    assert decision.is_granted is all(finding.kind is not FindingKind.FAILED for finding in decision.findings)
    assert decision.is_granted is (decision.reason is Reason.OK)
    first = next((f.reason for f in decision.findings if f.kind is FindingKind.FAILED), Reason.OK)
    assert decision.reason is first
    reasons = {rule.number: rule.reason for rule in RULES}
    for finding in decision.findings:  # every rule of a policy in order runs, and fails with its own reason only
        assert finding.reason == (reasons[finding.rule] if finding.kind is FindingKind.FAILED else None)
    assert decision == case.decided()  # the same question, the same answer


@settings(max_examples=share(15, many=200))
@given(case=cases(), scheme=st.sampled_from([None, "pkoc", "ntag424"]), version=st.sampled_from([None, 0, 7]))
def test_how_a_card_was_asked_decides_nothing(case, scheme, version):
    """A card of another make, or made from an older key that still counts, would open what the next one does not."""
    other = replace(case.request.evidence, scheme=scheme, key_version=version)
    assert replace(case, request=replace(case.request, evidence=other)).decided() == case.decided()


@settings(max_examples=share(30, many=600))
@given(case=cases())
def test_nothing_that_is_taken_away_ever_opens_a_door(case):
    """Ending a right, or asking for more, would let in somebody who was refused before."""
    before = case.decided()
    if before.is_granted:
        return
    for way in tighter(case):
        assert not way.decided().is_granted, (before.reason, way)


def usual_scenes(building):
    """Ways in that are granted, each by another of the reasons that there are."""
    at_ms = epoch_ms(building.now.at)
    put_away = ZoneStatus(
        id="vault", state=ZoneState.OPEN_ATTENDED, sanitised_by="officer-1", sanitised_confirmed_by="officer-2"
    )
    glass = Override(
        id="glass",
        zone="vault",
        cardholders=("ana",),
        reason_code="RESCUE",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=at_ms,
        until_ms=at_ms + 60_000,
    )
    bo = building.person("bo", 2, is_escort=True)
    inside = building.where(ana="lab", bo="vault", cy="lab")
    vault, lab = building.row(Zone, "vault"), building.row(Zone, "lab")
    attended = replace(vault, attended_counts=True)
    numbers = replace(lab, uid_accepted=True)
    as_guest = (replace(vault, visitors_allowed=True), put_away, *bo, *building.guest("cy", 3))
    yield (), inside, {}
    yield (put_away, glass), inside, {}
    yield (put_away, replace(glass, cardholders=("cy",)), *building.guest("cy", 3)), inside, {"number": 3}
    yield as_guest, inside, {"number": 3}
    yield (attended, *bo), inside, {"factors": 2}
    yield (numbers, SiteStatus(id="site")), building.at("office"), {"method": Method.UID, "point": "lab-door.in"}
    raised = replace(numbers, kind=ZoneKind.CONTROLLED, raised_outside="hours", raised_factors=2)
    yield (raised,), building.at("office"), {"method": Method.UID, "point": "lab-door.in"}
    yield (replace(vault, dual_window_ms=30_000), *bo), building.where(), {"companions": (building.evidence(2),)}
    yield (building.roster("ana-vault", "vault", schedule="hours"),), inside, {}


@pytest.mark.parametrize("scene", range(9))
def test_nothing_taken_away_makes_up_for_something_else_taken_away(building, scene):
    """Of two officers who each take something away the second would open the door that the first closed."""
    rows, where, request = list(usual_scenes(building))[scene]
    case = Case(
        policy=building.policy(*rows, Schedule(id="never", windows=())),
        occupancy=where,
        request=building.request(**request),
        now=building.now,
    )
    assert case.decided().is_granted
    zone = case.decided().zone
    mine = ("ana", "cy", "glass", "site", zone)

    def about(policy):
        return [row for row in policy.rows() if getattr(row, "cardholder", row.id) in mine or row.id == zone]

    refused = [one for one in tighter_rows(case, *about(case.policy)) if not one.decided().is_granted]
    assert len(refused) > 5
    for one in refused:
        for way in tighter_rows(one, *about(one.policy)):
            assert not way.decided().is_granted, (one.decided().reason, way)


@st.composite
def moments(draw):
    """Moments on the days around which rights of a case begin and end."""
    turns = [date(2026, 4, 1), TODAY, date(2027, 3, 31), date(2031, 3, 31), date(2036, 3, 31), date.max, date(1, 1, 3)]
    day = draw(st.sampled_from(turns)).toordinal() + draw(st.sampled_from([-1, 0, 1, -400, 31]))
    at = datetime.fromordinal(max(1, min(day, date.max.toordinal()))).replace(tzinfo=UTC)
    return Moment(
        at=at + draw(st.sampled_from([timedelta(0), timedelta(hours=14, minutes=59), timedelta(hours=15)])), tick_ms=0
    )


@settings(max_examples=share(25, many=500))
@given(case=cases())
def test_what_is_remembered_of_one_decision_changes_no_other(case):
    """A trace that is shared would be somebody else's, or a decision would differ the second time."""
    plan = case.policy.plans[case.request.access_point]
    fresh = replace(plan, questions=replace(plan.questions, traces={}))
    ask = ask_of(case.policy, case.occupancy, case.request, case.now)
    findings, reason = evaluate(plan, ask)
    assert evaluate(fresh, ask) == (findings, reason) == evaluate(plan, ask)
    found = {rule.number: rule.findings[rule.check(ask)] for n, rule in enumerate(RULES) if _concerns(plan, rule)}
    assert all(finding == found.get(finding.rule, finding) for finding in findings)
    assert all(finding.kind is FindingKind.EXEMPT for finding in findings if finding.rule not in found)


def _concerns(plan, rule):
    return rule.concerns(plan.setting.zone, plan.setting.from_zone, plan.setting.portal)


# -- P1, told again without the rules --------------------------------------------------------------------------------


def holds_three_keys(case: Case, who: str, zone: Zone) -> bool:
    """The three keys by the rows alone, as an auditor would look them up on paper."""
    today = here(case.now.at).day

    policy = case.policy
    return (
        policy.cardholders[who].kind is CardholderKind.STAFF
        and any(
            row.confirmed_by and not row.ended_on and row.basis in zone.accepted_bases
            and (row.basis is not Basis.COMPANY or row.level >= zone.company_level)
            and row.notified_on <= today <= row.last_valid_on
            for row in policy.clearances.values() if row.cardholder == who
        )
        and any(
            row.item in zone.items and row.approved_by_2 and not row.ended_on and not row.is_suspended
            and row.from_on <= today <= row.until_on and (row.recert_on is None or today <= row.recert_on)
            for row in policy.needs_to_know.values() if row.cardholder == who
        )
        and any(
            row.zone == zone.id and not row.ended_on and not row.is_suspended and row.from_on <= today <= row.until_on
            for row in policy.roster.values() if row.cardholder == who
        )
    )  # fmt: skip


@settings(max_examples=share(75, many=1500))
@given(case=cases())
def test_three_keys_or_everything_put_away(case):
    """Somebody without a key would stand among the protected information (P1)."""
    holds_p1(case)


@pytest.mark.parametrize("scene", range(9))
def test_three_keys_or_everything_put_away_whoever_comes_along(building, scene):
    """A visitor, or somebody who lost a key, would walk in beside somebody who may (P1)."""
    rows, where, request = list(usual_scenes(building))[scene]
    more = (*building.person("bo", 2, is_escort=True), *building.guest("cy", 3), *building.person("dan", 4)[:2])
    for along in ((), (1,), (2,), (3,), (4,), (2, 3)):
        others = tuple(building.evidence(number) for number in along)
        for facts in ({"companions": others}, {"escorts": others}, {"companions": others, "escorts": others}):
            case = Case(
                policy=building.policy(*rows, *more),
                occupancy=where,
                request=building.request(**{**request, **facts}),
                now=building.now,
            )
            holds_p1(case)
            for way in tighter_rows(case, *case.policy.zone_statuses.values(), *case.policy.holders["ana"].needs):
                holds_p1(way)


def holds_p1(case):
    """Asserts that whoever enters a zone with protected information may (P1)."""
    decision = case.decided()
    policy = case.policy
    zone = policy.zones[decision.zone]
    if not (decision.is_granted and zone.is_protected):
        return
    status = policy.zone_statuses.get(zone.id)
    is_sanitised = status is not None and status.sanitised_by is not None and status.sanitised_confirmed_by is not None
    overriding = {
        who
        for one in policy.overrides.values()
        for who in one.cardholders
        if one.zone == zone.id and not one.ended_ms and one.from_ms <= epoch_ms(case.now.at) < one.until_ms
    }
    for evidence in (case.request.evidence, *case.request.companions):
        who = policy.by_number[evidence.number_hash].cardholder
        if holds_three_keys(case, who, zone):
            continue
        assert is_sanitised, who
        if who not in overriding:
            assert policy.cardholders[who].kind is not CardholderKind.STAFF
            assert zone.visitors_allowed
            assert any(_may_escort(case, zone, other) for other in ("ana", "bo")), who


def _may_escort(case, zone, who):
    is_near = case.occupancy.certain_zone(who) in case.policy.insides[zone.id] or any(
        one.number_hash == number_hash(NUMBERS[who]) for one in case.request.escorts
    )
    is_escort = any(row.zone == zone.id and row.is_escort for row in case.policy.holders[who].roster)
    return is_near and is_escort and holds_three_keys(case, who, zone)


# -- P3, and nothing is somebody -------------------------------------------------------------------------------------


@settings(max_examples=share(15, many=300))
@given(case=cases(side="out"))
def test_nothing_refuses_an_exit(case):
    """Somebody would be locked in (P3)."""
    decision = case.decided()
    assert (decision.outcome, decision.reason) == (Outcome.GRANTED, Reason.EXIT_FREE)
    assert [finding.rule for finding in decision.findings] == [rule.number for rule in RULES]
    assert {finding.kind for finding in decision.findings[1:]} == {FindingKind.EXEMPT}
    assert kind_of(decision, "D01") is FindingKind.PASSED


@pytest.mark.req("A-01")
@settings(max_examples=share(15, many=150))
@given(case=cases())
def test_an_empty_policy_admits_nobody(case):
    """A controller that lost its policy would be an open door."""
    decision = decide(EMPTY, case.occupancy, case.request, case.now)
    assert decision.outcome is Outcome.DENIED
    assert decision.reason in ABOUT_THE_BOX


@settings(max_examples=share(15, many=150))
@given(case=cases())
def test_a_site_without_people_admits_nobody(case):
    """A card reader on the wall would be enough."""
    empty = case.with_only(Schedule, Zone, ZoneStatus, SiteStatus, Portal, InformationItem)
    assert not empty.decided().is_granted


texts = st.text(max_size=12)


@settings(max_examples=share(15, many=300))
@given(
    case=cases(),
    point=st.one_of(st.sampled_from(["vault-door.in", "lab-door.in", "vault-door.out", "", "x"]), texts),
    number=texts,
    factors=st.integers(),
    at=st.datetimes(timezones=st.just(UTC)),
    tables=st.sets(st.sampled_from(["schedules", "zones", "zone_statuses", "items", "portals", "lineages", "insides"])),
)
def test_nothing_that_is_asked_makes_a_decision_break(case, point, number, factors, at, tables):
    """One odd message would stop the loop, and with it every door."""
    evidence = replace(case.request.evidence, factors=factors)
    stranger = replace(evidence, number_hash=number)
    requests = (
        replace(case.request, access_point=point, evidence=evidence, policy_age_ms=factors),
        replace(case.request, access_point=point, evidence=stranger, companions=(evidence, stranger, evidence)),
    )
    broken = replace(case.policy, **{table: {} for table in tables})  # no edit makes such a policy
    for policy in (case.policy, broken, Policy()):
        for request in requests:
            decision = decide(policy, case.occupancy, request, Moment(at=at, tick_ms=factors))
            assert len(decision.findings) == len(RULES)
            assert decision.is_granted is (decision.reason in GRANTING)


# -- what those who come along change --------------------------------------------------------------------------------


@settings(max_examples=share(17, many=350))
@given(case=cases(), along=st.lists(evidences(), max_size=3).map(tuple), before=st.lists(evidences(), max_size=3))
def test_nobody_makes_anothers_missing_key_good(case, along, before):
    """Somebody without keys would walk in beside a colleague who has them."""
    others = replace(case, request=replace(case.request, companions=along, escorts=tuple(before)))
    alone = replace(case, request=replace(case.request, companions=(), escorts=()))
    together, by_himself = others.decided(), alone.decided()
    for rule in PERSONAL:
        found = (kind_of(by_himself, rule.number), kind_of(together, rule.number))
        is_attended = rule.number == "D08" and found == (FindingKind.FAILED, FindingKind.WAIVED) and bool(along)
        assert found[0] is found[1] or is_attended, rule.number
    if along:  # whoever enters by the company he keeps is held to what he would be held to alone
        by_company = {"D10", "D35", "D20", "D21", "D08"}  # D08: one factor, where the zone counts being attended
        assert by_himself.is_granted or not together.is_granted or set(failed(by_himself)) <= by_company


# -- P5: what is told, and to whom -----------------------------------------------------------------------------------


@pytest.mark.req("E-04")
@settings(max_examples=share(17, many=350))
@given(case=cases())
def test_every_refusal_tells_every_card_the_same(case):
    """A thief would learn at the door that the card he found is live."""
    told = set()
    for number in EVERYBODY:
        evidence = replace(case.request.evidence, number_hash=number_hash(number))
        told.add(public_reason(replace(case, request=replace(case.request, evidence=evidence)).decided().reason))
    assert told in (
        {PublicReason.OUT_OF_ORDER},
        {PublicReason.NO_AUTHORISATION},
        {PublicReason.NO_AUTHORISATION, PublicReason.OK},
        {PublicReason.OK},
    )


@pytest.mark.req("E-04")
@settings(max_examples=share(15, many=300))
@given(case=cases(), data=st.data())
def test_the_question_for_a_pin_depends_on_zone_site_and_hour_alone(case, data):
    """The keypad would light up for live cards only."""
    asked = pin_is_asked(ask_of(case.policy, case.occupancy, case.request, case.now))
    bare = case.with_only(Schedule, Zone, SiteStatus, Portal)
    request = replace(case.request, evidence=data.draw(evidences()), companions=(), escorts=())
    occupancy = data.draw(occupancies("lab"))
    assert pin_is_asked(ask_of(case.policy, occupancy, request, case.now)) is asked
    assert pin_is_asked(ask_of(bare.policy, occupancy, request, case.now)) is asked


@pytest.mark.req("E-03")
def test_five_histories_of_absence_are_one(building):
    """A reader of the log could tell who was found unsuitable from who was never asked."""
    clearance = building.rows[Clearance, "ana-clearance"]
    old = replace(clearance, notified_on=date(2016, 4, 1), last_valid_on=date(2026, 3, 31))
    without = building.without((Clearance, "ana-clearance"))
    histories = {
        "never asked": without,
        "pending": apply(without, Edit(puts=(replace(clearance, confirmed_by=None),))),
        "declined": building.without((Clearance, "ana-clearance")),
        "not in force any more": apply(without, Edit(puts=(replace(clearance, ended_on=TODAY),))),
        "expired": apply(without, Edit(puts=(old,))),
    }
    answers = {name: repr(building.decides(policy)) for name, policy in histories.items()}
    assert len(set(answers.values())) == 1, answers


@pytest.mark.req("E-04")
def test_every_refusal_about_the_person_looks_the_same(building):
    """A thief would learn from the light that the card he found is live."""
    vault = building.row(Zone, "vault", training=("fire",), declares_devices=True, dual_window_ms=30_000)
    scenes = {
        "a stranger": building.scene(number=99),
        "a lost card": building.scene(building.row(Credential, "ana-card", state=CredentialState.LOST)),
        "a copy": building.scene(method=Method.FAKED),
        "too few factors": building.scene(factors=0),
        "a wrong PIN": building.scene(pin=PinCheck.WRONG),
        "a locked PIN": building.scene(pin=PinCheck.LOCKED),
        "left": building.scene(building.row(Cardholder, "ana", ended_on=TODAY)),
        "not told": building.scene(SiteStatus(id="site", notice_version=1)),
        "no clearance": building.scene(drop=[(Clearance, "ana-clearance")]),
        "not on the roster": building.scene(drop=[(RosterEntry, "ana-vault")]),
        "many things": building.scene(vault),
        "from elsewhere": building.scene(where=building.at("street")),
        "inside already": building.scene(where=building.at("vault")),
        "secured": building.scene(ZoneStatus(id="vault", state=ZoneState.SECURED)),
        "locked": building.scene(portal_is_locked=True),
    }
    assert {name: public_reason(one.reason) for name, one in scenes.items()} == dict.fromkeys(
        scenes, PublicReason.NO_AUTHORISATION
    )
    assert len({one.reason for one in scenes.values()}) == len(scenes)


def test_rules_are_numbered_from_one_and_none_is_given_twice():
    """Two rules would share a number, and a trace of last year would mean something else today."""
    assert sorted(rule.number for rule in RULES) == [f"D{n:02}" for n in range(1, len(RULES) + 1)]
    assert len({rule.reason for rule in RULES}) == len(RULES)
    assert all(rule.check.__doc__.startswith(f"{rule.number}. ") for rule in RULES)
    assert all(rule.source for rule in RULES)
