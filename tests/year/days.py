"""What happens in a year, made up from a seed: who comes, errs, joins and leaves, what breaks and what is drilled.

Only what people and officers do: what the site makes of it is not known here. A day is a list in the order of time. The
same seed gives the same year, so that a failure can be run again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from controller.calendars import National, national_days
from tests.year.building import OPENED, PARENTS, Person, card_number, people

FIRST_DAY: Final = date(2026, 4, 1)
COMPANY_HOLIDAYS: Final = (date(2026, 12, 29), date(2026, 12, 30), date(2026, 12, 31))
HOLIDAYS: Final = frozenset((*national_days(National.JP), *COMPANY_HOLIDAYS))

COME_DAILY: Final = 7
"""How many of the staff come on a working day: enough to meet each other, few enough for a year in a minute."""

THREAT_WEEKS: Final = (2, 29)
"""Weeks of the year in which the site asks for a PIN everywhere; few come then: a PIN costs a slow hash."""


class Act(StrEnum):
    """What happens. People first, then officers, then drills and faults."""

    ENTER = "ENTER"  # card, PIN where one is asked for, and through
    LEAVE = "LEAVE"  # card at the exit reader, and through
    PRESS = "PRESS"  # out by the button, seen by nobody
    SLIP = "SLIP"  # out in somebody's wake: the site never hears of it
    PAIR = "PAIR"  # `who` and `other` go into the room together, and out again
    TAILGATE = "TAILGATE"  # `who` behind `other`, counted and without a card
    WRONG_PORTAL = "WRONG_PORTAL"  # a card where its holder has no business
    WRONG_PIN = "WRONG_PIN"  # `count` misses, then away
    DURESS = "DURESS"  # somebody is made to open
    STRANGER = "STRANGER"  # a card nobody issued, or one that was lost
    WALK_OFF = "WALK_OFF"  # card, and then does not go in
    TWICE = "TWICE"  # one card read twice in a second, and one read that comes late
    HOLD = "HOLD"  # goes in and keeps the leaf open for `count` seconds
    FORCE = "FORCE"  # the leaf opens without anything
    CROWD = "CROWD"  # several events in one drain
    VISIT = "VISIT"  # `who` is brought into the meeting by the escort `other`, and out again
    MAINTAIN = "MAINTAIN"  # the vault is put away, and `who` mends something in it beside `other`
    KEYLESS = "KEYLESS"  # somebody who works in the vault loses one of the three keys, tries, and gets it back
    FRONT = "FRONT"  # people go through the front while it stands unlocked
    OPEN = "OPEN"  # two openers open a secured zone: `who` and `other`
    SECURE = "SECURE"  # an opener secures it at its reader
    CLEAR = "CLEAR"  # everybody goes home
    RECRUIT = "RECRUIT"
    END = "END"  # leaves the company
    LOSE = "LOSE"  # reports the card lost; gets a new one
    SUSPEND = "SUSPEND"  # transferred: a place on a roster, or need-to-know, is suspended
    RESUME = "RESUME"
    RENEW = "RENEW"  # rows that lapse soon are put anew; some are forgotten
    NOTICE = "NOTICE"  # a new notice is in force; not everybody has it yet
    MISEDIT = "MISEDIT"  # edits that must be refused
    RELEASE = "RELEASE"  # an officer releases a portal
    LOCK_PORTAL = "LOCK_PORTAL"
    BREAK_GLASS = "BREAK_GLASS"
    LOCKDOWN = "LOCKDOWN"
    THREAT = "THREAT"  # the level is `count` from now on
    FORGIVE = "FORGIVE"  # an officer forgives a wrong presence
    FIRE = "FIRE"
    POWER = "POWER"
    RESTART = "RESTART"  # the controller starts again
    CUT = "CUT"  # a device goes off-line for `count` seconds
    CUT_LINE = "CUT_LINE"
    TAMPER = "TAMPER"
    DISK_FULL = "DISK_FULL"
    DISK_STALLS = "DISK_STALLS"
    CLOCK_BACK = "CLOCK_BACK"


DECK: Final = (
    *(Act.TAILGATE, Act.WRONG_PORTAL, Act.WRONG_PIN, Act.STRANGER, Act.WALK_OFF, Act.TWICE, Act.HOLD, Act.HOLD),
    *(
        Act.FORCE,
        Act.CROWD,
        Act.VISIT,
        Act.VISIT,
        Act.MAINTAIN,
        Act.KEYLESS,
        Act.KEYLESS,
        Act.FRONT,
        Act.LOSE,
        Act.SUSPEND,
        Act.RESUME,
    ),
    *(Act.MISEDIT, Act.RELEASE, Act.LOCK_PORTAL, Act.LOCKDOWN, Act.FORGIVE, Act.POWER, Act.RESTART, Act.CUT),
    *(Act.CUT_LINE, Act.TAMPER, Act.DISK_FULL, Act.DISK_STALLS, Act.CLOCK_BACK, Act.PAIR, Act.PAIR, Act.BREAK_GLASS),
)
"""Dealt two a day, shuffled anew when it is empty: everything comes, and in every order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happens at `at`. Fields that an act does not use are empty."""

    at: datetime
    act: Act
    who: str = ""
    portal: str = ""
    other: str = ""
    card: str = ""
    count: int = 0


@dataclass(kw_only=True)
class Year:
    """The people as they stand, and the chance that the days are drawn from."""

    seed: int
    first: date = FIRST_DAY
    size: int = 30
    chance: random.Random = field(init=False)
    staff: dict[str, Person] = field(init=False)
    cards: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    deck: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.staff = {one.id: one for one in people(self.size)}
        self.cards = {one.id: one.card for one in self.staff.values()}
        plain = [one.id for one in self.staff.values() if one.zones == ("office", "meeting") and not one.is_escort]
        self.joined = self.staff.keys() - set(self.chance.sample(plain, 2))

    def days(self, count: int = 365) -> Iterator[tuple[date, list[Happening]]]:
        """Each day with what happens on it, in order."""
        for number in range(count):
            day = self.first + timedelta(days=number)
            happenings = [*self._officers(day, number), *self._work(day, number), *self._drills(day, number)]
            yield day, sorted(happenings, key=lambda one: one.at)

    # -- officers, before anybody comes ----------------------------------------------------------------------------

    def _officers(self, day: date, number: int) -> Iterator[Happening]:
        chance = self.chance
        yield Happening(at=_at(day, 6), act=Act.RENEW)
        waiting = sorted(self.staff.keys() - self.joined)
        if waiting and number % 60 == 20:
            self.joined.add(waiting[0])
            yield Happening(at=_at(day, 6, 10), act=Act.RECRUIT, who=waiting[0], card=self.cards[waiting[0]])
        here = self.employed()
        ending = [one.id for one in here if not (one.is_opener or one.is_escort)]
        if len(here) > 14 and number % 70 == 25:
            who = chance.choice(ending)
            self.ended.add(who)
            yield Happening(at=_at(day, 6, 20), act=Act.END, who=who, card=self.cards[who])
        if number % 180 == 15:
            yield Happening(at=_at(day, 6, 30), act=Act.NOTICE)
        week, weekday = number // 7, number % 7
        if week in THREAT_WEEKS and weekday in (0, 6):
            yield Happening(at=_at(day, 6, 50), act=Act.THREAT, count=1 if weekday == 0 else 0)

    # -- a day's work ------------------------------------------------------------------------------------------------

    def _work(self, day: date, number: int) -> Iterator[Happening]:
        here = self.employed()
        if not is_working(day):
            for _ in range(self.chance.choice([0, 0, 1, 2])):  # somebody tries on a holiday
                yield from self._comes(day, self.chance.choice(here), 10)
            yield Happening(at=_at(day, 21, 30), act=Act.CLEAR)
            return
        is_threat = number // 7 in THREAT_WEEKS
        one, other = self.chance.sample([one for one in here if one.is_opener], 2)
        is_opened = self.chance.random() < 0.7
        if is_opened:
            yield from self._opens(day, one, other)
        rest = [person for person in here if not is_opened or person not in (one, other)]
        if is_threat:
            rest = [person for person in rest if person.pin] + rest[:1]
        for person in self.chance.sample(rest, min(2 if is_threat else COME_DAILY, len(rest))):
            yield from self._comes(day, person, 9 + self.chance.randrange(3))
        if is_threat and is_opened and number % 7 == 2:
            forced = [person for person in here if person.duress]
            yield from (self._does(Act.DURESS, person, "office", _at(day, 14, 30)) for person in forced)
        if is_opened:
            yield from self._secures(day, one, other)
        yield Happening(at=_at(day, 21, 30), act=Act.CLEAR)

    def _opens(self, day: date, one: Person, other: Person) -> Iterator[Happening]:
        at = _at(day, 8, 5)
        for person in (one, other):
            for step, portal in enumerate(way_to("lab")):
                yield self._does(Act.ENTER, person, portal, at + timedelta(seconds=40 * step))
            at += timedelta(minutes=4)
        yield replace(self._does(Act.OPEN, one, OPENED[0], _at(day, 8, 15)), other=other.id)

    def _secures(self, day: date, one: Person, other: Person) -> Iterator[Happening]:
        for at_minute, person in ((5, other), (10, one)):
            yield self._does(Act.LEAVE, person, OPENED[0], _at(day, 18, at_minute))
        if self.chance.random() < 0.9:  # forgotten: told at midnight
            yield self._does(Act.SECURE, one, OPENED[0], _at(day, 18, 12))
        for minute, person in ((20, one), (30, other)):
            for step, portal in enumerate(reversed(way_to("lab"))):
                yield self._does(Act.LEAVE, person, portal, _at(day, 18, minute, 40 * step))

    def _comes(self, day: date, person: Person, hour: int) -> Iterator[Happening]:
        """In as far as the work lies, and out again: now and then by the button, or in somebody's wake."""
        chance = self.chance
        goals = [zone for zone in person.zones if zone not in ("office", "room", "vestibule")]
        at = _at(day, hour, chance.randrange(60), chance.randrange(60))
        way = way_to(chance.choice(goals))
        for portal in way:
            yield self._does(Act.ENTER, person, portal, at)
            at += timedelta(seconds=30 + chance.randrange(60))
        at = max(at, _at(day, 13)) + timedelta(minutes=chance.randrange(240))
        for portal in reversed(way):
            habit = chance.random()
            act = Act.SLIP if habit < 0.02 else Act.PRESS if habit < 0.07 else Act.LEAVE
            yield self._does(act, person, portal, at)
            at += timedelta(seconds=30 + chance.randrange(60))

    # -- drills, faults and mistakes -----------------------------------------------------------------------------------

    def _drills(self, day: date, number: int) -> Iterator[Happening]:
        if number % 91 == 14:
            yield Happening(at=_at(day, 15), act=Act.FIRE)
        for _ in range(2):
            if not self.deck:
                self.deck = list(DECK)
                self.chance.shuffle(self.deck)
            at = _at(day, 11 + self.chance.randrange(6), self.chance.randrange(60), self.chance.randrange(60))
            if self.deck[-1] is Act.FRONT:
                at = _at(day, 11, 58)
            yield self._dealt(self.deck.pop(), at)

    def _dealt(self, act: Act, at: datetime) -> Happening:
        chance, here = self.chance, self.employed()
        who, other = chance.sample(here, 2)
        portal = chance.choice(list(PARENTS))
        if act is Act.PAIR:
            who, other = chance.sample([one for one in here if "room" in one.zones], 2)
        elif act is Act.KEYLESS:
            who = chance.choice([one for one in here if "vault" in one.zones])
            at = at.replace(hour=chance.randrange(1, 8))  # 10 to 17 in Japan: the vault is in use
        elif act in (Act.VISIT, Act.MAINTAIN):
            zone = "vault" if act is Act.MAINTAIN else "meeting"
            who = chance.choice([one for one in self.staff.values() if one.is_visitor])
            other = chance.choice([one for one in here if one.is_escort and zone in one.zones])
            at = at.replace(hour=chance.randrange(1, 8))
        elif act is Act.WRONG_PIN:
            who, portal = chance.choice([one for one in here if one.pin]), "server"
        elif act is Act.LOSE:
            old = self.cards[who.id]
            number = self.replaced[who.id] = self.replaced.get(who.id, 0) + 1
            self.cards[who.id] = card_number(int(who.id.removeprefix("h-")), number)
            return Happening(at=at, act=act, who=who.id, card=self.cards[who.id], other=old, portal="office")
        elif act is Act.STRANGER:
            return Happening(at=at, act=act, portal=portal, card=f"04ffff{chance.randrange(256):02x}")
        count = chance.choice([10, 25, 60])
        return replace(self._does(act, who, portal, at, count=count), other=other.id)

    # -- people ------------------------------------------------------------------------------------------------------

    def employed(self) -> list[Person]:
        """The staff that has joined and not left, visitors not among them."""
        ids = self.joined - self.ended
        return [one for one in self.staff.values() if one.id in ids and not one.is_visitor]

    def _does(self, act: Act, person: Person, portal: str, at: datetime, count: int = 0) -> Happening:
        return Happening(at=at, act=act, who=person.id, portal=portal, card=self.cards[person.id], count=count)


def is_working(day: date) -> bool:
    """Whether the company works on this day."""
    return day.weekday() < 5 and day not in HOLIDAYS


def way_to(zone: str) -> list[str]:
    """The portals from the street to a zone. Each zone's portal has the zone's name."""
    way = []
    while zone in PARENTS:
        way.append(zone)
        zone = PARENTS[zone]
    return way[::-1]


def _at(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A time of day in Japan, as UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
        hours=hour - 9, minutes=minute, seconds=second
    )
