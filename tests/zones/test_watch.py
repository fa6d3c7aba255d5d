"""The watch over zones: what is told, when, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zones.edits import apply
from zones.moment import Moment, epoch_ms
from zones.occupancy import Occupancy, Presence
from zones.people import Cardholder, CardholderKind, Override, RosterEntry
from zones.places import SiteStatus, Zone, ZoneState, ZoneStatus
from zones.policy import Edit
from zones.watch import CONDITIONS, Alarm, Ceased, Condition, ConditionKind, Watch, deadline, look

K = ConditionKind
NOON = datetime(2026, 5, 11, 3, 0, tzinfo=UTC)  # Monday, 12:00 in Japan


class Tower:
    """Somebody who looks: `at` moves the clock and looks, `told` is what came of it."""

    def __init__(self, policy, occupancy=None, *, start=NOON, watch=None):
        self.policy, self.occupancy, self.watch = policy, occupancy or Occupancy(), watch or Watch()
        self.start, self.is_trusted, self.seconds = start, True, 0

    def at(self, seconds=None):
        self.seconds = self.seconds if seconds is None else seconds
        now = Moment(
            at=self.start + timedelta(seconds=self.seconds),
            tick_ms=int(self.seconds * 1000),
            is_trusted=self.is_trusted,
        )
        self.watch, told = look(self.watch, self.policy, self.occupancy, now)
        again, nothing = look(self.watch, self.policy, self.occupancy, now)
        assert (again, nothing) == (self.watch, ()), "a second look at the same moment tells nothing"
        return list(told)

    def moves(self, who, zone):
        self.occupancy = self.occupancy.moved(who, zone)

    def puts(self, *rows):
        self.policy = apply(self.policy, Edit(puts=rows))

    def due(self):
        return None if deadline(self.watch) is None else deadline(self.watch) / 1000


def alarm(kind, zone, cardholder=None, row=None):
    return Alarm(condition=Condition(kind, zone, cardholder, row))


def ceased(kind, zone, cardholder=None, row=None):
    return Ceased(condition=Condition(kind, zone, cardholder, row))


def lab(building, **changes):
    return building.row(Zone, "lab", **changes)


MIDNIGHT = 12 * 3600


# -- people ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-05")
def test_somebody_left_alone_is_told_after_a_minute(building):
    """One of two would leave and the other would be alone with the secrets, and nobody would know."""
    tower = Tower(building.policy(lab(building, occupancy_min=2)))
    assert tower.at(0) == []
    tower.moves("ana", "lab")
    tower.moves("bo", "lab")
    assert tower.at(1) == []
    tower.moves("bo", "office")
    assert (tower.at(10), tower.due()) == ([], 70)
    assert tower.at(69.999) == []
    assert tower.at(70) == [alarm(K.OCCUPANCY_BELOW_MIN, "lab")]
    assert tower.at(9_999) == [], "once"
    tower.moves("bo", "lab")
    assert tower.at(10_000) == [ceased(K.OCCUPANCY_BELOW_MIN, "lab")]
    tower.moves("bo", "office")
    assert tower.at(10_001) == []
    assert tower.at(10_061) == [alarm(K.OCCUPANCY_BELOW_MIN, "lab")], "and again when it is so again"


@pytest.mark.req("B-05")
def test_who_comes_back_in_time_raises_no_alarm(building):
    """Two who step out one after the other would raise an alarm each evening."""
    tower = Tower(building.policy(lab(building, occupancy_min=2)))
    for who in ("ana", "bo"):
        tower.moves(who, "vault")  # a zone in it counts
    tower.at(0)
    tower.moves("bo", "office")
    tower.at(1)
    tower.moves("ana", "office")
    assert tower.at(30) == []
    tower.moves("ana", "lab")
    assert (tower.at(60), tower.due()) == ([], 120), "the minute begins anew"
    tower.occupancy = tower.occupancy.made_uncertain()
    assert tower.at(61) == []
    assert tower.at(999) == [], "nobody is certainly there"


def guests(building, count=1):
    names = [f"guest-{n}" for n in range(count)]
    return names, [Cardholder(id=name, kind=CardholderKind.VISITOR) for name in names]


def escorted(building, count=1, **changes):
    names, rows = guests(building, count)
    escort = replace(building.roster("ana-lab", "lab"), is_escort=True)
    policy = building.policy(lab(building, visitors_allowed=True, **changes), escort, *rows)
    return names, Tower(policy)


@pytest.mark.req("A-06")
def test_an_escort_who_leaves_first_is_told(building):
    """A visitor would be alone in the laboratory and nobody would know."""
    (guest,), tower = escorted(building)
    for who in (guest, "ana"):
        tower.moves(who, "lab")
    assert tower.at(0) == []
    tower.moves("ana", "office")
    assert (tower.at(1), tower.due()) == ([], 6)
    assert tower.at(6) == [alarm(K.ESCORT_BROKEN, "lab", guest)]
    tower.moves("ana", "vault")
    assert tower.at(7) == [ceased(K.ESCORT_BROKEN, "lab", guest)], "an escort in a zone within the zone is in it"
    tower.moves("ana", "office")
    assert tower.at(8) == []
    tower.moves(guest, "office")
    assert tower.at(9) == [], "both are out within five seconds"
    assert tower.at(99) == [], "the office admits no guests by itself, but leaving is free"


@pytest.mark.req("A-06", "B-07")
def test_only_who_is_certainly_there_escorts_or_is_escorted(building):
    """An escort who left by the button would count as there; or a guest who did would keep the alarm on."""
    (guest,), tower = escorted(building)
    for who in (guest, "ana"):
        tower.moves(who, "lab")
    tower.occupancy = tower.occupancy.forgiven("ana")
    assert (tower.at(0), tower.at(5)) == ([], [alarm(K.ESCORT_BROKEN, "lab", guest)])
    tower.occupancy = tower.occupancy.forgiven(guest)
    assert tower.at(6) == [ceased(K.ESCORT_BROKEN, "lab", guest)]


@pytest.mark.req("A-06")
def test_guests_in_a_zone_within_the_zone_are_counted(building):
    """An escort would take four into the laboratory and four more into its store."""
    names, tower = escorted(building, 2, escort_ratio=1)
    vault = building.row(Zone, "vault", visitors_allowed=True, escort_ratio=9)
    tower.puts(vault, replace(building.roster("ana-vault", "vault"), is_escort=True))
    for who, zone in (("ana", "vault"), (names[0], "lab"), (names[1], "vault")):
        tower.moves(who, zone)
    assert (tower.at(0), tower.at(5)) == ([], [alarm(K.ESCORT_RATIO, "lab")])


@pytest.mark.req("A-06")
@pytest.mark.parametrize(
    "changes, why",
    [
        ({"is_escort": False}, "no escort"),
        ({"is_suspended": True}, "suspended"),
        ({"until_on": date(2026, 7, 10)}, "over"),
        ({"ended_on": date(2026, 5, 11)}, "ended today"),
    ],
)
def test_an_escort_is_one_who_is_on_the_roster_as_such_today(building, changes, why):
    """Somebody who may not bring visitors would count as the one who does."""
    (guest,), tower = escorted(building)
    tower.start = NOON + timedelta(days=61) if why == "over" else NOON
    tower.puts(replace(building.roster("ana-lab", "lab"), **{"is_escort": True, **changes}))
    for who in (guest, "ana"):
        tower.moves(who, "lab")
    tower.at(0)
    assert alarm(K.ESCORT_BROKEN, "lab", guest) in tower.at(5), why


@pytest.mark.req("A-06")
def test_more_guests_than_an_escort_may_bring_are_told(building):
    """A school class would be in the laboratory behind one employee."""
    names, tower = escorted(building, 5, escort_ratio=4)
    tower.moves("ana", "lab")
    for name in names[:4]:
        tower.moves(name, "lab")
    tower.at(0)
    assert tower.at(99) == []
    tower.moves(names[4], "lab")
    tower.at(100)
    assert tower.at(105) == [alarm(K.ESCORT_RATIO, "lab")]
    tower.moves(names[0], "office")
    assert tower.at(106) == [ceased(K.ESCORT_RATIO, "lab")]


@pytest.mark.req("A-06", "A-32")
def test_who_was_let_in_by_two_officers_needs_no_escort_until_that_is_over(building):
    """The fitter who mends the burst pipe would raise an alarm, or none when his time is up."""
    (guest,), tower = escorted(building)
    now_ms = epoch_ms(NOON)
    row = Override(
        id="pipe",
        zone="lab",
        cardholders=(guest,),
        reason_code="WATER",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=now_ms,
        until_ms=now_ms + 1_800_000,
    )
    tower.puts(row)
    tower.moves(guest, "lab")
    assert (tower.at(0), tower.at(1799), tower.due()) == ([], [], 1800)
    assert tower.at(1800) == [alarm(K.OVERRIDE_ENDED, "lab", row="pipe")]
    assert tower.at(1805) == [alarm(K.ESCORT_BROKEN, "lab", guest)]


# -- days and terms --------------------------------------------------------------------------------------------------


@pytest.mark.req("C-01")
def test_an_open_zone_that_nobody_is_in_is_told_after_five_minutes(building):
    """The last one would leave without securing, and the zone would stand open all night."""
    tower = Tower(building.policy(lab(building, needs_opener=True)))
    tower.moves("ana", "vault")
    assert tower.at(0) == []
    tower.moves("ana", "office")
    assert (tower.at(10), tower.due()) == ([], 310)
    assert tower.at(310) == [alarm(K.ZONE_UNATTENDED, "lab")]
    tower.puts(ZoneStatus(id="lab", state=ZoneState.SECURED))
    assert tower.at(311) == [ceased(K.ZONE_UNATTENDED, "lab")]
    tower.puts(ZoneStatus(id="lab", state=ZoneState.OPEN_UNATTENDED))
    tower.occupancy = Occupancy(where={"ana": Presence(zone="lab", is_certain=False)})
    assert tower.at(312) == []
    assert tower.at(9999) == [], "somebody may be there: unknown is not empty"


@pytest.mark.req("C-04")
def test_a_day_without_closing_is_told(building):
    """The zone would stay open day and night and the closing record would show no gap."""
    tower = Tower(building.policy(lab(building, needs_opener=True)))
    tower.moves("ana", "lab")
    assert (tower.at(0), tower.due()) == ([], MIDNIGHT)
    assert tower.at(MIDNIGHT - 1) == []
    assert tower.at(MIDNIGHT) == [alarm(K.NOT_CLOSED, "lab", row="2026-05-11")]
    assert tower.at(MIDNIGHT + 9) == []
    assert tower.at(MIDNIGHT + 86_400) == [alarm(K.NOT_CLOSED, "lab", row="2026-05-12")]
    tower.puts(ZoneStatus(id="lab", state=ZoneState.SECURED))
    days = ("2026-05-11", "2026-05-12")
    assert tower.at(MIDNIGHT + 86_401) == [ceased(K.NOT_CLOSED, "lab", row=day) for day in days]
    assert tower.at(MIDNIGHT + 2 * 86_400) == []


@pytest.mark.req("C-04")
def test_a_restart_over_midnight_hides_no_day(building):
    """Whoever restarts the controller at midnight would never be asked for the closing check."""
    policy = building.policy(lab(building, needs_opener=True))
    assert alarm(K.NOT_CLOSED, "lab", row="2026-05-10") in Tower(policy, watch=Watch(day=date(2026, 5, 10))).at(0)
    assert Tower(policy, watch=Watch(day=date(2026, 5, 11))).at(0) == []
    assert Tower(policy).at(0) == [], "a watch that knows of no day before says nothing of it"


@pytest.mark.req("C-04", "A-03")
def test_a_clock_that_is_not_believed_ends_no_day(building):
    """A clock that jumped a year ahead would raise every alarm of the year."""
    tower = Tower(building.policy(lab(building, needs_opener=True)))
    tower.moves("ana", "lab")
    tower.at(0)
    tower.is_trusted = False
    assert tower.at(400 * 86_400) == []
    tower.is_trusted = True
    tower.start -= timedelta(days=400)
    assert tower.at() == [], "and it was right again"
    assert tower.at(400 * 86_400 + MIDNIGHT) == [alarm(K.NOT_CLOSED, "lab", row="2026-05-11")]


@pytest.mark.req("C-04")
def test_a_clock_that_is_set_right_over_midnight_ends_the_day(building):
    """A controller whose clock was hours behind would take yesterday for today until something moves."""
    tower = Tower(building.policy(lab(building, needs_opener=True)))
    tower.moves("ana", "lab")
    tower.at(0)
    tower.start += timedelta(hours=13)
    assert tower.at(1) == [alarm(K.NOT_CLOSED, "lab", row="2026-05-11")]


@pytest.mark.req("A-03")
def test_an_overdue_review_is_told_once_per_zone_on_its_day(building):
    """Nobody would look at the roster again, and people would stay on it for ever."""
    before = datetime(2026, 6, 30, 3, 0, tzinfo=UTC)  # the last day of the rows' review
    others = [building.roster(f"bo-{zone}", zone, "bo") for zone in ("lab", "vault")]
    tower = Tower(building.policy(Cardholder(id="bo"), *others), start=before)
    assert tower.at(0) == []
    assert tower.at(MIDNIGHT) == [alarm(K.REVIEW_OVERDUE, zone) for zone in ("lab", "office", "vault")]
    reviewed = date(2026, 9, 30)
    tower.puts(replace(building.roster("ana-lab", "lab"), review_on=reviewed))
    assert tower.at(MIDNIGHT + 1) == [], "one of the lab's two is left"
    tower.puts(replace(others[0], review_on=reviewed))
    assert tower.at(MIDNIGHT + 2) == [ceased(K.REVIEW_OVERDUE, "lab")]
    tower.puts(
        replace(others[1], ended_on=date(2026, 7, 1)), replace(building.roster("ana-vault", "vault"), is_suspended=True)
    )
    assert tower.at(MIDNIGHT + 3) == [ceased(K.REVIEW_OVERDUE, "vault")]


@pytest.mark.req("A-03")
def test_only_places_in_force_are_to_be_reviewed(building):
    """Officers would be sent to review people who left years ago."""
    after = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
    changes = {
        "lab": {"is_suspended": True},
        "office": {"ended_on": date(2026, 6, 1)},
        "vault": {"until_on": date(2026, 6, 30)},
    }
    rows = [replace(building.roster(f"ana-{zone}", zone), **change) for zone, change in changes.items()]
    assert Tower(building.policy(*rows), start=after).at(0) == []


@pytest.mark.req("A-32")
def test_the_end_of_an_override_is_told_once(building):
    """Break-glass would end in silence, and who was let in would be forgotten inside."""
    now_ms = epoch_ms(NOON)
    row = Override(
        id="glass",
        zone="vault",
        cardholders=("ana",),
        reason_code="FIRE",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=now_ms + 60_000,
        until_ms=now_ms + 1_860_000,
    )
    tower = Tower(building.policy(row))
    assert (tower.at(0), tower.due()) == ([], 60)
    assert (tower.at(60), tower.due()) == ([], 1860)
    ended = replace(row, ended_ms=now_ms + 600_000)
    tower.puts(ended)
    assert (tower.at(599), tower.due()) == ([], 600)
    assert tower.at(600) == [alarm(K.OVERRIDE_ENDED, "vault", row="glass")]
    assert (tower.at(1860), tower.at(3 * 86_400)) == ([], []), "and its end does not end"
    late = Tower(building.policy(ended), start=NOON + timedelta(hours=20))
    assert late.at(0) == [alarm(K.OVERRIDE_ENDED, "vault", row="glass")], "a controller that was down tells it late"
    assert Tower(building.policy(ended), start=NOON + timedelta(days=2)).at(0) == [], "but not for ever"


# -- laws ------------------------------------------------------------------------------------------------------------


def whole(building):
    """A site in which every kind may become wrong."""
    names, rows = guests(building, 2)
    rows += [
        lab(building, visitors_allowed=True, escort_ratio=1, occupancy_min=2, needs_opener=True),
        replace(building.roster("ana-lab", "lab"), is_escort=True, review_on=date(2026, 5, 11)),
        Override(
            id="glass",
            zone="lab",
            cardholders=(names[0],),
            reason_code="FIRE",
            started_by="officer-1",
            approved_by="officer-2",
            from_ms=epoch_ms(NOON) + 100_000,
            until_ms=epoch_ms(NOON) + 1_900_000,
        ),
    ]
    return building.policy(*rows), ["ana", *names]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(0, 2), st.sampled_from(["street", "office", "lab", "vault"])),
        st.tuples(st.just("doubt"), st.just(0), st.just("")),
        st.tuples(st.just("state"), st.just(0), st.sampled_from(list(ZoneState))),
        st.tuples(
            st.just("wait"), st.sampled_from([1, 4_999, 5_000, 60_000, 300_000, 3_600_000, 43_200_000]), st.just("")
        ),
        st.tuples(st.just("edit"), st.integers(0, 2), st.just("")),
    ),
    max_size=25,
)


@settings(max_examples=120)
@given(script=steps)
def test_a_watch_that_is_kept_says_what_one_that_searches_says(building, script):
    """What is remembered between looks to save time would become an alarm that never comes, or never ends."""
    policy, who = whole(building)
    occupancy, tick_ms, kept, told = Occupancy(), 0, Watch(), set()
    for word, number, what in script:
        if word == "move":
            occupancy = occupancy.moved(who[number], what)
        elif word == "doubt":
            occupancy = occupancy.made_uncertain()
        elif word == "state":
            policy = apply(policy, Edit(puts=(ZoneStatus(id="lab", state=what),)))
        elif word == "edit":
            policy = apply(policy, Edit(puts=(SiteStatus(id="site", threat_level=number),)))
        else:
            tick_ms += number
        now = Moment(at=NOON + timedelta(milliseconds=tick_ms), tick_ms=tick_ms)
        kept, new = look(kept, policy, occupancy, now)
        for one in new:
            assert (one.condition in told) is isinstance(one, Ceased), "once, and over only what was told"
            told ^= {one.condition}
        told = {one for one in told if one in kept.said}  # those whose end is not told
        fresh, _ = look(replace(Watch(day=kept.day), unclosed=kept.unclosed), policy, occupancy, now)
        assert set(kept.since) == set(fresh.since)
        assert kept.said == {one for one, tick in kept.since.items() if tick + CONDITIONS[one.kind].grace_ms <= tick_ms}
        assert deadline(kept) is None or deadline(kept) > tick_ms


def test_every_kind_has_its_grace_and_its_search():
    """A kind of alarm would be in the records' list and never be raised."""
    assert set(CONDITIONS) == set(ConditionKind)


def test_nobody_and_nothing_is_no_alarm(building):
    """An empty site would call for help."""
    assert Tower(building.without()).at(0) == []
    tower = Tower(building.policy())
    for who in ("ana", "stranger"):
        tower.moves(who, "vault")
    assert (tower.at(0), tower.at(3600)) == ([], [])


def test_a_roster_that_is_reviewed_in_bulk_is_not_searched_for_each_row(building):
    """Every edit would make the doors wait while the whole roster is read."""
    rows = [Cardholder(id=f"c{n}") for n in range(300)]
    rows += [building.roster(f"r{n}", "lab", f"c{n}") for n in range(300)]
    tower = Tower(building.policy(*rows), start=datetime(2026, 7, 1, 3, 0, tzinfo=UTC))
    tower.at(0)
    before = tower.watch.overdue["lab"]
    assert len(before) == 301
    tower.puts(*(replace(row, review_on=date(2026, 9, 1)) for row in rows if isinstance(row, RosterEntry)))
    assert tower.at(1) == []
    assert tower.watch.overdue["lab"] == before, "the first is overdue still, so the others are not asked"
    tower.puts(replace(building.roster("ana-lab", "lab"), review_on=date(2026, 9, 1)))
    assert tower.at(2) == [ceased(K.REVIEW_OVERDUE, "lab")]
