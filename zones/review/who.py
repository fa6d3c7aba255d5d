"""Who could be let into a zone at a moment: everybody's best try at every portal that leads in.

Best: the strongest evidence that a reader could give, coming from where the portal leads from, an entitled second,
escort or opener beside, where the zone asks for one and there is one. The box, the wire and crowds are left out: it is
about rights. `zones.decision.decide` is asked each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from zones.decision import Decision, Evidence, FindingKind, Method, Reason, Request
from zones.decision.ask import Ask, ask_of, roster_entry
from zones.decision.keys import FACTORS_MAX, has_clearance, has_visit, is_overriding, need_counts
from zones.decision.values import PinCheck
from zones.ids import CardholderId, CardNumberHash, PortalId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.people import CardholderKind, CredentialState
from zones.places import Portal, Zone
from zones.policy import Policy
from zones.review.values import Case

TOGETHER: Final = frozenset({"D10", "D20", "D21", "D22", "D35"})
"""Rules that somebody else beside can satisfy."""

STANDBY_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One cardholder at one portal. `keys`: the rows that count here, as (table, id). `missing`: the rules that fail,
    with reasons, where nothing lets him in. `by`: the weakest evidence that suffices. `beside`: how many others it
    takes.
    """

    cardholder: CardholderId
    portal: PortalId
    missing: tuple[tuple[str, str], ...] = ()
    by: str = ""
    beside: int = 0
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the entry would be granted."""
        return not self.missing


def who_can(policy: Policy, zone: ZoneId, now: Moment, progress: Callable[[int], None] | None = None) -> Iterator[Way]:
    """For everybody, in order, and each portal that leads into `zone`: the way in, or what is missing."""
    survey = Survey(policy, now)
    for count, who in enumerate(sorted(policy.cardholders), 1):
        yield from survey.ways(zone, who)
        if progress is not None and count % 500 == 0:
            progress(count)


class Survey:
    """Who could enter what, under one policy at one moment. What is the same for everybody is worked out once."""

    def __init__(self, policy: Policy, now: Moment) -> None:
        self.policy = policy
        self._now = now
        self._cards = _cards(policy)
        self._entries: dict[ZoneId, list[Portal]] = {}
        self._standbys: dict[PortalId, tuple[_Standby, ...]] = {}

    def ways(self, zone: ZoneId, who: CardholderId) -> Iterator[Way]:
        """Each portal that leads into `zone`, for `who`. Without an active credential D07 is missing everywhere."""
        if zone not in self._entries:
            self._entries[zone] = entries_of(self.policy, zone)
        for portal in self._entries[zone]:
            yield _way(self.policy, portal, who, self._now, self._cards, self._beside(portal))

    def could_enter(self, zone: ZoneId, who: CardholderId) -> bool:
        """Whether some portal lets `who` into `zone`."""
        return any(way.is_open for way in self.ways(zone, who))

    def _beside(self, portal: Portal) -> tuple[_Standby, ...]:
        """Who could come beside somebody else, where the zone asks for that."""
        if not leans_on_others(self.policy.zones[portal.inner]):
            return ()
        if portal.id not in self._standbys:
            self._standbys[portal.id] = _standbys(self.policy, portal, self._now, self._cards)
        return self._standbys[portal.id]


def leans_on_others(zone: Zone) -> bool:
    """Whether somebody's entry may depend on who else could come."""
    return (
        zone.dual_window_ms is not None
        or zone.occupancy_min is not None
        or zone.needs_opener
        or zone.visitors_allowed
        or zone.attended_counts
    )


def entries_of(policy: Policy, zone: ZoneId) -> list[Portal]:
    """The portals that lead into `zone`, in order of id."""
    return sorted((portal for portal in policy.portals.values() if portal.inner == zone), key=lambda one: one.id)


_Cards = dict[CardholderId, CardNumberHash]


def _cards(policy: Policy) -> _Cards:
    """Cardholder -> the number of one active credential."""
    return {
        row.cardholder: row.number_hash for row in policy.credentials.values() if row.state is CredentialState.ACTIVE
    }


def _evidences(policy: Policy, portal: Portal, who: CardholderId, number: CardNumberHash) -> list[tuple[str, Evidence]]:
    """What `who` could prove here, the weakest first."""
    found: list[tuple[str, Evidence]] = []
    has_pin = who in policy.pins
    for name, method, factors in (
        ("UID", Method.UID, 0),
        *((f"CHALLENGE {n}", Method.CHALLENGE, n) for n in range(1, FACTORS_MAX + 1)),
    ):
        card = Evidence(number_hash=number, method=method, factors=factors, link=portal.reader_link)
        found.append((name, card))
        if has_pin:
            found.append((f"{name} + PIN", replace(card, pin=PinCheck.RIGHT)))
    return found


def _case(policy: Policy, portal: Portal, who: CardholderId, evidence: Evidence, now: Moment) -> Case:
    """`who` stands before `portal`, and nobody else is anywhere."""
    occupancy = Occupancy().moved(who, portal.outer)
    return Case(
        policy=policy, occupancy=occupancy, request=Request(access_point=portal.entry.id, evidence=evidence), now=now
    )


def _failed(decision: Decision) -> tuple[tuple[str, str], ...]:
    return tuple((one.rule, str(one.reason)) for one in decision.findings if one.kind is FindingKind.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standby:
    """Somebody of the staff who may enter but for what others beside would satisfy."""

    who: CardholderId
    evidence: Evidence
    is_opener: bool
    is_escort: bool


def _standbys(policy: Policy, portal: Portal, now: Moment, cards: _Cards) -> tuple[_Standby, ...]:
    """Those who could come beside somebody else, openers and escorts first."""
    found: list[_Standby] = []
    for who, number in sorted(cards.items()):
        holder = policy.holders[who]
        if holder.cardholder.kind is not CardholderKind.STAFF:
            continue
        _, evidence = _evidences(policy, portal, who, number)[-1]
        case = _case(policy, portal, who, evidence, now)
        if not {rule for rule, _ in _failed(case.decide())} <= TOGETHER:
            continue
        entry = roster_entry(holder, portal.inner, _ask(case).today)
        opens, escorts = entry is not None and entry.is_opener, entry is not None and entry.is_escort
        found.append(_Standby(who=who, evidence=evidence, is_opener=opens, is_escort=escorts))
        if len(found) >= STANDBY_MAX and any(one.is_opener for one in found) and any(one.is_escort for one in found):
            break
    return tuple(sorted(found, key=lambda one: (not one.is_opener, not one.is_escort, one.who))[: STANDBY_MAX * 2])


def _way(
    policy: Policy, portal: Portal, who: CardholderId, now: Moment, cards: _Cards, standbys: tuple[_Standby, ...]
) -> Way:
    number = cards.get(who)
    if number is None:
        return Way(cardholder=who, portal=portal.id, missing=(("D07", Reason.CARD_INACTIVE.value),))
    evidences = _evidences(policy, portal, who, number)
    best = _case(policy, portal, who, evidences[-1][1], now)
    _, failed = _best_with(best, portal, who, standbys)
    if failed:
        return Way(cardholder=who, portal=portal.id, missing=failed)
    tried = ((name, *_best_with(_as(best, evidence), portal, who, standbys)) for name, evidence in evidences)
    by, beside = next((name, beside) for name, beside, failed in tried if not failed)
    return Way(cardholder=who, portal=portal.id, by=by, beside=beside, keys=keys_of(_ask(best)))


def _as(case: Case, evidence: Evidence) -> Case:
    return replace(case, request=replace(case.request, evidence=evidence))


def _best_with(
    case: Case, portal: Portal, who: CardholderId, standbys: tuple[_Standby, ...]
) -> tuple[int, tuple[tuple[str, str], ...]]:
    """How many others it takes, and what fails nevertheless with the best company there is."""
    failed = _failed(case.decide())
    together = TOGETHER | {"D08"} if case.policy.zones[portal.inner].attended_counts else TOGETHER
    if not failed or not {rule for rule, _ in failed} <= together:
        return 0, failed
    best = failed
    for beside, company in _companies(case, portal, [one for one in standbys if one.who != who]):
        rest = _failed(company.decide())
        if not rest:
            return beside, ()
        best = min(best, rest, key=len)
    return 0, best


def _companies(case: Case, portal: Portal, others: list[_Standby]) -> Iterator[tuple[int, Case]]:
    """The case with others beside, fewest first: an escort, some who enter together, some who are inside already."""
    escorts = tuple(one.evidence for one in others if one.is_escort)[:1]
    least = case.policy.zones[portal.inner].occupancy_min or 0
    for count in range(min(len(others), max(1, least)) + 1):
        companions = tuple(one.evidence for one in others[:count])
        occupancy = _with_inside(case.occupancy, others[:count], portal.inner)
        for brought in ((), escorts) if escorts else ((),):
            request = replace(case.request, escorts=brought)
            yield count + len(brought), replace(case, request=replace(request, companions=companions))
            yield count + len(brought), replace(case, request=request, occupancy=occupancy)


def _with_inside(occupancy: Occupancy, standbys: list[_Standby], zone: ZoneId) -> Occupancy:
    for one in standbys:
        occupancy = occupancy.moved(one.who, zone)
    return occupancy


def _ask(case: Case) -> Ask:
    return ask_of(case.policy, case.occupancy, case.request, case.now)


def keys_of(ask: Ask) -> tuple[tuple[str, str], ...]:
    """The rows by which the asker may enter: of the three keys, or a visit, or an override."""
    holder = ask.holder
    if holder is None:
        return ()
    found: list[tuple[str, str]] = []
    found += [("clearance", row.id) for row in holder.clearances if _counts_alone(ask, row)]
    found += [("need_to_know", row.id) for row in holder.needs if row.item in ask.zone.items and need_counts(ask, row)]
    if (entry := ask.roster_entry()) is not None:
        found.append(("roster", entry.id))
    if has_visit(ask):
        found += [("visit", row.id) for row in holder.visits if ask.zone.id in row.zones]
    if is_overriding(ask):
        found += [
            ("override", row.id)
            for row in ask.policy.overrides_of.get(ask.zone.id, ())
            if holder.cardholder.id in row.cardholders
        ]
    return tuple(found)


def _counts_alone(ask: Ask, clearance: object) -> bool:
    """Whether this clearance alone would count here."""
    assert ask.holder is not None
    alone = replace(ask.holder, clearances=(clearance,))  # type: ignore[arg-type]
    return has_clearance(replace(ask, holder=alone))
