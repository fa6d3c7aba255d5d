"""What if, and who could: rights looked at over everybody, by asking the decision itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tests.zones.test_review import SUNDAY, case_of, recorded
from zones.decision import Method
from zones.edits import apply
from zones.moment import Moment
from zones.people import Cardholder, Credential, CredentialState, Override, Pin, RosterEntry
from zones.places import Portal, SiteStatus, Zone, ZoneState, ZoneStatus
from zones.policy import Edit
from zones.review.values import Past, Purged, RecordedEvidence, Unreadable
from zones.review.whatif import WhatIf, compare, rerun
from zones.review.who import who_can


def ways_into(building, policy, zone="vault", now=None):
    """Cardholder -> (how, how many beside) for those who could; what lacks for the others, at the first portal."""
    found = {}
    for way in who_can(policy, zone, now or building.now):
        found[way.cardholder] = (way.by, way.beside) if way.is_open else tuple(rule for rule, _ in way.missing)
    return found


def test_who_can_enter_is_who_the_decision_would_let_in(building):
    """The list of who may enter and the door disagree."""
    ben = building.person("ben", 2)
    policy = building.policy(*ben, *building.person("cyd", 3, is_suspended=True), Cardholder(id="dan"))
    assert ways_into(building, policy) == {
        "ana": ("CHALLENGE 3", 0),
        "ben": ("CHALLENGE 3", 0),
        "cyd": ("D13",),
        "dan": ("D07",),
    }
    assert ways_into(building, policy, now=SUNDAY)["ana"] == ("D14",)
    (way,) = [way for way in who_can(policy, "vault", building.now) if way.cardholder == "ana"]
    assert way.keys == (("clearance", "ana-clearance"), ("need_to_know", "ana-need"), ("roster", "ana-vault"))
    assert way.portal == "vault-door"


def test_the_weakest_evidence_that_suffices_is_named(building):
    """The officer could not see that a copied card is enough."""
    loose = building.row(Zone, "vault", uid_accepted=True)
    assert ways_into(building, building.policy(loose))["ana"] == ("UID", 0)
    pin = Pin(id="ana", salt="ab" * 16, pin_hash="cd" * 32)
    assert ways_into(building, building.policy(pin))["ana"] == ("CHALLENGE 2 + PIN", 0)


def test_who_needs_somebody_beside_is_told_with_how_many(building):
    """A zone for two would be said to be closed to all, or open to one."""
    two = building.row(Zone, "vault", dual_window_ms=20_000, occupancy_min=2)
    assert ways_into(building, building.policy(two)) == {"ana": ("D20", "D21")}
    both = building.policy(two, *building.person("ben", 2))
    assert ways_into(building, both) == {"ana": ("CHALLENGE 3", 1), "ben": ("CHALLENGE 3", 1)}
    three = building.row(Zone, "vault", occupancy_min=3)
    assert ways_into(building, building.policy(three, *building.person("ben", 2)))["ana"] == ("D21",)
    crowd = building.policy(three, *building.person("ben", 2), *building.person("cyd", 3))
    assert ways_into(building, crowd)["ana"] == ("CHALLENGE 3", 2)


@pytest.mark.req("A-33")
def test_card_and_pin_suffice_beside_somebody_who_counts_as_a_factor(building):
    """The officer would be told to buy readers of fingers for a vault that two open every day with card and PIN."""
    pin = Pin(id="ana", salt="ab" * 16, pin_hash="cd" * 32)
    attended = building.row(Zone, "vault", attended_counts=True)
    assert ways_into(building, building.policy(attended, pin))["ana"] == ("CHALLENGE 2 + PIN", 0)
    assert ways_into(building, building.policy(attended, pin, *building.person("ben", 2)))["ana"] == (
        "CHALLENGE 1 + PIN",
        1,
    )


def test_an_opener_comes_first_and_two_open_what_is_secured(building):
    """Nobody could tell who opens in the morning."""
    opened = building.row(Zone, "vault", needs_opener=True)
    secured = ZoneStatus(id="vault", state=ZoneState.SECURED)
    ben, cyd = building.person("ben", 2, is_opener=True), building.person("cyd", 3, is_opener=True)
    assert ways_into(building, building.policy(opened)) == {"ana": ("D35",)}
    assert ways_into(building, building.policy(opened, *ben))["ana"] == ("CHALLENGE 3", 1)
    assert ways_into(building, building.policy(opened, *ben))["ben"] == ("CHALLENGE 3", 0)
    assert ways_into(building, building.policy(opened, secured, *ben))["ben"] == ("D10",)
    assert ways_into(building, building.policy(opened, secured, *ben, *cyd))["ben"] == ("CHALLENGE 3", 1)


def test_a_guest_needs_an_escort_and_a_visit(building):
    """A visitor would be on the list without whoever answers for him."""
    allowed = building.row(Zone, "office", visitors_allowed=True)
    guest = building.guest("gus", 3)
    assert ways_into(building, building.policy(allowed, *guest), "office")["gus"] == ("D22",)
    escort = building.row(RosterEntry, "ana-office", is_escort=True)
    policy = building.policy(allowed, escort, *guest)
    assert ways_into(building, policy, "office")["gus"] == ("CHALLENGE 1", 1)
    (way,) = [way for way in who_can(policy, "office", building.now) if way.cardholder == "gus"]
    assert way.keys == (("visit", "gus-visit"),)


def test_break_glass_is_named_as_the_key_it_is(building):
    """Who entered without keys would look as if he held them."""
    at_ms = int(building.now.at.timestamp() * 1000)
    glass = Override(
        id="glass", zone="office", cardholders=("dan",), reason_code="FIRE", started_by="officer-1",
        approved_by="officer-2", from_ms=at_ms, until_ms=at_ms + 60_000,
    )  # fmt: skip
    card = building.row(Credential, "ana-card", id="dan-card", cardholder="dan", number_hash=building.number(4))
    policy = building.policy(Cardholder(id="dan"), card, glass)
    (way,) = [way for way in who_can(policy, "office", building.now) if way.cardholder == "dan"]
    assert (way.is_open, way.keys) == (True, (("override", "glass"),))


# -- what if -----------------------------------------------------------------------------------------------------------


def past_of(case, seq, **changed) -> Past:
    return Past(recorded=recorded(case, seq=seq, **changed), policy=case.policy, occupancy=case.occupancy)


def tried(edit, *steps) -> WhatIf:
    found = WhatIf()
    rerun(steps, edit, found)
    return found


def test_history_shows_which_decisions_an_edit_would_flip(building):
    """An officer ends a right, and on Monday nobody can start work."""
    suspended = Edit(puts=(building.row(RosterEntry, "ana-vault", is_suspended=True),))
    granted, elsewhere = past_of(case_of(building), 3), past_of(case_of(building, where=building.at("office")), 4)
    found = tried(suspended, granted, elsewhere, Purged(seq=5, record_class="access"), Unreadable(seq=6, why="?"))
    assert [(flip.seq, flip.was, flip.would_be, flip.would_be_granted) for flip in found.flips] == [
        (3, "OK", "NOT_ON_ROSTER", False)
    ]
    assert (found.decisions, found.other_reason, found.purged, found.differing) == (3, 1, 1, 1)
    assert granted.recorded.cardholder == found.flips[0].cardholder == "ana"
    (flip,) = tried(Edit(puts=(SiteStatus(id="site", is_locked_down=True),)), granted).flips
    assert flip.would_be == "LOCKDOWN"


def test_an_edit_that_lets_somebody_in_is_shown(building):
    """An officer lets in whom he did not mean."""
    refused = case_of(building, drop=((RosterEntry, "ana-vault"),))
    (flip,) = tried(Edit(puts=(building.rows[RosterEntry, "ana-vault"],)), past_of(refused, 3)).flips
    assert (flip.was, flip.would_be, flip.would_be_granted) == ("NOT_ON_ROSTER", "OK", True)


def test_an_exit_never_flips(building):
    """An edit would be shown to shut somebody in."""
    leaving = case_of(building, point="vault-door.out")
    everything = Edit(
        puts=(SiteStatus(id="site", is_locked_down=True), Cardholder(id="ana", ended_on=date(2026, 1, 1)))
    )
    assert tried(everything, past_of(leaving, 3, type="EXIT_GRANTED")).flips == []


def test_what_cannot_be_told_is_counted_and_not_guessed(building):
    """A what-if over half a history would be taken for the whole."""
    case = case_of(building)
    later = Edit(puts=(building.roster("ben-vault", "vault", "ben"),))  # ben was not there yet
    assert tried(later, past_of(case, 3)).not_applicable == 1
    wrong = past_of(case, 3, reason="FULL")
    assert (tried(Edit(), wrong).differing, tried(Edit(), wrong).flips) == (1, [])
    assert tried(Edit(), replace(past_of(case, 3), policy=None)).purged == 1


def compared_now(building, edit, *rows, where=None, pairs_max=1000) -> WhatIf:
    found = WhatIf()
    compare(building.policy(*rows), where or building.at("vault"), edit, building.now, found, pairs_max)
    return found


def pairs(rights):
    return [(one.cardholder, one.zone) for one in rights]


def test_who_gains_and_who_loses(building):
    """An edit takes the right of somebody whom the officer did not think of."""
    ben = building.person("ben", 2, is_suspended=True)
    back = Edit(puts=(building.roster("ben-vault", "vault", "ben"),))
    found = compared_now(building, back, *ben)
    assert (pairs(found.gains), pairs(found.loses)) == ([("ben", "vault")], [])
    strict = Edit(puts=(building.row(Zone, "vault", items=("item-9",)),))
    assert pairs(compared_now(building, strict, *ben).loses) == [("ana", "vault")]
    lost = Edit(puts=(building.row(Credential, "ana-card", state=CredentialState.LOST),))
    assert pairs(compared_now(building, lost).loses) == [("ana", "lab"), ("ana", "office"), ("ana", "vault")]
    shut = Edit(puts=(SiteStatus(id="site", is_locked_down=True),))
    assert [zone for _, zone in pairs(compared_now(building, shut).loses)] == ["lab", "office", "vault"]


def test_taking_a_second_away_takes_the_first_ones_right_too(building):
    """Nobody sees that one who is left cannot enter alone."""
    two = building.row(Zone, "vault", dual_window_ms=20_000)
    lost = Edit(puts=(building.row(Credential, "ana-card", state=CredentialState.LOST),))
    found = compared_now(building, lost, two, *building.person("ben", 2))
    assert ("ben", "vault") in pairs(found.loses)


def test_who_is_inside_and_could_not_come_back_is_stranded(building):
    """Somebody is locked out of the room in which his coat hangs, and nobody was told."""
    suspended = Edit(puts=(building.row(RosterEntry, "ana-vault", is_suspended=True),))
    (one,) = compared_now(building, suspended).stranded
    assert (one.cardholder, one.zone, one.is_certain, one.by_edit) == ("ana", "vault", True, True)
    (one,) = compared_now(building, suspended, where=building.at("vault", is_certain=False)).stranded
    assert not one.is_certain
    assert compared_now(building, suspended, where=building.at("lab")).stranded == []
    assert compared_now(building, suspended, where=building.at("street")).stranded == []
    unrelated = Edit(puts=(building.row(Portal, "front", name_en="Main"),))
    already = building.row(RosterEntry, "ana-vault", is_suspended=True)
    (one,) = compared_now(building, unrelated, already).stranded
    assert not one.by_edit


def test_an_edit_that_would_be_refused_says_why(building):
    """An impossible edit would be shown as harmless."""
    found = compared_now(building, Edit(puts=(building.roster("x", "nowhere"),)))
    assert "nowhere" in found.refused


def test_too_many_pairs_are_said_to_be_too_many(building):
    """A list of losses that is not whole would be taken for whole."""
    suspended = Edit(puts=(building.row(RosterEntry, "ana-vault", is_suspended=True),))
    assert compared_now(building, suspended, pairs_max=1).is_cut
    assert not compared_now(building, suspended).is_cut


@pytest.mark.parametrize("credential", [None, "gone-card"])
def test_a_card_that_nobody_has_stays_unknown_in_a_replay(building, credential):
    """A stranger's card would be taken for somebody's when it is looked at again."""
    evidence = RecordedEvidence(credential=credential, method=Method.UID, factors=0)
    policy = apply(building.policy(), Edit())
    assert evidence.under(policy).number_hash not in policy.by_number
    assert Moment(at=datetime(2026, 5, 11, tzinfo=UTC), tick_ms=0).is_trusted
