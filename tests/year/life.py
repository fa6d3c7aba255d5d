"""Lives the virtual year: carries out what `days` made up, at a site whose invariants are checked after every event.

Whoever walks here sees what anybody sees: whether the strike went on, what the reader shows, whether the leaf is shut.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from controller.ledger.errors import LedgerUnavailable
from controller.link.recorded import History
from controller.policy_log import next_revision
from controller.turn import ShowAtReader
from readers.events import CardRead, DeviceOnline, InputChanged
from sekisho.verify import Report, parse_key, verify_file
from tests.year.building import HELD_AFTER_MS, OPENED, PARENTS, WAYS
from tests.year.days import Act, Happening, Year
from tests.year.registers import Registers
from tests.year.year_site import YearSite
from zones.review.replay import ReplayReport, replay

WRONG_PIN = "27182845"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A record as an export has it."""

    seq: int
    leaf: str
    body: str | None


class YearBroken(AssertionError):
    """An invariant did not hold: seed, day, event, and the last records."""


@dataclass(kw_only=True)
class Life:
    """One year at one site. `where`: where everybody really is."""

    folder: Path
    seed: int
    people: int = 30
    where: dict[str, str] = field(default_factory=dict)
    acts: Counter[str] = field(default_factory=Counter)
    late_notices: dict[str, date] = field(default_factory=dict)
    is_threat: bool = False

    def __post_init__(self) -> None:
        self.year = Year(seed=self.seed, size=self.people)
        self.chance = random.Random(self.seed + 1)
        first = datetime(self.year.first.year, self.year.first.month, self.year.first.day, tzinfo=UTC)
        self.today: date = self.year.first
        self.happening: Happening | None = None
        self.site = YearSite(self.folder, first - timedelta(hours=9), self.seed)
        self.registers = Registers(site=self.site, chance=self.chance, people=self.year.staff)
        self.where = dict.fromkeys(self.year.staff, "outside")

    # -- the face ----------------------------------------------------------------------------------------------------

    def lives(self, days: int, progress: Callable[[int], None] = lambda _number: None) -> None:
        """Every day of it. Raises YearBroken."""
        try:
            self._moves_in()
            for number, (day, happenings) in enumerate(self.year.days(days)):
                self.today = day
                self.site.effects.clear()
                for happening in happenings:
                    self.happening = happening
                    self.site.until(happening.at)
                    self.acts[happening.act] += 1
                    getattr(self, f"_{happening.act.value.lower()}")(happening)
                progress(number + 1)
            self.site.passes(3_600_000)
        except AssertionError as error:
            story = "\n  ".join(self.site.invariants.story)
            where = f"seed {self.seed}, {self.today}, {self.happening}, true time {self.site.true_at}"
            raise YearBroken(f"{error}\n{where}\nthe last records:\n  {story}") from error

    def replayed(self) -> ReplayReport:
        """Every decision of the ledger derived again, from the first record on; the report of it."""

        def lines(seq: int) -> Any:
            for record in self.site.ledger.scan(seq):
                yield Line(
                    seq=record.seq,
                    leaf=record.leaf.decode(),
                    body=None if record.body is None else record.body.decode(),
                )

        return replay(History(lines, revision_of=next_revision).steps())

    def verified(self) -> Report:
        """Closes the ledger, and lets the auditor's program look at it."""
        key = self.site.ledger.notary.vkey
        self.site.ledger.close()
        return verify_file(self.site.ledger_path, parse_key(key))

    def _moves_in(self) -> None:
        """What is entered before the first day."""
        self.registers.sets("item", "item-1", designated_until="2031-03-31")
        joined = [one for one in self.year.staff.values() if one.id in self.year.joined]
        for person in joined:
            self.registers.recruits(person, self.year.cards[person.id], self.today)
        self.registers.notices(1, set())
        self.registers.sets("zone_status", OPENED[0], state="SECURED")

    # -- at a portal -------------------------------------------------------------------------------------------------

    def enters(
        self, who: str, portal: str, card: str, *others: str, stay_ms: int = 900, is_walking: bool = True
    ) -> bool:
        """Shows a card, types a PIN where one is asked for, is joined by others, and goes through if the strike is on.
        Returns whether it was.
        """
        site, reader = self.site, f"rd-{portal}"
        waiting = [(who, card), *((other, self.year.cards[other]) for other in others)]
        before = len(site.effects)
        current = waiting.pop(0)
        site.badges(current[1], reader)
        while (asked := self._asked(reader, before)) is not None:
            before = len(site.effects)
            if asked == "enter_pin":
                pin = self.year.staff[current[0]].pin if current[0] in self.year.staff else ""
                if not pin:
                    site.passes(10_500)  # nobody gave him one
                    continue
                site.passes(1_500)
                site.types(pin, reader)
            elif waiting:
                current = waiting.pop(0)
                site.passes(1_200)
                site.badges(current[1], reader)
            else:
                site.passes(31_000)
        is_on = self._is_on(portal)
        if is_on and is_walking:
            self.through(portal, WAYS[portal][1], who, *others, stay_ms=stay_ms)
        site.passes(1_300)
        return is_on

    def leaves(self, who: str, portal: str) -> None:
        """Shows a card on the way out, and goes."""
        self.site.badges(self.year.cards[who], f"ro-{portal}")
        self.through(portal, WAYS[portal][0], who)
        self.site.passes(3_200)

    def through(self, portal: str, to_zone: str, *people: str, stay_ms: int = 900) -> None:
        """The leaf opens, and falls shut behind them."""
        site = self.site
        site.passes(700)
        site.opens(f"dr-{portal}")
        if portal == "office" and site.trust and not self._is_kept(portal):
            site.counts(len(people), f"dr-{portal}")
        site.passes(stay_ms)
        site.closes(f"dr-{portal}")
        self.where.update(dict.fromkeys(people, to_zone))

    def _asked(self, reader: str, since: int) -> str | None:
        """What the reader asks for now, if it does."""
        shown = [e.shown.value for e in self.site.effects[since:] if isinstance(e, ShowAtReader) and e.reader == reader]
        return shown[-1] if shown and shown[-1] in ("enter_pin", "second_card") else None

    def _is_on(self, portal: str) -> bool:
        return self.site.invariants.leaves[portal].is_on(self.site.tick_ms)

    def _is_kept(self, portal: str) -> bool:
        return self.site.invariants.modes.get(portal, "CARD") in ("UNLOCKED", "ATTENDED")

    def _is_here(self, who: str, portal: str) -> bool:
        return self.where[who] == WAYS[portal][0]

    # -- people ------------------------------------------------------------------------------------------------------

    def _enter(self, one: Happening) -> None:
        if self._is_here(one.who, one.portal):
            self.enters(one.who, one.portal, one.card)

    def _leave(self, one: Happening) -> None:
        if self.where[one.who] == WAYS[one.portal][1]:
            self.leaves(one.who, one.portal)

    def _press(self, one: Happening) -> None:
        if self.where[one.who] == WAYS[one.portal][1]:
            self.site.presses_rex(f"dr-{one.portal}")
            self.through(one.portal, WAYS[one.portal][0], one.who)
            self.site.passes(3_200)

    def _slip(self, one: Happening) -> None:
        if self.where[one.who] == WAYS[one.portal][1]:
            self.where[one.who] = WAYS[one.portal][0]

    def _pair(self, one: Happening) -> None:
        for who in (one.who, one.other):
            self._brings(who, "office")
        if self.where[one.who] == self.where[one.other] == "office":
            self.enters(one.who, "room", self.year.cards[one.who], one.other)
        self.site.passes(30_000)
        for number, who in enumerate((one.other, one.who)):
            if self.where[who] == "room":
                self.site.passes(number * 70_000)  # alone for longer than is overlooked
                self.leaves(who, "room")

    def _tailgate(self, one: Happening) -> None:
        """Both come from outside, one on the other's card; the counter sees two."""
        self._brings(one.other, "outside")
        self._brings(one.who, "outside")
        if self._is_kept("office") or not self.enters(
            one.other, "office", self.year.cards[one.other], is_walking=False
        ):
            return
        self.site.opens("dr-office")
        self.site.invariants.expects("TAILGATE", "office")
        self.site.counts(2, "dr-office")
        self.site.passes(400)
        self.site.closes("dr-office")
        self.where |= {one.who: "office", one.other: "office"}
        self.site.opens("dr-office")  # and a third pulls the leaf again: the strike is off behind the first
        self.site.passes(400)
        self.site.closes("dr-office")

    def _wrong_portal(self, one: Happening) -> None:
        """Shows a card where he has no business, or from where he is not."""
        self.enters(one.who, self.chance.choice(["vault", "server", "lab", "room"]), one.card, is_walking=False)
        self.site.passes(5_000)

    def _wrong_pin(self, one: Happening) -> None:
        """Outside the usual hours the server room asks for a PIN; so does everything in a week of threat."""
        site = self.site
        for _ in range(5 if one.count == 60 else 2):
            if not self.is_threat and not self._asks_pin_now():
                site.until(site.true_at.replace(hour=11, minute=30))  # 20:30 in Japan
            before = len(site.effects)
            site.badges(one.card, "rd-server")
            if self._asked("rd-server", before) == "enter_pin":
                site.types(WRONG_PIN, "rd-server")
            site.passes(2_000)
        if one.count == 60:
            self.enters(one.who, "server", one.card, is_walking=False)
            site.passes(5_000)
            site.orders("unlock_pin", one.who)

    def _asks_pin_now(self) -> bool:
        return (self.site.true_at + timedelta(hours=9)).hour >= 20

    def _duress(self, one: Happening) -> None:
        self._brings(one.who, "outside")
        person = self.year.staff[one.who]
        before = len(self.site.effects)
        self.site.badges(one.card, "rd-office")
        if self._asked("rd-office", before) == "enter_pin":
            self.site.types(person.duress, "rd-office")
        if self._is_on("office"):
            self.through("office", "office", one.who)
        self.site.passes(5_000)

    def _stranger(self, one: Happening) -> None:
        self.enters("h-stranger", one.portal, one.card, is_walking=False)

    def _walk_off(self, one: Happening) -> None:
        if self._is_here(one.who, one.portal):
            self.enters(one.who, one.portal, one.card, is_walking=False)
        self.site.passes(5_000)

    def _twice(self, one: Happening) -> None:
        """Two reads of one presentation; then one that a reader held back for nine seconds."""
        for _ in range(2):
            self.site.badges(one.card, "rd-office")
            self.site.passes(200)
        self.site.passes(45_000)
        self.site.badges(one.card, "rd-office", age_ms=9_000)
        self.site.passes(5_000)

    def _hold(self, one: Happening) -> None:
        self._brings(one.who, "office")
        if self.where[one.who] == "office":
            self.enters(one.who, "meeting", one.card, stay_ms=one.count * 1_000)

    def _force(self, one: Happening) -> None:
        portal = self.chance.choice(["escape", "meeting", "server"])
        if self._is_on(portal):
            return
        self.site.opens(f"dr-{portal}")
        self.site.passes(40_000)
        if portal != "escape":
            self.site.badges(one.card, f"rd-{portal}")  # what is forced is not trusted
            self.site.badges(one.card, f"ro-{portal}")  # and lets out all the same
        self.site.passes(5_000)
        self.site.closes(f"dr-{portal}")
        self.site.passes(5_000)

    def _crowd(self, one: Happening) -> None:
        """Cards and presses at many portals in one drain."""
        site = self.site
        exits = [site.card(self.chance.choice(list(self.year.cards.values())), f"ro-{portal}") for portal in PARENTS]
        entries = [site.card(one.card, f"rd-{portal}") for portal in self.chance.sample(list(PARENTS), 3)]
        presses = [
            InputChanged(source=f"dr-{portal}", line="rex", is_active=True, is_level_report=False)
            for portal in self.chance.sample(list(WAYS), 3)
        ]
        events = [*exits, *entries, *presses]
        self.chance.shuffle(events)
        site.happens(*events)
        site.passes(60_000)

    def _visit(self, one: Happening) -> None:
        """A visitor is brought into the meeting; now and then the escort goes away."""
        host, guest = one.other, one.who
        self._brings(host, "outside")
        self.registers.expects(guest, host, ["office", "meeting"], self.today)
        for portal in ("office", "meeting"):
            if not self._is_here(host, portal) or not self.enters(host, portal, self.year.cards[host]):
                break
            if not self.enters(guest, portal, self.year.cards[guest]):
                break
        if self.where[host] == "meeting" and self.chance.random() < 0.3:
            self.leaves(host, "meeting")
            self.site.passes(30_000)
        self.site.passes(60_000)
        for who in (guest, host):
            self._goes(who, "outside")

    def _maintain(self, one: Happening) -> None:
        """Two officers record that all is put away; then somebody without keys mends the lamp, beside an escort.

        A vestibule takes one at a time: one escort brings the guest into it and steps back, another waits behind it.
        """
        guest, host, site = one.who, one.other, self.site
        openers = [person.id for person in self.year.employed() if person.is_opener]
        first = next(who for who in openers if who != host)
        self.registers.expects(guest, host, ["office", "vestibule", "lab", "vault"], self.today)
        for portal in ("office", "vestibule", "lab"):
            if self.where[host] not in ("lab", "vault"):
                self._steps(host, portal)
        self._goes(first, "office")
        self._steps(first, "office")
        self._steps(guest, "office")
        self._steps(first, "vestibule")
        self._steps(guest, "vestibule")
        self._goes(first, "office")
        self._steps(guest, "lab")
        self._steps(host, "vault")
        if self._is_here(guest, "vault"):
            self.enters(guest, "vault", self.year.cards[guest], is_walking=False)  # not yet put away
            state = site.invariants._state("vault")
            by_two = {"sanitised_by": "officer-01", "sanitised_confirmed_by": "officer-02"}
            self.registers.sets("zone_status", "vault", state=state, **by_two)
            self._steps(guest, "vault")
            site.passes(120_000)
        self._goes(guest, "outside")
        self._puts_out()

    def _puts_out(self) -> None:
        """What was put away lies open again, in whatever state the vault is."""
        assert hasattr(
            self.site.proposes(("zone_status", {"id": "vault", "state": self.site.invariants._state("vault")})),
            "revision",
        )

    def _steps(self, who: str, portal: str) -> None:
        """In by one portal, by whoever stands before it."""
        if self._is_here(who, portal):
            self.enters(who, portal, self.year.cards[who])

    def _keyless(self, one: Happening) -> None:
        """Inside the laboratory already: the card, the colleagues and the hour are right, and one key is missing."""
        who, key = one.who, self.chance.randrange(3)
        if self.where[who] == "vault":
            self.leaves(who, "vault")
        for portal in ("office", "vestibule", "lab"):
            self._steps(who, portal)
        self.registers.loses_key(who, key, self.today)
        self._steps(who, "vault")
        self.site.passes(5_000)
        self.registers.regains_key(who, key, self.today)
        self._steps(who, "vault")
        self._goes(who, "lab")

    def _front(self, one: Happening) -> None:
        """Somebody is let in at noon, the front stands unlocked, and people pass as they like."""
        self._brings(one.who, "outside")
        self.site.until(one.at + timedelta(minutes=2, seconds=10))
        self.enters(one.who, "office", one.card)
        self.site.passes(12_000)
        for _ in range(3):
            self.site.opens("dr-office")
            self.site.passes(1_000)
            self.site.closes("dr-office")
            self.site.passes(5_000)
        if self.chance.random() < 0.4:
            self.site.opens("dr-office")  # and somebody puts a chair into it
            self.site.passes(400_000)
            self.site.closes("dr-office")
        self.site.passes(300_000)

    def _open(self, one: Happening) -> None:
        if self.where[one.who] == self.where[one.other] == "lab":
            self.enters(one.who, "vault", one.card, one.other)
            self.site.passes(5_000)

    def _secure(self, one: Happening) -> None:
        if self.where[one.who] != "lab" or not self.enters(one.who, "vault", one.card, is_walking=False):
            return
        self.site.passes(700)
        self.site.badges(one.card, "rd-vault")
        self.site.passes(5_000)

    def _clear(self, _one: Happening) -> None:
        for who in self.where:
            self._goes(who, "outside")

    def _goes(self, who: str, zone: str) -> None:
        """Walks out as far as `zone` (or to open ground)."""
        while self.where[who] not in (zone, "outside"):
            self.leaves(who, self.where[who])

    def _brings(self, who: str, zone: str) -> None:
        """Walks to open ground or to the office, if he is let in."""
        self._goes(who, zone)
        if zone == "office" and self.where[who] == "outside":
            self.enters(who, "office", self.year.cards[who])

    # -- officers ----------------------------------------------------------------------------------------------------

    def _recruit(self, one: Happening) -> None:
        self.registers.recruits(self.year.staff[one.who], one.card, self.today)

    def _end(self, one: Happening) -> None:
        self.registers.ends(one.who, self.today)

    def _lose(self, one: Happening) -> None:
        self.registers.loses(one.who, one.card)
        self.site.passes(3_000)
        self.enters("h-finder", "office", one.other, is_walking=False)

    def _suspend(self, one: Happening) -> None:
        self.registers.suspends(one.who, is_suspended=True)

    def _resume(self, _one: Happening) -> None:
        for who in self.year.staff:
            self.registers.suspends(who, is_suspended=False)

    def _renew(self, _one: Happening) -> None:
        self.registers.renews(self.today)
        for who, day in list(self.late_notices.items()):
            if day <= self.today:
                del self.late_notices[who]
                self.registers.hands_notice(who)

    def _notice(self, _one: Happening) -> None:
        forgotten = set(self.chance.sample(sorted(self.registers.credentials), 2))
        self.registers.notices(self.registers.notice + 1, forgotten)
        self.late_notices = dict.fromkeys(sorted(forgotten), self.today + timedelta(days=9))

    def _misedit(self, one: Happening) -> None:
        """One officer in two places, an old revision, an unlocked vault, an unknown zone, a made-up clearance."""
        days = {"from_on": self.today.isoformat(), "until_on": self.today.isoformat()}
        need = {"id": "n-x", "cardholder": one.who, "item": "item-1", "purpose_code": "P-01", **days}
        override = {"id": "o-x", "zone": "vault", "cardholders": [one.who], "reason_code": "R", "started_by": "a"}
        times = {"from_ms": self.site.now_ms, "until_ms": self.site.now_ms + 600_000}
        for puts, base in (
            ([("need_to_know", need | {"requested_by": "o-1", "approved_by_1": "o-1", "approved_by_2": "o-2"})], None),
            ([("override", override | {"approved_by": "a"} | times)], None),
            ([("portal_status", {"id": "vault", "mode": "UNLOCKED"})], None),
            ([("zone_status", {"id": "nowhere", "state": "SECURED"})], None),
            ([("device_status", {"id": "rd-office", "is_trusted": True, "restored_by": "o-1"})], None),
            ([("zone", {"id": "vault", "kind": 0})], None),
            ([("cardholder", {"id": "h-new"})], "0" * 64),
        ):
            revision = self.site.engine.policy.revision
            self.site.invariants.expects("EDIT_REFUSED", "")
            answer = self.site.proposes(*puts, base=base)
            assert not hasattr(answer, "revision"), f"accepted: {puts}"
            assert self.site.engine.policy.revision == revision

    def _release(self, _one: Happening) -> None:
        for portal in ("office", "meeting", "vault"):
            answer = self.site.commands(portal)
            if portal == "vault":
                assert hasattr(answer, "code"), "an officer released the vault"
            elif self._is_on(portal):
                self.through(portal, WAYS[portal][1])
            self.site.passes(5_000)

    def _lock_portal(self, one: Happening) -> None:
        """Locked for ten minutes; its time ends it."""
        self.registers.sets("portal_status", "meeting", mode="LOCKED", until_ms=self.site.now_ms + 600_000)
        self.site.bounds = sorted([*self.site.bounds, self.site.at + timedelta(minutes=10)])
        self.site.passes(1_000)
        self.enters(one.who, "meeting", one.card, is_walking=False)
        self.site.presses_rex("dr-meeting")
        self.site.passes(630_000)

    def _break_glass(self, one: Happening) -> None:
        """Two officers let somebody into the vault without its keys, once all is put away; one tries before."""
        site, who = self.site, one.who
        row = {
            "id": f"o-{self.acts[Act.BREAK_GLASS]}", "zone": "vault", "cardholders": [who], "reason_code": "RESCUE",
            "started_by": "officer-01", "approved_by": "officer-02", "from_ms": site.now_ms,
            "until_ms": site.now_ms + 20 * 60_000,
        }  # fmt: skip
        assert hasattr(site.proposes(("override", row)), "revision")
        site.bounds = sorted([*site.bounds, site.at + timedelta(minutes=20)])
        self.enters(who, "vault", one.card, is_walking=False)
        by_two = {"sanitised_by": "officer-01", "sanitised_confirmed_by": "officer-02"}
        state = site.invariants._state("vault")
        self.registers.sets("zone_status", "vault", state=state, **by_two)
        self.enters(who, "vault", one.card, is_walking=False)
        site.passes(21 * 60_000)
        self.enters(who, "vault", one.card, is_walking=False)
        self._puts_out()

    def _lockdown(self, one: Happening) -> None:
        self.registers.sets("site_status", "site", is_locked_down=True)
        responder = next(person for person in self.year.employed() if person.is_responder)
        for who, card in ((one.who, one.card), (responder.id, self.year.cards[responder.id])):
            self._goes(who, "outside")
            self.enters(who, "office", card)
        self.site.passes(300_000)
        self.registers.sets("site_status", "site", is_locked_down=False)

    def _threat(self, one: Happening) -> None:
        self.is_threat = bool(one.count)
        self.registers.sets("site_status", "site", threat_level=one.count)

    def _forgive(self, one: Happening) -> None:
        self.site.orders("forgive_presence", None if self.chance.random() < 0.2 else one.who)

    # -- drills and faults ---------------------------------------------------------------------------------------------

    def _fire(self, _one: Happening) -> None:
        """Everybody out, by card or by whatever leaf is next; then a reset that is too early, and one that is not."""
        site = self.site
        site.signals("fire", "panel")
        for who in list(self.where):
            while self.where[who] != "outside":
                portal = "escape" if self.where[who] == "lab" else self.where[who]
                if portal == "escape" or self.chance.random() < 0.5:
                    site.opens(f"dr-{portal}")
                    site.passes(1_000)
                    site.closes(f"dr-{portal}")
                    self.where[who] = WAYS[portal][0]
                else:
                    self.leaves(who, portal)
        for portal in WAYS:
            site.presses_rex(f"dr-{portal}")
        self.enters("h-stranger", "vault", "04ffffff", is_walking=False)
        site.opens("dr-office")
        site.passes(300_000)
        assert hasattr(site.orders("reset_fire"), "code"), "reset while the alarm speaks"
        site.signals("fire", "panel", is_active=False)
        site.passes(60_000)
        assert not hasattr(site.orders("reset_fire"), "code")
        site.passes(HELD_AFTER_MS + 5_000)
        site.closes("dr-office")

    def _power(self, one: Happening) -> None:
        self.site.signals("power", "panel")
        self.site.passes(120_000)
        self.enters(one.who, "office", one.card, is_walking=False)
        self.site.signals("power", "panel", is_active=False)

    def _restart(self, one: Happening) -> None:
        """Now and then while a leaf is open, or while somebody is being let in."""
        site = self.site
        drawn = self.chance.randrange(3)
        if drawn == 0:
            site.presses_rex("dr-meeting")
            site.opens("dr-meeting")
        elif drawn == 1 and self._is_here(one.who, "office"):
            self.enters(one.who, "office", one.card, is_walking=False)
        site.restarts(self.chance.choice([3_000, 60_000, 900_000]))
        site.passes(10_000)
        site.closes("dr-meeting")

    def _cut(self, one: Happening) -> None:
        device = self.chance.choice([f"rd-{one.portal}", f"dr-{one.portal}", f"ro-{one.portal}"])
        self.site.loses(device)
        self.site.badges(one.card, f"rd-{one.portal}")
        self.site.presses_rex(f"dr-{one.portal}")
        self.site.passes(one.count * 1_000)
        self.site.happens(DeviceOnline(source=device))
        self.site.says_levels()

    def _cut_line(self, one: Happening) -> None:
        device = f"dr-{one.portal}"
        if one.portal in self.site.open_leaves or self._is_on(one.portal):
            return
        fault = self.chance.choice(["cut", "short"])
        for _ in range(2):
            self.site.breaks("contact", device, fault)
        self.site.badges(one.card, f"rd-{one.portal}")
        self.site.presses_rex(device)
        self.site.passes(20_000)
        self.site.badges(one.card, f"ro-{one.portal}")
        self.site.passes(20_000)
        self.site.closes(device)
        self.site.passes(5_000)

    def _tamper(self, one: Happening) -> None:
        """Opened, tried, shut again, restored by two people."""
        reader = f"rd-{one.portal}"
        self.site.signals("tamper", reader)
        self.site.badges(one.card, reader)
        self.site.presses_rex(f"dr-{one.portal}")
        self.site.passes(40_000)
        self.site.signals("tamper", reader, is_active=False)
        self.site.badges(one.card, reader)
        self.site.passes(40_000)
        self.registers.sets(
            "device_status", reader, is_trusted=True, restored_by="officer-01", confirmed_by="officer-03"
        )

    def _disk_full(self, one: Happening) -> None:
        """For some minutes nothing can be recorded: nobody comes in, and everybody gets out."""

        def full() -> None:
            raise LedgerUnavailable("no space left on the device")

        site = self.site
        inside = [who for who, zone in self.where.items() if zone != "outside"]
        site.disk = full
        self.enters(one.who, "office", one.card)
        for who in inside[:2]:
            self.leaves(who, self.where[who])
        site.presses_rex("dr-lab")
        site.passes(self.chance.choice([3_000, 180_000]))
        self.enters(one.who, "meeting", one.card, is_walking=False)
        answer = site.proposes(("cardholder", {"id": "h-nobody"}))
        assert getattr(answer, "code", "") == "ledger_unavailable"
        site.disk = lambda: None
        site.passes(5_000)

    def _disk_stalls(self, one: Happening) -> None:
        """A commit hangs: whoever was let in meanwhile is not, and exits go on."""
        site = self.site
        site.is_stalled = True
        site.badges(one.card, "rd-office")
        site.passes(self.chance.choice([500, 2_000, 6_000]))
        site.badges(one.card, "ro-meeting")
        site.presses_rex("dr-server")
        site.passes(1_000)
        site.is_stalled = False
        site.happens()
        site.passes(10_000)

    def _clock_back(self, one: Happening) -> None:
        """A time server tells nonsense, and mends it after a while."""
        site = self.site
        back = timedelta(hours=self.chance.choice([1, 30]))
        site.at -= back
        site.skew += back
        site.passes(1_000)
        self.enters(one.who, "office", one.card, is_walking=False)
        wired = CardRead(
            source="rd-office", number=bytes.fromhex(one.card), kind="iso14443a"
        )  # has no clock to stamp by
        site.happens(wired)
        site.passes(12_000)
        site.badges(one.card, "ro-office")
        site.presses_rex("dr-office")
        site.passes(120_000)
        site.at += back
        site.skew -= back
        site.passes(5_000)
