"""One small made-up building, as values: four nested zones, their portals, and Ana, who holds all three keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from zones.decision import Decision, Evidence, Method, Request, decide
from zones.decision.ask import Ask, ask_of
from zones.edits import EMPTY, apply
from zones.ids import CardholderId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy, Presence
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    Credential,
    CredentialState,
    NeedToKnow,
    RosterEntry,
    Visit,
)
from zones.places import AntiPassback, Portal, Schedule, Window, Zone, ZoneKind
from zones.policy import Edit, Policy, Row
from zones.terms import term_of

NOTIFIED = date(2026, 4, 1)


class Building:
    """Rows by a short name; `policy` is the building with some rows put in place of its own."""

    now = Moment(at=datetime(2026, 5, 11, 1, 0, tzinfo=UTC), tick_ms=1_000_000)  # Monday, 10:00 in Japan

    def __init__(self) -> None:
        hours = tuple(Window(weekday=day, from_min=8 * 60, to_min=20 * 60) for day in range(5))
        rows: tuple[Row, ...] = (
            Schedule(id="hours", windows=hours),
            Zone(id="street", name_ja="屋外", name_en="Street", kind=ZoneKind.UNRESTRICTED),
            Zone(id="office", name_ja="事務室", name_en="Office", kind=ZoneKind.CONTROLLED, parent="street"),
            Zone(id="lab", name_ja="研究室", name_en="Lab", kind=ZoneKind.LIMITED, parent="office"),
            Zone(
                id="vault",
                name_ja="取扱区画",
                name_en="Vault",
                kind=ZoneKind.EXCLUSION,
                parent="lab",
                items=("item-1", "item-2"),
                accepted_bases=(Basis.KEIZAI_ANPO,),
                anti_passback=AntiPassback.HARD,
                schedule="hours",
            ),
            Portal(id="front", name_ja="正面", name_en="Front", outer="street", inner="office", is_escape=True),
            Portal(id="lab-door", name_ja="研究室", name_en="Lab", outer="office", inner="lab"),
            Portal(id="vault-door", name_ja="区画", name_en="Vault", outer="lab", inner="vault", has_exit_reader=True),
            Cardholder(id="ana"),
            Credential(
                id="ana-card", cardholder="ana", number_hash=self.number(1), last4="00A1", state=CredentialState.ACTIVE
            ),
            Clearance(
                id="ana-clearance",
                cardholder="ana",
                basis=Basis.KEIZAI_ANPO,
                notified_on=NOTIFIED,
                last_valid_on=term_of(Basis.KEIZAI_ANPO, NOTIFIED),
                recorded_by="officer-1",
                confirmed_by="officer-2",
            ),
            NeedToKnow(
                id="ana-need",
                cardholder="ana",
                item="item-1",
                purpose_code="DESIGN",
                from_on=NOTIFIED,
                until_on=date(2027, 3, 31),
                requested_by="officer-1",
                approved_by_1="officer-2",
                approved_by_2="officer-3",
            ),
            *(self.roster(f"ana-{zone}", zone) for zone in ("office", "lab", "vault")),
        )
        self.rows = {(type(row), row.id): row for row in rows}

    @staticmethod
    def number(n: int) -> str:
        return f"{n:064x}"

    @staticmethod
    def roster(row_id: str, zone: str, cardholder: str = "ana", **changes) -> RosterEntry:
        entry = RosterEntry(
            id=row_id,
            cardholder=cardholder,
            zone=zone,
            from_on=NOTIFIED,
            until_on=date(2027, 3, 31),
            review_on=date(2026, 6, 30),
        )
        return replace(entry, **changes)

    def person(self, name: str, number: int, **changes: object) -> tuple[Row, ...]:
        """Somebody who holds all that Ana holds; `changes` are of the place on the vault's roster."""
        return (
            Cardholder(id=name),
            self.row(
                Credential,
                "ana-card",
                id=f"{name}-card",
                cardholder=name,
                number_hash=self.number(number),
                last4="00B0",
            ),
            self.row(Clearance, "ana-clearance", id=f"{name}-clearance", cardholder=name),
            self.row(NeedToKnow, "ana-need", id=f"{name}-need", cardholder=name),
            *(self.roster(f"{name}-{zone}", zone, name) for zone in ("office", "lab")),
            self.roster(f"{name}-vault", "vault", name, **changes),
        )

    def guest(
        self, name: str, number: int, kind: CardholderKind = CardholderKind.VISITOR, **changes: object
    ) -> tuple[Row, ...]:
        """Somebody without keys who is expected in the vault this week, Ana the host; `changes` are of the visit."""
        visit = Visit(
            id=f"{name}-visit",
            cardholder=name,
            host="ana",
            zones=("office", "lab", "vault"),
            from_on=date(2026, 5, 11),
            until_on=date(2026, 5, 15),
        )
        return (
            Cardholder(id=name, kind=kind),
            self.row(
                Credential,
                "ana-card",
                id=f"{name}-card",
                cardholder=name,
                number_hash=self.number(number),
                last4="00C0",
            ),
            replace(visit, **changes),
        )

    def row(self, kind: type[Row], row_id: str, **changes: object) -> Row:
        """A row of the building with some of its fields changed."""
        return replace(self.rows[kind, row_id], **changes)

    def without(self, *names: tuple[type[Row], str]) -> Policy:
        """The building as if these rows had never been put."""
        return apply(EMPTY, Edit(puts=tuple(row for name, row in self.rows.items() if name not in names)))

    def policy(self, *rows: Row) -> Policy:
        """The building with `rows` put in the same edit, each in place of the one it is named like."""
        named = {(type(row), row.id): row for row in rows}
        return apply(EMPTY, Edit(puts=tuple({**self.rows, **named}.values())))

    def evidence(
        self, number: int = 1, factors: int = 3, method: Method = Method.CHALLENGE, **proven: object
    ) -> Evidence:
        """What a reader proved, enough for the vault unless said otherwise."""
        return Evidence(number_hash=self.number(number), method=method, factors=factors, **proven)

    def request(self, point: str = "vault-door.in", **facts: object) -> Request:
        """Ana asks to enter the vault, unless said otherwise: fields of the evidence and of the request by name."""
        of_evidence = {"number", "factors", "method", "link", "pin"} & facts.keys()
        evidence = self.evidence(**{name: facts.pop(name) for name in of_evidence})
        return Request(access_point=point, evidence=evidence, **facts)

    def decides(self, policy: Policy, occupancy: Occupancy | None = None, now: Moment = now, **request) -> Decision:
        return decide(policy, self.at("lab") if occupancy is None else occupancy, self.request(**request), now)

    def scene(
        self, *rows: Row, where: Occupancy | None = None, now: Moment = now, drop: tuple = (), **request
    ) -> Decision:
        """The decision in a building with `rows`, without those named in `drop`, where people are as `where` says."""
        kept = {name: row for name, row in self.rows.items() if name not in drop}
        named = {(type(row), row.id): row for row in rows}
        return self.decides(apply(EMPTY, Edit(puts=tuple({**kept, **named}.values()))), where, now, **request)

    def ask(self, *rows: Row, where: Occupancy | None = None, now: Moment = now, **request) -> Ask:
        """What the rules read of an entry."""
        return ask_of(self.policy(*rows), self.at("lab") if where is None else where, self.request(**request), now)

    @staticmethod
    def at(zone: str, *, is_certain: bool = True) -> Occupancy:
        """Ana is in `zone`, and nobody else is anywhere."""
        return Occupancy(where={CardholderId("ana"): Presence(zone=ZoneId(zone), is_certain=is_certain)})

    @staticmethod
    def where(**zones: str) -> Occupancy:
        """Cardholders by name, each certainly in a zone."""
        people = {CardholderId(who): Presence(zone=ZoneId(zone), is_certain=True) for who, zone in zones.items()}
        return Occupancy(where=people)


@pytest.fixture(scope="session")
def building() -> Building:
    return Building()
