"""The portal machine: the table of docs/decision.md §4, then random histories against a naive model of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zones.moment import Moment
from zones.places import Direction, Portal
from zones.portal import (
    TRANSITIONS,
    DoorForced,
    DoorHeld,
    EntryGranted,
    ExitCompleted,
    ExitReleased,
    Grant,
    GrantUnused,
    Input,
    LeafClosed,
    LeafLevel,
    LeafOpened,
    PassageCompleted,
    Phase,
    PortalClosed,
    PortalOpenAtStart,
    PortalState,
    ReleaseStrike,
    SecureStrike,
    TimePassed,
    deadline,
    step,
)

PORTAL = Portal(id="p", name_ja="扉", name_en="P", outer="a", inner="b", release_ms=3000, held_after_ms=10_000)
BARE = Portal(id="p", name_ja="扉", name_en="P", outer="a", inner="b", has_contact=False)

ANA = Grant(id="g1", cardholder="ana", to_zone="b", direction=Direction.IN)
BO = Grant(id="g2", cardholder="bo", to_zone="b", direction=Direction.IN)
OUT = Grant(id="g3", cardholder="ana", to_zone="a", direction=Direction.OUT)

ENTRY = EntryGranted(grant=ANA)
REX = ExitReleased(grant=None, cause="rex")
CARD_OUT = ExitReleased(grant=OUT, cause="card")
OPEN_LEVEL, SHUT_LEVEL = LeafLevel(is_open=True), LeafLevel(is_open=False)


def at(tick_ms):
    return Moment(at=datetime(2026, 5, 11, tzinfo=UTC), tick_ms=tick_ms)


def play(*script, portal=PORTAL, state=None):
    """The state after (tick, input) pairs, and all effects and happenings on the way, in order."""
    state = state or PortalState(phase=Phase.SECURED)
    effects, happenings = [], []
    for tick_ms, what in script:
        taken = step(portal, state, what, at(tick_ms))
        state = taken.state
        effects += taken.effects
        happenings += taken.happenings
    return state, effects, happenings


def passed(grant):
    return PassageCompleted(portal="p", grant=grant)


FORCED, HELD, SECURE = DoorForced(portal="p"), DoorHeld(portal="p"), SecureStrike(portal="p")


def closed(was):
    return PortalClosed(portal="p", was=was)


def left(cause="rex"):
    return ExitCompleted(portal="p", cause=cause)


# Script, the phase it ends in, what is recorded, and why the row is here
SCENARIOS = [
    ([(0, ENTRY), (900, LeafOpened()), (4000, LeafClosed())], "SECURED", [passed(ANA), closed("OPEN")], "a passage"),
    ([(0, ENTRY), (3000, TimePassed())], "SECURED", [GrantUnused(portal="p", grant=ANA)], "nobody came"),
    ([(0, ENTRY), (2999, TimePassed())], "RELEASED", [], "not yet"),
    ([(0, LeafOpened())], "FORCED", [FORCED], "broken open"),
    ([(0, LeafOpened()), (9, LeafOpened())], "FORCED", [FORCED], "a contact that bounces is one alarm"),
    ([(0, LeafOpened()), (9, LeafClosed()), (9, LeafClosed())], "SECURED", [FORCED, closed("FORCED")], "and shut"),
    ([(0, LeafOpened()), (99_999, TimePassed())], "FORCED", [FORCED], "forced says all that held would"),
    ([(0, LeafClosed())], "SECURED", [], "a duplicate"),
    (
        [(0, ENTRY), (1, LeafOpened()), (10_000, TimePassed()), (10_001, TimePassed()), (10_002, TimePassed())],
        "HELD",
        [passed(ANA), HELD],
        "held from 10 s after the opening, said once",
    ),
    ([(0, ENTRY), (1, LeafOpened()), (10_000, TimePassed())], "OPEN", [passed(ANA)], "9.999 s is in time"),
    (
        [(0, ENTRY), (1, LeafOpened()), (20_000, TimePassed()), (20_001, LeafClosed())],
        "SECURED",
        [passed(ANA), HELD, closed("HELD")],
        "held, then shut",
    ),
    (
        [(0, ENTRY), (1, LeafOpened()), (2, LeafClosed()), (3, LeafOpened())],
        "FORCED",
        [passed(ANA), closed("OPEN"), FORCED],
        "one grant is one opening",
    ),
    (
        [(0, ENTRY), (5, EntryGranted(grant=BO)), (6, LeafOpened())],
        "OPEN",
        [passed(ANA), passed(BO)],
        "two at one opening",
    ),
    (
        [(0, ENTRY), (2000, EntryGranted(grant=BO)), (3000, TimePassed()), (5000, TimePassed())],
        "SECURED",
        [GrantUnused(portal="p", grant=ANA), GrantUnused(portal="p", grant=BO)],
        "the second release lengthens the first",
    ),
    (
        [(0, ENTRY), (1, LeafOpened()), (9000, EntryGranted(grant=BO)), (18_999, TimePassed()), (19_000, TimePassed())],
        "HELD",
        [passed(ANA), passed(BO), HELD],
        "who follows through an open leaf has passed, and has the time again",
    ),
    (
        [(0, ENTRY), (1, LeafOpened()), (20_000, TimePassed()), (20_001, EntryGranted(grant=BO))],
        "OPEN",
        [passed(ANA), HELD, passed(BO)],
        "also through a held one",
    ),
    ([(0, LeafOpened()), (1, ENTRY)], "FORCED", [FORCED, passed(ANA)], "a grant does not heal a forced leaf"),
    (
        [(0, REX), (1, LeafOpened()), (2, LeafClosed())],
        "RELEASED",
        [left(), closed("OPEN")],
        "an exit by the button keeps its time: a fluttering contact must not cut it",
    ),
    (
        [(0, REX), (1, LeafOpened()), (2, LeafClosed()), (3000, TimePassed())],
        "SECURED",
        [left(), closed("OPEN")],
        "and then it is over",
    ),
    ([(0, REX), (3000, TimePassed())], "SECURED", [], "pressed and went away"),
    ([(0, CARD_OUT), (1, LeafOpened())], "OPEN", [passed(OUT)], "an exit by card"),
    ([(0, CARD_OUT), (3000, TimePassed())], "SECURED", [GrantUnused(portal="p", grant=OUT)], "stayed after all"),
    ([(0, ENTRY), (1, REX), (2, LeafOpened())], "OPEN", [passed(ANA), left()], "in and out at once"),
    ([(0, ENTRY), (1, LeafOpened()), (2, REX)], "OPEN", [passed(ANA), left()], "out through the open leaf"),
    (
        [(0, ENTRY), (1, LeafOpened()), (2, REX), (3, LeafClosed()), (4, LeafOpened())],
        "OPEN",
        [passed(ANA), left(), closed("OPEN")],
        "the leaf fell shut before somebody who was let out: not forced",
    ),
    (
        [(0, ENTRY), (1, LeafOpened()), (9000, REX), (10_001, TimePassed())],
        "HELD",
        [passed(ANA), left(), HELD],
        "a motion sensor does not hold the alarm back",
    ),
    ([(0, LeafOpened()), (1, CARD_OUT), (2, LeafClosed())], "RELEASED", [FORCED, passed(OUT), closed("FORCED")], "P3"),
    ([(0, SHUT_LEVEL)], "SECURED", [], "shut, as known"),
    ([(0, OPEN_LEVEL)], "OPEN", [PortalOpenAtStart(portal="p")], "opened while nobody watched"),
    ([(0, OPEN_LEVEL), (10_000, TimePassed())], "HELD", [PortalOpenAtStart(portal="p"), HELD], "and left so"),
    ([(0, ENTRY), (1, SHUT_LEVEL)], "RELEASED", [], "the level does not take a release away"),
    ([(0, ENTRY), (1, OPEN_LEVEL)], "OPEN", [passed(ANA)], "a missed opening"),
    ([(0, ENTRY), (1, LeafOpened()), (2, SHUT_LEVEL)], "SECURED", [passed(ANA), closed("OPEN")], "a missed closing"),
    ([(0, ENTRY), (1, LeafOpened()), (2, OPEN_LEVEL)], "OPEN", [passed(ANA)], "open, as known"),
]


@pytest.mark.req("B-08")
@pytest.mark.parametrize("script, phase, happenings, why", SCENARIOS)
def test_scenarios(script, phase, happenings, why):
    """The record would tell another story than the door."""
    state, effects, happened = play(*script)
    assert (state.phase, happened) == (phase, happenings), why
    is_on = False
    for effect in effects:
        is_on = isinstance(effect, ReleaseStrike)
    assert is_on is (state.strike_off_tick is not None), why


def test_a_release_says_for_how_long_and_until_when():
    """A message that was held up on its way would open the door to an empty corridor."""
    _, effects, _ = play((5000, ENTRY))
    assert effects == [ReleaseStrike(portal="p", for_ms=3000, not_after_tick_ms=8000, grant_id="g1")]
    _, effects, _ = play((5000, REX))
    assert effects == [ReleaseStrike(portal="p", for_ms=3000, not_after_tick_ms=8000, grant_id=None)]
    _, effects, _ = play((5000, CARD_OUT))
    assert effects[0].grant_id == "g3"


def test_the_strike_is_secured_behind_the_opening_leaf():
    """A second person would find the door still released."""
    _, effects, _ = play((0, ENTRY), (500, LeafOpened()))
    assert effects[1:] == [SECURE]


def test_without_a_contact_a_release_counts_as_the_passage():
    """Nobody would ever be inside a zone whose door has no contact."""
    state, effects, happenings = play((0, ENTRY), (3000, TimePassed()), portal=BARE)
    assert (state.phase, happenings) == (Phase.SECURED, [passed(ANA)])
    assert effects[-1] == SECURE
    _, _, happenings = play((0, REX), (1, CARD_OUT), (3001, TimePassed()), portal=BARE)
    assert happenings == [left(), passed(OUT)]


UNKNOWN = [
    ([(0, OPEN_LEVEL)], "OPEN", [PortalOpenAtStart(portal="p")]),
    ([(0, SHUT_LEVEL)], "SECURED", []),
    ([(0, LeafOpened())], "FORCED", [FORCED]),
    ([(0, LeafClosed())], "SECURED", [closed("UNKNOWN")]),
    ([(0, ENTRY), (1, LeafOpened())], "OPEN", [passed(ANA)]),
    ([(0, REX), (3000, TimePassed())], "SECURED", []),
    ([(0, TimePassed())], "UNKNOWN", []),
]


@pytest.mark.parametrize("script, phase, happenings", UNKNOWN)
def test_after_a_start_nothing_is_taken_for_granted(script, phase, happenings):
    """A door that was forced while the controller was down would be shown as secured."""
    state, _, happened = play(*script, state=PortalState())
    assert (state.phase, happened) == (phase, happenings)


def test_every_phase_has_an_answer_to_every_input():
    """Some input in some phase would stop the door."""
    assert set(TRANSITIONS) == {(phase, kind) for phase in Phase for kind in get_args(Input)}


@pytest.mark.parametrize("grant", [None, OUT])
@pytest.mark.parametrize("portal", [PORTAL, BARE])
@pytest.mark.parametrize("phase", list(Phase))
def test_no_phase_holds_somebody_in(phase, portal, grant):
    """Somebody would press the button and the door would not open (P3)."""
    taken = step(portal, PortalState(phase=phase), ExitReleased(grant=grant, cause="rex"), at(7))
    assert [type(effect) for effect in taken.effects] == [ReleaseStrike]
    assert taken.state.strike_off_tick == 7 + portal.release_ms


@pytest.mark.req("B-11")
def test_a_contact_that_comes_and_goes_releases_nothing():
    """A loose wire or a restarting broker would open the door."""
    flaps = [OPEN_LEVEL, SHUT_LEVEL, LeafOpened(), LeafClosed(), TimePassed()]
    _, effects, _ = play(*((tick, flaps[tick % len(flaps)]) for tick in range(1000)))
    assert not [effect for effect in effects if isinstance(effect, ReleaseStrike)]


@pytest.mark.parametrize(
    "strike_off_tick, held_tick, expected",
    [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (9, 7, 7), (0, None, 0), (None, 0, 0), (0, 3, 0)],
)
def test_the_next_deadline(strike_off_tick, held_tick, expected):
    """The loop would sleep through the moment when the strike goes off."""
    assert deadline(PortalState(strike_off_tick=strike_off_tick, held_tick=held_tick)) == expected


inputs = st.one_of(
    st.builds(
        lambda n: EntryGranted(grant=Grant(id=f"e{n}", cardholder="ana", to_zone="b", direction=Direction.IN)),
        st.integers(0, 9),
    ),
    st.sampled_from([REX, CARD_OUT, LeafOpened(), LeafClosed(), OPEN_LEVEL, SHUT_LEVEL, TimePassed()]),
)


@settings(max_examples=150)
@given(script=st.lists(st.tuples(st.integers(0, 6000), inputs), max_size=25), portal=st.sampled_from([PORTAL, BARE]))
def test_a_strike_goes_off_by_time_alone_if_need_be(script, portal):
    """A strike would stay on because an input never came."""
    tick, state = 0, PortalState()
    for pause, what in script:
        tick += pause
        before = state
        taken = step(portal, state, what, at(tick))
        state = taken.state
        on = [effect for effect in taken.effects if isinstance(effect, ReleaseStrike)]
        assert bool(on) <= isinstance(what, EntryGranted | ExitReleased)
        if before.strike_off_tick is not None and state.strike_off_tick is None:
            assert SECURE in taken.effects  # never forgotten, always switched
    if state.strike_off_tick is not None:
        late = step(portal, state, TimePassed(), at(state.strike_off_tick))
        assert SECURE in late.effects
        assert late.state.strike_off_tick is None


class NaiveDoor(RuleBasedStateMachine):
    """The same machine said once more, in plain variables and without phases, as a person would explain it."""

    @initialize()
    def start(self):
        self.tick = 0
        self.state = PortalState()
        self.seen = []
        # the explanation
        self.is_open = None  # nobody knows yet
        self.alarm = None  # None, "held" or "forced"
        self.strike_until = None
        self.held_at = None
        self.waiting = []  # grants, and causes of exits without one
        self.told = []
        self.count = 0

    def feed(self, what):
        taken = step(PORTAL, self.state, what, at(self.tick))
        self.state = taken.state
        self.seen += taken.happenings

    @rule(pause=st.sampled_from([1, 500, 2999, 3000, 9999, 10_000]))
    def time_passes(self, pause):
        self.tick += pause
        self.feed(TimePassed())
        if self.strike_until is not None and self.tick >= self.strike_until:
            self.strike_until = None
            self.told += [GrantUnused(portal="p", grant=grant) for grant in self.waiting if isinstance(grant, Grant)]
            self.waiting = []
            self.is_open = bool(self.is_open)
        if self.held_at is not None and self.tick >= self.held_at:
            self.held_at, self.alarm = None, "held"
            self.told.append(HELD)

    @rule()
    def somebody_is_granted(self):
        self.count += 1
        grant = Grant(id=f"in-{self.count}", cardholder="ana", to_zone="b", direction=Direction.IN)
        self.feed(EntryGranted(grant=grant))
        if not self.is_open:
            self.waiting.append(grant)
            self.strike_until = max(self.tick + 3000, self.strike_until or 0)
            return
        self.told.append(passed(grant))
        if self.alarm != "forced":
            self.alarm, self.held_at = None, self.tick + 10_000

    @rule(by_card=st.booleans())
    def somebody_leaves(self, by_card):
        self.count += 1
        grant = Grant(id=f"out-{self.count}", cardholder="bo", to_zone="a", direction=Direction.OUT)
        self.feed(ExitReleased(grant=grant if by_card else None, cause="card" if by_card else "rex"))
        self.strike_until = max(self.tick + 3000, self.strike_until or 0)
        if self.is_open:
            self.told.append(passed(grant) if by_card else left())
        elif by_card:
            self.waiting.append(grant)
        elif "rex" not in self.waiting:
            self.waiting.append("rex")

    @rule(how=st.sampled_from(["edge", "level"]))
    def leaf_opens(self, how):
        self.feed(LeafOpened() if how == "edge" else OPEN_LEVEL)
        if self.is_open:
            return
        self.is_open = True
        if self.strike_until is not None:
            self.told += [passed(grant) for grant in self.waiting if isinstance(grant, Grant)]
            self.told += [left() for cause in self.waiting if cause == "rex"]
            self.held_at = self.tick + 10_000
        elif how == "edge":
            self.alarm = "forced"
            self.told.append(FORCED)
        else:
            self.held_at = self.tick + 10_000
            self.told.append(PortalOpenAtStart(portal="p"))
        if self.waiting and all(isinstance(one, Grant) and one.direction is Direction.IN for one in self.waiting):
            self.strike_until = None  # an entry: one grant, one opening
        self.waiting = []

    @rule(how=st.sampled_from(["edge", "level"]))
    def leaf_closes(self, how):
        self.feed(LeafClosed() if how == "edge" else SHUT_LEVEL)
        if self.is_open:
            was = {None: Phase.OPEN, "held": Phase.HELD, "forced": Phase.FORCED}[self.alarm]
            self.told.append(closed(was))
        elif self.is_open is None and self.strike_until is None and how == "edge":
            self.told.append(closed(Phase.UNKNOWN))
        if self.is_open is not None or self.strike_until is None:
            self.is_open = False
        self.alarm = self.held_at = None

    @invariant()
    def both_tell_the_same_story(self):
        assert self.seen == self.told
        assert self.state.strike_off_tick == self.strike_until
        assert self.state.held_tick == self.held_at

    @invariant()
    def phase_says_what_is_known(self):
        if self.is_open:
            expected = {None: Phase.OPEN, "held": Phase.HELD, "forced": Phase.FORCED}[self.alarm]
        elif self.strike_until is not None:
            expected = Phase.RELEASED
        else:
            expected = Phase.UNKNOWN if self.is_open is None else Phase.SECURED
        assert self.state.phase is expected

    @invariant()
    def nothing_waits_where_nothing_is_released(self):
        if self.state.phase is not Phase.RELEASED:
            assert self.state.waiting == ()
            assert self.state.exit_cause is None


TestNaiveDoor = NaiveDoor.TestCase
TestNaiveDoor.settings = settings(max_examples=80, stateful_step_count=40)
