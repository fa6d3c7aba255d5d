"""Where everybody could be: a search over all states that one cardholder can reach, with the others' help.

A state is a zone, what is known of one's presence (certain, or only remembered), and an instant; a step is an entry
that `zones.decision.decide` grants, an exit, or a portal that stands unlocked. The search is generous wherever it must
guess: everybody proves as many factors as are ever asked for, over the best line; nothing is ever locked, secured or
locked down; and the others come along, wait inside or bring one in whenever they could. So whoever is not found is not
there.

Where anybody can get to only grows: one may stay. Others help from where they were found to be able to be, until
nothing more is found. What others do either helps a rule or hinders it, never both (`_may_help`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import product
from typing import Final

from zones.decision import Decision, Evidence, FindingKind, Method, Request, decide
from zones.decision.keys import FACTORS_MAX
from zones.decision.plan import NOWHERE_PLAN
from zones.edits import apply
from zones.ids import CardholderId, CardNumberHash, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy, Presence
from zones.people import CardholderKind
from zones.places import (
    Direction,
    LinkAssurance,
    PortalMode,
    PortalStatus,
    SiteStatus,
    Zone,
    ZoneState,
    ZoneStatus,
)
from zones.policy import SITE, Edit, Policy, Row
from zones.portal_values import KEPT
from zones.proofs.instants import Instant, Instants, instants_of
from zones.proofs.keys import brought_by, keys_held
from zones.ways import Way, open_ground, stands_unlocked, ways_from

STRANGER: Final = CardholderId("")
"""Anybody at all: no cardholder, no card that is known."""

OTHERS_MAX: Final = 64
"""How many others are tried as help, those with a duty in the zone first: the rest are as good as these."""

Progress = Callable[[int, int], bool | None]
"""Told how many of how many instants are done; answers True to stop."""


class Stopped(Exception):
    """Whoever watched the search ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One passage that could happen. `request` and `occupancy` are what was decided on; None where nobody asked."""

    who: CardholderId
    way: Way
    at: Moment
    how: str
    request: Request | None = None
    occupancy: Occupancy | None = None
    others: tuple[CardholderId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyless:
    """How somebody gets into a protected zone without its keys, and the rows that bring him in (none: a fault)."""

    steps: tuple[Step, ...]
    rows: tuple[str, ...]


class Alone(Enum):
    """What one can do at an access point without anybody: pass, pass perhaps with others' help, or nothing."""

    PASSES = auto()
    WITH_HELP = auto()
    NEVER = auto()


def most_open(policy: Policy, *, is_sanitised: bool | None) -> Policy:
    """The policy with nothing locked, secured or locked down, and the zones sanitised or not (None: as they are)."""
    puts: list[Row] = [SiteStatus(id=SITE, notice_version=policy.site.notice_version)]
    for zone in policy.zones:
        status = policy.zone_statuses.get(zone)
        put_away = status is not None and status.is_sanitised if is_sanitised is None else is_sanitised
        by = ("one", "another") if put_away else (None, None)
        puts.append(
            ZoneStatus(id=zone, state=ZoneState.OPEN_ATTENDED, sanitised_by=by[0], sanitised_confirmed_by=by[1])
        )
    puts += [PortalStatus(id=row.id, mode=PortalMode.CARD, until_ms=0) for row in _locked(policy)]
    return apply(policy, Edit(puts=tuple(puts)))


def _locked(policy: Policy) -> Iterator[PortalStatus]:
    """Portals that an officer keeps from their schedules."""
    return (row for row in policy.portal_statuses.values() if row.mode not in KEPT)


class Search:
    """One search. `reached`: cardholder -> zone -> the step by which he first got there (None: he began there)."""

    def __init__(self, policy: Policy, now: Moment, horizon_days: int, occupancy: Occupancy | None = None) -> None:
        self.policy = policy
        self.instants: Instants = instants_of(policy, now, horizon_days)
        self.decided = 0
        self._ways = ways_from(policy)
        self._alone: dict[tuple[object, ...], tuple[Alone, Step | None]] = {}
        self._evidence = _evidence_of(policy)
        self._staff = [who for who in self._evidence if _is_staff(policy, who)]
        starts = open_ground(policy)
        self._guarded = _guarded(policy, self._ways)
        self._keyed: dict[tuple[object, ...], bool] = {}
        self.keyless: dict[tuple[CardholderId, ZoneId, bool], Keyless] = {}
        """Cardholder, protected zone, whether a row brings him in -> how he first gets in without the three keys."""
        self.reached: dict[CardholderId, dict[ZoneId, Step | None]] = {
            who: dict.fromkeys(starts) for who in self._evidence
        }
        for who, presence in (occupancy.where if occupancy is not None else {}).items():
            if who in self.reached and presence.zone in policy.zones:
                self.reached[who].setdefault(presence.zone)

    def run(self, progress: Progress | None = None) -> Search:
        """Search all instants. Raises Stopped where `progress` answers True."""
        for number, at in enumerate(self.instants.moments):
            while self._widen(at):
                pass
            self._look_for_keyless(at)
            if progress is not None and progress(number + 1, len(self.instants.moments)):
                raise Stopped
        return self

    def path(self, who: CardholderId, zone: ZoneId) -> tuple[Step, ...]:
        """The steps by which `who` got into `zone`."""
        steps: list[Step] = []
        step = self.reached[who][zone]
        while step is not None:
            steps.append(step)
            step = self.reached[who][step.way.from_zone]
        return tuple(reversed(steps))

    @property
    def states(self) -> int:
        """How many states were reached."""
        return sum(len(zones) for zones in self.reached.values())

    # -- one round ---------------------------------------------------------------------------------------------------

    def _widen(self, at: Instant) -> bool:
        is_wider = False
        for who, zones in self.reached.items():
            waiting = list(zones)
            while waiting:
                for way in self._ways[waiting.pop()]:
                    if way.to_zone in zones:
                        continue
                    if (step := self._step(who, way, at)) is not None:
                        zones[way.to_zone] = step
                        waiting.append(way.to_zone)
                        is_wider = True
        return is_wider

    def _look_for_keyless(self, at: Instant) -> None:
        """Whoever could enter a protected zone now without its keys; having been there with them is no excuse."""
        for way, zones in self._guarded:
            for who, reached in self.reached.items():
                if way.from_zone not in reached:
                    continue
                for zone in zones:
                    if self._is_keyed(who, zone, at):
                        continue
                    rows = brought_by(self.policy, who, zone, at.now)
                    if (who, zone.id, bool(rows)) in self.keyless:
                        continue
                    if (step := self._step(who, way, at)) is not None:
                        steps = (*self.path(who, way.from_zone), step)
                        self.keyless[who, zone.id, bool(rows)] = Keyless(steps=steps, rows=rows)

    def _is_keyed(self, who: CardholderId, zone: Zone, at: Instant) -> bool:
        key = (who, zone.id, *self.instants.standing(who, at)[:2])
        found = self._keyed.get(key)
        if found is None:
            found = self._keyed[key] = keys_held(self.policy, who, zone, at.day).are_all
        return found

    def _step(self, who: CardholderId, way: Way, at: Instant) -> Step | None:
        if way.direction is Direction.OUT:
            request = Request(access_point=way.point, evidence=_UNKNOWN)
            leaving = Step(who=who, way=way, at=at.now, how="exit", request=request, occupancy=_EMPTY)
            return leaving if self._decide(request, _EMPTY, at).is_granted else None
        portal = self.policy.portals[way.portal]
        if stands_unlocked(self.policy, portal, at.now):
            return Step(who=who, way=way, at=at.now, how="unlocked")
        if not portal.has_entry_reader:
            return None
        alone, step = self._by_himself(who, way, at)
        if alone is not Alone.WITH_HELP:
            return step
        return self._with_help(who, way, at)

    def _decide(self, request: Request, occupancy: Occupancy, at: Instant) -> Decision:
        self.decided += 1
        return decide(self.policy, occupancy, request, at.now)

    # -- alone -------------------------------------------------------------------------------------------------------

    def _by_himself(self, who: CardholderId, way: Way, at: Instant) -> tuple[Alone, Step | None]:
        """Remembered for as long as nothing changes for this cardholder."""
        key = (who, way.point, *self.instants.standing(who, at))
        found = self._alone.get(key)
        if found is None:
            found = self._alone[key] = self._asked_alone(who, way, at)
        alone, step = found
        return alone, None if step is None else replace(step, at=at.now)

    def _asked_alone(self, who: CardholderId, way: Way, at: Instant) -> tuple[Alone, Step | None]:
        """A rule about the asker that fails is beyond help: none of them minds the others, who proves all factors."""
        answer = Alone.NEVER
        for evidence in self._evidence[who]:
            request = Request(access_point=way.point, evidence=evidence)
            for is_certain in (False, True):  # he stands before the portal; that is remembered, or known for certain
                occupancy = _places({who: (way.from_zone, is_certain)})
                decision = self._decide(request, occupancy, at)
                if decision.is_granted:
                    step = Step(who=who, way=way, at=at.now, how="granted", request=request, occupancy=occupancy)
                    return Alone.PASSES, step
                if not self._personal_failures(decision, way):
                    answer = Alone.WITH_HELP
        return answer, None

    def _personal_failures(self, decision: Decision, way: Way) -> bool:
        rules = self.policy.plans.get(way.point, NOWHERE_PLAN).questions.rules
        return any(
            finding.kind is FindingKind.FAILED and rule.is_personal
            for finding, rule in zip(decision.findings, rules, strict=True)
        )

    # -- with others ---------------------------------------------------------------------------------------------------

    def _with_help(self, who: CardholderId, way: Way, at: Instant) -> Step | None:
        goal = self.policy.insides[way.to_zone]
        inside = self._sorted_for(way, [q for q in self._staff if q != who and not goal.isdisjoint(self.reached[q])])
        beside = self._sorted_for(way, [q for q in self.reached if q != who and self._may_come(q, way, at)])
        for evidence in self._evidence[who]:
            if not self._may_help(evidence, who, way, at, inside, beside):
                continue
            for helped in self._helps(way, inside, beside):
                step = self._helped(evidence, who, way, at, *helped)
                if step is not None:
                    return step
        return self._along(who, way, at, inside, beside)

    def _may_come(self, who: CardholderId, way: Way, at: Instant) -> bool:
        """Whether a cardholder can stand before the portal, and no rule about himself keeps him out."""
        if who == STRANGER or way.from_zone not in self.reached[who]:
            return False
        return self._by_himself(who, way, at)[0] is not Alone.NEVER

    def _along(self, who: CardholderId, way: Way, at: Instant, inside: _People, beside: _People) -> Step | None:
        """Whether somebody else who asks can take `who` along: who comes along enters too."""
        least = max(1, (self.policy.zones[way.to_zone].occupancy_min or 0) - 1)
        for asker in beside:
            others = [one for one in beside if one != asker]
            within = tuple(one for one in inside if one != asker)
            for waiting, escorts in product(((), within[:1], within[:least]), ((), (*others, who))):
                for more in range(least):
                    company = (who, *[one for one in others if one not in waiting][:more])
                    step = self._helped(self._evidence[asker][0], asker, way, at, waiting, escorts, company)
                    if step is not None:
                        return replace(step, who=who, others=(asker, *waiting, *company[1:]))
        return None

    def _helps(self, way: Way, inside: _People, beside: _People) -> Iterator[tuple[_People, _People, _People]]:
        """Who waits inside, who was let in just before as an escort, who comes along: few first, then more."""
        yield from (((one,), (), ()) for one in inside)
        yield from (((), (one,), ()) for one in beside)
        least = max(2, self.policy.zones[way.to_zone].occupancy_min or 0)
        waiting = dict.fromkeys(((), *((one,) for one in inside), *(inside[:count] for count in range(2, least + 1))))
        for escorts in ((), beside):
            for within in waiting:
                yield within, escorts, ()
                for first in beside:
                    if first not in within:
                        others = [one for one in beside if one not in (first, *within)]
                        yield from ((within, escorts, (first, *others[:more])) for more in range(least))

    def _may_help(
        self, evidence: Evidence, who: CardholderId, way: Way, at: Instant, inside: _People, beside: _People
    ) -> bool:
        """False where some rule fails with nobody, with all inside, with all as escorts and with enough come along.

        A rule that others hinder is content where there is nobody, one that others help where all do.
        """
        company = beside[: max(2, self.policy.zones[way.to_zone].occupancy_min or 0)]
        failing: set[str] | None = None
        for helped in (((), (), ()), (inside, (), ()), ((), beside, ()), ((), beside, company)):
            request, occupancy = self._asked(evidence, who, way, *helped)
            findings = self._decide(request, occupancy, at).findings
            failed = {finding.rule for finding in findings if finding.kind is FindingKind.FAILED}
            failing = failed if failing is None else failing & failed
        return not failing

    def _helped(
        self,
        evidence: Evidence,
        who: CardholderId,
        way: Way,
        at: Instant,
        *helped: _People,
    ) -> Step | None:
        request, occupancy = self._asked(evidence, who, way, *helped)
        if not self._decide(request, occupancy, at).is_granted:
            return None
        others = tuple(one for people in helped for one in people)
        return Step(who=who, way=way, at=at.now, how="granted", request=request, occupancy=occupancy, others=others)

    def _asked(
        self, evidence: Evidence, who: CardholderId, way: Way, inside: _People, escorts: _People, company: _People
    ) -> tuple[Request, Occupancy]:
        request = Request(
            access_point=way.point,
            evidence=evidence,
            escorts=tuple(self._evidence[one][0] for one in escorts),
            companions=tuple(self._evidence[one][0] for one in company),
        )
        places = dict.fromkeys((who, *company), (way.from_zone, False)) | dict.fromkeys(inside, (way.to_zone, True))
        return request, _places(places)

    def _sorted_for(self, way: Way, people: list[CardholderId]) -> _People:
        """Those with a duty in the zone first, OTHERS_MAX at most."""
        zone = way.to_zone

        def duty(who: CardholderId) -> tuple[bool, bool]:
            rows = [entry for entry in self.policy.holders[who].roster if entry.zone == zone]
            return not any(entry.is_escort or entry.is_opener for entry in rows), not rows

        return tuple(sorted(people, key=duty)[:OTHERS_MAX])


_People = tuple[CardholderId, ...]

_UNKNOWN: Final = Evidence(number_hash=CardNumberHash(""), method=Method.UID, factors=0)
_EMPTY: Final = Occupancy()


def _guarded(policy: Policy, ways: dict[ZoneId, tuple[Way, ...]]) -> tuple[tuple[Way, tuple[Zone, ...]], ...]:
    """Every step that leads into protected zones, with those zones."""
    found = []
    for way in (way for leading in ways.values() for way in leading):
        entered = [zone for zone in policy.lineages[way.to_zone] if zone not in policy.lineages[way.from_zone]]
        zones = tuple(policy.zones[zone] for zone in entered if policy.zones[zone].is_protected)
        if zones:
            found.append((way, zones))
    return tuple(found)


def _evidence_of(policy: Policy) -> dict[CardholderId, tuple[Evidence, ...]]:
    """The best that each cardholder can hold to a reader, active credentials first; the stranger's is of nobody."""
    found: dict[CardholderId, list[Evidence]] = {STRANGER: [_UNKNOWN]}
    for card in sorted(policy.credentials.values(), key=lambda one: (one.state.value != "ACTIVE", one.id)):
        found.setdefault(card.cardholder, []).append(
            Evidence(
                number_hash=card.number_hash,
                method=Method.CHALLENGE,
                factors=FACTORS_MAX,
                link=LinkAssurance.ENCRYPTED,
            )
        )
    return {who: tuple(evidence) for who, evidence in found.items()}


def _is_staff(policy: Policy, who: CardholderId) -> bool:
    holder = policy.holders.get(who)
    return holder is not None and holder.cardholder.kind is CardholderKind.STAFF


def _places(places: dict[CardholderId, tuple[ZoneId, bool]]) -> Occupancy:
    return Occupancy(
        where={who: Presence(zone=zone, is_certain=is_certain) for who, (zone, is_certain) in places.items()}
    )
