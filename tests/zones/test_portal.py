"""The portal machine on grants, exits, contact, counter and time: scripts and what they come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest

from zones.moment import Moment
from zones.places import Direction, Portal
from zones.portal import (
    TRANSITIONS,
    DoorForced,
    DoorHeld,
    DoorHeldSoon,
    EntryGranted,
    ExitCompleted,
    ExitReleased,
    Grant,
    GrantUnused,
    Input,
    LeafClosed,
    LeafFault,
    LeafLevel,
    LeafOpened,
    PassageCompleted,
    PeopleCounted,
    Phase,
    PortalClosed,
    PortalOpenAtStart,
    PortalState,
    ReleaseStrike,
    SecureStrike,
    Tailgated,
    TimePassed,
    deadline,
    step,
)

PORTAL = Portal(id="p", name_ja="扉", name_en="P", outer="a", inner="b", release_ms=3000, held_after_ms=10_000)
WARNS = replace(PORTAL, held_warn_ms=4000)
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
    (
        [(0, REX), (1, LeafOpened()), (2, LeafClosed()), (3, ENTRY), (4, LeafOpened()), (5, LeafClosed())],
        "RELEASED",
        [left(), closed("OPEN"), passed(ANA), closed("OPEN")],
        "an entry by a fluttering leaf does not cut the exit before it",
    ),
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


SOON = DoorHeldSoon(portal="p")
SLOW = Grant(id="g4", cardholder="cho", to_zone="b", direction=Direction.IN, held_extra_ms=30_000)

TIMES = [
    ([(0, ENTRY), (1, LeafOpened()), (6000, TimePassed())], [passed(ANA)], "5.999 s: no warning yet"),
    ([(0, ENTRY), (1, LeafOpened()), (6001, TimePassed())], [passed(ANA), SOON], "4 s before it is held"),
    (
        [(0, ENTRY), (1, LeafOpened()), (6001, TimePassed()), (7000, TimePassed()), (10_001, TimePassed())],
        [passed(ANA), SOON, HELD],
        "warned once, then held",
    ),
    ([(0, ENTRY), (1, LeafOpened()), (99_999, TimePassed())], [passed(ANA), HELD], "too late to warn"),
    (
        [(0, ENTRY), (1, LeafOpened()), (6001, TimePassed()), (7000, LeafClosed()), (11_000, TimePassed())],
        [passed(ANA), SOON, closed("OPEN")],
        "heeded",
    ),
    (
        [(0, EntryGranted(grant=SLOW)), (1, LeafOpened()), (36_000, TimePassed()), (36_001, TimePassed())],
        [passed(SLOW), SOON],
        "somebody who needs longer has longer",
    ),
    (
        [(0, EntryGranted(grant=SLOW)), (1, LeafOpened()), (40_000, TimePassed()), (40_001, TimePassed())],
        [passed(SLOW), SOON, HELD],
        "but not for ever",
    ),
    (
        [(0, EntryGranted(grant=SLOW)), (1, LeafOpened()), (2, ENTRY), (10_002, TimePassed())],
        [passed(SLOW), passed(ANA)],
        "who follows does not take it away",
    ),
    (
        [(0, ENTRY), (1, LeafOpened()), (2, EntryGranted(grant=SLOW)), (36_002, TimePassed()), (40_002, TimePassed())],
        [passed(ANA), passed(SLOW), SOON, HELD],
        "who follows and needs longer has longer",
    ),
]


@pytest.mark.req("B-08")
@pytest.mark.parametrize("script, happenings, why", TIMES)
def test_an_open_leaf_is_warned_of_before_it_is_held(script, happenings, why):
    """A wheelchair in the doorway would raise the alarm, or a propped door none."""
    state, _, happened = play(*script, portal=WARNS)
    assert happened == happenings, why
    assert deadline(state) is None or deadline(state) > script[-1][0]


@pytest.mark.req("B-09")
@pytest.mark.parametrize("pulse_ms", [1, 401])
def test_a_leaf_that_opens_for_a_moment_is_seen(pulse_ms):
    """Somebody would slip through in half a second and the record would show a door that never moved."""
    _, _, happened = play((0, LeafOpened()), (pulse_ms, LeafClosed()))
    assert happened == [FORCED, closed("FORCED")]
    state, effects, happened = play((0, ENTRY), (900, LeafOpened()), (900 + pulse_ms, LeafClosed()))
    assert (state.phase, happened) == (Phase.SECURED, [passed(ANA), closed("OPEN")])
    assert effects[-1] == SECURE


def unsure(grant):
    return GrantUnused(portal="p", grant=grant, is_certain=False)


CUT = LeafFault(fault="cut")
OPENED, SHUT = LeafOpened(), LeafClosed()
FOUND = PortalOpenAtStart(portal="p")

# Script with a line that breaks, the phase it ends in, what is recorded, and why the row is here
BROKEN = [
    ([(0, CUT)], "BLIND", [], "the fault itself is recorded by whoever reads the line"),
    ([(0, CUT), (1, LeafFault(fault="short"))], "BLIND", [], "broken otherwise"),
    ([(0, CUT), (1, SHUT)], "SECURED", [], "mended, and shut as before"),
    ([(0, CUT), (1, SHUT_LEVEL)], "SECURED", [], "also where it comes as a level"),
    ([(0, CUT), (1, OPENED)], "FORCED", [FORCED], "shut when it broke, nobody let in, open now"),
    ([(0, CUT), (1, OPEN_LEVEL)], "FORCED", [FORCED], "also where it comes as a level"),
    ([(0, ENTRY), (1, OPENED), (2, CUT), (3, OPENED)], "OPEN", [passed(ANA)], "open as before: nothing happened"),
    (
        [(0, ENTRY), (1, OPENED), (2, CUT), (9999, OPENED), (10_001, TimePassed())],
        "HELD",
        [passed(ANA), HELD],
        "a loose wire does not hold the alarm back",
    ),
    (
        [(0, ENTRY), (1, OPENED), (2, CUT), (20_000, TimePassed())],
        "BLIND",
        [passed(ANA)],
        "a leaf that nobody sees is not held",
    ),
    ([(0, ENTRY), (1, OPENED), (2, CUT), (3, SHUT)], "SECURED", [passed(ANA), closed("OPEN")], "it closed meanwhile"),
    ([(0, OPENED), (1, CUT), (2, OPENED)], "FORCED", [FORCED], "forced before, said once"),
    ([(0, OPENED), (1, CUT), (2, SHUT)], "SECURED", [FORCED, closed("FORCED")], "and shut"),
    ([(0, ENTRY), (1, CUT), (2, OPENED)], "OPEN", [passed(ANA)], "released, and somebody opened: he came"),
    ([(0, ENTRY), (1, CUT), (3000, TimePassed())], "BLIND", [unsure(ANA)], "nobody can say whether she came"),
    (
        [(0, ENTRY), (1, CUT), (2, SHUT), (3000, TimePassed())],
        "SECURED",
        [unsure(ANA)],
        "she may have come while nobody saw",
    ),
    (
        [(0, ENTRY), (1, CUT), (3000, TimePassed()), (4000, OPENED)],
        "OPEN",
        [unsure(ANA), FOUND],
        "it need not be forced",
    ),
    ([(0, CUT), (1, REX), (3001, TimePassed())], "BLIND", [left("unseen")], "somebody may have left"),
    ([(0, CUT), (1, CARD_OUT), (3001, TimePassed())], "BLIND", [unsure(OUT)], "and this one may have"),
    ([(0, CUT), (1, REX), (2, OPENED)], "OPEN", [left()], "somebody left"),
    ([(0, CUT), (1, ENTRY), (2, OPENED)], "OPEN", [passed(ANA)], "granted while the line was broken"),
    (
        [(0, CUT), (1, ENTRY), (3001, TimePassed()), (3002, OPENED)],
        "OPEN",
        [unsure(ANA), FOUND],
        "it need not be forced",
    ),
    ([(0, OPENED), (1, CUT), (2, REX), (3, OPENED)], "FORCED", [FORCED, left()], "an exit does not heal a forced leaf"),
]


@pytest.mark.req("B-09")
@pytest.mark.parametrize("script, phase, happenings, why", BROKEN)
def test_a_broken_line_of_the_contact(script, phase, happenings, why):
    """Whoever cuts the wire of the contact would open the door unseen, or every repair would be told as a break-in."""
    state, effects, happened = play(*script)
    assert (state.phase, happened) == (phase, happenings), why
    is_on = False
    for effect in effects:
        is_on = isinstance(effect, ReleaseStrike)
    assert is_on is (state.strike_off_tick is not None), why


def test_a_leaf_that_nobody_sees_makes_nobody_wake_up():
    """The loop would spin on a time to close that cannot end."""
    state, _, _ = play((0, ENTRY), (1, OPENED), (2, CUT))
    assert (state.held_tick, deadline(state)) == (10_001, None)


def test_a_start_with_a_broken_line_knows_nothing():
    """A leaf that nobody ever saw would be told as forced when its wire is mended."""
    assert play((0, CUT), (1, OPENED), state=PortalState())[2] == [FOUND]
    assert play((0, CUT), (1, SHUT), state=PortalState())[0].phase is Phase.SECURED


def seen(count):
    return PeopleCounted(count=count)


def tailgated(counted, granted):
    return Tailgated(portal="p", counted=counted, granted=granted)


COUNTS = [
    ([(0, ENTRY), (1, OPENED), (2, seen(1))], [], "one for one"),
    ([(0, ENTRY), (1, OPENED), (2, seen(2))], [tailgated(2, 1)], "two on one grant"),
    ([(0, ENTRY), (1, OPENED), (2, seen(1)), (3, seen(1)), (4, seen(1))], [tailgated(2, 1)], "said once per opening"),
    ([(0, ENTRY), (1, OPENED), (2, seen(1)), (3, SHUT), (4, seen(1))], [tailgated(2, 1)], "counted late"),
    ([(0, ENTRY), (1, EntryGranted(grant=BO)), (2, OPENED), (3, seen(2))], [], "two who entered together"),
    ([(0, ENTRY), (1, OPENED), (2, EntryGranted(grant=BO)), (3, seen(2))], [], "one who followed with a card"),
    ([(0, ENTRY), (1, CARD_OUT), (2, OPENED), (3, seen(2))], [], "one in, one out by card"),
    ([(0, ENTRY), (1, CARD_OUT), (2, OPENED), (3, seen(3))], [tailgated(3, 2)], "and a third"),
    ([(0, REX), (1, OPENED), (2, seen(9))], [], "any number leaves by the button"),
    ([(0, ENTRY), (1, OPENED), (2, REX), (3, seen(9))], [], "also behind somebody who entered"),
    ([(0, CARD_OUT), (1, OPENED), (2, SHUT), (3, OPENED), (4, seen(2))], [], "out again in the time of an exit"),
    ([(0, CUT), (1, ENTRY), (2, OPENED), (3, seen(2))], [], "nobody saw how often the leaf opened"),
    ([(0, OPENED), (1, seen(3))], [], "forced is alarm enough"),
    ([(0, seen(3))], [], "a counter that sees ghosts before a shut leaf"),
    ([(0, ENTRY), (3000, TimePassed()), (3001, seen(2))], [], "nobody opened"),
    (
        [(0, ENTRY), (1, OPENED), (2, seen(2)), (3, SHUT), (10, ENTRY), (11, OPENED), (12, seen(1)), (13, seen(1))],
        [tailgated(2, 1), tailgated(2, 1)],
        "each opening is counted anew",
    ),
]


@pytest.mark.req("B-24")
@pytest.mark.parametrize("script, alarms, why", COUNTS)
def test_more_people_than_grants(script, alarms, why):
    """Somebody would walk in behind a cardholder and nobody would hear of it."""
    _, _, happened = play(*script)
    assert [one for one in happened if isinstance(one, Tailgated)] == alarms, why


@pytest.mark.req("B-24")
def test_one_grant_is_one_opening():
    """A card would be good for a second person behind the first."""
    _, effects, happened = play((0, ENTRY), (1, OPENED), (2, SHUT), (3, OPENED))
    assert (effects[-1], happened[-1]) == (SECURE, FORCED)
