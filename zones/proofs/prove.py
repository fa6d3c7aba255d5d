"""Proofs about a whole policy, each with its counterexample as steps where it fails (docs/lint.md §2).

For every protected zone, over the days ahead:
- WHO: exactly these cardholders could be inside; each walks in by steps that the rules grant, with the three keys.
- KEYS: while protected information lies open, nobody enters without the three keys; all reachable states searched.
- SANITISED: once everything is put away, those who enter without keys are guests and break-glass, by their rows.
For every zone, EXIT: whoever is there can leave, whatever the policy, the clock, the card or the computer is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from zones.decision import Evidence, Method, Request, decide
from zones.edits import apply
from zones.ids import CardholderId, CardNumberHash, ZoneId
from zones.moment import JST, Moment
from zones.occupancy import Occupancy
from zones.places import Direction, ExitHardware, SiteStatus, Zone, ZoneState, ZoneStatus
from zones.policy import SITE, Edit, Policy
from zones.proofs.keys import Keys, brought_by, keys_held
from zones.proofs.search import Progress, Search, Step, most_open
from zones.ways import Way, find_way, open_ground, told, walks, ways_from

HORIZON_DAYS: Final = 366
"""A need-to-know lasts a year at most: beyond it nothing but clearances runs on."""

NOT_AT_ALL: Final = "anybody, without a card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Somebody who could be inside, how he gets there, and by which rows he may.

    `at`: when the search first finds him let in. `guest_of`: visits and break-glass of whoever lacks a key.
    """

    who: CardholderId
    at: Moment
    path: tuple[str, ...]
    steps: tuple[Step, ...]
    keys: Keys
    guest_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was to be shown, whether it holds, and the steps: of the counterexample where it does not."""

    name: str
    zone: ZoneId | None
    holds: bool
    ja: str
    en: str
    steps: tuple[str, ...] = ()
    witnesses: tuple[Witness, ...] = ()


def who_can(
    policy: Policy,
    zone: ZoneId,
    now: Moment,
    *,
    horizon_days: int = 0,
    is_sanitised: bool | None = None,
    occupancy: Occupancy | None = None,
    progress: Progress | None = None,
) -> tuple[Witness, ...]:
    """Everybody who could be in `zone` at `now` or in the days ahead, in order of id.

    `is_sanitised`: None takes the zones as they are. `occupancy`: who is somewhere already is there. Raises KeyError
    where there is no such zone, Stopped where `progress` answers True.
    """
    inside = policy.zones[zone]
    opened = most_open(policy, is_sanitised=is_sanitised)
    return tuple(_witnesses(Search(opened, now, horizon_days, occupancy).run(progress), inside))


def prove(
    policy: Policy,
    now: Moment,
    *,
    horizon_days: int = HORIZON_DAYS,
    zones: tuple[ZoneId, ...] | None = None,
    progress: Progress | None = None,
) -> tuple[Proof, ...]:
    """All proofs, of `zones` or of every protected zone. Raises Stopped where `progress` answers True."""
    names = tuple(policy.zones) if zones is None else zones
    shown = [policy.zones[name] for name in names if policy.zones[name].is_protected]
    proofs: list[Proof] = []
    if shown:
        lying = Search(most_open(policy, is_sanitised=False), now, horizon_days).run(progress)
        put_away = Search(most_open(policy, is_sanitised=True), now, horizon_days).run(progress)
        for zone in shown:
            proofs += _of_zone(lying, put_away, zone)
    proofs.append(_everybody_leaves(policy, now, names))
    return tuple(proofs)


# -- who is inside --------------------------------------------------------------------------------


def _of_zone(lying: Search, put_away: Search, zone: Zone) -> Iterator[Proof]:
    yield _exactly_these(lying, zone)
    yield _nobody_without_keys(lying, zone)
    yield _as_sanitised(put_away, zone)


def _exactly_these(search: Search, zone: Zone) -> Proof:
    witnesses = tuple(_witnesses(search, zone))
    broken = [one for one in witnesses if not (one.keys.are_all and _walks_again(search.policy, one))]
    names = ", ".join(one.who or NOT_AT_ALL for one in witnesses) or "-"
    return Proof(
        name="WHO",
        zone=zone.id,
        holds=not broken,
        ja=f"{zone.id} に在室しうるのは次の{len(witnesses)}名に限られ、各人が入室時に三つの鍵を持つ: {names}",
        en=f"exactly these {len(witnesses)} could be in {zone.id}, each with the three keys when entering: {names}",
        steps=tuple(line for one in (broken[:1] or witnesses) for line in _told(one, zone)),
        witnesses=witnesses,
    )


def _nobody_without_keys(search: Search, zone: Zone) -> Proof:
    without = tuple(_keyless(search, zone))
    counts = search.states, search.decided, len(search.instants.moments)
    return Proof(
        name="KEYS",
        zone=zone.id,
        holds=not without,
        ja=f"{zone.id}: 情報を格納 (保全) していない間、三つの鍵のない者は誰も入れない"
        "（探索: 状態 {}、判定 {}、時点 {}）".format(*counts),
        en=f"{zone.id}: while information lies open, nobody without the three keys can enter "
        "({} states, {} decisions, {} instants)".format(*counts),
        steps=tuple(line for one in without[:1] for line in _told(one, zone)),
        witnesses=without,
    )


def _as_sanitised(search: Search, zone: Zone) -> Proof:
    brought = tuple(_keyless(search, zone))
    wrong = [one for one in brought if not one.guest_of]
    names = ", ".join(f"{one.who or NOT_AT_ALL} ({', '.join(one.guest_of) or 'no row'})" for one in brought)
    return Proof(
        name="SANITISED",
        zone=zone.id,
        holds=not wrong,
        ja=f"{zone.id}: 保全済の間に鍵なしで入りうるのは来訪者と緊急入室者だけ: {names or '該当なし'}",
        en=f"{zone.id}: while sanitised, only guests and break-glass may enter without keys: {names or 'nobody now'}",
        steps=tuple(line for one in (wrong[:1] or brought) for line in _told(one, zone)),
        witnesses=brought,
    )


def _keyless(search: Search, zone: Zone) -> Iterator[Witness]:
    """Those who can enter `zone` without its three keys, those whom no row brings in first."""
    for (who, where, _), found in sorted(search.keyless.items(), key=lambda one: (one[0][2], one[0][0])):
        if where == zone.id:
            yield _witness(search.policy, who, zone, found.steps)


def _witnesses(search: Search, zone: Zone) -> Iterator[Witness]:
    policy = search.policy
    goal = policy.insides[zone.id]
    for who in sorted(search.reached):
        found = [one for one in search.reached[who] if one in goal]
        if not found:
            continue
        steps = search.path(who, found[0])
        entered = next((n for n, step in enumerate(steps) if step.way.to_zone in goal), None)
        if entered is None:  # he was there from the beginning
            at = search.instants.moments[0].now
            yield Witness(who=who, at=at, path=(found[0],), steps=(), keys=keys_held(policy, who, zone, at.today))
            continue
        yield _witness(policy, who, zone, steps[: entered + 1])


def _witness(policy: Policy, who: CardholderId, zone: Zone, steps: tuple[Step, ...]) -> Witness:
    at = steps[-1].at
    keys = keys_held(policy, who, zone, at.today)
    return Witness(
        who=who,
        at=at,
        path=told([step.way for step in steps]),
        steps=steps,
        keys=keys,
        guest_of=() if keys.are_all else brought_by(policy, who, zone, at),
    )


def _walks_again(policy: Policy, witness: Witness) -> bool:
    """Whether each step is granted when it is asked for anew: the list is no larger than the truth."""
    return all(
        step.request is None or decide(policy, step.occupancy or Occupancy(), step.request, step.at).is_granted
        for step in witness.steps
    )


def _told(witness: Witness, zone: Zone) -> Iterator[str]:
    """The witness's walk as lines that one can follow with a finger on the plan."""
    for step in witness.steps:
        at = step.at.at.astimezone(JST).strftime("%Y-%m-%d %H:%M")
        by = f", with {', '.join(step.others)}" if step.others else ""
        way = f"{step.way.from_zone} -[{step.way.portal} {at}]-> {step.way.to_zone}"
        yield f"{witness.who or NOT_AT_ALL}: {way} ({step.how}{by})"
    rows = ", ".join((*witness.keys.rows, *(f"guest by {row}" for row in witness.guest_of))) or "no keys"
    yield f"{witness.who or NOT_AT_ALL}: in {zone.id} by {rows}"


# -- everybody leaves --------------------------------------------------------------------------------


def _everybody_leaves(policy: Policy, now: Moment, names: tuple[ZoneId, ...]) -> Proof:
    """EXIT. The way out is granted in the worst case, and is there when every computer is dead."""
    ways, ground, worst = ways_from(policy), set(open_ground(policy)), _worst(policy)
    stuck: list[str] = []
    ways_out: list[str] = []
    for zone in names:
        if zone in ground:
            continue
        walk = find_way(
            ways, (zone,), lambda way: way.to_zone in ground, lambda way: _leads_out(policy, worst, way, now)
        )
        if walk is None:
            stuck += _stuck(policy, worst, zone, ways, now)
        else:
            ways_out.append(" ".join((zone, *(f"-[{way.portal}]-> {way.to_zone}" for way in walk))))
    return Proof(
        name="EXIT",
        zone=None,
        holds=not stuck,
        ja="どの区域からも、名簿・時刻・機器の状態によらず屋外へ出られる",
        en="from every zone everybody can leave for open ground, whatever the policy, the clock or the computers say",
        steps=tuple(stuck or ways_out),
    )


def _worst(policy: Policy) -> Policy:
    """Everything secured and locked down, on the highest threat level."""
    shut = tuple(ZoneStatus(id=zone, state=ZoneState.SECURED, is_locked_down=True) for zone in policy.zones)
    site = SiteStatus(id=SITE, is_locked_down=True, threat_level=2, notice_version=1)
    return apply(policy, Edit(puts=(*shut, site)))


def _is_granted_at_worst(worst: Policy, way: Way, now: Moment) -> bool:
    request = Request(
        access_point=way.point,
        evidence=Evidence(number_hash=CardNumberHash(""), method=Method.FAKED, factors=0),
        reader_is_trusted=False,
        ledger_is_writable=False,
        policy_age_ms=1 << 40,
        read_is_stale=True,
        read_is_repeated=True,
        evidence_is_replayed=True,
        portal_is_locked=True,
        not_closed=frozenset(worst.portals),
        is_commissioned=False,
    )
    untrusted = Moment(at=now.at, tick_ms=now.tick_ms, is_trusted=False)
    return decide(worst, Occupancy(), request, untrusted).is_granted


def _leads_out(policy: Policy, worst: Policy, way: Way, now: Moment) -> bool:
    if way.direction is not Direction.OUT:
        return False
    has_hardware = policy.portals[way.portal].exit_hardware is not ExitHardware.SOFTWARE
    return has_hardware and _is_granted_at_worst(worst, way, now)


def _stuck(
    policy: Policy, worst: Policy, zone: ZoneId, ways: dict[ZoneId, tuple[Way, ...]], now: Moment
) -> Iterator[str]:
    """Why nobody gets out of `zone`: the last zones that can be reached by leaving, and what each portal lacks."""
    reached = {zone} | {
        walk[-1].to_zone for walk in walks(ways, (zone,), lambda way: _leads_out(policy, worst, way, now))
    }
    yield f"{zone}: one can leave for {', '.join(sorted(reached - {zone})) or 'nowhere'}"
    for place in sorted(reached):
        for way in ways[place]:
            if way.direction is Direction.OUT and way.to_zone not in reached:
                why = "is refused" if not _is_granted_at_worst(worst, way, now) else "needs software"
                yield f"{place} -[{way.portal}]-> {way.to_zone}: the exit {why}"
