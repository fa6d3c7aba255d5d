"""What officers enter in the virtual year: rows about people, put, renewed, forgotten and ended."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tests.year.building import ITEMS, Person
from tests.year.year_site import YearSite
from zones.people import Basis
from zones.terms import months_later, term_of

Put = tuple[str, dict[str, Any]]

ROSTER_DAYS = 150
REVIEW_DAYS = 70
TRAINING_DAYS = 120
AHEAD_DAYS = 4
"""So long before its end a row is renewed, unless it is forgotten."""


@dataclass(kw_only=True)
class Registers:
    """Enters rows, and knows when they lapse. `chance`: what is forgotten."""

    site: YearSite
    chance: random.Random
    people: dict[str, Person]
    counts: dict[str, int] = field(default_factory=dict)
    due: dict[tuple[str, str, str], date] = field(default_factory=dict)
    """(table, cardholder, of what) -> when it is to be renewed."""
    rows: dict[tuple[str, str, str], str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    credentials: dict[str, str] = field(default_factory=dict)
    notice: int = 0
    edits: int = 0

    # -- people ------------------------------------------------------------------------------------------------------

    def recruits(self, person: Person, card: str, today: date) -> None:
        """Everything that somebody needs, entered step by step by several officers."""
        kind = {"kind": "VISITOR"} if person.is_visitor else {}
        holder = {"id": person.id, "notice_version": self.notice, **kind}
        if person.id.endswith("7"):
            holder["held_extra_ms"] = 15_000
        credential = self._named("credential", person.id)
        self.credentials[person.id] = credential
        row = {"id": credential, "cardholder": person.id, "number": card, "state": "ISSUED"}
        self._puts(("cardholder", holder), ("credential", row))
        if person.is_visitor:
            self._puts(("credential", self._row("credential", credential) | {"state": "ACTIVE"}))
            return
        self._puts(*(self._roster(person, zone, today) for zone in person.zones))
        if person.items:
            self._clears(person, today)
            for item in person.items:
                self._needs(person, item, today)
        if "server" in person.zones:
            self._puts(self._trained(person, today), self._declared(person, today))
        if person.pin:
            pin = {"id": person.id, "pin": person.pin} | ({"duress": person.duress} if person.duress else {})
            self._puts(("pin", pin))
        self._puts(("credential", self._row("credential", credential) | {"state": "ACTIVE"}))

    def ends(self, who: str, today: date) -> None:
        """Leaves the company, and hands the card in."""
        self.ended.add(who)
        for key in [key for key in self.due if key[1] == who]:
            del self.due[key]
        self._changes("cardholder", who, ended_on=today.isoformat())
        self._changes("credential", self.credentials[who], state="RETURNED")
        self._changes("credential", self.credentials[who], state="DESTROYED")

    def loses(self, who: str, card: str) -> None:
        """Reports a card lost, and gets another."""
        if who not in self.credentials or who in self.ended:
            return
        self._changes("credential", self.credentials[who], state="LOST")
        credential = self.credentials[who] = self._named("credential", who)
        self._puts(("credential", {"id": credential, "cardholder": who, "number": card, "state": "ACTIVE"}))

    def renews(self, today: date) -> None:
        """What lapses soon, or has: one in eight is forgotten for some days more."""
        for key, day in list(self.due.items()):
            if day > today + timedelta(days=AHEAD_DAYS):
                continue
            if self.chance.random() < 0.12:
                self.due[key] = today + timedelta(days=AHEAD_DAYS + self.chance.randrange(1, 9))
            else:
                self._renew(key, today)

    def expects(self, visitor: str, host: str, zones: list[str], today: date) -> None:
        """A visit for today."""
        days = {"from_on": today.isoformat(), "until_on": today.isoformat()}
        self._puts(("visit", {"id": self._named("visit", visitor), "cardholder": visitor, "host": host}
                    | {"zones": zones} | days))  # fmt: skip

    def suspends(self, who: str, *, is_suspended: bool) -> None:
        """Transferred for a time, or back: the last row of a roster, and need-to-know."""
        zone = "".join(self.people[who].zones[-1:])
        for table, name in (("roster", zone), ("need_to_know", ITEMS["vault"])):
            row = self.rows.get((table, who, name))
            if row is not None and who not in self.ended:
                self._changes(table, row, is_suspended=is_suspended)

    def loses_key(self, who: str, key: int, today: date) -> None:
        """One of the three keys is ended or suspended."""
        table = ("clearance", "need_to_know", "roster")[key]
        of = ("", ITEMS["vault"], "vault")[key]
        row = self.rows[table, who, of]
        self._changes(table, row, **({"ended_on": today.isoformat()} if key == 0 else {"is_suspended": True}))

    def regains_key(self, who: str, key: int, today: date) -> None:
        """The same key again; a clearance only anew."""
        if key == 0:
            self._clears(self.people[who], today, is_new=True)
        else:
            self.suspends(who, is_suspended=False)

    def notices(self, version: int, forgotten: set[str]) -> None:
        """A new notice: handed to all but some, then in force."""
        self.notice = version
        for who in sorted(self.credentials.keys() - self.ended - forgotten):
            self.hands_notice(who)
        self.sets("site_status", "site", notice_version=version)

    def hands_notice(self, who: str) -> None:
        """The notice in its present version."""
        if who not in self.ended:
            self._changes("cardholder", who, notice_version=self.notice)

    def sets(self, table: str, row: str, **changed: Any) -> Any:
        """Put a row of states with some fields changed; new where there is none."""
        return self._puts((table, {"id": row} | self._row(table, row) | changed))

    # -- rows --------------------------------------------------------------------------------------------------------

    def _renew(self, key: tuple[str, str, str], today: date) -> None:
        table, who, of = key
        person = self.people[who]
        match table:
            case "roster":
                self._extends(person, of, today)
            case "review":
                review = today + timedelta(days=REVIEW_DAYS)
                until = date.fromisoformat(str(self._row("roster", self.rows["roster", who, of])["until_on"]))
                self._changes("roster", self.rows["roster", who, of], review_on=min(review, until).isoformat())
                self.due[key] = review
            case "clearance":
                self._clears(person, today, is_new=True)
            case "need_to_know":
                self._needs(person, of, today)
            case "training":
                self._puts(self._trained(person, today))
            case _:
                self._puts(self._declared(person, today))

    def _roster(self, person: Person, zone: str, today: date) -> Put:
        until, review = today + timedelta(days=ROSTER_DAYS), today + timedelta(days=REVIEW_DAYS)
        row = self._kept("roster", person.id, zone, until)
        self.due["review", person.id, zone] = review
        days = {"from_on": today, "until_on": until, "review_on": review}
        return (
            "roster",
            {"id": row, "cardholder": person.id, "zone": zone}
            | {name: day.isoformat() for name, day in days.items()}
            | {"is_opener": person.is_opener and zone == "vault", "is_escort": person.is_escort}
            | {"may_enter_lockdown": person.is_responder},
        )

    def _extends(self, person: Person, zone: str, today: date) -> None:
        """A longer place on the same roster: there is one for each cardholder."""
        days = {"until_on": today + timedelta(days=ROSTER_DAYS), "review_on": today + timedelta(days=REVIEW_DAYS)}
        self.due["roster", person.id, zone] = days["until_on"]
        self.due["review", person.id, zone] = days["review_on"]
        row = self.rows["roster", person.id, zone]
        self._changes("roster", row, **{name: day.isoformat() for name, day in days.items()})

    def _clears(self, person: Person, today: date, *, is_new: bool = False) -> None:
        """Recorded by one officer, confirmed by another. The first ones are old: some lapse within the year."""
        basis = self.chance.choice([Basis.KEIZAI_ANPO, Basis.TOKUTEI_HIMITSU])
        years = 10 if basis is Basis.KEIZAI_ANPO else 5
        ago = timedelta(0) if is_new else timedelta(days=365 * years - 20 - self.chance.randrange(700))
        notified = today - ago
        until = term_of(basis, notified)
        row = self._kept("clearance", person.id, "", until)
        dates = {"notified_on": notified.isoformat(), "last_valid_on": until.isoformat()}
        doc = {"id": row, "cardholder": person.id, "basis": basis.value, **dates, "recorded_by": "officer-01"}
        self._puts(("clearance", doc))
        self._puts(("clearance", doc | {"confirmed_by": "officer-02"}))

    def _needs(self, person: Person, item: str, today: date) -> None:
        """Requested by one, approved by two others, one after the other."""
        until = months_later(today, 5)
        row = self._kept("need_to_know", person.id, item, until)
        doc: dict[str, Any] = {"id": row, "cardholder": person.id, "item": item, "purpose_code": "P-01"}
        doc |= {"from_on": today.isoformat(), "until_on": until.isoformat()}
        for number, name in enumerate(("requested_by", "approved_by_1", "approved_by_2"), 1):
            doc[name] = f"officer-0{number}"
            self._puts(("need_to_know", dict(doc)))

    def _trained(self, person: Person, today: date) -> Put:
        due = today + timedelta(days=TRAINING_DAYS)
        row = self._kept("training", person.id, "server-safety", due)
        days = {"done_on": today.isoformat(), "due_on": due.isoformat()}
        return "training", {"id": row, "cardholder": person.id, "course": "server-safety", **days}

    def _declared(self, person: Person, today: date) -> Put:
        until = today + timedelta(days=30)
        row = self._kept("declaration", person.id, "server", until)
        days = {"from_on": today.isoformat(), "until_on": until.isoformat()}
        return "declaration", {"id": row, "cardholder": person.id, "zone": "server", "locker": "L-1", **days}

    def _kept(self, table: str, who: str, of: str, until: date) -> str:
        row = self._named(table, who)
        self.rows[table, who, of] = row
        self.due[table, who, of] = until
        return row

    def _named(self, table: str, who: str) -> str:
        self.counts[table] = self.counts.get(table, 0) + 1
        return f"{table.replace('_', '-')}-{who}-{self.counts[table]}"

    def _row(self, table: str, row: str) -> dict[str, Any]:
        return self.site.invariants.rows.of(table).get(row, {})

    def _changes(self, table: str, row: str, **changed: Any) -> None:
        self._puts((table, self._row(table, row) | changed))

    def _puts(self, *puts: Put) -> Any:
        """Enter rows; an officer waits until the ledger can be written again."""
        self.edits += 1
        answer = self.site.proposes(*puts)
        assert hasattr(answer, "revision"), f"refused: {answer} {puts}"
        return answer
