"""The portal machine against two models written otherwise: plain variables, and a list of facts."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.share import share
from zones.moment import Moment
from zones.places import Direction, Portal, PortalMode
from zones.portal import (
    KEPT,
    DoorForced,
    DoorHeld,
    DoorHeldSoon,
    EntryGranted,
    ExitCompleted,
    ExitReleased,
    FireReset,
    FireStarted,
    Grant,
    GrantUnused,
    LeafClosed,
    LeafFault,
    LeafLevel,
    LeafOpened,
    ModeSet,
    PassageCompleted,
    PeopleCounted,
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
WARNS = Portal(
    id="p", name_ja="扉", name_en="P", outer="a", inner="b", release_ms=3000, held_after_ms=10_000, held_warn_ms=4000
)

OUT = Grant(id="g3", cardholder="ana", to_zone="a", direction=Direction.OUT)
REX = ExitReleased(grant=None, cause="rex")
CARD_OUT = ExitReleased(grant=OUT, cause="card")
OPEN_LEVEL, SHUT_LEVEL = LeafLevel(is_open=True), LeafLevel(is_open=False)
HELD, SECURE, FORCED = DoorHeld(portal="p"), SecureStrike(portal="p"), DoorForced(portal="p")


def at(tick_ms):
    return Moment(at=datetime(2026, 5, 11, tzinfo=UTC), tick_ms=tick_ms)


def passed(grant):
    return PassageCompleted(portal="p", grant=grant)


def closed(was):
    return PortalClosed(portal="p", was=was)


def left(cause="rex"):
    return ExitCompleted(portal="p", cause=cause)


inputs = st.one_of(
    st.builds(
        lambda n: EntryGranted(grant=Grant(id=f"e{n}", cardholder="ana", to_zone="b", direction=Direction.IN)),
        st.integers(0, 9),
    ),
    st.sampled_from([REX, CARD_OUT, LeafOpened(), LeafClosed(), OPEN_LEVEL, SHUT_LEVEL, TimePassed()]),
    st.sampled_from([LeafFault(fault="cut"), PeopleCounted(count=1)]),
)


@settings(max_examples=share(40, many=600))
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
        self.exit_until = 0
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
        self.exit_until = self.tick + 3000
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
            self.strike_until = self.exit_until if self.tick < self.exit_until else None  # one grant, one opening
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
TestNaiveDoor.settings = settings(max_examples=share(25, many=400), stateful_step_count=40)


class ListOfFacts(RuleBasedStateMachine):
    """All inputs, with a relay that has a timer of its own. What must hold is told from the list of what was fed.

    The relay is the worst there is: each release replaces the one before, be it shorter.
    """

    @initialize()
    def start(self):
        self.tick = 0
        self.state = PortalState()
        self.facts = []  # (tick, word, what)
        self.relay_until = None
        self.ended = []  # ids of grants that were told to have been used, or not
        self.count = 0

    # -- what the list says ------------------------------------------------------------------------------------------

    def last(self, *words):
        """The last fact of one of these words, or None."""
        return next(((tick, word, what) for tick, word, what in reversed(self.facts) if word in words), None)

    def leaf(self):
        found = self.last("opened", "closed", "fault")
        return found and found[1]

    def mode(self):
        found = self.last("mode")
        return found[2] if found else PortalMode.CARD

    def is_fire(self):
        found = self.last("fire", "reset")
        return found is not None and found[1] == "fire"

    def is_free(self):
        return self.is_fire() or self.mode() in KEPT

    def exit_is_due(self):
        """Somebody was let out less than the release time ago."""
        return any(word == "exit" and self.tick < tick + 3000 for tick, word, _ in self.facts)

    def exit_was_pending(self, n):
        """Whether, at fact `n`, somebody who had been let out had not come yet, the strike on ever since."""
        for _, word, what in reversed(self.facts[:n]):
            if word in ("opened", "off"):
                return False
            if word == "exit" and what != "through":
                return True
        return False

    def entry_is_due(self):
        for n, (tick, word, what) in enumerate(self.facts):
            if word == "entry" and what == "waits" and self.tick < tick + 3000 and not self.is_cut(n):
                return True
        return False

    def is_cut(self, n):
        """An opening used the grant of fact `n`, or locking took it back."""
        for m in range(n + 1, len(self.facts)):
            word = self.facts[m][1]
            if word == "locked" or (word == "opened" and not self.exit_was_pending(m)):
                return True
        return False

    def strike_is_due(self):
        return self.mode() in KEPT or self.exit_is_due() or self.entry_is_due()

    # -- feeding -----------------------------------------------------------------------------------------------------

    def feed(self, what):
        taken = step(WARNS, self.state, what, at(self.tick))
        self.state = taken.state
        for effect in taken.effects:
            if isinstance(effect, SecureStrike):
                assert not self.is_fire()
                assert not self.exit_is_due()
                self.off()
            else:
                assert isinstance(what, EntryGranted | ExitReleased | ModeSet | TimePassed | FireReset)
                assert not isinstance(what, TimePassed | FireReset) or self.mode() in KEPT
                self.relay_until = self.tick + effect.for_ms
        for one in taken.happenings:
            if isinstance(one, PassageCompleted | GrantUnused):
                self.ended.append(one.grant.id)
            if isinstance(one, DoorForced | DoorHeld | DoorHeldSoon):
                assert not self.is_free()
            if isinstance(one, DoorHeld):
                assert self.leaf() == "opened"
                starts = [
                    tick for tick, word, what in self.facts if word in ("opened", "followed", "locked") and not what
                ]
                assert not starts or self.tick >= starts[-1] + 10_000
        return taken

    def off(self):
        if self.relay_until is not None:
            self.facts.append((self.tick, "off", None))
        self.relay_until = None

    @rule(pause=st.sampled_from([1, 500, 2999, 3000, 9999, 10_000, 40_000]))
    def time_passes(self, pause):
        until = self.tick + pause
        while (due := deadline(self.state)) is not None and due <= until:
            self.tick = max(due, self.tick)
            self.feed(TimePassed())
        self.tick = until
        if self.relay_until is not None and self.tick >= self.relay_until:
            self.off()

    @rule()
    def somebody_is_granted(self):
        self.count += 1
        grant = Grant(id=f"in-{self.count}", cardholder="ana", to_zone="b", direction=Direction.IN)
        is_open = self.leaf() == "opened"
        if not is_open and self.mode() is not PortalMode.LOCKED:
            self.facts.append((self.tick, "entry", "waits"))
        elif is_open:
            self.facts.append((self.tick, "followed", None))
        self.feed(EntryGranted(grant=grant))

    @rule(by_card=st.booleans())
    def somebody_leaves(self, by_card):
        self.count += 1
        grant = Grant(id=f"out-{self.count}", cardholder="bo", to_zone="a", direction=Direction.OUT)
        self.facts.append((self.tick, "exit", "through" if self.leaf() == "opened" else "waits"))
        taken = self.feed(ExitReleased(grant=grant if by_card else None, cause="card" if by_card else "rex"))
        assert any(isinstance(effect, ReleaseStrike) for effect in taken.effects)

    @rule(how=st.sampled_from([LeafOpened(), OPEN_LEVEL]))
    def leaf_opens(self, how):
        before, was_due, n = self.leaf(), self.strike_is_due(), len(self.facts)
        if before != "opened":
            self.facts.append((self.tick, "opened", "seen again" if before == "fault" else None))
        taken = self.feed(how)
        is_forced = FORCED in taken.happenings
        if before == "fault":
            faulted = max(m for m in range(n) if self.facts[m][1] == "fault")
            since = self.facts[faulted:n]
            releases = [word for _, word, what in since if word in ("entry", "exit", "fire") or what in KEPT]
            assert not is_forced or not releases
        elif before == "opened" or how is OPEN_LEVEL:
            assert not is_forced
        else:
            assert is_forced is not (was_due or self.is_free())

    @rule(how=st.sampled_from([LeafClosed(), SHUT_LEVEL]))
    def leaf_closes(self, how):
        if self.leaf() != "closed":
            self.facts.append((self.tick, "closed", None))
        self.feed(how)

    @rule()
    def line_breaks(self):
        self.facts.append((self.tick, "fault", None))
        assert not self.feed(LeafFault(fault="short")).happenings

    @rule(mode=st.sampled_from(list(PortalMode)))
    def mode_is_set(self, mode):
        before = self.mode()
        if mode is not before:
            self.facts.append((self.tick, "mode", mode))
            if (before in KEPT and mode not in KEPT) or mode is PortalMode.LOCKED:
                self.facts.append((self.tick, "locked", None if before in KEPT else "was not free"))
        self.feed(ModeSet(mode=mode))

    @precondition(lambda self: not self.is_fire())
    @rule()
    def fire_starts(self):
        self.facts.append((self.tick, "fire", None))
        assert not self.feed(FireStarted()).effects

    @precondition(lambda self: self.is_fire())
    @rule()
    def fire_is_reset(self):
        self.facts.append((self.tick, "reset", None))
        if self.mode() not in KEPT:
            self.facts.append((self.tick, "locked", None))
        self.feed(FireReset())

    @rule(count=st.integers(1, 3))
    def people_are_counted(self, count):
        assert not self.feed(PeopleCounted(count=count)).effects

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def strike_is_on_for_a_reason_and_never_off_without_one(self):
        is_on = self.relay_until is not None
        assert is_on or not self.strike_is_due()
        assert not is_on or self.strike_is_due() or self.is_fire()

    @invariant()
    def every_grant_ends_once(self):
        waiting = [grant.id for grant in self.state.waiting]
        assert len(set(self.ended)) == len(self.ended)
        assert not set(waiting) & set(self.ended)

    @invariant()
    def open_leaf_has_its_time(self):
        if self.state.phase is Phase.OPEN:
            assert (self.state.held_tick is None) is self.is_free()
        if self.state.phase is Phase.BLIND:
            assert self.leaf() == "fault"

    @invariant()
    def nothing_waits_where_nothing_is_released(self):
        if self.state.strike_off_tick is None:
            assert self.state.waiting == ()
            assert self.state.exit_cause is None


TestListOfFacts = ListOfFacts.TestCase
TestListOfFacts.settings = settings(max_examples=share(30, many=500), stateful_step_count=40)
