"""Who is where: random histories against the plain list of what happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zones.occupancy import Occupancy, Presence, Sighting

PEOPLE = ("ana", "bo", "cho", "dai")
ZONES = ("street", "office", "lab")
START = datetime(2026, 5, 11, tzinfo=UTC)

people, zones = st.sampled_from(PEOPLE), st.sampled_from(ZONES)


class ListOfEvents(RuleBasedStateMachine):
    """Every question is answered by reading the whole list, newest first."""

    @initialize()
    def start(self):
        self.occupancy = Occupancy()
        self.events = []  # (word, people it is about, zone, time)
        self.held = []  # occupancies of before, with what they said then

    def zone_of(self, who):
        return next((zone for word, about, zone, _ in reversed(self.events) if word == "moved" and who in about), None)

    def is_certain(self, who):
        last = next((word for word, about, _, _ in reversed(self.events) if word != "seen" and who in about), None)
        return last == "moved"

    def inside(self, *asked):
        return {who for who in PEOPLE if self.zone_of(who) in asked}

    def now(self):
        return START + timedelta(minutes=len(self.events))

    @rule(who=people, zone=zones)
    def somebody_moves(self, who, zone):
        self.events.append(("moved", {who}, zone, self.now()))
        self.occupancy = self.occupancy.moved(who, zone, self.events[-1][3])

    @rule(who=people)
    def somebody_is_seen(self, who):
        self.events.append(("seen", {who}, "front", self.now()))
        self.occupancy = self.occupancy.sighted(who, "front", self.events[-1][3])

    @rule()
    def controller_restarts(self):
        self.events.append(("doubted", set(PEOPLE), None, None))
        self.occupancy = self.occupancy.made_uncertain()

    @rule(who=people)
    def officer_forgives(self, who):
        self.events.append(("doubted", {who}, None, None))
        self.occupancy = self.occupancy.forgiven(who)

    @rule(asked=st.sets(zones, max_size=2))
    def somebody_leaves_unseen(self, asked):
        self.events.append(("doubted", self.inside(*asked), None, None))
        self.occupancy = self.occupancy.left_unseen(asked)

    @rule()
    def somebody_keeps_an_older_one(self):
        self.held.append((self.occupancy, dict(self.occupancy.where), dict(self.occupancy.inside)))

    @invariant()
    def both_know_the_same(self):
        for who in PEOPLE:
            zone = self.zone_of(who)
            known = self.occupancy.where.get(who)
            assert (known and known.zone) == zone
            assert self.occupancy.certain_zone(who) == (zone if self.is_certain(who) else None)
            if known is not None:
                moves = [when for word, about, _, when in self.events if word == "moved" and who in about]
                assert known.since == moves[-1]

    @invariant()
    def both_count_the_same(self):
        for asked in (*((zone,) for zone in ZONES), ZONES[1:], ()):
            assert self.occupancy.count(asked) == len(self.inside(*asked))
            assert set(self.occupancy.people(asked)) == self.inside(*asked)
            certain = {who for who in self.inside(*asked) if self.is_certain(who)}
            assert sorted(self.occupancy.certain_people(asked)) == sorted(certain)

    @invariant()
    def both_saw_the_same(self):
        for who in PEOPLE:
            seen = [when for word, about, _, when in self.events if word == "seen" and who in about]
            assert self.occupancy.seen.get(who) == (Sighting(portal="front", at=seen[-1]) if seen else None)

    @invariant()
    def what_is_derived_is_what_is_derived_anew(self):
        anew = Occupancy(where=dict(self.occupancy.where))
        assert {zone: who for zone, who in self.occupancy.inside.items() if who} == dict(anew.inside)

    @invariant()
    def older_ones_say_what_they_said(self):
        for occupancy, where, inside in self.held[-3:]:
            assert (dict(occupancy.where), dict(occupancy.inside)) == (where, inside)


TestListOfEvents = ListOfEvents.TestCase
TestListOfEvents.settings = settings(max_examples=80, stateful_step_count=30)


@pytest.mark.req("B-07")
def test_after_a_start_each_passage_heals_one():
    """The vault would be taken for empty after a restart, or one card would make everybody certain."""
    occupancy = Occupancy().moved("ana", "lab").moved("bo", "lab").moved("cho", "office").made_uncertain()
    assert occupancy.count(["lab"]) == 2, "unknown is not empty"
    assert [occupancy.certain_zone(who) for who in ("ana", "bo", "cho")] == [None, None, None]
    occupancy = occupancy.moved("bo", "office")
    assert [occupancy.certain_zone(who) for who in ("ana", "bo", "cho")] == [None, "office", None]
    assert (occupancy.count(["lab"]), occupancy.count(["office"])) == (1, 2)
    occupancy = occupancy.moved("ana", "lab")
    assert [occupancy.certain_zone(who) for who in ("ana", "bo", "cho")] == ["lab", "office", None]


@pytest.mark.req("B-07")
def test_whoever_leaves_by_the_button_makes_only_those_inside_uncertain():
    """Ana, who pressed the button, would be refused everywhere as still inside; or Bo, who never was."""
    occupancy = Occupancy().moved("ana", "lab").moved("bo", "office").left_unseen({"lab"})
    assert (occupancy.certain_zone("ana"), occupancy.certain_zone("bo")) == (None, "office")


@pytest.mark.req("B-06")
def test_forgiveness_is_for_one_person():
    """An officer who forgives Ana's wrong place would switch anti-passback off for everybody."""
    occupancy = Occupancy().moved("ana", "lab").moved("bo", "lab").forgiven("ana").forgiven("nobody")
    assert (occupancy.certain_zone("ana"), occupancy.certain_zone("bo")) == (None, "lab")


def test_nobody_is_counted_twice_or_less_than_not_at_all():
    """A zone would be full of one person, or hold fewer than none."""
    occupancy = Occupancy(where={"ana": Presence(zone="lab", is_certain=False)})
    for zone in ("lab", "lab", "office", "lab", "office", "office"):
        occupancy = occupancy.moved("ana", zone)
        assert (occupancy.count(["lab"]), occupancy.count(["lab", "office"])) == (int(zone == "lab"), 1)
