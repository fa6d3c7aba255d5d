"""Why a decision came out as it did, each rule in words, and the smallest change that would turn it round.

A change is printed only after `decide` was asked about the case after it and answered otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from zones.decision import Decision, FindingKind, Outcome, Reason
from zones.decision.ask import Ask
from zones.decision.keys import REVIEW_GRACE
from zones.decision.reasons import Words
from zones.decision.rules import RULES
from zones.decision.values import PinCheck
from zones.occupancy import Occupancy
from zones.people import CredentialState
from zones.places import ZoneState, ZoneStatus
from zones.review.cases import ask_for, asking, at_minute, edges, edited, later, proving, wall
from zones.review.changes import Change, changes_for
from zones.review.replay import OF_PRESENCE, Difference, compared
from zones.review.values import Case, Past, RecordedDecision, Trace
from zones.review.words import FOUND, RULE_WORDS, UNKNOWN_RULE, reason_words

STEPS_MAX: Final = 6
"""More steps than these are no small change."""

DECISIONS_MAX: Final = 4_000
"""Decisions asked for while looking for one."""

FLIPS_MAX: Final = 4
"""Ways told of."""

TIMES_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """One rule of the trace: what it asks, what it found, and the reason where it FAILED."""

    rule: str
    kind: FindingKind
    asks: Words
    found: Words
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Steps after which the decision comes out otherwise: as `outcome`, for `reason`."""

    steps: tuple[Change, ...]
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A recorded decision in words. `difference`: where it does not come out again as recorded. `missing`: why nothing
    could be derived again, so that there are no `flips`: "" , `purged` or `foreign`. `is_partial`: places were dropped.
    """

    recorded: RecordedDecision
    rules: tuple[RuleLine, ...]
    flips: tuple[Flip, ...]
    difference: Difference | None = None
    missing: str = ""
    is_partial: bool = False


def explain(past: Past) -> Explanation:
    """The explanation of a recorded decision, from its trace and from deriving it again."""
    recorded, lines = past.recorded, rule_lines(past.recorded.trace)
    if past.policy is None:
        return Explanation(
            recorded=recorded,
            rules=lines,
            flips=(),
            missing="foreign" if past.is_foreign else "purged",
            is_partial=past.is_partial,
        )
    case = recorded.case(past.policy, past.occupancy)
    decision = case.decide()
    difference = compared(recorded, decision)
    if difference is not None and past.is_partial and OF_PRESENCE.issuperset(difference.rules or ("?",)):
        return Explanation(recorded=recorded, rules=lines, flips=(), missing="purged", is_partial=True)
    return Explanation(
        recorded=recorded,
        rules=lines,
        flips=flips_of(case, decision),
        difference=difference,
        is_partial=past.is_partial,
    )


def rule_lines(trace: Trace) -> tuple[RuleLine, ...]:
    """The trace in words, in the order of the rules; rules that this version does not have come last."""
    found = trace.kinds()
    known = [rule.number for rule in RULES if rule.number in found]
    lines: list[RuleLine] = []
    for rule in (*known, *(rule for rule in found if rule not in known)):
        kind, reason = found[rule]
        lines.append(
            RuleLine(
                rule=rule,
                kind=kind,
                asks=RULE_WORDS.get(rule, UNKNOWN_RULE),
                found=FOUND[kind] if reason is None else reason_words(reason),
                reason=reason,
            )
        )
    return tuple(lines)


def flips_of(case: Case, decision: Decision) -> tuple[Flip, ...]:
    """The smallest changes that turn `decision` round. An exit has none: it is granted whatever else holds (P3)."""
    if decision.reason is Reason.EXIT_FREE:
        return ()
    return tuple(_ways_out(case)) if decision.is_granted else ways_in(case)


# -- from a refusal to a grant -----------------------------------------------------------------------------------------


def ways_in(case: Case) -> tuple[Flip, ...]:
    """The ways with the fewest steps by which the entry would be granted; none where there is none within STEPS_MAX."""
    search = _Search()
    for steps_max in range(1, STEPS_MAX + 1):
        found: dict[tuple[tuple[str, tuple[tuple[str, str], ...]], ...], Flip] = {}
        for steps in search.ways(case, steps_max):
            named = tuple(sorted((step.code, step.places) for step in steps))
            found.setdefault(named, Flip(steps=steps, outcome=Outcome.GRANTED.value, reason=Reason.OK.value))
            if len(found) == FLIPS_MAX:
                break
        if found:
            return tuple(found.values())
    return ()


class _Search:
    """Depth first, always on the first rule that fails: each failing rule must be satisfied by some step."""

    def __init__(self) -> None:
        self._left = DECISIONS_MAX

    def ways(self, case: Case, steps_max: int) -> Iterator[tuple[Change, ...]]:
        """Every way from `case` to a grant in exactly `steps_max` steps or fewer, first rules first."""
        yield from self._ways(case, self._failed(case), steps_max)

    def _ways(self, case: Case, failed: tuple[str, ...], steps_max: int) -> Iterator[tuple[Change, ...]]:
        if not failed:
            yield ()
            return
        if steps_max == 0:
            return
        for change in changes_for(failed[0], case, ask_for(case)):
            if self._left <= 0:
                return
            still = self._failed(change.case)
            if failed[0] in still:
                continue
            for rest in self._ways(change.case, still, steps_max - 1):
                yield (change, *rest)

    def _failed(self, case: Case) -> tuple[str, ...]:
        self._left -= 1
        return tuple(one.rule for one in case.decide().findings if one.kind is FindingKind.FAILED)


# -- from a grant to a refusal -----------------------------------------------------------------------------------------


def _ways_out(case: Case) -> Iterator[Flip]:
    """Single changes by which the entry would be refused: the first moment, and what an officer or somebody may do."""
    ask = ask_for(case)
    for change in (*_first_end(case, ask), *_withdrawals(case, ask)):
        decision = change.case.decide()
        if not decision.is_granted:
            yield Flip(steps=(change,), outcome=decision.outcome.value, reason=decision.reason.value)


def _first_end(case: Case, ask: Ask) -> Iterator[Change]:
    """The first moment from which the same entry would be refused."""
    for at in _ends(case, ask)[:TIMES_MAX]:
        then = later(case, at)
        if not then.decide().is_granted:
            yield Change(code="later", places=(("at", wall(at)),), case=then)
            return


def _ends(case: Case, ask: Ask) -> list[datetime]:
    """The moments at which something that the asker holds may end, in order."""
    if ask.holder is None:
        return []
    day = timedelta(days=1)
    days = {clearance.last_valid_on + day for clearance in ask.holder.clearances}
    for need in ask.holder.needs:
        days |= {need.until_on + day} | (set() if need.recert_on is None else {need.recert_on + day})
        if (item := case.policy.items.get(need.item)) is not None:
            days |= {end + day for end in (item.designated_until, item.contract_until) if end is not None}
    for entry in ask.holder.roster:
        days |= {entry.until_on + day, entry.review_on + REVIEW_GRACE + day}
    days |= {visit.until_on + day for visit in ask.holder.visits}
    days |= {declaration.until_on + day for declaration in ask.holder.declarations}
    own = ask.roster_entry()
    schedules = [one for one in (ask.zone.schedule, ask.zone.raised_outside) if one is not None]
    schedules += [own.schedule] if own is not None and own.schedule is not None else []
    ends = {at_minute(one, 0) for one in days if one > ask.today}
    return sorted(ends | set(edges(case.policy, schedules, case.now)))


def _withdrawals(case: Case, ask: Ask) -> Iterator[Change]:
    """What would close the door to the asker."""
    zone = ask.zone.id
    if ask.credential is not None:
        lost = edited(case, replace(ask.credential, state=CredentialState.LOST))
        yield from _if_made("report_lost", lost, credential=ask.credential.id)
    if (entry := ask.roster_entry()) is not None:
        yield from _if_made("leave_roster", edited(case, replace(entry, ended_on=ask.today)), zone=zone)
    status = case.policy.zone_statuses.get(zone) or ZoneStatus(id=zone, state=case.policy.zone_state(zone))
    yield from _if_made("secure_zone", edited(case, replace(status, state=ZoneState.SECURED)), zone=zone)
    yield from _if_made("lock_down", edited(case, replace(case.policy.site, is_locked_down=True)))
    if case.request.evidence.pin in (PinCheck.RIGHT, PinCheck.DURESS):
        yield from _if_made("without_pin", proving(case, pin=PinCheck.WRONG))
    if case.request.companions or case.request.escorts:
        yield from _if_made("alone", asking(case, companions=(), escorts=()))
    if any(True for _ in case.occupancy.certain_people(case.policy.insides.get(zone, ()))):
        yield from _if_made("nobody_inside", replace(case, occupancy=Occupancy()), zone=zone)


def _if_made(code: str, case: Case | None, **places: str) -> Iterator[Change]:
    if case is not None:
        yield Change(code=code, places=tuple(places.items()), case=case)
