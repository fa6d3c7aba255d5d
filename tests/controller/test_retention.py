"""What is due, and by which time: terms, holds, clocks that are not trusted and clocks that somebody set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.retention import (
    BEYOND_MAX,
    BOUNDS,
    DAY_MS,
    EVER,
    RANGES_MAX,
    Entry,
    Hold,
    Reckoning,
    Sweep,
    complaint,
    cutoffs,
    held,
    terms_of,
)

NOW_MS = 1_800_000_000_000
OLD_MS, YOUNG_MS = NOW_MS - 100 * DAY_MS, NOW_MS - 10 * DAY_MS
CUTOFFS = {"access": NOW_MS - 90 * DAY_MS, "alarm": NOW_MS - 95 * DAY_MS}

TROUBLED = [
    ("access", 89, "may be 90 to 3650"),
    ("access", 3651, "may be 90 to 3650"),
    ("alarm", 1, "may be 90 to 3650"),
    ("command", 364, "may be 365 to 3650"),
    ("view", 364, "may be 365 to 3650"),
    ("system", 4000, "may be 365 to 3650"),
    ("policy", 1000, "is never dropped"),
    ("doors", 1000, "is not one of access, alarm"),
]


@pytest.mark.req("D-23")
@pytest.mark.parametrize(("class_", "days", "why"), TROUBLED)
def test_a_term_outside_of_its_bounds_is_refused(class_, days, why):
    """A site could keep entries for a day, so that nothing is left when somebody asks."""
    assert why in (complaint(class_, days) or "")
    with pytest.raises(ValueError, match=class_):
        terms_of({class_: days})


@pytest.mark.req("D-23")
def test_terms_that_nobody_wrote_are_the_usual_ones():
    """A site without a word about it would keep everything for ever, or nothing."""
    assert terms_of({"access": 730}) == {class_: b.usual for class_, b in BOUNDS.items()} | {"access": 730}
    assert all(b.least <= b.usual <= b.most for b in BOUNDS.values())
    assert cutoffs({"access": 90}, NOW_MS) == {"access": CUTOFFS["access"]}


def entry(seq, class_="access", at_ms=OLD_MS, *, is_trusted=True, has_body=True):
    return Entry(seq, class_, at_ms, is_trusted=is_trusted, has_body=has_body)


def due(entries, *holds):
    sweep = Sweep(CUTOFFS, holds)
    sweep.take(entries)
    return {one.class_: (one.ranges, one.count) for one in sweep.due()}


@pytest.mark.req("D-23", "E-15")
def test_what_is_due_is_said_in_ranges_by_class():
    """A purge would name what it does not drop, or drop what it does not name."""
    mixed = [entry(0), entry(1, "alarm"), entry(2), entry(3, "policy"), entry(4), entry(5, at_ms=YOUNG_MS), entry(6)]
    assert due(mixed) == {"access": (((0, 4), (6, 6)), 4), "alarm": (((1, 1),), 1)}


@pytest.mark.req("D-23")
def test_nothing_that_is_not_understood_is_due():
    """A body of a newer version, or a damaged one, would be dropped as if its time were known."""
    assert due([entry(0), entry(1, at_ms=None), entry(2)]) == {"access": (((0, 0), (2, 2)), 2)}


def test_what_is_gone_already_is_no_gap():
    """Every purge would name the same ranges in more and more pieces."""
    gone = entry(1, at_ms=None, has_body=False)
    assert due([entry(0), gone, entry(2)]) == {"access": (((0, 2),), 2)}


@pytest.mark.req("E-15")
def test_a_hold_keeps_what_was_recorded_in_its_time():
    """Evidence that a court asked for would be dropped by rule."""
    hold = Hold(id="case-1", from_ms=OLD_MS - DAY_MS, until_ms=OLD_MS + DAY_MS)
    before, after = entry(0, at_ms=OLD_MS - 2 * DAY_MS), entry(2, at_ms=OLD_MS + 2 * DAY_MS)
    assert due([before, entry(1), after], hold) == {"access": (((0, 0), (2, 2)), 2)}
    assert due([before, entry(1), after], Hold(id="case-2", from_ms=0)) == {}


@pytest.mark.req("E-15")
def test_holds_follow_their_records():
    """A hold would be forgotten at a restart, or never end."""
    on = {"type": "LEGAL_HOLD_ON", "actor": {"officer": "a-1"}, "detail": {"id": "x", "hold": "case-1", "from_ms": 5}}
    holds = held({}, on, 7)
    assert holds == {"case-1": Hold(id="case-1", from_ms=5, until_ms=EVER, officer="a-1", seq=7)}
    assert held(holds, {"type": "REX"}) == holds
    assert held(holds, {"type": "LEGAL_HOLD_OFF", "detail": {"id": "y", "hold": "case-1"}}) == {}


@pytest.mark.req("D-23", "A-26")
def test_a_clock_that_is_not_trusted_says_nothing_about_age():
    """A box that started in 1970 would drop what it recorded a minute ago."""
    doubtful = [entry(0, at_ms=1_000, is_trusted=False), entry(1, at_ms=YOUNG_MS)]
    assert due(doubtful) == {}
    assert due([entry(0, at_ms=1_000, is_trusted=False)]) == {}, "no trusted record follows"
    assert due([entry(0, at_ms=1_000, is_trusted=False), entry(1)]) == {"access": (((0, 1),), 2)}, "older than the next"
    hold = Hold(id="case-1", from_ms=OLD_MS - DAY_MS, until_ms=OLD_MS - DAY_MS // 2)
    early = entry(0, at_ms=OLD_MS - 2 * DAY_MS)
    between = [early, entry(1, at_ms=1_000, is_trusted=False), entry(2)]
    assert due(between, hold) == {"access": (((0, 0), (2, 2)), 2)}, "it may lie in the hold"


@pytest.mark.req("D-23")
def test_a_record_from_the_future_does_not_stop_the_purge():
    """One night with a wrong clock, and personal records would be kept for years beyond their term."""
    wrong = [entry(0, at_ms=NOW_MS + 900 * DAY_MS), *(entry(seq) for seq in range(1, 5))]
    assert due(wrong) == {"access": (((1, 4),), 4)}


def test_a_sweep_ends_where_all_is_young():
    """Each day the whole ledger would be read."""
    sweep = Sweep(CUTOFFS, ())
    sweep.take([entry(0), entry(1, at_ms=YOUNG_MS)])
    assert not sweep.is_done and sweep.first_kept == 1
    sweep.take(entry(seq, at_ms=YOUNG_MS) for seq in range(2, BEYOND_MAX + 1))
    assert sweep.is_done


def test_a_record_of_a_purge_stays_small():
    """A ledger full of holes would make a record that no line can carry; what is left waits for the next day."""
    holes = [entry(seq, at_ms=OLD_MS if seq % 2 else YOUNG_MS) for seq in range(1000)]
    sweep = Sweep(CUTOFFS, ())
    sweep.take(holes)
    (found,) = sweep.due()
    assert len(found.ranges) == found.count == RANGES_MAX and sweep.first_kept == 0


def test_what_is_not_understood_is_kept_among_records_whose_time_nobody_vouches_for():
    """A record of a newer program would be dropped together with its neighbours of a wrong clock."""
    odd = Entry(1, "alarm", None, is_trusted=True, has_body=True)
    around = [Entry(0, "alarm", OLD_MS, is_trusted=False, has_body=True), odd, entry(2, "alarm")]
    assert due(around) == {"alarm": (((0, 0), (2, 2)), 2)}


entries = st.lists(
    st.tuples(
        st.sampled_from(["access", "alarm", "policy"]),
        st.one_of(st.none(), st.integers(NOW_MS - 200 * DAY_MS, NOW_MS + 5 * DAY_MS)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=40,
)


@pytest.mark.req("D-23", "E-15")
@given(entries, st.integers(NOW_MS - 200 * DAY_MS, NOW_MS), st.integers(0, 60))
def test_nothing_young_held_or_of_the_policy_is_ever_due(drawn, from_ms, days):
    """Evidence, or the policy in force, would be lost for good."""
    hold = Hold(id="case-1", from_ms=from_ms, until_ms=from_ms + days * DAY_MS)
    all_ = [Entry(seq, c, at, is_trusted=t, has_body=b) for seq, (c, at, t, b) in enumerate(drawn)]
    for class_, (ranges, count) in due(all_, hold).items():
        going = [
            e
            for e in all_
            if e.class_ == class_ and e.has_body and any(first <= e.seq <= last for first, last in ranges)
        ]
        assert class_ != "policy" and len(going) == count
        assert all(e.at_ms is not None for e in going)
        for one in going:
            if one.is_trusted:
                assert one.at_ms < CUTOFFS[class_] and not hold.from_ms <= one.at_ms <= hold.until_ms
            else:
                follower = next(e for e in all_[one.seq :] if e.is_trusted and e.at_ms is not None)
                assert follower.at_ms < CUTOFFS[class_]


@pytest.mark.req("D-23")
@given(
    st.integers(0, 400),
    st.lists(st.tuples(st.integers(0, 3 * DAY_MS), st.integers(-DAY_MS, 4000 * DAY_MS)), max_size=20),
)
def test_whoever_sets_the_clock_gains_no_more_than_the_time_that_went_by(away_days, moves):
    """A burglar sets the clock ten years ahead, and the purge drops last night."""
    began = wall = NOW_MS + away_days * DAY_MS
    reckoning, gone = Reckoning(at_ms=NOW_MS, tick_ms=0), 0
    for tick, step in moves:
        gone, wall = gone + tick, max(began, wall + tick + step)
        now_ms = reckoning.now_ms(wall, gone)
        assert now_ms <= wall and now_ms - NOW_MS <= 2 * gone
        reckoning = Reckoning(at_ms=now_ms, tick_ms=gone)
