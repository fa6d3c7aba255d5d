"""The dialogue at an access point: from a card to the question that is decided (docs/decision.md §6).

Pure. One machine per access point, every transition in TRANSITIONS, every deadline on `now.tick_ms`. What the reader
asks for (a PIN, a second card) depends on the zone, its state and the hour, never on who stands there: no transition
looks at anything of a card but whether it is the one shown before (P5). Exits ask nothing: whoever shows a card there
is decided about in the same step (P3).

Digits never come here. The machine hears that somebody typed, asks for the check, and is told its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from zones.decision.ask import ask_of
from zones.decision.keys import pin_is_asked
from zones.decision.values import Evidence, Method, PinCheck, Request
from zones.ids import AccessPointId, CardNumberHash, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.places import Direction, ZoneState
from zones.policy import Policy
from zones.portal import TimePassed

PIN_MS: Final = 10_000
"""Time to type a PIN, from its prompt."""

CHECK_MS: Final = 5_000
"""Time for the check of a PIN. It takes a fraction of a second; whoever checks may be gone."""

SECOND_MS: Final = 30_000
"""Time for the next card, from its prompt, where the zone does not say (B-04)."""

ESCORT_MS: Final = 30_000
"""How long after an escort was let in a guest is taken to follow (A-06)."""

REPEAT_MS: Final = 1_000
"""The same card again within this time of its last read is the same presentation."""

SECURE_MS_MAX: Final = 5_000
"""Until when the same card again means *secure the zone* (C-01); before REPEAT_MS it means nothing."""

RECENT_MAX: Final = 64
"""Grants remembered at one access point. More people do not pass one portal within ESCORT_MS."""


# -- what is asked ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a card is asked for at an access point at one moment, whoever shows it.

    `companions`: how many more cards, each within `companion_ms` of its prompt. `secures`: the zone that an opener
    secures by showing his card twice.
    """

    pin: bool = False
    companions: int = 0
    companion_ms: int = SECOND_MS
    secures: ZoneId | None = None


NOTHING: Final = Asked()

_NOBODY: Final = Evidence(number_hash=CardNumberHash(""), method=Method.UID, factors=0)
"""The evidence of no card: what is asked does not hang on one."""


def asked_at(policy: Policy, occupancy: Occupancy, access_point: AccessPointId, now: Moment) -> Asked:
    """What a card is asked for there now. Nothing at an exit, and nothing where no rule could be content anyway.

    More cards are asked for where the zone takes two people (B-04), where two openers open what is secured (C-01), and
    where those certainly inside and the asker are fewer than the zone's minimum (B-05).
    """
    point = policy.access_points.get(access_point)
    zone = None if point is None else policy.zones.get(point.to_zone)
    if point is None or zone is None or point.direction is Direction.OUT:
        return NOTHING
    ask = ask_of(policy, occupancy, Request(access_point=access_point, evidence=_NOBODY), now)
    companions = 0
    if zone.dual_window_ms is not None:
        companions = 1
    if zone.needs_opener and policy.zone_state(zone.id) is ZoneState.SECURED:
        companions = 1
    if zone.occupancy_min is not None:
        companions = max(companions, zone.occupancy_min - 1 - sum(1 for _ in ask.staff_inside()))
    return Asked(
        pin=pin_is_asked(ask),
        companions=companions,
        companion_ms=SECOND_MS if zone.dual_window_ms is None else zone.dual_window_ms,
        secures=zone.id if zone.needs_opener else None,
    )


# -- the state -------------------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """What the machine waits for. IDLE: a first card. CHECKING: the outcome for the digits that were typed."""

    IDLE = "IDLE"
    WANT_PIN = "WANT_PIN"
    CHECKING = "CHECKING"
    WANT_SECOND = "WANT_SECOND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Evidence on which an entry was granted here, and when."""

    evidence: Evidence
    tick_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueState:
    """Where the dialogue at one access point stands.

    `dialogue` counts the dialogues begun here. `asked`: what this one asks, fixed when it began. `settled`: those whose
    part is done; `current`: whose PIN is awaited or checked. `due_tick`: when this phase ends by itself. `read_tick`:
    the last read of the card shown last. `recent`: the last grants here; `opener`: the very last one, where it was to
    an opener and nobody opened the leaf since.
    """

    phase: Phase = Phase.IDLE
    dialogue: int = 0
    asked: Asked = NOTHING
    settled: tuple[Evidence, ...] = ()
    current: Evidence | None = None
    due_tick: int | None = None
    read_tick: int = 0
    recent: tuple[Granted, ...] = ()
    opener: Granted | None = None


# -- inputs (and `zones.portal.TimePassed`) --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CardShown:
    """A reader read a card. `asked`: what is asked here now; it counts where this card begins a dialogue."""

    evidence: Evidence
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysTyped:
    """Somebody typed digits and confirmed them. Which, is no business of `zones`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinChecked:
    """The digits typed in `dialogue` were checked. An answer for another dialogue than the present one is dropped."""

    dialogue: int
    check: PinCheck


Input = CardShown | KeysTyped | PinChecked | TimePassed


# -- outputs ---------------------------------------------------------------------------------------------------------


class Show(StrEnum):
    """What the reader is to ask for."""

    ENTER_PIN = "enter_pin"
    SECOND_CARD = "second_card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Show this at the reader."""

    show: Show


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPin:
    """Check the digits that were just typed against the PIN of whoever holds this card; answer with `dialogue`."""

    dialogue: int
    number_hash: CardNumberHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """The dialogue is over: decide now. `is_abandoned`: somebody else's dialogue has begun at the reader; the answer is
    recorded and not shown.
    """

    dialogue: int
    evidence: Evidence
    companions: tuple[Evidence, ...] = ()
    is_abandoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureZone:
    """An opener who was just let in showed his card again and did not go in: secure the zone, if nobody is inside."""

    zone: ZoneId
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An input that came out of turn: "keys" without a card before, "card" while digits were checked."""

    what: str


Output = Prompt | CheckPin | Decide | SecureZone | Ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one input came to. Outputs in the order in which they are to be carried out."""

    state: DialogueState
    outputs: tuple[Output, ...] = ()


# -- the face --------------------------------------------------------------------------------------------------------


def step(state: DialogueState, what: Input, now: Moment) -> Step:
    """The next state and what to do. Total: every input has its place in every phase.

    What is overdue ends first, so that an input that comes late never counts as one in time.
    """
    ended = TRANSITIONS[state.phase, TimePassed](state, TimePassed(), now)
    if isinstance(what, TimePassed):
        return ended
    taken = TRANSITIONS[ended.state.phase, type(what)](ended.state, what, now)
    return Step(state=taken.state, outputs=ended.outputs + taken.outputs)


def deadline(state: DialogueState) -> int | None:
    """The tick (ms) at which TimePassed is due, or None."""
    return state.due_tick


def remember(state: DialogueState, evidence: Evidence, now: Moment, *, may_secure: bool = False) -> DialogueState:
    """The state after an entry was granted here on `evidence`. `may_secure`: to an opener of the zone."""
    granted = Granted(evidence=evidence, tick_ms=now.tick_ms)
    others = (one for one in _follows(state, now) if one.evidence.number_hash != evidence.number_hash)
    return replace(state, recent=(*others, granted)[-RECENT_MAX:], opener=granted if may_secure else None)


def escorts(state: DialogueState, now: Moment) -> tuple[Evidence, ...]:
    """Evidence of those let in here less than ESCORT_MS ago, oldest first: whom a guest may be following (A-06)."""
    return tuple(one.evidence for one in _follows(state, now))


def forget(state: DialogueState, numbers: Collection[CardNumberHash]) -> DialogueState:
    """The state after whoever holds these cards turned out not to have gone in, or left: nobody follows him in."""
    return replace(state, recent=tuple(one for one in state.recent if one.evidence.number_hash not in numbers))


def opened(state: DialogueState) -> DialogueState:
    """The state after the leaf opened: somebody went in, so the same card again does not mean *secure*."""
    return replace(state, opener=None)


# -- transitions -----------------------------------------------------------------------------------------------------


def ignored(state: DialogueState, _what: Input, _now: Moment) -> Step:
    """Nothing is due, or an answer came for a dialogue that is over."""
    return Step(state=state)


def out_of_turn(state: DialogueState, what: Input, _now: Moment) -> Step:
    """Nobody was asked for that. It changes nothing and is told."""
    return Step(state=state, outputs=(Ignored(what="card" if isinstance(what, CardShown) else "keys"),))


def begin(state: DialogueState, what: CardShown, now: Moment) -> Step:
    """A dialogue begins; or an opener shows again the card that he was let in with, which begins none."""
    if what.asked.secures is not None and _is_second_showing(state, what.evidence, now):
        secure = SecureZone(zone=what.asked.secures, evidence=what.evidence)
        return Step(state=replace(state, opener=None), outputs=(secure,))
    begun = replace(state, dialogue=state.dialogue + 1, asked=what.asked)
    return _shown(begun, what.evidence, now)


def interrupt(state: DialogueState, what: CardShown, now: Moment) -> Step:
    """Another card while a PIN is awaited: the first dialogue ends without one, or the second person's digits would be
    checked as the first one's. The same card again is the same presentation and wins no time.
    """
    if _is_current(state, what.evidence):
        return Step(state=state)
    ended = _end_as_is(state, is_abandoned=True)
    begun = begin(ended.state, what, now)
    return Step(state=begun.state, outputs=ended.outputs + begun.outputs)


def check_pin(state: DialogueState, _what: KeysTyped, now: Moment) -> Step:
    """The digits go to whoever checks them; the machine waits, a bounded time."""
    assert state.current is not None, "a PIN is awaited of somebody"
    check = CheckPin(dialogue=state.dialogue, number_hash=state.current.number_hash)
    return Step(state=replace(state, phase=Phase.CHECKING, due_tick=now.tick_ms + CHECK_MS), outputs=(check,))


def settle_pin(state: DialogueState, what: PinChecked, now: Moment) -> Step:
    """The outcome is known. Right or wrong, the dialogue goes on alike: what comes next would betray it."""
    if what.dialogue != state.dialogue or state.current is None:
        return Step(state=state)
    check = PinCheck.MISSING if what.check is PinCheck.NOT_ASKED else what.check
    return _settle(state, replace(state.current, pin=check), now)


def take_second(state: DialogueState, what: CardShown, now: Moment) -> Step:
    """The next card. One that was shown in this dialogue before is nobody new: decided at once, without another."""
    last = state.settled[-1]
    if what.evidence.number_hash == last.number_hash and now.tick_ms - state.read_tick < REPEAT_MS:
        return Step(state=replace(state, read_tick=now.tick_ms))
    if any(one.number_hash == what.evidence.number_hash for one in state.settled):
        return _end_as_is(state)
    return _shown(state, what.evidence, now)


def give_up(state: DialogueState, _what: TimePassed, now: Moment) -> Step:
    """The time is over: decided without the PIN that nobody typed, without the companion who did not come."""
    if state.due_tick is None or now.tick_ms < state.due_tick:
        return Step(state=state)
    return _end_as_is(state)


def _shown(state: DialogueState, evidence: Evidence, now: Moment) -> Step:
    """A card counts: its PIN is asked for, or its part is done."""
    state = replace(state, read_tick=now.tick_ms)
    if not state.asked.pin:
        return _settle(state, evidence, now)
    wanted = replace(state, phase=Phase.WANT_PIN, current=evidence, due_tick=now.tick_ms + PIN_MS)
    return Step(state=wanted, outputs=(Prompt(show=Show.ENTER_PIN),))


def _settle(state: DialogueState, evidence: Evidence, now: Moment) -> Step:
    """One more is done: the next card is asked for, or it is decided."""
    settled = (*state.settled, evidence)
    if len(settled) > state.asked.companions:
        return _end(state, settled)
    due_tick = now.tick_ms + state.asked.companion_ms
    wanted = replace(state, phase=Phase.WANT_SECOND, settled=settled, current=None, due_tick=due_tick)
    return Step(state=wanted, outputs=(Prompt(show=Show.SECOND_CARD),))


def _end_as_is(state: DialogueState, *, is_abandoned: bool = False) -> Step:
    """Decided with what is there; a PIN that was asked for and did not come is MISSING, whoever it was."""
    if state.current is None:
        return _end(state, state.settled)
    missing = replace(state.current, pin=PinCheck.MISSING)
    return _end(state, (*state.settled, missing), is_abandoned=is_abandoned)


def _end(state: DialogueState, who: tuple[Evidence, ...], *, is_abandoned: bool = False) -> Step:
    decide = Decide(dialogue=state.dialogue, evidence=who[0], companions=who[1:], is_abandoned=is_abandoned)
    idle = DialogueState(dialogue=state.dialogue, recent=state.recent, opener=state.opener)
    return Step(state=idle, outputs=(decide,))


def _is_current(state: DialogueState, evidence: Evidence) -> bool:
    return state.current is not None and state.current.number_hash == evidence.number_hash


def _is_second_showing(state: DialogueState, evidence: Evidence, now: Moment) -> bool:
    first = state.opener
    if first is None or first.evidence.number_hash != evidence.number_hash:
        return False
    return REPEAT_MS <= now.tick_ms - first.tick_ms <= SECURE_MS_MAX


def _follows(state: DialogueState, now: Moment) -> tuple[Granted, ...]:
    return tuple(one for one in state.recent if now.tick_ms - one.tick_ms < ESCORT_MS)


Transition = Callable[[DialogueState, Any, Moment], Step]

TRANSITIONS: Final[Mapping[tuple[Phase, type[Input]], Transition]] = MappingProxyType(
    {
        (Phase.IDLE, CardShown): begin,
        (Phase.IDLE, KeysTyped): out_of_turn,
        (Phase.IDLE, PinChecked): ignored,
        (Phase.IDLE, TimePassed): ignored,
        (Phase.WANT_PIN, CardShown): interrupt,
        (Phase.WANT_PIN, KeysTyped): check_pin,
        (Phase.WANT_PIN, PinChecked): ignored,
        (Phase.WANT_PIN, TimePassed): give_up,
        (Phase.CHECKING, CardShown): out_of_turn,
        (Phase.CHECKING, KeysTyped): out_of_turn,
        (Phase.CHECKING, PinChecked): settle_pin,
        (Phase.CHECKING, TimePassed): give_up,
        (Phase.WANT_SECOND, CardShown): take_second,
        (Phase.WANT_SECOND, KeysTyped): out_of_turn,
        (Phase.WANT_SECOND, PinChecked): ignored,
        (Phase.WANT_SECOND, TimePassed): give_up,
    }
)
