"""One synthetic site for every decision engine: 50,000 people, 500 zones nested three deep, 200,000 need-to-know rows.

The answer that all engines must give to (person, zone, hour of the week) is three keys and a schedule: the credential
is active, the company level suffices for the zone, there is need-to-know for the zone or one around it, the person is
on the zone's own roster, and the person's schedule is open. Nobody asks twice, so that everybody can certainly be where
the portal leads from.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from zones.decision import Evidence, Method, Request
from zones.edits import apply
from zones.ids import CardholderId, CardNumberHash, InformationItemId, PortalId, ScheduleId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy, Presence
from zones.people import (
    Basis,
    Cardholder,
    Clearance,
    Credential,
    CredentialState,
    InformationItem,
    NeedToKnow,
    RosterEntry,
)
from zones.places import AntiPassback, Portal, Schedule, Window, Zone, ZoneKind, entry_id
from zones.policy import EMPTY, Edit, Policy, Row
from zones.terms import term_of

PEOPLE: Final = 50_000
NEEDS: Final = 200_000
OUTER, MIDDLE, INNER = 20, 80, 400
ZONES: Final = OUTER + MIDDLE + INNER
SCHEDULES: Final = 32
HOURS: Final = 168
LEVEL_MAX: Final = 9
ROSTERED: Final = 4
"""Places on rosters per person."""

GRANTED_SHARE: Final = 0.8
MONDAY: Final = datetime(2026, 5, 10, 15, 0, tzinfo=UTC)  # midnight in Japan
NOTIFIED: Final = date(2026, 4, 1)
UNTIL: Final = date(2027, 3, 31)
REVIEW: Final = date(2026, 6, 30)
KINDS: Final = (ZoneKind.CONTROLLED, ZoneKind.LIMITED, ZoneKind.EXCLUSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One entry that is asked for, and the answer. `hour` counts from Monday midnight in Japan."""

    who: int
    zone: int
    hour: int
    is_granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The site by numbers: what every engine makes its own tables of. Lists are by person or by zone."""

    parents: list[int | None]
    levels: list[int]
    lineages: list[tuple[int, ...]]
    open_hours: list[int]
    """Schedule -> a bit per hour of the week."""
    held: list[int]
    """Person -> company level."""
    schedules: list[int]
    is_active: list[bool]
    needs: list[tuple[int, ...]]
    rosters: list[tuple[int, ...]]
    asked: list[Asked] = field(default_factory=list)

    def answer(self, who: int, zone: int, hour: int) -> bool:
        """What every engine must say."""
        return (
            self.is_active[who]
            and self.held[who] >= self.levels[zone]
            and not set(self.needs[who]).isdisjoint(self.lineages[zone])
            and zone in self.rosters[who]
            and bool(self.open_hours[self.schedules[who]] >> hour & 1)
        )


def make(*, needs: int = NEEDS, people: int = PEOPLE, asked: int = 10_000, seed: int = 20260511) -> Workload:
    """The same site for the same numbers, whoever asks."""
    chance = random.Random(seed)
    parents = _parents()
    lineages: list[tuple[int, ...]] = []
    levels: list[int] = []
    for zone, parent in enumerate(parents):
        lineages.append((zone,) if parent is None else (zone, *lineages[parent]))
        levels.append(1 + zone % 4 if parent is None else min(LEVEL_MAX, levels[parent] + chance.randrange(3)))
    inside: list[list[int]] = [[] for _ in parents]
    for zone, lineage in enumerate(lineages):
        for around in lineage:
            inside[around].append(zone)
    held = [max(1, min(LEVEL_MAX, int(chance.triangular(0, 10, 5)))) for _ in range(people)]
    reachable = [[zone for zone in range(ZONES) if levels[zone] <= level] for level in range(LEVEL_MAX + 1)]
    site = Workload(
        parents=parents,
        levels=levels,
        lineages=lineages,
        open_hours=[_open_hours(number) for number in range(SCHEDULES)],
        held=held,
        schedules=[chance.randrange(SCHEDULES) for _ in range(people)],
        is_active=[chance.random() > 0.01 for _ in range(people)],
        needs=[],
        rosters=[],
    )
    for who in range(people):
        wanted = needs // people + (who < needs % people)
        places = reachable[held[who]] if chance.random() < 0.9 else range(ZONES)
        mine = tuple(sorted(chance.sample(places, wanted)))
        site.needs.append(mine)
        site.rosters.append(_roster(chance, mine, inside))
    site.asked.extend(_ask(chance, site, min(asked, people // 5)))
    return site


def _parents() -> list[int | None]:
    outer: list[int | None] = [None] * OUTER
    middle = [number // (MIDDLE // OUTER) for number in range(MIDDLE)]
    return outer + middle + [OUTER + number // (INNER // MIDDLE) for number in range(INNER)]


def _open_hours(number: int) -> int:
    """Schedule 0 is always open; the others five to seven days a week, nine hours or more a day."""
    bits = 0
    for hour in range(HOURS):
        day, of_day = divmod(hour, 24)
        if number == 0 or (day < 5 + number % 3 and 8 - number % 6 <= of_day < 17 + number % 5):
            bits |= 1 << hour
    return bits


def _roster(chance: random.Random, needs: tuple[int, ...], inside: list[list[int]]) -> tuple[int, ...]:
    found = {chance.randrange(ZONES)} if not needs else set()
    for _ in range(4 * ROSTERED):
        if needs and len(found) < ROSTERED:
            found.add(chance.choice(inside[chance.choice(needs)]))
    return tuple(sorted(found))


def _ask(chance: random.Random, site: Workload, count: int) -> Iterator[Asked]:
    """`count` entries, four of five of them granted; refusals are of every sort."""
    granted = int(count * GRANTED_SHARE)
    left = {True: granted, False: count - granted}
    found = []
    for who in chance.sample(range(len(site.held)), len(site.held)):
        if chance.random() < 0.85:
            zone, hour = chance.choice(site.rosters[who]), 24 * chance.randrange(5) + chance.randrange(8, 17)
        else:
            zone, hour = chance.randrange(ZONES), chance.randrange(HOURS)
        is_granted = site.answer(who, zone, hour)
        if left[is_granted]:
            left[is_granted] -= 1
            found.append(Asked(who=who, zone=zone, hour=hour, is_granted=is_granted))
    chance.shuffle(found)
    yield from found


# -- the same site as a policy ---------------------------------------------------------------------------------------


def policy_of(site: Workload) -> Policy:
    """The site as the product holds it, made by edits that were held against every check."""
    policy = apply(EMPTY, Edit(puts=tuple(places_of(site))))
    return apply(policy, Edit(puts=tuple(people_of(site))))


def places_of(site: Workload) -> Iterator[Row]:
    """Zones in one open site, each reached by one portal from the zone around it; an information item for each."""
    for number, hours in enumerate(site.open_hours):
        yield Schedule(id=schedule_id(number), windows=tuple(_windows(hours)))
    yield Zone(id="site", name_ja="構内", name_en="Site", kind=ZoneKind.UNRESTRICTED)
    for zone, lineage in enumerate(site.lineages):
        kind = KINDS[len(lineage) - 1]
        yield InformationItem(id=item_id(zone), designated_until=date(2031, 3, 31))
        yield Zone(
            id=zone_id(zone),
            name_ja=f"区域{zone}",
            name_en=f"Zone {zone}",
            kind=kind,
            parent=_around(site, zone),
            items=tuple(map(item_id, lineage)),
            accepted_bases=(Basis.COMPANY,),
            company_level=site.levels[zone],
            anti_passback=AntiPassback.HARD if kind is ZoneKind.EXCLUSION else AntiPassback.NONE,
        )
        yield Portal(
            id=f"p{zone}",
            name_ja=f"扉{zone}",
            name_en=f"Portal {zone}",
            outer=_around(site, zone),
            inner=zone_id(zone),
            has_exit_reader=True,
        )


def _around(site: Workload, zone: int) -> ZoneId:
    parent = site.parents[zone]
    return ZoneId("site") if parent is None else zone_id(parent)


def _windows(hours: int) -> Iterator[Window]:
    for weekday in range(7):
        of_day = [hour for hour in range(24) if hours >> (24 * weekday + hour) & 1]
        if of_day:
            yield Window(weekday=weekday, from_min=60 * of_day[0], to_min=60 * (of_day[-1] + 1))


def people_of(site: Workload) -> Iterator[Row]:
    """Everybody, person by person, with a card and a clearance, and then their rows of the two lists."""
    until = term_of(Basis.COMPANY, NOTIFIED)
    for who, level in enumerate(site.held):
        yield Cardholder(id=person_id(who))
        yield Credential(
            id=f"k{who}",
            cardholder=person_id(who),
            number_hash=number_hash(who),
            last4=f"{who % 65536:04X}",
            state=CredentialState.ACTIVE if site.is_active[who] else CredentialState.LOST,
        )
        yield Clearance(
            id=f"l{who}",
            cardholder=person_id(who),
            basis=Basis.COMPANY,
            notified_on=NOTIFIED,
            last_valid_on=until,
            recorded_by="officer-1",
            confirmed_by="officer-2",
            level=level,
        )
        for zone in site.rosters[who]:
            yield RosterEntry(
                id=f"r{who}-{zone}",
                cardholder=person_id(who),
                zone=zone_id(zone),
                from_on=NOTIFIED,
                until_on=UNTIL,
                review_on=REVIEW,
                schedule=schedule_id(site.schedules[who]),
            )
    yield from needs_of(site)


def needs_of(site: Workload) -> Iterator[NeedToKnow]:
    """The need-to-know rows alone."""
    for who, zones in enumerate(site.needs):
        for zone in zones:
            yield need(who, zone)


def need(who: int, zone: int) -> NeedToKnow:
    """One approved right of one person to what is handled in one zone."""
    return NeedToKnow(
        id=f"n{who}-{zone}",
        cardholder=person_id(who),
        item=item_id(zone),
        purpose_code="DESIGN",
        from_on=NOTIFIED,
        until_on=UNTIL,
        requested_by="officer-1",
        approved_by_1="officer-2",
        approved_by_2="officer-3",
        recert_on=UNTIL,
    )


def zone_id(zone: int) -> ZoneId:
    """What zone `zone` is called. Equal texts are one value, as they are once the controller has read them."""
    return ZoneId(sys.intern(f"z{zone}"))


def item_id(zone: int) -> InformationItemId:
    """What is handled in zone `zone`."""
    return InformationItemId(sys.intern(f"item-{zone}"))


def person_id(who: int) -> CardholderId:
    """What person `who` is called."""
    return CardholderId(sys.intern(f"c{who}"))


def schedule_id(number: int) -> ScheduleId:
    """What schedule `number` is called."""
    return ScheduleId(sys.intern(f"s{number}"))


def number_hash(who: int) -> str:
    """A card number's keyed hash: 64 hex digits."""
    return f"{(who + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251F86C6A11D0C18E95 % (1 << 256):064x}"


def occupancy_of(site: Workload) -> Occupancy:
    """Everybody who asks is certainly where the portal leads from; the others were last known in their first zone."""
    where = {
        person_id(who): Presence(zone=zone_id(rosters[0]), is_certain=False, since=MONDAY)
        for who, rosters in enumerate(site.rosters)
    }
    for one in site.asked:
        where[person_id(one.who)] = Presence(zone=_around(site, one.zone), is_certain=True, since=MONDAY)
    return Occupancy(where=where)


def request_of(one: Asked) -> tuple[Request, Moment]:
    """The entry as the controller asks for it: a request and a moment of its own."""
    evidence = Evidence(number_hash=CardNumberHash(number_hash(one.who)), method=Method.CHALLENGE, factors=3)
    at = MONDAY + timedelta(hours=one.hour, milliseconds=one.who * 7919 % 3_600_000)
    return Request(access_point=entry_id(PortalId(f"p{one.zone}")), evidence=evidence), Moment(at=at, tick_ms=one.who)
