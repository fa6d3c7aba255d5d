"""Dialogues at an access point: the table of docs/decision.md §6, who may enter, and what one never betrays."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zones.decision import Evidence, Method, Reason, Request, decide
from zones.decision.values import PinCheck
from zones.dialogue import (
    CHECK_MS,
    ESCORT_MS,
    NOTHING,
    PIN_MS,
    RECENT_MAX,
    REPEAT_MS,
    SECOND_MS,
    SECURE_MS_MAX,
    TRANSITIONS,
    Asked,
    CardShown,
    CheckPin,
    Decide,
    DialogueState,
    Ignored,
    Input,
    KeysTyped,
    Phase,
    PinChecked,
    Prompt,
    SecureZone,
    Show,
    asked_at,
    deadline,
    escorts,
    opened,
    remember,
    step,
)
from zones.moment import Moment
from zones.occupancy import Occupancy, Presence
from zones.people import Cardholder, CardholderKind, Credential, CredentialState, RosterEntry, Visit
from zones.places import LinkAssurance, SiteStatus, Zone, ZoneState, ZoneStatus
from zones.portal import TimePassed

PAGE = Path(__file__).parents[2] / "docs" / "decision.md"
START = 1_000_000

PIN_ASKED = Asked(pin=True)
TWO = Asked(companions=1)
TWO_PINS = Asked(pin=True, companions=1)
ENTER_PIN, SECOND_CARD = Prompt(show=Show.ENTER_PIN), Prompt(show=Show.SECOND_CARD)


def at(tick_ms):
    return Moment(at=datetime(2026, 5, 11, 1, 0, tzinfo=UTC) + timedelta(milliseconds=tick_ms), tick_ms=START + tick_ms)


def card(n, **more):
    return Evidence(number_hash=f"{n:064x}", method=Method.CHALLENGE, factors=2, **more)


A, B, C = card(1), card(2), card(3)
MISSING, RIGHT, WRONG, DURESS = PinCheck.MISSING, PinCheck.RIGHT, PinCheck.WRONG, PinCheck.DURESS


def shown(evidence, asked=PIN_ASKED):
    return CardShown(evidence=evidence, asked=asked)


def checked(check, dialogue=1):
    return PinChecked(dialogue=dialogue, check=check)


def play(*script, state=None):
    """The state after (ms, input) pairs, and [(ms, output)] on the way."""
    state, told = state or DialogueState(), []
    for ms, what in script:
        taken = step(state, what, at(ms))
        state = taken.state
        told += [(ms, output) for output in taken.outputs]
    return state, told


def to_end(state):
    """Time goes by until nothing is due."""
    told = []
    while (due := deadline(state)) is not None:
        ms = due - START
        assert step(state, TimePassed(), at(ms - 1)).outputs == ()
        taken = step(state, TimePassed(), at(ms))
        state = taken.state
        told += [(ms, output) for output in taken.outputs]
    return state, told


def decided(evidence, *companions, dialogue=1, **more):
    return Decide(dialogue=dialogue, evidence=evidence, companions=companions, **more)


def check_pin(evidence, dialogue=1):
    return CheckPin(dialogue=dialogue, number_hash=evidence.number_hash)


def with_pin(evidence, pin):
    return replace(evidence, pin=pin)


# -- the table -------------------------------------------------------------------------------------------------------


def test_transitions_are_on_the_page_as_they_are_in_the_code():
    """Whoever reads the page would expect another dialogue."""
    section = PAGE.read_text("utf-8").partition("## 6. Dialogues")[2]
    blocks = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    heads, _, *rows = [[cell.strip(" `") for cell in line.strip("|\n").split("|")] for line in blocks[0].splitlines()]
    told = {(phase, row[0]): cell for row in rows for phase, cell in zip(heads[1:], row[1:], strict=True)}
    assert told == {(phase.value, kind.__name__): take.__name__ for (phase, kind), take in TRANSITIONS.items()}
    assert len(told) == len(Phase) * len(get_args(Input))
    explained = {line.strip("|").split("|")[0].strip(" `") for line in blocks[1].splitlines()[2:]}
    assert explained == {take.__name__ for take in TRANSITIONS.values()}


@pytest.mark.req("B-10", "B-13")
@pytest.mark.parametrize("check", [RIGHT, WRONG, DURESS, PinCheck.LOCKED, MISSING])
def test_a_card_and_its_pin(check):
    """The door would ask again, or decide before it has both, or behave otherwise under threat."""
    state, told = play((0, shown(A)), (4000, KeysTyped()), (4200, checked(check)))
    assert told == [(0, ENTER_PIN), (4000, check_pin(A)), (4200, decided(with_pin(A, check)))]
    assert state == DialogueState(dialogue=1)


def test_a_card_alone_is_decided_at_once():
    """Everybody would wait where nothing is asked."""
    assert play((0, shown(A, NOTHING))) == (DialogueState(dialogue=1), [(0, decided(A))])


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    "script",
    [
        [(0, shown(A))],
        [(0, shown(A)), (9999, shown(A))],  # a card left on the reader wins no time
        [(0, shown(A)), (9000, checked(RIGHT, dialogue=0))],  # an answer for somebody who left long ago
        [(0, shown(A)), (9000, checked(RIGHT))],  # an answer that nobody asked for
    ],
)
def test_who_types_nothing_is_decided_about_as_such(script):
    """A card alone would do where card and PIN are asked for, or the reader wait for ever."""
    _, told = to_end(play(*script)[0])
    assert told == [(PIN_MS, decided(with_pin(A, MISSING)))]


def test_a_check_that_never_comes_back_ends_too():
    """One lost answer would block a portal until somebody restarts the controller."""
    state, _ = play((0, shown(A)), (1000, KeysTyped()), (1500, checked(RIGHT, dialogue=9)))
    state, told = to_end(state)
    assert told == [(1000 + CHECK_MS, decided(with_pin(A, MISSING)))]
    assert play((7000, checked(RIGHT)), state=state)[1] == []  # and when it comes after all, nobody enters


def test_a_pin_cannot_be_answered_with_not_asked():
    """A fault of ours would turn two factors into one."""
    assert play((0, shown(A)), (1, KeysTyped()), (2, checked(PinCheck.NOT_ASKED)))[1][-1] == (
        2,
        decided(with_pin(A, MISSING)),
    )


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ([(0, KeysTyped())], "keys"),
        ([(0, shown(A)), (1, KeysTyped()), (2, KeysTyped())], "keys"),
        ([(0, shown(A, TWO)), (1, KeysTyped())], "keys"),
        ([(0, shown(A)), (1, KeysTyped()), (2, shown(B))], "card"),
    ],
)
def test_what_comes_out_of_turn_is_told_and_changes_nothing(script, what):
    """Digits typed at random, or a card held out too soon, would end or prolong somebody's dialogue."""
    before, _ = play(*script[:-1])
    after, told = play(script[-1], state=before)
    assert (after, told) == (before, [(script[-1][0], Ignored(what=what))])


@pytest.mark.req("B-13")
def test_the_next_one_does_not_type_a_pin_for_the_last_one():
    """Ana walks away, Bo shows his card and types: his digits would count as Ana's, and lock her PIN."""
    _, told = play((0, shown(A)), (3000, shown(B)), (5000, KeysTyped()), (5100, checked(RIGHT, dialogue=2)))
    assert told == [
        (0, ENTER_PIN),
        (3000, decided(with_pin(A, MISSING), is_abandoned=True)),
        (3000, ENTER_PIN),
        (5000, check_pin(B, dialogue=2)),
        (5100, decided(with_pin(B, RIGHT), dialogue=2)),
    ]


@pytest.mark.req("B-04")
def test_two_cards_with_their_pins():
    """The second would enter on the first one's PIN."""
    _, told = play(
        (0, shown(A, TWO_PINS)),
        (2000, KeysTyped()),
        (2100, checked(RIGHT)),
        (9000, shown(B, NOTHING)),  # what is asked was settled when the dialogue began
        (12_000, KeysTyped()),
        (12_100, checked(WRONG)),
    )
    assert told == [
        (0, ENTER_PIN),
        (2000, check_pin(A)),
        (2100, SECOND_CARD),
        (9000, ENTER_PIN),
        (12_000, check_pin(B)),
        (12_100, decided(with_pin(A, RIGHT), with_pin(B, WRONG))),
    ]


@pytest.mark.req("B-04")
@pytest.mark.parametrize("second_ms", [SECOND_MS - 1, SECOND_MS])
def test_a_second_card_counts_within_its_time(second_ms):
    """Two people who never met would count as two together, when nobody looked at the clock in between."""
    _, told = play((0, shown(A, TWO)), (second_ms, shown(B, TWO)))
    together = (second_ms, decided(A, B))
    alone_and_anew = [(second_ms, decided(A)), (second_ms, SECOND_CARD)]
    assert told[1:] == ([together] if second_ms < SECOND_MS else alone_and_anew)


@pytest.mark.req("B-04")
@pytest.mark.parametrize(
    ("again_ms", "ends"), [(1, False), (REPEAT_MS - 1, False), (REPEAT_MS, True), (SECOND_MS - 1, True)]
)
def test_one_card_twice_is_not_two_people(again_ms, ends):
    """One person would enter alone where two must be; or a card that lies on the reader would end the dialogue."""
    state, told = play((0, shown(A, TWO)), (again_ms, shown(A, TWO)))
    assert told[1:] == ([(again_ms, decided(A))] if ends else [])
    assert (deadline(state) is None) is ends


def test_a_card_left_on_the_reader_is_one_presentation():
    """A reader that reports a card every half second would end every dialogue of two."""
    _, told = play(*((ms, shown(A, TWO)) for ms in range(0, 5000, 500)), (5200, shown(B, TWO)))
    assert told == [(0, SECOND_CARD), (5200, decided(A, B))]


@pytest.mark.req("B-05")
def test_as_many_cards_as_must_be_inside_are_asked_for():
    """A zone for three or more could be entered by nobody."""
    three = Asked(companions=2, companion_ms=7000)
    _, told = play((0, shown(A, three)), (6000, shown(B, three)), (12_000, shown(C, three)))
    assert told == [(0, SECOND_CARD), (6000, SECOND_CARD), (12_000, decided(A, B, C))]
    assert to_end(play((0, shown(A, three)), (6000, shown(B, three)))[0])[1] == [(13_000, decided(A, B))]
    assert play((0, shown(A, three)), (6000, shown(B, three)), (8000, shown(A, three)))[1][-1] == (8000, decided(A, B))


# -- card twice to secure --------------------------------------------------------------------------------------------

OPENS = Asked(secures="vault")


@pytest.mark.req("C-01")
@pytest.mark.parametrize(
    ("again_ms", "secures"),
    [(REPEAT_MS - 1, False), (REPEAT_MS, True), (SECURE_MS_MAX, True), (SECURE_MS_MAX + 1, False)],
)
def test_an_opener_shows_his_card_twice_to_secure(again_ms, secures):
    """A zone would be secured by a card held out a little long, or by whoever comes back later."""
    state = remember(play((0, shown(A, OPENS)))[0], A, at(0), may_secure=True)
    state, told = play((again_ms, shown(A, OPENS)), state=state)
    assert told == [(again_ms, SecureZone(zone="vault", evidence=A) if secures else decided(A, dialogue=2))]
    if secures:
        assert play((again_ms + 2000, shown(A, OPENS)), state=state)[1] == [(again_ms + 2000, decided(A, dialogue=2))]


@pytest.mark.req("C-01")
def test_securing_is_for_the_opener_who_did_not_go_in():
    """A zone would be secured by somebody else's card, or with people in it, or at a portal that has no openers."""
    first = play((0, shown(A, OPENS)))[0]
    granted = remember(first, A, at(0), may_secure=True)
    for state, what in [
        (granted, shown(B, OPENS)),
        (granted, shown(A, NOTHING)),
        (first, shown(A, OPENS)),  # refused the first time
        (remember(first, A, at(0)), shown(A, OPENS)),  # let in, and no opener
        (opened(granted), shown(A, OPENS)),
        (remember(granted, B, at(500)), shown(A, OPENS)),  # somebody else was let in meanwhile
    ]:
        assert [type(output) for _, output in play((2000, what), state=state)[1]] == [Decide]


# -- escorts ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-06")
def test_an_escort_counts_for_half_a_minute_and_through_the_opening():
    """A visitor would be let in behind an escort who left long ago, or not behind the one who holds the door."""
    state = opened(remember(remember(DialogueState(), A, at(0)), B, at(10_000)))
    assert escorts(state, at(10_000)) == (A, B)
    assert escorts(state, at(ESCORT_MS - 1)) == (A, B)
    assert escorts(state, at(ESCORT_MS)) == (B,)
    assert escorts(remember(state, A, at(20_000)), at(20_000)) == (B, A)  # one person, not two
    assert escorts(play((0, shown(C, TWO)))[0], at(0)) == ()
    assert escorts(play((15_000, shown(C)), (16_000, shown(C)), state=state)[0], at(20_000)) == (A, B)


def test_what_is_remembered_is_bounded():
    """A reader gone mad would fill the memory."""
    state = DialogueState()
    for n in range(3 * RECENT_MAX):
        state = remember(state, card(n), at(0))
    assert escorts(state, at(0)) == tuple(card(n) for n in range(2 * RECENT_MAX, 3 * RECENT_MAX))
    assert len(remember(state, A, at(ESCORT_MS)).recent) == 1


# -- what is asked, and what it may hang on --------------------------------------------------------------------------

OPENERS = Asked(pin=True, secures="vault")
UNCERTAIN, CERTAIN = Presence(zone="vault", is_certain=False), Presence(zone="vault", is_certain=True)


@pytest.mark.req("A-33", "B-04", "B-05", "C-01")
@pytest.mark.parametrize(
    ("point", "changes", "other_rows", "inside", "asked"),
    [
        ("vault-door.in", {}, (), (), Asked(pin=True)),  # an EXCLUSION: three factors
        ("lab-door.in", {}, (), (), Asked(pin=True)),
        ("front.in", {}, (), (), NOTHING),
        ("front.in", {"min_factors": 2}, (), (), Asked(pin=True)),
        ("lab-door.in", {"uid_accepted": True}, (), (), NOTHING),  # a deviation: the card counts for what the kind asks
        ("front.in", {"min_factors": 2, "uid_accepted": True}, (), (), Asked(pin=True)),  # and for nothing on top
        ("front.in", {}, (SiteStatus(id="site", threat_level=1),), (), Asked(pin=True)),
        ("front.in", {"dual_window_ms": 9000}, (), (), Asked(companions=1, companion_ms=9000)),
        ("vault-door.in", {"needs_opener": True}, (), (), OPENERS),
        ("vault-door.in", {"needs_opener": True}, (ZoneState.OPEN_UNATTENDED,), (), OPENERS),
        ("vault-door.in", {"needs_opener": True}, (ZoneState.SECURED,), (), replace(OPENERS, companions=1)),
        ("vault-door.in", {}, (ZoneState.SECURED,), (), Asked(pin=True)),  # nobody opens it: no use asking for two
        ("vault-door.in", {"occupancy_min": 2}, (), (), Asked(pin=True, companions=1)),
        ("vault-door.in", {"occupancy_min": 2}, (), (UNCERTAIN,), Asked(pin=True, companions=1)),
        ("vault-door.in", {"occupancy_min": 2}, (), (CERTAIN,), Asked(pin=True)),
        ("vault-door.in", {"occupancy_min": 2}, (), (CERTAIN,) * 3, Asked(pin=True)),
        ("vault-door.in", {"occupancy_min": 3}, (), (), Asked(pin=True, companions=2)),
        ("vault-door.in", {"occupancy_min": 3}, (), (CERTAIN,), Asked(pin=True, companions=1)),
        (
            "front.in",
            {"occupancy_min": 2, "dual_window_ms": 9000},
            (),
            (CERTAIN,),
            Asked(companions=1, companion_ms=9000),
        ),
    ],
)
def test_what_a_zone_asks_for(building, point, changes, other_rows, inside, asked):
    """A door would let in on a card alone where two factors are due, or ask for what no rule needs."""
    zone = {"vault-door.in": "vault", "lab-door.in": "lab", "front.in": "office"}[point]
    rows = [ZoneStatus(id=zone, state=row) if isinstance(row, ZoneState) else row for row in other_rows]
    people = [Cardholder(id=f"one-{n}") for n in range(len(inside))]
    policy = building.policy(building.row(Zone, zone, **changes), *rows, *people)
    occupancy = Occupancy(where={f"one-{n}": presence for n, presence in enumerate(inside)})
    assert asked_at(policy, occupancy, point, building.now) == asked


@pytest.mark.req("B-03", "A-33")
def test_more_is_asked_outside_the_hours(building):
    """At night a card alone would do; or the PIN would be asked for when the hour has nothing to do with it."""
    raised = building.row(Zone, "office", raised_factors=2, raised_outside="hours")
    night = Moment(at=datetime(2026, 5, 11, 14, 0, tzinfo=UTC), tick_ms=0)  # 23:00 in Japan
    asked = [asked_at(building.policy(raised), Occupancy(), "front.in", now) for now in (building.now, night)]
    assert asked == [NOTHING, Asked(pin=True)]


def test_no_exit_asks_for_anything(building):
    """Somebody inside would stand before a prompt while it burns."""
    strict = building.row(Zone, "lab", min_factors=3, dual_window_ms=9000, needs_opener=True, occupancy_min=5)
    secured = ZoneStatus(id="lab", state=ZoneState.SECURED)
    policy = building.policy(strict, secured, SiteStatus(id="site", threat_level=2))
    for portal in policy.portals.values():
        assert asked_at(policy, Occupancy(), portal.exit.id, building.now) == NOTHING
    assert asked_at(policy, Occupancy(), "nowhere.in", building.now) == NOTHING


statuses = st.builds(
    dict,
    state=st.sampled_from(CredentialState),
    is_known=st.booleans(),
    is_on_roster=st.booleans(),
    has_ended=st.booleans(),
    place=st.sampled_from([None, "street", "office", "lab"]),
)


@pytest.mark.req("B-13", "E-04")
@given(status=statuses)
def test_what_is_asked_hangs_on_nobody(building, status):
    """A stranger could find out at the reader which card is still good, by what it asks for."""
    usual = asked_at(building.policy(), building.at("lab"), "vault-door.in", building.now)
    gone = () if status["is_known"] else ((Credential, "ana-card"),)
    gone += () if status["is_on_roster"] else ((RosterEntry, "ana-vault"),)
    rows = {name: row for name, row in building.rows.items() if name not in gone}
    if (Credential, "ana-card") in rows:
        rows[Credential, "ana-card"] = building.row(Credential, "ana-card", state=status["state"])
    rows[Cardholder, "ana"] = Cardholder(id="ana", ended_on=date(2026, 4, 1) if status["has_ended"] else None)
    others = type(building)()
    others.rows = rows
    occupancy = building.at(status["place"]) if status["place"] else Occupancy()
    assert asked_at(others.policy(), occupancy, "vault-door.in", building.now) == usual


# -- laws ------------------------------------------------------------------------------------------------------------

asks = st.builds(
    Asked,
    pin=st.booleans(),
    companions=st.integers(0, 2),
    companion_ms=st.sampled_from([1000, 9000, SECOND_MS]),
    secures=st.sampled_from([None, "vault"]),
)
gaps = st.one_of(
    st.integers(0, 1500), st.sampled_from([PIN_MS - 1, PIN_MS, CHECK_MS, SECOND_MS - 1, SECOND_MS, 40_000])
)
scripts = st.lists(
    st.tuples(gaps, st.sampled_from(["card-0", "card-1", "card-2", "keys", "answer", "late answer", "time", "leaf"])),
    max_size=14,
)
evidences = st.builds(
    Evidence,
    number_hash=st.just(""),
    method=st.sampled_from(Method),
    factors=st.integers(0, 3),
    link=st.sampled_from(LinkAssurance),
)
wallets = st.tuples(st.lists(evidences, min_size=3, max_size=3), st.sampled_from("abcdef"))
answers = st.lists(st.sampled_from(PinCheck), min_size=14, max_size=14)


def run(script, asked, wallet, checks, *, is_watched):
    """The state, [(ms, output)] and the cards of a script with these outcomes of the PINs, to its end. `is_watched`:
    somebody looks at the clock when a deadline is due, and not only when something happens.
    """
    kinds, name = wallet
    cards = [replace(kind, number_hash=f"{name}{n}") for n, kind in enumerate(kinds)]
    state, told, ms = DialogueState(), [], 0
    for (gap, what), check in zip(script, checks, strict=False):
        ms += gap
        if is_watched and deadline(state) is not None and deadline(state) <= START + ms:
            state, more = play((deadline(state) - START, TimePassed()), state=state)
            told += more
        if what == "leaf":
            state = opened(state)
            continue
        if what.startswith("card"):
            given_input = shown(cards[int(what[-1])], asked)
        else:
            given_input = {
                "keys": KeysTyped(),
                "answer": checked(check, state.dialogue),
                "late answer": checked(check, state.dialogue - 1),
                "time": TimePassed(),
            }[what]
        state, more = play((ms, given_input), state=state)
        told += more
    state, more = to_end(state)
    return state, told + more, cards


@pytest.mark.req("B-10", "E-04")
@given(
    script=scripts,
    asked=asks,
    one=wallets,
    other=wallets,
    checks=answers,
    others=answers,
    is_watched=st.booleans(),
)
def test_the_reader_shows_the_same_whoever_stands_there(script, asked, one, other, checks, others, is_watched):
    """Prompts, their order or their times would tell a good card from a bad one, or a duress PIN from a right one."""

    def seen(told, cards):
        """What can be seen or timed from outside, with cards by the order of the hand."""
        names = {one.number_hash: n for n, one in enumerate(cards)}
        found = []
        for ms, output in told:
            match output:
                case Decide(dialogue=dialogue, evidence=evidence, companions=companions, is_abandoned=is_abandoned):
                    who = [names[one.number_hash] for one in (evidence, *companions)]
                    found.append((ms, "decide", dialogue, who, is_abandoned))
                case CheckPin(dialogue=dialogue, number_hash=number_hash):
                    found.append((ms, "check", dialogue, names[number_hash]))
                case _:
                    found.append((ms, output))
        return found

    _, *first = run(script, asked, one, checks, is_watched=is_watched)
    _, *second = run(script, asked, other, others, is_watched=is_watched)
    assert seen(*first) == seen(*second)


@pytest.mark.req("B-04", "B-13")
@given(script=scripts, asked=asks, wallet=wallets, checks=answers)
def test_every_dialogue_ends_once_and_in_time(script, asked, wallet, checks):
    """Somebody would be decided about twice, or never; or a reader would be busy for ever."""
    state, told, _ = run(script, asked, wallet, checks, is_watched=True)
    assert state.phase is Phase.IDLE and deadline(state) is None
    ends = [output for _, output in told if isinstance(output, Decide)]
    assert [one.dialogue for one in ends] == list(range(1, state.dialogue + 1))  # each once, never two at a time
    longest = (asked.companions + 1) * (PIN_MS + CHECK_MS) + asked.companions * asked.companion_ms
    begun = None
    for ms, output in told:
        if isinstance(output, Prompt) and begun is None:
            begun = ms
        elif isinstance(output, Decide):
            assert begun is None or ms - begun <= longest
            begun = None
    for one in ends:
        who = (one.evidence, *one.companions)
        assert len({each.number_hash for each in who}) == len(who) <= asked.companions + 1
        assert all((each.pin is PinCheck.NOT_ASKED) is not asked.pin for each in who)
        assert not one.is_abandoned or who[-1].pin is MISSING  # refused for certain, as nobody sees the answer


@given(script=scripts, wallet=wallets, checks=answers)
def test_where_nothing_is_asked_nobody_waits(script, wallet, checks):
    """An exit would be decided later than its card, or hang on a clock."""
    _, told, _ = run(script, NOTHING, wallet, checks, is_watched=False)
    times, ms = [], 0
    for gap, what in script:
        ms += gap
        times += [ms] if what.startswith("card") else []
    assert [ms for ms, output in told if isinstance(output, Decide)] == times
    assert not [output for _, output in told if isinstance(output, Prompt | CheckPin)]


# -- with the rules --------------------------------------------------------------------------------------------------


class Door:
    """The vault's entry in a building of one's own: cards go through the dialogue, and what it ends in is decided."""

    def __init__(self, building, *rows, inside=()):
        self.building = building
        self.policy = building.policy(*rows)
        self.occupancy = Occupancy(where=dict.fromkeys(inside, CERTAIN))
        self.state = DialogueState()

    def shows(self, ms, n, pin=RIGHT):
        """The reasons of what was decided once card `n` was shown, with its PIN typed at once where it is asked for."""
        now = at(ms)
        asked = asked_at(self.policy, self.occupancy, "vault-door.in", now)
        reasons = self.take(CardShown(evidence=card(n), asked=asked), now)
        if self.state.phase is Phase.WANT_PIN and pin is not None:
            reasons += self.take(KeysTyped(), now)
            reasons += self.take(checked(pin, self.state.dialogue), now)
        return reasons

    def waits(self, ms):
        return self.take(TimePassed(), at(ms))

    def take(self, what, now):
        taken = step(self.state, what, now)
        self.state, reasons = taken.state, []
        for output in taken.outputs:
            if isinstance(output, Decide):
                request = Request(
                    access_point="vault-door.in",
                    evidence=output.evidence,
                    companions=output.companions,
                    escorts=escorts(self.state, now),
                )
                decision = decide(self.policy, self.occupancy, request, now)
                reasons.append(decision.reason)
                if decision.is_granted:
                    for evidence in (output.evidence, *output.companions):
                        self.state = remember(self.state, evidence, now)
        return reasons


def colleague(building, name, n, **roster):
    """Somebody with the same three keys as Ana."""
    rows = []
    for row in building.rows.values():
        if getattr(row, "cardholder", None) == "ana":
            changes = {"id": row.id.replace("ana", name), "cardholder": name}
            changes |= {"number_hash": building.number(n)} if isinstance(row, Credential) else {}
            changes |= roster if isinstance(row, RosterEntry) else {}
            rows.append(replace(row, **changes))
    return [Cardholder(id=name), *rows]


@pytest.mark.req("B-04")
@pytest.mark.parametrize(
    ("script", "reasons"),
    [
        ([(0, 1), (20_000, 2)], [Reason.OK]),
        ([(0, 1), (20_000, 1)], [Reason.NEED_SECOND]),
        ([(0, 1), (31_000, 2)], [Reason.NEED_SECOND]),  # and a dialogue of the second one's own
        ([(0, 1), (20_000, 9)], [Reason.NEED_SECOND]),  # an unknown card is no second person
        ([(0, 9), (20_000, 1)], [Reason.CARD_UNKNOWN]),
    ],
)
def test_two_different_people_within_the_window(building, script, reasons):
    """One person would enter where two must; or two who never met would."""
    vault = building.row(Zone, "vault", dual_window_ms=30_000)
    door = Door(building, vault, *colleague(building, "bo", 2))
    assert [reason for ms, n in script for reason in door.shows(ms, n)] == reasons


@pytest.mark.req("B-10", "B-13", "E-04")
@pytest.mark.parametrize(
    ("n", "pin", "reason"),
    [
        (1, RIGHT, Reason.OK),
        (1, DURESS, Reason.OK),
        (1, WRONG, Reason.PIN_WRONG),
        (1, PinCheck.LOCKED, Reason.PIN_LOCKED),
        (1, None, Reason.PIN_WRONG),
        (9, RIGHT, Reason.CARD_UNKNOWN),
    ],
)
def test_card_and_pin_where_both_are_asked_for(building, n, pin, reason):
    """A card that was found would do without its PIN, or somebody under threat be refused."""
    door = Door(building)
    assert door.shows(0, n, pin) + door.waits(PIN_MS) == [reason]


@pytest.mark.req("C-01")
def test_two_openers_open_what_is_secured(building):
    """A secured zone would be opened by one opener, or by one and somebody who is none, or by nobody at all."""
    rows = [
        building.row(Zone, "vault", needs_opener=True),
        building.row(RosterEntry, "ana-vault", is_opener=True),
        ZoneStatus(id="vault", state=ZoneState.SECURED),
        *colleague(building, "cy", 3),
    ]
    for bo_opens, second, reason in [(True, 2, Reason.OK), (False, 2, Reason.ZONE_SECURED), (True, 1, None)]:
        door = Door(building, *rows, *colleague(building, "bo", 2, is_opener=bo_opens))
        told = door.shows(0, 1) + door.shows(9000, second) + door.waits(60_000)
        assert told == [reason or Reason.ZONE_SECURED]


@pytest.mark.req("B-05")
def test_a_pair_enters_where_nobody_may_be_alone(building):
    """The first of two would be refused, and so nobody could ever begin to work there."""
    zone = building.row(Zone, "vault", occupancy_min=2)
    door = Door(building, zone, *colleague(building, "bo", 2))
    assert door.shows(0, 1) + door.shows(9000, 2) == [Reason.OK]
    assert door.shows(50_000, 1) + door.waits(99_000) == [Reason.NOBODY_ALONE]
    joined = Door(building, zone, *colleague(building, "bo", 2), inside=("bo",))
    assert joined.shows(0, 1) == [Reason.OK]


@pytest.mark.req("A-06")
def test_a_visitor_enters_behind_an_escort_and_never_alone(building):
    """A visitor would walk in alone, or stand outside although the escort holds the door."""
    office = building.row(Zone, "vault", visitors_allowed=True)
    days = {"from_on": date(2026, 5, 11), "until_on": date(2026, 5, 11)}
    number, state = building.number(7), CredentialState.ACTIVE
    sanitised = {"sanitised_by": "officer-1", "sanitised_confirmed_by": "officer-2"}
    door = Door(
        building,
        office,
        ZoneStatus(id="vault", state=ZoneState.OPEN_ATTENDED, **sanitised),
        building.row(RosterEntry, "ana-vault", is_escort=True),
        Cardholder(id="vis", kind=CardholderKind.VISITOR),
        Credential(id="vis-card", cardholder="vis", number_hash=number, last4="0007", state=state),
        Visit(id="visit-1", cardholder="vis", host="ana", zones=("vault",), **days),
    )
    assert door.shows(0, 7) == [Reason.NEED_ESCORT]
    assert door.shows(10_000, 1) == [Reason.OK]
    assert door.shows(10_000 + ESCORT_MS - 1, 7) == [Reason.OK]
    assert door.shows(10_000 + ESCORT_MS, 7) == [Reason.NEED_ESCORT]
