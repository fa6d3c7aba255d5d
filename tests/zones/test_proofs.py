"""Proofs over a whole policy: they hold for a sound site, and fail with the steps wherever a fault is planted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zones.planted import planted, ruled_by
from zones.decision import Evidence, FindingKind, Method, Request, decide
from zones.decision.plan import plan_for
from zones.decision.rule import FAILED, PASSED, Rule
from zones.decision.rules import RULES
from zones.edits import EMPTY, apply
from zones.moment import Moment, epoch_ms
from zones.occupancy import Occupancy, Presence
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    Credential,
    CredentialState,
    InformationItem,
    NeedToKnow,
    Override,
    Visit,
)
from zones.places import (
    ExitHardware,
    Portal,
    PortalMode,
    PortalStatus,
    Schedule,
    Window,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.policy import Edit
from zones.portal_modes import standing_mode
from zones.portal_values import KEPT
from zones.proofs import STRANGER, Stopped, keys_held, prove, who_can
from zones.proofs.instants import instants_of
from zones.proofs.search import most_open
from zones.ways import stands_unlocked

HANDLE = {"exit_hardware": ExitHardware.HANDLE}
DAY = timedelta(days=1)


class Site:
    """The building with handles on its portals, and people who hold what a test says."""

    def __init__(self, building) -> None:
        self.building = building
        self.now = building.now
        portals = ("front", "lab-door", "vault-door")
        self.base = apply(building.policy(), Edit(puts=tuple(building.row(Portal, one, **HANDLE) for one in portals)))

    def person(self, who, number, *, zones=("office", "lab", "vault"), without=(), kind=CardholderKind.STAFF, **roster):
        """Rows of a cardholder with a card, the places on rosters and the keys that are not named in `without`."""
        rows = [
            Cardholder(id=who, kind=kind),
            Credential(
                id=f"{who}-card",
                cardholder=who,
                number_hash=self.building.number(number),
                last4="00FF",
                state=CredentialState.ACTIVE,
            ),
        ]
        if "clearance" not in without:
            rows.append(self.building.row(Clearance, "ana-clearance", id=f"{who}-clearance", cardholder=who))
        if "need" not in without:
            rows.append(self.building.row(NeedToKnow, "ana-need", id=f"{who}-need", cardholder=who))
        for zone in zones:
            entry = self.building.roster(f"{who}-{zone}", zone, who)
            rows.append(replace(entry, **roster) if zone == "vault" else entry)
        return rows

    def policy(self, *rows):
        return apply(self.base, Edit(puts=tuple(rows)))

    def proofs(self, policy, **more):
        return {one.name: one for one in prove(policy, self.now, **more)}


@pytest.fixture(scope="module")
def site(building):
    return Site(building)


def names(witnesses):
    return [one.who for one in witnesses]


def without(*numbers):
    return tuple(rule for rule in RULES if rule.number not in numbers)


# -- a sound site --------------------------------------------------------------------------------


@pytest.mark.req("C-05")
def test_exactly_those_with_three_keys_could_be_inside(site):
    """The list of who may be with the secret would be longer or shorter than the truth."""
    rows = [
        *site.person("bo", 2),
        *site.person("cy", 3, without=("clearance",)),
        *site.person("di", 4, without=("need",)),
        *site.person("ed", 5, zones=("office", "lab")),
        *site.person("fe", 6, zones=("vault",)),
        *site.person("gus", 7, is_suspended=True),
    ]
    proofs = site.proofs(site.policy(*rows))
    assert {name: proof.holds for name, proof in proofs.items()} == dict.fromkeys(
        ("WHO", "KEYS", "SANITISED", "EXIT"), True
    )
    assert names(proofs["WHO"].witnesses) == ["ana", "bo"], "fe has the keys of the vault, but cannot get to it"
    ana = proofs["WHO"].witnesses[0]
    assert ana.path == ("street", "front", "office", "lab-door", "lab", "vault-door", "vault")
    assert ana.keys.rows == ("clearance ana-clearance", "need_to_know ana-need", "roster ana-vault")
    assert proofs["SANITISED"].witnesses == ()


def test_a_right_that_begins_later_is_found(site):
    """Whoever may come from next month on would be missing from the list of those who could be there."""
    later = site.now.today + 40 * DAY
    policy = site.policy(*site.person("bo", 2, from_on=later, review_on=later))
    assert names(who_can(policy, "vault", site.now)) == ["ana"]
    found = {one.who: one for one in who_can(policy, "vault", site.now, horizon_days=60)}
    assert found["bo"].at.today >= later
    assert names(who_can(policy, "vault", site.now, horizon_days=30)) == ["ana"]


def test_the_hour_counts(site):
    """At night the vault is shut, and the answer would be that of the day."""
    night = Moment(at=datetime(2026, 5, 10, 18, 0, tzinfo=UTC), tick_ms=1)  # Monday, 03:00
    assert who_can(site.base, "vault", night) == ()
    assert names(who_can(site.base, "vault", night, horizon_days=1)) == ["ana"]


def test_who_is_inside_already_is_there(site):
    """Somebody whose rights lapsed while inside would be taken for gone."""
    policy = site.policy(*site.person("bo", 2, zones=("office",)))
    occupancy = Occupancy(where={"bo": Presence(zone="vault", is_certain=True)})
    found = who_can(policy, "vault", site.now, occupancy=occupancy)
    assert [(one.who, one.keys.are_all) for one in found] == [("ana", True), ("bo", False)]


@pytest.mark.req("B-04")
def test_two_together_get_in_where_one_does_not(site):
    """A zone for two would be said to admit nobody, or one."""
    policy = site.policy(site.building.row(Zone, "vault", dual_window_ms=30_000, occupancy_min=2))
    assert who_can(policy, "vault", site.now) == ()
    both = apply(policy, Edit(puts=tuple(site.person("bo", 2))))
    found = who_can(both, "vault", site.now)
    assert [(one.who, one.steps[-1].others) for one in found] == [("ana", ("bo",)), ("bo", ("ana",))]
    third = apply(policy, Edit(puts=tuple(site.person("cy", 3, without=("need",)))))
    assert who_can(third, "vault", site.now) == (), "a companion needs the keys too"


@pytest.mark.req("A-06", "A-19")
def test_a_guest_is_inside_only_while_everything_is_put_away(site):
    """A visitor would stand beside an open file, or the proof would deny that there are visitors."""
    visit = Visit(
        id="tour",
        cardholder="vi",
        host="ana",
        zones=("office", "lab", "vault"),
        from_on=site.now.today,
        until_on=site.now.today + 3 * DAY,
    )
    guest = site.person("vi", 9, zones=(), without=("clearance", "need"), kind=CardholderKind.VISITOR)
    escorts = [
        replace(site.building.roster(f"ana-{zone}", zone), is_escort=True) for zone in ("office", "lab", "vault")
    ]
    open_zones = [
        site.building.row(Zone, zone, visitors_allowed=True, **more)
        for zone, more in (("office", {}), ("lab", {}), ("vault", {}))
    ]
    policy = site.policy(*guest, *escorts, *open_zones, visit)
    proofs = site.proofs(policy, horizon_days=30)
    assert proofs["KEYS"].holds
    assert proofs["SANITISED"].holds
    assert [(one.who, one.guest_of, one.steps[-1].others) for one in proofs["SANITISED"].witnesses] == [
        ("vi", ("tour",), ("ana",))
    ]
    alone = site.policy(*guest, *open_zones, visit)
    assert site.proofs(alone, horizon_days=30)["SANITISED"].witnesses == (), "nobody may bring the guest"


@pytest.mark.req("A-32")
def test_break_glass_counts_while_it_lasts(site):
    """Two officers' exception would be missing from the proof, or never end in it."""
    from_ms = epoch_ms(site.now.at) + 3_600_000
    glass = Override(
        id="glass",
        zone="vault",
        cardholders=("bo",),
        reason_code="ALARM",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=from_ms,
        until_ms=from_ms + 3_600_000,
    )
    policy = site.policy(*site.person("bo", 2, zones=("office", "lab"), without=("need",)), glass)
    proofs = site.proofs(policy, horizon_days=2)
    assert proofs["KEYS"].holds, "not while information lies open"
    assert [(one.who, one.guest_of) for one in proofs["SANITISED"].witnesses] == [("bo", ("glass",))]
    assert epoch_ms(proofs["SANITISED"].witnesses[0].at.at) == from_ms


def test_states_that_an_officer_can_lift_hide_nobody(site):
    """After the lockdown somebody could walk in whom the proof called shut out."""
    locked = [
        ZoneStatus(id="lab", state=ZoneState.SECURED, is_locked_down=True),
        PortalStatus(id="vault-door", mode=PortalMode.LOCKED),
    ]
    assert names(who_can(site.policy(*locked), "vault", site.now)) == ["ana"]


def test_a_long_search_can_be_stopped(site):
    """An officer would wait for a proof of a large site without a way back."""
    seen = []

    def progress(done, of):
        seen.append((done, of))
        return done == 2

    with pytest.raises(Stopped):
        prove(site.base, site.now, progress=progress)
    assert [done for done, _ in seen] == [1, 2]


# -- planted faults --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, missing",
    [("D11", {"without": ("clearance",)}), ("D12", {"without": ("need",)}), ("D13", {"zones": ("office", "lab")})],
)
def test_a_rule_left_out_is_told_with_the_steps(site, number, missing):
    """A key would be asked for nowhere, and the proof would go on holding (P1)."""
    policy = site.policy(*site.person("bo", 2, **missing))
    assert site.proofs(policy)["KEYS"].holds
    proof = site.proofs(ruled_by(policy, without(number)))["KEYS"]
    assert not proof.holds
    assert [line.partition(" 20")[0] for line in proof.steps[:3]] == [
        "bo: street -[front",
        "bo: office -[lab-door",
        "bo: lab -[vault-door",
    ]
    assert proof.steps[2].endswith("-> vault (granted)")
    assert not site.proofs(ruled_by(policy, without(number)))["WHO"].holds


def test_a_rule_that_forgets_the_last_day_is_caught_although_there_were_keys_before(site):
    """Whoever once had a right would have it for ever, and the proof would see only the first entry."""
    until = site.now.today + 30 * DAY

    def has_ever_had(ask):
        needs = () if ask.holder is None else ask.holder.needs
        return PASSED if any(need.item in ask.zone.items for need in needs) else FAILED

    forgetful = tuple(
        Rule(
            number=rule.number,
            reason=rule.reason,
            source=rule.source,
            check=has_ever_had,
            concerns=rule.concerns,
            is_personal=True,
        )
        if rule.number == "D12"
        else rule
        for rule in RULES
    )
    policy = site.policy(site.building.row(NeedToKnow, "ana-need", until_on=until))
    assert site.proofs(policy)["KEYS"].holds
    proof = site.proofs(ruled_by(policy, forgetful))["KEYS"]
    assert not proof.holds
    assert names(proof.witnesses) == ["ana"]
    assert proof.witnesses[0].at.today > until


@pytest.mark.parametrize("number", ["D23"])
def test_a_guest_beside_an_open_file_is_told(site, number):
    """Maintenance would walk into an open vault (A-19)."""
    from_ms = epoch_ms(site.now.at)
    glass = Override(
        id="glass",
        zone="vault",
        cardholders=("bo",),
        reason_code="ALARM",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=from_ms,
        until_ms=from_ms + 3_600_000,
    )
    policy = site.policy(*site.person("bo", 2, zones=("office", "lab"), without=("need",)), glass)
    proof = site.proofs(ruled_by(policy, without(number)))["KEYS"]
    assert not proof.holds
    assert proof.steps[-1] == "bo: in vault by clearance bo-clearance, guest by glass"


def test_a_way_around_the_controls_is_told(site):
    """A hatch between the store and the vault would make every rule at the vault's door a decoration."""
    store = Zone(id="store", name_ja="倉庫", name_en="Store", kind=ZoneKind.CONTROLLED, parent="office")
    rows = [
        store,
        Portal(id="store-door", name_ja="扉", name_en="Store", outer="office", inner="store", **HANDLE),
        Portal(id="hatch", name_ja="扉", name_en="Hatch", outer="vault", inner="store", **HANDLE),
    ]
    policy = planted(site.policy(*site.person("bo", 2, zones=("office",), without=("need",))), *rows)
    policy = apply_past(policy, site.building.roster("bo-store", "store", "bo"))
    proof = site.proofs(policy)["KEYS"]
    assert not proof.holds
    assert [line.partition(" 20")[0] for line in proof.steps] == [
        "bo: street -[front",
        "bo: office -[store-door",
        "bo: store -[hatch",
        "bo: in vault by clearance bo-clearance",
    ]
    assert proof.steps[2].endswith("-> vault (exit)")


def apply_past(policy, row):
    """One roster entry in, without asking whether the portals are sound."""
    holder = policy.holders[row.cardholder]
    holders = {**policy.holders, row.cardholder: replace(holder, roster=(*holder.roster, row))}
    return replace(policy, holders=holders, roster={**policy.roster, row.id: row})


@pytest.mark.parametrize(
    "row",
    [
        lambda site: site.building.row(Portal, "vault-door", unlock_schedule="hours", **HANDLE),
        lambda site: PortalStatus(id="vault-door", mode=PortalMode.UNLOCKED),
    ],
)
def test_a_vault_never_stands_unlocked_whatever_a_row_says(site, row):
    """The cleaner would be in the vault, and every decision in the ledger would be right."""
    policy = planted(site.policy(*site.person("bo", 2, zones=("office", "lab"), without=("need",))), row(site))
    assert site.proofs(policy)["KEYS"].holds


def test_a_lab_that_stands_open_is_open_to_anybody_at_its_hours(site):
    """Only cardholders would be searched, and burglars have no card."""
    policy = site.policy(
        *(site.building.row(Portal, one, unlock_schedule="hours", **HANDLE) for one in ("front", "lab-door"))
    )
    assert names(who_can(policy, "lab", site.now)) == [STRANGER, "ana"]
    night = Moment(at=datetime(2026, 5, 10, 18, 0, tzinfo=UTC), tick_ms=1)
    assert names(who_can(policy, "lab", night)) == ["ana"]
    hatch = [
        Zone(id="store", name_ja="倉庫", name_en="Store", kind=ZoneKind.LIMITED, parent="lab"),
        Portal(id="hole", name_ja="扉", name_en="Hole", outer="lab", inner="store", unlock_schedule="hours", **HANDLE),
        Portal(id="hatch", name_ja="扉", name_en="Hatch", outer="vault", inner="store", **HANDLE),
    ]
    proof = site.proofs(planted(policy, *hatch))["KEYS"]
    assert STRANGER in names(proof.witnesses)
    assert proof.steps[0].startswith("anybody, without a card: street -[front")
    assert proof.steps[0].endswith("-> office (unlocked)")
    assert proof.steps[-1] == "anybody, without a card: in vault by no keys"


@pytest.mark.req("D-24")
def test_everybody_leaves_and_where_not_the_zone_is_named(site):
    """People would burn behind a door that waits for a computer (P3)."""
    proof = site.proofs(site.base)["EXIT"]
    assert proof.holds
    assert "vault -[vault-door]-> lab -[lab-door]-> office -[front]-> street" in " | ".join(proof.steps)
    soft = planted(site.base, site.building.row(Portal, "lab-door", exit_hardware=ExitHardware.SOFTWARE))
    proof = site.proofs(soft)["EXIT"]
    assert not proof.holds
    assert proof.steps == (
        "lab: one can leave for nowhere",
        "lab -[lab-door]-> office: the exit needs software",
        "vault: one can leave for lab",
        "lab -[lab-door]-> office: the exit needs software",
    )


def test_an_exit_that_asks_anything_is_told(site):
    """A mistake in the table of plans would lock people in."""
    plan = site.base.plans["lab-door.out"]
    asking = plan_for(plan.setting, RULES)
    policy = replace(site.base, plans={**site.base.plans, "lab-door.out": asking})
    proof = site.proofs(policy)["EXIT"]
    assert not proof.holds
    assert "lab -[lab-door]-> office: the exit is refused" in proof.steps


# -- laws --------------------------------------------------------------------------------

FIRST = date(2026, 5, 1)
days = st.integers(0, 60).map(lambda n: FIRST + n * DAY)
maybe_days = st.none() | days
officers = st.sampled_from([None, "o-1", "o-2", "o-3"])


@st.composite
def needs(draw):
    first, last = sorted((draw(days), draw(days)))
    return NeedToKnow(
        id="ana-need",
        cardholder="ana",
        item=draw(st.sampled_from(["item-1", "item-2", "item-3"])),
        purpose_code="DESIGN",
        from_on=first,
        until_on=last,
        is_suspended=draw(st.booleans()),
        ended_on=draw(maybe_days),
        recert_on=draw(maybe_days),
        requested_by="o-1",
        approved_by_1="o-2",
        approved_by_2=draw(st.sampled_from([None, "o-3"])),
    )


@st.composite
def clearances(draw, building):
    return building.row(
        Clearance,
        "ana-clearance",
        basis=draw(st.sampled_from([Basis.KEIZAI_ANPO, Basis.COMPANY])),
        notified_on=draw(days),
        confirmed_by=draw(st.sampled_from([None, "officer-2"])),
        ended_on=draw(maybe_days),
        level=draw(st.integers(0, 3)),
        last_valid_on=draw(days),
    )


@st.composite
def entries(draw, building):
    first, last = sorted((draw(days), draw(days)))
    return replace(
        building.roster("ana-vault", draw(st.sampled_from(["vault", "lab"]))),
        from_on=first,
        until_on=last,
        is_suspended=draw(st.booleans()),
        ended_on=draw(maybe_days),
    )


@st.composite
def items(draw):
    return InformationItem(
        id="item-1", designated_until=draw(days), contract_until=draw(maybe_days), lifted_on=draw(maybe_days)
    )


@settings(max_examples=200)
@given(data=st.data())
def test_the_keys_said_twice_are_the_same_keys(building, site, data):
    """Rules and proof would mean different things by a key, and one of them be wrong."""
    levels = building.row(
        Zone, "vault", accepted_bases=(Basis.KEIZAI_ANPO, Basis.COMPANY), company_level=data.draw(st.integers(0, 2))
    )
    rows = {
        "clearances": (data.draw(clearances(building)),),
        "needs": (data.draw(needs()),),
        "roster": (data.draw(entries(building)),),
    }
    policy = site.policy(levels)
    policy = replace(policy, items={"item-1": data.draw(items())})
    policy = replace(policy, holders={"ana": replace(policy.holders["ana"], **rows)})
    day = data.draw(days)
    now = Moment(at=datetime(day.year, day.month, day.day, 3, tzinfo=UTC), tick_ms=1)
    keys = keys_held(policy, "ana", policy.zones["vault"], now.today)
    findings = decide(policy, building.at("lab"), building.request(), now).findings
    found = {one.rule: one.kind is FindingKind.PASSED for one in findings if one.rule in ("D11", "D12", "D13")}
    assert found == {
        "D11": keys.clearance is not None,
        "D12": keys.need_to_know is not None,
        "D13": keys.roster is not None,
    }


@settings(max_examples=30)
@given(data=st.data())
def test_an_hour_by_hour_search_finds_the_same_people(building, site, data):
    """Two cuts in time would lie so that somebody slips through between them."""
    rows = {
        "clearances": (data.draw(clearances(building)),),
        "needs": (data.draw(needs()),),
        "roster": (*site.base.holders["ana"].roster[:2], data.draw(entries(building))),
    }
    hours = Schedule(
        id="hours",
        windows=(
            Window(weekday=data.draw(st.integers(0, 6)), from_min=540, to_min=600, from_on=data.draw(maybe_days)),
        ),
    )
    policy = planted(site.base, hours)
    holder = replace(policy.holders["ana"], **rows)
    policy = replace(policy, holders={"ana": holder}, items={"item-1": data.draw(items())})
    now = Moment(at=datetime(2026, 5, 1, 0, 0, tzinfo=UTC), tick_ms=1)

    def is_granted(point, moment):
        request = building.request(point=point)
        return decide(policy, Occupancy(), request, moment).is_granted

    at, is_found, reached = now, False, 0
    chain = ("front.in", "lab-door.in", "vault-door.in")
    while at.today <= now.today + 20 * DAY and not is_found:
        while reached < 3 and is_granted(chain[reached], at):
            reached += 1
        is_found = reached == 3
        at = Moment(at=at.at + timedelta(minutes=60), tick_ms=1)
    assert bool(who_can(policy, "vault", now, horizon_days=20)) is is_found
    assert {one.name: one.holds for one in prove(policy, now, horizon_days=20)}["KEYS"]


@settings(max_examples=100)
@given(minutes=st.integers(0, 60 * 24 * 60), data=st.data())
def test_between_two_instants_nothing_changes(building, site, minutes, data):
    """A moment that the search skips would be the one at which somebody gets in."""
    policy = site.policy(
        site.building.row(NeedToKnow, "ana-need", until_on=data.draw(days), from_on=FIRST, recert_on=data.draw(days)),
        InformationItem(id="item-1", designated_until=data.draw(days)),
    )
    instants = instants_of(policy, site.now, 60)
    at = Moment(at=site.now.at + timedelta(minutes=minutes), tick_ms=1)
    hours = tuple(stands for stands in (partial(open_now, policy, at)(one) for one in policy.schedules.values()))
    same = [
        one
        for one in instants.moments
        if one.hours == hours
        and instants.standing("ana", one)[:2] == instants.standing("ana", replace(one, day=at.today))[:2]
    ]
    assert same, "every moment has its like among the instants"
    request = building.request()
    answers = {decide(policy, building.at("lab"), request, one.now).findings for one in same}
    assert answers == {decide(policy, building.at("lab"), request, at).findings}


def open_now(policy, at, schedule):
    from zones.schedule import is_within

    return is_within(schedule, at, policy.calendars)


@given(
    mode=st.sampled_from(list(PortalMode)),
    until=st.none() | st.integers(-5, 5),
    scheduled=st.booleans(),
    was_entered=st.booleans(),
    hour=st.integers(0, 23),
)
def test_a_portal_that_is_kept_released_is_taken_for_open(site, mode, until, scheduled, was_entered, hour):
    """The controller would keep a door unlocked that the proof believes to ask."""
    at = Moment(at=datetime(2026, 5, 11, hour, tzinfo=UTC), tick_ms=1)
    until_ms = None if until is None else epoch_ms(at.at) + until
    policy = planted(
        site.base,
        site.building.row(Portal, "front", unlock_schedule="hours" if scheduled else None, **HANDLE),
        PortalStatus(id="front", mode=mode, until_ms=until_ms),
    )
    if standing_mode(policy, "front", at, was_entered=was_entered) in KEPT:
        opened = most_open(policy, is_sanitised=None)
        assert stands_unlocked(opened, opened.portals["front"], at)


def subsets(people, most):
    return [group for size in range(min(most, len(people)) + 1) for group in combinations(people, size)]


def inside_by_force(policy, people, now):
    """Who gets into the vault from the street, trying every company, every escort and everybody inside."""
    evidence = {
        card.cardholder: Evidence(number_hash=card.number_hash, method=Method.CHALLENGE, factors=3)
        for card in policy.credentials.values()
    }
    found = set()

    def get_in(who):
        """Those who enter when `who` asks, whoever helps."""
        others = [one for one in people if one != who]
        for inside in subsets([one for one in others if one in found], 3):
            places = Occupancy(where=dict.fromkeys(inside, Presence(zone="vault", is_certain=True)))
            for company in subsets([one for one in others if one not in inside], 2):
                for escorts in subsets(others, 1):
                    request = Request(
                        access_point="gate.in",
                        evidence=evidence[who],
                        companions=tuple(evidence[one] for one in company),
                        escorts=tuple(evidence[one] for one in escorts),
                    )
                    if not found.issuperset((who, *company)) and decide(policy, places, request, now).is_granted:
                        yield from (who, *company)

    while more := {one for who in people for one in get_in(who)} - found:
        found |= more
    return found


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_company_escort_or_staff_inside_is_overlooked(building, site, data):
    """Three people who hold together would get in where the proof tried two (B-04, B-05, A-06)."""
    people = ["bo", "cy", "di", "gu"]
    vault = site.building.row(
        Zone,
        "vault",
        parent="street",
        schedule=None,
        dual_window_ms=data.draw(st.sampled_from([None, 30_000])),
        occupancy_min=data.draw(st.sampled_from([None, 2, 3])),
        occupancy_max=data.draw(st.sampled_from([None, 3, 4])),
        needs_opener=data.draw(st.booleans()),
        visitors_allowed=data.draw(st.booleans()),
        escort_ratio=1,
    )
    gate = Portal(id="gate", name_ja="門", name_en="Gate", outer="street", inner="vault", **HANDLE)
    rows = [site.building.row(Zone, "street"), vault, gate]
    for number, who in enumerate(people, 2):
        is_guest = who == "gu"
        duties = {"is_opener": data.draw(st.booleans()), "is_escort": data.draw(st.booleans())}
        missing = data.draw(st.sampled_from([(), (), ("need",)]))
        kind = CardholderKind.VISITOR if is_guest else CardholderKind.STAFF
        zones = () if is_guest else ("vault",)
        rows += site.person(who, number, zones=zones, without=missing, kind=kind, **duties)
    day = site.now.today
    rows.append(Visit(id="tour", cardholder="gu", host="bo", zones=("vault",), from_on=day, until_on=day))
    policy = most_open(apply(EMPTY, Edit(puts=tuple(rows))), is_sanitised=True)
    found = {one.who for one in who_can(policy, "vault", site.now)}
    assert found == inside_by_force(policy, people, site.now)


@settings(max_examples=50)
@given(data=st.data())
def test_no_rule_about_oneself_minds_who_else_is_there(building, site, data):
    """The proof gives somebody up whom another's presence would have let in."""
    zone = building.row(
        Zone,
        "vault",
        schedule=None,
        attended_counts=data.draw(st.booleans()),
        occupancy_min=data.draw(st.sampled_from([None, 2])),
        dual_window_ms=data.draw(st.sampled_from([None, 30_000])),
        needs_opener=data.draw(st.booleans()),
    )
    missing = data.draw(st.sampled_from([(), ("need",), ("clearance",), ("need", "clearance")]))
    rows = [zone, *site.person("bo", 2, without=missing), *site.person("cy", 3, is_escort=True, is_opener=True)]
    policy = site.policy(*rows)
    company = data.draw(st.booleans())
    inside = {"cy": Presence(zone="vault", is_certain=True)} if data.draw(st.booleans()) else {}
    cy = building.request(number=3).evidence
    alone = decide(policy, Occupancy(), building.request(number=2), site.now)
    request = building.request(number=2, companions=(cy,) if company else ())
    attended = decide(policy, Occupancy(where=inside), request, site.now)
    personal = {rule.number for rule in RULES if rule.is_personal}
    assert [one for one in alone.findings if one.rule in personal] == [
        one for one in attended.findings if one.rule in personal
    ]


@pytest.mark.req("A-19")
def test_whoever_is_taken_along_enters_too(site):
    """Break-glass would walk into the open vault in the company of somebody with keys, and count for nobody."""
    from_ms = epoch_ms(site.now.at)
    glass = Override(
        id="glass",
        zone="vault",
        cardholders=("bo",),
        reason_code="ALARM",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=from_ms,
        until_ms=from_ms + 3_600_000,
    )
    policy = site.policy(*site.person("bo", 2, zones=("office", "lab"), without=("need",)), glass)
    assert site.proofs(policy, horizon_days=1)["KEYS"].holds
    impersonal = tuple(
        Rule(
            number=rule.number,
            reason=rule.reason,
            source=rule.source,
            check=partial(holds_with_company, rule.check),
            concerns=rule.concerns,
        )
        if rule.number == "D23"
        else rule
        for rule in RULES
    )
    proof = site.proofs(ruled_by(policy, impersonal), horizon_days=1)["KEYS"]
    assert not proof.holds
    assert proof.steps[-1].startswith("bo: in vault by clearance bo-clearance")


def holds_with_company(check, ask):
    """Sanitised or not, whoever has company may come along."""
    return PASSED if ask.request.companions else check(ask)
