"""What lasts at a portal: its mode, a fire, a loss of power; and that none of it holds anybody in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from zones.moment import Moment, epoch_ms
from zones.places import (
    AntiPassback,
    Direction,
    LockType,
    Portal,
    PortalMode,
    PortalStatus,
    Schedule,
    SiteStatus,
    Window,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.portal import (
    KEEP_AGAIN_MS,
    KEEP_MS,
    DoorForced,
    DoorHeld,
    EntryGranted,
    ExitCompleted,
    ExitReleased,
    FireReset,
    FireStarted,
    Grant,
    GrantUnused,
    LeafClosed,
    LeafFault,
    LeafOpened,
    ModeSet,
    PassageCompleted,
    PeopleCounted,
    Phase,
    PortalClosed,
    PortalState,
    ReleaseStrike,
    SecureStrike,
    Tailgated,
    TimePassed,
    deadline,
    on_power_loss,
    standing_mode,
    step,
)

CARD, LOCKED, UNLOCKED, ATTENDED = PortalMode.CARD, PortalMode.LOCKED, PortalMode.UNLOCKED, PortalMode.ATTENDED
KEPT = (UNLOCKED, ATTENDED)
PORTAL = Portal(id="p", name_ja="扉", name_en="P", outer="a", inner="b", release_ms=3000, held_after_ms=10_000)
BARE = replace(PORTAL, has_contact=False)
ANA = Grant(id="g1", cardholder="ana", to_zone="b", direction=Direction.IN)
OUT = Grant(id="g2", cardholder="bo", to_zone="a", direction=Direction.OUT)
ENTRY, REX = EntryGranted(grant=ANA), ExitReleased(grant=None, cause="rex")
CARD_OUT = ExitReleased(grant=OUT, cause="card")
OPENED, SHUT, LATER, FIRE, RESET = LeafOpened(), LeafClosed(), TimePassed(), FireStarted(), FireReset()
SECURE = SecureStrike(portal="p")
UNSEEN = ExitCompleted(portal="p", cause="unseen")


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


def on(tick_ms, for_ms, grant_id=None):
    return ReleaseStrike(portal="p", for_ms=for_ms, not_after_tick_ms=tick_ms + 3000, grant_id=grant_id)


def to(mode):
    return ModeSet(mode=mode)


# -- exits -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("D-24")
@pytest.mark.parametrize("is_fire", [False, True])
@pytest.mark.parametrize("mode", list(PortalMode))
@pytest.mark.parametrize("phase", list(Phase))
def test_no_phase_mode_or_fire_holds_somebody_in(phase, mode, is_fire):
    """Somebody would press the button and the door would not open (P3)."""
    blind_from = Phase.SECURED if phase is Phase.BLIND else None
    state = PortalState(phase=phase, mode=mode, is_fire=is_fire, blind_from=blind_from)
    for portal in (PORTAL, BARE):
        for what in (REX, CARD_OUT):
            taken = step(portal, state, what, at(7))
            assert [type(effect) for effect in taken.effects] == [ReleaseStrike]
            assert taken.effects[0].for_ms >= portal.release_ms
            for later in (to(LOCKED), to(CARD), OPENED, SHUT, LATER, FIRE, RESET, ENTRY, LeafFault(fault="cut")):
                assert SECURE not in step(portal, taken.state, later, at(3006)).effects, "its time is 3 s"


@pytest.mark.req("D-24")
@pytest.mark.parametrize("mode", [CARD, LOCKED])
def test_locking_lets_those_finish_who_are_leaving(mode):
    """The evening's lock would fall on the hand of somebody at the door."""
    state, effects, _ = play((0, to(UNLOCKED)), (10, REX), (20, to(mode)))
    assert SECURE not in effects
    assert (state.phase, deadline(state)) == (Phase.RELEASED, 3010)
    state, effects, happened = play((3010, LATER), state=state)
    assert (state.phase, effects, happened) == (Phase.SECURED, [SECURE], [])


# -- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-26")
@pytest.mark.parametrize("mode", KEPT)
def test_a_standing_release_is_renewed_and_drops_by_itself(mode):
    """The relay of a controller that died at noon would leave the door unlocked over the weekend."""
    state, effects, _ = play((0, to(mode)))
    assert effects == [on(0, KEEP_MS)]
    assert (state.phase, deadline(state)) == (Phase.RELEASED, KEEP_AGAIN_MS)
    state, effects, happened = play((9_999, LATER), (10_000, LATER), (20_000, LATER), (20_001, LATER), state=state)
    assert (effects, happened) == ([on(10_000, KEEP_MS), on(20_000, KEEP_MS)], [])
    assert KEEP_AGAIN_MS < KEEP_MS


MODES = [
    ([(1, OPENED), (99_999, LATER), (100_000, SHUT)], "RELEASED", [UNSEEN, PortalClosed(portal="p", was=Phase.OPEN)]),
    ([(1, ENTRY), (2, OPENED)], "OPEN", [UNSEEN, PassageCompleted(portal="p", grant=ANA)]),
    ([(1, ENTRY), (3001, LATER)], "RELEASED", [GrantUnused(portal="p", grant=ANA)]),
    ([(1, REX), (2, OPENED)], "OPEN", [ExitCompleted(portal="p", cause="rex")]),
    ([(1, OPENED), (2, ENTRY), (99_999, LATER)], "OPEN", [UNSEEN, PassageCompleted(portal="p", grant=ANA)]),
]


@pytest.mark.parametrize("mode", KEPT)
@pytest.mark.parametrize("script, phase, happenings", MODES)
def test_an_unlocked_door_is_neither_forced_nor_held_nor_locked(mode, script, phase, happenings):
    """The reception's door would raise an alarm at each visitor, or lock behind the first of them."""
    state, effects, happened = play((0, to(mode)), *script)
    assert (state.phase, happened) == (phase, happenings)
    assert SECURE not in effects


@pytest.mark.parametrize("before", KEPT)
@pytest.mark.parametrize("after", [CARD, LOCKED])
def test_leaving_an_unlocked_mode_secures_at_once(before, after):
    """The door would stay open for all until the relay's time runs out."""
    state, effects, _ = play((0, to(before)), (5, to(after)))
    assert (state.phase, effects[1:], deadline(state)) == (Phase.SECURED, [SECURE], None)
    state, effects, happened = play((0, to(before)), (1, OPENED), (5, to(after)), (10_005, LATER))
    assert (state.phase, effects[1:]) == (Phase.HELD, [SECURE])
    assert happened == [UNSEEN, UNSEEN, DoorHeld(portal="p")]
    assert play((0, to(before)), (5, to(after)), (6, OPENED))[2] == [DoorForced(portal="p")]


def test_one_unlocked_mode_after_the_other_keeps_the_strike():
    """A door would lock and unlock under the hand when the receptionist takes over."""
    state, effects, _ = play((0, to(UNLOCKED)), (5, to(ATTENDED)), (6, to(ATTENDED)), (10_000, LATER))
    assert effects == [on(0, KEEP_MS), on(10_000, KEEP_MS)]
    assert state.mode is ATTENDED


def test_a_mode_lifts_the_alarm_of_a_held_leaf():
    """A door that an officer unlocked on purpose would go on ringing."""
    state, _, _ = play((0, ENTRY), (1, OPENED), (10_001, LATER))
    assert state.phase is Phase.HELD
    state, _, happened = play((10_002, to(ATTENDED)), state=state)
    assert (state.phase, happened) == (Phase.OPEN, [UNSEEN])


def test_locking_takes_back_an_entry_that_nobody_used():
    """A lockdown would leave the strike on for whoever held up a card a second before."""
    unused = GrantUnused(portal="p", grant=ANA)
    state, effects, happened = play((0, ENTRY), (5, to(LOCKED)))
    assert (state.phase, effects[1:], happened) == (Phase.SECURED, [SECURE], [unused])
    state, effects, happened = play((0, to(LOCKED)), (5, ENTRY))
    assert (effects, happened) == ([], [unused]), "decided before, recorded after"
    state, effects, happened = play((0, LeafFault(fault="cut")), (1, to(LOCKED)), (5, ENTRY))
    assert (effects, happened) == ([], [unused])


def test_locking_tells_those_who_leave_from_those_who_enter():
    """Whoever was on the way out would be told as never gone, or who was on the way in as in."""
    unused, gone = GrantUnused(portal="p", grant=ANA), PassageCompleted(portal="p", grant=OUT)
    script = [(0, ENTRY), (10, CARD_OUT), (11, REX), (20, to(LOCKED)), (30, OPENED)]
    assert play(*script)[2] == [unused, gone, ExitCompleted(portal="p", cause="rex")]


def test_locking_says_what_nobody_could_see():
    """A grant that was taken back while the wire was cut would be told as surely unused, or the next one as unsure."""
    unsure = GrantUnused(portal="p", grant=ANA, is_certain=False)
    cut = LeafFault(fault="cut")
    assert play((0, ENTRY), (1, cut), (2, to(LOCKED)))[2] == [unsure]
    state, _, happened = play((0, ENTRY), (1, cut), (2, SHUT), (3, to(LOCKED)), (4, to(CARD)))
    assert happened == [unsure]
    assert play((5, ENTRY), (3005, LATER), state=state)[2] == [GrantUnused(portal="p", grant=ANA)]


@pytest.mark.req("B-24")
def test_nobody_is_counted_at_a_door_that_is_open_to_all():
    """Each group of visitors would be an alarm at the reception."""
    for free in (to(UNLOCKED), FIRE):
        for script in ([(1, ENTRY), (2, OPENED)], [(1, OPENED), (2, ENTRY)]):
            assert [type(one) for one in play((0, free), *script, (3, PeopleCounted(count=5)))[2]].count(Tailgated) == 0


def test_a_longer_exit_outlasts_a_renewal():
    """A renewal of 15 s would cut an exit of 40 s short when the door is locked meanwhile."""
    slow = replace(PORTAL, release_ms=40_000)
    state, effects, _ = play((0, to(UNLOCKED)), (1, REX), (10_001, LATER), (10_002, to(CARD)), portal=slow)
    assert effects[1:] == [on(1, 40_000), on(10_001, 30_000)]
    assert deadline(state) == 40_001


def test_a_release_while_unlocked_does_not_shorten_the_standing_one():
    """A card held up at an open door would lock it three seconds later."""
    _, effects, _ = play((0, to(UNLOCKED)), (5_000, ENTRY), (5_001, REX))
    assert effects[1:] == [on(5_000, KEEP_MS, "g1"), on(5_001, KEEP_MS)]


# -- fire and power --------------------------------------------------------------------------------------------------


@pytest.mark.req("D-25")
@pytest.mark.parametrize("mode", [CARD, UNLOCKED])
def test_nothing_is_locked_until_the_fire_is_reset(mode):
    """The door would fall shut in front of those who flee."""
    script = [
        (0, to(mode)),
        (1, ENTRY),
        (2, FIRE),
        (3, OPENED),
        (4, SHUT),
        (5, REX),
        (6, to(LOCKED)),
        (7, to(UNLOCKED)),
        (8, to(CARD)),
        (9, ENTRY),
        (99_999, LATER),
        (100_000, FIRE),
        (100_001, LATER),
    ]
    state, effects, _ = play(*script)
    assert SECURE not in effects
    assert state.is_fire
    state, effects, _ = play((100_002, RESET), (100_003, RESET), state=state)
    assert (state.phase, effects) == (Phase.SECURED, [SECURE])


@pytest.mark.req("D-25")
def test_a_fire_releases_no_strike_by_software():
    """Whoever shorts the input of the fire alarm would open every door (what is wired is not asked here)."""
    for phase in Phase:
        blind_from = Phase.SECURED if phase is Phase.BLIND else None
        assert step(PORTAL, PortalState(phase=phase, blind_from=blind_from), FIRE, at(0)).effects == ()


@pytest.mark.req("D-25")
def test_those_who_flee_raise_no_alarm_at_the_doors():
    """The one alarm that counts would drown in forced and held doors."""
    _, _, happened = play((0, FIRE), (1, OPENED), (99_999, LATER), (100_000, SHUT))
    assert happened == [UNSEEN, PortalClosed(portal="p", was=Phase.OPEN)]
    _, _, happened = play((0, ENTRY), (1, OPENED), (2, FIRE), (3, FIRE), (99_999, LATER))
    assert happened == [PassageCompleted(portal="p", grant=ANA), UNSEEN]


@pytest.mark.req("D-25")
def test_after_the_reset_a_propped_leaf_is_told():
    """The door that firefighters wedged open would stay so, unseen."""
    state, effects, _ = play((0, FIRE), (1, OPENED), (5, RESET))
    assert (state.phase, effects, deadline(state)) == (Phase.OPEN, [SECURE], 10_005)
    assert play((10_005, LATER), state=state)[2] == [DoorHeld(portal="p")]
    assert play((0, FIRE), (5, RESET), (6, OPENED))[2] == [DoorForced(portal="p")]


@pytest.mark.req("D-25")
def test_the_reset_lets_those_finish_who_are_leaving():
    """The officer's reset would lock out, or in, whoever is at the door."""
    state, effects, _ = play((0, FIRE), (1, REX), (2, RESET))
    assert (SECURE in effects, deadline(state)) == (False, 3001)
    assert play((3001, LATER), state=state)[1] == [SECURE]


def test_after_the_reset_an_unlocked_door_is_unlocked():
    """The reception would be locked by the reset though its hours go on, or stand open and no relay would know."""
    state, effects, _ = play((0, to(UNLOCKED)), (1, FIRE), (5_000, RESET))
    assert (effects[-1], deadline(state)) == (on(5_000, KEEP_MS), 15_000)


def test_a_wire_that_broke_before_a_fire_tells_of_no_break_in():
    """The repair after the fire would be told as a door forced."""
    state, _, happened = play((0, LeafFault(fault="cut")), (1, FIRE), (2, RESET), (3, OPENED))
    assert (state.phase, happened[-1:] == [DoorForced(portal="p")]) == (Phase.OPEN, False)


def test_what_is_free_while_nobody_sees_it_is_seen_as_it_is():
    """A leaf that is mended after a fire would never be held; or one that stands open on purpose would be."""
    script = [(0, ENTRY), (1, OPENED), (2, LeafFault(fault="cut")), (3, FIRE), (4, RESET), (5, OPENED)]
    state, _, _ = play(*script)
    assert (state.phase, deadline(state)) == (Phase.OPEN, 10_005)
    script = [(0, ENTRY), (1, OPENED), (10_001, LATER), (10_002, LeafFault(fault="cut")), (10_003, to(ATTENDED))]
    state, _, _ = play(*script, (10_004, OPENED))
    assert (state.phase, deadline(state)) == (Phase.OPEN, 20_003)


@pytest.mark.req("D-26")
def test_what_the_lock_does_without_power():
    """The plan would show a door as locked that falls open when the mains fail, or the other way round."""
    told = {lock: on_power_loss(replace(PORTAL, lock_type=lock)) for lock in LockType}
    assert told == {LockType.FAIL_SAFE: "released", LockType.FAIL_SECURE: "locked"}


# -- the mode a portal should be in ----------------------------------------------------------------------------------

NOON = Moment(at=datetime(2026, 5, 11, 3, 0, tzinfo=UTC), tick_ms=0)  # Monday, 12:00 in Japan
NIGHT = Moment(at=datetime(2026, 5, 11, 13, 0, tzinfo=UTC), tick_ms=0)
DOUBTED = replace(NOON, is_trusted=False)
HOURS = Schedule(id="open-hours", windows=(Window(weekday=0, from_min=9 * 60, to_min=17 * 60),))


def status(mode, until=None):
    return PortalStatus(id="front", mode=mode, until_ms=None if until is None else epoch_ms(until))


def secured(zone):
    return ZoneStatus(id=zone, state=ZoneState.SECURED)


def locked_down(zone):
    return ZoneStatus(id=zone, state=ZoneState.OPEN_ATTENDED, is_locked_down=True)


HOUR = timedelta(hours=1)

# Rows put, when, whether somebody was admitted, the mode, and why the row is here
STANDING = [
    ([], NIGHT, False, CARD, "outside its hours"),
    ([], NOON, False, UNLOCKED, "within its hours"),
    ([], DOUBTED, False, CARD, "a clock that is not believed opens nothing"),
    ([{"first_in": True}], NOON, False, CARD, "nobody is there yet"),
    ([{"first_in": True}], NOON, True, UNLOCKED, "somebody is"),
    ([{"first_in": True}], NIGHT, True, CARD, "but it is night"),
    ([status(LOCKED)], NOON, True, LOCKED, "an officer's word goes before the schedule"),
    ([status(CARD)], NOON, True, CARD, "this one too"),
    ([status(UNLOCKED)], NIGHT, False, UNLOCKED, "for as long as he says"),
    ([status(ATTENDED, NIGHT.at + HOUR)], NIGHT, False, ATTENDED, "until then"),
    ([status(ATTENDED, NIGHT.at)], NIGHT, False, CARD, "that instant it is over"),
    ([status(LOCKED, NOON.at)], NOON, False, UNLOCKED, "and the schedule is back"),
    ([status(UNLOCKED)], DOUBTED, False, CARD, "a clock that is not believed opens nothing"),
    ([status(LOCKED, NOON.at)], DOUBTED, False, LOCKED, "and ends no lock"),
    ([secured("office")], NOON, True, CARD, "secured"),
    ([secured("street")], NOON, True, CARD, "a zone around is secured"),
    ([secured("lab")], NOON, True, UNLOCKED, "a zone further in is not meant"),
    ([locked_down("office")], NOON, True, CARD, "locked down: those who may enter then use their cards"),
    ([SiteStatus(id="site", is_locked_down=True)], NOON, True, CARD, "the whole site"),
    ([status(LOCKED), locked_down("office")], NOON, True, LOCKED, "locked stays locked"),
    ([status(UNLOCKED), secured("office")], NIGHT, False, CARD, "no officer opens what is secured"),
]


@pytest.mark.parametrize("rows, now, was_entered, mode, why", STANDING)
def test_the_mode_a_portal_should_be_in(building, rows, now, was_entered, mode, why):
    """A door would stand open that nobody meant to stand open, or ask for cards at noon."""
    changes = next((row for row in rows if isinstance(row, dict)), {})
    front = building.row(Portal, "front", unlock_schedule="open-hours", **changes)
    policy = building.policy(HOURS, front, *(row for row in rows if not isinstance(row, dict)))
    assert standing_mode(policy, "front", now, was_entered=was_entered) is mode, why


@pytest.mark.parametrize("mode", KEPT)
def test_no_mode_leaves_a_protected_zone_open(building, mode):
    """Protected information would lie behind an open door (P1)."""
    policy = building.policy(PortalStatus(id="vault-door", mode=mode, until_ms=epoch_ms(NIGHT.at)))
    assert standing_mode(policy, "vault-door", NOON, was_entered=True) is CARD
    items = Zone(
        id="lab",
        name_ja="研究室",
        name_en="Lab",
        kind=ZoneKind.LIMITED,
        parent="office",
        items=("item-1",),
        accepted_bases=building.rows[Zone, "vault"].accepted_bases,
        anti_passback=AntiPassback.NONE,
    )
    policy = building.policy(items, PortalStatus(id="lab-door", mode=mode, until_ms=epoch_ms(NIGHT.at)))
    assert standing_mode(policy, "lab-door", NOON, was_entered=True) is CARD
